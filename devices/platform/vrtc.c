/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MC146818: calendar, alarm, periodic and update interrupts, CMOS memory map.
 * Motorola MC146818A data sheet; RTC section of the Intel ICH9 data sheet.
 */
#include "devices/platform/vrtc.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define NS_PER_S  1000000000ull
#define DAY_S	  86400u
#define TICK_HZ	  32768u
/* An update takes 1984 us, announced 244 us before; it ends where the second does. */
#define UIP_NS	  (244000u + 1984000u)
/* Latest year a guest can set, and its end: nanoseconds since 1970 stay within 64 bits. */
#define MAX_YEAR   2499u
#define MAX_TIME_S 16725225599ull

enum {
	REG_SEC, REG_SEC_ALARM, REG_MIN, REG_MIN_ALARM, REG_HOUR, REG_HOUR_ALARM,
	REG_WDAY, REG_MDAY, REG_MONTH, REG_YEAR, REG_A, REG_B, REG_C, REG_D,
	REG_CENTURY = 0x32,
};

#define A_UIP	0x80
#define A_RATE	0x0f
#define B_SET	0x80
#define B_PIE	0x40
#define B_AIE	0x20
#define B_UIE	0x10
#define B_BIN	0x04
#define B_24H	0x02
#define C_IRQF	0x80
#define C_PF	0x40
#define C_AF	0x20
#define C_UF	0x10
#define D_VALID 0x80

#define HOUR_PM	   0x80
#define ALARM_ANY  0xc0 /* both top bits: matches always */

static u64 guest_ns(const struct vrtc *r)
{
	return r->env.now_ns(r->env.ctx) + r->offset_ns;
}

static u64 tick_of(u64 ns)
{
	return ns / NS_PER_S * TICK_HZ + ns % NS_PER_S * TICK_HZ / NS_PER_S;
}

/* ---- numbers --------------------------------------------------------------------------- */

static u8 encode(const struct vrtc *r, u32 v)
{
	return (u8)(r->cmos[REG_B] & B_BIN ? v : v / 10 % 10 << 4 | v % 10);
}

static u32 decode(const struct vrtc *r, u8 v)
{
	return r->cmos[REG_B] & B_BIN ? v : (v >> 4) * 10u + (v & 15);
}

static u8 encode_hour(const struct vrtc *r, u32 h)
{
	if (r->cmos[REG_B] & B_24H)
		return encode(r, h);
	return (u8)(encode(r, h % 12 ? h % 12 : 12) | (h >= 12 ? HOUR_PM : 0));
}

