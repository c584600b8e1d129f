/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtqueues. Whatever the driver writes, every call ends after a number of steps that the ring's
 * size bounds; a malformed ring breaks the queue, because what the driver meant is unknown.
 */
#include "devices/virtio/virtq.h"

#include "kernel/base/assert.h"
#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define DESC_BYTES 16u

#define DESC_NEXT 0x0001u
#define DESC_WRITE 0x0002u
#define DESC_INDIRECT 0x0004u
#define DESC_AVAIL 0x0080u /* packed */
#define DESC_USED 0x8000u

#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY 1u

/* Event suppression of packed rings (Virtio 1.2 §2.8.14). */
#define EVENT_ENABLE 0u
#define EVENT_DISABLE 1u
#define EVENT_DESC 2u

struct desc {
	u64 addr;
	u32 len;
	u16 flags;
	u16 next; /* packed: buffer ID */
};

/* ---- ring words ------------------------------------------------------------------------ */

/* Naturally aligned, so never across a page; NULL: the driver's RAM is not there. */
static u8 *at(struct virtq *q, enum virtq_part part, u32 off, u32 n)
{
	u32 len = n;
	u8 *p;

	if (likely(q->host[part]))
		return q->host[part] + off;
	p = q->mem->map(q->mem->ctx, q->s.part[part] + off, &len);
	ASSERT(p && len == n);
	return p;
}

static u16 load16(struct virtq *q, enum virtq_part part, u32 off)
{
	return atomic_load_acquire((u16 *)(void *)at(q, part, off, 2));
}

static void store16(struct virtq *q, enum virtq_part part, u32 off, u16 v)
{
	atomic_store_release((u16 *)(void *)at(q, part, off, 2), v);
	q->mem->dirty(q->mem->ctx, q->s.part[part] + off, 2);
}

static void store32(struct virtq *q, enum virtq_part part, u32 off, u32 v)
{
	atomic_store_relaxed((u32 *)(void *)at(q, part, off, 4), v);
	q->mem->dirty(q->mem->ctx, q->s.part[part] + off, 4);
}

static void decode(const u8 *p, bool packed, struct desc *d)
{
	u64 addr = atomic_load_relaxed((const u64 *)(const void *)p);
	u64 rest = atomic_load_relaxed((const u64 *)(const void *)(p + 8));
	u16 third = (u16)(rest >> 32), fourth = (u16)(rest >> 48);

	*d = (struct desc){ addr, (u32)rest, packed ? fourth : third, packed ? third : fourth };
}

static u32 part_bytes(const struct virtq_setup *s, enum virtq_part part)
{
	if (part == VIRTQ_DESC)
		return s->size * DESC_BYTES;
	if (s->packed)
		return 4;
	return part == VIRTQ_DRIVER ? 6u + 2u * s->size : 6u + 8u * s->size;
}

/* All of [gpa, gpa + n) must be RAM; *host: where, when it lies in one piece. */
static int check_part(const struct virtq_mem *mem, gpa_t gpa, u32 n, u8 **host)
{
	u64 end;

	*host = NULL;
	if (!checked_add(gpa, n, &end))
		return -EFAULT;
	for (u32 done = 0; done < n;) {
		u32 len = n - done;
		u8 *p = mem->map(mem->ctx, gpa + done, &len);

		if (!p)
			return -EFAULT;
		if (len == n)
			*host = p;
		done += len;
	}
	return 0;
}

int virtq_start(struct virtq *q, const struct virtq_mem *mem, const struct virtq_setup *s)
{
	static const u8 align[2][VIRTQ_PARTS] = { { 16, 2, 4 }, { 16, 4, 4 } };
	u8 *host[VIRTQ_PARTS];

	if (!s->size || s->size > VIRTQ_MAX_SIZE || (!s->packed && (s->size & (s->size - 1u))))
		return -EINVAL;
	for (unsigned i = 0; i < VIRTQ_PARTS; i++) {
		int rc;

		if (!is_aligned(s->part[i], align[s->packed][i]))
			return -EINVAL;
		rc = check_part(mem, s->part[i], part_bytes(s, (enum virtq_part)i), &host[i]);
		if (rc)
			return rc;
	}
	*q = (struct virtq){ .mem = mem, .s = *s, .running = true };
	memcpy(q->host, host, sizeof(host));
	q->pos.avail_wrap = q->pos.used_wrap = s->packed;
	return 0;
}

