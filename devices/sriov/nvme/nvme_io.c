/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVMe I/O queues. NVM Express base specification 2.0 §3.3.1 (queues), §5.4, §5.5 (their creation),
 * NVM command set specification §4.1.5 (namespaces).
 */
#include "devices/sriov/nvme/nvme_io.h"

#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define OP_CREATE_SQ 0x01u
#define OP_CREATE_CQ 0x05u
#define OP_FEATURES  0x09u
#define FEATURE_QUEUES 0x07u

#define CNS_NAMESPACE  0x00u
#define CNS_CONTROLLER 0x01u

#define QUEUE	      1u
#define CONTIGUOUS    1u
#define INTERRUPTS    2u
#define DOORBELL_ROOM 0x1000u

#define TRANSFER_MAX 0x10000u

int nvme_io_ns(struct nvme_admin *a, u32 ns, struct nvme_ns *out)
{
	const u8 *d = a->mem.data;
	struct nvme_ns n = { .transfer = TRANSFER_MAX };
	u32 format;
	int rc = nvme_identify(a, CNS_CONTROLLER, 0);

	if (rc)
		return rc;
	if (ns > get_le32(d + 516)) /* NN */
		return -ENOENT;
	if (d[77] && d[77] < 4) /* MDTS */
		n.transfer = NVME_PAGE << d[77];
	n.dsm = get_le16(d + 520) & 4; /* ONCS */
	n.zeroes = get_le16(d + 520) & 8;
	rc = nvme_identify(a, CNS_NAMESPACE, ns);
	if (rc)
		return rc;
	n.blocks = get_le64(d);
	format = get_le32(d + 128 + 4 * (d[26] & 15));
	n.shift = (u8)(format >> 16);
	if (!n.blocks)
		return -ENOENT;
	if ((format & 0xffff) || n.shift < 9 || n.shift > 12 || n.blocks >> (64 - n.shift))
		return -ENOTSUP;
	*out = n;
	return 0;
}

int nvme_io_open(struct nvme_io *q, struct nvme_admin *a, const struct nvme_mem *mem)
{
	u32 entries = a->env.rd(a->env.ctx, NVME_CAP) & 0xffff, size;
	int rc;

	if (a->stride * 4 > DOORBELL_ROOM)
		return -ENOTSUP;
	*q = (struct nvme_io){ .admin = a, .sq = mem->sq, .cq = mem->cq, .phase = true };
	q->depth = (u16)min_u64(entries + 1, NVME_IO_DEPTH);
	size = (u32)(q->depth - 1) << 16 | QUEUE;
	rc = nvme_command(a, OP_FEATURES, 0, 0, FEATURE_QUEUES, 0);
	if (!rc)
		rc = nvme_command(a, OP_CREATE_CQ, 0, mem->cq_dma, size, INTERRUPTS | CONTIGUOUS);
	if (!rc)
		rc = nvme_command(a, OP_CREATE_SQ, 0, mem->sq_dma, size, QUEUE << 16 | CONTIGUOUS);
	return rc;
}

static void ring(const struct nvme_io *q, u32 doorbell, u16 value)
{
	const struct nvme_env *env = &q->admin->env;

	env->wr(env->ctx, NVME_DOORBELLS + (2 * QUEUE + doorbell) * q->admin->stride, value);
}

void nvme_io_submit(struct nvme_io *q, const struct nvme_cmd *c)
{
	u32 *w = q->sq + 16 * q->tail;

	memset(w, 0, 64);
	w[0] = c->op | (u32)c->id << 16;
	w[1] = c->ns;
	put_le64(w + 6, c->prp[0]);
	put_le64(w + 8, c->prp[1]);
	put_le64(w + 10, c->lba);
	w[12] = c->word12;
	q->tail = (u16)((q->tail + 1) % q->depth);
	atomic_fence();
	ring(q, 0, q->tail);
}

bool nvme_io_reap(struct nvme_io *q, u16 *id, u16 *status)
{
	u64 w = atomic_load_acquire(q->cq + 2 * q->head + 1);

	if ((w >> 48 & 1) != q->phase)
		return false;
	if (++q->head == q->depth) {
		q->head = 0;
		q->phase = !q->phase;
	}
	ring(q, 1, q->head);
	*id = (u16)(w >> 32);
	*status = (u16)(w >> 49);
	return true;
}
