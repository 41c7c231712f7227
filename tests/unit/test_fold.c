/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fleet_room.h"
#include "store/wanted.h"

#define MS INT64_C(1000000)
#define IS(text, word) assert_true(wanted_text(&(text), word))

static struct fleet_room room;
static struct fold_stream stream;
static bool stream_known;
static struct fold *fold;

static bool find(void *context, const struct answer_row *row, struct fold_stream *found)
{
	(void)context;
	(void)row;
	*found = stream;
	return stream_known;
}

static int setup(void **state)
{
	const struct fold_options options = {find, fleet_room_visit, &room,
					     (int64_t)(T0 + 1000 * SECOND)};

	(void)state;
	room = (struct fleet_room){0};
	stream = (struct fold_stream){(int64_t)T0 - 5000 * MS, INT64_MAX};
	stream_known = true;
	fold = fold_new(&options);
	return !fold;
}

static int teardown(void **state)
{
	(void)state;
	fold_free(fold);
	fleet_room_free();
	return 0;
}

static void take(struct answer_row row)
{
	assert_int_equal(fold_socket(fold, &row), 0);
}

static void end(void)
{
	assert_int_equal(fold_sockets_end(fold), 0);
}

static void a_lease_is_its_claim_and_its_release(void **state)
{
	const struct history_row *row = &room.rows[0];

	(void)state;
	take(fleet_bind(2, 10, 7, 8080));
	take(fleet_release(9, 1510, 7, 8080, 1500));
	end();
	assert_int_equal(room.count, 1);
	assert_int_equal(row->kind, HISTORY_LEASE);
	assert_int_equal(row->ending, STORE_RELEASED);
	assert_int_equal(row->outcome, STORE_BOUND);
	assert_true(row->time == (int64_t)T0 + 10 * MS);
	assert_true(row->held == 1500 * MS && row->until == row->time + 1500 * MS);
	assert_int_equal(row->lingered, 0);
	assert_int_equal(row->port, 8080);
	assert_int_equal(row->process.pid, 4242);
	assert_true(row->id == 2);
	IS(row->host, "web1");
	IS(row->protocol, "tcp");
	IS(row->trigger, "bind");
	IS(row->origin, "requested");
	IS(row->local, "0.0.0.0");
	IS(row->process.comm, "python3");
	IS(row->process.unit, "app.service");
	IS(row->tier, "fentry");
	assert_null(row->error.data);
	assert_null(row->remote.data);
}

static void what_comes_twice_is_once(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		take(fleet_bind(2, 10, 7, 8080));
	for (int i = 0; i < 3; i++)
		take(fleet_release(9, 1510, 7, 8080, 1500));
	end();
	assert_int_equal(room.count, 1);
	assert_int_equal(fold_skipped(fold), 0);
}

static void a_connect_and_its_outcome(void **state)
{
	struct answer_row outcome = fleet_connect(3, 32, 8, 40000);
	const struct history_row *row = &room.rows[0];
	struct answer_row release = fleet_connect(5, 1000, 8, 40000);

	(void)state;
	take(fleet_connect(2, 20, 8, 40000));
	outcome.action = fleet_text("connection-established");
	outcome.outcome = fleet_text("success");
	outcome.duration = 12 * MS;
	take(outcome);
	release.action = fleet_text("released-port");
	release.outcome = fleet_text("success");
	release.time_wait = fleet_text("seen");
	release.duration = 980 * MS;
	take(release);
	release.sequence++;
	release.time += 60 * SECOND;
	release.time_wait = fleet_text("over");
	release.duration += 60 * SECOND;
	release.lingered = 60 * SECOND;
	take(release);
	end();
	assert_int_equal(room.count, 1);
	assert_int_equal(row->outcome, STORE_ESTABLISHED);
	assert_int_equal(row->answered, 12 * MS);
	assert_int_equal(row->ending, STORE_RELEASED);
	assert_true(row->held == 60 * SECOND + 980 * MS);
	assert_true(row->lingered == 60 * SECOND);
	assert_int_equal(row->remote_port, 443);
	assert_true(row->in_pool && row->brief);
	IS(row->remote, "192.0.2.80");
}

