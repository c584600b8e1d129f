/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 82576 driver, the part that touches hardware: start, interrupts, frames.
 */
#include "devices/sriov/igb/igb.h"

#include "arch/x86/io.h"
#include "devices/sriov/igb/igb_guest.h"
#include "devices/sriov/uplink.h"
#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/pci.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"

#define EVENT_QUEUE BIT(0)
#define EVENT_OTHER BIT(1)
#define EVENT_WATCH BIT(2)
#define EVENT_LOOK  BIT(3)

/* How often it is looked after; a link that lasted RETURN_TICKS is trusted again. */
#define WATCH_NS     1000000000ull
#define RETURN_TICKS 2u

#define VEC_OTHER 1u

#define RX_BUDGET 64u /* frames a softirq */
#define DRAIN_NS  20000000u /* to send all that is in the ring */

/* Interrupt at most every 20 us: bits 14:2 of the throttle register count microseconds. */
#define THROTTLE (20u << 2)

/* 2 KiB buffers, one a descriptor; frames without a buffer are dropped. */
#define SRRCTL ((u32)IGB_SRRCTL_DROP | IGB_SRRCTL_ONE_BUF | IGB_BUF / 1024)

/* The block's layout. */
#define RX_DESC_AT 0u
#define TX_DESC_AT IGB_RING_BYTES
#define RX_BUF_AT  (2 * IGB_RING_BYTES)
#define TX_BUF_AT  (RX_BUF_AT + IGB_BUFS_BYTES)
STATIC_ASSERT(TX_BUF_AT + IGB_BUFS_BYTES == IGB_POOLS_AT, "pools are behind");
STATIC_ASSERT(IGB_POOLS_AT + (IGB_POOLS - 1) * IGB_POOL_BYTES <= SIZE_2M, "all fit one block");

static u32 reg_rd(void *ctx, u32 off)
{
	return mmio_read32(((struct igb *)ctx)->regs + off);
}

static void reg_wr(void *ctx, u32 off, u32 value)
{
	mmio_write32(((struct igb *)ctx)->regs + off, value);
}

static void reg_delay(void *ctx, u32 us)
{
	(void)ctx;
	delay_us(us);
}

bool igb_matches(const struct pci_func *f)
{
	static const u16 device[] = { 0x10c9, 0x10e6, 0x10e7, 0x10e8, 0x150a, 0x150d, 0x1518,
				      0x1526 };

	for (u32 i = 0; i < ARRAY_SIZE(device); i++)
		if (f->vendor == 0x8086 && f->device == device[i])
			return true;
	return false;
}

/* ---- interrupts ------------------------------------------------------------------------ */

static void irq_queue(void *ctx)
{
	struct igb *g = ctx;

	atomic_or(&g->events, (u32)EVENT_QUEUE);
	softirq_post(SOFTIRQ_NIC);
}

static void irq_other(void *ctx)
{
	struct igb *g = ctx;

	atomic_or(&g->events, (u32)EVENT_OTHER);
	softirq_post(SOFTIRQ_NIC);
}

static int route(struct igb *g, u16 i, void (*fn)(void *ctx))
{
	int vector = irq_alloc(fn, g), rc;

	if (vector < 0)
		return vector;
	rc = host_irq_route(&g->irqs, i, (u8)vector, pcpu_get(0)->apic_id);
	if (rc)
		irq_free((u8)vector);
	else
		g->vector[i] = (u8)vector;
	return rc;
}

