/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual switch. A frame is looked at in one order: shape, sender's rights, VLAN, storm
 * limit; then where it goes; each receiver gets it in the form its port carries.
 */
#include "devices/net/vswitch.h"

#include "devices/net/offload.h"
#include "kernel/base/assert.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define TPID_VLAN 0x8100u

/* A burst lasts this part of a second, but holds the largest frame and some. */
#define BURST_PART 100u
#define BURST_MIN (2u * 65536u)

const char *net_drop_name(enum net_drop why)
{
	static const char *const name[NET_DROPS] = {
		[NET_OK] = "ok",
		[NET_DROP_RUNT] = "runt",
		[NET_DROP_OVERSIZE] = "oversize",
		[NET_DROP_OFFLOAD] = "offload",
		[NET_DROP_SPOOF] = "spoof",
		[NET_DROP_VLAN] = "vlan",
		[NET_DROP_STORM] = "storm",
		[NET_DROP_RATE] = "rate",
		[NET_DROP_LINK] = "link",
		[NET_DROP_BUFFER] = "buffer",
		[NET_DROP_FILTER] = "filter",
		[NET_DROP_RESERVED] = "reserved",
		[NET_DROP_RING] = "ring",
		[NET_DROP_STALLED] = "stalled",
	};

	return name[why];
}

/* ---- address table --------------------------------------------------------------------- */

static struct vswitch_entry *set_of(struct vswitch *sw, const u8 *mac, u16 vlan)
{
	u32 h = 0x811c9dc5u ^ vlan;

	for (unsigned i = 0; i < 6; i++)
		h = (h ^ mac[i]) * 0x01000193u;
	return sw->table[(h ^ h >> 15) % VSWITCH_SETS];
}

static struct vswitch_entry *find(struct vswitch *sw, const u8 *mac, u16 vlan)
{
	struct vswitch_entry *e = set_of(sw, mac, vlan);

	for (unsigned i = 0; i < VSWITCH_WAYS; i++)
		if (e[i].port != VSWITCH_NO_PORT && e[i].vlan == vlan && !memcmp(e[i].mac, mac, 6))
			return &e[i];
	return NULL;
}

/* A free place, else the one that was silent longest; NULL: all belong to ports. */
static struct vswitch_entry *place(struct vswitch *sw, const u8 *mac, u16 vlan)
{
	struct vswitch_entry *e = set_of(sw, mac, vlan), *best = NULL;

	for (unsigned i = 0; i < VSWITCH_WAYS; i++) {
		if (e[i].port == VSWITCH_NO_PORT)
			return &e[i];
		if (!e[i].fixed && (!best || e[i].seen < best->seen))
			best = &e[i];
	}
	return best;
}

u8 vswitch_lookup(struct vswitch *sw, const u8 *mac, u16 vlan, u64 now)
{
	struct vswitch_entry *e = find(sw, mac, vlan);

	if (!e)
		return VSWITCH_NO_PORT;
	if (!e->fixed && now > e->seen && now - e->seen > VSWITCH_AGE_NS) {
		e->port = VSWITCH_NO_PORT;
		return VSWITCH_NO_PORT;
	}
	return e->port;
}

/* false: the address is another port's own. */
static bool learn(struct vswitch *sw, u32 id, const u8 *mac, u16 vlan, u64 now)
{
	struct vswitch_entry *e = find(sw, mac, vlan);

	if (e && e->fixed)
		return e->port == id || (sw->port[e->port].away && sw->port[id].cfg.open);
	if (!sw->port[id].cfg.open && !sw->port[id].cfg.trunk)
		return true; /* its address is known already */
	if (!e)
		e = place(sw, mac, vlan);
	if (!e)
		return true;
	*e = (struct vswitch_entry){ .vlan = vlan, .port = (u8)id, .seen = now };
	memcpy(e->mac, mac, 6);
	return true;
}

