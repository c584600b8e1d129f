/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table of features; the control words are sums over its rows.
 */
#include "arch/vmx/vmx_ctls.h"

#include "kernel/base/err.h"
#include "kernel/base/fmt.h"

enum { W_PIN, W_PROC, W_PROC2, W_EXIT, W_ENTRY, W_EPT, WORDS };

#define ADDRESS_32   BIT(48)	  /* basic: structures below 4 GiB only */
#define REGION_TYPE  MASK(53, 50) /* basic: memory type of the VMCS */
#define REGION_WB    (6ull << 50)
#define TIMER_SHIFT  MASK(4, 0)	  /* misc */

#define REQUIRED(w, m, n)     { .name = (n), .mask = (m), .word = (w) }
#define OPTIONAL(w, m, n, wo) { .name = (n), .without = (wo), .mask = (m), .word = (w) }

const struct hvm_feature vmx_features[VMX_FEATURES] = {
	REQUIRED(W_PROC, VMX_PROC_SECONDARY, "secondary controls"),
	REQUIRED(W_PROC2, VMX_PROC2_EPT, "extended page tables"),
	REQUIRED(W_PROC2, VMX_PROC2_UNRESTRICTED, "unrestricted guest"),
	REQUIRED(W_EPT, VMX_EPT_WALK4, "EPT walks of four levels"),
	REQUIRED(W_EPT, VMX_EPT_WB, "EPT tables in write-back memory"),
	REQUIRED(W_EPT, VMX_EPT_INVEPT, "INVEPT"),
	REQUIRED(W_PIN, VMX_PIN_INTR, "external-interrupt exiting"),
	REQUIRED(W_PIN, VMX_PIN_NMI, "NMI exiting"),
	REQUIRED(W_PIN, VMX_PIN_VNMI, "virtual NMIs"),
	REQUIRED(W_PROC, VMX_PROC_TSC_OFFSET, "TSC offsetting"),
	REQUIRED(W_PROC, VMX_PROC_HLT, "HLT exiting"),
	REQUIRED(W_PROC, VMX_PROC_MWAIT, "MWAIT exiting"),
	REQUIRED(W_PROC, VMX_PROC_MONITOR, "MONITOR exiting"),
	REQUIRED(W_PROC, VMX_PROC_RDPMC, "RDPMC exiting"),
	REQUIRED(W_PROC, VMX_PROC_CR8_LOAD | VMX_PROC_CR8_STORE, "CR8 exiting"),
	REQUIRED(W_PROC, VMX_PROC_IO, "I/O exiting"),
	REQUIRED(W_PROC, VMX_PROC_MSR_BITMAP, "MSR bitmaps"),
	REQUIRED(W_EXIT, VMX_EXIT_HOST64, "exits to 64-bit code"),
	REQUIRED(W_EXIT, VMX_EXIT_SAVE_DEBUG, "saving debug controls"),
	REQUIRED(W_EXIT, VMX_EXIT_LOAD_PAT, "loading PAT on exit"),
	REQUIRED(W_EXIT, VMX_EXIT_LOAD_EFER, "loading EFER on exit"),
	REQUIRED(W_ENTRY, VMX_ENTRY_LOAD_DEBUG, "loading debug controls"),
	REQUIRED(W_ENTRY, VMX_ENTRY_LOAD_PAT, "loading PAT on entry"),
	REQUIRED(W_ENTRY, VMX_ENTRY_LOAD_EFER, "loading EFER on entry"),
	OPTIONAL(W_EPT, VMX_EPT_2M, "EPT 2 MiB pages", "4 KiB pages"),
	OPTIONAL(W_EPT, VMX_EPT_1G, "EPT 1 GiB pages", "smaller pages"),
	OPTIONAL(W_EPT, VMX_EPT_AD, "EPT accessed and dirty bits", "write protection"),
	OPTIONAL(W_EPT, VMX_EPT_INVEPT_ONE, "INVEPT of one context", "of all contexts"),
	OPTIONAL(W_PROC2, VMX_PROC2_VPID, "VPID", "each entry and exit flushes"),
	OPTIONAL(W_EPT, VMX_EPT_INVVPID_ONE, "INVVPID of one context", "of all contexts"),
	OPTIONAL(W_PIN, VMX_PIN_PREEMPTION, "preemption timer", "the host's timer interrupt alone"),
	OPTIONAL(W_PROC2, VMX_PROC2_DIRECT, "TPR shadow, virtual interrupts",
		 "injection, EOI and CR8 exit"),
	OPTIONAL(W_PIN, VMX_PIN_POSTED, "posted interrupts", "a kick, which exits"),
	OPTIONAL(W_PROC2, VMX_PROC2_PLE, "pause-loop exiting", "the time slice ends spinning"),
	OPTIONAL(W_PROC2, VMX_PROC2_WBINVD, "WBINVD exiting", "the guest's WBINVD is executed"),
	OPTIONAL(W_PROC2, VMX_PROC2_RDTSCP, "RDTSCP in guests", "#UD"),
	OPTIONAL(W_PROC2, VMX_PROC2_INVPCID, "INVPCID in guests", "#UD"),
	OPTIONAL(W_PROC2, VMX_PROC2_PML, "page-modification logging", "write protection"),
};

