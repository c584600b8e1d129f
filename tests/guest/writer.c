/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes pages of its memory that a test knows, by everything that can write: stores of two CPUs,
 * locked and string instructions, a stack, the host's emulation of INS, and the CPU's own update of
 * a page table. Commands come by the console, one a line.
 *
 *   pattern K   write the pages that K chooses, and read all others
 *   sweep       write each page once, in order
 *   check       compare all pages with what was written, say "check ok" or what is wrong
 *   loop N P    on the second CPU write N times a millisecond, P pages round and round, checking,
 *               until a key is pressed
 */
#include "guest/image/lib/boot.h"
#include "guest/image/lib/cpu.h"
#include "guest/image/lib/page.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/serial.h"
#include "guest/image/lib/smp.h"
#include "kernel/base/bits.h"
#include "kernel/base/str.h"

#define BASE  (16ull << 20)
#define PAGES 2048u
#define PORT  0x21 /* mask register of the first PIC: reads back what was written */

static u64 *entry_page; /* the last page but one: a page table */
static u8 expect_byte[PAGES]; /* of offset 0x800, which every kind of write changes */
static u32 walked, round_no;

static volatile u8 *at(u32 page)
{
	return (volatile u8 *)(BASE + page * PAGE_SIZE + 0x800);
}

static u8 port_byte(void)
{
	return (u8)(0x80 | round_no % 64);
}

static void write_page(u32 page, u8 v)
{
	volatile u8 *p = at(page);
	u64 n = 16;

	switch (page % 6) {
	case 0:
		*p = v;
		break;
	case 1:
		__asm__ volatile("lock xchgb %0, %1" : "+q"(v), "+m"(*p));
		break;
	case 2:
		__asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(v) : "memory");
		break;
	case 3:
		__asm__ volatile("xchg %%rsp, %0; push %1; xchg %%rsp, %0"
				 : "+r"((u64){ (u64)p + 8 })
				 : "r"((u64)v)
				 : "memory");
		break;
	case 4:
		__asm__ volatile("movnti %1, %0" : "=m"(*(volatile u32 *)p) : "r"((u32)v));
		break;
	default:
		outb(PORT, v);
		n = 3;
		__asm__ volatile("rep insb" : "+D"(p), "+c"(n) : "d"(PORT) : "memory");
	}
}

/* As in the test. */
static bool chosen(u32 page, u32 k)
{
	return (page * 2654435761u ^ k * 40503u) >> 13 & 1 && (page >> 1) % 3 == k % 3;
}

static u32 pattern_k;

static void half(void *arg)
{
	u32 odd = arg != NULL;

	for (u32 i = odd; i < PAGES - 2; i += 2) {
		if (chosen(i, pattern_k))
			write_page(i, expect_byte[i]);
		else
			(void)*at(i);
	}
}

static void pattern(u32 k)
{
	bool both = boot_cpus() > 1;

	pattern_k = k;
	round_no++;
	for (u32 i = 0; i < PAGES - 2; i++)
		if (chosen(i, k))
			expect_byte[i] = (u8)(k * 7 + i + round_no);
	if (both && !smp_start(1, half, (void *)1))
		serial_printf("CPU 1 did not start\n");
	half(NULL);
	if (!both)
		half((void *)1);
	else if (!smp_wait(1, 20000))
		serial_printf("CPU 1 is not ready\n");
	/* A read through an entry that was not used so far: the CPU writes the entry. */
	(void)*(volatile u8 *)(PAGE_TEST_VA + walked++ % 512 * PAGE_SIZE);
	serial_printf("pattern %u done\n", k);
}

static void sweep(void)
{
	round_no++;
	for (u32 i = 0; i < PAGES - 2; i++) {
		expect_byte[i] = port_byte();
		write_page(i, expect_byte[i]);
		wait_us(50);
	}
	serial_printf("sweep done\n");
}

static void check(void)
{
	for (u32 i = 0; i < PAGES - 2; i++) {
		if (*at(i) == expect_byte[i])
			continue;
		serial_printf("check: page %u holds %#x, not %#x\n", i, *at(i), expect_byte[i]);
		return;
	}
	for (u32 i = 0; i < 512; i++) {
		bool used = entry_page[i] & PTE_A;

		if (used == (i < walked))
			continue;
		serial_printf("check: entry %u is %#lx\n", i, entry_page[i]);
		return;
	}
	serial_printf("check ok\n");
}

static struct {
	u32 rate, pages;
	volatile bool stop;
	u64 writes, bad, ms;
} job;

/*
 * Each page holds the number of the write to it: one that was lost shows in the next round. Nothing
 * here leaves the guest, so that translations stay as they are until the host takes them away.
 */
static void write_on(void *arg)
{
	volatile u64 *word = (volatile u64 *)BASE;
	u64 n = 0, bad = 0, start = rdtsc(), khz = *(u64 *)arg;

	for (u32 i = 0; i < job.pages; i++)
		word[i * 512] = 0;
	while (!job.stop) {
		u64 due = (rdtsc() - start) * job.rate / khz;

		for (u32 i = 0; i < 256 && n < due; i++, n++) {
			volatile u64 *w = &word[n % job.pages * 512];

			bad += *w != (n < job.pages ? 0 : n - job.pages + 1);
			*w = n + 1;
		}
	}
	job.ms = (rdtsc() - start) / khz;
	job.writes = n;
	job.bad = bad;
}

static void loop(u32 rate, u32 pages)
{
	u64 khz = tsc_khz();

	job.rate = rate;
	job.pages = pages < 1 || pages > PAGES - 2 ? PAGES - 2 : pages;
	job.stop = false;
	if (!smp_start(1, write_on, &khz)) {
		serial_printf("CPU 1 did not start\n");
		return;
	}
	serial_printf("loop begins\n");
	while (serial_read() < 0)
		wait_us(1000);
	job.stop = true;
	if (!smp_wait(1, 20000))
		serial_printf("CPU 1 does not end\n");
	serial_printf("loop wrote %lu, %lu bad, %lu ms\n", job.writes, job.bad, job.ms);
}

/* The decimal number at s; *end: behind it and a blank. */
static u32 number(const char *s, const char **end)
{
	u32 v = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (u32)(*s - '0');
	*end = *s ? s + 1 : s;
	return v;
}

static void loop_command(const char *s)
{
	u32 rate = number(s, &s);

	loop(rate, number(s, &s));
}

static void command(const char *line)
{
	if (str_starts(line, "pattern "))
		pattern(number(line + 8, &line));
	else if (str_starts(line, "loop "))
		loop_command(line + 5);
	else if (strcmp(line, "sweep") == 0)
		sweep();
	else if (strcmp(line, "check") == 0)
		check();
}

void guest_main(void)
{
	char line[40];
	size_t n = 0;

	pic_mask(0xffff);
	memset((void *)BASE, 0, PAGES * PAGE_SIZE);
	entry_page = (u64 *)(BASE + (PAGES - 2) * PAGE_SIZE);
	for (u64 i = 0; i < 512; i++)
		entry_page[i] = (BASE + i * PAGE_SIZE) | PTE_P | PTE_W;
	*page_entry(PAGE_TEST_VA, 2) = (u64)entry_page | PTE_P | PTE_W;
	serial_printf("writer ready, %u CPUs\n", boot_cpus());
	for (;;) {
		int c = serial_read();

		if (c < 0) {
			wait_us(100);
		} else if (c != '\r') {
			line[n] = (char)c;
			n += n < sizeof(line) - 1;
		} else {
			line[n] = '\0';
			n = 0;
			command(line);
		}
	}
}
