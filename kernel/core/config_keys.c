/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of godwit.conf: what each section knows, and what each value must be.
 */
#include "kernel/base/bits.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/config_priv.h"

#define MIN_MEMORY (4ull << 20)
#define MAX_MEMORY (1ull << 40)
#define MAX_RATE   400000000000ull
#define MIN_RATE   1000000ull
#define MAX_VFS	   63

static const char must_bool[] = "yes or no";
static const char must_name[] = "1 to 31 of a-z A-Z 0-9 - _ .";
static const char must_file[] = "one boot module name of 1 to 63 characters";

/* A boot module's name: visible ASCII, no comma (the separator of lists). */
static bool is_file(struct slice v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] <= ' ' || v.p[i] > '~' || v.p[i] == ',')
			return false;
	}
	return v.n > 0 && v.n < CONFIG_PATH_LEN;
}

static const char *set_file(char dst[CONFIG_PATH_LEN], struct slice v)
{
	return is_file(v) && slice_copy(dst, CONFIG_PATH_LEN, v) ? NULL : must_file;
}

/* Values that need no more than to be stored at an offset of their section. */
enum plain_kind { PLAIN_NAME = 1, PLAIN_FILE, PLAIN_BOOL, PLAIN_NUMBER };

static const char *store(const struct config_plain *f, void *base, struct slice v)
{
	u8 *at = (u8 *)base + f->offset;
	u64 n;

	switch ((enum plain_kind)f->kind) {
	case PLAIN_NAME:
		return value_name(v) && slice_copy((char *)at, f->size, v) ? NULL : f->must;
	case PLAIN_FILE:
		return set_file((char *)at, v);
	case PLAIN_BOOL:
		return value_bool(v, (bool *)at) ? NULL : f->must ? f->must : must_bool;
	case PLAIN_NUMBER:
		if (!value_u64(v, f->min, f->max, &n))
			return f->must;
		memcpy(at, &n, f->size);
		return NULL;
	}
	return NULL;
}

const char *config_set(struct config_parser *p, const struct config_key *key, u32 i,
		       struct slice v)
{
	void *base = p->vm ? (void *)p->vm : p->nic ? (void *)p->nic : &p->out->host;

	return key->set ? key->set(p, i, v) : store(&key->plain, base, v);
}

