/* SPDX-License-Identifier: Apache-2.0 */
/*
 * godwit.conf: a good file in full, then one bad file per message.
 */
#include "tests/unit/unit.h"

#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/config.h"

static struct config conf;
static char report[16384];

static void add_error(void *ctx, const char *line)
{
	(void)ctx;
	CHECK(strchr(line, '\n') == NULL);
	strncat(report, line, sizeof(report) - strlen(report) - 2);
	strcat(report, "\n");
}

static int parse_n(const char *text, size_t n)
{
	/* An exact-size copy, so that the sanitizer sees a read beyond the end. */
	char *copy = malloc(n ? n : 1);
	int err;

	memcpy(copy, text, n);
	report[0] = '\0';
	err = config_parse("godwit.conf", copy, n, &conf, add_error, NULL);
	free(copy);
	return err;
}

static int parse(const char *text)
{
	return parse_n(text, strlen(text));
}

/* A guest's section with extra lines; the extra ones begin at line 4. */
#define VM(extra) "[vm web]\nmemory = 64M\nkernel = k\n" extra

/* text must give exactly one message, which is want. */
static void one_error(const char *text, const char *want)
{
	char line[600];

	CHECK_EQ(parse(text), -EINVAL);
	snprintf(line, sizeof(line), "godwit.conf:%s\n", want);
	CHECK_STR(report, line);
	CHECK_EQ(conf.errors, 1);
}

