/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The courier's network interface: lwIP's netif on virtio-net, without offloads.
 */
#include "guest/image/courier/courier.h"
#include "guest/image/courier/virtio.h"
#include "guest/image/lib/serial.h"
#include "kernel/base/str.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"

#define SLOTS 256u
#define SLOT_LEN 2048u
#define HEADER 12u /* Virtio 1.2 §5.1.6; all zero: nothing left to the device */
#define F_MAC (1u << 5)

static struct virtio dev;
static struct queue rx, tx;
static struct netif netif;

static err_t output(struct netif *n, struct pbuf *p)
{
	int slot = queue_slot(&tx);

	(void)n;
	if (slot < 0)
		return ERR_MEM; /* TCP sends it again */
	memset(queue_buf(&tx, slot), 0, HEADER);
	pbuf_copy_partial(p, queue_buf(&tx, slot) + HEADER, p->tot_len, 0);
	queue_give(&tx, slot, HEADER + p->tot_len);
	return ERR_OK;
}

static err_t init(struct netif *n)
{
	n->name[0] = 'e';
	n->name[1] = 'n';
	n->output = etharp_output;
	n->linkoutput = output;
	n->mtu = 1500;
	n->hwaddr_len = 6;
	for (u32 i = 0; i < 6; i++)
		n->hwaddr[i] = *(volatile u8 *)(dev.device + i);
	n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_LINK_UP;
	return ERR_OK;
}

bool net_poll(void)
{
	bool some = false;
	u32 len;

	for (int slot; (slot = queue_take(&rx, &len)) >= 0; some = true) {
		struct pbuf *p = NULL;

		if (len > HEADER && len <= SLOT_LEN)
			p = pbuf_alloc(PBUF_RAW, (u16)(len - HEADER), PBUF_POOL);
		if (p) {
			(void)pbuf_take(p, queue_buf(&rx, slot) + HEADER, (u16)(len - HEADER));
			if (netif.input(p, &netif) != ERR_OK)
				pbuf_free(p);
		}
		queue_give(&rx, slot, SLOT_LEN);
	}
	queue_flush(&rx);
	return some;
}

void net_flush(void)
{
	queue_flush(&tx);
}

void net_init(const char *address)
{
	char text[20] = "";
	ip4_addr_t ip, mask;
	u32 bits = 0, n = 0;

	while (address[n] && address[n] != '/' && n < sizeof(text) - 1)
		text[n] = address[n], n++;
	for (n++; address[n] >= '0' && address[n] <= '9'; n++)
		bits = bits * 10 + (u32)(address[n] - '0');
	if (!ip4addr_aton(text, &ip) || !bits || bits > 31)
		courier_die("no address: ip= must be ADDRESS/BITS");
	ip4_addr_set_u32(&mask, lwip_htonl(~0u << (32 - bits)));
	if (!virtio_probe(&dev, VIRTIO_NET, F_MAC))
		courier_die("no network device");
	virtio_queue(&dev, &rx, 0, SLOTS, SLOT_LEN, false);
	virtio_queue(&dev, &tx, 1, SLOTS, SLOT_LEN, true);
	tx.avail[0] = 1; /* no interrupts */
	virtio_ready(&dev);
	queue_flush(&rx);
	lwip_init();
	netif_add(&netif, &ip, &mask, IP4_ADDR_ANY4, NULL, init, netif_input);
	netif_set_default(&netif);
	netif_set_up(&netif);
	serial_printf("courier: address %s\n", address);
}
