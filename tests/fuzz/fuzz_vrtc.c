/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clock under any sequence of register accesses and steps of time: the line is up exactly while an
 * enabled flag is, and every enabled cause that lies ahead has a timer.
 */
#include "tests/fuzz/stream.h"

#include "devices/platform/vrtc.h"

static u64 now, armed;
static bool line, is_armed;

static u64 now_ns(void *ctx)
{
	(void)ctx;
	return now;
}

static void arm(void *ctx, u64 ns)
{
	(void)ctx;
	armed = ns;
	is_armed = true;
}

static void irq(void *ctx, bool level)
{
	(void)ctx;
	FUZZ_CHECK(level != line);
	line = level;
}

static void check(const struct vrtc *r)
{
	u8 on = r->cmos[0x0b] & r->cmos[0x0c] & 0x70;

	FUZZ_CHECK(r->line == line && line == (on != 0));
	FUZZ_CHECK(((r->cmos[0x0c] & 0x80) != 0) == line);
	FUZZ_CHECK(!(r->cmos[0x0a] & 0x80) && r->cmos[0x0d] == 0x80 && r->index < 0x80);
	/* Update interrupts while the clock runs: always either pending or asked for. */
	if ((r->cmos[0x0b] & 0x90) == 0x10)
		FUZZ_CHECK(line || (is_armed && armed <= now + 1000000000ull));
}

static void advance(struct vrtc *r, u64 ns)
{
	u64 end = now + ns;

	for (unsigned i = 0; i < 8 && is_armed && armed <= end; i++) {
		now = armed > now ? armed : now;
		is_armed = false;
		vrtc_timer(r);
		check(r);
	}
	now = end;
	vrtc_timer(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vrtc_env env = { NULL, now_ns, arm, irq };
	struct stream s = { data, size };
	static struct vrtc r, other;

	line = is_armed = false;
	/* Somewhere in 2001 to 2033: the wall clock is the host's, not the guest's. */
	now = 1000000000ull * 1000000000ull + ((u64)take16(&s) << 44);
	vrtc_init(&r, &env, 64u << 20, (u64)take8(&s) << 30);
	while (s.left) {
		u8 op = take8(&s), v;

		if (op & 0x80) {
			advance(&r, op & 0x40 ? take32(&s) * 100ull : take16(&s) * 1000ull);
		} else {
			v = op & 0x7f;
			vrtc_io(&r, 0, true, &v);
			v = take8(&s);
			vrtc_io(&r, 1, v & 1 || (op & 0x7f) < 10, &v);
		}
		check(&r);
	}
	vrtc_init(&other, &env, 64u << 20, 0);
	move_fields(&other, &r, vrtc_fields, vrtc_nfields);
	line = false;
	FUZZ_CHECK(vrtc_resume(&other) == 0);
	check(&other);
	return 0;
}
