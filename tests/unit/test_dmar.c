/* SPDX-License-Identifier: Apache-2.0 */
#include "iommu/vtd/dmar.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "unit.h"

static u8 t[8192];
static size_t n;
static struct dmar d;
static char why[160];

/* 00:02.0 leads to buses 1..3, 01:00.0 to 2..2 */
static bool bridge(void *ctx, u16 bdf, u8 *sec, u8 *sub)
{
	(void)ctx;
	if (bdf == 0x0010) {
		*sec = 1;
		*sub = 3;
		return true;
	}
	if (bdf == 0x0100) {
		*sec = *sub = 2;
		return true;
	}
	return false;
}

static const struct dmar_topology topo = { .bridge = bridge };

static void begin(void)
{
	memset(t, 0, sizeof(t));
	memcpy(t, "DMAR", 4);
	t[36] = 47;
	t[37] = 1;
	n = 48;
}

static size_t structure(u8 type, size_t len)
{
	size_t at = n;

	t[at] = type;
	put_le16(t + at + 2, (u16)len);
	n += len;
	return at;
}

static void scope(size_t of, u8 type, u8 id, u8 bus, u32 hops, const u8 *path)
{
	u8 *s = t + n;

	s[0] = type;
	s[1] = (u8)(6 + 2 * hops);
	s[4] = id;
	s[5] = bus;
	memcpy(s + 6, path, 2 * hops);
	n += s[1];
	put_le16(t + of + 2, (u16)(n - of));
}

static int parse(void)
{
	return dmar_parse(t, n, &d, why, sizeof(why));
}

/* As the emulated machine has it: one unit, the I/O APIC, then each function of bus 0. */
static void emulated(void)
{
	size_t u;

	begin();
	u = structure(0, 16);
	put_le64(t + u + 8, 0xfed90000);
	scope(u, 3, 0, 0xff, 1, (u8[]){ 0, 0 });
	scope(u, 1, 0, 0, 1, (u8[]){ 0, 0 });
	scope(u, 2, 0, 0, 1, (u8[]){ 2, 0 });
	scope(u, 1, 0, 0, 1, (u8[]){ 0x1f, 3 });
	t[structure(2, 8) + 4] = 1;
}

TEST(explicit_scopes)
{
	u16 source = 0;

	emulated();
	CHECK_EQ(parse(), 0);
	CHECK_EQ(d.addr_bits, 48);
	CHECK(d.intr_remap);
	CHECK(!d.x2apic_opt_out);
	CHECK_EQ(d.units, 1);
	CHECK_EQ(d.unit[0].mmio, 0xfed90000);
	CHECK_EQ(d.unit[0].mmio_len, 4096);
	CHECK(!d.unit[0].all);
	CHECK_EQ(d.atsrs, 1);
	CHECK(d.atsr[0].all_ports);
	CHECK_EQ(dmar_unit_of(&d, &topo, 0, 0x00fb), 0);
	CHECK_EQ(dmar_unit_of(&d, &topo, 0, 0x0010), 0); /* the bridge itself */
	CHECK_EQ(dmar_unit_of(&d, &topo, 0, 0x0180), 0); /* behind it, also what appears later */
	CHECK_EQ(dmar_unit_of(&d, &topo, 0, 0x0300), 0);
	CHECK(dmar_unit_of(&d, &topo, 0, 0x0400) == -ENODEV);
	CHECK(dmar_unit_of(&d, &topo, 0, 0x00f8) == -ENODEV);
	CHECK(dmar_unit_of(&d, &topo, 1, 0x00fb) == -ENODEV);
	CHECK_EQ(dmar_special(&d, &topo, DMAR_SCOPE_IOAPIC, 0, &source), 0);
	CHECK_EQ(source, 0xff00);
	CHECK(dmar_special(&d, &topo, DMAR_SCOPE_IOAPIC, 1, &source) == -ENODEV);
	CHECK(dmar_special(&d, &topo, DMAR_SCOPE_HPET, 0, &source) == -ENODEV);
}

