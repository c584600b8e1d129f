/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of the fields, and the checks that stand between a stream and this host.
 */
#include "guest/migrate/records.h"

#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

/* ---- configuration --------------------------------------------------------------------- */

static void add_net(struct text *t, u32 i, const struct config_net *n)
{
	const u8 *m = n->mac;

	text_add(t, "net%u = %s mac=%02x:%02x:%02x:%02x:%02x:%02x", i,
		 n->kind == CONFIG_NET_PV ? "pv" : "vf", m[0], m[1], m[2], m[3], m[4], m[5]);
	if (n->twin)
		text_add(t, " twin=yes");
	else if (n->nic[0])
		text_add(t, " nic=%s", n->nic);
	if (n->hotplug)
		text_add(t, " hotplug=yes");
	if (n->standby)
		text_add(t, " standby=yes");
	if (n->vlan)
		text_add(t, " vlan=%u", n->vlan);
	if (n->rate_bps)
		text_add(t, " rate=%lu", n->rate_bps);
	if (n->queues)
		text_add(t, " queues=%u", n->queues);
	if (n->mtu)
		text_add(t, " mtu=%u", n->mtu);
	text_add(t, "%s\n", n->no_packed ? " packed=no" : "");
}

/* A section that names NICs is good with theirs only; the receiver has its own of these names. */
static void add_nics(struct text *t, const struct config_vm *c)
{
	for (u32 i = 0; i < CONFIG_NETS; i++) {
		u32 k = 0;

		while (k < i && (c->net[k].twin || strcmp(c->net[k].nic, c->net[i].nic) != 0))
			k++;
		if (k == i && c->net[i].nic[0] && !c->net[i].twin)
			text_add(t, "[nic %s]\nmatch = 8086:10c9\nvfs = 1\n", c->net[i].nic);
	}
}

void mig_config_text(const struct config_vm *c, struct text *t)
{
	const char *quote = "\""; /* keeps '#', and blanks at the ends */

	add_nics(t, c);
	text_add(t, "[vm %s]\nmemory = %lu\ncpus = %u\nweight = %u\ncpu = %s\nkernel = %s\n",
		 c->name, c->memory, c->cpus, c->weight, c->cpu, c->kernel);
	if (c->initrd[0])
		text_add(t, "initrd = %s\n", c->initrd);
	for (u32 i = 0; i < c->nmodules; i++)
		text_add(t, "module = %s\n", c->modules[i]);
	for (const char *p = c->cmdline; *p; p++)
		if (*p == '"')
			quote = ""; /* with quotes of its own it came without any around it */
	if (c->cmdline[0])
		text_add(t, "cmdline = %s%s%s\n", quote, c->cmdline, quote);
	for (u32 i = 0; i < CONFIG_NETS; i++)
		if (c->net[i].kind != CONFIG_NET_NONE)
			add_net(t, i, &c->net[i]);
}

const char *mig_config_bound(const struct config_vm *c, bool leaves)
{
	bool disk = false, function = c->npci != 0;

	for (u32 i = 0; i < CONFIG_DISKS; i++)
		disk |= c->disk[i].kind != CONFIG_DISK_NONE;
	for (u32 i = 0; i < CONFIG_NETS; i++)
		function |= c->net[i].pci[0] && !(leaves && config_net_primary(c, i));
	return c->courier ? "serves its host" :
	       disk	  ? "has a disk of its host's" :
	       function	  ? "has a function of its host's" :
			    NULL;
}

/* ---- the host -------------------------------------------------------------------------- */

#define HOST(f, ty) VMSTATE(struct mig_host, f, ty)
#define HOST_ARRAY(f, ty) VMSTATE_ARRAY(struct mig_host, f, ty)

const struct vmstate_field mig_host_fields[] = {
	HOST_ARRAY(backend, VMS_BYTES), HOST(tsc_khz, VMS_U64),	  HOST(cr4_valid, VMS_U64),
	HOST(efer_valid, VMS_U64),	HOST(xcr0_valid, VMS_U64), HOST(maxphyaddr, VMS_U8),
	HOST_ARRAY(cpuid, VMS_U32),	HOST_ARRAY(device, VMS_BYTES),
	HOST_ARRAY(instance, VMS_U32),	HOST_ARRAY(version, VMS_U32),
};
const u32 mig_host_nfields = ARRAY_SIZE(mig_host_fields);

