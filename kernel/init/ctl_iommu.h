/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 'iommu' verb.
 */
#ifndef KERNEL_INIT_CTL_IOMMU_H
#define KERNEL_INIT_CTL_IOMMU_H

#include "kernel/base/compiler.h"
#include "kernel/core/ctl.h"

/** ctl_iommu_init() - register it. -ENOSPC. */
int MUST_CHECK ctl_iommu_init(struct ctl *c);

#endif
