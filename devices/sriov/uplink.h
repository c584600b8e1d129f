/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch's way out: the NIC marked 'uplink = yes' as one of its ports.
 */
#ifndef DEVICES_SRIOV_UPLINK_H
#define DEVICES_SRIOV_UPLINK_H

#include "kernel/core/config.h"

/**
 * uplink_memory_init() - from then on VMs are built with memory that the uplink can read. Once at
 * boot, before pc_net_init(): so it goes away after the NICs that use it.
 */
void uplink_memory_init(void);

/**
 * uplink_init() - plug the uplink, if there is one, into the switch; from then on the NIC also
 * knows the addresses of paravirtual guests, so that its own switch leads VFs to them. Once at
 * boot, after net_init() and nics_init(). Failures are said in the log.
 */
void uplink_init(const struct config *c);

/**
 * uplink_choose() - a link came or went: the NIC that is meant to be the uplink is it while its
 * link can be trusted, else one that is marked as backup and has a link. Softirq, no lock held.
 */
void uplink_choose(void);

/**
 * uplink_team() - net is a VF whose driver begins or ceases to receive: if there is a standby with
 * its address the switch and the uplink's filters lead to the one that receives. Locks: vm->lock,
 * or its vCPUs are parked.
 */
void uplink_team(const struct config_net *net, bool receives);

#endif
