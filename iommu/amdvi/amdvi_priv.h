/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of the AMD-Vi units, shared by the driver's files; under the IOMMU's lock.
 */
#ifndef IOMMU_AMDVI_AMDVI_PRIV_H
#define IOMMU_AMDVI_AMDVI_PRIV_H

#include "arch/x86/io.h"
#include "iommu/amdvi/amdvi_cmd.h"
#include "iommu/amdvi/amdvi_tbl.h"
#include "iommu/amdvi/ivrs.h"
#include "iommu/driver.h"

/* Registers (§3.4) */
#define AMDVI_REGS	0x4000u
#define AMDVI_DEVTAB	0x0000
#define AMDVI_CMDBUF	0x0008
#define AMDVI_EVTLOG	0x0010
#define AMDVI_CONTROL	0x0018
#define AMDVI_EFR	0x0030
#define AMDVI_CMD_HEAD	0x2000
#define AMDVI_CMD_TAIL	0x2008
#define AMDVI_EVT_HEAD	0x2010
#define AMDVI_EVT_TAIL	0x2018
#define AMDVI_STATUS	0x2020

#define AMDVI_CTL_ENABLE     BIT(0)
#define AMDVI_CTL_HT_TUNNEL  BIT(1)
#define AMDVI_CTL_EVENTS     BIT(2)
#define AMDVI_CTL_EVENT_IRQ  BIT(3)
#define AMDVI_CTL_PASS_PW    BIT(8)
#define AMDVI_CTL_RES_PASS   BIT(9)
#define AMDVI_CTL_COHERENT   BIT(10)
#define AMDVI_CTL_ISOC	     BIT(11)
#define AMDVI_CTL_COMMANDS   BIT(12)
#define AMDVI_CTL_WIDE_IRQ   BIT(17) /* GAEn */
#define AMDVI_CTL_X2APIC     BIT(50) /* XTEn */

#define AMDVI_STATUS_OVERFLOW BIT(0)
#define AMDVI_STATUS_EVENT    BIT(1)

#define AMDVI_IRTES	 256u /* of a table; an I/O APIC's are selected by vector */
#define AMDVI_IRTE_ORDER 8
#define AMDVI_IRQ_TABLES (IOMMU_DEVICES + 32u)

struct amdvi_unit {
	struct iommu_unit u;
	struct amdvi_caps caps;
	struct amdvi_cmd *commands;
	u32 tail;
	volatile u64 *done; /* the wait commands' word */
	u64 sequence;
	volatile u64 *events;
	bool running;
};

/* The interrupt table of a requester id. */
struct amdvi_irqs {
	bool used;
	u16 bdf;
	u8 *entries; /* 4 or 16 bytes each */
	u64 taken[AMDVI_IRTES / 64];
};

struct amdvi_state {
	struct ivrs ivrs;
	struct amdvi_unit unit[IOMMU_UNITS];
	u32 units;
	bool x2apic; /* 128-bit interrupt entries, 32-bit destinations */
	struct amdvi_dte *devices; /* one table for all units of segment 0 */
	struct amdvi_dte *others;  /* and one for the rest, where everything is blocked */
	struct iommu_table blocked;
	struct amdvi_irqs irqs[AMDVI_IRQ_TABLES];
};

extern struct amdvi_state amdvi;

/**
 * amdvi_submit() - n commands, and wait until they are done. -ETIMEDOUT: the unit is out of order.
 */
int MUST_CHECK amdvi_submit(struct amdvi_unit *u, const struct amdvi_cmd *c, u32 n);

/** amdvi_refresh() - write bdf's device table entry anew, with its interrupt table as it is now. */
int MUST_CHECK amdvi_refresh(u32 unit, u16 bdf);

/* amdvi_ir.c */
struct amdvi_irqs *amdvi_irqs_of(u16 bdf);
int amdvi_irq_reserve(u32 unit, u16 bdf, u16 count) MUST_CHECK;
int amdvi_irq_set(u32 unit, u16 bdf, u16 index, u8 vector, u32 dest) MUST_CHECK;
void amdvi_irq_release(u32 unit, u16 bdf, u16 index, u16 count);
void amdvi_irq_drop(u32 unit, u16 bdf);
struct iommu_msi amdvi_irq_message(u16 first, u16 i);
u32 amdvi_irq_dest_max(void);
int amdvi_ioapic(u8 id, u32 pin, const struct iommu_line *l, u64 *rte) MUST_CHECK;

/* amdvi_event.c */
int amdvi_fault_irq(u32 unit, u8 vector, u32 dest) MUST_CHECK;
bool amdvi_poll(u32 unit, struct iommu_fault *out);

#endif