void virtq_stop(struct virtq *q)
{
	*q = (struct virtq){ .running = false };
}

int virtq_set_pos(struct virtq *q, const struct virtq_pos *pos)
{
	if (q->s.packed) {
		if (pos->avail >= q->s.size || pos->used >= q->s.size)
			return -EINVAL;
	} else if ((u16)(pos->avail - pos->used) > q->s.size || pos->avail_wrap || pos->used_wrap) {
		return -EINVAL;
	}
	q->pos = *pos;
	q->seen = pos->avail;
	q->done = 0;
	return 0;
}

/* ---- taking chains --------------------------------------------------------------------- */

static int shut(struct virtq *q, const char *why)
{
	q->broken = why;
	return -EPROTO;
}

static int add_piece(struct virtq *q, struct virtq_chain *c, const struct desc *d)
{
	bool in = (d->flags & DESC_WRITE) != 0;
	u32 *total = in ? &c->in_len : &c->out_len;
	u64 end;

	if (!in && c->nin)
		return shut(q, "readable descriptor behind a writable one");
	if (!checked_add(d->addr, d->len, &end))
		return shut(q, "buffer wraps");
	if (d->len > VIRTQ_MAX_BYTES - c->in_len - c->out_len)
		return shut(q, "chain has too many bytes");
	for (u32 done = 0; done < d->len;) {
		u32 len = d->len - done;
		u8 *p = q->mem->map(q->mem->ctx, d->addr + done, &len);

		if (!p)
			return shut(q, "buffer is not in RAM");
		if (c->nout + c->nin == VIRTQ_SEGS)
			return shut(q, "chain has too many segments");
		c->seg[c->nout + c->nin] = (struct virtq_seg){ p, d->addr + done, len };
		if (in)
			c->nin++;
		else
			c->nout++;
		done += len;
	}
	*total += d->len;
	return 0;
}

static int indirect_desc(struct virtq *q, gpa_t gpa, struct desc *d)
{
	u8 raw[DESC_BYTES];

	/* The table may have any alignment. */
	for (u32 done = 0; done < DESC_BYTES;) {
		u32 len = DESC_BYTES - done;
		u8 *p = q->mem->map(q->mem->ctx, gpa + done, &len);

		if (!p)
			return shut(q, "indirect table is not in RAM");
		memcpy(raw + done, p, len);
		done += len;
	}
	*d = (struct desc){ get_le64(raw), get_le32(raw + 8),
			    get_le16(raw + (q->s.packed ? 14 : 12)),
			    get_le16(raw + (q->s.packed ? 12 : 14)) };
	return 0;
}

static int check_indirect(struct virtq *q, const struct desc *table)
{
	u64 end;

	if (!q->s.indirect)
		return shut(q, "indirect descriptor without the feature");
	if (table->flags & DESC_NEXT)
		return shut(q, "indirect descriptor with a next one");
	if (!table->len || table->len % DESC_BYTES || table->len > VIRTQ_MAX_SIZE * DESC_BYTES ||
	    !checked_add(table->addr, table->len, &end))
		return shut(q, "bad length of an indirect table");
	return 0;
}

/* A table of its own that takes the place of the chain's last descriptor. */
static int walk_indirect(struct virtq *q, struct virtq_chain *c, const struct desc *table)
{
	u32 n = table->len / DESC_BYTES, i = 0, steps = 0;
	int rc = check_indirect(q, table);

	if (rc)
		return rc;
	for (;;) {
		struct desc d;

		rc = indirect_desc(q, table->addr + i * DESC_BYTES, &d);

		if (rc)
			return rc;
		if (d.flags & DESC_INDIRECT)
			return shut(q, "indirect table in an indirect table");
		rc = add_piece(q, c, &d);
		if (rc)
			return rc;
		steps++;
		if (q->s.packed ? steps == n : !(d.flags & DESC_NEXT))
			return 0;
		if (steps == n)
			return shut(q, "descriptor loop");
		i = q->s.packed ? steps : d.next;
		if (i >= n)
			return shut(q, "next descriptor out of range");
	}
}