TEST(full)
{
	static const char text[] =
		"[host]\n"
		"name    = a\n"
		"console = ttyS0              # control console\n"
		"ctl     = ttyS1              # machine-readable control port\n"
		"\n"
		"[nic lan0]                   # a physical NIC with SR-IOV\n"
		"match   = 8086:10c9\n"
		"vfs     = 7\n"
		"uplink  = yes                # the switch's way out\n"
		"[nic lan1]\n"
		"pci = 0000:82:1f.7\n"
		"[vm web]\n"
		"memory  = 256M\n"
		"cpus    = 2\n"
		"cpu     = host\n"
		"kernel  = vmlinuz            # boot module names\n"
		"initrd  = initrd.img\n"
		"cmdline = console=ttyS0 a=\"b # c\" d\n"
		"net0    = vf nic=lan0 mac=52:54:00:00:00:01 vlan=10 rate=500M\n"
		"net1    = pv mac=52:54:00:00:00:02 rate=1G\n"
		"weight = 250\n"
		"pin = 0-1,5\n"
		"pci = 3:0.0, 04:00.1\n"
		"disk0 = module=d.img ro\n"
		"disk3 = nvme pci=05:00.0 ns=2\n"
		"autostart = yes\n"
		"[vm courier]\n"
		"role    = courier\n"
		"memory  = 16M\n"
		"kernel  = courier.elf\n"
		"module = a b\n"
		"module = c\n"
		"net0    = pv mac=52:54:00:00:00:f0\n"
		"ip      = 10.0.0.1/24\n"
		"psk     = psk.hex            # boot module, or key file";
	const struct config_vm *w = &conf.vm[0], *c = &conf.vm[1];

	CHECK_EQ(parse(text), 0);
	CHECK_STR(report, "");
	CHECK_STR(conf.host.name, "a");
	CHECK_STR(conf.host.console, "ttyS0");
	CHECK_STR(conf.host.ctl, "ttyS1");
	CHECK_EQ(conf.nics, 2);
	CHECK_STR(conf.nic[0].name, "lan0");
	CHECK_EQ(conf.nic[0].match_vendor, 0x8086);
	CHECK_EQ(conf.nic[0].match_device, 0x10c9);
	CHECK_EQ(conf.nic[0].vfs, 7);
	CHECK(conf.nic[0].uplink && conf.nic[0].valid && !conf.nic[0].has_pci);
	CHECK(conf.nic[1].has_pci && !conf.nic[1].uplink && conf.nic[1].failover);
	CHECK_EQ(conf.nic[1].bus, 0x82);
	CHECK_EQ(conf.nic[1].dev, 0x1f);
	CHECK_EQ(conf.nic[1].fn, 7);
	CHECK_EQ(conf.vms, 2);
	CHECK_STR(w->name, "web");
	CHECK_EQ(w->line, 12);
	CHECK_EQ(w->memory, 256ull << 20);
	CHECK_EQ(w->cpus, 2);
	CHECK_STR(w->cpu, "host");
	CHECK_STR(w->kernel, "vmlinuz");
	CHECK_STR(w->initrd, "initrd.img");
	CHECK_STR(w->cmdline, "console=ttyS0 a=\"b # c\" d");
	CHECK_EQ(w->net[0].kind, CONFIG_NET_VF);
	CHECK_STR(w->net[0].nic, "lan0");
	CHECK_EQ(w->net[0].vlan, 10);
	CHECK_EQ(w->net[0].rate_bps, 500000000);
	CHECK_EQ(w->net[0].mac[5], 1);
	CHECK_EQ(w->net[1].kind, CONFIG_NET_PV);
	CHECK_EQ(w->net[1].rate_bps, 1000000000);
	CHECK_EQ(w->net[2].kind, CONFIG_NET_NONE);
	CHECK_EQ(w->weight, 250);
	CHECK_EQ(w->pin, 0x23);
	CHECK_EQ(w->npci, 2);
	CHECK_STR(w->pci[0], "03:00.0");
	CHECK_STR(w->pci[1], "04:00.1");
	CHECK(w->disk[0].kind == CONFIG_DISK_MODULE && w->disk[0].ro);
	CHECK_STR(w->disk[0].module, "d.img");
	CHECK_EQ(w->disk[1].kind, CONFIG_DISK_NONE);
	CHECK(w->disk[3].kind == CONFIG_DISK_NVME && !w->disk[3].ro);
	CHECK_EQ(w->disk[3].pci, 0x500);
	CHECK_EQ(w->disk[3].ns, 2);
	CHECK(w->autostart && w->valid && !w->courier);
	CHECK_EQ(w->key_line[CONFIG_VM_INITRD], 17);
	CHECK(c->courier && c->valid && !c->autostart && c->pin == 1);
	CHECK_EQ(c->cpus, 1);
	CHECK_EQ(c->weight, 100);
	CHECK_STR(c->cpu, "godwit-v1");
	CHECK_EQ(c->nmodules, 3);
	CHECK_STR(c->modules[2], "c");
	CHECK_STR(c->ip, "10.0.0.1/24");
	CHECK_STR(c->psk, "psk.hex");
}

TEST(empty_and_defaults)
{
	CHECK_EQ(parse(""), 0);
	CHECK_EQ(parse("# nothing\n\n   \t\n#"), 0);
	CHECK_EQ(conf.vms, 0);
	CHECK_STR(conf.host.name, "godwit");
	CHECK_STR(conf.host.console, "ttyS0");
	CHECK_STR(conf.host.ctl, "ttyS1");
	CHECK_EQ(parse("[host]\nconsole = none\nctl = none\n"), 0);
	CHECK_EQ(config_port_index(conf.host.ctl), -1);
	CHECK_EQ(config_port_index("ttyS3"), 3);
	CHECK_EQ(config_port_index("ttyS31"), -1);
}

TEST(spelling)
{
	CHECK_EQ(parse("\xef\xbb\xbf[vm web]\r\nmemory=64M\r\n  kernel = k\t\r\n"), 0);
	CHECK_EQ(conf.vm[0].memory, 64 << 20);
	CHECK_STR(conf.vm[0].kernel, "k");
	CHECK_EQ(parse(VM("cmdline = \"a # b \"  # c\n")), 0);
	CHECK_STR(conf.vm[0].cmdline, "a # b ");
	CHECK_EQ(parse(VM("cmdline =\n")), 0);
	CHECK_STR(conf.vm[0].cmdline, "");
	CHECK_EQ(parse(VM("cmdline = a#b\n")), 0);
	CHECK_STR(conf.vm[0].cmdline, "a#b");
	CHECK_EQ(parse("[vm a]\nmemory = 1t\nkernel = k\n"), 0);
	CHECK_EQ(conf.vm[0].memory, 1ull << 40);
	CHECK_EQ(parse("[ vm  a ] # c\nmemory = 4194304\nkernel = k\n"), 0);
	CHECK_STR(conf.vm[0].name, "a");
}

