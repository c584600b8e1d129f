/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring made of the input, changed while it is read. Header (8 bytes): flags, size, hole, where
 * the parts lie, meddling; then the guest's memory, repeated to the end.
 */
#include "kernel/base/err.h"
#include "tests/unit/vring_driver.h"

#define PAGES 8u

static struct vd_ram ram;
static const uint8_t *noise;
static size_t noise_len, noise_at;

static void meddle(struct vd_ram *r)
{
	size_t k = noise_at++;
	u8 b = noise[k % noise_len];

	if (b & 1)
		r->page[b >> 1 & 1][noise[(k + 1) % noise_len] * 2u] ^= b;
}

static void check(const struct virtq_chain *c)
{
	u64 in = 0, out = 0;

	if (c->nin + c->nout > VIRTQ_SEGS)
		abort();
	for (u32 i = 0; i < c->nin + c->nout; i++) {
		const struct virtq_seg *s = &c->seg[i];

		if (s->gpa + s->len > PAGES * 4096 || ram.hole[s->gpa >> 12])
			abort();
		*(i < c->nout ? &out : &in) += s->len;
	}
	if (in != c->in_len || out != c->out_len)
		abort();
}

static void work(struct virtq *q, struct virtq_chain *c)
{
	u8 b[32] = { 0 };
	struct virtq_pos pos = q->pos;
	int rc = virtq_pop(q, c);

	if (rc < 0 && !q->broken)
		abort();
	if (rc == 1 && (noise[0] & 0x80)) {
		virtq_rewind(q, &pos);
		rc = virtq_pop(q, c);
	}
	if (rc == 1) {
		check(c);
		virtq_read(c, noise[1], b, sizeof(b));
		virtq_write(q, c, noise[2], b, sizeof(b));
		virtq_push(q, c->id, c->slots, c->in_len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static u8 memory[PAGES][4096];
	static struct virtq_chain c;
	struct virtq_setup s;
	struct virtq q;

	if (size < 10)
		return 0;
	noise = data;
	noise_len = size;
	noise_at = 8;
	ram = (struct vd_ram){ .page = memory, .pages = PAGES, .scattered = data[0] & 8 };
	for (u16 i = 0; i < PAGES; i++)
		ram.place[i] = data[0] & 8 ? (u16)(PAGES - 1 - i) : i;
	ram.mem = (struct virtq_mem){ &ram, vd_map, vd_dirty };
	for (size_t i = 0, n; i < sizeof(memory); i += n) {
		n = size - 8 < sizeof(memory) - i ? size - 8 : sizeof(memory) - i;
		memcpy((u8 *)memory + i, data + 8, n);
	}
	s = (struct virtq_setup){ .size = (u16)(data[1] + 1u),
				  .packed = data[0] & 1,
				  .event_idx = data[0] & 2,
				  .indirect = data[0] & 4,
				  .part = { data[3] * 16u, data[4] * 16u, data[5] * 16u } };
	ram.hole[data[2] % (PAGES * 2) % VD_PAGES] = true;
	if (virtq_start(&q, &ram.mem, &s))
		return 0;
	if (data[6] & 1)
		ram.meddle = meddle;
	for (u32 round = 0; round < 4; round++) {
		virtq_kicks_off(&q);
		for (u32 i = 0; i < 8; i++)
			work(&q, &c);
		(void)virtq_flush(&q);
		(void)virtq_kicks_on(&q);
	}
	return 0;
}
