/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Atomics with explicit order, over compiler builtins so that pure code using
 * them compiles on the host as well. Shared words go through these only.
 */
#ifndef KERNEL_BASE_ATOMIC_H
#define KERNEL_BASE_ATOMIC_H

#include "kernel/base/types.h"

#define atomic_load_relaxed(p)	   __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_load_acquire(p)	   __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atomic_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atomic_swap(p, v)	   __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define atomic_or(p, v)		   __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define atomic_and(p, v)	   __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
#define atomic_add(p, v)	   __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fence()		   __atomic_thread_fence(__ATOMIC_SEQ_CST)

/** atomic_cas() - *p: old -> new; true when it was old. Sequentially consistent. */
#define atomic_cas(p, old, new)                                                            \
	({                                                                                 \
		__typeof__(*(p)) cas_expected = (old);                                     \
		__atomic_compare_exchange_n((p), &cas_expected, (new), false,              \
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);           \
	})

#endif
