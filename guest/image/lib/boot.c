/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiboot information, ACPI lookup and page allocation of guest kernels, and their first C
 * function. Multiboot 0.6.96 §3.3; ACPI 6.5 §5.2.
 */
#include "guest/image/lib/boot.h"

#include "guest/image/lib/apic.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/power.h"
#include "guest/image/lib/serial.h"
#include "guest/image/lib/test.h"
#include "guest/image/lib/trap.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/str.h"

#define MB_LOADED  0x2badb002u
#define MB_MEM	   0x01u
#define MB_CMDLINE 0x04u
#define MB_MODS	   0x08u
#define MB_MMAP	   0x40u

u32 boot_magic, boot_info_addr; /* set by start.S */

extern u8 image_end[];

static u32 cpus;
static u32 apic_ids[MAX_CPUS];
static u64 next_page;

static u32 info32(u32 off)
{
	return get_le32((const void *)(u64)(boot_info_addr + off));
}

static bool info_has(u32 flag)
{
	return boot_magic == MB_LOADED && (info32(0) & flag);
}

const char *boot_cmdline(void)
{
	return info_has(MB_CMDLINE) ? (const char *)(u64)info32(16) : "";
}

u64 boot_option(const char *name, u64 otherwise)
{
	size_t n = strlen(name);

	for (const char *s = boot_cmdline(); *s; s++) {
		char word[32];
		u64 v;
		size_t i;

		if ((s != boot_cmdline() && s[-1] != ' ') || strncmp(s, name, n) || s[n] != '=')
			continue;
		s += n + 1;
		for (i = 0; i < sizeof(word) - 1 && s[i] && s[i] != ' '; i++)
			word[i] = s[i];
		word[i] = 0;
		if (!str_to_size(word, &v))
			return v;
	}
	return otherwise;
}

const u8 *boot_module(u32 i, u32 *len, const char **string)
{
	const u8 *e = (const u8 *)(u64)(info_has(MB_MODS) ? info32(24) + 16 * i : 0);

	if (!e || i >= info32(20))
		return NULL;
	*len = get_le32(e + 4) - get_le32(e);
	*string = (const char *)(u64)get_le32(e + 8);
	return (const u8 *)(u64)get_le32(e);
}

/* Call fn for each range of RAM until it returns true. */
static bool each_ram(bool (*fn)(u64 base, u64 len, u64 *arg), u64 *arg)
{
	u32 at = info_has(MB_MMAP) ? info32(48) : 0, end = at + (at ? info32(44) : 0);

	while (at < end) {
		const u8 *e = (const u8 *)(u64)at;

		if (get_le32(e + 20) == 1 && fn(get_le64(e + 4), get_le64(e + 12), arg))
			return true;
		at += get_le32(e) + 4;
	}
	return false;
}

static bool find_low(u64 base, u64 len, u64 *arg)
{
	if (base > 0x100000 || base + len <= 0x100000)
		return false;
	*arg = base + len;
	return true;
}

static bool find_high(u64 base, u64 len, u64 *arg)
{
	if (base + len > SIZE_4G && base + len > *arg)
		*arg = base + len;
	return false;
}

static bool holds(u64 base, u64 len, u64 *arg)
{
	return range_within(arg[0], arg[1], base, len);
}

u64 boot_memory_end(void)
{
	u64 end = 0;

	if (!each_ram(find_low, &end))
		end = info_has(MB_MEM) ? 0x100000 + (u64)info32(8) * 1024 : 0x800000;
	return end;
}

u64 boot_high_end(void)
{
	u64 end = 0;

	each_ram(find_high, &end);
	return end;
}

bool boot_ram(u64 base, u64 len)
{
	u64 arg[2] = { base, len };

	return each_ram(holds, arg);
}

static const u8 *find_rsdp(void)
{
	u64 ebda = (u64)*(volatile u16 *)0x40eul << 4;

	for (u64 a = ebda ? ebda : 0xe0000; a < 0x100000; a += 16)
		if (memcmp((const void *)a, "RSD PTR ", 8) == 0)
			return (const u8 *)a;
	return NULL;
}

const u8 *boot_acpi(const char *sig)
{
	const u8 *rsdp = find_rsdp(), *sdt;
	bool xsdt = rsdp && rsdp[15] >= 2;
	u32 width = xsdt ? 8 : 4;

	if (!rsdp)
		return NULL;
	sdt = (const u8 *)(xsdt ? get_le64(rsdp + 24) : get_le32(rsdp + 16));
	for (u32 at = 36; at + width <= get_le32(sdt + 4); at += width) {
		const u8 *t = (const u8 *)(xsdt ? get_le64(sdt + at) : get_le32(sdt + at));

		if (memcmp(t, sig, 4) == 0)
			return t;
	}
	return NULL;
}

static void find_cpus(void)
{
	const u8 *madt = boot_acpi("APIC");
	u32 self = apic_id();

	cpus = 1;
	apic_ids[0] = self;
	if (!madt)
		return;
	for (u32 at = 44; at + 2 <= get_le32(madt + 4) && madt[at + 1]; at += madt[at + 1]) {
		const u8 *e = madt + at;
		u32 id;

		if (e[0] == 0 && (e[4] & 1))
			id = e[3];
		else if (e[0] == 9 && (e[8] & 1))
			id = get_le32(e + 4);
		else
			continue;
		if (id != self && cpus < MAX_CPUS)
			apic_ids[cpus++] = id;
	}
}

u32 boot_cpus(void)
{
	return cpus;
}

u32 boot_apic_id(u32 i)
{
	return apic_ids[i];
}

enum platform boot_platform(void)
{
	struct cpuid r = cpuid(0x40000000, 0);

	if (!(cpuid(1, 0).ecx >> 31))
		return PLATFORM_METAL;
	if (r.ebx == 0x54474354) /* TCGTCGTCGTCG */
		return PLATFORM_TCG;
	return r.ebx == 0x4b4d564b ? PLATFORM_GODWIT : PLATFORM_METAL;
}

bool boot_lax_cpu(void)
{
	return boot_platform() == PLATFORM_TCG || boot_option("lax", 0);
}

/* Behind the image and behind every module. */
static void pages_init(void)
{
	u64 end = (u64)image_end;
	u32 n = info_has(MB_MODS) ? info32(20) : 0;

	for (u32 i = 0; i < n; i++)
		end = max_u64(end, get_le32((const void *)(u64)(info32(24) + 16 * i + 4)));
	next_page = align_up(max_u64(end, 0x400000), PAGE_SIZE);
}

void *page_alloc(u32 n)
{
	u64 p = next_page;

	next_page += n * PAGE_SIZE;
	if (next_page > boot_memory_end() - 0x100000) {
		serial_printf("FAIL page_alloc: out of memory\n");
		power_off(1);
	}
	return memset((void *)p, 0, n * PAGE_SIZE);
}

__attribute__((weak)) void guest_main(void)
{
	test_run_all();
}

void boot_main(void);
void boot_main(void)
{
	serial_init();
	trap_init_cpu(0);
	pages_init();
	pic_init(0x20);
	apic_init_cpu();
	find_cpus();
	serial_printf("guest kernel: %u cpu, memory to %#lx\n", cpus, boot_memory_end());
	guest_main();
	test_finish();
}
