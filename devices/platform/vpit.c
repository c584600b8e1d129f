/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8254: modes 0 to 5, latch and read-back commands, gate and output of channel 2.
 * Intel 8254 data sheet (231164).
 */
#include "devices/platform/vpit.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define NS_PER_S 1000000000ull

/* Interrupts of channel 0 come no closer than this, so that a count of 1 drowns nobody. */
#define MIN_PERIOD_NS 100000ull

/* Split at seconds, so that nothing overflows: exact to the tick. */
static u64 ns_to_ticks(u64 ns)
{
	return ns / NS_PER_S * VPIT_HZ + ns % NS_PER_S * VPIT_HZ / NS_PER_S;
}

/* The first nanosecond of a tick. */
static u64 ticks_to_ns(u64 t)
{
	return t / VPIT_HZ * NS_PER_S + (t % VPIT_HZ * NS_PER_S + VPIT_HZ - 1) / VPIT_HZ;
}

static u64 now_ticks(const struct vpit *p)
{
	return ns_to_ticks(p->env.now_ns(p->env.ctx));
}

static bool counting(const struct vpit_channel *c)
{
	if (c->mode == 1 || c->mode == 5)
		return c->loaded && c->triggered;
	return c->loaded;
}

/* Ticks counted so far. */
static u64 elapsed(const struct vpit_channel *c, u64 now)
{
	if (!counting(c))
		return 0;
	if (!c->gate && (c->mode == 0 || c->mode == 4))
		return c->held;
	if (!c->gate && (c->mode == 2 || c->mode == 3))
		return 0;
	return now - c->start;
}

static bool output(const struct vpit_channel *c, u64 now)
{
	u64 d = elapsed(c, now);

	switch (c->mode) {
	case 0:
		return counting(c) && d >= c->count;
	case 1:
		return !counting(c) || d >= c->count;
	case 2:
		return !counting(c) || d % c->count != c->count - 1;
	case 3:
		return !counting(c) || d % c->count < (c->count + 1) / 2;
	default:
		return !counting(c) || d != c->count;
	}
}

static u16 to_bcd(u32 v)
{
	v %= 10000;
	return (u16)(v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10);
}

/* Digits above 9 are undefined: they carry. */
static u32 from_bcd(u32 v)
{
	return ((v >> 12 & 15) * 1000 + (v >> 8 & 15) * 100 + (v >> 4 & 15) * 10 + (v & 15)) %
	       10000;
}

/* What the counting element shows. */
static u16 value_now(const struct vpit_channel *c, u64 now)
{
	u64 d = elapsed(c, now);
	u32 wrap = c->bcd ? 10000 : 0x10000, v;

	if (c->mode == 2)
		v = c->count - (u32)(d % c->count);
	else if (c->mode == 3)
		v = c->count - (u32)(d % c->count * 2 % c->count);
	else
		v = (u32)((c->count + wrap - d % wrap) % wrap);
	return c->bcd ? to_bcd(v) : (u16)v;
}

/* Find channel 0's next rising edge after tick 'now' and ask for a call then. */
static void plan(struct vpit *p, u64 now)
{
	const struct vpit_channel *c = &p->ch[0];
	u64 d, ns, soonest;

	p->next_edge = 0;
	if (!counting(c))
		return;
	d = elapsed(c, now);
	switch (c->mode) {
	case 0:
	case 1:
		if (d >= c->count)
			return;
		p->next_edge = c->start + c->count;
		break;
	case 2:
	case 3:
		p->next_edge = c->start + (d / c->count + 1) * c->count;
		break;
	default:
		if (d > c->count)
			return;
		p->next_edge = c->start + c->count + 1;
		break;
	}
	ns = ticks_to_ns(p->next_edge);
	soonest = p->env.now_ns(p->env.ctx) + MIN_PERIOD_NS;
	if (c->mode == 2 || c->mode == 3)
		ns = max_u64(ns, soonest);
	p->env.arm(p->env.ctx, ns);
}

void vpit_timer(struct vpit *p)
{
	u64 now = now_ticks(p);

	if (!p->next_edge)
		return;
	if (now >= p->next_edge) {
		p->env.irq(p->env.ctx, false);
		p->env.irq(p->env.ctx, true);
	}
	plan(p, now); /* edges missed meanwhile are dropped */
}

static void load(struct vpit *p, unsigned n, u32 raw)
{
	struct vpit_channel *c = &p->ch[n];
	u32 count = c->bcd ? from_bcd(raw) : raw;

	c->count = count ? count : c->bcd ? 10000 : 0x10000;
	c->loaded = true;
	c->held = 0;
	c->start = now_ticks(p);
	if (n)
		return;
	/* A count in mode 0 drives the output low at once. */
	p->env.irq(p->env.ctx, output(c, c->start));
	plan(p, c->start);
}

static void write_count(struct vpit *p, unsigned n, u8 v)
{
	struct vpit_channel *c = &p->ch[n];

	switch (c->rw) {
	case 1:
		load(p, n, v);
		break;
	case 2:
		load(p, n, (u32)v << 8);
		break;
	default:
		c->write_high = !c->write_high;
		if (c->write_high)
			c->write_low = v;
		else
			load(p, n, (u32)v << 8 | c->write_low);
		break;
	}
}

static void latch_count(struct vpit_channel *c, u64 now)
{
	if (c->latched)
		return;
	c->latch = value_now(c, now);
	c->latched = c->rw == 3 ? 2 : 1;
}