TEST(lines)
{
	static char text[9000];

	one_error("hello\n", "1: 'hello' is neither [section] nor key = value");
	one_error("a = b\n", "1: 'a' stands before any [section]");
	one_error("[host\n", "1: [host]: ']' missing at the end of the section line; the section "
			     "is ignored");
	one_error("[", "1: []: ']' missing at the end of the section line; the section is ignored");
	one_error("\n[hosts]\nname = x\n",
		  "2: [hosts]: unknown section, known are [host], [nic NAME], [vm NAME]; the "
		  "section is ignored");
	one_error("[]\n", "1: []: unknown section, known are [host], [nic NAME], [vm NAME]; the "
			  "section is ignored");
	one_error("[host]\n[host]\n", "2: [host]: given twice; the section is ignored");
	one_error("[host]\nname = \"a\n", "2: [host]: '\"a' lacks its closing quote");
	one_error("[host]\nname = a\x01\n",
		  "2: [host]: control character in the line; only text is allowed");
	memset(text, 'x', 4097);
	strcpy(text + 4097, "\n[host]\nname = b\n");
	one_error(text, "1: line too long, at most 4096 bytes");
	CHECK_STR(conf.host.name, "b");
	CHECK_EQ(parse_n("[host]\0\nname = c\n", 17), -EINVAL);
	CHECK(strstr(report, "control character"));
	/* A long foreign text is cut, and loses what a terminal would act on. */
	memset(text, 'y', 100);
	text[3] = (char)0x9b;
	strcpy(text + 100, "\n");
	one_error(text, "1: 'yyy?yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy...' is neither [section] nor "
			"key = value");
}

TEST(host_keys)
{
	one_error("[host]\nnam = a\n", "2: [host] nam: unknown key, known are name console ctl");
	one_error("[host]\nname = a b\n",
		  "2: [host] name: 'a b' must be 1 to 31 of a-z A-Z 0-9 - _ .");
	one_error("[host]\nname = a\nname = b\n", "3: [host] name: given twice, first in line 2");
	one_error("[host]\nconsole = ttyS4\n",
		  "2: [host] console: 'ttyS4' must be ttyS0 to ttyS3, or none");
	one_error("[host]\nctl = COM1\n", "2: [host] ctl: 'COM1' must be ttyS0 to ttyS3, or none");
	one_error("[host]\nconsole = ttyS1\n",
		  "2: [host] ctl: console and ctl are the same port (ttyS0 and ttyS1 unless set); "
		  "ctl is off");
	CHECK_STR(conf.host.console, "ttyS1");
	CHECK_STR(conf.host.ctl, "none");
}

