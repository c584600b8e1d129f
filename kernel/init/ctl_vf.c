/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual functions: who has them, what they may do, what they carried.
 */
#include "kernel/init/ctl_vf.h"

#include "devices/pci/assign.h"
#include "devices/pci/assign_pci.h"
#include "devices/pci/slots.h"
#include "devices/sriov/igb/igb_guest.h"
#include "devices/sriov/nics.h"
#include "guest/vm/vm.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/log.h"

#define WHY 160

static const struct ctl_column vf_columns[] = {
	{ "nic", "nic", 8 },
	{ "vf", "vf", -2 },
	{ "bdf", "function", 8 },
	{ "vm", "vm", 12 },
	{ "net", "net", -3 },
	{ "mac", "address", 17 },
	{ "vlan", "vlan", -4 },
	{ "rate", "rate", -11 },
	{ "driver", "driver", 6 },
	{ "tx_packets", "sent", -10 },
	{ "tx_bytes", "bytes", -10 },
	{ "rx_packets", "received", -10 },
	{ "rx_bytes", "bytes", -10 },
	{ "messages", "mails", -6 },
	{ "wants", "wants", 8 },
	{ "why", "as there is", 11 },
};

static const struct ctl_column fn_columns[] = {
	{ "bdf", "function", 8 },	       { "vm", "vm", 12 },
	{ "guest_bdf", "in the guest", 12 },   { "interrupts", "interrupts", -12 },
	{ "mapped", "mapped", 6 },
};

static void show_vf(struct ctl_out *out, const struct igb_vf_stat *s)
{
	ctl_cell(out, "%s", s->nic);
	ctl_cell_num(out, s->n);
	if (s->bdf)
		ctl_cell(out, "%02x:%02x.%x", s->bdf >> 8, s->bdf >> 3 & 31, s->bdf & 7);
	else
		ctl_cell(out, "-");
	ctl_cell(out, "%s", s->vm ? s->vm : "-");
	ctl_cell_num(out, s->net);
	ctl_cell(out, "%02x:%02x:%02x:%02x:%02x:%02x", s->mac[0], s->mac[1], s->mac[2], s->mac[3],
		 s->mac[4], s->mac[5]);
	ctl_cell_num(out, s->vlan);
	ctl_cell_num(out, s->rate_bps);
	ctl_cell(out, "%s", s->open ? "yes" : "no");
	ctl_cell_num(out, s->tx_packets);
	ctl_cell_num(out, s->tx_bytes);
	ctl_cell_num(out, s->rx_packets);
	ctl_cell_num(out, s->rx_bytes);
	ctl_cell_num(out, s->messages);
	ctl_cell(out, "%s", s->wants ? s->wants : "-");
	ctl_cell(out, "%s", s->why ? s->why : "-");
}

static void show_functions(struct ctl_out *out)
{
	static struct assign_stat f[ASSIGN_MAX]; /* one request runs at a time */
	u32 n = assign_list(f, ASSIGN_MAX);

	ctl_table(out, "assigned", fn_columns, ARRAY_SIZE(fn_columns));
	for (u32 i = 0; i < n && i < ASSIGN_MAX; i++) {
		ctl_cell(out, "%02x:%02x.%x", f[i].bdf >> 8, f[i].bdf >> 3 & 31, f[i].bdf & 7);
		ctl_cell(out, "%s", f[i].vm);
		ctl_cell(out, "00:%02x.%x", f[i].guest_devfn >> 3, f[i].guest_devfn & 7);
		ctl_cell_num(out, f[i].interrupts);
		ctl_cell(out, "%s", f[i].mapped ? "yes" : "no");
	}
}

static int run_list(struct ctl_out *out, const struct ctl_args *args)
{
	struct igb_vf_stat s;

	(void)args;
	ctl_table(out, "vf", vf_columns, ARRAY_SIZE(vf_columns));
	for (u32 i = 0; nics_at(i); i++)
		for (u8 n = 0; igb_vf_stat(nics_at(i), n, &s) == 0; n++)
			show_vf(out, &s);
	for (u32 i = 0; i < VM_MAX; i++)
		for (u8 n = 0; vm_at(i) && n < CONFIG_NETS; n++)
			if (igb_twin_stat(vm_at(i), n, &s))
				show_vf(out, &s);
	show_functions(out);
	return 0;
}

/* ---- attach and detach ------------------------------------------------------------------ */

/* The VM and what of it a request is about: an interface (NULL function), or a function. */
struct target {
	struct vm *vm;
	struct config_vm *section;
	u8 net;
	bool function;
	u16 bdf;
	char address[CONFIG_NAME_LEN];
};

