/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16550A: registers, FIFOs, interrupt identification, loopback.
 * National Semiconductor PC16550D data sheet.
 */
#include "devices/platform/vuart.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCRATCH };

#define IER_RDA	 0x01
#define IER_THRE 0x02
#define IER_RLS	 0x04
#define IER_MSR	 0x08

#define IIR_NONE    0x01
#define IIR_MSR	    0x00
#define IIR_THRE    0x02
#define IIR_RDA	    0x04
#define IIR_RLS	    0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFO    0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_TRIGGER  0xc0

#define LCR_DLAB 0x80

#define MCR_DTR	 0x01
#define MCR_RTS	 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10

#define LSR_DR	   0x01
#define LSR_OE	   0x02
#define LSR_ERRORS 0x1e
#define LSR_THRE   0x20
#define LSR_TEMT   0x40

#define MSR_DELTAS   0x0f
#define MSR_RI_FELL  0x04
#define MSR_CTS	     0x10
#define MSR_DSR	     0x20
#define MSR_RI	     0x40
#define MSR_DCD	     0x80
#define MSR_PRESENT  (MSR_CTS | MSR_DSR | MSR_DCD) /* somebody is always there */

static unsigned depth(const struct vuart *u)
{
	return u->fcr & FCR_ENABLE ? VUART_FIFO : 1;
}

static u8 iir(const struct vuart *u)
{
	static const u8 trigger[4] = { 1, 4, 8, 14 };

	if ((u->ier & IER_RLS) && u->lsr_errors)
		return IIR_RLS;
	if ((u->ier & IER_RDA) && u->rx_count) {
		/* Below the trigger level nothing more is under way: that is the timeout case. */
		if (!(u->fcr & FCR_ENABLE) || u->rx_count >= trigger[u->fcr >> 6])
			return IIR_RDA;
		return IIR_TIMEOUT;
	}
	if ((u->ier & IER_THRE) && u->thre)
		return IIR_THRE;
	if ((u->ier & IER_MSR) && (u->msr & MSR_DELTAS))
		return IIR_MSR;
	return IIR_NONE;
}

