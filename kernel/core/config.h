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
#include "kernel/core/config_value.h"

#define CONFIG_NAME_LEN	   32
#define CONFIG_PATH_LEN	   64
#define CONFIG_CMDLINE_LEN 2048
#define CONFIG_VMS	   32
#define CONFIG_NICS	   8
#define CONFIG_NETS	   4
#define CONFIG_DISKS	   4
#define CONFIG_MAX_VCPUS   16
#define CONFIG_MAX_MODULES 8

enum config_net_kind { CONFIG_NET_NONE, CONFIG_NET_VF, CONFIG_NET_PV };

struct config_net {
	u32 line;
	u8 kind; /* enum config_net_kind */
	u8 mac[6];
	bool has_mac;
	char nic[CONFIG_NAME_LEN];
	u16 vlan;      /* 0: none */
	u64 rate_bps;  /* 0: no limit */
	u8 queues;     /* pv: pairs of queues, 0: one per vCPU */
	u16 mtu;       /* pv: 0: the default */
	bool no_packed; /* pv: split rings only */
	bool standby;  /* pv: steps in for the vf with its address */
	bool twin;     /* vf: begins as the software twin, needs no hardware */
	bool hotplug;  /* vf: in a slot, which is empty without nic, twin and pci */
	char pci[8];   /* vf: a whole function in the slot instead, "02:00.0"; or "" */
};

/* The standby and the hot-plugged primary of one VM? They have one address. */
static inline bool config_net_team(const struct config_net *a, const struct config_net *b)
{
	return (a->standby && b->hotplug) || (a->hotplug && b->standby);
}

/* A VF that is there? */
static inline bool config_net_filled(const struct config_net *n)
{
	return n->kind == CONFIG_NET_VF && (n->nic[0] || n->twin || n->pci[0]);
}

enum config_disk_kind { CONFIG_DISK_NONE, CONFIG_DISK_MODULE, CONFIG_DISK_NVME };

struct config_disk {
	u8 kind; /* enum config_disk_kind */
	bool ro;
	char module[CONFIG_PATH_LEN];
	bool has_pci;
	u16 pci; /* routing id of the controller */
	u32 ns;	 /* namespace */
};

struct config_nic {
	char name[CONFIG_NAME_LEN];
	u32 line;
	bool valid;	/* false: had an error, must not be used */
	u16 match_vendor, match_device; /* 0: by address */
	bool has_pci;
	u8 bus, dev, fn;
	u8 vfs;
	bool uplink;
	bool backup;   /* the uplink while that has no link */
	bool failover; /* its VFs go on in software while it has no link */
};

/* The keys of a [vm], in the order of the parser's table. */
enum config_vm_key {
	CONFIG_VM_ROLE,
	CONFIG_VM_MEMORY,
	CONFIG_VM_CPUS,
	CONFIG_VM_WEIGHT,
	CONFIG_VM_PIN,
	CONFIG_VM_CPU,
	CONFIG_VM_KERNEL,
	CONFIG_VM_INITRD,
	CONFIG_VM_MODULE,
	CONFIG_VM_CMDLINE,
	CONFIG_VM_NET0,
	CONFIG_VM_NET1,
	CONFIG_VM_NET2,
	CONFIG_VM_NET3,
	CONFIG_VM_DISK0,
	CONFIG_VM_DISK1,
	CONFIG_VM_DISK2,
	CONFIG_VM_DISK3,
	CONFIG_VM_PCI,
	CONFIG_VM_IP,
	CONFIG_VM_PSK,
	CONFIG_VM_AUTOSTART,
	CONFIG_VM_KEYS,
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
	struct config_disk disk[CONFIG_DISKS];
	char pci[4][CONFIG_NAME_LEN];	/* functions to assign by address */
	u32 npci;
	char ip[CONFIG_NAME_LEN];	/* courier */
	char psk[CONFIG_PATH_LEN];
	u32 key_line[CONFIG_VM_KEYS];	/* by enum config_vm_key; 0: not given */
};

/** config_net_primary() - is that interface a team's primary, with a standby of its address? */
bool config_net_primary(const struct config_vm *vm, u32 net);

struct config_host {
	char name[CONFIG_NAME_LEN];	/* default "godwit" */
	char console[CONFIG_NAME_LEN];	/* "ttyS0".."ttyS3" or "none" */
	char ctl[CONFIG_NAME_LEN];	/* likewise */
	u32 port_line;			/* of the last of these two keys, 0: neither given */
};

/* Receives one problem: a line without newline. */
typedef void (*config_error_fn)(void *ctx, const char *line);

struct config {
	char file[CONFIG_PATH_LEN];	/* for messages */
	struct config_host host;
	struct config_nic nic[CONFIG_NICS];
	u32 nics;
	struct config_vm vm[CONFIG_VMS];
	u32 vms;
	u32 errors;
};

/**
 * config_parse() - parse len bytes of text into *out (zeroed first, then defaults).
 * Every problem is reported through error() as one line "file:line: [section] key: what is
 * wrong, allowed range" (at most CONFIG_MAX_REPORTS lines) and counted in out->errors; the VM
 * concerned gets valid = false, everything else stays usable. Returns 0 when there was no
 * error, else -EINVAL.
 */
int MUST_CHECK config_parse(const char *file, const char *text, size_t len, struct config *out,
			    config_error_fn error, void *ctx);

#define CONFIG_MAX_REPORTS 100

/**
 * config_check_modules() - do all boot modules that VMs name exist among names[0..n-1]?
 * Reports and marks as config_parse() does. Returns 0 or -ENOENT.
 */
int MUST_CHECK config_check_modules(struct config *c, const char *const *names, u32 n,
				    config_error_fn error, void *ctx);

/**
 * config_check_host() - do pins and memory sizes fit a host of cpus CPUs and memory bytes that
 * guests can have? Reports and marks as config_parse() does. Returns 0 or -ERANGE.
 */
int MUST_CHECK config_check_host(struct config *c, u32 cpus, u64 memory, config_error_fn error,
				 void *ctx);

/**
 * config_net_parse() - the value of a 'netN' key into *net (zeroed before). NULL, or what it must
 * be; then *net is not usable.
 */
const char *config_net_parse(struct slice v, struct config_net *net);

/** config_mac_owner() - who, before interface n of the v-th VM, has this MAC? NULL: nobody. */
const struct config_vm *config_mac_owner(const struct config *c, const u8 *mac, u32 v, u32 n);

/**
 * config_vm_error() - report a problem of one VM found after parsing ("file:line: [vm x] key:
 * text"), count it and mark the VM invalid.
 */
void config_vm_error(struct config *c, struct config_vm *vm, enum config_vm_key key,
		     const char *text, config_error_fn error, void *ctx);

/** config_port_index() - 0..3 for "ttyS0".."ttyS3", -1 for "none" or anything else. */
int config_port_index(const char *name);

#endif
