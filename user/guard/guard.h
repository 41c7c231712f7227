/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a service gives up once it has all that it needs: capabilities, the right to gain
 * new ones, and every system call that it has no use for.
 */
#ifndef PORTSNOOP_GUARD_H
#define PORTSNOOP_GUARD_H

#include <stddef.h>
#include <stdint.h>

/* The calling thread gives up all of its capabilities, for good, and to connect by TCP where
 * the kernel can hold it to that: landlock.h. 0 or negative errno. */
int guard_thread(void);

/*
 * All threads: no new privileges, and only the system calls on the list of syscalls.c;
 * any other fails with EPERM. The calling thread: guard_thread(), and the bounding set is
 * emptied where that is allowed. Other threads have called guard_thread() themselves. To
 * be called once, when all files, maps and sockets that need privileges are open.
 * 0, or negative errno with `why` for people: what could not be given up.
 */
int guard_enter(char *why, size_t size);

/*
 * The same for a courier (sink/courier.h), a process of one thread that has prepared. It
 * keeps files and AF_UNIX sockets. `port`: it brings its frames to that port of another
 * machine, and keeps sockets of AF_INET and AF_INET6; TCP then goes there and, for names, to
 * port 53 alone, where the kernel can hold it to that. 0: it stays on this machine.
 */
int guard_courier(uint16_t port, char *why, size_t size);

#endif
