/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All destinations of a stream, as the program sees them: each event is rendered once for
 * each format and put into the channel of every sink. Nothing here waits: a sink without
 * room goes without, its events are counted, and as soon as there is room again a lost-events
 * record stands in their place, with the event.id of the first one that is missing.
 */
#ifndef PORTSNOOP_SINKS_H
#define PORTSNOOP_SINKS_H

#include "model/event.h"
#include "sink/channel.h"
#include "sink/spec.h"

struct sinks;

struct sink_ops;

struct sinks_options {
	const struct sink_list *list;
	const char *spool;	    /* folder for all of them; NULL: no spool */
	bool guarded;		    /* the couriers give up their privileges */
	bool wait;		    /* for a replay: waits for room instead of dropping */
	const struct sink_ops *ops; /* for tests, of all sinks; NULL: those of each kind */
};

#define SINKS_LINE_MOST (16u << 10) /* of a line in any format that makes lines */

/* Starts a courier for each: before anything is watched, and before privileges are given up.
 * 0, or negative errno with `why`, and nothing runs. */
int sinks_open(const struct sinks_options *options, struct sinks **sinks, char *why, size_t size);

void sinks_event(struct sinks *sinks, const struct event *event);
void sinks_flush(struct sinks *sinks); /* once a batch: wakes the couriers */
void sinks_reopen(struct sinks *sinks);

/* To be polled for input; then sinks_check(): says of a courier that has died what it left
 * undone; what comes for it from then on is dropped. The others go on. sinks_alive(): how
 * many there are. */
int sinks_fd(const struct sinks *sinks);
void sinks_check(struct sinks *sinks);
unsigned int sinks_alive(const struct sinks *sinks);

struct sink_report {
	const char *name;
	uint64_t put;	  /* events that were put into its channel, lost-events among them */
	uint64_t dropped; /* events for which it had no room */
	uint64_t waiting; /* in its channel now */
	struct channel_state state;
	bool alive;
};
/* Whenever nothing moves: put + found = delivered + refused + lost + spooled + waiting. Of a
 * courier that has died, what it can no longer account for is lost. */
size_t sinks_report(const struct sinks *sinks, struct sink_report *reports, size_t most);

/* No more events: waits for the couriers, `timeout_ms` at most, and says a line for each sink.
 * 0, or -EIO: something was dropped, refused or lost. */
int sinks_end(struct sinks *sinks, unsigned int timeout_ms);
void sinks_free(struct sinks *sinks); /* NULL does nothing */

#endif
