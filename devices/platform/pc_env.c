/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the device models of the PC ask for: time, timers, interrupt routing, power, console.
 */
#include "devices/platform/pc_priv.h"

#include "kernel/base/bits.h"
#include "kernel/core/lock.h"
#include "kernel/core/wallclock.h"

/* Sources of a shared interrupt line; PCI functions use the others. */
#define SOURCE_PLATFORM 0u

/* A timer further away is armed for this much first: 2^40 ticks, minutes. */
#define FAR_TICKS BIT(40)

/* ---- messages to local APICs ----------------------------------------------------------- */

static void deliver_to(struct pc_lapic *l, const struct apic_msg *msg)
{
	switch (vlapic_accept(&l->lapic, msg)) {
	case VLAPIC_KICK:
		vcpu_request(l->vcpu, VCPU_REQ_IRQ);
		break;
	case VLAPIC_NOTIFY:
		vcpu_notify(l->vcpu);
		break;
	case VLAPIC_NMI:
		vcpu_request(l->vcpu, VCPU_REQ_NMI);
		break;
	case VLAPIC_INIT:
		vcpu_init(l->vcpu);
		break;
	case VLAPIC_SIPI:
		vcpu_sipi(l->vcpu, msg->vector);
		break;
	case VLAPIC_NOTHING:
		break;
	}
}

/* Of those addressed, the one with the least processor priority. */
static void deliver_lowest(struct pc *pc, const struct apic_msg *msg)
{
	struct pc_lapic *best = NULL;
	u32 best_ppr = ~0u;

	for (u32 i = 0; i < pc->vm->vcpus; i++) {
		struct pc_lapic *l = pc->lapic[i];
		u32 ppr = atomic_load_relaxed(&l->lapic.ppr);

		if (ppr >= best_ppr || !vlapic_fixed_ok(&l->lapic) ||
		    !vlapic_matches(&l->lapic, msg))
			continue;
		best = l;
		best_ppr = ppr;
	}
	if (best)
		deliver_to(best, msg);
}

void pc_deliver(struct pc *pc, const struct apic_msg *msg)
{
	if (msg->delivery == APIC_LOWEST) {
		deliver_lowest(pc, msg);
		return;
	}
	/* APIC IDs are vCPU numbers. */
	if (!msg->logical && msg->dest < pc->vm->vcpus) {
		deliver_to(pc->lapic[msg->dest], msg);
		return;
	}
	for (u32 i = 0; i < pc->vm->vcpus; i++)
		if (vlapic_matches(&pc->lapic[i]->lapic, msg))
			deliver_to(pc->lapic[i], msg);
}

/* From a device: destinations are 8 bits wide there, physical FFh is everybody. */
static void deliver_device(struct pc *pc, const struct apic_msg *msg)
{
	struct apic_msg m = *msg;

	if (!m.logical && m.dest == 0xff)
		m.dest = ~0u;
	pc_deliver(pc, &m);
}

void pc_msi(struct vm *vm, u64 address, u32 data)
{
	/* Intel SDM vol. 3 §11.11: other addresses are ordinary writes, which MSIs never are. */
	struct apic_msg m = {
		.dest = (u32)(address >> 12) & 0xff,
		.logical = (address & BIT(2)) != 0,
		.level = (data & BIT(15)) != 0,
		.assert = (data & BIT(14)) != 0,
		.delivery = (u8)(data >> 8 & 7),
		.vector = (u8)data,
	};

	if ((address & ~0xfffffull) != MACHINE_LAPIC_BASE)
		return;
	deliver_device(vm->machine, &m);
}

/* ---- local APIC ------------------------------------------------------------------------ */

static u64 lapic_now(void *ctx)
{
	struct pc_lapic *l = ctx;

	return vcpu_tsc(l->vcpu);
}

static void arm(struct pc *pc, struct timer *t, u64 host_tsc)
{
	if (timer_arm(t, host_tsc))
		vm_fail(pc->vm, NULL, "a device timer could not be armed");
}

static void lapic_arm(void *ctx, u64 now, u64 ticks)
{
	struct pc_lapic *l = ctx;

	arm(l->pc, &l->timer, vcpu_tsc_to_host(l->vcpu, now) + min_u64(ticks, FAR_TICKS));
}

