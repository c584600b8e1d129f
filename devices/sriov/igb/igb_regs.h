/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of the 82576 gigabit controller: offsets in the physical function's BAR 0 and bits.
 * Intel 82576 data sheet §8. No code, no state.
 */
#ifndef DEVICES_SRIOV_IGB_IGB_REGS_H
#define DEVICES_SRIOV_IGB_IGB_REGS_H

#include "kernel/base/bits.h"

#define IGB_BAR_LEN 0x20000u

#define IGB_CTRL	  0x00000u
#define IGB_STATUS	  0x00008u
#define IGB_EECD	  0x00010u
#define IGB_CTRL_EXT	  0x00018u
#define IGB_MDIC	  0x00020u
#define IGB_ICR		  0x000c0u
#define IGB_IMS		  0x000d0u
#define IGB_IMC		  0x000d8u
#define IGB_RCTL	  0x00100u
#define IGB_TCTL	  0x00400u
#define IGB_P2VMAILBOX(n) (0x00c00u + 4u * (n))
#define IGB_MBVFICR	  0x00c80u
#define IGB_MBVFIMR	  0x00c84u
#define IGB_VFLRE	  0x00c88u
#define IGB_VFRE	  0x00c8cu
#define IGB_VFTE	  0x00c90u
#define IGB_VMBMEM(n)	  (0x00800u + 0x40u * (n))
#define IGB_EICS	  0x01520u
#define IGB_EIMS	  0x01524u
#define IGB_EIMC	  0x01528u
#define IGB_EIAC	  0x0152cu
#define IGB_EIAM	  0x01530u
#define IGB_GPIE	  0x01514u
#define IGB_EICR	  0x01580u
#define IGB_EITR(i)	  (0x01680u + 4u * (i))
#define IGB_IVAR(i)	  (0x01700u + 4u * (i))
#define IGB_IVAR_MISC	  0x01740u
#define IGB_QDE		  0x02408u
#define IGB_DTXSWC	  0x03500u
#define IGB_LVMMC	  0x03548u
#define IGB_WVBR	  0x03554u
#define IGB_DTXCTL	  0x03590u
#define IGB_RTTDQSEL	  0x03604u
#define IGB_RTTBCNRM	  0x03690u
#define IGB_RTTBCNRC	  0x036b0u
#define IGB_VMVIR(n)	  (0x03700u + 4u * (n))
#define IGB_GPRC	  0x04074u
#define IGB_GPTC	  0x04080u
#define IGB_MPC		  0x04010u
#define IGB_CRCERRS	  0x04000u
#define IGB_MTA(i)	  (0x05200u + 4u * (i))
#define IGB_RAL(i)	  ((i) < 16 ? 0x05400u + 8u * (i) : 0x054e0u + 8u * ((i) - 16))
#define IGB_RAH(i)	  (IGB_RAL(i) + 4u)
#define IGB_PSRTYPE(n)	  (0x05480u + 4u * (n))
#define IGB_VFTA(i)	  (0x05600u + 4u * (i))
#define IGB_MRQC	  0x05818u
#define IGB_VT_CTL	  0x0581cu
#define IGB_VMOLR(n)	  (0x05ad0u + 4u * (n))
#define IGB_RPLOLR	  0x05af0u
#define IGB_IOVCTL	  0x05bbcu
#define IGB_VLVF(i)	  (0x05d00u + 4u * (i))

/* Queue q. */
#define IGB_RDBAL(q)  (0x0c000u + 0x40u * (q))
#define IGB_RDBAH(q)  (0x0c004u + 0x40u * (q))
#define IGB_RDLEN(q)  (0x0c008u + 0x40u * (q))
#define IGB_SRRCTL(q) (0x0c00cu + 0x40u * (q))
#define IGB_RDH(q)    (0x0c010u + 0x40u * (q))
#define IGB_RXCTL(q)  (0x0c014u + 0x40u * (q))
#define IGB_RDT(q)    (0x0c018u + 0x40u * (q))
#define IGB_RQDPC(q)  (0x0c030u + 0x40u * (q))
#define IGB_RXDCTL(q) (0x0c028u + 0x40u * (q))
#define IGB_TDBAL(q)  (0x0e000u + 0x40u * (q))
#define IGB_TDBAH(q)  (0x0e004u + 0x40u * (q))
#define IGB_TDLEN(q)  (0x0e008u + 0x40u * (q))
#define IGB_TDH(q)    (0x0e010u + 0x40u * (q))
#define IGB_TXCTL(q)  (0x0e014u + 0x40u * (q))
#define IGB_TDT(q)    (0x0e018u + 0x40u * (q))
#define IGB_TXDCTL(q) (0x0e028u + 0x40u * (q))
#define IGB_TDWBAL(q) (0x0e038u + 0x40u * (q))
#define IGB_TDWBAH(q) (0x0e03cu + 0x40u * (q))