static HOT void update(struct vuart *u)
{
	/* On a PC OUT2 connects the interrupt; loopback cuts it off. */
	bool line = iir(u) != IIR_NONE && (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	if (line == u->line)
		return;
	u->line = line;
	u->env.irq(u->env.ctx, line);
}

static void push(struct vuart *u, u8 byte)
{
	if (u->rx_count >= depth(u)) {
		u->lsr_errors |= LSR_OE;
		if (u->fcr & FCR_ENABLE)
			return; /* the FIFO keeps the old bytes, the plain register does not */
		u->rx_count = 0;
	}
	u->rx[(u->rx_head + u->rx_count) % VUART_FIFO] = byte;
	u->rx_count++;
}

size_t vuart_rx(struct vuart *u, const u8 *data, size_t len)
{
	size_t n = 0;

	if (u->mcr & MCR_LOOP)
		return 0; /* the input is disconnected: keep it for later */
	while (n < len && u->rx_count < depth(u))
		push(u, data[n++]);
	update(u);
	return n;
}

static u8 pop(struct vuart *u)
{
	u8 byte = u->rx[u->rx_head];

	if (!u->rx_count)
		return 0;
	u->rx_head = (u8)((u->rx_head + 1) % VUART_FIFO);
	u->rx_count--;
	return byte;
}

/* Modem lines follow the control register in loopback, else they stand. */
static void update_modem(struct vuart *u)
{
	u8 old = u->msr & 0xf0, lines = MSR_PRESENT, delta;

	if (u->mcr & MCR_LOOP)
		lines = (u8)((u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
			     (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
	delta = (u8)((old ^ lines) >> 4);
	if (!(old & MSR_RI)) /* only the trailing edge of RI counts */
		delta &= (u8)~MSR_RI_FELL;
	u->msr = (u8)(lines | (u->msr & MSR_DELTAS) | delta);
}

static void write_fcr(struct vuart *u, u8 v)
{
	if ((v ^ u->fcr) & FCR_ENABLE || v & FCR_CLEAR_RX)
		u->rx_count = 0;
	u->fcr = v & FCR_ENABLE ? v & (FCR_ENABLE | FCR_TRIGGER) : 0;
}

static void transmit(struct vuart *u, u8 byte)
{
	u->thre = true; /* empty again at once */
	if (u->mcr & MCR_LOOP)
		push(u, byte);
	else
		u->env.tx(u->env.ctx, byte);
}

static void reg_write(struct vuart *u, unsigned off, u8 v)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (off) {
	case REG_DATA:
		if (dlab)
			u->dll = v;
		else
			transmit(u, v);
		break;
	case REG_IER:
		if (dlab) {
			u->dlm = v;
			break;
		}
		if (~u->ier & v & IER_THRE) /* enabling finds the transmitter empty */
			u->thre = true;
		u->ier = v & 0xf;
		break;
	case REG_IIR_FCR:
		write_fcr(u, v);
		break;
	case REG_LCR:
		u->lcr = v;
		break;
	case REG_MCR:
		u->mcr = v & 0x1f;
		update_modem(u);
		break;
	case REG_SCRATCH:
		u->scratch = v;
		break;
	default: /* LSR and MSR are read-only */
		break;
	}
}

static u8 reg_read(struct vuart *u, unsigned off)
{
	bool dlab = u->lcr & LCR_DLAB;
	u8 v;

	switch (off) {
	case REG_DATA:
		return dlab ? u->dll : pop(u);
	case REG_IER:
		return dlab ? u->dlm : u->ier;
	case REG_IIR_FCR:
		v = iir(u);
		if (v == IIR_THRE)
			u->thre = false;
		return v | (u->fcr & FCR_ENABLE ? IIR_FIFO : 0);
	case REG_LCR:
		return u->lcr;
	case REG_MCR:
		return u->mcr;
	case REG_LSR:
		v = (u8)(LSR_THRE | LSR_TEMT | u->lsr_errors | (u->rx_count ? LSR_DR : 0));
		u->lsr_errors = 0;
		return v;
	case REG_MSR:
		v = u->msr;
		u->msr &= (u8)~MSR_DELTAS;
		return v;
	default:
		return u->scratch;
	}
}

HOT void vuart_io(struct vuart *u, unsigned off, bool write, u8 *value)
{
	bool had_room = u->rx_count < depth(u) && !(u->mcr & MCR_LOOP);

	if (write)
		reg_write(u, off & 7, *value);
	else
		*value = reg_read(u, off & 7);
	update(u);
	if (!had_room && u->rx_count < depth(u) && !(u->mcr & MCR_LOOP))
		u->env.rx_room(u->env.ctx);
}

void vuart_reset(void *state)
{
	struct vuart *u = state;

	u->thre = false;
	u->ier = u->fcr = u->lcr = u->mcr = u->lsr_errors = u->scratch = 0;
	u->msr = MSR_PRESENT;
	u->dll = 1; /* 115200 */
	u->dlm = 0;
	u->rx_head = u->rx_count = 0;
	memset(u->rx, 0, sizeof(u->rx));
	update(u);
}

void vuart_init(struct vuart *u, const struct vuart_env *env)
{
	memset(u, 0, sizeof(*u));
	u->env = *env;
	vuart_reset(u);
}

int vuart_resume(void *state)
{
	struct vuart *u = state;

	if (u->ier > 0xf || (u->fcr & ~(FCR_ENABLE | FCR_TRIGGER)) || u->mcr > 0x1f ||
	    (u->lsr_errors & ~LSR_ERRORS) || u->rx_head >= VUART_FIFO || u->rx_count > depth(u))
		return -EINVAL;
	u->line = false;
	update(u);
	return 0;
}

#define FIELD(f, ty) VMSTATE(struct vuart, f, ty)

const struct vmstate_field vuart_fields[] = {
	FIELD(thre, VMS_BOOL), FIELD(ier, VMS_U8), FIELD(fcr, VMS_U8), FIELD(lcr, VMS_U8),
	FIELD(mcr, VMS_U8), FIELD(lsr_errors, VMS_U8), FIELD(msr, VMS_U8),
	FIELD(scratch, VMS_U8), FIELD(dll, VMS_U8), FIELD(dlm, VMS_U8),
	FIELD(rx_head, VMS_U8), FIELD(rx_count, VMS_U8),
	VMSTATE_ARRAY(struct vuart, rx, VMS_BYTES),
};
const u32 vuart_nfields = ARRAY_SIZE(vuart_fields);
