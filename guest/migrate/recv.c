/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest arrives. Nothing of it is believed, and until GO comes it is nobody's: whatever fails,
 * all of it goes back.
 */
#include "guest/migrate/mig_priv.h"
#include "guest/vm/console.h"
#include "guest/vm/vm.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/log.h"
#include "kernel/core/timer.h"
#include "kernel/core/wallclock.h"

/* Moves that were taken and whose source has not said yet that it knows. */
#define TAKEN_MAX 32

static struct taken {
	bool used;
	u8 id[MIG_NONCE_LEN];
} taken[TAKEN_MAX];

static struct taken *taken_find(const u8 *id)
{
	for (u32 i = 0; i < TAKEN_MAX; i++)
		if (id ? taken[i].used && memcmp(taken[i].id, id, MIG_NONCE_LEN) == 0 :
			 !taken[i].used)
			return &taken[i];
	return NULL;
}

/* ---- ends ------------------------------------------------------------------------------ */

static void say(struct mig_recv *r, u32 kind, const u8 *id, const char *text)
{
	struct mig_note n = { .kind = kind, .ns = kind == MIG_NOTE_TIME ? time_ns() : 0 };

	memcpy(n.id, id, sizeof(n.id));
	str_copy(n.text, sizeof(n.text), text);
	if (kind != MIG_MSG_NONE)
		mig_link_note(&r->link, &n);
}

static void throw_away(struct mig_recv *r)
{
	char why[MIG_WHY];

	if (!r->vm)
		return;
	r->vm->migrating = false;
	if (vm_delete(r->vm, why, sizeof(why)))
		log_err("vm %s: %s", r->vm->name, why);
	r->vm = NULL;
}

/* Its functions go into hardware when the source has nothing of it any more, or is silent. */
static void hang_up(struct mig_recv *r)
{
	struct vm *vm = r->arrived ? vm_find(r->name) : NULL;

	mig_link_close(&r->link);
	r->used = r->arrived = false;
	if (vm && !vm->migrating)
		mig_functions_back(vm);
}

void mig_recv_drop(struct mig_recv *r, const char *why)
{
	if (r->owner == MIG_TAKEN) { /* the source asks again if it wants to know */
		hang_up(r);
		return;
	}
	(void)mig_dest_step(&r->owner, MIG_EV_DROP); /* it says nothing */
	if (r->vm) {
		log_warn("vm %s: its move here failed: %s", r->name, why);
		throw_away(r);
	}
	say(r, MIG_NOTE_REFUSE, r->id, why);
	r->over = true;
}

/* ---- the handover ------------------------------------------------------------------------- */

/* Whoever has its name now gives it: the VM it was made of (local move), or one that is off. */
static int take_name(struct mig_recv *r, char *why, size_t why_size)
{
	struct vm *old = vm_find(r->name);
	char aside[CONFIG_NAME_LEN];

	if (old && old == r->source) {
		fmt_snprintf(aside, sizeof(aside), "%s~~", r->name);
		vm_rename(old, aside);
		vm_console_swap(old, r->vm);
	} else if (old) {
		if (old->state == VM_OFF)
			return vm_delete(old, why, why_size);
		fmt_snprintf(why, why_size, "a vm named %s exists", r->name);
		return -EEXIST;
	}
	return 0;
}

static void give_name_back(struct mig_recv *r)
{
	char aside[CONFIG_NAME_LEN];

	fmt_snprintf(aside, sizeof(aside), "%s~", r->name);
	vm_rename(r->vm, aside);
	if (!r->source)
		return;
	vm_console_swap(r->source, r->vm);
	vm_rename(r->source, r->name);
}

static int start(struct mig_recv *r, bool paused, char *why, size_t why_size)
{
	struct taken *t = taken_find(NULL);
	int rc;

	if (!t) {
		fmt_snprintf(why, why_size, "%u moves to here are not confirmed by their sources",
			     TAKEN_MAX);
		return -ENOSPC;
	}
	rc = take_name(r, why, why_size);
	if (rc)
		return rc;
	vm_rename(r->vm, r->name);
	rc = mig_machine_start(&r->machine, paused, why, why_size);
	if (rc) {
		give_name_back(r);
		return rc;
	}
	t->used = true;
	memcpy(t->id, r->id, sizeof(t->id));
	return 0;
}

static void go(struct mig_recv *r, const struct mig_note *n)
{
	u8 state = taken_find(n->id) ? MIG_TAKEN : MIG_NOTHING;
	char why[MIG_WHY] = "";

	if (memcmp(n->id, r->id, sizeof(r->id)) != 0) {
		/* Asked again on another connection: a copy that waits on its own waits in vain. */
		mig_recv_forget(n->id, r);
		say(r, mig_dest_step(&state, MIG_EV_GO), n->id, "");
		return;
	}
	if (!mig_dest_may_start(r->owner)) {
		say(r, mig_dest_step(&r->owner, MIG_EV_GO), r->id, "");
		return;
	}
	if (start(r, n->flags & MIG_NOTE_PAUSED, why, sizeof(why))) {
		log_warn("vm %s: its move here failed: %s", r->name, why);
		throw_away(r);
		say(r, mig_dest_step(&r->owner, MIG_EV_START_FAILED), r->id, why);
		return;
	}
	say(r, mig_dest_step(&r->owner, MIG_EV_STARTED), r->id, "");
	log_info("vm %s: came here: %lu ms, %lu MiB of stream", r->name,
		 (time_ns() - r->began) / 1000000, r->link.received >> 20);
	r->vm->migrating = false;
	r->vm = NULL;
	r->arrived = true;
}