TEST(nic_keys)
{
	one_error("[nic a]\nvfs = 7\n", "1: [nic a]: 'match' or 'pci' must say which NIC it is");
	CHECK(!conf.nic[0].valid);
	one_error("[nic a]\nmatch = 8086:10c9\npci = 1:0.0\n",
		  "1: [nic a]: 'match' and 'pci' are both given; keep one");
	one_error("[nic a]\nmatch = 8086\n",
		  "2: [nic a] match: '8086' must be VENDOR:DEVICE in hexadecimal, as 8086:10c9");
	one_error("[nic a]\npci = 1:20.0\n",
		  "2: [nic a] pci: '1:20.0' must be BUS:DEVICE.FUNCTION in hexadecimal, 00:00.0 to "
		  "ff:1f.7");
	one_error("[nic a]\npci = 1:0.0\nvfs = 64\n", "3: [nic a] vfs: '64' must be 0 to 63");
	CHECK_EQ(parse("[nic a]\npci = 1:0.0\nfailover = no\n"), 0);
	CHECK(!conf.nic[0].failover);
	CHECK_EQ(parse("[nic a]\npci = 1:0.0\nuplink = backup\n"), 0);
	CHECK(conf.nic[0].backup && !conf.nic[0].uplink);
	one_error("[nic a]\npci = 1:0.0\nuplink = maybe\n",
		  "3: [nic a] uplink: 'maybe' must be yes, no or backup");
	one_error("[nic a]\npci = 1:0.0\n[nic a]\npci = 2:0.0\n",
		  "3: [nic a]: there is a section of this name already; the section is ignored");
	one_error("[nic a]\npci = 1:0.0\n[nic b]\npci = 01:00.0\n",
		  "3: [nic b] pci: names the same NIC as [nic a]; tell them apart by pci =");
	one_error("[nic a]\nmatch = 8086:10c9\n[nic b]\nmatch = 8086:10c9\n",
		  "3: [nic b] match: names the same NIC as [nic a]; tell them apart by pci =");
	one_error("[nic a]\npci = 1:0.0\nuplink = yes\n[nic b]\npci = 2:0.0\nuplink = yes\n",
		  "4: [nic b] uplink: [nic a] is the uplink, only one can be");
	one_error("[nic]\n",
		  "1: [nic]: the name must be 1 to 31 of a-z A-Z 0-9 - _ . and begin with "
		  "a letter, digit or _; the section is ignored");
}

