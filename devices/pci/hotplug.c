/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plug slot. PCI Express base specification §6.7, §7.5.3.9 to §7.5.3.11. Commands complete at
 * once, so there is no command-completed event; power and link follow the power control bit.
 */
#include "devices/pci/hotplug.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"

/* Registers of the PCI Express capability. */
#define LNKCAP 0x0cu
#define LNKCTL 0x10u
#define LNKSTA 0x12u
#define SLTCAP 0x14u
#define SLTCTL 0x18u
#define SLTSTA 0x1au

#define FLAGS_SLOT     0x0100u
#define LNKCAP_ACTIVE  0x00100000u /* reports whether the link is active */
#define LNKCTL_DISABLE 0x0010u
#define LNKSTA_ACTIVE  0x2000u

/* Attention button, power controller, both indicators, surprise, hot-plug, no command events. */
#define SLTCAP_BITS 0x0004007bu

#define SLT_BUTTON   0x0001u /* the same bit in control (enable) and status */
#define SLT_PRESENCE 0x0008u
#define SLTCTL_IRQ   0x0020u
#define SLTCTL_LED   0x0300u /* power indicator */
#define SLTCTL_ON    0x0100u
#define SLTCTL_BLINK 0x0200u
#define SLTCTL_OFF   0x0400u /* power controller control: off */
#define SLTCTL_LINK  0x1000u
#define SLTCTL_RW    0x17e9u
#define SLTSTA_HERE  0x0040u
#define SLTSTA_LINK  0x0100u

#define MSI_LEN	    14u
#define MSI_ADDRESS 4u
#define MSI_DATA    12u
#define MSI_64BIT   0x0080u

static u16 reg(const struct hotplug *h, u32 off)
{
	return vcfg_get16(&h->cfg, h->cap + off);
}

static void change(struct hotplug *h, u32 off, u32 clear, u32 set)
{
	u16 v = (u16)((reg(h, off) & ~clear) | set);

	h->cfg.value[h->cap + off] = (u8)v;
	h->cfg.value[h->cap + off + 1] = (u8)(v >> 8);
}

/* A message when the condition begins to hold (§6.7.3.4), also when it does at its enabling. */
static void notify(struct hotplug *h)
{
	const struct vcfg *c = &h->cfg;
	u32 control = reg(h, SLTCTL), status = reg(h, SLTSTA), msi = h->cap_msi;
	bool event = (control & status & (SLT_BUTTON | SLT_PRESENCE)) ||
		     ((control & SLTCTL_LINK) && (status & SLTSTA_LINK));
	bool now = event && (control & SLTCTL_IRQ) &&
		   (vcfg_get16(c, msi + MSI_CONTROL) & MSI_CONTROL_ON);

	if (now && !h->signalled)
		h->env.msi(h->env.ctx,
			   vcfg_get32(c, msi + MSI_ADDRESS) |
				   (u64)vcfg_get32(c, msi + MSI_ADDRESS + 4) << 32,
			   vcfg_get16(c, msi + MSI_DATA));
	h->signalled = now;
}

static bool powered(const struct hotplug *h)
{
	return !(reg(h, SLTCTL) & SLTCTL_OFF) && !(reg(h, LNKCTL) & LNKCTL_DISABLE);
}

/* Presence and link as they are, with the events of what changed. */
static void sync(struct hotplug *h)
{
	bool here = (reg(h, SLTSTA) & SLTSTA_HERE) != 0, link = h->present && powered(h);

	if (here != h->present)
		change(h, SLTSTA, SLTSTA_HERE,
		       (h->present ? SLTSTA_HERE | SLT_BUTTON : 0) | SLT_PRESENCE);
	if (link == !(reg(h, LNKSTA) & LNKSTA_ACTIVE)) {
		change(h, LNKSTA, LNKSTA_ACTIVE, link ? LNKSTA_ACTIVE : 0);
		change(h, SLTSTA, 0, SLTSTA_LINK);
	}
	if (h->present && !link && !h->fn.down)
		h->env.off(h->env.ctx);
	h->fn.down = !link;
	notify(h);
}

void hotplug_insert(struct hotplug *h)
{
	h->present = true;
	h->asked = h->called_off = false;
	sync(h);
}

void hotplug_remove(struct hotplug *h)
{
	h->present = false;
	h->asked = h->called_off = false;
	sync(h);
}

static void another_card(struct hotplug *h)
{
	hotplug_remove(h);
	hotplug_insert(h);
}

static void written(void *ctx, u32 off, unsigned size)
{
	struct hotplug *h = ctx;

	(void)off, (void)size;
	sync(h);
	if (h->called_off && (reg(h, SLTCTL) & SLTCTL_LED) == SLTCTL_ON)
		h->asked = h->called_off = false;
	if (!h->asked || !(reg(h, SLTCTL) & SLTCTL_OFF))
		return;
	h->asked = false;
	if (h->called_off)
		another_card(h);
	else
		h->env.eject(h->env.ctx);
}

