/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes ACPI Machine Language into a bounded buffer, object by object (ACPI 6.4 §20.2, resource
 * descriptors §6.4). Pure. What does not fit is dropped and leaves 'full' set.
 */
#ifndef GUEST_LOAD_AML_H
#define GUEST_LOAD_AML_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define AML_DEPTH 8

struct aml {
	u8 *buf;
	size_t size;
	size_t len;
	bool full;
	u32 depth;
	size_t open[AML_DEPTH]; /* where the length of each open object goes */
};

enum aml_op {
	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_NAME = 0x08,
	AML_STORE = 0x70,
	AML_AND = 0x7b,
	AML_OR = 0x7d,
	AML_CREATE_DWORD_FIELD = 0x8a,
	AML_LNOT = 0x92,
	AML_LEQUAL = 0x93,
	AML_RETURN = 0xa4,
	AML_ARG0 = 0x68,
	AML_ARG1 = 0x69,
	AML_ARG3 = 0x6b,
	AML_LOCAL0 = 0x60,
};

/** aml_byte(), aml_bytes() - raw bytes. */
void aml_byte(struct aml *a, u8 b);
void aml_bytes(struct aml *a, const void *p, size_t n);
/** aml_ops() - the n opcodes that follow. */
void aml_ops(struct aml *a, u32 n, ...);
/** aml_int() - an integer constant in its shortest form. */
void aml_int(struct aml *a, u64 v);
/** aml_seg() - a name of one segment, up to 4 characters, padded with '_'. */
void aml_seg(struct aml *a, const char *name);
/** aml_name() - Name(seg, ...): the object follows. */
void aml_name(struct aml *a, const char *seg);
/** aml_name_int() - Name(seg, v). */
void aml_name_int(struct aml *a, const char *seg, u64 v);
/** aml_eisaid() - the integer for an ID such as "PNP0A08". */
void aml_eisaid(struct aml *a, const char *id);

/*
 * Objects with a length: everything up to the matching aml_end() is inside. At most AML_DEPTH deep.
 */
void aml_scope_sb(struct aml *a); /* Scope(\_SB) */
void aml_device(struct aml *a, const char *seg);
void aml_method(struct aml *a, const char *seg, u8 args);
void aml_package(struct aml *a, u8 elements);
void aml_if(struct aml *a); /* the predicate follows */
void aml_else(struct aml *a);
void aml_end(struct aml *a);

/** aml_buffer() - Buffer of n bytes. */
void aml_buffer(struct aml *a, const u8 *p, u8 n);

/*
 * A resource template: Name(_CRS, ResourceTemplate() { descriptors }). Descriptors go into a
 * buffer of their own, as their total comes first.
 */
struct aml_res {
	u8 buf[256];
	struct aml out;
};

/** aml_res_begin() - start with no descriptor. */
void aml_res_begin(struct aml_res *r);
/** aml_res_io() - fixed ports, decoded with 16 bits. */
void aml_res_io(struct aml_res *r, u16 base, u8 len);
/** aml_res_irq() - ISA interrupt, edge, active high. */
void aml_res_irq(struct aml_res *r, u8 irq);
/** aml_res_mem32() - fixed memory, writable. */
void aml_res_mem32(struct aml_res *r, u32 base, u32 len);
/* Windows that a bridge passes on to its secondary side. */
void aml_res_window_bus(struct aml_res *r, u16 first, u16 last);
void aml_res_window_io(struct aml_res *r, u16 first, u16 last);
void aml_res_window_mem32(struct aml_res *r, u32 first, u32 last);
void aml_res_window_mem64(struct aml_res *r, u64 first, u64 last);
/** aml_res_end() - write it as _CRS of the open object. */
void aml_res_end(struct aml *a, struct aml_res *r);

#endif
