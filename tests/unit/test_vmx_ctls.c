/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability MSRs of processor generations, put together from the VMX features that public tables
 * of CPU models give for each, and the control words that must come out.
 */
#include "arch/vmx/vmx_ctls.h"
#include "kernel/base/err.h"
#include "tests/unit/unit.h"

#define BASIC_TRUE   0x00da040000000010ull
#define BASIC_PENRYN 0x005a08000000000dull

/* Allowed-1 in the high half, allowed-0 of the true controls in the low one. */
#define PIN_NEHALEM   0x0000007f00000016ull
#define PIN_IVYBRIDGE 0x000000ff00000016ull /* posted interrupts */
#define PROC_TRUE     0xfff9fffe04006172ull
#define PROC_DEFAULT1 0xfff9fffe0401e172ull
#define EXIT_TRUE     0x007fffff00036dfbull
#define ENTRY_TRUE    0x0000ffff000011fbull

#define EPT_NEHALEM 0x00000f0106114141ull /* execute-only, 4 levels, UC, WB, 2M, all flushes */
#define EPT_WESTMERE (EPT_NEHALEM | BIT(17))
#define EPT_HASWELL  (EPT_WESTMERE | BIT(21))

/* Second word: the bits that a generation added. */
#define P2_PENRYN   (BIT(0) | BIT(6))
#define P2_NEHALEM  (P2_PENRYN | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5))
#define P2_WESTMERE (P2_NEHALEM | BIT(7) | BIT(10))
#define P2_IVY	    (P2_WESTMERE | BIT(8) | BIT(9) | BIT(11))
#define P2_HASWELL  (P2_IVY | BIT(12) | BIT(13) | BIT(14))
#define P2_SKYLAKE  (P2_HASWELL | BIT(15) | BIT(16) | BIT(17) | BIT(18) | BIT(20) | BIT(25))
#define P2_ICELAKE  (P2_SKYLAKE | BIT(22) | BIT(24) | BIT(26))

#define MACHINE(p, p2, e)                                                                        \
	{                                                                                        \
		.basic = BASIC_TRUE, .pin = (p), .proc = PROC_TRUE, .exit = EXIT_TRUE,           \
		.entry = ENTRY_TRUE, .proc2 = (u64)(p2) << 32, .ept_vpid = (e), .misc = 0x7004c1e5 \
	}

static char why[128];

/* Desktop parts came without what virtualises the local APIC, and at first without more. */
#define P2_SANDY_DESKTOP (P2_NEHALEM | BIT(7))
#define P2_APICV	 (BIT(8) | BIT(9))

/* What may differ between those that fit. */
#define AD	BIT(0)
#define G1	BIT(1) /* 1 GiB pages */
#define PLE	BIT(2)
#define INVPCID BIT(3)
#define DIRECT	BIT(4) /* interrupts delivered by the CPU */
#define PML	BIT(5)

static const struct {
	const char *name;
	struct vmx_msrs msrs;
	const char *refused; /* NULL: fit */
	u64 has;
} table[] = {
	{ "Nehalem", MACHINE(PIN_NEHALEM, P2_NEHALEM, EPT_NEHALEM),
	  "VMX without unrestricted guest", 0 },
	{ "Westmere-EP", MACHINE(PIN_NEHALEM, P2_WESTMERE, EPT_WESTMERE), NULL, G1 | PLE },
	{ "Sandy Bridge", MACHINE(PIN_NEHALEM, P2_SANDY_DESKTOP, EPT_NEHALEM), NULL, 0 },
	{ "Sandy Bridge-EP", MACHINE(PIN_NEHALEM, P2_WESTMERE, EPT_WESTMERE), NULL, G1 | PLE },
	{ "Ivy Bridge-EP", MACHINE(PIN_IVYBRIDGE, P2_IVY, EPT_WESTMERE), NULL, G1 | PLE | DIRECT },
	{ "Skylake-SP", MACHINE(PIN_IVYBRIDGE, P2_SKYLAKE, EPT_HASWELL), NULL,
	  AD | G1 | PLE | INVPCID | DIRECT | PML },
	{ "Haswell", MACHINE(PIN_NEHALEM, P2_HASWELL & ~P2_APICV, EPT_HASWELL), NULL,
	  AD | G1 | PLE | INVPCID },
	{ "Haswell-EP", MACHINE(PIN_IVYBRIDGE, P2_HASWELL, EPT_HASWELL), NULL,
	  AD | G1 | PLE | INVPCID | DIRECT },
	{ "Broadwell-EP", MACHINE(PIN_IVYBRIDGE, P2_HASWELL | BIT(16) | BIT(17) | BIT(18),
				  EPT_HASWELL), NULL, AD | G1 | PLE | INVPCID | DIRECT | PML },
	{ "Skylake", MACHINE(PIN_NEHALEM, P2_SKYLAKE & ~(P2_APICV | BIT(25)), EPT_HASWELL), NULL,
	  AD | G1 | PLE | INVPCID | PML },
	{ "Goldmont", MACHINE(PIN_IVYBRIDGE, (P2_HASWELL & ~BIT(12)) | BIT(16), EPT_HASWELL), NULL,
	  AD | G1 | PLE | DIRECT },
	{ "Ice Lake-SP", MACHINE(PIN_IVYBRIDGE, P2_ICELAKE, EPT_HASWELL | BIT(22)), NULL,
	  AD | G1 | PLE | INVPCID | DIRECT | PML },
	{ "Alder Lake", MACHINE(PIN_IVYBRIDGE, P2_ICELAKE | BIT(26), EPT_HASWELL | BIT(22)), NULL,
	  AD | G1 | PLE | INVPCID | DIRECT | PML },
	/* Tertiary controls (bit 17 of the first word) and five-level EPT came here. */
	{ "Sapphire Rapids",
	  MACHINE(PIN_IVYBRIDGE, P2_ICELAKE | BIT(23) | BIT(28), EPT_HASWELL | BIT(7)), NULL,
	  AD | G1 | PLE | INVPCID | DIRECT | PML },
	/* KVM's own nested VMX has neither pause-loop exiting nor, without APICv, its words. */
	{ "nested KVM", MACHINE(PIN_NEHALEM, P2_HASWELL & ~(P2_APICV | BIT(10)), EPT_HASWELL), NULL,
	  AD | G1 | INVPCID },
};
#define SKYLAKE_SP 5

