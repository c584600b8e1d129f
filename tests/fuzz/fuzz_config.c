/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz godwit.conf: any bytes give a result that keeps the promises of config.h.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/core/config.h"

static struct config conf;
static u32 lines;

static void on_error(void *ctx, const char *line)
{
	(void)ctx;
	lines++;
	for (; *line; line++) {
		if (*line < ' ' || *line > '~')
			abort();
	}
}

static void check_vm(const struct config_vm *vm)
{
	if (!memchr(vm->name, 0, sizeof(vm->name)) || !vm->name[0] ||
	    !memchr(vm->cmdline, 0, sizeof(vm->cmdline)) ||
	    !memchr(vm->kernel, 0, sizeof(vm->kernel)))
		abort();
	if (!vm->valid)
		return;
	if (vm->memory < (4u << 20) || vm->memory > (1ull << 40) || vm->memory % SIZE_2M ||
	    vm->cpus < 1 || vm->cpus > CONFIG_MAX_VCPUS || !vm->kernel[0] || vm->weight < 1 ||
	    vm->weight > 1000 || vm->nmodules > CONFIG_MAX_MODULES || vm->npci > 4)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const char *const have[] = { "vmlinuz", "initrd.img" };
	int err;

	lines = 0;
	err = config_parse("f", (const char *)data, size, &conf, on_error, NULL);
	if ((err != 0) != (conf.errors != 0) || (conf.errors != 0) != (lines != 0))
		abort();
	if (conf.vms > CONFIG_VMS || conf.nics > CONFIG_NICS)
		abort();
	for (u32 i = 0; i < conf.vms; i++)
		check_vm(&conf.vm[i]);
	err = config_check_modules(&conf, have, 2, on_error, NULL);
	err |= config_check_host(&conf, 2, 256u << 20, on_error, NULL);
	return err && !conf.errors ? (abort(), 0) : 0;
}
