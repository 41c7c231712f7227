/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What rows of a history come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "history_room.h"
#include "history_sample.h"
#include "portsnoop/wire.h"
#include "report/page.h"

#define NOON SAMPLE_NOON
#define S SAMPLE_SECOND
#define T(words) ((struct history_text){(words), sizeof(words) - 1})

static struct report report;
static struct history_row row;

static void begin(int64_t since, int64_t until)
{
	assert_int_equal(report_init(&report, since, until, until), 0);
}

/* A connect to 192.0.2.1:443 from a pool of 100 ports. */
static struct history_row *lease(int64_t claimed, int64_t held, uint16_t port)
{
	row = (struct history_row){
		.kind = HISTORY_LEASE,
		.time = claimed,
		.until = held < 0 ? INT64_MAX : claimed + held,
		.held = held < 0 ? STORE_UNKNOWN : (uint64_t)held,
		.ending = held < 0 ? STORE_OPEN : STORE_RELEASED,
		.outcome = STORE_ESTABLISHED,
		.flags = WIRE_CLAIMED,
		.netns = 1,
		.port = port,
		.remote_port = 443,
		.pool_low = 40000,
		.pool_high = 40099,
		.family = 4,
		.protocol = T("tcp"),
		.trigger = T("connect"),
		.origin = T("kernel"),
		.local = T("10.0.0.1"),
		.remote = T("192.0.2.1"),
		.process = {.pid = 7, .start = 7, .comm = T("curl")},
	};
	return &row;
}

static struct history_row *failure(int64_t time, uint16_t port)
{
	lease(time, 0, port);
	row.kind = HISTORY_FAILURE;
	row.until = time;
	row.error = T("EADDRNOTAVAIL");
	return &row;
}

static void take(const struct history_row *taken)
{
	assert_int_equal(report_row(&report, taken), 0);
}

static void end(void)
{
	assert_int_equal(report_finish(&report), 0);
}

static const struct report_who *who(enum report_rank rank, uint32_t place)
{
	assert_true(place < report.ranks[rank].count);
	return (const struct report_who *)report.ranks[rank].entries[place];
}

/* ---- boundaries ---- */

static void test_boundaries(void **state)
{
	(void)state;
	begin(NOON, NOON + 10 * S);
	take(lease(NOON - 5 * S, 5 * S, 1)); /* given back as it begins: not of it */
	take(lease(NOON - 4 * S, 6 * S, 2)); /* held for 2 s of it */
	take(lease(NOON - 3 * S, -1, 3));    /* all of it */
	take(lease(NOON, S, 4));	     /* claimed at its first moment */
	take(lease(NOON + 10 * S, -1, 5));   /* at its last */
	end();
	assert_int_equal(report.totals.kernel, 2);
	assert_int_equal(report.totals.before, 2);
	assert_int_equal(report.totals.peak, 3);
	assert_int_equal(report.totals.peak_time, NOON);
	assert_int_equal(report.totals.end, 2);
	assert_true(report.totals.held_ns == 13e9);
	assert_int_equal(report.totals.lifetimes.total, 1);
	assert_int_equal(report.port_claims[2], 0);
	assert_true(report.port_held[2] == 2e9);
	assert_true(report.port_held[1] == 0);
	assert_int_equal(report.totals.longest.ns, 13 * S);
	assert_true(report.totals.longest.least);
	report_free(&report);
}

/* One ends as the next one begins: never both. At an end alone they are held 1 ns. */
static void test_succession(void **state)
{
	(void)state;
	begin(NOON, NOON + 10 * S);
	for (int i = 0; i < 10; i++)
		take(lease(NOON + i * S, S, 40001));
	take(lease(NOON + 10 * S, 0, 40001));
	end();
	assert_int_equal(report.totals.peak, 1);
	assert_int_equal(report.totals.end, 1);
	assert_int_equal(who(REPORT_PROCESSES, 1)->peak, 1);
	assert_int_equal(who(REPORT_PROCESSES, 1)->processes, 1);
	assert_int_equal(((struct report_pool *)report.pools.entries[1])->peak, 1);
	report_free(&report);
}

