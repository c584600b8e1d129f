/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio transport, seen by a driver: an echo device behind registers, negotiation, interrupts,
 * resets in flight, save and load.
 */
#include "unit.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "virtio_driver.h"

#define V1 BIT(VIRTIO_F_VERSION_1)

static struct vd_ram ram;
static struct vp p;
static struct virtio_dev dev;
static struct virtq_chain chain;
static u32 resets, started, stopped, kicks;
static u8 device_regs[8];

/* Sends back what it gets, inverted. */
static void echo(struct virtio_dev *d, unsigned i)
{
	kicks++;
	while (virtio_pop(d, i, &chain)) {
		u8 b[64];
		u32 n = virtq_read(&chain, 0, b, sizeof(b));

		for (u32 k = 0; k < n; k++)
			b[k] = (u8)~b[k];
		n = virtq_write(&d->vq[i], &chain, 0, b, n);
		virtq_push(&d->vq[i], chain.id, chain.slots, n);
		virtio_flush(d, i);
	}
	if (d->vq[i].running)
		CHECK(!virtq_kicks_on(&d->vq[i]));
}

static void on_reset(struct virtio_dev *d)
{
	(void)d;
	resets++;
}

static void on_started(struct virtio_dev *d, unsigned i)
{
	(void)d, (void)i;
	started++;
}

static void on_stopped(struct virtio_dev *d, unsigned i)
{
	(void)d, (void)i;
	stopped++;
}

static bool features_ok(struct virtio_dev *d, u64 f)
{
	(void)d;
	return (f & 3) != 2; /* bit 1 needs bit 0 */
}

static void config(struct virtio_dev *d, u32 off, unsigned size, bool write, u64 *value)
{
	CHECK(off + size <= d->ops->config_len);
	if (write)
		memcpy(device_regs + off, value, size);
	else
		memcpy(value, device_regs + off, size);
}

static const struct virtio_ops ops = { .type = VIRTIO_ID_NET,
				       .class_code = 0x020000,
				       .config_len = 8,
				       .features_ok = features_ok,
				       .started = on_started,
				       .stopped = on_stopped,
				       .kick = echo,
				       .reset = on_reset,
				       .config = config };

static void begin(bool msix)
{
	struct virtio_env env = vp_env(&p);

	memset(&p, 0, sizeof(p));
	resets = started = stopped = kicks = 0;
	vd_ram_init(&ram, 64, true);
	p.msix = msix;
	virtio_pci_init(&dev, &ops, 3, 2, &ram.mem, &env);
	vp_probe(&p, &dev, &ram);
}

static void up(u64 features)
{
	CHECK(vp_negotiate(&p, features | V1));
	vp_queue(&p, 0, 16);
	vp_queue(&p, 1, 8);
	vp_ready(&p);
}

static void echo_once(unsigned i)
{
	gpa_t out = 0x30000, in = 0x31000;
	struct vd_buf b[2] = { { out, 4, false }, { in, 4, true } };
	u8 got[4];
	u32 len = 0;
	int id;

	vd_poke(&ram, out, "\x11\x22\x33\x44", 4);
	id = vd_add(&p.vd[i], b, 2, 0);
	CHECK(id >= 0);
	vp_kick(&p, i);
	CHECK_EQ(vd_get(&p.vd[i], &len), id);
	CHECK_EQ(len, 4);
	vd_peek(&ram, in, got, 4);
	CHECK(!memcmp(got, "\xee\xdd\xcc\xbb", 4));
	vd_irq(&p.vd[i], true);
}

TEST(identity)
{
	begin(true);
	CHECK_EQ(vcfg_read(&dev.cfg, 2, 2), 0x1041);
	CHECK_EQ(vcfg_read(&dev.cfg, PCI_CLASS_REVISION, 1), 1);
	CHECK_EQ(vp_read(&p, p.common + 0x12, 2), 2);
	CHECK(vp_offered(&p) & V1);
	CHECK(vp_offered(&p) & BIT(VIRTIO_F_RING_PACKED));
	vp_write(&p, p.common, 4, 2);
	CHECK_EQ(vp_read(&p, p.common + 4, 4), 0);
	vd_ram_free(&ram);
}

