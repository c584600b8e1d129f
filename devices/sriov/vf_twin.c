/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twin of a VF. Descriptors are read when they are used, never kept: the driver may have written
 * its doorbell long before. A frame is sent when all its descriptors are there, so that between two
 * calls the ring's head is all there is to know.
 */
#include "devices/sriov/vf_twin.h"

#include "devices/net/offload.h"
#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define RX_RING	 0x2800u
#define TX_RING	 0x3800u
#define RING_END (4 * VF_TWIN_RING)

#define ENABLE	  BIT(25)
#define DESC	  16u
#define VECTORS	  (BIT(VF_TWIN_VECTORS) - 1)
#define IVAR_ON	  0x80u
#define STREAM	  4u /* more causes in an interval begin one, more than half of it keep it */
#define EITR_NS(r) (((r) >> 2) * 1000ull)

/* Receive: buffer sizes and kinds of descriptors. */
#define SRRCTL_HEADER(s) (((s) >> 8 & 0xf) * 64u)
#define SRRCTL_SPLIT(s)	 (((s) >> 25 & 7) == 5)
#define RX_SPLIT	 0x8000u
#define RX_DD		 BIT(0)
#define RX_EOP		 BIT(1)
#define RX_SUMS_GOOD	 (BIT(5) | BIT(6))

/* Transmit descriptors: third and fourth word. */
#define TX_EOP	   BIT(24)
#define TX_RS	   BIT(27)
#define TX_DEXT	   BIT(29)
#define TX_VLE	   BIT(30)
#define TX_TSE	   BIT(31)
#define TX_KIND(c) ((c) >> 20 & 0xf)
#define TX_CONTEXT 2u
#define TX_DATA	   3u
#define TX_INDEX(w) ((w) >> 4 & 1)
#define TX_SUM	   BIT(9)
#define TX_DD	   BIT(0)
#define CTX_IPV4   BIT(10)
#define CTX_L4(t)  ((t) >> 11 & 3)
#define L4_UDP	   0u
#define L4_TCP	   1u

/* ---- guest memory ------------------------------------------------------------------------ */

/* n bytes at gpa, which may not wrap and must be RAM: in or out. False: nothing was promised. */
static bool copy(struct vf_twin *t, u64 gpa, void *buf, u32 n, bool write)
{
	u8 *b = buf;

	while (n) {
		u32 part = n;
		u8 *p = t->mem->map(t->mem->ctx, gpa, &part);

		if (!p)
			return false;
		if (write) {
			memcpy(p, b, part);
			t->mem->dirty(t->mem->ctx, gpa, part);
		} else {
			memcpy(b, p, part);
		}
		gpa += part;
		b += part;
		n -= part;
	}
	return true;
}

static u64 base(const u32 *ring)
{
	return (u64)ring[VF_BAH] << 32 | ring[VF_BAL];
}

bool vf_twin_desc(struct vf_twin *t, const u32 *ring, u32 i, u32 d[4])
{
	return copy(t, base(ring) + (u64)i * DESC, d, DESC, false);
}

/* Descriptors in the ring if it runs, else 0; its places are inside then. */
static u32 entries(const struct vf_twin *t, const u32 *ring)
{
	u32 n = ring[VF_LEN] / DESC;

	if (t->stopped || !t->open || !(ring[VF_DCTL] & ENABLE))
		return 0;
	return ring[VF_HEAD] < n && ring[VF_TAIL] < n ? n : 0;
}

/* A word that tells the driver that all before it is there. */
static void publish(struct vf_twin *t, u64 gpa, u32 value)
{
	u32 n = 4;
	u8 *p = gpa % 4 ? NULL : t->mem->map(t->mem->ctx, gpa, &n);

	if (!p || n < 4)
		return;
	atomic_store_release((u32 *)(void *)p, value);
	t->mem->dirty(t->mem->ctx, gpa, 4);
}

/* ---- interrupts ---------------------------------------------------------------------------- */

static void cause(struct vf_twin *t, u32 entry)
{
	u32 vector = entry & 3;

	if (!(entry & IVAR_ON) || vector >= VF_TWIN_VECTORS)
		return;
	t->irq[VF_EICR] |= 1u << vector;
	t->causes[vector]++;
}

static void rx_cause(struct vf_twin *t)
{
	cause(t, t->irq[VF_IVAR] & 0xff);
}

static void tx_cause(struct vf_twin *t)
{
	cause(t, t->irq[VF_IVAR] >> 8 & 0xff);
}

