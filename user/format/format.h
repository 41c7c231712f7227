/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How an event becomes bytes. A format knows nothing of where they go. */
#ifndef PORTSNOOP_FORMAT_H
#define PORTSNOOP_FORMAT_H

#include "lib/buffer.h"
#include "model/field.h"

struct format;

struct format_options {
	const struct field *const
		*fields; /* what to show, in order; NULL: the format's own choice */
	unsigned int field_count;
	unsigned int width; /* columns of the terminal; 0: unlimited (not a terminal) */
	bool color;
};

struct format_ops {
	const char *name; /* "json", "csv", "table" */
	const char *help;
	struct format *(*open)(const struct format_options *options); /* NULL without memory */
	/* Once, before the first event; the heading, if there is one. */
	void (*begin)(struct format *format, struct buffer *out);
	/* Appends one event, or nothing (a table leaves out stream-start). */
	void (*event)(struct format *format, const struct event *event, struct buffer *out);
	void (*close)(struct format *format);
};

extern const struct format_ops format_json, format_csv, format_table;
const struct format_ops *format_find(const char *name);

#endif