static void forget(struct vswitch *sw, u32 id, bool fixed_too)
{
	for (unsigned s = 0; s < VSWITCH_SETS; s++)
		for (unsigned w = 0; w < VSWITCH_WAYS; w++) {
			struct vswitch_entry *e = &sw->table[s][w];

			if (e->port == id && (fixed_too || !e->fixed))
				e->port = VSWITCH_NO_PORT;
		}
}

static int add_fixed(struct vswitch *sw, u32 id)
{
	const struct vswitch_config *c = &sw->port[id].cfg;
	struct vswitch_entry *e;

	if (c->open)
		return 0;
	e = find(sw, c->mac, c->vlan);
	if (e && e->fixed)
		return -EEXIST;
	if (!e)
		e = place(sw, c->mac, c->vlan);
	if (!e)
		return -ENOSPC;
	*e = (struct vswitch_entry){ .vlan = c->vlan, .port = (u8)id, .fixed = true };
	memcpy(e->mac, c->mac, 6);
	return 0;
}

/* ---- ports ----------------------------------------------------------------------------- */

void vswitch_init(struct vswitch *sw)
{
	memset(sw, 0, sizeof(*sw));
	sw->mirror = VSWITCH_NO_PORT;
	for (unsigned s = 0; s < VSWITCH_SETS; s++)
		for (unsigned w = 0; w < VSWITCH_WAYS; w++)
			sw->table[s][w].port = VSWITCH_NO_PORT;
}

static void set_bucket(struct bucket *b, u64 bps, u64 now)
{
	u64 bytes = bps / 8;

	bucket_init(b, bps ? max_u64(bytes, 1) : 0, max_u64(bytes / BURST_PART, BURST_MIN), now);
}

void vswitch_set_rate(struct vswitch *sw, u32 id, u64 tx_bps, u64 rx_bps, u64 now)
{
	struct vswitch_port *p = &sw->port[id];

	p->cfg.tx_bps = tx_bps;
	p->cfg.rx_bps = rx_bps;
	set_bucket(&p->tx, tx_bps, now);
	set_bucket(&p->rx, rx_bps, now);
}

int vswitch_add(struct vswitch *sw, const struct vswitch_config *cfg, const struct netbe *be,
		u64 now, u32 *id)
{
	u32 i = 0, pps = cfg->storm_pps ? cfg->storm_pps : VSWITCH_STORM_PPS;
	struct vswitch_port *p;
	int rc;

	if (cfg->vlan >= VSWITCH_VLANS - 1 || (!cfg->open && mac_is_group(cfg->mac)))
		return -EINVAL;
	while (i < VSWITCH_PORTS && sw->port[i].used)
		i++;
	if (i == VSWITCH_PORTS)
		return -ENOSPC;
	p = &sw->port[i];
	memset(p, 0, sizeof(*p));
	p->be = *be;
	p->cfg = *cfg;
	for (unsigned k = 0; k < VSWITCH_NAME_LEN - 1 && cfg->name[k]; k++)
		p->name[k] = cfg->name[k];
	p->cfg.name = p->name;
	rc = add_fixed(sw, i);
	if (rc)
		return rc;
	vswitch_set_rate(sw, i, cfg->tx_bps, cfg->rx_bps, now);
	bucket_init(&p->storm, cfg->open && !cfg->storm_pps ? 0 : pps, pps, now);
	p->used = p->up = true;
	*id = i;
	return 0;
}

void vswitch_remove(struct vswitch *sw, u32 id)
{
	forget(sw, id, true);
	sw->port[id].used = sw->port[id].up = false;
	sw->flush &= ~BIT(id);
	if (sw->mirror == id)
		sw->mirror = VSWITCH_NO_PORT;
}

bool vswitch_set_away(struct vswitch *sw, const u8 *mac, u16 vlan, bool away)
{
	struct vswitch_entry *e = find(sw, mac, vlan);
	bool change = e && e->fixed && sw->port[e->port].away != away;

	if (change)
		sw->port[e->port].away = away;
	return change;
}

void vswitch_set_up(struct vswitch *sw, u32 id, bool up)
{
	if (!up)
		forget(sw, id, false);
	sw->port[id].up = up;
}

