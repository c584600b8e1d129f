/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Software offloads. RFC 1071 (checksum), RFC 9293 (TCP), RFC 768 (UDP), RFC 791, RFC 8200; the
 * metadata is that of Virtio 1.2 §5.1.6.2.
 */
#include "devices/net/offload.h"

#include "kernel/base/bits.h"
#include "kernel/base/str.h"

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u
#define PROTO_TCP 6u
#define PROTO_UDP 17u
#define TPID_VLAN 0x8100u

static u16 get_be16(const u8 *p)
{
	return (u16)(p[0] << 8 | p[1]);
}

static void put_be16(u8 *p, u32 v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
}

static u32 get_be32(const u8 *p)
{
	return (u32)get_be16(p) << 16 | get_be16(p + 2);
}

static void put_be32(u8 *p, u32 v)
{
	put_be16(p, v >> 16);
	put_be16(p + 2, v & 0xffff);
}

static u32 fold(u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The carry out of 64 bits counts 1. Built in: no call for each word. */
static void add_word(u64 *s, u64 *carry, const u8 *p)
{
	u64 w;

	__builtin_memcpy(&w, p, 8);
	*s += w;
	*carry += *s < w;
}

u32 offload_sum(u32 sum, const u8 *p, u32 n, u32 parity)
{
	u64 s = 0, carry = 0;
	u32 i = 0, part;

	/* In the machine's byte order; swapping bytes of the sum swaps those of the terms. */
	for (; i + 32 <= n; i += 32) {
		add_word(&s, &carry, p + i);
		add_word(&s, &carry, p + i + 8);
		add_word(&s, &carry, p + i + 16);
		add_word(&s, &carry, p + i + 24);
	}
	for (; i + 8 <= n; i += 8)
		add_word(&s, &carry, p + i);
	s += carry;
	s += s < carry;
	s = (s & 0xffffffff) + (s >> 32);
	for (; i < n; i++)
		s += (u32)p[i] << (i & 1) * 8;
	s = (s & 0xffffffff) + (s >> 32);
	part = fold((u32)((s & 0xffff) + (s >> 16 & 0xffff) + (s >> 32)));
	if (!(parity & 1))
		part = (part >> 8 | part << 8) & 0xffff;
	return fold(sum) + part;
}

u32 frame_read(const struct frame *f, u32 off, void *dst, u32 n)
{
	u8 *d = dst;
	u32 done = 0, len = frame_len(f);

	if (off >= len)
		return 0;
	n = (u32)min_u64(n, len - off);
	if (off < f->head_len) {
		done = (u32)min_u64(n, f->head_len - off);
		memcpy(d, f->head + off, done);
		off = 0;
	} else {
		off -= f->head_len;
	}
	off += f->body_off;
	for (u32 i = 0; i < f->nseg && done < n; i++) {
		const struct virtq_seg *s = &f->seg[i];
		u32 part;

		if (off >= s->len) {
			off -= s->len;
			continue;
		}
		part = (u32)min_u64(s->len - off, n - done);
		memcpy(d + done, s->p + off, part);
		done += part;
		off = 0;
	}
	return done;
}

/* Sum of the frame's bytes from off to its end. */
static u32 frame_sum(const struct frame *f, u32 off)
{
	u32 sum = 0, parity = 0, left = f->body_len, skip = f->body_off;

	if (off < f->head_len) {
		sum = offload_sum(0, f->head + off, f->head_len - off, 0);
		parity = f->head_len - off;
	} else {
		skip += off - f->head_len;
		left -= off - f->head_len;
	}
	for (u32 i = 0; i < f->nseg && left; i++) {
		const struct virtq_seg *s = &f->seg[i];
		u32 part;

		if (skip >= s->len) {
			skip -= s->len;
			continue;
		}
		part = (u32)min_u64(s->len - skip, left);
		sum = offload_sum(sum, s->p + skip, part, parity);
		parity += part;
		left -= part;
		skip = 0;
	}
	return fold(sum);
}

bool offload_check(const struct frame *f)
{
	if (!(f->flags & FRAME_CSUM))
		return f->gso == FRAME_NO_GSO;
	if (f->gso != FRAME_NO_GSO && f->gso_size < OFFLOAD_MIN_SEGMENT)
		return false;
	return f->csum_start >= ETH_HEADER &&
	       (u32)f->csum_start + f->csum_offset + 2u <= f->head_len;
}

void offload_checksum(struct frame *f)
{
	u8 *field = f->head + f->csum_start + f->csum_offset;
	u32 sum = ~frame_sum(f, f->csum_start) & 0xffff;

	/* UDP means "none" by 0 and has FFFFh for it; TCP takes either. */
	put_be16(field, sum ? sum : 0xffff);
	f->flags &= (u8)~FRAME_CSUM;
}

/* Is it IP of the version that the sender says? */
static bool type_fits(const struct frame *f, const struct offload_layout *l, u16 type)
{
	if (l->v6 ? type != 0x86dd : type != 0x0800)
		return false;
	return l->udp || !f->gso || l->v6 == (f->gso == FRAME_TCP6);
}

/* Is the transport header, of protocol proto, where an IP header of this kind ends? */
static bool ip_fits(const u8 *ip, bool v6, u32 len, u32 proto)
{
	if (!v6)
		return len >= 20 && len == (ip[0] & 15u) * 4u && ip[9] == proto;
	/* Extension headers may lie between: whoever wants them looks at them. */
	return len > 40 || (len == 40 && ip[6] == proto);
}

bool offload_layout(const struct frame *f, struct offload_layout *l)
{
	u32 need, ip = ETH_HEADER + (get_be16(f->head + 12) == TPID_VLAN ? VLAN_TAG : 0);
	u16 type = get_be16(f->head + ip - 2);

	l->ip = ip;
	l->l4 = f->csum_start;
	l->v6 = type == 0x86dd;
	l->udp = f->gso ? f->gso == FRAME_UDP : f->csum_offset == 6;
	need = l->udp ? 8 : 20;
	if (!type_fits(f, l, type) || l->l4 < ip || f->head_len < l->l4 + need ||
	    f->csum_offset != (l->udp ? 6 : 16))
		return false;
	if (!ip_fits(f->head + ip, l->v6, l->l4 - ip, l->udp ? PROTO_UDP : PROTO_TCP))
		return false;
	l->hdr = l->l4 + (l->udp ? 8u : (u32)(f->head[l->l4 + 12] >> 4) * 4u);
	return l->hdr >= l->l4 + need && l->hdr <= f->head_len &&
	       l->hdr + (f->gso != FRAME_NO_GSO) <= frame_len(f);
}

static void finish_ip(struct frame *p, const struct offload_layout *l, u32 index)
{
	u8 *ip = p->head + l->ip;
	u32 bytes = frame_len(p) - l->ip;

	if (l->v6) {
		put_be16(ip + 4, bytes - 40);
		return;
	}
	put_be16(ip + 2, bytes);
	put_be16(ip + 4, (u32)get_be16(ip + 4) + index);
	put_be16(ip + 10, 0);
	put_be16(ip + 10, ~fold(offload_sum(0, ip, l->l4 - l->ip, 0)) & 0xffff);
}

/* The pseudo header's sum, so that offload_checksum() finds it in the field. */
static void seed_checksum(struct frame *p, const struct offload_layout *l, u32 sum)
{
	const u8 *ip = p->head + l->ip;

	sum += l->udp ? PROTO_UDP : PROTO_TCP;
	sum = l->v6 ? offload_sum(sum, ip + 8, 32, 0) : offload_sum(sum, ip + 12, 8, 0);
	put_be16(p->head + p->csum_start + p->csum_offset, fold(sum));
}

bool offload_segment(const struct frame *f, void (*emit)(void *ctx, const struct frame *part),
		     void *ctx)
{
	struct offload_layout l;
	u32 total, index = 0;
	struct frame p;

	if (!offload_layout(f, &l))
		return false;
	total = frame_len(f) - l.hdr;
	for (u32 off = 0; off < total; off += f->gso_size, index++) {
		u32 n = (u32)min_u64(total - off, f->gso_size), from = l.hdr + off;
		u8 *l4 = p.head + l.l4;

		p = *f;
		p.gso = FRAME_NO_GSO;
		p.head_len = l.hdr;
		/* Payload that was copied with the head comes from there: it counts as checked. */
		if (from < f->head_len) {
			u32 here = (u32)min_u64(f->head_len - from, n);

			memmove(p.head + l.hdr, p.head + from, here);
			p.head_len += here;
			p.body_len = n - here;
		} else {
			p.body_off = f->body_off + from - f->head_len;
			p.body_len = n;
		}
		finish_ip(&p, &l, index);
		if (f->gso == FRAME_UDP) {
			put_be16(l4 + 4, n + 8);
		} else {
			put_be32(l4 + 4, get_be32(l4 + 4) + off);
			if (off + n < total)
				l4[13] &= (u8) ~(TCP_FIN | TCP_PSH);
			if (off)
				l4[13] &= (u8)~TCP_CWR;
		}
		seed_checksum(&p, &l, frame_len(&p) - l.l4);
		offload_checksum(&p);
		emit(ctx, &p);
	}
	return true;
}

bool offload_complete(struct frame *f)
{
	struct offload_layout l;

	if (!offload_layout(f, &l))
		return false;
	finish_ip(f, &l, 0);
	if (f->gso == FRAME_UDP)
		put_be16(f->head + l.l4 + 4, frame_len(f) - l.l4);
	seed_checksum(f, &l, frame_len(f) - l.l4);
	return true;
}

void offload_for_nic(struct frame *f, const struct offload_layout *l)
{
	u8 *ip = f->head + l->ip;

	put_be16(ip + (l->v6 ? 4 : 2), 0);
	if (!l->v6)
		put_be16(ip + 10, 0);
	seed_checksum(f, l, 0);
}
