/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backend contract: what SVM and VMX both supply, and the neutral record
 * into which each translates its exits. Nothing above arch/ knows more.
 */
#ifndef ARCH_HVM_H
#define ARCH_HVM_H

#include "kernel/base/bits.h"
#include "kernel/base/compiler.h"
#include "kernel/base/cpuid.h"
#include "kernel/base/types.h"

struct pgfmt;
struct pool_owner;
struct hvm_vm;
struct hvm_vcpu;

/* General registers by their encoding in instructions. */
enum hvm_gpr {
	HVM_RAX, HVM_RCX, HVM_RDX, HVM_RBX, HVM_RSP, HVM_RBP, HVM_RSI, HVM_RDI,
	HVM_R8, HVM_R9, HVM_R10, HVM_R11, HVM_R12, HVM_R13, HVM_R14, HVM_R15,
};

/*
 * Valid between two calls of run(): the backend loads the hardware from it on
 * entry and stores it on exit. Assembly relies on the offsets.
 */
struct hvm_regs {
	u64 gpr[16];
	u64 rip;
	u64 rflags;
};

enum hvm_seg { HVM_ES, HVM_CS, HVM_SS, HVM_DS, HVM_FS, HVM_GS, HVM_LDTR, HVM_TR, HVM_SEGS };

/* attr as in a descriptor's bytes 5 and 6: type 3:0, S 4, DPL 6:5, P 7, AVL 8, L 9, D 10, G 11. */
struct hvm_segment {
	u64 base;
	u32 limit; /* bytes, granularity applied */
	u16 sel;
	u16 attr;
};

struct hvm_dtable {
	u64 base;
	u32 limit;
};

enum hvm_sysreg {
	HVM_CR0, HVM_CR2, HVM_CR3, HVM_CR4, HVM_DR6, HVM_DR7, HVM_EFER, HVM_PAT,
	HVM_STAR, HVM_LSTAR, HVM_CSTAR, HVM_SFMASK, HVM_KERNEL_GS_BASE,
	HVM_SYSENTER_CS, HVM_SYSENTER_ESP, HVM_SYSENTER_EIP, HVM_TSC_AUX, HVM_XCR0,
	HVM_TSC_OFFSET, /* guest TSC = host TSC + offset, modulo 2^64 */
	HVM_CR8, /* what a MOV from CR8 reads that does not exit */
	HVM_SYSREGS
};

enum hvm_exit_code {
	HVM_EXIT_HOST,	     /* host interrupt or kick: nothing of the guest's */
	HVM_EXIT_IO,	     /* u.io */
	HVM_EXIT_MEM,	     /* second-stage fault: u.mem */
	HVM_EXIT_CPUID,
	HVM_EXIT_RDMSR,
	HVM_EXIT_WRMSR,
	HVM_EXIT_CR,	     /* u.cr */
	HVM_EXIT_HLT,
	HVM_EXIT_PAUSE,
	HVM_EXIT_HYPERCALL,  /* VMMCALL or VMCALL */
	HVM_EXIT_XSETBV,
	HVM_EXIT_WBINVD,     /* WBINVD or INVD */
	HVM_EXIT_RDPMC,
	HVM_EXIT_UD,	     /* an instruction this guest does not have: owes #UD */
	HVM_EXIT_EXCEPTION,  /* an intercepted exception: u.exception */
	HVM_EXIT_IRQ_WINDOW, /* requested by irq_window(): the guest can take an interrupt */
	HVM_EXIT_NMI_WINDOW, /* requested by nmi_window() */
	HVM_EXIT_EOI,	     /* apic_update(): the guest ended a level-triggered one, u.eoi */
	HVM_EXIT_TASK_SWITCH,
	HVM_EXIT_SHUTDOWN,   /* triple fault */
	HVM_EXIT_ENTRY_FAIL, /* the CPU refused the guest state: exit_raw() for the dump */
	HVM_EXIT_UNKNOWN,    /* exit_raw() for the dump */
	HVM_EXIT_CODES
};

enum hvm_cr_op { HVM_CR_DECODE, HVM_CR_MOV_TO, HVM_CR_MOV_FROM, HVM_CR_CLTS, HVM_CR_LMSW };

#define HVM_IO_IN     BIT(0)
#define HVM_IO_STRING BIT(2) /* INS or OUTS: decode address size and segment */
#define HVM_IO_REP    BIT(3)

#define HVM_ACCESS_READ	 BIT(0)
#define HVM_ACCESS_WRITE BIT(1)
#define HVM_ACCESS_EXEC	 BIT(2)

