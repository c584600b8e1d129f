/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walk of the guest's own page tables, for instruction fetch and for operands that the
 * emulator touches. Pure. AMD APM vol. 2 chapter 5, Intel SDM vol. 3 chapter 4.
 */
#ifndef GUEST_MEM_WALK_H
#define GUEST_MEM_WALK_H

#include "guest/mem/gmap.h"

/* The guest state that decides how linear addresses are translated. */
struct guest_paging {
	u64 cr0, cr3, cr4, efer;
	u64 rflags;
	bool user; /* CPL 3 */
	u8 maxphyaddr;
};

#define WALK_READ  1u
#define WALK_WRITE 2u
#define WALK_EXEC  4u

#define WALK_LEVELS 5

struct walk {
	gpa_t gpa;
	u32 pf_error;	/* #PF error code when the walk returned -EFAULT */
	u32 levels;	/* entries read */
	const u64 *pte[WALK_LEVELS]; /* 64-bit entries only: where they were read */
	u64 val[WALK_LEVELS];	     /* and what they held */
};

/**
 * guest_walk() - translate a linear address for an access of WALK_* kind.
 * Sets accessed and dirty bits in the guest's tables as the CPU would.
 * Returns 0 (w->gpa); -EFAULT: the guest owes itself #PF with w->pf_error;
 * -EIO: a table lies outside RAM (the CPU would have faulted in the second stage).
 */
int MUST_CHECK guest_walk(struct gmap *m, const struct guest_paging *p, u64 linear,
			  unsigned access, struct walk *w);

#endif