/* The guest's clocks are set right for this; what it measured itself stays as it is. */
#define TSC_TOLERANCE 1000u /* one part in */
#define LEAF_KHZ      0x40000010u /* tells the same as tsc_khz */

void mig_host_make(struct mig_host *h, const char *backend, u64 tsc_khz, const struct cpu_policy *p,
		   struct vdev *const *dev, u32 n)
{
	*h = (struct mig_host){ .tsc_khz = tsc_khz,
				.cr4_valid = p->cr4_valid,
				.efer_valid = p->efer_valid,
				.xcr0_valid = p->xcr0_valid,
				.maxphyaddr = p->maxphyaddr };
	(void)str_copy(h->backend, sizeof(h->backend), backend);
	for (u32 i = 0; i < p->count; i++) {
		const struct cpu_policy_leaf *l = &p->leaf[i];
		const u32 words[] = { l->leaf,	l->indexed ? l->subleaf : ~0u,
				      l->r.eax, l->r.ebx,
				      l->r.ecx, l->r.edx };

		memcpy(&h->cpuid[i * 6], words, sizeof(words));
	}
	for (u32 i = 0; i < n && i < MIG_DEVICES; i++) {
		(void)str_copy(&h->device[i * MIG_DEVICE_NAME], MIG_DEVICE_NAME, dev[i]->name);
		h->instance[i] = dev[i]->instance;
		h->version[i] = dev[i]->version;
	}
}

static bool same_leaf(const u32 *a, const u32 *b)
{
	return memcmp(a, b, 6 * sizeof(*a)) == 0 || (a[0] == LEAF_KHZ && b[0] == LEAF_KHZ);
}

static int check_policy(const struct mig_host *a, const struct mig_host *b, struct text *why)
{
	for (u32 i = 0; i < ARRAY_SIZE(a->cpuid); i += 6)
		if (!same_leaf(&a->cpuid[i], &b->cpuid[i])) {
			text_add(why, "CPUID leaf %#x differs: the guest has %08x %08x %08x %08x, "
				 "here it would have %08x %08x %08x %08x", a->cpuid[i],
				 a->cpuid[i + 2], a->cpuid[i + 3], a->cpuid[i + 4], a->cpuid[i + 5],
				 b->cpuid[i + 2], b->cpuid[i + 3], b->cpuid[i + 4],
				 b->cpuid[i + 5]);
			return -ENOTSUP;
		}
	if (a->cr4_valid != b->cr4_valid || a->efer_valid != b->efer_valid ||
	    a->xcr0_valid != b->xcr0_valid || a->maxphyaddr != b->maxphyaddr) {
		text_add(why, "this host offers other bits of CR4, EFER, XCR0 or of addresses");
		return -ENOTSUP;
	}
	return 0;
}

static int check_devices(const struct mig_host *a, const struct mig_host *b, struct text *why)
{
	for (u32 i = 0; i < MIG_DEVICES; i++) {
		const char *x = &a->device[i * MIG_DEVICE_NAME];
		const char *y = &b->device[i * MIG_DEVICE_NAME];

		if (strncmp(x, y, MIG_DEVICE_NAME) == 0 && a->instance[i] == b->instance[i] &&
		    a->version[i] == b->version[i])
			continue;
		text_add(why, "device %u of the guest is another one than here, where it is %s%u "
			 "version %u", i, y[0] ? y : "none", b->instance[i], b->version[i]);
		return -ENOTSUP;
	}
	return 0;
}

int mig_host_check(const struct mig_host *theirs, const struct mig_host *ours, char *why,
		   size_t why_size)
{
	struct text t = text_make(why, why_size);
	u64 off = theirs->tsc_khz > ours->tsc_khz ? theirs->tsc_khz - ours->tsc_khz
						  : ours->tsc_khz - theirs->tsc_khz;
	int rc;

	if (strncmp(theirs->backend, ours->backend, sizeof(ours->backend)) != 0) {
		text_add(&t, "the guest comes from another kind of CPU, this host has %s",
			 ours->backend);
		return -ENOTSUP;
	}
	if (off > ours->tsc_khz / TSC_TOLERANCE) {
		text_add(&t, "the guest's TSC runs at %lu kHz, this host's at %lu",
			 theirs->tsc_khz, ours->tsc_khz);
		return -ENOTSUP;
	}
	rc = check_policy(theirs, ours, &t);
	return rc ? rc : check_devices(theirs, ours, &t);
}

