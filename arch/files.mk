# SPDX-License-Identifier: Apache-2.0
ASM_SRCS += arch/x86/boot.S
ASM_SRCS += arch/x86/trap.S
EDGE_SRCS += arch/x86/cpu.c
EDGE_SRCS += arch/x86/desc.c
EDGE_SRCS += arch/x86/earlycon.c
EDGE_SRCS += arch/x86/trap.c
