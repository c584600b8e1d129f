/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks across sections of godwit.conf, and against what the host has.
 */
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/config_priv.h"

#define TEXT_SIZE 240

void config_vm_error(struct config *c, struct config_vm *vm, enum config_vm_key key,
		     const char *text, config_error_fn error, void *ctx)
{
	char title[CONFIG_NAME_LEN + 4];
	u32 line = vm->key_line[key] ? vm->key_line[key] : vm->line;

	fmt_snprintf(title, sizeof(title), "vm %s", vm->name);
	vm->valid = false;
	config_report(c, (struct config_where){ line, title, config_vm_keys[key].name }, text,
		      error, ctx);
}

/* ---- within the file --------------------------------------------------------------- */

const struct config_vm *config_mac_owner(const struct config *c, const u8 *mac, u32 v, u32 n)
{
	for (u32 i = 0; i <= v; i++) {
		for (u32 j = 0; j < (i == v ? n : CONFIG_NETS); j++) {
			const struct config_net *o = &c->vm[i].net[j];

			if (o->kind != CONFIG_NET_NONE && o->has_mac &&
			    !(i == v && config_net_team(o, &c->vm[v].net[n])) &&
			    memcmp(o->mac, mac, sizeof(o->mac)) == 0)
				return &c->vm[i];
		}
	}
	return NULL;
}

bool config_net_primary(const struct config_vm *vm, u32 net)
{
	const struct config_net *c = &vm->net[net];

	for (u32 i = 0; i < CONFIG_NETS; i++)
		if (c->hotplug && vm->net[i].standby &&
		    memcmp(vm->net[i].mac, c->mac, sizeof(c->mac)) == 0)
			return true;
	return false;
}

static const struct config_nic *find_nic(const struct config *c, const char *name)
{
	for (u32 i = 0; i < c->nics; i++) {
		if (strcmp(c->nic[i].name, name) == 0)
			return &c->nic[i];
	}
	return NULL;
}

static void check_net(struct config *c, u32 v, u32 n, config_error_fn error, void *ctx)
{
	struct config_vm *vm = &c->vm[v];
	const struct config_net *net = &vm->net[n];
	const struct config_vm *owner;
	const struct config_nic *nic;
	enum config_vm_key key = (enum config_vm_key)(CONFIG_VM_NET0 + n);
	char text[TEXT_SIZE];

	if (net->kind == CONFIG_NET_NONE)
		return;
	owner = net->has_mac ? config_mac_owner(c, net->mac, v, n) : NULL;
	if (owner) {
		fmt_snprintf(text, sizeof(text),
			     "mac=%02x:%02x:%02x:%02x:%02x:%02x is taken by [vm %s], each must be "
			     "unique",
			     net->mac[0], net->mac[1], net->mac[2], net->mac[3], net->mac[4],
			     net->mac[5], owner->name);
		config_vm_error(c, vm, key, text, error, ctx);
	}
	if (net->kind != CONFIG_NET_VF || !net->nic[0])
		return;
	nic = find_nic(c, net->nic);
	if (nic && nic->valid && nic->vfs)
		return;
	fmt_snprintf(text, sizeof(text), "nic=%s: %s", net->nic,
		     !nic	    ? "there is no such [nic]"
		     : !nic->valid ? "that [nic] has an error"
				   : "that [nic] has no VFs, its vfs must be 1 or more");
	config_vm_error(c, vm, key, text, error, ctx);
}

static void nic_report(struct config *c, struct config_nic *nic, const char *key, const char *text,
		       config_error_fn error, void *ctx)
{
	char title[CONFIG_NAME_LEN + 5];

	fmt_snprintf(title, sizeof(title), "nic %s", nic->name);
	nic->valid = false;
	config_report(c, (struct config_where){ nic->line, title, key }, text, error, ctx);
}

static bool same_nic(const struct config_nic *a, const struct config_nic *b)
{
	if (a->has_pci != b->has_pci)
		return false;
	if (a->has_pci)
		return a->bus == b->bus && a->dev == b->dev && a->fn == b->fn;
	return a->match_vendor && a->match_vendor == b->match_vendor &&
	       a->match_device == b->match_device;
}

static void check_nic(struct config *c, u32 n, config_error_fn error, void *ctx)
{
	struct config_nic *nic = &c->nic[n];
	char text[TEXT_SIZE];

	for (u32 i = 0; i < n; i++) {
		const struct config_nic *other = &c->nic[i];

		if (same_nic(nic, other)) {
			fmt_snprintf(text, sizeof(text),
				     "names the same NIC as [nic %s]; tell them apart by pci =",
				     other->name);
			nic_report(c, nic, nic->has_pci ? "pci" : "match", text, error, ctx);
		}
		if (nic->uplink && other->uplink) {
			fmt_snprintf(text, sizeof(text), "[nic %s] is the uplink, only one can be",
				     other->name);
			nic_report(c, nic, "uplink", text, error, ctx);
		}
	}
}

/*
 * Who, before VM v's function n, claims the same PCI function? NULL: nobody. VMs of which one is
 * started by hand may name the same: whoever starts first has it.
 */
