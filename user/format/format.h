/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How an event becomes bytes. A format knows nothing of where they go. */
#ifndef PORTSNOOP_FORMAT_H
#define PORTSNOOP_FORMAT_H

#include "lib/buffer.h"
#include "model/field.h"

struct format;

#define FORMAT_LINE (16u << 10)

struct format_options {
	const struct field *const
		*fields; /* what to show, in order; NULL: the format's own choice */
	unsigned int field_count;
	unsigned int width; /* columns of the terminal; 0: unlimited (not a terminal) */
	bool color;
	bool no_args;	  /* leaves out arguments of processes: they can hold secrets */
	bool named;	  /* for who collects: the format's own choice has the event's id and the
			   * host as well, by which what comes twice is known */
	size_t line_most; /* bytes of a line, its newline included: what is too long in it is
			   * cut, and marked (format/cut.h); FORMAT_LINE, or more, as what must
			   * not be cut has to fit; 0: no limit */
};

struct format_ops {
	const char *name; /* "ecs" (also "json"), "csv", "table", "otlp", "ocsf" */
	const char *help;
	bool fixed; /* shows what its schema wants: format_options.fields is not for it */
	struct format *(*open)(const struct format_options *options); /* NULL without memory */
	/* Once, before the first event; the heading, if there is one. */
	void (*begin)(struct format *format, struct buffer *out);
	/* Appends one event, or nothing (a table leaves out stream-start). */
	void (*event)(struct format *format, const struct event *event, struct buffer *out);
	void (*close)(struct format *format);
};

extern const struct format_ops format_json, format_csv, format_table, format_ocsf;
/* One request of OTLP/HTTP in JSON a line, as the collector's file exporter writes it; and
 * for format/otlp_request.h the records of one event each. */
extern const struct format_ops format_otlp, format_otlp_record;
/* For journald: one datagram of its native protocol. For ClickHouse: JSONEachRow. */
extern const struct format_ops format_journal, format_row;
const struct format_ops *format_find(const char *name); /* NULL: there is none */

/* Whether the field is to be in a line: chosen, or none is and it is for machines; and not
 * among what is to be left out. */
bool format_shows(const struct format_options *options, const struct field *field);

#endif
