/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small virtual PCI hierarchy with a hot-plug slot under any sequence of configuration accesses,
 * by ports and by ECAM: identity never changes, mapping calls alternate, what is mapped is what the
 * registers say, and the slot shows what is in it.
 */
#include "tests/fuzz/stream.h"

#include "devices/pci/hotplug.h"
#include "kernel/base/bits.h"

#define FUNCTIONS 5u
#define IN_SLOT	  4u /* the last one comes and goes */

static struct vpci bus;
static struct vcfg cfg[FUNCTIONS];
static struct vpci_function fn[FUNCTIONS];
static bool mapped[FUNCTIONS][VCFG_BARS];
static u64 base_of[FUNCTIONS][VCFG_BARS];
static struct hotplug slot;
static unsigned calls;
static bool asked;

static void bar_map(void *ctx, unsigned bar, u64 base, u64 size)
{
	size_t n = (size_t)((struct vcfg *)ctx - cfg);

	FUZZ_CHECK(!mapped[n][bar] && base && is_aligned(base, size) && base + size > base);
	mapped[n][bar] = true;
	base_of[n][bar] = base;
	calls++;
}

static void bar_unmap(void *ctx, unsigned bar, u64 base, u64 size)
{
	size_t n = (size_t)((struct vcfg *)ctx - cfg);

	(void)size;
	FUZZ_CHECK(mapped[n][bar] && base == base_of[n][bar]);
	mapped[n][bar] = false;
	calls++;
}

static void add(unsigned n, bool bridge, const struct vpci_function *on, u8 devfn)
{
	const struct vcfg_ids ids = { .vendor = 0x1af4, .device = (u16)(0x1040 + n),
				      .class_code = bridge ? 0x060400 : 0x020000,
				      .bridge = bridge, .irq_pin = 1 };
	const struct vcfg_env env = { .ctx = &cfg[n], .bar_map = bar_map, .bar_unmap = bar_unmap };

	vcfg_init(&cfg[n], &ids, &env);
	vcfg_add_pcie(&cfg[n], bridge ? PCIE_ROOT_PORT : PCIE_ENDPOINT);
	if (!bridge) {
		vcfg_add_bar(&cfg[n], 0, VCFG_BAR_MEM32, 4096, false);
		vcfg_add_bar(&cfg[n], 1, VCFG_BAR_IO, 32, false);
		vcfg_add_bar(&cfg[n], 2, VCFG_BAR_MEM64, 16384, true);
	}
	fn[n] = (struct vpci_function){ .cfg = &cfg[n], .bridge = on, .devfn = devfn };
	FUZZ_CHECK(vpci_add(&bus, &fn[n]) == 0);
}

static void slot_msi(void *ctx, u64 address, u32 data)
{
	(void)ctx, (void)address, (void)data;
}

static void slot_off(void *ctx)
{
	(void)ctx;
	FUZZ_CHECK(slot.present);
	vcfg_reset(&cfg[IN_SLOT]);
}

static void slot_eject(void *ctx)
{
	(void)ctx;
	FUZZ_CHECK(asked && slot.present);
	asked = false;
}

static void slot_op(unsigned what)
{
	if (what == 0 && !slot.present) {
		vcfg_reset(&cfg[IN_SLOT]);
		FUZZ_CHECK(vpci_add(&bus, &fn[IN_SLOT]) == 0);
		hotplug_insert(&slot);
	} else if (what == 1 && slot.present) {
		vpci_remove(&bus, &fn[IN_SLOT]);
		hotplug_remove(&slot);
		asked = false;
	} else if (what == 2 && slot.present) {
		asked |= hotplug_ask(&slot);
	} else if (what == 3) {
		hotplug_reset(&slot);
		asked = false;
	}
}

static void check_slot(void)
{
	bool active = vcfg_get16(&slot.cfg, slot.cap + 0x12u) & 0x2000;

	FUZZ_CHECK(vcfg_get32(&slot.cfg, 0) == 0x34208086);
	FUZZ_CHECK(!(vcfg_get16(&slot.cfg, slot.cap + 0x1au) & 0x40) == !slot.present);
	FUZZ_CHECK(active == !slot.fn.down && (slot.present || !active));
	FUZZ_CHECK(!slot.present || !slot.fn.down ||
		   vcfg_get16(&cfg[IN_SLOT], PCI_COMMAND) == 0);
}

static void check(void)
{
	check_slot();
	for (unsigned n = 0; n < FUNCTIONS; n++) {
		u16 command = vcfg_get16(&cfg[n], PCI_COMMAND);

		FUZZ_CHECK(vcfg_get16(&cfg[n], 0) == 0x1af4);
		FUZZ_CHECK(vcfg_get16(&cfg[n], 2) == 0x1040 + n);
		for (unsigned b = 0; b < VCFG_BARS; b++) {
			bool io = cfg[n].bar[b].kind == VCFG_BAR_IO;

			FUZZ_CHECK(mapped[n][b] == cfg[n].bar[b].mapped);
			if (mapped[n][b])
				FUZZ_CHECK(command & (io ? 1 : 2));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct hotplug_env env = { NULL, slot_msi, slot_off, slot_eject };
	struct stream s = { data, size };
	u64 v;

	memset(mapped, 0, sizeof(mapped));
	vpci_init(&bus);
	add(0, true, NULL, VPCI_DEVFN(1, 0));
	add(1, false, &fn[0], 0);
	add(2, false, NULL, VPCI_DEVFN(2, 0));
	add(3, false, NULL, VPCI_DEVFN(2, 1));
	asked = false;
	hotplug_init(&slot, &env, VPCI_DEVFN(3, 0), 1);
	FUZZ_CHECK(vpci_add(&bus, &slot.fn) == 0);
	add(IN_SLOT, false, &slot.fn, 0);
	vpci_remove(&bus, &fn[IN_SLOT]);
	while (s.left) {
		u8 op = take8(&s);
		unsigned bytes = 1u << (op & 3);

		calls = 0;
		if (op & 0x80) {
			u32 off = (u32)(op >> 4 & 7) << 15 | (take16(&s) & 0x1fff);

			off |= op & 4 ? 1u << 20 : 0;
			v = take32(&s);
			vpci_ecam(&bus, align_down(off, bytes), bytes, op & 8, &v);
		} else if (op & 4) {
			slot_op(op >> 4 & 3);
		} else {
			v = take32(&s);
			vpci_ports(&bus, op >> 4 & 7, bytes, op & 8, &v);
		}
		FUZZ_CHECK(calls <= 3 * VCFG_BARS);
		check();
	}
	for (unsigned n = 0; n < FUNCTIONS; n++) {
		memset(mapped[n], 0, sizeof(mapped[n]));
		FUZZ_CHECK(vcfg_resume(&cfg[n]) == 0);
	}
	check();
	FUZZ_CHECK(vpci_resume(&bus) == 0);
	FUZZ_CHECK(hotplug_resume(&slot) == 0);
	vpci_reset(&bus);
	hotplug_reset(&slot);
	check();
	return 0;
}
