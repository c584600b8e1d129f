/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formatting for log lines and dumps: integers, strings, characters. No floats.
 */
#include "kernel/base/fmt.h"

#include "kernel/base/str.h"

struct spec {
	bool left, zero, plus, alt;
	bool has_precision;
	size_t width;
	size_t precision;
	int length; /* -2 hh, -1 h, 0 int, 1 l/ll/z */
};

struct out {
	char *buf;
	size_t size;
	size_t len;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_padded(struct out *o, const struct spec *s, const char *sign, const char *body,
		       size_t n)
{
	size_t total = strlen(sign) + n;
	size_t pad = s->width > total ? s->width - total : 0;
	bool zero = s->zero && !s->left && !s->has_precision;

	for (; !s->left && !zero && pad; pad--)
		put(o, ' ');
	while (*sign)
		put(o, *sign++);
	for (; zero && pad; pad--)
		put(o, '0');
	while (n--)
		put(o, *body++);
	for (; pad; pad--)
		put(o, ' ');
}

static void put_number(struct out *o, const struct spec *s, u64 v, unsigned base, bool upper,
		       const char *sign)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char tmp[64];
	size_t i = sizeof(tmp);
	size_t min = s->has_precision ? s->precision : 1;

	while (v) {
		tmp[--i] = digits[v % base];
		v /= base;
	}
	while (sizeof(tmp) - i < min && i > 0)
		tmp[--i] = '0';
	put_padded(o, s, sign, tmp + i, sizeof(tmp) - i);
}

static size_t parse_count(const char **f, va_list *ap)
{
	size_t v = 0;

	if (**f == '*') {
		int n = va_arg(*ap, int);

		(*f)++;
		return n > 0 ? (size_t)n : 0;
	}
	for (; **f >= '0' && **f <= '9'; (*f)++)
		v = v * 10 + (size_t)(**f - '0');
	return v;
}

static void parse_spec(const char **f, va_list *ap, struct spec *s)
{
	*s = (struct spec){ 0 };
	for (;; (*f)++) {
		if (**f == '-')
			s->left = true;
		else if (**f == '0')
			s->zero = true;
		else if (**f == '+')
			s->plus = true;
		else if (**f == '#')
			s->alt = true;
		else if (**f != ' ')
			break;
	}
	s->width = parse_count(f, ap);
	if (**f == '.') {
		(*f)++;
		s->has_precision = true;
		s->precision = parse_count(f, ap);
	}
	for (;; (*f)++) {
		if (**f == 'h')
			s->length--;
		else if (**f == 'l' || **f == 'z')
			s->length = 1;
		else
			break;
	}
}

static u64 arg_unsigned(const struct spec *s, va_list *ap)
{
	if (s->length == 1)
		return va_arg(*ap, u64);
	if (s->length == -1)
		return (u16)va_arg(*ap, unsigned);
	if (s->length == -2)
		return (u8)va_arg(*ap, unsigned);
	return va_arg(*ap, unsigned);
}

static void put_signed(struct out *o, const struct spec *s, va_list *ap)
{
	s64 v = s->length == 1 ? va_arg(*ap, s64) : va_arg(*ap, int);

	if (v < 0)
		put_number(o, s, 0 - (u64)v, 10, false, "-");
	else
		put_number(o, s, (u64)v, 10, false, s->plus ? "+" : "");
}

static void put_string(struct out *o, const struct spec *s, const char *str)
{
	size_t n = 0;

	if (!str)
		str = "(null)";
	while ((!s->has_precision || n < s->precision) && str[n])
		n++;
	put_padded(o, s, "", str, n);
}

static void put_conversion(struct out *o, const struct spec *s, char conv, va_list *ap)
{
	u64 v;
	char c;

	switch (conv) {
	case 'd':
	case 'i':
		put_signed(o, s, ap);
		break;
	case 'u':
		put_number(o, s, arg_unsigned(s, ap), 10, false, "");
		break;
	case 'o':
		put_number(o, s, arg_unsigned(s, ap), 8, false, "");
		break;
	case 'x':
	case 'X':
		v = arg_unsigned(s, ap);
		put_number(o, s, v, 16, conv == 'X', s->alt && v ? "0x" : "");
		break;
	case 'p':
		put_number(o, s, (u64)(uintptr_t)va_arg(*ap, void *), 16, false, "0x");
		break;
	case 'c':
		c = (char)va_arg(*ap, int);
		put_padded(o, s, "", &c, 1);
		break;
	case 's':
		put_string(o, s, va_arg(*ap, const char *));
		break;
	default:
		put(o, '%');
		put(o, conv);
		break;
	}
}

size_t fmt_vsnprintf(char *buf, size_t size, const char *f, va_list args)
{
	struct out o = { .buf = buf, .size = size };
	struct spec s;
	va_list ap;

	va_copy(ap, args);
	for (; *f; f++) {
		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f++;
		if (*f == '%') {
			put(&o, '%');
			continue;
		}
		parse_spec(&f, &ap, &s);
		if (!*f)
			break;
		put_conversion(&o, &s, *f, &ap);
	}
	va_end(ap);
	if (size)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return o.len;
}

size_t fmt_snprintf(char *buf, size_t size, const char *f, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, f);
	n = fmt_vsnprintf(buf, size, f, ap);
	va_end(ap);
	return n;
}

struct text text_make(char *buf, size_t size)
{
	buf[0] = '\0';
	return (struct text){ .buf = buf, .size = size };
}

void text_add(struct text *t, const char *f, ...)
{
	va_list ap;
	size_t n, room = t->size - t->len;

	va_start(ap, f);
	n = fmt_vsnprintf(t->buf + t->len, room, f, ap);
	va_end(ap);
	if (n >= room) {
		t->full = true;
		n = room - 1;
	}
	t->len += n;
}
