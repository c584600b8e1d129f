#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/smp.h"
#include "guest/image/lib/test.h"
#include "guest/vm/machine.h"

void guest_main(void)
{
	serial_printf("loop\n");
	for (;;) {
		cpuid(0, 0);
		rdmsr(MSR_APIC_BASE);
		inb(PIC1 + 1);
		pm_timer();
		u64 a = 0xffff;
		__asm__ volatile("vmmcall" : "+a"(a) : : "rbx", "rcx", "rdx", "rsi", "memory");
		mmio_read(IOAPIC_BASE);
		wrmsr(0x6e0, 0);
	}
}
