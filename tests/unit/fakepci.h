/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration space of a few functions with write masks, a hook on writes, and a clock.
 */
#ifndef TESTS_UNIT_FAKEPCI_H
#define TESTS_UNIT_FAKEPCI_H

#include <string.h>

#include "kernel/base/bytes.h"
#include "kernel/core/pci_reset.h"
#include "kernel/core/pci_scan.h"

#define FAKE_FUNCS 16

struct fake_func {
	u16 bdf;
	bool gone; /* reads all ones */
	u8 space[4096], rw[4096];
};

struct fakepci {
	struct fake_func f[FAKE_FUNCS];
	u32 n;
	u64 us;
	void (*written)(struct fakepci *m, struct fake_func *f, u16 off, u8 size);
	void (*tick)(struct fakepci *m);
};

static inline struct fake_func *fake_at(struct fakepci *m, u16 bdf)
{
	for (u32 i = 0; i < m->n; i++)
		if (m->f[i].bdf == bdf && !m->f[i].gone)
			return &m->f[i];
	return NULL;
}

static inline u32 fakepci_read(void *ctx, u16 bdf, u16 off, u8 size)
{
	struct fake_func *f = fake_at(ctx, bdf);
	u32 v = 0;

	CHECK(off % size == 0 && off + size <= 4096);
	for (u8 i = 0; i < size; i++)
		v |= (u32)(f ? f->space[off + i] : 0xff) << (8 * i);
	return v;
}

static inline void fakepci_write(void *ctx, u16 bdf, u16 off, u8 size, u32 v)
{
	struct fakepci *m = ctx;
	struct fake_func *f = fake_at(m, bdf);

	CHECK(off % size == 0 && off + size <= 4096);
	if (!f)
		return;
	for (u8 i = 0; i < size; i++) {
		u8 mask = f->rw[off + i];

		f->space[off + i] = (u8)((f->space[off + i] & ~mask) | ((v >> (8 * i)) & mask));
	}
	if (m->written)
		m->written(m, f, off, size);
}

static inline void fakepci_delay(void *ctx, u32 us)
{
	struct fakepci *m = ctx;

	m->us += us;
	if (m->tick)
		m->tick(m);
}

static inline struct fake_func *fake_add(struct fakepci *m, u16 bdf, u32 ids, u32 class)
{
	struct fake_func *f = &m->f[m->n++];

	memset(f, 0, sizeof(*f));
	f->bdf = bdf;
	put_le32(f->space, ids);
	put_le32(f->space + PCI_CLASS_REVISION, class << 8 | 1);
	put_le16(f->rw + PCI_COMMAND, 0x0507);
	return f;
}

/* Append a capability to the list. */
static inline u8 *fake_cap(struct fake_func *f, u8 at, u8 id)
{
	u8 *link = &f->space[PCI_CAP_POINTER];

	while (*link)
		link = &f->space[*link + 1];
	*link = at;
	f->space[PCI_STATUS] |= PCI_STATUS_CAPS;
	f->space[at] = id;
	return f->space + at;
}

#endif
