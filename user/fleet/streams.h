/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which streams there are in the fleet's table, when each was alive, and so: when a host was
 * not watching.
 */
#ifndef PORTSNOOP_FLEET_STREAMS_H
#define PORTSNOOP_FLEET_STREAMS_H

#include "fleet/answer.h"
#include "fleet/fold.h"
#include "fleet/question.h"

/* A stream says every 60 s that it is there. One that has not for so long is not there any
 * more, or what it says does not arrive. */
#define STREAM_SILENCE (INT64_C(150) * 1000000000)

struct streams {
	struct stream_entry *entries;
	size_t count, room;
	int64_t now; /* CLOCK_REALTIME, set before */
	bool pulse;  /* what comes was said in the window */
};

/* An answer_taker of streams, of which the same one may come again. 0 or -ENOMEM. */
int streams_take(void *streams, const void *stream);
/* Moves all of `from` there. 0 or -ENOMEM. */
int streams_join(struct streams *streams, struct streams *from);
/* Puts together what is of the same stream, and all in order: before what is below. */
void streams_settle(struct streams *streams);
void streams_free(struct streams *streams);

bool streams_find(const struct streams *streams, const struct answer_row *row,
		  struct fold_stream *stream);
bool streams_have_host(const struct streams *streams, const char *host);

/* When nobody watched a host, as rows, which `visitor` takes: 0, or what it said. Within
 * since..until only. */
int streams_gaps(const struct streams *streams, int64_t since, int64_t until,
		 history_visitor visitor, void *context);

/* Names, from number *next on, at most `most`; *next is 0 when that was all. Of streams with
 * holes, or that said nothing in the window and went on behind it; and of those that are over without an end, of which the window does not tell when. */
size_t streams_suspicious(const struct streams *streams, const struct question_window *window,
			  size_t *next, struct stream_name *names, size_t most);
size_t streams_broken(const struct streams *streams, const struct question_window *window,
		      size_t *next, struct stream_name *names, size_t most);

/* An answer_taker of beats: makes rows of what is missing between two of them, and of events
 * that are lost. */
struct streams_silence {
	history_visitor visitor;
	void *context;
	int64_t since, until;
	bool lost; /* the rows are of lost-events */
	/* Its own: */
	struct buffer host;
	uint64_t id;
	int64_t last;
	bool beat; /* it was a heartbeat */
};
int streams_beat(void *silence, const void *beat);

#endif
