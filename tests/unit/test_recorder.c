/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What of a stream becomes rows of the history, asked with SQL through the views. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "records.h"
#include "store_room.h"
#include "stream/recorder.h"

#define SERVER 100
#define CLIENT 300
#define PEER "\xc0\0\x02\x50"
#define MS 1000000u

/* net/tcp_states.h */
#define ESTABLISHED 1
#define LISTENING 10

struct tape {
	struct store *store;
	struct recorder *recorder;
	uint64_t time;
};

static void play(struct tape *tape, void *record, size_t size)
{
	struct wire_header *header = record;
	const char *why = "";

	if (header->type != WIRE_STREAM_START)
		header->time = tape->time += MS;
	assert_int_equal(recorder_record(tape->recorder, record, size, &why), 0);
}

static void play_event(struct tape *tape, struct wire_event event)
{
	play(tape, &event, sizeof(event));
}

static int64_t wall(const struct tape *tape)
{
	return RECORDS_WALL + (int64_t)(tape->time - RECORDS_TIME);
}

static void tape_begin(struct tape *tape)
{
	struct wire_stream_start start = record_start();
	struct wire_process client = record_process(CLIENT, "client", "/usr/bin/client",
						    "client -x", "/system.slice/app.service");

	*tape = (struct tape){.store = room_open(), .time = RECORDS_TIME};
	tape->recorder = recorder_new(tape->store, NULL);
	assert_non_null(tape->recorder);
	play(tape, &start, sizeof(start));
	play(tape, &client, sizeof(client));
}

static void tape_commit(struct tape *tape)
{
	assert_int_equal(recorder_commit(tape->recorder, wall(tape), tape->time), 0);
	assert_false(recorder_pending(tape->recorder));
}

/* Closed, because the room asks through a connection of its own. */
static void tape_end(struct tape *tape)
{
	tape_commit(tape);
	recorder_free(tape->recorder);
	store_close(tape->store, wall(tape));
	room_check();
}

static struct wire_event call_bind(uint64_t socket, uint16_t port)
{
	struct wire_event event = record_bind(SERVER, "server", port, port);

	event.socket = socket;
	return event;
}

static struct wire_event call_listen(uint64_t socket, uint16_t port)
{
	struct wire_event event = record_event(WIRE_CALL, WIRE_LISTEN, SERVER, "server");

	event.socket = socket;
	event.local_port = port;
	return event;
}

static struct wire_event call_connect(uint64_t socket)
{
	struct wire_event event = record_connect(WIRE_CALL, CLIENT, "client");

	event.socket = socket;
	return event;
}

static struct wire_event outcome(uint64_t socket, uint32_t error)
{
	struct wire_event event = record_connect(WIRE_OUTCOME, CLIENT, "client");

	event.socket = socket;
	event.error = error;
	return event;
}

static struct wire_event release(uint64_t socket, uint16_t port, uint32_t flags)
{
	struct wire_event event = record_connect(WIRE_RELEASE, CLIENT, "client");

	event.socket = socket;
	event.local_port = port;
	event.flags |= flags;
	return event;
}

#define LEASE                                                                                      \
	"SELECT protocol || ' ' || local_ip || ':' || local_port || ' ' || outcome || ' ' || ending"

static void test_server(void **state)
{
	struct tape tape;

	(void)state;
	tape_begin(&tape);
	play_event(&tape, call_bind(7, 80)); /* 2 ms */
	play_event(&tape, call_listen(7, 80));
	tape_commit(&tape);
	play_event(&tape, release(7, 80, 0)); /* 4 ms */
	tape_end(&tape);
	assert_string_equal(room_text(LEASE " FROM leases"), "tcp 0.0.0.0:80 listening released");
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 1);
	assert_int_equal(room_number("SELECT claimed FROM leases"), RECORDS_WALL + 2 * (int64_t)MS);
	assert_int_equal(room_number("SELECT held FROM leases"), 2 * MS);
	assert_string_equal(room_text("SELECT trigger || ' ' || origin FROM leases"),
			    "bind requested");
	assert_int_equal(room_number("SELECT pid FROM leases"), SERVER);
}

