/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fleet/sorter.h"
#include "fleet/streams.h"
#include "fleet_room.h"
#include "store/wanted.h"

#define NOW ((int64_t)(T0 + 100000 * SECOND))

static struct fleet_room room;
static struct streams streams;

static int setup(void **state)
{
	(void)state;
	room = (struct fleet_room){0};
	streams = (struct streams){.now = NOW};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	streams_free(&streams);
	fleet_room_free();
	return 0;
}

/* From `start` to `last` after T0, in s; `ended`: in order. */
static void add(const char *host, uint64_t id, uint64_t start, uint64_t last, bool ended)
{
	const struct answer_stream stream = {
		.host = fleet_text(host),
		.stream = fleet_text("0123456789abcdef"),
		.id = id,
		.first = T0 + start * SECOND,
		.last = T0 + last * SECOND,
		.started = T0 + start * SECOND,
		.ended = ended ? T0 + last * SECOND : 0,
	};

	assert_int_equal(streams_take(&streams, &stream), 0);
}

static void gaps(int64_t since, int64_t until)
{
	streams_settle(&streams);
	room.count = 0;
	assert_int_equal(streams_gaps(&streams, since, until, fleet_room_visit, &room), 0);
}

static int64_t at(uint64_t second)
{
	return (int64_t)(T0 + second * SECOND);
}

static void gap_is(unsigned int index, const char *host, int gap, int64_t time, int64_t until)
{
	const struct history_row *row = &room.rows[index];

	assert_true(index < room.count);
	assert_true(wanted_text(&row->host, host));
	assert_int_equal(row->gap, gap);
	assert_true(row->time == time && row->until == until);
}

static void a_host_that_stopped_and_was_killed(void **state)
{
	(void)state;
	add("web1", 3, 700, 1000, false);
	add("web1", 1, 100, 200, true);
	add("web1", 2, 300, 600, false);
	gaps(INT64_MIN, INT64_MAX);
	assert_int_equal(room.count, 4);
	gap_is(0, "web1", -2, INT64_MIN, at(100));
	gap_is(1, "web1", STORE_GAP_STOPPED, at(200), at(300));
	gap_is(2, "web1", STORE_GAP_KILLED, at(600), at(700));
	gap_is(3, "web1", -1, at(1000), INT64_MAX);
	gaps(at(200), at(200));
	assert_int_equal(room.count, 1);
	gaps(at(400), at(500));
	assert_int_equal(room.count, 0);
	gaps(INT64_MIN, at(99));
	assert_int_equal(room.count, 1);
}

static void a_host_that_goes_on(void **state)
{
	struct fold_stream found;
	struct answer_row row = fleet_row(1, 0, "bound-socket");

	(void)state;
	add("web1", 0xabc, 100, 100000 - 150, false); /* just now, and */
	add("web2", 0xabc, 100, 100000 - 151, false); /* too long ago */
	gaps(at(50000), INT64_MAX);
	assert_int_equal(room.count, 1);
	gap_is(0, "web2", -1, at(100000 - 151), INT64_MAX);
	assert_true(streams_find(&streams, &row, &found));
	assert_true(found.until == INT64_MAX && found.started == at(100));
	row.host = fleet_text("web2");
	assert_true(streams_find(&streams, &row, &found));
	assert_true(found.until == at(100000 - 151));
	row.stream++;
	assert_false(streams_find(&streams, &row, &found));
	row.host = fleet_text("web");
	assert_false(streams_find(&streams, &row, &found));
	assert_true(streams_have_host(&streams, "web1"));
	assert_false(streams_have_host(&streams, "web"));
	assert_false(streams_have_host(&streams, "web11"));
}

/* Two at a time watch as long as one of them does. */
static void streams_side_by_side(void **state)
{
	(void)state;
	add("web1", 1, 100, 1000, true);
	add("web1", 2, 200, 300, false);
	add("web1", 3, 900, 2000, true);
	gaps(INT64_MIN, INT64_MAX);
	assert_int_equal(room.count, 2);
	gap_is(0, "web1", -2, INT64_MIN, at(100));
	gap_is(1, "web1", -1, at(2000), INT64_MAX);
}

static const struct question_window everything = {INT64_MIN, INT64_MAX, 0};

static const char *action = "heartbeat";

static void beat(struct streams_silence *silence, uint64_t id, uint64_t second)
{
	const struct answer_beat row = {.host = fleet_text("web1"),
					.id = id,
					.time = T0 + second * SECOND,
					.lost = 5,
					.action = fleet_text(action)};

	assert_int_equal(streams_beat(silence, &row), 0);
}

static void heartbeats_that_are_missing(void **state)
{
	struct streams_silence silence = {fleet_room_visit, &room, INT64_MIN, INT64_MAX, false,
					  BUFFER_EMPTY,	    0,	   0,	      false};
	struct stream_name names[4];
	size_t next = 0;

	(void)state;
	add("web1", 1, 0, 600, true);
	add("web1", 2, 700, 1300, true);
	streams_settle(&streams);
	assert_int_equal(streams_suspicious(&streams, &everything, &next, names, 4), 0);
	beat(&silence, 1, 0);
	beat(&silence, 1, 60);
	beat(&silence, 1, 210); /* 150 s: still in time */
	beat(&silence, 1, 361);
	beat(&silence, 2, 1000); /* another stream: that is no silence */
	beat(&silence, 2, 1060);
	assert_int_equal(room.count, 1);
	gap_is(0, "web1", -3, at(210), at(361));
	action = "stream-end"; /* of a stream that had no heartbeats */
	beat(&silence, 3, 1000);
	beat(&silence, 3, 9000);
	action = "heartbeat";
	assert_int_equal(room.count, 1);
	silence.lost = true;
	beat(&silence, 2, 1100);
	gap_is(1, "web1", STORE_GAP_LOST, at(1100), at(1100));
	assert_int_equal(room.rows[1].count, 5);
	buffer_free(&silence.host);
}

