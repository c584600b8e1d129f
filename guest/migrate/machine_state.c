/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a VM to records and back: gathers and spreads what guest/migrate/records.h describes.
 */
#include "guest/migrate/machine_state.h"

#include "guest/migrate/records.h"
#include "guest/migrate/vmstate.h"
#include "guest/vm/exit.h"
#include "guest/vm/vm.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/timer.h"

STATIC_ASSERT(VM_MAX_VDEVS <= MIG_DEVICES && VM_MAX_VCPUS <= 16, "tables of the stream");

/* Control is one; each is good for the time of one record. */
static struct mig_vcpu cpu_scratch;
static struct mig_host host_theirs, host_ours;

/* MIG_CLOCK. */
struct clock_state {
	u64 ns, at;
};

static const struct vmstate_field clock_fields[] = { VMSTATE(struct clock_state, ns, VMS_U64),
						     VMSTATE(struct clock_state, at, VMS_U64) };

int mig_can_move(const struct vm *vm, char *why, size_t why_size)
{
	const char *bound = mig_config_bound(vm->config, true);

	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED) {
		fmt_snprintf(why, why_size, "vm %s is %s", vm->name, vm_state_name(vm->state));
		return -EBUSY;
	}
	if (bound)
		fmt_snprintf(why, why_size, "vm %s %s", vm->name, bound);
	return bound ? -ENOTSUP : 0;
}

/* ---- saving ---------------------------------------------------------------------------- */

static u8 *payload(u8 *buf)
{
	return buf + MIG_RECORD_HEAD;
}

/* Fields behind the first 'head' bytes of the payload, and the length of all. */
static u32 put_fields(u8 *buf, u32 head, const void *state, const struct vmstate_field *f, u32 n)
{
	return head + vmstate_save(payload(buf) + head, MIG_RECORD_MAX - head, state, f, n);
}

u32 mig_save_intro(struct vm *vm, u32 *step, struct mig_sum *sum, u8 *buf)
{
	struct text t = text_make((char *)payload(buf), MIG_RECORD_MAX);

	switch ((*step)++) {
	case 0:
		mig_config_text(vm->config, &t);
		return mig_record_seal(sum, MIG_CONFIG, buf, (u32)t.len);
	case 1:
		mig_host_make(&host_ours, vm->ops->name, tsc_khz(), vm->policy, vm->vdev,
			      vm->vdevs);
		return mig_record_seal(sum, MIG_HOST, buf,
				       put_fields(buf, 0, &host_ours, mig_host_fields,
						  mig_host_nfields));
	default:
		return 0;
	}
}

static u8 run_state(const struct vcpu *v)
{
	return v->state == VCPU_WAIT_SIPI ? MIG_WAITS_SIPI :
	       v->state == VCPU_HALTED    ? MIG_HALTED :
					    MIG_RUNS;
}

static void gather_vcpu(struct vcpu *v, struct mig_vcpu *s)
{
	const struct hvm_ops *ops = v->vm->ops;
	u32 req = atomic_load_acquire(&v->requests);

	*s = (struct mig_vcpu){ .regs = v->regs,
				.msr = v->msr,
				.tsc = v->vm->paused_at + v->msr.tsc_adjust,
				.kvmclock_version = v->kvmclock_version,
				.run_state = run_state(v),
				.nmi_pending = v->nmi_pending || (req & VCPU_REQ_NMI),
				.init_pending = (req & VCPU_REQ_INIT) != 0,
				.sipi_pending = (req & VCPU_REQ_SIPI) != 0,
				.sipi_vector = (u8)v->sipi_vector };
	for (u32 i = 0; i < HVM_SEGS; i++) {
		struct hvm_segment seg;

		ops->get_seg(v->hv, (enum hvm_seg)i, &seg);
		s->seg_base[i] = seg.base;
		s->seg_limit[i] = seg.limit;
		s->seg_sel[i] = seg.sel;
		s->seg_attr[i] = seg.attr & 0xfff;
	}
	for (u32 i = 0; i < 2; i++) {
		struct hvm_dtable t;

		ops->get_dtable(v->hv, i == 1, &t);
		s->table_base[i] = t.base;
		s->table_limit[i] = t.limit;
	}
	for (u32 i = 0; i < HVM_SYSREGS; i++)
		s->sys[i] = ops->get_sys(v->hv, (enum hvm_sysreg)i);
	ops->get_state(v->hv, &s->state);
	/* The CPU may call in use what the guest has no way to reach. */
	s->state.xstate &= v->vm->policy->xcr0_valid | 3;
}