/* From slot i of the ring on; returns how many slots it took, or -EPROTO. */
static int walk(struct virtq *q, struct virtq_chain *c, u32 i)
{
	for (u32 steps = 1;; steps++) {
		struct desc d;
		int rc;

		decode(at(q, VIRTQ_DESC, i * DESC_BYTES, DESC_BYTES), q->s.packed, &d);
		c->id = q->s.packed ? d.next : c->id;
		rc = d.flags & DESC_INDIRECT ? walk_indirect(q, c, &d) : add_piece(q, c, &d);
		if (rc)
			return rc;
		if (!(d.flags & DESC_NEXT))
			return (int)steps;
		if (steps == q->s.size)
			return shut(q, "descriptor loop");
		i = q->s.packed ? (i + 1) % q->s.size : d.next;
		if (i >= q->s.size)
			return shut(q, "next descriptor out of range");
	}
}

static bool packed_ready(struct virtq *q)
{
	u16 flags = load16(q, VIRTQ_DESC, q->pos.avail * DESC_BYTES + 14u);

	return !(flags & DESC_AVAIL) == !q->pos.avail_wrap &&
	       !(flags & DESC_USED) != !q->pos.avail_wrap;
}

bool virtq_empty(struct virtq *q)
{
	if (!q->running || q->broken)
		return true;
	if (q->s.packed)
		return !packed_ready(q);
	if (q->seen == q->pos.avail)
		q->seen = load16(q, VIRTQ_DRIVER, 2);
	return q->seen == q->pos.avail;
}

static void advance(const struct virtq *q, u16 *slot, bool *wrap, u16 n)
{
	u32 next = (u32)*slot + n;

	if (next >= q->s.size) {
		next -= q->s.size;
		*wrap = !*wrap;
	}
	*slot = (u16)next;
}

int virtq_pop(struct virtq *q, struct virtq_chain *c)
{
	int slots;

	if (virtq_empty(q))
		return 0;
	c->nout = c->nin = c->out_len = c->in_len = 0;
	if (q->s.packed) {
		slots = walk(q, c, q->pos.avail);
		if (slots < 0)
			return slots;
		c->slots = (u16)slots;
		advance(q, &q->pos.avail, &q->pos.avail_wrap, c->slots);
		return 1;
	}
	if ((u16)(q->seen - q->pos.used) > q->s.size || (u16)(q->seen - q->pos.avail) > q->s.size)
		return shut(q, "available index jumps");
	c->id = load16(q, VIRTQ_DRIVER, 4u + 2u * (q->pos.avail & (q->s.size - 1u)));
	c->slots = 1;
	if (c->id >= q->s.size)
		return shut(q, "head out of range");
	slots = walk(q, c, c->id);
	if (slots < 0)
		return slots;
	q->pos.avail++;
	return 1;
}

void virtq_rewind(struct virtq *q, const struct virtq_pos *pos)
{
	q->pos.avail = pos->avail;
	q->pos.avail_wrap = pos->avail_wrap;
}

/* ---- giving chains back ---------------------------------------------------------------- */

void virtq_push(struct virtq *q, u16 id, u16 slots, u32 len)
{
	u16 slot = q->pos.used, flags;
	bool wrap = q->pos.used_wrap;
	u32 off;

	if (!q->running || q->broken)
		return;
	if (!q->s.packed) {
		off = 4u + 8u * ((u32)(q->pos.used + q->done) & (q->s.size - 1u));
		store32(q, VIRTQ_DEVICE, off, id);
		store32(q, VIRTQ_DEVICE, off + 4, len);
		q->done++;
		return;
	}
	advance(q, &slot, &wrap, q->done);
	off = slot * DESC_BYTES;
	flags = (u16)((wrap ? DESC_AVAIL | DESC_USED : 0u) | (len ? DESC_WRITE : 0u));
	store32(q, VIRTQ_DESC, off + 8, len);
	store16(q, VIRTQ_DESC, off + 12, id);
	/* The driver stops at the first slot not used: the others may show before it does. */
	if (q->done)
		store16(q, VIRTQ_DESC, off + 14, flags);
	else
		q->first_flags = flags;
	q->done = (u16)(q->done + slots);
}

