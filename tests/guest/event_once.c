/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each interrupt is delivered exactly once, however entries into the guest and interrupts of the
 * host coincide: two CPUs that send each other IPIs while their timers fire.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/smp.h"
#include "guest/image/lib/test.h"
#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"

#define V_BALL	 0x51
#define V_TMR	 0x70
#define ROUNDS	 (u32)boot_option("rounds", 10000)
#define TMR_TSC	 2000000u
#define FLAGS_IF BIT(9)

static u32 sent[2], came[2];	/* IPIs, by sender and by receiver */
static u32 armed[2], fired[2];	/* timers, by CPU */
static u32 nested;		/* deliveries into a CPU with interrupts off */
static u32 done;			/* CPUs that have sent all */
static u32 last[2];		/* no timer is armed any more, by CPU */

static void look(const struct trap_frame *f)
{
	if (!(f->rflags & FLAGS_IF))
		atomic_add(&nested, 1);
}

static void ball(struct trap_frame *f)
{
	look(f);
	atomic_add(&came[cpu_index()], 1);
	apic_eoi();
}

static void arm(void)
{
	armed[cpu_index()]++;
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + TMR_TSC);
}

static void timer(struct trap_frame *f)
{
	look(f);
	fired[cpu_index()]++;
	if (!last[cpu_index()])
		arm();
	apic_eoi();
}

/* Back and forth: a CPU sends when what it was sent has come. */
static void play(void *arg)
{
	u32 me = cpu_index();
	u32 n = 0;

	(void)arg;
	if (boot_option("x2", 0))
		apic_x2_enable();
	apic_write(APIC_LVT_TMR, APIC_LVT_DEADLINE | V_TMR);
	arm();
	while (n < ROUNDS) {
		/* CPU 0 serves, CPU 1 answers. */
		if (atomic_load_acquire(&came[me]) >= n + me) {
			n++;
			sent[me]++;
			apic_icr(boot_apic_id(1 - me), ICR_FIXED | ICR_ASSERT | V_BALL);
		}
		sti_nop_cli();
	}
	atomic_add(&done, 1);
	while (atomic_load_acquire(&done) < 2)
		sti_nop_cli();
	last[me] = 1;
	/* The last one is under way yet, and maybe late; then see that none comes twice. */
	for (u64 t = rdtsc(); fired[me] != armed[me] && rdtsc() - t < 100 * (u64)TMR_TSC;)
		sti_nop_cli();
	for (u64 t = rdtsc(); rdtsc() - t < 2 * (u64)TMR_TSC;)
		sti_nop_cli();
}

TEST(each_once)
{
	SKIP_IF(boot_cpus() < 2, "one processor");
	trap_set(V_BALL, ball);
	trap_set(V_TMR, timer);
	CHECK(smp_start(1, play, NULL));
	play(NULL);
	CHECK(smp_wait(1, 10000));
	for (u32 cpu = 0; cpu < 2; cpu++) {
		CHECK_EQ(sent[cpu], ROUNDS);
		CHECK_EQ(came[cpu], sent[1 - cpu]);
		CHECK_EQ(fired[cpu], armed[cpu]);
	}
	CHECK_EQ(nested, 0);
}
