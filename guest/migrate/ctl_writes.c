/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "vm writes": the log of writes to RAM without a migration, to know what one would have to send.
 */
#include "guest/migrate/ctl_writes.h"

#include "guest/mem/stage2.h"
#include "guest/vm/vm.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"

#define ROWS 512u /* of a reply: what is longer is cut, the number of pages is not */

static const char user[] = "vm writes";

static const struct ctl_column columns[] = { { "gpa", "gpa", 18 }, { "pages", "pages", -8 } };

static bool written(const u64 *pages, u64 i)
{
	return pages[i / 64] & BIT(i % 64);
}

static void show_runs(struct ctl_out *out, const struct gmap *m, const u64 *pages)
{
	u64 end = m->blocks * GMAP_DIRTY_WORDS * 64, rows = 0, n;

	ctl_table(out, "written", columns, ARRAY_SIZE(columns));
	for (u64 i = 0; i < end && rows < ROWS; i += n) {
		for (n = 1; i + n < end && i + n != m->low_blocks * 512; n++)
			if (written(pages, i + n) != written(pages, i))
				break;
		if (!written(pages, i))
			continue;
		ctl_cell(out, "%#lx", gmap_gpa(m, i * PAGE_SIZE));
		ctl_cell_num(out, n);
		rows++;
	}
}

static int show(struct ctl_out *out, struct vm *vm)
{
	size_t bytes = vm->mem.blocks * GMAP_DIRTY_WORDS * sizeof(u64);
	u64 *pages = kalloc(hv_owner(), bytes);

	if (!pages)
		return ctl_fail(out, -ENOMEM, "no memory for the map of pages");
	ctl_num(out, "pages", stage2_log_take(vm, pages));
	show_runs(out, &vm->mem, pages);
	kfree(hv_owner(), pages, bytes);
	return 0;
}

static int run_writes(struct ctl_out *out, const struct ctl_args *args)
{
	struct vm *vm = vm_find(ctl_arg(out, 0));
	const char *what = ctl_arg(out, 1);
	char why[160] = "";
	int rc;

	(void)args;
	if (!vm)
		return ctl_fail(out, -ENOENT, "no vm named %s", ctl_arg(out, 0));
	if (what && strcmp(what, "on") == 0) {
		rc = stage2_log_start(vm, user, why, sizeof(why));
		return rc ? ctl_fail(out, rc, "%s", why) : 0;
	}
	if (vm->log_user != user)
		return ctl_fail(out, -EBUSY, "writes of vm %s are not logged: vm writes %s on",
				vm->name, vm->name);
	if (!what)
		return show(out, vm);
	if (strcmp(what, "off") != 0)
		return ctl_fail(out, -EINVAL, "on, off or nothing, not %s", what);
	stage2_log_stop(vm, user);
	return 0;
}

int ctl_writes_init(struct ctl *c)
{
	static const struct ctl_verb verb = {
		"vm", "writes", "VM [on|off]", "log the pages it writes; those since the last call",
		NULL, 1, 2, CTL_ARG_VM, run_writes
	};

	return ctl_add(c, &verb, 1);
}
