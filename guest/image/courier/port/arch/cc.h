/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lwIP asks of its compiler and platform.
 */
#ifndef GUEST_IMAGE_COURIER_PORT_ARCH_CC_H
#define GUEST_IMAGE_COURIER_PORT_ARCH_CC_H

#include <sys/types.h>

#include "guest/image/courier/courier.h"

#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_CTYPE_H	   1
#define SSIZE_MAX	   0x7fffffffffffffffl
#define LWIP_NO_UNISTD_H   1
#define X8_F  "02x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "lu"

#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x) courier_die(x)
#define LWIP_RAND()		courier_random()

#endif