/* What any VM entry checks first: SDM vol. 3 §27.2.1.1. */
static void check_allowed(u32 word, u64 msr)
{
	CHECK_EQ((u32)msr & ~word, 0);
	CHECK_EQ(word & ~(u32)(msr >> 32), 0);
}

TEST(test_generations)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct vmx_msrs *m = &table[i].msrs;
		struct vmx_ctls c = { .pin = 77 };
		int rc = vmx_ctls_compute(m, &c, why, sizeof(why));

		if (table[i].refused) {
			CHECK_EQ(rc, -ENOTSUP);
			CHECK_STR(why, table[i].refused);
			CHECK_EQ(c.pin, 77);
			continue;
		}
		CHECK_EQ(rc, 0);
		check_allowed(c.pin, m->pin);
		check_allowed(c.proc, m->proc);
		check_allowed(c.proc2, m->proc2);
		check_allowed(c.exit, m->exit);
		check_allowed(c.entry, m->entry);
		CHECK_EQ((c.ept_ad ? AD : 0) | (c.ept_1g ? G1 : 0) | (c.pause_loop ? PLE : 0) |
				 (c.proc2 & VMX_PROC2_INVPCID ? INVPCID : 0) |
				 (c.direct ? DIRECT : 0) | (c.pml ? PML : 0),
			 table[i].has);
		CHECK_EQ(c.proc2 & VMX_PROC2_DIRECT, 0); /* by mode of the local APIC */
		CHECK_EQ(c.pin & VMX_PIN_POSTED, 0);	 /* likewise */
		CHECK(c.posted == (c.direct && (m->pin & VMX_PIN_POSTED << 32)));
		CHECK(!(c.exit & VMX_EXIT_ACK) == !c.posted);
		CHECK(c.vpid && c.preemption_timer && c.invept_one && c.invvpid_one);
		CHECK_EQ(c.timer_shift, 5);
	}
}

/* Not asked for: nobody would handle what it does. */
TEST(test_nothing_else)
{
	struct vmx_ctls c;

	CHECK_EQ(vmx_ctls_compute(&table[SKYLAKE_SP].msrs, &c, why, sizeof(why)), 0);
	CHECK_EQ(c.proc & (VMX_PROC_IRQ_WINDOW | VMX_PROC_NMI_WINDOW | VMX_PROC_INVLPG |
			   VMX_PROC_RDTSC | VMX_PROC_CR3_LOAD | VMX_PROC_MOV_DR | VMX_PROC_MTF), 0);
	CHECK_EQ(c.proc2 & ~(VMX_PROC2_EPT | VMX_PROC2_RDTSCP | VMX_PROC2_VPID | VMX_PROC2_WBINVD |
			     VMX_PROC2_UNRESTRICTED | VMX_PROC2_PLE | VMX_PROC2_INVPCID |
			     VMX_PROC2_PML), 0);
	CHECK_EQ(c.entry & VMX_ENTRY_IA32E, 0);
}

TEST(test_penryn)
{
	struct vmx_msrs m = { .basic = BASIC_PENRYN, .pin = 0x0000003f00000016ull,
			      .proc = 0xf7b9fffe0401e172ull, .exit = 0x0003ffff00036dffull,
			      .entry = 0x00003fff000011ffull, .proc2 = (u64)P2_PENRYN << 32 };
	struct vmx_ctls c;

	CHECK_EQ(vmx_ctls_compute(&m, &c, why, sizeof(why)), -ENOTSUP);
	CHECK_STR(why, "VMX without extended page tables");
}

