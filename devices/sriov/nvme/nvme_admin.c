/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVMe admin queue and virtualization management. NVM Express base specification 2.0 §3.5.1
 * (initialization), §5.28 (Virtualization Management), §8.26.
 */
#include "devices/sriov/nvme/nvme_admin.h"

#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define CC_ENABLE   1u
#define CC_SIZES    0x00460000u /* 64-byte commands, 16-byte completions */
#define CSTS_READY  1u
#define CSTS_FATAL  2u
#define CAP_UNIT_US 500000u /* of CAP.TO */

#define OP_IDENTIFY 0x06u
#define OP_VIRT	    0x1cu

#define CNS_CONTROLLER 0x01u
#define CNS_PRIMARY    0x14u
#define CNS_SECONDARY  0x15u

#define ID_OACS	     256u /* in the data of CNS_CONTROLLER */
#define OACS_VIRT    BIT(7)

#define VIRT_OFFLINE 7u
#define VIRT_ASSIGN  8u
#define VIRT_ONLINE  9u
#define RT_VQ	     0u
#define RT_VI	     1u

#define STEP_US	   20u
#define COMMAND_US 5000000u

/* The least that a driver can work with: queue pairs for administration and for I/O. */
#define VQ_LEAST 2u
#define VI_LEAST 1u

static u32 rd(const struct nvme_admin *a, u32 off)
{
	return a->env.rd(a->env.ctx, off);
}

static void wr(const struct nvme_admin *a, u32 off, u32 v)
{
	a->env.wr(a->env.ctx, off, v);
}

static void wr64(const struct nvme_admin *a, u32 off, u64 v)
{
	wr(a, off, (u32)v);
	wr(a, off + 4, (u32)(v >> 32));
}

static u32 get(const struct nvme_admin *a, u32 off, u32 bytes)
{
	u32 v = 0;

	for (u32 i = 0; i < bytes; i++)
		v |= (u32)a->mem.data[off + i] << 8 * i;
	return v;
}

/* ---- the controller ------------------------------------------------------------------------ */

static int wait_ready(const struct nvme_admin *a, u32 want, u32 limit_us)
{
	for (u32 us = 0; us <= limit_us; us += STEP_US) {
		u32 csts = rd(a, NVME_CSTS);

		if (csts == ~0u || (want && (csts & CSTS_FATAL)))
			return -EIO;
		if ((csts & CSTS_READY) == want)
			return 0;
		a->env.delay(a->env.ctx, STEP_US);
	}
	return -ETIMEDOUT;
}

static u32 limit_us(const struct nvme_admin *a)
{
	u32 units = rd(a, NVME_CAP) >> 24;

	return (units ? units : 1) * CAP_UNIT_US;
}

int nvme_close(struct nvme_admin *a)
{
	a->dead = true;
	wr(a, NVME_CC, rd(a, NVME_CC) & ~CC_ENABLE);
	return wait_ready(a, 0, limit_us(a));
}

int nvme_open(struct nvme_admin *out, const struct nvme_env *env, const struct nvme_mem *mem)
{
	struct nvme_admin a = { .env = *env, .mem = *mem, .phase = true };
	u32 low = rd(&a, NVME_CAP), high = rd(&a, NVME_CAP + 4);
	int rc;

	if (low == ~0u || (low & 0xffff) + 1 < NVME_DEPTH)
		return -EPROTO;
	/* CAP.CSS: NVM command set; CAP.MPSMIN: 4 KiB. */
	if (!(high >> 5 & 1) || (high >> 16 & 15))
		return -ENOTSUP;
	a.stride = 4u << (high & 15);
	rc = nvme_close(&a);
	if (rc)
		return rc;
	a.dead = false;
	wr(&a, NVME_INTMS, ~0u);
	wr(&a, NVME_AQA, (NVME_DEPTH - 1) << 16 | (NVME_DEPTH - 1));
	wr64(&a, NVME_ASQ, mem->sq_dma);
	wr64(&a, NVME_ACQ, mem->cq_dma);
	wr(&a, NVME_CC, CC_SIZES | CC_ENABLE);
	rc = wait_ready(&a, CSTS_READY, limit_us(&a));
	if (!rc)
		*out = a;
	return rc;
}

