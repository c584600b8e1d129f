# SPDX-License-Identifier: Apache-2.0
PURE_SRCS += devices/platform/vlapic.c
PURE_SRCS += devices/platform/vlapic_timer.c
PURE_SRCS += devices/platform/vlapic_regs.c
