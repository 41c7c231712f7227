/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * When to try again what has failed: the time doubles at each failure, and has some chance in
 * it, so that many who lost the same destination do not come back in step.
 */
#ifndef PORTSNOOP_SINK_RETRY_H
#define PORTSNOOP_SINK_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry {
	unsigned int least_ms, most_ms;
	unsigned int failures; /* in a row */
	uint64_t due;	       /* CLOCK_MONOTONIC, ns; 0: at once */
};

void retry_failed(struct retry *retry, uint64_t now);
void retry_done(struct retry *retry); /* it went well */

/* What is left at most until it is due; UINT64_MAX never comes out. */
static inline uint64_t retry_wait(const struct retry *retry, uint64_t now)
{
	return retry->due > now ? retry->due - now : 0;
}

#endif
