/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine: memory, buses, devices, vCPUs, life cycle.
 */
#ifndef GUEST_VM_VM_H
#define GUEST_VM_VM_H

#include "guest/mem/gmap.h"
#include "guest/vm/cpu_policy.h"
#include "guest/vm/io_bus.h"
#include "guest/vm/vcpu.h"
#include "guest/vm/vdev.h"
#include "kernel/core/bootmod.h"
#include "kernel/core/config.h"
#include "kernel/core/lock.h"
#include "kernel/mm/pgtable.h"
#include "kernel/mm/pool.h"

#define VM_MAX	     32
#define VM_MAX_VCPUS 16
#define VM_MAX_VDEVS 32

/*
 *  CREATED --start--> RUNNING <--pause/resume--> PAUSED
 *  RUNNING, PAUSED --stop, power-off--> OFF --start--> RUNNING
 *  RUNNING --guest error--> FAILED (kept for 'vm dump') --start--> RUNNING
 *  OFF --vm_receive--> INCOMING (a stream fills it) --all there--> PAUSED --resume--> RUNNING
 */
enum vm_state { VM_OFF, VM_RUNNING, VM_PAUSED, VM_FAILED, VM_INCOMING };

/*
 * Lifetime: (c) set at creation, (r) reset by each start. Lock: (L) vm->lock, (P) all vCPUs parked.
 */
struct vm {
	struct spinlock lock;
	u32 index;				/* slot in the table of VMs (c) */
	char name[CONFIG_NAME_LEN];		/* (c) */
	struct config_vm own_config;		/* (c) */
	const struct config_vm *config;		/* that one (c) */
	u32 state;				/* enum vm_state (L) */
	char reason[160];			/* why it is OFF or FAILED (L) */
	struct pool_owner owner;		/* its account in the frame pool */
	const struct hvm_ops *ops;		/* (c) */
	bool vendor_amd;			/* (c) */
	struct hvm_vm *hvm;			/* (r,P) */
	struct gmap mem;			/* (r,P) */
	bool keep_ram; /* (r,P) a device may still reach it: it is never given back */
	struct spinlock ram_lock;		/* changes of stage2, clearing of RAM */
	struct pgtable stage2;			/* (r) RAM (P), device memory (L) */
	struct pgtable_change stale;		/* what vCPUs may still walk of stage2 (L) */
	hpa_t spare;				/* chain of pages for tables (ram_lock) */
	u64 *log;				/* for mem.dirty, kept from its first use (r) */
	const void *log_user;			/* who logs writes to RAM now (control) */
	u64 page_ns;				/* wait at the first write to a page in the log */
	struct io_bus ports;			/* (r) (L) */
	struct io_bus mmio;			/* (r) (L) */
	struct vdev *vdev[VM_MAX_VDEVS];	/* (r,P) */
	u32 vdevs;
	u32 vcpus;				/* (c) */
	struct vcpu *vcpu[VM_MAX_VCPUS];	/* (r,P) */
	struct cpu_policy *policy;		/* (r,P) */
	void *machine;				/* devices/platform private (r) */
	u64 tsc_offset;				/* VM time in ticks = host TSC + tsc_offset (P) */
	u64 paused_at;				/* VM time in ticks when it was paused (P) */
	bool clock_runs;			/* paused, but its clock is to go on (P) */
	bool moved;				/* it came by a stream: to be announced (P) */
	bool migrating;				/* leaves or arrives: guest/migrate has it */
	u32 pending;				/* VM_PENDING_*, atomic: work for the control CPU */
};

/** vm_init() - once at boot, with the backend that this CPU has and whether it is an AMD. */
void vm_init(const struct hvm_ops *ops, bool vendor_amd, const struct bootmods *modules);

/** vm_on_delete() - fn frees what outlives power-off, for a VM that is deleted. Once at boot. */
void vm_on_delete(void (*fn)(struct vm *vm));

/** vm_modules() - the boot modules that kernels are loaded from. */
const struct bootmods *vm_modules(void);

/** vm_state_name() - enum vm_state in a word. */
const char *vm_state_name(u32 state);

/* What a VM may use besides its RAM: tables, vCPUs, devices. */
#define VM_OVERHEAD(memory) ((4ull << 20) + (memory) / 256)

#define VM_PENDING_POWEROFF BIT(0)
#define VM_PENDING_RESET    BIT(1)
#define VM_PENDING_FAIL	    BIT(2)