TEST(vm_values)
{
	static const struct {
		const char *line, *want;
	} bad[] = {
		{ "memory = 3M", "memory: given twice, first in line 2" },
		{ "cpus = 0", "cpus: '0' must be 1 to 16" },
		{ "cpus = 17", "cpus: '17' must be 1 to 16" },
		{ "cpus = two", "cpus: 'two' must be 1 to 16" },
		{ "cpus = 18446744073709551617", "cpus: '18446744073709551617' must be 1 to 16" },
		{ "weight = 0", "weight: '0' must be 1 to 1000 (100 is usual)" },
		{ "weight = 1001", "weight: '1001' must be 1 to 1000 (100 is usual)" },
		{ "pin = 64", "pin: '64' must be a list of host CPUs 0 to 63, as 0-1,3" },
		{ "pin =", "pin: '' must be a list of host CPUs 0 to 63, as 0-1,3" },
		{ "pin = 3-1", "pin: '3-1' must be a list of host CPUs 0 to 63, as 0-1,3" },
		{ "cpu = EPYC", "cpu: 'EPYC' must be godwit-v1 or host" },
		{ "role = king", "role: 'king' must be guest or courier" },
		{ "autostart = 1", "autostart: '1' must be yes or no" },
		{ "initrd = a b",
		  "initrd: 'a b' must be one boot module name of 1 to 63 characters" },
		{ "initrd =", "initrd: '' must be one boot module name of 1 to 63 characters" },
		{ "module =", "module: '' must be one boot module name of 1 to 63 characters" },
		{ "module = 1 2 3 4 5 6 7 8 9",
		  "module: '1 2 3 4 5 6 7 8 9' must be at most 8 modules "
		  "in all" },
		{ "pci = 1:0", "pci: '1:0' must be BUS:DEVICE.FUNCTION in hexadecimal, 00:00.0 to "
			       "ff:1f.7" },
		{ "pci = 1:0.0 1:0.1 1:0.2 1:0.3 1:0.4",
		  "pci: '1:0.0 1:0.1 1:0.2 1:0.3 1:0.4' must be at most 4 functions in all" },
		{ "net0 = e1000", "net0: 'e1000' must be 'vf nic=NAME mac=...' or 'pv mac=...'" },
		{ "net0 =", "net0: '' must be 'vf nic=NAME mac=...' or 'pv mac=...'" },
		{ "net0 = pv", "net0: 'pv' must be complete: mac= is missing" },
		{ "net1 = vf mac=52:54:00:00:00:01",
		  "net1: 'vf mac=52:54:00:00:00:01' must be complete: vf needs nic=NAME, "
		  "twin=yes or hotplug=yes" },
		{ "net1 = pv mac=52:54:00:00:00:01 nic=a",
		  "net1: 'pv mac=52:54:00:00:00:01 nic=a' must be without nic=, twin=, hotplug=, "
		  "pci=: pv is attached to the switch" },
		{ "net2 = pv mac=53:54:00:00:00:01", "net2: 'pv mac=53:54:00:00:00:01' must be "
						     "mac= six hexadecimal bytes, not multicast "
						     "and not zero, as 52:54:00:00:00:01" },
		{ "net3 = pv mac=52:54:00:00:00:1", "net3: 'pv mac=52:54:00:00:00:1' must be mac= "
						    "six hexadecimal bytes, not multicast "
						    "and not zero, as 52:54:00:00:00:01" },
		{ "net0 = pv vlan=4095", "net0: 'pv vlan=4095' must be vlan=1 to 4094" },
		{ "net0 = pv rate=1K",
		  "net0: 'pv rate=1K' must be rate= bits per second from 1M to "
		  "400G" },
		{ "net0 = pv speed=1", "net0: 'pv speed=1' must be options out of nic= mac= vlan= "
				       "rate= queues= mtu= packed= standby= twin= hotplug= "
				       "pci=" },
		{ "net1 = vf mac=52:54:00:00:00:01 pci=2:0.0",
		  "net1: 'vf mac=52:54:00:00:00:01 pci=2:0.0' must be complete: vf needs nic=NAME, "
		  "twin=yes or hotplug=yes" },
		{ "net1 = vf pci=2:0.8", "net1: 'vf pci=2:0.8' must be pci=BUS:DEVICE.FUNCTION, "
					 "hexadecimal" },
		{ "net0 = pv fast",
		  "net0: 'pv fast' must be vf or pv and then name=value options" },
		{ "net4 = pv",
		  "net4: unknown key, known are role memory cpus weight pin cpu kernel "
		  "initrd module cmdline net0 net1 net2 net3 disk0 disk1 disk2 "
		  "disk3 pci ip psk autostart" },
		{ "ip = 10.0.0.1", "ip: '10.0.0.1' must be ADDRESS/BITS, as 10.0.0.1/24" },
	};
	char text[300], want[400];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), VM("%s\n[vm b]\nmemory=4M\nkernel=k\n"), bad[i].line);
		snprintf(want, sizeof(want), "4: [vm web] %s", bad[i].want);
		if (str_starts(bad[i].line, "ip")) { /* and it is a guest */
			CHECK_EQ(parse(text), -EINVAL);
			CHECK(strstr(report, want));
			continue;
		}
		one_error(text, want);
		CHECK(!conf.vm[0].valid);
		CHECK(conf.vm[1].valid);
	}
}

TEST(vm_memory)
{
	static const char *const bad[] = { "3M", "2M", "5M", "0", "", "256", "1025G", "2T", "-4M",
					   "0x400000", "4 M", "M", "16777216T", "4MB" };
	char text[100], want[200];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "[vm a]\nkernel = k\nmemory = %s\n", bad[i]);
		snprintf(want, sizeof(want),
			 "3: [vm a] memory: '%s' must be a size from 4M to 1T, a multiple of 2M "
			 "(suffixes K M G T)",
			 bad[i]);
		one_error(text, want);
	}
}

TEST(vm_names)
{
	static const char *const bad[] = { "", "a b", "-a", ".a", "a/b", "a\xc3\xa4",
					   "a23456789012345678901234567890123" };
	char text[200];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "[vm %s]\nbla = 1\n", bad[i]);
		CHECK_EQ(parse(text), -EINVAL);
		CHECK(strstr(report, "the name must be 1 to 31"));
		CHECK_EQ(conf.vms, 0);
		CHECK_EQ(conf.errors, 1);
	}
	one_error(VM("[vm web]\nmemory = 1\n"),
		  "4: [vm web]: there is a section of this name already; the section is ignored");
	CHECK_EQ(conf.vms, 1);
	CHECK(conf.vm[0].valid);
}

