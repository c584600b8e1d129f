/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IVHD and IVMD blocks and their device entries.
 */
#include "iommu/amdvi/ivrs.h"

#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

#define IVRS_FIRST    48 /* offset of the first block */
#define IVRS_BLOCK_MIN 24 /* of any block, for a common head */

enum ivrs_block {
	IVHD_10 = 0x10,
	IVHD_11 = 0x11,
	IVHD_40 = 0x40,
	IVMD_ALL = 0x20,
	IVMD_SELECT = 0x21,
	IVMD_RANGE = 0x22,
};

enum ivhd_entry {
	IVHD_PAD4 = 0,
	IVHD_ALL = 1,
	IVHD_SELECT = 2,
	IVHD_RANGE = 3,
	IVHD_END = 4,
	IVHD_PAD8 = 64,
	IVHD_ALIAS = 66,
	IVHD_ALIAS_RANGE = 67,
	IVHD_EXT = 70,
	IVHD_EXT_RANGE = 71,
	IVHD_SPECIAL = 72,
	IVHD_ACPI = 240,
};

struct parse {
	struct ivrs *out;
	const u8 *t;
	char *why;
	size_t why_size;
	/* A range that was started and not yet ended. */
	struct ivrs_device range;
	bool open;
};

#define FAIL(p, err, ...) (fmt_snprintf((p)->why, (p)->why_size, __VA_ARGS__), (err))

static int full(const struct parse *p, size_t at, const char *what, u32 limit)
{
	return FAIL(p, -ENOSPC, "IVRS: offset %zu: more than %u %s", at, limit, what);
}

static int add_device(const struct parse *p, size_t at, struct ivrs_device d)
{
	struct ivrs *v = p->out;

	if (d.last < d.first)
		return FAIL(p, -EPROTO, "IVRS: offset %zu: device range %#x..%#x", at, d.first,
			    d.last);
	if (v->devices == IVRS_DEVICES)
		return full(p, at, "device entries", IVRS_DEVICES);
	v->device[v->devices++] = d;
	return 0;
}

static int add_special(const struct parse *p, size_t at, const u8 *e)
{
	struct ivrs *v = p->out;

	if (v->specials == IVRS_SPECIALS)
		return full(p, at, "special devices", IVRS_SPECIALS);
	v->special[v->specials++] = (struct ivrs_special){
		.variety = e[7],
		.handle = e[4],
		.bdf = get_le16(e + 5),
		.unit = (u8)(v->units - 1),
		.settings = e[3],
	};
	return 0;
}

/* Bytes of the device entry at e, 0: it does not fit into the bytes left. */
static size_t entry_len(const u8 *e, size_t left)
{
	size_t n;

	if (e[0] == IVHD_ACPI)
		n = left >= 22 ? 22u + e[21] : 0;
	else
		n = (size_t)4 << (e[0] >> 6);
	return n <= left ? n : 0;
}

static int start_range(struct parse *p, size_t at, struct ivrs_device d)
{
	if (p->open)
		return FAIL(p, -EPROTO, "IVRS: offset %zu: a range starts within a range", at);
	p->range = d;
	p->open = true;
	return 0;
}

static int take_entry(struct parse *p, size_t at)
{
	const u8 *e = p->t + at;
	u16 id = get_le16(e + 1);
	struct ivrs_device d = { .first = id, .last = id, .settings = e[3] };

	switch (e[0]) {
	case IVHD_PAD4:
	case IVHD_PAD8:
		return 0;
	case IVHD_ALL:
		d.first = 0;
		d.last = 0xffff;
		return add_device(p, at, d);
	case IVHD_SELECT:
	case IVHD_EXT:
		return add_device(p, at, d);
	case IVHD_ALIAS:
	case IVHD_ALIAS_RANGE:
		d.alias = get_le16(e + 5);
		d.aliased = true;
		return e[0] == IVHD_ALIAS ? add_device(p, at, d) : start_range(p, at, d);
	case IVHD_RANGE:
	case IVHD_EXT_RANGE:
		return start_range(p, at, d);
	case IVHD_END:
		if (!p->open)
			return FAIL(p, -EPROTO, "IVRS: offset %zu: a range ends that did not start",
				    at);
		p->open = false;
		p->range.last = id;
		return add_device(p, at, p->range);
	case IVHD_SPECIAL:
		return add_special(p, at, e);
	default:
		p->out->ignored++;
		return 0;
	}
}

static int take_entries(struct parse *p, size_t at, size_t end)
{
	p->open = false;
	while (at < end) {
		size_t n = end - at >= 4 ? entry_len(p->t + at, end - at) : 0;
		int err;

		if (n == 0)
			return FAIL(p, -EPROTO,
				    "IVRS: offset %zu: device entry of type %u, %zu bytes left", at,
				    p->t[at], end - at);
		err = take_entry(p, at);
		if (err)
			return err;
		at += n;
	}
	if (p->open)
		return FAIL(p, -EPROTO, "IVRS: offset %zu: a range is not ended", end);
	return 0;
}

static bool is_unit(u8 type)
{
	return type == IVHD_10 || type == IVHD_11 || type == IVHD_40;
}

/* The same unit may be described by blocks of several types: only the newest counts. */
static bool is_outdated(const struct parse *p, size_t at, size_t len)
{
	for (size_t k = IVRS_FIRST; k < len; k += get_le16(p->t + k + 2))
		if (is_unit(p->t[k]) && p->t[k] > p->t[at] &&
		    get_le16(p->t + k + 4) == get_le16(p->t + at + 4) &&
		    get_le16(p->t + k + 16) == get_le16(p->t + at + 16))
			return true;
	return false;
}

