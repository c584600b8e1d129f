/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file at a time: the port asks for bytes of it, or brings them, as its queue allows.
 */
#include "guest/migrate/save.h"

#include "guest/migrate/machine_state.h"
#include "guest/migrate/mig_priv.h"
#include "guest/migrate/pages.h"
#include "guest/vm/vm.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/console.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"
#include "kernel/core/timer.h"

#define WHY 160
#define CPUID1_ECX_SSE4_2 BIT(20)

/* A client sends this and 00h for this byte itself, this and 01h for the one that leaves. */
#define ESCAPE 0x1cu

/* In the order of the stream, either way. */
enum phase { HEADER, UNPLUG, INTRO, HOST, PAGES, MACHINE, END, OVER };

static struct file {
	struct ctl_stream stream;
	bool used, saving;
	enum phase phase;
	struct vm *vm; /* while it is being moved, else NULL */
	u8 *buf;       /* MIG_RECORD_BUF */
	u32 at, len;   /* of buf: what is yet to go out */
	/* to a file */
	bool was_running, logging;
	struct mig_leave leave;
	char why[WHY]; /* should it not become complete */
	struct mig_pages pages;
	struct mig_sum sum;
	u32 step;
	/* from a file */
	bool escaped;
	char name[CONFIG_NAME_LEN];
	struct mig_parser in;
	struct mig_machine machine;
} f;

static int begin(struct ctl_out *out, const char *usage, const char *name)
{
	if (out->person)
		return ctl_fail(out, -ENOTSUP, "files are a tool's: godwitctl %s", usage);
	if (f.used)
		return ctl_fail(out, -EBUSY, "another VM is being saved or restored");
	f.buf = kalloc(hv_owner(), MIG_RECORD_BUF);
	if (!f.buf)
		return ctl_fail(out, -ENOMEM, "no memory for records");
	f.used = true;
	f.phase = HEADER;
	f.vm = NULL;
	f.at = f.len = f.step = 0;
	f.escaped = f.logging = false;
	str_copy(f.stream.name, sizeof(f.stream.name), name);
	out->attach = &f.stream;
	return 0;
}

static void end(void)
{
	kfree(hv_owner(), f.buf, MIG_RECORD_BUF);
	f.used = false;
}

/* ---- to a file ------------------------------------------------------------------------- */

/* The VM is its users' again; without a complete file it goes on as before. */
static void save_over(bool complete)
{
	struct vm *vm = f.vm;
	char why[WHY];

	if (!vm)
		return;
	if (f.logging)
		mig_pages_stop(&f.pages);
	vm->migrating = false;
	mig_leave_stay(&f.leave);
	f.vm = NULL;
	f.phase = OVER;
	if (complete)
		log_info("vm %s: saved: %lu KiB", vm->name, f.sum.bytes >> 10);
	else if (f.was_running && vm->state == VM_PAUSED && vm_resume(vm, why, sizeof(why)))
		log_err("%s", why);
}

/* It stands from now on, all of it in software. */
static int stop(char *why, size_t why_size)
{
	u32 held_us;
	int rc = f.was_running ? vm_pause(f.vm, why, why_size) : 0;

	if (!rc)
		rc = mig_leave_aside(&f.leave, &held_us, why, why_size);
	if (rc >= 0)
		rc = mig_pages_start(&f.pages, f.vm, why, why_size);
	f.logging = !rc;
	return rc;
}

/* Until the guest has let go of what cannot leave with it. */
static int unplug(void)
{
	int rc = -ENOENT;

	if (f.vm->state == VM_RUNNING)
		rc = mig_leave_unplug(&f.leave, time_ns(), f.why, sizeof(f.why));
	if (!rc)
		rc = stop(f.why, sizeof(f.why));
	return rc > 0 ? -EBUSY : rc < 0 ? -ECANCELED : 0;
}

/* The next record of this phase into buf; 0: there is none, or none now. */
static int produce(void)
{
	int n;

	switch ((u32)f.phase) {
	case UNPLUG:
		return f.logging ? 0 : unplug();
	case HEADER:
		mig_header_make(&f.sum, NULL, f.buf);
		f.phase = UNPLUG;
		return MIG_HEADER_LEN;
	case INTRO:
		return (int)mig_save_intro(f.vm, &f.step, &f.sum, f.buf);
	case PAGES:
		n = mig_pages_next(&f.pages, f.buf + MIG_RECORD_HEAD, MIG_RECORD_MAX);
		return n > 0 ? (int)mig_record_seal(&f.sum, MIG_PAGES, f.buf, (u32)n) : n;
	case MACHINE:
		return (int)mig_save_machine(f.vm, 0, &f.step, &f.sum, f.buf);
	case END:
		n = (int)mig_end_make(&f.sum, f.buf);
		save_over(true);
		return n;
	default: /* nothing of its own */
		return 0;
	}
}

