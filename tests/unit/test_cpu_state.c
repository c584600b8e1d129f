/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validity of control registers and MSRs: each rule of the manuals once as it passes and once
 * as it faults; a fault changes nothing.
 */
#include "guest/vm/cpu_state.h"
#include "unit.h"

#define CR4_VALID (0x3506efull | CR4_PCIDE)
#define EFER_VALID (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

/* Long mode: paging, PAE, LMA. */
static const struct cpu_state long_mode = { .cr0 = CR0_PG | CR0_PE | CR0_ET,
					    .cr3 = 0x1000,
					    .cr4 = CR4_PAE,
					    .efer = EFER_LME | EFER_LMA,
					    .cs_l = true };
static const struct cpu_state real_mode = { .cr0 = CR0_ET };

static void cr0_faults(struct cpu_state s, u64 value)
{
	struct cpu_state before = s;

	CHECK(!cpu_state_set_cr0(&s, value));
	CHECK(memcmp(&s, &before, sizeof(s)) == 0);
}

static struct cpu_state cr0_set(struct cpu_state s, u64 value)
{
	CHECK(cpu_state_set_cr0(&s, value));
	return s;
}

TEST(test_cr0_bits)
{
	CHECK_EQ(cr0_set(real_mode, CR0_PE).cr0, CR0_PE | CR0_ET);
	CHECK_EQ(cr0_set(real_mode, 0).cr0, CR0_ET);                            /* hard-wired */
	CHECK_EQ(cr0_set(real_mode, 0x1ffaffc0 | CR0_PE).cr0, CR0_PE | CR0_ET); /* ignored */
	CHECK_EQ(cr0_set(real_mode, CR0_CD | CR0_NW).cr0, CR0_CD | CR0_NW | CR0_ET);
	CHECK_EQ(cr0_set(real_mode, CR0_CD).cr0, CR0_CD | CR0_ET);
	cr0_faults(real_mode, CR0_NW);
	cr0_faults(real_mode, CR0_PG);
	cr0_faults(real_mode, BIT(32) | CR0_PE);
	cr0_faults(real_mode, BIT(63));
}

TEST(test_cr0_long_mode)
{
	struct cpu_state s = { .cr0 = CR0_PE | CR0_ET, .cr4 = CR4_PAE, .efer = EFER_LME };

	CHECK_EQ(cr0_set(s, CR0_PE | CR0_PG).efer, EFER_LME | EFER_LMA);
	/* without LME it is not long mode */
	s.efer = 0;
	CHECK_EQ(cr0_set(s, CR0_PE | CR0_PG).efer, 0);
	s.cr4 = 0;
	CHECK_EQ(cr0_set(s, CR0_PE | CR0_PG).efer, 0);
	/* long mode needs PAE, and CS.L must be clear */
	s.efer = EFER_LME;
	cr0_faults(s, CR0_PE | CR0_PG);
	s.cr4 = CR4_PAE;
	s.cs_l = true;
	cr0_faults(s, CR0_PE | CR0_PG);
	/* off: from compatibility mode only, without PCIDs */
	cr0_faults(long_mode, CR0_PE);
	s = long_mode;
	s.cs_l = false;
	CHECK_EQ(cr0_set(s, CR0_PE).efer, EFER_LME);
	CHECK_EQ(cr0_set(s, CR0_PE).cr0, CR0_PE | CR0_ET);
	s.cr4 |= CR4_PCIDE;
	cr0_faults(s, CR0_PE);
	/* other bits change while paging stays on */
	CHECK_EQ(cr0_set(long_mode, CR0_PG | CR0_PE | CR0_WP | CR0_TS).efer, long_mode.efer);
}

static void cr4_faults(struct cpu_state s, u64 value)
{
	struct cpu_state before = s;

	CHECK(!cpu_state_set_cr4(&s, value, CR4_VALID));
	CHECK(memcmp(&s, &before, sizeof(s)) == 0);
}

static void cr4_sets(struct cpu_state s, u64 value)
{
	CHECK(cpu_state_set_cr4(&s, value, CR4_VALID));
	CHECK_EQ(s.cr4, value);
}

TEST(test_cr4)
{
	struct cpu_state s = long_mode;

	cr4_sets(real_mode, CR4_PAE);
	cr4_sets(real_mode, 0);
	cr4_faults(real_mode, BIT(63));
	cr4_faults(real_mode, BIT(15));
	/* long mode holds PAE, and LA57 as it is */
	cr4_faults(long_mode, 0);
	CHECK(!cpu_state_set_cr4(&s, CR4_PAE | CR4_LA57, CR4_VALID | CR4_LA57));
	CHECK_EQ(s.cr4, CR4_PAE);
	/* PCIDE: long mode only, and CR3 must name PCID 0 */
	cr4_sets(long_mode, CR4_PAE | CR4_PCIDE);
	s.cr3 = 0x1001;
	cr4_faults(s, CR4_PAE | CR4_PCIDE);
	s.cr4 |= CR4_PCIDE;
	cr4_sets(s, CR4_PAE | CR4_PCIDE);
	cr4_sets(s, CR4_PAE);
	cr4_faults(real_mode, CR4_PAE | CR4_PCIDE);
}

