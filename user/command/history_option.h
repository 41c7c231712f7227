/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `portsnoop history` is asked. */
#ifndef PORTSNOOP_HISTORY_OPTION_H
#define PORTSNOOP_HISTORY_OPTION_H

#include "command/history_view.h"
#include "command/subject.h"
#include "lib/list.h"
#include "lib/moment.h"
#include "sink/spec.h"

struct history_moment {
	const char *text; /* NULL: not given */
	struct moment moment;
};

struct history_options {
	const struct history_format *format; /* NULL: the table */
	const char *db;			     /* NULL: the usual one */
	struct sink_list from;		     /* one at most: instead of the database */
	struct text_list *hosts;
	struct history_moment at, since, until;
	uint64_t pid; /* 0: any */
	const char *comm, *exe, *unit, *container;
	struct {
		bool given;
		struct history_remote address;
	} remote;
	struct {
		bool given;
		uint64_t count;
	} lines;
	bool failed, follow;
};

extern const struct option_entry history_option_table[];
void history_options_free(struct history_options *options);

option_setter history_set_moment; /* struct history_moment */
/* Exits with a message when that is yet to come. */
void history_not_yet(const struct command *command, const char *option,
		     const struct history_moment *given, int64_t now);

/*
 * The query that was meant, which points into the options and `ports`. Exits with a
 * message when the options contradict each other, or ask for what is yet to come. *mixed:
 * the subjects have protocols of their own, so that the query asks for too much, and
 * history_wanted() has to judge the rows.
 */
void history_query_set(struct history_query *query, const struct command *command,
		       const struct history_options *options, const struct subjects *subjects,
		       struct port_set *ports, int64_t now, bool *mixed);
bool history_wanted(const struct subjects *subjects, const struct history_row *row);

/* "192.0.2.1", "192.0.2.0/24:443", "[2001:db8::/32]:443", "2001:db8::1", ":443". 0 or
 * -EINVAL, and *expected. */
int history_remote_parse(const char *text, struct history_remote *remote, const char **expected);

#endif
