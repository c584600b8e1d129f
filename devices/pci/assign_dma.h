/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that a VM's assigned functions reach: all of its RAM, nothing else.
 */
#ifndef DEVICES_PCI_ASSIGN_DMA_H
#define DEVICES_PCI_ASSIGN_DMA_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

struct iommu_domain;
struct vm;

/**
 * assign_dma_create() - a domain in which device addresses are vm's guest-physical addresses.
 * Returns 0; -EBUSY (writes to its memory are being logged), errors of iommu_domain_create() and
 * iommu_map(). Context: control.
 */
int MUST_CHECK assign_dma_create(struct vm *vm, struct iommu_domain **out);

#endif
