/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of the command line.
 */
#include "kernel/core/cmdline.h"

#include "kernel/base/err.h"
#include "kernel/base/str.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void copy_value(const char *value, size_t len, char *out, size_t size)
{
	if (!size)
		return;
	if (len > size - 1)
		len = size - 1;
	memcpy(out, value, len);
	out[len] = '\0';
}

bool cmdline_find(const char *text, const char *key, char *out, size_t size)
{
	size_t key_len = strlen(key);
	bool found = false;

	while (*text) {
		const char *word = text;
		size_t len = 0;

		while (word[len] && !is_blank(word[len]))
			len++;
		if (len >= key_len && strncmp(word, key, key_len) == 0) {
			if (len == key_len) {
				copy_value("", 0, out, size);
				found = true;
			} else if (word[key_len] == '=') {
				copy_value(word + key_len + 1, len - key_len - 1, out, size);
				found = true;
			}
		}
		text += len;
		while (is_blank(*text))
			text++;
	}
	return found;
}

int cmdline_find_u64(const char *text, const char *key, u64 *out)
{
	char value[24];

	if (!cmdline_find(text, key, value, sizeof(value)))
		return -ENOENT;
	return str_to_u64(value, out);
}
