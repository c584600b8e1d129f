# SPDX-License-Identifier: Apache-2.0
PURE_SRCS += devices/platform/vlapic.c
PURE_SRCS += devices/platform/vlapic_timer.c
PURE_SRCS += devices/platform/vlapic_regs.c
PURE_SRCS += devices/platform/vioapic.c
PURE_SRCS += devices/platform/vpic.c
PURE_SRCS += devices/platform/vpit.c
