# SPDX-License-Identifier: Apache-2.0
# Godwit: `make` builds build/godwit.elf. `make help` lists the other targets.

B     ?= build
CC    := gcc
CLANG := clang
# One version string for the image, the tools and the stream.
VERSION := 0.1.0

include kernel/files.mk arch/files.mk iommu/files.mk devices/files.mk guest/files.mk

WARN := -Wall -Wextra -Werror -Wshadow -Wundef -Wmissing-prototypes -Wstrict-prototypes \
	-Wswitch-enum -Wvla -Wpointer-arith -Wwrite-strings -Wframe-larger-than=1024
PURE_WARN := $(WARN) -Wconversion

CFLAGS := -std=gnu11 -O2 -g -I. -MMD -MP -DGODWIT_VERSION=\"$(VERSION)\" $(WARN) \
	  -ffreestanding -fno-pic -static -mno-red-zone -mgeneral-regs-only -fno-builtin-printf \
	  -fno-asynchronous-unwind-tables -fno-omit-frame-pointer -fno-strict-aliasing \
	  -fstack-protector-strong -mstack-protector-guard=tls \
	  -mstack-protector-guard-reg=gs -mstack-protector-guard-offset=40 -fcf-protection=none \
	  -ffunction-sections -fdata-sections
LDFLAGS := -nostdlib -static --gc-sections -z noexecstack -z max-page-size=4096 \
	   --no-warn-rwx-segments --build-id=none

PURE_OBJS := $(PURE_SRCS:%.c=$(B)/hv/%.o)
EDGE_OBJS := $(EDGE_SRCS:%.c=$(B)/hv/%.o)
ASM_OBJS  := $(ASM_SRCS:%.S=$(B)/hv/%.asm.o)
OBJS      := $(ASM_OBJS) $(EDGE_OBJS) $(PURE_OBJS)

all: $(B)/godwit.elf

$(PURE_OBJS): CFLAGS += -Wconversion

$(B)/hv/%.o: %.c Makefile
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -c $< -o $@

$(B)/hv/%.asm.o: %.S Makefile
	@mkdir -p $(@D)
	@$(CC) -I. -MMD -MP -g -D__ASSEMBLY__ -c $< -o $@

# Linked twice: the first link gives the addresses from which the symbol table for
# dumps is made, the second carries it. The table sits behind all code and data it names.
$(B)/godwit.elf64: $(OBJS) linker.ld tools/ksyms.py
	@printf '%s\n' '.section .ksyms,"a"' > $(B)/ksyms0.S
	@$(CC) -c $(B)/ksyms0.S -o $(B)/ksyms0.o
	@ld $(LDFLAGS) -T linker.ld $(OBJS) $(B)/ksyms0.o -o $(B)/godwit.pass1
	@nm -n $(B)/godwit.pass1 | python3 tools/ksyms.py > $(B)/ksyms.S
	@$(CC) -c $(B)/ksyms.S -o $(B)/ksyms.o
	@ld $(LDFLAGS) -T linker.ld -Map $(B)/godwit.map $(OBJS) $(B)/ksyms.o -o $@

# ELF32, as multiboot1 loaders want it; GRUB takes the same file by multiboot2.
$(B)/godwit.elf: $(B)/godwit.elf64
	@objcopy -O elf32-i386 --strip-debug $< $@
	@size $<

# ---- pure files on the host, under sanitizers --------------------------------------
HOST_CFLAGS := -std=gnu11 -O1 -g -I. -MMD -MP -DGODWIT_VERSION=\"$(VERSION)\" -Itests/unit \
	       -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
HOST_PURE   := $(filter-out kernel/base/mem.c,$(PURE_SRCS))
HOST_OBJS   := $(HOST_PURE:%.c=$(B)/host/%.o)
SHIM_SRCS   := $(wildcard tests/unit/shim/*.c)
SHIM_OBJS   := $(SHIM_SRCS:%.c=$(B)/host/%.o)
UNIT_SRCS   := $(wildcard tests/unit/test_*.c)
UNIT_BINS   := $(UNIT_SRCS:tests/unit/%.c=$(B)/unit/%)

# The frame limit is the hypervisor's: the sanitizer's red zones do not count.
$(HOST_OBJS): HOST_CFLAGS += $(filter-out -Wframe-larger-than=%,$(PURE_WARN))
$(B)/host/%.o: %.c Makefile
	@mkdir -p $(@D)
	@$(CC) $(HOST_CFLAGS) -c $< -o $@

$(B)/libpure.a: $(HOST_OBJS)
	@rm -f $@; ar rcs $@ $^

$(B)/unit/%: $(B)/host/tests/unit/%.o $(SHIM_OBJS) $(B)/libpure.a
	@mkdir -p $(@D)
	@$(CC) $(HOST_CFLAGS) $< $(SHIM_OBJS) $(B)/libpure.a -o $@ $(UNIT_LIBS_$*)

UNIT_LIBS_test_insn_oracle := -lZydis
.PRECIOUS: $(B)/host/%.o $(B)/fuzzobj/%.o $(B)/hv/%.o

unit: $(UNIT_BINS)
	@tests/unit/run $(UNIT_BINS)

# The configuration checker: the same parser, with a main of its own.
$(B)/godwit-check-bin: $(B)/host/tools/godwit-check.o $(SHIM_OBJS) $(B)/libpure.a
	@$(CC) $(HOST_CFLAGS) $^ -o $@

# ---- fuzz targets: libFuzzer, corpus in tests/fuzz/corpus/NAME ----------------------
FUZZ_S      ?= 10
FUZZ_SRCS   := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BINS   := $(FUZZ_SRCS:tests/fuzz/%.c=$(B)/fuzz/%)
FUZZ_CFLAGS := -std=gnu11 -O1 -g -I. -MMD -MP -DGODWIT_VERSION=\"$(VERSION)\" \
	       -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_OBJS   := $(HOST_PURE:%.c=$(B)/fuzzobj/%.o) $(B)/fuzzobj/tests/unit/shim/assert.o
FUZZ_LIBS_fuzz_insn := -lZydis

$(B)/fuzzobj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -c $< -o $@

$(B)/libpure-fuzz.a: $(FUZZ_OBJS)
	@rm -f $@; ar rcs $@ $^

$(B)/fuzz/%: tests/fuzz/%.c $(B)/libpure-fuzz.a
	@mkdir -p $(@D)
	@$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer $< $(B)/libpure-fuzz.a -o $@ $(FUZZ_LIBS_$*)

fuzz: $(FUZZ_BINS)
	@FUZZ_S=$(FUZZ_S) B=$(B) tests/fuzz/run $(FUZZ_BINS)

-include $(wildcard tools/targets.mk tests/guest/targets.mk guest/image/courier/targets.mk)

clean:
	rm -rf $(B)

.PHONY: all unit fuzz clean help
help:
	@echo 'make            image: $(B)/godwit.elf'
	@echo 'make demo       the main job, end to end'
	@echo 'make run        one emulated host, its console in this terminal'
	@echo 'make test       unit tests, lint, system tests'
	@echo 'make test-long  the system tests that make test leaves out, too'
	@echo 'make unit       unit tests only'
	@echo 'make model      the handover of a guest, searched by spin'
	@echo 'make iso lint fuzz bench clean'

-include $(OBJS:.o=.d) $(HOST_OBJS:.o=.d) $(SHIM_OBJS:.o=.d) $(FUZZ_OBJS:.o=.d)
-include $(UNIT_SRCS:%.c=$(B)/host/%.d) $(FUZZ_BINS:=.d)
