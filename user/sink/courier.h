/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The process that brings frames to one destination: from the channel, by way of the spool
 * while the destination is away, in order, each at least once. What was sent and is not
 * known to have arrived when a connection breaks is sent again, as the same bytes.
 *
 * It ends when the program has closed the channel and everything is delivered, or kept in the
 * spool, or the deadline is over: what is left then is counted as lost. It takes no signals
 * but SIGKILL: the program decides.
 */
#ifndef PORTSNOOP_SINK_COURIER_H
#define PORTSNOOP_SINK_COURIER_H

#include "sink/sink.h"
#include "sink/spool.h"

#define COURIER_RETRY_LEAST_MS 250 /* doubles at each failure, with some chance in it */
#define COURIER_RETRY_MOST_MS 30000
/* When the program was killed: what is left is delivered, for so long at most; with a spool it
 * is put there first, and the next one, who waits for the spool, is not kept waiting. */
#define COURIER_ORPHAN_MS 10000
#define COURIER_ORPHAN_SPOOL_MS 1000
#define COURIER_SPOOL_WAIT_MS 3000

struct courier_options {
	const struct sink_spec *spec;
	const struct sink_ops *ops; /* NULL: those of the kind */
	const char *spool;	    /* folder; NULL: no spool */
	struct channel *channel;
	bool guarded; /* gives up its privileges: guard/guard.h */
};

/*
 * Forks it, and waits until it has prepared: then it can work, or *why says what is wrong,
 * and negative errno is returned. `pid` is the process.
 */
int courier_start(const struct courier_options *options, int *pid, char *why, size_t size);

/* What courier_start() runs in the child; never returns. For tests. */
void courier_run(const struct courier_options *options, int ready) __attribute__((noreturn));

#endif