TEST(echoes)
{
	const u64 sets[] = { 0, BIT(VIRTIO_F_EVENT_IDX), BIT(VIRTIO_F_RING_PACKED),
			     BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_EVENT_IDX) };

	for (unsigned k = 0; k < 4; k++) {
		begin(true);
		up(sets[k]);
		for (u32 i = 0; i < 100; i++) {
			echo_once(0);
			echo_once(1);
			CHECK_EQ(p.irqs[1], i + 1);
			CHECK_EQ(p.irqs[2], i + 1);
		}
		CHECK(!p.line);
		vd_ram_free(&ram);
	}
}

TEST(negotiation)
{
	begin(true);
	CHECK(!vp_negotiate(&p, 1));			  /* without VERSION_1 */
	CHECK(!vp_negotiate(&p, V1 | 4));		  /* not offered */
	CHECK(!vp_negotiate(&p, V1 | 2));		  /* bit 1 needs bit 0 */
	vp_write(&p, p.common + 0x16, 2, 0);
	vp_write(&p, p.common + 0x1c, 2, 1);
	CHECK_EQ(vp_read(&p, p.common + 0x1c, 2), 0); /* no queue before FEATURES_OK */
	CHECK(vp_negotiate(&p, V1 | 3));
	vp_write(&p, p.common + 8, 4, 0);
	vp_write(&p, p.common + 0xc, 4, 0);
	CHECK(dev.features == (V1 | 3)); /* settled */
	vd_ram_free(&ram);
}

TEST(queue_registers)
{
	begin(true);
	up(BIT(VIRTIO_F_RING_RESET));
	vp_write(&p, p.common + 0x16, 2, 0);
	CHECK_EQ(vp_read(&p, p.common + 0x18, 2), 16);
	vp_write(&p, p.common + 0x18, 2, 4); /* fixed while enabled */
	vp_write(&p, p.common + 0x20, 8, 0x1234);
	CHECK_EQ(vp_read(&p, p.common + 0x18, 2), 16);
	CHECK_EQ(vp_read(&p, p.common + 0x20, 8), p.vd[0].s.part[0]);
	CHECK_EQ(vp_read(&p, p.common + 0x1e, 2), 0);
	vp_write(&p, p.common + 0x1a, 2, VP_VECTORS); /* no such vector */
	CHECK_EQ(vp_read(&p, p.common + 0x1a, 2), VIRTIO_NO_VECTOR);
	vp_write(&p, p.common + 0x16, 2, 2); /* no such queue */
	CHECK_EQ(vp_read(&p, p.common + 0x18, 2), 0);
	vp_write(&p, p.common + 0x1c, 2, 1);
	CHECK_EQ(vp_read(&p, p.common + 0x1c, 2), 0);
	vd_ram_free(&ram);
}

TEST(queue_reset)
{
	struct vd_buf b = { 0x30000, 4, false };

	begin(true);
	up(BIT(VIRTIO_F_RING_RESET) | BIT(VIRTIO_F_EVENT_IDX));
	echo_once(0);
	CHECK(vd_add(&p.vd[0], &b, 1, 0) >= 0); /* not kicked: in flight when the queue goes */
	vp_write(&p, p.common + 0x16, 2, 0);
	vp_write(&p, p.common + 0x3a, 2, 1);
	CHECK_EQ(vp_read(&p, p.common + 0x3a, 2), 0);
	CHECK_EQ(vp_read(&p, p.common + 0x1c, 2), 0);
	CHECK_EQ(stopped, 1);
	vp_write(&p, p.notify, 2, 0);
	echo_once(1);
	vp_queue(&p, 0, 8);
	echo_once(0);
	CHECK_EQ(p.breaks, 0);
	vd_ram_free(&ram);
}

