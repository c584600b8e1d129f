/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of the IOMMU layer, shared by its files; all of it under iommu.lock once it is set up.
 */
#ifndef IOMMU_IOMMU_PRIV_H
#define IOMMU_IOMMU_PRIV_H

#include "iommu/driver.h"
#include "iommu/iommu.h"
#include "kernel/core/lock.h"

/* Ids: 0 is not used, 1 the empty domain, 2 the host's, then clients'. */
#define DOMAIN_EMPTY 1
#define DOMAIN_HOST  2
#define DOMAIN_FIRST 3
#define DOMAINS	     (IOMMU_DOMAINS + DOMAIN_FIRST)

struct iommu_domain {
	bool used;
	u16 id;
	char name[32];
	struct iommu_client client;
	struct pgtable pt;
	u64 mapped; /* bytes */
	bool tainted; /* a unit that does not answer may still walk the table: kept for good */
	u32 devices;
	u16 on_unit[IOMMU_UNITS]; /* devices by unit */
	u64 window_ns; /* fault() calls of this second */
	u32 in_window;
};

enum iommu_dev_state { DEV_FREE, DEV_ATTACHED, DEV_BROKEN };

struct iommu_dev {
	u8 state; /* enum iommu_dev_state */
	u8 unit;
	bool told; /* broken() has been called */
	u16 bdf;
	u16 alias; /* requester id that tables know it by */
	u16 irqs;  /* blocks */
	u64 faults;
	struct iommu_domain *domain;
	struct log_limit limit;
};

struct iommu_state {
	const struct iommu_driver *driver; /* NULL: none, or not enabled */
	struct iommu_common common;
	struct resv resv;
	struct spinlock lock;
	struct iommu_domain domain[DOMAINS];
	struct iommu_dev dev[IOMMU_DEVICES];
	u64 faults; /* of functions that are not attached */
	struct log_limit stray;
	struct iommu_fault_info kept[IOMMU_FAULTS_KEPT]; /* a ring */
	u64 recorded; /* all faults there were */
};

extern struct iommu_state iommu;

#define BDF_FMT	    "%02x:%02x.%x"
#define BDF_ARGS(b) (unsigned)((b) >> 8), (unsigned)((b) >> 3 & 31), (unsigned)((b) & 7)

/** iommu_dev_find_locked() - record of an attached (or broken) function, NULL: quarantine. */
struct iommu_dev *iommu_dev_find_locked(u16 bdf);

/** iommu_domain_open_locked() - set up record id with an empty table. -ENOMEM. */
int MUST_CHECK iommu_domain_open_locked(u16 id, const struct iommu_client *c);

/** iommu_table() - what the driver sees of a domain. */
struct iommu_table iommu_table(const struct iommu_domain *d);

/**
 * iommu_unit_failed_locked() - a wait on the unit ended: its devices are blocked and marked broken.
 */
void iommu_unit_failed_locked(u32 unit);

/** iommu_notify() - after the lock is released: broken() for those marked and not yet told. */
void iommu_notify(void);

/** iommu_reserve_locked() - map what firmware keeps for bdf into d. */
int MUST_CHECK iommu_reserve_locked(struct iommu_domain *d, u16 bdf);

/** iommu_quarantine_locked() - block bdf, but for what firmware keeps for it. Errors of set(). */
int MUST_CHECK iommu_quarantine_locked(u32 unit, u16 bdf, u16 alias, u16 old);

/** iommu_master() - switch a function's bus mastering on or off. */
void iommu_master(u16 bdf, bool on);

#endif
