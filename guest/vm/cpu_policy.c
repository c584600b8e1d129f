/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named CPU models. 'godwit-v1' promises the same leaves on every host that has them
 * (x86-64-v2 without XSAVE); 'host' passes on what the host has and Godwit can carry.
 * Intel SDM vol. 2A CPUID, AMD APM vol. 3 appendix E.
 */
#include "guest/vm/cpu_policy.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

/* Leaf 1 ECX */
#define F1C_PCID     BIT(17)
#define F1C_X2APIC   BIT(21)
#define F1C_DEADLINE BIT(24)
#define F1C_XSAVE    BIT(26)
#define F1C_OSXSAVE  BIT(27)
#define F1C_AVX	     (BIT(12) | BIT(28) | BIT(29)) /* FMA, AVX, F16C */
#define F1C_HYPERV   BIT(31)
/* SSE3, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT */
#define F1C_V1 (BIT(0) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(23))
/* plus PCLMULQDQ, MOVBE, AES, RDRAND */
#define F1C_HOST (F1C_V1 | BIT(1) | BIT(22) | BIT(25) | BIT(30) | F1C_PCID | F1C_XSAVE | F1C_AVX)

/* Leaf 1 EDX: FPU DE PSE TSC MSR PAE CX8 APIC SEP MTRR PGE CMOV PAT PSE36 CLFSH MMX
 * FXSR SSE SSE2. Machine check comes without banks: the host's are its own business. No VME:
 * not every host has it, and no 64-bit kernel wants it. */
#define F1D_MCE	 (BIT(7) | BIT(14))
#define F1D_APIC BIT(9)
#define F1D_MTRR BIT(12)
#define F1D_HTT	 BIT(28)
#define F1D_V1	 (0x078bbb7dull | F1D_MCE)

/* Leaf 7 EBX: FSGSBASE, BMI1, AVX2, SMEP, BMI2, ERMS, INVPCID, RDSEED, ADX, SMAP, CLFLUSHOPT,
 * CLWB, SHA */
#define F7B_HOST                                                                           \
	(BIT(0) | BIT(3) | BIT(5) | BIT(7) | BIT(8) | BIT(9) | BIT(10) | BIT(18) | BIT(19) |   \
	 BIT(20) | BIT(23) | BIT(24) | BIT(29))
#define F7B_FSGSBASE BIT(0)
#define F7B_AVX2     BIT(5)
#define F7B_SMEP     BIT(7)
#define F7B_SMAP     BIT(20)
#define F7C_UMIP     BIT(2)
#define F7D_FSRM     BIT(4)

/* Leaf 80000001h EDX: SYSCALL, NX, RDTSCP, LM; 1 GiB pages only for 'host'. AMD repeats
 * the leaf 1 bits below. */
#define FXD_V1	  (BIT(11) | BIT(20) | BIT(27) | BIT(29))
#define FXD_1G	  BIT(26)
#define FXD_FFXSR BIT(25)
#define FXD_AMD_COPY 0x0183f3ffull
/* LAHF; for 'host' also CR8 access (AMD), LZCNT, SSE4A, misaligned SSE, PREFETCHW. */
#define FXC_V1	 BIT(0)
#define FXC_HOST (BIT(0) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8))
#define FXC_CMP_LEGACY BIT(1)

#define V1_MAXPHYADDR 39
#define V1_AMD_SIGNATURE   0x00630f00 /* family 15h, model 30h: the first without a GART */
#define V1_INTEL_SIGNATURE 0x000506e3 /* family 6, model 5Eh, stepping 3 */

#define XCR0_X87_SSE 3ull
#define XCR0_AVX     4ull

#define KVM_BASE 0x40000000u
/* CLOCKSOURCE, NOP_IO_DELAY, CLOCKSOURCE2, PV_EOI, CLOCKSOURCE_STABLE */
#define KVM_FEATURES (BIT(0) | BIT(1) | BIT(3) | BIT(6) | BIT(24))

#define CR4_ALWAYS MASK(10, 2) /* TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT */

#define EFER_BITS (BIT(0) | BIT(8) | BIT(10) | BIT(11)) /* SCE LME LMA NXE */
#define EFER_FFXSR BIT(14)

struct builder {
	struct cpu_policy *p;
	const struct cpu_policy_env *env;
	bool host; /* the 'host' model */
	char *why;
	size_t why_size;
};