int vswitch_set_vlan(struct vswitch *sw, u32 id, u16 vlan)
{
	struct vswitch_port *p = &sw->port[id];
	u16 old = p->cfg.vlan;
	int rc;

	if (vlan >= VSWITCH_VLANS - 1)
		return -EINVAL;
	if (vlan == old)
		return 0;
	p->cfg.vlan = vlan;
	rc = add_fixed(sw, id);
	if (rc) {
		p->cfg.vlan = old;
		return rc;
	}
	if (!p->cfg.open) {
		struct vswitch_entry *e = find(sw, p->cfg.mac, old);

		if (e && e->port == id)
			e->port = VSWITCH_NO_PORT;
	}
	return 0;
}

int vswitch_allow(struct vswitch *sw, u32 id, u16 vlan)
{
	if (!vlan || vlan >= VSWITCH_VLANS - 1 || !sw->port[id].cfg.trunk)
		return -EINVAL;
	sw->port[id].vlans[vlan / 8] |= (u8)(1u << vlan % 8);
	return 0;
}

/* Does vlan exist at p, and is it tagged there? */
static bool member(const struct vswitch_port *p, u16 vlan, bool *tagged)
{
	*tagged = false;
	if (vlan == p->cfg.vlan)
		return true;
	*tagged = true;
	return p->cfg.trunk && (p->vlans[vlan / 8] >> vlan % 8 & 1);
}

/* ---- out ------------------------------------------------------------------------------- */

static void count_rx(struct vswitch *sw, struct vswitch_port *p, enum net_drop rc, u32 len)
{
	if (rc == NET_DROP_BUFFER && sw->may_wait) {
		; /* the sender tries again */
	} else if (rc) {
		p->count.rx_drop[rc]++;
	} else {
		p->count.rx_frames++;
		p->count.rx_bytes += len;
		bucket_take(&p->rx, len);
	}
	if (!sw->result)
		sw->result = rc;
}

/* f needs nothing done but, maybe, a tag. */
static void hand_over(void *ctx, const struct frame *f)
{
	struct vswitch *sw = ctx;
	struct vswitch_port *p = &sw->port[sw->to];
	struct frame t;
	u32 uses;

	if (sw->tag && f->head_len + VLAN_TAG <= FRAME_HEAD) {
		u16 tci = (u16)(sw->tag | f->priority << 13);

		t = *f;
		memmove(t.head + 16, t.head + 12, f->head_len - 12);
		t.head[12] = TPID_VLAN >> 8;
		t.head[13] = TPID_VLAN & 0xff;
		t.head[14] = (u8)(tci >> 8);
		t.head[15] = (u8)tci;
		t.head_len += VLAN_TAG;
		t.csum_start = (u16)(t.csum_start + VLAN_TAG);
		f = &t;
	}
	sw->flush |= BIT(sw->to);
	uses = f->owner ? f->owner->uses : 0;
	count_rx(sw, p, p->be.ops->send(p->be.ctx, f), frame_len(f));
	if (f->owner && f->owner->uses != uses)
		p->count.rx_direct += f->body_len;
}

static void finish_and_hand_over(struct vswitch *sw, const struct frame *f, u32 caps)
{
	u32 need = f->gso == FRAME_TCP4   ? NETBE_TCP4
		   : f->gso == FRAME_TCP6 ? NETBE_TCP6
		   : f->gso == FRAME_UDP  ? NETBE_UDP
					  : 0;
	struct frame done;

	if (need & ~caps) {
		sw->may_wait = false; /* some segments may have got through */
		if (!offload_segment(f, hand_over, sw))
			count_rx(sw, &sw->port[sw->to], NET_DROP_OFFLOAD, 0);
		return;
	}
	if (!(f->flags & FRAME_CSUM) || (caps & NETBE_CSUM)) {
		hand_over(sw, f);
		return;
	}
	done = *f;
	offload_checksum(&done);
	hand_over(sw, &done);
}

