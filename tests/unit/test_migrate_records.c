/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the records of a moving VM hold: a configuration that reads back, hosts that a guest may
 * move between and those it may not, states that a CPU can be in and those it cannot.
 */
#include "guest/migrate/records.h"
#include "guest/migrate/vmstate.h"
#include "kernel/base/err.h"
#include "unit.h"

static char why[160];

/* ---- configuration --------------------------------------------------------------------- */

static struct config c, d;

static void no_error(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "%s\n", line);
	exit(1);
}

TEST(config)
{
	static const char text[] =
		"[nic n]\nmatch = 8086:10c9\nvfs = 2\n"
		"[vm web]\nmemory = 256M\ncpus = 3\nweight = 7\npin = 0-1\ncpu = host\n"
		"kernel = k.elf\nmodule = a b\ncmdline = \" x # no comment \"\nautostart = yes\n"
		"net0 = pv mac=52:54:00:00:00:01 vlan=9 rate=3M queues=2 mtu=900 packed=no\n"
		"net2 = vf nic=n mac=52:54:00:00:00:02 rate=5M\n";
	static char out[4096];
	struct text t = text_make(out, sizeof(out));

	CHECK_EQ(config_parse("f", text, strlen(text), &c, no_error, NULL), 0);
	mig_config_text(&c.vm[0], &t);
	CHECK(!t.full);
	CHECK_EQ(config_parse("g", out, t.len, &d, no_error, NULL), 0);
	CHECK_EQ(d.vms, 1);
	CHECK_STR(d.vm[0].name, "web");
	CHECK_STR(d.vm[0].cmdline, c.vm[0].cmdline);
	CHECK_STR(d.vm[0].modules[1], "b");
	CHECK_EQ(d.vm[0].memory, 256ull << 20);
	CHECK_EQ(d.vm[0].weight, 7);
	CHECK(d.vm[0].pin == 0 && !d.vm[0].autostart);
	CHECK(d.vm[0].net[0].vlan == 9 && d.vm[0].net[0].rate_bps == 3000000);
	CHECK(d.vm[0].net[0].queues == 2 && d.vm[0].net[0].mtu == 900 && d.vm[0].net[0].no_packed);
	CHECK(memcmp(d.vm[0].net[0].mac, c.vm[0].net[0].mac, 6) == 0);
	CHECK(d.vm[0].net[2].kind == CONFIG_NET_VF && !d.vm[0].net[2].twin);
	CHECK_STR(d.vm[0].net[2].nic, "n");
	/* A twin that is one by choice needs none of anybody's NICs. */
	c.vm[0].net[2].twin = true;
	t = text_make(out, sizeof(out));
	mig_config_text(&c.vm[0], &t);
	CHECK_EQ(config_parse("g", out, t.len, &d, no_error, NULL), 0);
	CHECK(d.vm[0].net[2].twin && !d.vm[0].net[2].nic[0]);
	CHECK_EQ(d.vm[0].net[2].rate_bps, 5000000);
}

TEST(quotes)
{
	static const char text[] = "[vm q]\nmemory = 4M\nkernel = k\n"
				   "cmdline = \"a\" b=\"# c\" # d\n";
	static char out[4096];
	struct text t = text_make(out, sizeof(out));

	CHECK_EQ(config_parse("f", text, strlen(text), &c, no_error, NULL), 0);
	CHECK_STR(c.vm[0].cmdline, "\"a\" b=\"# c\"");
	mig_config_text(&c.vm[0], &t);
	CHECK_EQ(config_parse("g", out, t.len, &d, no_error, NULL), 0);
	CHECK_STR(d.vm[0].cmdline, c.vm[0].cmdline);
}

/* What a stream must not ask a host for. */
TEST(bound)
{
	static const char *const keys[] = {
		"pci = 00:1f.0\n", "disk0 = module=d\n",
		"net0 = vf mac=52:54:00:00:00:02 hotplug=yes pci=1:0.0\n",
		"role = courier\nip = 10.0.0.1/24\npsk = p\nnet0 = pv mac=52:54:00:00:00:02\n",
		"net0 = pv mac=52:54:00:00:00:02 standby=yes\n"
		"net1 = vf mac=52:54:00:00:00:02 hotplug=yes pci=1:0.0\n",
	};
	char text[300];

	for (u32 i = 0; i <= ARRAY_SIZE(keys); i++) {
		snprintf(text, sizeof(text),
			 "[nic n]\nmatch = 8086:10c9\nvfs = 2\n[vm q]\nmemory = 4M\nkernel = k\n%s",
			 i < ARRAY_SIZE(keys) ? keys[i]
					      : "net0 = vf nic=n mac=52:54:00:00:00:02\n");
		CHECK_EQ(config_parse("f", text, strlen(text), &c, no_error, NULL), 0);
		CHECK_EQ(mig_config_bound(&c.vm[0], false) != NULL, i < ARRAY_SIZE(keys));
		/* The guest lets go of a team's primary before it leaves. */
		CHECK_EQ(mig_config_bound(&c.vm[0], true) != NULL, i < ARRAY_SIZE(keys) - 1);
	}
}

