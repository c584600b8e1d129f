/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MC146818 real-time clock, read while no update is in progress.
 */
#include "kernel/core/wallclock.h"

#include "arch/x86/io.h"
#include "kernel/base/bits.h"
#include "kernel/core/log.h"
#include "kernel/core/timer.h"

#define RTC_INDEX 0x70
#define RTC_DATA  0x71
#define RTC_UIP	  BIT(7)
#define RTC_24H	  BIT(1)
#define RTC_BIN	  BIT(2)

struct rtc_time {
	u8 sec, min, hour, day, month, year, century;
};

static u64 boot_wall_ns;

static u8 rtc_read(u8 reg)
{
	io_out8(RTC_INDEX, reg);
	return io_in8(RTC_DATA);
}

u64 wallclock_days(u32 year, u32 month, u32 day)
{
	/* Years counted from March, so that the leap day is the last of its year. */
	u32 y = month <= 2 ? year - 1 : year;
	u32 m = (month + 9) % 12;

	return 365ull * y + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

static void rtc_sample(struct rtc_time *t)
{
	t->sec = rtc_read(0);
	t->min = rtc_read(2);
	t->hour = rtc_read(4);
	t->day = rtc_read(7);
	t->month = rtc_read(8);
	t->year = rtc_read(9);
	t->century = rtc_read(0x32);
}

static u32 decode(u8 v, u8 status_b)
{
	return status_b & RTC_BIN ? v : (u32)(v >> 4) * 10 + (v & 15);
}

/* Two equal samples without an update in between; an update takes 2 ms at most. */
static bool rtc_steady(struct rtc_time *a)
{
	u32 tries = 10000;
	struct rtc_time b;
	bool same;

	do {
		while (tries && (rtc_read(0xa) & RTC_UIP)) {
			tries--;
			delay_us(1);
		}
		rtc_sample(a);
		rtc_sample(&b);
		same = a->sec == b.sec && a->min == b.min && a->hour == b.hour && a->day == b.day;
	} while (!same && --tries);
	return tries;
}

void wallclock_init(void)
{
	u8 sb = rtc_read(0xb);
	u32 hour, year, century;
	struct rtc_time a;
	bool steady = rtc_steady(&a);

	hour = decode(a.hour & 0x7f, sb);
	if (!(sb & RTC_24H))
		hour = hour % 12 + (a.hour & 0x80 ? 12 : 0);
	century = decode(a.century, sb);
	year = decode(a.year, sb) + 100 * (century >= 19 && century <= 21 ? century : 20);
	if (!steady || !a.month || decode(a.month, sb) > 12 || !a.day) {
		log_warn("clock: the RTC gives no time: counting from 2000-01-01");
		boot_wall_ns = wallclock_days(2000, 1, 1) * 86400ull * 1000000000ull;
		return;
	}
	boot_wall_ns = (wallclock_days(year, decode(a.month, sb), decode(a.day, sb)) * 86400ull +
			hour * 3600ull + decode(a.min, sb) * 60ull + decode(a.sec, sb)) *
		       1000000000ull;
	boot_wall_ns -= time_ns();
	log_info("clock: %u-%02u-%02u %02u:%02u:%02u UTC", year, decode(a.month, sb),
		 decode(a.day, sb), hour, decode(a.min, sb), decode(a.sec, sb));
}

u64 wallclock_ns(void)
{
	return boot_wall_ns + time_ns();
}
