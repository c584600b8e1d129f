/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's VF without hardware: its twin at a port of the switch, and the ways from a VF to the
 * twin and back while the guest's driver stays as it is.
 */
#include "arch/x86/io.h"
#include "devices/net/net.h"
#include "devices/sriov/igb/igb_guest_priv.h"
#include "devices/platform/pc.h"
#include "devices/sriov/nics.h"
#include "guest/mem/gmem.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/log.h"

#define DRAIN_US   10000u /* for what the driver has rung for */
#define STOP_US	   100000u
#define STEP_US	   10u
#define TWIN_MTU   9000u
#define EICS	   0x1520u
#define EIMS	   0x1524u
#define RX_RING	   0x2800u
#define TX_RING	   0x3800u
#define QUEUE_ON   BIT(25)

/* Registers of page 1 that a VF has as the twin has them. */
static const struct {
	u16 off;
	u8 reg;
} int_regs[] = {
	{ 0x152c, VF_EIAC },	 { 0x1530, VF_EIAM },	  { 0x1680, VF_EITR },
	{ 0x1684, VF_EITR + 1 }, { 0x1688, VF_EITR + 2 }, { 0x1700, VF_IVAR },
	{ 0x1740, VF_IVAR_MISC },
};

/* ---- controller without registers --------------------------------------------------------- */

static u32 soft_rd(void *ctx, u32 off)
{
	(void)ctx, (void)off;
	return 0;
}

static void soft_wr(void *ctx, u32 off, u32 value)
{
	(void)ctx, (void)off, (void)value;
}

static void soft_delay(void *ctx, u32 us)
{
	(void)ctx, (void)us;
}

static void soft_init(struct igb_guest *v)
{
	v->soft = (struct igb_hw){ .env = { v, soft_rd, soft_wr, soft_delay },
				   .vfs = 1,
				   .pf_pool = 1 };
}

/* ---- the guest's memory and interrupts ------------------------------------------------------ */

static u8 *mem_map(void *ctx, gpa_t gpa, u32 *len)
{
	return gmem_piece(&((struct igb_guest *)ctx)->vm->mem, gpa, len);
}

static void mem_dirty(void *ctx, gpa_t gpa, u32 len)
{
	gmem_dirty(&((struct igb_guest *)ctx)->vm->mem, gpa, len);
}

static void twin_due(void *ctx)
{
	struct igb_guest *v = ctx;
	u32 irqs;
	bool more;

	(void)net_lock();
	more = vf_twin_work(&v->twin);
	vswitch_flush(net_locked());
	irqs = vf_twin_irqs(&v->twin);
	net_unlock();
	if (irqs)
		assign_raise_soon(v->a, irqs);
	if (more && timer_arm(&v->timer, tsc_read()))
		log_warn("vm %s: net%u: timer could not be armed", v->vm->name, v->net);
}

void igb_twin_mmio(struct igb_guest *v, u32 off, unsigned size, bool write, u64 *value)
{
	u32 irqs;
	bool more;

	(void)net_lock();
	vf_twin_io(&v->twin, off, size, write, value);
	more = vf_twin_work(&v->twin);
	vswitch_flush(net_locked());
	irqs = vf_twin_irqs(&v->twin);
	net_unlock();
	for (; irqs; irqs &= irqs - 1)
		(void)assign_raise(v->a, (u16)__builtin_ctz(irqs));
	if (more && timer_arm(&v->timer, tsc_read()))
		log_warn("vm %s: net%u: timer could not be armed", v->vm->name, v->net);
}

void igb_twin_sync(struct igb_guest *v)
{
	const struct igb_vf *f = &v->soft.vf[0];

	(void)net_lock();
	if (!f->cts)
		vf_twin_stop_queues(&v->twin);
	v->twin.open = f->cts;
	v->twin.multicast = f->hashes || f->all_multi;
	v->twin.max_frame = f->max_frame;
	net_unlock();
}

