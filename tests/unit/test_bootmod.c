/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of boot modules as QEMU and GRUB give them.
 */
#include "unit.h"

#include "kernel/base/err.h"
#include "kernel/core/bootmod.h"

static struct bootmods m;

TEST(names)
{
	char longer[200];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	CHECK_EQ(bootmod_add(&m, "build/guest/vmlinuz", NULL, 1), 0);
	CHECK_EQ(bootmod_add(&m, "vmlinuz", NULL, 1), -EEXIST);
	CHECK_EQ(bootmod_add(&m, "/tmp/guest.bin a=b name=a", NULL, 2), 0);
	CHECK_EQ(bootmod_add(&m, "  initrd.img ", NULL, 3), 0);
	CHECK_EQ(bootmod_add(&m, "", NULL, 3), -EINVAL);
	CHECK_EQ(bootmod_add(&m, "dir/", NULL, 3), -EINVAL);
	CHECK_EQ(bootmod_add(&m, "x name=", NULL, 3), -EINVAL);
	CHECK_EQ(bootmod_add(&m, longer, NULL, 3), -EINVAL);
	CHECK_EQ(bootmod_find(&m, "vmlinuz")->len, 1);
	CHECK_EQ(bootmod_find(&m, "a")->len, 2);
	CHECK_EQ(bootmod_find(&m, "initrd.img")->len, 3);
	CHECK(!bootmod_find(&m, "guest.bin"));
	CHECK_EQ(m.count, 3);
}

TEST(table_full)
{
	char name[16];

	m.count = 0;
	for (int i = 0; i < BOOTMOD_MAX; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		CHECK_EQ(bootmod_add(&m, name, NULL, 0), 0);
	}
	CHECK_EQ(bootmod_add(&m, "one-more", NULL, 0), -ENOSPC);
}

UNIT_MAIN({ "names", names }, { "table_full", table_full })
