/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: each CPU picks the runnable entity with the least weighted run time.
 * An entity is a vCPU; it is entered through its run callback and comes back on its own
 * when its slice ends, it has nothing to do, or it is asked to park.
 */
#ifndef KERNEL_CORE_SCHED_H
#define KERNEL_CORE_SCHED_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

enum sched_state {
	SCHED_PARKED,	/* not scheduled until sched_unpark() */
	SCHED_BLOCKED,	/* waiting for sched_wake() */
	SCHED_READY,	/* in its CPU's queue */
	SCHED_RUNNING,	/* its run callback is on a CPU */
};

/*
 * Why a run callback returned: the CPU was kicked (its softirqs wait, or its slice is
 * over), or there is nothing to do until sched_wake().
 */
enum sched_result { SCHED_YIELD, SCHED_BLOCK };

struct sched_entity {
	enum sched_result (*run)(struct sched_entity *e);
	/* leave() - e will not be entered again at once on this CPU: save what it has in the
	 * CPU's registers. Called with the scheduler lock held: takes none. */
	void (*leave)(struct sched_entity *e);
	u32 state;	/* enum sched_state (scheduler lock of its CPU) */
	u32 cpu;	/* whose queue it is in, or last was */
	u32 weight;	/* 1..1000, 100 = normal */
	u32 wake;	/* woken while running, so do not block (scheduler lock) */
	u32 park;	/* park as soon as it returns (scheduler lock) */
	u64 pin;	/* bit per CPU, 0 = any */
	u64 vruntime;	/* weighted TSC ticks */
	u64 runtime;	/* TSC ticks, for statistics */
	struct sched_entity *next;
};

/** sched_init() - per-CPU queues; once, on the boot CPU, before any CPU enters sched_loop(). */
int MUST_CHECK sched_init(void);

/** sched_add() - a new entity, parked. Picks the CPU with the least load its pin allows. */
int MUST_CHECK sched_add(struct sched_entity *e);

/** sched_remove() - e is parked and is forgotten. */
void sched_remove(struct sched_entity *e);

/** sched_wake() - e has work: READY when it was BLOCKED. Context: any. */
void sched_wake(struct sched_entity *e);

/** sched_unpark() - PARKED -> READY. */
void sched_unpark(struct sched_entity *e);

/**
 * sched_park() - make e leave its CPU and stay away; waits at most one second.
 * Returns 0 or -ETIMEDOUT (logged). Context: control, not from a run callback.
 */
int MUST_CHECK sched_park(struct sched_entity *e);

/**
 * sched_elsewhere() - may e's run callback be running on another CPU? When not, it will see
 * whatever the caller has written before. Context: any.
 */
bool sched_elsewhere(struct sched_entity *e);

/** sched_loop() - the CPU's life: softirqs, entities, HLT when there is neither. */
NORETURN void sched_loop(void);

struct sched_cpu_stat {
	u32 ready;	/* waiting in the queue */
	bool busy;	/* an entity runs */
	u64 switches;
	u64 stolen;
};

/** sched_stat() - of one CPU, for the 'stat' verb. */
void sched_stat(u32 cpu, struct sched_cpu_stat *out);

#endif
