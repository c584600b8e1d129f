/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format of extended page tables, four levels (SDM vol. 3 §29.3.2).
 */
#ifndef ARCH_VMX_EPT_FMT_H
#define ARCH_VMX_EPT_FMT_H

#include "kernel/mm/pgfmt.h"

/* Accessed and dirty bits act only when the EPT pointer enables them (bit 6). */
extern const struct pgfmt ept_fmt;

#endif
