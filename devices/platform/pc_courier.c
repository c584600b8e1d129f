/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The courier's ports: a virtio-console between the guest with role = courier and the hypervisor.
 * vCPUs fill and drain rings under the VM's lock; all that is behind them runs on the boot CPU.
 */
#include "devices/courier/mux.h"
#include "devices/platform/pc.h"
#include "devices/platform/pc_virtio.h"
#include "devices/virtio/virtio_console.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/console.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"

#define OUT_SIZE (128u << 10) /* what a port for tools needs: the longest reply and some */
#define IN_SIZE (64u << 10)

/* A courier that dies is started again: after a second, later each time it dies soon again. */
#define LOOK_NS 1000000000ull
#define RESTART_MAX_S 64u
#define LIVED_S 60u

enum { CTL, MIG, PORTS };

/* Free-running indices; each side writes its own. */
struct ring {
	u8 *buf;
	u32 size, head, tail; /* head, tail: atomic */
};

struct port {
	struct ring in, out; /* in: written under the VM's lock; else boot CPU */
	u32 more;	     /* atomic: the guest has sent what was not taken */
	u32 cut;	     /* (VM's lock) in.head when the guest closed the port */
	u32 closings, seen;  /* atomic: how often it did; boot CPU: of which it knows */
	u32 open;	     /* atomic */
};

struct pc_courier {
	struct virtio_console con;
	struct pc_virtio v;
	struct vdev vdev;
	struct port port[PORTS];
	bool stopped; /* (VM's lock) paused: rings of the guest are not touched */
	bool remote;  /* the port for tools has a peer */
	u8 bytes[PORTS][IN_SIZE + OUT_SIZE];
};

/* The one that runs; boot CPU. */
static struct pc_courier *courier;

/* Its channels, which outlive it: who uses them learns that it is gone. NULL: there was none. */
static struct courier_mux *mux;

static void post(void)
{
	if (!(atomic_or(&pcpu_get(0)->softirq, SOFTIRQ_COURIER) & SOFTIRQ_COURIER))
		cpu_kick(0);
}

/* ---- rings ------------------------------------------------------------------------------ */

static u32 ring_used(const struct ring *r)
{
	return atomic_load_acquire(&r->head) - atomic_load_acquire(&r->tail);
}

static u32 ring_put(struct ring *r, const void *data, u32 n)
{
	u32 head = r->head, at = head % r->size, part;

	n = (u32)min_u64(n, r->size - ring_used(r));
	part = (u32)min_u64(n, r->size - at);
	memcpy(r->buf + at, data, part);
	memcpy(r->buf, (const u8 *)data + part, n - part);
	atomic_store_release(&r->head, head + n);
	return n;
}

/* What lies in one piece. */
static u32 ring_peek(const struct ring *r, const u8 **p)
{
	u32 at = r->tail % r->size;

	*p = r->buf + at;
	return (u32)min_u64(ring_used(r), r->size - at);
}

static void ring_drop(struct ring *r, u32 n)
{
	atomic_store_release(&r->tail, r->tail + n);
}

/* ---- the device's side: under the VM's lock ----------------------------------------------- */

static u32 take(void *ctx, unsigned port, const u8 *data, u32 n)
{
	struct port *p = &((struct pc_courier *)ctx)->port[port];
	u32 taken = ring_put(&p->in, data, n);

	if (taken < n)
		atomic_store_release(&p->more, 1u);
	post();
	return taken;
}

static void opened(void *ctx, unsigned port, bool open)
{
	struct port *p = &((struct pc_courier *)ctx)->port[port];

	if (!open) {
		p->cut = p->in.head;
		atomic_store_release(&p->closings, p->closings + 1);
	}
	atomic_store_release(&p->open, open);
	post();
}

static void room(void *ctx, unsigned port)
{
	(void)ctx, (void)port;
	post();
}

static void defer(void *ctx, unsigned port)
{
	atomic_store_release(&((struct pc_courier *)ctx)->port[port].more, 1u);
	post();
}

/* ---- the port for tools ------------------------------------------------------------------- */

static size_t ctl_read(u8 *buf, size_t size)
{
	struct port *port = &courier->port[CTL];
	const u8 *p;
	u32 n = (u32)min_u64(ring_peek(&port->in, &p), size);

	/* Bytes of the next peer must not complete a request of this one. */
	if (atomic_load_acquire(&port->closings) != port->seen)
		return 0;
	memcpy(buf, p, n);
	ring_drop(&port->in, n);
	return n;
}

