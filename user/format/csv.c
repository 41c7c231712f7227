/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * CSV, quoted as RFC 4180 says; lines end as text does on this system. The events
 * of the stream about itself are left out, except a loss: a row that is missing
 * must not go unnoticed.
 */
#include <stdlib.h>

#include "format/csv.h"
#include "format/cut.h"
#include "format/plain.h"

struct format {
	struct second_cache cache;
	struct buffer cell;
	size_t line_most;
	unsigned int count;
	const struct field *fields[];
};

static const char *const usual[] = {
	"@timestamp",
	"event.action",
	"event.outcome",
	"error.code",
	"event.duration",
	"network.transport",
	"portsnoop.local.ip",
	"portsnoop.local.port",
	"portsnoop.requested.ip",
	"portsnoop.requested.port",
	"destination.ip",
	"destination.port",
	"portsnoop.origin",
	"portsnoop.class.iana",
	"portsnoop.class.service",
	"portsnoop.class.in_pool",
	"process.pid",
	"process.name",
	"process.executable",
	"process.user.name",
	"container.id",
	"portsnoop.unit",
	"portsnoop.lost.count",
	"portsnoop.blocked_by",
	/* format_options.named: */
	"event.id",
	"host.name",
};

#define NAMED (sizeof(usual) / sizeof(usual[0]))
#define USUAL (NAMED - 2)

static struct format *csv_open(const struct format_options *options)
{
	unsigned int count = options->fields  ? options->field_count
			     : options->named ? NAMED
					      : USUAL;
	struct format *format = calloc(1, sizeof(*format) + count * sizeof(format->fields[0]));

	if (!format)
		return NULL;
	format->line_most = options->line_most;
	for (unsigned int i = 0; i < count; i++) {
		const struct field *field = options->fields
						    ? options->fields[i]
						    : field_find(usual[i], strlen(usual[i]));

		if (!field->secret || !options->no_args)
			format->fields[format->count++] = field;
	}
	return format;
}

static void csv_close(struct format *format)
{
	if (!format)
		return;
	buffer_free(&format->cell);
	free(format);
}

void csv_cell(struct buffer *out, const struct buffer *cell)
{
	const char *bytes = cell->data;
	size_t length = cell->length;
	bool quoted;

	if (cell->failed)
		out->failed = true;
	if (!length)
		return;
	quoted = bytes[0] == ' ' || bytes[length - 1] == ' ';
	for (size_t i = 0; i < length && !quoted; i++)
		quoted = bytes[i] == ',' || bytes[i] == '"';
	if (!quoted) {
		buffer_append(out, bytes, length);
		return;
	}
	buffer_byte(out, '"');
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] == '"')
			buffer_byte(out, '"');
		buffer_byte(out, bytes[i]);
	}
	buffer_byte(out, '"');
}

static void csv_begin(struct format *format, struct buffer *out)
{
	for (unsigned int i = 0; i < format->count; i++) {
		if (i)
			buffer_byte(out, ',');
		buffer_text(out, format->fields[i]->path);
	}
	buffer_byte(out, '\n');
}

/* So that the cell takes `most` bytes with its quotes, and each quote in it twice. */
static void cell_cut(struct buffer *cell, size_t most)
{
	if (cell->failed || cell->length + 2 <= most / 2)
		return;
	most = most > 2 ? most - 2 : 0;
	cut_plain(cell, 0, memchr(cell->data, '"', cell->length) ? most / 2 : most);
}

/* `cut` NULL: nothing is. */
static void row_write(struct format *format, const struct event *event, struct buffer *out,
		      struct cut *cut)
{
	struct field_scratch scratch;

	for (unsigned int i = 0; i < format->count; i++) {
		const struct field *field = format->fields[i];
		struct value value = field_value(field, event, &scratch);
		size_t start;

		if (i)
			buffer_byte(out, ',');
		start = out->length;
		buffer_reset(&format->cell);
		value_plain(&format->cell, &value, &format->cache);
		if (cut && field->cut)
			cell_cut(&format->cell, cut->most);
		csv_cell(out, &format->cell);
		if (cut && field->cut)
			cut_measure(cut, field, out->length - start);
	}
	buffer_byte(out, '\n');
}

static void csv_event(struct format *format, const struct event *event, struct buffer *out)
{
	size_t start = out->length;

	if (!event->socket && event->action != EVENT_LOST)
		return;
	row_write(format, event, out, NULL);
	cut_check(format, event, out, start, format->line_most, row_write);
}

const struct format_ops format_csv = {
	.name = "csv",
	.help = "comma-separated values with a heading",
	.open = csv_open,
	.begin = csv_begin,
	.event = csv_event,
	.close = csv_close,
};
