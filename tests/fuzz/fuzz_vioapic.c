/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O APIC under any sequence of register accesses, line changes and EOIs: an asserted,
 * unmasked level pin is always either sent or waiting for its EOI.
 */
#include "tests/fuzz/stream.h"

#include "devices/platform/vioapic.h"
#include "kernel/base/bits.h"

static unsigned sent;

static void deliver(void *ctx, const struct apic_msg *m)
{
	(void)ctx;
	FUZZ_CHECK(m->dest <= 0xff && m->delivery <= 7 && m->shorthand == 0 && m->assert);
	sent++;
}

static void check(const struct vioapic *io)
{
	for (unsigned i = 0; i < MACHINE_IOAPIC_PINS; i++) {
		u64 rte = io->rte[i];
		bool level = rte & BIT(15), remote = rte & BIT(14), masked = rte & BIT(16);

		FUZZ_CHECK(!remote || level);
		if ((io->lines & BIT(i)) && level && !masked)
			FUZZ_CHECK(remote);
		FUZZ_CHECK(!(rte & ~(MASK(63, 56) | MASK(16, 0))) && !(rte & BIT(12)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vioapic_env env = { NULL, deliver };
	struct stream s = { data, size };
	struct vioapic io, other;

	vioapic_init(&io, &env);
	while (s.left) {
		u8 op = take8(&s);
		u64 v;

		sent = 0;
		switch (op >> 6) {
		case 0:
			v = take8(&s);
			vioapic_mmio(&io, 0, 4, true, &v);
			v = take32(&s);
			vioapic_mmio(&io, 0x10, 4, true, &v);
			break;
		case 1:
			v = take32(&s);
			vioapic_mmio(&io, (u64)(op & 7) * 16, 1u << (op >> 4 & 3), op & 8, &v);
			break;
		case 2:
			vioapic_set_line(&io, op & 31, op & 32);
			break;
		default:
			vioapic_eoi(&io, take8(&s));
			break;
		}
		FUZZ_CHECK(sent <= MACHINE_IOAPIC_PINS);
		check(&io);
	}
	vioapic_init(&other, &env);
	move_fields(&other, &io, vioapic_fields, vioapic_nfields);
	other.lines = io.lines;
	FUZZ_CHECK(vioapic_resume(&other) == 0);
	FUZZ_CHECK(same_fields(&other, &io, vioapic_fields, vioapic_nfields));
	return 0;
}
