/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command behind `--`: started, held before its first instruction, let go. */
#ifndef PORTSNOOP_CHILD_H
#define PORTSNOOP_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
	pid_t pid;  /* 0: none */
	int gate;   /* closing it unheard ends the child */
	int status; /* as of wait(), once `ended` */
	bool ended;
};

/* Forks. The child waits in front of its exec. 0 or negative errno. */
int child_start(struct child *child, char **argv);

/* Lets it exec. 0, or negative errno of the exec, and the child has ended then. */
int child_release(struct child *child);

/* Takes in its end if it has ended; with `wait`, waits for it. */
void child_reap(struct child *child, bool wait);

/* Ends a child that was not released. */
void child_drop(struct child *child);

/* As a shell states it: 128 and the signal, or the exit status. */
int child_exit_status(const struct child *child);

#endif