TEST(catch_all_and_paths)
{
	size_t u;
	u16 bdf;

	begin();
	u = structure(0, 16); /* everything of segment 0 that is not named elsewhere */
	t[u + 4] = 1;
	t[u + 5] = 2;
	put_le64(t + u + 8, 0xfed91000);
	u = structure(0, 16);
	put_le64(t + u + 8, 0xfed90000);
	scope(u, 1, 0, 0, 3, (u8[]){ 2, 0, 0, 0, 5, 1 }); /* 02:05.1 */
	scope(u, 1, 0, 0, 2, (u8[]){ 3, 0, 0, 0 });	    /* behind a bridge that is not there */
	u = structure(1, 24);
	put_le64(t + u + 8, 0x7f800000);
	put_le64(t + u + 16, 0x7f9fffff);
	scope(u, 1, 0, 0, 1, (u8[]){ 2, 0 });
	u = structure(3, 20);
	put_le64(t + u + 8, 0xfed90000);
	put_le32(t + u + 16, 1);
	structure(9, 12);
	CHECK_EQ(parse(), 0);
	CHECK_EQ(d.units, 2);
	CHECK_EQ(d.unit[0].mmio_len, 16384);
	CHECK_EQ(dmar_unit_of(&d, &topo, 0, 0x0229), 1);
	CHECK_EQ(dmar_unit_of(&d, &topo, 0, 0x0228), 0);
	CHECK_EQ(dmar_scope_bdf(&d.scope[0], &topo, &bdf), 0);
	CHECK_EQ(bdf, 0x0229);
	CHECK(dmar_scope_bdf(&d.scope[1], &topo, &bdf) == -ENODEV);
	CHECK_EQ(d.rmrrs, 1);
	CHECK_EQ(d.rmrr[0].base, 0x7f800000);
	CHECK_EQ(d.rmrr[0].len, 0x200000);
	CHECK(dmar_scopes_match(&d, d.rmrr[0].scopes, &topo, 0x0010));
	CHECK(!dmar_scopes_match(&d, d.rmrr[0].scopes, &topo, 0x0180)); /* an endpoint scope */
	CHECK_EQ(d.rhsas, 1);
	CHECK_EQ(d.rhsa[0].node, 1);
	CHECK_EQ(d.ignored, 1);
}

TEST(malformed)
{
	size_t u;

	emulated();
	for (size_t len = 0; len < n; len++) {
		int err = dmar_parse(t, len, &d, why, sizeof(why));

		/* Only a cut between two structures leaves a table. */
		CHECK(err == (len == 48 || len == n - 8 ? 0 : -EPROTO));
	}
	emulated();
	put_le16(t + 50, 3);
	CHECK(parse() == -EPROTO);
	CHECK(strstr(why, "offset 48"));
	emulated();
	t[48 + 16 + 1] = 7; /* half a hop */
	CHECK(parse() == -EPROTO);
	CHECK(strstr(why, "offset 64"));
	emulated();
	t[48 + 16 + 1] = 6; /* no hop */
	CHECK(parse() == -EPROTO);
	emulated();
	t[48 + 16 + 6] = 32; /* device */
	CHECK(parse() == -EPROTO);
	emulated();
	put_le64(t + 56, 0xfed90800);
	CHECK(parse() == -EPROTO);
	begin();
	u = structure(1, 24);
	put_le64(t + u + 8, 0x2000);
	put_le64(t + u + 16, 0x1fff);
	CHECK(parse() == -EPROTO);
	put_le64(t + u + 16, ~0ull);
	CHECK(parse() == -EPROTO);
	put_le64(t + u + 16, 0x2800); /* not the end of a page */
	CHECK_EQ(parse(), 0);
	CHECK_EQ(d.rmrr[0].len, 0x1000);
}

TEST(too_many)
{
	begin();
	for (u32 i = 0; i < DMAR_UNITS; i++)
		put_le64(t + structure(0, 16) + 8, 0xfed90000 + i * 4096);
	CHECK_EQ(parse(), 0);
	put_le64(t + structure(0, 16) + 8, 0xfe000000);
	CHECK(parse() == -ENOSPC);
	CHECK(strstr(why, "more than 32 remapping units"));
}

UNIT_MAIN({ "explicit_scopes", explicit_scopes }, { "catch_all_and_paths", catch_all_and_paths },
	  { "malformed", malformed }, { "too_many", too_many })
