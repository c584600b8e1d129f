/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Second-level tables of VT-d (VT-d specification §3.7, §9.8): which number of levels a unit
 * takes is in its CAP.SAGAW. Its large pages are in CAP.SLLPS: give pgtable_init() the limit.
 */
#ifndef IOMMU_VTD_VTD_FMT_H
#define IOMMU_VTD_VTD_FMT_H

#include "kernel/mm/pgfmt.h"

/* Accessed and dirty bits are left out: no legacy-mode unit that we drive reports them. */
extern const struct pgfmt vtd_fmt3; /* 39-bit device addresses */
extern const struct pgfmt vtd_fmt4; /* 48-bit */

#endif
