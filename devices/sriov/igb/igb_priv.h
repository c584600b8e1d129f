/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the pure files of the 82576 driver.
 */
#ifndef DEVICES_SRIOV_IGB_IGB_PRIV_H
#define DEVICES_SRIOV_IGB_IGB_PRIV_H

#include "devices/sriov/igb/igb_hw.h"

static inline u32 igb_rd(struct igb_hw *hw, u32 off)
{
	return hw->env.rd(hw->env.ctx, off);
}

static inline void igb_wr(struct igb_hw *hw, u32 off, u32 value)
{
	hw->env.wr(hw->env.ctx, off, value);
}

static inline void igb_set(struct igb_hw *hw, u32 off, u64 bits)
{
	igb_wr(hw, off, igb_rd(hw, off) | (u32)bits);
}

static inline void igb_clear(struct igb_hw *hw, u32 off, u64 bits)
{
	igb_wr(hw, off, igb_rd(hw, off) & ~(u32)bits);
}

#endif
