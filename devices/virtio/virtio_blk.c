/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk (Virtio 1.2 §5.2). What a request asks is copied and checked once; it then goes to the
 * backend piece by piece, which bounds each step.
 */
#include "devices/virtio/virtio_blk.h"

#include "kernel/base/assert.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define CLASS_STORAGE 0x018000u /* mass storage, other */
#define CONFIG_LEN    60u
#define HEADER	      16u
#define RANGE	      16u /* of a discard or write-zeroes */
#define RANGE_UNMAP   1u
#define MAX_BYTES     (VIRTIO_BLK_SEG_MAX * VIRTIO_BLK_SIZE_MAX)

enum { FREE, READY, BUSY };

static struct virtio_blk *of(struct virtio_dev *d)
{
	return container_of(d, struct virtio_blk, dev);
}

static struct virtio_blk_req *find(struct virtio_blk *b, u8 state)
{
	for (u32 i = 0; i < VIRTIO_BLK_DEPTH; i++)
		if (b->req[i].state == state)
			return &b->req[i];
	return NULL;
}

/* ---- requests ------------------------------------------------------------------------------ */

static void finish(struct virtio_blk *b, struct virtio_blk_req *r, u8 status)
{
	struct virtq *q = &b->dev.vq[r->queue];
	u32 in = r->chain.in_len;

	r->state = FREE;
	if (r->orphan)
		return;
	if (status == VIRTIO_BLK_S_OK)
		b->done[r->op]++;
	else
		b->errors++;
	virtq_write(q, &r->chain, in - 1, &status, 1);
	/* Counted from the beginning: without data, the status does not follow on anything. */
	virtq_push(q, r->chain.id, r->chain.slots, status && in > 1 ? 0 : in);
	b->pushed |= 1u << r->queue;
}