static void test_connection(void **state)
{
	struct tape tape;

	(void)state;
	tape_begin(&tape);
	play_event(&tape, call_connect(7)); /* 2 ms */
	play_event(&tape, outcome(7, 0));
	tape_commit(&tape);
	play_event(&tape, release(7, 40000, WIRE_TIME_WAIT)); /* 4 ms */
	tape_commit(&tape);
	play_event(&tape, release(7, 40000, WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER)); /* 5 ms */
	tape_end(&tape);
	assert_string_equal(room_text(LEASE " FROM leases"),
			    "tcp 10.0.0.1:40000 established released");
	assert_string_equal(room_text("SELECT remote_ip || ':' || remote_port FROM leases"),
			    "192.0.2.80:443");
	assert_int_equal(room_number("SELECT held FROM leases"), 3 * MS);
	assert_int_equal(room_number("SELECT lingered FROM leases"), MS);
	assert_int_equal(room_number("SELECT answered FROM leases"), MS);
	assert_string_equal(
		room_text("SELECT comm || ' ' || exe || ' ' || args || ' ' || unit FROM leases"),
		"client /usr/bin/client [\"client\",\"-x\"] app.service");
}

static void test_refused(void **state)
{
	struct tape tape;

	(void)state;
	tape_begin(&tape);
	play_event(&tape, call_connect(7));
	play_event(&tape, outcome(7, ECONNREFUSED));
	play_event(&tape, release(7, 40000, 0));
	tape_end(&tape);
	assert_string_equal(room_text(LEASE " || ' ' || error FROM leases"),
			    "tcp 10.0.0.1:40000 failed released ECONNREFUSED");
	assert_string_equal(room_text("SELECT remote_ip || ':' || remote_port FROM leases"),
			    "192.0.2.80:443");
	assert_int_equal(room_number("SELECT count(*) FROM failures"), 0);
}

static void test_failure(void **state)
{
	struct wire_event failure = call_bind(8, 80);
	struct tape tape;

	(void)state;
	failure.error = EADDRINUSE;
	failure.local_port = 0;
	failure.pid = CLIENT;
	failure.start = 1000000u + CLIENT;
	tape_begin(&tape);
	play_event(&tape, call_bind(7, 80));
	play_event(&tape, call_listen(7, 80));
	play_event(&tape, failure);
	tape_end(&tape);
	assert_int_equal(room_number("SELECT count(*) FROM failures"), 1);
	assert_string_equal(
		room_text(
			"SELECT local_ip || ':' || local_port || ' ' || error || ' ' || pid FROM failures"),
		"0.0.0.0:80 EADDRINUSE 300");
	assert_int_equal(room_number("SELECT blocked_by ->> '$[0].pid' FROM failures"), SERVER);
	assert_string_equal(room_text("SELECT blocked_by ->> '$[0].role' FROM failures"),
			    "claimant");
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 1);
}

/* Before the recording: the process only holds it, and nobody knows since when. */
static void test_seed(void **state)
{
	struct tape tape;

	(void)state;
	tape_begin(&tape);
	play_event(&tape, record_seed(SERVER, "server", 7, LISTENING, 80));
	tape_end(&tape);
	assert_string_equal(room_text(LEASE " FROM leases"), "tcp 0.0.0.0:80 listening open");
	assert_int_equal(room_number("SELECT trigger IS NULL FROM leases"), 1);
	assert_int_equal(room_number("SELECT pid FROM leases"), SERVER);
	assert_int_equal(room_number("SELECT claimed FROM leases"), RECORDS_WALL);
}

/* An accepted connection is its listener's, whichever of them the kernel listed first. */
static void test_shares_are_left_out(void **state)
{
	struct wire_event seed = record_seed(SERVER, "server", 9, ESTABLISHED, 80);
	struct tape tape;

	(void)state;
	record_other4(&seed, PEER, 50000);
	tape_begin(&tape);
	play_event(&tape, seed);
	play_event(&tape, record_seed(SERVER, "server", 7, LISTENING, 80));
	seed.socket = 10;
	play_event(&tape, seed);
	tape_commit(&tape);
	play_event(&tape, release(9, 80, 0));
	play_event(&tape, release(10, 80, 0));
	tape_end(&tape);
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 1);
	assert_string_equal(room_text("SELECT outcome FROM leases"), "listening");
}

