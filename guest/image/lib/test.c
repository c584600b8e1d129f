/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running and counting the tests of a guest kernel.
 */
#include "guest/image/lib/test.h"

#include "guest/image/lib/power.h"

#define FAIL_LINES 8 /* a test that fails in a loop says so this often */

extern const struct test test_list_start[], test_list_end[];

static u32 passed, failed;
static const char *current = "none";
static const char *skipped;
static u32 failures; /* of the current test */

void test_check_eq(u64 got, u64 expected, const char *what, u32 line)
{
	if (got == expected)
		return;
	if (failures++ < FAIL_LINES)
		serial_printf("FAIL %s: expected %#lx, got %#lx (%s, line %u)\n", current, expected,
			      got, what, line);
}

void test_check_trap(int got, int expected, const char *what, u32 line)
{
	if (got == expected)
		return;
	if (failures++ < FAIL_LINES)
		serial_printf("FAIL %s: expected vector %d, got %d error %#lx (%s, line %u)\n",
			      current, expected, got, trap_this()->error, what, line);
}

void test_skip(const char *why)
{
	skipped = why;
}

bool test_run(const struct test *t)
{
	current = t->name;
	failures = 0;
	skipped = NULL;
	t->fn();
	if (failures)
		failed++;
	else if (skipped)
		serial_printf("SKIP %s: %s\n", t->name, skipped);
	else
		passed++;
	if (!failures && !skipped)
		serial_printf("PASS %s\n", t->name);
	return !failures;
}

void test_run_all(void)
{
	for (const struct test *t = test_list_start; t < test_list_end; t++)
		test_run(t);
}

void test_finish(void)
{
	serial_printf("RESULT %u passed, %u failed\n", passed, failed);
	power_off(failed != 0);
}