static u32 save_device(const struct vdev *d, struct mig_sum *sum, u8 *buf)
{
	u8 *p = payload(buf);
	u32 n = (u32)strlen(d->name);

	p[0] = (u8)n;
	memcpy(p + 1, d->name, n);
	put_le32(p + 1 + n, d->instance);
	put_le32(p + 5 + n, d->version);
	return mig_record_seal(sum, MIG_DEVICE, buf,
			       put_fields(buf, 9 + n, d->state, d->fields, d->nfields));
}

u32 mig_save_machine(struct vm *vm, u64 at, u32 *step, struct mig_sum *sum, u8 *buf)
{
	const struct clock_state clock = { tsc_to_ns(vm->paused_at), at };
	u32 i = (*step)++;

	if (i == 0)
		return mig_record_seal(sum, MIG_CLOCK, buf,
				       put_fields(buf, 0, &clock, clock_fields,
						  ARRAY_SIZE(clock_fields)));
	i--;
	if (i < vm->vcpus) {
		gather_vcpu(vm->vcpu[i], &cpu_scratch);
		put_le32(payload(buf), i);
		return mig_record_seal(sum, MIG_VCPU, buf,
				       put_fields(buf, 4, &cpu_scratch, mig_vcpu_fields,
						  mig_vcpu_nfields));
	}
	i -= vm->vcpus;
	return i < vm->vdevs ? save_device(vm->vdev[i], sum, buf) : 0;
}

/* ---- what comes first ------------------------------------------------------------------ */

static void first_problem(void *ctx, const char *line)
{
	struct text *why = ctx;

	if (!why->len)
		text_add(why, "%s", line);
}

int mig_load_config(const struct mig_record *r, struct config_vm *out, char *why, size_t why_size)
{
	struct config *c = kalloc(hv_owner(), sizeof(*c));
	struct text t = text_make(why, why_size);
	int rc = -ENOMEM;

	if (!c) {
		text_add(&t, "no memory to read the configuration");
		return rc;
	}
	rc = config_parse("stream", (const char *)r->data, r->len, c, first_problem, &t);
	if (!rc && (c->vms != 1 || mig_config_bound(&c->vm[0], false))) {
		text_add(&t, "the configuration in the stream %s",
			 c->vms == 1 ? mig_config_bound(&c->vm[0], false)
				     : "is not that of one VM");
		rc = -EPROTO;
	}
	if (!rc)
		*out = c->vm[0];
	kfree(hv_owner(), c, sizeof(*c));
	return rc;
}

int mig_check_host(const struct vm *vm, const struct mig_record *r, char *why, size_t why_size)
{
	struct reader in = reader_make(r->data, r->len);
	int rc = vmstate_load(&in, &host_theirs, mig_host_fields, mig_host_nfields, why, why_size);

	if (rc)
		return rc;
	mig_host_make(&host_ours, vm->ops->name, tsc_khz(), vm->policy, vm->vdev, vm->vdevs);
	return mig_host_check(&host_theirs, &host_ours, why, why_size);
}

/* ---- loading --------------------------------------------------------------------------- */

static int load_clock(struct mig_machine *m, struct reader *in, char *why, size_t why_size)
{
	struct clock_state c;
	int rc = vmstate_load(in, &c, clock_fields, ARRAY_SIZE(clock_fields), why, why_size);
	u64 ticks, tsc = tsc_read(), now = time_ns_at(tsc);

	if (rc)
		return rc;
	if (m->has_clock || c.ns >> 62) {
		str_copy(why, why_size, "the clock's record comes twice, or is beyond all time");
		return -EPROTO;
	}
	m->has_clock = true;
	/* What cannot be, or is not known, counts as this instant. */
	m->stopped = c.at < m->began || c.at > now ? tsc : tsc - ns_to_tsc(now - c.at);
	/* Rounded up, also by what the conversion loses: no event of the past is to lie ahead. */
	ticks = ns_to_tsc(c.ns) + 1;
	if (tsc_to_ns(ticks) < c.ns)
		ticks += ns_to_tsc(c.ns - tsc_to_ns(ticks)) + 1;
	m->vm->paused_at = ticks;
	return 0;
}

static int spread_vcpu(struct vcpu *v, const struct mig_vcpu *s)
{
	const struct hvm_ops *ops = v->vm->ops;

	v->regs = s->regs;
	v->msr = s->msr;
	v->kvmclock_version = s->kvmclock_version & ~1u;
	v->state = s->run_state == MIG_WAITS_SIPI ? VCPU_WAIT_SIPI :
		   s->run_state == MIG_HALTED	  ? VCPU_HALTED :
						    VCPU_RUN;
	v->nmi_pending = s->nmi_pending;
	v->sipi_vector = s->sipi_vector;
	/* Whatever is pending is looked at once. */
	atomic_store_relaxed(&v->requests, (u32)(VCPU_REQ_IRQ | VCPU_REQ_FLUSH |
						 (s->init_pending ? VCPU_REQ_INIT : 0) |
						 (s->sipi_pending ? VCPU_REQ_SIPI : 0)));
	for (u32 i = 0; i < HVM_SYSREGS; i++)
		if (i != HVM_TSC_OFFSET && i != HVM_CR8)
			ops->set_sys(v->hv, (enum hvm_sysreg)i, s->sys[i]);
	for (u32 i = 0; i < HVM_SEGS; i++) {
		const struct hvm_segment seg = { s->seg_base[i], s->seg_limit[i], s->seg_sel[i],
						 s->seg_attr[i] };

		ops->set_seg(v->hv, (enum hvm_seg)i, &seg);
	}
	for (u32 i = 0; i < 2; i++) {
		const struct hvm_dtable t = { s->table_base[i], s->table_limit[i] };

		ops->set_dtable(v->hv, i == 1, &t);
	}
	return ops->set_state(v->hv, &s->state);
}

