/* SPDX-License-Identifier: Apache-2.0 */
#include "iommu/amdvi/ivrs.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "unit.h"

static u8 t[65536];
static size_t n;
static struct ivrs v;
static char why[160];

static void begin(void)
{
	memset(t, 0, sizeof(t));
	memcpy(t, "IVRS", 4);
	put_le32(t + 36, 48u << 15 | 40u << 8);
	n = 48;
}

/* A unit's block with its entries. */
static size_t unit(u8 type, u16 bdf, u16 seg, const u8 *e, size_t len)
{
	size_t head = type == 0x10 ? 24 : 40, at = n;
	u8 *b = t + at;

	b[0] = type;
	b[1] = 0x20;
	put_le16(b + 2, (u16)(head + len));
	put_le16(b + 4, bdf);
	put_le16(b + 6, 0x40);
	put_le64(b + 8, 0xfed80000);
	put_le16(b + 16, seg);
	if (type != 0x10)
		put_le64(b + 24, 0x29d3);
	memcpy(b + head, e, len);
	n += head + len;
	return at;
}

static size_t memory(u8 type, u16 first, u16 last, u64 base, u64 len)
{
	size_t at = n;

	t[at] = type;
	t[at + 1] = 0x07;
	put_le16(t + at + 2, 32);
	put_le16(t + at + 4, first);
	put_le16(t + at + 6, last);
	put_le64(t + at + 16, base);
	put_le64(t + at + 24, len);
	n += 32;
	return at;
}

static int parse(void)
{
	return ivrs_parse(t, n, &v, why, sizeof(why));
}

/* Select 00:02.0, range 01:00.0..01:1f.7, alias 03:00.0 -> 02:00.0, special: I/O APIC at 00:14.0 */
static const u8 entries[] = {
	2, 0x10, 0x00, 0,
	3, 0x00, 0x01, 0x02, 4, 0xff, 0x01, 0,
	0, 0, 0, 0,
	66, 0x00, 0x03, 0, 0, 0x00, 0x02, 0,
	72, 0, 0, 0xd7, 0, 0xa0, 0x00, 1,
	72, 0, 0, 0, 5, 0xa2, 0x00, 2,
};

TEST(unit_and_devices)
{
	const struct ivrs_special *s;
	u16 alias;
	u8 settings;

	begin();
	unit(0x10, 8, 0, entries, sizeof(entries));
	unit(0x11, 8, 0, entries, sizeof(entries));
	CHECK_EQ(parse(), 0);
	CHECK_EQ(v.pa_bits, 40);
	CHECK_EQ(v.va_bits, 48);
	CHECK_EQ(v.units, 1); /* the block of type 11h replaces that of type 10h */
	CHECK_EQ(v.unit[0].type, 0x11);
	CHECK_EQ(v.unit[0].efr, 0x29d3);
	CHECK_EQ(v.unit[0].mmio, 0xfed80000);
	CHECK_EQ(v.unit[0].cap, 0x40);
	CHECK_EQ(v.devices, 3);
	CHECK_EQ(ivrs_unit_of(&v, 0, 0x10, &alias, &settings), 0);
	CHECK_EQ(alias, 0x10);
	CHECK_EQ(ivrs_unit_of(&v, 0, 0x180, &alias, &settings), 0);
	CHECK_EQ(alias, 0x180);
	CHECK_EQ(settings, 2);
	CHECK_EQ(ivrs_unit_of(&v, 0, 0x300, &alias, &settings), 0);
	CHECK_EQ(alias, 0x200);
	CHECK(ivrs_unit_of(&v, 0, 0x301, &alias, &settings) == -ENODEV);
	CHECK(ivrs_unit_of(&v, 1, 0x10, &alias, &settings) == -ENODEV);
	s = ivrs_special(&v, IVRS_IOAPIC, 0);
	CHECK(s && s->bdf == 0xa0 && s->unit == 0 && s->settings == 0xd7);
	s = ivrs_special(&v, IVRS_HPET, 5);
	CHECK(s && s->bdf == 0xa2);
	CHECK(!ivrs_special(&v, IVRS_IOAPIC, 1));
}