bool hotplug_ask(struct hotplug *h)
{
	u32 control = reg(h, SLTCTL);

	if (!powered(h) || (~control & (SLTCTL_IRQ | SLT_BUTTON)))
		return false;
	/* A second push while the guest waits for one would call it off (§6.7.1.5); one that was to
	 * and has not been seen never was. */
	if (h->called_off && (reg(h, SLTSTA) & SLT_BUTTON))
		change(h, SLTSTA, SLT_BUTTON, 0);
	else if (!h->asked || h->called_off || (control & SLTCTL_LED) != SLTCTL_BLINK)
		change(h, SLTSTA, 0, SLT_BUTTON);
	h->asked = true;
	h->called_off = false;
	notify(h);
	return true;
}

void hotplug_call_off(struct hotplug *h, bool gone)
{
	if (gone)
		another_card(h);
	if (!h->asked || h->called_off)
		return;
	h->called_off = true;
	/* A push that has not been seen never was; one after which the guest waits is followed by
	 * another. Else it lets go, which written() sees. */
	if (reg(h, SLTSTA) & SLT_BUTTON)
		change(h, SLTSTA, SLT_BUTTON, 0);
	else if ((reg(h, SLTCTL) & SLTCTL_LED) == SLTCTL_BLINK)
		change(h, SLTSTA, 0, SLT_BUTTON);
	notify(h);
}

void hotplug_reset(void *state)
{
	struct hotplug *h = state;

	vcfg_reset(&h->cfg);
	change(h, SLTCTL, SLTCTL_OFF | SLTCTL_LED,
	       h->present ? SLTCTL_ON : SLTCTL_OFF | SLTCTL_LED);
	change(h, SLTSTA, SLTSTA_HERE, h->present ? SLTSTA_HERE : 0);
	change(h, LNKSTA, LNKSTA_ACTIVE, h->present ? LNKSTA_ACTIVE : 0);
	h->fn.down = !h->present;
	h->asked = h->called_off = h->signalled = false;
}

int hotplug_resume(void *state)
{
	struct hotplug *h = state;
	u32 status = reg(h, SLTSTA) & SLTSTA_HERE, link = reg(h, LNKSTA) & LNKSTA_ACTIVE;
	int rc;

	/* These two are not the guest's to write, and still not always the same. */
	change(h, SLTSTA, status, 0);
	change(h, LNKSTA, link, 0);
	rc = vcfg_resume(&h->cfg);
	if (rc)
		return rc;
	change(h, SLTSTA, 0, status);
	change(h, LNKSTA, 0, link);
	h->signalled = false; /* a message too many does no harm */
	sync(h);
	return 0;
}

void hotplug_init(struct hotplug *h, const struct hotplug_env *env, u8 devfn, u16 number)
{
	/* A root port that every kernel knows (Intel 5520), without quirks. */
	static const struct vcfg_ids ids = { .vendor = 0x8086, .device = 0x3420,
					     .class_code = 0x060400, .revision = 2,
					     .bridge = true };
	const struct vcfg_env cfg = { .ctx = h, .written = written };
	struct vcfg *c = &h->cfg;

	*h = (struct hotplug){ .env = *env };
	vcfg_init(c, &ids, &cfg);
	h->fn = (struct vpci_function){ .cfg = c, .devfn = devfn };
	h->cap = vcfg_add_pcie(c, PCIE_ROOT_PORT);
	change(h, PCIE_FLAGS, 0, FLAGS_SLOT);
	vcfg_set32(c, h->cap + LNKCAP, vcfg_get32(c, h->cap + LNKCAP) | LNKCAP_ACTIVE, 0);
	vcfg_set16(c, h->cap + LNKCTL, 0, 0x01cb | LNKCTL_DISABLE);
	vcfg_set32(c, h->cap + SLTCAP, SLTCAP_BITS | (u32)number << 19, 0);
	vcfg_set16(c, h->cap + SLTCTL, 0, SLTCTL_RW);
	vcfg_set_w1c16(c, h->cap + SLTSTA, SLT_BUTTON | SLT_PRESENCE | SLTSTA_LINK);
	h->cap_msi = vcfg_add_cap(c, PCI_CAP_MSI, MSI_LEN);
	vcfg_set16(c, h->cap_msi + MSI_CONTROL, MSI_64BIT, MSI_CONTROL_ON);
	vcfg_set32(c, h->cap_msi + MSI_ADDRESS, 0, ~3u);
	vcfg_set32(c, h->cap_msi + MSI_ADDRESS + 4, 0, ~0u);
	vcfg_set16(c, h->cap_msi + MSI_DATA, 0, 0xffff);
	vcfg_seal(c);
	hotplug_reset(h);
}

const struct vmstate_field hotplug_fields[] = {
	VMSTATE_ARRAY(struct hotplug, cfg.value, VMS_U8),
};
const u32 hotplug_nfields = ARRAY_SIZE(hotplug_fields);
