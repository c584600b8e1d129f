/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of boot modules.
 */
#include "kernel/core/bootmod.h"

#include "kernel/base/err.h"
#include "kernel/base/str.h"

static size_t word_len(const char *s)
{
	size_t n = 0;

	while (s[n] && s[n] != ' ' && s[n] != '\t')
		n++;
	return n;
}

static const char *next_word(const char *s)
{
	s += word_len(s);
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* The name inside the loader's string; *n its length. */
static const char *find_name(const char *string, size_t *n)
{
	const char *first, *w = string;

	while (*w == ' ' || *w == '\t')
		w++;
	first = w;
	for (; *w; w = next_word(w)) {
		if (str_starts(w, "name=")) {
			*n = word_len(w) - 5;
			return w + 5;
		}
	}
	*n = word_len(first);
	for (size_t i = *n; i > 0; i--) {
		if (first[i - 1] == '/') {
			*n -= i;
			return first + i;
		}
	}
	return first;
}

int bootmod_add(struct bootmods *m, const char *string, const u8 *data, u64 len)
{
	struct bootmod *b;
	const char *name;
	size_t n;

	name = find_name(string, &n);
	if (n == 0 || n >= BOOTMOD_NAME_LEN)
		return -EINVAL;
	if (m->count == BOOTMOD_MAX)
		return -ENOSPC;
	b = &m->mod[m->count];
	memcpy(b->name, name, n);
	b->name[n] = '\0';
	if (bootmod_find(m, b->name))
		return -EEXIST;
	b->data = data;
	b->len = len;
	m->count++;
	return 0;
}

const struct bootmod *bootmod_find(const struct bootmods *m, const char *name)
{
	for (u32 i = 0; i < m->count; i++)
		if (strcmp(m->mod[i].name, name) == 0)
			return &m->mod[i];
	return NULL;
}
