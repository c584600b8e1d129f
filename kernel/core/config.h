/* SPDX-License-Identifier: Apache-2.0 */
/*
 * godwit.conf: text to struct config. Pure; the same parser serves the hypervisor and
 * tools/godwit-check. The format is docs/config.md.
 */
#ifndef KERNEL_CORE_CONFIG_H
#define KERNEL_CORE_CONFIG_H

#include "kernel/base/compiler.h"
#include "kernel/base/fmt.h"
#include "kernel/base/types.h"

#define CONFIG_NAME_LEN	   32
#define CONFIG_PATH_LEN	   64
#define CONFIG_CMDLINE_LEN 2048
#define CONFIG_VMS	   32
#define CONFIG_NICS	   8
#define CONFIG_NETS	   4
#define CONFIG_MAX_VCPUS   16
#define CONFIG_MAX_MODULES 8

enum config_net_kind { CONFIG_NET_NONE, CONFIG_NET_VF, CONFIG_NET_PV };

struct config_net {
	u8 kind; /* enum config_net_kind */
	u8 mac[6];
	bool has_mac;
	char nic[CONFIG_NAME_LEN];
	u16 vlan;      /* 0: none */
	u64 rate_bps;  /* 0: no limit */
};

struct config_nic {
	char name[CONFIG_NAME_LEN];
	u32 line;
	u16 match_vendor, match_device; /* 0: by address */
	bool has_pci;
	u8 bus, dev, fn;
	u8 vfs;
	bool uplink;
};

struct config_vm {
	char name[CONFIG_NAME_LEN];
	u32 line;
	bool valid;	/* false: had an error, must not start */
	bool courier;	/* role = courier */
	bool autostart;
	u64 memory;	/* bytes, multiple of 2 MiB */
	u32 cpus;
	u32 weight;	/* scheduler share, 1..1000, default 100 */
	u64 pin;	/* bit per host CPU, 0: any */
	char cpu[CONFIG_NAME_LEN];	/* "godwit-v1", "host" */
	char kernel[CONFIG_PATH_LEN];
	char initrd[CONFIG_PATH_LEN];
	char modules[CONFIG_MAX_MODULES][CONFIG_PATH_LEN]; /* multiboot1 kernels */
	u32 nmodules;
	char cmdline[CONFIG_CMDLINE_LEN];
	struct config_net net[CONFIG_NETS];
	char pci[4][CONFIG_NAME_LEN];	/* functions to assign by address */
	u32 npci;
	char ip[CONFIG_NAME_LEN];	/* courier */
	char psk[CONFIG_PATH_LEN];
};

struct config_host {
	char name[CONFIG_NAME_LEN];
	char console[CONFIG_NAME_LEN];
	char ctl[CONFIG_NAME_LEN];
};

struct config {
	struct config_host host;
	struct config_nic nic[CONFIG_NICS];
	u32 nics;
	struct config_vm vm[CONFIG_VMS];
	u32 vms;
	u32 errors;
};

/**
 * config_parse() - parse len bytes of text into *out (zeroed first).
 * Every problem is reported through error() as one line "file:line: [section] key: what is
 * wrong, allowed range" and counted in out->errors; the VM concerned gets valid = false,
 * everything else stays usable. Returns 0 when there was no error, else -EINVAL.
 */
int MUST_CHECK config_parse(const char *file, const char *text, size_t len, struct config *out,
			    void (*error)(void *ctx, const char *line), void *ctx);

#endif
