/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual machine control structure: encodings of its fields, bits of its control words, exit
 * reasons. Intel SDM vol. 3 appendices B and C, chapters 25 to 28.
 */
#ifndef ARCH_VMX_VMCS_H
#define ARCH_VMX_VMCS_H

#include "kernel/base/bits.h"

/* 16-bit fields; segments follow each other by 2 in the order of enum hvm_seg */
#define VMCS_VPID	      0x0000u
#define VMCS_POSTED_VECTOR    0x0002u
#define VMCS_GUEST_SEL	      0x0800u
#define VMCS_GUEST_INTERRUPT  0x0810u /* status: requested 7:0, in service 15:8 */
#define VMCS_PML_INDEX	      0x0812u /* next entry to be written, downwards */
#define VMCS_HOST_ES_SEL      0x0c00u
#define VMCS_HOST_CS_SEL      0x0c02u
#define VMCS_HOST_SS_SEL      0x0c04u
#define VMCS_HOST_DS_SEL      0x0c06u
#define VMCS_HOST_FS_SEL      0x0c08u
#define VMCS_HOST_GS_SEL      0x0c0au
#define VMCS_HOST_TR_SEL      0x0c0cu

/* 64-bit fields */
#define VMCS_MSR_BITMAP	      0x2004u
#define VMCS_PML_ADDRESS      0x200eu
#define VMCS_TSC_OFFSET	      0x2010u
#define VMCS_VIRTUAL_APIC     0x2012u
#define VMCS_POSTED	      0x2016u
#define VMCS_EPTP	      0x201au
#define VMCS_EOI_EXIT	      0x201cu /* four of them, 64 vectors each */
#define VMCS_GUEST_PHYSICAL   0x2400u
#define VMCS_LINK	      0x2800u
#define VMCS_GUEST_DEBUGCTL   0x2802u
#define VMCS_GUEST_PAT	      0x2804u
#define VMCS_GUEST_EFER	      0x2806u
#define VMCS_GUEST_PDPTE0     0x280au
#define VMCS_HOST_PAT	      0x2c00u
#define VMCS_HOST_EFER	      0x2c02u

/* 32-bit fields */
#define VMCS_PIN_CTL	      0x4000u
#define VMCS_PROC_CTL	      0x4002u
#define VMCS_EXCEPTIONS	      0x4004u
#define VMCS_PF_MASK	      0x4006u
#define VMCS_PF_MATCH	      0x4008u
#define VMCS_CR3_TARGETS      0x400au
#define VMCS_EXIT_CTL	      0x400cu
#define VMCS_EXIT_MSR_STORES  0x400eu
#define VMCS_EXIT_MSR_LOADS   0x4010u
#define VMCS_ENTRY_CTL	      0x4012u
#define VMCS_ENTRY_MSR_LOADS  0x4014u
#define VMCS_ENTRY_EVENT      0x4016u
#define VMCS_ENTRY_ERROR      0x4018u
#define VMCS_ENTRY_INSN_LEN   0x401au
#define VMCS_TPR_THRESHOLD    0x401cu
#define VMCS_PROC2_CTL	      0x401eu
#define VMCS_PLE_GAP	      0x4020u
#define VMCS_PLE_WINDOW	      0x4022u
#define VMCS_INSN_ERROR	      0x4400u
#define VMCS_EXIT_REASON      0x4402u
#define VMCS_EXIT_EVENT	      0x4404u
#define VMCS_EXIT_ERROR	      0x4406u
#define VMCS_VECTORING	      0x4408u
#define VMCS_VECTORING_ERROR  0x440au
#define VMCS_EXIT_INSN_LEN    0x440cu
#define VMCS_GUEST_LIMIT      0x4800u
#define VMCS_GUEST_GDTR_LIMIT 0x4810u
#define VMCS_GUEST_IDTR_LIMIT 0x4812u
#define VMCS_GUEST_AR	      0x4814u
#define VMCS_GUEST_BLOCKING   0x4824u
#define VMCS_GUEST_ACTIVITY   0x4826u
#define VMCS_GUEST_SYSENTER_CS 0x482au
#define VMCS_PREEMPTION_TIMER 0x482eu
#define VMCS_HOST_SYSENTER_CS 0x4c00u

