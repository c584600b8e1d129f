/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC registers, seen through the xAPIC page or as x2APIC MSRs, and IA32_APIC_BASE.
 * Intel SDM vol. 3 §11.4 and §11.12.
 */
#include "devices/platform/vlapic.h"
#include "devices/platform/vlapic_priv.h"

/* Registers by number: MMIO offset / 16 = MSR - 800h. */
enum {
	REG_ID = 0x02,
	REG_VERSION = 0x03,
	REG_TPR = 0x08,
	REG_APR = 0x09,
	REG_PPR = 0x0a,
	REG_EOI = 0x0b,
	REG_RRD = 0x0c,
	REG_LDR = 0x0d,
	REG_DFR = 0x0e,
	REG_SVR = 0x0f,
	REG_ISR = 0x10,
	REG_TMR = 0x18,
	REG_IRR = 0x20,
	REG_ESR = 0x28,
	REG_ICR = 0x30,
	REG_ICR_HIGH = 0x31,
	REG_LVT = 0x32,
	REG_LVT_ERROR = 0x37,
	REG_TMICT = 0x38,
	REG_TMCCT = 0x39,
	REG_DCR = 0x3e,
	REG_SELF_IPI = 0x3f,
};

/* Integrated APIC, six LVT entries. */
#define VERSION	       (0x14u | (VLAPIC_LVTS - 1u) << 16)
#define SVR_VALID      0x3ffu
#define ICR_LOW_VALID  0xccfffu
#define ICR_STATUS     BIT(12)
#define LVT_PIN_BITS   0xe000u /* polarity, remote IRR, trigger mode */

/* Bits of LVT entry n that can be non-zero. */
u32 vlapic_lvt_valid(const struct vlapic *v, unsigned n)
{
	u32 valid = LVT_VECTOR | LVT_MASKED;

	switch (n) {
	case VLAPIC_LVT_TIMER:
		return valid | LVT_PERIODIC | (v->cfg.tsc_deadline ? LVT_DEADLINE : 0);
	case VLAPIC_LVT_LINT0:
	case VLAPIC_LVT_LINT1:
		return valid | LVT_DELIVERY | LVT_PIN_BITS;
	case VLAPIC_LVT_ERROR:
		return valid;
	default:
		return valid | LVT_DELIVERY;
	}
}

static u32 queue_word(const u64 *q, u32 reg)
{
	return (u32)(atomic_load_relaxed(&q[(reg & 7) >> 1]) >> ((reg & 1) * 32));
}

static u32 logical_id(const struct vlapic *v)
{
	if (!vlapic_is_x2(v))
		return v->ldr;
	return (v->cfg.id >> 4) << 16 | 1u << (v->cfg.id & 15);
}

/* Registers that both modes read alike; false: there is none of that number. */
static bool read_reg(struct vlapic *v, u32 reg, u32 *value)
{
	switch (reg) {
	case REG_ID:
		*value = vlapic_is_x2(v) ? v->cfg.id : v->cfg.id << 24;
		return true;
	case REG_VERSION:
		*value = VERSION;
		return true;
	case REG_TPR:
		*value = v->tpr;
		return true;
	case REG_PPR:
		*value = v->ppr;
		return true;
	case REG_LDR:
		*value = logical_id(v);
		return true;
	case REG_SVR:
		*value = v->svr;
		return true;
	case REG_ISR ... REG_ISR + 7:
		*value = queue_word(v->isr, reg);
		return true;
	case REG_TMR ... REG_TMR + 7:
		*value = queue_word(v->tmr, reg);
		return true;
	case REG_IRR ... REG_IRR + 7:
		*value = queue_word(v->irr, reg);
		return true;
	case REG_ESR:
		*value = v->esr;
		return true;
	case REG_ICR:
		*value = (u32)v->icr;
		return true;
	case REG_LVT ... REG_LVT_ERROR:
		*value = v->lvt[reg - REG_LVT];
		return true;
	case REG_TMICT:
		*value = v->tmict;
		return true;
	case REG_TMCCT:
		*value = vlapic_timer_count(v);
		return true;
	case REG_DCR:
		*value = v->dcr;
		return true;
	default:
		return false;
	}
}

