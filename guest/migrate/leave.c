/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest is asked once and looked at until it has let go; whatever was begun is undone once.
 */
#include "guest/migrate/leave.h"

#include "kernel/base/err.h"
#include "kernel/base/fmt.h"

#define NAME_LEN 160

int mig_leave_unplug(struct mig_leave *l, u64 now, char *why, size_t why_size)
{
	bool ask = !l->until;
	char name[NAME_LEN] = "";
	int n;

	if (!l->f)
		return 0;
	if (ask)
		l->until = now + MIG_UNPLUG_S * 1000000000ull;
	n = l->f->unplug(l->vm, ask, name, sizeof(name));
	l->touched |= n != 0;
	if (n < 0)
		fmt_snprintf(why, why_size, "%s", name);
	if (n <= 0 || now < l->until)
		return n > 0 ? 1 : n;
	fmt_snprintf(why, why_size, "%s: the guest did not let go of it within %u s", name,
		     MIG_UNPLUG_S);
	return -ETIMEDOUT;
}

int mig_leave_aside(struct mig_leave *l, u32 *held_us, char *why, size_t why_size)
{
	*held_us = 0;
	if (!l->f)
		return 0;
	l->touched = true;
	return l->f->aside(l->vm, held_us, why, why_size);
}

void mig_leave_stay(struct mig_leave *l)
{
	if (!l->touched)
		return;
	l->touched = false;
	l->f->back(l->vm);
}
