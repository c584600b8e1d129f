/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch of this host: one, with one lock.
 */
#include "devices/net/net.h"

#include "kernel/base/err.h"
#include "kernel/core/frames.h"
#include "kernel/core/lock.h"
#include "kernel/core/timer.h"

/* All that needs memory, so that it comes from the pool. */
struct net {
	struct vswitch sw;
	struct virtio_net_scratch scratch;
};

static struct spinlock lock = SPINLOCK_INIT(LOCK_VDEV, "net");
static struct net *net;

struct vswitch *net_lock(void)
{
	spin_lock(&lock);
	return &net->sw;
}

void net_unlock(void)
{
	spin_unlock(&lock);
}

struct vswitch *net_locked(void)
{
	lock_assert_held(&lock);
	return &net->sw;
}

u64 net_now(void)
{
	return time_ns();
}

struct virtio_net_scratch *net_scratch(void)
{
	lock_assert_held(&lock);
	return &net->scratch;
}

int net_init(void)
{
	net = kalloc(hv_owner(), sizeof(*net));
	if (!net)
		return -ENOMEM;
	vswitch_init(&net->sw);
	return 0;
}
