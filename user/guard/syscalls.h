/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The filter of system calls (seccomp) of who is guarded: for guard.c. */
#ifndef PORTSNOOP_GUARD_SYSCALLS_H
#define PORTSNOOP_GUARD_SYSCALLS_H

enum syscalls_kind {
	SYSCALLS_SERVICE,
	SYSCALLS_COURIER,	 /* files and AF_UNIX */
	SYSCALLS_REMOTE_COURIER, /* AF_INET and AF_INET6, too */
};

/*
 * From here on, for all threads: what is not on the list fails with EPERM, and so does
 * what could make memory executable. Sets no_new_privs. 0 or negative errno; -EINVAL: the
 * kernel has no filters.
 */
int syscalls_restrict(enum syscalls_kind kind);

#endif
