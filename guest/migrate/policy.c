/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convergence: what is left must go over the link within the pause that is allowed. A guest that
 * writes as fast as the link carries is slowed, more with each pass that did not help.
 */
#include "guest/migrate/policy.h"

#include "kernel/base/bits.h"

#define NS_PER_S   1000000000ull
#define PAGE_BYTES (PAGE_SIZE + 16) /* with its header, when alone in a run */
#define UNKNOWN_RATE 1000000ull	    /* bytes/s, before anything was sent */
/* Bytes of stream between the sender and the receiver's memory when the sender is rid of its last
 * page: two channel windows of 64 KiB, a TCP buffer of 128 KiB with what compresses to half. */
#define UNDERWAY (384ull << 10)

struct mig_limits mig_policy_defaults(void)
{
	return (struct mig_limits){ .downtime_ns = 30000000,
				    .downtime_max_ns = 300000000,
				    .passes = 30,
				    .slowest = 64 };
}

/* a * b / c without overflow for what these are: saturates. */
static u64 scale(u64 a, u64 b, u64 c)
{
	u64 product;

	return checked_mul(a, b, &product) ? product / c : a / c >= ~0ull / b ? ~0ull : a / c * b;
}

static u64 rate(const struct mig_limits *l, const struct mig_pass *p)
{
	u64 r = p->bytes && p->ns ? max_u64(scale(p->bytes, NS_PER_S, p->ns), 1) : UNKNOWN_RATE;

	return l->bytes_per_s ? min_u64(r, l->bytes_per_s) : r;
}

static u64 sum(u64 a, u64 b)
{
	return a + b < a ? ~0ull : a + b;
}

/* Two questions must be answered: is all there, and has it been taken. Before the first stop has
 * shown what it costs, the stream between is reckoned with as full. */
static u64 fixed_part(const struct mig_pass *p, u64 bytes_per_s)
{
	u64 answers = scale(p->rtt_ns, 2, 1);

	return p->fixed_ns ? max_u64(p->fixed_ns, answers) :
			     sum(answers, scale(UNDERWAY, NS_PER_S, bytes_per_s));
}

/* Of a pause that is allowed what pages may take: passes do not shorten the rest, and are not gone
 * on with for its sake. */
static u64 for_pages(u64 allowed, u64 fixed)
{
	return max_u64(allowed > fixed ? allowed - fixed : 0, allowed / 2);
}

struct mig_verdict mig_policy(const struct mig_limits *l, const struct mig_pass *p, u32 *slow)
{
	struct mig_verdict v = { .step = MIG_CONTINUE, .bytes_per_s = rate(l, p) };
	u64 page_ns = max_u64(PAGE_BYTES * NS_PER_S / v.bytes_per_s, 1);
	u64 pages_ns = scale(p->left, page_ns, 1);
	u64 fixed_ns = fixed_part(p, v.bytes_per_s);

	v.downtime_ns = sum(fixed_ns, pages_ns);
	if (pages_ns <= for_pages(l->downtime_ns, fixed_ns))
		v.step = MIG_STOP;
	else if (p->pass >= l->passes)
		v.step = pages_ns <= for_pages(l->downtime_max_ns, fixed_ns) ? MIG_STOP : MIG_ABORT;
	else if (p->left > p->before / 2 && l->slowest > 1)
		*slow = (u32)min_u64(*slow ? *slow * 2ull : 2, l->slowest);
	v.page_ns = *slow * page_ns * max_u64(p->vcpus, 1);
	return v;
}
