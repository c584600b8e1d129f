/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8259A pair: initialisation sequence, priorities, end of interrupt, poll, cascade.
 * Intel 8259A data sheet (231468).
 */
#include "devices/platform/vpic.h"

#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define CASCADE 2u

/* Inputs whose trigger mode is wired to edge: 0, 1, 2 and 8, 13. */
static const u8 elcr_valid[2] = { 0xf8, 0xde };

/* Position of the highest-priority bit of mask in the rotated order; 8 for none. */
static unsigned rank(const struct vpic_chip *c, u8 mask)
{
	unsigned n = 0;

	if (!mask)
		return 8;
	while (!(mask & 1u << ((c->first + n) & 7)))
		n++;
	return n;
}

/* The input to serve now, -1: none. */
static int request(const struct vpic_chip *c, bool master)
{
	u8 isr = c->isr;
	unsigned want = rank(c, c->irr & (u8)~c->imr);

	if (want == 8)
		return -1;
	if (c->special_mask)
		isr &= (u8)~c->imr;
	/* Special fully nested mode: the slave may interrupt its own service. */
	if (master && c->special_nested)
		isr &= (u8)~(1u << CASCADE);
	if (want >= rank(c, isr))
		return -1;
	return (int)((c->first + want) & 7);
}

static void set_input(struct vpic_chip *c, unsigned n, bool level)
{
	u8 bit = (u8)(1u << n);

	if (c->elcr & bit)
		c->irr = level ? c->irr | bit : c->irr & (u8)~bit;
	else if (level && !(c->line & bit))
		c->irr |= bit;
	c->line = level ? c->line | bit : c->line & (u8)~bit;
}

static void update(struct vpic *p)
{
	bool slave = request(&p->chip[1], false) >= 0, out;

	/* The cascade input is watched as a level, so that nothing of the slave's is lost. */
	if (slave)
		p->chip[0].irr |= 1u << CASCADE;
	else
		p->chip[0].irr &= (u8)~(1u << CASCADE);
	out = request(&p->chip[0], true) >= 0;
	if (out == p->out)
		return;
	p->out = out;
	p->env.out(p->env.ctx, out);
}

void vpic_set_line(struct vpic *p, unsigned irq, bool level)
{
	if (irq > 15 || irq == CASCADE)
		return;
	set_input(&p->chip[irq >> 3], irq & 7, level);
	update(p);
}

static void acknowledge(struct vpic_chip *c, unsigned n)
{
	u8 bit = (u8)(1u << n);

	if (!(c->elcr & bit))
		c->irr &= (u8)~bit;
	if (!c->auto_eoi)
		c->isr |= bit;
	else if (c->rotate_auto)
		c->first = (n + 1) & 7;
}

u8 vpic_inta(struct vpic *p)
{
	int n = request(&p->chip[0], true), s;
	u8 vector;

	if (n < 0) {
		vector = p->chip[0].base | 7; /* spurious: nothing enters service */
	} else {
		acknowledge(&p->chip[0], (unsigned)n);
		vector = (u8)(p->chip[0].base | n);
		if (n == CASCADE) {
			s = request(&p->chip[1], false);
			if (s >= 0)
				acknowledge(&p->chip[1], (unsigned)s);
			vector = (u8)(p->chip[1].base | (s < 0 ? 7 : s));
		}
	}
	update(p);
	return vector;
}

static void write_icw1(struct vpic_chip *c, u8 v)
{
	c->need_icw4 = v & 1;
	c->single = (v & 2) != 0;
	c->init = 2;
	c->imr = 0;
	c->isr = 0;
	c->irr = c->line & c->elcr; /* edges must come anew */
	c->first = 0;
	c->read_isr = c->poll = c->special_mask = false;
	c->auto_eoi = c->rotate_auto = c->special_nested = false;
}

static void write_ocw2(struct vpic_chip *c, u8 v)
{
	unsigned n = v & 7, top = (c->first + rank(c, c->isr)) & 7;

	switch (v >> 5) {
	case 0:
		c->rotate_auto = false;
		break;
	case 4:
		c->rotate_auto = true;
		break;
	case 1: /* non-specific EOI, with rotation: 5 */
	case 5:
		if (!c->isr)
			break;
		c->isr &= (u8)~(1u << top);
		if (v & 0x80)
			c->first = (top + 1) & 7;
		break;
	case 3: /* specific EOI, with rotation: 7 */
		c->isr &= (u8)~(1u << n);
		break;
	case 7:
		c->isr &= (u8)~(1u << n);
		c->first = (n + 1) & 7;
		break;
	case 6:
		c->first = (n + 1) & 7;
		break;
	default:
		break;
	}
}

static void write_ocw3(struct vpic_chip *c, u8 v)
{
	if (v & 4)
		c->poll = true;
	if (v & 2)
		c->read_isr = v & 1;
	if (v & 0x40)
		c->special_mask = (v & 0x20) != 0;
}