STATIC_ASSERT(VMX_FEATURES <= 64, "absent is a bit set");

/* What may not be forced on, as no one above handles it; and what must be switchable. */
static const struct {
	u64 mask;
	u8 word;
	const char *name;
} forced[] = {
	{ VMX_PROC_CR3_LOAD | VMX_PROC_CR3_STORE, W_PROC, "CR3 exiting" },
	{ VMX_PROC_INVLPG, W_PROC, "INVLPG exiting" },
	{ VMX_PROC_RDTSC, W_PROC, "RDTSC exiting" },
	{ VMX_PROC_MOV_DR, W_PROC, "MOV-DR exiting" },
	{ VMX_PROC_MTF, W_PROC, "monitor trap flag" },
	{ VMX_PROC_IRQ_WINDOW | VMX_PROC_NMI_WINDOW, W_PROC, "window exiting" },
	{ VMX_ENTRY_IA32E, W_ENTRY, "IA-32e mode guest" },
}, switchable[] = {
	{ VMX_PROC_IRQ_WINDOW, W_PROC, "interrupt-window exiting" },
	{ VMX_PROC_NMI_WINDOW, W_PROC, "NMI-window exiting" },
	{ VMX_ENTRY_IA32E, W_ENTRY, "64-bit guests" },
};

static int refuse(char *why, size_t why_size, const char *format, const char *name)
{
	fmt_snprintf(why, why_size, format, name);
	return -ENOTSUP;
}

static int check_switches(const u32 *allowed0, const u64 *allowed1, char *why, size_t why_size)
{
	for (u32 i = 0; i < ARRAY_SIZE(forced); i++)
		if (allowed0[forced[i].word] & forced[i].mask)
			return refuse(why, why_size, "VMX with %s that cannot be switched off",
				      forced[i].name);
	for (u32 i = 0; i < ARRAY_SIZE(switchable); i++)
		if ((allowed1[switchable[i].word] & switchable[i].mask) != switchable[i].mask)
			return refuse(why, why_size, "VMX without %s", switchable[i].name);
	return 0;
}

/* What is there but lacks something that it needs. */
static void drop_dependent(const struct vmx_msrs *m, const u32 *word, u64 *allowed1)
{
	const u32 cr8 = (u32)(VMX_PROC_CR8_LOAD | VMX_PROC_CR8_STORE);

	/* Virtual interrupts want the guest's CR8 on the page too. */
	if (!(allowed1[W_PROC] & VMX_PROC_TPR_SHADOW) || (word[W_PROC] & cr8))
		allowed1[W_PROC2] &= ~VMX_PROC2_DIRECT;
	if ((allowed1[W_PROC2] & VMX_PROC2_DIRECT) != VMX_PROC2_DIRECT ||
	    !(allowed1[W_EXIT] & VMX_EXIT_ACK))
		allowed1[W_PIN] &= ~VMX_PIN_POSTED;
	if (!(m->ept_vpid & VMX_EPT_AD))
		allowed1[W_PROC2] &= ~VMX_PROC2_PML;
}

