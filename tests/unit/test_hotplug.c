/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plug slot: what a driver sees of a function that comes and goes, what it may do to the
 * registers, loaded state.
 */
#include "unit.h"

#include "devices/pci/hotplug.h"
#include "kernel/base/err.h"

#define DEVFN VPCI_DEVFN(24, 0)
#define CTL (h.cap + 0x18u)
#define STA (h.cap + 0x1au)
#define LNKCTL (h.cap + 0x10u)
#define LNKSTA (h.cap + 0x12u)

static struct vpci bus;
static struct hotplug h;
static struct vcfg leaf_cfg;
static struct vpci_function leaf;
static unsigned msis, offs, ejects;

static void msi(void *ctx, u64 address, u32 data)
{
	(void)ctx;
	CHECK_EQ(address, 0xfee01000);
	CHECK_EQ(data, 0x41);
	msis++;
}

static void off(void *ctx)
{
	(void)ctx;
	offs++;
}

static void eject(void *ctx)
{
	(void)ctx;
	ejects++;
}

static u16 rd(u32 reg)
{
	return vcfg_get16(&h.cfg, reg);
}

static void wr(u32 reg, u16 value)
{
	vcfg_write(&h.cfg, reg, 2, value);
}

/* A port with a bus number, and a function that may come behind it. */
static void setup(bool inserted)
{
	const struct vcfg_ids ids = { .vendor = 0x8086, .device = 0x10ca, .class_code = 0x020000 };
	const struct hotplug_env env = { NULL, msi, off, eject };
	const struct vcfg_env none = { 0 };

	vpci_init(&bus);
	vcfg_init(&leaf_cfg, &ids, &none);
	hotplug_init(&h, &env, DEVFN, 1);
	CHECK_EQ(vpci_add(&bus, &h.fn), 0);
	leaf = (struct vpci_function){ .cfg = &leaf_cfg, .bridge = &h.fn };
	CHECK_EQ(vpci_add(&bus, &leaf), 0);
	vcfg_write(&h.cfg, PCI_PRIMARY_BUS, 4, 0x00010100);
	if (inserted) {
		h.present = true;
		hotplug_reset(&h);
		vcfg_write(&h.cfg, PCI_PRIMARY_BUS, 4, 0x00010100);
	}
	msis = offs = ejects = 0;
}

/* As a driver comes up: power as it finds it, button and link changes reported by message. */
static void listen(void)
{
	vcfg_write(&h.cfg, h.cap_msi + 4u, 4, 0xfee01000);
	vcfg_write(&h.cfg, h.cap_msi + 12u, 2, 0x41);
	vcfg_write(&h.cfg, h.cap_msi + 2u, 2, 1);
	wr(STA, 0xffff);
	wr(CTL, (u16)(rd(CTL) | 0x1021));
}

static bool reachable(void)
{
	return vpci_find(&bus, 1, 0) == &leaf;
}

TEST(empty)
{
	setup(false);
	CHECK_EQ(rd(h.cap + 2u), 0x142);	/* root port with a slot */
	CHECK_EQ(vcfg_get32(&h.cfg, h.cap + 0x14u), 0x000c007b);
	CHECK_EQ(rd(CTL), 0x700);		/* power off, lamp off */
	CHECK_EQ(rd(STA), 0);
	CHECK(!reachable());
	CHECK(!hotplug_ask(&h));
	wr(CTL, 0x100); /* power for nobody */
	CHECK(!reachable());
	CHECK_EQ(offs, 0);
}

TEST(comes)
{
	setup(false);
	listen();
	hotplug_insert(&h);
	CHECK_EQ(msis, 1);
	CHECK_EQ(rd(STA), 0x49); /* button, presence changed, present */
	CHECK(!reachable());
	wr(STA, 0x49);
	CHECK_EQ(rd(STA), 0x40);
	wr(CTL, 0x1121); /* power on: the link comes */
	CHECK(reachable());
	CHECK_EQ(rd(LNKSTA), 0x2011);
	CHECK_EQ(rd(STA), 0x140);
	CHECK_EQ(msis, 2);
	CHECK_EQ(offs, 0);
}

TEST(goes)
{
	setup(true);
	CHECK(reachable());
	CHECK(!hotplug_ask(&h)); /* nobody listens */
	listen();
	CHECK(hotplug_ask(&h));
	CHECK_EQ(msis, 1);
	CHECK_EQ(rd(STA), 0x41);
	wr(STA, 1);
	wr(CTL, 0x1221); /* it blinks: no second push */
	CHECK(hotplug_ask(&h));
	CHECK_EQ(rd(STA), 0x40);
	wr(CTL, 0x1121); /* called off: another push */
	CHECK(hotplug_ask(&h));
	CHECK_EQ(rd(STA), 0x41);
	CHECK_EQ(msis, 2);
	CHECK_EQ(ejects, 0);
	wr(CTL, 0x1721);
	CHECK_EQ(ejects, 1);
	CHECK_EQ(offs, 1);
	CHECK(!reachable());
	wr(CTL, 0x1721);
	CHECK_EQ(ejects, 1);
	hotplug_remove(&h);
	CHECK_EQ(rd(STA), 0x109);
	CHECK_EQ(offs, 1);
}