TEST(vm_missing)
{
	one_error("[vm a]\nkernel = k\n",
		  "1: [vm a] memory: missing, must be a size from 4M to 1T");
	one_error("[vm a]\nmemory = 4M\n", "1: [vm a] kernel: missing, must name a boot module");
	one_error(VM("initrd = i\nmodule = m\n"),
		  "1: [vm web] module: is for multiboot kernels, initrd for Linux; keep one");
	one_error(VM("ip = 10.0.0.1/24\n"), "1: [vm web] ip: only for role = courier");
	one_error(VM("psk = p\n"), "1: [vm web] psk: only for role = courier");
	one_error(VM("role = courier\nnet0 = pv mac=52:54:00:00:00:01\npsk = p\n"),
		  "1: [vm web] ip: missing, role = courier needs ADDRESS/BITS");
	one_error(VM("role = courier\nnet0 = pv mac=52:54:00:00:00:01\nip = 1.2.3.4/8\n"),
		  "1: [vm web] psk: missing, role = courier needs a key");
	one_error(VM("role = courier\nip = 1.2.3.4/8\npsk = p\n"),
		  "1: [vm web] net0: must be 'pv mac=...' for role = courier");
}

#define NIC "[nic n]\npci = 1:0.0\nvfs = 2\n"

TEST(disks)
{
	static const char *const bad[] = { "", "d.img", "module", "module=", "module=a b",
					   "nvme", "nvme pci=1:0.0", "nvme ns=1", "ro",
					   "nvme pci=1:0.0 ns=0", "nvme pci=1:0.8 ns=1",
					   "module=a ns=1", "nvme pci=1:0.0 ns=4294967295" };
	char text[200];

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), VM("disk1 = %s\n"), bad[i]);
		CHECK_EQ(parse(text), -EINVAL);
		CHECK(strstr(report, "4: [vm web] disk1: "));
		CHECK(strstr(report, "must be 'module=NAME [ro]' or 'nvme pci=BUS:DEVICE.FUNCTION "
				     "ns=1.. [ro]'"));
	}
	CHECK_EQ(parse(VM("disk0 = nvme ns=1 ro pci=1:0.0\n")), 0);
	CHECK(conf.vm[0].disk[0].ro);
	one_error(VM("pci = 1:0.0\n[vm b]\nmemory=4M\nkernel=k\ndisk2 = nvme pci=1:0.0 ns=1\n"),
		  "4: [vm web] pci: 01:00.0 is taken by [b], each can have one owner");
}

