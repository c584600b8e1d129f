/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of each vCPU stay its own while more vCPUs than host CPUs take turns: FPU, SSE and AVX,
 * debug registers, segment bases, system-call and other MSRs, XCR0; with exits, halts and
 * interrupts in between.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/smp.h"
#include "guest/image/lib/test.h"
#include "kernel/base/atomic.h"
#include "kernel/base/str.h"

#define RUN_MS	    2500
#define V_TMR	    0x70
#define CR4_OSXSAVE (1ull << 18)

struct ALIGNED(64) area {
	u8 byte[4096];
};

static struct area want[MAX_CPUS], got[MAX_CPUS];
static u32 bad_fpu[MAX_CPUS], bad_dr[MAX_CPUS], bad_msr[MAX_CPUS], bad_gpr[MAX_CPUS];
static u32 turns[MAX_CPUS];
static bool xsave, avx;

static const u32 msrs[] = { MSR_STAR, MSR_LSTAR, 0xc0000083, MSR_SFMASK, MSR_FS_BASE, MSR_GS_BASE,
			    MSR_KERNEL_GS, 0x174, 0x175, 0x176 };

static u64 pattern(u32 cpu, u32 i)
{
	return (u64)(cpu + 1) * 0x0000010101010100 + i * 0x1000;
}

/* Two of them are not 64 bits wide. */
static u64 msr_pattern(u32 cpu, u32 i)
{
	bool narrow = msrs[i] == MSR_SFMASK || msrs[i] == 0x174;

	return pattern(cpu, i) & (narrow ? 0xffff : ~0ull);
}

/* x87, XMM and YMM in the format of FXSAVE, YMM's upper halves where XSAVE has them. */
static void fpu_store(struct area *a)
{
	if (xsave)
		__asm__ volatile("xsave64 %0" : "+m"(*a) : "a"(avx ? 7 : 3), "d"(0) : "memory");
	else
		__asm__ volatile("fxsave64 %0" : "=m"(*a) : : "memory");
}

static void fpu_load(const struct area *a)
{
	if (xsave)
		__asm__ volatile("xrstor64 %0" : : "m"(*a), "a"(avx ? 7 : 3), "d"(0) : "memory");
	else
		__asm__ volatile("fxrstor64 %0" : : "m"(*a) : "memory");
}

static void fpu_fill(u32 cpu)
{
	struct area *a = &want[cpu];

	__asm__ volatile("fninit");
	fpu_store(a);
	for (u32 i = 0; i < 8; i++) /* mantissas of ST0..ST7 */
		memset(a->byte + 32 + 16 * i, (int)(0x10 * cpu + i + 1), 8);
	a->byte[4] = 0xff; /* all tags in use */
	for (u32 i = 0; i < 16; i++)
		memset(a->byte + 160 + 16 * i, (int)(0x11 * (cpu + 1) + i), 16);
	if (avx)
		for (u32 i = 0; i < 16; i++)
			memset(a->byte + 576 + 16 * i, (int)(0x55 ^ (0x11 * (cpu + 1) + i)), 16);
	*(u32 *)(a->byte + 24) = 0x1f80 | (cpu & 3) << 13; /* MXCSR: rounding */
	if (xsave)
		a->byte[512] = avx ? 7 : 3;
	fpu_load(a);
	fpu_store(a); /* as the CPU writes it */
}

static bool fpu_same(u32 cpu)
{
	memset(&got[cpu], 0, 1024);
	fpu_store(&got[cpu]);
	return memcmp(want[cpu].byte + 24, got[cpu].byte + 24, 4) == 0 &&
	       memcmp(want[cpu].byte + 32, got[cpu].byte + 32, 128 + 256) == 0 &&
	       (!avx || memcmp(want[cpu].byte + 576, got[cpu].byte + 576, 256) == 0);
}

static void set_all(u32 cpu)
{
	u64 cr4 = read_cr4();

	if (xsave) {
		write_cr4(cr4 | CR4_OSXSAVE);
		xsetbv(0, avx && cpu % 2 == 0 ? 7 : 3); /* XCR0 differs: loaded per vCPU */
		if (avx)
			xsetbv(0, 7);
	}
	fpu_fill(cpu);
	write_dr0(pattern(cpu, 1));
	write_dr1(pattern(cpu, 2));
	write_dr2(pattern(cpu, 3));
	write_dr3(pattern(cpu, 4));
	for (u32 i = 0; i < ARRAY_SIZE(msrs); i++)
		wrmsr(msrs[i], msr_pattern(cpu, i));
	if (cpuid(0x80000001, 0).edx >> 27 & 1)
		wrmsr(MSR_TSC_AUX, cpu + 0x100);
	write_cr2(pattern(cpu, 9));
}

