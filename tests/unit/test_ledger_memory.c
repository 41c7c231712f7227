/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the ledger needs, and that it gives it back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>

#include "ledger_room.h"

#define MILLION 1000000
#define MIB (1 << 20)

/* Bytes that are in use; gcc lacks the header of its own library. */
size_t __sanitizer_get_current_allocated_bytes(void);

static size_t in_use(void)
{
	return __sanitizer_get_current_allocated_bytes();
}

static struct room room_of(size_t limit)
{
	struct room room = {.ledger = ledger_new(limit), .time = RECORDS_TIME};

	assert_non_null(room.ledger);
	return room;
}

static struct ledger_totals totals_of(const struct room *room)
{
	struct ledger_totals totals;

	ledger_totals(room->ledger, &totals);
	return totals;
}

/* On a port of the pool, toward one of several peers. */
static struct wire_event nth_connect(uint64_t n)
{
	char peer[4] = {10, 1, 0, (char)(n / 28000)};

	return connect_event(n + 1, (uint16_t)(32768 + n % 28000), peer, 443);
}

static void test_a_million_claims_leave_nothing(void **state)
{
	struct room room = room_of(100000);
	size_t before = in_use(), most = 0;

	(void)state;
	for (uint64_t n = 0; n < MILLION; n++) {
		struct wire_event connect = nth_connect(n % 1000);

		connect.socket = n + 1;
		take(&room, connect);
		if (n >= 1000)
			take(&room, release_event(n + 1 - 1000, 1, 0));
		if (in_use() > most)
			most = in_use();
	}
	assert_int_equal(totals_of(&room).opened, MILLION);
	assert_int_equal(totals_of(&room).leases, 1000);
	assert_true(most - before < MIB);
	for (uint64_t n = MILLION - 1000; n < MILLION; n++)
		take(&room, release_event(n + 1, 1, 0));
	assert_int_equal(totals_of(&room).leases, 0);
	assert_int_equal(totals_of(&room).unknown, 0);
	assert_int_equal(in_use(), before);
	ledger_free(room.ledger);
}

static void test_hundred_thousand_leases(void **state)
{
	size_t before = in_use(), used;
	struct room room = room_of(100000);
	size_t empty = in_use();

	(void)state;
	for (uint64_t n = 0; n < 100000; n++)
		take(&room, nth_connect(n));
	assert_int_equal(totals_of(&room).leases, 100000);
	assert_int_equal(totals_of(&room).evicted, 0);
	used = in_use() - before;
	print_message("# 100,000 leases: %zu KiB, %zu bytes each\n", used / 1024, used / 100000);
	assert_true(used < 40 * MIB);
	for (uint64_t n = 0; n < 100000; n++)
		take(&room, release_event(n + 1, 1, 0));
	assert_int_equal(in_use(), empty);
	ledger_free(room.ledger);
	assert_int_equal(in_use(), before);
}

/* Nothing but claims and TIME_WAIT without an end: it is bounded all the same. */
static void test_more_than_it_may_hold(void **state)
{
	struct room room = room_of(1000);
	size_t before = in_use();

	(void)state;
	for (uint64_t n = 0; n < 200000; n++) {
		take(&room, nth_connect(n % 100000));
		if (n % 3 == 0)
			take(&room, release_event(n % 100000 + 1, 1, WIRE_TIME_WAIT));
		assert_true(totals_of(&room).leases <= 1000);
	}
	assert_int_equal(totals_of(&room).opened, 200000);
	assert_int_equal(totals_of(&room).evicted, 199000);
	assert_true(in_use() - before < 2 * MIB);
	ledger_free(room.ledger);
}

/* What is asked once is not kept for ever. */
static void test_questions_leave_nothing(void **state)
{
	struct room room = room_of(1000);
	size_t before = in_use();
	struct wire_event failure = failed(bind_event(0, 0), EADDRINUSE);
	struct blockers top;

	(void)state;
	for (uint64_t n = 0; n < 1000; n++) {
		struct wire_event connect = nth_connect(n);

		connect.pid = (uint32_t)(1 + n);
		take(&room, connect);
	}
	holders(&room, &failure, &top);
	assert_int_equal(top.total, 1000);
	for (uint64_t n = 0; n < 1000; n++)
		take(&room, release_event(n + 1, 1, 0));
	holders(&room, &failure, &top);
	assert_int_equal(top.total, 0);
	assert_int_equal(in_use(), before);
	ledger_free(room.ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_million_claims_leave_nothing),
		cmocka_unit_test(test_hundred_thousand_leases),
		cmocka_unit_test(test_more_than_it_may_hold),
		cmocka_unit_test(test_questions_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
