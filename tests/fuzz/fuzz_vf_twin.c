/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twin of a VF: any accesses, any memory, frames in between, state from a stream or from hardware
 * that is gone. It touches no
 * memory but the guest's, its work is bounded, and what it sends can be read and cut.
 */
#include "tests/fuzz/stream.h"

#include "devices/net/offload.h"
#include "devices/sriov/vf_twin.h"
#include "kernel/base/bits.h"

#define RAM 0x8000u

static u8 ram[RAM] ALIGNED(16), frame[65536 + 64];
static struct vf_twin t;

static u8 *map(void *ctx, gpa_t gpa, u32 *len)
{
	(void)ctx;
	if (gpa >= RAM)
		return NULL;
	*len = (u32)min_u64(*len, 4096 - gpa % 4096);
	return ram + gpa;
}

static void dirty(void *ctx, gpa_t gpa, u32 len)
{
	(void)ctx;
	FUZZ_CHECK(len && gpa + len <= RAM);
}

static void part(void *ctx, const struct frame *f)
{
	(void)ctx;
	FUZZ_CHECK(frame_read(f, 0, frame, sizeof(frame)) == frame_len(f));
}

static void on_send(void *ctx, struct frame *f)
{
	part(ctx, f);
	FUZZ_CHECK(f->head_len >= ETH_HEADER && f->head_len <= FRAME_HEAD);
	FUZZ_CHECK(offload_check(f));
	if (f->gso && f->head[12] != 0x81) /* a tag is the switch's to take out first */
		FUZZ_CHECK(offload_segment(f, part, NULL));
	else if (f->flags & FRAME_CSUM)
		offload_checksum(f);
}

static bool in_order(const u32 *r)
{
	u32 n = r[VF_LEN] / 16;

	return !(r[VF_LEN] % 128) && !(r[VF_BAL] % 128) &&
	       (!(r[VF_DCTL] & BIT(25)) || !n || (r[VF_HEAD] < n && r[VF_TAIL] < n));
}

/* A few words of the state from a foreign stream; false: refused. */
static bool load(struct stream *s)
{
	for (u32 n = take8(s) & 15u; n; n--) {
		u8 reg = take8(s);
		u32 *block = reg & 0x80 ? t.irq : reg & 0x40 ? t.context : reg & 0x20 ? t.rx : t.tx;
		u32 words = reg & 0x80 ? VF_TWIN_INTS : reg & 0x40 ? 8 : VF_TWIN_RING;

		block[(reg & 31u) % words] = take32(s);
	}
	if (vf_twin_resume(&t))
		return false;
	FUZZ_CHECK(in_order(t.rx) && in_order(t.tx));
	return true;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u16 hot[] = { 0x3818, 0x3810, 0x3828, 0x3800, 0x3808, 0x2818, 0x2810,
				   0x2828, 0x2800, 0x2808, 0x280c, 0x3838, 0x1520, 0x1524,
				   0x1700, 0x1580 };
	const struct virtq_mem mem = { NULL, map, dirty };
	const struct vf_twin_env env = { NULL, on_send };
	struct stream s = { data, size };

	memset(ram, 0, sizeof(ram));
	vf_twin_init(&t, &env, &mem);
	t.open = true;
	t.max_frame = 9728;
	while (s.left) {
		u8 what = take8(&s);
		u64 value;

		if (what == 63) {
			if (!load(&s))
				return 0;
		} else if (what < 63) { /* a few bytes of memory */
			u32 at = take16(&s) % RAM;

			for (u32 i = 0; i < (what & 31u) && at + i < RAM; i++)
				ram[at + i] = take8(&s);
		} else if (what == 95) { /* its hardware has died */
			vf_twin_recover(&t);
			FUZZ_CHECK(in_order(t.rx) && in_order(t.tx));
		} else if (what < 96) {
			u32 n = 14 + take16(&s) % 9000;
			struct virtq_seg seg = { frame, 0, n };
			struct frame f = { .seg = &seg, .nseg = 1, .body_len = n };

			f.body_len -= frame_read(&f, 0, f.head, FRAME_HEAD_IN);
			f.head_len = f.body_off = n - f.body_len;
			(void)vf_twin_receive(&t, &f);
			vf_twin_flush(&t);
		} else {
			u32 off = what & 1 ? hot[what / 2 % ARRAY_SIZE(hot)] : take16(&s) & 0x3fff;

			value = take32(&s);
			vf_twin_io(&t, off, what & 2 ? 4 : 8, what & 4, &value);
			(void)vf_twin_work(&t);
		}
		FUZZ_CHECK(!(vf_twin_irqs(&t, ~0ull) >> VF_TWIN_VECTORS));
		FUZZ_CHECK(vf_twin_irqs(&t, ~0ull) == 0 && vf_twin_wait(&t, 0) == ~0ull);
	}
	return 0;
}
