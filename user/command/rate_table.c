/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "command/rate.h"
#include "format/cell.h"
#include "lib/cleanup.h"
#include "lib/escape.h"

#define COLOR_RED "\033[31m"
#define COLOR_WARNING "\033[33m"
#define COLOR_BOLD "\033[1m"
#define COLOR_DIM "\033[2m"
#define COLOR_OFF "\033[0m"

#define LEFT_OUT "no room for the columns "

enum {
	NAME,
	KERNEL,
	REQUESTED,
	FAILS,
	FAILED,
	RELEASED,
	TIME_WAITS,
	HELD,
	TOTAL,
	HISTORY,
	ERRORS,
	COLUMNS
};

static const struct {
	const char *heading;
	unsigned int least; /* columns of the terminal */
	unsigned int most;
	unsigned int spared; /* where there is no room for all, the greatest goes first; 0: stays */
	bool right;
} columns[COLUMNS] = {
	[NAME] = {"", 19, 60, 0, false},	[KERNEL] = {"KERNEL/s", 8, 8, 0, true},
	[REQUESTED] = {"REQ/s", 7, 7, 3, true}, [FAILS] = {"FAIL/s", 7, 7, 0, true},
	[FAILED] = {"FAILED", 7, 7, 7, true},	[RELEASED] = {"REL/s", 7, 7, 5, true},
	[TIME_WAITS] = {"TW/s", 7, 7, 4, true}, [HELD] = {"HELD", 7, 7, 1, true},
	[TOTAL] = {"TOTAL", 8, 8, 0, true},	[HISTORY] = {"HISTORY", 10, RATE_HISTORY, 2, false},
	[ERRORS] = {"ERROR", 18, 22, 6, false},
};

static const char *const headings[RATE_BYS] = {
	[RATE_PROCESS] = "PROCESS",
	[RATE_COMM] = "PROCESS NAME",
	[RATE_UNIT] = "UNIT",
	[RATE_CONTAINER] = "CONTAINER",
	[RATE_USER] = "USER",
	[RATE_DESTINATION] = "DESTINATION",
	[RATE_PORT_CLASS] = "PORT-CLASS",
	[RATE_NETNS] = "NETNS",
};

struct table {
	const struct rate_view *view;
	struct buffer *out;
	unsigned int widths[COLUMNS]; /* 0: there is no room for this column */
	unsigned int last;
	struct buffer name; /* scratch, also below */
	struct buffer cell;
};

/* ---- widths ---- */

static unsigned int widths_total(const struct table *table)
{
	unsigned int total = 0;

	for (unsigned int i = 0; i < COLUMNS; i++)
		total += table->widths[i] ? table->widths[i] + 1 : 0;
	return total - 1;
}

static void name_fill(struct table *table, const struct rate_group *group)
{
	buffer_reset(&table->name);
	buffer_reset(&table->cell);
	rate_name(&table->name, table->view, group);
	escape_plain(&table->cell, table->name.data, table->name.length);
}

static unsigned int names_width(struct table *table)
{
	const struct rate_result *result = &table->view->result;
	unsigned int width = columns[NAME].least;

	for (size_t i = 0; i < result->count; i++) {
		unsigned int wanted;

		name_fill(table, result->rows[i]);
		wanted = cell_columns(table->cell.data, table->cell.length);
		width = wanted > width ? wanted : width;
	}
	return table->view->width && width > columns[NAME].most ? columns[NAME].most : width;
}

/* There is nothing to be said in it: by destination, or of one interval. */
static bool column_is_empty(const struct table *table, unsigned int column)
{
	return (column == REQUESTED && table->view->result.by == RATE_DESTINATION) ||
	       (column == HISTORY && table->view->once);
}

/* What is left goes to the names, then to the history, then to the errors. */
static void widths_fit(struct table *table)
{
	static const unsigned int growing[] = {NAME, HISTORY, ERRORS};
	const unsigned int width = table->view->width, names = names_width(table);
	const unsigned int most[] = {names, columns[HISTORY].most, columns[ERRORS].most};

	for (unsigned int i = 0; i < COLUMNS; i++)
		table->widths[i] = column_is_empty(table, i) ? 0 : columns[i].least;
	for (unsigned int spared = COLUMNS; width && spared; spared--)
		for (unsigned int i = 0; i < COLUMNS && widths_total(table) > width; i++)
			if (columns[i].spared == spared)
				table->widths[i] = 0;
	for (unsigned int i = 0; i < sizeof(growing) / sizeof(*growing); i++) {
		unsigned int *column = &table->widths[growing[i]];

		while (*column && *column < most[i] && (!width || widths_total(table) < width))
			++*column;
	}
	/* A terminal of next to nothing. */
	while (width && table->widths[NAME] > 1 && widths_total(table) > width)
		table->widths[NAME]--;
	for (unsigned int i = 0; i < COLUMNS; i++)
		if (table->widths[i])
			table->last = i;
}

