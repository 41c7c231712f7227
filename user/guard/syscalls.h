/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The filter of system calls (seccomp) behind guard_enter(): for guard.c and its test. */
#ifndef PORTSNOOP_GUARD_SYSCALLS_H
#define PORTSNOOP_GUARD_SYSCALLS_H

/*
 * From here on, for all threads: what is not on the list fails with EPERM, and so does
 * what could make memory executable. Sets no_new_privs. 0 or negative errno; -EINVAL: the
 * kernel has no filters.
 */
int syscalls_restrict(void);

#endif
