/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What seccomp cannot tell apart: which address a socket connects to. For guard.c. */
#ifndef PORTSNOOP_GUARD_NETWORK_H
#define PORTSNOOP_GUARD_NETWORK_H

/*
 * The calling thread, and those that it makes, connect no TCP socket and bind none to a port
 * (Landlock): one that listens could else be turned into one that connects, without a new
 * socket. Sets no_new_privs of the thread. Accepting goes on. Does nothing before kernel 6.7
 * and where the kernel has no Landlock. 0 or negative errno.
 */
int network_restrict(void);

#endif
