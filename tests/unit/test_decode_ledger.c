/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the decoder hands on for the account of leases. */
#include "decode_room.h"

/* Of the record that the observer was given as number `index`. */
static void observed(const struct room *room, unsigned int index, uint16_t type,
		     unsigned int events_before)
{
	assert_true(index < room->observations);
	assert_int_equal(room->observed[index].header.type, type);
	assert_int_equal(room->events_before[index], events_before);
}

static void observer_sees_sockets(void **state)
{
	struct room *room = *state;
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct wire_event outcome = record_connect(WIRE_OUTCOME, 42, "web");
	struct wire_event seed = record_seed(7, "old", 9, 1, 22);
	struct wire_event release = record_event(WIRE_RELEASE, 0, 0, "");
	struct wire_process process = record_process(42, "web", "/bin/web", "web", "/");
	struct wire_blocker blocker = record_blocker(7, "old", 10, 80);
	struct wire_stream_end end = record_end(5, 2);

	release.flags = WIRE_NO_CLAIMANT;
	feed(room, &process, 0);
	feed(room, &blocker, 0);
	assert_int_equal(room->observations, 0);

	/* before the record's own event, behind that of a gap in front of it */
	feed(room, &bind, 1);
	observed(room, 0, WIRE_CALL, 0);
	assert_memory_equal(&room->observed[0], &bind, sizeof(bind));
	outcome.header.lost = 2;
	feed(room, &outcome, 2);
	observed(room, 1, WIRE_OUTCOME, 2);
	outcome.header.lost = 0;
	feed(room, &release, 1);
	observed(room, 2, WIRE_RELEASE, 3);
	feed(room, &seed, 0);
	observed(room, 3, WIRE_SEED, 4);
	assert_memory_equal(&room->observed[3], &seed, sizeof(seed));

	/* one that turned out to be none */
	seed.socket = 0;
	feed(room, &seed, 0);
	assert_int_equal(room->observations, 4);
	assert_int_equal(decoder_received(room->decoder), 6);
	feed(room, &end, 1);
	assert_int_equal(room->observations, 4);
	assert_int_equal(totals_of(room).skipped, 0);
}

/* What a seed's header says of its CPU counts like that of any record. */
static void seeds_are_records(void **state)
{
	struct room *room = *state;
	struct wire_event seed = record_seed(7, "old", 9, 7, 53);

	seed.header.cpu_sequence = record_number(1, 4);
	seed.header.lost = 2;
	assert_int_equal(feed(room, &seed, 1)->gap.count, 2);
	assert_int_equal(totals_of(room).missing, 1);
	seed.header.cpu_sequence = record_number(1, 3);
	feed(room, &seed, 0);
	assert_int_equal(totals_of(room).missing, 0);
	assert_int_equal(totals_of(room).received, 2);
	assert_int_equal(decoder_stream(room->decoder)->events, 2);
}

static void without_observer(void **state)
{
	struct room *room = *state;
	struct wire_stream_start start = record_start();
	struct wire_event seed = record_seed(7, "old", 9, 12, 53);
	struct wire_event bind = record_bind(42, "web", 80, 80);

	decoder_free(room->decoder);
	room->decoder = decoder_new(handler, NULL, room);
	assert_non_null(room->decoder);
	feed(room, &start, 1);
	feed(room, &seed, 0);
	feed(room, &bind, 1);
	assert_int_equal(room->observations, 0);
}

static void observer_stops(void **state)
{
	struct room *room = *state;
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct wire_event seed = record_seed(7, "old", 9, 1, 22);

	room->observer_answer = -ENOMEM;
	assert_int_equal(decoder_record(room->decoder, &bind, sizeof(bind), &room->why), -ENOMEM);
	assert_int_equal(decoder_record(room->decoder, &seed, sizeof(seed), &room->why), -ENOMEM);
	assert_int_equal(room->count, 0);
	room->observer_answer = 1;
	feed(room, &seed, 0);
	feed(room, &bind, 1);
}