/* The rings in a VF's BAR 0. */
#define IGB_VF_RX 0x2800u
#define IGB_VF_TX 0x3800u

/* Block of VF n: what the VF sees at its BAR 0, and its statistics. */
#define IGB_VF_CTRL(n)	(0x10000u + 0x100u * (n))
#define IGB_VTIVAR(n)	   (0x11700u + 4u * (n))
#define IGB_VTIVAR_MISC(n) (0x11720u + 4u * (n))
#define IGB_VF_STAT(n)	(0x10000u + 0x100u * (n)) /* + 10h.. */

#define IGB_CTRL_FD	    BIT(0)
#define IGB_CTRL_NO_MASTER  BIT(2)
#define IGB_CTRL_SLU	    BIT(6)
#define IGB_CTRL_RST	    BIT(26)
#define IGB_STATUS_FD	    BIT(0)
#define IGB_STATUS_LU	    BIT(1)
#define IGB_STATUS_SPEED(s) ((s) >> 6 & 3)
#define IGB_STATUS_MASTER   BIT(19)
#define IGB_EECD_AUTO_RD    BIT(9)
#define IGB_CTRL_EXT_PFRSTD BIT(14)
#define IGB_MDIC_READY	    BIT(28)
#define IGB_MDIC_ERROR	    BIT(30)
#define IGB_ICR_LSC	    BIT(2)
#define IGB_ICR_VMMB	    BIT(8)
#define IGB_ICR_DOUTSYNC    BIT(28)
#define IGB_ICR_DRSTA	    BIT(30)
#define IGB_GPIE_MULTIPLE   BIT(4)
#define IGB_GPIE_EIAME	    BIT(30)
#define IGB_GPIE_PBA	    BIT(31)
#define IGB_IVAR_VALID	    0x80u
#define IGB_RCTL_EN	    BIT(1)
#define IGB_RCTL_UPE	    BIT(3)
#define IGB_RCTL_MPE	    BIT(4)
#define IGB_RCTL_LPE	    BIT(5)
#define IGB_RCTL_BAM	    BIT(15)
#define IGB_RCTL_VFE	    BIT(18)
#define IGB_RCTL_SECRC	    BIT(26)
#define IGB_TCTL_EN	    BIT(1)
#define IGB_TCTL_PSP	    BIT(3)
#define IGB_TCTL_CT	    0xf0u /* collision threshold, as the data sheet asks */
#define IGB_RAH_POOL(n)	    BIT(18 + (n))
#define IGB_RAH_POOLS	    MASK(25, 18)
#define IGB_RAH_AV	    BIT(31)
#define IGB_VT_POOL(n)	    ((u32)(n) << 7)
#define IGB_VT_REPLICATE    BIT(30)
#define IGB_MRQC_VMDQ	    3u
#define IGB_VMOLR_LPE	    BIT(16)
#define IGB_VMOLR_AUPE	    BIT(24)
#define IGB_VMOLR_ROMPE	    BIT(25)
#define IGB_VMOLR_ROPE	    BIT(26)
#define IGB_VMOLR_BAM	    BIT(27)
#define IGB_VMOLR_MPME	    BIT(28)
#define IGB_VMOLR_STRVLAN   BIT(30)
#define IGB_VMOLR_STRCRC    BIT(31)
#define IGB_RPLOLR_STRIP    (BIT(30) | BIT(31))
#define IGB_DTXCTL_VLAN	    BIT(3)
#define IGB_DTXSWC_MAC(n)   BIT(n)
#define IGB_DTXSWC_VLAN(n)  BIT(8 + (n))
#define IGB_DTXSWC_VMDQ	    BIT(31)
#define IGB_VLVF_POOL(n)    BIT(12 + (n))
#define IGB_VLVF_POOLS	    MASK(19, 12)
#define IGB_VLVF_EN	    BIT(31)
#define IGB_VMVIR_ALWAYS    BIT(30)
#define IGB_RTT_ON	    BIT(31)
#define IGB_RTT_MEMORY	    0x14u /* window of the rate limiter for 2 KiB frames */
#define IGB_QUEUE_ON	    BIT(25)
#define IGB_SRRCTL_DROP	    BIT(31)
#define IGB_SRRCTL_ONE_BUF  (1u << 25)
#define IGB_P2V_RVFU	    BIT(4)
#define IGB_VF_CTRL_RST	    BIT(26)

#define IGB_VF_QUEUE2(n) ((n) + 8u) /* second queue of pool n */
#define IGB_QUEUES	 16u
#define IGB_POOLS	 8u
#define IGB_RARS	 24u
#define IGB_VLVFS	 32u
#define IGB_MTA_WORDS	 128u
#define IGB_VFTA_WORDS	 128u

/* Bits of VF n's vectors in EICR and its fellows, and the first one's EITR. */
#define IGB_VF_EICR(n) (7u << (22 - 3 * (n)))
#define IGB_VF_EITR(n) (22u - 3u * (n))

#endif
