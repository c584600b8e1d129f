/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loader told the guest kernel: command line, memory, modules; and the CPUs of the MADT.
 */
#ifndef GUEST_IMAGE_LIB_BOOT_H
#define GUEST_IMAGE_LIB_BOOT_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/** guest_main() - the kernel: called on CPU 0; the default runs all TEST()s. */
void guest_main(void);

/** boot_cmdline() - never NULL. */
const char *boot_cmdline(void);

/** boot_option() - value of NAME=VALUE (a number) on the command line, or otherwise. */
u64 boot_option(const char *name, u64 otherwise);

/** boot_module() - module i: where it lies, its length and its string; NULL: there are fewer. */
const u8 *boot_module(u32 i, u32 *len, const char **string);

/** boot_memory_end() - end of the RAM that starts at 1 MiB. */
u64 boot_memory_end(void);

/** boot_high_end() - end of RAM above 4 GiB, or 0. */
u64 boot_high_end(void);

/** boot_ram() - is the whole range RAM by the memory map? */
bool boot_ram(u64 base, u64 len);

/** boot_cpus() - enabled processors of the MADT; 1 when there is none. */
u32 boot_cpus(void);

/** boot_apic_id() - of processor i < boot_cpus(); 0 is the one that runs first. */
u32 boot_apic_id(u32 i);

/** boot_acpi() - table with that signature; NULL: none. */
const u8 *boot_acpi(const char *sig);

/* What this kernel runs on, by the hypervisor leaves of CPUID. */
enum platform { PLATFORM_METAL, PLATFORM_TCG, PLATFORM_GODWIT };

/** boot_platform() - PLATFORM_TCG: QEMU's own emulation, no hypervisor between. */
enum platform boot_platform(void);

/**
 * boot_lax_cpu() - is the processor, below any hypervisor, QEMU's emulated one (option lax=1),
 * which checks less than a real one? What it leaves unchecked and no hypervisor intercepts is not
 * tested.
 */
bool boot_lax_cpu(void);

/**
 * page_alloc() - n zeroed pages that lie together, below 4 GiB; ends the kernel when there are
 * none.
 */
void *page_alloc(u32 n);

#endif
