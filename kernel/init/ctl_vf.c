/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual functions: who has them, what they may do, what they carried.
 */
#include "kernel/init/ctl_vf.h"

#include "devices/pci/assign.h"
#include "devices/sriov/igb/igb_guest.h"
#include "devices/sriov/nics.h"

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
	ctl_cell(out, "%02x:%02x.%x", s->bdf >> 8, s->bdf >> 3 & 31, s->bdf & 7);
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
	show_functions(out);
	return 0;
}

static const struct ctl_verb verbs[] = {
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