static u32 decode_hour(const struct vrtc *r, u8 v)
{
	if (r->cmos[REG_B] & B_24H)
		return decode(r, v);
	return decode(r, v & (u8)~HOUR_PM) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* ---- calendar: proleptic Gregorian, from 1970 ------------------------------------------ */

static bool is_leap(u32 y)
{
	return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

/* Days before 1 January of year y, from year 1. */
static u64 days_before_year(u32 y)
{
	u64 n = y - 1;

	return n * 365 + n / 4 - n / 100 + n / 400;
}

static u32 days_before_month(u32 y, u32 m)
{
	static const u16 before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };

	return before[m - 1] + (m > 2 && is_leap(y) ? 1u : 0u);
}

/* The time registers of guest second t. */
static void time_to_cmos(struct vrtc *r, u64 t)
{
	u64 days = t / DAY_S;
	u32 s = (u32)(t % DAY_S), y, m = 12, yday;

	y = (u32)(1970 + days / 366); /* at most a little early */
	while (days_before_year(y + 1) - days_before_year(1970) <= days)
		y++;
	yday = (u32)(days - (days_before_year(y) - days_before_year(1970)));
	while (days_before_month(y, m) > yday)
		m--;
	r->cmos[REG_SEC] = encode(r, s % 60);
	r->cmos[REG_MIN] = encode(r, s / 60 % 60);
	r->cmos[REG_HOUR] = encode_hour(r, s / 3600);
	r->cmos[REG_WDAY] = encode(r, (u32)((days + 4) % 7) + 1); /* 1 = Sunday */
	r->cmos[REG_MDAY] = encode(r, yday - days_before_month(y, m) + 1);
	r->cmos[REG_MONTH] = encode(r, m);
	r->cmos[REG_YEAR] = encode(r, y % 100);
	r->cmos[REG_CENTURY] = (u8)(y / 1000 % 10 << 4 | y / 100 % 10); /* BCD always */
}

/* The second that the time registers name; fields out of range carry over into the next. */
static u64 cmos_to_time(const struct vrtc *r)
{
	u32 century = (r->cmos[REG_CENTURY] >> 4) * 10u + (r->cmos[REG_CENTURY] & 15);
	u32 y = century * 100 + decode(r, r->cmos[REG_YEAR]);
	u32 m = decode(r, r->cmos[REG_MONTH]);
	u64 days;

	y = y < 1970 ? 1970 : y > MAX_YEAR ? MAX_YEAR : y;
	m = m < 1 ? 1 : m > 12 ? 12 : m;
	days = days_before_year(y) - days_before_year(1970) + days_before_month(y, m) +
	       decode(r, r->cmos[REG_MDAY]);
	return (days ? days - 1 : 0) * DAY_S + decode_hour(r, r->cmos[REG_HOUR]) * 3600ull +
	       decode(r, r->cmos[REG_MIN]) * 60ull + decode(r, r->cmos[REG_SEC]);
}

/* ---- flags ----------------------------------------------------------------------------- */

/* The next second after t at which the alarm registers match, ~0: never. */
static u64 next_alarm(const struct vrtc *r, u64 t)
{
	u8 h = r->cmos[REG_HOUR_ALARM], m = r->cmos[REG_MIN_ALARM], s = r->cmos[REG_SEC_ALARM];

	t++;
	for (unsigned step = 0; step < 24 + 60 + 60 + 3; step++) {
		u32 d = (u32)(t % DAY_S);

		if (h < ALARM_ANY && decode_hour(r, h) != d / 3600)
			t += 3600 - d % 3600;
		else if (m < ALARM_ANY && decode(r, m) != d / 60 % 60)
			t += 60 - d % 60;
		else if (s < ALARM_ANY && decode(r, s) != d % 60)
			t++;
		else
			return t;
	}
	return ~0ull;
}

/* Ticks of 32768 Hz between periodic interrupts, 0: off. */
static u32 period(const struct vrtc *r)
{
	u32 rate = r->cmos[REG_A] & A_RATE;

	if (!rate)
		return 0;
	return 1u << (rate <= 2 ? rate + 6 : rate - 1);
}

/* Bring the flags of register C up to now. */
static void sync(struct vrtc *r)
{
	u64 ns = guest_ns(r), s = ns / NS_PER_S, tick = tick_of(ns);
	u32 p = period(r);

	if (p && tick / p != r->seen_tick / p)
		r->cmos[REG_C] |= C_PF;
	r->seen_tick = tick;
	if (r->cmos[REG_B] & B_SET) {
		r->seen_s = s;
		return;
	}
	if (s != r->seen_s)
		r->cmos[REG_C] |= C_UF;
	if (s >= r->alarm_s) {
		r->cmos[REG_C] |= C_AF;
		r->alarm_s = next_alarm(r, s);
	}
	r->seen_s = s;
}

/* Drive the line; ask for a call when the next enabled flag will be set. */
static void update(struct vrtc *r)
{
	u8 on = r->cmos[REG_B] & r->cmos[REG_C] & (C_PF | C_AF | C_UF);
	u64 next = ~0ull;
	u32 p = period(r);

	r->cmos[REG_C] = (u8)((r->cmos[REG_C] & ~C_IRQF) | (on ? C_IRQF : 0));
	if (r->line != (on != 0)) {
		r->line = on != 0;
		r->env.irq(r->env.ctx, r->line);
	}
	if (on) /* nothing more happens before register C is read */
		return;
	if ((r->cmos[REG_B] & B_PIE) && p) {
		u64 t = (r->seen_tick / p + 1) * p;

		next = t / TICK_HZ * NS_PER_S + (t % TICK_HZ * NS_PER_S + TICK_HZ - 1) / TICK_HZ;
	}
	if (!(r->cmos[REG_B] & B_SET)) {
		if (r->cmos[REG_B] & B_UIE)
			next = min_u64(next, (r->seen_s + 1) * NS_PER_S);
		if ((r->cmos[REG_B] & B_AIE) && r->alarm_s <= MAX_TIME_S)
			next = min_u64(next, r->alarm_s * NS_PER_S);
	}
	if (next != ~0ull)
		r->env.arm(r->env.ctx, next - r->offset_ns);
}

void vrtc_timer(struct vrtc *r)
{
	sync(r);
	update(r);
}

/* The guest's clock shows second t now. */
static void set_time(struct vrtc *r, u64 t)
{
	u64 now = r->env.now_ns(r->env.ctx);

	t = min_u64(t, MAX_TIME_S);
	r->offset_ns = t * NS_PER_S - now;
	r->seen_s = t;
	r->seen_tick = tick_of(t * NS_PER_S);
	r->alarm_s = next_alarm(r, t);
}

/* ---- registers ------------------------------------------------------------------------- */

static bool is_time(u8 reg)
{
	return reg == REG_CENTURY ||
	       (reg <= REG_YEAR && reg != REG_SEC_ALARM && reg != REG_MIN_ALARM &&
		reg != REG_HOUR_ALARM);
}

static void refresh(struct vrtc *r)
{
	if (!(r->cmos[REG_B] & B_SET))
		time_to_cmos(r, min_u64(guest_ns(r) / NS_PER_S, MAX_TIME_S));
}

static void write_b(struct vrtc *r, u8 v)
{
	u8 old = r->cmos[REG_B];

	refresh(r); /* in the old number format, and frozen when SET begins */
	if (v & B_SET)
		v &= (u8)~B_UIE;
	r->cmos[REG_B] = v;
	if ((old & B_SET) && !(v & B_SET))
		set_time(r, cmos_to_time(r));
	else
		r->alarm_s = next_alarm(r, r->seen_s);
}

static void write_reg(struct vrtc *r, u8 reg, u8 v)
{
	if (reg == REG_C || reg == REG_D)
		return;
	if (reg == REG_A) {
		r->cmos[REG_A] = v & (u8)~A_UIP;
	} else if (reg == REG_B) {
		write_b(r, v);
	} else if (is_time(reg)) {
		refresh(r);
		r->cmos[reg] = v;
		if (!(r->cmos[REG_B] & B_SET))
			set_time(r, cmos_to_time(r));
	} else {
		r->cmos[reg] = v;
		if (reg < REG_A)
			r->alarm_s = next_alarm(r, r->seen_s);
	}
}

static u8 read_reg(struct vrtc *r, u8 reg)
{
	u8 v;

	if (reg == REG_A) {
		bool uip = !(r->cmos[REG_B] & B_SET) &&
			   guest_ns(r) % NS_PER_S >= NS_PER_S - UIP_NS;

		return (u8)(r->cmos[REG_A] | (uip ? A_UIP : 0));
	}
	if (is_time(reg))
		refresh(r);
	v = r->cmos[reg];
	if (reg == REG_C)
		r->cmos[REG_C] = 0;
	return v;
}

void vrtc_io(struct vrtc *r, unsigned off, bool write, u8 *value)
{
	if (!off) { /* the index; bit 7 would gate NMI */
		if (write)
			r->index = *value & 0x7f;
		else
			*value = 0xff;
		return;
	}
	sync(r);
	if (r->index == REG_C)
		update(r); /* so that IRQF is true */
	if (write)
		write_reg(r, r->index, *value);
	else
		*value = read_reg(r, r->index);
	update(r);
}

void vrtc_reset(void *state)
{
	struct vrtc *r = state;

	sync(r);
	r->cmos[REG_B] &= (u8)~(B_PIE | B_AIE | B_UIE);
	r->cmos[REG_C] = 0;
	update(r);
}

static void put16(struct vrtc *r, unsigned reg, u64 v)
{
	r->cmos[reg] = (u8)v;
	r->cmos[reg + 1] = (u8)(v >> 8);
}

void vrtc_init(struct vrtc *r, const struct vrtc_env *env, u64 low_ram, u64 high_ram)
{
	u64 ext_k = low_ram > 1u << 20 ? (low_ram >> 10) - 1024 : 0;
	u64 ext_64k = low_ram > 16u << 20 ? (low_ram - (16u << 20)) >> 16 : 0;

	memset(r, 0, sizeof(*r));
	r->env = *env;
	r->cmos[REG_A] = 0x26;
	r->cmos[REG_B] = B_24H;
	r->cmos[REG_D] = D_VALID;
	r->cmos[0x14] = 0x02; /* equipment: coprocessor, no floppy, no monitor */
	put16(r, 0x15, 640);
	put16(r, 0x17, min_u64(ext_k, 0xffff));
	put16(r, 0x30, min_u64(ext_k, 0xffff));
	put16(r, 0x34, min_u64(ext_64k, 0xffff));
	put16(r, 0x5b, high_ram >> 16);
	r->cmos[0x5d] = (u8)(high_ram >> 32);
	r->seen_s = guest_ns(r) / NS_PER_S;
	r->seen_tick = tick_of(guest_ns(r));
	r->alarm_s = next_alarm(r, r->seen_s);
	time_to_cmos(r, min_u64(r->seen_s, MAX_TIME_S));
}

int vrtc_resume(void *state)
{
	struct vrtc *r = state;

	if (r->index > 0x7f || (r->cmos[REG_A] & A_UIP) || r->cmos[REG_D] != D_VALID ||
	    (r->cmos[REG_C] & 0x0f))
		return -EINVAL;
	r->seen_s = guest_ns(r) / NS_PER_S;
	r->seen_tick = tick_of(guest_ns(r));
	r->alarm_s = next_alarm(r, r->seen_s);
	r->line = false;
	update(r);
	return 0;
}

const struct vmstate_field vrtc_fields[] = {
	VMSTATE(struct vrtc, index, VMS_U8),
	VMSTATE_ARRAY(struct vrtc, cmos, VMS_BYTES),
	VMSTATE(struct vrtc, offset_ns, VMS_U64),
};
const u32 vrtc_nfields = ARRAY_SIZE(vrtc_fields);
