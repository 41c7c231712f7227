/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the events of a command go: --sink, --format and --spool. */
#ifndef PORTSNOOP_SINK_OPTION_H
#define PORTSNOOP_SINK_OPTION_H

#include "lib/option.h"
#include "sink/sinks.h"
#include "stream/view.h"

/* What the sinks have to deliver what is on its way, when a stream has ended; what is kept
 * in a spool waits for the next time. A replay has nobody who stops it. */
#define SINKS_END_MS 5000
#define SINKS_END_REPLAY_MS 60000

struct sink_choice {
	struct sink_list list;
	const char *spool; /* NULL: not given */
};

option_setter sink_set_format; /* struct sink_list.format */

/* Entries for a command's option table; `type` is its options struct, `member` the
 * struct sink_choice in it. */
#define SINK_OPTIONS(type, member)                                                                 \
	OPTION("sink", 0, "SPEC",                                                                  \
	       "send the events there, KIND[:TARGET][,NAME=VALUE]...: stdout, file:PATH, "         \
	       "unix:PATH, tcp:HOST:PORT, syslog, journald, otlp:URL, clickhouse:URL; may be "     \
	       "given more than once",                                                             \
	       sink_list_set, type, member.list, .adds_up = true, .secret = true,                  \
	       .values = "stdout file: unix: tcp: syslog syslog:unix: syslog:udp: syslog:tcp: "    \
			 "journald otlp: clickhouse:"),                                            \
		OPTION("format", 0, "FORMAT",                                                      \
		       "of the sinks that have no format= of their own: ecs (the default), otlp, " \
		       "ocsf or csv",                                                              \
		       sink_set_format, type, member.list.format, .values = "ecs otlp ocsf csv"),  \
		OPTION("spool", 0, "DIR", "keep there what a sink cannot deliver yet",             \
		       option_string, type, member.spool)

/*
 * For a command that shows what no sink gets: with a sink, the view has no output of its own,
 * and options of it are refused; without, --format is what -o is, and fields are only for a
 * format that leaves the choice. Exits with a message. To be called before
 * view_options_settle().
 */
void sink_choice_settle(const struct command *command, const struct sink_choice *choice,
			struct view_options *view);

/* They start, or it is said why not: 0, with *sinks NULL if none is wanted, or negative
 * errno. */
int sink_choice_open(const struct sink_choice *choice, bool wait, struct sinks **sinks);

/* The same sinks with the same options. */
bool sink_choice_same(const struct sink_choice *a, const struct sink_choice *b);

#endif