static void test_predates(void **state)
{
	(void)state;
	begin(NOON, NOON + 10 * S);
	lease(NOON + S, 3 * S, 80);
	row.trigger = row.origin = (struct history_text){0};
	row.outcome = STORE_LISTENING;
	take(&row);
	end();
	assert_int_equal(report.totals.kernel + report.totals.requested + report.totals.unknown, 0);
	assert_int_equal(report.totals.predating, 1);
	assert_int_equal(report.totals.peak, 1);
	assert_int_equal(report.totals.lifetimes.total, 0);
	assert_true(((struct report_listener *)report.listeners.entries[1])->predates);
	report_free(&report);
}

/* ---- TIME_WAIT ---- */

static void test_lingering(void **state)
{
	const struct report_pool *pool;

	(void)state;
	begin(NOON, NOON + 100 * S);
	lease(NOON - 50 * S, 90 * S, 40000); /* in TIME_WAIT before it began */
	row.lingered = 60 * S;
	take(&row);
	lease(NOON + 10 * S, 61 * S, 40001);
	row.lingered = 60 * S;
	take(&row);
	lease(NOON + 20 * S, -1, 40002); /* now, and not known since when */
	row.lingered = STORE_UNKNOWN;
	take(&row);
	assert_int_equal(report.buckets[0].held, 1);
	assert_int_equal(report.buckets[0].lingering, 1);
	take(lease(NOON + 30 * S, 0, 40001)); /* the same port, to somebody else perhaps */
	end();
	assert_int_equal(report.totals.peak, 4);
	assert_int_equal(report.totals.peak_lingering, 2);
	assert_true(report.totals.lingering_ns == (40 + 60 + 60) * 1e9);
	assert_true(report.totals.held_ns == (40 + 61 + 80) * 1e9 + 1);
	pool = (struct report_pool *)report.pools.entries[1];
	assert_int_equal(pool->peak, 3);
	assert_int_equal(pool->used, 1);
	assert_int_equal(pool->lingering, 1);
	/* 1 s in use, 61 s held */
	assert_int_equal(report.in_use[11], 1);
	assert_int_equal(report.lifetimes[15], 1);
	report_free(&report);
}

/* ---- who ---- */

static void test_paths(void **state)
{
	const struct report_who *path;

	(void)state;
	begin(NOON, NOON + 100 * S);
	for (uint16_t i = 0; i < 60; i++) {
		lease(NOON + i * S, 200 * S, (uint16_t)(40000 + i % 50));
		if (i >= 50)
			row.remote = T("192.0.2.2");
		if (i == 55)
			row.protocol = T("mptcp"); /* its ports are TCP's */
		take(&row);
	}
	lease(NOON + 60 * S, S, 40070);
	row.protocol = T("udp");
	take(&row);
	lease(NOON + 61 * S, S, 39999); /* not of the pool */
	take(&row);
	end();
	assert_int_equal(report.ranks[REPORT_PATHS].count, 1 + 2);
	path = who(REPORT_PATHS, 1);
	assert_int_equal(path->peak, 50);
	assert_non_null(path->series);
	assert_int_equal(path->series->peaks[report.timeline.count - 1], 50);
	assert_int_equal(who(REPORT_PATHS, 2)->peak, 10);
	assert_int_equal(report.pools.count, 1 + 2);
	/* Shared between two destinations: 50 numbers. */
	assert_int_equal(((struct report_pool *)report.pools.entries[1])->peak, 50);
	assert_int_equal(((struct report_pool *)report.pools.entries[1])->peak_held, 50);
	report_free(&report);
}

