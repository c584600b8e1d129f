/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI root pointer, root table and the fixed tables: MADT, MCFG, FADT, HPET.
 */
#include "kernel/core/acpi.h"

#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

#define RSDP_V1_LEN  20
#define RSDP_V2_LEN  36
#define BDA_EBDA     0x40eull /* segment of the extended BIOS data area */
#define BIOS_AREA    0xe0000ull
#define BIOS_AREA_LEN 0x20000ull

enum madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_NMI = 4,
	MADT_LAPIC_ADDRESS = 5,
	MADT_X2APIC = 9,
	MADT_X2APIC_NMI = 10,
};

struct parse {
	const struct boot_env *env;
	struct acpi_info *out;
	char *why;
	size_t why_size;
	struct text notes;
};

#define FAIL(p, err, ...) (fmt_snprintf((p)->why, (p)->why_size, __VA_ARGS__), (err))

/* A table whose header, length and checksum are good. */
struct view {
	char name[5];
	const u8 *b;
	u32 len;
	hpa_t pa;
};

static u8 sum8(const u8 *p, size_t n)
{
	u8 s = 0;

	for (size_t i = 0; i < n; i++)
		s = (u8)(s + p[i]);
	return s;
}

static void note(struct parse *p, const char *f, const char *name, u64 v)
{
	text_add(&p->notes, "%s%s: ", p->notes.len ? "; " : "", name);
	text_add(&p->notes, f, (unsigned long long)v);
}

/* What table_open() said last. */
static void note_why(struct parse *p)
{
	text_add(&p->notes, "%s%s", p->notes.len ? "; " : "", p->why);
}

/* ---- root pointer ------------------------------------------------------------------------- */

static bool rsdp_good(const u8 *b, size_t n)
{
	if (n < RSDP_V1_LEN || memcmp(b, "RSD PTR ", 8) != 0 || sum8(b, RSDP_V1_LEN) != 0)
		return false;
	if (b[15] < 2 || n < RSDP_V2_LEN)
		return true;
	/* Longer than the 36 bytes known: nothing more is checked or used. */
	return get_le32(b + 20) >= RSDP_V2_LEN &&
	       (get_le32(b + 20) > RSDP_V2_LEN || sum8(b, RSDP_V2_LEN) == 0);
}

/* On 16-byte boundaries in [base, base+len); the bytes found, at most 36. */
static const u8 *rsdp_search(struct parse *p, hpa_t base, u64 len, u32 *n)
{
	const u8 *b = p->env->phys(p->env->ctx, base, (size_t)len);

	for (u64 at = 0; b && at + RSDP_V1_LEN <= len; at += 16) {
		u64 left = min_u64(len - at, RSDP_V2_LEN);

		if (rsdp_good(b + at, (size_t)left)) {
			p->out->rsdp = base + at;
			*n = (u32)left;
			return b + at;
		}
	}
	return NULL;
}

static const u8 *rsdp_find(struct parse *p, const u8 *copy, u32 *n)
{
	const u8 *bda, *b = NULL;
	hpa_t ebda;

	if (*n && rsdp_good(copy, *n))
		return copy;
	if (*n)
		note(p, "the loader's copy of %llu bytes is damaged", "RSDP", *n);
	bda = p->env->phys(p->env->ctx, BDA_EBDA, 2);
	ebda = bda ? (hpa_t)get_le16(bda) << 4 : 0;
	if (ebda >= 0x80000 && ebda < 0xa0000)
		b = rsdp_search(p, ebda, min_u64(1024, 0xa0000 - ebda), n);
	if (!b)
		b = rsdp_search(p, BIOS_AREA, BIOS_AREA_LEN, n);
	return b;
}

/* ---- tables --------------------------------------------------------------------------------- */

/* Header, length and checksum; why says what is wrong. */
static int table_open(struct parse *p, hpa_t pa, u32 min, struct view *v)
{
	const u8 *b = p->env->phys(p->env->ctx, pa, ACPI_HEADER_LEN);
	char name[5] = "";
	u32 len;

	if (!b)
		return FAIL(p, -EFAULT, "table at %#llx is out of reach", (unsigned long long)pa);
	for (u32 i = 0; i < 4; i++)
		name[i] = (char)(b[i] > 0x20 && b[i] < 0x7f ? b[i] : '?');
	len = get_le32(b + 4);
	if (len < min || len > ACPI_TABLE_MAX)
		return FAIL(p, -EPROTO, "%s at %#llx: offset 4: length %u, %u to %u", name,
			    (unsigned long long)pa, len, min, ACPI_TABLE_MAX);
	b = p->env->phys(p->env->ctx, pa, len);
	if (!b)
		return FAIL(p, -EFAULT, "%s at %#llx: %u bytes are out of reach", name,
			    (unsigned long long)pa, len);
	if (sum8(b, len) != 0)
		return FAIL(p, -EPROTO, "%s at %#llx: offset 9: wrong checksum over %u bytes", name,
			    (unsigned long long)pa, len);
	*v = (struct view){ .b = b, .len = len, .pa = pa };
	memcpy(v->name, name, sizeof(name));
	return 0;
}

