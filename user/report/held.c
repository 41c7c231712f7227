/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is held at each moment: a sweep over the beginnings, which come in order, and the
 * ends, which wait in a heap. */
#include <errno.h>
#include <stdlib.h>

#include "report/inside.h"

#define NONE UINT32_MAX
#define LINGER_MOST INT64_C(60000000000) /* TCP_TIMEWAIT_LEN, include/net/tcp.h */
#define PATH_SERIES 16			 /* a path has its curve from this part of the pool on */

/* Enters the parts up to that of `time` with what is held until then. */
static struct report_bucket *bucket_enter(struct report *report, int64_t time)
{
	const unsigned int part = timeline_part(&report->timeline, time);

	for (; report->at <= part; report->at++) {
		report->buckets[report->at].held = report->held;
		report->buckets[report->at].lingering = report->lingering;
	}
	return &report->buckets[part];
}

static void held_rise(struct report *report, int64_t time)
{
	struct report_bucket *bucket = bucket_enter(report, time);
	struct report_totals *totals = &report->totals;

	report->held++;
	if (report->held > bucket->held) {
		bucket->held = report->held;
		bucket->lingering = report->lingering;
	}
	if (report->held > totals->peak) {
		totals->peak = report->held;
		totals->peak_lingering = report->lingering;
		totals->peak_time = time;
	}
}

static int path_series(struct report_who *who)
{
	const char *key = who->base.key;
	uint32_t low, high;

	if (!who->base.index || who->series)
		return 0;
	key_take_number(&key);
	key_take_text(&key);
	key_take_text(&key);
	key_take_text(&key);
	key_take_number(&key);
	low = key_take_number(&key);
	high = key_take_number(&key);
	if (who->held < (report_capacity(low, high) + PATH_SERIES - 1) / PATH_SERIES)
		return 0;
	who->series = calloc(1, sizeof(*who->series));
	return who->series ? 0 : -ENOMEM;
}

static int who_rise(struct report *report, struct report_who *who, enum report_rank rank,
		    int64_t time)
{
	if (++who->held > who->peak) {
		who->peak = who->held;
		who->peak_time = time;
	}
	if (rank != REPORT_PATHS)
		return 0;
	if (path_series(who))
		return -ENOMEM;
	if (who->series)
		series_set(who->series, timeline_part(&report->timeline, time), who->held);
	return 0;
}

static void pool_rise(struct report *report, struct report_pool *pool, uint16_t port, int64_t time)
{
	const char *key = pool->base.key;
	uint32_t low;

	if (!pool->base.index)
		return;
	key_take_number(&key);
	low = key_take_number(&key);
	pool->held++;
	pool->used += !pool->leases[port - low]++;
	if (pool->used > pool->peak) {
		pool->peak = pool->used;
		pool->peak_time = time;
		pool->peak_held = pool->held;
		pool->peak_lingering = pool->lingering;
	}
	series_set(pool->series, timeline_part(&report->timeline, time), pool->used);
}

static void pool_fall(struct report *report, struct report_pool *pool, const struct end *end)
{
	const char *key = pool->base.key;
	uint32_t low;

	if (!pool->base.index)
		return;
	key_take_number(&key);
	low = key_take_number(&key);
	pool->held--;
	pool->lingering -= end->lingering;
	pool->used -= !--pool->leases[end->port - low];
	series_set(pool->series, timeline_part(&report->timeline, end->time), pool->used);
}

static struct report_who *who_at(struct report *report, int rank, uint32_t index)
{
	return (struct report_who *)report->ranks[rank].entries[index];
}

static struct report_pool *pool_at(struct report *report, uint32_t index)
{
	return (struct report_pool *)report->pools.entries[index];
}

