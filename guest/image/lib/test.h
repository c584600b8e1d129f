/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests inside a guest. Each prints "PASS name" or "FAIL name: expected X, got Y"; the kernel
 * ends with "RESULT n passed, m failed" and powers off.
 */
#ifndef GUEST_IMAGE_LIB_TEST_H
#define GUEST_IMAGE_LIB_TEST_H

#include "guest/image/lib/cpu.h"
#include "guest/image/lib/serial.h"
#include "guest/image/lib/trap.h"

struct test {
	const char *name;
	void (*fn)(void);
};

/* Define a test; they run in the order of the file. */
#define TEST(id)                                                                \
	static void test_##id(void);                                            \
	static const struct test test_entry_##id                                \
		__attribute__((used, section(".test_list"))) = { #id, test_##id }; \
	static void test_##id(void)

/* Each goes on after a failure. */
#define CHECK_EQ(got, expected) \
	test_check_eq((u64)(got), (u64)(expected), #got, __LINE__)
#define CHECK(cond) test_check_eq(!!(cond), 1, #cond, __LINE__)

/* The statements raise this exception, or none with TRAP_NONE. */
#define CHECK_TRAP(vector, ...) \
	test_check_trap(TRAP_OF(__VA_ARGS__), vector, #__VA_ARGS__, __LINE__)

/* Leave the test as skipped, with a reason, when cond holds. */
#define SKIP_IF(cond, why)           \
	do {                         \
		if (cond) {          \
			test_skip(why); \
			return;      \
		}                    \
	} while (0)

void test_check_eq(u64 got, u64 expected, const char *what, u32 line);
void test_check_trap(int got, int expected, const char *what, u32 line);
void test_skip(const char *why);

/** test_run() - one test by hand; returns true when it passed. */
bool test_run(const struct test *t);

/** test_run_all() - every TEST() of the kernel, in order. */
void test_run_all(void);

/** test_finish() - the last line, and power-off. */
void test_finish(void) NORETURN;

#endif
