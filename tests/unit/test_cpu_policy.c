/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU models and the validity rules of control registers.
 */
#include "unit.h"

#include "guest/vm/cpu_policy.h"
#include "guest/vm/cpu_state.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"

/* A made-up host: every feature bit set, AVX state of 256 bytes at 576, 48 address bits. */
static u32 host_leaf1_ecx;

static void host_cpuid(u32 leaf, u32 sub, struct cpuid_regs *r)
{
	*r = (struct cpuid_regs){ ~0u, ~0u, ~0u, ~0u };
	if (leaf == 0)
		*r = (struct cpuid_regs){ 0x10, 0x68747541, 0x444d4163, 0x69746e65 };
	if (leaf == 1)
		*r = (struct cpuid_regs){ 0x00a00f11, 0, host_leaf1_ecx, ~0u };
	if (leaf == 0xd)
		*r = sub == 2 ? (struct cpuid_regs){ 256, 576, 0, 0 }
			      : (struct cpuid_regs){ 7, 832, 832, 0 };
	if (leaf == 0x80000008)
		*r = (struct cpuid_regs){ 0x3030, 0, 0, 0 };
}

static const struct cpu_policy_env env = { .host_cpuid = host_cpuid, .tsc_khz = 2600000,
					   .apic_hz = 1000000000, .vcpus = 3, .vendor_amd = true };

TEST(v1_is_fixed)
{
	static struct cpu_policy p;
	struct cpu_policy_dynamic d = { .apic_id = 2, .cr4 = BIT(18) };
	struct cpuid_regs r;
	char why[200] = "";

	host_leaf1_ecx = ~0u;
	CHECK_EQ(cpu_policy_build(&p, "godwit-v1", &env, why, sizeof(why)), 0);
	cpu_policy_cpuid(&p, 1, 0, &d, &r);
	CHECK_EQ(r.eax, 0x00630f00);
	CHECK_EQ(r.ebx, 0x02030800);
	CHECK(r.ecx & BIT(31));
	CHECK(r.ecx & BIT(24));
	CHECK(r.ecx & BIT(21));
	CHECK(!(r.ecx & BIT(28)));
	CHECK_EQ(r.edx & (BIT(7) | BIT(14)), BIT(7) | BIT(14));
	cpu_policy_cpuid(&p, 0x40000000, 0, &d, &r);
	CHECK_EQ(memcmp(&r.ebx, "KVMKVMKVM\0\0\0", 12), 0);
	cpu_policy_cpuid(&p, 0xb, 1, &d, &r);
	CHECK_EQ(r.eax, 2);
	CHECK_EQ(r.ebx, 3);
	CHECK_EQ(r.ecx, 0x201);
	CHECK_EQ(r.edx, 2);
	cpu_policy_cpuid(&p, 0xb, 7, &d, &r);
	CHECK_EQ(r.ecx, 7);
	CHECK_EQ(r.ebx, 0);
	cpu_policy_cpuid(&p, 0x80000008, 0, &d, &r);
	CHECK_EQ(r.eax & 0xff, 39);
	cpu_policy_cpuid(&p, 0x8000000a, 0, &d, &r);
	CHECK_EQ(r.eax | r.ebx | r.ecx | r.edx, 0);
	cpu_policy_cpuid(&p, 0x12345678, 0, &d, &r);
	CHECK_EQ(r.eax | r.ebx | r.ecx | r.edx, 0);
	CHECK_EQ(p.xcr0_valid, 0);
	CHECK_EQ(p.cr4_valid & BIT(18), 0);
}

TEST(host_passes_on)
{
	static struct cpu_policy p;
	struct cpu_policy_dynamic d = { .apic_id = 0, .cr4 = BIT(18), .xcr0 = 7 };
	struct cpuid_regs r;
	char why[200] = "";

	host_leaf1_ecx = ~0u;
	CHECK_EQ(cpu_policy_build(&p, "host", &env, why, sizeof(why)), 0);
	cpu_policy_cpuid(&p, 1, 0, &d, &r);
	CHECK_EQ(r.eax, 0x00a00f11);
	CHECK(r.ecx & BIT(27));
	CHECK(!(r.ecx & BIT(3)));
	CHECK(!(r.ecx & BIT(5)));
	CHECK_EQ(p.xcr0_valid, 7);
	cpu_policy_cpuid(&p, 0xd, 0, &d, &r);
	CHECK_EQ(r.ebx, 832);
	d.xcr0 = 3;
	cpu_policy_cpuid(&p, 0xd, 0, &d, &r);
	CHECK_EQ(r.ebx, 576);
	CHECK_EQ(r.ecx, 832);
	host_leaf1_ecx = ~(u32)BIT(26);
	CHECK_EQ(cpu_policy_build(&p, "host", &env, why, sizeof(why)), 0);
	CHECK_EQ(p.xcr0_valid, 0);
	cpu_policy_cpuid(&p, 1, 0, &d, &r);
	CHECK(!(r.ecx & BIT(28)));
	cpu_policy_cpuid(&p, 7, 0, &d, &r);
	CHECK(!(r.ebx & BIT(5)));
}

