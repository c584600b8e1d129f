/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin queue of an NVMe controller and what virtualization management does with it: resources
 * of the primary controller counted, shared out, secondary controllers taken on and off line.
 * Pure: registers and time are reached through callbacks. Polled, one command at a time.
 */
#ifndef DEVICES_SRIOV_NVME_NVME_ADMIN_H
#define DEVICES_SRIOV_NVME_NVME_ADMIN_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define NVME_DEPTH  16u	  /* entries of each queue */
#define NVME_PAGE   4096u /* memory page size, and length of what Identify returns */
#define NVME_VF_MAX 127u  /* entries of the list of secondary controllers */

/* Registers: NVM Express base specification §3.1. */
#define NVME_CAP     0x00u
#define NVME_INTMS   0x0cu
#define NVME_CC	     0x14u
#define NVME_CSTS    0x1cu
#define NVME_AQA     0x24u
#define NVME_ASQ     0x28u
#define NVME_ACQ     0x30u
#define NVME_DOORBELLS 0x1000u

struct nvme_env {
	void *ctx;
	u32 (*rd)(void *ctx, u32 off);
	void (*wr)(void *ctx, u32 off, u32 value);
	void (*delay)(void *ctx, u32 us);
};

/* Memory the controller reaches, zeroed, page aligned: three pages. */
struct nvme_mem {
	u32 *sq;     /* NVME_DEPTH commands of 16 words */
	u64 *cq;     /* NVME_DEPTH completions of two words */
	u8 *data;    /* one page */
	u64 sq_dma, cq_dma, data_dma;
};

struct nvme_admin {
	struct nvme_env env;
	struct nvme_mem mem;
	u32 stride;   /* bytes from one doorbell to the next */
	u16 tail, head, id;
	bool phase;   /* of the next completion */
	bool dead;    /* a command was not answered: none is sent any more */
	u16 status;   /* of the last command, 15 bits; 0: success */
};

/* One secondary controller. */
struct nvme_secondary {
	u16 id;	    /* of the controller */
	u16 vf;	    /* from 1; 0: none is */
	bool online;
};

/* What the primary controller has to share out. Base specification, Identify CNS 14h and 15h. */
struct nvme_virt {
	u32 vq, vi;	  /* flexible resources: queue pairs, interrupts */
	u16 vq_max, vi_max; /* for one secondary controller */
	u16 count;
	struct nvme_secondary secondary[NVME_VF_MAX];
};

/**
 * nvme_open() - reset the controller and enable it with mem as its admin queues. Returns 0;
 * -EPROTO (registers impossible), -ENOTSUP (no NVM commands or no 4 KiB pages), -ETIMEDOUT, -EIO
 * (fatal status). Context: waits as long as the controller says it needs, at most 2 minutes.
 */
int MUST_CHECK nvme_open(struct nvme_admin *a, const struct nvme_env *env,
			 const struct nvme_mem *mem);

/** nvme_close() - disable the controller; its memory is not reached any more on 0. -ETIMEDOUT. */
int MUST_CHECK nvme_close(struct nvme_admin *a);

/**
 * nvme_command() - one admin command for namespace ns (0: none), data at that address for the
 * controller. Returns 0; -EIO (failed: a->status, or none is sent any more), -ETIMEDOUT.
 */
int MUST_CHECK nvme_command(struct nvme_admin *a, u32 op, u32 ns, u64 data, u32 dw10, u32 dw11);

/** nvme_identify() - Identify into a->mem.data. Errors of nvme_command(). */
int MUST_CHECK nvme_identify(struct nvme_admin *a, u32 cns, u32 ns);

/**
 * nvme_read_virt() - ask for resources and secondary controllers. Returns 0; -ENOTSUP (no
 * virtualization management), -EPROTO (an answer is impossible), -EIO (a command failed:
 * a->status), -ETIMEDOUT.
 */
int MUST_CHECK nvme_read_virt(struct nvme_admin *a, struct nvme_virt *out);

/** nvme_share() - resources of each of n VFs. -ENOSPC: less than a queue pair of each kind. */
int MUST_CHECK nvme_share(const struct nvme_virt *v, u16 n, u16 *vq, u16 *vi);

/** nvme_most() - the most VFs, at most n, that the resources are enough for. */
u16 nvme_most(const struct nvme_virt *v, u16 n);

/**
 * nvme_offline(), nvme_online() - take a secondary controller from its user, its resources come
 * back; give it vq queue pairs and vi interrupts and bring it up. Its VF is on. Errors -EIO,
 * -ETIMEDOUT.
 */
int MUST_CHECK nvme_offline(struct nvme_admin *a, u16 id);
int MUST_CHECK nvme_online(struct nvme_admin *a, u16 id, u16 vq, u16 vi);

#endif