static const char *pci_owner(const struct config *c, u32 v, u32 n)
{
	const char *addr = c->vm[v].pci[n];
	char nic[CONFIG_NAME_LEN];

	for (u32 i = 0; i < c->nics; i++) {
		const struct config_nic *k = &c->nic[i];

		fmt_snprintf(nic, sizeof(nic), "%02x:%02x.%x", k->bus, k->dev, k->fn);
		if (k->has_pci && strcmp(nic, addr) == 0)
			return k->name;
	}
	for (u32 i = 0; i < c->vms; i++) {
		for (u32 j = 0; j < CONFIG_DISKS; j++) {
			const struct config_disk *d = &c->vm[i].disk[j];

			fmt_snprintf(nic, sizeof(nic), "%02x:%02x.%x", d->pci >> 8,
				     (d->pci >> 3) & 31u, d->pci & 7u);
			if (d->kind == CONFIG_DISK_NVME && strcmp(nic, addr) == 0)
				return c->vm[i].name;
		}
	}
	for (u32 i = 0; i <= v; i++) {
		for (u32 j = 0; j < (i == v ? n : c->vm[i].npci); j++) {
			if ((i == v || (c->vm[i].autostart && c->vm[v].autostart)) &&
			    strcmp(c->vm[i].pci[j], addr) == 0)
				return c->vm[i].name;
		}
	}
	return NULL;
}

static void check_vm(struct config *c, u32 v, config_error_fn error, void *ctx)
{
	struct config_vm *vm = &c->vm[v];
	char text[TEXT_SIZE];

	for (u32 n = 0; n < CONFIG_NETS; n++)
		check_net(c, v, n, error, ctx);
	for (u32 n = 0; n < vm->npci; n++) {
		const char *owner = pci_owner(c, v, n);

		if (!owner)
			continue;
		fmt_snprintf(text, sizeof(text), "%s is taken by [%s], each can have one owner",
			     vm->pci[n], owner);
		config_vm_error(c, vm, CONFIG_VM_PCI, text, error, ctx);
	}
	for (u32 i = 0; i < v && vm->courier; i++) {
		if (!c->vm[i].courier)
			continue;
		fmt_snprintf(text, sizeof(text), "[vm %s] is the courier, only one can be",
			     c->vm[i].name);
		config_vm_error(c, vm, CONFIG_VM_ROLE, text, error, ctx);
		break;
	}
}

void config_check_clashes(struct config *c, config_error_fn error, void *ctx)
{
	struct config_host *h = &c->host;

	if (config_port_index(h->console) >= 0 && strcmp(h->console, h->ctl) == 0) {
		config_report(c, (struct config_where){ h->port_line, "host", "ctl" },
			      "console and ctl are the same port (ttyS0 and ttyS1 unless set); ctl "
			      "is off",
			      error, ctx);
		(void)str_copy(h->ctl, sizeof(h->ctl), "none");
	}
	for (u32 i = 0; i < c->nics; i++)
		check_nic(c, i, error, ctx);
	for (u32 i = 0; i < c->vms; i++)
		check_vm(c, i, error, ctx);
}

/* ---- against the host -------------------------------------------------------------- */

struct module_check {
	struct config *c;
	const char *const *names;
	u32 n;
	config_error_fn error;
	void *ctx;
};

static void check_module(const struct module_check *m, struct config_vm *vm,
			 enum config_vm_key key, const char *name)
{
	char buf[TEXT_SIZE];
	struct text t = text_make(buf, sizeof(buf));

	if (!name[0])
		return;
	for (u32 i = 0; i < m->n; i++) {
		if (strcmp(name, m->names[i]) == 0)
			return;
	}
	text_add(&t, "missing module '%s': have", name);
	for (u32 i = 0; i < m->n; i++)
		text_add(&t, "%s %s", i ? "," : "", m->names[i]);
	if (m->n == 0)
		text_add(&t, " none");
	config_vm_error(m->c, vm, key, buf, m->error, m->ctx);
}

int config_check_modules(struct config *c, const char *const *names, u32 n, config_error_fn error,
			 void *ctx)
{
	const struct module_check m = { c, names, n, error, ctx };
	u32 before = c->errors;

	for (u32 v = 0; v < c->vms; v++) {
		struct config_vm *vm = &c->vm[v];

		check_module(&m, vm, CONFIG_VM_KERNEL, vm->kernel);
		check_module(&m, vm, CONFIG_VM_INITRD, vm->initrd);
		check_module(&m, vm, CONFIG_VM_PSK, vm->psk);
		for (u32 i = 0; i < CONFIG_DISKS; i++)
			check_module(&m, vm, (enum config_vm_key)(CONFIG_VM_DISK0 + i),
				     vm->disk[i].module);
		for (u32 i = 0; i < vm->nmodules; i++)
			check_module(&m, vm, CONFIG_VM_MODULE, vm->modules[i]);
	}
	return c->errors == before ? 0 : -ENOENT;
}

int config_check_host(struct config *c, u32 cpus, u64 memory, config_error_fn error, void *ctx)
{
	u64 have = cpus >= 64 ? ~0ull : BIT(cpus) - 1;
	u32 before = c->errors;
	char text[TEXT_SIZE];

	for (u32 v = 0; v < c->vms; v++) {
		struct config_vm *vm = &c->vm[v];

		if (vm->pin & ~have) {
			fmt_snprintf(text, sizeof(text), "names CPU %u, this host has 0 to %u",
				     63u - (u32)__builtin_clzll(vm->pin & ~have), cpus - 1);
			config_vm_error(c, vm, CONFIG_VM_PIN, text, error, ctx);
		}
		if (vm->memory > memory) {
			fmt_snprintf(text, sizeof(text),
				     "%luM is more than this host has for guests, %luM",
				     vm->memory >> 20, memory >> 20);
			config_vm_error(c, vm, CONFIG_VM_MEMORY, text, error, ctx);
		}
	}
	return c->errors == before ? 0 : -ERANGE;
}
