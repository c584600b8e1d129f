/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The courier: carries byte streams between the hypervisor's ports and the network, so that the
 * hypervisor needs neither TCP/IP nor TLS. docs/courier.md is its manual.
 */
#include "guest/image/courier/courier.h"
#include "guest/image/courier/virtio.h"
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/power.h"
#include "guest/image/lib/serial.h"
#include "guest/image/lib/trap.h"
#include "guest/vm/machine.h"
#include "kernel/base/bits.h"
#include "kernel/base/str.h"
#include "lwip/sys.h"
#include "lwip/timeouts.h"
#include "mbedtls/entropy_poll.h"

#define TIMER_VECTOR 0x41
#define TICK_MS 125u /* half of what TCP counts time in */
#define KEY_MIN 16u
#define KEY_MAX 64u

/* The hypervisor starts it again. */
void courier_die(const char *why)
{
	serial_printf("courier: %s\n", why);
	power_off(1);
}

/* ---- time and chance ------------------------------------------------------------------------ */

u32 sys_now(void)
{
	return (u32)(rdtsc() / tsc_khz());
}

static bool rdrand(u64 *v)
{
	bool good = false;

	for (u32 i = 0; i < 10 && !good && (cpuid(1, 0).ecx >> 30 & 1); i++)
		__asm__ volatile("rdrand %0; setc %1" : "=r"(*v), "=qm"(good) : : "cc");
	return good;
}

/* Without the instruction: when the ACPI timer turns, in ticks of the TSC; a bit or so each. */
static u64 jitter(void)
{
	u64 v = 0;

	for (u32 i = 0; i < 64; i++) {
		u32 t = pm_timer();

		while (pm_timer() == t)
			;
		v = (v << 1 | v >> 63) ^ rdtsc();
	}
	return v;
}

int mbedtls_hardware_poll(void *data, unsigned char *out, size_t n, size_t *done)
{
	(void)data;
	for (*done = 0; *done < n;) {
		u64 v = 0;
		size_t part = min_u64(sizeof(v), n - *done);

		if (!rdrand(&v))
			v = jitter();
		memcpy(out + *done, &v, part);
		*done += part;
	}
	return 0;
}

/* For numbers that need not be secret. */
u32 courier_random(void)
{
	u64 v = rdtsc();

	(void)rdrand(&v);
	return (u32)(v ^ v >> 32);
}

/* ---- what the hypervisor passed on ---------------------------------------------------------- */

static int digit(u8 c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	       c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	       c >= 'A' && c <= 'F' ? c - 'A' + 10 :
				      -1;
}

/* Hexadecimal digits, blanks between and behind them. */
static u32 read_key(const u8 *p, u32 len, u8 *key)
{
	u32 n = 0;

	for (u32 i = 0; i < len; i++) {
		if (p[i] <= ' ')
			continue;
		if (digit(p[i]) < 0 || n == KEY_MAX * 2)
			return 0;
		key[n / 2] = (u8)(key[n / 2] << 4 | digit(p[i]));
		n++;
	}
	return n % 2 || n / 2 < KEY_MIN ? 0 : n / 2;
}

/* Option compress= of the command line. */
static bool compressed(void)
{
	const char *word = boot_cmdline();

	while (*word && strncmp(word, "compress=", 9))
		word++;
	if (!*word || !strncmp(word, "compress=lz4", 12))
		return true;
	if (strncmp(word, "compress=no", 11))
		courier_die("compress= is lz4 or no");
	return false;
}

static void set_up(void)
{
	static u8 key[KEY_MAX];
	const char *string = NULL;
	const u8 *p = NULL;
	u32 len, n;

	for (u32 i = 0; (p = boot_module(i, &len, &string)); i++)
		if (!strncmp(string, "psk ip=", 7))
			break;
	if (!p)
		courier_die("no key: this VM is not the courier");
	n = read_key(p, len, key);
	if (!n)
		courier_die("psk: the key must be 16 to 64 bytes in hexadecimal");
	port_init();
	net_init(string + 7);
	tls_init(key, n, compressed());
	ctl_init();
	mig_init();
}

static bool x2apic;

/* Interrupts only end the halt; each register access less is an exit less. */
static void woken(struct trap_frame *f)
{
	(void)f;
	if (x2apic)
		wrmsr(MSR_X2APIC + APIC_EOI / 16, 0);
	else
		mmio_write(APIC_BASE + APIC_EOI, 0);
}

void guest_main(void)
{
	trap_set(VIRTIO_VECTOR, woken);
	trap_set(TIMER_VECTOR, woken);
	x2apic = cpuid(1, 0).ecx >> 21 & 1;
	if (x2apic)
		apic_x2_enable();
	apic_write(APIC_TDCR, 0xb); /* as fast as it counts */
	apic_write(APIC_LVT_TMR, TIMER_VECTOR | APIC_LVT_PERIODIC);
	apic_write(APIC_TMICT, TICK_MS * MACHINE_APIC_KHZ);
	set_up();
	for (;;) {
		bool some;

		sys_check_timeouts();
		some = net_poll();
		some |= port_poll();
		some |= tls_poll();
		some |= ctl_poll();
		some |= mig_poll();
		port_flush();
		net_flush();
		if (!some)
			sti_hlt_cli();
	}
}