static u32 untold(const struct vf_twin *t)
{
	return t->irq[VF_EICR] & t->irq[VF_EIMS] & ~t->told;
}

/* Putting off pays where several come: a question and its answer are not to wait for each other. */
u32 vf_twin_irqs(struct vf_twin *t, u64 now)
{
	u32 fresh = untold(t);

	for (u32 i = 0; i < VF_TWIN_VECTORS; i++) {
		if (now < t->quiet[i]) {
			fresh &= ~((u32)t->stream[i] << i);
		} else if (fresh >> i & 1) {
			t->quiet[i] = now + EITR_NS(t->irq[VF_EITR + i]);
			t->stream[i] = t->causes[i] > (t->stream[i] ? STREAM / 2 : STREAM);
			t->causes[i] = 0;
		}
	}
	t->irq[VF_EICR] &= ~(fresh & t->irq[VF_EIAC]);
	t->irq[VF_EIMS] &= ~(fresh & t->irq[VF_EIAM]);
	t->told = (t->told | fresh) & t->irq[VF_EICR] & t->irq[VF_EIMS];
	return fresh;
}

u64 vf_twin_wait(const struct vf_twin *t, u64 now)
{
	u64 wait = ~0ull;

	for (u32 i = 0; i < VF_TWIN_VECTORS; i++)
		if (untold(t) >> i & 1)
			wait = min_u64(wait, t->quiet[i] - min_u64(now, t->quiet[i]));
	return wait;
}

bool vf_twin_at_start(const struct vf_twin *t)
{
	return (!(t->rx[VF_DCTL] & ENABLE) || !t->rx[VF_HEAD]) &&
	       (!(t->tx[VF_DCTL] & ENABLE) || !t->tx[VF_HEAD]);
}

void vf_twin_recheck(struct vf_twin *t)
{
	rx_cause(t);
	tx_cause(t);
}

/* ---- transmit ------------------------------------------------------------------------------ */

/* What the descriptors of one frame said. */
struct sending {
	u32 bytes, nseg, descs;
	u32 command, options, vlan_tag; /* of its first one */
	bool begun, bad;
};

static void add_piece(struct vf_twin *t, struct sending *s, u64 gpa, u32 len)
{
	while (len && !s->bad) {
		u32 part = len;
		u8 *p = t->mem->map(t->mem->ctx, gpa, &part);

		s->bad = !p || s->nseg == VF_TWIN_SEGS || s->bytes + part > FRAME_MAX;
		if (s->bad)
			return;
		t->seg[s->nseg++] = (struct virtq_seg){ p, gpa, part };
		s->bytes += part;
		gpa += part;
		len -= part;
	}
}

/* Header fields that the NIC fills in; a frame with a tag has it inserted after this. */
static bool set_offloads(const struct vf_twin *t, const struct sending *s, struct frame *f)
{
	const u32 *c = t->context + 4 * TX_INDEX(s->options);
	u32 l4 = CTX_L4(c[2]), mac = c[0] >> 9 & 0x7f, ip = c[0] & 0x1ff;

	if (!(s->command & TX_TSE) && !(s->options & TX_SUM))
		return true;
	f->flags = FRAME_CSUM;
	f->csum_start = (u16)(mac + ip);
	f->csum_offset = l4 == L4_TCP ? 16 : 6;
	if (s->command & TX_TSE) {
		f->gso = l4 == L4_UDP ? FRAME_UDP : c[2] & CTX_IPV4 ? FRAME_TCP4 : FRAME_TCP6;
		f->gso_size = (u16)(c[3] >> 16);
	}
	return (l4 == L4_TCP || l4 == L4_UDP) && offload_check(f) &&
	       (!f->gso || offload_complete(f));
}

static void insert_tag(struct frame *f, u32 tag)
{
	memmove(f->head + 16, f->head + 12, f->head_len - 12);
	f->head[12] = 0x81;
	f->head[13] = 0;
	f->head[14] = (u8)(tag >> 8);
	f->head[15] = (u8)tag;
	f->head_len += VLAN_TAG;
	f->csum_start = (u16)(f->csum_start + VLAN_TAG);
}

static void send_frame(struct vf_twin *t, struct sending *s)
{
	struct frame f = { .seg = t->seg, .nseg = s->nseg, .body_len = s->bytes };

	f.body_len -= frame_read(&f, 0, f.head, FRAME_HEAD_IN);
	f.head_len = f.body_off = s->bytes - f.body_len;
	if (s->bad || f.head_len < ETH_HEADER || !set_offloads(t, s, &f)) {
		t->count.malformed++;
		return;
	}
	if (s->command & TX_VLE)
		insert_tag(&f, s->vlan_tag);
	t->count.tx_packets++;
	t->count.tx_bytes += s->bytes;
	t->env.send(t->env.ctx, &f);
}

