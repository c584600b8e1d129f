/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM that leaves: the guest lets go of its functions, or not, or the move ends at any point; each
 * time all is as it was, and the guest is asked once.
 */
#include "unit.h"

#include "guest/migrate/leave.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"

#define S 1000000000ull

static struct {
	int has; /* functions that cannot leave */
	unsigned asked, backs, asides;
	int unplug_rc, aside_rc; /* what fails */
} g;

static int unplug(struct vm *vm, bool ask, char *why, size_t why_size)
{
	(void)vm;
	g.asked += ask;
	fmt_snprintf(why, why_size, g.unplug_rc ? "it is paused" : g.has ? "net1" : "");
	return g.unplug_rc ? g.unplug_rc : g.has;
}

static int aside(struct vm *vm, u32 *held_us, char *why, size_t why_size)
{
	(void)vm;
	g.asides++;
	*held_us += 7;
	fmt_snprintf(why, why_size, "a queue does not stop");
	return g.aside_rc ? g.aside_rc : 2;
}

static void back(struct vm *vm)
{
	(void)vm;
	g.backs++;
}

static const struct mig_functions functions = { unplug, aside, back };
static char why[160];
static u32 held;

static struct mig_leave setup(int has)
{
	memset(&g, 0, sizeof(g));
	g.has = has;
	held = 99;
	why[0] = '\0';
	return (struct mig_leave){ .f = &functions };
}

TEST(nothing)
{
	struct mig_leave l = setup(0), none = { .f = NULL };

	CHECK_EQ(mig_leave_unplug(&none, S, why, sizeof(why)), 0);
	CHECK_EQ(mig_leave_aside(&none, &held, why, sizeof(why)), 0);
	CHECK_EQ(held, 0);
	mig_leave_stay(&none);
	CHECK_EQ(mig_leave_unplug(&l, S, why, sizeof(why)), 0);
	mig_leave_stay(&l); /* no connection: nothing was touched yet */
	CHECK_EQ(g.backs, 0);
	CHECK_EQ(mig_leave_aside(&l, &held, why, sizeof(why)), 2);
	CHECK_EQ(held, 7);
	mig_leave_stay(&l);
	mig_leave_stay(&l);
	CHECK_EQ(g.backs, 1);
}

TEST(lets_go)
{
	struct mig_leave l = setup(2);

	for (u64 t = 0; t < 7; t++) {
		CHECK_EQ(mig_leave_unplug(&l, 5 * S + t * S, why, sizeof(why)), 1);
		g.has = t < 3 ? 2 : 1;
	}
	g.has = 0;
	CHECK_EQ(mig_leave_unplug(&l, 900 * S, why, sizeof(why)), 0); /* late, but it did */
	CHECK_EQ(g.asked, 1);
	CHECK_EQ(mig_leave_aside(&l, &held, why, sizeof(why)), 2);
	CHECK_EQ(g.backs, 0); /* it left */
}

TEST(never_answers)
{
	struct mig_leave l = setup(1);

	for (u64 t = 0; t < MIG_UNPLUG_S; t++)
		CHECK_EQ(mig_leave_unplug(&l, 5 * S + t * S, why, sizeof(why)), 1);
	CHECK_EQ(mig_leave_unplug(&l, (5 + MIG_UNPLUG_S) * S, why, sizeof(why)), -ETIMEDOUT);
	CHECK(strcmp(why, "net1: the guest did not let go of it within 20 s") == 0);
	CHECK_EQ(g.asked, 1);
	mig_leave_stay(&l);
	CHECK_EQ(g.backs, 1);
}

TEST(cancelled)
{
	for (unsigned when = 0; when < 4; when++) {
		struct mig_leave l = setup(1);

		CHECK_EQ(mig_leave_unplug(&l, S, why, sizeof(why)), 1);
		if (when > 0)
			CHECK_EQ(mig_leave_unplug(&l, 2 * S, why, sizeof(why)), 1);
		if (when > 1)
			g.has = 0;
		if (when > 1) /* after it let go: the destination refuses, or does not answer */
			CHECK_EQ(mig_leave_unplug(&l, 3 * S, why, sizeof(why)), 0);
		if (when > 2)
			CHECK_EQ(mig_leave_aside(&l, &held, why, sizeof(why)), 2);
		mig_leave_stay(&l);
		mig_leave_stay(&l);
		CHECK_EQ(g.backs, 1);
		CHECK_EQ(g.asked, 1);
	}
}

TEST(fails)
{
	struct mig_leave l = setup(1);

	g.unplug_rc = -EBUSY;
	CHECK_EQ(mig_leave_unplug(&l, S, why, sizeof(why)), -EBUSY);
	CHECK(strcmp(why, "it is paused") == 0);
	mig_leave_stay(&l); /* another one may have been asked */
	CHECK_EQ(g.backs, 1);
	l = setup(0);
	g.aside_rc = -ETIMEDOUT;
	CHECK_EQ(mig_leave_unplug(&l, S, why, sizeof(why)), 0);
	CHECK_EQ(mig_leave_aside(&l, &held, why, sizeof(why)), -ETIMEDOUT);
	CHECK(strcmp(why, "a queue does not stop") == 0);
	mig_leave_stay(&l);
	CHECK_EQ(g.backs, 1);
}

UNIT_MAIN({ "nothing", nothing }, { "lets_go", lets_go }, { "never_answers", never_answers },
	  { "cancelled", cancelled }, { "fails", fails })