/* Every required feature, taken away alone, is named; every optional one is worked around. */
TEST(test_each_feature)
{
	for (u32 n = 0; n < VMX_FEATURES; n++) {
		const struct hvm_feature *f = &vmx_features[n];
		struct vmx_msrs m = table[SKYLAKE_SP].msrs;
		u64 *const words[] = { &m.pin, &m.proc, &m.proc2, &m.exit, &m.entry, &m.ept_vpid };
		struct vmx_ctls c;
		int rc;

		*words[f->word] &= ~(f->word == 5 ? f->mask : f->mask << 32);
		rc = vmx_ctls_compute(&m, &c, why, sizeof(why));
		CHECK_EQ(rc, f->without ? 0 : -ENOTSUP);
		/* what needs it goes with it */
		if (f->without && (f->mask == VMX_EPT_AD || f->mask == VMX_PROC2_DIRECT))
			CHECK_EQ(__builtin_popcountll(c.absent), 2);
		else if (f->without)
			CHECK_EQ(c.absent, BIT(n));
		else
			CHECK(strstr(why, f->name) != NULL);
	}
}

/* A control without its true MSR exits always. */
TEST(test_forced)
{
	struct vmx_msrs m = table[SKYLAKE_SP].msrs;
	struct vmx_ctls c;

	m.proc = PROC_DEFAULT1;
	CHECK_EQ(vmx_ctls_compute(&m, &c, why, sizeof(why)), -ENOTSUP);
	CHECK_STR(why, "VMX with CR3 exiting that cannot be switched off");
	m = table[SKYLAKE_SP].msrs;
	m.entry &= ~(VMX_ENTRY_IA32E << 32);
	CHECK_EQ(vmx_ctls_compute(&m, &c, why, sizeof(why)), -ENOTSUP);
	CHECK_STR(why, "VMX without 64-bit guests");
	m = table[SKYLAKE_SP].msrs;
	m.basic |= BIT(48);
	CHECK_EQ(vmx_ctls_compute(&m, &c, why, sizeof(why)), -ENOTSUP);
}

/* Virtual interrupts need all three controls, the TPR shadow, and CR8 exits that can be off. */
TEST(test_direct)
{
	static const u64 one[] = { BIT(4), BIT(8), BIT(9) };
	struct vmx_msrs m;
	struct vmx_ctls c;

	for (size_t i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
		m = table[SKYLAKE_SP].msrs;
		m.proc2 &= ~(one[i] << 32);
		CHECK_EQ(vmx_ctls_compute(&m, &c, why, sizeof(why)), 0);
		CHECK(!c.direct);
	}
	m = table[SKYLAKE_SP].msrs;
	m.proc &= ~(BIT(21) << 32);
	CHECK_EQ(vmx_ctls_compute(&m, &c, why, sizeof(why)), 0);
	CHECK(!c.direct && c.absent);
	m = table[SKYLAKE_SP].msrs;
	m.proc |= BIT(19);
	CHECK_EQ(vmx_ctls_compute(&m, &c, why, sizeof(why)), 0);
	CHECK(!c.direct && (c.proc & BIT(19)));
	CHECK(!c.posted && !(c.exit & VMX_EXIT_ACK));
}

/* Posted interrupts want them, and exits that acknowledge. */
TEST(test_posted)
{
	struct vmx_msrs m = table[SKYLAKE_SP].msrs;
	struct vmx_ctls c;

	m.exit &= ~(VMX_EXIT_ACK << 32);
	CHECK_EQ(vmx_ctls_compute(&m, &c, why, sizeof(why)), 0);
	CHECK(c.direct && !c.posted && !(c.exit & VMX_EXIT_ACK));
	m = table[SKYLAKE_SP].msrs;
	m.pin &= ~(VMX_PIN_POSTED << 32);
	CHECK_EQ(vmx_ctls_compute(&m, &c, why, sizeof(why)), 0);
	CHECK(c.direct && !c.posted && !(c.exit & VMX_EXIT_ACK));
}

/* The log is made of dirty bits. */
TEST(test_pml)
{
	struct vmx_msrs m = table[SKYLAKE_SP].msrs;
	struct vmx_ctls c;

	m.ept_vpid &= ~VMX_EPT_AD;
	CHECK_EQ(vmx_ctls_compute(&m, &c, why, sizeof(why)), 0);
	CHECK(!c.pml && !(c.proc2 & VMX_PROC2_PML) && (c.absent >> (VMX_FEATURES - 1)));
}

TEST(test_no_invvpid)
{
	struct vmx_msrs m = table[SKYLAKE_SP].msrs;
	struct vmx_ctls c;

	m.ept_vpid &= MASK(31, 0);
	CHECK_EQ(vmx_ctls_compute(&m, &c, why, sizeof(why)), 0);
	CHECK(!c.vpid);
	CHECK_EQ(c.proc2 & VMX_PROC2_VPID, 0);
}

UNIT_MAIN({ "generations", test_generations }, { "nothing_else", test_nothing_else },
	  { "penryn", test_penryn }, { "each_feature", test_each_feature },
	  { "forced", test_forced }, { "direct", test_direct }, { "no_invvpid", test_no_invvpid },
	  { "pml", test_pml }, { "posted", test_posted })
