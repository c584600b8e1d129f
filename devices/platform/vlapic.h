/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC of one vCPU: xAPIC and x2APIC registers, interrupt queues, timer. Pure; its
 * own vCPU's CPU runs everything but what is marked 'any CPU', which touches only words
 * marked (a), by atomics.
 */
#ifndef DEVICES_PLATFORM_VLAPIC_H
#define DEVICES_PLATFORM_VLAPIC_H

#include "guest/vm/irqchip.h"
#include "guest/vm/vdev.h"
#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"
#include "kernel/base/compiler.h"
#include "kernel/base/posted.h"
#include "kernel/base/types.h"

#define MSR_APIC_BASE	  0x1bu
#define MSR_TSC_DEADLINE  0x6e0u
#define MSR_X2APIC_FIRST  0x800u
#define MSR_X2APIC_LAST	  0x8ffu

#define APIC_BASE_BSP	  BIT(8)
#define APIC_BASE_X2APIC  BIT(10)
#define APIC_BASE_ENABLE  BIT(11)

/* Local vector table entries, in register order from 320h. */
enum vlapic_lvt {
	VLAPIC_LVT_TIMER,
	VLAPIC_LVT_THERMAL,
	VLAPIC_LVT_PERF,
	VLAPIC_LVT_LINT0,
	VLAPIC_LVT_LINT1,
	VLAPIC_LVT_ERROR,
	VLAPIC_LVTS
};

/* What the receiver of a message owes its vCPU. */
enum vlapic_action {
	VLAPIC_NOTHING, /* already pending, masked or not accepted */
	VLAPIC_KICK,	/* a new interrupt: the vCPU must look at pending() */
	VLAPIC_NOTIFY,	/* the same, or its CPU must be told: vcpu_notify() */
	VLAPIC_NMI,
	VLAPIC_INIT,
	VLAPIC_SIPI,
};

/* What the model needs of the outside. Called on the vCPU's CPU. */
struct vlapic_env {
	void *ctx;
	/* now() - the guest's TSC. */
	u64 (*now)(void *ctx);
	/*
	 * arm() - call vlapic_timer_hint() 'ticks' after 'now' (a value of now()), or earlier;
	 * replaces an earlier request. There is no cancel: a hint that comes too
	 * early costs one look, so that a callback in flight on another CPU need
	 * never be waited for.
	 */
	void (*arm)(void *ctx, u64 now, u64 ticks);
	/* send() - route an IPI. */
	void (*send)(void *ctx, const struct apic_msg *msg);
	/* eoi() - a level-triggered vector was ended: tell the I/O APICs. */
	void (*eoi)(void *ctx, u8 vector);
	/* extint_ack() - INTA cycle at the 8259: its vector. */
	u8 (*extint_ack)(void *ctx);
};

/* Constant over the life of a vCPU. */
struct vlapic_config {
	u32 id;		/* APIC ID, also the vCPU's index; < 255 */
	bool bsp;
	bool x2apic;	/* the CPU model offers it */
	bool tsc_deadline;
	u8 maxphyaddr;
	u64 tsc_khz;	/* guest TSC */
	u64 apic_khz;	/* timer input clock, < 2^24 as tsc_khz */
	u32 *page;	/* the CPU delivers from it in x2APIC mode (hvm_ops.apic_page), or NULL */
	u64 *posted;	/* and takes what others set here (hvm_ops.apic_posted), or NULL */
};

/* Letters: (a) any CPU, atomically; (r) written by its own CPU, read by others. */
struct vlapic {
	struct vlapic_env env;
	struct vlapic_config cfg;
	u32 attention;	   /* (a) VLAPIC_ATT_* */
	u32 irr_sum;	   /* (a) bit n: irr[n] may be non-zero */
	u64 irr[4];	   /* (a) */
	u64 tmr[4];	   /* (a) */
	u64 isr[4];
	u32 isr_sum;	   /* bit n: isr[n] is non-zero */
	u32 ppr;	   /* (r) follows from tpr and isr */
	u32 tpr;
	u64 base;	   /* (r) IA32_APIC_BASE */
	u32 ldr;	   /* (r) */
	u32 dfr;	   /* (r) */
	u32 svr;	   /* (r) */
	u32 esr;	   /* as last latched */
	u32 esr_pending;   /* (a) */
	u64 icr;
	u32 lvt[VLAPIC_LVTS]; /* (r) */
	u32 tmict;
	u32 dcr;
	u64 deadline;	   /* guest TSC of the timer's next expiry, 0: not running */
	u64 *posted;	   /* (a) cfg.posted, or none */
	u64 none[POSTED_WORDS];
};

#define VLAPIC_ATT_TIMER  BIT(0) /* look at the timer */
#define VLAPIC_ATT_PAGE	  BIT(2) /* x2APIC mode came or went, or the page is out of date */
#define VLAPIC_ATT_EXTINT BIT(1) /* the 8259 drives its line (LINT0) */

/** vlapic_init() - power-on state. cfg->id < 255. */
void vlapic_init(struct vlapic *v, const struct vlapic_config *cfg, const struct vlapic_env *env);

/** vlapic_irqchip - the contract of guest/vm/irqchip.h; 'lapic' is a struct vlapic. */
extern const struct irqchip_ops vlapic_irqchip;

/**
 * vlapic_post() - queue vector (16..255) as edge or level triggered. Returns VLAPIC_KICK or
 * VLAPIC_NOTIFY; VLAPIC_NOTHING: it was queued already. Context: any CPU.
 * Intel SDM vol. 3 §11.8.4, §31.6.
 */
enum vlapic_action vlapic_post(struct vlapic *v, u8 vector, bool level);

/**
 * vlapic_matches() - is v addressed by msg's destination (shorthand APIC_DEST)? Physical 8-bit
 * broadcast must have been widened to ~0 by the sender. Context: any CPU.
 * Intel SDM vol. 3 §11.6.2.
 */
bool vlapic_matches(const struct vlapic *v, const struct apic_msg *msg);

/** vlapic_accept() - v is the target of msg. Context: any CPU. */
enum vlapic_action vlapic_accept(struct vlapic *v, const struct apic_msg *msg);

/** vlapic_fixed_ok() - hardware- and software-enabled, so it takes fixed interrupts. Any CPU. */
bool vlapic_fixed_ok(const struct vlapic *v);

/**
 * vlapic_lint() - level of local pin 0 (the 8259's output) or 1. Calls for one pin are serialised
 * by the caller. Context: any CPU.
 */
enum vlapic_action vlapic_lint(struct vlapic *v, unsigned pin, bool level);

/** vlapic_timer_hint() - a deadline given to arm() may be due; then kick. Context: any CPU. */
void vlapic_timer_hint(struct vlapic *v);

/** vlapic_quiesce() - the vCPU is parked: make the fields true. */
void vlapic_quiesce(void *lapic);

/** vlapic_resume() - check loaded state and make it run: -EINVAL for what no guest can make. */
int MUST_CHECK vlapic_resume(void *lapic);

extern const struct vmstate_field vlapic_fields[];
extern const u32 vlapic_nfields;

#endif