/* ---- cells ---- */

/* In so many columns, never cut: "12345678", "123.4M". */
static void number_put(struct buffer *out, uint64_t number, unsigned int width)
{
	static const char units[] = "kMGTPE";
	double scaled = (double)number / 1000;
	size_t unit = 0;

	if (snprintf(NULL, 0, "%" PRIu64, number) <= (int)width) {
		buffer_unsigned(out, number);
		return;
	}
	while (scaled >= 999.95) {
		scaled /= 1000;
		unit++;
	}
	buffer_printf(out, "%.1f%c", scaled, units[unit]);
}

/* A second: small ones with a fraction, so that what happens seldom is not 0. */
static void speed_put(struct buffer *out, uint64_t number, uint64_t interval, unsigned int width)
{
	double speed = (double)number * 1e9 / (double)interval;

	if (number && speed < 0.1)
		buffer_text(out, "<0.1");
	else if (number && speed < 9.95)
		buffer_printf(out, "%.1f", speed);
	else
		number_put(out, (uint64_t)(speed + 0.5), width);
}

/* Scaled by the row's own highest: how much it is, the numbers say. The newest is on the
 * right. */
static void history_put(struct buffer *out, const float *history, unsigned int width)
{
	static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	const unsigned int count = width < RATE_HISTORY ? width : RATE_HISTORY;
	const float *shown = history + RATE_HISTORY - count;
	float most = 0;

	for (unsigned int i = 0; i < count; i++)
		most = shown[i] > most ? shown[i] : most;
	cell_spaces(out, width - count);
	for (unsigned int i = 0; i < count; i++) {
		unsigned int level = shown[i] > 0 ? (unsigned int)(shown[i] / most * 7.99f) : 0;

		buffer_text(out, shown[i] > 0 ? bars[level] : " ");
	}
}

/* The commonest errno of the claims that failed in the interval, and how often. */
static void error_put(struct buffer *out, const struct rate_errors *errors)
{
	const struct rate_error *top = NULL;

	for (size_t i = 0; i < errors->count; i++) {
		const struct rate_error *error = &errors->list[i];

		if (error->of == RATE_OF_CLAIM && rate_error_interval(error) &&
		    (!top || rate_error_interval(error) > rate_error_interval(top)))
			top = error;
	}
	if (!top)
		return;
	rate_error_name(out, top);
	buffer_printf(out, " %" PRIu64, rate_error_interval(top));
}

/* What has no group has neither history nor errors. */
static void cell_fill(struct table *table, unsigned int column, const struct rate_sum *sum,
		      const float *history, const struct rate_errors *errors)
{
	const struct rate_counts interval = rate_interval(sum);
	const uint64_t ns = table->view->result.interval;
	const unsigned int width = table->widths[column];
	struct buffer *out = &table->cell;

	switch (column) {
	case KERNEL:
	case REQUESTED:
		if (interval.unsplit && !interval.kernel && !interval.requested)
			buffer_byte(out, '?');
		else
			speed_put(out, column == KERNEL ? interval.kernel : interval.requested, ns,
				  width);
		break;
	case FAILS:
		speed_put(out, interval.failures, ns, width);
		break;
	case FAILED:
		number_put(out, interval.failures, width);
		break;
	case RELEASED:
		speed_put(out, interval.released, ns, width);
		break;
	case TIME_WAITS:
		speed_put(out, interval.time_waits, ns, width);
		break;
	case HELD:
		number_put(out,
			   rate_open(&sum->now) +
				   (table->view->estimated ? 0 : rate_lingering(&sum->now)),
			   width);
		break;
	case TOTAL:
		number_put(out, rate_claims(&sum->now), width);
		break;
	case HISTORY:
		if (history)
			history_put(out, history, width);
		break;
	case ERRORS:
		if (errors)
			error_put(out, errors);
		break;
	}
}

static void line_end(struct table *table, const char *color)
{
	if (color && table->view->color)
		buffer_text(table->out, COLOR_OFF);
	buffer_byte(table->out, '\n');
}

static void color_begin(struct table *table, const char *color)
{
	if (color && table->view->color)
		buffer_text(table->out, color);
}

