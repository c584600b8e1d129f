/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format of nested page tables: that of 64-bit x86, where every page must be a user
 * page, as the guest's accesses count as such (APM vol. 2 §15.25.5).
 */
#ifndef ARCH_SVM_NPT_FMT_H
#define ARCH_SVM_NPT_FMT_H

#include "kernel/mm/pgfmt.h"

/* Four levels, as the host's CR4.LA57 is 0; not executable needs the host's EFER.NXE. */
extern const struct pgfmt npt_fmt;

#endif
