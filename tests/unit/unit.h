/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole unit-test framework: a test program is a list of TEST()s and one
 * UNIT_MAIN. It prints "ok NAME" or the failed check, and can list its tests
 * (so that a program that runs none is noticed).
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base/types.h"

struct unit_test {
	const char *name;
	void (*fn)(void);
};

#define TEST(n) static void n(void)

#define CHECK(c)                                                                     \
	do {                                                                         \
		if (!(c)) {                                                          \
			fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__,       \
				__LINE__, #c);                                       \
			exit(1);                                                     \
		}                                                                    \
	} while (0)

#define CHECK_EQ(a, b)                                                               \
	do {                                                                         \
		unsigned long long unit_a = (unsigned long long)(a);                 \
		unsigned long long unit_b = (unsigned long long)(b);                 \
		if (unit_a != unit_b) {                                              \
			fprintf(stderr, "%s:%d: %s is %#llx, not %#llx (%s)\n",      \
				__FILE__, __LINE__, #a, unit_a, unit_b, #b);         \
			exit(1);                                                     \
		}                                                                    \
	} while (0)

#define CHECK_STR(a, b)                                                              \
	do {                                                                         \
		const char *unit_sa = (a), *unit_sb = (b);                           \
		if (strcmp(unit_sa, unit_sb) != 0) {                                 \
			fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n",         \
				__FILE__, __LINE__, #a, unit_sa, unit_sb);           \
			exit(1);                                                     \
		}                                                                    \
	} while (0)

/* UNIT_MAIN({ "name", fn }, ...): all tests, or those named; --list prints the names. */
#define UNIT_MAIN(...)                                                               \
	int main(int argc, char **argv)                                              \
	{                                                                            \
		static const struct unit_test unit_tests[] = { __VA_ARGS__ };        \
		size_t unit_n = sizeof(unit_tests) / sizeof(unit_tests[0]);          \
		for (size_t i = 0; i < unit_n; i++) {                                \
			if (argc > 1 && strcmp(argv[1], "--list") == 0) {            \
				puts(unit_tests[i].name);                            \
				continue;                                            \
			}                                                            \
			if (argc > 1 && strcmp(argv[1], unit_tests[i].name) != 0)    \
				continue;                                            \
			unit_tests[i].fn();                                          \
			printf("ok %s\n", unit_tests[i].name);                       \
			fflush(stdout);                                              \
		}                                                                    \
		return 0;                                                            \
	}

#endif
