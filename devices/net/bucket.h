/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token bucket: a rate with bursts. Pure; exact over time, since time is only taken for whole
 * tokens granted.
 */
#ifndef DEVICES_NET_BUCKET_H
#define DEVICES_NET_BUCKET_H

#include "kernel/base/bits.h"
#include "kernel/base/types.h"

#define BUCKET_SECOND 1000000000ull
#define BUCKET_MAX_RATE 12500000000ull /* tokens a second: 100 Gbit/s in bytes */

struct bucket {
	u64 rate;  /* tokens a second; 0: no limit */
	u64 burst; /* tokens at most */
	s64 level; /* below 0: taken in advance */
	u64 then;  /* ns: until when tokens were granted */
};

/** bucket_init() - full at time now (ns). rate and burst are cut to what can be computed. */
static inline void bucket_init(struct bucket *b, u64 rate, u64 burst, u64 now)
{
	b->rate = min_u64(rate, BUCKET_MAX_RATE);
	b->burst = min_u64(max_u64(burst, 1), BUCKET_MAX_RATE);
	b->level = (s64)b->burst;
	b->then = now;
}

/** bucket_wait() - ns until something may be taken; 0: now. */
static inline u64 bucket_wait(struct bucket *b, u64 now)
{
	u64 passed, add;

	if (!b->rate)
		return 0;
	passed = now > b->then ? now - b->then : 0;
	if (passed >= BUCKET_SECOND) { /* by whole seconds first: no overflow */
		b->level += (s64)(min_u64(passed / BUCKET_SECOND, 1u << 28) * b->rate);
		passed %= BUCKET_SECOND;
		b->then = now - passed;
	}
	add = passed * b->rate / BUCKET_SECOND;
	b->level += (s64)add;
	b->then += add * BUCKET_SECOND / b->rate;
	if (b->level > (s64)b->burst)
		b->level = (s64)b->burst;
	if (b->level > 0)
		return 0;
	return (u64)(1 - b->level) * BUCKET_SECOND / b->rate + 1;
}

/** bucket_take() - n tokens, maybe more than there are: the debt is waited for. */
static inline void bucket_take(struct bucket *b, u64 n)
{
	if (b->rate)
		b->level -= (s64)n;
}

#endif