/* ---- the host -------------------------------------------------------------------------- */

static u32 lacks; /* bits of leaf 1 ECX */

static void host_cpuid(u32 leaf, u32 sub, struct cpuid_regs *r)
{
	*r = (struct cpuid_regs){ ~0u, ~0u, ~0u, ~0u };
	if (leaf == 1)
		r->ecx &= ~lacks;
	if (leaf == 0x80000008)
		r->eax = 0x3030;
	if (leaf == 0xd && sub == 2)
		*r = (struct cpuid_regs){ 256, 576, 0, 0 };
}

static struct cpu_policy policy(const char *model, u64 khz)
{
	const struct cpu_policy_env e = { host_cpuid, khz, 1000000000, 2, true };
	static struct cpu_policy p;

	CHECK_EQ(cpu_policy_build(&p, model, &e, why, sizeof(why)), 0);
	return p;
}

static struct mig_host host(const char *backend, const char *model, u64 khz)
{
	static struct vdev dev[2] = { { .name = "pit", .version = 1 },
				      { .name = "virtio-net", .instance = 1, .version = 1 } };
	struct vdev *const devs[] = { &dev[0], &dev[1] };
	struct cpu_policy p = policy(model, khz);
	struct mig_host h;

	mig_host_make(&h, backend, khz, &p, devs, 2);
	return h;
}

static void refused(const struct mig_host *a, const struct mig_host *b, const char *text)
{
	why[0] = '\0';
	CHECK_EQ(mig_host_check(a, b, why, sizeof(why)), -ENOTSUP);
	if (!strstr(why, text)) {
		fprintf(stderr, "'%s' has no '%s'\n", why, text);
		exit(1);
	}
}

TEST(hosts)
{
	struct mig_host a = host("svm", "godwit-v1", 2300000), b;

	b = host("svm", "godwit-v1", 2300900);
	CHECK_EQ(mig_host_check(&a, &b, why, sizeof(why)), 0);
	b = host("svm", "godwit-v1", 2310000);
	refused(&a, &b, "TSC runs at 2300000 kHz, this host's at 2310000");
	b = host("vmx", "godwit-v1", 2300000);
	refused(&a, &b, "this host has vmx");
	refused(&b, &a, "this host has svm");
	a = host("svm", "host", 2300000);
	lacks = 1u << 25;
	b = host("svm", "host", 2300000);
	lacks = 0;
	refused(&a, &b, "CPUID leaf 0x1 differs");
	b = a;
	b.xcr0_valid = 3;
	refused(&a, &b, "other bits of CR4, EFER, XCR0");
	b = a;
	b.device[MIG_DEVICE_NAME] = 'X';
	refused(&a, &b, "device 1 of the guest");
	b = a;
	b.version[0] = 2;
	refused(&a, &b, "pit0 version 2");
	b = a;
	b.device[2 * MIG_DEVICE_NAME] = 'X'; /* one more than the guest has */
	refused(&a, &b, "device 2 of the guest");
}

/* ---- a vCPU ---------------------------------------------------------------------------- */

static struct mig_vcpu v;

/* 64-bit code with paging and PCIDs. */
static void running(void)
{
	v = (struct mig_vcpu){ .regs.rflags = 0x202 };
	v.sys[HVM_CR0] = 0x80050033;
	v.sys[HVM_CR4] = 0x206b0;
	v.sys[HVM_CR3] = 0x1234001;
	v.sys[HVM_EFER] = 0xd01;
	v.sys[HVM_PAT] = 0x0007040600070406ull;
	v.sys[HVM_XCR0] = 7;
	v.sys[HVM_LSTAR] = 0xffffffff81000000ull;
	v.state.xstate = 7;
}

