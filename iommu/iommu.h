/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DMA and interrupt remapping: which memory and which interrupts a PCI function may reach.
 * One interface; VT-d or AMD-Vi is behind it as the firmware's tables say, or nothing.
 *
 * A function is in exactly one of these states:
 *   quarantine   all its DMA and interrupts are blocked (its firmware-reserved memory excepted)
 *   attached     its DMA goes through one domain's table, nothing else is reachable
 * Without IOMMU iommu_attach() answers -ENODEV and drivers use memory as it is.
 * Before iommu_init(), and on a machine without IOMMU, every function can reach all memory.
 *
 * Locks: all functions take the IOMMU's lock (rank LOCK_DOM) themselves; the caller may hold locks
 * of lower rank (VM, PF, VDEV). Callbacks (struct iommu_client) run without that
 * lock, perhaps in softirq context, but under whatever the caller of the function holds: they only
 * post.
 */
#ifndef IOMMU_IOMMU_H
#define IOMMU_IOMMU_H

#include "iommu/resv.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/mm/pgfmt.h"

struct acpi_info;
struct pool_owner;
struct iommu_domain;

#define IOMMU_DOMAINS  128  /* besides the host's */
#define IOMMU_DEVICES  512  /* functions attached at a time */

/* Interrupt messages go here: no domain can map it, no DMA is translated there. */
#define IOMMU_MSI_BASE RESV_MSI_BASE
#define IOMMU_MSI_SIZE RESV_MSI_SIZE

/* ---- boot ---------------------------------------------------------------------------------- */

/**
 * iommu_init() - find the remapping units, block everything, enable translation and interrupt
 * remapping. After pci_enumerate() and irq_init(), before any driver; masters
 * that firmware left on are switched off first. a stays readable for good.
 * Returns 0, also when the machine has no IOMMU; -EPROTO (DMAR or IVRS damaged), -ENOTSUP (a
 * unit lacks something that is needed), -ENOMEM, -ETIMEDOUT: named in the log, nothing
 * is enabled then and iommu_present() is false. Context: boot CPU.
 * Manual: VT-d §6, §10, §11.4; AMD I/O virtualization specification §2, §3.
 */
int MUST_CHECK iommu_init(const struct acpi_info *a);

/** iommu_present() - is DMA translated? Without it no device can be given to a guest. */
bool iommu_present(void);

/** iommu_remaps_irqs() - are interrupts of devices checked and remapped as well? */
bool iommu_remaps_irqs(void);

/** iommu_name() - "VT-d", "AMD-Vi" or "none". */
const char *iommu_name(void);

/* ---- domains ------------------------------------------------------------------------------- */

struct iommu_fault {
	u16 bdf;	  /* requester id as the unit saw it */
	u64 addr;	  /* device address; for an interrupt: its index */
	bool write, irq;
	u32 reason;	  /* the unit's own code */
	const char *text; /* what it means */
};

/* Whose domain it is. */
struct iommu_client {
	const char *name; /* for the log and the 'iommu' verb; copied, at most 31 characters */
	struct pool_owner *account; /* pays for the table's pages; lives longer than the domain */
	void *ctx;
	/*
	 * fault() - a device of this domain was blocked; at most ten calls a second. May be NULL.
	 */
	void (*fault)(void *ctx, const struct iommu_fault *f);
	/*
	 * broken() - bdf does not obey any more (an invalidation was not answered in time): it
	 * was detached and its bus mastering switched off. The VM it belongs to must stop, and
	 * the memory it could reach must not be used again. May be NULL.
	 */
	void (*broken)(void *ctx, u16 bdf);
};

/**
 * iommu_domain_create() - an empty domain. Returns 0; -ENODEV (no IOMMU), -ENOSPC (more than
 * IOMMU_DOMAINS, logged), -ENOMEM.
 */
int MUST_CHECK iommu_domain_create(const struct iommu_client *c, struct iommu_domain **out);

/**
 * iommu_domain_destroy() - free it. d may be NULL. Returns 0; -EBUSY while a device is attached;
 * -ETIMEDOUT: a unit that does not answer may still walk its table, so table and record
 * stay for good (and so must the account and the memory that was mapped).
 */
int MUST_CHECK iommu_domain_destroy(struct iommu_domain *d);

/** iommu_host() - the domain of the hypervisor's own drivers; NULL without IOMMU. */
struct iommu_domain *iommu_host(void);

/** iommu_limit() - device addresses of a domain are below this power of two; 0 without IOMMU. */
u64 iommu_limit(void);

/**
 * iommu_map() - devices of d see [hpa, hpa+len) at iova, all three multiples of 4 KiB; rights:
 * PG_R, PG_R | PG_W. In effect on return. Returns 0; -EINVAL (unaligned, beyond iommu_limit(),
 * overlaps the interrupt range), -EEXIST (something is mapped there), -ENOMEM; -ETIMEDOUT as
 * iommu_unmap(). Nothing is mapped on failure.
 */
int MUST_CHECK iommu_map(struct iommu_domain *d, iova_t iova, hpa_t hpa, u64 len, u64 rights);

/**
 * iommu_unmap() - take [iova, iova+len) away; holes are fine. On return no DMA that was translated
 * before is under way. Returns 0; -EINVAL; -ENOMEM (nothing was unmapped); -ETIMEDOUT: a
 * unit did not answer, the devices were detached and broken() called for each; the caller
 * must not use the memory again.
 */
