/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One run of `portsnoop history`: from the rows to the output. */
#ifndef PORTSNOOP_HISTORY_COMMAND_H
#define PORTSNOOP_HISTORY_COMMAND_H

#include "command/history_option.h"
#include "sink/output.h"
#include "store/source.h"

/* As grep: 1 is an answer. */
#define HISTORY_FOUND 0
#define HISTORY_NOTHING 1
#define HISTORY_ERROR 2

/* For --follow: the newest number of each kind that was shown when it began. */
struct history_seen {
	bool complete;
	uint64_t newest[4];
};

struct history_run {
	const struct history_format *format;
	const char *name; /* of where it is read, for messages */
	struct source source;
	struct history *history; /* of a database: what the source reads; for --follow */
	struct history_query query;
	struct subjects subjects;
	struct port_set ports;
	bool mixed;	  /* history_query_set() */
	uint64_t skip;	  /* leases and failures to leave out before the first one that is shown */
	uint64_t rows;	  /* wanted leases and failures that came */
	uint64_t total;	  /* rows that came while they were counted */
	bool found;	  /* a lease or failure was shown */
	int output_error; /* negative errno; 0: none */
	struct history_view view;
	struct output output;
	struct history_seen seen;
};

/* Opens the database `name`. 0, or negative errno, and that was said. */
int history_begin(struct history_run *run);

/* Shows a row; a history_visitor. Not 0: the output failed. */
int history_show(void *context, const struct history_row *row);

/* The rows of the query so far. The exit status, or HISTORY_ERROR after a message. */
int history_ask_all(struct history_run *run);

/* Writes what is pending. The status, or HISTORY_ERROR after a message. A reader that has
 * seen enough is no failure. */
int history_flush(struct history_run *run, int status);

/* After a call of the reader that failed: says why, unless it was the output. The status. */
int history_failed(struct history_run *run, int error);

int64_t history_now(void); /* CLOCK_REALTIME, ns */

/* history_follow.c: shows what there is, unless `only_new`, and then what comes. The exit
 * status. */
int history_follow_run(struct history_run *run, bool only_new);
void history_seen_add(struct history_seen *seen, const struct history_row *row);

#endif
