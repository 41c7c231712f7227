/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets whose claim the stream did not tell of: seeds, their shares of a listener's port,
 * and what else turns up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>

#include "ledger_room.h"

/* ---- rule 4: shares ---- */

static void test_share_of_a_listener(void **state)
{
	struct room *room = *state;
	const struct lease *lease;

	take(room, bind_event(7, 80));
	take(room, listen_event(7, 80));
	take(room, seed_event(9, 80, ESTABLISHED));
	lease = held(room, 9, LEASE_ESTABLISHED);
	assert_true(lease->share);
	assert_process(&lease->claimant, SERVER, "server");
	assert_process(&lease->holder, OTHER, "worker");
	assert_int_equal(lease->claimed, held(room, 7, LEASE_LISTEN)->claimed);
	assert_int_equal(lease->since, 0);
	assert_false(held(room, 7, LEASE_LISTEN)->share);
	assert_leases(room, 2);
}

static void test_share_seeded_before_its_listener(void **state)
{
	struct room *room = *state;

	take(room, seed_event(9, 80, ESTABLISHED));
	assert_false(held(room, 9, LEASE_ESTABLISHED)->share);
	take(room, seed_event(7, 80, LISTENING));
	assert_true(held(room, 9, LEASE_ESTABLISHED)->share);
	assert_int_equal(held(room, 9, LEASE_ESTABLISHED)->claimant.key.pid, 0);
}

static void test_share_of_one_of_several_listeners(void **state)
{
	struct room *room = *state;
	struct wire_event first = bind_event(7, 80), second = bind_event(8, 80);
	struct wire_event seed = seed_event(9, 80, ESTABLISHED);

	second.pid = CLIENT;
	second.start = 1000000 + CLIENT;
	take(room, first);
	take(room, listen_event(7, 80));
	take(room, second);
	take(room, listen_event(8, 80));
	take(room, seed); /* the holder is neither */
	assert_true(held(room, 9, LEASE_ESTABLISHED)->share);
	assert_int_equal(held(room, 9, LEASE_ESTABLISHED)->claimant.key.pid, 0);
	assert_int_equal(held(room, 9, LEASE_ESTABLISHED)->claimed, 0);

	seed.socket = 10;
	seed.pid = second.pid;
	seed.start = second.start;
	take(room, seed);
	assert_int_equal(held(room, 10, LEASE_ESTABLISHED)->claimant.key.pid, CLIENT);
	seed.socket = 11;
	seed.pid = first.pid;
	seed.start = first.start;
	take(room, seed);
	assert_int_equal(held(room, 11, LEASE_ESTABLISHED)->claimant.key.pid, SERVER);
}

static void test_what_is_no_share(void **state)
{
	struct room *room = *state;
	struct wire_event seed = seed_event(9, 80, ESTABLISHED);
	struct wire_event listener = seed_event(7, 80, LISTENING);

	record_local4(&listener, "\x0a\0\0\x02", 80);
	take(room, listener);
	take(room, seed); /* another address */
	assert_false(held(room, 9, LEASE_ESTABLISHED)->share);

	record_local4(&seed, "\x0a\0\0\x02", 80);
	seed.socket++;
	seed.netns++;
	take(room, seed);
	assert_false(held(room, 10, LEASE_ESTABLISHED)->share);

	seed.netns = RECORDS_NETNS;
	seed.socket++;
	seed.protocol = IPPROTO_UDP;
	take(room, seed);
	assert_false(held(room, 11, LEASE_ESTABLISHED)->share);

	seed.protocol = IPPROTO_TCP;
	seed.socket++;
	seed.state = CLOSED;
	take(room, seed);
	assert_false(held(room, 12, LEASE_BOUND)->share);

	/* Who connects was not accepted. */
	take(room, outcome_event(13, 81, PEER, 443));
	take(room, seed_event(14, 81, LISTENING));
	assert_false(held(room, 13, LEASE_ESTABLISHED)->share);
}

static void test_share_blocks_when_the_listener_is_gone(void **state)
{
	struct room *room = *state;
	struct wire_event failure = failed(bind_event(0, 80), EADDRINUSE);
	struct blockers blockers;

	take(room, bind_event(7, 80));
	take(room, listen_event(7, 80));
	take(room, seed_event(9, 80, ESTABLISHED));
	take(room, release_event(7, 80, 0));
	ask(room, &failure, &blockers);
	assert_int_equal(blockers.total, 1);
	assert_int_equal(blockers.lease[0]->socket, 9);
	assert_true(blockers.lease[0]->share);
	assert_process(&blockers.lease[0]->claimant, SERVER, "server");

	take(room, release_event(9, 80, WIRE_TIME_WAIT));
	ask(room, &failure, &blockers);
	assert_int_equal(blockers.total, 1);
	assert_int_equal(blockers.lease[0]->state, LEASE_TIME_WAIT);

	take(room, release_event(9, 80, WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER));
	ask(room, &failure, &blockers);
	assert_int_equal(blockers.total, 0);
	assert_leases(room, 0);
}