static void blockers_of_a_call(void **state)
{
	struct room *room = *state;
	struct wire_event bind = record_bind(42, "web", 80, 0);
	struct wire_blocker listening = record_blocker(7, "old", 10, 80);
	struct wire_blocker waiting = record_blocker(0, "", 6, 80);
	struct wire_user user = {
		.header = {.type = WIRE_USER, .size = sizeof(user)}, .uid = 1000, .name = "dev"};
	struct seen *seen;

	bind.error = EADDRINUSE;
	feed(room, &listening, 0);
	feed(room, &user, 0); /* of user space, as they are: may stand between */
	feed(room, &waiting, 0);
	bind.header.lost = 1;
	seen = feed(room, &bind, 2);
	assert_int_equal(seen[-1].action, EVENT_LOST);
	assert_int_equal(seen[-1].blocker_total, 0);
	assert_int_equal(seen->blocker_count, 2);
	assert_int_equal(seen->blocker_total, 2);
	assert_memory_equal(&seen->first, &listening, sizeof(listening));
	assert_memory_equal(&seen->last, &waiting, sizeof(waiting));

	/* of that one alone */
	assert_int_equal(feed(room, &bind, 1)->blocker_total, 0);
}

static void blockers_of_nothing(void **state)
{
	struct room *room = *state;
	struct wire_blocker blocker = record_blocker(7, "old", 10, 80);
	struct wire_event bind = record_bind(42, "web", 80, 0), bad = bind;
	struct wire_event others[] = {
		record_connect(WIRE_OUTCOME, 42, "web"),
		record_event(WIRE_RELEASE, WIRE_BIND, 42, "web"),
		record_seed(7, "old", 9, 1, 22),
	};
	struct wire_process process = record_process(42, "web", "/bin/web", "web", "/");
	struct wire_header unknown = {.type = 9, .size = sizeof(unknown)};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		unsigned int events = others[i].header.type != WIRE_SEED;
		struct seen *seen;

		feed(room, &blocker, 0);
		seen = feed(room, &others[i], events);
		assert_int_equal(seen ? seen->blocker_total : 0, 0);
		assert_int_equal(feed(room, &bind, 1)->blocker_total, 0);
	}
	feed(room, &blocker, 0);
	feed(room, &process, 0);
	assert_int_equal(feed(room, &bind, 1)->blocker_total, 0);
	feed(room, &blocker, 0);
	feed(room, &unknown, 0);
	assert_int_equal(feed(room, &bind, 1)->blocker_total, 0);

	/* a record that is none changes nothing */
	feed(room, &blocker, 0);
	bad.family = 0;
	refuse(room, &bad, sizeof(bad), "neither 4 nor 6");
	assert_int_equal(feed(room, &bind, 1)->blocker_total, 1);
}

static void blockers_beyond_the_limit(void **state)
{
	struct room *room = *state;
	struct wire_event bind = record_bind(42, "web", 80, 0);
	struct seen *seen;

	for (uint16_t port = 1; port <= EVENT_BLOCKERS + 6; port++) {
		struct wire_blocker blocker = record_blocker(7, "old", 10, port);

		feed(room, &blocker, 0);
	}
	seen = feed(room, &bind, 1);
	assert_int_equal(seen->blocker_count, EVENT_BLOCKERS);
	assert_int_equal(seen->blocker_total, EVENT_BLOCKERS + 6);
	assert_int_equal(seen->first.local_port, 1);
	assert_int_equal(seen->last.local_port, EVENT_BLOCKERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(observer_sees_sockets, started),
		TEST(observer_stops, started),
		TEST(without_observer, empty),
		TEST(seeds_are_records, started),
		TEST(blockers_of_a_call, started),
		TEST(blockers_of_nothing, started),
		TEST(blockers_beyond_the_limit, started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
