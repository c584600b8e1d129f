/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AML encodings.
 */
#include "guest/load/aml.h"

#include <stdarg.h>

#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/str.h"

#define PREFIX_BYTE 0x0a
#define PREFIX_WORD 0x0b
#define PREFIX_DWORD 0x0c
#define PREFIX_QWORD 0x0e
#define OP_SCOPE 0x10
#define OP_BUFFER 0x11
#define OP_PACKAGE 0x12
#define OP_METHOD 0x14
#define OP_EXT 0x5b
#define OP_EXT_DEVICE 0x82
#define OP_IF 0xa0
#define OP_ELSE 0xa1
#define METHOD_SERIALIZED BIT(3)

/* PkgLength holds up to 28 bits in 1 to 4 bytes, itself included. */
#define PKG_MAX_1 0x3fu
#define PKG_MAX_2 0xfffu

/* Resource descriptors: tag bytes, with the length of small ones. */
#define RES_IRQ 0x22
#define RES_IO 0x47
#define RES_END 0x79
#define RES_MEM32 0x86
#define RES_DWORD 0x87
#define RES_WORD 0x88
#define RES_QWORD 0x8a
#define RES_TYPE_MEM 0
#define RES_TYPE_IO 1
#define RES_TYPE_BUS 2
#define RES_FIXED_MINMAX 0x0c /* both ends fixed, positive decode, producer */

void aml_bytes(struct aml *a, const void *p, size_t n)
{
	if (n > a->size - a->len) {
		a->full = true;
		return;
	}
	memcpy(a->buf + a->len, p, n);
	a->len += n;
}

void aml_byte(struct aml *a, u8 b)
{
	aml_bytes(a, &b, 1);
}

void aml_ops(struct aml *a, u32 n, ...)
{
	va_list ap;

	va_start(ap, n);
	while (n--)
		aml_byte(a, (u8)va_arg(ap, int));
	va_end(ap);
}

void aml_int(struct aml *a, u64 v)
{
	u8 le[8];

	put_le64(le, v);
	if (v <= 1) {
		aml_byte(a, (u8)v);
	} else if (v <= 0xff) {
		aml_byte(a, PREFIX_BYTE);
		aml_bytes(a, le, 1);
	} else if (v <= 0xffff) {
		aml_byte(a, PREFIX_WORD);
		aml_bytes(a, le, 2);
	} else if (v <= 0xffffffff) {
		aml_byte(a, PREFIX_DWORD);
		aml_bytes(a, le, 4);
	} else {
		aml_byte(a, PREFIX_QWORD);
		aml_bytes(a, le, 8);
	}
}

void aml_seg(struct aml *a, const char *name)
{
	char seg[4] = { '_', '_', '_', '_' };

	memcpy(seg, name, min_u64(strlen(name), sizeof(seg)));
	aml_bytes(a, seg, sizeof(seg));
}

void aml_name(struct aml *a, const char *seg)
{
	aml_byte(a, AML_NAME);
	aml_seg(a, seg);
}

void aml_name_int(struct aml *a, const char *seg, u64 v)
{
	aml_name(a, seg);
	aml_int(a, v);
}

