/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RDMSR and WRMSR: registers a kernel lives by keep what is written and refuse what a CPU
 * refuses; every number in the architectural ranges gives a value or #GP and nothing worse.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/test.h"

#define NON_CANONICAL 0x0000800000000000ull

/* Write v, read it back, restore. */
static void keeps(u32 msr, u64 v)
{
	u64 old = rdmsr(msr);

	CHECK_TRAP(TRAP_NONE, wrmsr(msr, v));
	CHECK_EQ(rdmsr(msr), v);
	wrmsr(msr, old);
	CHECK_EQ(rdmsr(msr), old);
}

TEST(syscall_registers)
{
	keeps(MSR_STAR, 0x0023001000000000);
	keeps(MSR_LSTAR, 0xffff800012345678);
	keeps(0xc0000083, 0xffffffff81000000); /* CSTAR */
	keeps(MSR_SFMASK, 0x47700);
	keeps(0x174, 0x10);
	keeps(0x175, 0xffffc90000001000);
	keeps(0x176, 0xffffffff82000000);
}

TEST(segment_bases)
{
	keeps(MSR_FS_BASE, 0x00007fff12345678);
	keeps(MSR_GS_BASE, 0xffff888012345678);
	keeps(MSR_KERNEL_GS, 0xffff888000000000);
}

TEST(swapgs_exchanges)
{
	wrmsr(MSR_GS_BASE, 0x1111);
	wrmsr(MSR_KERNEL_GS, 0x2222);
	__asm__ volatile("swapgs");
	CHECK_EQ(rdmsr(MSR_GS_BASE), 0x2222);
	CHECK_EQ(rdmsr(MSR_KERNEL_GS), 0x1111);
	wrmsr(MSR_GS_BASE, 0);
	wrmsr(MSR_KERNEL_GS, 0);
}

TEST(non_canonical_refused)
{
	static const u32 msr[] = { MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS, MSR_LSTAR, 0xc0000083,
				   0x175, 0x176 };

	SKIP_IF(boot_lax_cpu(), "TCG takes them");
	for (u32 i = 0; i < ARRAY_SIZE(msr); i++) {
		u64 old = rdmsr(msr[i]);

		/* An AMD CPU takes any SYSENTER address and drops or keeps the excess. */
		if (cpu_is_amd() && msr[i] < 0x200)
			continue;
		CHECK_TRAP(VEC_GP, wrmsr(msr[i], NON_CANONICAL));
		CHECK_EQ(rdmsr(msr[i]), old);
	}
}

TEST(pat)
{
	keeps(MSR_PAT, 0x0007010600070106);
	SKIP_IF(boot_platform() == PLATFORM_TCG, "TCG takes any type");
	CHECK_TRAP(VEC_GP, wrmsr(MSR_PAT, 0x0007010600070102)); /* 2 is reserved */
	CHECK_TRAP(VEC_GP, wrmsr(MSR_PAT, 0x0807010600070106));
}

TEST(efer)
{
	u64 v = rdmsr(MSR_EFER);

	CHECK_EQ(v & 0x500, 0x500); /* LME, LMA */
	wrmsr(MSR_EFER, v | 1);
	CHECK_EQ(rdmsr(MSR_EFER), v | 1);
	wrmsr(MSR_EFER, v & ~0x801ull);
	CHECK_EQ(rdmsr(MSR_EFER), v & ~0x801ull);
	wrmsr(MSR_EFER, v);
	SKIP_IF(boot_platform() == PLATFORM_TCG, "TCG ignores illegal bits");
	CHECK_TRAP(VEC_GP, wrmsr(MSR_EFER, v & ~0x100ull)); /* LME while paging */
	CHECK_TRAP(VEC_GP, wrmsr(MSR_EFER, v | 1ull << 12)); /* SVME is not offered */
	CHECK_TRAP(VEC_GP, wrmsr(MSR_EFER, v | 1ull << 63));
	CHECK_TRAP(VEC_GP, wrmsr(MSR_EFER, v | 2));
	CHECK_EQ(rdmsr(MSR_EFER), v);
}

TEST(tsc_aux_and_rdtscp)
{
	u32 aux, lo, hi;

	SKIP_IF(!(cpuid(0x80000001, 0).edx >> 27 & 1), "no RDTSCP");
	wrmsr(MSR_TSC_AUX, 0x1234);
	__asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
	CHECK_EQ(aux, 0x1234);
	CHECK_EQ(rdmsr(MSR_TSC_AUX), 0x1234);
	wrmsr(MSR_TSC_AUX, 0);
}

TEST(tsc_reads_and_jumps)
{
	u64 t;

	SKIP_IF(boot_platform() == PLATFORM_TCG, "MSR 10h reads 0 under TCG");
	t = rdtsc();
	CHECK(rdmsr(MSR_TSC) >= t);
	CHECK(rdmsr(MSR_TSC) - t < tsc_khz() * 1000);
	wrmsr(MSR_TSC, t + (1ull << 40));
	CHECK(rdtsc() - t >= 1ull << 40);
	CHECK(rdtsc() - t < (1ull << 40) + tsc_khz() * 1000);
	wrmsr(MSR_TSC, rdtsc() - (1ull << 40));
	CHECK(rdtsc() - t < tsc_khz() * 2000);
}

