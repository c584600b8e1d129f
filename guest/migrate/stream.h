/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The migration stream: a header and numbered records, each with its CRC, under one running digest.
 * Pure; docs/stream.md says what each byte means.
 */
#ifndef GUEST_MIGRATE_STREAM_H
#define GUEST_MIGRATE_STREAM_H

#include "kernel/base/bits.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define MIG_VERSION	1u
#define MIG_HEADER_LEN	32u
#define MIG_NONCE_LEN	16u
#define MIG_RECORD_HEAD 16u
#define MIG_RECORD_MAX	(68u << 10) /* bytes of payload: 16 pages and what describes them */
#define MIG_RECORD_BUF	(MIG_RECORD_HEAD + MIG_RECORD_MAX)

/* A receiver that does not know a type with this bit skips the record; any other it refuses. */
#define MIG_OPTIONAL BIT(31)

/* In this order; from MIG_HANDOVER on they belong to the handover, not to the state of the VM. */
enum mig_type {
	MIG_CONFIG = 1, /* the VM as a section of godwit.conf */
	MIG_HOST = 2,	/* backend and CPU policy that the guest runs under, its devices */
	MIG_PAGES = 3,	/* RAM, guest/migrate/pages.h */
	MIG_CLOCK = 4,	/* the VM's clock, when it stopped */
	MIG_VCPU = 5,	/* one vCPU */
	MIG_DEVICE = 6, /* one device */
	MIG_END = 7,	/* digest of all before */
	MIG_FAILED = 8, /* a file ends here, incomplete */
	MIG_HANDOVER = 16,
};

/* Either side's count of the records so far. */
struct mig_sum {
	u64 digest;
	u64 bytes;
	u32 records;
};

/**
 * mig_header_make() - the first MIG_HEADER_LEN bytes of a stream into out; begins *sum. nonce: what
 * the receiver said, so that a stream is good for one receiver once; NULL: for a file.
 */
void mig_header_make(struct mig_sum *sum, const u8 nonce[MIG_NONCE_LEN], u8 *out);

/**
 * mig_record_seal() - len bytes of payload lie at buf + MIG_RECORD_HEAD: put the record's head
 * before them. Returns the bytes to send from buf on.
 */
u32 mig_record_seal(struct mig_sum *sum, u32 type, u8 *buf, u32 len);

/** mig_end_make() - the record MIG_END into buf. Returns the bytes to send. */
u32 mig_end_make(struct mig_sum *sum, u8 *buf);

struct mig_record {
	u32 type;
	u32 len;
	const u8 *data; /* until the next mig_parse_space() */
};

/* A receiver; buf is the caller's, MIG_RECORD_BUF bytes. */
struct mig_parser {
	u8 *buf;
	u32 have, want; /* bytes of the header, head or record that is being read */
	bool begun;	/* the header is read */
	bool done;	/* the record in buf was returned */
	int error;	/* once wrong, always wrong */
	u8 nonce[MIG_NONCE_LEN];
	struct mig_sum sum; /* of what was read and found right */
};

/** mig_parse_start() - expect a stream made with nonce (NULL: a file's). */
void mig_parse_start(struct mig_parser *p, u8 *buf, const u8 nonce[MIG_NONCE_LEN]);

/** mig_parse_space() - where the next bytes go, how many at most (*n; 0 only after an error). */
u8 *mig_parse_space(struct mig_parser *p, u32 *n);

/**
 * mig_parse_got() - n bytes were put there. Returns 1: *r is the next record, its CRC is right, and
 * in MIG_END the digest too; 0: more bytes are needed; -EPROTO with the reason in why: no such
 * stream, other version, nonce, order, length, CRC or digest. Unknown types are the caller's.
 */
int MUST_CHECK mig_parse_got(struct mig_parser *p, u32 n, struct mig_record *r, char *why,
			     size_t why_size);

#endif
