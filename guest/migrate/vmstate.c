/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One walk over the table to save, one over the bytes to load.
 */
#include "guest/migrate/vmstate.h"

#include "kernel/base/assert.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

/* Of a field besides name and value: length of the name, size and number of elements. */
#define FIELD_HEAD 6u

u32 vmstate_save(u8 *out, u32 size, const void *state, const struct vmstate_field *f, u32 n)
{
	u32 at = 2;

	ASSERT(n <= VMSTATE_MAX_FIELDS);
	if (at <= size)
		put_le16(out, (u16)n);
	for (; n; n--, f++) {
		u32 name = (u32)strlen(f->name), len = f->size * f->count;
		u8 *p = out + at;

		at += FIELD_HEAD + name + len;
		if (at > size)
			continue;
		p[0] = (u8)name;
		memcpy(p + 1, f->name, name);
		p[1 + name] = (u8)f->size;
		put_le32(p + 2 + name, f->count);
		memcpy(p + FIELD_HEAD + name, (const u8 *)state + f->offset, len);
	}
	return at;
}

/* One field as it lies in the stream. */
struct item {
	const char *name;
	const u8 *value;
	u32 count;
	u8 name_len, size;
};

/* Names are shown to people: nothing but visible ASCII. */
static bool take(struct reader *r, struct item *i)
{
	bool plain = true;

	i->name_len = reader_u8(r);
	i->name = (const char *)reader_bytes(r, i->name_len);
	i->size = reader_u8(r);
	i->count = reader_u32(r);
	i->value = reader_bytes(r, (u64)(i->size & ~VMSTATE_MAY_SKIP) * i->count);
	for (u32 k = 0; k < i->name_len && i->name; k++)
		plain &= i->name[k] > ' ' && i->name[k] <= '~';
	return plain && !r->overrun;
}

static u32 find(const struct item *i, const struct vmstate_field *f, u32 n)
{
	u32 k = 0;

	while (k < n && (strlen(f[k].name) != i->name_len ||
			 memcmp(f[k].name, i->name, i->name_len) != 0))
		k++;
	return k;
}

static bool good(const struct item *i, const struct vmstate_field *f, struct text *why)
{
	if ((i->size & ~VMSTATE_MAY_SKIP) != f->size || i->count != f->count) {
		text_add(why, "field %s is %u x %u bytes, should be %u x %u", f->name,
			 i->count, i->size & ~VMSTATE_MAY_SKIP, f->count, f->size);
		return false;
	}
	for (u32 k = 0; f->type == VMS_BOOL && k < f->count; k++)
		if (i->value[k] > 1) {
			text_add(why, "field %s is %u, should be 0 or 1", f->name, i->value[k]);
			return false;
		}
	return true;
}

/* Walk the fields: look at them only (state NULL), or copy those that were looked at. */
static int walk(struct reader *r, void *state, const struct vmstate_field *f, u32 n,
		struct text *why)
{
	u64 seen = 0;
	u32 k;

	for (u32 left = reader_u16(r); left; left--) {
		struct item i;

		if (!take(r, &i)) {
			text_add(why, "fields are cut short or have no proper name");
			return -EPROTO;
		}
		k = find(&i, f, n);
		if (k == n && (i.size & VMSTATE_MAY_SKIP))
			continue;
		if (k == n || (seen & BIT(k))) {
			text_add(why, "field %.*s is %s", i.name_len, i.name,
				 k == n ? "not known here" : "there twice");
			return -EPROTO;
		}
		seen |= BIT(k);
		if (!good(&i, &f[k], why))
			return -EPROTO;
		if (state)
			memcpy((u8 *)state + f[k].offset, i.value, (size_t)f[k].size * f[k].count);
	}
	for (k = 0; k < n && (seen & BIT(k)); k++)
		;
	if (k < n)
		text_add(why, "field %s is missing", f[k].name);
	return k < n ? -EPROTO : 0;
}

int vmstate_load(struct reader *r, void *state, const struct vmstate_field *f, u32 n, char *why,
		 size_t why_size)
{
	struct text t = text_make(why, why_size);
	struct reader first = *r;
	int rc;

	ASSERT(n <= VMSTATE_MAX_FIELDS);
	rc = walk(&first, NULL, f, n, &t);
	return rc ? rc : walk(r, state, f, n, &t);
}
