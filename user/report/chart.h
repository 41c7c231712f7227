/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A chart over the time of a report, as SVG: a frame with both axes and the gaps of the
 * recording, and what is drawn into it. Units are those of the viewBox.
 */
#ifndef PORTSNOOP_REPORT_CHART_H
#define PORTSNOOP_REPORT_CHART_H

#include "report/report.h"

#define CHART_WIDTH 960
#define CHART_LEFT 64
#define CHART_RIGHT 928

struct chart {
	struct buffer *out;
	const struct report *report;
	const char *id, *title; /* constants */
	double top, bottom;	/* of the plot */
	double most;		/* the value at its top, made round by chart_begin() */
	bool percent;
	bool whole; /* values are whole numbers */
};

/* Opens <svg>, with an accessible description that the caller has put into `words` as
 * markup. `height` is that of everything. */
void chart_begin(struct chart *chart, double height, const struct buffer *words);
void chart_end(struct chart *chart);

double chart_x(const struct chart *chart, int64_t time);
double chart_y(const struct chart *chart, double value);

/* Of values for each part of the timeline: the surface between two of them (`low` NULL: 0),
 * in steps, and the line. `class` is a constant. */
void chart_area(const struct chart *chart, const char *class, const double *low,
		const double *high);
void chart_line(const struct chart *chart, const char *class, const double *values,
		unsigned int first);
/* The rectangle of a part over the whole plot, for its title, which the caller puts in
 * between. */
void chart_hit_begin(const struct chart *chart, unsigned int part);
void chart_hit_end(const struct chart *chart);
/* "14:32:00 to 14:33:00" */
void chart_part_words(struct buffer *out, const struct timeline *timeline, unsigned int part);

#endif
