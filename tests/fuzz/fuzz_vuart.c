/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serial port under any sequence of register accesses and arriving bytes: nothing the receiver
 * took is lost while it is not cleared, and the interrupt line follows its causes.
 */
#include "tests/fuzz/stream.h"

#include "devices/platform/vuart.h"

static bool line;
static unsigned sent, calls;
static struct vuart u;

static void tx(void *ctx, u8 byte)
{
	(void)ctx;
	(void)byte;
	sent++;
}

static void irq(void *ctx, bool level)
{
	(void)ctx;
	FUZZ_CHECK(level != line);
	line = level;
	calls++;
}

/* More input is pushed in from within the callback, as the console does. */
static void rx_room(void *ctx)
{
	const u8 more[3] = { 1, 2, 3 };

	(void)ctx;
	FUZZ_CHECK(u.rx_count < VUART_FIFO);
	FUZZ_CHECK(vuart_rx(&u, more, 3) > 0);
	calls++;
}

static void check(void)
{
	u8 lsr_dr = u.rx_count > 0, v = 0;
	bool cause = ((u.ier & 4) && u.lsr_errors) || ((u.ier & 1) && u.rx_count) ||
		     ((u.ier & 2) && u.thre) || ((u.ier & 8) && (u.msr & 0xf));

	FUZZ_CHECK(u.line == line);
	FUZZ_CHECK(line == (cause && (u.mcr & 0x18) == 8));
	FUZZ_CHECK(u.rx_count <= (u.fcr & 1 ? VUART_FIFO : 1) && u.rx_head < VUART_FIFO);
	FUZZ_CHECK(u.ier <= 0xf && u.mcr <= 0x1f);
	if (u.lsr_errors) /* reading LSR would clear them */
		return;
	vuart_io(&u, 5, false, &v);
	FUZZ_CHECK(v == (0x60 | lsr_dr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vuart_env env = { NULL, tx, irq, rx_room };
	struct stream s = { data, size };
	static struct vuart other;

	line = false;
	vuart_init(&u, &env);
	while (s.left) {
		u8 op = take8(&s), v = take8(&s), burst[24];

		sent = calls = 0;
		if (op & 0x80) {
			size_t n = op % 25, took;

			memset(burst, v, sizeof(burst));
			took = vuart_rx(&u, burst, n);
			FUZZ_CHECK(took <= n && (took == n || u.rx_count || (u.mcr & 0x10)));
		} else {
			vuart_io(&u, op & 7, op & 8, &v);
		}
		FUZZ_CHECK(sent <= 1 && calls <= 3);
		check();
	}
	sent = u.line;
	line = false;
	vuart_init(&other, &env);
	move_fields(&other, &u, vuart_fields, vuart_nfields);
	FUZZ_CHECK(vuart_resume(&other) == 0);
	FUZZ_CHECK(same_fields(&other, &u, vuart_fields, vuart_nfields));
	FUZZ_CHECK(line == sent);
	return 0;
}
