/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of error codes, for messages.
 */
#include "kernel/base/err.h"

#include "kernel/base/compiler.h"

static const char *const err_names[] = {
	"OK",	  "EPERM",  "ENOENT", "EIO",	"ENOMEM",  "EFAULT",	"EBUSY",  "EEXIST",
	"ENODEV", "EINVAL", "ENOSPC", "ERANGE", "ENOTSUP", "ETIMEDOUT", "EPROTO", "ECANCELED",
	"ENOEXEC", "EPIPE",
};

const char *err_name(int err)
{
	unsigned i = err < 0 ? 0u - (unsigned)err : (unsigned)err;

	return i < ARRAY_SIZE(err_names) ? err_names[i] : "E?";
}
