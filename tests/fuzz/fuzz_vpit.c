/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8254 under any sequence of port accesses and steps of time: the timer asked for never lies in
 * the past by more than a period, no division by zero, one interrupt at most a call.
 */
#include "tests/fuzz/stream.h"

#include "devices/platform/vpit.h"

static u64 now, armed;
static bool line, is_armed;
static unsigned rises;

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
	rises += level && !line;
	line = level;
}

static void check(const struct vpit *p)
{
	for (unsigned i = 0; i < 3; i++) {
		const struct vpit_channel *c = &p->ch[i];

		FUZZ_CHECK(c->mode <= 5 && c->rw >= 1 && c->rw <= 3);
		FUZZ_CHECK(c->count && c->count <= 0x10000 && c->latched <= 2);
	}
	FUZZ_CHECK(!p->next_edge || is_armed);
}

/* Let time pass, calling when asked to; a bounded number of times. */
static void advance(struct vpit *p, u64 ns)
{
	u64 end = now + ns;

	for (unsigned i = 0; i < 16 && is_armed && armed <= end; i++) {
		u64 from = now;

		now = armed > now ? armed : now;
		is_armed = false;
		rises = 0;
		vpit_timer(p);
		FUZZ_CHECK(rises <= 1);
		/* A periodic channel 0 is called at a bounded rate. */
		FUZZ_CHECK(!is_armed || armed > from);
	}
	now = end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const u16 port[8] = { 0x40, 0x41, 0x42, 0x43, 0x61, 0x43, 0x40, 0x42 };
	const struct vpit_env env = { NULL, now_ns, arm, irq };
	struct stream s = { data, size };
	struct vpit p, other;

	line = is_armed = false;
	now = (u64)take16(&s) << 40;
	vpit_init(&p, &env);
	while (s.left) {
		u8 op = take8(&s), v;

		if (op & 0x80) {
			advance(&p, op & 0x40 ? take32(&s) : take8(&s) * 100ull);
		} else {
			v = take8(&s);
			vpit_io(&p, port[op & 7], op & 8, &v);
		}
		check(&p);
	}
	vpit_init(&other, &env);
	move_fields(&other, &p, vpit_fields, vpit_nfields);
	FUZZ_CHECK(vpit_resume(&other) == 0);
	FUZZ_CHECK(same_fields(&other, &p, vpit_fields, vpit_nfields));
	return 0;
}
