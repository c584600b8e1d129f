/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DMAR structures and device scopes.
 */
#include "iommu/vtd/dmar.h"

#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

#define DMAR_FIRST 48 /* offset of the first structure */

enum dmar_type { DMAR_DRHD = 0, DMAR_RMRR = 1, DMAR_ATSR = 2, DMAR_RHSA = 3 };

struct parse {
	struct dmar *out;
	const u8 *t;
	char *why;
	size_t why_size;
};

#define FAIL(p, err, ...) (fmt_snprintf((p)->why, (p)->why_size, __VA_ARGS__), (err))

static int full(const struct parse *p, size_t at, const char *what, u32 limit)
{
	return FAIL(p, -ENOSPC, "DMAR: offset %zu: more than %u %s", at, limit, what);
}

static int take_scope(const struct parse *p, size_t at, const u8 *s, u8 n)
{
	struct dmar *d = p->out;
	struct dmar_scope *o;

	if (n < 8 || n % 2 || (n - 6) / 2 > DMAR_HOPS)
		return FAIL(p, -EPROTO, "DMAR: offset %zu: scope of %u bytes", at, n);
	if (d->scopes == DMAR_SCOPES)
		return full(p, at, "device scopes", DMAR_SCOPES);
	o = &d->scope[d->scopes++];
	*o = (struct dmar_scope){ .type = s[0], .enum_id = s[4], .bus = s[5] };
	o->hops = (u8)((n - 6) / 2);
	for (u32 i = 0; i < o->hops; i++) {
		u8 dev = s[6 + 2 * i], fn = s[7 + 2 * i];

		if (dev > 31 || fn > 7)
			return FAIL(p, -EPROTO, "DMAR: offset %zu: device %u function %u in a path",
				    at, dev, fn);
		o->path[i] = (u8)(dev << 3 | fn);
	}
	return 0;
}

/* Device scopes from at to the end of a structure. */
static int take_scopes(const struct parse *p, size_t at, size_t end, struct dmar_scopes *out)
{
	u32 first = p->out->scopes;

	while (at < end) {
		u8 n = end - at >= 2 ? p->t[at + 1] : 0;
		int err;

		if (n < 2 || n > end - at)
			return FAIL(p, -EPROTO, "DMAR: offset %zu: scope of %u bytes, %zu are left",
				    at, n, end - at);
		err = take_scope(p, at, p->t + at, n);
		if (err)
			return err;
		at += n;
	}
	*out = (struct dmar_scopes){ (u16)first, (u16)(p->out->scopes - first) };
	return 0;
}

static int take_unit(const struct parse *p, size_t at, size_t end)
{
	struct dmar *d = p->out;
	const u8 *b = p->t + at;
	struct dmar_unit *u;

	if (d->units == DMAR_UNITS)
		return full(p, at, "remapping units", DMAR_UNITS);
	u = &d->unit[d->units++];
	*u = (struct dmar_unit){
		.mmio = get_le64(b + 8),
		.mmio_len = 4096u << (b[5] & 15),
		.segment = get_le16(b + 6),
		.all = (b[4] & 1) != 0,
	};
	if (u->mmio == 0 || !is_aligned(u->mmio, PAGE_SIZE) || u->mmio > MASK(51, 0))
		return FAIL(p, -EPROTO, "DMAR: offset %zu: unit's registers at %#llx", at + 8,
			    (unsigned long long)u->mmio);
	return take_scopes(p, at + 16, end, &u->scopes);
}

static int take_rmrr(const struct parse *p, size_t at, size_t end)
{
	struct dmar *d = p->out;
	const u8 *b = p->t + at;
	u64 base = get_le64(b + 8), limit = get_le64(b + 16);
	struct dmar_rmrr *r;

	if (d->rmrrs == DMAR_RMRRS)
		return full(p, at, "reserved regions", DMAR_RMRRS);
	/* Firmware is known to give a limit that does not end a page: the page counts whole. */
	if (limit < base || limit > MASK(51, 0))
		return FAIL(p, -EPROTO, "DMAR: offset %zu: reserved region %#llx..%#llx", at + 8,
			    (unsigned long long)base, (unsigned long long)limit);
	r = &d->rmrr[d->rmrrs++];
	r->base = align_down(base, PAGE_SIZE);
	r->len = align_down(limit, PAGE_SIZE) + PAGE_SIZE - r->base;
	r->segment = get_le16(b + 6);
	return take_scopes(p, at + 24, end, &r->scopes);
}

static int take_atsr(const struct parse *p, size_t at, size_t end)
{
	struct dmar *d = p->out;
	struct dmar_atsr *a;

	if (d->atsrs == DMAR_ATSRS)
		return full(p, at, "ATSR structures", DMAR_ATSRS);
	a = &d->atsr[d->atsrs++];
	a->segment = get_le16(p->t + at + 6);
	a->all_ports = (p->t[at + 4] & 1) != 0;
	return take_scopes(p, at + 8, end, &a->scopes);
}

