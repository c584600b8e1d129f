/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of the switch: what they are allowed, what they carried, why frames were dropped.
 */
#include "kernel/init/ctl_net.h"

#include "devices/net/net.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/config_value.h"

static const struct ctl_column port_columns[] = {
	{ "name", "port", 16 },      { "mac", "address", 17 },         { "vlan", "vlan", -4 },
	{ "link", "link", 4 },       { "rate", "rate", -11 },          { "tx_frames", "sent", -10 },
	{ "tx_bytes", "bytes", -9 }, { "rx_frames", "received", -10 }, { "rx_bytes", "bytes", -9 },
	{ "rx_direct", "direct", -9 },
	{ "drops", "drops", 0 },
};

/* "spoof=3,rate=9": of what the port sent, then of what it should have got. */
static void drops_text(const struct vswitch_counters *c, char *buf, size_t size)
{
	struct text t = text_make(buf, size);

	for (unsigned i = 1; i < NET_DROPS; i++) {
		if (c->tx_drop[i])
			text_add(&t, "%stx_%s=%lu", t.len ? "," : "",
				 net_drop_name((enum net_drop)i), c->tx_drop[i]);
		if (c->rx_drop[i])
			text_add(&t, "%srx_%s=%lu", t.len ? "," : "",
				 net_drop_name((enum net_drop)i), c->rx_drop[i]);
	}
}

/* One port copied while locked; false: there is none of this number. */
static bool copy_port(u32 i, struct vswitch_config *cfg, char *name, bool *up,
		      struct vswitch_counters *c)
{
	const struct vswitch_port *p = &net_lock()->port[i];
	bool used = p->used;

	if (used) {
		*cfg = p->cfg;
		*up = p->up;
		*c = p->count;
		memcpy(name, p->name, VSWITCH_NAME_LEN);
	}
	net_unlock();
	return used;
}

static int run_list(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	ctl_table(out, "port", port_columns, ARRAY_SIZE(port_columns));
	for (u32 i = 0; i < VSWITCH_PORTS; i++) {
		struct vswitch_counters c;
		struct vswitch_config cfg;
		char name[VSWITCH_NAME_LEN], drops[160];
		bool up;

		if (!copy_port(i, &cfg, name, &up, &c))
			continue;
		drops_text(&c, drops, sizeof(drops));
		ctl_cell(out, "%s", name);
		ctl_cell(out, "%02x:%02x:%02x:%02x:%02x:%02x", cfg.mac[0], cfg.mac[1], cfg.mac[2],
			 cfg.mac[3], cfg.mac[4], cfg.mac[5]);
		ctl_cell_num(out, cfg.vlan);
		ctl_cell(out, "%s", up ? "up" : "down");
		ctl_cell_num(out, cfg.tx_bps);
		ctl_cell_num(out, c.tx_frames);
		ctl_cell_bytes(out, c.tx_bytes);
		ctl_cell_num(out, c.rx_frames);
		ctl_cell_bytes(out, c.rx_bytes);
		ctl_cell_bytes(out, c.rx_direct);
		ctl_cell(out, "%s", drops[0] ? drops : "none");
	}
	return 0;
}

struct change {
	u64 rate, vlan;
	bool set_rate, set_vlan, set_link, link, set_mirror, mirror;
};

static int read_change(struct ctl_out *out, const struct ctl_args *args, struct change *c)
{
	const char *rate = ctl_opt(args, "rate"), *link = ctl_opt(args, "link");
	const char *mirror = ctl_opt(args, "mirror");
	int rc;

	*c = (struct change){ .set_rate = rate != NULL,
			      .set_link = link != NULL,
			      .set_vlan = ctl_opt(args, "vlan") != NULL,
			      .set_mirror = mirror != NULL };
	rc = ctl_opt_u64(out, "vlan", 0, 4094, &c->vlan);
	if (rc)
		return rc;
	if (rate && !value_scaled((struct slice){ rate, strlen(rate) }, 1000, &c->rate))
		return ctl_fail(out, -EINVAL, "rate= bits per second, as 100M; 0: no limit");
	if (link && !value_bool((struct slice){ link, strlen(link) }, &c->link))
		return ctl_fail(out, -EINVAL, "link=on or link=off");
	if (mirror && !value_bool((struct slice){ mirror, strlen(mirror) }, &c->mirror))
		return ctl_fail(out, -EINVAL, "mirror=on or mirror=off");
	return 0;
}

static u32 find_port(const struct vswitch *sw, const char *name)
{
	u32 i = 0;

	while (i < VSWITCH_PORTS && (!sw->port[i].used || strcmp(sw->port[i].name, name) != 0))
		i++;
	return i;
}

static int apply(struct vswitch *sw, u32 id, const struct change *c)
{
	int rc = c->set_vlan ? vswitch_set_vlan(sw, id, (u16)c->vlan) : 0;

	if (rc)
		return rc;
	if (c->set_rate)
		vswitch_set_rate(sw, id, c->rate, c->rate, net_now());
	if (c->set_link && sw->port[id].be.ops->link)
		sw->port[id].be.ops->link(sw->port[id].be.ctx, c->link);
	else if (c->set_link)
		vswitch_set_up(sw, id, c->link);
	if (c->set_mirror && c->mirror)
		sw->mirror = (u8)id;
	else if (c->set_mirror && sw->mirror == id)
		sw->mirror = VSWITCH_NO_PORT;
	return 0;
}

static int run_set(struct ctl_out *out, const struct ctl_args *args)
{
	const char *name = ctl_arg(out, 0);
	struct vswitch *sw;
	struct change c;
	u32 id;
	int rc = read_change(out, args, &c);

	if (rc)
		return rc;
	sw = net_lock();
	id = find_port(sw, name);
	rc = id == VSWITCH_PORTS ? -ENOENT : apply(sw, id, &c);
	net_unlock();
	if (rc == -ENOENT)
		return ctl_fail(out, rc, "the switch has no port %s", name);
	if (rc)
		return ctl_fail(out, rc, "the address of %s is taken in VLAN %lu", name, c.vlan);
	return 0;
}

static const struct ctl_verb verbs[] = {
	{ .name = "net",
	  .sub = "list",
	  .usage = "",
	  .help = "ports of the switch: rights, counters, drops by reason",
	  .run = run_list },
	{ .name = "net",
	  .sub = "set",
	  .usage = "PORT [rate=BITS] [vlan=N] [link=on|off] [mirror=on|off]",
	  .help = "change a port",
	  .options = "rate vlan link mirror",
	  .min_args = 1,
	  .max_args = 1,
	  .run = run_set },
};

int ctl_net_init(struct ctl *c)
{
	return ctl_add(c, verbs, ARRAY_SIZE(verbs));
}
