/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "report/report.h"

#include <errno.h>
#include <stdlib.h>

#include "report/inside.h"

#define PORTS 65536
#define MICROSECOND INT64_C(1000)
#define MS (1000 * MICROSECOND)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

uint64_t report_lifetime_end(unsigned int number)
{
	static const uint64_t ends[REPORT_LIFETIMES] = {
		10 * MICROSECOND,
		30 * MICROSECOND,
		100 * MICROSECOND,
		300 * MICROSECOND,
		MS,
		3 * MS,
		10 * MS,
		30 * MS,
		100 * MS,
		300 * MS,
		SECOND,
		3 * SECOND,
		10 * SECOND,
		30 * SECOND,
		MINUTE,
		3 * MINUTE,
		10 * MINUTE,
		30 * MINUTE,
		HOUR,
		3 * HOUR,
		12 * HOUR,
		24 * HOUR,
		72 * HOUR,
		240 * HOUR,
		UINT64_MAX,
	};

	return ends[number];
}

int report_init(struct report *report, int64_t since, int64_t until, int64_t now)
{
	int error = 0;

	*report = (struct report){.since = since, .until = until, .now = now, .second = INT64_MIN};
	timeline_set(&report->timeline, since, until);
	report->buckets = calloc(report->timeline.count, sizeof(*report->buckets));
	report->port_claims = calloc(PORTS, sizeof(*report->port_claims));
	report->port_held = calloc(PORTS, sizeof(*report->port_held));
	report->port_lingering = calloc(PORTS, sizeof(*report->port_lingering));
	report->ends = calloc(1, sizeof(*report->ends));
	report->identities = calloc(1, sizeof(*report->identities));
	for (int i = 0; i < REPORT_RANKS; i++)
		error |= keyed_init(&report->ranks[i], sizeof(struct report_who), REPORT_WHO_LIMIT);
	error |= keyed_init(&report->pools, sizeof(struct report_pool), REPORT_POOL_LIMIT);
	error |= keyed_init(&report->failures, sizeof(struct report_failure), REPORT_FAILURE_LIMIT);
	error |= keyed_init(&report->refusals, sizeof(struct report_failure), REPORT_FAILURE_LIMIT);
	error |= keyed_init(&report->listeners, sizeof(struct report_listener),
			    REPORT_LISTENER_LIMIT);
	if (!error && report->buckets && report->port_claims && report->port_held &&
	    report->port_lingering && report->ends && report->identities)
		return 0;
	report_free(report);
	return -ENOMEM;
}

static void who_free(struct keyed_entry *entry)
{
	struct report_who *who = (struct report_who *)entry;

	sketch_free(&who->lifetimes);
	free(who->series);
}

static void pool_free(struct keyed_entry *entry)
{
	struct report_pool *pool = (struct report_pool *)entry;

	free(pool->leases);
	free(pool->series);
}

void report_free(struct report *report)
{
	for (int i = 0; i < REPORT_RANKS; i++)
		keyed_free(&report->ranks[i], who_free);
	keyed_free(&report->pools, pool_free);
	keyed_free(&report->failures, report_failure_free);
	keyed_free(&report->refusals, report_failure_free);
	keyed_free(&report->listeners, NULL);
	for (unsigned int i = 0; i < report->recording_count; i++)
		free(report->recordings[i].texts);
	if (report->ends)
		ends_free(report->ends);
	if (report->identities)
		identities_free(report->identities);
	free(report->ends);
	free(report->identities);
	free(report->buckets);
	free(report->port_claims);
	free(report->port_held);
	free(report->port_lingering);
	buffer_free(&report->key);
	sketch_free(&report->totals.lifetimes);
	buffer_free(&report->totals.longest.name);
	*report = (struct report){0};
}

/* ---- rows ---- */

static void rate_add(struct report *report, int64_t time)
{
	const int64_t second = time / SECOND;

	if (second != report->second) {
		report->second = second;
		report->second_count = 0;
	}
	if (++report->second_count > report->totals.rate) {
		report->totals.rate = report->second_count;
		report->totals.rate_time = second * SECOND;
	}
}

static int process_count(struct report *report, struct report_who *who,
			 const struct history_process *process)
{
	const struct identity identity = {
		.start = process->start,
		.pid = process->pid,
		.exec = process->exec,
		.entry = who->base.index,
		.some = 1,
	};
	int result = process->pid ? identities_add(report->identities, &identity) : 0;

	who->processes += result == 1;
	return result < 0 ? result : 0;
}

