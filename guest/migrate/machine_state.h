/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole virtual machine as records of the migration stream, without its RAM: what it is and runs
 * under first, so that a refusal comes early; then, when it stands still, clock, vCPUs, devices.
 */
#ifndef GUEST_MIGRATE_MACHINE_STATE_H
#define GUEST_MIGRATE_MACHINE_STATE_H

#include "guest/migrate/stream.h"
#include "kernel/core/config.h"

struct vm;

/* All functions: control context (boot CPU, softirq), no lock held. */

/**
 * mig_can_move() - has vm only what a stream can carry? 0; -ENOTSUP (a passed-through function, a
 * disk, a service VM), -EBUSY (neither running nor paused), with the reason in why.
 */
int MUST_CHECK mig_can_move(const struct vm *vm, char *why, size_t why_size);

/**
 * mig_save_intro(), mig_save_machine() - one record after the other, complete with head, into buf
 * (MIG_RECORD_BUF bytes). *step: 0 at first. Return the bytes in buf to send, 0: no more.
 * Intro: MIG_CONFIG, MIG_HOST; vm may run. Machine: MIG_CLOCK, MIG_VCPU..., MIG_DEVICE...; vm is
 * paused; at: the receiver's time_ns() when it stopped, 0: not known. A sender sends intro, RAM,
 * machine, MIG_END; MIG_CLOCK alone may come before the last of the RAM.
 */
u32 mig_save_intro(struct vm *vm, u32 *step, struct mig_sum *sum, u8 *buf);
u32 mig_save_machine(struct vm *vm, u64 at, u32 *step, struct mig_sum *sum, u8 *buf);

/**
 * mig_load_config() - record MIG_CONFIG. Gives the configuration that vm_create() wants; nothing in
 * it is believed. -EPROTO, -EINVAL, -ENOMEM with the reason in why.
 */
int MUST_CHECK mig_load_config(const struct mig_record *r, struct config_vm *out, char *why,
			       size_t why_size);

/**
 * mig_check_host() - record MIG_HOST: would vm, which vm_receive() made here of the same
 * configuration, look the same to the guest? -EPROTO (malformed), -ENOTSUP (other backend, CPU
 * policy, clock rate, device), with the reason in why.
 */
int MUST_CHECK mig_check_host(const struct vm *vm, const struct mig_record *r, char *why,
			      size_t why_size);

/* A receiver of machine state. */
struct mig_machine {
	struct vm *vm;	/* in state VM_INCOMING */
	bool has_clock;
	u32 vcpus;	/* bit per vCPU: loaded */
	u32 vdevs;	/* bit per device of vm: loaded */
	u64 tsc[16];	/* guest TSC of each vCPU when the clock stopped */
	u64 began;	/* time_ns() when it did: the guest still ran then */
	u64 stopped;	/* host TSC when the clock stopped, or when MIG_CLOCK came */
};

/**
 * mig_load_machine() - one of the records MIG_CLOCK, MIG_VCPU, MIG_DEVICE. -EPROTO (malformed,
 * twice, not a part of this VM), -EINVAL (values that no machine can have), with the reason in why;
 * vm is then to be thrown away.
 */
int MUST_CHECK mig_load_machine(struct mig_machine *m, const struct mig_record *r, char *why,
				size_t why_size);

/**
 * mig_machine_check() - after MIG_END: is everything there, does each device accept what it got?
 * When it returns 0, mig_machine_start() will not fail for what the stream said. -EPROTO, -EINVAL.
 */
int MUST_CHECK mig_machine_check(struct mig_machine *m, char *why, size_t why_size);

/**
 * mig_machine_start() - the guest goes on here: its clock goes on from what MIG_CLOCK said, and has
 * not stood still since; every enabled queue looked at once, every
 * pending vector raised once, its address announced, vCPUs run. paused: all of that when it is
 * resumed.
 */
int MUST_CHECK mig_machine_start(struct mig_machine *m, bool paused, char *why, size_t why_size);

#endif