/* One descriptor; true: it was a frame's last. */
static bool take(struct vf_twin *t, struct sending *s, const u32 *d)
{
	u32 kind = TX_KIND(d[2]), *c = t->context + 4 * TX_INDEX(d[3]);

	s->descs++;
	if (!(d[2] & TX_DEXT) || (kind != TX_CONTEXT && kind != TX_DATA)) {
		s->bad = true; /* older formats: no VF driver uses them */
		return (d[2] & TX_EOP) != 0;
	}
	if (kind == TX_CONTEXT) {
		memcpy(c, d, DESC);
		return false;
	}
	if (!s->begun) {
		s->begun = true;
		s->command = d[2];
		s->options = d[3];
		s->vlan_tag = c[0] >> 16;
	}
	add_piece(t, s, (u64)d[1] << 32 | d[0], d[2] & 0xffff);
	return (d[2] & TX_EOP) != 0;
}

/* The frame's descriptors go back to the driver. */
static bool give_back(struct vf_twin *t, u32 from, u32 descs, u32 n)
{
	u32 *r = t->tx, d[4];
	bool told = false;

	for (u32 i = 0; i < descs; i++) {
		u64 at = base(r) + (u64)((from + i) % n) * DESC;

		if (!copy(t, at, d, DESC, false) || !(d[2] & TX_RS))
			continue;
		told = true;
		if (!(r[VF_WBAL] & 1))
			publish(t, at + 12, d[3] | (u32)TX_DD);
	}
	r[VF_HEAD] = (from + descs) % n;
	if (told && (r[VF_WBAL] & 1))
		publish(t, (u64)r[VF_WBAH] << 32 | (r[VF_WBAL] & ~3u), r[VF_HEAD]);
	return told;
}

void vf_twin_drop(struct vf_twin *t, u32 from, u32 to)
{
	u32 n = t->tx[VF_LEN] / DESC;

	(void)give_back(t, from, (to + n - from) % n, n);
	t->tx[VF_TAIL] = to;
}

bool vf_twin_work(struct vf_twin *t)
{
	u32 n = entries(t, t->tx), at = t->tx[VF_HEAD], start = at, done = 0, d[4];
	struct sending s = { .bytes = 0 };
	bool told = false;

	for (; n && at != t->tx[VF_TAIL] && done < VF_TWIN_BUDGET; done++) {
		bool last;

		if (t->hold && !start)
			break;
		if (s.descs == VF_TWIN_DESCS ||
		    !copy(t, base(t->tx) + (u64)at * DESC, d, DESC, false)) {
			t->tx[VF_DCTL] &= ~(u32)ENABLE;
			t->count.malformed++;
			break;
		}
		last = take(t, &s, d);
		at = (at + 1) % n;
		if (!last)
			continue;
		send_frame(t, &s);
		told |= give_back(t, start, s.descs, n);
		start = at;
		s = (struct sending){ .bytes = 0 };
	}
	if (told)
		tx_cause(t);
	return done == VF_TWIN_BUDGET;
}

/* ---- receive ------------------------------------------------------------------------------- */

static bool fill(struct vf_twin *t, u64 gpa, const struct frame *f, u32 off, u32 n)
{
	while (n) {
		u32 part = n;
		u8 *p = t->mem->map(t->mem->ctx, gpa, &part);

		if (!p)
			return false;
		frame_read(f, off, p, part);
		t->mem->dirty(t->mem->ctx, gpa, part);
		gpa += part;
		off += part;
		n -= part;
	}
	return true;
}

/* Bytes of a packet buffer. */
static u32 packet_size(u32 srrctl)
{
	u32 kib = srrctl & 0x7f;

	return kib ? kib * 1024u : 2048u;
}