static void note(struct mig_recv *r, const struct mig_note *n)
{
	struct taken *t = taken_find(n->id);

	if (n->kind == MIG_MSG_GO)
		go(r, n);
	if (n->kind == MIG_NOTE_TIME)
		say(r, MIG_NOTE_TIME, r->id, "");
	if (n->kind != MIG_MSG_ACK)
		return;
	if (memcmp(n->id, r->id, sizeof(r->id)) == 0)
		(void)mig_dest_step(&r->owner, MIG_EV_ACK); /* it says nothing */
	if (t)
		t->used = false;
	hang_up(r); /* the source waits for that */
}

/* ---- the stream ------------------------------------------------------------------------------ */

static int config(struct mig_recv *r, const struct mig_record *rec, char *why, size_t why_size)
{
	static struct config_vm c; /* one record at a time */
	struct vm *old;
	int rc = mig_load_config(rec, &c, why, why_size);

	if (rc)
		return rc;
	if (r->vm) {
		str_copy(why, why_size, "a second configuration");
		return -EPROTO;
	}
	str_copy(r->name, sizeof(r->name), c.name);
	old = vm_find(r->name);
	if (old && old != r->source && old->state != VM_OFF) {
		fmt_snprintf(why, why_size, "a vm named %s exists", r->name);
		return -EEXIST;
	}
	/* It gets its name when it is the one that runs. */
	fmt_snprintf(c.name, sizeof(c.name), "%s~", r->name);
	rc = vm_create(&c, why, why_size);
	if (rc)
		return rc;
	r->vm = vm_find(c.name);
	r->vm->migrating = true;
	r->machine = (struct mig_machine){ .vm = r->vm, .began = r->began };
	return vm_receive(r->vm, why, why_size);
}

static int end(struct mig_recv *r, char *why, size_t why_size)
{
	int rc = mig_machine_check(&r->machine, why, why_size);

	if (!rc)
		say(r, mig_dest_step(&r->owner, MIG_EV_LOADED), r->id, "");
	return rc;
}

static int record(struct mig_recv *r, const struct mig_record *rec, char *why, size_t why_size)
{
	struct mig_note n;
	int rc;

	str_copy(why, why_size, "a record that does not belong here");
	if (rec->type == MIG_HANDOVER) {
		rc = mig_note_read(rec, &n);
		if (!rc)
			note(r, &n);
		return rc;
	}
	if (r->owner != MIG_LOADING || (rec->type != MIG_CONFIG && !r->vm))
		return -EPROTO;
	if (rec->type == MIG_CONFIG)
		return config(r, rec, why, why_size);
	if (rec->type == MIG_HOST) {
		rc = mig_check_host(r->vm, rec, why, why_size);
		if (!rc)
			say(r, MIG_NOTE_ACCEPT, r->id, "");
		r->accepted = !rc;
		return rc;
	}
	if (!r->accepted)
		return -EPROTO;
	switch (rec->type) {
	case MIG_PAGES:
		str_copy(why, why_size, "malformed memory record");
		return mig_pages_load(&r->vm->mem, rec->data, rec->len);
	case MIG_CLOCK:
	case MIG_VCPU:
	case MIG_DEVICE:
		return mig_load_machine(&r->machine, rec, why, why_size);
	case MIG_END:
		return end(r, why, why_size);
	default:
		return rec->type & MIG_OPTIONAL ? 0 : -EPROTO;
	}
}

/* ---- steps ------------------------------------------------------------------------------- */

u64 mig_recv_step(struct mig_recv *r)
{
	char why[MIG_WHY];
	struct mig_record rec;
	u64 until;
	int rc;

	if (!r->used)
		return MIG_NEVER;
	if (r->over) {
		until = mig_link_end(&r->link);
		r->used = r->link.ch != NULL;
		return until;
	}
	rc = mig_link_push(&r->link);
	str_copy(why, sizeof(why), mig_link_lost(&r->link));
	if (rc >= 0)
		rc = mig_link_pull(&r->link, &rec, why, sizeof(why));
	if (rc > 0)
		rc = record(r, &rec, why, sizeof(why)) ? -EPROTO : 1;
	if (!r->used)
		return MIG_NEVER;
	until = r->link.moved + MIG_SILENCE_NS;
	if (rc == 0 && time_ns() >= until) {
		str_copy(why, sizeof(why), "no sign from the source for 10 s");
		rc = -ETIMEDOUT;
	}
	if (rc < 0) {
		mig_recv_drop(r, why);
		return 0;
	}
	return rc ? 0 : until;
}

/* Never twice the same, also not after a reset: the clock of the day and the one since boot. */
static void make_id(u8 *id)
{
	static u32 count;

	put_le64(id, wallclock_ns());
	put_le64(id + 8, tsc_read() ^ (u64)++count << 48);
}

int mig_recv_begin(struct mig_recv *r, struct mig_channel *ch, struct vm *source)
{
	int rc;

	*r = (struct mig_recv){ .owner = MIG_LOADING, .source = source, .began = time_ns() };
	make_id(r->id);
	rc = mig_link_open(&r->link, ch, r->id, mig_wake);
	if (rc)
		return rc;
	r->used = true;
	mig_link_begin(&r->link, NULL);
	say(r, MIG_NOTE_HELLO, r->id, "");
	return 0;
}