static size_t ctl_room(void)
{
	return OUT_SIZE - ring_used(&courier->port[CTL].out);
}

static void ctl_write(const char *text, size_t len)
{
	(void)ring_put(&courier->port[CTL].out, text, (u32)len);
	post();
}

static const struct console_remote ctl_remote = { ctl_read, ctl_room, ctl_write };

/* ---- channels to other hosts -------------------------------------------------------------- */

static u32 mig_room(void *ctx)
{
	(void)ctx;
	return courier ? OUT_SIZE - ring_used(&courier->port[MIG].out) : 0;
}

static void mig_send(void *ctx, const u8 *data, u32 n)
{
	(void)ctx;
	(void)ring_put(&courier->port[MIG].out, data, n);
	post();
}

static int mig_came(void *ctx, struct mig_channel *c)
{
	(void)ctx;
	return mig_accept(c);
}

static void mig_said(void *ctx, const char *why)
{
	(void)ctx;
	log_warn("courier: a channel ended: %s", why);
}

static int mig_open(const char *host, u16 port, struct mig_channel **out, char *why, size_t size)
{
	if (mux)
		return courier_mux_connect(mux, host, port, out, why, size);
	str_copy(why, size, "no courier is running");
	return -ENODEV;
}

static void mig_serve(struct pc_courier *c, bool forgot)
{
	struct port *p = &c->port[MIG];
	bool up = atomic_load_acquire(&p->open) && c->v.vm->state != VM_FAILED;
	const u8 *data;
	u32 n;

	if (up && !mux->ready)
		log_info("vm %s: ready to reach other hosts", c->v.vm->name);
	if (forgot || up != mux->ready)
		courier_mux_reset(mux, up);
	while ((n = ring_peek(&p->in, &data))) {
		courier_mux_input(mux, data, n);
		ring_drop(&p->in, n);
	}
}

/* ---- boot CPU ----------------------------------------------------------------------------- */

/* The guest closed the port since the last look: nothing of that peer counts any more. */
static bool forget_peer(struct port *p)
{
	u32 closings = atomic_load_acquire(&p->closings);

	if (closings == p->seen)
		return false;
	p->seen = closings;
	if ((s32)(p->cut - p->in.tail) > 0)
		ring_drop(&p->in, p->cut - p->in.tail);
	ring_drop(&p->out, ring_used(&p->out));
	return true;
}

static void send(struct pc_courier *c, unsigned port)
{
	struct ring *out = &c->port[port].out;
	const u8 *p;
	u32 n, done;

	do {
		n = ring_peek(out, &p);
		done = n ? virtio_console_send(&c->con, port, p, n) : 0;
		ring_drop(out, done);
	} while (done && done == n);
}

static void exchange(struct pc_courier *c)
{
	struct vm *vm = c->v.vm;

	spin_lock(&vm->lock);
	for (unsigned i = 0; i < PORTS && !c->stopped; i++) {
		if (atomic_swap(&c->port[i].more, 0u))
			virtio_console_more(&c->con, i);
		/* What is for a peer that has just gone is not for the next. */
		if (atomic_load_acquire(&c->port[i].closings) == c->port[i].seen)
			send(c, i);
	}
	pc_virtio_sync(&c->v);
	spin_unlock(&vm->lock);
}

static void serve(void)
{
	struct pc_courier *c = courier;

	if (!c)
		return;
	if (forget_peer(&c->port[CTL]) && c->remote) {
		console_set_remote(NULL);
		c->remote = false;
	}
	if (!c->remote && atomic_load_acquire(&c->port[CTL].open)) {
		console_set_remote(&ctl_remote);
		c->remote = true;
	}
	mig_serve(c, forget_peer(&c->port[MIG]));
	exchange(c);
	courier_mux_room(mux);
	console_notify();
}

/* ---- as a device of the VM ---------------------------------------------------------------- */

static void courier_reset(void *state)
{
	struct pc_courier *c = state;

	virtio_console_reset(&c->con);
	c->stopped = false;
	pc_virtio_sync(&c->v);
}

static void courier_quiesce(void *state)
{
	struct pc_courier *c = state;

	c->stopped = true;
	virtio_pci_quiesce(&c->con.dev);
}