static void deliver(struct vswitch *sw, u32 from, u32 to, const struct frame *f, u64 now)
{
	struct vswitch_port *p = &sw->port[to];
	bool tagged = false;

	if (to == from || !p->used)
		return;
	if (to != sw->mirror && !member(p, f->vlan, &tagged))
		return;
	sw->to = (u8)to;
	sw->tag = to == sw->mirror ? f->vlan : tagged ? f->vlan : 0;
	if (!p->up)
		count_rx(sw, p, NET_DROP_LINK, 0);
	else if (bucket_wait(&p->rx, now))
		count_rx(sw, p, NET_DROP_RATE, 0);
	else
		finish_and_hand_over(sw, f, p->be.ops->caps(p->be.ctx, f));
}

/* Group addresses go everywhere; unknown ones where unknown stations may be. */
static void flood(struct vswitch *sw, u32 from, const struct frame *f, bool group, u64 now)
{
	for (u32 i = 0; i < VSWITCH_PORTS; i++)
		if (sw->port[i].used && i != sw->mirror && (group || sw->port[i].cfg.open))
			deliver(sw, from, i, f, now);
}

/* ---- in -------------------------------------------------------------------------------- */

static enum net_drop untag(const struct vswitch_port *p, struct frame *f)
{
	u16 tci;

	f->vlan = p->cfg.vlan;
	f->priority = 0;
	if (f->head[12] != TPID_VLAN >> 8 || f->head[13] != (TPID_VLAN & 0xff))
		return NET_OK;
	if (f->head_len < ETH_HEADER + VLAN_TAG)
		return NET_DROP_RUNT;
	tci = (u16)(f->head[14] << 8 | f->head[15]);
	if (tci & 0xfff) {
		bool tagged;

		/* The port's own VLAN is the untagged one. */
		if (!member(p, tci & 0xfff, &tagged) || !tagged)
			return NET_DROP_VLAN;
		f->vlan = tci & 0xfff;
	}
	f->priority = (u8)(tci >> 13);
	memmove(f->head + 12, f->head + 16, f->head_len - 16);
	f->head_len -= VLAN_TAG;
	if (f->flags & FRAME_CSUM) {
		if (f->csum_start < ETH_HEADER + VLAN_TAG)
			return NET_DROP_OFFLOAD;
		f->csum_start = (u16)(f->csum_start - VLAN_TAG);
	}
	return NET_OK;
}

/* May port id send from this source address? */
static bool source_ok(struct vswitch *sw, u32 id, const struct frame *f, u64 now)
{
	const struct vswitch_config *c = &sw->port[id].cfg;

	if (mac_is_group(f->head + 6) || (!c->open && memcmp(f->head + 6, c->mac, 6) != 0))
		return false;
	return learn(sw, id, f->head + 6, f->vlan, now);
}

static enum net_drop group_ok(struct vswitch_port *p, const struct frame *f, u64 now)
{
	static const u8 link_local[5] = { 0x01, 0x80, 0xc2, 0x00, 0x00 };

	/* IEEE 802.1Q §8.6.3: ..:00 to ..:0F are for the bridge itself. */
	if (!memcmp(f->head, link_local, 5) && f->head[5] < 0x10)
		return NET_DROP_RESERVED;
	if (bucket_wait(&p->storm, now))
		return NET_DROP_STORM;
	bucket_take(&p->storm, 1);
	return NET_OK;
}

static enum net_drop admit(struct vswitch *sw, u32 id, struct frame *f, u64 now)
{
	struct vswitch_port *p = &sw->port[id];
	enum net_drop rc;

	if (!p->up)
		return NET_DROP_LINK;
	if (f->head_len < ETH_HEADER)
		return NET_DROP_RUNT;
	rc = untag(p, f);
	if (rc)
		return rc;
	if (frame_len(f) > (f->gso ? FRAME_MAX : p->cfg.mtu + ETH_HEADER) ||
	    f->gso_size > p->cfg.mtu)
		return NET_DROP_OVERSIZE;
	if (!offload_check(f))
		return NET_DROP_OFFLOAD;
	if (!source_ok(sw, id, f, now))
		return NET_DROP_SPOOF;
	return mac_is_group(f->head) ? group_ok(p, f, now) : NET_OK;
}

