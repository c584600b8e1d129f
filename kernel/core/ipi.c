/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between CPUs.
 */
#include "kernel/core/ipi.h"

void ipi_stop_others(void)
{
}