static void die(struct igb *g, const char *why)
{
	g->dead = why;
	log_err("nic %s: it %s", g->name, why);
	pci_write(g->func->bdf, PCI_COMMAND, 2,
		  pci_read(g->func->bdf, PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER);
}

bool igb_answers(struct igb *g)
{
	u32 command = pci_read(g->func->bdf, PCI_COMMAND, 2);

	if (g->dead)
		return false;
	if (command == 0xffff || reg_rd(g, IGB_STATUS) == ~0u)
		die(g, "does not answer any more");
	else if (!(command & PCI_COMMAND_MEMORY))
		die(g, "was reset");
	return !g->dead;
}

void igb_kill(const struct igb *g)
{
	struct pci_reset_caps caps;
	struct pci_saved saved;

	pci_reset_find(pci_cfg_host(), g->func->bdf, &caps);
	if (pci_reset_begin(pci_cfg_host(), &host_delay, g->func->bdf, &caps, &saved))
		log_err("nic %s: it cannot be reset", g->name);
}

/*
 * Errors after which neither what it says nor what it wrote can be trusted; none that a guest's
 * wrong addresses cause.
 */
static bool fatal_error(const struct pci_func *f)
{
	u32 severity = f->ext_aer ? pci_read(f->bdf, f->ext_aer + PCI_AER_SEVERITY, 4) : 0;

	return severity & PCI_AER_LINK & pci_read(f->bdf, f->ext_aer + PCI_AER_STATUS, 4) &
	       ~pci_read(f->bdf, f->ext_aer + PCI_AER_MASK, 4);
}

static u32 look(struct igb *g)
{
	u32 cause, mbps;

	if (igb_answers(g) && fatal_error(g->func))
		die(g, "has a fatal error of its link to the host");
	if (g->dead)
		return 0;
	spin_lock(&g->lock);
	cause = reg_rd(g, IGB_ICR);
	reg_wr(g, IGB_ICR, cause); /* where reading does not clear it */
	if (cause != ~0u && (cause & IGB_ICR_VMMB))
		(void)igb_ack_events(&g->hw);
	mbps = igb_link_mbps(&g->hw);
	spin_unlock(&g->lock);
	reg_wr(g, IGB_EIMS, BIT(VEC_OTHER));
	return mbps;
}

static void serve_other(struct igb *g)
{
	u32 mbps = look(g);

	if (mbps == g->mbps)
		return;
	g->mbps = mbps;
	g->ticks = 0;
	uplink_choose();
	if (!mbps)
		igb_failover(g);
	igb_guests_link(g);
	log_info("nic %s: link %s%u Mbit/s", g->name, mbps ? "up, " : "down, ", mbps);
	if (g->client.link)
		g->client.link(g->client.ctx, mbps);
}

bool igb_trusted(const struct igb *g)
{
	return g->mbps && g->ticks >= RETURN_TICKS;
}

static void watch_due(void *ctx)
{
	struct igb *g = ctx;

	atomic_or(&g->events, (u32)EVENT_OTHER | (u32)EVENT_WATCH);
	softirq_post(SOFTIRQ_NIC);
}

void igb_look_soon(struct igb *g)
{
	atomic_or(&g->events, (u32)EVENT_LOOK);
	atomic_or(&pcpu_get(0)->softirq, SOFTIRQ_NIC);
	cpu_kick(0);
}

static void watch(struct igb *g)
{
	if (g->mbps && g->ticks < RETURN_TICKS && ++g->ticks == RETURN_TICKS) {
		uplink_choose();
		igb_failback(g);
	}
	if (g->dead)
		igb_failover(g); /* those that were on the move */
	if (timer_arm(&g->watch, tsc_read() + ns_to_tsc(WATCH_NS)))
		log_warn("nic %s: it is not looked after any more", g->name);
}

u32 igb_serve_locked(struct igb *g)
{
	struct virtq_seg seg;
	struct frame f;
	u32 n = 0;

	for (; n < IGB_RING && igb_rx_next(&g->rx, &f, &seg); n++) {
		if (g->client.rx)
			g->client.rx(g->client.ctx, &f);
		igb_rx_done(&g->rx);
	}
	if (n)
		reg_wr(g, IGB_RDT(g->hw.pf_pool), igb_rx_tail(&g->rx));
	return n;
}

/* True: the budget is used up and there may be more. */
static bool serve_rx(struct igb *g)
{
	const struct igb_client *c = &g->client;
	struct virtq_seg seg;
	struct frame f;
	u32 n = 0;

	while (n < RX_BUDGET && !g->rx_waits && igb_rx_next(&g->rx, &f, &seg)) {
		if (!n && c->rx_begin)
			c->rx_begin(c->ctx);
		if (c->rx)
			c->rx(c->ctx, &f);
		igb_rx_done(&g->rx);
		n++;
	}
	if (!n)
		return g->rx_waits;
	reg_wr(g, IGB_RDT(g->hw.pf_pool), igb_rx_tail(&g->rx));
	if (c->rx_end)
		c->rx_end(c->ctx);
	return n == RX_BUDGET || g->rx_waits;
}

bool igb_poll(struct igb *g)
{
	u32 events = atomic_swap(&g->events, 0);
	bool more = false;

	if (events & EVENT_OTHER)
		serve_other(g);
	if (events & EVENT_WATCH)
		watch(g);
	if ((events & (EVENT_WATCH | EVENT_LOOK)) && g->failover && !g->dead)
		igb_switch_look(g);
	if (events & EVENT_QUEUE) {
		g->interrupts++;
		more = serve_rx(g);
		if (g->client.pools)
			more |= g->client.pools(g->client.ctx);
		if (more)
			atomic_or(&g->events, (u32)EVENT_QUEUE);
		else
			/* What came since is pending in the cause register and fires at once. */
			reg_wr(g, IGB_EIMS, BIT(IGB_VEC_QUEUE));
	}
	return more;
}

/* ---- sending --------------------------------------------------------------------------- */

static u32 be_caps(void *ctx, const struct frame *f)
{
	(void)ctx;
	return igb_tx_takes(f) ? NETBE_CSUM | NETBE_TCP4 | NETBE_TCP6 : 0;
}

static enum net_drop be_send(void *ctx, const struct frame *f)
{
	struct igb *g = ctx;

	if (!g->mbps)
		return NET_DROP_LINK;
	/* The wire is slower than its senders: they may try again. */
	return igb_tx_put(&g->tx, f) ? NET_OK : NET_DROP_BUFFER;
}

static void be_flush(void *ctx)
{
	struct igb *g = ctx;

	reg_wr(g, IGB_TDT(g->hw.pf_pool), igb_tx_tail(&g->tx));
	(void)igb_tx_reclaim(&g->tx); /* emulators are done by now */
}

bool igb_serve_pools(struct igb *g)
{
	(void)igb_tx_reclaim(&g->tx);
	return igb_pools_serve(g, RX_BUDGET);
}

void igb_cut_off(struct igb *g)
{
	log_err("nic %s: a queue does not stop: cut off from memory", g->name);
	pci_write(g->func->bdf, PCI_COMMAND, 2,
		  pci_read(g->func->bdf, PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER);
}

/* Frames are lost: the NIC's link is down, or it does not do its work. */
static void abort_sending(struct igb *g)
{
	u64 end = time_ns() + DRAIN_NS;
	u32 q = g->hw.pf_pool;

	log_warn("nic %s: %u slots of frames not sent", g->name,
		 IGB_RING - 1 - igb_tx_reclaim(&g->tx));
	reg_wr(g, IGB_TXDCTL(q), 0);
	while (reg_rd(g, IGB_TXDCTL(q)) & (u32)IGB_QUEUE_ON) {
		if (time_ns() < end)
			continue;
		igb_cut_off(g);
		break;
	}
	igb_tx_abort(&g->tx);
	reg_wr(g, IGB_TDH(q), 0);
	reg_wr(g, IGB_TDT(q), 0);
	reg_wr(g, IGB_TXDCTL(q), (u32)IGB_QUEUE_ON);
}

static void be_drain(void *ctx)
{
	struct igb *g = ctx;
	u64 end = time_ns() + DRAIN_NS;

	be_flush(g);
	while (igb_tx_reclaim(&g->tx) < IGB_RING - 1) {
		if (g->mbps && time_ns() < end)
			continue;
		abort_sending(g);
		return;
	}
}

struct netbe igb_netbe(struct igb *g)
{
	static const struct netbe_ops ops = { be_caps, be_send, be_flush, NULL, be_drain };

	return (struct netbe){ .ops = &ops, .ctx = g };
}

int igb_mac_add(struct igb *g, const u8 *mac)
{
	int rc;

	spin_lock(&g->lock);
	rc = igb_rar_add(&g->hw, mac, g->hw.pf_pool);
	spin_unlock(&g->lock);
	return rc;
}

void igb_mac_remove(struct igb *g, const u8 *mac)
{
	spin_lock(&g->lock);
	igb_rar_remove(&g->hw, mac, g->hw.pf_pool);
	spin_unlock(&g->lock);
}

int igb_vlan_listen(struct igb *g, u16 vid)
{
	int rc;

	spin_lock(&g->lock);
	rc = igb_vlan_add(&g->hw, vid, g->hw.pf_pool);
	spin_unlock(&g->lock);
	return rc;
}

/* ---- start ----------------------------------------------------------------------------- */

static int map_memory(struct igb *g)
{
	hpa_t block;
	int rc = block_alloc(hv_owner(), &block);

	if (rc)
		return rc;
	memset(phys_to_virt(block), 0, SIZE_2M);
	if (iommu_present())
		rc = iommu_map(iommu_host(), block, block, SIZE_2M, PG_R | PG_W);
	if (rc)
		block_free(hv_owner(), block);
	else
		g->block = block;
	return rc;
}

static void queue_base(struct igb *g, u32 low, u32 len_reg, u64 dma)
{
	reg_wr(g, low, (u32)dma);
	reg_wr(g, low + 4, (u32)(dma >> 32));
	reg_wr(g, len_reg, IGB_RING_BYTES);
}

/* Without translation and in the host's domain device addresses are the machine's. */
static iova_t dma_of(const u8 *p)
{
	return virt_to_phys(p);
}

/* Rings first, then ENABLE, then the tail: a tail written before is ignored by hardware. */
static void start_queues(struct igb *g)
{
	u8 *base = phys_to_virt(g->block);
	const struct igb_ring_mem rx = { (u64 *)(base + RX_DESC_AT), base + RX_BUF_AT,
					 g->block + RX_DESC_AT, g->block + RX_BUF_AT };
	const struct igb_ring_mem tx = { (u64 *)(base + TX_DESC_AT), base + TX_BUF_AT,
					 g->block + TX_DESC_AT, g->block + TX_BUF_AT };
	u32 q = g->hw.pf_pool;

	igb_rx_init(&g->rx, &rx);
	igb_tx_init(&g->tx, &tx, dma_of);
	queue_base(g, IGB_RDBAL(q), IGB_RDLEN(q), rx.desc_dma);
	queue_base(g, IGB_TDBAL(q), IGB_TDLEN(q), tx.desc_dma);
	reg_wr(g, IGB_SRRCTL(q), SRRCTL);
	reg_wr(g, IGB_RDH(q), 0);
	reg_wr(g, IGB_RDT(q), 0);
	reg_wr(g, IGB_TDH(q), 0);
	reg_wr(g, IGB_TDT(q), 0);
	reg_wr(g, IGB_IVAR(q), (IGB_IVAR_VALID | IGB_VEC_QUEUE) * 0x0101u);
	reg_wr(g, IGB_EITR(IGB_VEC_QUEUE), THROTTLE);
	reg_wr(g, IGB_RXDCTL(q), (u32)IGB_QUEUE_ON);
	reg_wr(g, IGB_TXDCTL(q), (u32)IGB_QUEUE_ON);
	igb_open(&g->hw);
	reg_wr(g, IGB_RDT(q), igb_rx_tail(&g->rx));
}

static int start_irqs(struct igb *g)
{
	const struct pci_func *f = g->func;
	u32 table = pci_read(f->bdf, f->cap_msix + MSIX_TABLE, 4);
	const struct host_irq_place p = { .bdf = f->bdf, .cap = f->cap_msix, .msix = true,
					  .count = IGB_VECTORS,
					  .table = f->bar[table & 7].addr + (table & ~7u) };
	int rc;

	if (!f->cap_msix || (table & 7) > 5 || !f->bar[table & 7].size)
		return -ENODEV;
	rc = host_irq_open(&g->irqs, &p);
	if (!rc)
		rc = route(g, IGB_VEC_QUEUE, irq_queue);
	if (!rc)
		rc = route(g, VEC_OTHER, irq_other);
	if (rc)
		return rc;
	/* One shot each: the poll writes the mask again. */
	reg_wr(g, IGB_EIAC, BIT(IGB_VEC_QUEUE) | BIT(VEC_OTHER));
	reg_wr(g, IGB_EIAM, BIT(IGB_VEC_QUEUE) | BIT(VEC_OTHER));
	reg_wr(g, IGB_EIMS, BIT(IGB_VEC_QUEUE) | BIT(VEC_OTHER));
	return 0;
}

/* VFs are worth nothing where DMA is not translated, and a danger. */
static void start_vfs(struct igb *g, u8 wanted)
{
	char why[128] = "DMA of devices is not translated here";
	int rc = -ENODEV;

	if (!wanted)
		return;
	if (iommu_present())
		rc = sriov_setup(g->func, wanted, &g->sriov, why, sizeof(why));
	if (rc)
		log_warn("nic %s: no virtual functions: %s", g->name, why);
	else
		g->vfs = wanted;
}

static int attach(struct igb *g, const struct pci_func *f)
{
	u32 command = pci_read(f->bdf, PCI_COMMAND, 2);
	int rc = iommu_present() ? iommu_attach(iommu_host(), f->bdf) : 0;

	if (rc)
		return rc;
	g->regs = hostmap_mmio(f->bar[0].addr, IGB_BAR_LEN);
	if (!g->regs)
		return -ENOMEM;
	pci_write(f->bdf, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (f->ext_aer) /* what was before is of no interest: written ones clear */
		pci_write(f->bdf, f->ext_aer + PCI_AER_STATUS, 4, ~0u);
	return 0;
}

/* A start that failed: nothing of the device's may go on when its memory is given back. */
static void abandon(struct igb *g)
{
	const struct pci_func *f = g->func;
	int rc = 0;

	pci_write(f->bdf, PCI_COMMAND, 2, pci_read(f->bdf, PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER);
	if (g->vfs)
		sriov_disable(pci_cfg_host(), &host_delay, &g->sriov);
	host_irq_close(&g->irqs);
	for (u32 i = 0; i < IGB_VECTORS; i++)
		if (g->vector[i])
			irq_free(g->vector[i]);
	if (!g->block)
		return;
	if (iommu_present())
		rc = iommu_unmap(iommu_host(), g->block, SIZE_2M);
	if (rc)
		log_err("nic %s: its memory is not used again: %s", g->name, err_name(rc));
	else
		block_free(hv_owner(), g->block);
}

int igb_start_nic(struct igb *g, const struct pci_func *f, const struct config_nic *cfg, char *why,
		  size_t why_size)
{
	const struct igb_env env = { g, reg_rd, reg_wr, reg_delay };
	u8 wanted = cfg->vfs < IGB_MAX_VFS ? cfg->vfs : IGB_MAX_VFS;
	const char *step = "attach";
	int rc;

	memset(g, 0, sizeof(*g));
	str_copy(g->name, sizeof(g->name), cfg->name);
	spin_init(&g->lock, LOCK_PF, "igb");
	g->func = f;
	g->failover = cfg->failover;
	g->backup = cfg->backup;
	if (cfg->vfs > wanted)
		log_warn("nic %s: %u VFs asked for, the device has %u", cfg->name, cfg->vfs,
			 wanted);
	if (f->bar[0].size < IGB_BAR_LEN || !f->bar[0].addr || f->bar[0].io)
		rc = -EIO;
	else
		rc = attach(g, f);
	if (!rc) {
		step = "reset";
		rc = igb_reset(&g->hw, &env);
	}
	if (!rc) {
		step = "memory";
		rc = map_memory(g);
	}
	if (!rc) {
		start_vfs(g, wanted);
		step = "start";
		rc = igb_start(&g->hw, g->vfs, VEC_OTHER);
	}
	if (!rc) {
		step = "interrupts";
		if (g->vfs)
			g->head = igb_head_probe(&g->hw, 0);
		start_queues(g);
		rc = start_irqs(g);
	}
	if (!rc) {
		timer_init(&g->watch, watch_due, g);
		watch(g);
		return 0;
	}
	fmt_snprintf(why, why_size, "%s failed: %s", step, err_name(rc));
	abandon(g);
	return rc;
}