/* ---- a vCPU ---------------------------------------------------------------------------- */

#define CPU(n, f, ty)                                                                      \
	{ n, offsetof(struct mig_vcpu, f), sizeof(((struct mig_vcpu *)0)->f), 1, (ty) }
#define CPU_ARRAY(n, f, ty)                                                                \
	{ n, offsetof(struct mig_vcpu, f), sizeof(((struct mig_vcpu *)0)->f[0]),           \
	  ARRAY_SIZE(((struct mig_vcpu *)0)->f), (ty) }
#define SYS(n, reg) CPU(n, sys[reg], VMS_U64)

const struct vmstate_field mig_vcpu_fields[] = {
	CPU_ARRAY("gpr", regs.gpr, VMS_U64),
	CPU("rip", regs.rip, VMS_U64),
	CPU("rflags", regs.rflags, VMS_U64),
	CPU_ARRAY("seg_base", seg_base, VMS_U64),
	CPU_ARRAY("seg_limit", seg_limit, VMS_U32),
	CPU_ARRAY("seg_selector", seg_sel, VMS_U16),
	CPU_ARRAY("seg_attributes", seg_attr, VMS_U16),
	CPU_ARRAY("table_base", table_base, VMS_U64),
	CPU_ARRAY("table_limit", table_limit, VMS_U32),
	SYS("cr0", HVM_CR0), SYS("cr2", HVM_CR2), SYS("cr3", HVM_CR3), SYS("cr4", HVM_CR4),
	SYS("dr6", HVM_DR6), SYS("dr7", HVM_DR7), SYS("efer", HVM_EFER), SYS("pat", HVM_PAT),
	SYS("star", HVM_STAR), SYS("lstar", HVM_LSTAR), SYS("cstar", HVM_CSTAR),
	SYS("sfmask", HVM_SFMASK), SYS("kernel_gs_base", HVM_KERNEL_GS_BASE),
	SYS("sysenter_cs", HVM_SYSENTER_CS), SYS("sysenter_esp", HVM_SYSENTER_ESP),
	SYS("sysenter_eip", HVM_SYSENTER_EIP), SYS("tsc_aux", HVM_TSC_AUX),
	SYS("xcr0", HVM_XCR0),
	CPU("mtrr_def", msr.mtrr_def, VMS_U64),
	CPU_ARRAY("mtrr_fixed", msr.mtrr_fixed, VMS_U64),
	CPU_ARRAY("mtrr_variable", msr.mtrr_var, VMS_U64),
	CPU("misc_enable", msr.misc_enable, VMS_U64),
	CPU("mcg_status", msr.mcg_status, VMS_U64),
	CPU("de_cfg", msr.de_cfg, VMS_U64),
	CPU("kvm_system_time", msr.kvm_system_time, VMS_U64),
	CPU("kvm_wall_clock", msr.kvm_wall_clock, VMS_U64),
	CPU("kvm_pv_eoi", msr.kvm_pv_eoi, VMS_U64),
	CPU("kvmclock_version", kvmclock_version, VMS_U32),
	CPU("tsc", tsc, VMS_U64),
	CPU("event", state.queued, VMS_BOOL),
	CPU("event_vector", state.event.vector, VMS_U8),
	CPU("event_type", state.event.type, VMS_U8),
	CPU("event_has_error", state.event.has_error, VMS_BOOL),
	CPU("event_error", state.event.error, VMS_U32),
	CPU("nmi_blocked", state.nmi_blocked, VMS_BOOL),
	CPU("shadow_sti", state.shadow_sti, VMS_BOOL),
	CPU("shadow_mov_ss", state.shadow_ss, VMS_BOOL),
	CPU("pending_debug", state.pending_db, VMS_U64),
	CPU_ARRAY("dr", state.dr, VMS_U64),
	CPU("xstate_bv", state.xstate, VMS_U64),
	CPU_ARRAY("fxsave", state.fxsave, VMS_BYTES),
	CPU_ARRAY("ymm_high", state.ymm_high, VMS_BYTES),
	CPU("run_state", run_state, VMS_U8),
	CPU("nmi_pending", nmi_pending, VMS_BOOL),
	CPU("init_pending", init_pending, VMS_BOOL),
	CPU("sipi_pending", sipi_pending, VMS_BOOL),
	CPU("sipi_vector", sipi_vector, VMS_U8),
};
const u32 mig_vcpu_nfields = ARRAY_SIZE(mig_vcpu_fields);

