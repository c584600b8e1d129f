/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function reset with bounded waits.
 */
#include "kernel/core/pci_reset.h"

#include "kernel/base/err.h"

#define PENDING_US   100000u /* for transactions under way */
#define READY_US     1000000u
#define STEP_US	     1000u
#define PM_SETTLE_US 10000u

#define AF_CAP	     3	 /* TP 0, FLR 1 */
#define AF_CAP_OK    3u
#define AF_CTRL	     4
#define AF_STATUS    5

#define PM_CSR		 4
#define PM_STATE	 3u
#define PM_NO_SOFT_RESET 8u

static u32 rd(const struct pci_cfg *c, u16 bdf, u32 off, u8 size)
{
	return c->read(c->ctx, bdf, (u16)off, size);
}

static void wr(const struct pci_cfg *c, u16 bdf, u32 off, u8 size, u32 v)
{
	c->write(c->ctx, bdf, (u16)off, size, v);
}

void pci_reset_find(const struct pci_cfg *cfg, u16 bdf, struct pci_reset_caps *caps)
{
	caps->pcie = pci_find_cap(cfg, bdf, PCI_CAP_PCIE);
	caps->pm = pci_find_cap(cfg, bdf, PCI_CAP_PM);
	caps->msi = pci_find_cap(cfg, bdf, PCI_CAP_MSI);
	caps->msix = pci_find_cap(cfg, bdf, PCI_CAP_MSIX);
	caps->af = pci_find_cap(cfg, bdf, PCI_CAP_AF);
}

enum pci_reset_kind pci_reset_kind(const struct pci_cfg *cfg, u16 bdf,
				   const struct pci_reset_caps *caps)
{
	if (caps->pcie && (rd(cfg, bdf, caps->pcie + PCIE_DEVCAP, 4) & PCIE_DEVCAP_FLR))
		return PCI_RESET_FLR;
	if (caps->af && (rd(cfg, bdf, caps->af + AF_CAP, 1) & AF_CAP_OK) == AF_CAP_OK)
		return PCI_RESET_AF;
	if (caps->pm && !(rd(cfg, bdf, caps->pm + PM_CSR, 2) & PM_NO_SOFT_RESET))
		return PCI_RESET_PM;
	return PCI_RESET_NONE;
}

static u8 version(const struct pci_cfg *c, u16 bdf, const struct pci_reset_caps *caps)
{
	return (u8)(rd(c, bdf, caps->pcie + PCIE_FLAGS, 2) & 15);
}

void pci_save(const struct pci_cfg *cfg, u16 bdf, const struct pci_reset_caps *caps,
	      struct pci_saved *out)
{
	*out = (struct pci_saved){
		.command = (u16)rd(cfg, bdf, PCI_COMMAND, 2),
		.line_size = (u8)rd(cfg, bdf, 0x0c, 1),
		.irq_line = (u8)rd(cfg, bdf, PCI_IRQ_LINE, 1),
	};
	for (u32 i = 0; i < 6; i++)
		out->bar[i] = rd(cfg, bdf, PCI_BAR0 + 4 * i, 4);
	if (!caps->pcie)
		return;
	out->devctl = (u16)(rd(cfg, bdf, caps->pcie + PCIE_DEVCTL, 2) & ~PCIE_DEVCTL_FLR);
	if (version(cfg, bdf, caps) >= 2)
		out->devctl2 = (u16)rd(cfg, bdf, caps->pcie + PCIE_DEVCTL2, 2);
}

void pci_restore(const struct pci_cfg *cfg, u16 bdf, const struct pci_reset_caps *caps,
		 const struct pci_saved *s)
{
	for (u32 i = 0; i < 6; i++)
		wr(cfg, bdf, PCI_BAR0 + 4 * i, 4, s->bar[i]);
	wr(cfg, bdf, 0x0c, 1, s->line_size);
	wr(cfg, bdf, PCI_IRQ_LINE, 1, s->irq_line);
	if (caps->pcie) {
		wr(cfg, bdf, caps->pcie + PCIE_DEVCTL, 2, s->devctl);
		if (version(cfg, bdf, caps) >= 2)
			wr(cfg, bdf, caps->pcie + PCIE_DEVCTL2, 2, s->devctl2);
	}
	/* Last: memory decoding finds its BARs in place. */
	wr(cfg, bdf, PCI_COMMAND, 2, s->command);
}

