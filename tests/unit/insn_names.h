/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the decoder's operations, for tests.
 */
#ifndef TESTS_UNIT_INSN_NAMES_H
#define TESTS_UNIT_INSN_NAMES_H

#include "guest/emul/insn.h"

/* clang-format off */
/* In the order of enum insn_op. */
static const char *const op_name[] = {
	"other",     "add",         "or",      "adc",    "sbb",    "and",       "sub",
	"xor",       "cmp",         "test",    "inc",    "dec",    "not",       "neg",
	"bt",        "bts",         "btr",     "btc",    "xchg",   "xadd",      "cmpxchg",
	"mov",       "movzx",       "movsx",   "push",   "pop",    "movs",      "stos",
	"lods",      "ins",         "outs",    "in",     "out",    "mov_to_cr", "mov_from_cr",
	"mov_to_dr", "mov_from_dr", "lmsw",    "smsw",   "invlpg", "sgdt",      "sidt",
	"lgdt",      "lidt",        "int",     "int3",   "into",   "int1",      "iret",
	"cpuid",     "hlt",         "pause",   "rdmsr",  "wrmsr",  "rdtsc",     "rdtscp",
	"rdpmc",     "clts",        "invd",    "wbinvd", "xsetbv", "monitor",   "mwait",
	"rsm",       "vmcall",      "vmmcall", "vmrun",  "vmload", "vmsave",    "stgi",
	"clgi",      "skinit",      "invlpga",
};
_Static_assert(sizeof(op_name) / sizeof(op_name[0]) == INSN_INVALID, "a name an operation");
/* clang-format on */

#endif
