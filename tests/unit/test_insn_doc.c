/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of forms in docs/decoder.md is what the decoder and the executor say of themselves.
 */
#include "guest/emul/insn_exec.h"
#include "kernel/base/err.h"
#include "tests/unit/insn_names.h"
#include "unit.h"

#define DOC_BEGIN "<!-- forms: checked by tests/unit/test_insn_doc.c -->\n"
#define DOC_END "<!-- end of forms -->\n"

static char forms[INSN_INVALID][512];

static void doc_add(enum insn_op op, const char *fmt, unsigned opcode, unsigned ext)
{
	char *p = forms[op] + strlen(forms[op]);

	CHECK(strlen(forms[op]) < sizeof(forms[op]) - 32);
	p += sprintf(p, "%s", *forms[op] ? ", " : "");
	sprintf(p, fmt, opcode, ext);
}

static enum insn_op doc_decode(const char *lead, u8 opcode, u8 modrm)
{
	u8 b[INSN_MAX_LEN] = { 0 };
	size_t n = strlen(lead);
	struct insn in;

	memcpy(b, lead, n);
	b[n] = opcode;
	b[n + 1] = modrm;
	for (int mode = INSN_MODE_64; mode >= INSN_MODE_32; mode--)
		if (insn_decode(b, sizeof(b), (enum insn_mode)mode, &in) == 0)
			return (enum insn_op)in.op;
	return INSN_INVALID;
}

/* An opcode whose eight ModRM.reg values are not all the same is listed with each. */
static void doc_opcode(const char *lead, u8 opcode, const char *name)
{
	enum insn_op op[8];
	bool same = true;
	char fmt[32];

	for (u8 ext = 0; ext < 8; ext++) {
		op[ext] = doc_decode(lead, opcode, (u8)(ext << 3 | 3));
		same = same && op[ext] == op[0];
	}
	same = same || (op[0] >= INSN_MOV_TO_CR && op[0] <= INSN_MOV_FROM_DR);
	for (unsigned ext = 0; ext < (same ? 1 : 8); ext++) {
		if (op[ext] == INSN_OTHER || op[ext] == INSN_INVALID)
			continue;
		sprintf(fmt, "%s%%02X%s", name, same ? "" : " /%u");
		doc_add(op[ext], fmt, opcode, ext);
	}
}

/* What one executes, it executes with a memory operand. */
static u64 doc_seg_base(void *ctx, enum insn_seg seg)
{
	(void)ctx;
	(void)seg;
	return 0;
}

static int doc_read(void *ctx, u64 linear, void *buf, unsigned size)
{
	(void)ctx;
	(void)linear;
	memset(buf, 0, size);
	return 0;
}

static int doc_write(void *ctx, u64 linear, const void *buf, unsigned size)
{
	(void)ctx;
	(void)linear;
	(void)buf;
	(void)size;
	return 0;
}

static int doc_probe(void *ctx, u64 linear, unsigned size)
{
	return doc_write(ctx, linear, NULL, size);
}

static int doc_port_in(void *ctx, u16 port, u32 *value, unsigned size)
{
	return doc_read(ctx, port, value, size);
}

static int doc_port_out(void *ctx, u16 port, u32 value, unsigned size)
{
	return doc_write(ctx, port, &value, size);
}

static bool doc_executes(enum insn_op op)
{
	static const struct insn_env env = { NULL,      doc_seg_base, doc_read,    doc_write,
					     doc_probe, doc_port_in,  doc_port_out };
	u64 gpr[16] = { 0 }, rflags = 0;
	struct insn_cpu cpu = { gpr, &rflags, 0, 4 };
	struct insn in = { .op = (u8)op,
			   .flags = INSN_F_MEM,
			   .mode = INSN_MODE_64,
			   .size = 4,
			   .mem_size = 4,
			   .addr_size = 8 };

	return insn_exec(&in, &cpu, &env) != -ENOTSUP;
}

TEST(test_doc)
{
	static char doc[65536], want[65536];
	FILE *f = fopen("docs/decoder.md", "r");
	char *p = want, *begin, *end;

	CHECK(f);
	doc[fread(doc, 1, sizeof(doc) - 1, f)] = 0;
	fclose(f);
	doc_opcode("", 0x00, "");
	for (unsigned op = 1; op < 256; op++)
		if (!strchr("\x0f\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", (int)op) &&
		    (op & 0xf0) != 0x40)
			doc_opcode("", (u8)op, ""); /* neither prefix nor escape */
	doc_opcode("\xf3", 0x90, "F3 ");
	for (unsigned op = 0; op < 256; op++)
		doc_opcode("\x0f", (u8)op, "0F ");
	for (unsigned modrm = 0xc0; modrm < 256; modrm++) {
		enum insn_op op = doc_decode("\x0f\x01", (u8)modrm, 0);

		if (op >= INSN_INT3 && op < INSN_INVALID)
			doc_add(op, "0F 01 %02X", modrm, 0);
	}
	p += sprintf(p, "| Instruction | Encodings | Executed |\n|---|---|---|\n");
	for (unsigned op = INSN_OTHER + 1; op < INSN_INVALID; op++) {
		CHECK(*forms[op]);
		p += sprintf(p, "| %s | %s | %s |\n", op_name[op], forms[op],
			     doc_executes((enum insn_op)op) ? "yes" : "");
	}
	begin = strstr(doc, DOC_BEGIN);
	end = strstr(doc, DOC_END);
	if (!begin || !end || strncmp(begin + strlen(DOC_BEGIN), want, strlen(want)) != 0 ||
	    begin + strlen(DOC_BEGIN) + strlen(want) != end)
		fprintf(stderr, "the list of forms in docs/decoder.md should be:\n%s", want);
	CHECK(begin && end);
	CHECK_EQ(end - begin, strlen(DOC_BEGIN) + strlen(want));
	CHECK(strncmp(begin + strlen(DOC_BEGIN), want, strlen(want)) == 0);
}

UNIT_MAIN({ "doc", test_doc })
