/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What ClickHouse answers, in its TabSeparated: taken as it comes, in pieces of any size, and
 * believed in nothing. A line with other columns than were asked for, or a number that is
 * none, ends it: then it was no answer to our question.
 */
#ifndef PORTSNOOP_FLEET_ANSWER_H
#define PORTSNOOP_FLEET_ANSWER_H

#include "lib/buffer.h"
#include "store/history.h"

#define ANSWER_LINE (1u << 20) /* bytes of a line at most */

/* An event. Texts are empty and numbers 0 where it has none. */
struct answer_row {
	uint64_t time; /* ns since 1970 */
	uint64_t duration, lingered, socket;
	uint64_t stream, sequence; /* of `id` */
	struct history_text host, id, action, outcome, error, transport, trigger, origin;
	struct history_text local_ip, remote_ip, requested_ip;
	struct history_text comm, exe, args, parent_comm, entity, user, container, runtime, pod;
	struct history_text unit, cgroup, time_wait, holder_comm, blocked_by, tier;
	uint64_t pid, parent_pid, uid, netns, holder_pid, blocked_by_total;
	uint64_t local_port, remote_port, requested_port, claimed, in_pool;
};

/* A stream: from the start of a portsnoop to its end. */
struct answer_stream {
	struct history_text host, stream; /* 16 hexadecimal digits */
	uint64_t id;			  /* the same */
	uint64_t first, last;		  /* of its rows about itself, ns since 1970 */
	uint64_t started, ended;	  /* 0: there is no row that tells */
	struct history_text tier;
	uint64_t holes; /* 0: something came in each half of STREAM_SILENCE */
};

/* A row of a stream about itself. */
struct answer_beat {
	struct history_text host, stream;
	uint64_t id;
	uint64_t time;
	uint64_t lost; /* events that are missing */
	struct history_text action;
};

enum answer_kind { ANSWER_ROW, ANSWER_STREAM, ANSWER_BEAT };

/* What to SELECT for each; of a stream `holes` is to follow. */
extern const char answer_row_columns[], answer_stream_columns[], answer_beat_columns[];

/* Takes one of the structs. Its texts are valid during the call. Not 0 ends it. */
typedef int answer_taker(void *context, const void *row);

struct answer {
	enum answer_kind kind;
	answer_taker *take;
	void *context;
	/* Its own: */
	struct buffer line;
	uint64_t lines;
};

/* 0, what `take` said, -EBADMSG: this is no answer to our question, or -ENOMEM. */
int answer_feed(struct answer *answer, const char *bytes, size_t size);
int answer_end(struct answer *answer); /* there is no more; as answer_feed() */
void answer_free(struct answer *answer);

/* What portsnoop makes of bytes that are no UTF-8 before they are in the table: U+FFFD. */
void answer_plain(struct buffer *out, const char *bytes, size_t length);

#endif
