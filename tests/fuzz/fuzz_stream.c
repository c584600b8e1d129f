/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile stream: any bytes to its parser, any fields to the machine. What is accepted is a state
 * that devices can go on from, and that saves again as it was loaded.
 */
#include "tests/fuzz/stream.h"
#include "tests/unit/virtio_driver.h"

#include "devices/platform/vioapic.h"
#include "devices/platform/vlapic.h"
#include "devices/platform/vpic.h"
#include "devices/platform/vpit.h"
#include "devices/platform/vpm.h"
#include "devices/platform/vrtc.h"
#include "devices/platform/vuart.h"
#include "devices/virtio/virtio_net.h"
#include "guest/migrate/records.h"
#include "guest/migrate/stream.h"
#include "guest/migrate/vmstate.h"
#include "guest/vm/machine.h"

#define NOW   5000000000ull
#define PAGES 16u

static char why[160];

/* ---- a machine of every device, in some state ------------------------------------------ */

static struct {
	struct vpit pit;
	struct vuart uart;
	struct vrtc rtc;
	struct vpm pm;
	struct vpic pic;
	struct vioapic ioapic;
	struct vlapic lapic;
	struct virtio_net net;
	struct mig_vcpu cpu;
	struct mig_host host;
} m;

static u8 memory[PAGES][4096];
static struct vd_ram ram;
static struct vp driver;
static struct vswitch sw;
static struct virtio_net_scratch scratch;
static struct cpu_policy policy;

static u64 now(void *ctx)
{
	(void)ctx;
	return NOW;
}

static void nop(void *ctx)
{
	(void)ctx;
}

static void line(void *ctx, bool level)
{
	(void)ctx, (void)level;
}

static void arm(void *ctx, u64 ns)
{
	(void)ctx, (void)ns;
}

static void arm_ticks(void *ctx, u64 at, u64 ticks)
{
	(void)ctx, (void)at, (void)ticks;
}

static void message(void *ctx, const struct apic_msg *msg)
{
	(void)ctx, (void)msg;
}

static void byte(void *ctx, u8 v)
{
	(void)ctx, (void)v;
}

static u8 extint(void *ctx)
{
	(void)ctx;
	return 8;
}

static void host_cpuid(u32 leaf, u32 sub, struct cpuid_regs *r)
{
	*r = (struct cpuid_regs){ ~0u, ~0u, ~0u, ~0u };
	if (leaf == 0x80000008)
		r->eax = 0x3030;
	if (leaf == 0xd && sub == 2)
		*r = (struct cpuid_regs){ 256, 576, 0, 0 };
}

static void map(void *ctx, unsigned i, u64 base, u64 size)
{
	(void)ctx, (void)i, (void)base, (void)size;
}

static void msi(void *ctx, u64 address, u32 data)
{
	(void)ctx, (void)address, (void)data;
}

/* With a driver at the NIC that has set up its queues. */
static void plug(void)
{
	const struct virtio_net_config cfg = { { 0x52, 0, 0, 0, 0, 1 }, 2, 1500, true, 1000 };
	const struct virtio_net_env env = { NULL, now, nop, arm, nop };
	struct vswitch_config pc = { .name = "g", .mtu = 1500 };
	struct virtio_env pci = vp_env(&driver);
	struct netbe be;
	u32 port;

	ram = (struct vd_ram){ .page = memory, .pages = PAGES };
	for (u16 i = 0; i < PAGES; i++)
		ram.place[i] = i;
	ram.mem = (struct virtq_mem){ &ram, vd_map, vd_dirty };
	vswitch_init(&sw);
	pci.msi = msi;
	virtio_net_init(&m.net, &cfg, &env, &scratch, &ram.mem, &pci);
	be = virtio_net_be(&m.net);
	memcpy(pc.mac, cfg.mac, 6);
	FUZZ_CHECK(vswitch_add(&sw, &pc, &be, NOW, &port) == 0);
	virtio_net_attach(&m.net, &sw, port);
	vp_probe(&driver, &m.net.dev, &ram);
	FUZZ_CHECK(vp_negotiate(&driver, BIT(VIRTIO_F_VERSION_1)));
	for (u32 i = 0; i < 2; i++)
		vp_queue(&driver, i, 8);
	vp_ready(&driver);
	m.net.dev.env.bar_map = m.net.dev.env.bar_unmap = map; /* may lie anywhere from now on */
}