static void suspicious_ones_in_portions(void **state)
{
	struct answer_stream stream = {
		.host = fleet_text("web1"),
		.stream = fleet_text("0123456789abcdef"),
		.first = T0,
		.last = T0 + 601 * SECOND,
		.holes = 1,
	};
	struct stream_name names[2];
	size_t next = 0;

	(void)state;
	for (stream.id = 1; stream.id <= 5; stream.id++)
		assert_int_equal(streams_take(&streams, &stream), 0);
	streams_settle(&streams);
	assert_int_equal(streams_suspicious(&streams, &everything, &next, names, 2), 2);
	assert_string_equal(names[0].stream, "0123456789abcdef");
	assert_int_equal(next, 2);
	assert_int_equal(streams_suspicious(&streams, &everything, &next, names, 2), 2);
	assert_int_equal(streams_suspicious(&streams, &everything, &next, names, 2), 1);
	assert_int_equal(next, 0);
}

/* What is known of a stream comes in parts. */
static void parts_of_a_stream(void **state)
{
	struct streams more, own;
	struct fold_stream found;
	struct answer_row row = fleet_row(1, 0, "bound-socket");

	(void)state;
	add("web1", 0xabc, 100, 100, false);
	own = streams;
	streams = (struct streams){0};
	add("web1", 0xabc, 300, 900, false);
	add("web2", 0xabc, 300, 400, true);
	more = streams;
	streams = own;
	assert_int_equal(streams_join(&streams, &more), 0);
	streams_free(&more);
	streams_settle(&streams);
	assert_int_equal(streams.count, 2);
	assert_true(streams_find(&streams, &row, &found));
	assert_true(found.started == at(100) && found.until == at(900));
}

/* What is silent all through the window and goes on behind it. */
static void silent_in_the_window(void **state)
{
	const struct question_window window = {at(1000), at(2000), NOW};
	struct stream_name names[8];
	size_t next = 0;

	(void)state;
	add("a", 1, 100, 100000 - 1, false);
	add("b", 1, 1500, 100000 - 1, false);
	streams.pulse = true;
	add("c", 1, 100, 100000 - 1, false);
	streams_settle(&streams);
	assert_int_equal(streams_suspicious(&streams, &window, &next, names, 8), 1);
	assert_string_equal(names[0].host, "a");
}

/* Of which it is to be asked when they were killed. */
static void streams_without_an_end(void **state)
{
	const struct question_window window = {at(1000), at(2000), NOW};
	struct stream_name names[8];
	size_t next = 0;

	(void)state;
	add("a", 1, 100, 100, false);  /* killed before, or in the window: */
	add("b", 1, 100, 1500, false); /* that was seen */
	add("c", 1, 100, 1900, false); /* it may have gone on behind it */
	add("d", 1, 100, 100, true);
	add("e", 1, 100, 100, false); /* long gone: there is a later one */
	add("e", 2, 500, 100000 - 1, false);
	streams_settle(&streams);
	assert_int_equal(streams_broken(&streams, &window, &next, names, 8), 2);
	assert_string_equal(names[0].host, "a");
	assert_string_equal(names[1].host, "c");
	assert_int_equal(next, 0);
}

/* ---- in order ---- */

static void rows_in_order(void **state)
{
	struct sorter *sorter = sorter_new();
	struct history_row row = {.host = fleet_text("b"), .time = 5, .count = 77};
	static struct history_row copy;

	(void)state;
	assert_non_null(sorter);
	row.kind = HISTORY_FAILURE;
	row.process.comm = fleet_text("x\0y");
	row.process.comm.length = 3;
	row.blocked_count = 2;
	row.blockers[1].state = fleet_text("listen");
	row.blockers[1].process.comm = fleet_text("nginx");
	assert_int_equal(sorter_add(sorter, &row), 0);
	row.host = fleet_text("a");
	assert_int_equal(sorter_add(sorter, &row), 0);
	row.time = INT64_MIN;
	row.blocked_count = 0;
	assert_int_equal(sorter_add(sorter, &row), 0);
	assert_int_equal(sorter_visit(sorter, 0, fleet_room_visit, &room), 0);
	assert_int_equal(room.count, 3);
	assert_true(room.rows[0].time == INT64_MIN);
	assert_true(wanted_text(&room.rows[1].host, "a"));
	copy = room.rows[2];
	assert_true(wanted_text(&copy.host, "b"));
	assert_int_equal(copy.process.comm.length, 3);
	assert_memory_equal(copy.process.comm.data, "x\0y", 3);
	assert_null(copy.process.exe.data);
	assert_int_equal(copy.count, 77);
	assert_int_equal(copy.blocked_count, 2);
	assert_true(wanted_text(&copy.blockers[1].state, "listen"));
	assert_true(wanted_text(&copy.blockers[1].process.comm, "nginx"));
	room.count = 0;
	assert_int_equal(sorter_visit(sorter, 2, fleet_room_visit, &room), 0);
	assert_int_equal(room.count, 2);
	assert_true(room.rows[0].time == 5 && wanted_text(&room.rows[0].host, "a"));
	sorter_free(sorter);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_that_stopped_and_was_killed),
		TEST(a_host_that_goes_on),
		TEST(streams_side_by_side),
		TEST(heartbeats_that_are_missing),
		TEST(suspicious_ones_in_portions),
		TEST(parts_of_a_stream),
		TEST(silent_in_the_window),
		TEST(streams_without_an_end),
		TEST(rows_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
