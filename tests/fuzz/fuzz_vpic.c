/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8259 pair under any sequence of port accesses, line changes and acknowledge cycles.
 */
#include "tests/fuzz/stream.h"

#include "devices/platform/vpic.h"

static bool out;
static unsigned calls;

static void set_out(void *ctx, bool level)
{
	(void)ctx;
	FUZZ_CHECK(level != out); /* told of changes only */
	out = level;
	calls++;
}

static void check(const struct vpic *p)
{
	FUZZ_CHECK(p->out == out);
	for (unsigned i = 0; i < 2; i++) {
		const struct vpic_chip *c = &p->chip[i];
		u8 wired = i ? 0xff : 0xfb; /* the cascade is no device's */

		/* A level input requests exactly while it is high. */
		FUZZ_CHECK(((c->irr ^ c->line) & c->elcr & wired) == 0);
		FUZZ_CHECK(!(c->base & 7));
		if (out && !i)
			FUZZ_CHECK((p->chip[0].irr & ~p->chip[0].imr) != 0);
	}
}

static void check_saved(const struct vpic *p)
{
	const struct vpic_env env = { NULL, set_out };
	struct vpic other;
	bool was = out;

	out = false;
	vpic_init(&other, &env);
	move_fields(&other, p, vpic_fields, vpic_nfields);
	other.chip[0].line = p->chip[0].line;
	other.chip[1].line = p->chip[1].line;
	out = false;
	FUZZ_CHECK(vpic_resume(&other) == 0);
	FUZZ_CHECK(out == was);
	FUZZ_CHECK(same_fields(&other, p, vpic_fields, vpic_nfields));
	out = was;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const u16 port[8] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x20, 0xa0 };
	const struct vpic_env env = { NULL, set_out };
	struct stream s = { data, size };
	struct vpic p;

	out = false;
	vpic_init(&p, &env);
	while (s.left) {
		u8 op = take8(&s), v = take8(&s);

		calls = 0;
		if (op & 0x80) {
			vpic_set_line(&p, op & 0x1f, v & 1);
		} else if (op & 0x40) {
			u8 vec = vpic_inta(&p), low = vec & 0xf8;

			FUZZ_CHECK(low == p.chip[0].base || low == p.chip[1].base);
		} else {
			vpic_io(&p, port[op & 7], (op & 8) != 0, &v);
		}
		FUZZ_CHECK(calls <= 1);
		check(&p);
	}
	check_saved(&p);
	return 0;
}
