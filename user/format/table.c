/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For people. On a terminal no line is wider than it: the columns shrink to what
 * they need at least, then cells are cut with an ellipsis, an endpoint at its
 * start, because the port is at its end. Elsewhere nothing is cut.
 */
#include <stdlib.h>
#include <time.h>

#include "format/cell.h"
#include "format/plain.h"

#define ENDPOINT_WIDTH 47 /* the longest IPv6 address with a port */
#define CLOCK 12	  /* HH:MM:SS.mmm */

#define COLOR_RED "\033[31m"
#define COLOR_WARNING "\033[1;33m"
#define COLOR_BOLD "\033[1m"
#define COLOR_DIM "\033[2m"
#define COLOR_OFF "\033[0m"

struct column {
	const struct field *field;
	const char *heading;
	unsigned int width;
};

struct format {
	struct second_cache cache;
	struct buffer cell;
	int64_t second; /* that `clock` shows; local time */
	bool clock_valid;
	char clock[CLOCK];
	unsigned int width; /* 0: unlimited */
	bool color;
	/* What the usual columns have no room for: behind them, or on a line of its own. */
	const struct field *detail;
	unsigned int count;
	struct column columns[];
};

static const char *const usual[] = {
	"@timestamp", "verb",	"process.pid", "process.name", "protocol",
	"local",      "remote", "result",      "class",
};

#define USUAL (sizeof(usual) / sizeof(usual[0]))
#define DETAIL "portsnoop.blocked_by"
#define DETAIL_WORDS "held by "

static unsigned int columns_total(const struct format *format)
{
	unsigned int total = format->count ? format->count - 1 : 0;

	for (unsigned int i = 0; i < format->count; i++)
		total += format->columns[i].width;
	return total;
}

static unsigned int column_slack(const struct column *column)
{
	unsigned int least = column->field->least;

	return least && column->width > least ? column->width - least : 0;
}

/* Takes from where most can be taken, and gives to the endpoints. */
static void columns_fit(struct format *format)
{
	unsigned int total = columns_total(format);
	bool grown = true;

	while (total > format->width) {
		struct column *widest = &format->columns[0];

		for (unsigned int i = 1; i < format->count; i++)
			if (column_slack(&format->columns[i]) > column_slack(widest))
				widest = &format->columns[i];
		if (!column_slack(widest))
			break;
		widest->width--;
		total--;
	}
	while (grown) {
		grown = false;
		for (unsigned int i = 0; i < format->count && total < format->width; i++) {
			struct column *column = &format->columns[i];

			if (!column->field->tail || column->width >= ENDPOINT_WIDTH)
				continue;
			column->width++;
			total++;
			grown = true;
		}
	}
}

static struct format *table_open(const struct format_options *options)
{
	unsigned int count = options->fields ? options->field_count : USUAL;
	struct format *format = calloc(1, sizeof(*format) + count * sizeof(format->columns[0]));

	if (!format)
		return NULL;
	format->width = options->width;
	format->color = options->color;
	for (unsigned int i = 0; i < count; i++) {
		const struct field *field = options->fields
						    ? options->fields[i]
						    : field_find(usual[i], strlen(usual[i]));
		struct column *column = &format->columns[format->count];

		if (field->secret && options->no_args)
			continue;
		format->count++;
		column->field = field;
		column->heading = column->field->column ? column->field->column
							: column->field->path;
		column->width = column->field->width;
		if (column->width < strlen(column->heading))
			column->width = (unsigned int)strlen(column->heading);
	}
	if (!options->fields)
		format->detail = field_find(DETAIL, strlen(DETAIL));
	if (format->width)
		columns_fit(format);
	tzset(); /* localtime_r() need not look at TZ */
	return format;
}

static void table_close(struct format *format)
{
	if (!format)
		return;
	buffer_free(&format->cell);
	free(format);
}

/* One cell of a row. *left: columns of the terminal that are free; the row is full
 * when it is 0. */
static void cell_add(struct format *format, unsigned int index, const char *bytes, size_t length,
		     unsigned int *left, struct buffer *out)
{
	const struct column *column = &format->columns[index];
	bool last = index + 1 == format->count;
	unsigned int width = column->width;

	if (!format->width) {
		/* nothing is cut: a long cell moves the rest of its row */
		if (cell_columns(bytes, length) > width)
			width = 0;
		if (index)
			buffer_byte(out, ' ');
		cell_fit(out, bytes, length, width, column->field->right, column->field->tail,
			 last);
		return;
	}
	if (index) {
		if (*left < 2) {
			*left = 0;
			return;
		}
		buffer_byte(out, ' ');
		--*left;
	}
	if (last || width > *left)
		width = *left;
	if (!width)
		return;
	/* what the last column may take beyond its width, it does not align to */
	cell_fit(out, bytes, length, width, column->field->right && !last, column->field->tail,
		 last);
	*left -= width;
}

static void table_begin(struct format *format, struct buffer *out)
{
	unsigned int left = format->width;

	if (format->color)
		buffer_text(out, COLOR_BOLD);
	for (unsigned int i = 0; i < format->count; i++)
		cell_add(format, i, format->columns[i].heading, strlen(format->columns[i].heading),
			 &left, out);
	if (format->color)
		buffer_text(out, COLOR_OFF);
	buffer_byte(out, '\n');
}

