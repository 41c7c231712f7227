/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests to stop. The handler counts and makes a descriptor readable; it restarts
 * no call, so that a write into a pipe that nobody reads can be left.
 */
#ifndef PORTSNOOP_SIGNALS_H
#define PORTSNOOP_SIGNALS_H

#include <stdbool.h>

/* After a request to stop, what is pending has so long to get out. */
#define SIGNALS_PATIENCE_S 5

enum signals_mode {
	SIGNALS_PLAIN,	 /* SIGTERM, SIGHUP and SIGINT ask to stop */
	SIGNALS_COMMAND, /* SIGINT does not: the terminal sends it to the command as well,
			  * whose end is ours */
	SIGNALS_SERVICE, /* SIGHUP does not: signals_reload() */
};

/*
 * From now on signals ask to stop. Returns a descriptor that is readable when a request
 * or SIGCHLD came, or negative errno. Once per process.
 */
int signals_open(enum signals_mode mode);

/* True once there was a request to stop. */
bool signals_stop(void);

/* The same for who does not wait on the descriptor, without a system call. */
bool signals_asked(void);

/* True once for all SIGHUP since the last call. Ask behind signals_stop(). */
bool signals_reload(void);

/* True if an interrupted write should be left: a second request to stop came, or
 * the patience after the first one is over. */
bool signals_give_up(void);

/* In a child, before its exec: what was ignored before signals_open() is again. */
void signals_restore(void);

#endif