void igb_twin_power_on(struct igb_guest *v)
{
	(void)net_lock();
	vf_twin_reset(&v->twin);
	net_unlock();
}

/* ---- at the switch -------------------------------------------------------------------------- */

static void twin_send(void *ctx, struct frame *f)
{
	struct igb_guest *v = ctx;

	/* What is dropped is counted at the port. */
	(void)vswitch_send(net_locked(), v->port, f, false, net_now());
}

static u32 be_caps(void *ctx)
{
	(void)ctx;
	return 0;
}

static enum net_drop be_send(void *ctx, const struct frame *f)
{
	return vf_twin_receive(&((struct igb_guest *)ctx)->twin, f);
}

static void be_flush(void *ctx)
{
	struct igb_guest *v = ctx;
	u32 irqs;

	vf_twin_flush(&v->twin);
	irqs = vf_twin_irqs(&v->twin);
	if (irqs)
		assign_raise_soon(v->a, irqs);
}

void igb_twin_init(struct igb_guest *v)
{
	const struct vf_twin_env env = { v, twin_send };

	v->mem = (struct virtq_mem){ v, mem_map, mem_dirty };
	timer_init(&v->timer, twin_due, v);
	vf_twin_init(&v->twin, &env, &v->mem);
	soft_init(v);
}

static int open_port(struct igb_guest *v)
{
	static const struct netbe_ops ops = { be_caps, be_send, be_flush, NULL };
	const struct netbe be = { &ops, v };
	const struct igb_vf *policy = &v->soft.vf[0];
	char name[VSWITCH_NAME_LEN];
	struct vswitch_config c = { .name = name, .vlan = policy->vlan, .mtu = TWIN_MTU,
				    .tx_bps = policy->rate_bps, .rx_bps = policy->rate_bps };
	int rc;

	fmt_snprintf(name, sizeof(name), "%s.net%u", v->vm->name, v->net);
	memcpy(c.mac, policy->mac, 6);
	rc = vswitch_add(net_lock(), &c, &be, net_now(), &v->port);
	net_unlock();
	v->has_port = !rc;
	if (!rc && nics_uplink() && igb_mac_add(nics_uplink(), policy->mac))
		log_warn("nic %s: all %u address filters in use: net%u of %s is not reached from "
			 "there", nics_uplink()->name, IGB_RARS, v->net, v->vm->name);
	return rc;
}

int igb_twin_start(struct igb_guest *v, const struct igb_vf *policy)
{
	int rc;

	soft_init(v);
	rc = igb_vf_give(&v->soft, 0, policy);
	return rc || v->vm->state == VM_INCOMING ? rc : open_port(v);
}

void igb_twin_stop(struct igb_guest *v)
{
	if (!v->has_port)
		return;
	vswitch_remove(net_lock(), v->port);
	net_unlock();
	v->has_port = false;
	if (nics_uplink())
		igb_mac_remove(nics_uplink(), v->soft.vf[0].mac);
}

/* ---- state ---------------------------------------------------------------------------------- */

static void vdev_reset(void *state)
{
	(void)state; /* with the function */
}

static void vdev_quiesce(void *state)
{
	struct igb_guest *v = state;

	if (v->g || !v->vm->migrating)
		return;
	igb_twin_stop(v);
	(void)net_lock();
	v->twin.stopped = true;
	net_unlock();
}

static int check_state(struct igb_guest *v)
{
	const struct igb_vf *f = &v->soft.vf[0];
	int rc = igb_vf0_resume(&v->page);

	if (f->hashes > IGB_HASHES || f->max_frame < IGB_MIN_FRAME || f->max_frame > IGB_MAX_FRAME)
		return -EINVAL;
	return rc ? rc : vf_twin_resume(&v->twin);
}