/* Did the index step over event on its way from old to now? (Virtio 1.2 §2.7.10) */
static bool passed(u16 event, u16 now, u16 old)
{
	return (u16)(now - event - 1u) < (u16)(now - old);
}

static bool wanted(struct virtq *q, u16 n)
{
	u16 event, now = q->pos.used;

	if (!q->s.packed) {
		if (!q->s.event_idx)
			return !(load16(q, VIRTQ_DRIVER, 0) & AVAIL_NO_INTERRUPT);
		return passed(load16(q, VIRTQ_DRIVER, 4u + 2u * q->s.size), now, (u16)(now - n));
	}
	switch (load16(q, VIRTQ_DRIVER, 2)) {
	case EVENT_DISABLE:
		return false;
	case EVENT_DESC:
		if (!q->s.event_idx)
			return true;
		break;
	default:
		return true;
	}
	event = load16(q, VIRTQ_DRIVER, 0);
	if ((event >> 15) != q->pos.used_wrap)
		return passed((u16)((event & 0x7fffu) - q->s.size), now, (u16)(now - n));
	return passed(event & 0x7fff, now, (u16)(now - n));
}

bool virtq_flush(struct virtq *q)
{
	u16 n = q->done;

	if (!n)
		return false;
	if (q->s.packed) {
		store16(q, VIRTQ_DESC, q->pos.used * DESC_BYTES + 14u, q->first_flags);
		advance(q, &q->pos.used, &q->pos.used_wrap, n);
	} else {
		q->pos.used = (u16)(q->pos.used + n);
		store16(q, VIRTQ_DEVICE, 2, q->pos.used);
	}
	q->done = 0;
	/* Our index before their event index: the driver does the two the other way round. */
	atomic_fence();
	return wanted(q, n);
}

void virtq_kicks_off(struct virtq *q)
{
	if (!q->running || q->kicks_off)
		return;
	q->kicks_off = true;
	if (q->s.packed)
		store16(q, VIRTQ_DEVICE, 2, EVENT_DISABLE);
	else if (!q->s.event_idx)
		store16(q, VIRTQ_DEVICE, 0, USED_NO_NOTIFY);
	/* An event index left behind is as good: the driver's index does not pass it. */
}

bool virtq_kicks_on(struct virtq *q)
{
	if (!q->running)
		return false;
	q->kicks_off = false;
	if (q->s.packed) {
		store16(q, VIRTQ_DEVICE, 0,
			(u16)(q->pos.avail | (q->pos.avail_wrap ? 0x8000u : 0u)));
		store16(q, VIRTQ_DEVICE, 2, q->s.event_idx ? EVENT_DESC : EVENT_ENABLE);
	} else if (q->s.event_idx) {
		store16(q, VIRTQ_DEVICE, 4u + 8u * q->s.size, q->pos.avail);
	} else {
		store16(q, VIRTQ_DEVICE, 0, 0);
	}
	/* Our wish before their index: a chain added in between is seen by one of the two. */
	atomic_fence();
	return !virtq_empty(q);
}

/* ---- bytes ----------------------------------------------------------------------------- */

u32 virtq_read(const struct virtq_chain *c, u32 off, void *dst, u32 n)
{
	u8 *d = dst;
	u32 done = 0;

	for (u32 i = 0; i < c->nout && done < n; i++) {
		const struct virtq_seg *s = &c->seg[i];
		u32 part;

		if (off >= s->len) {
			off -= s->len;
			continue;
		}
		part = (u32)min_u64(s->len - off, n - done);
		memcpy(d + done, s->p + off, part);
		done += part;
		off = 0;
	}
	/* What was copied counts from here on, not what the guest makes of it. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return done;
}

u32 virtq_write(struct virtq *q, const struct virtq_chain *c, u32 off, const void *src, u32 n)
{
	const u8 *s = src;
	u32 done = 0;

	for (u32 i = c->nout; i < c->nout + c->nin && done < n; i++) {
		const struct virtq_seg *t = &c->seg[i];
		u32 part;

		if (off >= t->len) {
			off -= t->len;
			continue;
		}
		part = (u32)min_u64(t->len - off, n - done);
		memcpy(t->p + off, s + done, part);
		q->mem->dirty(q->mem->ctx, t->gpa + off, part);
		done += part;
		off = 0;
	}
	return done;
}
