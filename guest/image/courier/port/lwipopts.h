/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP as the courier uses it: IPv4 and TCP, called from one loop.
 */
#ifndef GUEST_IMAGE_COURIER_PORT_LWIPOPTS_H
#define GUEST_IMAGE_COURIER_PORT_LWIPOPTS_H

#define NO_SYS		     1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN	     0
#define LWIP_SOCKET	     0
#define LWIP_UDP	     0
#define LWIP_STATS	     0
#define LWIP_TCP_KEEPALIVE   1

#define MEM_ALIGNMENT	   8
#define MEM_SIZE	   (2 << 20)
#define PBUF_POOL_SIZE	   512
#define PBUF_POOL_BUFSIZE  1600
#define MEMP_NUM_TCP_PCB   16
#define MEMP_NUM_TCP_SEG   1024
#define MEMP_NUM_PBUF	   1024

#define LWIP_CHKSUM_ALGORITHM 3

#define TCP_MSS		   1460
#define TCP_QUEUE_OOSEQ	   1
#define LWIP_WND_SCALE	   1
#define TCP_RCV_SCALE	   2
#define TCP_WND		   (128 << 10)
#define TCP_SND_BUF	   (128 << 10)
#define TCP_SND_QUEUELEN   512
#define TCP_SNDLOWAT	   (20 << 10)
#define TCP_SNDQUEUELOWAT  100
#define TCP_LISTEN_BACKLOG 1
/* A dead peer is known after some ten seconds of silence, or of data that nobody acknowledges. */
#define TCP_MAXRTX	   6
#define TCP_SYNMAXRTX	   3
#define TCP_KEEPIDLE_DEFAULT  4000
#define TCP_KEEPINTVL_DEFAULT 2000
#define TCP_KEEPCNT_DEFAULT   3

#endif