struct hvm_exit {
	enum hvm_exit_code code;
	u8 insn_len;	/* 0: decode the instruction at RIP to know */
	bool shadow;	/* STI or MOV SS shadow in force; shadow_clear() ends it */
	u8 insn_bytes;	/* how many of insn[] the CPU supplied; 0: fetch it */
	u8 insn[15];
	u64 data;	/* the handler's own: what was read or is to be written */
	union {
		struct {
			u16 port;
			u8 size;  /* 1, 2, 4 bytes */
			u8 flags; /* HVM_IO_* */
		} io;
		struct {
			gpa_t gpa;
			u8 access;   /* HVM_ACCESS_*: what was tried */
			bool mapped; /* entry present, rights missing */
			bool walk;   /* while walking the guest's own page tables */
		} mem;
		struct {
			u8 cr;
			u8 op;	/* enum hvm_cr_op; DECODE: only cr is known */
			u8 gpr; /* enum hvm_gpr */
			u16 msw;
		} cr;
		struct {
			u8 vector;
			bool has_error;
			u32 error;
			u64 address; /* #PF: CR2; #DB: pending DR6 bits */
		} exception;
		u8 eoi; /* vector */
	} u;
};

/* What it takes to find and decode the instruction at RIP. */
struct hvm_code {
	u64 cr3;
	u32 base; /* of CS; 0 in 64-bit code */
	u32 bits; /* 16, 32, 64: long mode and CS.L, or CS.D */
};

/* Interruption types, numbered as in both vendors' injection fields. */
enum hvm_event_type {
	HVM_EVENT_INTR = 0,
	HVM_EVENT_NMI = 2,
	HVM_EVENT_EXCEPTION = 3,
	HVM_EVENT_SOFT_INT = 4,
};

struct hvm_event {
	u8 vector;
	u8 type; /* enum hvm_event_type */
	bool has_error;
	u32 error;
};

/* A feature of the CPU that the backend looks for. */
struct hvm_feature {
	const char *name;
	const char *without; /* what is done when it is absent; NULL: the CPU is refused */
	u64 mask;	     /* mask and word are the backend's own */
	u8 word;
};

#define HVM_FPU_YMM 256

/*
 * What a vCPU has besides registers: nothing but architecture, so that another host can go on from
 * it. The FPU as FXSAVE64 and XSAVE's standard format have it (SDM vol. 1 §10.5, §13.4).
 */
struct hvm_state {
	bool queued;		/* 'event' is to be delivered at the next entry */
	struct hvm_event event;
	bool nmi_blocked;	/* until the IRET of an NMI's handler */
	bool shadow_sti, shadow_ss; /* of STI, of MOV SS */
	u64 pending_db;		/* traps behind a shadow, as bits of DR6; 0: the CPU hides them */
	u64 dr[4];
	u64 xstate;		/* components of the FPU that are not in initial state: XSTATE_BV */
	u8 fxsave[512];
	u8 ymm_high[HVM_FPU_YMM];
};

/* What the CPU offers, for 'host' and for decisions above arch/. */
struct hvm_caps {
	const char *name; /* "svm", "vmx" */
	bool vendor_amd;
	const struct hvm_feature *feature;
	u32 features;
	u64 absent; /* bit i: feature[i] is not there */
};

struct hvm_vm_config {
	struct pool_owner *owner; /* pays for control pages */
	hpa_t stage2_root;
};

struct hvm_ops {
	const char *name;
	/* The format of the second-stage table (kernel/mm/pgtable.h). */
	const struct pgfmt *stage2_fmt;

	/* -- module: once per boot, then once per CPU ------------------------------ */

	/* probe() - can this CPU do it? Fills caps, or why with the reason (-ENOTSUP). */
	int (*probe)(struct hvm_caps *caps, char *why, size_t why_size) MUST_CHECK;
	/* cpu_on() - enable on the calling CPU; -EIO when firmware locked it off. */
	int (*cpu_on)(void) MUST_CHECK;
	/* cpu_off() - disable on the calling CPU; no guest may be loaded. */
	void (*cpu_off)(void);

	/* -- VM: maps of intercepted ports and MSRs, second-stage root --------------- */
	int (*vm_create)(struct hvm_vm **out, const struct hvm_vm_config *cfg) MUST_CHECK;
	void (*vm_destroy)(struct hvm_vm *hvm);
	/* msr_intercept() - whether reads and writes of an MSR exit. All vCPUs parked. */
	int (*msr_intercept)(struct hvm_vm *hvm, u32 msr, bool read, bool write) MUST_CHECK;

	/* -- vCPU ------------------------------------------------------------------------ */
	int (*vcpu_create)(struct hvm_vcpu **out, struct hvm_vm *hvm, u32 id) MUST_CHECK;
	void (*vcpu_destroy)(struct hvm_vcpu *v);
	/* vcpu_reset() - the state after RESET (or INIT), APM vol. 2 §14.1.3, SDM §9.1. */
	void (*vcpu_reset)(struct hvm_vcpu *v, struct hvm_regs *regs);
	/* vcpu_load() - make v the current guest of this CPU: FPU, debug registers, XCR0. */
	void (*vcpu_load)(struct hvm_vcpu *v);
	/* vcpu_put() - save what vcpu_load() loaded; afterwards v may run on any CPU. */
	void (*vcpu_put)(struct hvm_vcpu *v);
	/*
	 * run() - enter the guest until its next exit; v is loaded. Interrupts are on
	 * when called and when it returns. *kick is read after interrupts are held
	 * off; when non-zero the guest is not entered and HVM_EXIT_HOST is returned,
	 * so that a request posted before the entry is never missed. An event that
	 * was being delivered when an exit came is re-injected by the next run().
	 */
	void (*run)(struct hvm_vcpu *v, struct hvm_regs *regs, const u32 *kick,
		    struct hvm_exit *exit);