TEST(refinement)
{
	static const u8 e[] = {
		1,    0,    0,   0x04, 67,   0x08, 0x04, 0,   0,   0x00, 0x04, 0,   4,
		0x0f, 0x04, 0,   70,   0x00, 0x05, 0x80, 0,   0,   0,    0x80, 240, 0xa5,
		0,    0,    'A', 'M',  'D',  'I',  '0',  '0', '2', '0',  0,    0,   0,
		0,    0,    0,   0,    0,    2,    3,    'a', 'b', 'c',
	};
	u16 alias;
	u8 settings;

	begin();
	unit(0x40, 2, 0, e, sizeof(e));
	CHECK_EQ(parse(), 0);
	CHECK_EQ(v.ignored, 1);
	CHECK_EQ(ivrs_unit_of(&v, 0, 0xffff, &alias, &settings), 0);
	CHECK_EQ(alias, 0xffff);
	CHECK_EQ(settings, 4);
	CHECK_EQ(ivrs_unit_of(&v, 0, 0x40b, &alias, &settings), 0);
	CHECK_EQ(alias, 0x400);
	CHECK_EQ(ivrs_unit_of(&v, 0, 0x500, &alias, &settings), 0);
	CHECK_EQ(settings, 0x80);
}

TEST(memory_blocks)
{
	size_t m;

	begin();
	memory(0x20, 0, 0, 0x1000, 0x800);
	memory(0x21, 0x108, 0, 0x7f000800, 0x1000);
	m = memory(0x22, 0x100, 0x10f, 0x7e000000, 0x100000);
	t[m + 1] = 0x08;
	CHECK_EQ(parse(), 0);
	CHECK_EQ(v.memories, 3);
	CHECK(v.memory[0].first == 0 && v.memory[0].last == 0xffff);
	CHECK(v.memory[0].base == 0x1000 && v.memory[0].len == 0x1000);
	CHECK(v.memory[1].first == 0x108 && v.memory[1].last == 0x108);
	CHECK(v.memory[1].base == 0x7f000000 && v.memory[1].len == 0x2000);
	CHECK(v.memory[1].read && v.memory[1].write && !v.memory[1].exclusion);
	CHECK(v.memory[2].last == 0x10f && v.memory[2].exclusion && !v.memory[2].write);
	put_le64(t + m + 24, ~0ull);
	CHECK(parse() == -EPROTO);
	put_le64(t + m + 24, 0);
	CHECK(parse() == -EPROTO);
}

static int parse_entries(const u8 *e, size_t len)
{
	begin();
	unit(0x10, 8, 0, e, len);
	return parse();
}

TEST(malformed)
{
	begin();
	unit(0x11, 8, 0, entries, sizeof(entries));
	for (size_t len = 0; len < n; len++)
		CHECK(ivrs_parse(t, len, &v, why, sizeof(why)) == (len == 48 ? 0 : -EPROTO));
	CHECK(parse_entries((u8[]){ 3, 0, 1, 0 }, 4) == -EPROTO); /* a range without end */
	CHECK(strstr(why, "not ended"));
	CHECK(parse_entries((u8[]){ 4, 0, 1, 0 }, 4) == -EPROTO);
	CHECK(parse_entries((u8[]){ 3, 0, 1, 0, 3, 0, 2, 0 }, 8) == -EPROTO);
	CHECK(parse_entries((u8[]){ 3, 0, 2, 0, 4, 0, 1, 0 }, 8) == -EPROTO); /* backwards */
	CHECK(parse_entries((u8[]){ 2, 0, 1, 0, 66, 0, 1, 0 }, 8) == -EPROTO); /* cut */
	CHECK(parse_entries((u8[]){ 2, 0, 1 }, 3) == -EPROTO);
	CHECK(parse_entries((u8[]){ 240, 0, 1, 0 }, 4) == -EPROTO);
	begin();
	put_le64(t + unit(0x10, 8, 0, entries, 4) + 8, 0xfed81000);
	CHECK(parse() == -EPROTO);
}

TEST(too_many)
{
	static u8 e[4 * (IVRS_DEVICES + 1)];

	for (u32 i = 0; i <= IVRS_DEVICES; i++)
		e[4 * i] = 2;
	CHECK_EQ(parse_entries(e, sizeof(e) - 4), 0);
	CHECK(parse_entries(e, sizeof(e)) == -ENOSPC);
	CHECK(strstr(why, "1024 device entries"));
}

UNIT_MAIN({ "unit_and_devices", unit_and_devices }, { "refinement", refinement },
	  { "memory_blocks", memory_blocks }, { "malformed", malformed }, { "too_many", too_many })