static void test_limit(void **state)
{
	const struct report_who *other;
	char ip[32];

	(void)state;
	begin(NOON, NOON + 100 * S);
	for (uint32_t i = 0; i < REPORT_WHO_LIMIT + 100; i++) {
		lease(NOON + i, 1000, 40000);
		row.remote.data = ip;
		row.remote.length =
			(size_t)snprintf(ip, sizeof(ip), "::%x:%x", i >> 16, i & 0xffff);
		take(&row);
	}
	end();
	other = (struct report_who *)report.ranks[REPORT_DESTINATIONS].entries[0];
	assert_int_equal(report.ranks[REPORT_DESTINATIONS].count, REPORT_WHO_LIMIT + 1);
	assert_int_equal(other->kernel, 100);
	assert_int_equal(other->held, 0);
	assert_int_equal(report.totals.kernel, REPORT_WHO_LIMIT + 100);
	assert_int_equal(who(REPORT_PROCESSES, 1)->kernel, REPORT_WHO_LIMIT + 100);
	report_free(&report);
}

/* ---- failures ---- */

static void test_failures(void **state)
{
	const struct report_failure *group;

	(void)state;
	begin(NOON, NOON + 100 * S);
	for (int i = 0; i < 5; i++) {
		failure(NOON + i * S, 0);
		row.blocked_count = 3;
		for (int j = 0; j < 3; j++)
			row.blockers[j] = (struct history_blocker){
				.process = {.pid = j < 2 ? 7 + (uint32_t)j : 9,
					    .comm = j < 2 ? T("nginx") : T("envoy")},
				.ports = 10 * ((uint32_t)i + 1),
			};
		take(&row);
	}
	failure(NOON + 6 * S, 0);
	row.blocked_reason = T("not_seen");
	take(&row);
	failure(NOON + 7 * S, 8080);
	row.trigger = T("bind");
	row.error = T("EADDRINUSE");
	row.flags = 0;
	row.remote_port = 0;
	take(&row);
	failure(NOON + 8 * S, 0);
	row.trigger = T("bind");
	row.error = T("EADDRINUSE");
	row.remote_port = 0;
	take(&row);
	end();
	assert_int_equal(report.totals.failures, 8);
	assert_int_equal(report.totals.exhausted, 7);
	assert_int_equal(report.totals.exhausted_first, NOON);
	assert_int_equal(report.totals.exhausted_last, NOON + 8 * S);
	assert_int_equal(report.totals.portless, 1);
	assert_int_equal(report.failures.count, 1 + 3);
	group = (struct report_failure *)report.failures.entries[1];
	assert_int_equal(group->count, 6);
	assert_int_equal(group->blocked, 5);
	assert_int_equal(group->first, NOON);
	assert_int_equal(group->last, NOON + 6 * S);
	assert_string_equal(group->reason, "not_seen");
	/* Two workers of one name are one blocker, once a failure. */
	assert_int_equal(group->blockers[0].count, 5);
	assert_int_equal(group->blockers[0].pid, 0);
	assert_int_equal(group->blockers[0].ports_most, 100);
	assert_int_equal(group->blockers[1].count, 5);
	assert_int_equal(group->blockers[1].pid, 9);
	assert_int_equal(group->blockers[1].ports_most, 50);
	assert_int_equal(group->blockers[2].count, 0);
	assert_int_equal(who(REPORT_DESTINATIONS, 1)->failures, 6);
	report_free(&report);
}

static void test_refusals(void **state)
{
	(void)state;
	begin(NOON, NOON + 100 * S);
	for (int i = 0; i < 3; i++) {
		lease(NOON + i * S, S, 40000);
		row.outcome = STORE_FAILED;
		row.error = T("ECONNREFUSED");
		take(&row);
	}
	end();
	assert_int_equal(report.totals.refused, 3);
	assert_int_equal(report.totals.kernel, 3);
	assert_int_equal(report.totals.failures, 0);
	assert_int_equal(((struct report_failure *)report.refusals.entries[1])->count, 3);
	report_free(&report);
}

/* ---- gaps ---- */

static void gap(int reason, int64_t since, int64_t until)
{
	row = (struct history_row){
		.kind = HISTORY_GAP, .gap = reason, .time = since, .until = until, .count = 5};
	take(&row);
}

