/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The table hook x tier: what is attached where, and what hangs on it. */
#ifndef PORTSNOOP_HOOK_H
#define PORTSNOOP_HOOK_H

#include <portsnoop/wire.h>
#include <stdint.h>

enum hook_kind {
	HOOK_SYSCALL, /* tracepoint of group syscalls */
	HOOK_TRACE,   /* tp_btf, fentry, fexit */
	HOOK_KPROBE,
	HOOK_KRETPROBE,
	HOOK_CGROUP,
};

struct hook {
	const char *program;
	const char *target; /* name of the tracepoint or function; else for people */
	enum hook_kind kind;
	unsigned int tiers; /* bit per enum wire_tier; 0: any, when a tree is asked for */
	uint64_t coverage;  /* claim kinds that are lost without it; 0: it is needed */
	const char *module; /* the target's; NULL: the kernel itself */
	const char *unless; /* older name: not used where the kernel has this function */
	const char *before; /* newer name: not used where the kernel has only this one */
};

extern const struct hook hook_table[];
extern const unsigned int hook_count;

/* Claim kinds that a tier sees when all its hooks are there. */
uint64_t tier_coverage(enum wire_tier tier);

#endif
