/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the records about configuration, CPU policy and vCPUs hold, and which of it this host
 * accepts. Pure; the bytes are docs/stream.md.
 */
#ifndef GUEST_MIGRATE_RECORDS_H
#define GUEST_MIGRATE_RECORDS_H

#include "arch/hvm.h"
#include "guest/vm/cpu_policy.h"
#include "guest/vm/cpu_state.h"
#include "guest/vm/vdev.h"
#include "kernel/core/config.h"

/** mig_config_text() - c as a section of godwit.conf, without what belongs to one host (pin). */
void mig_config_text(const struct config_vm *c, struct text *t);

/**
 * mig_config_bound() - what ties a VM of this configuration to one host, for a sentence; NULL:
 * nothing. leaves: its guest lets go of a team's primary first, whatever that is. A stream that
 * names parts of a host wants what it must not have.
 */
const char *mig_config_bound(const struct config_vm *c, bool leaves);

/* ---- the host ---------------------------------------------------------------------------- */

#define MIG_DEVICES	32u
#define MIG_DEVICE_NAME 16u

/* What the guest runs under. Unused entries are zero. */
struct mig_host {
	char backend[8];
	u64 tsc_khz;
	u64 cr4_valid, efer_valid, xcr0_valid;
	u8 maxphyaddr;
	u32 cpuid[CPU_POLICY_LEAVES * 6]; /* leaf, subleaf (~0: any), EAX, EBX, ECX, EDX */
	char device[MIG_DEVICES * MIG_DEVICE_NAME];
	u32 instance[MIG_DEVICES], version[MIG_DEVICES];
};

extern const struct vmstate_field mig_host_fields[];
extern const u32 mig_host_nfields;

/** mig_host_make() - fill *h (zeroed here); at most MIG_DEVICES of the n devices fit. */
void mig_host_make(struct mig_host *h, const char *backend, u64 tsc_khz, const struct cpu_policy *p,
		   struct vdev *const *dev, u32 n);

/** mig_host_check() - may a guest of theirs go on under ours? 0, or -ENOTSUP with the reason. */
int MUST_CHECK mig_host_check(const struct mig_host *theirs, const struct mig_host *ours, char *why,
			      size_t why_size);

/* ---- a vCPU -------------------------------------------------------------------------------- */

/* Numbered as in the stream. */
enum mig_run_state { MIG_RUNS, MIG_HALTED, MIG_WAITS_SIPI, MIG_RUN_STATES };

/* Arrays of segments in the order of enum hvm_seg; tables: GDTR, IDTR. */
struct mig_vcpu {
	struct hvm_regs regs;
	u64 seg_base[HVM_SEGS];
	u32 seg_limit[HVM_SEGS];
	u16 seg_sel[HVM_SEGS], seg_attr[HVM_SEGS];
	u64 table_base[2];
	u32 table_limit[2];
	u64 sys[HVM_SYSREGS]; /* but for HVM_TSC_OFFSET and HVM_CR8 */
	struct vcpu_msrs msr; /* but for tsc_adjust */
	struct hvm_state state;
	u64 tsc; /* the guest's, when the VM's clock stopped */
	u32 kvmclock_version;
	u8 run_state; /* enum mig_run_state */
	bool nmi_pending, init_pending, sipi_pending;
	u8 sipi_vector;
};

extern const struct vmstate_field mig_vcpu_fields[];
extern const u32 mig_vcpu_nfields;

/** mig_vcpu_check() - can a CPU of this policy be in this state? 0, or -EINVAL with what it is. */
int MUST_CHECK mig_vcpu_check(const struct mig_vcpu *v, const struct cpu_policy *p, char *why,
			      size_t why_size);

#endif
