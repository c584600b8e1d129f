/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has which serial port: the prompt for people, the port for tools, or a guest's
 * console that one of them is attached to.
 */
#ifndef KERNEL_CORE_CONSOLE_H
#define KERNEL_CORE_CONSOLE_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/acpi.h"
#include "kernel/core/config.h"
#include "kernel/core/ctl.h"

#define CONSOLE_LEAVE 0x1d /* Ctrl-] */

/**
 * console_init() - open host.console and host.ctl of the configuration; the prompt appears and
 * log lines leave the polled COM1 when the boot CPU serves SOFTIRQ_CONSOLE for the first time.
 * Without a console they stay there, unless it is the port for tools. A port that is not there
 * is said and left out. The configuration's host section must stay where it is. Once, on the
 * boot CPU, with interrupts routed and the scheduler set up.
 */
void console_init(const struct config *config, const struct acpi_info *acpi);

/** console_ctl() - the registry that the ports' requests go to; verbs are added at boot. */
struct ctl *console_ctl(void);

/** console_notify() - the log has something new. Context: any. */
void console_notify(void);

/**
 * console_stream_ready() - an attached stream has something new: what comes within a millisecond
 * goes out together, so that a guest that prints does not stop for each byte. Context: any.
 */
void console_stream_ready(void);

/** console_forget() - the stream goes away: whoever is attached to it gets the prompt back. */
void console_forget(struct ctl_stream *stream);

/* A port for tools that is not a serial one. Called on the boot CPU, softirq; none waits. */
struct console_remote {
	size_t (*read)(u8 *buf, size_t size);
	size_t (*room)(void);
	/* write() - what exceeds room() is lost. */
	void (*write)(const char *text, size_t len);
};

/**
 * console_set_remote() - a peer is there (again): requests are read from it, after each
 * console_notify(); NULL: it went away, what it was attached to is free. Boot CPU, softirq; also
 * from within a request of that peer.
 */
void console_set_remote(const struct console_remote *remote);

/** console_flush() - send all queued output, bounded; before power-off. Boot CPU. */
void console_flush(void);

#endif