#define PLAIN(t, f, k, ...) \
	{ .kind = (k), .offset = offsetof(t, f), .size = sizeof(((t *)0)->f), ##__VA_ARGS__ }

/* ---- [host] ------------------------------------------------------------------------ */

int config_port_index(const char *name)
{
	if (strncmp(name, "ttyS", 4) != 0 || name[4] < '0' || name[4] > '3' || name[5])
		return -1;
	return name[4] - '0';
}

static const char *set_port(struct config_parser *p, char *dst, struct slice v)
{
	char name[8];

	if (!slice_copy(name, sizeof(name), v) ||
	    (config_port_index(name) < 0 && strcmp(name, "none") != 0))
		return "ttyS0 to ttyS3, or none";
	(void)str_copy(dst, CONFIG_NAME_LEN, name);
	p->out->host.port_line = p->line;
	return NULL;
}

static const char *set_host_console(struct config_parser *p, u32 key, struct slice v)
{
	(void)key;
	return set_port(p, p->out->host.console, v);
}

static const char *set_host_ctl(struct config_parser *p, u32 key, struct slice v)
{
	(void)key;
	return set_port(p, p->out->host.ctl, v);
}

const struct config_key config_host_keys[] = {
	{ "name", .plain = PLAIN(struct config_host, name, PLAIN_NAME, .must = must_name) },
	{ "console", .set = set_host_console },
	{ "ctl", .set = set_host_ctl },
};
const u32 config_host_nkeys = ARRAY_SIZE(config_host_keys);

/* ---- [nic NAME] -------------------------------------------------------------------- */

enum { NIC_MATCH, NIC_PCI };

static const char *set_nic_match(struct config_parser *p, u32 key, struct slice v)
{
	(void)key;
	return value_pci_id(v, &p->nic->match_vendor, &p->nic->match_device)
		       ? NULL
		       : "VENDOR:DEVICE in hexadecimal, as 8086:10c9";
}

static const char must_pci[] = "BUS:DEVICE.FUNCTION in hexadecimal, 00:00.0 to ff:1f.7";

static const char *set_nic_pci(struct config_parser *p, u32 key, struct slice v)
{
	u16 rid;

	(void)key;
	if (!value_pci(v, &rid))
		return must_pci;
	p->nic->has_pci = true;
	p->nic->bus = (u8)(rid >> 8);
	p->nic->dev = (rid >> 3) & 31;
	p->nic->fn = rid & 7;
	return NULL;
}

static const char *set_nic_uplink(struct config_parser *p, u32 key, struct slice v)
{
	(void)key;
	p->nic->backup = slice_is(v, "backup");
	return p->nic->backup || value_bool(v, &p->nic->uplink) ? NULL : "yes, no or backup";
}

const struct config_key config_nic_keys[] = {
	[NIC_MATCH] = { "match", .set = set_nic_match },
	[NIC_PCI] = { "pci", .set = set_nic_pci },
	{ "vfs", .plain = PLAIN(struct config_nic, vfs, PLAIN_NUMBER, 0, MAX_VFS, "0 to 63") },
	{ "uplink", .set = set_nic_uplink },
	{ "failover", .plain = PLAIN(struct config_nic, failover, PLAIN_BOOL) },
};
const u32 config_nic_nkeys = ARRAY_SIZE(config_nic_keys);

void config_end_nic(struct config_parser *p)
{
	p->line = p->nic->line;
	if (!p->lines[NIC_MATCH] && !p->lines[NIC_PCI])
		config_fail(p, NULL, "'match' or 'pci' must say which NIC it is");
	else if (p->lines[NIC_MATCH] && p->lines[NIC_PCI])
		config_fail(p, NULL, "'match' and 'pci' are both given; keep one");
}

/* ---- [vm NAME] --------------------------------------------------------------------- */

static const char *set_role(struct config_parser *p, u32 key, struct slice v)
{
	(void)key;
	if (!slice_is(v, "courier") && !slice_is(v, "guest"))
		return "guest or courier";
	p->vm->courier = slice_is(v, "courier");
	return NULL;
}

static const char *set_memory(struct config_parser *p, u32 key, struct slice v)
{
	u64 size;

	(void)key;
	if (!value_scaled(v, 1024, &size) || size < MIN_MEMORY || size > MAX_MEMORY ||
	    !is_aligned(size, SIZE_2M))
		return "a size from 4M to 1T, a multiple of 2M (suffixes K M G T)";
	p->vm->memory = size;
	return NULL;
}

static const char *set_pin(struct config_parser *p, u32 key, struct slice v)
{
	(void)key;
	return value_cpu_list(v, &p->vm->pin) ? NULL : "a list of host CPUs 0 to 63, as 0-1,3";
}

static const char *set_cpu(struct config_parser *p, u32 key, struct slice v)
{
	(void)key;
	if (!slice_is(v, "godwit-v1") && !slice_is(v, "host"))
		return "godwit-v1 or host";
	(void)slice_copy(p->vm->cpu, sizeof(p->vm->cpu), v);
	return NULL;
}

static const char *set_module(struct config_parser *p, u32 key, struct slice v)
{
	struct config_vm *vm = p->vm;
	struct slice word;

	(void)key;
	if (v.n == 0)
		return must_file;
	while (slice_word(&v, &word)) {
		if (vm->nmodules == CONFIG_MAX_MODULES)
			return "at most 8 modules in all";
		if (!is_file(word) || !slice_copy(vm->modules[vm->nmodules], CONFIG_PATH_LEN, word))
			return "boot module names of 1 to 63 characters";
		vm->nmodules++;
	}
	return NULL;
}

static const char *set_cmdline(struct config_parser *p, u32 key, struct slice v)
{
	(void)key;
	return slice_copy(p->vm->cmdline, sizeof(p->vm->cmdline), v) ? NULL
								     : "at most 2047 characters";
}

static const char *set_pci(struct config_parser *p, u32 key, struct slice v)
{
	struct config_vm *vm = p->vm;
	struct slice word;
	u16 rid;

	(void)key;
	if (v.n == 0)
		return must_pci;
	while (slice_word(&v, &word)) {
		if (!value_pci(word, &rid))
			return must_pci;
		if (vm->npci == ARRAY_SIZE(vm->pci))
			return "at most 4 functions in all";
		/* One spelling, whatever the file has: addresses are compared later. */
		fmt_snprintf(vm->pci[vm->npci++], sizeof(vm->pci[0]), "%02x:%02x.%x", rid >> 8,
			     (rid >> 3) & 31u, rid & 7u);
	}
	return NULL;
}

static const char *set_ip(struct config_parser *p, u32 key, struct slice v)
{
	(void)key;
	if (!value_ipv4_net(v))
		return "ADDRESS/BITS, as 10.0.0.1/24";
	(void)slice_copy(p->vm->ip, sizeof(p->vm->ip), v);
	return NULL;
}

/* ---- options of a network interface: NULL, or what the value must be ------------------ */

static const char *net_mac(struct config_net *net, struct slice v)
{
	net->has_mac = true;
	return value_mac(v, net->mac) ? NULL :
					"mac= six hexadecimal bytes, not multicast and not zero, "
					"as 52:54:00:00:00:01";
}

static const char *net_rate(struct config_net *net, struct slice v)
{
	u64 n;

	if (!value_scaled(v, 1000, &n) || n < MIN_RATE || n > MAX_RATE)
		return "rate= bits per second from 1M to 400G";
	net->rate_bps = n;
	return NULL;
}

static const char *net_pci(struct config_net *net, struct slice v)
{
	u16 rid;

	if (!value_pci(v, &rid))
		return "pci=BUS:DEVICE.FUNCTION, hexadecimal";
	fmt_snprintf(net->pci, sizeof(net->pci), "%02x:%02x.%x", rid >> 8, (rid >> 3) & 31u,
		     rid & 7u);
	return NULL;
}

static const char *net_packed(struct config_net *net, struct slice v)
{
	bool on;

	if (!value_bool(v, &on))
		return "packed=yes or packed=no";
	net->no_packed = !on;
	return NULL;
}

static const char *set_net_option(struct config_net *net, struct slice name, struct slice v)
{
	static const struct {
		const char *name;
		const char *(*set)(struct config_net *net, struct slice v); /* NULL: plain */
		struct config_plain plain;
	} options[] = {
		{ "mac", .set = net_mac },
		{ "nic", .plain = PLAIN(struct config_net, nic, PLAIN_NAME,
					.must = "nic= the NAME of a [nic NAME]") },
		{ "pci", .set = net_pci },
		{ "vlan", .plain = PLAIN(struct config_net, vlan, PLAIN_NUMBER, 1, 4094,
					 "vlan=1 to 4094") },
		{ "rate", .set = net_rate },
		{ "queues", .plain = PLAIN(struct config_net, queues, PLAIN_NUMBER, 1, 4,
					   "queues=1 to 4") },
		{ "mtu", .plain = PLAIN(struct config_net, mtu, PLAIN_NUMBER, 68, 9000,
					"mtu=68 to 9000") },
		{ "packed", .set = net_packed },
		{ "twin", .plain = PLAIN(struct config_net, twin, PLAIN_BOOL,
					 .must = "twin=yes or twin=no") },
		{ "standby", .plain = PLAIN(struct config_net, standby, PLAIN_BOOL,
					    .must = "standby=yes or standby=no") },
		{ "hotplug", .plain = PLAIN(struct config_net, hotplug, PLAIN_BOOL,
					    .must = "hotplug=yes or hotplug=no") },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (slice_is(name, options[i].name))
			return options[i].set ? options[i].set(net, v) :
						store(&options[i].plain, net, v);
	}
	return "options out of nic= mac= vlan= rate= queues= mtu= packed= standby= twin= hotplug= "
	       "pci=";
}

static const char *vf_complete(const struct config_net *net)
{
	if (!net->nic[0] && !net->twin && !net->hotplug)
		return "complete: vf needs nic=NAME, twin=yes or hotplug=yes";
	if (net->queues || net->mtu || net->no_packed || net->standby)
		return "without queues=, mtu=, packed=, standby=: a vf has its own";
	if (net->pci[0] && (!net->hotplug || net->twin || net->vlan || net->rate_bps))
		return "with hotplug=yes, without twin=, vlan=, rate=: pci= is a whole function";
	return NULL;
}

/* What the options of an interface must be together. */
static const char *net_complete(const struct config_net *net)
{
	if (!net->has_mac)
		return "complete: mac= is missing";
	if (net->kind == CONFIG_NET_VF)
		return vf_complete(net);
	if (net->nic[0] || net->twin || net->hotplug || net->pci[0])
		return "without nic=, twin=, hotplug=, pci=: pv is attached to the switch";
	return NULL;
}

const char *config_net_parse(struct slice v, struct config_net *net)
{
	struct slice word, name, value;
	const char *must;

	if (!slice_word(&v, &word) || (!slice_is(word, "vf") && !slice_is(word, "pv")))
		return "'vf nic=NAME mac=...' or 'pv mac=...'";
	net->kind = slice_is(word, "vf") ? CONFIG_NET_VF : CONFIG_NET_PV;
	while (slice_word(&v, &word)) {
		if (!slice_cut(word, '=', &name, &value))
			return "vf or pv and then name=value options";
		must = set_net_option(net, name, value);
		if (must)
			return must;
	}
	return net_complete(net);
}

static const char *set_net(struct config_parser *p, u32 key, struct slice v)
{
	struct config_net *net = &p->vm->net[key - CONFIG_VM_NET0];

	net->line = p->line;
	return config_net_parse(v, net);
}

/* ---- disks ------------------------------------------------------------------------------ */

static const char must_disk[] = "'module=NAME [ro]' or 'nvme pci=BUS:DEVICE.FUNCTION ns=1.. [ro]'";

static bool set_disk_option(struct config_disk *d, struct slice word)
{
	bool nvme = d->kind == CONFIG_DISK_NVME;
	struct slice name, value;
	u64 n;

	if (slice_is(word, "ro")) {
		d->ro = true;
		return true;
	}
	if (!nvme || !slice_cut(word, '=', &name, &value))
		return false;
	if (slice_is(name, "pci"))
		return d->has_pci = value_pci(value, &d->pci);
	if (!slice_is(name, "ns") || !value_u64(value, 1, 0xfffffffe, &n))
		return false;
	d->ns = (u32)n;
	return true;
}

static const char *set_disk(struct config_parser *p, u32 key, struct slice v)
{
	struct config_disk *d = &p->vm->disk[key - CONFIG_VM_DISK0];
	struct slice word, name, value;

	if (!slice_word(&v, &word))
		return must_disk;
	if (slice_is(word, "nvme"))
		d->kind = CONFIG_DISK_NVME;
	else if (!slice_cut(word, '=', &name, &value) || !slice_is(name, "module") ||
		 set_file(d->module, value))
		return must_disk;
	else
		d->kind = CONFIG_DISK_MODULE;
	while (slice_word(&v, &word))
		if (!set_disk_option(d, word))
			return must_disk;
	return d->kind == CONFIG_DISK_NVME && (!d->has_pci || !d->ns) ? must_disk : NULL;
}

const struct config_key config_vm_keys[CONFIG_VM_KEYS] = {
	[CONFIG_VM_ROLE] = { "role", .set = set_role },
	[CONFIG_VM_MEMORY] = { "memory", .set = set_memory },
	[CONFIG_VM_CPUS] = { "cpus", .plain = PLAIN(struct config_vm, cpus, PLAIN_NUMBER, 1,
						      CONFIG_MAX_VCPUS, "1 to 16") },
	[CONFIG_VM_WEIGHT] = { "weight", .plain = PLAIN(struct config_vm, weight, PLAIN_NUMBER, 1,
							  1000, "1 to 1000 (100 is usual)") },
	[CONFIG_VM_PIN] = { "pin", .set = set_pin },
	[CONFIG_VM_CPU] = { "cpu", .set = set_cpu },
	[CONFIG_VM_KERNEL] = { "kernel", .plain = PLAIN(struct config_vm, kernel, PLAIN_FILE) },
	[CONFIG_VM_INITRD] = { "initrd", .plain = PLAIN(struct config_vm, initrd, PLAIN_FILE) },
	[CONFIG_VM_MODULE] = { "module", .set = set_module, .repeats = true },
	[CONFIG_VM_CMDLINE] = { "cmdline", .set = set_cmdline },
	[CONFIG_VM_NET0] = { "net0", .set = set_net },
	[CONFIG_VM_NET1] = { "net1", .set = set_net },
	[CONFIG_VM_NET2] = { "net2", .set = set_net },
	[CONFIG_VM_NET3] = { "net3", .set = set_net },
	[CONFIG_VM_DISK0] = { "disk0", .set = set_disk },
	[CONFIG_VM_DISK1] = { "disk1", .set = set_disk },
	[CONFIG_VM_DISK2] = { "disk2", .set = set_disk },
	[CONFIG_VM_DISK3] = { "disk3", .set = set_disk },
	[CONFIG_VM_PCI] = { "pci", .set = set_pci, .repeats = true },
	[CONFIG_VM_IP] = { "ip", .set = set_ip },
	[CONFIG_VM_PSK] = { "psk", .plain = PLAIN(struct config_vm, psk, PLAIN_FILE) },
	[CONFIG_VM_AUTOSTART] = { "autostart",
				  .plain = PLAIN(struct config_vm, autostart, PLAIN_BOOL) },
};

static void end_courier(struct config_parser *p)
{
	const u32 *given = p->lines;

	if (!given[CONFIG_VM_IP])
		config_fail(p, "ip", "missing, role = courier needs ADDRESS/BITS");
	if (!given[CONFIG_VM_PSK])
		config_fail(p, "psk", "missing, role = courier needs a key");
	if (p->vm->net[0].kind != CONFIG_NET_PV)
		config_fail(p, "net0", "must be 'pv mac=...' for role = courier");
	/* The boot CPU serves the courier's ports; on another both would wait for each other. */
	if (!given[CONFIG_VM_PIN])
		p->vm->pin = 1;
}

void config_end_vm(struct config_parser *p)
{
	const u32 *given = p->lines;

	memcpy(p->vm->key_line, p->lines, sizeof(p->vm->key_line));
	p->line = p->vm->line;
	if (!given[CONFIG_VM_MEMORY])
		config_fail(p, "memory", "missing, must be a size from 4M to 1T");
	if (!given[CONFIG_VM_KERNEL])
		config_fail(p, "kernel", "missing, must name a boot module");
	if (given[CONFIG_VM_INITRD] && given[CONFIG_VM_MODULE])
		config_fail(p, "module", "is for multiboot kernels, initrd for Linux; keep one");
	if (p->vm->courier)
		end_courier(p);
	else if (given[CONFIG_VM_IP] || given[CONFIG_VM_PSK])
		config_fail(p, given[CONFIG_VM_IP] ? "ip" : "psk", "only for role = courier");
}