static int courier_resume(void *state)
{
	struct pc_courier *c = state;
	int rc = virtio_console_resume(&c->con);

	c->stopped = false;
	pc_virtio_sync(&c->v);
	post();
	return rc;
}

/* ---- its life ----------------------------------------------------------------------------- */

static struct {
	struct timer timer;
	u32 lived_s, wait_s, due_s; /* wait_s is 0 before the first courier */
} life;

/* What the operator stopped stays off; it has no reason then. */
static bool died(const struct vm *vm)
{
	return vm->state == VM_FAILED || (vm->state == VM_OFF && vm->reason[0]);
}

static void look_at(struct vm *vm)
{
	char why[160];

	if (!died(vm)) {
		if (vm->state == VM_RUNNING && ++life.lived_s == LIVED_S)
			life.wait_s = 1;
		life.due_s = life.wait_s;
		return;
	}
	serve(); /* its channels end now, not when it starts again */
	life.lived_s = 0;
	if (life.due_s && --life.due_s)
		return;
	life.wait_s = (u32)min_u64(life.wait_s * 2ull, RESTART_MAX_S);
	life.due_s = life.wait_s;
	if (vm_start(vm, why, sizeof(why)))
		log_warn("vm %s: the courier does not start again: %s", vm->name, why);
}

static void look(void *ctx)
{
	(void)ctx;
	for (u32 i = 0; i < VM_MAX; i++)
		if (vm_at(i) && vm_at(i)->config->courier)
			look_at(vm_at(i));
	if (timer_arm(&life.timer, tsc_read() + ns_to_tsc(LOOK_NS)))
		log_warn("courier: nobody looks after it any more");
}

/* ---- making and undoing ------------------------------------------------------------------- */

static int build(struct vm *vm, char *why, size_t why_size)
{
	static const char *const names[] = { "godwit.ctl", "godwit.mig" };
	static const struct courier_env channels = { NULL, mig_room, mig_send, mig_came, mig_said };
	static const struct vdev_ops ops = { courier_reset, courier_quiesce, courier_resume };
	struct pc_courier *c;
	struct virtio_console_env env = { NULL, take, opened, room, defer };
	struct virtio_env pci;
	int rc;

	if (!vm->config->courier)
		return 0;
	if (!mux) {
		mux = kalloc(hv_owner(), sizeof(*mux));
		if (!mux)
			return -ENOMEM;
		courier_mux_init(mux, &channels);
	}
	c = kalloc(&vm->owner, sizeof(*c));
	if (!c)
		return -ENOMEM;
	courier = c;
	env.ctx = c;
	for (unsigned i = 0; i < PORTS; i++) {
		c->port[i].in = (struct ring){ .buf = c->bytes[i], .size = IN_SIZE };
		c->port[i].out = (struct ring){ .buf = c->bytes[i] + IN_SIZE, .size = OUT_SIZE };
	}
	c->v = (struct pc_virtio){ .vm = vm, .name = "courier" };
	pc_virtio_env(&c->v, &pci);
	virtio_console_init(&c->con, names, PORTS, &env, &c->v.mem, &pci);
	for (unsigned i = 0; i < PORTS; i++)
		virtio_console_open(&c->con, i, true);
	c->vdev = (struct vdev){ "courier", 0, 1, c, &ops, NULL, 0 };
	rc = pc_virtio_plug(&c->v, &c->con.dev, PC_SLOT_COURIER);
	if (!rc)
		rc = pc_add_vdev(vm, &c->vdev);
	if (rc)
		fmt_snprintf(why, why_size, "the courier's ports: %s", err_name(rc));
	if (!life.wait_s) {
		life.wait_s = 1;
		look(NULL);
	}
	return rc;
}

static void destroy(struct vm *vm)
{
	struct pc_courier *c = courier;

	if (!c || c->v.vm != vm)
		return;
	courier = NULL;
	console_set_remote(NULL);
	courier_mux_reset(mux, false);
	pc_virtio_unplug(&c->v);
	kfree(&vm->owner, c, sizeof(*c));
}

void pc_courier_init(void)
{
	static const struct pc_part part = { build, destroy };
	static const struct mig_carrier carrier = { mig_open };

	timer_init(&life.timer, look, NULL);
	softirq_register(SOFTIRQ_COURIER, serve);
	pc_register_part(&part);
	mig_register_carrier(&carrier);
}
