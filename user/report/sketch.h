/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Quantiles of durations, in memory that grows with how much they differ, not with how many
 * they are. */
#ifndef PORTSNOOP_REPORT_SKETCH_H
#define PORTSNOOP_REPORT_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

struct sketch_bin {
	uint32_t number;
	uint32_t count;
};

/* All zero is an empty one. */
struct sketch {
	struct sketch_bin *bins; /* those that have something, in order */
	uint32_t used, room;
	uint64_t total;
};

/* 0 or -ENOMEM. */
int sketch_add(struct sketch *sketch, uint64_t value);

/* The smallest value that `permille` of all are not above, wrong by 0.2 % at most. 0 of an
 * empty one. */
uint64_t sketch_quantile(const struct sketch *sketch, unsigned int permille);

void sketch_free(struct sketch *sketch);

#endif
