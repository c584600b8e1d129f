/* SPDX-License-Identifier: Apache-2.0 */
/*
 * godwit.conf, the outer part: lines, sections, comments, and which key goes where.
 */
#include "kernel/core/config.h"

#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/config_priv.h"

#define MAX_FILE (1u << 20)
#define MAX_LINE 4096

void config_report(struct config *c, struct config_where at, const char *text,
		   config_error_fn error, void *ctx)
{
	char buf[CONFIG_REPORT_SIZE];
	struct text t = text_make(buf, sizeof(buf));

	c->errors++;
	if (c->errors > CONFIG_MAX_REPORTS + 1)
		return;
	text_add(&t, "%s:%u: ", c->file, at.line);
	if (c->errors == CONFIG_MAX_REPORTS + 1) {
		text_add(&t, "more errors, not shown");
	} else {
		if (at.title)
			text_add(&t, at.key ? "[%s] " : "[%s]: ", at.title);
		if (at.key)
			text_add(&t, "%s: ", at.key);
		text_add(&t, "%s", text);
	}
	error(ctx, buf);
}

void config_fail(struct config_parser *p, const char *key, const char *text)
{
	if (p->vm)
		p->vm->valid = false;
	if (p->nic)
		p->nic->valid = false;
	config_report(p->out, (struct config_where){ p->line, p->title[0] ? p->title : NULL, key },
		      text, p->error, p->ctx);
}

/* Foreign text for a message: cut, and nothing that could upset a terminal. */
static const char *show(struct config_parser *p, struct slice s)
{
	size_t n = s.n < CONFIG_SHOWN ? s.n : CONFIG_SHOWN;

	for (size_t i = 0; i < n; i++)
		p->shown[i] = s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : '?';
	(void)str_copy(p->shown + n, 4, s.n > CONFIG_SHOWN ? "..." : "");
	return p->shown;
}

/* "'<text>' <rest>" about the section being read. */
static void fail_with(struct config_parser *p, const char *key, struct slice what,
		      const char *rest, const char *more)
{
	fmt_snprintf(p->text, sizeof(p->text), "'%s' %s%s", show(p, what), rest, more);
	config_fail(p, key, p->text);
}

static void key_table(const struct config_parser *p, const struct config_key **keys, u32 *n)
{
	if (p->section == SECTION_HOST) {
		*keys = config_host_keys;
		*n = config_host_nkeys;
	} else if (p->section == SECTION_NIC) {
		*keys = config_nic_keys;
		*n = config_nic_nkeys;
	} else {
		*keys = config_vm_keys;
		*n = CONFIG_VM_KEYS;
	}
}

static void unknown_key(struct config_parser *p, struct slice key)
{
	struct text t = text_make(p->text, sizeof(p->text));
	const struct config_key *keys;
	u32 n;

	key_table(p, &keys, &n);
	text_add(&t, "unknown key, known are");
	for (u32 i = 0; i < n; i++)
		text_add(&t, " %s", keys[i].name);
	config_fail(p, show(p, key), p->text);
}

static void set_key(struct config_parser *p, struct slice key, struct slice value)
{
	const struct config_key *keys;
	const char *must;
	u32 n, i = 0;

	key_table(p, &keys, &n);
	while (i < n && !slice_is(key, keys[i].name))
		i++;
	if (i == n) {
		unknown_key(p, key);
		return;
	}
	if (p->lines[i] && !keys[i].repeats) {
		fmt_snprintf(p->text, sizeof(p->text), "given twice, first in line %u",
			     p->lines[i]);
		config_fail(p, keys[i].name, p->text);
		return;
	}
	p->lines[i] = p->line;
	must = config_set(p, &keys[i], i, value);
	if (must)
		fail_with(p, keys[i].name, value, "must be ", must);
}

static void end_section(struct config_parser *p)
{
	u32 line = p->line;

	if (p->vm)
		config_end_vm(p);
	if (p->nic)
		config_end_nic(p);
	p->line = line; /* they report at the section's first line */
	p->vm = NULL;
	p->nic = NULL;
	p->title[0] = '\0';
	memset(p->lines, 0, sizeof(p->lines));
}

/* Report a section that cannot be used; its keys are skipped. */
static void ignore_section(struct config_parser *p, struct slice title, const char *why)
{
	fmt_snprintf(p->text, sizeof(p->text), "%s; the section is ignored", why);
	config_report(p->out, (struct config_where){ p->line, show(p, title), NULL }, p->text,
		      p->error, p->ctx);
	p->section = SECTION_IGNORED;
}

static bool name_taken(const struct config *c, enum config_section kind, struct slice name)
{
	for (u32 i = 0; kind == SECTION_VM && i < c->vms; i++) {
		if (slice_is(name, c->vm[i].name))
			return true;
	}
	for (u32 i = 0; kind == SECTION_NIC && i < c->nics; i++) {
		if (slice_is(name, c->nic[i].name))
			return true;
	}
	return false;
}

static void begin_vm(struct config_parser *p, struct slice name)
{
	struct config_vm *vm = &p->out->vm[p->out->vms++];

	(void)slice_copy(vm->name, sizeof(vm->name), name);
	(void)str_copy(vm->cpu, sizeof(vm->cpu), "godwit-v1");
	vm->line = p->line;
	vm->valid = true;
	vm->cpus = 1;
	vm->weight = 100;
	p->vm = vm;
}

static void begin_nic(struct config_parser *p, struct slice name)
{
	struct config_nic *nic = &p->out->nic[p->out->nics++];

	(void)slice_copy(nic->name, sizeof(nic->name), name);
	nic->line = p->line;
	nic->valid = true;
	nic->failover = true;
	p->nic = nic;
}

#define STR(x)	STR_(x)
#define STR_(x) #x

