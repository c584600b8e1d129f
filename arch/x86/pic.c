/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8259 and 8254 of the host.
 */
#include "arch/x86/pic.h"

#include "arch/x86/io.h"
#include "kernel/base/err.h"

#define PIC1_CMD  0x20
#define PIC1_DATA 0x21
#define PIC2_CMD  0xa0
#define PIC2_DATA 0xa1

#define PIT_CH2	     0x42
#define PIT_MODE     0x43
#define PORT_B	     0x61 /* bit 0 gate of channel 2, bit 1 speaker, bit 5 output of channel 2 */
#define PIT_10MS     11932 /* of 1193182 Hz */
#define PIT_POLL_MAX 10000000

void pic_disable(void)
{
	io_out8(PIC1_CMD, 0x11); /* ICW1: edge, cascade, ICW4 follows */
	io_out8(PIC2_CMD, 0x11);
	io_out8(PIC1_DATA, PIC_FIRST_VECTOR);
	io_out8(PIC2_DATA, PIC_FIRST_VECTOR + 8);
	io_out8(PIC1_DATA, 4); /* ICW3: the second one at input 2 */
	io_out8(PIC2_DATA, 2);
	io_out8(PIC1_DATA, 1); /* ICW4: 8086 */
	io_out8(PIC2_DATA, 1);
	io_out8(PIC1_DATA, 0xff);
	io_out8(PIC2_DATA, 0xff);
}

int pit_wait_10ms(void)
{
	u8 b = io_in8(PORT_B) & 0xfc;

	io_out8(PORT_B, b);
	io_out8(PIT_MODE, 0xb0); /* channel 2, both bytes, mode 0, binary */
	io_out8(PIT_CH2, PIT_10MS & 0xff);
	io_out8(PIT_CH2, PIT_10MS >> 8);
	io_out8(PORT_B, b | 1);
	for (u32 i = 0; i < PIT_POLL_MAX; i++)
		if (io_in8(PORT_B) & 0x20)
			return 0;
	return -ETIMEDOUT;
}
