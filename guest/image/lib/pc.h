/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The old PC devices a guest kernel drives: 8259 pair, 8254, RTC, ACPI timer; and the time.
 */
#ifndef GUEST_IMAGE_LIB_PC_H
#define GUEST_IMAGE_LIB_PC_H

#include "guest/image/lib/cpu.h"

#define PIC1	  0x20
#define PIC2	  0xa0
#define PIT_HZ	  1193182u
#define PM_TMR_HZ 3579545u

/** pic_init() - vectors base..base+15, every line masked. base: multiple of 8. */
void pic_init(u8 base);

/** pic_mask() - bit n = 1 masks line n. */
void pic_mask(u16 mask);

/** pic_eoi() - for the line that has this vector. */
void pic_eoi(u8 vector);

/** pic_irr(), pic_isr() - request and service registers of both. */
u16 pic_irr(void);
u16 pic_isr(void);

/** pit_set() - program a channel: mode 0-5, binary, count (0: 65536). */
void pit_set(u32 channel, u32 mode, u16 count);

/** pit_read() - latched count. */
u16 pit_read(u32 channel);

u8 rtc_read(u8 reg);
void rtc_write(u8 reg, u8 v);

/** pm_timer() - 24 or 32 bits wide. */
u32 pm_timer(void);

/** tsc_khz() - TSC rate, measured once against the ACPI timer. */
u64 tsc_khz(void);

/** wait_us() - spin. */
void wait_us(u32 us);

/** stat_of() - smallest and median of n samples, sorted in place. */
struct stat2 {
	u64 min, median;
};
struct stat2 stat_of(u64 *sample, u32 n);

#endif
