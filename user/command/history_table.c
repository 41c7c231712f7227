/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For people. On a terminal no line is wider than it: columns that it has no room for are
 * left out, the others shrink and their cells are cut. Elsewhere nothing is cut, and every
 * time has its date: who reads a file may do so on another day.
 */
#include <string.h>
#include <time.h>

#include "command/history_view.h"
#include "format/cell.h"
#include "lib/escape.h"
#include "model/text.h"

#define COLOR_RED "\033[31m"
#define COLOR_WARNING "\033[1;33m"
#define COLOR_BOLD "\033[1m"
#define COLOR_DIM "\033[2m"
#define COLOR_OFF "\033[0m"

#define ENDPOINT_WIDTH 47 /* the longest IPv6 address with a port */
#define TIME_LONG 19	  /* 2026-11-20 14:32:07 */
#define TIME_SHORT 15	  /* Nov 20 14:32:07 */
#define TIME_TODAY 8
#define TIME_ROOM 32
#define CONTAINER_SHORT 12

enum { CLAIMED, HOST, HELD, PID, COMM, PROTO, LOCAL, REMOTE, RESULT, TIME_WAIT, OWNER, UNIT };

static const struct column {
	const char *heading;
	uint8_t width, least;
	uint8_t spared; /* the highest one is left out first; 0: never */
	bool right, tail;
} columns[HISTORY_COLUMNS] = {
	[CLAIMED] = {"CLAIMED", TIME_LONG, TIME_SHORT, 0, true, false},
	[HOST] = {"HOST", 12, 6, 0, false, false},
	[HELD] = {"HELD", 9, 8, 0, false, false},
	[PID] = {"PID", 7, 7, 0, true, false},
	[COMM] = {"COMM", 15, 8, 0, false, false},
	[PROTO] = {"PROTO", 5, 5, 0, false, false},
	[LOCAL] = {"LOCAL", 21, 14, 0, false, true},
	[REMOTE] = {"REMOTE", 21, 14, 1, false, true},
	[RESULT] = {"RESULT", 13, 11, 0, false, false},
	[TIME_WAIT] = {"TIME-WAIT", 9, 9, 3, false, false},
	[OWNER] = {"USER", 8, 8, 4, false, false},
	[UNIT] = {"UNIT/CONTAINER", 20, 14, 2, false, false},
};

/* ---- times ---- */

static bool local_time(int64_t ns, struct tm *local)
{
	uint32_t rest;
	time_t second = (time_t)text_split(ns, &rest);

	return localtime_r(&second, local);
}

/* `brief`: as short as it can be told apart from other times; else with its date. */
static void time_put(struct buffer *out, int64_t ns, int64_t now, bool brief)
{
	struct tm then, today;
	char text[TIME_ROOM];
	const char *format = "%Y-%m-%d %H:%M:%S";

	if (!local_time(ns, &then) || !local_time(now, &today)) {
		buffer_byte(out, '?');
		return;
	}
	if (brief && then.tm_year != today.tm_year)
		format = "%Y-%m-%d %H:%M";
	else if (brief)
		format = then.tm_yday == today.tm_yday ? "%H:%M:%S" : "%b %d %H:%M:%S";
	buffer_append(out, text, strftime(text, sizeof(text), format, &then));
}

static void view_time_put(struct buffer *out, const struct history_view *view, int64_t ns)
{
	time_put(out, ns, view->now, view->width != 0);
}

/* ---- columns ---- */

static unsigned int widths_total(const unsigned int *widths)
{
	unsigned int total = 0;

	for (int i = 0; i < HISTORY_COLUMNS; i++)
		total += widths[i] ? widths[i] + 1 : 0;
	return total - 1;
}

/* Leaves out columns until the others fit with the least of their widths, then gives back
 * what is left, endpoints last. */
static void widths_fit(struct history_view *view)
{
	unsigned int *widths = view->widths;
	bool grown = true;

	for (int i = 0; i < HISTORY_COLUMNS; i++)
		widths[i] = view->width ? columns[i].least : columns[i].width;
	if (!view->hosts)
		widths[HOST] = 0;
	if (!view->width)
		return;
	for (int spared = 4; spared && widths_total(widths) > view->width; spared--)
		for (int i = 0; i < HISTORY_COLUMNS; i++)
			if (columns[i].spared == spared)
				widths[i] = 0;
	for (int round = 0; round < 2; round++, grown = true) {
		while (grown) {
			grown = false;
			for (int i = 0; i < HISTORY_COLUMNS; i++) {
				unsigned int most = i == CLAIMED ? TIME_SHORT + 1
								 : columns[i].width;

				if (round && columns[i].tail)
					most = ENDPOINT_WIDTH;
				if (!widths[i] || widths[i] >= most ||
				    widths_total(widths) >= view->width)
					continue;
				widths[i]++;
				grown = true;
			}
		}
	}
}

