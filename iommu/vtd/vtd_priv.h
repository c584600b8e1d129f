/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of the VT-d units, shared by the driver's files; under the IOMMU's lock.
 */
#ifndef IOMMU_VTD_VTD_PRIV_H
#define IOMMU_VTD_VTD_PRIV_H

#include "arch/x86/io.h"
#include "iommu/driver.h"
#include "iommu/vtd/dmar.h"
#include "iommu/vtd/vtd_qi.h"
#include "iommu/vtd/vtd_tbl.h"

/* Registers (§11.4) */
#define VTD_VER	    0x00
#define VTD_CAP	    0x08
#define VTD_ECAP    0x10
#define VTD_GCMD    0x18
#define VTD_GSTS    0x1c
#define VTD_RTADDR  0x20
#define VTD_FSTS    0x34
#define VTD_FECTL   0x38
#define VTD_FEDATA  0x3c
#define VTD_FEADDR  0x40
#define VTD_FEUADDR 0x44
#define VTD_PMEN    0x64
#define VTD_IQH	    0x80
#define VTD_IQT	    0x88
#define VTD_IQA	    0x90
#define VTD_IRTA    0xb8

/* Global command and status: the same bits. */
#define VTD_GCMD_TE    (1u << 31)
#define VTD_GCMD_SRTP  (1u << 30)
#define VTD_GCMD_WBF   (1u << 27)
#define VTD_GCMD_QIE   (1u << 26)
#define VTD_GCMD_IRE   (1u << 25)
#define VTD_GCMD_SIRTP (1u << 24)
#define VTD_GCMD_CFI   (1u << 23)
#define VTD_GSTS_KEEP  0x96ffffffu /* without the one-shot commands */

#define VTD_FSTS_PFO   (1u << 0)
#define VTD_FSTS_IQE   (1u << 4)
#define VTD_FSTS_ITE   (1u << 6)
#define VTD_FSTS_QUEUE (7u << 4) /* IQE, ICE, ITE */

#define VTD_IRTES      4096u /* interrupt entries of a unit */
#define VTD_IRTA_SIZE  11u   /* 2^(11 + 1) of them */
#define VTD_IRTA_EIME  (1u << 11)

struct vtd_unit {
	struct iommu_unit u;
	struct vtd_caps caps;
	struct vtd_entry *root; /* 256 entries, by bus */
	struct vtd_entry *queue;
	u32 tail;
	volatile u32 *status; /* the wait descriptors' word */
	u32 sequence;
	struct vtd_entry *irt;
	u32 *irt_owner; /* requester id | VTD_OWNED, 0: free */
	u32 fault_next;
};

#define VTD_OWNED 0x10000u

struct vtd_state {
	struct dmar dmar;
	struct vtd_unit unit[IOMMU_UNITS];
	u32 units;
	bool x2apic; /* interrupt tables have 32-bit destinations */
};

extern struct vtd_state vtd;

/** vtd_topology() - bridges, as DMAR scopes ask for them. */
const struct dmar_topology *vtd_topology(void);

/**
 * vtd_submit() - n descriptors, and wait until they are done. -ETIMEDOUT: the unit is out of order.
 */
int MUST_CHECK vtd_submit(struct vtd_unit *u, const struct vtd_entry *d, u32 n);

/** vtd_command() - set bits of GCMD (on) or clear them, and wait for status. -ETIMEDOUT. */
int MUST_CHECK vtd_command(struct vtd_unit *u, u32 bits, bool on);

/* vtd_ir.c */
int MUST_CHECK vtd_ir_alloc(struct vtd_unit *u);
int MUST_CHECK vtd_ir_enable(struct vtd_unit *u);
int vtd_irq_reserve(u32 unit, u16 bdf, u16 count) MUST_CHECK;
int vtd_irq_set(u32 unit, u16 bdf, u16 index, u8 vector, u32 dest) MUST_CHECK;
void vtd_irq_release(u32 unit, u16 bdf, u16 index, u16 count);
void vtd_irq_drop(u32 unit, u16 bdf);
struct iommu_msi vtd_irq_message(u16 first, u16 i);
u32 vtd_irq_dest_max(void);
int vtd_ioapic(u8 id, u32 pin, const struct iommu_line *l, u64 *rte) MUST_CHECK;

/* vtd_fault.c */
void vtd_fault_clear(struct vtd_unit *u);
int vtd_fault_irq(u32 unit, u8 vector, u32 dest) MUST_CHECK;
bool vtd_poll(u32 unit, struct iommu_fault *out);

#endif