/* fields of natural width */
#define VMCS_CR0_MASK	      0x6000u
#define VMCS_CR4_MASK	      0x6002u
#define VMCS_CR0_SHADOW	      0x6004u
#define VMCS_CR4_SHADOW	      0x6006u
#define VMCS_QUALIFICATION    0x6400u
#define VMCS_GUEST_CR0	      0x6800u
#define VMCS_GUEST_CR3	      0x6802u
#define VMCS_GUEST_CR4	      0x6804u
#define VMCS_GUEST_BASE	      0x6806u
#define VMCS_GUEST_GDTR_BASE  0x6816u
#define VMCS_GUEST_IDTR_BASE  0x6818u
#define VMCS_GUEST_DR7	      0x681au
#define VMCS_GUEST_RSP	      0x681cu
#define VMCS_GUEST_RIP	      0x681eu
#define VMCS_GUEST_RFLAGS     0x6820u
#define VMCS_GUEST_PENDING_DB 0x6822u
#define VMCS_GUEST_SYSENTER_ESP 0x6824u
#define VMCS_GUEST_SYSENTER_EIP 0x6826u
#define VMCS_HOST_CR0	      0x6c00u
#define VMCS_HOST_CR3	      0x6c02u
#define VMCS_HOST_CR4	      0x6c04u
#define VMCS_HOST_FS_BASE     0x6c06u
#define VMCS_HOST_GS_BASE     0x6c08u
#define VMCS_HOST_TR_BASE     0x6c0au
#define VMCS_HOST_GDTR_BASE   0x6c0cu
#define VMCS_HOST_IDTR_BASE   0x6c0eu
#define VMCS_HOST_SYSENTER_ESP 0x6c10u
#define VMCS_HOST_SYSENTER_EIP 0x6c12u
#define VMCS_HOST_RSP	      0x6c14u
#define VMCS_HOST_RIP	      0x6c16u

/* pin-based controls */
#define VMX_PIN_INTR	   BIT(0)
#define VMX_PIN_NMI	   BIT(3)
#define VMX_PIN_VNMI	   BIT(5)
#define VMX_PIN_PREEMPTION BIT(6)
#define VMX_PIN_POSTED	   BIT(7)

/* processor-based controls, first and second word */
#define VMX_PROC_IRQ_WINDOW BIT(2)
#define VMX_PROC_TSC_OFFSET BIT(3)
#define VMX_PROC_HLT	    BIT(7)
#define VMX_PROC_INVLPG	    BIT(9)
#define VMX_PROC_MWAIT	    BIT(10)
#define VMX_PROC_RDPMC	    BIT(11)
#define VMX_PROC_RDTSC	    BIT(12)
#define VMX_PROC_CR3_LOAD   BIT(15)
#define VMX_PROC_CR3_STORE  BIT(16)
#define VMX_PROC_CR8_LOAD   BIT(19)
#define VMX_PROC_CR8_STORE  BIT(20)
#define VMX_PROC_TPR_SHADOW BIT(21)
#define VMX_PROC_NMI_WINDOW BIT(22)
#define VMX_PROC_MOV_DR	    BIT(23)
#define VMX_PROC_IO	    BIT(24)
#define VMX_PROC_MTF	    BIT(27)
#define VMX_PROC_MSR_BITMAP BIT(28)
#define VMX_PROC_MONITOR    BIT(29)
#define VMX_PROC_SECONDARY  BIT(31)
#define VMX_PROC2_EPT	    BIT(1)
#define VMX_PROC2_RDTSCP    BIT(3)
#define VMX_PROC2_X2APIC    BIT(4)
#define VMX_PROC2_VPID	    BIT(5)
#define VMX_PROC2_WBINVD    BIT(6)
#define VMX_PROC2_UNRESTRICTED BIT(7)
#define VMX_PROC2_APIC_REGS BIT(8)
#define VMX_PROC2_VINTR	    BIT(9)
#define VMX_PROC2_DIRECT    (VMX_PROC2_X2APIC | VMX_PROC2_APIC_REGS | VMX_PROC2_VINTR)
#define VMX_PROC2_PLE	    BIT(10)
#define VMX_PROC2_INVPCID   BIT(12)
#define VMX_PROC2_PML	    BIT(17)

