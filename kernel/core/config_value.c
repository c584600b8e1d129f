/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of the configuration file: text pieces to numbers, sizes, addresses and lists.
 */
#include "kernel/core/config_value.h"

#include "kernel/base/bits.h"
#include "kernel/base/str.h"
#include "kernel/core/config.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

struct slice slice_trim(struct slice s)
{
	while (s.n && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool slice_is(struct slice s, const char *word)
{
	return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

bool slice_copy(char *dst, size_t size, struct slice s)
{
	if (s.n >= size)
		return false;
	memcpy(dst, s.p, s.n);
	dst[s.n] = '\0';
	return true;
}

bool slice_word(struct slice *s, struct slice *word)
{
	size_t n = 0;

	while (s->n && (is_blank(s->p[0]) || s->p[0] == ',')) {
		s->p++;
		s->n--;
	}
	while (n < s->n && !is_blank(s->p[n]) && s->p[n] != ',')
		n++;
	if (n == 0)
		return false;
	*word = (struct slice){ s->p, n };
	s->p += n;
	s->n -= n;
	return true;
}

bool slice_cut(struct slice s, char c, struct slice *head, struct slice *tail)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != c)
			continue;
		*head = (struct slice){ s.p, i };
		*tail = (struct slice){ s.p + i + 1, s.n - i - 1 };
		return true;
	}
	return false;
}

bool value_name(struct slice s)
{
	if (s.n == 0 || s.n >= CONFIG_NAME_LEN || !(is_alnum(s.p[0]) || s.p[0] == '_'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.')
			return false;
	}
	return true;
}

bool value_u64(struct slice s, u64 min, u64 max, u64 *out)
{
	u64 v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_digit(s.p[i]) || !checked_mul(v, 10, &v) ||
		    !checked_add(v, (u64)(s.p[i] - '0'), &v))
			return false;
	}
	if (v < min || v > max)
		return false;
	*out = v;
	return true;
}

bool value_scaled(struct slice s, u64 unit, u64 *out)
{
	static const char suffix[] = "KMGT";
	u32 power = 0;
	u64 v;

	if (s.n == 0)
		return false;
	for (u32 i = 0; i < 4; i++) {
		if ((s.p[s.n - 1] & ~0x20) == suffix[i])
			power = i + 1;
	}
	if (power)
		s.n--;
	if (!value_u64(s, 0, ~0ull, &v))
		return false;
	for (; power; power--) {
		if (!checked_mul(v, unit, &v))
			return false;
	}
	*out = v;
	return true;
}

bool value_bool(struct slice s, bool *out)
{
	if (slice_is(s, "yes") || slice_is(s, "on") || slice_is(s, "true"))
		*out = true;
	else if (slice_is(s, "no") || slice_is(s, "off") || slice_is(s, "false"))
		*out = false;
	else
		return false;
	return true;
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* All of s as min..max hexadecimal digits (at most 4). */
static bool value_hex(struct slice s, size_t min, size_t max, u32 *out)
{
	u32 v = 0;

	if (s.n < min || s.n > max)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		int d = hex_digit(s.p[i]);

		if (d < 0)
			return false;
		v = v << 4 | (u32)d;
	}
	*out = v;
	return true;
}

bool value_mac(struct slice s, u8 out[6])
{
	u8 mac[6];
	u8 any = 0;

	if (s.n != 17)
		return false;
	for (size_t i = 0; i < 6; i++) {
		u32 v;

		if (!value_hex((struct slice){ s.p + 3 * i, 2 }, 2, 2, &v) ||
		    (i < 5 && s.p[3 * i + 2] != ':'))
			return false;
		mac[i] = (u8)v;
		any |= (u8)v;
	}
	if ((mac[0] & 1) || any == 0)
		return false;
	memcpy(out, mac, sizeof(mac));
	return true;
}

bool value_pci(struct slice s, u16 *rid)
{
	struct slice bus, rest, dev, fn;
	u32 b, d, f;

	if (s.n > 5 && memcmp(s.p, "0000:", 5) == 0)
		s = (struct slice){ s.p + 5, s.n - 5 };
	if (!slice_cut(s, ':', &bus, &rest) || !slice_cut(rest, '.', &dev, &fn) ||
	    !value_hex(bus, 1, 2, &b) || !value_hex(dev, 1, 2, &d) || !value_hex(fn, 1, 1, &f) ||
	    d > 31 || f > 7)
		return false;
	*rid = (u16)(b << 8 | d << 3 | f);
	return true;
}

bool value_pci_id(struct slice s, u16 *vendor, u16 *device)
{
	struct slice v, d;
	u32 vid, did;

	if (!slice_cut(s, ':', &v, &d) || !value_hex(v, 4, 4, &vid) || !value_hex(d, 4, 4, &did) ||
	    vid == 0 || vid == 0xffff)
		return false;
	*vendor = (u16)vid;
	*device = (u16)did;
	return true;
}

bool value_cpu_list(struct slice s, u64 *mask)
{
	struct slice word, lo, hi;
	u64 m = 0, first, last;

	while (slice_word(&s, &word)) {
		if (!slice_cut(word, '-', &lo, &hi))
			lo = hi = word;
		if (!value_u64(lo, 0, 63, &first) || !value_u64(hi, first, 63, &last))
			return false;
		m |= MASK(last, first);
	}
	if (m == 0)
		return false;
	*mask = m;
	return true;
}

bool value_ipv4_net(struct slice s)
{
	struct slice part, bits;
	u64 v;

	if (!slice_cut(s, '/', &s, &bits) || !value_u64(bits, 1, 31, &v))
		return false;
	for (u32 i = 0; i < 3; i++) {
		if (!slice_cut(s, '.', &part, &s) || part.n > 3 || !value_u64(part, 0, 255, &v))
			return false;
	}
	return s.n <= 3 && value_u64(s, 0, 255, &v);
}
