/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the rows of `portsnoop history` are shown. */
#ifndef PORTSNOOP_HISTORY_VIEW_H
#define PORTSNOOP_HISTORY_VIEW_H

#include "lib/buffer.h"
#include "store/history.h"

#define HISTORY_COLUMNS 12

struct history_view {
	int64_t now;	    /* CLOCK_REALTIME, ns: on a terminal, times of today have no date */
	unsigned int width; /* of the terminal; 0: it is none, and nothing is cut */
	bool color;
	bool hosts; /* rows of many: a column tells which */
	/* The formats' own: */
	bool begun;
	unsigned int widths[HISTORY_COLUMNS]; /* 0: there is no room for this column */
	struct buffer raw, cell;
};

struct history_format {
	const char *name;
	void (*begin)(struct history_view *view, struct buffer *out); /* once, before the rows */
	void (*row)(struct history_view *view, const struct history_row *row, struct buffer *out);
};

extern const struct history_format history_table, history_json, history_csv;
const struct history_format *history_format_find(const char *name); /* NULL: there is none */

void history_view_free(struct history_view *view);

/*
 * Words about a row. What they append holds hostile bytes, for a writer to escape.
 */

/* The claim was not seen: the row's process only had the socket open. */
static inline bool history_predates(const struct history_row *row)
{
	return row->kind == HISTORY_LEASE && !row->trigger.data;
}

/* `held` is only what was seen of it. */
static inline bool history_held_least(const struct history_row *row)
{
	return history_predates(row) || row->ending == STORE_UNSEEN || row->ending == STORE_EVICTED;
}

static inline bool history_is(const struct history_text *text, const char *word)
{
	return text->data && text->length == strlen(word) &&
	       !memcmp(text->data, word, text->length);
}

void history_text_put(struct buffer *out, const struct history_text *text);
void history_duration_put(struct buffer *out, uint64_t ns);
void history_protocol_put(struct buffer *out, const struct history_row *row); /* "mptcp" */
/* "192.0.2.1:80", "[::1]:80" */
void history_endpoint_put(struct buffer *out, const struct history_text *ip, uint16_t port);
void history_process_put(struct buffer *out, const struct history_process *process); /* a[1] */
/* "2m03s", "still", ">=5m03s"; nothing for a failure. */
void history_held_put(struct buffer *out, const struct history_row *row);
/* "60.0s", "~60.0s", "now"; nothing where there was none. */
void history_time_wait_put(struct buffer *out, const struct history_row *row);
/* "listening", "ok 12.3ms", "EADDRINUSE" */
void history_result_put(struct buffer *out, const struct history_row *row);
/* A bind that failed wanted its port, if 0; who connects leaves it to the kernel. */
bool history_has_local(const struct history_row *row);
/* Where it is or wanted to be; nothing where that is not known. */
void history_local_put(struct buffer *out, const struct history_row *row);
void history_remote_put(struct buffer *out, const struct history_row *row);
/* Of a failure: "nginx[61] (listen, 3.2s) +2 more"; else nothing. */
void history_blocked_put(struct buffer *out, const struct history_row *row);
/* Of a gap: "nothing recorded" and "portsnoop was killed". The second may be empty. */
void history_gap_put(struct buffer *out, struct buffer *why, const struct history_row *row);
void history_sentence_put(struct buffer *out, const struct history_row *row); /* any row */
const char *history_gap_reason(const struct history_row *row);		      /* "killed" */
const char *history_action(const struct history_row *row);		      /* ECS: "held-port" */
const char *history_outcome(const struct history_row *row); /* ECS: "success"; no gap's */

/* What is known of its times, for machines. */
struct history_span {
	bool has_start, has_end, has_duration, has_least;
	int64_t start, end;
	uint64_t duration;
	uint64_t least; /* seen of it */
};

void history_span_find(const struct history_row *row, struct history_span *span);

#endif