TEST(intx)
{
	begin(false);
	up(0);
	echo_once(0);
	CHECK(p.line);
	CHECK(vcfg_read(&dev.cfg, PCI_STATUS, 2) & PCI_STATUS_INTX);
	vcfg_write(&dev.cfg, PCI_COMMAND, 2,
		   PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_OFF);
	CHECK(!p.line);
	vcfg_write(&dev.cfg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CHECK(p.line);
	CHECK_EQ(vp_read(&p, p.isr, 1), 1);
	CHECK(!p.line);
	CHECK_EQ(vp_read(&p, p.isr, 1), 0);
	virtio_config_changed(&dev);
	CHECK_EQ(vp_read(&p, p.isr, 1), 2);
	/* MSI-X goes off in mid-flight: what comes next is a line again. */
	vp_msix(&p, true);
	CHECK(!p.line);
	echo_once(0);
	CHECK(!p.line);
	vp_msix(&p, false);
	echo_once(0);
	CHECK(p.line);
	vd_ram_free(&ram);
}

TEST(device_registers)
{
	u64 v;

	begin(true);
	up(0);
	vp_write(&p, p.device + 4, 2, 0xbeef);
	CHECK_EQ(vp_read(&p, p.device + 4, 4), 0xbeef);
	CHECK_EQ(vp_read(&p, p.device + 6, 4), 0); /* beyond */
	v = vp_read(&p, p.common + 0x15, 1);
	virtio_config_changed(&dev);
	CHECK_EQ(vp_read(&p, p.common + 0x15, 1), v + 1);
	CHECK_EQ(p.irqs[0], 1);
	vd_ram_free(&ram);
}

TEST(breaks_and_recovers)
{
	begin(true);
	up(0);
	vd_w16(&ram, p.vd[0].s.part[1] + 2, 100); /* the index jumps */
	vp_write(&p, p.notify, 2, 0);
	CHECK_EQ(p.breaks, 1);
	CHECK_STR(p.why, "available index jumps");
	CHECK(vp_read(&p, p.common + 0x14, 1) & VIRTIO_STATUS_NEEDS_RESET);
	CHECK_EQ(p.irqs[0], 1);
	vp_write(&p, p.notify + p.step, 2, 1); /* the other queue rests too */
	CHECK_EQ(kicks, 3);
	for (u32 i = 0; i < 50; i++) { /* a reset storm */
		vp_write(&p, p.common + 0x14, 1, 0);
		vp_write(&p, p.notify, 2, 0);
	}
	memset(ram.page, 0, 64 * 4096);
	p.next = 0x1000;
	up(0);
	echo_once(0);
	echo_once(1);
	CHECK_EQ(p.breaks, 1);
	/* A queue outside of RAM breaks the device too. */
	CHECK(vp_negotiate(&p, V1));
	vp_write(&p, p.common + 0x16, 2, 0);
	vp_write(&p, p.common + 0x24, 4, 1);
	vp_write(&p, p.common + 0x1c, 2, 1);
	CHECK_EQ(vp_read(&p, p.common + 0x1c, 2), 0);
	CHECK(vp_read(&p, p.common + 0x14, 1) & VIRTIO_STATUS_NEEDS_RESET);
	vd_ram_free(&ram);
}

/* Chains added while the device may not look are found when it may. */
TEST(no_kick_lost)
{
	struct vd_buf b = { 0x30000, 4, false };
	u32 len;

	begin(true);
	CHECK(vp_negotiate(&p, V1));
	vp_queue(&p, 0, 16);
	CHECK(vd_add(&p.vd[0], &b, 1, 0) >= 0);
	vp_kick(&p, 0);
	CHECK_EQ(vd_get(&p.vd[0], &len), -1);
	vp_ready(&p);
	CHECK(vd_get(&p.vd[0], &len) >= 0);
	vcfg_write(&dev.cfg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CHECK(vd_add(&p.vd[0], &b, 1, 0) >= 0);
	vp_kick(&p, 0);
	CHECK_EQ(vd_get(&p.vd[0], &len), -1);
	vcfg_write(&dev.cfg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CHECK(vd_get(&p.vd[0], &len) >= 0);
	vd_ram_free(&ram);
}

/* All registers again, through the window in configuration space. */
TEST(access_window)
{
	u32 cap;

	begin(true);
	for (cap = vcfg_read(&dev.cfg, PCI_CAP_POINTER, 1); vcfg_read(&dev.cfg, cap + 3, 1) != 5;)
		cap = vcfg_read(&dev.cfg, cap + 1, 1);
	vcfg_write(&dev.cfg, cap + 4, 1, 0);
	vcfg_write(&dev.cfg, cap + 8, 4, p.common + 0x12);
	vcfg_write(&dev.cfg, cap + 12, 4, 2);
	CHECK_EQ(vcfg_read(&dev.cfg, cap + 16, 2), 2);
	vcfg_write(&dev.cfg, cap + 8, 4, p.common + 0x14);
	vcfg_write(&dev.cfg, cap + 12, 4, 1);
	vcfg_write(&dev.cfg, cap + 16, 4, 1);
	CHECK_EQ(vp_read(&p, p.common + 0x14, 1), 1);
	vcfg_write(&dev.cfg, cap + 8, 4, p.common + 0x15);
	vcfg_write(&dev.cfg, cap + 12, 4, 4); /* misaligned, then no such length, no such place */
	vcfg_write(&dev.cfg, cap + 16, 4, 0);
	vcfg_write(&dev.cfg, cap + 12, 4, 1000);
	vcfg_write(&dev.cfg, cap + 16, 4, 0);
	vcfg_write(&dev.cfg, cap + 12, 4, 4);
	vcfg_write(&dev.cfg, cap + 8, 4, VIRTIO_BAR_SIZE);
	vcfg_write(&dev.cfg, cap + 16, 4, 0);
	CHECK_EQ(vp_read(&p, p.common + 0x14, 1), 1);
	vd_ram_free(&ram);
}

static const struct vmstate_field fields[] = { VIRTIO_VMSTATE(struct { struct virtio_dev d; }, d) };

/* Only what the fields name moves to the other device. */
TEST(moves)
{
	static u8 was[sizeof(dev)];

	for (int packed = 0; packed < 2; packed++) {
		struct virtio_env env = vp_env(&p);
		struct vd_buf b = { 0x30000, 4, false };
		u32 len;

		begin(true);
		up(BIT(VIRTIO_F_EVENT_IDX) | (packed ? BIT(VIRTIO_F_RING_PACKED) : 0));
		for (u32 i = 0; i < 21; i++)
			echo_once(0);
		/* Added, and the kick is lost on the way. */
		CHECK(vd_add(&p.vd[0], &b, 1, 0) >= 0);
		virtio_pci_quiesce(&dev);
		memcpy(was, &dev, sizeof(dev));
		p.mapped = false;
		virtio_pci_init(&dev, &ops, 3, 2, &ram.mem, &env);
		for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++)
			memcpy((u8 *)&dev + fields[k].offset, was + fields[k].offset,
			       fields[k].size * fields[k].count);
		CHECK_EQ(virtio_pci_resume(&dev), 0);
		CHECK(p.mapped);
		CHECK(vd_get(&p.vd[0], &len) >= 0);
		echo_once(0);
		echo_once(1);
		/* Nonsense is refused. */
		dev.pos_avail[0] = (u16)(dev.vq[0].pos.used + 17);
		CHECK_EQ(virtio_pci_resume(&dev), -EINVAL);
		virtio_pci_quiesce(&dev);
		dev.vector[1] = VP_VECTORS;
		CHECK_EQ(virtio_pci_resume(&dev), -EINVAL);
		dev.vector[1] = 0;
		dev.features |= BIT(50);
		CHECK_EQ(virtio_pci_resume(&dev), -EINVAL);
		vd_ram_free(&ram);
	}
}

UNIT_MAIN({ "identity", identity }, { "echoes", echoes }, { "negotiation", negotiation },
	  { "queue_registers", queue_registers }, { "queue_reset", queue_reset }, { "intx", intx },
	  { "device_registers", device_registers },
	  { "breaks_and_recovers", breaks_and_recovers }, { "no_kick_lost", no_kick_lost },
	  { "access_window", access_window }, { "moves", moves })
