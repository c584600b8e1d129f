/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An 82576 VF at 00:10.0 for bare kernels: its registers, and ways to them and its configuration.
 * Intel 82576 data sheet §8.
 */
#ifndef TESTS_GUEST_VF_H
#define TESTS_GUEST_VF_H

#include "guest/image/lib/pc.h"

#define BDF  0x80u /* 00:10.0 */
#define BAR0 0xd0000000u
#define BAR3 0xd0010000u

#define VF_CTRL	  0x0000u
#define VF_STATUS 0x0008u
#define VF_MEM	  0x0800u
#define VF_MBOX	  0x0c40u
#define VF_STATS  0x0f10u /* frames received, sent */
#define VF_EICS	  0x1520u
#define VF_EIMS	  0x1524u
#define VF_EIMC	  0x1528u
#define VF_EIAC	  0x152cu
#define VF_EITR	  0x1680u
#define VF_IVAR	  0x1700u
#define VF_RX	  0x2800u
#define VF_TX	  0x3800u

/* In a ring's block. */
#define BAL    0x00u
#define BAH    0x04u
#define LEN    0x08u
#define SRRCTL 0x0cu
#define HEAD   0x10u
#define TAIL   0x18u
#define DCTL   0x28u
#define WBAL   0x38u
#define WBAH   0x3cu
#define QUEUE2 0x100u
#define ENABLE 0x02000000u

static inline u32 cfg(u32 reg)
{
	outl(0xcf8, 0x80000000 | BDF << 8 | (reg & 0xfc));
	return inl(0xcfc);
}

static inline void cfg_write(u32 reg, u32 v)
{
	outl(0xcf8, 0x80000000 | BDF << 8 | (reg & 0xfc));
	outl(0xcfc, v);
}

static inline u32 rd(u32 off)
{
	return mmio_read(BAR0 + off);
}

static inline void wr(u32 off, u32 v)
{
	mmio_write(BAR0 + off, v);
}

static inline u32 find_cap(u8 id)
{
	u32 at = cfg(0x34) & 0xff;

	while (at && (cfg(at) & 0xff) != id)
		at = cfg(at) >> 8 & 0xff;
	return at;
}

#endif