/* Send what the ICR holds. dest is as wide as the mode has it. */
static void send_ipi(struct vlapic *v, u32 low, u32 dest)
{
	struct apic_msg m = {
		.dest = dest,
		.logical = (low & BIT(11)) != 0,
		.assert = (low & BIT(14)) != 0,
		.level = (low & BIT(15)) != 0,
		.delivery = (u8)(low >> 8 & 7),
		.shorthand = (u8)(low >> 18 & 3),
		.vector = (u8)low,
	};

	if (m.delivery == APIC_FIXED || m.delivery == APIC_LOWEST) {
		if (unlikely(m.vector < 16)) {
			vlapic_error(v, ESR_SEND_VECTOR);
			return;
		}
		m.level = false; /* IPIs are edge triggered, whatever bit 15 says */
		if (m.shorthand == APIC_SELF) {
			if (vlapic_fixed_ok(v))
				vlapic_post(v, m.vector, false);
			return;
		}
	}
	v->env.send(v->env.ctx, &m);
}

static void write_svr(struct vlapic *v, u32 value)
{
	atomic_store_relaxed(&v->svr, value & SVR_VALID);
	if (value & SVR_ENABLE)
		return;
	for (unsigned i = 0; i < VLAPIC_LVTS; i++)
		atomic_store_relaxed(&v->lvt[i], v->lvt[i] | LVT_MASKED);
}

static void write_lvt(struct vlapic *v, unsigned n, u32 value)
{
	value &= vlapic_lvt_valid(v, n);
	if (!(v->svr & SVR_ENABLE))
		value |= LVT_MASKED;
	if (n == VLAPIC_LVT_TIMER) {
		vlapic_timer_set_lvt(v, value);
		return;
	}
	value &= ~(1u << 14); /* remote IRR is read-only, and 0: LINT pins are used as edges */
	atomic_store_relaxed(&v->lvt[n], value);
}

/* Bits that may be written as 1 in x2APIC mode, where others are #GP. Write-only and R/W. */
static bool writable(const struct vlapic *v, u32 reg, u32 *mask)
{
	switch (reg) {
	case REG_TPR:
	case REG_SELF_IPI:
		*mask = 0xff;
		return true;
	case REG_EOI:
	case REG_ESR:
		*mask = 0;
		return true;
	case REG_SVR:
		*mask = SVR_VALID;
		return true;
	case REG_LVT ... REG_LVT_ERROR:
		*mask = vlapic_lvt_valid(v, reg - REG_LVT) | (u32)LVT_STATUS;
		return true;
	case REG_TMICT:
		*mask = ~0u;
		return true;
	case REG_DCR:
		*mask = 0xb;
		return true;
	default:
		return false;
	}
}

/* Registers that both modes write alike. */
static void write_reg(struct vlapic *v, u32 reg, u32 value)
{
	switch (reg) {
	case REG_TPR:
		v->tpr = value & 0xff;
		vlapic_update_ppr(v);
		break;
	case REG_EOI:
		vlapic_eoi(v);
		break;
	case REG_SVR:
		write_svr(v, value);
		break;
	case REG_ESR:
		v->esr = atomic_swap(&v->esr_pending, 0u);
		break;
	case REG_LVT ... REG_LVT_ERROR:
		write_lvt(v, reg - REG_LVT, value);
		break;
	case REG_TMICT:
		vlapic_timer_set_count(v, value);
		break;
	case REG_DCR:
		vlapic_timer_set_divide(v, value);
		break;
	case REG_SELF_IPI:
		send_ipi(v, (u32)APIC_SELF << 18 | (value & 0xff), 0);
		break;
	default:
		break;
	}
}

/* ---- xAPIC page ------------------------------------------------------------------------ */

static void mmio_write(struct vlapic *v, u32 reg, u32 value)
{
	u32 mask;

	switch (reg) {
	case REG_LDR:
		atomic_store_relaxed(&v->ldr, value & 0xff000000);
		return;
	case REG_DFR:
		atomic_store_relaxed(&v->dfr, value | 0x0fffffff);
		return;
	case REG_ICR_HIGH:
		v->icr = (u32)v->icr | (u64)(value & 0xff000000) << 32;
		return;
	case REG_ICR: {
		u32 dest = (u32)(v->icr >> 56);

		v->icr = (v->icr & MASK(63, 32)) | (value & ICR_LOW_VALID);
		/* Physical FFh is everybody; a logical one is compared bit by bit. */
		send_ipi(v, (u32)v->icr, dest == 0xff && !(value & BIT(11)) ? ~0u : dest);
		return;
	}
	case REG_ID:
	case REG_VERSION:
	case REG_APR:
	case REG_PPR:
	case REG_RRD:
	case REG_ISR ... REG_IRR + 7:
	case REG_TMCCT:
		return; /* read-only */
	default:
		if (reg == REG_SELF_IPI || !writable(v, reg, &mask))
			vlapic_error(v, ESR_REGISTER);
		else
			write_reg(v, reg, value);
	}
}

