/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Alerts, maps, and hostile names in what `pool` prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "command/pool_row.h"
#include "lib/cleanup.h"

#define HOSTILE "a\x1b[2J\n\"b"

static struct pool_holder hostile_holder = {.pid = 42, .ports = 8, .comm = HOSTILE};
static struct pool_failure hostile_failure = {.pid = 43,
					      .error = EADDRNOTAVAIL,
					      .protocol = IPPROTO_TCP,
					      .trigger = WIRE_CONNECT,
					      .count = 3,
					      .comm = HOSTILE};

static struct pool_row row_made(uint32_t used, uint32_t left)
{
	return (struct pool_row){
		.use = {.key = {.netns = 5,
				.protocol = IPPROTO_TCP,
				.way = POOL_CONNECT,
				.family = 4,
				.other_port = 443,
				.low = 40000,
				.high = 40019,
				.local = {10, 0, 0, 1},
				.other = {9, 9, 9, 9}},
			.ports = {[PORT_USED] = used, [PORT_FREE] = left},
			.left = left},
		.holders = &hostile_holder,
		.holder_count = 1,
	};
}

struct told {
	unsigned int began, over, failures;
};

static void tell(const struct pool_alert *alert, void *context)
{
	struct told *told = context;

	told->began += alert->row && !alert->over;
	told->over += alert->row && alert->over;
	told->failures += alert->failure && !alert->row;
}

static void an_alert_has_a_beginning_and_an_end(void **state)
{
	static const struct {
		uint32_t used;
		unsigned int began, over;
	} steps[] = {{79, 0, 0}, {80, 1, 0}, {95, 0, 0}, {79, 0, 0}, {72, 0, 0},
		     {71, 0, 1}, {79, 0, 0}, {80, 1, 0}, {0, 0, 1}};
	CLEANUP(pool_alerts_free) struct pool_alerts alerts = {0};
	struct pool_place place = {.netns = 5, .row_count = 1};
	struct pool_picture picture = {.places = &place, .place_count = 1};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct pool_row row = row_made(steps[i].used, 100 - steps[i].used);
		struct told told = {0};

		place.rows = &row;
		assert_int_equal(pool_alerts_find(&alerts, &picture, 80, tell, &told), 0);
		assert_int_equal(told.began, steps[i].began);
		assert_int_equal(told.over, steps[i].over);
		assert_int_equal(pool_is_pressed(&picture, 80), steps[i].used >= 80);
	}
	assert_int_equal(alerts.keys.count, 0);
}

static void each_failure_is_an_alert(void **state)
{
	CLEANUP(pool_alerts_free) struct pool_alerts alerts = {0};
	struct pool_row row = row_made(100, 0);
	struct pool_place place = {
		.rows = &row, .row_count = 1, .failures = &hostile_failure, .failure_count = 1};
	struct pool_picture picture = {.places = &place, .place_count = 1};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct told told = {0};

		assert_int_equal(pool_alerts_find(&alerts, &picture, 0, tell, &told), 0);
		assert_int_equal(told.failures, 1);
		assert_int_equal(told.began, 0); /* no threshold */
	}
	place.row_count = 0;
	assert_true(pool_is_pressed(&picture, 100));
}