static void a_connect_that_fails(void **state)
{
	struct answer_row outcome = fleet_connect(3, 32, 8, 40000);
	const struct history_row *row = &room.rows[0];

	(void)state;
	take(fleet_connect(2, 20, 8, 40000));
	outcome.action = fleet_text("connection-failed");
	outcome.outcome = fleet_text("failure");
	outcome.error = fleet_text("ECONNREFUSED");
	take(outcome);
	take(fleet_release(4, 33, 8, 40000, 13));
	end();
	assert_int_equal(room.count, 1);
	assert_int_equal(row->outcome, STORE_FAILED);
	IS(row->error, "ECONNREFUSED");
	IS(row->remote, "192.0.2.80");
	assert_int_equal(row->remote_port, 443);
}

/* TIME_WAIT that was inferred ends by itself. */
static void an_estimated_time_wait(void **state)
{
	struct answer_row release = fleet_connect(5, 1000, 8, 40000);

	(void)state;
	take(fleet_connect(2, 0, 8, 40000));
	release.action = fleet_text("released-port");
	release.outcome = fleet_text("success");
	release.time_wait = fleet_text("estimated");
	release.duration = 1000 * MS;
	take(release);
	end();
	assert_int_equal(room.count, 1);
	assert_int_equal(room.rows[0].ending, STORE_ESTIMATED);
	assert_true(room.rows[0].held == 61 * SECOND);
	assert_true(room.rows[0].lingered == 60 * SECOND);
}

static void what_is_held_still(void **state)
{
	(void)state;
	take(fleet_bind(2, 10, 7, 8080));
	end();
	assert_int_equal(room.count, 1);
	assert_int_equal(room.rows[0].ending, STORE_OPEN);
	assert_true(room.rows[0].held == STORE_UNKNOWN);
	assert_true(room.rows[0].until == INT64_MAX);
}

static void what_was_held_when_its_stream_ended(void **state)
{
	(void)state;
	stream.until = (int64_t)T0 + 5000 * MS;
	take(fleet_bind(2, 10, 7, 8080));
	end();
	assert_int_equal(room.count, 1);
	assert_int_equal(room.rows[0].ending, STORE_UNSEEN);
	assert_true(room.rows[0].held == 4990 * MS);
	assert_true(room.rows[0].until == stream.until);
}

static void streams_are_apart(void **state)
{
	struct answer_row other = fleet_bind(2, 20, 7, 8080);

	(void)state;
	take(fleet_bind(2, 10, 7, 8080));
	other.stream = 0xdef;
	take(other);
	other = fleet_release(3, 40, 7, 8080, 20);
	other.stream = 0xdef;
	take(other);
	other = fleet_bind(2, 30, 7, 8080);
	other.host = fleet_text("web2");
	other.stream = 0xdef;
	take(other);
	end();
	assert_int_equal(room.count, 3);
	/* what is left of a stream is told under its own host */
	IS(room.rows[0].host, "web1");
	assert_int_equal(room.rows[0].ending, STORE_OPEN);
	assert_int_equal(room.rows[1].ending, STORE_RELEASED);
	IS(room.rows[1].host, "web1");
	IS(room.rows[2].host, "web2");
}

/* One socket, several leases one after the other. */
static void a_socket_claims_again(void **state)
{
	(void)state;
	take(fleet_bind(1, 10, 7, 8080));
	take(fleet_release(2, 20, 7, 8080, 10));
	take(fleet_bind(3, 30, 7, 8080));
	take(fleet_release(4, 50, 7, 8080, 20));
	end();
	assert_int_equal(room.count, 2);
	assert_true(room.rows[0].held == 10 * MS && room.rows[1].held == 20 * MS);
}

