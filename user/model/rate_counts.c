/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/rate_counts.h"

#include <errno.h>
#include <stdlib.h>

/* The counts of a claim and of its end come from several CPUs, one after the other: an end
 * can be seen before its beginning. */
static uint64_t difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

void rate_counts_add(struct rate_counts *a, const struct rate_counts *b)
{
	a->kernel += b->kernel;
	a->requested += b->requested;
	a->unsplit += b->unsplit;
	a->failures += b->failures;
	a->connect_failures += b->connect_failures;
	a->released += b->released;
	a->time_waits += b->time_waits;
	a->time_waits_over += b->time_waits_over;
}

void rate_sum_add(struct rate_sum *a, const struct rate_sum *b)
{
	rate_counts_add(&a->now, &b->now);
	rate_counts_add(&a->before, &b->before);
}

struct rate_counts rate_interval(const struct rate_sum *sum)
{
	const struct rate_counts *now = &sum->now, *before = &sum->before;

	return (struct rate_counts){
		.kernel = difference(now->kernel, before->kernel),
		.requested = difference(now->requested, before->requested),
		.unsplit = difference(now->unsplit, before->unsplit),
		.failures = difference(now->failures, before->failures),
		.connect_failures = difference(now->connect_failures, before->connect_failures),
		.released = difference(now->released, before->released),
		.time_waits = difference(now->time_waits, before->time_waits),
		.time_waits_over = difference(now->time_waits_over, before->time_waits_over),
	};
}

uint64_t rate_claims(const struct rate_counts *counts)
{
	return counts->kernel + counts->requested + counts->unsplit;
}

uint64_t rate_attempts(const struct rate_counts *counts)
{
	return rate_claims(counts) + counts->failures;
}

uint64_t rate_open(const struct rate_counts *counts)
{
	return difference(rate_claims(counts), counts->released);
}

uint64_t rate_lingering(const struct rate_counts *counts)
{
	return difference(counts->time_waits, counts->time_waits_over);
}

struct rate_counts rate_counts_of(const struct tally_counts *counts, unsigned int origin)
{
	struct rate_counts made = {
		.failures = counts->failures,
		.connect_failures = counts->connect_failures,
		.released = counts->closed,
		.time_waits = counts->time_waits,
		.time_waits_over = counts->time_waits_over,
	};

	if (origin == WIRE_ORIGIN_KERNEL)
		made.kernel = counts->claims;
	else if (origin == WIRE_ORIGIN_REQUESTED)
		made.requested = counts->claims;
	else
		made.unsplit = counts->claims;
	return made;
}

void rate_errors_begin(struct rate_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++) {
		errors->list[i].before = errors->list[i].now;
		errors->list[i].now = errors->list[i].gone;
	}
}

int rate_errors_take(struct rate_errors *errors, const struct tally_error_row *row)
{
	const enum rate_of of = row->error.outcome			    ? RATE_OF_CONNECTION
				: row->error.key.origin == WIRE_ORIGIN_NONE ? RATE_OF_CALL
									    : RATE_OF_CLAIM;
	struct rate_error *error = NULL, *grown;

	for (size_t i = 0; i < errors->count && !error; i++)
		if (errors->list[i].error == row->error.error && errors->list[i].of == of)
			error = &errors->list[i];
	if (!error) {
		grown = reallocarray(errors->list, errors->count + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		errors->list = grown;
		error = &grown[errors->count++];
		*error = (struct rate_error){.error = row->error.error, .of = of};
	}
	error->now += row->count;
	if (row->last)
		error->gone += row->count;
	return 0;
}

uint64_t rate_error_interval(const struct rate_error *error)
{
	return difference(error->now, error->before);
}

uint64_t rate_unlisted(const struct rate_errors *errors, uint64_t failures, enum rate_of of,
		       bool interval)
{
	uint64_t listed = 0;

	for (size_t i = 0; i < errors->count; i++) {
		const struct rate_error *error = &errors->list[i];

		if (error->of == of)
			listed += interval ? rate_error_interval(error) : error->now;
	}
	return difference(failures, listed);
}
