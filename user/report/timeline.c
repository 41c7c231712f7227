/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "report/timeline.h"

#include <stddef.h>
#include <time.h>

#include "model/text.h"

#define SECOND INT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static int64_t width_choose(int64_t length)
{
	static const int64_t widths[] = {
		SECOND / 1000, SECOND / 100, SECOND / 10, SECOND,    2 * SECOND, 5 * SECOND,
		10 * SECOND,   15 * SECOND,  30 * SECOND, MINUTE,    2 * MINUTE, 5 * MINUTE,
		10 * MINUTE,   15 * MINUTE,  30 * MINUTE, HOUR,	     2 * HOUR,	 3 * HOUR,
		6 * HOUR,      12 * HOUR,    DAY,	  2 * DAY,   7 * DAY,	 14 * DAY,
		28 * DAY,      91 * DAY,     182 * DAY,	  364 * DAY, 3640 * DAY,
	};
	const size_t count = sizeof(widths) / sizeof(*widths);

	for (size_t i = 0; i < count; i++)
		/* One more than that if the beginning is not round. */
		if (length / widths[i] < TIMELINE_MOST - 1)
			return widths[i];
	return widths[count - 1];
}

int64_t timeline_zone(int64_t ns)
{
	uint32_t rest;
	time_t second = text_split(ns, &rest);
	struct tm local;

	return localtime_r(&second, &local) ? local.tm_gmtoff * SECOND : 0;
}

void timeline_set(struct timeline *timeline, int64_t since, int64_t until)
{
	const int64_t width = width_choose(until - since);
	int64_t behind = (since % width + timeline_zone(since) % width) % width;

	if (behind < 0)
		behind += width;
	*timeline = (struct timeline){
		.since = since,
		.until = until,
		.origin = since - behind,
		.width = width,
	};
	timeline->count = (unsigned int)((until - timeline->origin + width - 1) / width);
	if (!timeline->count)
		timeline->count = 1;
}

int64_t timeline_begin(const struct timeline *timeline, unsigned int part)
{
	const int64_t begin = timeline->origin + (int64_t)part * timeline->width;

	return begin > timeline->since ? begin : timeline->since;
}

int64_t timeline_end(const struct timeline *timeline, unsigned int part)
{
	int64_t end;

	/* The last one may reach beyond what can be said. */
	if (__builtin_add_overflow(timeline->origin, ((int64_t)part + 1) * timeline->width, &end) ||
	    end > timeline->until)
		return timeline->until;
	return end;
}

void series_set(struct series *series, unsigned int part, uint32_t value)
{
	for (; series->entered <= part; series->entered++)
		series->peaks[series->entered] = series->now;
	series->now = value;
	if (series->peaks[part] < value)
		series->peaks[part] = value;
}