static void what_is_no_exhaustion_is_no_failure(void **state)
{
	static const struct {
		uint16_t protocol;
		uint8_t trigger, origin;
		uint32_t error, outcome;
		bool counts;
	} cases[] = {
		{IPPROTO_TCP, WIRE_CONNECT, WIRE_ORIGIN_KERNEL, EADDRNOTAVAIL, 0, true},
		{IPPROTO_TCP, WIRE_BIND, WIRE_ORIGIN_KERNEL, EADDRINUSE, 0, true},
		{IPPROTO_UDP, WIRE_SEND, WIRE_ORIGIN_KERNEL, EAGAIN, 0, true},
		{IPPROTO_UDP, WIRE_BIND, WIRE_ORIGIN_KERNEL, EADDRINUSE, 0, true},
		/* No such address here, somebody has that port, nobody answers. */
		{IPPROTO_TCP, WIRE_BIND, WIRE_ORIGIN_KERNEL, EADDRNOTAVAIL, 0, false},
		{IPPROTO_TCP, WIRE_BIND, WIRE_ORIGIN_REQUESTED, EADDRINUSE, 0, false},
		{IPPROTO_TCP, WIRE_CONNECT, WIRE_ORIGIN_KERNEL, ECONNREFUSED, 0, false},
		{IPPROTO_TCP, WIRE_CONNECT, WIRE_ORIGIN_KERNEL, EADDRNOTAVAIL, 1, false},
		{IPPROTO_TCP, WIRE_CONNECT, WIRE_ORIGIN_NONE, EADDRNOTAVAIL, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct tally_error_row rows[2] = {{.error = {.key = {.pid = 1,
								     .netns = 5,
								     .protocol = cases[i].protocol,
								     .trigger = cases[i].trigger,
								     .origin = cases[i].origin},
							     .error = cases[i].error,
							     .outcome = cases[i].outcome},
						   .count = 7}};
		struct tally_reading now = {.errors = rows, .error_count = 2};
		struct tally_reading before = {.errors = rows + 1, .error_count = 1};
		struct pool_place place = {.netns = 5};

		rows[1] = rows[0];
		rows[1].error.key.netns = 6; /* another namespace's */
		assert_int_equal(pool_failures_make(&place, NULL, &now), 0);
		assert_int_equal(place.failure_count, cases[i].counts);
		free(place.failures);

		place = (struct pool_place){.netns = 5};
		rows[1] = rows[0];
		rows[1].count = 4;
		now.error_count = 1;
		assert_int_equal(pool_failures_make(&place, &before, &now), 0);
		assert_int_equal(place.failure_count, cases[i].counts);
		if (cases[i].counts)
			assert_int_equal(place.failures[0].count, 3);
		free(place.failures);
	}
}

/* tcp_tw_reuse is no help where the server never closes: FIN_WAIT2 stays for a minute. */
static void the_forecast_is_of_what_is_seen(void **state)
{
	static const struct port_set none;
	const struct pool_rules rules = {.netns = 5,
					 .low = 40000,
					 .high = 59999,
					 .reserved = &none,
					 .reuse = 1,
					 .reuse_delay = 1000};
	struct pool_change change = {
		.window = {.claims = 100},
		.whole = {.claims = 100, .closed = 100, .time_waits = 100, .held = 100000000000}};
	struct pool_changes changes = {
		.list = &change, .count = 1, .window = 1000000000, .whole = 1000000000};
	static const struct {
		unsigned int stuck, old; /* of 4 */
		bool unstamped;
		uint32_t end; /* ms, of what is stuck: from 20000 before on */
		double settled;
	} cases[] = {
		{0, 0, false, 0, 100 * 2},
		{0, 4, false, 0, 100 * 2},
		{4, 0, false, 40000, 100 * 61},
		{4, 0, true, 0, 100 * 61},
		{2, 2, false, 40000, 100 * (1 + 30.5)},
		{4, 0, false, 10000, 100 * (1 + 30)},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct holding list[4];
		const struct holdings holdings = {.list = list, .count = 4};
		struct pool_row row = row_made(0, 0);
		struct pool_space *space;

		row.use.key.high = 59999;
		change.key = row.use.key;
		for (unsigned int k = 0; k < 4; k++) {
			const bool stuck = k < cases[i].stuck;

			list[k] = (struct holding){
				.netns = 5,
				.protocol = IPPROTO_TCP,
				.family = 4,
				.local_port = (uint16_t)(40000 + k),
				.other_port = 443,
				.local = {10, 0, 0, 1},
				.other = {9, 9, 9, 9},
				.state = stuck && !cases[i].unstamped ? HOLDING_FIN_WAIT2
								      : HOLDING_TIME_WAIT,
				.orphan = true,
				.bucket = HOLDING_BUCKET_CONNECT,
				.stamped = !(stuck && cases[i].unstamped),
				.delayed = true,
				.age = stuck		      ? 20000
				       : k < 4 - cases[i].old ? 500
							      : 2000,
				.has_expires = true,
				.expires = stuck ? cases[i].end : 50000,
			};
		}
		space = pool_space_new(&rules, &holdings);
		assert_non_null(space);
		row.use.ports[PORT_FREE] = 20000 - 4;
		row.use.ports[PORT_LINGERING] = 4;
		row.holders = NULL;
		row.holder_count = 0;
		assert_int_equal(pool_row_fill(&row, space, &changes, 1000), 0);
		assert_int_equal(row.forecast.outlook, POOL_SETTLES);
		if (row.forecast.settled < cases[i].settled - 0.1 ||
		    row.forecast.settled > cases[i].settled + 0.1)
			fail_msg("case %zu: %f", i, row.forecast.settled);
		pool_row_free(&row);
		pool_space_free(space);
	}
}

static void assert_harmless(const struct buffer *out, char end)
{
	assert_false(out->failed);
	assert_true(out->length > 0 && out->data[out->length - 1] == end);
	for (size_t i = 0; i + 1 < out->length; i++)
		assert_false((unsigned char)out->data[i] < ' ' && out->data[i] != '\n');
}

static void names_are_harmless(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;
	struct pool_row row = row_made(8, 12);
	struct pool_place place = {.netns = 5,
				   .name = HOSTILE,
				   .settings = {.low = 40000, .high = 40019},
				   .rows = &row,
				   .row_count = 1,
				   .failures = &hostile_failure,
				   .failure_count = 1};
	struct pool_picture picture = {.places = &place, .place_count = 1, .watched = true};
	struct pool_view view = {.picture = &picture, .host = HOSTILE, .threshold = 80};
	struct pool_alert alert = {.place = &place, .row = &row};
	void (*const ways[])(struct buffer *, const struct pool_view *) = {pool_table, pool_json};
	void (*const alerts[])(struct buffer *, const struct pool_view *,
			       const struct pool_alert *) = {pool_alert_text, pool_alert_json};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		buffer_reset(&out);
		ways[i](&out, &view);
		assert_harmless(&out, '\n');
		for (unsigned int failure = 0; failure < 2; failure++) {
			alert.row = failure ? NULL : &row;
			alert.failure = failure ? &hostile_failure : NULL;
			buffer_reset(&out);
			alerts[i](&out, &view, &alert);
			assert_harmless(&out, '\n');
			assert_null(memchr(out.data, '\n', out.length - 1)); /* one line */
		}
	}
}