/* Of one whose claim and end were both seen. */
static bool lifetime_of(const struct history_row *row, uint64_t *held, uint64_t *in_use)
{
	if ((row->ending != STORE_RELEASED && row->ending != STORE_ESTIMATED) ||
	    row->held == STORE_UNKNOWN)
		return false;
	*held = row->held;
	*in_use = row->lingered < row->held ? row->held - row->lingered : 0;
	if (row->lingered == STORE_UNKNOWN)
		*in_use = row->held;
	return true;
}

static void lifetime_count(uint64_t *bins, uint64_t ns)
{
	unsigned int bin = 0;

	while (bin < REPORT_LIFETIMES - 1 && ns >= report_lifetime_end(bin))
		bin++;
	bins[bin]++;
}

static int lifetime_add(struct report *report, const struct history_row *row,
			struct report_who *const who[REPORT_RANKS])
{
	uint64_t held, in_use;
	int error;

	if (!lifetime_of(row, &held, &in_use))
		return 0;
	lifetime_count(report->lifetimes, held);
	lifetime_count(report->in_use, in_use);
	error = sketch_add(&report->totals.lifetimes, held);
	for (int i = 0; i < REPORT_PATHS && !error; i++)
		if (who[i])
			error = sketch_add(&who[i]->lifetimes, held);
	return error;
}

enum origin { ORIGIN_KERNEL, ORIGIN_REQUESTED, ORIGIN_UNKNOWN };

static enum origin origin_of(const struct history_row *row)
{
	if (report_text_is(&row->origin, "kernel"))
		return ORIGIN_KERNEL;
	return report_text_is(&row->origin, "requested") ? ORIGIN_REQUESTED : ORIGIN_UNKNOWN;
}

static int claim_add(struct report *report, const struct history_row *row,
		     struct report_who *const who[REPORT_RANKS])
{
	struct report_totals *totals = &report->totals;
	struct report_bucket *bucket =
		&report->buckets[timeline_part(&report->timeline, row->time)];
	const enum origin origin = origin_of(row);
	const bool refused = row->outcome == STORE_FAILED;

	totals->kernel += origin == ORIGIN_KERNEL;
	totals->requested += origin == ORIGIN_REQUESTED;
	totals->unknown += origin == ORIGIN_UNKNOWN;
	totals->refused += refused;
	bucket->kernel += origin == ORIGIN_KERNEL;
	bucket->requested += origin == ORIGIN_REQUESTED;
	bucket->unknown += origin == ORIGIN_UNKNOWN;
	bucket->refused += refused;
	for (int i = 0; i < REPORT_RANKS; i++) {
		if (!who[i])
			continue;
		who[i]->kernel += origin == ORIGIN_KERNEL;
		who[i]->requested += origin == ORIGIN_REQUESTED;
		who[i]->unknown += origin == ORIGIN_UNKNOWN;
		who[i]->refused += refused;
	}
	rate_add(report, row->time);
	if (report->port_claims[row->port] < UINT32_MAX)
		report->port_claims[row->port]++;
	if (refused && report_failure_add(report, &report->refusals, row))
		return -ENOMEM;
	if (process_count(report, who[REPORT_PROCESSES], &row->process))
		return -ENOMEM;
	return lifetime_add(report, row, who);
}

static void longest_name(struct buffer *name, const struct history_row *row)
{
	const struct history_process *process = &row->process;
	const bool six = row->local.data && memchr(row->local.data, ':', row->local.length);

	buffer_reset(name);
	if (process->comm.data)
		buffer_append(name, process->comm.data, process->comm.length);
	else
		buffer_text(name, "unknown process");
	buffer_text(name, ", ");
	buffer_append(name, row->protocol.data, row->protocol.length);
	buffer_text(name, six ? " [" : " ");
	buffer_append(name, row->local.data, row->local.data ? row->local.length : 0);
	buffer_printf(name, "%s:%u", six ? "]" : "", row->port);
}

static void longest_find(struct report *report, const struct history_row *row)
{
	const bool least = !row->trigger.data || row->until > report->until ||
			   row->ending == STORE_UNSEEN || row->ending == STORE_EVICTED;
	const int64_t until = row->until < report->until ? row->until : report->until;
	uint64_t held;

	if (until <= row->time)
		return;
	held = (uint64_t)until - (uint64_t)row->time;
	if (held <= report->totals.longest.ns)
		return;
	report->totals.longest.ns = held;
	report->totals.longest.least = least;
	longest_name(&report->totals.longest.name, row);
}

