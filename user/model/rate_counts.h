/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a group of a rate counts, and how much of it in the newest interval. */
#ifndef PORTSNOOP_RATE_COUNTS_H
#define PORTSNOOP_RATE_COUNTS_H

#include "model/tally.h"

struct rate_counts {
	uint64_t kernel;    /* claims that succeeded: the kernel chose the port */
	uint64_t requested; /* the program named it */
	uint64_t unsplit;   /* one of both: what found no room in the tally */
	uint64_t failures;  /* of claims */
	uint64_t connect_failures;
	uint64_t released;   /* given up by their socket */
	uint64_t time_waits; /* of these: live on in TIME_WAIT */
	uint64_t time_waits_over;
};

/* Since the start, at the newest reading and at the one before. */
struct rate_sum {
	struct rate_counts now;
	struct rate_counts before;
};

/* What failed. */
enum rate_of {
	RATE_OF_CLAIM,
	RATE_OF_CONNECTION,
	RATE_OF_CALL, /* would have claimed nothing; counted by errno alone, in no `failures` */
};

struct rate_error {
	uint32_t error; /* errno; 0: aborted by the process itself */
	uint32_t of;	/* enum rate_of */
	uint64_t now;
	uint64_t before;
	uint64_t gone; /* of rows that are gone */
};

struct rate_errors {
	struct rate_error *list;
	size_t count;
};

/* What was added between the two readings. */
struct rate_counts rate_interval(const struct rate_sum *sum);

uint64_t rate_claims(const struct rate_counts *counts);	  /* that succeeded */
uint64_t rate_attempts(const struct rate_counts *counts); /* or failed */
/* Of the ports claimed since the start: held by their socket, and in TIME_WAIT. */
uint64_t rate_open(const struct rate_counts *counts);
uint64_t rate_lingering(const struct rate_counts *counts);

/* Of so many failures those whose errno is not in the list. */
uint64_t rate_unlisted(const struct rate_errors *errors, uint64_t failures, enum rate_of of,
		       bool interval);

/* `origin` is WIRE_ORIGIN_NONE where it is not known. */
struct rate_counts rate_counts_of(const struct tally_counts *counts, unsigned int origin);
void rate_counts_add(struct rate_counts *a, const struct rate_counts *b);
void rate_sum_add(struct rate_sum *a, const struct rate_sum *b);

/* Another reading: `now` becomes `before`, and what is gone alone is counted anew. */
void rate_errors_begin(struct rate_errors *errors);
int rate_errors_take(struct rate_errors *errors, const struct tally_error_row *row);
uint64_t rate_error_interval(const struct rate_error *error);

#endif
