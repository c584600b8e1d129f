/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records and notes over a byte channel, without waiting.
 */
#include "guest/migrate/link.h"

#include "kernel/base/assert.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/timer.h"

#define NOTE_LEN (16u + MIG_NONCE_LEN + MIG_NOTE_TEXT)
/* A whole record, and behind it a header and a few notes. */
#define OUT_BUF (MIG_RECORD_BUF + 8 * (MIG_RECORD_HEAD + NOTE_LEN))

int mig_link_open(struct mig_link *l, struct mig_channel *ch, const u8 *nonce,
		  void (*wake)(void *ctx))
{
	*l = (struct mig_link){ .moved = time_ns() };
	l->in_buf = kalloc(hv_owner(), MIG_RECORD_BUF);
	l->out = kalloc(hv_owner(), OUT_BUF);
	if (!l->in_buf || !l->out) {
		mig_link_close(l);
		return -ENOMEM;
	}
	mig_parse_start(&l->in, l->in_buf, nonce);
	l->ch = ch;
	ch->wake = wake;
	return 0;
}

void mig_link_close(struct mig_link *l)
{
	if (l->ch)
		l->ch->ops->close(l->ch);
	l->ch = NULL;
	kfree(hv_owner(), l->in_buf, MIG_RECORD_BUF);
	kfree(hv_owner(), l->out, OUT_BUF);
	l->in_buf = l->out = NULL;
}

u64 mig_link_end(struct mig_link *l)
{
	int n, rc;

	do {
		rc = mig_link_push(l);
		n = l->ch->ops->recv(l->ch, l->in_buf, MIG_RECORD_BUF);
	} while (n > 0);
	if (rc >= 0 && n == 0 && time_ns() < l->moved + MIG_SILENCE_NS)
		return l->moved + MIG_SILENCE_NS;
	mig_link_close(l);
	return MIG_NEVER;
}

void mig_link_begin(struct mig_link *l, const u8 *nonce)
{
	ASSERT(l->out_len + MIG_HEADER_LEN <= OUT_BUF);
	mig_header_make(&l->sum, nonce, l->out + l->out_len);
	l->out_len += MIG_HEADER_LEN;
}

void mig_link_note(struct mig_link *l, const struct mig_note *n)
{
	u8 *at = l->out + l->out_len, *p = at + MIG_RECORD_HEAD;

	/* A peer that takes nothing gets no more notes: it will be found silent. */
	if (l->out_len + MIG_RECORD_HEAD + NOTE_LEN > OUT_BUF)
		return;
	put_le32(p, n->kind);
	put_le32(p + 4, n->flags);
	put_le64(p + 8, n->ns);
	memcpy(p + 16, n->id, MIG_NONCE_LEN);
	memcpy(p + 16 + MIG_NONCE_LEN, n->text, MIG_NOTE_TEXT);
	l->out_len += mig_record_seal(&l->sum, MIG_HANDOVER, at, NOTE_LEN);
}

/* Of n bytes at offset 'from' of a direction those before the fault; it happens when it is 0. */
static u32 before_fault(const struct mig_link *l, bool back, u64 from, u32 n)
{
	const struct mig_fault *f = &l->fault;

	if (f->kind == MIG_FAULT_NONE || f->back != back || f->at >= from + n)
		return n;
	return f->at > from ? (u32)(f->at - from) : 0;
}

/* n bytes at data, of which the first meets the fault. 1: they go on; 0: they are lost; -EPIPE. */
static int suffer(struct mig_link *l, u8 *data)
{
	if (l->fault.kind == MIG_FAULT_CUT)
		return -EPIPE;
	if (l->fault.kind == MIG_FAULT_LOSE)
		return 0;
	*data ^= 0x10;
	l->fault.kind = MIG_FAULT_NONE;
	return 1;
}

int mig_link_push(struct mig_link *l)
{
	while (l->out_at < l->out_len) {
		u8 *data = l->out + l->out_at;
		u32 len = l->out_len - l->out_at, good = before_fault(l, false, l->sent, len);
		int n = good ? 1 : suffer(l, data);

		if (n > 0)
			n = l->ch->ops->send(l->ch, data, good ? good : len);
		else if (n == 0)
			n = (int)len;
		if (n <= 0)
			return n;
		l->out_at += (u32)n;
		l->sent += (u32)n;
		l->wire = l->ch->wire;
		l->moved = time_ns();
	}
	l->out_at = l->out_len = 0;
	return 1;
}

int mig_link_pull(struct mig_link *l, struct mig_record *r, char *why, size_t why_size)
{
	for (;;) {
		u32 room;
		u8 *to = mig_parse_space(&l->in, &room);
		u32 good = before_fault(l, true, l->received, room);
		int rc, n = l->ch->ops->recv(l->ch, to, good ? good : room);

		rc = n <= 0 || good ? n : suffer(l, to);
		if (rc < 0)
			str_copy(why, why_size, mig_link_lost(l));
		if (rc < 0 || n == 0)
			return rc;
		if (rc == 0)
			continue;
		l->received += (u32)n;
		l->moved = time_ns();
		rc = mig_parse_got(&l->in, (u32)n, r, why, why_size);
		if (rc)
			return rc;
	}
}

int mig_note_read(const struct mig_record *r, struct mig_note *n)
{
	if (r->len != NOTE_LEN)
		return -EPROTO;
	n->kind = get_le32(r->data);
	n->flags = get_le32(r->data + 4);
	n->ns = get_le64(r->data + 8);
	memcpy(n->id, r->data + 16, MIG_NONCE_LEN);
	memcpy(n->text, r->data + 16 + MIG_NONCE_LEN, MIG_NOTE_TEXT);
	n->text[MIG_NOTE_TEXT - 1] = '\0';
	/* It ends in a log and on a terminal. */
	for (char *c = n->text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return 0;
}
