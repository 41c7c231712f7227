/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "report/chart.h"

#include <time.h>

#include "format/markup.h"
#include "model/text.h"

#define SECOND INT64_C(1000000000)
#define DAY (86400 * SECOND)
#define TICKS 8
#define LINES 5

double chart_x(const struct chart *chart, int64_t time)
{
	const struct report *report = chart->report;
	const double length = (double)(report->until - report->since);
	double part = length > 0 ? (double)(time - report->since) / length : 0;

	part = part < 0 ? 0 : part > 1 ? 1 : part;
	return CHART_LEFT + part * (CHART_RIGHT - CHART_LEFT);
}

double chart_y(const struct chart *chart, double value)
{
	return chart->bottom - value / chart->most * (chart->bottom - chart->top);
}

/* ---- the axis of values ---- */

/* 1, 2 or 5 times a power of ten, so that there are not too many of them up to `most`. */
static double step_choose(double most, double least)
{
	static const double parts[] = {1, 2, 5};

	for (double power = least;; power *= 10)
		for (int i = 0; i < 3; i++)
			if (most <= parts[i] * power * LINES)
				return parts[i] * power;
}

static void values_put(const struct chart *chart, double step)
{
	struct buffer *out = chart->out;

	for (int i = 0; i * step <= chart->most * 1.0001; i++) {
		const double value = i * step, y = chart_y(chart, value);

		buffer_printf(out,
			      "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>",
			      value > 0 ? "grid" : "axis", CHART_LEFT, CHART_RIGHT, y, y);
		buffer_printf(out, "<text class=\"value\" x=\"%d\" y=\"%.1f\">", CHART_LEFT - 8,
			      y + 4);
		if (chart->percent)
			buffer_printf(out, "%g %%", value);
		else if (step < 1)
			buffer_printf(out, "%g", value);
		else
			markup_number(out, (uint64_t)(value + 0.5));
		buffer_text(out, "</text>");
	}
}

/* ---- the axis of time ---- */

static int64_t tick_step(int64_t length)
{
	static const int64_t seconds[] = {
		1,	2,	5,	 10,	  15,	   30,	     60,       120,	  300,
		600,	900,	1800,	 3600,	  7200,	   10800,    21600,    43200,	  86400,
		172800, 604800, 1209600, 2419200, 7862400, 31449600, 62899200, 314496000,
	};
	const size_t count = sizeof(seconds) / sizeof(*seconds);

	for (size_t i = 0; i < count; i++)
		if (length / (seconds[i] * SECOND) <= TICKS)
			return seconds[i] * SECOND;
	return 10 * seconds[count - 1] * SECOND;
}

/* The first round local time from `since` on, and the next ones: when the clocks change in
 * between, they stay round. */
static int64_t tick_at(int64_t since, int64_t step, unsigned int number)
{
	const int64_t offset = timeline_zone(since);
	const int64_t local = since + offset;
	const int64_t first = local + (step - local % step) % step + (int64_t)number * step;
	int64_t tick = first - offset;

	if (step >= 3600 * SECOND)
		tick = first - timeline_zone(tick);
	return tick;
}

static void tick_put(const struct chart *chart, int64_t tick, int64_t step, bool date)
{
	struct buffer *out = chart->out;
	const double x = chart_x(chart, tick);

	buffer_printf(out, "<line class=\"tick\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
		      x, x, chart->bottom, chart->bottom + 5);
	buffer_printf(out, "<text class=\"time\" x=\"%.1f\" y=\"%.1f\">", x, chart->bottom + 19);
	if (step < DAY)
		markup_time_as(out, tick, step < 60 * SECOND ? "%H:%M:%S" : "%H:%M");
	else
		markup_time_as(out, tick, "%b %e");
	buffer_text(out, "</text>");
	if (!date)
		return;
	buffer_printf(out, "<text class=\"time date\" x=\"%.1f\" y=\"%.1f\">", x,
		      chart->bottom + 34);
	markup_time_as(out, tick, step < DAY ? "%a %b %e" : "%Y");
	buffer_text(out, "</text>");
}

static int period_of(int64_t ns, bool year)
{
	uint32_t rest;
	const time_t second = text_split(ns, &rest);
	struct tm local = {0};

	localtime_r(&second, &local);
	return year ? local.tm_year : local.tm_year * 366 + local.tm_yday;
}

static void times_put(const struct chart *chart)
{
	const struct report *report = chart->report;
	const int64_t step = tick_step(report->until - report->since);
	int64_t tick = tick_at(report->since, step, 0);
	int before = -1;

	for (unsigned int i = 1; tick <= report->until && i < 4 * TICKS; i++) {
		const int day = period_of(tick, step >= DAY);
		const double x = chart_x(chart, tick);

		/* A label needs room on both sides. */
		if (x >= CHART_LEFT && x <= CHART_RIGHT - 8) {
			tick_put(chart, tick, step, day != before);
			before = day;
		}
		tick = tick_at(report->since, step, i);
	}
}

