/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LZ4 without a C library: what it copies with. Its own source is built with this, too.
 */
#ifndef GUEST_IMAGE_COURIER_PORT_LZ4_PORT_H
#define GUEST_IMAGE_COURIER_PORT_LZ4_PORT_H

#define LZ4_FREESTANDING 1
#define LZ4_memcpy(to, from, n)	 __builtin_memcpy(to, from, n)
#define LZ4_memmove(to, from, n) __builtin_memmove(to, from, n)
#define LZ4_memset(to, v, n)	 __builtin_memset(to, v, n)

#include "lz4.h"

#endif