	/* -- state: v not running ---------------------------------------------------------- */
	void (*get_seg)(struct hvm_vcpu *v, enum hvm_seg seg, struct hvm_segment *out);
	void (*set_seg)(struct hvm_vcpu *v, enum hvm_seg seg, const struct hvm_segment *in);
	void (*get_dtable)(struct hvm_vcpu *v, bool idt, struct hvm_dtable *out);
	void (*set_dtable)(struct hvm_vcpu *v, bool idt, const struct hvm_dtable *in);
	/*
	 * get_sys()/set_sys() - raw values as the guest sees them; the caller has
	 * checked them (guest/vm). Changing CR0/CR3/CR4/EFER flushes what must be.
	 */
	u64 (*get_sys)(struct hvm_vcpu *v, enum hvm_sysreg reg);
	void (*set_sys)(struct hvm_vcpu *v, enum hvm_sysreg reg, u64 value);
	/* cpl() - current privilege level. */
	u8 (*cpl)(struct hvm_vcpu *v);
	/* code() - where instructions are fetched, and in which mode. */
	struct hvm_code (*code)(struct hvm_vcpu *v);
	/* exit_raw() - vendor code and information of the last exit, for dumps. */
	void (*exit_raw)(struct hvm_vcpu *v, u64 raw[4]);

	/* -- events ------------------------------------------------------------------------- */
	/* inject() - deliver at the next entry; -EBUSY when one is already queued. */
	int (*inject)(struct hvm_vcpu *v, const struct hvm_event *ev) MUST_CHECK;
	/* event_queued() - is an event (also one to re-inject) waiting for the next entry? */
	bool (*event_queued)(struct hvm_vcpu *v);
	/* irq_ready() - IF set, no shadow, nothing queued: inject() of an INTR would work. */
	bool (*irq_ready)(struct hvm_vcpu *v, const struct hvm_regs *regs);
	/* irq_window() - ask for (or cancel) HVM_EXIT_IRQ_WINDOW. */
	void (*irq_window)(struct hvm_vcpu *v, bool on);
	/* nmi_ready() - not blocked by an NMI in service or a shadow. */
	bool (*nmi_ready)(struct hvm_vcpu *v);
	void (*nmi_window)(struct hvm_vcpu *v, bool on);
	/*
	 * apic_page() - TPR, ISR, TMR and IRR at their xAPIC offsets (SDM vol. 3 §11.4.1), for the
	 * CPU to deliver from: 4 KiB, zeroed. NULL: this backend or CPU cannot.
	 */
	u32 *(*apic_page)(struct hvm_vcpu *v);
	/*
	 * apic_posted() - a descriptor (kernel/base/posted.h) for edge-triggered vectors. While v
	 * is in the guest and delivers from its page, IRQ_VECTOR_NOTIFY makes the CPU take them;
	 * run() does not enter with some outstanding but returns HVM_EXIT_HOST. NULL, or a NULL
	 * op: this backend or CPU cannot.
	 */
	u64 *(*apic_posted)(struct hvm_vcpu *v);
	/*
	 * apic_update() - v is loaded; direct: from now on the CPU delivers from the page and
	 * serves TPR and EOI itself, as x2APIC registers; to be called again when the page was
	 * changed. Not direct: the page means nothing.
	 */
	void (*apic_update)(struct hvm_vcpu *v, bool direct);
	/* shadow_clear() - the instruction at RIP was emulated: STI/MOV SS shadow is over. */
	void (*shadow_clear)(struct hvm_vcpu *v);

	/* -- to another host: v is in no CPU (after vcpu_put(), or never loaded) ---------- */
	void (*get_state)(struct hvm_vcpu *v, struct hvm_state *out);
	/* set_state() - v was reset. -EINVAL: MXCSR or XSTATE_BV with bits that this CPU lacks, an
	 * event of no known type. */
	int (*set_state)(struct hvm_vcpu *v, const struct hvm_state *in) MUST_CHECK;

	/* -- second stage --------------------------------------------------------------------- */
	/* tlb_flush() - drop all of v's guest translations at its next entry. */
	void (*tlb_flush)(struct hvm_vcpu *v);
	/*
	 * written() - the pages mapped with PG_LOG that v wrote since it was last asked: *n GPAs,
	 * to be read before the next entry. After each exit: tlb_flush() forgets what was not asked
	 * for. NULL when stage2_fmt has no PG_LOG.
	 */
	const u64 *(*written)(struct hvm_vcpu *v, u32 *n);
};

extern const struct hvm_ops svm_ops;
extern const struct hvm_ops vmx_ops;

/** hvm_host_cpuid() - CPUID of the host, for CPU policies. */
void hvm_host_cpuid(u32 leaf, u32 subleaf, struct cpuid_regs *out);

#endif
