/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X table and pending bit array. PCI Local Bus 3.0 §6.8.
 */
#include "devices/pci/vmsix.h"

#include "kernel/base/assert.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define ENTRY_BYTES  16u
#define ADDRESS_MASK (~3ull) /* the low two bits are 0 */
#define VECTOR_MASK  BIT(32) /* vector control bit 0 */
#define CONTROL_RW   (MSIX_CONTROL_ON | MSIX_CONTROL_MASK)
#define CAP_LEN	     12

bool vmsix_on(const struct vmsix *m)
{
	return (m->control & MSIX_CONTROL_ON) != 0;
}

bool vmsix_masked(const struct vmsix *m, u16 vector)
{
	return vector >= m->count || m->control != MSIX_CONTROL_ON ||
	       (m->table[vector * 2u + 1] & VECTOR_MASK);
}

static void send(struct vmsix *m, u16 vector)
{
	m->env.raise(m->env.ctx, vector, m->table[vector * 2u], (u32)m->table[vector * 2u + 1]);
}

/* Send what became sendable. */
static void flush_vector(struct vmsix *m, u16 vector)
{
	u64 bit = BIT(vector & 63), *word = &m->pba[vector >> 6];

	if (!(*word & bit) || vmsix_masked(m, vector))
		return;
	*word &= ~bit;
	send(m, vector);
}

static void flush_all(struct vmsix *m)
{
	for (u32 w = 0; w < VMSIX_PBA_WORDS(m->count); w++) {
		u64 left = m->pba[w];

		for (; left; left &= left - 1)
			flush_vector(m, (u16)(w * 64 + (u32)__builtin_ctzll(left)));
	}
}

static void tell_changed(struct vmsix *m)
{
	for (u16 i = 0; m->env.changed && i < m->count; i++)
		m->env.changed(m->env.ctx, i);
}

bool vmsix_notify(struct vmsix *m, u16 vector)
{
	if (vector >= m->count || !vmsix_on(m))
		return false;
	if (vmsix_masked(m, vector))
		m->pba[vector >> 6] |= BIT(vector & 63);
	else
		send(m, vector);
	return true;
}

/* ---- table and pending bits ------------------------------------------------------------ */

static void table_write(struct vmsix *m, u32 off, u32 value)
{
	u64 *word = &m->table[off / 8], old = *word;
	bool high = off & 4;
	u64 new = high ? (old & MASK(31, 0)) | (u64)value << 32 : (old & MASK(63, 32)) | value;

	if (off & 8)
		new &= MASK(32, 0); /* vector control has one bit */
	else
		new &= ADDRESS_MASK;
	if (new == old)
		return;
	*word = new;
	if (m->env.changed)
		m->env.changed(m->env.ctx, (u16)(off / ENTRY_BYTES));
	flush_vector(m, (u16)(off / ENTRY_BYTES));
}

static u64 words_read(const u64 *w, u64 off, unsigned size)
{
	u64 v = w[off / 8];

	return size == 8 ? v : (u32)(v >> (off & 4) * 8);
}

/* Only aligned double and quad words are defined; others read 0 and drop writes. */
static bool access_ok(u64 off, unsigned size, u64 len)
{
	return (size == 4 || size == 8) && off % size == 0 && off < len && size <= len - off;
}

void vmsix_table_io(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	struct vmsix *m = ctx;
	bool ok = access_ok(off, size, (u64)m->count * ENTRY_BYTES);

	if (!write) {
		*value = ok ? words_read(m->table, off, size) : 0;
		return;
	}
	if (!ok)
		return;
	table_write(m, (u32)off, (u32)*value);
	if (size == 8)
		table_write(m, (u32)off + 4, (u32)(*value >> 32));
}

void vmsix_pba_io(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	struct vmsix *m = ctx;

	if (write)
		return; /* read-only */
	*value = access_ok(off, size, VMSIX_PBA_WORDS(m->count) * 8ull)
			 ? words_read(m->pba, off, size)
			 : 0;
}

/* ---- capability ------------------------------------------------------------------------ */

void vmsix_add_cap(struct vmsix *m, struct vcfg *c, u8 table_bar, u32 table_off, u8 pba_bar,
		   u32 pba_off)
{
	ASSERT(table_bar < VCFG_BARS && pba_bar < VCFG_BARS && !((table_off | pba_off) & 7));
	m->cap = vcfg_add_cap(c, PCI_CAP_MSIX, CAP_LEN);
	vcfg_set16(c, m->cap + MSIX_CONTROL, (u16)(m->count - 1), CONTROL_RW);
	vcfg_set32(c, m->cap + MSIX_TABLE, table_off | table_bar, 0);
	vcfg_set32(c, m->cap + MSIX_PBA, pba_off | pba_bar, 0);
	vcfg_seal(c);
}

void vmsix_written(struct vmsix *m, const struct vcfg *c, u32 off, unsigned size)
{
	u16 control = vcfg_get16(c, m->cap + MSIX_CONTROL) & CONTROL_RW;

	if (!ranges_overlap(off, size, m->cap + MSIX_CONTROL, 2) || control == m->control)
		return;
	m->control = control;
	tell_changed(m);
	flush_all(m);
}

void vmsix_reset(struct vmsix *m)
{
	m->control = 0;
	for (u32 i = 0; i < m->count; i++) {
		m->table[i * 2] = 0;
		m->table[i * 2 + 1] = VECTOR_MASK;
	}
	memset(m->pba, 0, VMSIX_PBA_WORDS(m->count) * sizeof(*m->pba));
	tell_changed(m);
}

void vmsix_init(struct vmsix *m, u16 count, u64 *table, u64 *pba, const struct vmsix_env *env)
{
	ASSERT(count && count <= VMSIX_MAX_VECTORS);
	memset(m, 0, sizeof(*m));
	m->count = count;
	m->table = table;
	m->pba = pba;
	vmsix_reset(m); /* nobody to tell yet */
	m->env = *env;
}

int vmsix_resume(struct vmsix *m, const struct vcfg *c)
{
	u32 words = VMSIX_PBA_WORDS(m->count), rest = m->count % 64;

	for (u32 i = 0; i < m->count; i++)
		if ((m->table[i * 2] & ~ADDRESS_MASK) || m->table[i * 2 + 1] >> 33)
			return -EINVAL;
	if (rest && m->pba[words - 1] >> rest)
		return -EINVAL;
	m->control = vcfg_get16(c, m->cap + MSIX_CONTROL) & CONTROL_RW;
	tell_changed(m);
	flush_all(m);
	return 0;
}