int vmx_ctls_compute(const struct vmx_msrs *m, struct vmx_ctls *out, char *why, size_t why_size)
{
	u64 allowed1[WORDS] = { m->pin >> 32,  m->proc >> 32,  m->proc2 >> 32,
				      m->exit >> 32, m->entry >> 32, m->ept_vpid };
	u32 word[WORDS] = { (u32)m->pin,  (u32)m->proc,	 (u32)m->proc2,
			    (u32)m->exit, (u32)m->entry, 0 };
	u64 absent = 0;
	bool direct, posted;
	int rc;

	if ((m->basic & REGION_TYPE) != REGION_WB)
		return refuse(why, why_size, "VMX whose VMCS is not in %s memory", "write-back");
	if (m->basic & ADDRESS_32)
		return refuse(why, why_size, "VMX with structures below %s only", "4 GiB");
	drop_dependent(m, word, allowed1);
	for (u32 i = 0; i < VMX_FEATURES; i++) {
		const struct hvm_feature *f = &vmx_features[i];

		if ((allowed1[f->word] & f->mask) == f->mask) {
			if (f->word != W_EPT)
				word[f->word] |= (u32)f->mask;
		} else if (!f->without) {
			return refuse(why, why_size, "VMX without %s", f->name);
		} else {
			absent |= BIT(i);
		}
	}
	rc = check_switches(word, allowed1, why, why_size);
	if (rc)
		return rc;
	/* A tagged TLB that no instruction can flush would be worse than none. */
	if (!(m->ept_vpid & VMX_EPT_INVVPID) ||
	    !(m->ept_vpid & (VMX_EPT_INVVPID_ONE | VMX_EPT_INVVPID_ALL)))
		word[W_PROC2] &= (u32)~VMX_PROC2_VPID;
	/* Not from the start, but by mode of the local APIC. */
	direct = (word[W_PROC2] & VMX_PROC2_DIRECT) == VMX_PROC2_DIRECT;
	word[W_PROC2] &= (u32)~VMX_PROC2_DIRECT;
	posted = (word[W_PIN] & VMX_PIN_POSTED) != 0;
	word[W_PIN] &= (u32)~VMX_PIN_POSTED;
	if (posted)
		word[W_EXIT] |= (u32)VMX_EXIT_ACK;
	*out = (struct vmx_ctls){
		.pin = word[W_PIN], .proc = word[W_PROC], .proc2 = word[W_PROC2],
		.exit = word[W_EXIT], .entry = word[W_ENTRY],
		.vpid = (word[W_PROC2] & VMX_PROC2_VPID) != 0,
		.preemption_timer = (word[W_PIN] & VMX_PIN_PREEMPTION) != 0,
		.direct = direct, .posted = posted,
		.pause_loop = (word[W_PROC2] & VMX_PROC2_PLE) != 0,
		.ept_ad = (m->ept_vpid & VMX_EPT_AD) != 0,
		.pml = (word[W_PROC2] & VMX_PROC2_PML) != 0,
		.ept_2m = (m->ept_vpid & VMX_EPT_2M) != 0,
		.ept_1g = (m->ept_vpid & VMX_EPT_1G) != 0,
		.invept_one = (m->ept_vpid & VMX_EPT_INVEPT_ONE) != 0,
		.invvpid_one = (m->ept_vpid & VMX_EPT_INVVPID_ONE) != 0,
		.timer_shift = (u8)(m->misc & TIMER_SHIFT), .absent = absent,
	};
	return 0;
}
