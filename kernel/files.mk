# SPDX-License-Identifier: Apache-2.0
# One line a file, so that changes merge. PURE: host-compilable; EDGE: touches hardware.
PURE_SRCS += kernel/base/err.c
PURE_SRCS += kernel/base/str.c
PURE_SRCS += kernel/base/fmt.c
PURE_SRCS += kernel/base/crc32c.c
EDGE_SRCS += kernel/base/mem.c
