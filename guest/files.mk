# SPDX-License-Identifier: Apache-2.0
PURE_SRCS += guest/vm/io_bus.c
PURE_SRCS += guest/mem/gmap.c
PURE_SRCS += guest/mem/gmem.c
PURE_SRCS += guest/mem/walk.c
PURE_SRCS += guest/vm/cpu_policy.c
PURE_SRCS += guest/vm/cpu_state.c