int MUST_CHECK iommu_unmap(struct iommu_domain *d, iova_t iova, u64 len);

/** iommu_protect() - give what is mapped in the range these rights. Errors as iommu_unmap(). */
int MUST_CHECK iommu_protect(struct iommu_domain *d, iova_t iova, u64 len, u64 rights);

/**
 * iommu_lookup() - where iova leads. -EFAULT: nowhere. *left: bytes mapped on from there, at least.
 */
int MUST_CHECK iommu_lookup(struct iommu_domain *d, iova_t iova, hpa_t *hpa, u64 *left);

/* ---- devices ------------------------------------------------------------------------------- */

/**
 * iommu_check() - may the function be given to a guest? Returns 0; else why says the reason:
 * -ENODEV (no IOMMU, or no unit serves it), -EPERM (firmware keeps memory mapped for it),
 * -ENOTSUP (shares its requester id with others, or interrupts are not remapped). ACS is
 * the caller's business. bdf need not exist yet (virtual functions).
 */
int MUST_CHECK iommu_check(u16 bdf, char *why, size_t why_size);

/**
 * iommu_attach() - from quarantine into d. Its bus mastering is the caller's to switch on
 * afterwards. Memory that firmware reserves for it becomes mapped one to one in the host's domain;
 * into any other such a function is refused. Returns 0; -ENODEV (no unit serves it), -EBUSY
 * (attached already), -EPERM (reserved memory), -ENOTSUP (shares its requester id with others),
 * -ENOSPC, -ENOMEM, -ETIMEDOUT (it is still blocked).
 */
int MUST_CHECK iommu_attach(struct iommu_domain *d, u16 bdf);

/**
 * iommu_detach() - back into quarantine; the function has been quiesced or reset. Its interrupts
 * are freed: records of them are not to be used any more. Returns 0; -ENOENT (not attached);
 * -ETIMEDOUT: blocked in the table, bus mastering off, but its unit did not confirm: memory it
 * could reach must not be used again.
 */
int MUST_CHECK iommu_detach(u16 bdf);

/** iommu_domain_of() - the domain a function is attached to, NULL: quarantine. */
struct iommu_domain *iommu_domain_of(u16 bdf);

/* ---- interrupts ------------------------------------------------------------------------------ */

/* A block of interrupts of one function; contents are the IOMMU's own. */
struct iommu_irq {
	u16 bdf;
	u16 first; /* table index */
	u16 count;
	bool used;
};

/* What goes into an MSI capability or an MSI-X table entry. */
struct iommu_msi {
	u64 address;
	u32 data;
};

/**
 * iommu_irq_alloc() - count interrupts for an attached function, all blocked: a power of two up to
 * 32 for MSI, any up to 256 for MSI-X (one call for the whole table, or one a vector). Works
 * without interrupt remapping too, for any function: messages are the plain ones then, each on its
 * own, so MSI can have one only. Returns 0; -EINVAL, -ENODEV (not attached), -ENOSPC (table full,
 * logged).
 */
int MUST_CHECK iommu_irq_alloc(u16 bdf, u16 count, struct iommu_irq *out);

/**
 * iommu_irq_route() - interrupt i of the block goes to the host's vector on the CPU with APIC id
 * dest; *msg is what the device has to send: entry i of MSI-X, or with i == 0 the MSI
 * capability's for all of the block. May be called again to move it: *msg stays the same then
 * (without remapping it changes). Returns 0; -EINVAL, -ERANGE (dest needs more bits than there
 * are), -ETIMEDOUT (the old route may still be in use).
 */
int MUST_CHECK iommu_irq_route(const struct iommu_irq *q, u16 i, u8 vector, u32 dest,
			       struct iommu_msi *msg);

/** iommu_irq_block() - interrupt i is dropped from now on. Errors as iommu_irq_route(). */
int MUST_CHECK iommu_irq_block(const struct iommu_irq *q, u16 i);

/**
 * iommu_irq_free() - block and give back; the device does not send them any more. q may be unused.
 */
void iommu_irq_free(struct iommu_irq *q);

/* ---- looking at it ------------------------------------------------------------------- */

/* One function, for the 'iommu' verb. */
struct iommu_device_info {
	u16 bdf;
	u8 unit;
	char owner[32]; /* the client's name */
	u64 mapped;	/* bytes in its domain */
	u16 irqs;	/* blocks of interrupts */
	u64 faults;	/* since it was attached */
};

struct iommu_unit_info {
	hpa_t mmio;
	bool broken;
	bool irqs; /* remaps interrupts */
	u8 bits;   /* device addresses */
	u64 flushes, faults;
};

/** iommu_device_list(), iommu_unit_list() - copy at most max records; return how many there are. */
u32 iommu_device_list(struct iommu_device_info *out, u32 max);
u32 iommu_unit_list(struct iommu_unit_info *out, u32 max);

#define IOMMU_FAULTS_KEPT 32

struct iommu_fault_info {
	u64 time_ns; /* since boot */
	struct iommu_fault fault;
	char owner[32]; /* the client's name, "nobody" for a function in quarantine */
};

/** iommu_fault_list() - copy at most max of the newest faults, oldest first; returns how many. */
u32 iommu_fault_list(struct iommu_fault_info *out, u32 max);

/** iommu_stray_faults() - of functions in quarantine, since boot. */
u64 iommu_stray_faults(void);

/** iommu_poll() - read faults now instead of at their interrupt. Context: boot CPU, no locks. */
void iommu_poll(void);

#endif