/* ---- MADT (ACPI 6.4 §5.2.12) --------------------------------------------------------- */

static void add_cpu(struct acpi_info *a, u32 apic_id, u32 uid, u32 flags)
{
	if ((flags & 3) == 0)
		return;
	/* The same processor may be listed in both formats. */
	for (u32 i = 0; i < a->cpus; i++)
		if (a->cpu[i].apic_id == apic_id)
			return;
	if (a->cpus == ACPI_CPUS) {
		a->cpus_dropped++;
		return;
	}
	a->cpu[a->cpus++] = (struct acpi_cpu){ apic_id, uid, (flags & 1) != 0 };
}

static void add_ioapic(struct acpi_info *a, u8 id, hpa_t mmio, u32 gsi_base)
{
	if (a->ioapics == ACPI_IOAPICS) {
		a->ioapics_dropped++;
		return;
	}
	a->ioapic[a->ioapics++] = (struct acpi_ioapic){ id, mmio, gsi_base };
}

/* MPS INTI flags: polarity 1:0, trigger 3:2; 3 is low or level, all else what ISA has. */
static void add_override(struct acpi_info *a, u8 isa, u32 gsi, u16 flags)
{
	if (a->overrides == ACPI_OVERRIDES) {
		a->overrides_dropped++;
		return;
	}
	a->override[a->overrides++] = (struct acpi_override){ isa, gsi, (flags >> 2 & 3) == 3,
							      (flags & 3) == 3 };
}

static void add_nmi(struct acpi_info *a, u32 uid, u16 flags, u8 lint)
{
	if (a->nmis == ACPI_LINT_NMIS) {
		a->nmis_dropped++;
		return;
	}
	a->nmi[a->nmis++] = (struct acpi_lint_nmi){ uid, lint & 1, (flags & 3) == 3,
						    (flags >> 2 & 3) == 3 };
}

/* e: n bytes of an entry, type and length included; short ones of a known type are malformed. */
static bool madt_entry(struct acpi_info *a, const u8 *e, size_t n)
{
	static const u8 need[] = {
		[MADT_LAPIC] = 8,	   [MADT_IOAPIC] = 12, [MADT_OVERRIDE] = 10,
		[MADT_LAPIC_NMI] = 6,	   [MADT_X2APIC] = 16, [MADT_X2APIC_NMI] = 12,
		[MADT_LAPIC_ADDRESS] = 12,
	};

	if (e[0] < sizeof(need) && n < need[e[0]])
		return false;
	switch (e[0]) {
	case MADT_LAPIC:
		if (e[3] != 0xff)
			add_cpu(a, e[3], e[2], get_le32(e + 4));
		break;
	case MADT_X2APIC:
		if (get_le32(e + 4) != 0xffffffff)
			add_cpu(a, get_le32(e + 4), get_le32(e + 12), get_le32(e + 8));
		break;
	case MADT_IOAPIC:
		add_ioapic(a, e[2], get_le32(e + 4), get_le32(e + 8));
		break;
	case MADT_OVERRIDE:
		if (e[2] == 0) /* bus 0 is ISA, the only one defined */
			add_override(a, e[3], get_le32(e + 4), get_le16(e + 8));
		break;
	case MADT_LAPIC_NMI:
		add_nmi(a, e[2] == 0xff ? ACPI_UID_ALL : e[2], get_le16(e + 3), e[5]);
		break;
	case MADT_X2APIC_NMI:
		add_nmi(a, get_le32(e + 4), get_le16(e + 2), e[8]);
		break;
	case MADT_LAPIC_ADDRESS:
		a->lapic_mmio = get_le64(e + 4);
		break;
	default:
		break;
	}
	return true;
}

static int take_madt(struct parse *p, const struct view *v)
{
	struct reader r = reader_make(v->b, v->len);

	(void)reader_bytes(&r, ACPI_HEADER_LEN);
	p->out->lapic_mmio = reader_u32(&r);
	p->out->has_8259 = (reader_u32(&r) & 1) != 0;
	while (reader_left(&r) > 0) {
		size_t at = r.pos;
		u8 type = reader_u8(&r), n = reader_u8(&r);

		if (r.overrun || n < 2 || !reader_bytes(&r, n - 2u) ||
		    !madt_entry(p->out, v->b + at, n))
			return FAIL(p, -EPROTO,
				    "APIC: offset %zu: entry of type %u has %u bytes, %zu left", at,
				    type, n, v->len - at);
	}
	return 0;
}

