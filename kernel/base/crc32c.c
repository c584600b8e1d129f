/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC32C, eight bytes at a time: a table for each of them, made by the compiler from the entries
 * of single bits, as the code is linear.
 */
#include "kernel/base/crc32c.h"

#include "kernel/base/bytes.h"

#define BIT_OF(n, b, v) ((n) >> (b) & 1 ? (v) : 0)
#define ENTRY(n, a, b, c, d, e, f, g, h)                                                   \
	(BIT_OF(n, 0, a) ^ BIT_OF(n, 1, b) ^ BIT_OF(n, 2, c) ^ BIT_OF(n, 3, d) ^           \
	 BIT_OF(n, 4, e) ^ BIT_OF(n, 5, f) ^ BIT_OF(n, 6, g) ^ BIT_OF(n, 7, h))
#define ROW4(n, ...)                                                                       \
	ENTRY(n, __VA_ARGS__), ENTRY(n + 1, __VA_ARGS__), ENTRY(n + 2, __VA_ARGS__),       \
		ENTRY(n + 3, __VA_ARGS__)
#define ROW16(n, ...)                                                                      \
	ROW4(n, __VA_ARGS__), ROW4(n + 4, __VA_ARGS__), ROW4(n + 8, __VA_ARGS__),          \
		ROW4(n + 12, __VA_ARGS__)
#define ROW64(n, ...)                                                                      \
	ROW16(n, __VA_ARGS__), ROW16(n + 16, __VA_ARGS__), ROW16(n + 32, __VA_ARGS__),     \
		ROW16(n + 48, __VA_ARGS__)
#define ROW(...)                                                                           \
	{ ROW64(0, __VA_ARGS__), ROW64(64, __VA_ARGS__), ROW64(128, __VA_ARGS__),          \
	  ROW64(192, __VA_ARGS__) }

/* table[k][n]: byte n and k bytes of zero after it. */
static const u32 table[8][256] = {
	ROW(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf,
	    0x105ec76f, 0x20bd8ede, 0x417b1dbc, 0x82f63b78),
	ROW(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8,
	    0x3fc5f181, 0x7f8be302, 0xff17c604, 0xfbc3faf9),
	ROW(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5,
	    0x70a27d8a, 0xe144fb14, 0xc76580d9, 0x8b277743),
	ROW(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6,
	    0xe964b13d, 0xd725148b, 0xaba65fe7, 0x52a0c93f),
	ROW(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91,
	    0x8f2261d3, 0x1ba8b557, 0x37516aae, 0x6ea2d55c),
	ROW(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f,
	    0xc00c303e, 0x85f4168d, 0x0e045beb, 0x1c08b7d6),
	ROW(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53,
	    0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
	ROW(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da,
	    0x847609b4, 0x0d006599, 0x1a00cb32, 0x34019664),
};

u32 crc32c(u32 crc, const void *p, size_t n)
{
	const u8 *b = p;

	crc = ~crc;
	for (; n >= 8; n -= 8, b += 8) {
		u64 v = get_le64(b) ^ crc;

		crc = table[7][v & 255] ^ table[6][v >> 8 & 255] ^ table[5][v >> 16 & 255] ^
		      table[4][v >> 24 & 255] ^ table[3][v >> 32 & 255] ^
		      table[2][v >> 40 & 255] ^ table[1][v >> 48 & 255] ^ table[0][v >> 56];
	}
	while (n--)
		crc = crc >> 8 ^ table[0][(crc ^ *b++) & 255];
	return ~crc;
}