static void reset_cpu(void)
{
	m.cpu = (struct mig_vcpu){ .regs.rflags = 2 };
	m.cpu.sys[HVM_CR0] = 0x60000010;
	m.cpu.sys[HVM_XCR0] = 1;
}

static void build(void)
{
	const struct vpit_env pit = { NULL, now, arm, line };
	const struct vuart_env uart = { NULL, byte, line, nop };
	const struct vrtc_env rtc = { NULL, now, arm, line };
	const struct vpm_env pm = { NULL, now, arm, line, nop, nop };
	const struct vpic_env pic = { NULL, line };
	const struct vioapic_env ioapic = { NULL, message };
	const struct vlapic_env lapic = { NULL, now, arm_ticks, message, byte, extint };
	const struct vlapic_config lc = { 0, true, true, true, 39, 2500000, 1000000 };
	const struct cpu_policy_env pe = { host_cpuid, 2500000, 1000000000, 2, true };

	vpit_init(&m.pit, &pit);
	vuart_init(&m.uart, &uart);
	vrtc_init(&m.rtc, &rtc, 16u << 20, 0);
	vpm_init(&m.pm, &pm);
	vpic_init(&m.pic, &pic);
	vioapic_init(&m.ioapic, &ioapic);
	vlapic_init(&m.lapic, &lc, &lapic);
	plug();
	virtio_net_quiesce(&m.net);
	FUZZ_CHECK(cpu_policy_build(&policy, "host", &pe, why, sizeof(why)) == 0);
	reset_cpu();
	mig_host_make(&m.host, "svm", 2500000, &policy, NULL, 0);
}

/* ---- what each does once it is accepted ------------------------------------------------ */

static int net_resume(void *state)
{
	int rc = virtio_net_resume(state, false);

	(void)state;
	return rc ? rc : virtio_net_resume(state, true);
}

static int cpu_check(void *state)
{
	return mig_vcpu_check(state, &policy, why, sizeof(why));
}

static int host_check(void *state)
{
	static struct mig_host ours;

	mig_host_make(&ours, "svm", 2500100, &policy, NULL, 0);
	return mig_host_check(state, &ours, why, sizeof(why));
}

/* Registers are read and written, time passes. */
static void use(u32 which, struct stream *s)
{
	u8 v = take8(s), off = take8(s);
	u64 wide = take32(s);

	switch (which) {
	case 0:
		vpit_io(&m.pit, 0x40 + off % 4, off & 4, &v);
		vpit_timer(&m.pit);
		break;
	case 1:
		vuart_io(&m.uart, off & 7, off & 8, &v);
		(void)vuart_rx(&m.uart, &v, 1);
		break;
	case 2:
		vrtc_io(&m.rtc, off & 1, off & 2, &v);
		vrtc_timer(&m.rtc);
		break;
	case 3:
		vpm_io(&m.pm, off % 9, 4, off & 16, &wide);
		vpm_timer(&m.pm);
		break;
	case 4:
		vpic_io(&m.pic, 0x20 + (off & 1), off & 2, &v);
		break;
	case 5:
		vioapic_mmio(&m.ioapic, off & 0x10, 4, off & 1, &wide);
		vioapic_eoi(&m.ioapic, v);
		break;
	case 6:
		vlapic_irqchip.mmio(&m.lapic, (u64)off << 4, 4, v & 1, &wide);
		if (vlapic_irqchip.pending(&m.lapic) >= 0)
			(void)vlapic_irqchip.ack(&m.lapic);
		break;
	case 7:
		virtio_pci_bar(&m.net.dev, (v & 7u) << 12 | off, 1, off & 1, &wide);
		virtio_net_work(&m.net);
		break;
	default:
		break;
	}
}

/* ---- records --------------------------------------------------------------------------- */

struct part {
	void *state;
	const struct vmstate_field *fields;
	const u32 *n;
	int (*resume)(void *state);
};

static const struct part parts[] = {
	{ &m.pit, vpit_fields, &vpit_nfields, vpit_resume },
	{ &m.uart, vuart_fields, &vuart_nfields, vuart_resume },
	{ &m.rtc, vrtc_fields, &vrtc_nfields, vrtc_resume },
	{ &m.pm, vpm_fields, &vpm_nfields, vpm_resume },
	{ &m.pic, vpic_fields, &vpic_nfields, vpic_resume },
	{ &m.ioapic, vioapic_fields, &vioapic_nfields, vioapic_resume },
	{ &m.lapic, vlapic_fields, &vlapic_nfields, vlapic_resume },
	{ &m.net, virtio_net_fields, &virtio_net_nfields, net_resume },
	{ &m.cpu, mig_vcpu_fields, &mig_vcpu_nfields, cpu_check },
	{ &m.host, mig_host_fields, &mig_host_nfields, host_check },
};