/* Its name is in table->cell. */
static void row_put(struct table *table, const struct rate_sum *sum, const float *history,
		    const struct rate_errors *errors, const char *color)
{
	const struct rate_counts interval = rate_interval(sum);

	if (interval.failures)
		color = COLOR_RED;
	color_begin(table, color);
	for (unsigned int i = 0; i < COLUMNS; i++) {
		if (!table->widths[i])
			continue;
		if (i != NAME) {
			buffer_byte(table->out, ' ');
			buffer_reset(&table->cell);
			cell_fill(table, i, sum, history, errors);
		}
		cell_fit(table->out, table->cell.data, table->cell.length, table->widths[i],
			 columns[i].right, false, i == table->last);
	}
	line_end(table, color);
}

static void named_row_put(struct table *table, const char *name, const struct rate_sum *sum,
			  const struct rate_errors *errors, const char *color)
{
	buffer_reset(&table->cell);
	buffer_text(&table->cell, name);
	row_put(table, sum, NULL, errors, color);
}

/* ---- lines ---- */

/* One line, cut to the width of the terminal; in table->name, not escaped. */
static void words_put(struct table *table, const char *color)
{
	buffer_reset(&table->cell);
	escape_plain(&table->cell, table->name.data, table->name.length);
	color_begin(table, color);
	cell_fit(table->out, table->cell.data, table->cell.length, table->view->width, false, false,
		 true);
	line_end(table, color);
}

static void clock_put(struct buffer *out, int64_t wall)
{
	time_t seconds = wall / 1000000000;
	struct tm then;
	char text[16];

	if (localtime_r(&seconds, &then) && strftime(text, sizeof(text), "%H:%M:%S", &then))
		buffer_text(out, text);
}

static void title_put(struct table *table)
{
	const struct rate_view *view = table->view;
	const enum rate_by by = view->result.by;

	buffer_reset(&table->name);
	clock_put(&table->name, view->wall);
	buffer_printf(&table->name, "  claims by %s%s, ", rate_by_name(by),
		      by == RATE_DESTINATION ? ", kernel-chosen only" : "");
	rate_duration(&table->name, view->result.interval);
	if (!view->once) {
		buffer_text(&table->name, " of ");
		rate_duration(&table->name, view->result.since);
	}
	buffer_printf(&table->name, "  %s", tier_name(view->tier));
	words_put(table, NULL);
}

/* In the tracepoint tier TIME_WAIT is inferred, and its end is not seen. */
static const char *heading_of(const struct table *table, unsigned int column)
{
	if (column == NAME)
		return headings[table->view->result.by];
	if (column == TIME_WAITS && table->view->estimated)
		return "~TW/s";
	if (column == HELD && table->view->estimated)
		return "OPEN";
	return columns[column].heading;
}

static void headings_put(struct table *table)
{
	color_begin(table, COLOR_BOLD);
	for (unsigned int i = 0; i < COLUMNS; i++) {
		const char *heading = heading_of(table, i);

		if (!table->widths[i])
			continue;
		if (i)
			buffer_byte(table->out, ' ');
		cell_fit(table->out, heading, strlen(heading), table->widths[i], columns[i].right,
			 false, i == table->last);
	}
	line_end(table, COLOR_BOLD);
}

static bool sum_is_zero(const struct rate_sum *sum)
{
	return !rate_attempts(&sum->now) && !sum->now.connect_failures;
}

static bool errors_none(const struct rate_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		if (rate_error_interval(&errors->list[i]))
			return false;
	return true;
}

static void errors_put(struct table *table, const char *what, enum rate_of of, uint64_t failures)
{
	const struct rate_errors *errors = table->view->result.errors;
	const uint64_t rest = rate_unlisted(errors, failures, of, true);
	struct buffer *out = &table->name;
	bool some = false;

	for (size_t i = 0; i < errors->count; i++) {
		const struct rate_error *error = &errors->list[i];

		if (error->of != of || !rate_error_interval(error))
			continue;
		buffer_printf(out, "%s", some ? ", " : out->length ? "; " : "");
		buffer_printf(out, "%s", some ? "" : what);
		rate_error_name(out, error);
		buffer_printf(out, " %" PRIu64, rate_error_interval(error));
		some = true;
	}
	if (rest && some)
		buffer_printf(out, ", others %" PRIu64, rest);
}

static void failures_put(struct table *table)
{
	const struct rate_counts total = rate_interval(&table->view->result.total);

	if (errors_none(table->view->result.errors))
		return;
	buffer_reset(&table->name);
	errors_put(table, "claims failed: ", RATE_OF_CLAIM, total.failures);
	errors_put(table, "connections failed: ", RATE_OF_CONNECTION, total.connect_failures);
	errors_put(table, "calls failed that would claim nothing: ", RATE_OF_CALL, 0);
	words_put(table, NULL);
}

