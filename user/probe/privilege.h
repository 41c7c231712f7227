/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The capabilities that it takes to load and attach, and none of them afterwards: measured
 * by tests/live/capability.sh and tests/vm/capability.sh.
 */
#ifndef PORTSNOOP_PRIVILEGE_H
#define PORTSNOOP_PRIVILEGE_H

#include <portsnoop/wire.h>
#include <stdbool.h>
#include <stddef.h>

/* 0, or -EPERM with `text`: the names of those that the tier cannot do without and that are
 * missing, each with what it is for. Tier 0: what every tier needs. */
int privilege_check(enum wire_tier tier, char *text, size_t size);

/* The kernel's word for what it counted: memory of BPF, before 5.11, as locked. True if
 * that could be why it refused to load something. */
bool privilege_memory_limited(void);

/* Debian's and Ubuntu's kernels have levels of kernel.perf_event_paranoid above 2, at which
 * perf events, and so kprobes and syscall tracepoints, take CAP_SYS_ADMIN. True if that is
 * missing. */
bool privilege_perf_limited(void);

#endif