static int load_vcpu(struct mig_machine *m, struct reader *in, char *why, size_t why_size)
{
	u32 id = reader_u32(in);
	int rc;

	if (in->overrun || id >= m->vm->vcpus || (m->vcpus & BIT(id))) {
		fmt_snprintf(why, why_size, "a vCPU %u comes twice or is too many", id);
		return -EPROTO;
	}
	rc = vmstate_load(in, &cpu_scratch, mig_vcpu_fields, mig_vcpu_nfields, why, why_size);
	if (!rc)
		rc = mig_vcpu_check(&cpu_scratch, m->vm->policy, why, why_size);
	if (rc)
		return rc;
	m->vcpus |= (u32)BIT(id);
	m->tsc[id] = cpu_scratch.tsc;
	rc = spread_vcpu(m->vm->vcpu[id], &cpu_scratch);
	if (rc)
		fmt_snprintf(why, why_size, "the FPU state of vCPU %u is none of this CPU's", id);
	return rc;
}

static int load_device(struct mig_machine *m, struct reader *in, char *why, size_t why_size)
{
	u32 n = reader_u8(in), instance, version, i = 0;
	const u8 *name = reader_bytes(in, n);
	const struct vdev *d = NULL;

	instance = reader_u32(in);
	version = reader_u32(in);
	for (; i < m->vm->vdevs && !in->overrun && !d; i++) {
		const struct vdev *k = m->vm->vdev[i];

		if (k->instance == instance && k->version == version && strlen(k->name) == n &&
		    memcmp(k->name, name, n) == 0 && !(m->vdevs & BIT(i)))
			d = k;
	}
	if (!d) {
		str_copy(why, why_size, "a device comes twice or is none of this machine's");
		return -EPROTO;
	}
	m->vdevs |= (u32)BIT(i - 1);
	return vmstate_load(in, d->state, d->fields, d->nfields, why, why_size);
}

int mig_load_machine(struct mig_machine *m, const struct mig_record *r, char *why, size_t why_size)
{
	struct reader in = reader_make(r->data, r->len);
	int rc;

	switch (r->type) {
	case MIG_CLOCK:
		rc = load_clock(m, &in, why, why_size);
		break;
	case MIG_VCPU:
		rc = load_vcpu(m, &in, why, why_size);
		break;
	case MIG_DEVICE:
		rc = load_device(m, &in, why, why_size);
		break;
	default:
		fmt_snprintf(why, why_size, "record of type %u where the machine should be",
			     r->type);
		return -EPROTO;
	}
	if (!rc && reader_left(&in)) {
		fmt_snprintf(why, why_size, "%lu bytes too many in a record of type %u",
			     reader_left(&in), r->type);
		rc = -EPROTO;
	}
	return rc;
}

int mig_machine_check(struct mig_machine *m, char *why, size_t why_size)
{
	struct vm *vm = m->vm;

	if (!m->has_clock || m->vcpus != MASK(vm->vcpus - 1, 0) ||
	    m->vdevs != MASK(vm->vdevs - 1, 0)) {
		str_copy(why, why_size, "the stream ends before the machine is whole");
		return -EPROTO;
	}
	for (u32 i = 0; i < vm->vcpus; i++)
		vm->vcpu[i]->msr.tsc_adjust = m->tsc[i] - vm->paused_at;
	return vm_devices_resume(vm, why, why_size);
}

int mig_machine_start(struct mig_machine *m, bool paused, char *why, size_t why_size)
{
	struct vm *vm = m->vm;

	spin_lock(&vm->lock);
	vm_quiesce(vm);
	vm->state = VM_PAUSED;
	vm->moved = true;
	vm->tsc_offset = vm->paused_at - m->stopped;
	vm->clock_runs = !paused;
	spin_unlock(&vm->lock);
	for (u32 i = 0; i < vm->vcpus; i++)
		vcpu_tpr_changed(vm->vcpu[i]);
	return paused ? 0 : vm_resume(vm, why, why_size);
}