/* Runs on the CPU where the timer was armed, maybe not the vCPU's: the vCPU looks itself. */
void pc_lapic_timer(void *ctx)
{
	struct pc_lapic *l = ctx;

	vlapic_timer_hint(&l->lapic);
	vcpu_request(l->vcpu, VCPU_REQ_IRQ);
}

static void lapic_send(void *ctx, const struct apic_msg *msg)
{
	struct pc_lapic *self = ctx;
	struct pc *pc = self->pc;

	if (msg->shorthand == APIC_DEST) {
		pc_deliver(pc, msg);
		return;
	}
	if (msg->shorthand == APIC_SELF) {
		deliver_to(self, msg);
		return;
	}
	for (u32 i = 0; i < pc->vm->vcpus; i++)
		if (msg->shorthand == APIC_ALL || pc->lapic[i] != self)
			deliver_to(pc->lapic[i], msg);
}

static void lapic_eoi(void *ctx, u8 vector)
{
	struct pc *pc = ((struct pc_lapic *)ctx)->pc;

	spin_lock(&pc->vm->lock);
	vioapic_eoi(&pc->ioapic, vector);
	spin_unlock(&pc->vm->lock);
}

static u8 lapic_extint_ack(void *ctx)
{
	struct pc *pc = ((struct pc_lapic *)ctx)->pc;
	u8 vector;

	spin_lock(&pc->vm->lock);
	vector = vpic_inta(&pc->pic);
	spin_unlock(&pc->vm->lock);
	return vector;
}

void pc_lapic_env(struct pc_lapic *l, struct vlapic_env *env)
{
	*env = (struct vlapic_env){ .ctx = l,
				    .now = lapic_now,
				    .arm = lapic_arm,
				    .send = lapic_send,
				    .eoi = lapic_eoi,
				    .extint_ack = lapic_extint_ack };
}

/* ---- lines ----------------------------------------------------------------------------- */

static void set_gsi(struct pc *pc, unsigned gsi, unsigned source, bool level)
{
	u32 old = pc->gsi_sources[gsi], now = level ? old | 1u << source : old & ~(1u << source);

	pc->gsi_sources[gsi] = now;
	if (!old == !now)
		return;
	if (gsi < 16 && gsi != MACHINE_CASCADE_IRQ)
		vpic_set_line(&pc->pic, gsi, now != 0);
	vioapic_set_line(&pc->ioapic, gsi, now != 0);
}

void pc_gsi(struct vm *vm, unsigned gsi, unsigned source, bool level)
{
	lock_assert_held(&vm->lock);
	set_gsi(vm->machine, gsi, source, level);
}

static void pic_out(void *ctx, bool level)
{
	struct pc *pc = ctx;
	struct pc_lapic *l = pc->lapic[0];

	switch (vlapic_lint(&l->lapic, 0, level)) {
	case VLAPIC_NMI:
		vcpu_request(l->vcpu, VCPU_REQ_NMI);
		break;
	case VLAPIC_KICK:
		vcpu_request(l->vcpu, VCPU_REQ_IRQ);
		break;
	case VLAPIC_NOTIFY:
		vcpu_notify(l->vcpu);
		break;
	case VLAPIC_NOTHING:
	case VLAPIC_INIT:
	case VLAPIC_SIPI:
		break;
	}
}

static void ioapic_deliver(void *ctx, const struct apic_msg *msg)
{
	deliver_device(ctx, msg);
}

/* ---- VM-wide timers: callbacks come without locks, also late or early ------------------ */

static u64 clock_ns(void *ctx)
{
	return vm_ns(((struct pc *)ctx)->vm);
}

static u64 wall_ns(void *ctx)
{
	(void)ctx;
	return wallclock_ns();
}

static void pit_arm(void *ctx, u64 ns)
{
	struct pc *pc = ctx;

	arm(pc, &pc->pit_timer, vm_ns_to_host_tsc(pc->vm, ns));
}

static void pm_arm(void *ctx, u64 ns)
{
	struct pc *pc = ctx;

	arm(pc, &pc->pm_timer, vm_ns_to_host_tsc(pc->vm, ns));
}

static void rtc_arm(void *ctx, u64 ns)
{
	struct pc *pc = ctx;
	u64 now = wallclock_ns(), tsc = tsc_read();

	arm(pc, &pc->rtc_timer,
	    ns <= now ? tsc : tsc + min_u64(ns_to_tsc(min_u64(ns - now, FAR_TICKS)), FAR_TICKS));
}

