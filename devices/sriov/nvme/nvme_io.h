/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One I/O queue pair of an NVMe controller that the host drives, and the facts of a namespace.
 * Pure; the owner's lock is held around submissions and completions.
 */
#ifndef DEVICES_SRIOV_NVME_NVME_IO_H
#define DEVICES_SRIOV_NVME_NVME_IO_H

#include "devices/sriov/nvme/nvme_admin.h"
#include "kernel/base/bits.h"

#define NVME_IO_DEPTH 256u /* at most */

/* NVM command set, opcodes (NVM Express NVM command set specification §3). */
#define NVME_IO_FLUSH  0x00u
#define NVME_IO_WRITE  0x01u
#define NVME_IO_READ   0x02u
#define NVME_IO_ZEROES 0x08u
#define NVME_IO_DSM    0x09u
#define NVME_IO_FUA	BIT(30) /* word 12 of a write */
#define NVME_IO_DEALLOC BIT(2)	/* word 11 of DSM */

struct nvme_ns {
	u64 blocks;
	u8 shift;	 /* log2 of a block's bytes, 9..12 */
	bool zeroes, dsm; /* has these commands */
	u32 transfer;	 /* most bytes of a read or write */
};

struct nvme_io {
	struct nvme_admin *admin;
	u32 *sq; /* NVME_IO_DEPTH commands of 16 words */
	u64 *cq; /* NVME_IO_DEPTH completions of two words */
	u16 depth, tail, head;
	bool phase;
};

/* Of a command: what is not zero. */
struct nvme_cmd {
	u8 op;
	u16 id;
	u32 ns;
	u64 prp[2];
	u64 lba;     /* words 10 and 11 */
	u32 word12;
};

/**
 * nvme_io_ns() - ask for a namespace. Returns 0; -ENOENT (no such namespace), -ENOTSUP (blocks with
 * metadata, or longer than a page), -EIO, -ETIMEDOUT. Locks: the admin queue's.
 */
int MUST_CHECK nvme_io_ns(struct nvme_admin *a, u32 ns, struct nvme_ns *out);

/**
 * nvme_io_open() - create queue pair 1, completions by interrupt 0. sq, cq: zeroed, page aligned,
 * sq_dma and cq_dma for the controller. Returns 0; -ENOTSUP (doorbells too far apart), -EIO,
 * -ETIMEDOUT. Locks: the admin queue's.
 */
int MUST_CHECK nvme_io_open(struct nvme_io *q, struct nvme_admin *a, const struct nvme_mem *mem);

/** nvme_io_submit() - the caller has less than depth - 1 under way. */
void nvme_io_submit(struct nvme_io *q, const struct nvme_cmd *c);

/** nvme_io_reap() - the next completion: false: none. *status 0: success. */
bool nvme_io_reap(struct nvme_io *q, u16 *id, u16 *status);

#endif