static int vdev_resume(void *state)
{
	struct igb_guest *v = state;
	bool incoming = v->vm->state == VM_INCOMING;
	int rc = v->g ? 0 : check_state(v);

	if (rc || v->g || incoming)
		return rc;
	if (!v->has_port)
		rc = open_port(v);
	if (rc)
		return rc;
	v->twin.stopped = false;
	igb_twin_sync(v);
	if (v->vm->moved) {
		vswitch_show(net_lock(), v->port, net_now());
		net_unlock();
	}
	igb_twin_recheck(v);
	return 0;
}

static const struct vmstate_field fields[] = {
	VMSTATE_ARRAY(struct igb_guest, page.mem, VMS_U32),
	VMSTATE(struct igb_guest, page.mbox, VMS_U32),
	VMSTATE_ARRAY(struct igb_guest, page.stat_base, VMS_U32),
	VF_TWIN_VMSTATE(struct igb_guest, twin),
	VMSTATE(struct igb_guest, soft.vf[0].cts, VMS_BOOL),
	VMSTATE(struct igb_guest, soft.vf[0].all_multi, VMS_BOOL),
	VMSTATE(struct igb_guest, soft.vf[0].max_frame, VMS_U16),
	VMSTATE(struct igb_guest, soft.vf[0].hashes, VMS_U32),
	VMSTATE_ARRAY(struct igb_guest, soft.vf[0].hash, VMS_U16),
};

int igb_twin_add_vdev(struct igb_guest *v)
{
	static const struct vdev_ops ops = { vdev_reset, vdev_quiesce, vdev_resume };

	v->vdev = (struct vdev){ "igbvf", v->net, 1, v, &ops, fields, ARRAY_SIZE(fields) };
	return pc_add_vdev(v->vm, &v->vdev);
}

/* ---- from one to the other ------------------------------------------------------------------ */

/* What the driver asked for by its mailbox goes along with the policy. */
static void copy_learned(struct igb_vf *to, const struct igb_vf *from)
{
	to->cts = from->cts;
	to->all_multi = from->all_multi;
	to->max_frame = from->max_frame;
	to->hashes = from->hashes;
	memcpy(to->hash, from->hash, sizeof(to->hash));
}

static volatile u8 *vf_bar(const struct igb *g, u8 n)
{
	const struct pci_bar *b = &g->sriov.bar[0];

	return hostmap_mmio(b->addr + n * b->size, b->size);
}

static bool wait_for(volatile u8 *bar, u32 off, u32 bits, u32 want, u32 us)
{
	for (u32 t = 0; t < us; t += STEP_US) {
		if ((mmio_read32(bar + off) & bits) == want)
			return true;
		delay_us(STEP_US);
	}
	return false;
}

/* Nothing of the device's moves any more, as far as the driver's rings are concerned. */
static int stop_hardware(volatile u8 *bar)
{
	u32 tail = mmio_read32(bar + TX_RING + 4 * VF_TAIL), rx, tx;

	/* Without link it never drains: then the rest is the twin's to send. */
	(void)wait_for(bar, TX_RING + 4 * VF_HEAD, ~0u, tail, DRAIN_US);
	rx = mmio_read32(bar + RX_RING + 4 * VF_DCTL);
	tx = mmio_read32(bar + TX_RING + 4 * VF_DCTL);
	mmio_write32(bar + RX_RING + 4 * VF_DCTL, rx & ~(u32)QUEUE_ON);
	mmio_write32(bar + TX_RING + 4 * VF_DCTL, tx & ~(u32)QUEUE_ON);
	if (!wait_for(bar, RX_RING + 4 * VF_DCTL, (u32)QUEUE_ON, 0, STOP_US) ||
	    !wait_for(bar, TX_RING + 4 * VF_DCTL, (u32)QUEUE_ON, 0, STOP_US))
		return -ETIMEDOUT;
	return 0;
}

