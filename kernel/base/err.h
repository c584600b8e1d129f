/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error codes: fallible functions return 0 or one of these, negated.
 * The values are Godwit's own; only the names are the field's.
 */
#ifndef KERNEL_BASE_ERR_H
#define KERNEL_BASE_ERR_H

enum err {
	EPERM = 1,	/* not allowed */
	ENOENT,		/* no such object */
	EIO,		/* hardware answered wrongly */
	ENOMEM,		/* no frame, or quota exhausted */
	EFAULT,		/* address not mapped */
	EBUSY,		/* object in use, state does not allow it */
	EEXIST,		/* overlap or duplicate */
	ENODEV,		/* no such device or feature */
	EINVAL,		/* argument or input malformed */
	ENOSPC,		/* table full: the limit is named in the log */
	ERANGE,		/* value out of range */
	ENOTSUP,	/* not supported by this CPU or device */
	ETIMEDOUT,	/* a bounded wait ended */
	EPROTO,		/* peer or format violates its protocol */
	ECANCELED,	/* stopped on request */
	ENOEXEC,	/* no kernel image that is understood */
	EPIPE,		/* the peer is gone */
};

/** err_name() - name of an error code, positive or negated, for messages. */
const char *err_name(int err);

#endif
