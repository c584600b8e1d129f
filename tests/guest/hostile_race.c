/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two CPUs against the hypervisor: one changes instructions, page tables and descriptors while
 * exits of the other are being served; string instructions without end over devices.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/page.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/smp.h"
#include "guest/image/lib/test.h"
#include "kernel/base/atomic.h"
#include "kernel/base/str.h"

#define ROUNDS 3000

static u8 *code;
static u32 stop, writes;
static u64 seed = 88172645463325252;

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/*
 * First bytes; the second is always 07h, (%rdi) as an operand, so that a half-seen change is one of
 * them as well. RETs follow, also where an immediate would be.
 */
static const u8 insns[] = {
	0x89, 0x8b, 0x01, 0x03, 0x29, 0x87, 0x88, 0x8a, 0x30, /* MOV, ADD, SUB, XCHG, XOR */
	0xf6, 0xf7, 0xc6, 0xc7, 0x80, 0x83,		      /* with immediates */
	0x06, 0x90, 0xab, 0xa5, 0x6c,	/* no instruction; NOP, STOS, MOVS, INS and then none */
	0xe4, 0xe5, 0xcc,		/* IN, INT3 */
};

static void writer(void *arg)
{
	u64 x = 123456789;

	(void)arg;
	while (!atomic_load_acquire(&stop)) {
		x = x * 6364136223846793005 + 1442695040888963407;
		atomic_store_release(code, insns[(x >> 33) % ARRAY_SIZE(insns)]);
		writes++;
		/* the other CPU must get to its code in between */
		for (u32 n = (u32)(x >> 54); n; n--)
			__asm__ volatile("");
	}
}

TEST(self_modified_code_under_mmio)
{
	volatile u32 ends[32] = { 0 };

	SKIP_IF(boot_cpus() < 2, "one processor");
	code = page_alloc(1);
	memset(code, 0xc3, 64);
	code[0] = 0x89;
	code[1] = 0x07;
	CHECK(smp_start(1, writer, NULL));
	for (u32 i = 0; i < ROUNDS; i++) {
		u64 di = APIC_BASE + APIC_TMICT, si = (u64)code + 2;
		int v = TRAP_OF(__asm__ volatile("call *%2" : "+D"(di), "+S"(si)
						 : "r"(code), "a"(0) : "memory"));

		ends[v & 31]++;
	}
	atomic_store_release(&stop, 1);
	CHECK(smp_wait(1, 2000));
	CHECK_EQ(ends[VEC_UD] + ends[VEC_BP] + ends[31], ROUNDS);
	serial_printf("%u writes; %u calls came back, %u #UD\n", writes, ends[31], ends[VEC_UD]);
	apic_write(APIC_TMICT, 0);
}

/* The page under the operand of an emulated instruction comes, goes and changes its rights. */
static void remapper(void *arg)
{
	u64 *e = arg, x = 99;

	while (!atomic_load_acquire(&stop)) {
		x = x * 6364136223846793005 + 1442695040888963407;
		switch (x >> 62) {
		case 0:
			atomic_store_release(e, 0);
			break;
		case 1:
			atomic_store_release(e, APIC_BASE | PTE_P);
			break;
		case 2:
			atomic_store_release(e, APIC_BASE | PTE_P | PTE_W);
			break;
		default:
			atomic_store_release(e, (u64)code | PTE_P | PTE_W);
			break;
		}
	}
}

TEST(page_tables_change)
{
	u64 *e = page_entry(PAGE_TEST_VA, 1);
	volatile u32 faults = 0;

	SKIP_IF(boot_cpus() < 2, "one processor");
	stop = 0;
	*e = APIC_BASE | PTE_P | PTE_W;
	CHECK(smp_start(1, remapper, e));
	/* A busy machine may run the two by turns for a while: then nothing races yet. */
	for (u32 i = 0; i < ROUNDS || (!faults && i < 100 * ROUNDS); i++) {
		u64 at = PAGE_TEST_VA + APIC_TMICT;
		int v;

		invlpg(PAGE_TEST_VA);
		v = TRAP_OF(__asm__ volatile("addl $1, (%0); movl (%0), %%eax; movsl"
					     : : "r"(at), "S"(at), "D"(code + 64)
					     : "rax", "memory"));
		CHECK(v == TRAP_NONE || v == VEC_PF);
		faults += v == VEC_PF;
	}
	atomic_store_release(&stop, 1);
	CHECK(smp_wait(1, 2000));
	page_unmap(PAGE_TEST_VA, 1);
	apic_write(APIC_TMICT, 0);
	CHECK(faults > 0);
}

