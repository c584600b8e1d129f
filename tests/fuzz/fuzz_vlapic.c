/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC under any sequence of register accesses, messages, line changes and steps of time:
 * summaries and priorities agree with the queues, a taken vector leaves IRR for ISR, a running
 * timer is always asked for, and no call does more than a bounded number of things outside.
 */
#include "tests/fuzz/stream.h"

#include "devices/platform/vlapic.h"

#define TSC_KHZ 2500000u

static struct vlapic L;
static const struct irqchip_ops *const ops = &vlapic_irqchip;
static u64 now, armed;
static bool is_armed;
static unsigned calls;

static u64 env_now(void *ctx)
{
	(void)ctx;
	return now;
}

static void env_arm(void *ctx, u64 at, u64 ticks)
{
	(void)ctx;
	FUZZ_CHECK(at == now);
	armed = at + ticks;
	is_armed = true;
}

static void env_send(void *ctx, const struct apic_msg *m)
{
	(void)ctx;
	FUZZ_CHECK(m->shorthand <= APIC_OTHERS && m->delivery <= 7);
	calls++;
}

static void env_eoi(void *ctx, u8 vector)
{
	(void)ctx;
	FUZZ_CHECK(vector >= 16);
	calls++;
}

static u8 env_extint(void *ctx)
{
	(void)ctx;
	calls++;
	return 0x20;
}

static bool bit_of(const u64 *w, u32 n)
{
	return w[n >> 6] >> (n & 63) & 1;
}

static void check(void)
{
	u32 isrv = 0;

	for (u32 i = 0; i < 4; i++) {
		FUZZ_CHECK(((L.isr_sum >> i) & 1) == (L.isr[i] != 0));
		FUZZ_CHECK(!L.irr[i] || (L.irr_sum >> i & 1)); /* else it would never be seen */
	}
	FUZZ_CHECK(!((L.irr[0] | L.isr[0]) & 0xffff));
	for (u32 n = 16; n < 256; n++)
		if (bit_of(L.isr, n))
			isrv = n & 0xf0;
	FUZZ_CHECK(L.ppr == ((L.tpr & 0xf0) >= isrv ? L.tpr : isrv));
	if (L.deadline)
		FUZZ_CHECK((L.attention & VLAPIC_ATT_TIMER) || is_armed);
	FUZZ_CHECK(!(L.base & APIC_BASE_X2APIC) || (L.base & APIC_BASE_ENABLE));
}

static void take(void)
{
	int n = ops->pending(&L);
	u8 v;

	if (n < 0)
		return;
	v = ops->ack(&L);
	if (n == 0) /* of the 8259 */
		return;
	FUZZ_CHECK(v == n && bit_of(L.isr, v) && !bit_of(L.irr, v));
	FUZZ_CHECK((L.ppr & 0xf0) == (v & 0xf0));
	FUZZ_CHECK(ops->pending(&L) < 0 || (ops->pending(&L) & 0xf0) > (v & 0xf0) ||
		   ops->pending(&L) == 0);
}

static void post(struct stream *s)
{
	struct apic_msg m = { .assert = true };
	u8 b = take8(s);
	bool was;

	m.delivery = b & 7;
	m.level = b & 8;
	m.logical = b & 16;
	m.assert = !(b & 32);
	m.vector = take8(s);
	m.dest = b & 64 ? take32(s) : take8(s);
	if (!vlapic_matches(&L, &m))
		return;
	was = m.vector >= 16 && bit_of(L.irr, m.vector);
	if (vlapic_accept(&L, &m) == VLAPIC_KICK && m.delivery <= 1 && m.vector >= 16)
		FUZZ_CHECK(!was && bit_of(L.irr, m.vector));
}

static void advance(u64 ticks)
{
	now += ticks;
	if (is_armed && armed <= now) {
		is_armed = false;
		vlapic_timer_hint(&L);
	}
}

static void step(struct stream *s)
{
	u8 op = take8(s), low = op & 0x1f;
	u64 v;

	switch (op >> 5) {
	case 0:
		v = take32(s);
		ops->mmio(&L, take8(s) << 4, low & 2 ? 8 : 4, low & 1, &v);
		break;
	case 1:
		v = take32(s);
		ops->mmio(&L, take8(s) << 4, 4, true, &v);
		break;
	case 2:
		v = low & 1 ? take64(s) : take32(s);
		(void)ops->wrmsr(&L, 0x800u + take8(s), v);
		break;
	case 3:
		if (low & 1)
			(void)ops->rdmsr(&L, low & 2 ? 0x1bu : 0x800u + take8(s), &v);
		else if (low & 2)
			(void)ops->wrmsr(&L, 0x1b, 0xfee00000 | (u64)(low >> 2) << 9);
		else
			(void)ops->wrmsr(&L, 0x6e0, now + take32(s) - (low & 4 ? 1u << 20 : 0));
		break;
	case 4:
		post(s);
		break;
	case 5:
		if (low & 8)
			ops->set_tpr(&L, take8(s));
		else
			(void)vlapic_lint(&L, low & 1, low & 2);
		break;
	case 6:
		take();
		break;
	default:
		advance(low & 1 ? take32(s) : take8(s) * 1000ull);
		break;
	}
}

static void check_saved(void)
{
	static struct vlapic other;
	const struct vlapic_env env = L.env;

	vlapic_init(&other, &L.cfg, &env);
	move_fields(&other, &L, vlapic_fields, vlapic_nfields);
	FUZZ_CHECK(vlapic_resume(&other) == 0);
	FUZZ_CHECK(same_fields(&other, &L, vlapic_fields, vlapic_nfields));
	FUZZ_CHECK(other.ppr == L.ppr && other.isr_sum == L.isr_sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vlapic_env env = { NULL, env_now, env_arm, env_send, env_eoi, env_extint };
	struct vlapic_config cfg = { .maxphyaddr = 40, .tsc_khz = TSC_KHZ, .apic_khz = 1000000 };
	struct stream s = { data, size };
	u8 b = take8(&s);

	cfg.id = b & 3;
	cfg.bsp = !cfg.id;
	cfg.x2apic = b & 4;
	cfg.tsc_deadline = b & 8;
	now = b & 16 ? ~0ull >> 1 : 1;
	is_armed = false;
	vlapic_init(&L, &cfg, &env);
	while (s.left) {
		calls = 0;
		step(&s);
		FUZZ_CHECK(calls <= 1);
		check();
	}
	check_saved();
	return 0;
}
