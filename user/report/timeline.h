/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A period in parts of one width that people can read: seconds to years, that begin where
 * the local clock is round. */
#ifndef PORTSNOOP_REPORT_TIMELINE_H
#define PORTSNOOP_REPORT_TIMELINE_H

#include <stdint.h>

#define TIMELINE_MOST 289 /* a day in 5 minutes, wherever it begins */

struct timeline {
	int64_t since, until; /* CLOCK_REALTIME, ns */
	int64_t origin;	      /* where part 0 begins: not after `since` */
	int64_t width;	      /* ns */
	unsigned int count;   /* from 1 to TIMELINE_MOST */
};

void timeline_set(struct timeline *timeline, int64_t since, int64_t until);

/* The part of a time in the period. */
static inline unsigned int timeline_part(const struct timeline *timeline, int64_t time)
{
	const uint64_t part = (uint64_t)(time - timeline->origin) / (uint64_t)timeline->width;

	return part < timeline->count ? (unsigned int)part : timeline->count - 1;
}

/* What of a part lies in the period. */
int64_t timeline_begin(const struct timeline *timeline, unsigned int part);
int64_t timeline_end(const struct timeline *timeline, unsigned int part);

/* How far local time is ahead of UTC then, ns. */
int64_t timeline_zone(int64_t ns);

/* The most in each part of something that changes; `now` is carried on. */
struct series {
	uint32_t now;
	unsigned int entered; /* parts */
	uint32_t peaks[TIMELINE_MOST];
};

/* It has been what it was up to this part, and is `value` now. */
void series_set(struct series *series, unsigned int part, uint32_t value);

#endif
