/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What /proc tells of processes. It remembers what it read: make one for each
 * question.
 */
#ifndef PORTSNOOP_PROCFS_H
#define PORTSNOOP_PROCFS_H

#include <stdbool.h>

#include "model/holding.h"

struct procfs;

/* `proc` is "/proc", or a folder that holds a copy; it is the caller's. NULL with errno
 * set. */
struct procfs *procfs_open(const char *proc);
void procfs_close(struct procfs *procfs);

/* Fills in the texts, which the holder owns then. They stay NULL where pid is another
 * process than the one that started at `start`, or may not be read; the name of the
 * user is found in either case. 0 or -ENOMEM. */
int procfs_describe(struct procfs *procfs, struct holder *holder);

/* Another descriptor of a socket: pid, start (rounded down to 10 ms), uid, comm and fd
 * of the holder are set. A negative return ends the walk, which then returns it. */
typedef int procfs_visitor(uint64_t inode, const struct holder *holder, void *context);

/* All sockets that processes have open, in the order of the processes. *whole is false
 * when some processes could not be looked into. 0 or negative errno. */
int procfs_sockets(struct procfs *procfs, procfs_visitor *visit, void *context, bool *whole);

#endif