/* Part of the disk, in whole blocks? */
static u8 check_range(const struct virtio_blk *b, const struct virtio_blk_req *r, u64 sectors)
{
	u32 mask = b->be.block / VIRTIO_BLK_SECTOR - 1;

	if (!range_within(r->sector, sectors, 0, b->be.sectors) || ((r->sector | sectors) & mask))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static u8 parse_data(const struct virtio_blk *b, struct virtio_blk_req *r, u32 bytes)
{
	if (bytes % VIRTIO_BLK_SECTOR || bytes > MAX_BYTES ||
	    (r->op == VIRTIO_BLK_WRITE && b->be.ro))
		return VIRTIO_BLK_S_IOERR;
	r->left = bytes / VIRTIO_BLK_SECTOR;
	r->at = r->op == VIRTIO_BLK_WRITE ? HEADER : 0;
	return check_range(b, r, r->left);
}

static u8 parse_range(const struct virtio_blk *b, struct virtio_blk_req *r, const u8 *range)
{
	bool zero = r->op == VIRTIO_BLK_ZERO;

	if (zero ? !b->be.zero : !b->be.discard)
		return VIRTIO_BLK_S_UNSUPP;
	if (b->be.ro || r->chain.out_len != HEADER + RANGE)
		return VIRTIO_BLK_S_IOERR;
	if (get_le32(range + 12) & ~(zero ? RANGE_UNMAP : 0))
		return VIRTIO_BLK_S_UNSUPP;
	r->sector = get_le64(range);
	r->left = get_le32(range + 8);
	return r->left > VIRTIO_BLK_MAX_ZERO ? VIRTIO_BLK_S_IOERR : check_range(b, r, r->left);
}

/* Everything of a request but its data. *end: it needs no backend. */
static u8 parse(struct virtio_blk *b, struct virtio_blk_req *r, bool *end)
{
	u8 h[HEADER + RANGE] = { 0 };

	*end = false;
	if (virtq_read(&r->chain, 0, h, sizeof(h)) < HEADER)
		return VIRTIO_BLK_S_IOERR;
	r->sector = get_le64(h + 8);
	switch (get_le32(h)) {
	case VIRTIO_BLK_T_IN:
		r->op = VIRTIO_BLK_READ;
		return parse_data(b, r, r->chain.in_len - 1);
	case VIRTIO_BLK_T_OUT:
		r->op = VIRTIO_BLK_WRITE;
		return parse_data(b, r, r->chain.out_len - HEADER);
	case VIRTIO_BLK_T_FLUSH:
		r->op = VIRTIO_BLK_FLUSH;
		r->sector = 0;
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		*end = true;
		virtq_write(&b->dev.vq[r->queue], &r->chain, 0, b->be.id,
			    (u32)min_u64(VIRTIO_BLK_ID_LEN, r->chain.in_len - 1));
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
		r->op = VIRTIO_BLK_DISCARD;
		return parse_range(b, r, h + HEADER);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		r->op = VIRTIO_BLK_ZERO;
		return parse_range(b, r, h + HEADER);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

static void piece_done(struct virtio_blk *b, struct virtio_blk_req *r)
{
	u32 bytes = r->piece * VIRTIO_BLK_SECTOR;

	r->sector += r->piece;
	r->left -= r->piece;
	r->at += bytes;
	if (r->op <= VIRTIO_BLK_WRITE && !r->orphan)
		b->bytes[r->op] += bytes;
}

/* Until the backend has something to do, the budget is used up, or the end. */
static void advance(struct virtio_blk *b, struct virtio_blk_req *r)
{
	struct virtio_blk_io io = { .op = r->op,
				    .slot = (u32)(r - b->req),
				    .through = !virtio_has(&b->dev, VIRTIO_BLK_F_FLUSH) };
	u32 most = r->op <= VIRTIO_BLK_WRITE ? b->be.piece : b->be.zero_piece;
	int rc;

	do {
		if (b->budget <= 0) {
			r->state = READY;
			return;
		}
		io.sector = r->sector;
		io.sectors = r->piece = (u32)min_u64(r->left, most);
		b->budget -= (int)io.sectors + VIRTIO_BLK_COST;
		rc = b->be.submit(b->be.ctx, &io);
		if (rc > 0) {
			r->state = BUSY;
			return;
		}
		if (!rc)
			piece_done(b, r);
	} while (!rc && r->left);
	finish(b, r, (u8)(rc ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK));
}

static void begin(struct virtio_blk *b, unsigned queue, struct virtio_blk_req *r)
{
	u8 status;
	bool end;

	if (!r->chain.in_len) {
		virtio_break(&b->dev, queue, "no room for the status");
		return;
	}
	r->queue = (u8)queue;
	r->orphan = false;
	r->op = VIRTIO_BLK_READ; /* as which asking for the name counts */
	r->left = 0;
	status = parse(b, r, &end);
	/* Reading or writing nothing is no work for a backend. */
	if (status || end || (r->op != VIRTIO_BLK_FLUSH && !r->left)) {
		b->budget -= VIRTIO_BLK_COST;
		finish(b, r, status);
	} else {
		advance(b, r);
	}
}

/* ---- queues -------------------------------------------------------------------------------- */

/* Kicks stay off while slots or budget lack: then something else calls again. */
static void serve(struct virtio_blk *b, unsigned queue)
{
	struct virtq *q = &b->dev.vq[queue];
	struct virtio_blk_req *r;

	do {
		virtq_kicks_off(q);
		for (;;) {
			r = find(b, FREE);
			if (!r || b->budget <= 0)
				return;
			if (!virtio_pop(&b->dev, queue, &r->chain))
				break;
			begin(b, queue, r);
		}
	} while (virtq_kicks_on(q) && virtio_live(&b->dev));
}

/* Writes of a ring that is gone could pass those of the next driver: they end first. */
static bool orphans(const struct virtio_blk *b)
{
	for (u32 i = 0; i < VIRTIO_BLK_DEPTH; i++)
		if (b->req[i].state != FREE && b->req[i].orphan)
			return true;
	return false;
}

void virtio_blk_work(struct virtio_blk *b)
{
	struct virtio_blk_req *r;

	b->budget = VIRTIO_BLK_BUDGET;
	while (b->budget > 0 && (r = find(b, READY)) != NULL)
		advance(b, r);
	for (unsigned i = 0; i < b->dev.nqueues && !b->stopped && !orphans(b); i++)
		serve(b, i);
	for (unsigned i = 0; i < b->dev.nqueues; i++)
		if (b->pushed >> i & 1)
			virtio_flush(&b->dev, i);
	b->pushed = 0;
	if (b->budget <= 0)
		b->defer(b->ctx);
}

void virtio_blk_done(struct virtio_blk *b, u32 slot, bool good)
{
	struct virtio_blk_req *r = &b->req[slot];

	ASSERT(virtio_blk_pending(b, slot));
	if (good)
		piece_done(b, r);
	if (!good || !r->left || r->orphan)
		finish(b, r, (u8)(good ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR));
	else
		r->state = READY;
}

void virtio_blk_get(struct virtio_blk *b, u32 slot, u32 off, void *dst, u32 n)
{
	struct virtio_blk_req *r = &b->req[slot];

	if (!r->orphan)
		virtq_read(&r->chain, r->at + off, dst, n);
}

void virtio_blk_put(struct virtio_blk *b, u32 slot, u32 off, const void *src, u32 n)
{
	struct virtio_blk_req *r = &b->req[slot];

	if (!r->orphan)
		virtq_write(&b->dev.vq[r->queue], &r->chain, r->at + off, src, n);
}

bool virtio_blk_pending(const struct virtio_blk *b, u32 slot)
{
	return slot < VIRTIO_BLK_DEPTH && b->req[slot].state == BUSY;
}

bool virtio_blk_busy(const struct virtio_blk *b)
{
	for (u32 i = 0; i < VIRTIO_BLK_DEPTH; i++)
		if (b->req[i].state != FREE)
			return true;
	return false;
}

/* ---- as a virtio device -------------------------------------------------------------------- */

static void kick(struct virtio_dev *d, unsigned queue)
{
	(void)queue;
	virtio_blk_work(of(d));
}

/* What waits for its next piece ends here; what the backend has, when it is done with it. */
static void stopped(struct virtio_dev *d, unsigned queue)
{
	struct virtio_blk *b = of(d);

	for (u32 i = 0; i < VIRTIO_BLK_DEPTH; i++) {
		struct virtio_blk_req *r = &b->req[i];

		if (r->state == FREE || r->queue != queue)
			continue;
		r->orphan = true;
		if (r->state == READY)
			r->state = FREE;
	}
	b->pushed &= ~(1u << queue);
}

static void on_reset(struct virtio_dev *d)
{
	(void)d;
}

static void config(struct virtio_dev *d, u32 off, unsigned size, bool write, u64 *value)
{
	struct virtio_blk *b = of(d);
	u8 c[CONFIG_LEN] = { 0 };

	if (write)
		return;
	put_le64(c, b->be.sectors);
	put_le32(c + 8, VIRTIO_BLK_SIZE_MAX);
	put_le32(c + 12, VIRTIO_BLK_SEG_MAX);
	put_le32(c + 20, b->be.block);
	put_le16(c + 34, d->nqueues);
	for (u32 at = 36; at <= 48; at += 12) { /* discard, write-zeroes: sectors, ranges */
		put_le32(c + at, VIRTIO_BLK_MAX_ZERO);
		put_le32(c + at + 4, 1);
	}
	put_le32(c + 44, b->be.block / VIRTIO_BLK_SECTOR);
	c[56] = 1; /* write-zeroes may give space back */
	memcpy(value, c + off, size);
}

void virtio_blk_init(struct virtio_blk *b, const struct virtio_blk_be *be, u16 queues,
		     const struct virtq_mem *mem, const struct virtio_env *pci)
{
	static const struct virtio_ops ops = { .type = VIRTIO_ID_BLOCK,
					       .class_code = CLASS_STORAGE,
					       .config_len = CONFIG_LEN,
					       .stopped = stopped,
					       .kick = kick,
					       .reset = on_reset,
					       .config = config };
	u64 features = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
		       BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_MQ);

	ASSERT(queues && queues <= VIRTIO_BLK_MAX_QUEUES && be->piece);
	memset(b, 0, sizeof(*b));
	b->be = *be;
	b->capacity = be->sectors;
	features |= be->ro ? BIT(VIRTIO_BLK_F_RO) : 0;
	features |= be->discard && !be->ro ? BIT(VIRTIO_BLK_F_DISCARD) : 0;
	features |= be->zero && !be->ro ? BIT(VIRTIO_BLK_F_WRITE_ZEROES) : 0;
	virtio_pci_init(&b->dev, &ops, features, queues, mem, pci);
	/* A backend ends requests in any order. */
	b->dev.offered &= ~BIT(VIRTIO_F_IN_ORDER);
}

void virtio_blk_reset(struct virtio_blk *b)
{
	virtio_pci_reset(&b->dev);
}

int virtio_blk_resume(struct virtio_blk *b)
{
	if (b->capacity != b->be.sectors)
		return -EINVAL;
	b->stopped = false;
	return virtio_pci_resume(&b->dev);
}

const struct vmstate_field virtio_blk_fields[] = {
	VIRTIO_VMSTATE(struct virtio_blk, dev),
	VMSTATE(struct virtio_blk, capacity, VMS_U64),
};
const u32 virtio_blk_nfields = ARRAY_SIZE(virtio_blk_fields);
