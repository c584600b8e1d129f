/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A courier that sends anything, while channels are opened, used and closed: nothing overflows,
 * no more goes out than was granted.
 */
#include "devices/courier/mux.h"
#include "tests/fuzz/stream.h"

static struct courier_mux m;
static struct mig_channel *held[8];
static u32 nheld, out_room;

static u32 room(void *ctx)
{
	(void)ctx;
	return out_room;
}

static void send(void *ctx, const u8 *data, u32 n)
{
	(void)ctx;
	FUZZ_CHECK(n <= out_room && data);
	out_room -= n;
}

static int on_accept(void *ctx, struct mig_channel *c)
{
	(void)ctx;
	FUZZ_CHECK(nheld < COURIER_CHANNELS);
	if (out_room & 1)
		return -1;
	held[nheld++] = c;
	return 0;
}

static void said(void *ctx, const char *why)
{
	(void)ctx;
	FUZZ_CHECK(strlen(why) <= COURIER_TEXT_MAX);
}

static void use(struct stream *s, u8 op)
{
	static u8 buf[COURIER_WINDOW];
	struct mig_channel *c;
	u32 k, n = take16(s);
	char why[80];

	if (op % 4 == 0 && !courier_mux_connect(&m, "host", 7000, &c, why, sizeof(why)))
		held[nheld++] = c;
	if (!nheld)
		return;
	k = op / 4 % nheld;
	c = held[k];
	if (op % 4 == 1) {
		FUZZ_CHECK(c->ops->send(c, buf, n) <= (int)n);
	} else if (op % 4 == 2) {
		FUZZ_CHECK(c->ops->recv(c, buf, n) <= (int)n);
	} else if (op % 4 == 3) {
		c->ops->close(c);
		held[k] = held[--nheld];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct courier_env env = { NULL, room, send, on_accept, said };
	struct stream s = { data, size };

	courier_mux_init(&m, &env);
	courier_mux_reset(&m, true);
	nheld = 0;
	out_room = 20000;
	while (s.left) {
		u8 op = take8(&s);

		if (op < 0x80) {
			use(&s, op);
		} else if (op == 0xff) {
			courier_mux_reset(&m, take8(&s) & 1);
		} else if (op >= 0xf0) {
			out_room = take16(&s);
			courier_mux_room(&m);
		} else {
			u8 part[0x80];
			u32 n = op - 0x80u;

			for (u32 i = 0; i < n; i++)
				part[i] = take8(&s);
			courier_mux_input(&m, part, n);
		}
	}
	return 0;
}