static void refill(void)
{
	int n = 0;

	f.at = f.len = 0;
	while (f.phase != OVER && n == 0) {
		n = produce();
		if (n == 0 && f.phase != OVER) {
			f.phase++;
			f.step = 0;
		}
	}
	if (n == -EBUSY) {
		console_stream_ready();
	} else if (n < 0) {
		log_warn("vm %s: not saved: %s", f.vm->name, f.why);
		save_over(false);
		f.len = (u32)fmt_snprintf((char *)f.buf + MIG_RECORD_HEAD, WHY, "%s", f.why);
		f.len = mig_record_seal(&f.sum, MIG_FAILED, f.buf, f.len);
	} else {
		f.len = (u32)n;
	}
}

static int run_save(struct ctl_out *out, const struct ctl_args *args)
{
	struct vm *vm = vm_find(ctl_arg(out, 0));
	char why[WHY] = "";
	int rc;

	(void)args;
	if (!vm)
		return ctl_fail(out, -ENOENT, "no vm named %s", ctl_arg(out, 0));
	if (vm->migrating)
		return ctl_fail(out, -EBUSY, "vm %s is being moved", vm->name);
	rc = mig_can_move(vm, why, sizeof(why));
	if (rc)
		return ctl_fail(out, rc, "%s", why);
	rc = begin(out, "save VM FILE", vm->name);
	if (rc)
		return rc;
	f.saving = true;
	f.was_running = vm->state == VM_RUNNING;
	f.vm = vm;
	f.leave = mig_leave_of(vm);
	str_copy(f.why, sizeof(f.why), "it was powered off before all of it was saved");
	rc = mig_leave_unplug(&f.leave, time_ns(), why, sizeof(why));
	if (!rc)
		rc = stop(why, sizeof(why));
	vm->migrating = rc >= 0;
	if (rc >= 0)
		return 0;
	save_over(false);
	out->attach = NULL;
	end();
	return ctl_fail(out, rc, "%s", why);
}

/* ---- from a file ----------------------------------------------------------------------- */

/* The outcome, as a line; what comes after it is not looked at. */
static void answer(int rc, const char *why)
{
	char text[WHY];

	f.phase = OVER;
	f.len = rc ? (u32)fmt_snprintf((char *)f.buf, MIG_RECORD_BUF, "error %s %s\n", err_name(rc),
				       why)
		   : (u32)fmt_snprintf((char *)f.buf, MIG_RECORD_BUF, "ok\n");
	f.at = 0;
	console_stream_ready();
	if (!f.vm)
		return;
	f.vm->migrating = false;
	if (rc && vm_delete(f.vm, text, sizeof(text)))
		log_err("%s", text);
	f.vm = NULL;
}

/* It gets its name when it is whole; a VM of that name that is off gives way to it then. */
static int name_free(bool take, char *why, size_t why_size)
{
	struct vm *old = vm_find(f.name);

	if (!old)
		return 0;
	if (old->state == VM_OFF && !old->migrating)
		return take ? vm_delete(old, why, why_size) : 0;
	fmt_snprintf(why, why_size, "a vm named %s exists and is not off", f.name);
	return -EEXIST;
}

static int load_config(const struct mig_record *r, char *why, size_t why_size)
{
	static struct config_vm c; /* one file at a time */
	int rc = mig_load_config(r, &c, why, why_size);

	if (rc)
		return rc;
	str_copy(f.name, sizeof(f.name), c.name);
	rc = name_free(false, why, why_size);
	if (rc)
		return rc;
	fmt_snprintf(c.name, sizeof(c.name), "%s~", f.name);
	rc = vm_create(&c, why, why_size);
	if (rc)
		return rc;
	f.vm = vm_find(c.name);
	f.vm->migrating = true;
	f.machine = (struct mig_machine){ .vm = f.vm, .began = time_ns() };
	return vm_receive(f.vm, why, why_size);
}

static int finish(char *why, size_t why_size)
{
	int rc = mig_machine_check(&f.machine, why, why_size);

	if (!rc)
		rc = name_free(true, why, why_size);
	if (rc)
		return rc;
	vm_rename(f.vm, f.name);
	rc = mig_machine_start(&f.machine, false, why, why_size);
	if (rc)
		return rc;
	log_info("vm %s: restored: %lu KiB", f.vm->name, f.in.sum.bytes >> 10);
	mig_functions_back(f.vm);
	answer(0, "");
	return 0;
}