static unsigned int columns(enum report_shade shade)
{
	unsigned int count = 0;

	for (int i = 0; i < REPORT_COLUMNS; i++)
		count += report.columns[i] == shade;
	return count;
}

static void test_gaps(void **state)
{
	(void)state;
	begin(NOON, NOON + 1024 * S);
	gap(-2, INT64_MIN, NOON); /* it begins there, and the recording does */
	gap(STORE_GAP_CLOCK, NOON + 500 * S, NOON + 400 * S);
	gap(-1, NOON + 1024 * S, INT64_MAX);
	assert_int_equal(report.gap_count, 1);
	assert_int_equal(columns(REPORT_CLEAR), REPORT_COLUMNS);
	gap(STORE_GAP_LOST, NOON + 100 * S, NOON + 300 * S);
	assert_in_range(columns(REPORT_PARTLY), 200, 202);
	gap(STORE_GAP_KILLED, NOON + 200 * S, NOON + 400 * S);
	assert_in_range(columns(REPORT_PARTLY), 100, 102);
	assert_in_range(columns(REPORT_BLIND), 200, 202);
	gap(-1, NOON + 1000 * S, INT64_MAX);
	assert_in_range(columns(REPORT_BLIND), 224, 226);
	assert_int_equal(report.totals.lost, 5);
	for (int i = 0; i < 1000; i++)
		gap(STORE_GAP_DROPPED, NOON + i * S, NOON + i * S);
	assert_int_equal(report.gap_count + report.gaps_more, 1004);
	report_free(&report);
}

/* ---- any rows ---- */

static void page_sane(void)
{
	struct buffer page = BUFFER_EMPTY, again = BUFFER_EMPTY;

	page_put(&page, &report, 3);
	page_put(&again, &report, 3);
	assert_false(page.failed);
	assert_true(page.length < 1000000);
	assert_int_equal(page.length, again.length);
	assert_memory_equal(page.data, again.data, page.length);
	for (size_t i = 0; i < page.length; i++)
		assert_true((uint8_t)page.data[i] >= 0x20 || page.data[i] == '\n');
	buffer_free(&page);
	buffer_free(&again);
}

static int row_take(void *context, const struct history_row *taken)
{
	(void)context;
	take(taken);
	return 0;
}

static void test_sample(void **state)
{
	(void)state;
	for (int i = 0; i < SAMPLE_ROWS; i++) {
		begin(NOON - 3600 * S, NOON + 3600 * S);
		take(&sample_rows[i]);
		end();
		page_sane();
		report_free(&report);
	}
}

/* Databases with anything in them; what the reader gives is taken. */
static void test_random(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct history_query query = {.since = INT64_MIN, .until = INT64_MAX, .gaps = true};
		struct history *history = NULL;
		struct room room;
		char why[320];

		history_room_make(&room, seed);
		room_fill(&room, 3000);
		assert_int_equal(history_open(room.path, &history, why, sizeof(why)), 0);
		query.since = seed % 2 ? 0 : room.runs[1].started;
		query.until = seed % 3 ? ROOM_NOW : room.runs[2].started;
		begin(query.since, query.until);
		assert_int_equal(history_ask(history, &query, ROOM_NOW, row_take, NULL), 0);
		assert_int_equal(history_recordings(history, query.since, query.until, ROOM_NOW,
						    report_recording, &report),
				 0);
		end();
		assert_true(report.recording_count > 0);
		assert_true(report.totals.rows > 100);
		page_sane();
		report_free(&report);
		history_close(history);
		history_room_remove(&room);
	}
}

static void test_nothing(void **state)
{
	(void)state;
	begin(0, 1);
	end();
	page_sane();
	report_free(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boundaries), cmocka_unit_test(test_succession),
		cmocka_unit_test(test_predates),   cmocka_unit_test(test_lingering),
		cmocka_unit_test(test_paths),	   cmocka_unit_test(test_limit),
		cmocka_unit_test(test_failures),   cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_gaps),	   cmocka_unit_test(test_sample),
		cmocka_unit_test(test_random),	   cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
