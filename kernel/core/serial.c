/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 16550 driver: rings between the interrupt handler and the console on the boot CPU.
 */
#include "kernel/core/serial.h"

#include "arch/x86/cpu.h"
#include "arch/x86/io.h"
#include "arch/x86/ioapic.h"
#include "kernel/base/assert.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/core/frames.h"
#include "kernel/core/irq.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"

#define RX_RING 1024u

/* Registers (offsets) and bits. */
#define UART_DATA 0 /* DLAB: divisor, low */
#define UART_IER 1  /* DLAB: divisor, high */
#define UART_IIR 2  /* write: FCR */
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_SCRATCH 7

#define IER_RX 0x01
#define IER_TX 0x02
#define IER_LINE 0x04
#define IIR_NONE 0x01
#define FCR_ENABLE 0x01
#define FCR_TRIGGER_8 0x80
#define LCR_8N1 0x03
#define LCR_DLAB 0x80
#define MCR_DTR 0x01
#define MCR_RTS 0x02
#define MCR_OUT2 0x08 /* gates the interrupt on PCs */
#define LSR_DATA 0x01
#define LSR_OVERRUN 0x02
#define LSR_THRE 0x20
#define DIVISOR 1 /* 115200 baud */
#define TX_FIFO 16
#define IIR_FIFOS 0xc0

/* Rounds of one interrupt: a port that never falls silent must not hold the CPU. */
#define IRQ_ROUNDS 64

struct serial_port {
	u16 base;
	u8 isa_irq;
	u8 ier;     /* interrupts off to change it */
	u8 tx_fifo; /* bytes that an empty transmitter takes */
	int vector;
	bool stuck; /* a bounded wait ended without progress */
	u8 rx[RX_RING];
	u32 rx_head, rx_tail; /* written by the handler; by the reader */
	u8 *tx;
	u32 tx_size;          /* bytes of its ring */
	u32 tx_head, tx_tail; /* written by the writer; by the handler */
	struct serial_stat stat;
};

static struct serial_port ports[SERIAL_PORTS] = {
	{ .base = 0x3f8, .isa_irq = 4 },
	{ .base = 0x2f8, .isa_irq = 3 },
	{ .base = 0x3e8, .isa_irq = 4 },
	{ .base = 0x2e8, .isa_irq = 3 },
};

static u8 reg_read(const struct serial_port *p, u16 reg)
{
	return io_in8((u16)(p->base + reg));
}

static void reg_write(const struct serial_port *p, u16 reg, u8 v)
{
	io_out8((u16)(p->base + reg), v);
}

static void set_ier(struct serial_port *p, u8 ier)
{
	if (ier != p->ier)
		reg_write(p, UART_IER, ier);
	p->ier = ier;
}

/* ---- interrupt side --------------------------------------------------------------------- */

/* No room: leave the rest in the FIFO and ask the other side to wait. */
static void hold(struct serial_port *p)
{
	set_ier(p, p->ier & (u8)~IER_RX);
	reg_write(p, UART_MCR, MCR_DTR | MCR_OUT2);
}

static bool receive(struct serial_port *p, u8 lsr)
{
	bool got = false;

	for (u32 i = 0; i < IRQ_ROUNDS && (lsr & LSR_DATA); i++) {
		if (p->rx_head - atomic_load_relaxed(&p->rx_tail) == RX_RING) {
			hold(p);
			return true;
		}
		p->rx[p->rx_head % RX_RING] = reg_read(p, UART_DATA);
		atomic_store_release(&p->rx_head, p->rx_head + 1);
		p->stat.rx++;
		got = true;
		lsr = reg_read(p, UART_LSR);
		if (lsr & LSR_OVERRUN)
			p->stat.rx_lost++;
	}
	return got;
}

/* Fill the FIFO. True when three quarters of the ring have become free: a writer may go on. */
static bool transmit(struct serial_port *p)
{
	u32 before = p->tx_head - p->tx_tail, n = before;

	for (u32 i = 0; i < p->tx_fifo && n; i++, n--)
		reg_write(p, UART_DATA, p->tx[(p->tx_tail + i) % p->tx_size]);
	p->tx_tail += before - n;
	p->stat.tx += before - n;
	if (before)
		p->stuck = false;
	set_ier(p, n ? p->ier | IER_TX : p->ier & (u8)~IER_TX);
	return before > p->tx_size / 4 && n <= p->tx_size / 4;
}

/*
 * We stop although there is more: let what is pending interrupt again. The line falls and rises,
 * which an edge needs, and an empty transmitter whose interrupt IIR took back says so anew.
 */
static void rearm(struct serial_port *p)
{
	reg_write(p, UART_IER, 0);
	reg_write(p, UART_IER, p->ier);
}

/* Everything the port has to say; reading IIR took its transmit interrupt back. Interrupts off. */
static bool service(struct serial_port *p)
{
	bool work = false;

	for (u32 i = 0; i < IRQ_ROUNDS; i++) {
		u8 lsr = reg_read(p, UART_LSR);

		work |= receive(p, lsr);
		if (lsr & LSR_THRE)
			work |= transmit(p);
		if (reg_read(p, UART_IIR) & IIR_NONE)
			return work;
	}
	rearm(p);
	return work;
}

