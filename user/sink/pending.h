/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All that a courier has yet to deliver, as one list in order: what is in the spool, and
 * behind it what is in the channel. A frame that goes from the channel into the spool keeps
 * its place. Keeps the numbers of struct channel_state that count frames.
 */
#ifndef PORTSNOOP_SINK_PENDING_H
#define PORTSNOOP_SINK_PENDING_H

#include "lib/buffer.h"
#include "sink/sink.h"
#include "sink/spool.h"

/* What is older in the channel goes into the spool; what a connection has taken and is yet to
 * settle may stay so much longer. */
#define PENDING_AGE_MS 1000
#define PENDING_AGE_SENT_MS 4000

/* Copies: valid until the next pending_batch(), whatever becomes of the frames. */
struct batch {
	struct frame frames[SINK_BATCH];
	size_t count;
	struct buffer bytes;
};

struct pending {
	struct channel *channel;
	struct spool *spool;	     /* NULL: none */
	struct channel_state *state; /* the channel's */
	uint64_t age;		     /* ns: what is older is put into the spool */
	uint64_t sent;		     /* of the oldest: taken by the connection, not settled */
	uint64_t again;		     /* of the oldest: sent before, over a connection that broke */
	uint64_t taken;		     /* frames that have left the channel, ever */
	uint64_t mark, mark_due;     /* so many will have left it by then; 0: no time */
	bool mark_sent;		     /* it is longer, as they are sent */
	uint64_t spool_due;	     /* it had no room: not before then; 0: at once */
	bool vanished;		     /* frames of the spool are gone: which are sent is not known */
};

/* Takes over the spool, and counts what is in it. */
void pending_begin(struct pending *pending, struct channel *channel, struct spool *spool);
void pending_end(struct pending *pending); /* closes the spool */

uint64_t pending_frames(struct pending *pending);
uint64_t pending_unsent(struct pending *pending);

/* Those that come after the sent ones, `most` at most. 0: there are none now; negative errno:
 * they cannot be read. What cannot be read and is the oldest of all is lost. */
int pending_batch(struct pending *pending, size_t most, struct batch *batch);

/* Of the oldest, these have arrived, or (`rejected` of them) were thrown away there. */
void pending_settle(struct pending *pending, uint64_t frames, uint64_t rejected);
/* The oldest one never will: none is sent and not settled. */
void pending_refuse(struct pending *pending);
/* The connection broke: all that is not settled is sent again. */
void pending_rewind(struct pending *pending);

/* Puts into the spool what is old, and what fills the channel by half. Returns when it wants
 * to be called again, CLOCK_MONOTONIC, ns; UINT64_MAX: when there are frames. */
uint64_t pending_keep(struct pending *pending, uint64_t now);
/* For channel_sleep(), when nothing can be sent now. */
uint64_t pending_wish(const struct pending *pending);

void pending_store(struct pending *pending); /* all that there is room for */
void pending_lose(struct pending *pending);  /* counts what is in the channel as lost */

#endif
