/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the three files of the configuration parser share: its state, the key tables, reporting.
 */
#ifndef KERNEL_CORE_CONFIG_PRIV_H
#define KERNEL_CORE_CONFIG_PRIV_H

#include "kernel/core/config.h"
#include "kernel/core/config_value.h"

#define CONFIG_SECTION_KEYS CONFIG_VM_KEYS /* the longest table */
#define CONFIG_REPORT_SIZE  320
#define CONFIG_SHOWN	    40 /* characters of a foreign text in a message */

enum config_section { SECTION_NONE, SECTION_HOST, SECTION_NIC, SECTION_VM, SECTION_IGNORED };

struct config_parser {
	struct config *out;
	config_error_fn error;
	void *ctx;
	u32 line;
	enum config_section section;
	bool seen_host;
	char title[CONFIG_NAME_LEN + 8]; /* "vm web", for messages */
	struct config_nic *nic;		 /* the section being read, else NULL */
	struct config_vm *vm;
	u32 lines[CONFIG_SECTION_KEYS];	 /* where a key was given, by its place in the table */
	/* Buffers for messages: here, because as locals they would sum up in one frame. */
	char text[CONFIG_REPORT_SIZE];
	char shown[CONFIG_SHOWN + 4];
};

/* A value that is only checked and stored at an offset of its section. */
struct config_plain {
	u32 kind, offset, size;
	u64 min, max;	  /* of a number */
	const char *must; /* what it must be */
};

struct config_key {
	const char *name;
	/* set() - store v. Returns NULL, or what v must be ("1 to 16"). NULL: as plain says. */
	const char *(*set)(struct config_parser *p, u32 key, struct slice v);
	bool repeats; /* may be given more than once */
	struct config_plain plain;
};

/** config_set() - the i-th key of the section being read. NULL, or what v must be. */
const char *config_set(struct config_parser *p, const struct config_key *key, u32 i,
		       struct slice v);

extern const struct config_key config_host_keys[];
extern const u32 config_host_nkeys;
extern const struct config_key config_nic_keys[];
extern const u32 config_nic_nkeys;
extern const struct config_key config_vm_keys[CONFIG_VM_KEYS];

struct config_where {
	u32 line;
	const char *title; /* "vm web", or NULL */
	const char *key;   /* or NULL */
};

/** config_report() - one problem: "file:line: [title] key: text". Counts it in c->errors. */
void config_report(struct config *c, struct config_where at, const char *text,
		   config_error_fn error, void *ctx);

/** config_fail() - as config_report() about the section being read, which becomes invalid. */
void config_fail(struct config_parser *p, const char *key, const char *text);

/** config_end_vm(), config_end_nic() - the section is complete: is anything missing? */
void config_end_vm(struct config_parser *p);
void config_end_nic(struct config_parser *p);

/** config_check_clashes() - the file is complete: what sections claim against each other. */
void config_check_clashes(struct config *c, config_error_fn error, void *ctx);

#endif
