/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sweeps over all opcodes, and random bytes, against another decoder: lengths of all
 * instructions, operands of the claimed ones.
 */
#include "tests/unit/insn_oracle.h"
#include "unit.h"

#define MAX_DUMPS 20

static struct oracle_stats stats;
static unsigned failures;

static u64 rng = 0x9e3779b97f4a7c15;

static u8 random_byte(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (u8)(rng >> 32);
}

static void compare(const u8 *bytes, enum insn_mode mode)
{
	const char *why = oracle_compare(bytes, mode, &stats);

	if (!why)
		return;
	oracle_dump(bytes, mode, why);
	if (++failures == MAX_DUMPS)
		exit(1);
}

static void report(const char *name)
{
	printf("%s: %lu equal, %lu of them claimed forms; %lu refused by both, %lu by Zydis "
	       "alone\n",
	       name, stats.both, stats.claimed, stats.none, stats.lax);
	for (unsigned i = 0; i < ORACLE_EXCUSES && oracle_excuses[i].why; i++)
		if (stats.excused[i])
			printf("  %lu differ: %s\n", stats.excused[i], oracle_excuses[i].why);
	CHECK_EQ(failures, 0);
	CHECK(stats.both > 0);
}

/* Prefixes and escape bytes, then the bytes that the sweep sets, then random ones. */
struct lead {
	u8 n, byte[6];
};

static void sweep_modrm(const struct lead *l, u8 op, enum insn_mode mode, unsigned step)
{
	u8 b[INSN_MAX_LEN];

	for (unsigned modrm = step > 1 ? op % step : 0; modrm < 256; modrm += step) {
		for (unsigned i = 0; i < sizeof(b); i++)
			b[i] = i < l->n ? l->byte[i] : random_byte();
		b[l->n] = op;
		b[l->n + 1] = (u8)modrm;
		compare(b, mode);
		/* SIB without base, without index */
		b[l->n + 2] = 0x25;
		compare(b, mode);
		b[l->n + 2] = (u8)((random_byte() & 0xc0) | 0x0d);
		compare(b, mode);
	}
}

static void sweep_map(const struct lead *prefix, const char *escape, unsigned n, unsigned step)
{
	struct lead l = *prefix;

	memcpy(l.byte + l.n, escape, n);
	l.n = (u8)(l.n + n);
	for (int mode = INSN_MODE_16; mode <= INSN_MODE_64; mode++)
		for (unsigned op = 0; op < 256; op++)
			sweep_modrm(&l, (u8)op, (enum insn_mode)mode, step);
}

static const struct lead prefixes[] = {
	{ 0, { 0 } },          { 1, { 0x66 } },       { 1, { 0x67 } },       { 1, { 0xf0 } },
	{ 1, { 0xf2 } },       { 1, { 0xf3 } },       { 1, { 0x2e } },       { 1, { 0x36 } },
	{ 1, { 0x64 } },       { 1, { 0x65 } },       { 1, { 0x40 } },       { 1, { 0x48 } },
	{ 1, { 0x4f } },       { 1, { 0x45 } },       { 2, { 0x66, 0x67 } }, { 2, { 0x66, 0x48 } },
	{ 2, { 0x67, 0x4d } }, { 2, { 0x48, 0x66 } }, { 2, { 0xf3, 0x48 } }, { 2, { 0xf0, 0x41 } },
	{ 2, { 0x66, 0xf3 } }, { 2, { 0xf2, 0x66 } }, { 2, { 0xf2, 0xf3 } }, { 2, { 0x3e, 0x65 } },
};

static void sweep(const char *name, const char *escape, unsigned n)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		sweep_map(&prefixes[i], escape, n, i == 0 || prefixes[i].byte[0] == 0x48 ? 1 : 7);
	report(name);
}

TEST(test_one_byte)
{
	sweep("one-byte opcodes", "", 0);
}

TEST(test_0f)
{
	sweep("0F", "\x0f", 1);
}

TEST(test_0f38)
{
	sweep("0F 38", "\x0f\x38", 2);
}

TEST(test_0f3a)
{
	sweep("0F 3A", "\x0f\x3a", 2);
}

TEST(test_vector)
{
	static const struct lead none = { 0, { 0 } };

	for (int i = 0; i < 24; i++) {
		u8 w = (u8)(i & 1 ? 0x80 : 0), l = (u8)(i / 2 % 3 << 5), pp = (u8)(i / 6);
		u8 vvvv = random_byte() & 1 ? 0x78 : random_byte() & 0x78;

		for (u8 map = 1; map <= 10; map++) {
			u8 c4[] = { 0xc4, 0xe0 | map, (u8)(w | vvvv | (l & 4) | pp) };
			u8 xop[] = { 0x8f, 0xe0 | map, (u8)(w | vvvv | (l & 4) | pp) };
			u8 evex[] = { 0x62, 0xf0 | map, (u8)(w | vvvv | 4 | pp), (u8)(8 | l) };

			sweep_map(&none, (char *)c4, 3, 13);
			sweep_map(&none, (char *)xop, 3, 13);
			sweep_map(&none, (char *)evex, 4, 13);
		}
		u8 c5[] = { 0xc5, (u8)(0x80 | vvvv | (l & 4) | pp) };

		sweep_map(&none, (char *)c5, 2, 13);
	}
	report("VEX, XOP, EVEX");
}

TEST(test_random)
{
	static const u8 common[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64,
		                     0x65, 0x40, 0x48, 0x4c, 0x0f, 0xc5, 0xc4, 0x62, 0x8f };
	u8 b[INSN_MAX_LEN];

	for (int n = 0; n < 4000000; n++) {
		unsigned lead = random_byte() % 4;

		for (unsigned i = 0; i < sizeof(b); i++)
			b[i] = i < lead ? common[random_byte() % sizeof(common)] : random_byte();
		compare(b, (enum insn_mode)(n % 3));
	}
	report("random bytes");
}

/* Prefixes up to the limit and beyond. */
TEST(test_longest)
{
	static const u8 tail[][8] = { { 0x81, 0x84, 0x88, 1, 2, 3, 4, 5 },
		                      { 0xa1, 1, 2, 3, 4 },
		                      { 0x8b, 0x05, 1, 2, 3, 4 },
		                      { 0x0f, 0xa2 },
		                      { 0xe8, 1, 2 },
		                      { 0xea, 1, 2, 3, 4, 5, 6 },
		                      { 0xc8, 1, 2, 3 } };
	u8 b[INSN_MAX_LEN];

	for (int mode = INSN_MODE_16; mode <= INSN_MODE_64; mode++)
		for (size_t t = 0; t < sizeof(tail) / sizeof(tail[0]); t++)
			for (unsigned n = 0; n < INSN_MAX_LEN; n++) {
				memset(b, 0x36, sizeof(b));
				for (unsigned i = n; i < sizeof(b); i++)
					b[i] = i - n < 8 ? tail[t][i - n] : 0;
				compare(b, (enum insn_mode)mode);
			}
	report("long instructions");
}

UNIT_MAIN({ "one_byte", test_one_byte }, { "0f", test_0f }, { "0f38", test_0f38 },
	  { "0f3a", test_0f3a }, { "vector", test_vector }, { "random", test_random },
	  { "longest", test_longest })
