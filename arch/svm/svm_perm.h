/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MSR permission map: two bits an MSR. Pure. AMD APM vol. 2 §15.11.
 */
#ifndef ARCH_SVM_SVM_PERM_H
#define ARCH_SVM_SVM_PERM_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define SVM_MSRPM_SIZE 8192u
#define SVM_IOPM_SIZE  12288u

/** svm_msrpm_set() - whether reads and writes of msr exit. -EINVAL: the map has no bits for it,
 * it always exits. */
int MUST_CHECK svm_msrpm_set(u8 *map, u32 msr, bool read, bool write);

#endif
