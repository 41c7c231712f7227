/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What people write of a destination:
 *
 *	KIND[:TARGET][,NAME=VALUE]...
 *
 *	stdout
 *	file:/var/log/portsnoop/events.json,rotate-size=100M,keep=5
 *	tcp:logs.example.org:5170,format=ocsf
 *	otlp:https://collector.example.org:4318/v1/logs,header-file=/etc/portsnoop/token
 *
 * A comma ends the target; one that belongs to it is written %2C.
 */
#ifndef PORTSNOOP_SINK_SPEC_H
#define PORTSNOOP_SINK_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/format.h"

enum sink_kind {
	SINK_STDOUT,
	SINK_FILE,
	SINK_UNIX,
	SINK_TCP,
	SINK_SYSLOG,
	SINK_JOURNALD,
	SINK_OTLP,
	SINK_CLICKHOUSE,
	SINK_KINDS
};

enum sink_scheme { SCHEME_UNIX, SCHEME_UDP, SCHEME_TCP };

#define SPOOL_MOST (256ull << 20) /* usual limit of a spool */

struct sink_spec {
	enum sink_kind kind;
	char *text;   /* as written */
	char *name;   /* KIND:TARGET without passwords: for messages, metrics, and the spool */
	char *target; /* behind the kind; "" if there is none */
	/* Of the target, by kind: */
	char *path;		 /* file, unix, syslog:unix:, journald:; NULL: the usual one */
	char *host, *port;	 /* tcp, syslog:udp:, syslog:tcp:; of a URL as well */
	enum sink_scheme scheme; /* syslog */
	char *url;		 /* otlp, clickhouse: without user, password and query */
	char *user, *password;	 /* of a URL; NULL: none */
	char *table;		 /* clickhouse: DATABASE.TABLE, ?table=; else portsnoop.events */
	/* Options */
	const struct format_ops *format; /* NULL: the kind's own, or the command's --format */
	bool args;			 /* arguments of processes, too */
	uint64_t spool;			 /* spool=: bytes; 0: none */
	uint64_t rotate_size;		 /* file: bytes; 0: never */
	uint64_t rotate_age;		 /* file: ns; 0: never */
	uint64_t keep;			 /* file: old files; the rest is removed */
	char *ca;			 /* ca=: a file with certificates; NULL: the system's */
	char *headers;			 /* header-file=: lines NAME: VALUE for each request */
};

/* All that were given. */
struct sink_list {
	struct sink_spec *specs;
	size_t count;
	const struct format_ops *format; /* --format */
	char *expected;			 /* words for one that is wrong */
};

#define SINKS_MOST 16

/* A setter as option.h has it; the target is a sink_list. Two with the same name are an error. */
int sink_list_set(const char *argument, void *target, const char **expected);
void sink_list_free(struct sink_list *list);

bool sink_is_remote(const struct sink_spec *spec); /* leaves this machine: no arguments unless
						     * asked for */
const char *sink_kind_name(enum sink_kind kind);

#endif