static u32 mmio_read(struct vlapic *v, u32 reg)
{
	u32 value = 0;

	switch (reg) {
	case REG_DFR:
		return v->dfr;
	case REG_ICR_HIGH:
		return (u32)(v->icr >> 32);
	case REG_APR:
	case REG_EOI:
	case REG_RRD:
		return 0;
	default:
		if (!read_reg(v, reg, &value))
			vlapic_error(v, ESR_REGISTER);
		return value;
	}
}

/* Registers are 32 bits wide on 16-byte boundaries; anything else is undefined: 0, ignored. */
void vlapic_mmio(void *lapic, u64 off, unsigned size, bool write, u64 *value)
{
	struct vlapic *v = lapic;

	if (size != 4 || (off & 0xf) || off >= 0x400) {
		if (!write)
			*value = 0;
		return;
	}
	if (write)
		mmio_write(v, (u32)off >> 4, (u32)*value);
	else
		*value = mmio_read(v, (u32)off >> 4);
}

/* ---- MSRs ------------------------------------------------------------------------------ */

/* Mode changes: Intel SDM vol. 3 §11.12.5, figure "Local APIC state transitions". */
static bool write_base(struct vlapic *v, u64 value)
{
	u64 old = v->base;
	u64 known = APIC_BASE_BSP | APIC_BASE_ENABLE | MASK(v->cfg.maxphyaddr - 1u, PAGE_SHIFT);
	bool en = value & APIC_BASE_ENABLE, x2 = value & APIC_BASE_X2APIC;

	if (v->cfg.x2apic)
		known |= APIC_BASE_X2APIC;
	if ((value & ~known) || (x2 && !en))
		return false;
	if (x2 && !(old & APIC_BASE_ENABLE))
		return false; /* disabled -> x2APIC */
	if (en && !x2 && (old & APIC_BASE_X2APIC))
		return false; /* x2APIC -> xAPIC */
	value = (value & ~APIC_BASE_BSP) | (old & APIC_BASE_BSP);
	if (x2 && !(old & APIC_BASE_X2APIC))
		v->icr &= MASK(31, 0); /* the destination has another format now */
	if (x2 != !!(old & APIC_BASE_X2APIC))
		vlapic_page_stale(v);
	atomic_store_relaxed(&v->base, value);
	if (!en && (old & APIC_BASE_ENABLE))
		vlapic_reset_regs(v);
	return true;
}

static bool x2_write(struct vlapic *v, u32 reg, u64 value)
{
	u32 mask;

	if (reg == REG_ICR) {
		if ((u32)value & ~(ICR_LOW_VALID | (u32)ICR_STATUS))
			return false;
		v->icr = value & ~ICR_STATUS;
		send_ipi(v, (u32)value, (u32)(value >> 32));
		return true;
	}
	if (!writable(v, reg, &mask) || (value & ~(u64)mask))
		return false;
	write_reg(v, reg, (u32)value);
	return true;
}

HOT bool vlapic_wrmsr(void *lapic, u32 msr, u64 value)
{
	struct vlapic *v = lapic;

	if (msr == MSR_TSC_DEADLINE) {
		if (!v->cfg.tsc_deadline)
			return false;
		vlapic_timer_set_deadline(v, value);
		return true;
	}
	if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST)
		return vlapic_is_x2(v) && x2_write(v, msr - MSR_X2APIC_FIRST, value);
	return msr == MSR_APIC_BASE && write_base(v, value);
}

HOT bool vlapic_rdmsr(void *lapic, u32 msr, u64 *value)
{
	struct vlapic *v = lapic;
	u32 low = 0;

	if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST) {
		if (!vlapic_is_x2(v))
			return false;
		if (msr == MSR_X2APIC_FIRST + REG_ICR) {
			*value = v->icr;
			return true;
		}
		vlapic_quiesce(v);
		if (!read_reg(v, msr - MSR_X2APIC_FIRST, &low))
			return false;
		*value = low;
		return true;
	}
	if (msr == MSR_TSC_DEADLINE && v->cfg.tsc_deadline) {
		*value = vlapic_timer_deadline(v);
		return true;
	}
	if (msr != MSR_APIC_BASE)
		return false;
	*value = v->base;
	return true;
}