static void begin_named(struct config_parser *p, struct slice title, struct slice name)
{
	if (!value_name(name))
		ignore_section(p, title, "the name must be 1 to 31 of a-z A-Z 0-9 - _ . and "
					 "begin with a letter, digit or _");
	else if (name_taken(p->out, p->section, name))
		ignore_section(p, title, "there is a section of this name already");
	else if (p->section == SECTION_VM && p->out->vms == CONFIG_VMS)
		ignore_section(p, title, "too many VMs, at most " STR(CONFIG_VMS));
	else if (p->section == SECTION_NIC && p->out->nics == CONFIG_NICS)
		ignore_section(p, title, "too many NICs, at most " STR(CONFIG_NICS));
	else if (p->section == SECTION_VM)
		begin_vm(p, name);
	else
		begin_nic(p, name);
}

static void begin_section(struct config_parser *p, struct slice line)
{
	struct slice title, kind, name;

	end_section(p);
	title = slice_trim((struct slice){ line.p + 1, line.n - 1 });
	if (line.p[line.n - 1] != ']') {
		ignore_section(p, title, "']' missing at the end of the section line");
		return;
	}
	title = name = slice_trim((struct slice){ line.p + 1, line.n - 2 });
	if (!slice_word(&name, &kind))
		kind = name;
	name = slice_trim(name);
	if (slice_is(kind, "host") && name.n == 0)
		p->section = SECTION_HOST;
	else if (slice_is(kind, "nic"))
		p->section = SECTION_NIC;
	else if (slice_is(kind, "vm"))
		p->section = SECTION_VM;
	else
		p->section = SECTION_NONE;

	if (p->section == SECTION_NONE) {
		ignore_section(p, title,
			       "unknown section, known are [host], [nic NAME], [vm NAME]");
	} else if (p->section != SECTION_HOST) {
		begin_named(p, title, name);
	} else if (p->seen_host) {
		ignore_section(p, title, "given twice");
	} else {
		p->seen_host = true;
	}
	if (p->section == SECTION_HOST)
		(void)str_copy(p->title, sizeof(p->title), "host");
	else if (p->section != SECTION_IGNORED)
		fmt_snprintf(p->title, sizeof(p->title), "%s %s", p->vm ? "vm" : "nic",
			     p->vm ? p->vm->name : p->nic->name);
}

/* Without the comment: '#' first in the line or after a blank, and not inside quotes. */
static struct slice strip_comment(struct slice s)
{
	bool quoted = false;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			quoted = !quoted;
		else if (s.p[i] == '#' && !quoted &&
			 (i == 0 || s.p[i - 1] == ' ' || s.p[i - 1] == '\t'))
			s.n = i;
	}
	return slice_trim(s);
}

/* Quotes around the whole value go away; those inside belong to it. False: one is missing. */
static bool unquote(struct slice *v)
{
	u32 quotes = 0;

	for (size_t i = 0; i < v->n; i++)
		quotes += v->p[i] == '"';
	if (quotes == 2 && v->p[0] == '"' && v->p[v->n - 1] == '"')
		*v = (struct slice){ v->p + 1, v->n - 2 };
	return quotes % 2 == 0;
}

static void parse_assignment(struct config_parser *p, struct slice line)
{
	struct slice key, value;

	if (!slice_cut(line, '=', &key, &value)) {
		fail_with(p, NULL, line, "is neither [section] nor key = value", "");
		return;
	}
	key = slice_trim(key);
	value = slice_trim(value);
	if (p->section == SECTION_IGNORED)
		return;
	if (p->section == SECTION_NONE)
		fail_with(p, NULL, key, "stands before any [section]", "");
	else if (!unquote(&value))
		fail_with(p, NULL, value, "lacks its closing quote", "");
	else
		set_key(p, key, value);
}

static bool line_is_clean(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (((u8)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	}
	return true;
}

static void parse_line(struct config_parser *p, struct slice line)
{
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n > MAX_LINE) {
		config_fail(p, NULL, "line too long, at most " STR(MAX_LINE) " bytes");
		return;
	}
	line = strip_comment(line);
	if (line.n == 0)
		return;
	if (!line_is_clean(line))
		config_fail(p, NULL, "control character in the line; only text is allowed");
	else if (line.p[0] == '[')
		begin_section(p, line);
	else
		parse_assignment(p, line);
}

static void set_defaults(struct config *c, const char *file)
{
	memset(c, 0, sizeof(*c));
	if (!str_copy(c->file, sizeof(c->file), file))
		(void)str_copy(c->file, sizeof(c->file), "godwit.conf");
	(void)str_copy(c->host.name, sizeof(c->host.name), "godwit");
	(void)str_copy(c->host.console, sizeof(c->host.console), "ttyS0");
	(void)str_copy(c->host.ctl, sizeof(c->host.ctl), "ttyS1");
}

int config_parse(const char *file, const char *text, size_t len, struct config *out,
		 config_error_fn error, void *ctx)
{
	struct config_parser p = { .out = out, .error = error, .ctx = ctx };
	struct slice rest = { text, len }, line;

	set_defaults(out, file);
	if (len > MAX_FILE) {
		config_report(out, (struct config_where){ .line = 1 },
			      "file too long, at most 1 MiB", error, ctx);
		return -EINVAL;
	}
	if (rest.n >= 3 && memcmp(rest.p, "\xef\xbb\xbf", 3) == 0)
		rest = (struct slice){ rest.p + 3, rest.n - 3 };
	while (rest.n) {
		p.line++;
		if (!slice_cut(rest, '\n', &line, &rest)) {
			line = rest;
			rest.n = 0;
		}
		parse_line(&p, line);
	}
	end_section(&p);
	config_check_clashes(out, error, ctx);
	return out->errors ? -EINVAL : 0;
}