static void check_all(u32 cpu)
{
	bad_fpu[cpu] += !fpu_same(cpu);
	bad_dr[cpu] += read_dr0() != pattern(cpu, 1) || read_dr1() != pattern(cpu, 2) ||
		       read_dr2() != pattern(cpu, 3) || read_dr3() != pattern(cpu, 4) ||
		       read_cr2() != pattern(cpu, 9);
	for (u32 i = 0; i < ARRAY_SIZE(msrs); i++)
		bad_msr[cpu] += rdmsr(msrs[i]) != msr_pattern(cpu, i);
	if (cpuid(0x80000001, 0).edx >> 27 & 1) {
		u32 aux;

		__asm__ volatile("rdtscp" : "=c"(aux) : : "rax", "rdx");
		bad_msr[cpu] += aux != cpu + 0x100;
	}
}

/* All general registers over one exit. */
static void check_gpr(u32 cpu)
{
	u64 v = pattern(cpu, 5), ok;

	__asm__ volatile("push %%rbp; mov %1, %%rbx; mov %%rbx, %%rcx; mov %%rbx, %%rsi;"
			 "mov %%rbx, %%rdi;"
			 "mov %%rbx, %%rbp; mov %%rbx, %%r8; mov %%rbx, %%r9; mov %%rbx, %%r10;"
			 "mov %%rbx, %%r11; mov %%rbx, %%r12; mov %%rbx, %%r13; mov %%rbx, %%r14;"
			 "mov %%rbx, %%r15; mov %%rbx, %%rdx; inb $0x21, %%al;"
			 "xor %%rbx, %%rcx; mov %%rcx, %%rax; xor %%rbx, %%rsi; or %%rsi, %%rax;"
			 "xor %%rbx, %%rdi; or %%rdi, %%rax; xor %%rbx, %%rbp; or %%rbp, %%rax;"
			 "xor %%rbx, %%r8; or %%r8, %%rax; xor %%rbx, %%r9; or %%r9, %%rax;"
			 "xor %%rbx, %%r10; or %%r10, %%rax; xor %%rbx, %%r11; or %%r11, %%rax;"
			 "xor %%rbx, %%r12; or %%r12, %%rax; xor %%rbx, %%r13; or %%r13, %%rax;"
			 "xor %%rbx, %%r14; or %%r14, %%rax; xor %%rbx, %%r15; or %%r15, %%rax;"
			 "xor %%rbx, %%rdx; or %%rdx, %%rax; pop %%rbp"
			 : "=&a"(ok) : "r"(v)
			 : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
			   "r13", "r14", "r15", "memory");
	bad_gpr[cpu] += ok != 0;
}

static void worker(void *arg)
{
	u32 cpu = (u32)(u64)arg;
	u64 end;

	set_all(cpu);
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVT_TMR, V_TMR);
	end = rdtsc() + tsc_khz() * RUN_MS;
	while ((s64)(rdtsc() - end) < 0) {
		turns[cpu]++;
		for (u32 i = 0; i < 20; i++)
			check_gpr(cpu);
		check_all(cpu);
		for (volatile u32 i = 0; i < 20000; i++) /* long enough to be preempted at times */
			;
		check_all(cpu);
		apic_write(APIC_TMICT, 300000);
		sti_hlt_cli();
		check_all(cpu);
	}
	write_dr7(0x400);
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, 0);
}

TEST(each_keeps_its_own)
{
	xsave = cpuid(1, 0).ecx >> 26 & 1;
	avx = xsave && cpuid(1, 0).ecx >> 28 & 1;
	trap_set(V_TMR, trap_count_apic);
	for (u32 i = 1; i < boot_cpus(); i++)
		CHECK(smp_start(i, worker, (void *)(u64)i));
	worker((void *)0);
	for (u32 i = 1; i < boot_cpus(); i++)
		CHECK(smp_wait(i, 5000));
	for (u32 i = 0; i < boot_cpus(); i++) {
		CHECK_EQ(bad_fpu[i], 0);
		CHECK_EQ(bad_dr[i], 0);
		CHECK_EQ(bad_msr[i], 0);
		CHECK_EQ(bad_gpr[i], 0);
		CHECK(turns[i] > 3);
		serial_printf("cpu %u: %u turns\n", i, turns[i]);
	}
}

TEST(init_clears)
{
	SKIP_IF(boot_cpus() < 2, "one processor");
	CHECK_EQ(read_dr0(), pattern(0, 1)); /* another CPU's INIT is not ours */
}