/* ---- MCFG, HPET ---------------------------------------------------------------------- */

static void take_mcfg(struct parse *p, const struct view *v)
{
	struct acpi_info *a = p->out;

	if ((v->len - 44) % 16)
		note(p, "offset %llu: part of an entry", v->name, v->len - (v->len - 44) % 16);
	for (u32 at = 44; at + 16 <= v->len; at += 16) {
		struct acpi_segment s = {
			.base = get_le64(v->b + at),
			.segment = get_le16(v->b + at + 8),
			.first = v->b[at + 10],
			.last = v->b[at + 11],
		};
		u64 end;

		if (s.last < s.first || !is_aligned(s.base, 1 << 20) ||
		    !checked_add(s.base, 256 << 20, &end)) {
			note(p, "offset %llu: impossible buses or base", v->name, at);
			continue;
		}
		if (a->segments == ACPI_SEGMENTS) {
			a->segments_dropped++;
			continue;
		}
		a->segment[a->segments++] = s;
	}
}

static struct acpi_gas gas_at(const u8 *b)
{
	return (struct acpi_gas){ b[0], b[1], b[2], b[3], get_le64(b + 4) };
}

static void take_hpet(struct parse *p, const struct view *v)
{
	struct acpi_gas g = gas_at(v->b + 40);

	if (g.space != ACPI_SPACE_MEMORY || !is_aligned(g.addr, 1024)) {
		note(p, "offset 40: registers at %#llx, or not in memory", v->name, g.addr);
		return;
	}
	p->out->hpet = (struct acpi_hpet){ g.addr, v->b[52] };
}

/* ---- FADT (ACPI 6.4 §5.2.9) ---------------------------------------------------------- */

/* The extended address when the table has one, else the old port. */
static struct acpi_gas fadt_block(const struct view *v, u32 old, u32 bytes, u32 ext)
{
	struct acpi_gas g = { 0 };
	u32 port = get_le32(v->b + old);

	if (v->len >= ext + 12)
		g = gas_at(v->b + ext);
	if (g.addr == 0 && port)
		g = (struct acpi_gas){ .space = ACPI_SPACE_IO,
				       .bits = (u8)(bytes * 8),
				       .addr = port };
	return g;
}

static void take_dsdt(struct parse *p, const struct view *fadt)
{
	struct acpi_fadt *f = &p->out->fadt;
	struct view v;
	hpa_t pa = fadt->len >= 148 ? get_le64(fadt->b + 140) : 0;

	if (!pa)
		pa = get_le32(fadt->b + 40);
	if (!pa)
		return;
	if (table_open(p, pa, ACPI_HEADER_LEN, &v)) {
		note_why(p);
		return;
	}
	p->out->dsdt = (struct acpi_table){ pa, v.len };
	f->has_s5 = acpi_s5_find(v.b + ACPI_HEADER_LEN, v.len - ACPI_HEADER_LEN, &f->s5) == 0;
}

static void take_fadt(struct parse *p, const struct view *v)
{
	struct acpi_fadt *f = &p->out->fadt;
	const u8 *b = v->b;

	f->present = true;
	f->sci_int = get_le16(b + 46);
	f->smi_cmd = get_le32(b + 48) <= 0xffff ? get_le16(b + 48) : 0;
	f->acpi_enable = b[52];
	f->boot_arch = get_le16(b + 109);
	f->flags = get_le32(b + 112);
	f->pm1a_event = fadt_block(v, 56, b[88], 148);
	f->pm1b_event = fadt_block(v, 60, b[88], 160);
	f->pm1a_control = fadt_block(v, 64, b[89], 172);
	f->pm1b_control = fadt_block(v, 68, b[89], 184);
	f->pm_timer = fadt_block(v, 76, b[91], 208);
	if (v->len < 129)
		f->flags &= ~ACPI_FADT_RESET_REG_SUP;
	if (f->flags & ACPI_FADT_RESET_REG_SUP) {
		f->reset = gas_at(b + 116);
		f->reset_value = b[128];
	}
	take_dsdt(p, v);
}

/* ---- root table ---------------------------------------------------------------------- */

enum want { WANT_MADT, WANT_FADT, WANT_MCFG, WANT_HPET, WANT_DMAR, WANT_IVRS, WANTS };

static const struct {
	char name[5];
	u32 min; /* bytes up to the first variable part */
} wanted[WANTS] = {
	[WANT_MADT] = { "APIC", 44 }, [WANT_FADT] = { "FACP", 116 }, [WANT_MCFG] = { "MCFG", 44 },
	[WANT_HPET] = { "HPET", 56 }, [WANT_DMAR] = { "DMAR", 48 },  [WANT_IVRS] = { "IVRS", 48 },
};