/* ---- gaps ---- */

static void band_put(const struct chart *chart, unsigned int first, unsigned int last)
{
	const double width = (double)(CHART_RIGHT - CHART_LEFT) / REPORT_COLUMNS;
	const bool blind = chart->report->columns[first] == REPORT_BLIND;

	buffer_printf(chart->out,
		      "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">"
		      "<title>%s</title></rect>",
		      blind ? "blind" : "partly", CHART_LEFT + first * width, chart->top,
		      (last - first) * width, chart->bottom - chart->top,
		      blind ? "nothing was recorded here" : "something was lost here");
}

static void bands_put(const struct chart *chart)
{
	const uint8_t *columns = chart->report->columns;
	unsigned int first = 0;

	for (unsigned int i = 1; i <= REPORT_COLUMNS; i++) {
		if (i < REPORT_COLUMNS && columns[i] == columns[first])
			continue;
		if (columns[first] != REPORT_CLEAR)
			band_put(chart, first, i);
		first = i;
	}
}

/* ---- the whole ---- */

void chart_begin(struct chart *chart, double height, const struct buffer *words)
{
	struct buffer *out = chart->out;
	const double most = chart->most > 0 ? chart->most : 1;
	const double step = step_choose(most, chart->whole ? 1 : 0.0001);
	double top = 0;

	while (top < most * 0.9999)
		top += step;
	chart->most = top;
	buffer_printf(
		out,
		"<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-labelledby=\"%s-title\">"
		"<svg viewBox=\"0 0 %d %.0f\" role=\"img\" aria-labelledby=\"%s-title "
		"%s-words\"><title id=\"%s-title\">%s</title><desc id=\"%s-words\">",
		chart->id, CHART_WIDTH, height, chart->id, chart->id, chart->id, chart->title,
		chart->id);
	buffer_append(out, words->data, words->length);
	out->failed |= words->failed;
	buffer_text(out, "</desc>\n");
	bands_put(chart);
	values_put(chart, step);
	times_put(chart);
	buffer_byte(out, '\n');
}

void chart_end(struct chart *chart)
{
	buffer_text(chart->out, "</svg></div>\n");
}

/* Along the parts from `first` on, or back from the last one: where it is level, one stroke. */
static void steps_put(const struct chart *chart, const double *values, unsigned int first,
		      bool back)
{
	const struct timeline *timeline = &chart->report->timeline;
	const int64_t from = timeline_begin(timeline, first);
	const int64_t to = timeline_end(timeline, timeline->count - 1);
	double level = -1;

	for (unsigned int n = first; n < timeline->count; n++) {
		const unsigned int i = back ? timeline->count - 1 - (n - first) : n;
		const double value = values ? values[i] : 0;
		const int64_t time = back ? timeline_end(timeline, i) : timeline_begin(timeline, i);
		const double y = chart_y(chart, value);

		if (n > first && value >= level && value <= level)
			continue;
		if (n > first)
			buffer_printf(chart->out, "H%.1fV%.1f", chart_x(chart, time), y);
		else if (back)
			buffer_printf(chart->out, "V%.1f", y);
		else
			buffer_printf(chart->out, "M%.1f %.1f", chart_x(chart, time), y);
		level = value;
	}
	buffer_printf(chart->out, "H%.1f", chart_x(chart, back ? from : to));
}

void chart_area(const struct chart *chart, const char *class, const double *low, const double *high)
{
	buffer_printf(chart->out, "<path class=\"%s\" d=\"", class);
	steps_put(chart, high, 0, false);
	steps_put(chart, low, 0, true);
	buffer_text(chart->out, "Z\"/>\n");
}

void chart_line(const struct chart *chart, const char *class, const double *values,
		unsigned int first)
{
	buffer_printf(chart->out, "<path class=\"%s\" d=\"", class);
	steps_put(chart, values, first, false);
	buffer_text(chart->out, "\"/>\n");
}

void chart_part_words(struct buffer *out, const struct timeline *timeline, unsigned int part)
{
	const char *format = timeline->width >= DAY	      ? "%Y-%m-%d"
			     : timeline->width >= 60 * SECOND ? "%a %H:%M"
							      : "%H:%M:%S";

	markup_time_as(out, timeline_begin(timeline, part), format);
	buffer_text(out, " to ");
	markup_time_as(out, timeline_end(timeline, part), format);
}

void chart_hit_begin(const struct chart *chart, unsigned int part)
{
	const struct timeline *timeline = &chart->report->timeline;
	const double begin = chart_x(chart, timeline_begin(timeline, part));
	const double end = chart_x(chart, timeline_end(timeline, part));

	buffer_printf(chart->out,
		      "<rect class=\"hit\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">"
		      "<title>",
		      begin, chart->top, end - begin, chart->bottom - chart->top);
	chart_part_words(chart->out, timeline, part);
	buffer_text(chart->out, ": ");
}

void chart_hit_end(const struct chart *chart)
{
	buffer_text(chart->out, "</title></rect>\n");
}