TEST(clashes)
{
	one_error("[vm a]\nmemory=4M\nkernel=k\nnet0 = pv mac=52:54:00:00:00:01\n"
		  "[vm b]\nmemory=4M\nkernel=k\nnet3 = pv mac=52:54:00:00:00:01\n",
		  "8: [vm b] net3: mac=52:54:00:00:00:01 is taken by [vm a], each must be unique");
	CHECK(conf.vm[0].valid && !conf.vm[1].valid);
	one_error("[vm a]\nmemory=4M\nkernel=k\nnet0 = pv mac=52:54:00:00:00:0a\n"
		  "net1 = pv mac=52:54:00:00:00:0A\n",
		  "5: [vm a] net1: mac=52:54:00:00:00:0a is taken by [vm a], each must be unique");
	/* Two halves of a team have one. */
	CHECK_EQ(parse(VM("net0 = pv mac=52:54:00:00:00:01 standby=yes\n"
			  "net1 = vf mac=52:54:00:00:00:01 hotplug=yes\n")), 0);
	CHECK(config_net_primary(&conf.vm[0], 1));
	CHECK(!config_net_primary(&conf.vm[0], 0));
	CHECK_EQ(parse(VM("net0 = pv mac=52:54:00:00:00:02 standby=yes\n"
			  "net1 = vf mac=52:54:00:00:00:01 hotplug=yes pci=A:0.0\n")), 0);
	CHECK(!config_net_primary(&conf.vm[0], 1));
	CHECK(strcmp(conf.vm[0].net[1].pci, "0a:00.0") == 0);
	CHECK_EQ(parse(VM("net1 = vf mac=52:54:00:00:00:01 hotplug=yes vlan=5 pci=A:0.0\n")),
		 -EINVAL);
	CHECK(strstr(report, "a whole function"));
	CHECK_EQ(parse(VM("net0 = pv mac=52:54:00:00:00:01 standby=yes\n"
			  "net1 = vf mac=52:54:00:00:00:01 twin=yes\n")), -EINVAL);
	CHECK_EQ(parse(VM("net0 = pv mac=52:54:00:00:00:01 standby=yes\n[vm b]\nmemory=4M\n"
			  "kernel=k\nnet1 = vf mac=52:54:00:00:00:01 hotplug=yes\n")), -EINVAL);
	one_error(VM("net0 = vf nic=x mac=52:54:00:00:00:01\n"),
		  "4: [vm web] net0: nic=x: there is no such [nic]");
	one_error(VM("net0 = vf nic=x mac=52:54:00:00:00:01\n[nic x]\npci=1:0.0\n"),
		  "4: [vm web] net0: nic=x: that [nic] has no VFs, its vfs must be 1 or more");
	CHECK_EQ(parse(VM("net0 = vf nic=x mac=52:54:00:00:00:01\n[nic x]\nvfs=1\n")), -EINVAL);
	CHECK(strstr(report, "4: [vm web] net0: nic=x: that [nic] has an error\n"));
	CHECK_EQ(parse(VM("net0 = vf nic=n mac=52:54:00:00:00:01\n" NIC)), 0);
	one_error(NIC VM("pci = 1:0.0\n"),
		  "7: [vm web] pci: 01:00.0 is taken by [n], each can have one owner");
	one_error(VM("pci = 2:0.0\nautostart = yes\n[vm b]\nmemory=4M\nkernel=k\n"
		     "autostart = yes\npci = 3:0.0, 02:00.0\n"),
		  "10: [vm b] pci: 02:00.0 is taken by [web], each can have one owner");
	CHECK_EQ(parse(VM("pci = 2:0.0\n[vm b]\nmemory=4M\nkernel=k\npci = 2:0.0\n"
			  "autostart = no\n")), 0);
	one_error("[vm a]\nrole=courier\nmemory=4M\nkernel=k\nip=1.2.3.4/8\npsk=p\n"
		  "net0=pv mac=52:54:00:00:00:01\n"
		  "[vm b]\nrole=courier\nmemory=4M\nkernel=k\nip=1.2.3.4/8\npsk=p\n"
		  "net0=pv mac=52:54:00:00:00:02\n",
		  "9: [vm b] role: [vm a] is the courier, only one can be");
}

TEST(limits)
{
	static char text[20000];
	char *at = text;

	for (int i = 0; i <= CONFIG_VMS; i++)
		at += sprintf(at, "[vm v%d]\nmemory=4M\nkernel=k\n", i);
	one_error(text, "97: [vm v32]: too many VMs, at most 32; the section is ignored");
	CHECK_EQ(conf.vms, CONFIG_VMS);
	for (int i = 0; i < CONFIG_VMS; i++)
		CHECK(conf.vm[i].valid);
	at = text;
	for (int i = 0; i <= CONFIG_NICS; i++)
		at += sprintf(at, "[nic v%d]\npci=%d:0.0\n", i, i);
	one_error(text, "17: [nic v8]: too many NICs, at most 8; the section is ignored");
	at = text;
	for (int i = 0; i < 500; i++)
		at += sprintf(at, "x\n");
	CHECK_EQ(parse(text), -EINVAL);
	CHECK_EQ(conf.errors, 500);
	CHECK(strstr(report, "101: more errors, not shown\n"));
	CHECK(!strstr(report, ":102:"));
	memset(text, 'c', 2100);
	memcpy(text, VM("cmdline="), strlen(VM("cmdline=")));
	text[strlen(VM("cmdline=")) + 2047] = '\0';
	CHECK_EQ(parse(text), 0);
	CHECK_EQ(strlen(conf.vm[0].cmdline), 2047);
	memset(text, 'c', 2100);
	memcpy(text, VM("cmdline="), strlen(VM("cmdline=")));
	text[strlen(VM("cmdline=")) + 2048] = '\0';
	CHECK_EQ(parse(text), -EINVAL);
	CHECK(strstr(report, "must be at most 2047 characters"));
}

