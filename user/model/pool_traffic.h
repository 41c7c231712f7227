/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the tally counted, pool by pool: how fast ports are taken, and for how long. Pure. */
#ifndef PORTSNOOP_POOL_TRAFFIC_H
#define PORTSNOOP_POOL_TRAFFIC_H

#include "model/pool_forecast.h"
#include "model/pool_use.h"
#include "model/tally.h"

struct pool_change {
	struct tally_place place;
	struct tally_counts window; /* between the last two readings */
	struct tally_counts whole;  /* since the tally began */
};

struct pool_changes {
	struct pool_change *list;
	size_t count;
	uint64_t window; /* ns */
	uint64_t whole;
};

/* From the second reading, and the one before it, or NULL: then the window is the whole
 * time since `began` (CLOCK_MONOTONIC). Only places where something was counted.
 * 0 or -ENOMEM; to be freed. */
int pool_changes_make(struct pool_changes *changes, const struct tally_reading *before,
		      const struct tally_reading *now, uint64_t began);
void pool_changes_free(struct pool_changes *changes);

/* What a pool has of it. */
struct pool_traffic {
	struct tally_counts window;
	struct tally_counts whole;
	double rate;  /* allocations a second, in the window */
	double life;  /* s, mean; below 0: nothing was given back. What is still held counts */
	double share; /* of what was given back, that went to TIME_WAIT */
};
void pool_traffic_sum(const struct pool_changes *changes, const struct pool_key *key,
		      struct pool_traffic *traffic);

/* Makes the pool of an allocation; false: it is of none (TCP without a destination that
 * is no bind, SCTP, ...). A failed one may not know its source, which is 0 then. */
bool pool_place_key(const struct tally_place *place, struct pool_key *key);

#endif