/* Completion of the only command under way. */
static int complete(struct nvme_admin *a)
{
	u64 *entry = a->mem.cq + 2 * a->head;
	u64 w = 0;

	for (u32 us = 0; us <= COMMAND_US; us += STEP_US) {
		w = atomic_load_acquire(entry + 1);
		if ((w >> 48 & 1) == a->phase)
			break;
		a->env.delay(a->env.ctx, STEP_US);
	}
	if ((w >> 48 & 1) != a->phase) {
		a->dead = true;
		return -ETIMEDOUT;
	}
	if (++a->head == NVME_DEPTH) {
		a->head = 0;
		a->phase = !a->phase;
	}
	wr(a, NVME_DOORBELLS + a->stride, a->head);
	a->status = (u16)(w >> 49);
	if ((u16)(w >> 32) != a->id) {
		a->dead = true; /* which command it answers is anybody's guess */
		return -EIO;
	}
	return a->status ? -EIO : 0;
}

int nvme_command(struct nvme_admin *a, u32 op, u32 ns, u64 data, u32 dw10, u32 dw11)
{
	u32 *c = a->mem.sq + 16 * a->tail;

	if (a->dead)
		return -EIO;
	memset(c, 0, 64);
	a->id++;
	c[0] = op | (u32)a->id << 16;
	c[1] = ns;
	c[6] = (u32)data;
	c[7] = (u32)(data >> 32);
	c[10] = dw10;
	c[11] = dw11;
	a->tail = (u16)((a->tail + 1) % NVME_DEPTH);
	atomic_fence();
	wr(a, NVME_DOORBELLS, a->tail);
	return complete(a);
}

int nvme_identify(struct nvme_admin *a, u32 cns, u32 ns)
{
	memset(a->mem.data, 0, NVME_PAGE);
	return nvme_command(a, OP_IDENTIFY, ns, a->mem.data_dma, cns, 0);
}

/* ---- virtualization management --------------------------------------------------------------- */

static int read_list(struct nvme_admin *a, struct nvme_virt *v)
{
	int rc = nvme_identify(a, CNS_SECONDARY, 0);

	if (rc)
		return rc;
	v->count = (u16)get(a, 0, 1);
	if (v->count > NVME_VF_MAX)
		return -EPROTO;
	for (u32 i = 0; i < v->count; i++) {
		struct nvme_secondary *s = &v->secondary[i];

		s->id = (u16)get(a, 32 + 32 * i, 2);
		s->online = get(a, 32 + 32 * i + 4, 1) & 1;
		s->vf = (u16)get(a, 32 + 32 * i + 8, 2);
	}
	return 0;
}

int nvme_read_virt(struct nvme_admin *a, struct nvme_virt *out)
{
	int rc = nvme_identify(a, CNS_CONTROLLER, 0);

	if (!rc && !(get(a, ID_OACS, 2) & OACS_VIRT))
		rc = -ENOTSUP;
	if (!rc)
		rc = nvme_identify(a, CNS_PRIMARY, 0);
	if (rc)
		return rc;
	out->vq = get(a, 32, 4);
	out->vq_max = (u16)get(a, 44, 2);
	out->vi = get(a, 64, 4);
	out->vi_max = (u16)get(a, 76, 2);
	return read_list(a, out);
}

static u16 part(u32 all, u16 max, u16 n)
{
	return (u16)min_u64(all / n, max);
}

int nvme_share(const struct nvme_virt *v, u16 n, u16 *vq, u16 *vi)
{
	u16 q, i;

	if (!n)
		return -ENOSPC;
	q = part(v->vq, v->vq_max, n);
	i = part(v->vi, v->vi_max, n);
	if (q < VQ_LEAST || i < VI_LEAST)
		return -ENOSPC;
	*vq = q;
	*vi = i;
	return 0;
}

u16 nvme_most(const struct nvme_virt *v, u16 n)
{
	u16 vq, vi;

	n = (u16)min_u64(n, v->count);
	while (n && nvme_share(v, n, &vq, &vi))
		n--;
	return n;
}

static int virt(struct nvme_admin *a, u16 id, u32 action, u32 count)
{
	return nvme_command(a, OP_VIRT, 0, 0, (u32)id << 16 | action, count);
}

int nvme_offline(struct nvme_admin *a, u16 id)
{
	return virt(a, id, VIRT_OFFLINE, 0);
}

int nvme_online(struct nvme_admin *a, u16 id, u16 vq, u16 vi)
{
	int rc = virt(a, id, RT_VQ << 8 | VIRT_ASSIGN, vq);

	if (!rc)
		rc = virt(a, id, RT_VI << 8 | VIRT_ASSIGN, vi);
	return rc ? rc : virt(a, id, VIRT_ONLINE, 0);
}
