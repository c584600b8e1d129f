/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvmclock: the page that tells the guest how its TSC relates to its clock. As the VM clock
 * is the guest's TSC in nanoseconds, one page holds for the guest's life; it is written again
 * only when the guest asks or its TSC is changed.
 */
#include "guest/mem/gmem.h"
#include "guest/vm/exit.h"
#include "guest/vm/vm.h"
#include "kernel/core/log.h"
#include "kernel/core/timer.h"
#include "kernel/core/wallclock.h"

#define KVMCLOCK_ENABLE	    BIT(0)
#define KVMCLOCK_TSC_STABLE BIT(0)

struct pvclock_vcpu_time {
	u32 version;
	u32 pad0;
	u64 tsc_timestamp;
	u64 system_time;
	u32 tsc_to_system_mul;
	s8 tsc_shift;
	u8 flags;
	u8 pad[2];
} PACKED;

struct pvclock_wall_clock {
	u32 version;
	u32 sec;
	u32 nsec;
} PACKED;

STATIC_ASSERT(sizeof(struct pvclock_vcpu_time) == 32, "guest ABI");
STATIC_ASSERT(sizeof(struct pvclock_wall_clock) == 12, "guest ABI");

/* ns = ((ticks << shift) * mul) >> 32, with mul in [2^31, 2^32). */
static void set_scale(struct pvclock_vcpu_time *t, u64 khz)
{
	u64 base = khz, ns = 1000000;
	s8 shift = 0;

	while (base > ns * 2) {
		base >>= 1;
		shift--;
	}
	while (base <= ns) {
		base <<= 1;
		shift++;
	}
	t->tsc_shift = shift;
	t->tsc_to_system_mul = (u32)((ns << 32) / base);
}

/*
 * The guest reads its own page on its own vCPU, which is not running now, and other vCPUs'
 * pages only under the version protocol: odd while it changes.
 */
void kvmclock_write(struct vcpu *v)
{
	gpa_t gpa = v->msr.kvm_system_time & ~KVMCLOCK_ENABLE;
	struct pvclock_vcpu_time t = { .flags = KVMCLOCK_TSC_STABLE };
	int rc;

	if (!(v->msr.kvm_system_time & KVMCLOCK_ENABLE))
		return;
	set_scale(&t, tsc_khz());
	t.tsc_timestamp = vcpu_tsc(v);
	t.system_time = tsc_to_ns(t.tsc_timestamp - v->msr.tsc_adjust);
	t.version = ++v->kvmclock_version;
	rc = gmem_write(&v->vm->mem, gpa, &t, sizeof(t));
	if (!rc) {
		t.version = ++v->kvmclock_version;
		rc = gmem_write(&v->vm->mem, gpa, &t.version, sizeof(t.version));
	}
	if (rc) {
		v->kvmclock_version &= ~1u;
		log_warn("vm %s: vcpu %u: kvmclock page at %#lx is not RAM: not written",
			 v->vm->name, v->id, gpa);
	}
}

u64 kvmclock_read(struct vcpu *v, u64 vm_ticks)
{
	struct pvclock_vcpu_time t;
	u64 ticks = vm_ticks + v->msr.tsc_adjust;

	if (!(v->msr.kvm_system_time & KVMCLOCK_ENABLE) ||
	    gmem_read(&v->vm->mem, v->msr.kvm_system_time & ~KVMCLOCK_ENABLE, &t, sizeof(t)))
		return tsc_to_ns(vm_ticks);
	ticks -= t.tsc_timestamp;
	/* The page is the guest's to write: whatever it says, this is defined. */
	ticks = t.tsc_shift < 0 ? ticks >> (-t.tsc_shift & 63) : ticks << (t.tsc_shift & 63);
	return t.system_time + (u64)((unsigned __int128)ticks * t.tsc_to_system_mul >> 32);
}

void kvmclock_wall_write(struct vcpu *v, gpa_t gpa)
{
	u64 boot_ns = wallclock_ns() - vm_ns(v->vm);
	struct pvclock_wall_clock w = { .version = 2, .sec = (u32)(boot_ns / 1000000000),
					.nsec = (u32)(boot_ns % 1000000000) };

	if (gmem_write(&v->vm->mem, gpa, &w, sizeof(w)))
		log_warn("vm %s: vcpu %u: wall clock page at %#lx is not RAM: not written",
			 v->vm->name, v->id, gpa);
}