static u8 rec[MIG_RECORD_BUF], again[MIG_RECORD_MAX], in[MIG_RECORD_BUF];

static void load(u32 which, const struct mig_record *r, struct stream *s)
{
	const struct part *p = &parts[which % ARRAY_SIZE(parts)];
	struct reader rd = reader_make(r->data, r->len);
	u32 len;

	if (vmstate_load(&rd, p->state, p->fields, *p->n, why, sizeof(why)))
		return;
	/* As it was loaded so it is saved, but for the order of fields and those left out. */
	len = vmstate_save(again, sizeof(again), p->state, p->fields, *p->n);
	rd = reader_make(again, len);
	FUZZ_CHECK(vmstate_load(&rd, p->state, p->fields, *p->n, why, sizeof(why)) == 0);
	if (p->resume(p->state) == 0)
		for (u32 i = 0; i < 8; i++)
			use(which % ARRAY_SIZE(parts), s);
}

static void error(void *ctx, const char *text)
{
	FUZZ_CHECK(ctx == why && text[0]);
}

static void load_config(const struct mig_record *r)
{
	static struct config c, d;
	static char text[8192], twice[8192];
	struct text t = text_make(text, sizeof(text)), u = text_make(twice, sizeof(twice));

	if (config_parse("stream", (const char *)r->data, r->len, &c, error, why) || c.vms != 1)
		return;
	mig_config_text(&c.vm[0], &t);
	FUZZ_CHECK(!t.full && config_parse("again", text, t.len, &d, error, why) == 0);
	mig_config_text(&d.vm[0], &u);
	FUZZ_CHECK(strcmp(text, twice) == 0);
}

/* The record that rec holds, by way of the parser. */
static void send(struct mig_sum *sum, struct mig_parser *p, u32 len, u32 which, struct stream *s)
{
	struct mig_record r;
	u32 all = mig_record_seal(sum, 40 + which, rec, len), at = 0, n;
	int rc = 0;

	while (at < all) {
		u8 *to = mig_parse_space(p, &n);

		FUZZ_CHECK(n && n <= all - at);
		memcpy(to, rec + at, n);
		at += n;
		rc = mig_parse_got(p, n, &r, why, sizeof(why));
		if (rc < 0)
			return;
	}
	FUZZ_CHECK(rc == 1 && r.len == len);
	if (which & 0x80)
		load_config(&r);
	else
		load(which, &r, s);
}

/* A part as it is now, with some bytes of the input in it: mostly right, so that it goes deep. */
static u32 patched(u32 which, struct stream *s)
{
	const struct part *p = &parts[which % ARRAY_SIZE(parts)];
	u8 *data = rec + MIG_RECORD_HEAD;
	u32 len = vmstate_save(data, MIG_RECORD_MAX, p->state, p->fields, *p->n);

	for (u32 i = take8(s) % 16; i; i--) {
		u32 at = take16(s) % len;

		data[at] = take8(s);
	}
	return len;
}

static void any_bytes(struct stream *s)
{
	struct mig_parser p;
	struct mig_record r;
	u32 n, k;

	mig_parse_start(&p, in, NULL);
	while (s->left) {
		u8 *to = mig_parse_space(&p, &n);

		n = n < s->left ? n : (u32)s->left;
		for (k = 0; k < n; k++)
			to[k] = take8(s);
		if (mig_parse_got(&p, n, &r, why, sizeof(why)) < 0)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream s = { data, size };
	struct mig_parser p;
	struct mig_record r;
	struct mig_sum sum;
	u32 n;

	if (size && take8(&s) & 1) {
		any_bytes(&s);
		return 0;
	}
	build();
	mig_parse_start(&p, in, NULL);
	mig_header_make(&sum, NULL, mig_parse_space(&p, &n));
	FUZZ_CHECK(mig_parse_got(&p, n, &r, why, sizeof(why)) == 0);
	while (s.left) {
		u32 which = take8(&s), len = 0;

		if (which & 0xc0) { /* payload of the input's own */
			len = take16(&s) % 4096;
			for (u32 i = 0; i < len; i++)
				rec[MIG_RECORD_HEAD + i] = take8(&s);
		} else {
			len = patched(which, &s);
		}
		send(&sum, &p, len, which, &s);
	}
	return 0;
}
