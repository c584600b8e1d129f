/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Driver of the host's serial ports COM1..COM4 (16550 and compatibles), interrupt-driven.
 */
#ifndef KERNEL_CORE_SERIAL_H
#define KERNEL_CORE_SERIAL_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/acpi.h"

#define SERIAL_PORTS 4

struct serial_stat {
	u64 rx, tx;     /* bytes */
	u64 rx_lost;    /* overruns of the FIFO */
	u64 tx_dropped; /* bytes for which there was no room within the bounded wait */
	u64 irqs;
	bool present, open;
};

/**
 * serial_open() - take over port 0..3: 115200 8N1, FIFOs on, its interrupt to the boot CPU. The
 * handler posts SOFTIRQ_CONSOLE when bytes have come or 3/4 of the queue out, of tx_size bytes
 * (a power of 2), is free again. Received bytes that nobody reads make the port ask the other side
 * to wait (RTS). Returns 0; -ENODEV:
 * no 16550 answers there; -EBUSY: open already; -ENOMEM, -ENOSPC: ring or vector. Boot CPU.
 */
int MUST_CHECK serial_open(u32 port, const struct acpi_info *acpi, u32 tx_size);

/** serial_read() - at most size received bytes; returns how many. Boot CPU, softirq. */
size_t serial_read(u32 port, u8 *buf, size_t size);

/** serial_room() - bytes that serial_write() takes at once. Boot CPU. */
size_t serial_room(u32 port);

/**
 * serial_write() - queue len bytes. Without room it sends by polling, at most SERIAL_WAIT_MS
 * without any progress, then drops the rest and counts it; while a port is that stuck it
 * drops at once. Boot CPU, not interrupt.
 */
void serial_write(u32 port, const char *text, size_t len);

#define SERIAL_WAIT_MS 100

/** serial_flush() - send all that is queued by polling, same bound; before power-off. Boot CPU. */
void serial_flush(u32 port);

/** serial_stats() - counters of a port. */
void serial_stats(u32 port, struct serial_stat *out);

#endif
