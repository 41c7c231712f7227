/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What seccomp cannot tell apart: which port a socket connects to, whose memory a file of
 * /proc is. For guard.c. Both set no_new_privs of the thread, and return 0 or negative errno.
 */
#ifndef PORTSNOOP_GUARD_LANDLOCK_H
#define PORTSNOOP_GUARD_LANDLOCK_H

#include <stddef.h>
#include <stdint.h>

/*
 * The calling thread, and those that it makes, connect no TCP socket and bind none to a port:
 * one that listens could else be turned into one that connects, without a new socket.
 * Accepting goes on. Does nothing before kernel 6.7 and where the kernel has no Landlock.
 */
int landlock_service(void);

/*
 * The same, but connecting to these ports goes on. From kernel 5.13 on, other processes
 * than its own are out of its reach as well, also by way of /proc.
 */
int landlock_courier(const uint16_t *ports, size_t count);

#endif