/* on: which queues ran before they were stopped. */
static void read_state(struct igb_guest *v, volatile u8 *bar, const u32 dctl[2])
{
	struct vf_twin *t = &v->twin;

	for (u32 i = 0; i < VF_TWIN_RING; i++) {
		t->rx[i] = mmio_read32(bar + RX_RING + 4 * i);
		t->tx[i] = mmio_read32(bar + TX_RING + 4 * i);
	}
	t->rx[VF_DCTL] = dctl[0];
	t->tx[VF_DCTL] = dctl[1];
	for (u32 i = 0; i < ARRAY_SIZE(int_regs); i++)
		t->irq[int_regs[i].reg] = mmio_read32(bar + int_regs[i].off);
	/* The VF's own copy may say what was written last; the physical function's is the mask. */
	t->irq[VF_EIMS] = mmio_read32(v->g->regs + IGB_EIMS) >> IGB_VF_EITR(v->n) & 7;
	t->irq[VF_EICR] = 0;
}

static int direct_to_twin(struct igb_guest *v, char *why, size_t size)
{
	volatile u8 *bar = vf_bar(v->g, v->n);
	struct igb *g = v->g;
	const struct igb_vf *f = &g->hw.vf[v->n];
	u32 dctl[2];
	int rc;

	if (!bar)
		return -ENOMEM;
	assign_close(v->a);
	dctl[0] = mmio_read32(bar + RX_RING + 4 * VF_DCTL);
	dctl[1] = mmio_read32(bar + TX_RING + 4 * VF_DCTL);
	/* Frames queue at the physical function from here on; the softirq that takes them waits. */
	rc = igb_twin_start(v, f);
	if (rc) {
		assign_open(v->a);
		fmt_snprintf(why, size, "the switch does not take it: %s", err_name(rc));
		return rc;
	}
	spin_lock(&g->lock);
	igb_rar_remove(&g->hw, f->mac, v->n);
	spin_unlock(&g->lock);
	rc = stop_hardware(bar);
	read_state(v, bar, dctl);
	copy_learned(&v->soft.vf[0], f);
	igb_vf0_freeze_stats(&v->page);
	v->g = NULL;
	igb_vf0_thaw_stats(&v->page);
	assign_cut(v->a);
	igb_guest_take(g, v->n);
	if (rc)
		log_err("nic %s: VF %u did not stop, it was cut off", g->name, v->n);
	igb_twin_sync(v);
	return 0;
}

static void write_state(struct igb_guest *v, volatile u8 *bar)
{
	static const u8 order[] = { VF_BAL, VF_BAH, VF_LEN, VF_SRRCTL, VF_DCA, VF_WBAL, VF_WBAH,
				    VF_HEAD, VF_DCTL, VF_TAIL };
	const struct vf_twin *t = &v->twin;

	for (u32 i = 0; i < ARRAY_SIZE(int_regs); i++)
		mmio_write32(bar + int_regs[i].off, t->irq[int_regs[i].reg]);
	/* Heads before the queues are on, tails after: what is on looks at its tail then. */
	for (u32 i = 0; i < ARRAY_SIZE(order); i++) {
		mmio_write32(bar + RX_RING + 4u * order[i], t->rx[order[i]]);
		mmio_write32(bar + TX_RING + 4u * order[i], t->tx[order[i]]);
	}
	mmio_write32(bar + EIMS, t->irq[VF_EIMS]);
	mmio_write32(bar + EICS, 3); /* an interrupt too many does no harm, one lost does */
}

/* Hardware that keeps the heads it was given? */
static bool heads_stuck(const struct igb_guest *v, volatile u8 *bar)
{
	mmio_write32(bar + RX_RING + 4 * VF_HEAD, v->twin.rx[VF_HEAD]);
	mmio_write32(bar + TX_RING + 4 * VF_HEAD, v->twin.tx[VF_HEAD]);
	return mmio_read32(bar + RX_RING + 4 * VF_HEAD) == v->twin.rx[VF_HEAD] &&
	       mmio_read32(bar + TX_RING + 4 * VF_HEAD) == v->twin.tx[VF_HEAD];
}