static void a_release_whose_claim_is_not_there(void **state)
{
	const struct history_row *row = &room.rows[0];

	(void)state;
	take(fleet_release(9, 1510, 7, 8080, 1500));
	end();
	assert_int_equal(room.count, 1);
	assert_true(row->time == (int64_t)T0 + 10 * MS);
	assert_true(row->held == 1500 * MS);
	assert_int_equal(row->ending, STORE_RELEASED);
	IS(row->trigger, "bind");
	IS(row->process.comm, "python3");
}

/* Nobody knows who made the claim: the holder is not taken for it. */
static void a_release_of_what_was_before(void **state)
{
	struct answer_row release = fleet_release(9, 1000, 7, 22, 0);
	const struct history_row *row = &room.rows[0];

	(void)state;
	release.pid = release.uid = 0;
	release.comm = release.exe = release.user = release.unit = release.trigger =
		release.origin = fleet_text("");
	release.holder_pid = 81;
	release.holder_comm = fleet_text("sshd");
	take(release);
	end();
	assert_int_equal(room.count, 1);
	assert_null(row->trigger.data);
	assert_true(row->time == stream.started);
	assert_true(row->held == 6000 * MS);
	assert_int_equal(row->process.pid, 81);
	IS(row->process.comm, "sshd");
}

/* Of a bound socket the release does not tell where it was connected to. */
static void time_wait_of_a_bound_socket(void **state)
{
	struct answer_row connect = fleet_connect(3, 20, 7, 8080);
	struct answer_row release = fleet_release(5, 1000, 7, 8080, 990);

	(void)state;
	take(fleet_bind(2, 10, 7, 8080));
	connect.claimed = 0;
	connect.outcome = fleet_text("success");
	take(connect);
	release.time_wait = fleet_text("seen");
	take(release);
	release = fleet_release(6, 61000, 7, 8080, 60990);
	release.time_wait = fleet_text("over");
	release.lingered = 60 * SECOND;
	take(release);
	end();
	assert_int_equal(room.count, 1);
	assert_int_equal(room.rows[0].ending, STORE_RELEASED);
	assert_true(room.rows[0].held == 60990 * MS);
	IS(room.rows[0].remote, "192.0.2.80");
}

/* The clock was set back in between: what was measured counts. */
static void the_clock_stepped(void **state)
{
	(void)state;
	take(fleet_bind(2, 10000, 7, 8080));
	take(fleet_release(9, 5000, 7, 8080, 1500));
	end();
	assert_int_equal(room.count, 1);
	assert_true(room.rows[0].held == 1500 * MS);
}

static void mapped_addresses(void **state)
{
	struct answer_row connect = fleet_connect(2, 20, 8, 40000);

	(void)state;
	connect.local_ip = fleet_text("::ffff:10.0.0.1");
	take(connect);
	end();
	assert_int_equal(room.count, 1);
	assert_int_equal(room.rows[0].family, 6);
	IS(room.rows[0].local, "::ffff:10.0.0.1");
	IS(room.rows[0].remote, "::ffff:192.0.2.80");
}