TEST(file_too_long)
{
	size_t n = (1u << 20) + 1;
	char *text = calloc(n + 1, 1);

	memset(text, '\n', n);
	one_error(text, "1: file too long, at most 1 MiB");
	CHECK_EQ(parse_n(text, n - 1), 0);
	free(text);
}

TEST(modules)
{
	static const char *const have[] = { "k", "init" };

	CHECK_EQ(parse(VM("initrd = init\n[vm b]\nmemory=4M\nkernel=x\n")), 0);
	report[0] = '\0';
	CHECK_EQ(config_check_modules(&conf, have, 2, add_error, NULL), -ENOENT);
	CHECK_STR(report, "godwit.conf:7: [vm b] kernel: missing module 'x': have k, init\n");
	CHECK(conf.vm[0].valid && !conf.vm[1].valid);
	CHECK_EQ(parse(VM("module = a k\n")), 0);
	report[0] = '\0';
	CHECK_EQ(config_check_modules(&conf, have, 2, add_error, NULL), -ENOENT);
	CHECK_STR(report, "godwit.conf:4: [vm web] module: missing module 'a': have k, init\n");
	CHECK_EQ(parse(VM("disk0 = module=d\n")), 0);
	report[0] = '\0';
	CHECK_EQ(config_check_modules(&conf, have, 2, add_error, NULL), -ENOENT);
	CHECK_STR(report, "godwit.conf:4: [vm web] disk0: missing module 'd': have k, init\n");
	CHECK_EQ(parse(VM("")), 0);
	report[0] = '\0';
	CHECK_EQ(config_check_modules(&conf, have, 2, add_error, NULL), 0);
	CHECK_EQ(config_check_modules(&conf, NULL, 0, add_error, NULL), -ENOENT);
	CHECK_STR(report, "godwit.conf:3: [vm web] kernel: missing module 'k': have none\n");
}

TEST(host_limits)
{
	CHECK_EQ(parse(VM("pin = 0-2\n")), 0);
	report[0] = '\0';
	CHECK_EQ(config_check_host(&conf, 3, 64 << 20, add_error, NULL), 0);
	CHECK_EQ(config_check_host(&conf, 2, 64 << 20, add_error, NULL), -ERANGE);
	CHECK_STR(report, "godwit.conf:4: [vm web] pin: names CPU 2, this host has 0 to 1\n");
	CHECK(!conf.vm[0].valid);
	CHECK_EQ(parse(VM("")), 0);
	report[0] = '\0';
	CHECK_EQ(config_check_host(&conf, 64, 62 << 20, add_error, NULL), -ERANGE);
	CHECK_STR(report, "godwit.conf:2: [vm web] memory: 64M is more than this host has for "
			  "guests, 62M\n");
}

UNIT_MAIN({ "full", full }, { "empty_and_defaults", empty_and_defaults }, { "spelling", spelling },
	  { "lines", lines }, { "host_keys", host_keys }, { "nic_keys", nic_keys },
	  { "vm_values", vm_values }, { "vm_memory", vm_memory }, { "vm_names", vm_names },
	  { "vm_missing", vm_missing }, { "disks", disks }, { "clashes", clashes },
	  { "limits", limits }, { "file_too_long", file_too_long }, { "modules", modules },
	  { "host_limits", host_limits })
