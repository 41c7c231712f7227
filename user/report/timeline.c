/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "report/timeline.h"

#include <stddef.h>
#include <time.h>

#include "model/text.h"

#define SECOND INT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static const int64_t widths[] = {
	SECOND / 1000, SECOND / 100, SECOND / 10, SECOND,    2 * SECOND, 5 * SECOND,
	10 * SECOND,   15 * SECOND,  30 * SECOND, MINUTE,    2 * MINUTE, 5 * MINUTE,
	10 * MINUTE,   15 * MINUTE,  30 * MINUTE, HOUR,	     2 * HOUR,	 3 * HOUR,
	6 * HOUR,      12 * HOUR,    DAY,	  2 * DAY,   7 * DAY,	 14 * DAY,
	28 * DAY,      91 * DAY,     182 * DAY,	  364 * DAY, 3640 * DAY,
};

int64_t timeline_zone(int64_t ns)
{
	uint32_t rest;
	const time_t second = text_split(ns, &rest);
	struct tm local;

	return localtime_r(&second, &local) ? local.tm_gmtoff * SECOND : 0;
}

/* In parts of this width; how many that would be. */
static int64_t parts_set(struct timeline *timeline, int64_t width, int64_t zone)
{
	int64_t behind = (timeline->since % width + zone % width) % width;
	int64_t count;

	if (behind < 0)
		behind += width;
	timeline->width = width;
	timeline->origin = timeline->since - behind;
	count = (timeline->until - timeline->since) / width;
	count += (behind + (timeline->until - timeline->since) % width + width - 1) / width;
	return count ? count : 1;
}

void timeline_set(struct timeline *timeline, int64_t since, int64_t until)
{
	const int64_t zone = timeline_zone(since);
	int64_t count = TIMELINE_MOST + 1;

	*timeline = (struct timeline){.since = since, .until = until};
	for (size_t i = 0; i < sizeof(widths) / sizeof(*widths) && count > TIMELINE_MOST; i++)
		count = parts_set(timeline, widths[i], zone);
	timeline->count = (unsigned int)count;
}

int64_t timeline_begin(const struct timeline *timeline, unsigned int part)
{
	const int64_t begin = timeline->origin + (int64_t)part * timeline->width;

	return begin > timeline->since ? begin : timeline->since;
}

int64_t timeline_end(const struct timeline *timeline, unsigned int part)
{
	int64_t end = timeline->origin + (int64_t)part * timeline->width;

	/* The last one may reach beyond what can be said. */
	if (__builtin_add_overflow(end, timeline->width, &end) || end > timeline->until)
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
