/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The page that `record --metrics` serves: every metric there is, in a fixed order. */
#ifndef PORTSNOOP_METRICS_TEXT_H
#define PORTSNOOP_METRICS_TEXT_H

#include "format/openmetrics.h"
#include "model/metrics.h"

/* Families without samples have a place as well. Ended by one without a name. */
extern const struct openmetrics_family metrics_families[];

struct sink_report;

/* What the numbers of the stream do not tell. */
struct metrics_service {
	const char *version;
	const char *tier; /* NULL: not known */
	uint64_t started; /* of the process, CLOCK_REALTIME, ns */
	uint64_t memory;  /* resident, bytes; 0: not known */
	uint64_t cpu;	  /* ns */
	/* of the stream */
	uint64_t received, events, lost, untracked, unseen;
	uint64_t skipped; /* UINT64_MAX: not known */
	uint64_t evicted; /* leases */
	uint64_t lag;	  /* ns */
	uint64_t backlog; /* bytes */
	/* of the database; see struct store_status */
	uint64_t store_bytes, store_wal, store_limit;
	uint64_t store_leases, store_failures;
	uint64_t store_written, store_dropped, store_trimmed;
	uint64_t store_committed; /* CLOCK_REALTIME, ns; 0: never */
	bool store_failing;
	const struct sink_report *sinks; /* sink/sinks.h */
	size_t sink_count;
};

/* As of the last survey. */
void metrics_text(const struct metrics *metrics, const struct metrics_service *service,
		  bool classic, struct buffer *out);

#endif
