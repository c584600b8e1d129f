/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IN, OUT, INS and OUTS: all sizes, port forms, REP, direction, segment overrides and address
 * sizes. The scratch port is COM1's scratch register, which keeps what is written.
 */
#include "guest/image/lib/boot.h"
#include "guest/image/lib/page.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/test.h"
#include "kernel/base/str.h"

#define SCR 0x3ff /* COM1 scratch register */
#define IDX 0xcf8 /* PCI configuration address: 4 bytes wide */

static u8 buf[64];

TEST(byte_by_dx)
{
	for (u32 v = 0; v < 256; v += 5) {
		outb(SCR, (u8)v);
		CHECK_EQ(inb(SCR), v);
	}
}

TEST(byte_by_immediate)
{
	u64 a;

	/* RTC index and data: port numbers that fit the instruction. */
	__asm__ volatile("movb $0x0f, %%al; outb %%al, $0x70; movb $0x5a, %%al; outb %%al, $0x71;"
			 "movb $0x0f, %%al; outb %%al, $0x70; movq $-1, %%rax; inb $0x71, %%al"
			 : "=a"(a));
	CHECK_EQ(a, 0xffffffffffffff5a);
}

TEST(upper_register_parts)
{
	u64 a = ~0ull;

	outl(IDX, 0x80000000);
	__asm__ volatile("inw %%dx, %%ax" : "+a"(a) : "d"((u64)IDX + 2 + 0xffff0000));
	CHECK_EQ(a >> 16, 0xffffffffffff); /* 16 bits leave the rest */
	a = ~0ull;
	__asm__ volatile("inl %%dx, %%eax" : "+a"(a) : "d"((u64)IDX));
	CHECK_EQ(a, 0x80000000); /* 32 bits clear it */
	__asm__ volatile(".byte 0x48; inl %%dx, %%eax" : "+a"(a) : "d"((u64)IDX));
	CHECK_EQ(a, 0x80000000); /* REX.W changes nothing */
}

TEST(dword)
{
	outl(IDX, 0x80001234 & ~3u);
	CHECK_EQ(inl(IDX), 0x80001234 & ~3u);
	outl(IDX, 0);
	CHECK_EQ(inl(IDX), 0);
}

TEST(ins_sizes)
{
	void *d = buf;

	memset(buf, 0xee, sizeof(buf));
	outb(SCR, 0x42);
	__asm__ volatile("insb" : "+D"(d) : "d"(SCR) : "memory");
	CHECK_EQ(buf[0], 0x42);
	CHECK_EQ(buf[1], 0xee);
	CHECK((u8 *)d == buf + 1);
	outl(IDX, 0x80004400);
	__asm__ volatile("insl" : "+D"(d) : "d"(IDX) : "memory");
	CHECK_EQ(buf[1] | buf[2] << 8 | buf[3] << 16 | (u32)buf[4] << 24, 0x80004400u);
	CHECK((u8 *)d == buf + 5);
}

TEST(rep_insb)
{
	void *d = buf;
	u64 c = 16;

	memset(buf, 0, sizeof(buf));
	outb(SCR, 0x77);
	__asm__ volatile("rep insb" : "+D"(d), "+c"(c) : "d"(SCR) : "memory");
	CHECK_EQ(c, 0);
	CHECK((u8 *)d == buf + 16);
	for (u32 i = 0; i < 17; i++)
		CHECK_EQ(buf[i], i < 16 ? 0x77 : 0);
}

TEST(rep_insb_backwards)
{
	void *d = buf + 15;
	u64 c = 8;

	memset(buf, 0, sizeof(buf));
	outb(SCR, 0x78);
	__asm__ volatile("std; rep insb; cld" : "+D"(d), "+c"(c) : "d"(SCR) : "memory");
	CHECK((u8 *)d == buf + 7);
	for (u32 i = 0; i < 17; i++)
		CHECK_EQ(buf[i], i >= 8 && i < 16 ? 0x78 : 0);
}

TEST(rep_count_zero)
{
	void *d = buf;
	u64 c = 0;

	buf[0] = 1;
	__asm__ volatile("rep insb" : "+D"(d), "+c"(c) : "d"(SCR) : "memory");
	CHECK((u8 *)d == buf);
	CHECK_EQ(buf[0], 1);
}

