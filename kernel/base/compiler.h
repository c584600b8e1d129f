/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes and small macros that every file may use.
 */
#ifndef KERNEL_BASE_COMPILER_H
#define KERNEL_BASE_COMPILER_H

#define MUST_CHECK	     __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a)    __attribute__((format(printf, f, a)))
#define NORETURN	     __attribute__((noreturn))
#define ALIGNED(n)	     __attribute__((aligned(n)))
#define PACKED		     __attribute__((packed))
#define NOINLINE	     __attribute__((noinline))
/* On the way of every exit: the linker puts these together, in few pages. */
#define HOT __attribute__((hot))
#define ALWAYS_INLINE	     inline __attribute__((always_inline))
#define SECTION(s)	     __attribute__((section(s)))
#define likely(x)	     __builtin_expect(!!(x), 1)
#define unlikely(x)	     __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a)	     (sizeof(a) / sizeof((a)[0]))
#define STATIC_ASSERT(c, m)  _Static_assert(c, m)
#define container_of(p, t, m) ((t *)((char *)(p) - offsetof(t, m)))

#endif
