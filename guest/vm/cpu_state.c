/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of the manuals, one function a register.
 */
#include "guest/vm/cpu_state.h"

#define CR0_DEFINED                                                                        \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW |      \
	 CR0_CD | CR0_PG)

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)
#define XCR0_AVX512 MASK(7, 5)

#define MSR_MTRR_VAR0	  0x200
#define MSR_MTRR_VAR_LAST 0x20f
#define MSR_MTRR_DEF	  0x2ff

/* Paging goes on or off: may it, and what becomes of EFER.LMA? */
static bool switch_paging(const struct cpu_state *s, bool on, u64 *efer)
{
	if (on && (*efer & EFER_LME)) {
		if (!(s->cr4 & CR4_PAE) || s->cs_l)
			return false;
		*efer |= EFER_LMA;
	}
	if (!on) {
		if (((*efer & EFER_LMA) && s->cs_l) || (s->cr4 & CR4_PCIDE))
			return false;
		*efer &= ~EFER_LMA;
	}
	return true;
}

bool cpu_state_set_cr0(struct cpu_state *s, u64 value)
{
	u64 efer = s->efer;

	if (value >> 32)
		return false;
	/* Undefined low bits are ignored, ET is hard-wired. */
	value = (value & CR0_DEFINED) | CR0_ET;
	if ((value & CR0_PG) && !(value & CR0_PE))
		return false;
	if ((value & CR0_NW) && !(value & CR0_CD))
		return false;
	if (((value ^ s->cr0) & CR0_PG) && !switch_paging(s, value & CR0_PG, &efer))
		return false;
	s->cr0 = value;
	s->efer = efer;
	return true;
}

bool cpu_state_set_cr4(struct cpu_state *s, u64 value, u64 valid)
{
	if (value & ~valid)
		return false;
	if ((s->efer & EFER_LMA) &&
	    (!(value & CR4_PAE) || ((value ^ s->cr4) & CR4_LA57)))
		return false;
	if ((value & CR4_PCIDE) && !(s->cr4 & CR4_PCIDE) &&
	    (!(s->efer & EFER_LMA) || (s->cr3 & 0xfff)))
		return false;
	s->cr4 = value;
	return true;
}

bool cpu_state_set_efer(struct cpu_state *s, u64 value, u64 valid)
{
	if (value & ~valid)
		return false;
	if ((s->cr0 & CR0_PG) && ((value ^ s->efer) & EFER_LME))
		return false;
	s->efer = (value & ~EFER_LMA) | (s->efer & EFER_LMA);
	return true;
}

/* UC, WC, WT, WP, WB, and UC- which only the PAT knows. */
static bool memory_type_valid(u64 type, bool pat)
{
	return type <= 1 || (type >= 4 && type <= 6) || (pat && type == 7);
}

bool cpu_state_pat_valid(u64 pat)
{
	for (unsigned i = 0; i < 64; i += 8)
		if (!memory_type_valid((pat >> i) & 0xff, true))
			return false;
	return true;
}

/* x87 always, AVX needs SSE, AVX-512 needs AVX and comes whole. */
bool cpu_state_xcr0_valid(u64 value, u64 allowed)
{
	if ((value & ~allowed) || !(value & XCR0_X87))
		return false;
	if ((value & XCR0_AVX) && !(value & XCR0_SSE))
		return false;
	if (value & XCR0_AVX512)
		return (value & XCR0_AVX512) == XCR0_AVX512 && (value & XCR0_AVX);
	return true;
}

bool cpu_state_sysreg_valid(enum hvm_sysreg reg, u64 value)
{
	switch ((u32)reg) {
	case HVM_LSTAR:
	case HVM_CSTAR:
	case HVM_KERNEL_GS_BASE:
	case HVM_SYSENTER_EIP:
	case HVM_SYSENTER_ESP:
		return cpu_state_canonical(value);
	case HVM_PAT:
		return cpu_state_pat_valid(value);
	case HVM_TSC_AUX:
	case HVM_SFMASK:
		return !(value >> 32);
	default:
		return true;
	}
}

bool cpu_state_mtrr_valid(u32 msr, u64 value, u8 maxphyaddr)
{
	u64 above = ~MASK(maxphyaddr - 1, 0);

	if (msr == MSR_MTRR_DEF)
		return !(value & ~(MASK(11, 10) | 0xff)) && memory_type_valid(value & 0xff, false);
	if (msr >= MSR_MTRR_VAR0 && msr <= MSR_MTRR_VAR_LAST) {
		if (value & above)
			return false;
		if (msr & 1)
			return !(value & MASK(10, 0));
		return !(value & MASK(11, 8)) && memory_type_valid(value & 0xff, false);
	}
	for (unsigned i = 0; i < 64; i += 8)
		if (!memory_type_valid((value >> i) & 0xff, false))
			return false;
	return true;
}

bool cpu_state_canonical(u64 linear)
{
	return (u64)((s64)(linear << 16) >> 16) == linear;
}
