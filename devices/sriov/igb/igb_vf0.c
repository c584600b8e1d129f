/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control page of a VF. Intel 82576 data sheet §9.
 */
#include "devices/sriov/igb/igb_vf0.h"

#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define VF_CTRL	  0x000u
#define VF_STATUS 0x008u
#define VF_MBMEM  0x800u
#define VF_MBOX	  0xc40u

#define CTRL_RST BIT(26)
/* Full duplex, link, 1000 Mbit/s; without link only the first and the last. */
#define STATUS_UP   0x83u
#define STATUS_LINK 0x02u

#define MBOX_REQ   BIT(0)
#define MBOX_ACK   BIT(1)
#define MBOX_VFU   BIT(2)
#define MBOX_PFSTS BIT(4)
#define MBOX_PFACK BIT(5)
#define MBOX_RSTD  BIT(7)
#define MBOX_READ_CLEARS (MBOX_PFSTS | MBOX_PFACK | MBOX_RSTD)
#define MBOX_KEPT  (MBOX_VFU | MBOX_READ_CLEARS)

/* Packets and octets in and out, multicast packets, and the same of local traffic. */
static const u16 stat_off[IGB_VF_STATS] = { 0xf10, 0xf14, 0xf18, 0xf34, 0xf3c,
					    0xf40, 0xf44, 0xf48, 0xf50 };

static u32 stat_index(u32 off)
{
	u32 i = 0;

	while (i < IGB_VF_STATS && stat_off[i] != off)
		i++;
	return i;
}

/* 32-bit counters wrap; a driver takes a smaller value for a wrap, so they must never go back. */
static u32 stat_value(const struct igb_vf0 *v, u32 i)
{
	return v->stat_base[i] + v->env.stat(v->env.ctx, stat_off[i]);
}

void igb_vf0_freeze_stats(struct igb_vf0 *v)
{
	for (u32 i = 0; i < IGB_VF_STATS; i++)
		v->stat_base[i] = stat_value(v, i);
}

void igb_vf0_thaw_stats(struct igb_vf0 *v)
{
	for (u32 i = 0; i < IGB_VF_STATS; i++)
		v->stat_base[i] -= v->env.stat(v->env.ctx, stat_off[i]);
}

static void mbox_write(struct igb_vf0 *v, u32 value)
{
	/* Nobody else ever holds the buffer: what is asked for is granted; else it is released. */
	v->mbox = (v->mbox & ~(u32)MBOX_VFU) | (value & (u32)MBOX_VFU);
	if (!(value & MBOX_REQ))
		return; /* an acknowledgement: nobody waits for it */
	v->messages++;
	(void)v->env.message(v->env.ctx, v->mem);
	v->mbox |= (u32)(MBOX_PFACK | MBOX_PFSTS);
}

static u32 mbox_read(struct igb_vf0 *v)
{
	u32 value = v->mbox;

	v->mbox &= ~(u32)MBOX_READ_CLEARS;
	return value;
}

static u32 reg_read(struct igb_vf0 *v, u32 off)
{
	u32 i;

	if (off >= VF_MBMEM && off < VF_MBMEM + 4 * IGB_MBOX_WORDS)
		return v->mem[(off - VF_MBMEM) / 4];
	if (off == VF_STATUS)
		return v->env.link(v->env.ctx) ? STATUS_UP : STATUS_UP & ~STATUS_LINK;
	if (off == VF_MBOX)
		return mbox_read(v);
	i = stat_index(off);
	return i < IGB_VF_STATS ? stat_value(v, i) : 0;
}

static void reg_write(struct igb_vf0 *v, u32 off, u32 value)
{
	if (off >= VF_MBMEM && off < VF_MBMEM + 4 * IGB_MBOX_WORDS)
		v->mem[(off - VF_MBMEM) / 4] = value;
	else if (off == VF_MBOX)
		mbox_write(v, value);
	else if (off == VF_CTRL && (value & CTRL_RST))
		v->env.reset(v->env.ctx);
}

/* Registers are double words; the device ignores other accesses. */
void igb_vf0_io(struct igb_vf0 *v, u32 off, unsigned size, bool write, u64 *value)
{
	if (size == 8 && !(off & 7)) { /* as two of them */
		u64 low = (u32)*value, high = *value >> 32;

		igb_vf0_io(v, off, 4, write, &low);
		igb_vf0_io(v, off + 4, 4, write, &high);
		if (!write)
			*value = low | high << 32;
		return;
	}
	if (size != 4 || (off & 3)) {
		if (!write)
			*value = 0;
		return;
	}
	if (write)
		reg_write(v, off, (u32)*value);
	else
		*value = reg_read(v, off);
}

bool igb_vf0_ping(struct igb_vf0 *v, u32 word)
{
	if (v->mbox & (MBOX_VFU | MBOX_PFSTS))
		return false;
	v->mem[0] = word;
	v->mbox |= (u32)MBOX_PFSTS;
	return true;
}

void igb_vf0_reset(struct igb_vf0 *v)
{
	memset(v->mem, 0, sizeof(v->mem));
	v->mbox = 0;
	memset(v->stat_base, 0, sizeof(v->stat_base));
	igb_vf0_thaw_stats(v);
}

void igb_vf0_init(struct igb_vf0 *v, const struct igb_vf0_env *env)
{
	memset(v, 0, sizeof(*v));
	v->env = *env;
	igb_vf0_reset(v);
}

int igb_vf0_resume(struct igb_vf0 *v)
{
	return v->mbox & ~(u32)MBOX_KEPT ? -EINVAL : 0;
}

const struct vmstate_field igb_vf0_fields[] = {
	VMSTATE_ARRAY(struct igb_vf0, mem, VMS_U32),
	VMSTATE(struct igb_vf0, mbox, VMS_U32),
	VMSTATE_ARRAY(struct igb_vf0, stat_base, VMS_U32),
};
const u32 igb_vf0_nfields = ARRAY_SIZE(igb_vf0_fields);