/* Nobody tells of its end: time does, and needs no record to come. */
static void test_estimated_time_wait(void **state)
{
	struct tape tape;

	(void)state;
	tape_begin(&tape);
	play_event(&tape, call_connect(7));
	play_event(&tape, outcome(7, 0));
	play_event(&tape, release(7, 40000, WIRE_TIME_WAIT | WIRE_ESTIMATED)); /* 4 ms */
	tape_commit(&tape);
	tape.time += 61 * (uint64_t)SECOND;
	assert_int_equal(recorder_commit(tape.recorder, wall(&tape), tape.time), 0);
	tape_end(&tape);
	assert_string_equal(room_text(LEASE " FROM leases"),
			    "tcp 10.0.0.1:40000 established estimated");
	assert_int_equal(room_number("SELECT held FROM leases"), 60 * SECOND + 2 * (int64_t)MS);
	assert_int_equal(room_number("SELECT lingered FROM leases"), 60 * SECOND);
}

static void test_lost_and_clock(void **state)
{
	struct wire_clock clock = {
		.header = {.type = WIRE_CLOCK, .size = sizeof(clock)},
		.wall_offset = RECORDS_WALL - (int64_t)RECORDS_TIME + 3600 * SECOND,
	};
	struct wire_event event = call_bind(7, 80);
	struct tape tape;

	(void)state;
	tape_begin(&tape);
	event.header.lost = 5;
	play_event(&tape, event);
	play(&tape, &clock, sizeof(clock));
	play(&tape, &clock, sizeof(clock)); /* no step */
	event = call_bind(8, 81);
	event.header.lost = 5;
	play_event(&tape, event);
	tape_end(&tape);
	assert_int_equal(room_number("SELECT count FROM gaps WHERE reason = 'lost'"), 5);
	assert_int_equal(room_number("SELECT count(*) FROM gaps WHERE reason = 'clock'"), 1);
	assert_int_equal(room_number("SELECT until - since FROM gaps WHERE reason = 'clock'"),
			 3600 * SECOND);
	assert_int_equal(room_number("SELECT max(claimed) - min(claimed) FROM leases"),
			 3600 * SECOND + 3 * (int64_t)MS);
}

/* What is held is in the new database, too, with its process. */
static void test_database_deleted(void **state)
{
	struct tape tape;

	(void)state;
	tape_begin(&tape);
	play_event(&tape, call_bind(7, 80));
	play_event(&tape, call_connect(8));
	tape_commit(&tape);
	assert_int_equal(unlink(room_path), 0);
	play_event(&tape, call_listen(7, 80));
	recorder_commit(tape.recorder, wall(&tape), tape.time);
	tape_end(&tape);
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 2);
	assert_string_equal(
		room_text("SELECT outcome || ' ' || comm FROM leases WHERE local_port = 80"),
		"listening server");
	assert_string_equal(room_text("SELECT exe FROM leases WHERE local_port = 40000"),
			    "/usr/bin/client");
}

/* The next one who ends is not whoever had its number in the file before. */
static void test_database_deleted_while_one_ends(void **state)
{
	struct wire_event innocent = record_bind(555, "innocent", 81, 81);
	struct tape tape;

	(void)state;
	innocent.socket = 9;
	tape_begin(&tape);
	play_event(&tape, call_bind(7, 80));
	tape_commit(&tape);
	assert_int_equal(unlink(room_path), 0);
	recorder_commit(tape.recorder, wall(&tape), tape.time);
	play_event(&tape, innocent);
	play_event(&tape, release(7, 80, 0));
	tape_end(&tape);
	assert_int_equal(room_number("SELECT pid FROM leases WHERE local_port = 80"), SERVER);
	assert_string_equal(room_text("SELECT comm FROM leases WHERE local_port = 81"), "innocent");
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 2);
}