static int check(void)
{
	struct cpu_policy p = policy("host", 2300000);

	return mig_vcpu_check(&v, &p, why, sizeof(why));
}

/* One field of a good state is changed: it is refused, and by name. */
#define REFUSED(field, value, text)                                                        \
	do {                                                                               \
		running();                                                                 \
		v.field = (value);                                                         \
		CHECK_EQ(check(), -EINVAL);                                                \
		CHECK(strstr(why, text));                                                  \
	} while (0)

TEST(vcpus)
{
	running();
	CHECK_EQ(check(), 0);
	v = (struct mig_vcpu){ .regs.rflags = 2, .run_state = MIG_WAITS_SIPI };
	v.sys[HVM_CR0] = 0x60000010; /* reset */
	v.sys[HVM_XCR0] = 1;
	CHECK_EQ(check(), 0);
	REFUSED(sys[HVM_CR0], 0x80050032, "CR0");		    /* PG without PE */
	REFUSED(sys[HVM_CR0], 0x180050033ull, "CR0");
	REFUSED(sys[HVM_CR4], 0x206b0 | 1ull << 40, "CR4");
	REFUSED(sys[HVM_CR4], 0x20690, "CR");			    /* long mode without PAE */
	REFUSED(sys[HVM_CR3], 1ull << 60, "CR3");
	REFUSED(sys[HVM_EFER], 0x1d01, "EFER");			    /* SVME */
	REFUSED(sys[HVM_EFER], 0x901, "EFER.LMA");
	REFUSED(sys[HVM_XCR0], 4, "XCR0");
	REFUSED(sys[HVM_XCR0], 0, "XCR0");
	REFUSED(sys[HVM_PAT], 2, "MSR");
	REFUSED(sys[HVM_LSTAR], 1ull << 60, "MSR");
	REFUSED(sys[HVM_KERNEL_GS_BASE], 1ull << 47, "MSR");
	REFUSED(sys[HVM_TSC_AUX], 1ull << 32, "MSR");
	REFUSED(sys[HVM_DR6], 1ull << 32, "debug");
	REFUSED(sys[HVM_DR7], 1ull << 63, "debug");
	REFUSED(msr.mtrr_def, 2, "MTRR");
	REFUSED(msr.mtrr_fixed[10], 2, "MTRR");
	REFUSED(msr.mtrr_var[15], 1ull << 63, "MTRR");
	REFUSED(msr.mcg_status, 8, "MCG");
	REFUSED(regs.rflags, 0x200, "RFLAGS");
	REFUSED(regs.rflags, 1ull << 32 | 2, "RFLAGS");
	REFUSED(seg_base[HVM_GS], 1ull << 63, "segment");
	REFUSED(seg_attr[HVM_TR], 0x1000, "segment");
	REFUSED(table_base[1], 1ull << 63, "table");
	REFUSED(state.event.type, 1, "event");
	REFUSED(state.event.type, 4, "event");
	REFUSED(state.xstate, 8, "FPU");
	REFUSED(state.pending_db, 1ull << 40, "debug");
	REFUSED(run_state, 3, "run state");
}

/* Every byte of every field comes back. */
TEST(identity)
{
	static u8 a[16384], b[16384];
	static struct mig_vcpu w;
	struct reader r;
	u32 n;

	for (size_t i = 0; i < sizeof(v); i++)
		((u8 *)&v)[i] = (u8)(i * 31 >> 3);
	for (u32 i = 0; i < mig_vcpu_nfields; i++)
		if (mig_vcpu_fields[i].type == VMS_BOOL)
			((u8 *)&v)[mig_vcpu_fields[i].offset] = i & 1;
	n = vmstate_save(a, sizeof(a), &v, mig_vcpu_fields, mig_vcpu_nfields);
	r = reader_make(a, n);
	CHECK_EQ(vmstate_load(&r, &w, mig_vcpu_fields, mig_vcpu_nfields, why, sizeof(why)), 0);
	CHECK_EQ(reader_left(&r), 0);
	CHECK_EQ(vmstate_save(b, sizeof(b), &w, mig_vcpu_fields, mig_vcpu_nfields), n);
	CHECK(memcmp(a, b, n) == 0);
	CHECK(memcmp(&w.state.ymm_high, &v.state.ymm_high, sizeof(w.state.ymm_high)) == 0);
}

UNIT_MAIN({ "config", config }, { "quotes", quotes }, { "bound", bound }, { "hosts", hosts },
	  { "vcpus", vcpus }, { "identity", identity })
