/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded copies and number parsing.
 */
#include "kernel/base/str.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"

bool str_copy(char *dst, size_t size, const char *src)
{
	size_t i = 0;

	if (size == 0)
		return false;
	for (; src[i] && i + 1 < size; i++)
		dst[i] = src[i];
	dst[i] = '\0';
	return src[i] == '\0';
}

bool str_starts(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return false;
	return true;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* Parses digits at s; *end is the first character that is none. */
static int parse_u64(const char *s, const char **end, u64 *out)
{
	unsigned base = 10;
	u64 v = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (digit_value(*s) >= (int)base)
		return -EINVAL;
	for (; digit_value(*s) < (int)base; s++)
		if (!checked_mul(v, base, &v) || !checked_add(v, (u64)digit_value(*s), &v))
			return -ERANGE;
	*end = s;
	*out = v;
	return 0;
}

int str_to_u64(const char *s, u64 *out)
{
	const char *end;
	u64 v;
	int rc = parse_u64(s, &end, &v);

	if (rc)
		return rc;
	if (*end)
		return -EINVAL;
	*out = v;
	return 0;
}

int str_to_size(const char *s, u64 *out)
{
	const char *end;
	u64 v, unit = 1;
	int rc = parse_u64(s, &end, &v);

	if (rc)
		return rc;
	switch (*end) {
	case '\0':
		break;
	case 'K':
	case 'k':
		unit = 1ull << 10;
		break;
	case 'M':
	case 'm':
		unit = 1ull << 20;
		break;
	case 'G':
	case 'g':
		unit = 1ull << 30;
		break;
	default:
		return -EINVAL;
	}
	if (*end && end[1])
		return -EINVAL;
	if (!checked_mul(v, unit, &v))
		return -ERANGE;
	*out = v;
	return 0;
}