static void take_optional(struct parse *p, u32 w, const struct view *v)
{
	if (w == WANT_FADT)
		take_fadt(p, v);
	else if (w == WANT_MCFG)
		take_mcfg(p, v);
	else if (w == WANT_HPET)
		take_hpet(p, v);
	else if (w == WANT_DMAR)
		p->out->dmar = (struct acpi_table){ v->pa, v->len };
	else if (w == WANT_IVRS)
		p->out->ivrs = (struct acpi_table){ v->pa, v->len };
}

static int take_table(struct parse *p, u32 w, hpa_t pa)
{
	struct view v;
	int err = table_open(p, pa, wanted[w].min, &v);

	if (w == WANT_MADT)
		return err ? err : take_madt(p, &v);
	if (err) {
		note_why(p);
		p->out->dmar_bad |= w == WANT_DMAR;
		p->out->ivrs_bad |= w == WANT_IVRS;
		return 0;
	}
	take_optional(p, w, &v);
	return 0;
}

/* Which table it is, by its header alone. The first of a name counts, others are noted. */
static int take_entry(struct parse *p, hpa_t pa, u32 *seen)
{
	const u8 *b = pa ? p->env->phys(p->env->ctx, pa, ACPI_HEADER_LEN) : NULL;

	if (!b) {
		note(p, "lists a table at %#llx, which is out of reach", "root table", pa);
		return 0;
	}
	for (u32 w = 0; w < WANTS; w++) {
		if (memcmp(b, wanted[w].name, 4) != 0)
			continue;
		if (*seen & 1u << w) {
			note(p, "a second one at %#llx is not used", wanted[w].name, pa);
			return 0;
		}
		*seen |= 1u << w;
		return take_table(p, w, pa);
	}
	return 0;
}

static int take_root(struct parse *p, hpa_t pa, u32 size)
{
	struct acpi_info *a = p->out;
	struct view v;
	u32 seen = 0;
	int err = table_open(p, pa, ACPI_HEADER_LEN, &v);

	if (err)
		return err;
	if (memcmp(v.b, size == 8 ? "XSDT" : "RSDT", 4) != 0)
		return FAIL(p, -EPROTO, "%s at %#llx: offset 0: an %s was expected", v.name,
			    (unsigned long long)pa, size == 8 ? "XSDT" : "RSDT");
	a->tables = (v.len - ACPI_HEADER_LEN) / size;
	if (a->tables > ACPI_ROOT_MAX) {
		a->tables_dropped = a->tables - ACPI_ROOT_MAX;
		a->tables = ACPI_ROOT_MAX;
	}
	for (u32 i = 0; i < a->tables; i++) {
		const u8 *e = v.b + ACPI_HEADER_LEN + i * size;

		err = take_entry(p, size == 8 ? get_le64(e) : get_le32(e), &seen);
		if (err)
			return err;
	}
	if (!(seen & 1u << WANT_MADT))
		return FAIL(p, -ENOENT, "%s at %#llx: lists no APIC table", v.name,
			    (unsigned long long)pa);
	return 0;
}

int acpi_parse(const u8 *rsdp, u32 rsdp_len, const struct boot_env *env, struct acpi_info *out,
	       char *why, size_t why_size)
{
	struct parse p = { .env = env, .out = out, .why = why, .why_size = why_size };
	const u8 *b;
	hpa_t xsdt;

	memset(out, 0, sizeof(*out));
	p.notes = text_make(out->notes, sizeof(out->notes));
	b = rsdp_find(&p, rsdp, &rsdp_len);
	if (!b)
		return FAIL(&p, -ENOENT, "RSDP: neither from the loader nor in low memory");
	out->revision = b[15];
	xsdt = b[15] >= 2 && rsdp_len >= RSDP_V2_LEN ? get_le64(b + 24) : 0;
	out->xsdt = xsdt != 0;
	return xsdt ? take_root(&p, xsdt, 8) : take_root(&p, get_le32(b + 16), 4);
}

/* ---- questions ----------------------------------------------------------------------- */

struct acpi_override acpi_isa_irq(const struct acpi_info *a, u8 irq)
{
	for (u32 i = 0; i < a->overrides; i++)
		if (a->override[i].isa == irq)
			return a->override[i];
	return (struct acpi_override){ irq, irq, false, false };
}

struct acpi_override acpi_sci(const struct acpi_info *a)
{
	u16 sci = a->fadt.sci_int;

	for (u32 i = 0; i < a->overrides; i++)
		if (a->override[i].isa == sci)
			return a->override[i];
	return (struct acpi_override){ (u8)sci, sci, true, true };
}

u16 acpi_io_port(const struct acpi_gas *g)
{
	return g->space == ACPI_SPACE_IO && g->addr <= 0xffff ? (u16)g->addr : 0;
}