static int read_target(struct ctl_out *out, struct target *t)
{
	const char *name = ctl_arg(out, 0), *what = ctl_arg(out, 1);
	const struct slice s = { what, strlen(what) };

	*t = (struct target){ .vm = vm_find(name) };
	if (!t->vm) {
		ctl_fail(out, -ENOENT, "no vm named %s", name);
		return -ENOENT;
	}
	if (t->vm->migrating) {
		ctl_fail(out, -EBUSY, "vm %s is being moved; migrate-cancel ends that", name);
		return -EBUSY;
	}
	t->section = &t->vm->own_config;
	if (s.n == 4 && memcmp(what, "net", 3) == 0 && what[3] >= '0' &&
	    what[3] < '0' + CONFIG_NETS) {
		t->net = (u8)(what[3] - '0');
		return 0;
	}
	t->function = value_pci(s, &t->bdf);
	if (!t->function)
		return ctl_fail(out, -EINVAL, "%s: must be net0 to net%u, or BUS:DEVICE.FUNCTION",
				what, CONFIG_NETS - 1);
	fmt_snprintf(t->address, sizeof(t->address), "%02x:%02x.%x", t->bdf >> 8, t->bdf >> 3 & 31,
		     t->bdf & 7);
	return 0;
}

/* The section's line of an address, or npci: not there. */
static u32 pci_line(const struct target *t)
{
	u32 i = 0;

	while (i < t->section->npci && strcmp(t->section->pci[i], t->address) != 0)
		i++;
	return i;
}

/* Besides the interface itself. */
static const struct vm *mac_owner(const struct target *t, const u8 *mac)
{
	for (u32 i = 0; i < VM_MAX; i++) {
		for (u32 n = 0; vm_at(i) && n < CONFIG_NETS; n++) {
			const struct config_net *o = &vm_at(i)->config->net[n];

			if (o->kind != CONFIG_NET_NONE && o->has_mac &&
			    o != &t->section->net[t->net] &&
			    !(vm_at(i) == t->vm && config_net_team(o, &t->section->net[t->net])) &&
			    memcmp(o->mac, mac, sizeof(o->mac)) == 0)
				return vm_at(i);
		}
	}
	return NULL;
}

/* A primary that did not find its NIC after a move is not in the slot that is meant for it. */
static bool filled(const struct target *t)
{
	return config_net_filled(&t->section->net[t->net]) &&
	       (!t->vm->machine || igb_guest_of(t->vm, t->net) || slots_filled(t->vm, t->net));
}

/* What the VM has from its next start on: a function, an interface. */
static int put_function(struct ctl_out *out, const struct target *t)
{
	struct config_vm *s = t->section;

	if (pci_line(t) < s->npci || s->npci == ARRAY_SIZE(s->pci))
		return ctl_fail(out, -EBUSY, "%s has %s", s->name,
				pci_line(t) < s->npci ? "it already" : "all functions it can have");
	str_copy(s->pci[s->npci++], sizeof(s->pci[0]), t->address);
	return 0;
}

static int put_net(struct ctl_out *out, const struct ctl_args *args, const struct target *t)
{
	static const char *const keys[] = { "nic", "mac", "vlan", "rate", "pci" };
	struct config_vm *s = t->section;
	const struct vm *owner;
	struct config_net net = s->net[t->net]; /* an empty slot's, or nothing */
	char buf[CTL_LINE_MAX + 1];
	struct text text = text_make(buf, sizeof(buf));
	const char *must;

	if (net.kind != CONFIG_NET_NONE && (!net.hotplug || filled(t)))
		return ctl_fail(out, -EBUSY, "%s has a net%u already", s->name, t->net);
	net.pci[0] = '\0';
	text_add(&text, "vf");
	for (u32 i = 0; i < ARRAY_SIZE(keys); i++)
		if (ctl_opt(args, keys[i]))
			text_add(&text, " %s=%s", keys[i], ctl_opt(args, keys[i]));
	must = config_net_parse((struct slice){ buf, text.len }, &net);
	if (must)
		return ctl_fail(out, -EINVAL, "%s: must be %s", buf, must);
	owner = mac_owner(t, net.mac);
	if (owner)
		return ctl_fail(out, -EEXIST, "%s has that mac", owner->name);
	if (!net.pci[0] && (!nics_find(net.nic) || !nics_find(net.nic)->vfs))
		return ctl_fail(out, -ENOENT, "there is no nic %s with VFs here", net.nic);
	s->net[t->net] = net;
	return 0;
}

static void take_from_section(const struct target *t)
{
	struct config_vm *s = t->section;
	u32 i = pci_line(t);

	if (!t->function && s->net[t->net].hotplug)
		slots_empty(t->vm, t->net);
	else if (!t->function)
		s->net[t->net] = (struct config_net){ .line = 0 };
	else if (i < s->npci)
		memmove(s->pci[i], s->pci[i + 1], (--s->npci - i) * sizeof(s->pci[0]));
}

static int plug_now(const struct target *t, char *why)
{
	return t->function ? assign_pci_add(t->vm, t->address, why, WHY)
			   : igb_guest_add(t->vm, t->net, why, WHY);
}

static int unplug_now(const struct target *t, char *why)
{
	struct assigned *a = t->function ? assign_at(t->vm, t->bdf) : NULL;

	(void)why;
	if (a)
		assign_remove(a);
	else if (!t->function)
		igb_guest_remove(t->vm, t->net);
	return 0;
}

