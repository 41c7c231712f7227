/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A kind of destination. Everything here runs in the courier of that destination, a process
 * of its own: it may wait, but only by sink_wait(), which keeps the queue in order meanwhile.
 */
#ifndef PORTSNOOP_SINK_H
#define PORTSNOOP_SINK_H

#include <sys/types.h>

#include "sink/channel.h"
#include "sink/spec.h"

#define SINK_BATCH 1000		    /* frames for one send() */
#define SINK_BATCH_BYTES (1u << 20) /* and bytes; one frame is always taken */
#define SINK_PATIENCE_MS 10000	    /* for one connect, one answer */

struct courier; /* sink/courier.h: it owns the sink */

struct sink {
	const struct sink_ops *ops;
	const struct sink_spec *spec;
	struct courier *courier;
	void *state;	       /* the kind's own, made by prepare() */
	uint64_t rejected;     /* frames that send() took and the other end threw away, as it
				* says: counted as refused, not as delivered */
	char why[CHANNEL_WHY]; /* for people, when something failed: without the spec's name */
};

struct sink_ops {
	/* What can fail before anything is watched, and what needs privileges or files that
	 * are out of reach later (libraries, certificates, names services). Once, before the
	 * guard. 0, or negative errno with why: the command does not start then. A
	 * destination that is merely away is no failure. May be NULL. */
	int (*prepare)(struct sink *sink);
	/* Connects, opens. 0, or negative errno with why: it is tried again later. */
	int (*open)(struct sink *sink);
	/* Takes frames, the oldest first: returns how many (from 1 on), or negative errno with
	 * why: -EAGAIN: nothing is taken now, the connection stays (try again later); -EBADMSG: the
	 * other end takes this batch never, it is counted as refused; *count is how many frames
	 * that concerns; -ESHUTDOWN, as of open(): it is gone for good, and the courier ends.
	 * Anything else: settled() is asked once more, close() follows, and all that is not
	 * settled is sent again. What the other end takes never is looked for by halves, until
	 * it is one frame alone. `*count`: how many there are. */
	ssize_t (*send)(struct sink *sink, const struct frame *frames, size_t *count);
	/* Of the frames taken since open(), how many have arrived for certain, oldest
	 * first; never less than before. NULL: all that were taken. */
	uint64_t (*settled)(struct sink *sink);
	/* While settled() lags behind: when to ask again, ms; NULL: 100, and later and later as
	 * long as nothing comes of it. */
	unsigned int (*settles_in_ms)(struct sink *sink);
	/* The connection, to learn that the other end hung up when there is nothing to send; -1
	 * or NULL: there is none. lost(): what poll() told of it; 0, or negative errno with
	 * why: it is over. */
	int (*fd)(struct sink *sink);
	int (*lost)(struct sink *sink, short events);
	void (*reopen)(struct sink *sink); /* SIGHUP; NULL: close() and open() */
	void (*close)(struct sink *sink);  /* what open() made */
	void (*free)(struct sink *sink);   /* what prepare() made; may be NULL */
	unsigned int linger_ms;		   /* waits so long for a batch to grow; 0: not at all */
};

/* poll() on `fd` (-1: none) for at most `timeout_ms` (-1: for ever); meanwhile what comes is
 * taken care of. Returns revents, 0 at the timeout, -EINTR when the program ends and its time
 * is up: to be returned at once then. */
int sink_wait(struct sink *sink, int fd, short events, int timeout_ms);

/* Sets sink->why, and returns `error`. */
int sink_fail(struct sink *sink, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

extern const struct sink_ops sink_stdout, sink_file, sink_unix, sink_tcp, sink_syslog,
	sink_journald, sink_otlp, sink_clickhouse;

#endif