TEST(test_efer)
{
	struct cpu_state s = real_mode;

	CHECK(cpu_state_set_efer(&s, EFER_SCE | EFER_NXE, EFER_VALID));
	CHECK_EQ(s.efer, EFER_SCE | EFER_NXE);
	/* LMA is what CR0 makes it, whatever is written */
	CHECK(cpu_state_set_efer(&s, EFER_LME | EFER_LMA, EFER_VALID));
	CHECK_EQ(s.efer, EFER_LME);
	s = long_mode;
	CHECK(cpu_state_set_efer(&s, EFER_LME | EFER_SCE, EFER_VALID));
	CHECK_EQ(s.efer, EFER_LME | EFER_LMA | EFER_SCE);
	/* LME does not change while paging is on */
	CHECK(!cpu_state_set_efer(&s, EFER_SCE, EFER_VALID));
	CHECK(!cpu_state_set_efer(&s, EFER_LME | BIT(12), EFER_VALID));
	CHECK_EQ(s.efer, EFER_LME | EFER_LMA | EFER_SCE);
	s = (struct cpu_state){ .cr0 = CR0_PG | CR0_PE };
	CHECK(!cpu_state_set_efer(&s, EFER_LME, EFER_VALID));
	CHECK(cpu_state_set_efer(&s, EFER_NXE, EFER_VALID));
}

TEST(test_pat)
{
	CHECK(cpu_state_pat_valid(0x0007040600070406));
	CHECK(cpu_state_pat_valid(0x0706050401000000));
	CHECK(cpu_state_pat_valid(0));
	for (unsigned i = 0; i < 64; i += 8) {
		CHECK(!cpu_state_pat_valid(2ull << i));
		CHECK(!cpu_state_pat_valid(3ull << i));
		CHECK(!cpu_state_pat_valid(8ull << i));
		CHECK(!cpu_state_pat_valid(0x86ull << i));
	}
}

TEST(test_mtrr)
{
	/* default type: type, fixed enable, enable */
	CHECK(cpu_state_mtrr_valid(0x2ff, 0xc06, 40));
	CHECK(!cpu_state_mtrr_valid(0x2ff, 0xc07, 40)); /* UC- is the PAT's alone */
	CHECK(!cpu_state_mtrr_valid(0x2ff, 0xc02, 40));
	CHECK(!cpu_state_mtrr_valid(0x2ff, 0x1006, 40));
	CHECK(!cpu_state_mtrr_valid(0x2ff, BIT(40), 40));
	/* fixed: eight types */
	CHECK(cpu_state_mtrr_valid(0x250, 0x0605040100060606, 40));
	CHECK(!cpu_state_mtrr_valid(0x268, 0x0006060606060206, 40));
	CHECK(!cpu_state_mtrr_valid(0x26f, 0x0706060606060606, 40));
	/* variable: base with a type, mask with a valid bit, both within the address width */
	CHECK(cpu_state_mtrr_valid(0x200, 0xc0000006, 40));
	CHECK(!cpu_state_mtrr_valid(0x200, 0xc0000002, 40));
	CHECK(!cpu_state_mtrr_valid(0x200, 0xc0000106, 40));
	CHECK(!cpu_state_mtrr_valid(0x200, BIT(40), 40));
	CHECK(cpu_state_mtrr_valid(0x200, BIT(40), 41));
	CHECK(cpu_state_mtrr_valid(0x201, 0xffc0000800, 40));
	CHECK(!cpu_state_mtrr_valid(0x201, 0xffc0000806, 40));
	CHECK(!cpu_state_mtrr_valid(0x20f, 0x1ffc0000800, 40));
}

TEST(test_canonical)
{
	CHECK(cpu_state_canonical(0));
	CHECK(cpu_state_canonical(0x00007fffffffffff));
	CHECK(!cpu_state_canonical(0x0000800000000000));
	CHECK(!cpu_state_canonical(0xffff7fffffffffff));
	CHECK(cpu_state_canonical(0xffff800000000000));
	CHECK(cpu_state_canonical(~0ull));
	CHECK(!cpu_state_canonical(BIT(63)));
}

UNIT_MAIN({ "cr0_bits", test_cr0_bits }, { "cr0_long_mode", test_cr0_long_mode },
	  { "cr4", test_cr4 }, { "efer", test_efer }, { "pat", test_pat }, { "mtrr", test_mtrr },
	  { "canonical", test_canonical })