static void a_failure_and_what_was_in_its_way(void **state)
{
	struct answer_row row = fleet_bind(2, 10, 0, 8080);
	const struct history_row *found = &room.rows[0];

	(void)state;
	row.outcome = fleet_text("failure");
	row.error = fleet_text("EADDRINUSE");
	row.local_ip = fleet_text("");
	row.local_port = 0;
	row.blocked_by = fleet_text(
		"[{\"pid\":61,\"name\":\"ng\\u000ainx\",\"role\":\"claimant\",\"state\":\"listen\","
		"\"since\":\"2026-11-21T14:32:07.000000005Z\",\"local\":{\"ip\":\"0.0.0.0\","
		"\"port\":8080}},{\"pid\":null,\"name\":null,\"since\":null,\"ports\":70000}]");
	row.blocked_by_total = 12;
	assert_int_equal(fold_failure(fold, &row), 0);
	assert_int_equal(fold_failure(fold, &row), 0); /* again */
	assert_int_equal(room.count, 1);
	assert_int_equal(found->kind, HISTORY_FAILURE);
	assert_int_equal(found->port, 8080);
	IS(found->local, "0.0.0.0");
	IS(found->error, "EADDRINUSE");
	assert_int_equal(found->blocked_count, 2);
	assert_int_equal(found->blocked_total, 12);
	assert_int_equal(found->blockers[0].process.pid, 61);
	IS(found->blockers[0].process.comm, "ng\ninx");
	IS(found->blockers[0].state, "listen");
	assert_int_equal(found->blockers[0].port, 8080);
	assert_true(found->blockers[0].since == (int64_t)T0 + 5);
	assert_int_equal(found->blockers[1].process.pid, 0);
	assert_int_equal(found->blockers[1].since, 0);
	assert_int_equal(found->blockers[1].ports, 70000);
}

static void what_is_no_json_is_nobody(void **state)
{
	static const char *const wrong[] = {"{",
					    "[",
					    "null",
					    "7",
					    "[7,\"x\",null]",
					    "{\"pid\":1}",
					    "[{\"pid\":-1}",
					    "\xff",
					    "[[{\"pid\":1}]]"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct answer_row row = fleet_bind(2 + i, 10, 0, 8080);

		row.outcome = fleet_text("failure");
		row.error = fleet_text("524");
		row.blocked_by = fleet_text(wrong[i]);
		assert_int_equal(fold_failure(fold, &row), 0);
		assert_int_equal(room.count, i + 1);
		assert_int_equal(room.rows[i].blocked_count, 0);
		IS(room.rows[i].error, "524");
	}
}

static void rows_that_make_no_sense(void **state)
{
	struct answer_row rows[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		rows[i] = fleet_bind((uint64_t)i + 1, 10, 7, 8080);
	rows[0].sequence = 0; /* its id is none */
	rows[1].local_ip = fleet_text("10.0.0");
	rows[2].trigger = fleet_text("dance");
	rows[3].transport = fleet_text("pigeon");
	rows[4].error = fleet_text("EWHATEVER");
	rows[5].action = fleet_text("stream-start");
	rows[6].trigger = fleet_text("");
	rows[7].outcome = fleet_text("failure"); /* without an error */
	for (int i = 0; i < 8; i++)
		take(rows[i]);
	end();
	assert_int_equal(room.count, 0);
	assert_int_equal(fold_skipped(fold), 8);
}

static void the_visitor_ends_it(void **state)
{
	struct answer_row row = fleet_release(9, 1510, 7, 8080, 1500);

	(void)state;
	room.result = -7;
	take(fleet_bind(2, 10, 7, 8080));
	assert_int_equal(fold_socket(fold, &row), -7);
	assert_int_equal(fold_sockets_end(fold), -7);
	assert_int_equal(room.count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_lease_is_its_claim_and_its_release),
		TEST(what_comes_twice_is_once),
		TEST(a_connect_and_its_outcome),
		TEST(a_connect_that_fails),
		TEST(an_estimated_time_wait),
		TEST(what_is_held_still),
		TEST(what_was_held_when_its_stream_ended),
		TEST(streams_are_apart),
		TEST(a_socket_claims_again),
		TEST(a_release_whose_claim_is_not_there),
		TEST(a_release_of_what_was_before),
		TEST(time_wait_of_a_bound_socket),
		TEST(the_clock_stepped),
		TEST(mapped_addresses),
		TEST(a_failure_and_what_was_in_its_way),
		TEST(what_is_no_json_is_nobody),
		TEST(rows_that_make_no_sense),
		TEST(the_visitor_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