TEST(refusals)
{
	static struct cpu_policy p;
	char why[200] = "";

	host_leaf1_ecx = ~(u32)BIT(20);
	CHECK_EQ(cpu_policy_build(&p, "godwit-v1", &env, why, sizeof(why)), -ENOTSUP);
	CHECK(strstr(why, "CPUID 1 ECX bits 0x100000") || strstr(why, "bits 100000"));
	CHECK_EQ(cpu_policy_build(&p, "pentium", &env, why, sizeof(why)), -EINVAL);
	CHECK(strstr(why, "godwit-v1 or host"));
}

TEST(cr0_rules)
{
	struct cpu_state s = { .cr0 = CR0_ET };

	CHECK(!cpu_state_set_cr0(&s, CR0_PG));
	CHECK(!cpu_state_set_cr0(&s, CR0_NW));
	CHECK(!cpu_state_set_cr0(&s, 1ull << 32));
	CHECK(cpu_state_set_cr0(&s, CR0_PE | 0xffc0));
	CHECK_EQ(s.cr0, CR0_PE | CR0_ET);
	s.efer = EFER_LME;
	CHECK(!cpu_state_set_cr0(&s, CR0_PE | CR0_PG));
	s.cr4 = CR4_PAE;
	s.cs_l = true;
	CHECK(!cpu_state_set_cr0(&s, CR0_PE | CR0_PG));
	s.cs_l = false;
	CHECK(cpu_state_set_cr0(&s, CR0_PE | CR0_PG));
	CHECK(s.efer & EFER_LMA);
	s.cs_l = true;
	CHECK(!cpu_state_set_cr0(&s, CR0_PE));
	s.cs_l = false;
	CHECK(cpu_state_set_cr0(&s, CR0_PE));
	CHECK(!(s.efer & EFER_LMA));
}

TEST(cr4_efer_rules)
{
	struct cpu_state s = { .cr0 = CR0_PE | CR0_PG,
			       .cr4 = CR4_PAE,
			       .efer = EFER_LME | EFER_LMA };
	u64 valid = MASK(10, 0) | CR4_PCIDE;

	CHECK(!cpu_state_set_cr4(&s, 0, valid));
	CHECK(!cpu_state_set_cr4(&s, CR4_PAE | BIT(21), valid));
	s.cr3 = 1;
	CHECK(!cpu_state_set_cr4(&s, CR4_PAE | CR4_PCIDE, valid));
	s.cr3 = 0x1000;
	CHECK(cpu_state_set_cr4(&s, CR4_PAE | CR4_PCIDE, valid));
	CHECK(!cpu_state_set_efer(&s, EFER_LMA, 0xd01));
	CHECK(!cpu_state_set_efer(&s, EFER_LME | BIT(12), 0xd01));
	CHECK(cpu_state_set_efer(&s, EFER_LME | EFER_NXE, 0xd01));
	CHECK_EQ(s.efer, EFER_LME | EFER_LMA | EFER_NXE);
}

TEST(memory_types)
{
	CHECK(cpu_state_pat_valid(0x0007040600070406));
	CHECK(!cpu_state_pat_valid(0x0007040600070402));
	CHECK(!cpu_state_pat_valid(0x0807040600070406));
	CHECK(cpu_state_mtrr_valid(0x2ff, 0xc06, 40));
	CHECK(!cpu_state_mtrr_valid(0x2ff, 0xc07, 40));
	CHECK(cpu_state_mtrr_valid(0x201, 0xffc0000800, 40));
	CHECK(!cpu_state_mtrr_valid(0x201, 0x1ffc0000800, 40));
	CHECK(!cpu_state_mtrr_valid(0x250, 0x0606060606060607, 40));
	CHECK(cpu_state_canonical(0xffff800000000000));
	CHECK(!cpu_state_canonical(0x0000800000000000));
}

UNIT_MAIN({ "v1_is_fixed", v1_is_fixed }, { "host_passes_on", host_passes_on },
	  { "refusals", refusals }, { "cr0_rules", cr0_rules },
	  { "cr4_efer_rules", cr4_efer_rules }, { "memory_types", memory_types })
