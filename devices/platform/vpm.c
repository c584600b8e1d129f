/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI fixed hardware, ACPI specification 6.4 §4.8.3. There is no SMM, so the machine is
 * always in ACPI mode (SCI_EN reads 1).
 */
#include "devices/platform/vpm.h"

#include "guest/vm/machine.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define STS_TMR	   0x0001u
#define STS_PWRBTN 0x0100u
#define STS_WAK	   0x8000u
#define STS_VALID  (STS_TMR | STS_PWRBTN | STS_WAK)
/* GBL_EN and RTC_EN can be set, as drivers check, though their status bits never come: the
 * alarm interrupts by IRQ 8. */
#define EN_VALID   (STS_TMR | 0x0020u | STS_PWRBTN | 0x0400u)

#define CNT_SCI_EN  0x0001u
#define CNT_SLP_TYP 0x1c00u
#define CNT_SLP_EN  0x2000u
#define CNT_VALID   (CNT_SLP_TYP | 0x0002u)

#define NS_PER_S 1000000000ull

/* Times 2^64, rounded up: no tick comes late, and none early within a century. */
#define TICKS_PER_NS ((u64)(((unsigned __int128)VPM_TIMER_HZ << 64) / NS_PER_S) + 1)

static u64 ticks(const struct vpm *p)
{
	u64 ns = p->env.now_ns(p->env.ctx);

	return (u64)((unsigned __int128)ns * TICKS_PER_NS >> 64);
}

static void update(struct vpm *p)
{
	bool line = (p->sts & p->en & (STS_TMR | STS_PWRBTN)) != 0;

	if (line == p->line)
		return;
	p->line = line;
	p->env.sci(p->env.ctx, line);
}

/* TMR_STS is set whenever bit 23 changes: once every 2^23 ticks, 2.3 s. */
static void sync_timer(struct vpm *p)
{
	u64 halves = ticks(p) >> 23;

	if (halves != p->tmr_seen)
		p->sts |= STS_TMR;
	p->tmr_seen = halves;
}

static void arm(struct vpm *p)
{
	u64 t = (p->tmr_seen + 1) << 23;

	if (p->en & STS_TMR)
		p->env.arm(p->env.ctx, t / VPM_TIMER_HZ * NS_PER_S +
					       t % VPM_TIMER_HZ * NS_PER_S / VPM_TIMER_HZ + 1);
}

void vpm_timer(struct vpm *p)
{
	sync_timer(p);
	arm(p);
	update(p);
}

bool vpm_power_button(struct vpm *p)
{
	p->sts |= STS_PWRBTN;
	update(p);
	return (p->en & STS_PWRBTN) != 0;
}

static void write_cnt(struct vpm *p, u16 v)
{
	p->cnt = v & CNT_VALID;
	if (!(v & CNT_SLP_EN))
		return;
	if ((v & CNT_SLP_TYP) >> 10 == MACHINE_PM_SLP_TYP_S5)
		p->env.power_off(p->env.ctx);
	else
		p->sts |= STS_WAK; /* no other sleep state: awake again at once */
}

/* Bytes of a register at byte 'reg' that the access [off, off+size) covers, merged into old. */
static bool merge(u16 old, unsigned reg, u64 off, unsigned size, u64 value, u16 *out)
{
	bool hit = false;

	*out = old;
	for (unsigned i = 0; i < 2; i++) {
		if (reg + i < off || reg + i >= off + size)
			continue;
		*out = (u16)field_set(*out, i * 8 + 7, i * 8, value >> ((reg + i - off) * 8));
		hit = true;
	}
	return hit;
}

static NOINLINE void write_block(struct vpm *p, u64 off, unsigned size, u64 value)
{
	u16 v;

	sync_timer(p);
	if (merge(0, 0, off, size, value, &v))
		p->sts &= (u16)~v; /* 1 clears; bytes not written clear nothing */
	if (merge(p->en, 2, off, size, value, &v))
		p->en = v & EN_VALID;
	arm(p);
	if (merge(p->cnt, 4, off, size, value, &v))
		write_cnt(p, v);
	update(p);
}

static NOINLINE u64 read_block(struct vpm *p, u64 off)
{
	u64 low;

	sync_timer(p);
	low = (u64)p->sts | (u64)p->en << 16 | (u64)(p->cnt | CNT_SCI_EN) << 32;
	return low >> (off * 8);
}

HOT void vpm_io(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	struct vpm *p = ctx;

	if (write)
		write_block(p, off, size, *value);
	else if (off >= 8) /* the PM timer, 24 bits */
		*value = (ticks(p) & 0xffffff) >> ((off - 8) * 8);
	else
		*value = read_block(p, off);
}

void vpm_cf9(struct vpm *p, bool write, u8 *value)
{
	if (!write) {
		*value = p->cf9;
		return;
	}
	p->cf9 = *value & 0x0a;
	if (*value & 0x04)
		p->env.reset(p->env.ctx);
}

void vpm_port92(struct vpm *p, bool write, u8 *value)
{
	if (!write) {
		*value = p->port92;
		return;
	}
	p->port92 = *value & 0x02; /* A20: stored, never masked */
	if (*value & 0x01)
		p->env.reset(p->env.ctx);
}

void vpm_reset(void *state)
{
	struct vpm *p = state;

	p->sts = p->en = p->cnt = 0;
	p->cf9 = 0;
	p->port92 = 0x02;
	p->tmr_seen = ticks(p) >> 23;
	update(p);
}

void vpm_init(struct vpm *p, const struct vpm_env *env)
{
	memset(p, 0, sizeof(*p));
	p->env = *env;
	vpm_reset(p);
}

int vpm_resume(void *state)
{
	struct vpm *p = state;

	if ((p->sts & ~STS_VALID) || (p->en & ~EN_VALID) || (p->cnt & ~CNT_VALID) ||
	    (p->cf9 & ~0x0a) || (p->port92 & ~0x02))
		return -EINVAL;
	sync_timer(p);
	arm(p);
	p->line = false;
	update(p);
	return 0;
}

const struct vmstate_field vpm_fields[] = {
	VMSTATE(struct vpm, sts, VMS_U16),   VMSTATE(struct vpm, en, VMS_U16),
	VMSTATE(struct vpm, cnt, VMS_U16),   VMSTATE(struct vpm, cf9, VMS_U8),
	VMSTATE(struct vpm, port92, VMS_U8), VMSTATE(struct vpm, tmr_seen, VMS_U64),
};
const u32 vpm_nfields = ARRAY_SIZE(vpm_fields);