/* COM1 and COM3, COM2 and COM4 share a line: its next edge comes only after both were silent. */
static void serial_irq(void *ctx)
{
	u8 isa_irq = ((const struct serial_port *)ctx)->isa_irq;
	bool busy = true;

	for (u32 round = 0; busy && round < 4; round++) {
		busy = false;
		for (u32 i = 0; i < SERIAL_PORTS; i++) {
			if (!ports[i].stat.open || ports[i].isa_irq != isa_irq ||
			    (reg_read(&ports[i], UART_IIR) & IIR_NONE))
				continue;
			busy = true;
			ports[i].stat.irqs++;
			if (service(&ports[i]))
				softirq_post(SOFTIRQ_CONSOLE);
		}
	}
	for (u32 i = 0; busy && i < SERIAL_PORTS; i++)
		if (ports[i].stat.open && ports[i].isa_irq == isa_irq)
			rearm(&ports[i]);
}

/* ---- control side ----------------------------------------------------------------------- */

static bool probe(const struct serial_port *p)
{
	reg_write(p, UART_SCRATCH, 0x5a);
	if (reg_read(p, UART_SCRATCH) != 0x5a)
		return false;
	reg_write(p, UART_SCRATCH, 0xa5);
	return reg_read(p, UART_SCRATCH) == 0xa5;
}

static void setup(struct serial_port *p)
{
	reg_write(p, UART_IER, 0);
	reg_write(p, UART_LCR, LCR_8N1 | LCR_DLAB);
	reg_write(p, UART_DATA, DIVISOR);
	reg_write(p, UART_IER, 0);
	reg_write(p, UART_LCR, LCR_8N1);
	reg_write(p, UART_IIR, FCR_ENABLE | FCR_TRIGGER_8);
	p->tx_fifo = (reg_read(p, UART_IIR) & IIR_FIFOS) == IIR_FIFOS ? TX_FIFO : 1;
	reg_write(p, UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
}

/* The vector of another open port on the same line, or a new one. */
static int line_vector(struct serial_port *p)
{
	for (u32 i = 0; i < SERIAL_PORTS; i++)
		if (ports[i].stat.open && ports[i].isa_irq == p->isa_irq)
			return ports[i].vector;
	return irq_alloc(serial_irq, p);
}

int serial_open(u32 port, const struct acpi_info *acpi, u32 tx_size)
{
	struct serial_port *p = &ports[port];
	struct acpi_override line = acpi_isa_irq(acpi, p->isa_irq);
	u64 flags;
	int rc;

	ASSERT(port < SERIAL_PORTS);
	if (p->stat.open)
		return -EBUSY;
	if (!probe(p))
		return -ENODEV;
	p->stat.present = true;
	p->tx = kalloc(hv_owner(), tx_size);
	p->tx_size = tx_size;
	if (!p->tx)
		return -ENOMEM;
	p->vector = line_vector(p);
	rc = p->vector < 0 ? p->vector : 0;
	if (rc)
		goto no_vector;
	setup(p);
	p->stat.open = true;
	rc = ioapic_route(line.gsi, (u8)p->vector, pcpu_get(0)->apic_id, line.level,
			  line.active_low);
	if (rc)
		goto no_route;
	flags = irq_save();
	set_ier(p, IER_RX | IER_LINE);
	irq_restore(flags);
	return 0;

no_route:
	p->stat.open = false;
	irq_free((u8)p->vector);
no_vector:
	kfree(hv_owner(), p->tx, tx_size);
	p->tx = NULL;
	return rc;
}

size_t serial_read(u32 port, u8 *buf, size_t size)
{
	struct serial_port *p = &ports[port];
	u32 head = atomic_load_acquire(&p->rx_head);
	size_t n = 0;

	while (n < size && p->rx_tail + n != head) {
		buf[n] = p->rx[(p->rx_tail + n) % RX_RING];
		n++;
	}
	atomic_store_release(&p->rx_tail, p->rx_tail + (u32)n);
	if (n && !(atomic_load_relaxed(&p->ier) & IER_RX)) {
		u64 flags = irq_save();

		reg_write(p, UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
		set_ier(p, p->ier | IER_RX);
		irq_restore(flags);
	}
	return n;
}

size_t serial_room(u32 port)
{
	const struct serial_port *p = &ports[port];

	return p->stat.open ? p->tx_size - (p->tx_head - p->tx_tail) : 0;
}

/* Send by polling until there are 'want' free bytes. False: no progress in time. */
static bool make_room(u32 port, size_t want)
{
	struct serial_port *p = &ports[port];
	u64 last = time_ns();

	while (serial_room(port) < want) {
		u32 tail = p->tx_tail;
		u64 flags = irq_save();

		if (reg_read(p, UART_LSR) & LSR_THRE)
			transmit(p);
		irq_restore(flags);
		if (p->tx_tail != tail)
			last = time_ns();
		else if (p->stuck || time_ns() - last > SERIAL_WAIT_MS * 1000000ull)
			p->stuck = true;
		if (p->stuck)
			return false;
		cpu_pause();
	}
	return true;
}

void serial_write(u32 port, const char *text, size_t len)
{
	struct serial_port *p = &ports[port];

	while (len && p->stat.open) {
		size_t n = serial_room(port);
		u64 flags;

		if (!n && !make_room(port, TX_FIFO)) {
			p->stat.tx_dropped += len;
			return;
		}
		n = serial_room(port);
		if (n > len)
			n = len;
		for (size_t i = 0; i < n; i++)
			p->tx[(p->tx_head + i) % p->tx_size] = (u8)text[i];
		flags = irq_save();
		p->tx_head += (u32)n;
		/* The enable bit raises an interrupt at once when the port is idle. */
		set_ier(p, p->ier | IER_TX);
		irq_restore(flags);
		text += n;
		len -= n;
	}
}

void serial_flush(u32 port)
{
	struct serial_port *p = &ports[port];

	if (p->stat.open && !make_room(port, p->tx_size))
		p->stat.tx_dropped += p->tx_size - serial_room(port);
}

void serial_stats(u32 port, struct serial_stat *out)
{
	*out = ports[port].stat;
}
