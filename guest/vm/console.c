/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Console rings of the VMs, between their UARTs and the control ports.
 */
#include "guest/vm/console.h"

#include "guest/vm/vm.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/console.h"
#include "kernel/core/frames.h"

struct vm_console {
	struct ctl_stream stream;
	struct vm *vm;
	struct spinlock lock;
	u64 total; /* bytes ever sent */
	char ring[VM_CONSOLE_RING];
};

static struct vm_console *consoles[VM_MAX];

static size_t stream_read(struct ctl_stream *s, u64 *cursor, char *buf, size_t size)
{
	struct vm_console *c = container_of(s, struct vm_console, stream);
	size_t n = 0;

	spin_lock(&c->lock);
	if (c->total > VM_CONSOLE_RING && *cursor < c->total - VM_CONSOLE_RING)
		*cursor = c->total - VM_CONSOLE_RING;
	for (; n < size && *cursor < c->total; n++, (*cursor)++)
		buf[n] = c->ring[*cursor % VM_CONSOLE_RING];
	spin_unlock(&c->lock);
	return n;
}

static u64 stream_end(struct ctl_stream *s)
{
	struct vm_console *c = container_of(s, struct vm_console, stream);

	return atomic_load_relaxed(&c->total);
}

static size_t stream_write(struct ctl_stream *s, const u8 *data, size_t len)
{
	return vm_console_input(container_of(s, struct vm_console, stream)->vm, data, len);
}

int vm_console_create(struct vm *vm)
{
	struct vm_console *c = kalloc(hv_owner(), sizeof(*c));

	if (!c)
		return -ENOMEM;
	spin_init(&c->lock, LOCK_CONSOLE, "console");
	c->vm = vm;
	c->stream.read = stream_read;
	c->stream.end = stream_end;
	c->stream.write = stream_write;
	str_copy(c->stream.name, sizeof(c->stream.name), vm->name);
	consoles[vm->index] = c;
	return 0;
}

void vm_console_destroy(struct vm *vm)
{
	struct vm_console *c = consoles[vm->index];

	if (!c)
		return;
	console_forget(&c->stream);
	consoles[vm->index] = NULL;
	kfree(hv_owner(), c, sizeof(*c));
}

void vm_console_named(struct vm *vm)
{
	struct vm_console *c = consoles[vm->index];

	str_copy(c->stream.name, sizeof(c->stream.name), vm->name);
}

void vm_console_swap(struct vm *a, struct vm *b)
{
	struct vm_console *of_a = consoles[a->index];

	consoles[a->index] = consoles[b->index];
	consoles[b->index] = of_a;
	consoles[a->index]->vm = a;
	consoles[b->index]->vm = b;
}

struct ctl_stream *vm_console_stream(struct vm *vm)
{
	return &consoles[vm->index]->stream;
}

HOT void vm_console_write(struct vm *vm, const u8 *data, size_t len)
{
	struct vm_console *c = consoles[vm->index];

	spin_lock(&c->lock);
	for (size_t i = 0; i < len; i++)
		c->ring[(c->total + i) % VM_CONSOLE_RING] = (char)data[i];
	c->total += len;
	spin_unlock(&c->lock);
	if (atomic_load_relaxed(&c->stream.attached))
		console_stream_ready();
}