/* HH:MM:SS.mmm of the local time zone */
static void clock_write(struct format *format, struct buffer *out, int64_t ns)
{
	uint32_t rest;
	int64_t second = text_split(ns, &rest);

	if (!format->clock_valid || format->second != second) {
		time_t time = (time_t)second;
		struct tm local = {0};
		char *to = format->clock;

		localtime_r(&time, &local);
		to = text_digits(to, (uint32_t)local.tm_hour, 2);
		*to++ = ':';
		to = text_digits(to, (uint32_t)local.tm_min, 2);
		*to++ = ':';
		to = text_digits(to, (uint32_t)local.tm_sec, 2);
		*to++ = '.';
		format->second = second;
		format->clock_valid = true;
	}
	text_digits(format->clock + CLOCK - 3, rest / 1000000, 3);
	buffer_append(out, format->clock, CLOCK);
}

static void gap_write(struct format *format, const struct event *event, struct buffer *out)
{
	const struct event_gap *gap = event->gap;
	struct buffer *line = &format->cell;
	char number[TEXT_UNSIGNED];

	buffer_reset(line);
	buffer_text(line, "!! ");
	buffer_append(line, number, (size_t)(text_unsigned(number, gap->count) - number));
	buffer_text(line, gap->count == 1 ? " record lost" : " records lost");
	if (gap->cpu != EVENT_CPU_UNKNOWN) {
		buffer_text(line, " on CPU ");
		buffer_unsigned(line, gap->cpu);
	}
	if (gap->after) {
		buffer_text(line, " between ");
		clock_write(format, line, stream_wall_time(event->stream, gap->after));
		buffer_text(line, " and ");
	} else {
		buffer_text(line, " before ");
	}
	clock_write(format, line, event->wall_time);
	if (format->color)
		buffer_text(out, COLOR_WARNING);
	if (line->failed)
		out->failed = true;
	cell_fit(out, line->data, line->length, format->width, false, false, true);
	if (format->color)
		buffer_text(out, COLOR_OFF);
	buffer_byte(out, '\n');
}

static const char *row_color(const struct format *format, const struct event *event)
{
	if (!format->color)
		return NULL;
	if (event->outcome == EVENT_FAILURE)
		return COLOR_RED;
	if (event->action == EVENT_LISTEN)
		return COLOR_BOLD;
	return event->socket->origin == WIRE_ORIGIN_KERNEL ? COLOR_DIM : NULL;
}

/* `row`: where it began in `out`. */
static void detail_write(struct format *format, const struct event *event, size_t row,
			 struct buffer *out)
{
	struct buffer *text = &format->cell;
	unsigned int indent = CLOCK + 1, columns, row_columns;
	struct field_scratch scratch;
	struct value value;

	if (!format->detail)
		return;
	value = field_value(format->detail, event, &scratch);
	buffer_reset(text);
	value_plain(text, &value, &format->cache);
	if (text->failed)
		out->failed = true;
	if (!text->length || out->failed)
		return;
	columns = (unsigned int)strlen(DETAIL_WORDS) + cell_columns(text->data, text->length);
	row_columns = cell_columns(out->data + row, out->length - row);
	if (!format->width || row_columns + 2 + columns <= format->width) {
		buffer_text(out, "  " DETAIL_WORDS);
		buffer_append(out, text->data, text->length);
		return;
	}
	if (format->width <= indent + strlen(DETAIL_WORDS))
		return;
	buffer_byte(out, '\n');
	cell_spaces(out, indent);
	buffer_text(out, DETAIL_WORDS);
	cell_fit(out, text->data, text->length,
		 format->width - indent - (unsigned int)strlen(DETAIL_WORDS), false, false, true);
}

static void table_event(struct format *format, const struct event *event, struct buffer *out)
{
	struct buffer *cell = &format->cell;
	unsigned int left = format->width;
	struct field_scratch scratch;
	const char *color;
	size_t row;

	if (event->action == EVENT_LOST) {
		gap_write(format, event, out);
		return;
	}
	if (!event->socket)
		return;
	color = row_color(format, event);
	if (color)
		buffer_text(out, color);
	row = out->length;
	for (unsigned int i = 0; i < format->count; i++) {
		struct value value = field_value(format->columns[i].field, event, &scratch);

		buffer_reset(cell);
		if (value.kind == VALUE_TIME)
			clock_write(format, cell, value.integer);
		else
			value_plain(cell, &value, &format->cache);
		if (!cell->length)
			buffer_byte(cell, '-'); /* an empty cell would shift the eye */
		if (cell->failed) {
			out->failed = true;
			return;
		}
		cell_add(format, i, cell->data, cell->length, &left, out);
	}
	detail_write(format, event, row, out);
	if (color)
		buffer_text(out, COLOR_OFF);
	buffer_byte(out, '\n');
}

const struct format_ops format_table = {
	.name = "table",
	.help = "columns for people",
	.open = table_open,
	.begin = table_begin,
	.event = table_event,
	.close = table_close,
};
