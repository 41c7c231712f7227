/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a watcher of the ledger is told: each lease from its opening to its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include "ledger_room.h"

/* One letter a call: o, c, and how it ended: r(eleased) x(pired) m(issed) v (evicted). */
struct diary {
	char letters[64];
	size_t length;
	uint64_t socket; /* of the last call */
	uint64_t time;
	uint8_t state;
	unsigned int open;
};

static void diary_note(struct diary *diary, const struct lease *lease, char letter)
{
	assert_true(diary->length + 1 < sizeof(diary->letters));
	diary->letters[diary->length++] = letter;
	diary->socket = lease->socket;
	diary->state = lease->state;
}

static void watch_opened(void *context, struct lease *lease)
{
	struct diary *diary = context;

	assert_null(lease->note);
	lease->note = lease;
	diary->open++;
	diary_note(diary, lease, 'o');
}

static void watch_changed(void *context, struct lease *lease)
{
	assert_ptr_equal(lease->note, lease);
	diary_note(context, lease, 'c');
}

static void watch_ended(void *context, struct lease *lease, enum lease_ending ending, uint64_t time)
{
	struct diary *diary = context;

	assert_ptr_equal(lease->note, lease);
	diary->open--;
	diary->time = time;
	diary_note(diary, lease, "rxmv"[ending]);
}

static void watch(struct room *room, struct diary *diary)
{
	const struct lease_watcher watcher = {watch_opened, watch_changed, watch_ended, diary};

	memset(diary, 0, sizeof(*diary));
	ledger_watch(room->ledger, &watcher);
}

static void test_server(void **state)
{
	struct room *room = *state;
	struct diary diary;

	watch(room, &diary);
	take(room, bind_event(7, 80));
	assert_int_equal(diary.state, LEASE_BOUND);
	take(room, listen_event(7, 80));
	assert_int_equal(diary.state, LEASE_LISTEN);
	take(room, release_event(7, 80, 0));
	assert_string_equal(diary.letters, "ocr");
	assert_int_equal(diary.time, room->time);
	assert_int_equal(diary.open, 0);
}

static void test_connection_into_time_wait(void **state)
{
	struct room *room = *state;
	struct wire_event over = release_event(7, 40000, WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER);
	struct diary diary;

	watch(room, &diary);
	take(room, connect_event(7, 40000, PEER, 443));
	take(room, outcome_event(7, 40000, PEER, 443));
	take(room, release_event(7, 40000, WIRE_TIME_WAIT));
	assert_int_equal(diary.state, LEASE_TIME_WAIT);
	assert_string_equal(diary.letters, "occ");
	take(room, over);
	assert_string_equal(diary.letters, "occr");
}

static void test_time_wait_that_nobody_ends(void **state)
{
	struct room *room = *state;
	struct diary diary;
	uint64_t begun;

	watch(room, &diary);
	take(room, connect_event(7, 40000, PEER, 443));
	take(room, release_event(7, 40000, WIRE_TIME_WAIT | WIRE_ESTIMATED));
	begun = room->time;
	room->time += LEDGER_TIME_WAIT - 10;
	take(room, bind_event(8, 80));
	assert_string_equal(diary.letters, "oco");
	room->time += 100;
	take(room, bind_event(9, 81));
	assert_string_equal(diary.letters, "ocoxo");
	assert_int_equal(diary.time, begun + LEDGER_TIME_WAIT);
}

static void test_release_that_was_lost(void **state)
{
	struct room *room = *state;
	struct diary diary;

	watch(room, &diary);
	take(room, bind_event(7, 80));
	take(room, bind_event(7, 81));
	assert_string_equal(diary.letters, "oom");
	assert_int_equal(diary.open, 1);
	assert_int_equal(diary.time, room->time);
}

static void test_eviction(void **state)
{
	struct room *room = *state;
	struct diary diary;

	ledger_free(room->ledger);
	room->ledger = ledger_new(2);
	watch(room, &diary);
	for (uint16_t i = 1; i <= 3; i++)
		take(room, bind_event(i, (uint16_t)(80 + i)));
	assert_string_equal(diary.letters, "ooov");
	assert_int_equal(diary.socket, 1);
	assert_int_equal(diary.time, room->time);
}

static void test_share_that_is_known_late(void **state)
{
	struct room *room = *state;
	struct diary diary;

	watch(room, &diary);
	take(room, seed_event(9, 80, ESTABLISHED));
	take(room, seed_event(7, 80, LISTENING));
	assert_string_equal(diary.letters, "ooc");
	assert_int_equal(diary.socket, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_server),
		TEST(test_connection_into_time_wait),
		TEST(test_time_wait_that_nobody_ends),
		TEST(test_release_that_was_lost),
		TEST(test_eviction),
		TEST(test_share_that_is_known_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