static int take_rhsa(const struct parse *p, size_t at)
{
	struct dmar *d = p->out;

	if (d->rhsas == DMAR_RHSAS)
		return full(p, at, "RHSA structures", DMAR_RHSAS);
	d->rhsa[d->rhsas++] =
		(struct dmar_rhsa){ get_le64(p->t + at + 8), get_le32(p->t + at + 16) };
	return 0;
}

static int take_structure(const struct parse *p, u16 type, size_t at, size_t end)
{
	static const u8 need[] = {
		[DMAR_DRHD] = 16, [DMAR_RMRR] = 24, [DMAR_ATSR] = 8, [DMAR_RHSA] = 20
	};

	if (type < sizeof(need) && end - at < need[type])
		return FAIL(p, -EPROTO, "DMAR: offset %zu: structure of type %u has %zu bytes", at,
			    type, end - at);
	switch (type) {
	case DMAR_DRHD:
		return take_unit(p, at, end);
	case DMAR_RMRR:
		return take_rmrr(p, at, end);
	case DMAR_ATSR:
		return take_atsr(p, at, end);
	case DMAR_RHSA:
		return take_rhsa(p, at);
	default:
		p->out->ignored++;
		return 0;
	}
}

int dmar_parse(const u8 *t, size_t len, struct dmar *out, char *why, size_t why_size)
{
	struct parse p = { out, t, why, why_size };
	size_t at = DMAR_FIRST;

	memset(out, 0, sizeof(*out));
	if (len < DMAR_FIRST || memcmp(t, "DMAR", 4) != 0)
		return FAIL(&p, -EPROTO, "DMAR: %zu bytes without header", len);
	out->addr_bits = (u8)(t[36] + 1);
	out->intr_remap = (t[37] & 1) != 0;
	out->x2apic_opt_out = (t[37] & 2) != 0;
	while (at < len) {
		u32 n = len - at >= 4 ? get_le16(t + at + 2) : 0;
		int err;

		if (n < 4 || n > len - at)
			return FAIL(&p, -EPROTO,
				    "DMAR: offset %zu: structure of %u bytes, %zu are left", at, n,
				    len - at);
		err = take_structure(&p, get_le16(t + at), at, at + n);
		if (err)
			return err;
		at += n;
	}
	return 0;
}

int dmar_scope_bdf(const struct dmar_scope *s, const struct dmar_topology *topo, u16 *bdf)
{
	u8 bus = s->bus, sub;

	/* Hops before the last are bridges: each leads to its secondary bus. */
	for (u32 i = 0; i + 1 < s->hops; i++)
		if (!topo->bridge(topo->ctx, (u16)(bus << 8 | s->path[i]), &bus, &sub))
			return -ENODEV;
	*bdf = (u16)(bus << 8 | s->path[s->hops - 1]);
	return 0;
}

static bool scope_matches(const struct dmar_scope *s, const struct dmar_topology *topo, u16 bdf)
{
	u16 at;
	u8 first, last, bus = (u8)(bdf >> 8);

	if (s->type != DMAR_SCOPE_ENDPOINT && s->type != DMAR_SCOPE_BRIDGE)
		return false;
	if (dmar_scope_bdf(s, topo, &at))
		return false;
	if (at == bdf)
		return true;
	if (s->type != DMAR_SCOPE_BRIDGE || !topo->bridge(topo->ctx, at, &first, &last))
		return false;
	return bus >= first && bus <= last;
}

bool dmar_scopes_match(const struct dmar *d, struct dmar_scopes scopes,
		       const struct dmar_topology *topo, u16 bdf)
{
	for (u32 i = 0; i < scopes.count; i++)
		if (scope_matches(&d->scope[scopes.first + i], topo, bdf))
			return true;
	return false;
}

int dmar_unit_of(const struct dmar *d, const struct dmar_topology *topo, u16 segment, u16 bdf)
{
	int all = -ENODEV;

	for (u32 i = 0; i < d->units; i++) {
		const struct dmar_unit *u = &d->unit[i];

		if (u->segment != segment)
			continue;
		if (dmar_scopes_match(d, u->scopes, topo, bdf))
			return (int)i;
		if (u->all)
			all = (int)i;
	}
	return all;
}

int dmar_special(const struct dmar *d, const struct dmar_topology *topo, enum dmar_scope_type type,
		 u8 enum_id, u16 *source)
{
	for (u32 i = 0; i < d->units; i++) {
		struct dmar_scopes ss = d->unit[i].scopes;

		for (u32 k = 0; k < ss.count; k++) {
			const struct dmar_scope *s = &d->scope[ss.first + k];

			if (s->type == type && s->enum_id == enum_id &&
			    dmar_scope_bdf(s, topo, source) == 0)
				return (int)i;
		}
	}
	return -ENODEV;
}
