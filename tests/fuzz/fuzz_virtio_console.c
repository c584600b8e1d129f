/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that does anything with its virtio-console, in memory made of the input, while the
 * hypervisor sends, takes and opens; what it reaches can be saved and loaded.
 */
#include "devices/virtio/virtio_console.h"
#include "kernel/base/bits.h"
#include "tests/fuzz/stream.h"

#define PAGES 8u
#define BAR 0xc1000000u

static u8 memory[PAGES * 4096];
static struct virtio_console c, moved;
static u32 room;

static u8 *map(void *ctx, gpa_t gpa, u32 *len)
{
	(void)ctx;
	if (gpa >= sizeof(memory))
		return NULL;
	*len = (u32)min_u64(*len, sizeof(memory) - gpa);
	return memory + gpa;
}

static void dirty(void *ctx, gpa_t gpa, u32 len)
{
	(void)ctx;
	FUZZ_CHECK(gpa + len <= sizeof(memory));
}

static u32 on_data(void *ctx, unsigned port, const u8 *data, u32 n)
{
	(void)ctx;
	FUZZ_CHECK(port < 2 && data >= memory && data + n <= memory + sizeof(memory));
	return (u32)min_u64(n, room);
}

static void on_open(void *ctx, unsigned port, bool open)
{
	(void)ctx, (void)open;
	FUZZ_CHECK(port < 2);
}

static void on_port(void *ctx, unsigned port)
{
	(void)ctx;
	FUZZ_CHECK(port < 2);
}

static void on_bar(void *ctx, unsigned bar, u64 base, u64 size)
{
	(void)ctx, (void)base;
	FUZZ_CHECK(bar == VIRTIO_BAR && size == VIRTIO_BAR_SIZE);
}

static void on_msi(void *ctx, u64 address, u32 data)
{
	(void)ctx, (void)address, (void)data;
}

static void on_line(void *ctx, bool level)
{
	(void)ctx, (void)level;
}

static void on_broken(void *ctx, unsigned queue, const char *why)
{
	(void)ctx;
	FUZZ_CHECK(queue < VIRTIO_MAX_QUEUES && why);
}

static void make(struct virtio_console *con)
{
	static const char *const names[] = { "godwit.ctl", "godwit.mig" };
	static const struct virtq_mem mem = { NULL, map, dirty };
	static const struct virtio_console_env env = { NULL, on_data, on_open, on_port, on_port };
	static const struct virtio_env pci = { .bar_map = on_bar,
					       .bar_unmap = on_bar,
					       .msi = on_msi,
					       .intx = on_line,
					       .broken = on_broken };

	virtio_console_init(con, names, 2, &env, &mem, &pci);
}

static void reg(u32 off, unsigned size, u64 v)
{
	virtio_pci_bar(&c.dev, off, size, true, &v);
}

/* Everything as a driver does it, with rings where the input says. */
static void start(struct stream *s)
{
	u8 how = take8(s);

	vcfg_write(&c.dev.cfg, PCI_BAR0, 4, BAR);
	vcfg_write(&c.dev.cfg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	reg(0x14, 1, 3);
	reg(8, 4, 0);
	reg(12, 4, (how & 1) << 1 | (how & 2) << 27 | (how & 4) << 27);
	reg(8, 4, 1);
	reg(12, 4, 1 | (how & 8) >> 1);
	reg(0x14, 1, 0xb);
	for (u32 i = 0; i < 6; i++) {
		reg(0x16, 2, i);
		reg(0x18, 2, how & 8 ? 1 + (how >> 4) : 1u << (how >> 5));
		for (u32 k = 0; k < 3; k++)
			reg(0x20 + 8 * k, 8, take8(s) * 128u);
		reg(0x1c, 2, 1);
	}
	reg(0x14, 1, 0xf);
}

static void move(void)
{
	virtio_pci_quiesce(&c.dev);
	make(&moved);
	move_fields(&moved, &c, virtio_console_fields, virtio_console_nfields);
	FUZZ_CHECK(same_fields(&moved, &c, virtio_console_fields, virtio_console_nfields));
	FUZZ_CHECK(virtio_console_resume(&moved) == 0);
}

static void step(struct stream *s)
{
	static const u8 text[3000];
	u8 op = take8(s);
	u32 off;
	u64 v;

	switch (op % 8) {
	case 0:
		v = take16(s);
		off = take16(s) % VIRTIO_BAR_SIZE & ~3u;
		virtio_pci_bar(&c.dev, off, 1u << op / 8 % 3, op >> 7, &v);
		break;
	case 1:
		reg(0x3000 + op / 8 % 6 * 4, 2, op / 8 % 6);
		break;
	case 2:
		room = take16(s);
		virtio_console_more(&c, op / 8 % 2);
		break;
	case 3:
		FUZZ_CHECK(virtio_console_send(&c, op / 8 % 2, text, op * 11u) <= op * 11u);
		break;
	case 4:
		virtio_console_open(&c, op / 8 % 2, op >> 7);
		break;
	case 5:
		v = take16(s) % sizeof(memory);
		for (u32 i = op / 8; i > 0; i--, v = (v + 1) % sizeof(memory))
			memory[v] = take8(s);
		break;
	case 6:
		move();
		break;
	default:
		start(s);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream s = { data, size };

	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = size > 64 ? data[i % size] : 0;
	make(&c);
	room = 100;
	start(&s);
	while (s.left)
		step(&s);
	return 0;
}