/* The last column that there is. */
static int widths_last(const struct history_view *view)
{
	int last = HISTORY_COLUMNS - 1;

	while (last && !view->widths[last])
		last--;
	return last;
}

/* *left: columns of the terminal that are free. */
static void cell_put(const struct history_view *view, int index, const char *bytes, size_t length,
		     unsigned int *left, struct buffer *out)
{
	const struct column *column = &columns[index];
	bool last = index == widths_last(view);
	unsigned int width = view->widths[index];

	if (!width)
		return;
	if (!view->width) {
		/* nothing is cut: a long cell moves the rest of its row */
		if (cell_columns(bytes, length) > width)
			width = 0;
		if (index)
			buffer_byte(out, ' ');
		cell_fit(out, bytes, length, width, column->right, column->tail, last);
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
	if (width > *left)
		width = *left;
	if (!width)
		return;
	cell_fit(out, bytes, length, width, column->right, column->tail, last);
	*left -= width;
}

static void table_begin(struct history_view *view, struct buffer *out)
{
	unsigned int left = view->width;

	widths_fit(view);
	tzset(); /* localtime_r() need not look at TZ */
	if (view->color)
		buffer_text(out, COLOR_BOLD);
	for (int i = 0; i < HISTORY_COLUMNS; i++)
		cell_put(view, i, columns[i].heading, strlen(columns[i].heading), &left, out);
	if (view->color)
		buffer_text(out, COLOR_OFF);
	buffer_byte(out, '\n');
}

/* ---- rows ---- */

static void unit_put(struct buffer *out, const struct history_process *process)
{
	if (!process->container.length) {
		history_text_put(out, &process->unit);
		return;
	}
	if (process->runtime.length) {
		history_text_put(out, &process->runtime);
		buffer_byte(out, ':');
	}
	buffer_append(out, process->container.data,
		      process->container.length < CONTAINER_SHORT ? process->container.length
								  : CONTAINER_SHORT);
}

/* Raw: to be escaped. The process is the claimant, or nobody. */
static void column_put(struct buffer *out, const struct history_view *view, int index,
		       const struct history_row *row)
{
	bool known = row->process.pid && !history_predates(row);

	switch (index) {
	case CLAIMED:
		if (history_predates(row))
			buffer_text(out, "unknown");
		else
			view_time_put(out, view, row->time);
		break;
	case HOST:
		history_text_put(out, &row->host);
		break;
	case HELD:
		history_held_put(out, row);
		break;
	case PID:
		if (known)
			buffer_unsigned(out, row->process.pid);
		break;
	case COMM:
		if (known)
			history_text_put(out, &row->process.comm);
		break;
	case PROTO:
		history_protocol_put(out, row);
		break;
	case LOCAL:
		history_local_put(out, row);
		break;
	case REMOTE:
		history_remote_put(out, row);
		break;
	case RESULT:
		history_result_put(out, row);
		break;
	case TIME_WAIT:
		history_time_wait_put(out, row);
		break;
	case OWNER:
		if (known && row->process.user.length)
			history_text_put(out, &row->process.user);
		else if (known && row->process.has_uid)
			buffer_unsigned(out, row->process.uid);
		break;
	case UNIT:
		if (known)
			unit_put(out, &row->process);
		break;
	}
}

/* What the columns have no room for. Raw. */
static void detail_put(struct buffer *out, const struct history_view *view,
		       const struct history_row *row)
{
	if (history_predates(row)) {
		buffer_text(out, "held since before ");
		view_time_put(out, view, row->time);
		if (row->process.pid) {
			buffer_text(out, " by ");
			history_process_put(out, &row->process);
		}
		buffer_text(out, ", claimant unknown");
	} else if (row->kind == HISTORY_FAILURE && row->blocked_count) {
		buffer_text(out, "held by ");
		history_blocked_put(out, row);
	}
}

static const char *row_color(const struct history_view *view, const struct history_row *row)
{
	if (!view->color)
		return NULL;
	if (row->kind == HISTORY_GAP)
		return COLOR_WARNING;
	if (row->kind == HISTORY_FAILURE || row->outcome == STORE_FAILED)
		return COLOR_RED;
	return history_is(&row->origin, "kernel") ? COLOR_DIM : NULL;
}

/* Escapes what is in view->raw. */
static const struct buffer *cell_escape(struct history_view *view)
{
	buffer_reset(&view->cell);
	escape_plain(&view->cell, view->raw.data, view->raw.length);
	view->cell.failed |= view->raw.failed;
	return &view->cell;
}

/* Behind the row that began at `start`, or on a line of its own. */
static void detail_write(struct history_view *view, const struct history_row *row, size_t start,
			 struct buffer *out)
{
	const unsigned int indent = TIME_SHORT + 2;
	const struct buffer *text;
	unsigned int wanted;

	buffer_reset(&view->raw);
	detail_put(&view->raw, view, row);
	text = cell_escape(view);
	out->failed |= text->failed;
	if (!text->length || out->failed)
		return;
	wanted = cell_columns(out->data + start, out->length - start) + 2 +
		 cell_columns(text->data, text->length);
	if (!view->width || wanted <= view->width) {
		buffer_text(out, "  ");
		buffer_append(out, text->data, text->length);
		return;
	}
	if (view->width <= indent)
		return;
	buffer_byte(out, '\n');
	cell_spaces(out, indent);
	cell_fit(out, text->data, text->length, view->width - indent, false, false, true);
}

static void line_write(struct history_view *view, const struct history_row *row, struct buffer *out)
{
	unsigned int left = view->width;
	size_t start = out->length;

	for (int i = 0; i < HISTORY_COLUMNS; i++) {
		const struct buffer *cell;

		buffer_reset(&view->raw);
		column_put(&view->raw, view, i, row);
		if (!view->raw.length)
			buffer_byte(&view->raw, '-'); /* an empty cell would shift the eye */
		cell = cell_escape(view);
		out->failed |= cell->failed;
		if (out->failed)
			return;
		cell_put(view, i, cell->data, cell->length, &left, out);
	}
	detail_write(view, row, start, out);
}

/* "-- nothing recorded from 14:02:11 to 14:05:00 (2m49s): portsnoop was killed --" */
static void gap_words(const struct history_view *view, const struct history_row *row,
		      struct buffer *line)
{
	struct buffer why = BUFFER_EMPTY;

	buffer_text(line, "-- ");
	if (view->hosts) {
		history_text_put(line, &row->host);
		buffer_text(line, ": ");
	}
	history_gap_put(line, &why, row);
	if (row->gap == -2) {
		buffer_text(line, " before ");
		view_time_put(line, view, row->until);
	} else if (row->until == INT64_MAX) {
		buffer_text(line, " since ");
		view_time_put(line, view, row->time);
	} else if (row->until == row->time) {
		buffer_text(line, " at ");
		view_time_put(line, view, row->time);
	} else {
		bool back = row->until < row->time;
		uint64_t a = (uint64_t)row->time, b = (uint64_t)row->until;

		buffer_text(line, " from ");
		view_time_put(line, view, row->time);
		buffer_text(line, " to ");
		view_time_put(line, view, row->until);
		buffer_text(line, " (");
		history_duration_put(line, back ? a - b : b - a);
		buffer_text(line, back ? " back)" : ")");
	}
	if (why.length) {
		buffer_text(line, ": ");
		buffer_append(line, why.data, why.length);
	}
	buffer_text(line, " --");
	line->failed |= why.failed;
	buffer_free(&why);
}

static void table_row(struct history_view *view, const struct history_row *row, struct buffer *out)
{
	const char *color = row_color(view, row);
	const struct buffer *line;

	if (color)
		buffer_text(out, color);
	if (row->kind == HISTORY_GAP) {
		buffer_reset(&view->raw);
		gap_words(view, row, &view->raw);
		line = cell_escape(view);
		out->failed |= line->failed;
		if (!out->failed)
			cell_fit(out, line->data, line->length, view->width, false, false, true);
	} else {
		line_write(view, row, out);
	}
	if (color)
		buffer_text(out, COLOR_OFF);
	buffer_byte(out, '\n');
}

const struct history_format history_table = {
	.name = "table",
	.begin = table_begin,
	.row = table_row,
};