TEST(apic_base)
{
	u64 v = rdmsr(MSR_APIC_BASE);

	CHECK_EQ(v & ~0xfffull, APIC_BASE);
	CHECK_EQ(v & 0xd00, 0x900); /* enabled, boot processor, xAPIC */
	SKIP_IF(boot_platform() == PLATFORM_TCG, "TCG takes reserved bits");
	CHECK_TRAP(VEC_GP, wrmsr(MSR_APIC_BASE, v | 1ull << 63));
	CHECK_TRAP(VEC_GP, wrmsr(MSR_APIC_BASE, (v & ~0x800ull) | 0x400)); /* x2APIC disabled */
	CHECK_EQ(rdmsr(MSR_APIC_BASE), v);
}

TEST(mtrr)
{
	u64 cap;

	SKIP_IF(!(cpuid(1, 0).edx >> 12 & 1), "no MTRRs");
	cap = rdmsr(0xfe);
	CHECK((cap & 0xff) >= 1);
	keeps(0x2ff, 0xc06);
	keeps(0x200, 0x80000000);
	keeps(0x201, 0x0000000fc0000800);
	if (cap >> 8 & 1)
		keeps(0x250, 0x0606060606060606);
	SKIP_IF(boot_platform() == PLATFORM_TCG, "TCG takes any value");
	CHECK_TRAP(VEC_GP, wrmsr(0x2ff, 0x2)); /* reserved type */
	CHECK_TRAP(VEC_GP, wrmsr(0x200, 0x2));
	CHECK_TRAP(VEC_GP, wrmsr(0x250, 0x0202020202020202));
	CHECK_TRAP(VEC_GP, wrmsr(0xfe, cap)); /* read-only */
}

TEST(x2apic_registers_off)
{
	for (u32 i = 0; i < 0x100; i++) {
		CHECK_TRAP(VEC_GP, rdmsr(MSR_X2APIC + i));
		CHECK_TRAP(VEC_GP, wrmsr(MSR_X2APIC + i, 0));
	}
}

TEST(unknown_is_gp)
{
	static const u32 msr[] = { 0x1fff, 0xc0001fff, 0xc0011fff, 0x40000000, 0x40000073,
				   0x4b564dff, 0x2000, 0xffffffff, 0xc0010114, 0xc0010117, 0x480 };

	SKIP_IF(boot_platform() == PLATFORM_TCG, "TCG reads 0");
	for (u32 i = 0; i < ARRAY_SIZE(msr); i++) {
		CHECK_TRAP(VEC_GP, rdmsr(msr[i]));
		CHECK_TRAP(VEC_GP, wrmsr(msr[i], 0));
		CHECK_TRAP(VEC_GP, wrmsr(msr[i], ~0ull));
	}
}

TEST(upper_halves_of_registers)
{
	u64 a = ~0ull, d = ~0ull, c = 0xdeadbeef00000000 | MSR_EFER;

	__asm__ volatile("rdmsr" : "+a"(a), "+d"(d), "+c"(c));
	CHECK_EQ(a, rdmsr(MSR_EFER) & 0xffffffff);
	CHECK_EQ(d, 0);
	CHECK_EQ(c, 0xdeadbeef00000000 | MSR_EFER);
}

/* What must not be disturbed while every number is written: the ground this test stands on. */
static bool vital(u32 msr)
{
	return msr == MSR_APIC_BASE || msr == MSR_EFER || msr == 0x40000000;
}

static u32 reads, read_faults, write_faults;

static void sweep_one(u32 msr)
{
	volatile u64 old = 0;
	int v = TRAP_OF(old = rdmsr(msr));

	if (v == TRAP_NONE)
		reads++;
	else
		read_faults++;
	CHECK(v == TRAP_NONE || v == VEC_GP);
	if (v != TRAP_NONE || vital(msr))
		return;
	v = TRAP_OF(wrmsr(msr, old));
	write_faults += v != TRAP_NONE;
	CHECK(v == TRAP_NONE || v == VEC_GP);
}

TEST(every_msr)
{
	static const u32 range[][2] = { { 0, 0x1fff }, { 0x40000000, 0x400000ff },
					{ 0x4b564d00, 0x4b564dff }, { 0xc0000000, 0xc0001fff },
					{ 0xc0010000, 0xc0011fff } };

	for (u32 r = 0; r < ARRAY_SIZE(range); r++)
		for (u32 msr = range[r][0]; msr <= range[r][1]; msr++)
			sweep_one(msr);
	serial_printf("msr: %u read, %u refused reading, %u refused their own value\n", reads,
		      read_faults, write_faults);
	CHECK(rdtsc() != 0);
}