static bool columns_left_out(const struct table *table)
{
	for (unsigned int i = 0; i < COLUMNS; i++)
		if (!table->widths[i] && !column_is_empty(table, i))
			return true;
	return false;
}

static void notes_put(struct table *table)
{
	struct rate_gap gaps[RATE_GAPS];
	const unsigned int count = rate_gaps(table->view, gaps);
	const char *before = LEFT_OUT;

	for (unsigned int i = 0; i < count; i++) {
		buffer_reset(&table->name);
		buffer_text(&table->name, gaps[i].text);
		if (gaps[i].count != UINT64_MAX)
			buffer_printf(&table->name, ": %" PRIu64, gaps[i].count);
		words_put(table, COLOR_WARNING);
	}
	if (table->view->estimated) {
		buffer_reset(&table->name);
		buffer_text(&table->name, "~TW/s: inferred. OPEN: without TIME_WAIT, whose end "
					  "this tier does not see");
		words_put(table, COLOR_DIM);
	}
	if (!columns_left_out(table))
		return;
	buffer_reset(&table->name);
	for (unsigned int i = 0; i < COLUMNS; i++) {
		if (table->widths[i] || column_is_empty(table, i))
			continue;
		buffer_printf(&table->name, "%s%s", before, heading_of(table, i));
		before = ", ";
	}
	words_put(table, COLOR_DIM);
}

static void table_free(struct table *table)
{
	buffer_free(&table->name);
	buffer_free(&table->cell);
}

void rate_table(struct buffer *out, const struct rate_view *view)
{
	CLEANUP(table_free) struct table table = {.view = view, .out = out};
	const struct rate_result *result = &view->result;
	char more[32];

	widths_fit(&table);
	title_put(&table);
	headings_put(&table);
	for (size_t i = 0; i < result->count; i++) {
		const struct rate_group *group = result->rows[i];

		name_fill(&table, group);
		row_put(&table, &group->sum, group->history, &group->errors, NULL);
	}
	snprintf(more, sizeof(more), "(%zu more)", result->rest_count);
	if (result->rest_count)
		named_row_put(&table, more, &result->rest, NULL, COLOR_DIM);
	if (!sum_is_zero(&result->overflow))
		named_row_put(&table, "(no room)", &result->overflow, NULL, COLOR_DIM);
	named_row_put(&table, "total", &result->total, result->errors, COLOR_BOLD);
	failures_put(&table);
	notes_put(&table);
	if (table.cell.failed || table.name.failed)
		out->failed = true;
}

size_t rate_table_lines(const struct rate_view *view)
{
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;
	size_t lines = 0;

	rate_table(&text, view);
	for (size_t i = 0; i < text.length; i++)
		lines += text.data[i] == '\n';
	return lines;
}

/* ---- without a terminal ---- */

void rate_line(struct buffer *out, const struct rate_view *view)
{
	const struct rate_result *result = &view->result;
	const struct rate_counts total = rate_interval(&result->total);
	CLEANUP(buffer_free) struct buffer name = BUFFER_EMPTY;
	const size_t top = result->count < 3 ? result->count : 3;
	struct rate_gap gaps[RATE_GAPS];
	const unsigned int gap_count = rate_gaps(view, gaps);
	bool some = false;

	clock_put(out, view->wall);
	buffer_byte(out, ' ');
	rate_duration(out, result->interval);
	buffer_printf(out,
		      "  kernel %" PRIu64 "  requested %" PRIu64 "  failed %" PRIu64
		      "  released %" PRIu64 "  time_wait %s%" PRIu64 "  %s %" PRIu64,
		      total.kernel, total.requested, total.failures, total.released,
		      view->estimated ? "~" : "", total.time_waits,
		      view->estimated ? "open" : "held",
		      rate_open(&result->total.now) +
			      (view->estimated ? 0 : rate_lingering(&result->total.now)));
	if (total.unsplit)
		buffer_printf(out, "  no_room %" PRIu64, total.unsplit);
	for (size_t i = 0; i < top; i++) {
		const struct rate_counts row = rate_interval(&result->rows[i]->sum);

		if (!rate_attempts(&row))
			break;
		buffer_reset(&name);
		rate_name(&name, view, result->rows[i]);
		buffer_text(out, some ? ", " : "  top ");
		escape_plain(out, name.data, name.length);
		buffer_printf(out, " %" PRIu64, rate_attempts(&row));
		some = true;
	}
	for (unsigned int i = 0; i < gap_count; i++)
		buffer_printf(out, "%s%s", i ? ", " : "  incomplete: ", gaps[i].reason);
	buffer_byte(out, '\n');
}
