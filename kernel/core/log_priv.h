/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What panic and boot need of the log beyond its public part.
 */
#ifndef KERNEL_CORE_LOG_PRIV_H
#define KERNEL_CORE_LOG_PRIV_H

#include "kernel/base/types.h"

/** log_set_raw() - from now on no lock and no sink: straight to the ports. Panic only. */
void log_set_raw(void);

/** log_replay_tail() - write the ring's last bytes to the ports again. Panic only. */
void log_replay_tail(size_t bytes);

#endif