static void latch_status(struct vpit_channel *c, u64 now)
{
	if (c->status_latched)
		return;
	c->status = (u8)(output(c, now) << 7 | !c->loaded << 6 | c->rw << 4 | c->mode << 1 |
			 c->bcd);
	c->status_latched = true;
}

static void write_control(struct vpit *p, u8 v)
{
	u64 now = now_ticks(p);
	struct vpit_channel *c;
	bool gate;

	if (v >> 6 == 3) { /* read-back */
		for (unsigned i = 0; i < 3; i++) {
			if (!(v & 2u << i))
				continue;
			if (!(v & 0x20))
				latch_count(&p->ch[i], now);
			if (!(v & 0x10))
				latch_status(&p->ch[i], now);
		}
		return;
	}
	c = &p->ch[v >> 6];
	if (!(v & 0x30)) {
		latch_count(c, now);
		return;
	}
	gate = c->gate;
	memset(c, 0, sizeof(*c));
	c->gate = gate;
	c->rw = v >> 4 & 3;
	c->mode = v >> 1 & 7;
	if (c->mode > 5)
		c->mode -= 4;
	c->bcd = v & 1;
	c->count = c->bcd ? 10000 : 0x10000;
	if (v >> 6)
		return;
	p->next_edge = 0;
	p->env.irq(p->env.ctx, c->mode != 0);
}

static u8 read_count(struct vpit *p, unsigned n)
{
	struct vpit_channel *c = &p->ch[n];
	u16 v;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	v = c->latched ? c->latch : value_now(c, now_ticks(p));
	if (c->latched)
		c->latched--;
	if (c->rw == 3) {
		c->read_high = !c->read_high;
		return (u8)(c->read_high ? v : v >> 8);
	}
	return (u8)(c->rw == 2 ? v >> 8 : v);
}

/* Channel 2's gate; those of 0 and 1 are tied high. */
static void set_gate(struct vpit_channel *c, bool gate, u64 now)
{
	if (gate == c->gate)
		return;
	if (!gate) {
		c->held = elapsed(c, now);
		c->gate = false;
		return;
	}
	c->gate = true;
	c->triggered = true;
	c->start = c->mode == 0 || c->mode == 4 ? now - c->held : now;
}

static u8 read_61h(const struct vpit *p)
{
	u64 ns = p->env.now_ns(p->env.ctx);
	bool refresh = ns / 15085 & 1; /* memory refresh: every 15.085 us */

	return (u8)(p->port61 | refresh << 4 | output(&p->ch[2], ns_to_ticks(ns)) << 5);
}

void vpit_io(struct vpit *p, u16 port, bool write, u8 *value)
{
	unsigned n = port - VPIT_PORT;

	if (port == VPIT_PORT_61H) {
		if (write) {
			p->port61 = *value & 3;
			set_gate(&p->ch[2], *value & 1, now_ticks(p));
		} else {
			*value = read_61h(p);
		}
	} else if (n == 3) {
		if (write)
			write_control(p, *value);
		else
			*value = 0xff; /* the control word cannot be read */
	} else if (n < 3) {
		if (write)
			write_count(p, n, *value);
		else
			*value = read_count(p, n);
	}
}

void vpit_reset(void *state)
{
	struct vpit *p = state;

	memset(p->ch, 0, sizeof(p->ch));
	for (unsigned i = 0; i < 3; i++) {
		p->ch[i].rw = 3;
		p->ch[i].count = 0x10000;
		p->ch[i].gate = i < 2;
	}
	p->ch[0].mode = 3;
	p->port61 = 0;
	p->next_edge = 0;
	p->env.irq(p->env.ctx, false);
}

void vpit_init(struct vpit *p, const struct vpit_env *env)
{
	memset(p, 0, sizeof(*p));
	p->env = *env;
	vpit_reset(p);
}

int vpit_resume(void *state)
{
	struct vpit *p = state;
	u64 now = now_ticks(p);

	for (unsigned i = 0; i < 3; i++) {
		const struct vpit_channel *c = &p->ch[i];

		if (c->mode > 5 || c->rw < 1 || c->rw > 3 || c->latched > 2 || !c->count ||
		    c->count > (c->bcd ? 10000u : 0x10000u) || c->start > now ||
		    (i < 2 && !c->gate))
			return -EINVAL;
	}
	if (p->port61 > 3 || (p->port61 & 1) != p->ch[2].gate)
		return -EINVAL;
	p->env.irq(p->env.ctx, output(&p->ch[0], now));
	plan(p, now);
	return 0;
}

#define CH(n, f, ty) VMSTATE(struct vpit, ch[n].f, ty)
#define CH_FIELDS(n)                                                                       \
	CH(n, mode, VMS_U8), CH(n, rw, VMS_U8), CH(n, bcd, VMS_BOOL), CH(n, gate, VMS_BOOL), \
	CH(n, loaded, VMS_BOOL), CH(n, triggered, VMS_BOOL), CH(n, write_high, VMS_BOOL),  \
	CH(n, read_high, VMS_BOOL), CH(n, write_low, VMS_U8), CH(n, latched, VMS_U8),      \
	CH(n, status_latched, VMS_BOOL), CH(n, status, VMS_U8), CH(n, latch, VMS_U16),     \
	CH(n, count, VMS_U32), CH(n, start, VMS_U64), CH(n, held, VMS_U64)

const struct vmstate_field vpit_fields[] = {
	CH_FIELDS(0), CH_FIELDS(1), CH_FIELDS(2), VMSTATE(struct vpit, port61, VMS_U8),
};
const u32 vpit_nfields = ARRAY_SIZE(vpit_fields);