static int lease_row(struct report *report, const struct history_row *row)
{
	struct report_totals *totals = &report->totals;
	struct report_who *who[REPORT_RANKS];
	struct report_pool *pool;
	const int64_t since = row->time > report->since ? row->time : report->since;
	int error;

	/* It was given back when the period began. */
	if (row->time < report->since && row->until <= report->since)
		return 0;
	error = report_who_find(report, row, who);
	if (!error)
		error = report_pool_find(report, row, &pool);
	if (error)
		return error;
	report_advance(report, since);
	if (row->trigger.data && row->time >= report->since)
		error = claim_add(report, row, who);
	if (row->trigger.data)
		totals->before += row->time < report->since;
	else
		totals->predating++;
	if (!error && row->outcome == STORE_LISTENING)
		error = report_listener_add(report, row);
	longest_find(report, row);
	return error ? error : report_hold(report, row, who, pool);
}

/* No port was free: what was asked for was any. */
static bool is_exhaustion(const struct history_row *row)
{
	const bool bind = report_text_is(&row->trigger, "bind");

	if (report_text_is(&row->error, "EADDRNOTAVAIL"))
		return !bind && row->remote_port;
	if (report_text_is(&row->error, "EADDRINUSE"))
		return !row->port;
	return report_text_is(&row->error, "EAGAIN");
}

static int failure_row(struct report *report, const struct history_row *row)
{
	struct report_totals *totals = &report->totals;
	struct report_who *who[REPORT_RANKS];
	int error = report_who_find(report, row, who);

	if (error)
		return error;
	totals->failures++;
	totals->portless += !(row->flags & WIRE_CLAIMED);
	report->buckets[timeline_part(&report->timeline, row->time)].failures++;
	for (int i = 0; i < REPORT_RANKS; i++)
		if (who[i])
			who[i]->failures++;
	if (is_exhaustion(row)) {
		if (!totals->exhausted++)
			totals->exhausted_first = row->time;
		totals->exhausted_last = row->time;
	}
	error = process_count(report, who[REPORT_PROCESSES], &row->process);
	return error ? error : report_failure_add(report, &report->failures, row);
}

int report_row(void *context, const struct history_row *row)
{
	struct report *report = context;

	report->totals.rows++;
	switch (row->kind) {
	case HISTORY_LEASE:
		return lease_row(report, row);
	case HISTORY_FAILURE:
		return failure_row(report, row);
	case HISTORY_GAP:
		report_gap_add(report, row);
		break;
	}
	return 0;
}

/* ---- the end ---- */

static int who_compare(const void *one, const void *two)
{
	const struct report_who *a = *(struct report_who *const *)one;
	const struct report_who *b = *(struct report_who *const *)two;
	const uint64_t tried_a = report_claims(a) + a->failures;
	const uint64_t tried_b = report_claims(b) + b->failures;

	if (tried_a != tried_b)
		return tried_a > tried_b ? -1 : 1;
	if (a->peak != b->peak)
		return a->peak > b->peak ? -1 : 1;
	return keyed_compare(&a->base, &b->base);
}

static int path_compare(const void *one, const void *two)
{
	const struct report_who *a = *(struct report_who *const *)one;
	const struct report_who *b = *(struct report_who *const *)two;

	if (a->peak != b->peak)
		return a->peak > b->peak ? -1 : 1;
	return keyed_compare(&a->base, &b->base);
}

static int pool_compare(const void *one, const void *two)
{
	const struct report_pool *a = *(struct report_pool *const *)one;
	const struct report_pool *b = *(struct report_pool *const *)two;

	if (a->peak != b->peak)
		return a->peak > b->peak ? -1 : 1;
	return keyed_compare(&a->base, &b->base);
}

static int failure_compare(const void *one, const void *two)
{
	const struct report_failure *a = *(struct report_failure *const *)one;
	const struct report_failure *b = *(struct report_failure *const *)two;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return keyed_compare(&a->base, &b->base);
}

static uint32_t listener_port(const struct report_listener *listener)
{
	const char *key = listener->base.key;

	return key_take_number(&key);
}

static int listener_compare(const void *one, const void *two)
{
	const struct report_listener *a = *(struct report_listener *const *)one;
	const struct report_listener *b = *(struct report_listener *const *)two;

	if (listener_port(a) != listener_port(b))
		return listener_port(a) < listener_port(b) ? -1 : 1;
	return keyed_compare(&a->base, &b->base);
}

int report_finish(struct report *report)
{
	report_hold_finish(report);
	for (int i = 0; i < REPORT_PATHS; i++)
		keyed_sort(&report->ranks[i], who_compare);
	keyed_sort(&report->ranks[REPORT_PATHS], path_compare);
	keyed_sort(&report->pools, pool_compare);
	keyed_sort(&report->failures, failure_compare);
	keyed_sort(&report->refusals, failure_compare);
	keyed_sort(&report->listeners, listener_compare);
	return report->totals.longest.name.failed ? -ENOMEM : 0;
}