/* While the VM is paused or arrives its clock stands: a timer that was armed anew would be due at
 * once, for ever. Resuming arms the timers again. */
static bool begin_callback(struct pc *pc)
{
	spin_lock(&pc->vm->lock);
	if (pc->vm->state != VM_PAUSED && pc->vm->state != VM_INCOMING)
		return true;
	spin_unlock(&pc->vm->lock);
	return false;
}

static void pit_timer(void *ctx)
{
	struct pc *pc = ctx;

	if (!begin_callback(pc))
		return;
	vpit_timer(&pc->pit);
	spin_unlock(&pc->vm->lock);
}

static void pm_timer(void *ctx)
{
	struct pc *pc = ctx;

	if (!begin_callback(pc))
		return;
	vpm_timer(&pc->pm);
	spin_unlock(&pc->vm->lock);
}

static void rtc_timer(void *ctx)
{
	struct pc *pc = ctx;

	if (!begin_callback(pc))
		return;
	vrtc_timer(&pc->rtc);
	spin_unlock(&pc->vm->lock);
}

/* ---- interrupts, power, console -------------------------------------------------------- */

static void pit_irq(void *ctx, bool level)
{
	struct pc *pc = ctx;

	/* Not set_gsi(): the two controllers know this line by different numbers. */
	vpic_set_line(&pc->pic, MACHINE_PIT_IRQ, level);
	vioapic_set_line(&pc->ioapic, MACHINE_PIT_GSI, level);
}

static void uart_irq(void *ctx, bool level)
{
	set_gsi(ctx, MACHINE_COM1_IRQ, SOURCE_PLATFORM, level);
}

static void rtc_irq(void *ctx, bool level)
{
	set_gsi(ctx, MACHINE_RTC_IRQ, SOURCE_PLATFORM, level);
}

static void pm_sci(void *ctx, bool level)
{
	set_gsi(ctx, MACHINE_SCI_IRQ, SOURCE_PLATFORM, level);
}

static void pm_power_off(void *ctx)
{
	vm_power_off(((struct pc *)ctx)->vm, "powered off by the guest (ACPI S5)");
}

static void pm_reset(void *ctx)
{
	vm_request_reset(((struct pc *)ctx)->vm, "reset by the guest");
}

static void uart_tx(void *ctx, u8 byte)
{
	vm_console_write(((struct pc *)ctx)->vm, &byte, 1);
}

/* Move typed-ahead input into the UART. */
void pc_console_refill(struct pc *pc)
{
	while (pc->rx_count) {
		u32 n = PC_CONSOLE_RING - pc->rx_head; /* up to the end of the ring */

		n = (u32)vuart_rx(&pc->uart, pc->rx + pc->rx_head,
				  n < pc->rx_count ? n : pc->rx_count);
		if (!n)
			return;
		pc->rx_head = (pc->rx_head + n) % PC_CONSOLE_RING;
		pc->rx_count -= n;
	}
}

static void uart_rx_room(void *ctx)
{
	pc_console_refill(ctx);
}

void pc_devices_init(struct pc *pc)
{
	const struct gmap *mem = &pc->vm->mem;
	const struct vpic_env pic = { .ctx = pc, .out = pic_out };
	const struct vioapic_env ioapic = { .ctx = pc, .deliver = ioapic_deliver };
	const struct vpit_env pit = { pc, clock_ns, pit_arm, pit_irq };
	const struct vuart_env uart = { pc, uart_tx, uart_irq, uart_rx_room };
	const struct vpm_env pm = { pc, clock_ns, pm_arm, pm_sci, pm_power_off, pm_reset };
	const struct vrtc_env rtc = { pc, wall_ns, rtc_arm, rtc_irq };

	timer_init(&pc->pit_timer, pit_timer, pc);
	timer_init(&pc->pm_timer, pm_timer, pc);
	timer_init(&pc->rtc_timer, rtc_timer, pc);
	vpic_init(&pc->pic, &pic);
	vioapic_init(&pc->ioapic, &ioapic);
	vpit_init(&pc->pit, &pit);
	vuart_init(&pc->uart, &uart);
	vpm_init(&pc->pm, &pm);
	vrtc_init(&pc->rtc, &rtc, mem->low_blocks * SIZE_2M,
		  (mem->blocks - mem->low_blocks) * SIZE_2M);
	vpci_init(&pc->pci);
}