/* ---- string instructions -------------------------------------------------------------------- */

static u64 left;

static void cut(struct trap_frame *f)
{
	left = f->rcx;
	f->rcx = 0;
	apic_eoi();
}

/* A timer interrupt ends what would take hours; RCX shows how far it came. */
static void rep_until_interrupted(u64 count)
{
	u64 c = count, d = 0xd0000000, start = rdtsc();

	trap_set(0x70, cut);
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVT_TMR, 0x70);
	left = 0;
	apic_write(APIC_TMICT, 20000000); /* 20 ms */
	__asm__ volatile("sti; rep stosl; cli" : "+D"(d), "+c"(c) : "a"(0) : "memory");
	CHECK(left > 0 && left < count);
	CHECK(d > 0xd0000000 && d < 0xe0000000);
	CHECK_EQ((d - 0xd0000000) / 4, count - left);
	CHECK(rdtsc() - start < tsc_khz() * 2000);
	apic_write(APIC_LVT_TMR, APIC_LVT_MASKED);
}

TEST(rep_stos_is_interruptible)
{
	rep_until_interrupted(1ull << 40);
	rep_until_interrupted(~0ull >> 1);
}

TEST(rep_ins_is_interruptible)
{
	u64 d = (u64)page_alloc(16), base = d, c;

	trap_set(0x70, cut);
	apic_write(APIC_LVT_TMR, 0x70);
	left = 0;
	apic_write(APIC_TMICT, 5000000);
	c = 4096 * 16; /* within RAM that is nobody's */
	__asm__ volatile("sti; rep insb; cli" : "+D"(d), "+c"(c) : "d"(0x21) : "memory");
	CHECK(d > base);
	CHECK_EQ(d - base, 4096 * 16 - left);
	apic_write(APIC_LVT_TMR, APIC_LVT_MASKED);
}

static void endless_rep(void *arg)
{
	u64 d = 0xd0000000, c = ~0ull;

	(void)arg;
	__asm__ volatile("rep stosl" : "+D"(d), "+c"(c) : "a"(0) : "memory");
}

/* With interrupts off only INIT ends it. */
TEST(rep_on_other_cpu_until_init)
{
	SKIP_IF(boot_cpus() < 2, "one processor");
	CHECK(smp_start(1, endless_rep, NULL));
	wait_us(50000);
	CHECK(rnd() != 0);
	apic_icr(boot_apic_id(1), ICR_INIT | ICR_ASSERT);
	wait_us(10000);
	stop = 1;
	CHECK(smp_start(1, writer, NULL)); /* returns at once */
	CHECK(smp_wait(1, 2000));
}

/* Every kind of exit as fast as it goes, on all CPUs, for a while. */
static void exits(void *arg)
{
	u64 end = rdtsc() + tsc_khz() * 1500;

	(void)arg;
	while ((s64)(rdtsc() - end) < 0) {
		cpuid((u32)rnd(), 0);
		(void)inb(0x21);
		outb(0x80, 1);
		(void)rdmsr(MSR_APIC_BASE);
		(void)mmio_read(APIC_BASE + APIC_ID);
		(void)mmio_read(0xfec00000);
		(void)inl(0x608);
		write_cr8(0);
		pause();
	}
}

TEST(exit_flood)
{
	for (u32 i = 1; i < boot_cpus(); i++)
		CHECK(smp_start(i, exits, NULL));
	exits(NULL);
	for (u32 i = 1; i < boot_cpus(); i++)
		CHECK(smp_wait(i, 5000));
}