static void add(struct cpu_policy *p, u32 leaf, struct cpuid_regs r)
{
	u32 low = leaf & 0x7fffffff;

	if (p->count == CPU_POLICY_LEAVES)
		return; /* checked at the end of the build */
	p->leaf[p->count++] = (struct cpu_policy_leaf){ .leaf = leaf, .r = r };
	if (low < 32 && !(leaf & 0x80000000))
		p->basic_index[low] = (u8)p->count;
	else if (low < 32)
		p->ext_index[low] = (u8)p->count;
}

static void add_sub(struct cpu_policy *p, u32 leaf, u32 sub, struct cpuid_regs r)
{
	if (p->count == CPU_POLICY_LEAVES)
		return;
	p->leaf[p->count++] =
		(struct cpu_policy_leaf){ .leaf = leaf, .subleaf = sub, .indexed = true, .r = r };
	if (sub == 0 && leaf < 32)
		p->basic_index[leaf] = (u8)p->count;
}

static struct cpuid_regs host_leaf(const struct builder *b, u32 leaf, u32 sub)
{
	struct cpuid_regs r;

	b->env->host_cpuid(leaf, sub, &r);
	return r;
}

static u32 log2_up(u32 n)
{
	u32 bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

static int require(const struct builder *b, const char *where, u64 has, u64 need)
{
	if ((has & need) == need)
		return 0;
	fmt_snprintf(b->why, b->why_size,
		     "this host's CPU lacks %s bits %#lx that cpu model '%s' has", where,
		     need & ~has, b->p->model);
	return -ENOTSUP;
}

/* Leaves 0 and 1. */
static int build_basic(const struct builder *b)
{
	struct cpuid_regs h0 = host_leaf(b, 0, 0), h = host_leaf(b, 1, 0), r;
	u64 ecx = b->host ? h.ecx & F1C_HOST : F1C_V1;
	int rc;

	rc = require(b, "CPUID 1 ECX", h.ecx, F1C_V1);
	if (!rc)
		rc = require(b, "CPUID 1 EDX", h.edx, F1D_V1 & ~F1D_APIC & ~F1D_MTRR & ~F1D_MCE);
	if (rc)
		return rc;
	if (!(ecx & F1C_XSAVE))
		ecx &= ~(u64)F1C_AVX;
	h0.eax = 0xd;
	b->p->max_basic = 0xd;
	add(b->p, 0, h0);
	r.eax = b->host ? h.eax : b->env->vendor_amd ? V1_AMD_SIGNATURE : V1_INTEL_SIGNATURE;
	r.ebx = 8u << 8 | b->env->vcpus << 16; /* CLFLUSH line 64 bytes; APIC ID comes per vCPU */
	r.ecx = (u32)(ecx | F1C_X2APIC | F1C_DEADLINE | F1C_HYPERV);
	r.edx = (u32)(F1D_V1 | (b->env->vcpus > 1 ? F1D_HTT : 0));
	add(b->p, 1, r);
	if (ecx & F1C_PCID)
		b->p->cr4_valid |= BIT(17);
	if (ecx & F1C_XSAVE) {
		b->p->cr4_valid |= BIT(18);
		b->p->xcr0_valid = XCR0_X87_SSE | (ecx & BIT(28) ? XCR0_AVX : 0);
	}
	return 0;
}

/* Leaf 4 (Intel caches), 7 (features), Bh (topology). */
static void build_middle(const struct builder *b)
{
	u32 bits = log2_up(b->env->vcpus);
	struct cpuid_regs h7 = host_leaf(b, 0, 0);
	struct cpuid_regs r = { 0 };

	if (b->host && !b->env->vendor_amd) {
		for (u32 i = 0; i < 4; i++) {
			r = host_leaf(b, 4, i);
			if ((r.eax & 31) == 0)
				break;
			r.eax = (u32)field_set(r.eax, 31, 14, (1u << bits) - 1);
			add_sub(b->p, 4, i, r);
		}
	}
	r = (struct cpuid_regs){ 0 };
	if (b->host && h7.eax >= 7) {
		h7 = host_leaf(b, 7, 0);
		r.ebx = (u32)(h7.ebx & F7B_HOST);
		if (!(b->p->xcr0_valid & XCR0_AVX))
			r.ebx &= (u32)~F7B_AVX2;
		r.ecx = (u32)(h7.ecx & F7C_UMIP);
		r.edx = (u32)(h7.edx & F7D_FSRM);
	}
	add_sub(b->p, 7, 0, r);
	b->p->cr4_valid |= (r.ebx & F7B_FSGSBASE ? BIT(16) : 0) | (r.ebx & F7B_SMEP ? BIT(20) : 0) |
			   (r.ebx & F7B_SMAP ? BIT(21) : 0) | (r.ecx & F7C_UMIP ? BIT(11) : 0);
	/* One thread a core; all cores in one package. */
	add_sub(b->p, 0xb, 0, (struct cpuid_regs){ 0, 1, 1 << 8, 0 });
	add_sub(b->p, 0xb, 1, (struct cpuid_regs){ bits, b->env->vcpus, 2 << 8 | 1, 0 });
}

/* Leaf Dh: only the components that the guest may enable; EBX of subleaf 0 is dynamic. */
static void build_xsave(const struct builder *b)
{
	u64 valid = b->p->xcr0_valid;
	u32 total = 576;

	if (!valid)
		return;
	for (u32 i = 2; i < 63; i++) {
		struct cpuid_regs r;

		if (!(valid & BIT(i)))
			continue;
		r = host_leaf(b, 0xd, i);
		if (r.eax + r.ebx > total)
			total = r.eax + r.ebx;
		add_sub(b->p, 0xd, i, (struct cpuid_regs){ r.eax, r.ebx, 0, 0 });
	}
	/* First subleaf last, so that its index is known to be in range. */
	add_sub(b->p, 0xd, 0, (struct cpuid_regs){ (u32)valid, total, total, 0 });
	/* XSAVEOPT; no XSAVEC or XSAVES. */
	add_sub(b->p, 0xd, 1, (struct cpuid_regs){ host_leaf(b, 0xd, 1).eax & 1, 0, 0, 0 });
}

static void build_hypervisor(const struct builder *b)
{
	struct cpuid_regs r = { KVM_BASE + 0x10, 0x4b4d564b, 0x564b4d56, 0x4d };

	add(b->p, KVM_BASE, r); /* "KVMKVMKVM" */
	add(b->p, KVM_BASE + 1, (struct cpuid_regs){ (u32)KVM_FEATURES, 0, 0, 0 });
	add(b->p, KVM_BASE + 0x10,
	    (struct cpuid_regs){ (u32)b->env->tsc_khz, (u32)(b->env->apic_hz / 1000), 0, 0 });
}

static void add_brand(const struct builder *b)
{
	char text[48] = "Godwit virtual CPU v1";

	for (u32 i = 0; i < 3; i++) {
		struct cpuid_regs r = host_leaf(b, 0x80000002 + i, 0);

		if (!b->host)
			memcpy(&r, text + 16 * i, 16);
		add(b->p, 0x80000002 + i, r);
	}
}

static int build_extended(const struct builder *b)
{
	struct cpuid_regs h = host_leaf(b, 0x80000001, 0), h8 = host_leaf(b, 0x80000008, 0),
			  r = { 0 };
	u32 bits = log2_up(b->env->vcpus);
	u64 edx = FXD_V1, ecx = FXC_V1;
	int rc = require(b, "CPUID 80000001h EDX", h.edx, FXD_V1);

	if (!rc)
		rc = require(b, "CPUID 80000001h ECX", h.ecx, FXC_V1);
	if (rc)
		return rc;
	if (b->host) {
		edx |= h.edx & (FXD_1G | FXD_FFXSR);
		ecx = h.ecx & FXC_HOST;
	}
	if (b->env->vendor_amd) {
		edx |= F1D_V1 & FXD_AMD_COPY;
		ecx |= b->env->vcpus > 1 ? FXC_CMP_LEGACY : 0;
	}
	b->p->max_ext = 0x80000008;
	b->p->efer_valid = EFER_BITS | (edx & FXD_FFXSR ? EFER_FFXSR : 0);
	r = host_leaf(b, 0x80000000, 0);
	r.eax = b->p->max_ext;
	add(b->p, 0x80000000, r);
	add(b->p, 0x80000001,
	    (struct cpuid_regs){ b->host ? h.eax : b->p->leaf[1].r.eax, 0, (u32)ecx, (u32)edx });
	add_brand(b);
	if (b->env->vendor_amd) {
		/* 32 KiB L1, 64-byte lines; 512 KiB L2, 8 MiB L3, 16-way: plain figures that
		 * do not change under a guest that moves. */
		add(b->p, 0x80000005, (struct cpuid_regs){ 0, 0, 0x20080140, 0x20080140 });
		add(b->p, 0x80000006, (struct cpuid_regs){ 0, 0, 0x02006140, 0x00408140 });
	} else {
		add(b->p, 0x80000006, (struct cpuid_regs){ 0, 0, 0x02006040, 0 });
	}
	b->p->maxphyaddr = b->host ? (u8)h8.eax : V1_MAXPHYADDR;
	if (b->p->maxphyaddr > (u8)h8.eax) {
		fmt_snprintf(b->why, b->why_size,
			     "this host has %u physical address bits, cpu model '%s' has %u",
			     (u8)h8.eax, b->p->model, b->p->maxphyaddr);
		return -ENOTSUP;
	}
	add(b->p, 0x80000008,
	    (struct cpuid_regs){ 48u << 8 | b->p->maxphyaddr, 0, bits << 12 | (b->env->vcpus - 1),
				 0 });
	return 0;
}

int cpu_policy_build(struct cpu_policy *p, const char *model, const struct cpu_policy_env *env,
		     char *why, size_t why_size)
{
	struct builder b = { .p = p, .env = env, .why = why, .why_size = why_size };
	int rc;

	b.host = strcmp(model, "host") == 0;
	if (!b.host && strcmp(model, "godwit-v1") != 0) {
		fmt_snprintf(why, why_size, "unknown cpu model '%s': godwit-v1 or host", model);
		return -EINVAL;
	}
	memset(p, 0, sizeof(*p));
	str_copy(p->model, sizeof(p->model), model);
	p->cr4_valid = CR4_ALWAYS;
	rc = build_basic(&b);
	if (rc)
		return rc;
	build_middle(&b);
	build_xsave(&b);
	build_hypervisor(&b);
	rc = build_extended(&b);
	if (rc)
		return rc;
	if (p->count == CPU_POLICY_LEAVES) {
		fmt_snprintf(why, why_size, "cpu model '%s' fills the table of %u CPUID leaves",
			     model, CPU_POLICY_LEAVES);
		return -ENOSPC;
	}
	return 0;
}

static const struct cpu_policy_leaf *find(const struct cpu_policy *p, u32 leaf, u32 sub)
{
	u32 low = leaf & 0x7fffffff;
	u32 i;

	if (low < 32) {
		i = leaf & 0x80000000 ? p->ext_index[low] : p->basic_index[low];
		if (i == 0)
			return NULL;
		if (!p->leaf[i - 1].indexed || sub == p->leaf[i - 1].subleaf)
			return &p->leaf[i - 1];
	}
	for (i = 0; i < p->count; i++)
		if (p->leaf[i].leaf == leaf && (!p->leaf[i].indexed || p->leaf[i].subleaf == sub))
			return &p->leaf[i];
	return NULL;
}

/* Size of the XSAVE area for the components enabled now: CPUID Dh.0 EBX. */
static u32 xsave_size(const struct cpu_policy *p, u64 xcr0)
{
	u32 size = 576;

	for (u32 i = 2; i < 63 && xcr0 >> i; i++) {
		const struct cpu_policy_leaf *l = xcr0 & BIT(i) ? find(p, 0xd, i) : NULL;

		if (l && l->r.eax + l->r.ebx > size)
			size = l->r.eax + l->r.ebx;
	}
	return size;
}

void cpu_policy_cpuid(const struct cpu_policy *p, u32 leaf, u32 subleaf,
		      const struct cpu_policy_dynamic *d, struct cpuid_regs *out)
{
	const struct cpu_policy_leaf *l = find(p, leaf, subleaf);

	*out = l ? l->r : (struct cpuid_regs){ 0 };
	switch (leaf) {
	case 1:
		out->ebx |= d->apic_id << 24;
		if (d->cr4 & BIT(18))
			out->ecx |= (u32)F1C_OSXSAVE;
		break;
	case 0xb:
		out->ecx = (out->ecx & ~0xffu) | (subleaf & 0xff);
		out->edx = d->apic_id;
		break;
	case 0xd:
		if (l && subleaf == 0)
			out->ebx = xsave_size(p, d->xcr0);
		break;
	default:
		break;
	}
}