static void write_data(struct vpic_chip *c, u8 v)
{
	switch (c->init) {
	case 2:
		c->base = v & 0xf8;
		c->init = c->single ? (c->need_icw4 ? 4 : 0) : 3;
		break;
	case 3: /* the cascade wiring is fixed */
		c->init = c->need_icw4 ? 4 : 0;
		break;
	case 4:
		c->auto_eoi = (v & 2) != 0;
		c->special_nested = (v & 0x10) != 0;
		c->init = 0;
		break;
	default:
		c->imr = v;
		break;
	}
}

static void chip_write(struct vpic_chip *c, bool data, u8 v)
{
	if (data)
		write_data(c, v);
	else if (v & 0x10)
		write_icw1(c, v);
	else if (v & 8)
		write_ocw3(c, v);
	else
		write_ocw2(c, v);
}

/* The read behind a poll command acknowledges, at either port. */
static u8 chip_poll(struct vpic_chip *c, bool master)
{
	int n = request(c, master);

	c->poll = false;
	if (n < 0)
		return 0;
	acknowledge(c, (unsigned)n);
	return (u8)(0x80 | n);
}

static void write_elcr(struct vpic_chip *c, u8 v)
{
	c->elcr = v;
	c->irr = (c->irr & (u8)~v) | (c->line & v);
}

static NOINLINE void slow_io(struct vpic *p, u16 port, bool write, u8 *value)
{
	bool slave = (port & ~1u) == VPIC_PORT_SLAVE;
	struct vpic_chip *c = &p->chip[slave];

	if ((port & ~1u) == VPIC_PORT_ELCR) {
		c = &p->chip[port & 1];
		if (write)
			write_elcr(c, *value & elcr_valid[port & 1]);
		else
			*value = c->elcr;
	} else if (write) {
		chip_write(c, port & 1, *value);
	} else if (c->poll) {
		*value = chip_poll(c, !slave);
	} else {
		*value = c->read_isr ? c->isr : c->irr;
	}
	update(p);
}

HOT void vpic_io(struct vpic *p, u16 port, bool write, u8 *value)
{
	const struct vpic_chip *c = &p->chip[(port & ~1u) == VPIC_PORT_SLAVE];

	/* The mask is read most, and reading it changes nothing. */
	if (likely(!write && (port & 1) && (port & ~1u) != VPIC_PORT_ELCR && !c->poll))
		*value = c->imr;
	else
		slow_io(p, port, write, value);
}

void vpic_reset(void *state)
{
	struct vpic *p = state;

	for (unsigned i = 0; i < 2; i++) {
		u8 line = p->chip[i].line;

		memset(&p->chip[i], 0, sizeof(p->chip[i]));
		p->chip[i].line = line;
		/* As firmware leaves it for a kernel: PC vectors, everything masked. */
		p->chip[i].base = i ? 0x70 : 0x08;
		p->chip[i].imr = 0xff;
	}
	update(p);
}

void vpic_init(struct vpic *p, const struct vpic_env *env)
{
	memset(p, 0, sizeof(*p));
	p->env = *env;
	vpic_reset(p);
}

int vpic_resume(void *state)
{
	struct vpic *p = state;

	for (unsigned i = 0; i < 2; i++) {
		const struct vpic_chip *c = &p->chip[i];

		if ((c->base & 7) || c->first > 7 || c->init == 1 || c->init > 4 ||
		    (c->elcr & ~elcr_valid[i]))
			return -EINVAL;
	}
	p->out = false;
	update(p);
	return 0;
}

#define CHIP(n, f, ty) VMSTATE(struct vpic, chip[n].f, ty)
#define CHIP_FIELDS(n)                                                                     \
	CHIP(n, line, VMS_U8), CHIP(n, irr, VMS_U8), CHIP(n, isr, VMS_U8),                 \
	CHIP(n, imr, VMS_U8),                                                              \
	CHIP(n, elcr, VMS_U8), CHIP(n, base, VMS_U8), CHIP(n, first, VMS_U8),              \
	CHIP(n, init, VMS_U8), CHIP(n, need_icw4, VMS_BOOL), CHIP(n, single, VMS_BOOL),    \
	CHIP(n, read_isr, VMS_BOOL), CHIP(n, poll, VMS_BOOL),                              \
	CHIP(n, special_mask, VMS_BOOL), CHIP(n, auto_eoi, VMS_BOOL),                      \
	CHIP(n, rotate_auto, VMS_BOOL), CHIP(n, special_nested, VMS_BOOL)

const struct vmstate_field vpic_fields[] = { CHIP_FIELDS(0), CHIP_FIELDS(1) };
const u32 vpic_nfields = ARRAY_SIZE(vpic_fields);