TEST(outs_sizes)
{
	static const u32 v = 0x80008800;
	const void *s = &v;

	outl(IDX, 0);
	__asm__ volatile("outsl" : "+S"(s) : "d"(IDX) : "memory");
	CHECK_EQ(inl(IDX), v);
	CHECK(s == &v + 1);
	s = "\x31";
	__asm__ volatile("outsb" : "+S"(s) : "d"(SCR) : "memory");
	CHECK_EQ(inb(SCR), 0x31);
}

TEST(rep_outsb)
{
	const char *s = "abcdefgh";
	const void *p = s;
	u64 c = 8;

	__asm__ volatile("rep outsb" : "+S"(p), "+c"(c) : "d"(SCR) : "memory");
	CHECK_EQ(inb(SCR), 'h'); /* the last one stays */
	CHECK(p == s + 8);
	CHECK_EQ(c, 0);
}

TEST(address_size_32)
{
	u64 d = (u64)buf | 0xabcd00000000, c = 0xffffffff00000004;

	memset(buf, 0, sizeof(buf));
	outb(SCR, 0x66);
	/* 67h: EDI and ECX count; their upper halves are cleared */
	__asm__ volatile("addr32 rep insb" : "+D"(d), "+c"(c) : "d"(SCR) : "memory");
	CHECK_EQ(d, (u64)buf + 4);
	CHECK_EQ(c, 0);
	CHECK_EQ(buf[3], 0x66);
	CHECK_EQ(buf[4], 0);
}

TEST(segment_override)
{
	u64 s = 8;
	static const u8 data[16] = "0123456789abcde";

	wrmsr(MSR_FS_BASE, (u64)data);
	__asm__ volatile("fs outsb" : "+S"(s) : "d"(SCR) : "memory");
	CHECK_EQ(inb(SCR), '8');
	CHECK_EQ(s, 9);
	wrmsr(MSR_GS_BASE, (u64)data + 1);
	__asm__ volatile("gs outsb" : "+S"(s) : "d"(SCR) : "memory");
	CHECK_EQ(inb(SCR), 'a');
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, 0);
}

TEST(ins_across_pages)
{
	u8 *p = page_alloc(2);
	void *d = p + 4090;
	u64 c = 12;

	outb(SCR, 0x99);
	__asm__ volatile("rep insb" : "+D"(d), "+c"(c) : "d"(SCR) : "memory");
	for (u32 i = 4080; i < 4110; i++)
		CHECK_EQ(p[i], i >= 4090 && i < 4102 ? 0x99 : 0);
}

TEST(ins_faults_midway)
{
	u8 *p = page_alloc(1);
	volatile u64 d = PAGE_TEST_VA + 4092, c = 10;
	u64 di = d, cx = c;
	int v;

	page_map(PAGE_TEST_VA, (u64)p, 1, PTE_W);
	outb(SCR, 0x55);
	/* The fault tells how far it came: RDI and RCX as after four iterations. */
	v = TRAP_OF(__asm__ volatile("rep insb" : : "D"(di), "c"(cx), "d"(SCR) : "memory"));
	CHECK_EQ(v, VEC_PF);
	CHECK_EQ(trap_this()->cr2, PAGE_TEST_VA + 4096);
	CHECK_EQ(trap_this()->error, 2);
	CHECK_EQ(p[4092] | p[4095] << 8, 0x5555);
	page_unmap(PAGE_TEST_VA, 1);
}

TEST(outs_reads_protected_page)
{
	CHECK_TRAP(VEC_PF, __asm__ volatile("outsb" : : "S"(PAGE_TEST_VA), "d"(SCR) : "memory"));
	CHECK_EQ(trap_this()->error, 0);
	CHECK_EQ(trap_this()->cr2, PAGE_TEST_VA);
	CHECK_TRAP(VEC_GP, __asm__ volatile("outsb" : : "S"(1ull << 62), "d"(SCR) : "memory"));
}

TEST(absent_ports_read_ones)
{
	static const u16 port[] = { 0x110, 0x2e0, 0x510 + 0x100, 0xa00, 0x8000 };

	for (u32 i = 0; i < ARRAY_SIZE(port); i++) {
		CHECK_EQ(inb(port[i]), 0xff);
		CHECK_EQ(inw(port[i]), 0xffff);
		CHECK_EQ(inl(port[i]), 0xffffffff);
	}
}

TEST(port_wrap)
{
	inw(0xffff);
	inl(0xfffd);
	outl(0xffff, 0);
	CHECK(true);
}