/* The guest is asked, and then not any more: at each moment between push and letting go. */
TEST(called_off)
{
	setup(true);
	listen();
	hotplug_call_off(&h, false); /* was not asked */
	CHECK_EQ(rd(STA), 0x40);
	CHECK(hotplug_ask(&h));
	hotplug_call_off(&h, false);
	CHECK_EQ(rd(STA), 0x40); /* it has not looked: no push */
	CHECK(hotplug_ask(&h));
	CHECK_EQ(rd(STA), 0x41);
	wr(STA, 1);
	wr(CTL, 0x1221); /* blinks */
	hotplug_call_off(&h, false);
	hotplug_call_off(&h, false);
	CHECK_EQ(rd(STA), 0x41); /* the second push */
	CHECK(hotplug_ask(&h));
	CHECK_EQ(rd(STA), 0x40); /* had not been seen: goes on blinking */
	hotplug_call_off(&h, false);
	wr(STA, 1);
	CHECK(hotplug_ask(&h));
	CHECK_EQ(rd(STA), 0x41); /* had been seen: another one */
	wr(STA, 1);
	hotplug_call_off(&h, false);
	wr(STA, 1);
	wr(CTL, 0x1121); /* it stays */
	wr(CTL, 0x1721);
	CHECK_EQ(ejects, 0); /* the guest's own wish */
	CHECK_EQ(rd(STA) & 0x48, 0x40);
}

TEST(called_off_too_late)
{
	setup(true);
	listen();
	CHECK(hotplug_ask(&h));
	wr(STA, 1);
	hotplug_call_off(&h, false); /* it has looked and is at it */
	CHECK_EQ(rd(STA), 0x40);
	wr(CTL, 0x1721);
	CHECK_EQ(ejects, 0);
	CHECK_EQ(rd(STA), 0x149); /* another card */
	wr(STA, 0x149);
	wr(CTL, 0x1121);
	CHECK(reachable());
	CHECK(hotplug_ask(&h));
	wr(STA, 1);
	wr(CTL, 0x1721);
	CHECK_EQ(ejects, 1);
	wr(STA, 0x149);
	hotplug_call_off(&h, true); /* it has let go */
	CHECK_EQ(rd(STA), 0x49);
	wr(CTL, 0x1121);
	CHECK(reachable());
	CHECK_EQ(ejects, 1);
}

/* Power switched by the guest's own wish: what is there stays, as new. */
TEST(power)
{
	setup(true);
	listen();
	wr(CTL, 0x1421);
	CHECK(!reachable());
	CHECK_EQ(offs, 1);
	CHECK_EQ(ejects, 0);
	CHECK(!hotplug_ask(&h));
	wr(CTL, 0x1021);
	CHECK(reachable());
	wr(LNKCTL, 0x10); /* likewise by the link */
	CHECK(!reachable());
	CHECK_EQ(offs, 2);
	wr(LNKCTL, 0);
	CHECK(reachable());
	hotplug_remove(&h); /* pulled */
	CHECK(!reachable());
	CHECK_EQ(rd(LNKSTA), 0x11);
}

TEST(message_when_enabled)
{
	setup(false);
	listen();
	wr(CTL, 0x1001); /* no interrupts from the port */
	hotplug_insert(&h);
	CHECK_EQ(msis, 0);
	wr(CTL, 0x1021);
	CHECK_EQ(msis, 1);
	wr(CTL, 0x1021);
	CHECK_EQ(msis, 1); /* the condition went on */
	vcfg_write(&h.cfg, h.cap_msi + 2u, 2, 0);
	vcfg_write(&h.cfg, h.cap_msi + 2u, 2, 1);
	CHECK_EQ(msis, 2);
}

TEST(hostile)
{
	setup(true);
	for (u32 off_ = 0; off_ < VCFG_LEN; off_ += 4)
		vcfg_write(&h.cfg, off_, 4, ~0u);
	CHECK_EQ(vcfg_get32(&h.cfg, h.cap + 0x14u), 0x000c007b);
	CHECK_EQ(rd(CTL), 0x17e9);
	CHECK_EQ(rd(STA), 0x40); /* presence is not its to change */
	CHECK_EQ(vcfg_get32(&h.cfg, 0), 0x34208086);
	hotplug_reset(&h);
	CHECK_EQ(rd(CTL), 0x100);
	CHECK(!reachable()); /* no bus number */
	CHECK(!h.fn.down);
}

TEST(moves)
{
	u8 saved[VCFG_LEN];

	setup(true);
	listen();
	memcpy(saved, h.cfg.value, sizeof(saved));
	CHECK_EQ(hotplug_resume(&h), 0);
	CHECK(reachable());
	CHECK_EQ(rd(STA), 0x40);
	CHECK_EQ(msis, 0);
	setup(false); /* arrives where nothing is in the slot */
	memcpy(h.cfg.value, saved, sizeof(saved));
	CHECK_EQ(hotplug_resume(&h), 0);
	CHECK(!reachable());
	CHECK_EQ(rd(STA), 0x108);
	CHECK_EQ(rd(LNKSTA), 0x11);
	CHECK_EQ(msis, 1);
	saved[h.cap + 0x14u] ^= 1;
	memcpy(h.cfg.value, saved, sizeof(saved));
	CHECK_EQ(hotplug_resume(&h), -EINVAL);
}

UNIT_MAIN({ "empty", empty }, { "comes", comes }, { "goes", goes },
	  { "called_off", called_off }, { "called_off_too_late", called_off_too_late },
	  { "power", power }, { "message_when_enabled", message_when_enabled },
	  { "hostile", hostile }, { "moves", moves })
