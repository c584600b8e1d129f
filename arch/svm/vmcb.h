/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual machine control block: AMD APM vol. 2 appendix B, and the codes of appendix C.
 */
#ifndef ARCH_SVM_VMCB_H
#define ARCH_SVM_VMCB_H

#include "kernel/base/bits.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

struct vmcb_seg {
	u16 sel;
	u16 attr; /* as struct hvm_segment */
	u32 limit;
	u64 base;
};

struct vmcb {
	/* control area */
	u16 cr_read, cr_write;		/* 000 */
	u16 dr_read, dr_write;		/* 004 */
	u32 exceptions;			/* 008 */
	u32 misc1;			/* 00c */
	u32 misc2;			/* 010 */
	u32 misc3;			/* 014 */
	u8 reserved0[0x3c - 0x18];
	u16 pause_threshold;		/* 03c */
	u16 pause_count;		/* 03e */
	u64 iopm;			/* 040 */
	u64 msrpm;			/* 048 */
	u64 tsc_offset;			/* 050 */
	u32 asid;			/* 058 */
	u32 tlb_control;		/* 05c */
	u64 int_ctl;			/* 060 */
	u64 int_state;			/* 068 */
	u64 exit_code;			/* 070 */
	u64 exit_info1;			/* 078 */
	u64 exit_info2;			/* 080 */
	u64 exit_int_info;		/* 088 */
	u64 np_control;			/* 090 */
	u8 reserved1[0xa8 - 0x98];
	u64 event_inj;			/* 0a8 */
	u64 ncr3;			/* 0b0 */
	u64 lbr_control;		/* 0b8 */
	u32 clean;			/* 0c0 */
	u32 reserved2;
	u64 next_rip;			/* 0c8 */
	u8 fetched;			/* 0d0 */
	u8 bytes[15];
	u8 reserved3[0x400 - 0xe0];
	/* save area */
	struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr; /* 400 */
	u8 reserved4[0x4cb - 0x4a0];
	u8 cpl;				/* 4cb */
	u32 reserved5;
	u64 efer;			/* 4d0 */
	u8 reserved6[0x548 - 0x4d8];
	u64 cr4, cr3, cr0;		/* 548 */
	u64 dr7, dr6;			/* 560 */
	u64 rflags, rip;		/* 570 */
	u8 reserved7[0x5d8 - 0x580];
	u64 rsp;			/* 5d8 */
	u8 reserved8[0x5f8 - 0x5e0];
	u64 rax;			/* 5f8 */
	u64 star, lstar, cstar, sfmask;	/* 600 */
	u64 kernel_gs_base;		/* 620 */
	u64 sysenter_cs, sysenter_esp, sysenter_eip; /* 628 */
	u64 cr2;			/* 640 */
	u8 reserved9[0x668 - 0x648];
	u64 g_pat;			/* 668 */
	u64 debugctl;			/* 670 */
	u8 reserved10[0x1000 - 0x678];
};

STATIC_ASSERT(sizeof(struct vmcb) == 4096, "VMCB size");
STATIC_ASSERT(offsetof(struct vmcb, int_ctl) == 0x60, "VMCB layout");
STATIC_ASSERT(offsetof(struct vmcb, event_inj) == 0xa8, "VMCB layout");
STATIC_ASSERT(offsetof(struct vmcb, next_rip) == 0xc8, "VMCB layout");
STATIC_ASSERT(offsetof(struct vmcb, es) == 0x400, "VMCB layout");
STATIC_ASSERT(offsetof(struct vmcb, cpl) == 0x4cb, "VMCB layout");
STATIC_ASSERT(offsetof(struct vmcb, cr4) == 0x548, "VMCB layout");
STATIC_ASSERT(offsetof(struct vmcb, rsp) == 0x5d8, "VMCB layout");
STATIC_ASSERT(offsetof(struct vmcb, rax) == 0x5f8, "VMCB layout");
STATIC_ASSERT(offsetof(struct vmcb, cr2) == 0x640, "VMCB layout");
STATIC_ASSERT(offsetof(struct vmcb, g_pat) == 0x668, "VMCB layout");

/* misc1 */
#define SVM_I1_INTR	   BIT(0)
#define SVM_I1_NMI	   BIT(1)
#define SVM_I1_INIT	   BIT(3)
#define SVM_I1_VINTR	   BIT(4)
#define SVM_I1_CR0_SEL	   BIT(5)
#define SVM_I1_RDPMC	   BIT(15)
#define SVM_I1_CPUID	   BIT(18)
#define SVM_I1_RSM	   BIT(19)
#define SVM_I1_IRET	   BIT(20)
#define SVM_I1_INVD	   BIT(22)
#define SVM_I1_PAUSE	   BIT(23)
#define SVM_I1_HLT	   BIT(24)
#define SVM_I1_INVLPGA	   BIT(26)
#define SVM_I1_IOIO	   BIT(27)
#define SVM_I1_MSR	   BIT(28)
#define SVM_I1_TASK_SWITCH BIT(29)
#define SVM_I1_FERR_FREEZE BIT(30)
#define SVM_I1_SHUTDOWN	   BIT(31)

/* misc2: VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT, ICEBP no, WBINVD MONITOR MWAIT
 * MWAIT-if-armed XSETBV */
#define SVM_I2_ALL (MASK(6, 0) | MASK(13, 9))

/* int_ctl */
#define SVM_V_TPR	   MASK(3, 0)
#define SVM_V_IRQ	   BIT(8)
#define SVM_V_PRIO_MAX	   MASK(19, 16)
#define SVM_V_IGN_TPR	   BIT(20)
#define SVM_V_INTR_MASKING BIT(24)

#define SVM_SHADOW BIT(0) /* int_state */
#define SVM_NP	   BIT(0) /* np_control */

/* event_inj and exit_int_info */
#define SVM_EV_TYPE(t)	((u64)(t) << 8)
#define SVM_EV_HAS_ERROR BIT(11)
#define SVM_EV_VALID	BIT(31)

/* exit codes */
#define SVM_X_CR_WRITE	  0x10u
#define SVM_X_EXCEPTION	  0x40u
#define SVM_X_INTR	  0x60u
#define SVM_X_NMI	  0x61u
#define SVM_X_VINTR	  0x64u
#define SVM_X_CR0_SEL	  0x65u
#define SVM_X_RDPMC	  0x6fu
#define SVM_X_CPUID	  0x72u
#define SVM_X_RSM	  0x73u
#define SVM_X_IRET	  0x74u
#define SVM_X_INVD	  0x76u
#define SVM_X_PAUSE	  0x77u
#define SVM_X_HLT	  0x78u
#define SVM_X_INVLPGA	  0x7au
#define SVM_X_IOIO	  0x7bu
#define SVM_X_MSR	  0x7cu
#define SVM_X_TASK_SWITCH 0x7du
#define SVM_X_SHUTDOWN	  0x7fu
#define SVM_X_VMRUN	  0x80u
#define SVM_X_VMMCALL	  0x81u
#define SVM_X_SKINIT	  0x86u
#define SVM_X_WBINVD	  0x89u
#define SVM_X_MONITOR	  0x8au
#define SVM_X_MWAIT_ARMED 0x8cu
#define SVM_X_XSETBV	  0x8du
#define SVM_X_NPF	  0x400u
#define SVM_X_INVALID	  0xffffffffu

#endif