/* The devices side of a VM, registered once by devices/platform. */
struct vm_machine_ops {
	/* build() - create all devices of vm on its buses; on failure everything is undone, and why
	 * may say more than it did. */
	int (*build)(struct vm *vm, char *why, size_t why_size) MUST_CHECK;
	void (*destroy)(struct vm *vm);
	/* reset() - all devices to power-on state. */
	void (*reset)(struct vm *vm);
	/* console_input() - bytes typed at the VM's console; returns how many were taken. */
	size_t (*console_input)(struct vm *vm, const u8 *data, size_t len);
};

/** vm_register_machine() - once, at boot, before the first VM; ops stay the caller's. */
void vm_register_machine(const struct vm_machine_ops *ops);

/**
 * vm_ns() - the VM's clock, nanoseconds since its start, standing still while paused; the
 * guest's TSC (as long as it does not write it) is the same clock in ticks.
 */
u64 vm_ns(const struct vm *vm);
/** vm_ns_to_host_tsc() - host TSC at which the VM's clock will read ns (if it keeps running). */
u64 vm_ns_to_host_tsc(const struct vm *vm, u64 ns);

/** vm_power_off(), vm_request_reset() - what the guest asked for by ACPI, port CF9 or triple fault;
 * posts the work and makes the calling vCPU leave its loop. Context: any. */
void vm_power_off(struct vm *vm, const char *reason);
void vm_request_reset(struct vm *vm, const char *reason);

/**
 * vm_fail() - a guest error that only this VM pays for: all its vCPUs stop, its registers and
 * the reason are dumped to the log, everything else goes on. Context: vCPU loop.
 */
void vm_fail(struct vm *vm, struct vcpu *v, const char *f, ...) PRINTF_LIKE(3, 4);

/** vm_console_write() - bytes the guest's console UART sent; to whoever is attached, and
 * to the VM's console ring. Context: vCPU loop. */
void vm_console_write(struct vm *vm, const u8 *data, size_t len);

/** vm_console_input() - typed bytes to the guest's console UART; returns how many were taken (0:
 * the VM is off). Boot CPU, softirq. */
size_t vm_console_input(struct vm *vm, const u8 *data, size_t len);

/** vm_find(), vm_at() - by name; by index (NULL slots are empty). */
struct vm *vm_find(const char *name);
struct vm *vm_at(u32 index);

/*
 * Life cycle, called by control on the boot CPU, never from a vCPU loop. 'why' gets the reason
 * of a failure in words. All undo what they began when they fail.
 */
/** vm_rename() - to a name that no VM has. */
void vm_rename(struct vm *vm, const char *name);

/** vm_quiesce() - all devices make their fields true; a migrating VM's NICs leave the switch. vCPUs
 * parked. Locks: vm->lock held. */
void vm_quiesce(struct vm *vm);

/* vm_create() keeps a copy of config. */
int MUST_CHECK vm_create(const struct config_vm *config, char *why, size_t why_size);
int MUST_CHECK vm_delete(struct vm *vm, char *why, size_t why_size);
int MUST_CHECK vm_start(struct vm *vm, char *why, size_t why_size);
int MUST_CHECK vm_stop(struct vm *vm, char *why, size_t why_size);
int MUST_CHECK vm_pause(struct vm *vm, char *why, size_t why_size);
int MUST_CHECK vm_resume(struct vm *vm, char *why, size_t why_size);
int MUST_CHECK vm_reset(struct vm *vm, char *why, size_t why_size);

/**
 * vm_hold(), vm_let_go() - all vCPUs stand still for a change that is soon over: the VM's clock and
 * its devices run on. A VM that does not run stands still anyway: nothing
 * happens. -ETIMEDOUT: a vCPU did not park, none stays parked. Context: control.
 */
int MUST_CHECK vm_hold(struct vm *vm, char *why, size_t why_size);
void vm_let_go(struct vm *vm);

/**
 * vm_receive() - OFF to INCOMING: everything is built and in power-on state, RAM is zero, no kernel
 * is loaded. vm_stop() undoes it. Context: as above.
 */
int MUST_CHECK vm_receive(struct vm *vm, char *why, size_t why_size);

/**
 * vm_devices_resume() - all devices check their fields and go on from the VM's clock, which stood
 * at vm->paused_at. vCPUs parked. -EINVAL..., why says which device. NICs of an INCOMING VM stay
 * still.
 */
int MUST_CHECK vm_devices_resume(struct vm *vm, char *why, size_t why_size);

#endif
