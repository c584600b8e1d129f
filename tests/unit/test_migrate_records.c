/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which hosts a guest may come from: the same kind of CPU, clock rate, CPU policy and devices.
 */
#include "guest/migrate/records.h"

#include "kernel/base/err.h"
#include "unit.h"

static const struct cpu_policy policy = {
	.count = 2, .cr4_valid = 0x7ff, .efer_valid = 0xd01, .xcr0_valid = 7, .maxphyaddr = 39,
	.leaf = { { .leaf = 1, .r = { 0x630f00, 0, 0x1000, 0x10 } },
		  { .leaf = 0x40000010, .r = { 2600000, 0, 0, 0 } } },
};
static struct vdev lapic = { .name = "lapic", .version = 1 }, nic = { .name = "nic", .version = 1 };
static struct vdev *devices[] = { &lapic, &nic };
static char why[200];

static struct mig_host host(const char *backend, u64 khz, const struct cpu_policy *p, u32 n)
{
	struct mig_host h;

	mig_host_make(&h, backend, khz, p, devices, n);
	return h;
}

static int check(struct mig_host theirs, struct mig_host ours)
{
	why[0] = '\0';
	return mig_host_check(&theirs, &ours, why, sizeof(why));
}

TEST(same_host)
{
	struct cpu_policy other = policy;

	CHECK_EQ(check(host("svm", 2600000, &policy, 2), host("svm", 2600000, &policy, 2)), 0);
	CHECK_EQ(check(host("vmx", 2600000, &policy, 2), host("vmx", 2600100, &policy, 2)), 0);
	other.leaf[1].r.eax++; /* the clock rate, judged by itself */
	CHECK_EQ(check(host("vmx", 2600000, &policy, 2), host("vmx", 2600000, &other, 2)), 0);
}

/* The state of a vCPU is neutral, but its guest has chosen by vendor what it executes. */
TEST(other_backend)
{
	CHECK_EQ(check(host("svm", 2600000, &policy, 2), host("vmx", 2600000, &policy, 2)),
		 -ENOTSUP);
	CHECK_STR(why, "the guest comes from another kind of CPU, this host has vmx");
	CHECK_EQ(check(host("vmx", 2600000, &policy, 2), host("svm", 2600000, &policy, 2)),
		 -ENOTSUP);
	CHECK_STR(why, "the guest comes from another kind of CPU, this host has svm");
}

TEST(other_host)
{
	struct cpu_policy other = policy;

	CHECK_EQ(check(host("svm", 2600000, &policy, 2), host("svm", 2700000, &policy, 2)),
		 -ENOTSUP);
	CHECK(strstr(why, "TSC runs at 2600000 kHz"));
	other.leaf[0].r.ecx = 0;
	CHECK_EQ(check(host("svm", 1, &policy, 2), host("svm", 1, &other, 2)), -ENOTSUP);
	CHECK(strstr(why, "CPUID leaf 0x1 differs"));
	other = policy;
	other.xcr0_valid = 3;
	CHECK_EQ(check(host("svm", 1, &policy, 2), host("svm", 1, &other, 2)), -ENOTSUP);
	CHECK_EQ(check(host("svm", 1, &policy, 2), host("svm", 1, &policy, 1)), -ENOTSUP);
	CHECK(strstr(why, "device 1 of the guest"));
}

UNIT_MAIN({ "same_host", same_host }, { "other_backend", other_backend },
	  { "other_host", other_host })