/* Bytes of f from off on into the buffers of the descriptor at gpa, and the write-back behind. */
static bool fill_slot(struct vf_twin *t, u64 gpa, const struct frame *f, u32 *off)
{
	u32 ctl = t->rx[VF_SRRCTL], left = frame_len(f) - *off, head = 0, body;
	u32 size = packet_size(ctl), w[4] = { 0 };
	u64 buffer[2];

	if (!copy(t, gpa, buffer, DESC, false))
		return false;
	if (SRRCTL_SPLIT(ctl) && !*off)
		head = (u32)min_u64(left, SRRCTL_HEADER(ctl));
	body = (u32)min_u64(left - head, size);
	if (!fill(t, buffer[1], f, *off, head) || !fill(t, buffer[0], f, *off + head, body))
		return false;
	*off += head + body;
	w[0] = head ? (RX_SPLIT | head << 5) << 16 : 0;
	w[2] = *off == frame_len(f) ? (u32)RX_EOP : 0;
	w[2] |= f->flags & FRAME_VALID ? (u32)RX_SUMS_GOOD : 0;
	w[3] = body;
	if (!copy(t, gpa, w, DESC, true))
		return false;
	publish(t, gpa + 8, w[2] | (u32)RX_DD);
	return true;
}

static bool wanted(const struct vf_twin *t, const struct frame *f)
{
	static const u8 all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	return t->multicast || !mac_is_group(f->head) || memcmp(f->head, all, 6) == 0;
}

enum net_drop vf_twin_receive(struct vf_twin *t, const struct frame *f)
{
	u32 n = entries(t, t->rx), ctl = t->rx[VF_SRRCTL], off = 0, need, have, at;
	u32 size = packet_size(ctl);

	if (!n)
		return NET_DROP_LINK;
	if (!wanted(t, f))
		return NET_DROP_FILTER;
	if (frame_len(f) + 4 > t->max_frame)
		return NET_DROP_OVERSIZE;
	at = t->rx[VF_HEAD];
	have = (t->rx[VF_TAIL] + n - at) % n;
	need = (frame_len(f) + size - 1) / size;
	if (have < need)
		return NET_DROP_STALLED;
	while (off < frame_len(f)) {
		if (!fill_slot(t, base(t->rx) + (u64)at * DESC, f, &off))
			return NET_DROP_RING;
		at = (at + 1) % n;
	}
	t->rx[VF_HEAD] = at;
	t->received = true;
	t->count.rx_packets++;
	t->count.rx_bytes += frame_len(f);
	t->count.rx_multicast += mac_is_group(f->head);
	return NET_OK;
}

void vf_twin_flush(struct vf_twin *t)
{
	if (t->received)
		rx_cause(t);
	t->received = false;
}

/* ---- registers ----------------------------------------------------------------------------- */

/* What a driver can write of each register of a ring. */
static const u32 rx_mask[VF_TWIN_RING] = { [VF_BAL] = ~0x7fu,	 [VF_BAH] = ~0u,
					   [VF_LEN] = 0xfff80,	 [VF_SRRCTL] = ~0u,
					   [VF_HEAD] = 0xffff,	 [VF_DCA] = ~0u,
					   [VF_TAIL] = 0xffff,	 [VF_DCTL] = 0x021f1f1f };
static const u32 tx_mask[VF_TWIN_RING] = { [VF_BAL] = ~0x7fu,	 [VF_BAH] = ~0u,
					   [VF_LEN] = 0xfff80,	 [VF_HEAD] = 0xffff,
					   [VF_DCA] = ~0u,	 [VF_TAIL] = 0xffff,
					   [VF_DCTL] = 0x021f1f1f, [VF_WBAL] = ~2u,
					   [VF_WBAH] = ~0u };

static const struct {
	u16 off;
	u8 reg; /* enum vf_twin_int */
	u32 mask;
} plain[] = {
	{ 0x152c, VF_EIAC, VECTORS },	  { 0x1530, VF_EIAM, VECTORS },
	{ 0x1680, VF_EITR, 0x7ffc },	  { 0x1684, VF_EITR + 1, 0x7ffc },
	{ 0x1688, VF_EITR + 2, 0x7ffc },  { 0x1700, VF_IVAR, 0x83838383 },
	{ 0x1740, VF_IVAR_MISC, 0x83 },
};

#define OFF_EICS 0x1520u
#define OFF_EIMS 0x1524u
#define OFF_EIMC 0x1528u
#define OFF_EICR 0x1580u

static u32 *find_plain(struct vf_twin *t, u32 off, u32 *mask)
{
	for (u32 i = 0; i < ARRAY_SIZE(plain); i++) {
		if (plain[i].off != off)
			continue;
		*mask = plain[i].mask;
		return &t->irq[plain[i].reg];
	}
	if (off >= RX_RING && off < RX_RING + RING_END) {
		*mask = rx_mask[(off - RX_RING) / 4];
		return &t->rx[(off - RX_RING) / 4];
	}
	if (off >= TX_RING && off < TX_RING + RING_END) {
		*mask = tx_mask[(off - TX_RING) / 4];
		return &t->tx[(off - TX_RING) / 4];
	}
	return NULL;
}