/* A machine that exists changes while it is held; else there is nothing to do. */
static int change_machine(struct ctl_out *out, const struct target *t,
			  int (*change)(const struct target *t, char *why))
{
	struct vm *vm = t->vm;
	char why[WHY] = "";
	int rc = vm_hold(vm, why, sizeof(why));

	if (rc)
		return ctl_fail(out, rc, "%s", why);
	if (vm->machine)
		rc = change(t, why);
	vm_let_go(vm);
	return rc ? ctl_fail(out, rc, "%s", why) : 0;
}

static int run_attach(struct ctl_out *out, const struct ctl_args *args)
{
	struct config_net before;
	struct target t;
	int rc = read_target(out, &t);

	if (rc)
		return rc;
	before = t.section->net[t.net];
	rc = t.function ? put_function(out, &t) : put_net(out, args, &t);
	if (rc)
		return rc;
	rc = change_machine(out, &t, plug_now);
	if (rc && t.function)
		take_from_section(&t);
	else if (rc)
		t.section->net[t.net] = before;
	return rc;
}

static int run_detach(struct ctl_out *out, const struct ctl_args *args)
{
	struct target t;
	int rc = read_target(out, &t);

	if (rc)
		return rc;
	if (t.function ? pci_line(&t) == t.section->npci
		       : !config_net_filled(&t.section->net[t.net]))
		return ctl_fail(out, -ENOENT, "%s has no %s that is a function", t.section->name,
				ctl_arg(out, 1));
	if (!t.function && !ctl_opt(args, "now") && slots_ask(t.vm, t.net, false)) {
		ctl_text(out, "asked", "yes"); /* the rest is done when it let go */
		return 0;
	}
	rc = change_machine(out, &t, unplug_now);
	if (!rc)
		take_from_section(&t);
	return rc;
}

/* ---- hardware and its twin ---------------------------------------------------------------- */

static int move_vf(struct ctl_out *out, const struct ctl_args *args, bool twin)
{
	struct igb_switch_stat s;
	char why[WHY] = "";
	struct target t;
	u64 hook = 0;
	int rc = read_target(out, &t);

	if (rc)
		return rc;
	if (t.function || !t.vm->machine)
		return ctl_fail(out, -EINVAL, "%s of %s is no VF in use", ctl_arg(out, 1),
				t.vm->name);
	rc = ctl_opt_u64(out, "hook", 1, 19, &hook);
	if (rc)
		return rc;
	igb_guest_hook(t.vm, t.net, (u8)hook);
	if (!twin && igb_guest_head(t.vm, t.net, ctl_opt(args, "head")))
		return ctl_fail(out, -EINVAL, "head: must be write, dummy or wrap");
	rc = twin ? igb_guest_twin(t.vm, t.net, why, sizeof(why))
		  : igb_guest_replace(t.vm, t.net, ctl_opt(args, "nic"), why, sizeof(why));
	if (rc)
		return ctl_fail(out, rc, "%s", why);
	s = igb_guest_switched(t.vm, t.net);
	ctl_num(out, "us", s.us);
	ctl_num(out, "stopped_us", s.stopped_us);
	ctl_num(out, "frames", s.frames);
	return 0;
}

static int run_twin(struct ctl_out *out, const struct ctl_args *args)
{
	return move_vf(out, args, true);
}

static int run_direct(struct ctl_out *out, const struct ctl_args *args)
{
	return move_vf(out, args, false);
}

static const struct ctl_verb verbs[] = {
	{ .name = "vf",
	  .sub = "direct",
	  .usage = "NAME netN [nic=NIC] [head=write|dummy|wrap] [hook=6..9]",
	  .help = "let a VF's twin, or a VF of another NIC, go on as a VF of a NIC",
	  .options = "nic head hook",
	  .min_args = 2,
	  .max_args = 2,
	  .arg = CTL_ARG_VM,
	  .run = run_direct },
	{ .name = "vf",
	  .sub = "twin",
	  .usage = "NAME netN [hook=1..5]",
	  .help = "let a VF go on in software: its hardware becomes free",
	  .options = "hook",
	  .min_args = 2,
	  .max_args = 2,
	  .arg = CTL_ARG_VM,
	  .run = run_twin },
	{ .name = "vf",
	  .sub = "attach",
	  .usage = "NAME netN nic=NIC|pci=BB:DD.F mac=MAC [vlan=N] [rate=BITS] | NAME BB:DD.F",
	  .help = "give a VM a VF as its interface netN, or a function by address",
	  .options = "nic mac vlan rate pci",
	  .min_args = 2,
	  .max_args = 2,
	  .arg = CTL_ARG_VM,
	  .run = run_attach },
	{ .name = "vf",
	  .sub = "detach",
	  .usage = "NAME netN|BB:DD.F [now=yes]",
	  .help = "take it away again; from a hot-plug slot when the guest let go, or now",
	  .options = "now",
	  .min_args = 2,
	  .max_args = 2,
	  .arg = CTL_ARG_VM,
	  .run = run_detach },
	{ .name = "vf",
	  .sub = "list",
	  .usage = "",
	  .help = "virtual functions of the NICs, and all functions that VMs have",
	  .run = run_list },
};

int ctl_vf_init(struct ctl *c)
{
	return ctl_add(c, verbs, ARRAY_SIZE(verbs));
}
