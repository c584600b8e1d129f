/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "selftest=iommu" on the command line: DMA and interrupts of the emulator's edu device
 * (1234:11e8) are blocked, translated and taken away again on the running machine.
 */
#ifndef KERNEL_INIT_SELFTEST_IOMMU_H
#define KERNEL_INIT_SELFTEST_IOMMU_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/**
 * selftest_iommu() - run it and log one line a step, "selftest: iommu: NAME yes" or "no". The
 * last step leaves a blocked DMA behind whose fault only the unit's interrupt announces.
 * Context: boot CPU, before guests run; takes two seconds.
 */
void selftest_iommu(void);

/** selftest_iommu_cost() - "selftest=iommu-cost": only log what mapping and unmapping cost. */
void selftest_iommu_cost(void);

#endif
