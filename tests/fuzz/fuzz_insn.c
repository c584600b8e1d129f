/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoder against another decoder, and against itself with fewer bytes; then the executor,
 * whose memory, registers and faults come from the input too.
 */
#include <stdlib.h>
#include <string.h>

#include "guest/emul/insn_exec.h"
#include "tests/unit/insn_oracle.h"

#define PAGE 4096u

struct machine {
	u8 mem[2 * PAGE];
	u64 gpr[16];
	u64 rflags;
	unsigned accesses;
	unsigned fail_at; /* this access fails */
	bool failed;
};

static u64 seg_base(void *ctx, enum insn_seg seg)
{
	(void)ctx;
	return (u64)seg << 4;
}

/* Memory repeats, so that every address is one. Nothing may follow a failed access. */
static int access(struct machine *m, unsigned size)
{
	if (m->failed || (size != 1 && size != 2 && size != 4 && size != 8))
		abort();
	m->failed = m->accesses++ == m->fail_at;
	return m->failed ? -EFAULT : 0;
}

static int mem_read(void *ctx, u64 linear, void *buf, unsigned size)
{
	struct machine *m = ctx;
	int rc = access(m, size);

	for (unsigned i = 0; i < size && !rc; i++)
		((u8 *)buf)[i] = m->mem[(linear + i) % sizeof(m->mem)];
	return rc;
}

static int mem_write(void *ctx, u64 linear, const void *buf, unsigned size)
{
	struct machine *m = ctx;
	int rc = access(m, size);

	for (unsigned i = 0; i < size && !rc; i++)
		m->mem[(linear + i) % sizeof(m->mem)] = ((const u8 *)buf)[i];
	return rc;
}

static int mem_probe(void *ctx, u64 linear, unsigned size)
{
	(void)linear;
	return access(ctx, size);
}

static int port_in(void *ctx, u16 port, u32 *value, unsigned size)
{
	*value = port;
	return access(ctx, size);
}

static int port_out(void *ctx, u16 port, u32 value, unsigned size)
{
	(void)port;
	(void)value;
	return access(ctx, size);
}

static void execute(const struct insn *in, const u8 *data, size_t size)
{
	static struct machine m, before;
	const struct insn_env env = { &m,        seg_base, mem_read, mem_write,
		                      mem_probe, port_in,  port_out };
	struct insn_cpu cpu = { m.gpr, &m.rflags, 0x1000, size & 1 ? 2 : 4 };
	struct insn_access a;
	int rc;

	memset(&m, 0, sizeof(m));
	for (unsigned i = 0; i < sizeof(m.gpr) && size; i++)
		((u8 *)m.gpr)[i] = data[i % size];
	m.rflags = size ? data[0] << 4 : 0;
	m.fail_at = size > 1 ? data[1] : 0;
	before = m;
	rc = insn_exec(in, &cpu, &env);
	if (rc == -EINVAL || (rc == -EFAULT) != m.failed)
		abort();
	/* All or nothing, except element by element. */
	if (rc < 0 && !(in->op >= INSN_MOVS && in->op <= INSN_OUTS) &&
	    (memcmp(m.gpr, before.gpr, sizeof(m.gpr)) || memcmp(m.mem, before.mem, sizeof(m.mem)) ||
	     m.rflags != before.rflags))
		abort();
	if ((insn_linear(in, &cpu, &env, &a) == 0) != !!(in->flags & INSN_F_MEM))
		abort();
}

/* Fewer bytes: the same instruction, or "too short"; and nothing may become decodable. */
static void check_shorter(const u8 *bytes, enum insn_mode mode, int full, const struct insn *in)
{
	struct insn t;

	for (unsigned n = 0; n < INSN_MAX_LEN; n++) {
		int rc;

		memset(&t, 0, sizeof(t));
		rc = insn_decode(bytes, n, mode, &t);
		if (full == 0 && n >= in->len ? rc || memcmp(&t, in, sizeof(t))
		    : full == 0               ? rc != -EFAULT
		                              : rc != -EFAULT && rc != -EINVAL)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct oracle_stats stats;
	u8 bytes[INSN_MAX_LEN] = { 0 };
	struct insn in;
	const char *why;
	enum insn_mode mode;
	int rc;

	if (size < 2)
		return 0;
	mode = (enum insn_mode)(data[0] % 3);
	memcpy(bytes, data + 1, size - 1 < sizeof(bytes) ? size - 1 : sizeof(bytes));
	why = oracle_compare(bytes, mode, &stats);
	if (why) {
		oracle_dump(bytes, mode, why);
		abort();
	}
	memset(&in, 0, sizeof(in));
	rc = insn_decode(bytes, sizeof(bytes), mode, &in);
	check_shorter(bytes, mode, rc, &in);
	if (rc == 0)
		execute(&in, data + 1, size - 1);
	return 0;
}
