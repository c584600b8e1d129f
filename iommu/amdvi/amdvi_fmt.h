/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O page tables of AMD-Vi (AMD I/O virtualization specification §2.2.3), four levels.
 */
#ifndef IOMMU_AMDVI_AMDVI_FMT_H
#define IOMMU_AMDVI_AMDVI_FMT_H

#include "kernel/mm/pgfmt.h"

/* Mode 4 in the device table entry: 48-bit device addresses. */
extern const struct pgfmt amdvi_fmt;

#endif
