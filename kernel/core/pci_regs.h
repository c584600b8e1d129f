/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of PCI configuration space. PCI Local Bus 3.0 §6, PCI-to-PCI bridge 1.2 §3.2, PCI
 * Express base specification §7.5 to §9.3. No code, no state.
 */
#ifndef KERNEL_CORE_PCI_REGS_H
#define KERNEL_CORE_PCI_REGS_H

#define PCI_VENDOR_ID	    0x00
#define PCI_COMMAND	    0x04
#define PCI_STATUS	    0x06
#define PCI_CLASS_REVISION  0x08
#define PCI_HEADER_TYPE	    0x0e
#define PCI_BAR0	    0x10
#define PCI_PRIMARY_BUS	    0x18
#define PCI_SECONDARY_BUS   0x19
#define PCI_SUBORDINATE_BUS 0x1a
#define PCI_SUBSYSTEM_ID    0x2c
#define PCI_CAP_POINTER	    0x34
#define PCI_IRQ_LINE	    0x3c
#define PCI_IRQ_PIN	    0x3d
#define PCI_EXT_CAPS	    0x100

#define PCI_COMMAND_IO	     0x0001u
#define PCI_COMMAND_MEMORY   0x0002u
#define PCI_COMMAND_MASTER   0x0004u
#define PCI_COMMAND_INTX_OFF 0x0400u
#define PCI_STATUS_INTX	     0x0008u
#define PCI_STATUS_CAPS	     0x0010u

#define PCI_CAP_PM     0x01
#define PCI_CAP_MSI    0x05
#define PCI_CAP_VENDOR 0x09
#define PCI_CAP_PCIE   0x10
#define PCI_CAP_MSIX   0x11
#define PCI_CAP_AF     0x13

#define PCI_EXT_AER   0x0001
#define PCI_AER_STATUS	 0x04u /* uncorrectable errors: seen, not reported, fatal */
#define PCI_AER_MASK	 0x08u
#define PCI_AER_SEVERITY 0x0cu
#define PCI_AER_LINK 0x62030u /* data link, surprise down, flow control, overflow, malformed */
#define PCI_EXT_ACS   0x000d
#define PCI_EXT_ARI   0x000e
#define PCI_EXT_SRIOV 0x0010

/* PCI Express capability. */
#define PCIE_FLAGS	 0x02 /* version 3:0, device/port type 7:4 */
#define PCIE_DEVCAP	 0x04
#define PCIE_DEVCTL	 0x08
#define PCIE_DEVSTA	 0x0a
#define PCIE_DEVCTL2	 0x28
#define PCIE_DEVCAP_FLR	 0x10000000u
#define PCIE_DEVCAP_ROLES 0x8000u /* role-based error reporting */
#define PCIE_DEVCTL_FLR	 0x8000u
#define PCIE_DEVSTA_PENDING 0x0020u
#define PCIE_DEVCTL2_ARI 0x0020u /* ports: forward by ARI */

/* Device/port types. */
#define PCIE_TYPE_ROOT_PORT	4
#define PCIE_TYPE_UPSTREAM	5
#define PCIE_TYPE_DOWNSTREAM	6
#define PCIE_TYPE_TO_PCI	7
#define PCIE_TYPE_ROOT_ENDPOINT 9

/* MSI and MSI-X capabilities. */
#define MSI_CONTROL	  0x02
#define MSI_CONTROL_ON	  0x0001u
#define MSIX_CONTROL	  0x02
#define MSIX_TABLE	  0x04
#define MSIX_PBA	  0x08
#define MSIX_CONTROL_ON	  0x8000u
#define MSIX_CONTROL_MASK 0x4000u
#define MSIX_CONTROL_SIZE 0x07ffu /* vectors - 1 */

/* ACS: capability and control registers and their bits. */
#define ACS_CAP	    0x04
#define ACS_CTL	    0x06
#define ACS_SV	    0x0001u /* source validation */
#define ACS_RR	    0x0004u /* peer requests go up */
#define ACS_CR	    0x0008u /* completions too */
#define ACS_UF	    0x0010u /* upstream forwarding */

/* ARI capability: next function number in 15:8. */

/* SR-IOV. */
#define SRIOV_CTRL	  0x08
#define SRIOV_INITIAL	  0x0c
#define SRIOV_TOTAL	  0x0e
#define SRIOV_NUM	  0x10
#define SRIOV_OFFSET	  0x14
#define SRIOV_STRIDE	  0x16
#define SRIOV_DEVICE	  0x1a
#define SRIOV_PAGES	  0x1c
#define SRIOV_PAGE_SIZE	  0x20
#define SRIOV_BAR0	  0x24
#define SRIOV_CTRL_VFE	  0x0001u
#define SRIOV_CTRL_MSE	  0x0008u
#define SRIOV_CTRL_ARI	  0x0010u

#endif