/* Nothing that is taken is lost between free ports. */
static void a_map_shows_what_is_rare(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;
	static const struct port_set none;
	struct holding list[] = {{.netns = 5,
				  .protocol = IPPROTO_UDP,
				  .family = 4,
				  .local_port = 30000,
				  .state = HOLDING_CLOSE}};
	struct holdings holdings = {.list = list, .count = 1};
	struct pool_rules rules = {.netns = 5, .low = 1, .high = 65535, .reserved = &none};
	struct pool_place place = {.space = pool_space_new(&rules, &holdings)};
	struct pool_view view = {.width = 80};
	struct pool_key key = {.netns = 5,
			       .protocol = IPPROTO_UDP,
			       .way = POOL_BIND,
			       .family = 4,
			       .low = 1,
			       .high = 65535};
	unsigned int used = 0, lines = 0;

	(void)state;
	assert_non_null(place.space);
	pool_map(&out, &view, &place, &key);
	for (size_t i = 0, begin = 0; i < out.length; i++) {
		used += out.data[i] == '+'; /* a part of its ports */
		if (out.data[i] != '\n')
			continue;
		assert_true(i - begin <= 80);
		begin = i + 1;
		lines++;
	}
	assert_int_equal(used, 1);
	assert_int_equal(lines, 9); /* and what a character stands for */
	pool_space_free(place.space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_alert_has_a_beginning_and_an_end),
		cmocka_unit_test(each_failure_is_an_alert),
		cmocka_unit_test(what_is_no_exhaustion_is_no_failure),
		cmocka_unit_test(the_forecast_is_of_what_is_seen),
		cmocka_unit_test(names_are_harmless),
		cmocka_unit_test(a_map_shows_what_is_rare),
	};

	return cmocka_run_group_tests_name("pool_command", tests, NULL, NULL);
}
