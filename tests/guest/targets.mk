# SPDX-License-Identifier: Apache-2.0
# Bare guest kernels: tests/guest/NAME.c and the runtime library make guest-kernels/NAME.elf.

GK_LIB_C   := $(wildcard guest/image/lib/*.c) kernel/base/fmt.c kernel/base/mem.c kernel/base/str.c
GK_LIB_S   := $(wildcard guest/image/lib/*.S)
GK_SRCS    := $(wildcard tests/guest/*.c)
GK_CFLAGS  := -std=gnu11 -O2 -g -I. -MMD -MP $(WARN) -ffreestanding -fno-pic -static -mno-red-zone \
	      -mgeneral-regs-only -fno-asynchronous-unwind-tables -fno-strict-aliasing \
	      -fno-stack-protector -fcf-protection=none -fno-toplevel-reorder -fno-delete-null-pointer-checks \
	      -Wno-array-bounds -Wno-clobbered
GK_LIB_O   := $(GK_LIB_C:%.c=$(B)/gk/%.o) $(GK_LIB_S:%.S=$(B)/gk/%.asm.o)
GK_KERNELS := $(GK_SRCS:tests/guest/%.c=$(B)/guest-kernels/%.elf)

$(B)/gk/%.o: %.c Makefile tests/guest/targets.mk
	@mkdir -p $(@D)
	@$(CC) $(GK_CFLAGS) -c $< -o $@

$(B)/gk/%.asm.o: %.S Makefile tests/guest/targets.mk
	@mkdir -p $(@D)
	@$(CC) -I. -MMD -MP -g -D__ASSEMBLY__ -c $< -o $@

# ELF32, as multiboot1 loaders want it; the ELF64 beside it has the symbols.
$(B)/guest-kernels/%.elf: $(B)/gk/tests/guest/%.o $(GK_LIB_O) guest/image/lib/guest.ld
	@mkdir -p $(@D)
	@ld -nostdlib -static -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments --build-id=none \
		-T guest/image/lib/guest.ld $(GK_LIB_O) $< -o $(@:.elf=.elf64)
	@objcopy -O elf32-i386 --strip-debug $(@:.elf=.elf64) $@

.PRECIOUS: $(B)/gk/%.o $(B)/gk/%.asm.o
.PHONY: guest-kernels
guest-kernels: $(GK_KERNELS)

-include $(GK_LIB_O:.o=.d) $(GK_SRCS:%.c=$(B)/gk/%.d)