/* Interrupts and DMA off; what is under way may finish, for a bounded time. */
static void quiesce(const struct pci_cfg *c, const struct pci_delay *d, u16 bdf,
		    const struct pci_reset_caps *caps)
{
	u16 command = (u16)(rd(c, bdf, PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER);
	u32 at;

	wr(c, bdf, PCI_COMMAND, 2, command | PCI_COMMAND_INTX_OFF);
	if (caps->msi) {
		at = caps->msi + MSI_CONTROL;
		wr(c, bdf, at, 2, rd(c, bdf, at, 2) & ~MSI_CONTROL_ON);
	}
	if (caps->msix) {
		at = caps->msix + MSIX_CONTROL;
		wr(c, bdf, at, 2, rd(c, bdf, at, 2) & ~MSIX_CONTROL_ON);
	}
	for (u32 us = 0; us < PENDING_US; us += STEP_US) {
		bool pending = false;

		if (caps->pcie)
			pending = rd(c, bdf, caps->pcie + PCIE_DEVSTA, 2) & PCIE_DEVSTA_PENDING;
		else if (caps->af)
			pending = rd(c, bdf, caps->af + AF_STATUS, 1) & 1;
		if (!pending)
			return;
		d->us(d->ctx, STEP_US);
	}
	/* A function that hangs is the very one to reset: go on. */
}

static void trigger(const struct pci_cfg *c, const struct pci_delay *d, u16 bdf,
		    const struct pci_reset_caps *caps, enum pci_reset_kind kind)
{
	u32 at, csr;

	switch (kind) {
	case PCI_RESET_FLR:
		at = caps->pcie + PCIE_DEVCTL;
		wr(c, bdf, at, 2, rd(c, bdf, at, 2) | PCIE_DEVCTL_FLR);
		break;
	case PCI_RESET_AF:
		wr(c, bdf, caps->af + AF_CTRL, 1, 1);
		break;
	case PCI_RESET_PM:
		at = caps->pm + PM_CSR;
		csr = rd(c, bdf, at, 2) & ~PM_STATE;
		wr(c, bdf, at, 2, csr | 3); /* D3hot and back */
		d->us(d->ctx, PM_SETTLE_US);
		wr(c, bdf, at, 2, csr);
		break;
	case PCI_RESET_NONE:
		break;
	}
}

/* A VF has no vendor id of its own: any capability's id tells that the function answers. */
static bool answers(const struct pci_cfg *c, u16 bdf, const struct pci_reset_caps *caps)
{
	u8 at = caps->pcie ? caps->pcie : caps->af ? caps->af : caps->pm;
	u8 id = caps->pcie ? PCI_CAP_PCIE : caps->af ? PCI_CAP_AF : PCI_CAP_PM;

	return rd(c, bdf, at, 1) == id;
}

static bool wait_ready(const struct pci_cfg *c, const struct pci_delay *d, u16 bdf,
		       const struct pci_reset_caps *caps)
{
	for (u32 us = 0; us < READY_US; us += STEP_US) {
		if (answers(c, bdf, caps))
			return true;
		d->us(d->ctx, STEP_US);
	}
	return false;
}

int pci_reset_begin(const struct pci_cfg *cfg, const struct pci_delay *delay, u16 bdf,
		    const struct pci_reset_caps *caps, struct pci_saved *saved)
{
	enum pci_reset_kind kind = pci_reset_kind(cfg, bdf, caps);

	if (kind == PCI_RESET_NONE)
		return -ENOTSUP;
	if (!answers(cfg, bdf, caps))
		return -ENODEV;
	quiesce(cfg, delay, bdf, caps);
	pci_save(cfg, bdf, caps, saved);
	trigger(cfg, delay, bdf, caps, kind);
	return 0;
}

int pci_reset_end(const struct pci_cfg *cfg, const struct pci_delay *delay, u16 bdf,
		  const struct pci_reset_caps *caps, const struct pci_saved *saved)
{
	if (!wait_ready(cfg, delay, bdf, caps))
		return -ETIMEDOUT;
	pci_restore(cfg, bdf, caps, saved);
	return 0;
}

int pci_reset_function(const struct pci_cfg *cfg, const struct pci_delay *delay, u16 bdf,
		       const struct pci_reset_caps *caps)
{
	struct pci_saved s;
	int rc = pci_reset_begin(cfg, delay, bdf, caps, &s);

	if (rc)
		return rc;
	delay->us(delay->ctx, PCI_RESET_SETTLE_US);
	return pci_reset_end(cfg, delay, bdf, caps, &s);
}