static void fall(struct report *report, const struct end *end)
{
	bucket_enter(report, end->time);
	report->held--;
	report->lingering -= end->lingering;
	for (int i = 0; i < REPORT_RANKS; i++) {
		struct report_who *who;

		if (end->who[i] == NONE)
			continue;
		who = who_at(report, i, end->who[i]);
		who->held--;
		if (who->series)
			series_set(who->series, timeline_part(&report->timeline, end->time),
				   who->held);
	}
	if (end->pool != NONE)
		pool_fall(report, pool_at(report, end->pool), end);
}

static void linger(struct report *report, struct end *end)
{
	bucket_enter(report, end->time);
	end->lingering = true;
	report->lingering++;
	if (end->pool != NONE)
		pool_at(report, end->pool)->lingering++;
}

void report_advance(struct report *report, int64_t time)
{
	struct ends *ends = report->ends;

	while (ends->count && ends->list[0].time <= time) {
		struct end *end = &ends->list[0];

		if (end->time < end->until) {
			linger(report, end);
			end->time = end->until;
			ends_sink(ends);
		} else {
			fall(report, end);
			ends_drop(ends);
		}
	}
}

/* `until` if it was never in TIME_WAIT. */
static int64_t lingering_since(const struct report *report, const struct history_row *row,
			       int64_t until)
{
	int64_t since = until;
	bool over;

	if (!row->lingered)
		return until;
	if (row->lingered == STORE_UNKNOWN)
		over = __builtin_sub_overflow(row->until == INT64_MAX ? report->now : row->until,
					      LINGER_MOST, &since);
	else
		over = row->lingered > INT64_MAX || row->until == INT64_MAX ||
		       __builtin_sub_overflow(row->until, (int64_t)row->lingered, &since);
	if (over || since < row->time)
		since = row->time;
	return since < until ? since : until;
}

static void time_add(struct report *report, const struct history_row *row, int64_t since,
		     int64_t lingering, int64_t until)
{
	const int64_t end = until < report->until ? until : report->until;
	double held, lingered = 0;

	if (end <= since)
		return;
	held = (double)(end - since);
	if (lingering < end)
		lingered = (double)(end - (lingering > since ? lingering : since));
	report->totals.held_ns += held;
	report->totals.lingering_ns += lingered;
	report->port_held[row->port] += held;
	report->port_lingering[row->port] += lingered;
}

int report_hold(struct report *report, const struct history_row *row,
		struct report_who *const who[REPORT_RANKS], struct report_pool *pool)
{
	const int64_t since = row->time > report->since ? row->time : report->since;
	const int64_t until = row->until > row->time ? row->until : row->time + 1;
	const int64_t lingering = lingering_since(report, row, until);
	struct end end = {
		.time = lingering > since ? lingering : until,
		.until = until,
		.lingering = lingering <= since,
		.port = row->port,
		.pool = pool ? pool->base.index : NONE,
	};
	int error = 0;

	time_add(report, row, since, lingering, until);
	bucket_enter(report, since);
	report->lingering += end.lingering;
	if (pool)
		pool->lingering += end.lingering;
	held_rise(report, since);
	for (int i = 0; i < REPORT_RANKS; i++) {
		end.who[i] = who[i] ? who[i]->base.index : NONE;
		if (who[i] && !error)
			error = who_rise(report, who[i], i, since);
	}
	if (pool)
		pool_rise(report, pool, row->port, since);
	if (error || end.time == INT64_MAX)
		return error;
	return ends_add(report->ends, &end);
}

void report_hold_finish(struct report *report)
{
	const unsigned int last = report->timeline.count - 1;

	report_advance(report, report->until);
	bucket_enter(report, report->until);
	report->totals.end = report->held;
	for (uint32_t i = 1; i < report->pools.count; i++)
		series_set(pool_at(report, i)->series, last, pool_at(report, i)->used);
	for (uint32_t i = 1; i < report->ranks[REPORT_PATHS].count; i++) {
		struct report_who *path = who_at(report, REPORT_PATHS, i);

		if (path->series)
			series_set(path->series, last, path->held);
	}
}