/* A thread has a name of its own, and a process may change its user. */
static void test_faces_of_a_process(void **state)
{
	struct wire_event thread = record_bind(CLIENT, "pool-7", 81, 81);
	struct wire_event nobody = record_bind(CLIENT, "client", 82, 82);
	struct tape tape;

	(void)state;
	thread.socket = 8;
	nobody.socket = 9;
	nobody.uid = 65534;
	tape_begin(&tape);
	play_event(&tape, thread);
	play_event(&tape, call_connect(7));
	play_event(&tape, nobody);
	tape_end(&tape);
	assert_string_equal(
		room_text(
			"SELECT comm || ' ' || uid || ' ' || exe FROM leases WHERE local_port = 81"),
		"pool-7 1000 /usr/bin/client");
	assert_string_equal(
		room_text(
			"SELECT comm || ' ' || uid || ' ' || exe FROM leases WHERE local_port = 82"),
		"client 65534 /usr/bin/client");
	assert_string_equal(
		room_text("SELECT comm || ' ' || uid FROM leases WHERE local_port = 40000"),
		"client 1000");
	assert_int_equal(room_number("SELECT count(DISTINCT pid) FROM leases"), 1);
}

static void test_second_connect(void **state)
{
	struct wire_event again = call_connect(7);
	struct tape tape;

	(void)state;
	again.flags &= ~(uint32_t)WIRE_CLAIMED;
	tape_begin(&tape);
	play_event(&tape, call_connect(7));
	play_event(&tape, outcome(7, ECONNREFUSED));
	tape_commit(&tape);
	play_event(&tape, again);
	play_event(&tape, outcome(7, 0));
	tape_end(&tape);
	assert_string_equal(room_text("SELECT outcome || coalesce(error, '') FROM leases"),
			    "established");
}

/* The room in memory is for what waits, not for all that is held. */
static void test_more_than_fits(void **state)
{
	const struct store_options options = {
		.path = room_path, .max_size = 1u << 30, .batch = 256 << 10};
	struct wire_stream_start start = record_start();
	struct wire_event event;
	char why[256];
	struct tape tape = {.time = RECORDS_TIME};

	(void)state;
	assert_int_equal(store_open(&options, &tape.store, why, sizeof(why)), 0);
	tape.recorder = recorder_new(tape.store, NULL);
	play(&tape, &start, sizeof(start));
	for (uint32_t i = 1; i <= 3000; i++) {
		event = record_bind(10000 + i, "one of many", 0, (uint16_t)(1024 + i));
		event.socket = i;
		play_event(&tape, event);
	}
	tape_commit(&tape);
	assert_int_equal(unlink(room_path), 0);
	recorder_commit(tape.recorder, wall(&tape), tape.time);
	tape_commit(&tape);
	for (uint32_t i = 1; i <= 1000; i++)
		play_event(&tape, release(i, (uint16_t)(1024 + i), 0));
	tape_end(&tape);
	assert_int_equal(room_number("SELECT count(*) FROM leases WHERE ending = 'open'"), 2000);
	assert_int_equal(room_number("SELECT count(*) FROM leases WHERE ending = 'released'"),
			 1000);
	assert_int_equal(room_number("SELECT count(DISTINCT pid) FROM leases"), 3000);
	assert_int_equal(room_number("SELECT coalesce(sum(count), 0) FROM gaps"), 0);
}

static void test_totals(void **state)
{
	struct wire_stream_end end = record_end(5, 0);
	struct recorder_totals totals;
	struct tape tape;

	(void)state;
	tape_begin(&tape);
	play_event(&tape, call_bind(7, 80));
	play_event(&tape, release(7, 80, 0));
	play(&tape, &end, sizeof(end));
	recorder_totals(tape.recorder, &totals);
	assert_int_equal(totals.events, 2);
	assert_int_equal(totals.received, 3);
	assert_true(totals.ended);
	assert_int_equal(totals.end.seen, 5);
	tape_end(&tape);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, room_make, room_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_server),
		TEST(test_connection),
		TEST(test_refused),
		TEST(test_failure),
		TEST(test_seed),
		TEST(test_shares_are_left_out),
		TEST(test_estimated_time_wait),
		TEST(test_lost_and_clock),
		TEST(test_database_deleted),
		TEST(test_database_deleted_while_one_ends),
		TEST(test_faces_of_a_process),
		TEST(test_second_connect),
		TEST(test_more_than_fits),
		TEST(test_totals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