enum net_drop vswitch_send(struct vswitch *sw, u32 id, struct frame *f, bool may_wait, u64 now)
{
	struct vswitch_port *p = &sw->port[id];
	u32 len = frame_len(f);
	enum net_drop rc = admit(sw, id, f, now);
	u8 to;

	if (rc) {
		bucket_take(&p->tx, len);
		p->count.tx_drop[rc]++;
		return rc;
	}
	sw->result = NET_OK;
	sw->may_wait = false;
	to = mac_is_group(f->head) ? VSWITCH_NO_PORT : vswitch_lookup(sw, f->head, f->vlan, now);
	if (to == VSWITCH_NO_PORT || sw->port[to].away) {
		flood(sw, id, f, mac_is_group(f->head), now);
	} else {
		sw->may_wait = may_wait;
		deliver(sw, id, to, f, now);
		if (sw->may_wait && sw->result == NET_DROP_BUFFER)
			return NET_DROP_BUFFER;
		sw->may_wait = false;
	}
	bucket_take(&p->tx, len);
	p->count.tx_frames++;
	p->count.tx_bytes += len;
	rc = sw->result;
	if (sw->mirror != VSWITCH_NO_PORT && sw->mirror != to)
		deliver(sw, id, sw->mirror, f, now);
	return rc;
}

enum net_drop vswitch_arrived(struct vswitch *sw, u32 from, u32 to, struct frame *f, u64 now)
{
	struct vswitch_port *in = &sw->port[from], *out = &sw->port[to];
	u32 len = frame_len(f);
	enum net_drop rc = admit(sw, from, f, now);

	if (!rc && vswitch_lookup(sw, f->head, f->vlan, now) != to)
		rc = NET_DROP_FILTER;
	bucket_take(&in->tx, len);
	if (rc) {
		in->count.tx_drop[rc]++;
		return rc;
	}
	in->count.tx_frames++;
	in->count.tx_bytes += len;
	rc = !out->up ? NET_DROP_LINK : bucket_wait(&out->rx, now) ? NET_DROP_RATE : NET_OK;
	sw->may_wait = false;
	count_rx(sw, out, rc, len);
	out->count.rx_direct += rc ? 0 : len;
	if (sw->mirror != VSWITCH_NO_PORT && sw->mirror != to)
		deliver(sw, from, sw->mirror, f, now);
	sw->flush |= BIT(to);
	return rc;
}

void vswitch_flush(struct vswitch *sw)
{
	while (sw->flush) {
		u32 i = (u32)__builtin_ctzll(sw->flush);
		struct vswitch_port *p = &sw->port[i];

		sw->flush &= ~BIT(i);
		p->be.ops->flush(p->be.ctx);
	}
}

void vswitch_drain(struct vswitch *sw)
{
	for (u32 i = 0; i < VSWITCH_PORTS; i++) {
		const struct netbe *be = &sw->port[i].be;

		if (sw->port[i].used && be->ops->drain)
			be->ops->drain(be->ctx);
	}
}

u64 vswitch_tx_wait(struct vswitch *sw, u32 id, u64 now)
{
	return bucket_wait(&sw->port[id].tx, now);
}

void vswitch_drop(struct vswitch *sw, u32 id, enum net_drop why)
{
	sw->port[id].count.tx_drop[why]++;
}

void vswitch_announcement(const u8 *mac, struct frame *f)
{
	static const u8 rarp[] = { 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3 };

	*f = (struct frame){ .head_len = 60 };
	memset(f->head, 0xff, 6);
	memcpy(f->head + 6, mac, 6);
	memcpy(f->head + 12, rarp, sizeof(rarp));
	memcpy(f->head + 22, mac, 6);
	memcpy(f->head + 32, mac, 6);
}

void vswitch_show(struct vswitch *sw, u32 id, u64 now)
{
	struct frame f;

	vswitch_announcement(sw->port[id].cfg.mac, &f);
	(void)vswitch_send(sw, id, &f, false, now); /* a drop is counted there */
	vswitch_flush(sw);
}