static int give_again(struct igb_guest *v, struct igb *g, u8 n)
{
	int rc = igb_guest_clean(g, n);

	if (rc)
		return rc;
	spin_lock(&g->lock);
	rc = igb_vf_give(&g->hw, n, &v->soft.vf[0]);
	if (!rc) {
		copy_learned(&g->hw.vf[n], &v->soft.vf[0]);
		igb_vf_update(&g->hw, n);
	}
	spin_unlock(&g->lock);
	return rc;
}

static int twin_to_direct(struct igb_guest *v, struct igb *g, u8 n, char *why, size_t size)
{
	volatile u8 *bar = vf_bar(g, n);
	struct assign_info info;
	int rc = bar ? igb_guest_info(g, n, &info, why, size) : -ENOMEM;

	if (rc)
		return rc;
	while (igb_poll(g)) /* what came before goes to the twin first */
		;
	rc = give_again(v, g, n);
	if (rc) {
		fmt_snprintf(why, size, "VF %u cannot be had: %s", n, err_name(rc));
		return rc;
	}
	g->slot[n].guest = v;
	rc = assign_back(v->a, &info, why, size);
	if (!rc && !heads_stuck(v, bar)) {
		fmt_snprintf(why, size, "this hardware does not take over a ring in the middle");
		assign_cut(v->a);
		rc = -ENOTSUP;
	}
	if (rc) {
		igb_guest_take(g, n);
		return rc;
	}
	igb_twin_stop(v);
	igb_vf0_freeze_stats(&v->page);
	v->g = g;
	v->n = n;
	igb_vf0_thaw_stats(&v->page);
	if (g->hw.vf[n].cts) {
		spin_lock(&g->lock);
		igb_vf_open(&g->hw, n);
		spin_unlock(&g->lock);
	}
	write_state(v, bar);
	assign_open(v->a);
	return 0;
}

void igb_twin_recheck(struct igb_guest *v)
{
	u32 irqs;

	(void)net_lock();
	vf_twin_recheck(&v->twin);
	irqs = vf_twin_irqs(&v->twin);
	net_unlock();
	assign_raise_soon(v->a, irqs);
	if (timer_arm(&v->timer, tsc_read()))
		log_warn("vm %s: net%u: timer could not be armed", v->vm->name, v->net);
}

static struct igb_guest *find(struct vm *vm, u8 index, bool twin, char *why, size_t size)
{
	struct igb_guest *v = igb_guest_of(vm, index);

	if (v && v->a && (v->g == NULL) == twin)
		return v;
	str_copy(why, size, !v ? "it has no such VF" : twin ? "it is direct" : "it is the twin");
	return NULL;
}

int igb_guest_twin(struct vm *vm, u8 index, char *why, size_t why_size)
{
	struct igb_guest *v = find(vm, index, false, why, why_size);
	int rc = v ? direct_to_twin(v, why, why_size) : -EBUSY;

	if (rc)
		return rc;
	vm->own_config.net[index].twin = true; /* also at its next start */
	igb_twin_recheck(v);
	return 0;
}

int igb_guest_direct(struct vm *vm, u8 index, const char *nic, char *why, size_t why_size)
{
	struct igb_guest *v = find(vm, index, true, why, why_size);
	struct config_net *net = &vm->own_config.net[index];
	struct igb *g;
	u32 i = 0;
	u8 n = 0;
	int rc;

	if (!v)
		return -EBUSY;
	while ((g = nics_at(i)) != NULL &&
	       ((nic && strcmp(nic, g->name) != 0) || !igb_guest_free(g, &n)))
		i++;
	if (!g) {
		fmt_snprintf(why, why_size, "no VF is free%s%s", nic ? " at " : "", nic ? nic : "");
		return -ENOENT;
	}
	rc = twin_to_direct(v, g, n, why, why_size);
	if (rc)
		return rc;
	net->twin = false;
	str_copy(net->nic, sizeof(net->nic), g->name);
	return 0;
}