/* exit and entry controls */
#define VMX_EXIT_SAVE_DEBUG BIT(2)
#define VMX_EXIT_HOST64	    BIT(9)
#define VMX_EXIT_ACK	    BIT(15)
#define VMX_EXIT_LOAD_PAT   BIT(19)
#define VMX_EXIT_LOAD_EFER  BIT(21)
#define VMX_ENTRY_LOAD_DEBUG BIT(2)
#define VMX_ENTRY_IA32E	    BIT(9)
#define VMX_ENTRY_LOAD_PAT  BIT(14)
#define VMX_ENTRY_LOAD_EFER BIT(15)

/* guest interruptibility */
#define VMX_BLOCKED_STI	  BIT(0)
#define VMX_BLOCKED_MOVSS BIT(1)
#define VMX_BLOCKED_NMI	  BIT(3)
#define VMX_SHADOW	  (VMX_BLOCKED_STI | VMX_BLOCKED_MOVSS)

/* the event fields, one layout for all three */
#define VMX_EV_TYPE(t)	   ((u32)(t) << 8)
#define VMX_EV_HAS_ERROR   BIT(11)
#define VMX_EV_NMI_UNBLOCK BIT(12) /* exit: IRET had ended NMI blocking */
#define VMX_EV_VALID	   BIT(31)

/* access rights: beyond struct hvm_segment's, 11:8 of which lie at 15:12 */
#define VMX_AR_L	BIT(13)
#define VMX_AR_D	BIT(14)
#define VMX_AR_UNUSABLE BIT(16)

/* IA32_VMX_BASIC, IA32_VMX_EPT_VPID_CAP */
#define VMX_BASIC_TRUE	   BIT(55)
#define VMX_EPT_WALK4	   BIT(6)
#define VMX_EPT_WB	   BIT(14)
#define VMX_EPT_2M	   BIT(16)
#define VMX_EPT_1G	   BIT(17)
#define VMX_EPT_INVEPT	   BIT(20)
#define VMX_EPT_AD	   BIT(21)
#define VMX_EPT_INVEPT_ONE BIT(25)
#define VMX_EPT_INVEPT_ALL BIT(26)
#define VMX_EPT_INVVPID	   BIT(32)
#define VMX_EPT_INVVPID_ONE BIT(41)
#define VMX_EPT_INVVPID_ALL BIT(42)

/* exit reasons; bit 31 of the field: the entry failed */
#define VMX_X_ENTRY_FAILED    BIT(31)
#define VMX_X_EXCEPTION	      0u /* or NMI */
#define VMX_X_INTR	      1u
#define VMX_X_TRIPLE_FAULT    2u
#define VMX_X_IRQ_WINDOW      7u
#define VMX_X_NMI_WINDOW      8u
#define VMX_X_TASK_SWITCH     9u
#define VMX_X_CPUID	      10u
#define VMX_X_GETSEC	      11u
#define VMX_X_HLT	      12u
#define VMX_X_INVD	      13u
#define VMX_X_RDPMC	      15u
#define VMX_X_RSM	      17u
#define VMX_X_VMCALL	      18u
#define VMX_X_VMCLEAR	      19u
#define VMX_X_VMXON	      27u
#define VMX_X_CR	      28u
#define VMX_X_IO	      30u
#define VMX_X_RDMSR	      31u
#define VMX_X_WRMSR	      32u
#define VMX_X_BAD_STATE	      33u
#define VMX_X_MSR_LOADING     34u
#define VMX_X_MWAIT	      36u
#define VMX_X_MONITOR	      39u
#define VMX_X_PAUSE	      40u
#define VMX_X_MACHINE_CHECK   41u
#define VMX_X_EOI	      45u
#define VMX_X_EPT_VIOLATION   48u
#define VMX_X_INVEPT	      50u
#define VMX_X_PREEMPTION      52u
#define VMX_X_INVVPID	      53u
#define VMX_X_WBINVD	      54u
#define VMX_X_XSETBV	      55u
#define VMX_X_PML_FULL	      62u

#endif