static u8 hex_digit(char c)
{
	return (u8)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Three letters of 5 bits, four digits, most significant byte first (ACPI 6.4 §19.3.4). */
void aml_eisaid(struct aml *a, const char *id)
{
	u32 letters = (u32)(id[0] - '@') << 10 | (u32)(id[1] - '@') << 5 | (u32)(id[2] - '@');
	u8 be[4] = { (u8)(letters >> 8), (u8)letters,
		     (u8)(hex_digit(id[3]) << 4 | hex_digit(id[4])),
		     (u8)(hex_digit(id[5]) << 4 | hex_digit(id[6])) };

	aml_int(a, get_le32(be));
}

/* ---- objects with a length --------------------------------------------------------- */

static void begin(struct aml *a)
{
	if (a->depth == AML_DEPTH) {
		a->full = true;
		return;
	}
	a->open[a->depth++] = a->len;
}

/* The length is known now; the content moves up to make room for it. */
void aml_end(struct aml *a)
{
	size_t at, body, bytes, total;
	u8 pkg[3];

	if (a->full || a->depth == 0) {
		a->full = true;
		return;
	}
	at = a->open[--a->depth];
	body = a->len - at;
	bytes = body + 1 <= PKG_MAX_1 ? 1 : body + 2 <= PKG_MAX_2 ? 2 : 3;
	total = body + bytes;
	if (bytes > a->size - a->len) {
		a->full = true;
		return;
	}
	pkg[0] = (u8)(bytes == 1 ? total : (bytes - 1) << 6 | (total & 0xf));
	pkg[1] = (u8)(total >> 4);
	pkg[2] = (u8)(total >> 12);
	memmove(a->buf + at + bytes, a->buf + at, body);
	memcpy(a->buf + at, pkg, bytes);
	a->len += bytes;
}

void aml_scope_sb(struct aml *a)
{
	aml_byte(a, OP_SCOPE);
	begin(a);
	aml_seg(a, "_SB");
}

void aml_device(struct aml *a, const char *seg)
{
	aml_ops(a, 2, OP_EXT, OP_EXT_DEVICE);
	begin(a);
	aml_seg(a, seg);
}

void aml_method(struct aml *a, const char *seg, u8 args)
{
	aml_byte(a, OP_METHOD);
	begin(a);
	aml_seg(a, seg);
	aml_byte(a, (u8)(args | METHOD_SERIALIZED));
}

void aml_package(struct aml *a, u8 elements)
{
	aml_byte(a, OP_PACKAGE);
	begin(a);
	aml_byte(a, elements);
}

void aml_if(struct aml *a)
{
	aml_byte(a, OP_IF);
	begin(a);
}

void aml_else(struct aml *a)
{
	aml_byte(a, OP_ELSE);
	begin(a);
}

void aml_buffer(struct aml *a, const u8 *p, u8 n)
{
	aml_byte(a, OP_BUFFER);
	begin(a);
	aml_int(a, n);
	aml_bytes(a, p, n);
	aml_end(a);
}

/* ---- resources --------------------------------------------------------------------- */

void aml_res_begin(struct aml_res *r)
{
	r->out = (struct aml){ .buf = r->buf, .size = sizeof(r->buf) };
}

void aml_res_io(struct aml_res *r, u16 base, u8 len)
{
	u8 d[8] = { RES_IO, 1 };

	put_le16(d + 2, base);
	put_le16(d + 4, base);
	d[6] = 1; /* alignment */
	d[7] = len;
	aml_bytes(&r->out, d, sizeof(d));
}

void aml_res_irq(struct aml_res *r, u8 irq)
{
	u8 d[3] = { RES_IRQ };

	put_le16(d + 1, (u16)BIT(irq));
	aml_bytes(&r->out, d, sizeof(d));
}

void aml_res_mem32(struct aml_res *r, u32 base, u32 len)
{
	u8 d[12] = { RES_MEM32, 9, 0, 1 };

	put_le32(d + 4, base);
	put_le32(d + 8, len);
	aml_bytes(&r->out, d, sizeof(d));
}

/* Address space descriptors differ only in the width of their five numbers. */
static void window(struct aml_res *r, u8 tag, u8 type, u8 flags, const u64 range[2])
{
	u8 width = tag == RES_WORD ? 2 : tag == RES_DWORD ? 4 : 8;
	const u64 v[5] = { 0, range[0], range[1], 0, range[1] - range[0] + 1 };
	u8 le[8];

	aml_byte(&r->out, tag);
	put_le16(le, (u16)(3 + 5 * width));
	aml_bytes(&r->out, le, 2);
	aml_ops(&r->out, 3, type, RES_FIXED_MINMAX, flags);
	for (u32 i = 0; i < ARRAY_SIZE(v); i++) {
		put_le64(le, v[i]);
		aml_bytes(&r->out, le, width);
	}
}

void aml_res_window_bus(struct aml_res *r, u16 first, u16 last)
{
	window(r, RES_WORD, RES_TYPE_BUS, 0, (const u64[2]){ first, last });
}

void aml_res_window_io(struct aml_res *r, u16 first, u16 last)
{
	window(r, RES_WORD, RES_TYPE_IO, 3, (const u64[2]){ first, last }); /* whole range */
}

void aml_res_window_mem32(struct aml_res *r, u32 first, u32 last)
{
	window(r, RES_DWORD, RES_TYPE_MEM, 1, (const u64[2]){ first, last }); /* writable */
}

void aml_res_window_mem64(struct aml_res *r, u64 first, u64 last)
{
	window(r, RES_QWORD, RES_TYPE_MEM, 7, (const u64[2]){ first, last }); /* prefetchable too */
}

void aml_res_end(struct aml *a, struct aml_res *r)
{
	aml_ops(&r->out, 2, RES_END, 0); /* no checksum */
	a->full |= r->out.full;
	aml_name(a, "_CRS");
	aml_buffer(a, r->buf, (u8)r->out.len);
}