/* ---- rule 9: unknown claimants ---- */

static void test_seed_has_no_claimant(void **state)
{
	struct room *room = *state;
	const struct lease *lease;

	take(room, seed_event(7, 80, LISTENING));
	lease = held(room, 7, LEASE_LISTEN);
	assert_int_equal(lease->claimant.key.pid, 0);
	assert_string_equal(lease->claimant.comm, "");
	assert_process(&lease->holder, OTHER, "worker");
	assert_int_equal(lease->claimed, 0);
	assert_int_equal(lease->since, 0);
	assert_int_equal(lease->trigger, 0);

	/* Nor does it get one later. */
	take(room, listen_event(7, 80));
	assert_int_equal(held(room, 7, LEASE_LISTEN)->claimant.key.pid, 0);
}

static void test_seed_states(void **state)
{
	static const uint8_t expected[] = {
		[1] = LEASE_ESTABLISHED, [2] = LEASE_CONNECTING,   [3] = LEASE_ESTABLISHED,
		[4] = LEASE_ESTABLISHED, [5] = LEASE_ESTABLISHED,  [6] = LEASE_TIME_WAIT,
		[7] = LEASE_BOUND,	 [8] = LEASE_ESTABLISHED,  [9] = LEASE_ESTABLISHED,
		[10] = LEASE_LISTEN,	 [11] = LEASE_ESTABLISHED, [12] = LEASE_ESTABLISHED,
	};
	struct room *room = *state;

	for (unsigned int tcp = 1; tcp < sizeof(expected); tcp++) {
		take(room, seed_event(tcp, (uint16_t)(80 + tcp), (uint8_t)tcp));
		if (expected[tcp] == LEASE_TIME_WAIT)
			assert_null(ledger_socket(room->ledger, tcp));
		else
			held(room, tcp, expected[tcp]);
	}
	assert_leases(room, 12);
	room->time += LEDGER_TIME_WAIT; /* nobody will tell of the end of that one */
	take(room, bind_event(100, 5000));
	assert_leases(room, 12);
}

static void test_seed_after_a_claim_adds_nothing(void **state)
{
	struct room *room = *state;

	take(room, bind_event(7, 80));
	take(room, seed_event(7, 80, LISTENING));
	assert_process(&held(room, 7, LEASE_BOUND)->claimant, SERVER, "server");
	assert_int_equal(ledger_socket(room->ledger, 7)->holder.key.pid, 0);
	assert_leases(room, 1);
}

static void test_seed_twice_counts_once(void **state)
{
	struct room *room = *state;
	struct wire_event again = seed_event(7, 80, CLOSED), nothing = seed_event(0, 81, CLOSED);

	take(room, seed_event(7, 80, LISTENING));
	again.pid++;
	take(room, again);
	take(room, nothing);
	assert_process(&held(room, 7, LEASE_LISTEN)->holder, OTHER, "worker");
	assert_leases(room, 1);
}

static void test_call_of_an_unknown_socket(void **state)
{
	struct room *room = *state;
	struct wire_event connect = connect_event(8, 5000, PEER, 443);
	const struct lease *lease;

	take(room, listen_event(7, 80));
	lease = held(room, 7, LEASE_LISTEN);
	assert_int_equal(lease->claimant.key.pid, 0);
	assert_int_equal(lease->claimed, 0);
	assert_int_equal(lease->since, room->time);
	assert_process(&lease->holder, OTHER, "worker");

	connect.flags &= ~WIRE_CLAIMED;
	take(room, connect);
	assert_int_equal(held(room, 8, LEASE_CONNECTING)->claimant.key.pid, 0);
	take(room, outcome_event(9, 40000, PEER, 443));
	assert_int_equal(held(room, 9, LEASE_ESTABLISHED)->other_port, 443);
	take(room, failed(outcome_event(10, 40001, PEER, 443), ECONNREFUSED));
	take(room, failed(listen_event(11, 81), EADDRINUSE));
	assert_leases(room, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_share_of_a_listener),
		TEST(test_share_seeded_before_its_listener),
		TEST(test_share_of_one_of_several_listeners),
		TEST(test_what_is_no_share),
		TEST(test_share_blocks_when_the_listener_is_gone),
		TEST(test_seed_has_no_claimant),
		TEST(test_seed_states),
		TEST(test_seed_after_a_claim_adds_nothing),
		TEST(test_seed_twice_counts_once),
		TEST(test_call_of_an_unknown_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