static u32 reg_read(struct vf_twin *t, u32 off)
{
	u32 mask, value = t->irq[VF_EICR], *r = find_plain(t, off, &mask);

	if (r)
		return *r;
	if (off == OFF_EIMS || off == OFF_EIMC)
		return t->irq[VF_EIMS];
	if (off != OFF_EICR)
		return 0;
	t->irq[VF_EICR] = t->told = 0;
	return value;
}

/* The driver wrote a place of a ring that was lost, or has stopped it. */
static void find_again(struct vf_twin *t, const u32 *r)
{
	if (r == &t->rx[VF_HEAD] || r == &t->rx[VF_DCTL])
		t->lost &= (u8)~VF_LOST_RX;
	else if (r == &t->tx[VF_HEAD] || r == &t->tx[VF_DCTL])
		t->lost &= (u8)~VF_LOST_TX;
	else if (r == &t->rx[VF_TAIL] && (t->lost & VF_LOST_RX))
		vf_twin_recover_tail(t, false);
	else if (r == &t->tx[VF_TAIL] && (t->lost & VF_LOST_TX))
		vf_twin_recover_tail(t, true);
}

static void reg_write(struct vf_twin *t, u32 off, u32 value)
{
	u32 mask, *r = find_plain(t, off, &mask);

	if (r) {
		*r = value & mask;
		if (t->lost)
			find_again(t, r);
	} else if (off == OFF_EICS) {
		t->irq[VF_EICR] |= value & (u32)VECTORS;
	} else if (off == OFF_EIMS) {
		t->irq[VF_EIMS] |= value & (u32)VECTORS;
	} else if (off == OFF_EIMC) {
		t->irq[VF_EIMS] &= ~value;
	} else if (off == OFF_EICR) {
		t->irq[VF_EICR] &= ~value;
	}
	t->told &= t->irq[VF_EICR] & t->irq[VF_EIMS];
}

void vf_twin_io(struct vf_twin *t, u32 off, unsigned size, bool write, u64 *value)
{
	if (size == 8 && !(off & 7)) { /* as two of them */
		u64 low = (u32)*value, high = *value >> 32;

		vf_twin_io(t, off, 4, write, &low);
		vf_twin_io(t, off + 4, 4, write, &high);
		*value = low | high << 32;
	} else if (size != 4 || (off & 3)) {
		*value = 0;
	} else if (write) {
		reg_write(t, off, (u32)*value);
	} else {
		*value = reg_read(t, off);
	}
}

/* ---- life ---------------------------------------------------------------------------------- */

void vf_twin_stop_queues(struct vf_twin *t)
{
	t->rx[VF_DCTL] &= ~(u32)ENABLE;
	t->tx[VF_DCTL] &= ~(u32)ENABLE;
	t->open = false;
	t->lost = 0;
}

void vf_twin_reset(struct vf_twin *t)
{
	memset(t->rx, 0, sizeof(t->rx));
	memset(t->tx, 0, sizeof(t->tx));
	memset(t->irq, 0, sizeof(t->irq));
	memset(t->context, 0, sizeof(t->context));
	memset(t->quiet, 0, sizeof(t->quiet));
	t->told = 0;
	t->lost = 0;
	t->received = t->open = t->multicast = false;
}

void vf_twin_init(struct vf_twin *t, const struct vf_twin_env *env, const struct virtq_mem *mem)
{
	memset(t, 0, sizeof(*t));
	t->env = *env;
	t->mem = mem;
	vf_twin_reset(t);
}

/* A ring that runs, with a place outside of it: no driver's doing. */
static bool astray(const u32 *ring)
{
	u32 n = ring[VF_LEN] / DESC;

	return (ring[VF_DCTL] & ENABLE) && n && (ring[VF_HEAD] >= n || ring[VF_TAIL] >= n);
}

int vf_twin_resume(struct vf_twin *t)
{
	u32 bad = (t->irq[VF_EIMS] | t->irq[VF_EICR]) & ~(u32)VECTORS;

	for (u32 i = 0; i < VF_TWIN_RING; i++)
		bad |= (t->rx[i] & ~rx_mask[i]) | (t->tx[i] & ~tx_mask[i]);
	for (u32 i = 0; i < ARRAY_SIZE(plain); i++)
		bad |= t->irq[plain[i].reg] & ~plain[i].mask;
	t->told = 0;
	memset(t->quiet, 0, sizeof(t->quiet));
	return bad || astray(t->rx) || astray(t->tx) ? -EINVAL : 0;
}
