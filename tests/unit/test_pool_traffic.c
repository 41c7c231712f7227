/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the tally counted, pool by pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <netinet/in.h>
#include <string.h>

#include "model/pool_traffic.h"

#define SECOND UINT64_C(1000000000)

static struct tally_place_row row_made(uint8_t trigger, uint16_t protocol, uint16_t other_port,
				       uint64_t claims)
{
	return (struct tally_place_row){
		.place = {.netns = 5,
			  .protocol = protocol,
			  .trigger = trigger,
			  .family = 4,
			  .pool_low = 40000,
			  .pool_high = 40019,
			  .other_port = other_port,
			  .local = {other_port ? 10 : 0},
			  .other = {other_port ? 9 : 0}},
		.counts = {.claims = claims},
	};
}

static const struct pool_key connect_key = {.netns = 5,
					    .protocol = IPPROTO_TCP,
					    .way = POOL_CONNECT,
					    .family = 4,
					    .other_port = 443,
					    .low = 40000,
					    .high = 40019,
					    .local = {10},
					    .other = {9}};
static const struct pool_key bind_key = {.netns = 5,
					 .protocol = IPPROTO_TCP,
					 .way = POOL_BIND,
					 .family = 4,
					 .low = 40000,
					 .high = 40019};

static struct pool_traffic sum(struct tally_place_row *rows, size_t count,
			       const struct pool_key *key)
{
	struct tally_reading now = {.time = 11 * SECOND, .places = rows, .place_count = count};
	struct pool_changes changes;
	struct pool_traffic traffic;

	assert_int_equal(pool_changes_make(&changes, NULL, &now, SECOND), 0);
	pool_traffic_sum(&changes, key, &traffic);
	pool_changes_free(&changes);
	return traffic;
}

static void each_pool_has_its_own(void **state)
{
	struct tally_place_row rows[] = {
		row_made(WIRE_CONNECT, IPPROTO_TCP, 443, 10),
		row_made(WIRE_SEND, IPPROTO_TCP, 443, 1),
		row_made(WIRE_CONNECT, IPPROTO_TCP, 444, 100),
		row_made(WIRE_BIND, IPPROTO_TCP, 0, 20),
		row_made(WIRE_SEND, IPPROTO_UDP, 0, 40),
		row_made(WIRE_BIND, IPPROTO_UDP, 0, 2),
		row_made(WIRE_CONNECT, IPPROTO_TCP, 443, 0),
		row_made(WIRE_CONNECT, 262, 443, 4),
	};
	struct pool_key key = bind_key;
	struct pool_traffic traffic;

	(void)state;
	rows[0].counts.failures = rows[2].counts.failures = 3;
	rows[6].counts.failures = 7; /* failed: from where is not known any more */
	memset(rows[6].place.local, 0, 16);
	traffic = sum(rows, 8, &connect_key);
	assert_int_equal(traffic.window.claims, 15);
	assert_int_equal(traffic.window.failures, 10);
	assert_true(fabs(traffic.rate - 1.5) < 1e-9);
	assert_false(traffic.most);
	/* Connects take its ports, but their failures are not its own. */
	traffic = sum(rows, 8, &bind_key);
	assert_int_equal(traffic.window.claims, 135);
	assert_int_equal(traffic.window.failures, 0);
	assert_true(traffic.most);
	key.protocol = IPPROTO_UDP;
	traffic = sum(rows, 8, &key);
	assert_int_equal(traffic.window.claims, 42);
	assert_false(traffic.most);
	key.local[0] = 11; /* what was sent without an address is in its way, too */
	assert_int_equal(sum(rows, 8, &key).window.claims, 42);
	key.netns = 6;
	assert_int_equal(sum(rows, 8, &key).window.claims, 0);
}

static void since_the_reading_before(void **state)
{
	struct tally_place_row first[] = {row_made(WIRE_CONNECT, IPPROTO_TCP, 444, 1),
					  row_made(WIRE_CONNECT, IPPROTO_TCP, 443, 10)};
	struct tally_place_row second[] = {row_made(WIRE_CONNECT, IPPROTO_TCP, 443, 16)};
	struct tally_reading before = {.time = 9 * SECOND, .places = first, .place_count = 2};
	struct tally_reading now = {.time = 11 * SECOND, .places = second, .place_count = 1};
	struct pool_changes changes;
	struct pool_traffic traffic;

	(void)state;
	assert_int_equal(pool_changes_make(&changes, &before, &now, SECOND), 0);
	pool_traffic_sum(&changes, &connect_key, &traffic);
	assert_int_equal(changes.window, 2 * SECOND);
	assert_int_equal(changes.whole, 10 * SECOND);
	assert_int_equal(traffic.window.claims, 6);
	assert_int_equal(traffic.whole.claims, 16);
	assert_true(fabs(traffic.rate - 3) < 1e-9);
	pool_changes_free(&changes);
}

static void lives_that_go_on_count(void **state)
{
	struct tally_place_row row = row_made(WIRE_CONNECT, IPPROTO_TCP, 443, 10);

	(void)state;
	assert_true(sum(&row, 1, &connect_key).life < 0);
	row.counts.closed = 10;
	row.counts.held = 20 * SECOND;
	row.counts.time_waits = 5;
	assert_true(fabs(sum(&row, 1, &connect_key).life - 2) < 1e-9);
	assert_true(fabs(sum(&row, 1, &connect_key).share - 0.5) < 1e-9);
	row.counts.claims = 14; /* four more, for half of ten seconds each */
	assert_true(fabs(sum(&row, 1, &connect_key).life - 4) < 1e-9);
}

static void own_ranges_take_what_reaches_them(void **state)
{
	struct tally_place_row rows[] = {row_made(WIRE_CONNECT, IPPROTO_TCP, 443, 1),
					 row_made(WIRE_CONNECT, IPPROTO_TCP, 443, 2)};
	struct pool_key key = connect_key;

	(void)state;
	rows[1].place.pool_high = 40004;
	key.own = 1;
	key.low = 40005;
	assert_int_equal(sum(rows, 2, &key).window.claims, 1);
	assert_int_equal(sum(rows, 2, &connect_key).window.claims, 3);
}

static void places_of_no_pool(void **state)
{
	struct tally_place place = row_made(WIRE_CONNECT, IPPROTO_TCP, 0, 0).place;
	struct pool_key key;

	(void)state;
	assert_false(pool_place_key(&place, &key));
	place.protocol = IPPROTO_SCTP;
	assert_false(pool_place_key(&place, &key));
	place.protocol = IPPROTO_UDP;
	assert_true(pool_place_key(&place, &key));
	assert_int_equal(key.way, POOL_BIND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_pool_has_its_own),
		cmocka_unit_test(since_the_reading_before),
		cmocka_unit_test(lives_that_go_on_count),
		cmocka_unit_test(own_ranges_take_what_reaches_them),
		cmocka_unit_test(places_of_no_pool),
	};

	return cmocka_run_group_tests_name("pool_traffic", tests, NULL, NULL);
}