#define RFLAGS_ONE	BIT(1)
#define RFLAGS_RESERVED (MASK(63, 22) | BIT(15) | BIT(5) | BIT(3))
#define PENDING_DB	(MASK(3, 0) | BIT(12) | BIT(14))

/* The way a guest could have come there: every step is one that MOV and WRMSR allow. */
static const char *check_control(const struct mig_vcpu *v, const struct cpu_policy *p)
{
	const u64 *sys = v->sys;
	struct cpu_state s = { .cr0 = CR0_ET };

	if (!cpu_state_set_efer(&s, sys[HVM_EFER] & ~EFER_LMA, p->efer_valid))
		return "EFER";
	if (!cpu_state_set_cr4(&s, sys[HVM_CR4] & ~CR4_PCIDE, p->cr4_valid))
		return "CR4";
	if (!cpu_state_set_cr0(&s, sys[HVM_CR0]) || s.cr0 != sys[HVM_CR0])
		return "CR0";
	if (s.efer != sys[HVM_EFER])
		return "EFER.LMA";
	if (!cpu_state_set_cr4(&s, sys[HVM_CR4], p->cr4_valid))
		return "CR4.PCIDE";
	if (sys[HVM_CR3] & ~MASK(p->maxphyaddr - 1u, 0))
		return "CR3";
	if (sys[HVM_XCR0] != 1 && !cpu_state_xcr0_valid(sys[HVM_XCR0], p->xcr0_valid))
		return "XCR0";
	return NULL;
}

static const char *check_msrs(const struct mig_vcpu *v, const struct cpu_policy *p)
{
	const struct vcpu_msrs *m = &v->msr;

	for (u32 i = 0; i < HVM_SYSREGS; i++)
		if (!cpu_state_sysreg_valid((enum hvm_sysreg)i, v->sys[i]))
			return "an MSR";
	if (!cpu_state_mtrr_valid(0x2ff, m->mtrr_def, p->maxphyaddr))
		return "an MTRR";
	for (u32 i = 0; i < ARRAY_SIZE(m->mtrr_var); i++)
		if (!cpu_state_mtrr_valid(0x200 + i, m->mtrr_var[i], p->maxphyaddr))
			return "an MTRR";
	for (u32 i = 0; i < ARRAY_SIZE(m->mtrr_fixed); i++)
		if (!cpu_state_mtrr_valid(0x250, m->mtrr_fixed[i], p->maxphyaddr))
			return "an MTRR";
	return m->mcg_status > 7 ? "MCG_STATUS" : NULL;
}

static const char *check_state(const struct hvm_state *s, const struct cpu_policy *p)
{
	if (s->event.type == 1 || s->event.type > HVM_EVENT_EXCEPTION ||
	    (s->event.type == HVM_EVENT_EXCEPTION && s->event.vector > 31))
		return "the event";
	if ((s->pending_db & ~PENDING_DB) || (s->xstate & ~(p->xcr0_valid | 3)))
		return "pending debug traps or the FPU's components";
	return NULL;
}

static const char *check_rest(const struct mig_vcpu *v)
{
	if (!(v->regs.rflags & RFLAGS_ONE) || (v->regs.rflags & RFLAGS_RESERVED))
		return "RFLAGS";
	if ((v->sys[HVM_DR6] | v->sys[HVM_DR7]) >> 32)
		return "a debug register";
	for (u32 i = 0; i < HVM_SEGS; i++)
		if (!cpu_state_canonical(v->seg_base[i]) || v->seg_attr[i] >> 12)
			return "a segment";
	if (!cpu_state_canonical(v->table_base[0]) || !cpu_state_canonical(v->table_base[1]))
		return "a descriptor table";
	return v->run_state >= MIG_RUN_STATES ? "the run state" : NULL;
}

int mig_vcpu_check(const struct mig_vcpu *v, const struct cpu_policy *p, char *why, size_t why_size)
{
	const char *what = check_control(v, p);

	if (!what)
		what = check_msrs(v, p);
	if (!what)
		what = check_rest(v);
	if (!what)
		what = check_state(&v->state, p);
	if (!what)
		return 0;
	fmt_snprintf(why, why_size, "%s is what no CPU of model %s can have", what, p->model);
	return -EINVAL;
}