static int take_unit(struct parse *p, size_t at, size_t end)
{
	const u8 *b = p->t + at;
	size_t head = b[0] == IVHD_10 ? 24 : 40;
	struct ivrs *v = p->out;
	struct ivrs_unit *u;
	int err;

	if (end - at < head)
		return FAIL(p, -EPROTO, "IVRS: offset %zu: unit of %zu bytes", at, end - at);
	if (v->units == IVRS_UNITS)
		return full(p, at, "units", IVRS_UNITS);
	u = &v->unit[v->units++];
	*u = (struct ivrs_unit){
		.bdf = get_le16(b + 4),
		.segment = get_le16(b + 16),
		.cap = get_le16(b + 6),
		.type = b[0],
		.flags = b[1],
		.mmio = get_le64(b + 8),
		.efr = b[0] == IVHD_10 ? 0 : get_le64(b + 24),
		.first_device = (u16)v->devices,
	};
	if (u->mmio == 0 || !is_aligned(u->mmio, 16384) || u->mmio > MASK(51, 0))
		return FAIL(p, -EPROTO, "IVRS: offset %zu: unit's registers at %#llx", at + 8,
			    (unsigned long long)u->mmio);
	err = take_entries(p, at + head, end);
	u->devices = (u16)(v->devices - u->first_device);
	return err;
}

static int take_memory(const struct parse *p, size_t at, size_t end)
{
	const u8 *b = p->t + at;
	struct ivrs *v = p->out;
	struct ivrs_memory m;
	u64 limit;

	if (end - at < 32)
		return FAIL(p, -EPROTO, "IVRS: offset %zu: memory block of %zu bytes", at,
			    end - at);
	if (v->memories == IVRS_MEMORIES)
		return full(p, at, "memory blocks", IVRS_MEMORIES);
	m = (struct ivrs_memory){
		.base = align_down(get_le64(b + 16), PAGE_SIZE),
		.first = b[0] == IVMD_ALL ? 0 : get_le16(b + 4),
		.last = b[0] == IVMD_ALL ? 0xffff : get_le16(b + (b[0] == IVMD_RANGE ? 6 : 4)),
		.read = (b[1] & 0x02) != 0,
		.write = (b[1] & 0x04) != 0,
		.exclusion = (b[1] & 0x08) != 0,
	};
	if (!checked_add(get_le64(b + 16), get_le64(b + 24), &limit) || limit > MASK(51, 0) ||
	    get_le64(b + 24) == 0 || m.last < m.first)
		return FAIL(p, -EPROTO,
			    "IVRS: offset %zu: memory %#llx, %#llx bytes, devices %#x..%#x", at,
			    (unsigned long long)get_le64(b + 16),
			    (unsigned long long)get_le64(b + 24), m.first, m.last);
	m.len = align_up(limit, PAGE_SIZE) - m.base;
	v->memory[v->memories++] = m;
	return 0;
}

/* Every block's length, so that later walks need not look. */
static int check_blocks(const struct parse *p, size_t len)
{
	size_t at = IVRS_FIRST;

	while (at < len) {
		u32 n = len - at >= IVRS_BLOCK_MIN ? get_le16(p->t + at + 2) : 0;

		if (n < IVRS_BLOCK_MIN || n > len - at)
			return FAIL(p, -EPROTO, "IVRS: offset %zu: block of %u bytes, %zu are left",
				    at, n, len - at);
		at += n;
	}
	return 0;
}

int ivrs_parse(const u8 *t, size_t len, struct ivrs *out, char *why, size_t why_size)
{
	struct parse p = { .out = out, .t = t, .why = why, .why_size = why_size };
	int err;

	memset(out, 0, sizeof(*out));
	if (len < IVRS_FIRST || memcmp(t, "IVRS", 4) != 0)
		return FAIL(&p, -EPROTO, "IVRS: %zu bytes without header", len);
	out->pa_bits = (u8)field_get(get_le32(t + 36), 14, 8);
	out->va_bits = (u8)field_get(get_le32(t + 36), 21, 15);
	err = check_blocks(&p, len);
	for (size_t at = IVRS_FIRST; !err && at < len; at += get_le16(t + at + 2)) {
		size_t end = at + get_le16(t + at + 2);

		if (is_unit(t[at]) && !is_outdated(&p, at, len))
			err = take_unit(&p, at, end);
		else if (t[at] >= IVMD_ALL && t[at] <= IVMD_RANGE)
			err = take_memory(&p, at, end);
		else if (!is_unit(t[at]))
			out->ignored++;
	}
	return err;
}

/* Within a block a later entry refines an earlier one: "all", then exceptions. */
static const struct ivrs_device *find_device(const struct ivrs *v, const struct ivrs_unit *u,
					     u16 bdf)
{
	const struct ivrs_device *found = NULL;

	for (u32 i = 0; i < u->devices; i++) {
		const struct ivrs_device *d = &v->device[u->first_device + i];

		if (bdf >= d->first && bdf <= d->last)
			found = d;
	}
	return found;
}

int ivrs_unit_of(const struct ivrs *v, u16 segment, u16 bdf, u16 *alias, u8 *settings)
{
	for (u32 i = 0; i < v->units; i++) {
		const struct ivrs_device *d;

		if (v->unit[i].segment != segment)
			continue;
		d = find_device(v, &v->unit[i], bdf);
		if (d) {
			*alias = d->aliased ? d->alias : bdf;
			*settings = d->settings;
			return (int)i;
		}
	}
	return -ENODEV;
}

const struct ivrs_special *ivrs_special(const struct ivrs *v, enum ivrs_variety variety, u8 handle)
{
	for (u32 i = 0; i < v->specials; i++)
		if (v->special[i].variety == variety && v->special[i].handle == handle)
			return &v->special[i];
	return NULL;
}
