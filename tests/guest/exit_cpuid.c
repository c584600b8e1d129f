/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID: every leaf a guest may ask for answers, and the leaves agree with each other and with
 * what the CPU then does.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/test.h"

#define F1C_X2APIC  (1u << 21)
#define F1C_XSAVE   (1u << 26)
#define F1C_OSXSAVE (1u << 27)
#define F1C_HYPERV  (1u << 31)
#define CR4_OSXSAVE (1ull << 18)

TEST(basic_leaves)
{
	struct cpuid r = cpuid(0, 0);

	CHECK(r.eax >= 0xb);
	CHECK(r.ebx == 0x68747541 || r.ebx == 0x756e6547); /* AuthenticAMD, GenuineIntel */
	r = cpuid(1, 0);
	CHECK_EQ(r.ebx >> 24, apic_id());
	/* FPU PSE TSC MSR PAE CX8 APIC PGE CMOV FXSR SSE SSE2 */
	CHECK_EQ(r.edx & 0x0700a379, 0x0700a379);
	CHECK_EQ((r.ecx & F1C_OSXSAVE) != 0, (read_cr4() & CR4_OSXSAVE) != 0);
}

TEST(every_basic_leaf)
{
	u32 max = cpuid(0, 0).eax;

	for (u32 leaf = 0; leaf <= max + 16; leaf++)
		for (u32 sub = 0; sub < 8; sub++) {
			struct cpuid a = cpuid(leaf, sub), b = cpuid(leaf, sub);

			CHECK(a.eax == b.eax && a.ebx == b.ebx && a.ecx == b.ecx && a.edx == b.edx);
		}
}

TEST(extended_leaves)
{
	struct cpuid r = cpuid(0x80000000, 0);
	u32 max = r.eax;

	CHECK(max >= 0x80000008);
	CHECK_EQ(r.ebx, cpuid(0, 0).ebx * cpu_is_amd() + r.ebx * !cpu_is_amd());
	r = cpuid(0x80000001, 0);
	CHECK_EQ(r.edx & (1u << 29 | 1u << 20), 1u << 29 | 1u << 20); /* long mode, NX */
	if (boot_platform() == PLATFORM_GODWIT)
		CHECK_EQ(r.ecx & 4, 0); /* no SVM for guests */
	r = cpuid(0x80000008, 0);
	CHECK((r.eax & 0xff) >= 36 && (r.eax & 0xff) <= 52);
	CHECK((r.eax >> 8 & 0xff) >= 48);
	for (u32 leaf = 0x80000000; leaf <= max + 16; leaf++)
		cpuid(leaf, 0);
}

TEST(upper_halves_cleared)
{
	u64 a = 0xffffffff00000000, b = ~0ull, c = 0xffffffff00000000, d = ~0ull;

	__asm__ volatile("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d));
	CHECK_EQ(a >> 32 | b >> 32 | c >> 32 | d >> 32, 0);
}

TEST(topology)
{
	u32 cores, shift;
	struct cpuid r = cpuid(0xb, 0);

	SKIP_IF(cpuid(0, 0).eax < 0xb || r.ebx == 0, "no leaf Bh");
	CHECK_EQ(r.edx, apic_id());
	CHECK_EQ(r.ecx >> 8 & 0xff, 1);
	r = cpuid(0xb, 1);
	cores = r.ebx & 0xffff;
	shift = r.eax & 31;
	CHECK_EQ(r.ecx >> 8 & 0xff, 2);
	CHECK_EQ(r.ecx & 0xff, 1);
	CHECK(cores >= 1 && cores <= 1u << shift);
	CHECK_EQ(cores, boot_cpus());
}

TEST(osxsave_follows_cr4)
{
	u64 cr4 = read_cr4();

	SKIP_IF(!(cpuid(1, 0).ecx & F1C_XSAVE), "no XSAVE");
	write_cr4(cr4 | CR4_OSXSAVE);
	CHECK(cpuid(1, 0).ecx & F1C_OSXSAVE);
	write_cr4(cr4 & ~CR4_OSXSAVE);
	CHECK(!(cpuid(1, 0).ecx & F1C_OSXSAVE));
	write_cr4(cr4);
}

TEST(cr4_bits_match_features)
{
	struct cpuid f1 = cpuid(1, 0), f7 = cpuid(7, 0);
	u64 cr4 = read_cr4();
	const struct {
		u64 bit;
		u32 has;
	} t[] = {
		{ CR4_OSXSAVE, f1.ecx & F1C_XSAVE },
		{ 1ull << 16, f7.ebx & 1 },	    /* FSGSBASE */
		{ 1ull << 20, f7.ebx & 1u << 7 },   /* SMEP */
		{ 1ull << 21, f7.ebx & 1u << 20 },  /* SMAP */
		{ 1ull << 11, f7.ecx & 1u << 2 },   /* UMIP */
		{ 1ull << 9, f1.edx & 1u << 24 },
		{ 1ull << 63, 0 },
		{ 1ull << 15, 0 },
		{ 1ull << 19, 0 },
	};

	SKIP_IF(boot_platform() == PLATFORM_TCG, "TCG stops on reserved bits");
	for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
		CHECK_TRAP(t[i].has ? TRAP_NONE : VEC_GP, write_cr4(cr4 | t[i].bit));
		write_cr4(cr4);
	}
}

TEST(hypervisor_leaves)
{
	struct cpuid r = cpuid(0x40000000, 0);

	SKIP_IF(!(cpuid(1, 0).ecx & F1C_HYPERV), "no hypervisor bit");
	SKIP_IF(r.ebx != 0x4b4d564b, "not KVM-compatible");
	CHECK_EQ(r.ecx, 0x564b4d56);
	CHECK_EQ(r.edx, 0x4d);
	CHECK(r.eax >= 0x40000001);
	r = cpuid(0x40000001, 0);
	CHECK_EQ(r.eax & (1u << 3 | 1u << 24), 1u << 3 | 1u << 24); /* CLOCKSOURCE2, stable */
	r = cpuid(0x40000010, 0);
	CHECK(r.eax > 10000); /* kHz; an emulator may count slowly */
	CHECK_EQ(r.ebx, 1000000);
	CHECK(cpuid(1, 0).ecx & F1C_X2APIC);
}

TEST(unknown_leaves_are_zero)
{
	static const u32 leaf[] = { 0x40000011, 0x40000100, 0x4fffffff, 0x20000000, 0x8fffffff,
				    0xc0000000, 0xffffffff };

	SKIP_IF(boot_platform() != PLATFORM_GODWIT, "Godwit only");
	for (u32 i = 0; i < ARRAY_SIZE(leaf); i++) {
		struct cpuid r = cpuid(leaf[i], 0);

		CHECK_EQ(r.eax | r.ebx | r.ecx | r.edx, 0);
	}
}
