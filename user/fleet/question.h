/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What ClickHouse is asked, as SQL for 18.16 and later: that one has no parameters, so all
 * that comes from people goes through question_text().
 *
 * The table is ordered by (local_port, host, time) and cut by the day: a question begins with
 * the port and the hosts. The engine finds the sockets that can have an answer, never too
 * few; what they were is made of their rows here (fleet/fold.h).
 */
#ifndef PORTSNOOP_FLEET_QUESTION_H
#define PORTSNOOP_FLEET_QUESTION_H

#include "lib/buffer.h"
#include "lib/list.h"
#include "store/history.h"

/* A literal: any bytes, none of which ends it. */
void question_text(struct buffer *out, const char *bytes, size_t length);

struct question {
	const char *table; /* DATABASE.TABLE */
	const struct history_query *query;
	const struct text_list *hosts; /* names, or patterns with * and ?; NULL: all */
};

/* Rows of answer_row, in the order of host, stream and number in it: all of the sockets that
 * can have an answer; and the calls that failed. */
void question_sockets(struct buffer *out, const struct question *question);
void question_failures(struct buffer *out, const struct question *question);
/* A part of the time. */
struct question_window {
	int64_t since, until;
	int64_t alive; /* and what came later than this */
};

/* Rows of answer_stream: when streams began, and ended in order. These are few. */
void question_streams(struct buffer *out, const struct question *question);
/* The same of all that streams said of themselves in the window. */
void question_pulse(struct buffer *out, const struct question *question,
		    const struct question_window *window);

/* Rows of answer_beat: of lost-events, in the order of host, stream and time. */
void question_lost(struct buffer *out, const struct question *question);

struct stream_name {
	const char *host;
	size_t host_length;
	const char *stream; /* 16 hexadecimal digits */
};
#define QUESTION_STREAMS 1000 /* at once */
/* Rows of answer_stream: of all that these ones said of themselves. */
void question_life(struct buffer *out, const struct question *question,
		   const struct stream_name *names, size_t count);
/* Rows of answer_beat: the same, one by one. */
void question_beats(struct buffer *out, const struct question *question,
		    const struct stream_name *names, size_t count);

/* A name with * and ? in it. */
bool question_is_pattern(const char *host);

#endif