/* Records come in the order of the phases, each as often as it likes but for the first two. */
static int load(const struct mig_record *r, char *why, size_t why_size)
{
	static const u8 phase_of[] = { OVER, INTRO, HOST, PAGES, MACHINE, MACHINE, MACHINE, END };
	enum phase p = r->type < ARRAY_SIZE(phase_of) ? phase_of[r->type] : OVER;

	if (p == OVER && (r->type & MIG_OPTIONAL))
		return 0;
	if (p == OVER || p < f.phase || (p > f.phase + 1 && f.phase < HOST) ||
	    (p == f.phase && p < PAGES)) {
		fmt_snprintf(why, why_size, "a record of type %#x does not belong there", r->type);
		return -EPROTO;
	}
	f.phase = p;
	switch ((u32)p) {
	case INTRO:
		return load_config(r, why, why_size);
	case HOST:
		return mig_check_host(f.vm, r, why, why_size);
	case PAGES:
		str_copy(why, why_size, "a malformed record of memory");
		return mig_pages_load(&f.vm->mem, r->data, r->len);
	case MACHINE:
		return mig_load_machine(&f.machine, r, why, why_size);
	default:
		return finish(why, why_size);
	}
}

static void take(const u8 *data, size_t len)
{
	struct mig_record r;
	char why[WHY] = "";
	u32 room;
	int rc;

	while (len && f.phase != OVER) {
		u8 *to = mig_parse_space(&f.in, &room);

		room = (u32)min_u64(room, len);
		memcpy(to, data, room);
		data += room;
		len -= room;
		rc = mig_parse_got(&f.in, room, &r, why, sizeof(why));
		if (rc > 0)
			rc = load(&r, why, sizeof(why));
		if (rc < 0)
			answer(rc, why);
	}
}

static int run_restore(struct ctl_out *out, const struct ctl_args *args)
{
	struct cpuid_regs r;
	int rc;

	(void)args;
	hvm_host_cpuid(1, 0, &r);
	if (!(r.ecx & CPUID1_ECX_SSE4_2))
		return ctl_fail(out, -ENOTSUP, "this CPU runs no guests: it lacks SSE4.2");
	rc = begin(out, "restore FILE", "a file");
	if (rc)
		return rc;
	f.saving = false;
	f.phase = UNPLUG; /* over */
	mig_parse_start(&f.in, f.buf, NULL);
	return 0;
}

/* ---- the port -------------------------------------------------------------------------- */

static size_t stream_read(struct ctl_stream *s, u64 *cursor, char *buf, size_t size)
{
	size_t n = 0, part;

	(void)s;
	while (n < size) {
		if (f.at == f.len && f.saving)
			refill();
		if (f.at == f.len)
			break;
		part = min_u64(size - n, f.len - f.at);
		memcpy(buf + n, f.buf + f.at, part);
		f.at += (u32)part;
		n += part;
	}
	*cursor += n;
	return n;
}

/* Nothing of it is shown again to who comes later. */
static u64 stream_end(struct ctl_stream *s)
{
	(void)s;
	return 0;
}

static size_t stream_write(struct ctl_stream *s, const u8 *data, size_t len)
{
	u8 plain[64];
	size_t n = 0;

	(void)s;
	for (size_t i = 0; i < len && !f.saving; i++) {
		if (!f.escaped && data[i] == ESCAPE) {
			f.escaped = true;
			continue;
		}
		plain[n++] = f.escaped ? (u8)(ESCAPE + (data[i] & 1)) : data[i];
		f.escaped = false;
		if (n < sizeof(plain) && i + 1 < len)
			continue;
		take(plain, n);
		n = 0;
	}
	take(plain, n);
	return len;
}

static void stream_left(struct ctl_stream *s)
{
	(void)s;
	if (f.saving)
		save_over(false);
	else if (f.phase != OVER)
		answer(-ECANCELED, "");
	end();
}

int mig_save_init(struct ctl *c)
{
	static const struct ctl_verb verbs[] = {
		{ "save", NULL, "VM", "pause it and send its state, for godwitctl save", NULL, 1, 1,
		  CTL_ARG_VM, run_save },
		{ "restore", NULL, "", "take a VM's state, for godwitctl restore", NULL, 0, 0,
		  CTL_ARG_NONE, run_restore },
	};

	f.stream.read = stream_read;
	f.stream.end = stream_end;
	f.stream.write = stream_write;
	f.stream.left = stream_left;
	return ctl_add(c, verbs, ARRAY_SIZE(verbs));
}
