/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One test for each thing that the ledger has to get right about a lease. What comes of
 * many of them together is test_ledger_random.c's; the rules are those of the design. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>

#include "ledger_room.h"

/* ---- a lease, and rule 3: release means that the number was given back ---- */

static void test_claim_opens_a_lease(void **state)
{
	struct room *room = *state;
	const struct lease *lease;

	take(room, bind_event(7, 60002));
	assert_int_equal(room->closed.socket, 0);
	lease = held(room, 7, LEASE_BOUND);
	assert_int_equal(lease->local_port, 60002);
	assert_int_equal(lease->other_port, 0);
	assert_int_equal(lease->trigger, WIRE_BIND);
	assert_int_equal(lease->origin, WIRE_ORIGIN_REQUESTED);
	assert_int_equal(lease->claimed, room->time);
	assert_int_equal(lease->since, room->time);
	assert_process(&lease->claimant, SERVER, "server");
	assert_int_equal(lease->holder.key.pid, 0);
	assert_leases(room, 1);
}

static void test_failed_claim_opens_none(void **state)
{
	struct room *room = *state;

	take(room, failed(bind_event(0, 60002), EADDRINUSE));
	take(room, failed(bind_event(7, 60002), EADDRINUSE));
	assert_leases(room, 0);
}

static void test_bind_without_a_port_opens_none(void **state)
{
	struct room *room = *state;
	struct wire_event bind = bind_event(7, 0);

	bind.flags = WIRE_BIND_NO_PORT | WIRE_HAS_OTHER;
	take(room, bind);
	assert_leases(room, 0);
}

static void test_states_follow_the_calls(void **state)
{
	struct room *room = *state;
	const struct lease *lease;
	uint64_t claimed;

	take(room, bind_event(7, 5000));
	claimed = room->time;
	take(room, listen_event(7, 5000));
	lease = held(room, 7, LEASE_LISTEN);
	assert_int_equal(lease->claimed, claimed);
	assert_int_equal(lease->since, room->time);
	assert_int_equal(lease->trigger, WIRE_BIND);

	take(room, connect_event(8, 40000, PEER, 443));
	lease = held(room, 8, LEASE_CONNECTING);
	assert_int_equal(lease->other_port, 443);
	take(room, outcome_event(8, 40000, PEER, 443));
	held(room, 8, LEASE_ESTABLISHED);
	assert_leases(room, 2);
}

static void test_listen_that_claims(void **state)
{
	struct room *room = *state;
	struct wire_event listen = listen_event(7, 33001);

	listen.flags |= WIRE_CLAIMED;
	take(room, listen);
	assert_process(&held(room, 7, LEASE_LISTEN)->claimant, OTHER, "worker");
}

static void test_datagram_peer(void **state)
{
	struct room *room = *state;
	struct wire_event connect = connect_event(7, 40000, PEER, 53);
	struct wire_event send = bind_event(8, 40001);

	connect.protocol = send.protocol = IPPROTO_UDP;
	connect.flags &= ~WIRE_IN_PROGRESS;
	take(room, connect);
	assert_int_equal(held(room, 7, LEASE_ESTABLISHED)->other_port, 53);

	/* Where it sends a datagram is no peer. */
	send.trigger = WIRE_SEND;
	record_other4(&send, PEER, 53);
	take(room, send);
	assert_int_equal(held(room, 8, LEASE_BOUND)->other_port, 0);
}

static void test_datagram_connect_that_fails_keeps_its_port(void **state)
{
	struct room *room = *state;
	struct wire_event connect = connect_event(7, 40000, PEER, 53);

	connect.protocol = IPPROTO_UDP;
	connect.flags &= ~WIRE_IN_PROGRESS;
	take(room, failed(connect, EACCES));
	assert_int_equal(held(room, 7, LEASE_BOUND)->other_port, 0);
	take(room, release_event(7, 40000, 0));
	assert_int_equal(room->closed.socket, 7);
	assert_leases(room, 0);
}

static void test_failed_connect_keeps_a_bound_port(void **state)
{
	struct room *room = *state;
	struct wire_event connect = connect_event(7, 5000, PEER, 443);
	struct wire_event outcome = failed(outcome_event(7, 5000, PEER, 443), ECONNREFUSED);
	const struct lease *lease;

	connect.flags &= ~WIRE_CLAIMED;
	outcome.flags |= WIRE_LOCKED;
	take(room, bind_event(7, 5000));
	take(room, connect);
	held(room, 7, LEASE_CONNECTING);
	take(room, outcome);
	lease = held(room, 7, LEASE_BOUND);
	assert_int_equal(lease->since, room->time);
	assert_int_equal(lease->other_port, 0);
	assert_int_equal(room->closed.socket, 0);
	take(room, release_event(7, 5000, 0));
	assert_int_equal(room->closed.socket, 7);
	assert_int_equal(room->closed.state, LEASE_BOUND);
	assert_int_equal(room->lingered, 0);
	assert_leases(room, 0);
}

static void test_failed_connect_gives_back_a_port_of_its_own(void **state)
{
	struct room *room = *state;

	take(room, connect_event(7, 40000, PEER, 443));
	take(room, failed(outcome_event(7, 40000, PEER, 443), ECONNREFUSED));
	held(room, 7, LEASE_BOUND);
	take(room, release_event(7, 40000, 0));
	assert_null(ledger_socket(room->ledger, 7));
	assert_leases(room, 0);
}

static void test_aborted_connect(void **state)
{
	struct room *room = *state;
	struct wire_event outcome = outcome_event(7, 40000, PEER, 443);

	outcome.flags |= WIRE_ABORTED;
	take(room, connect_event(7, 40000, PEER, 443));
	take(room, outcome);
	held(room, 7, LEASE_BOUND);
}

static void test_failed_call_changes_no_state(void **state)
{
	struct room *room = *state;
	struct wire_event connect = connect_event(7, 40000, "\x01\x02\x03\x04", 80);

	take(room, connect_event(7, 40000, PEER, 443));
	take(room, outcome_event(7, 40000, PEER, 443));
	connect.flags &= ~(WIRE_CLAIMED | WIRE_IN_PROGRESS);
	take(room, failed(connect, EISCONN));
	assert_int_equal(held(room, 7, LEASE_ESTABLISHED)->other_port, 443);
	take(room, failed(listen_event(7, 40000), EINVAL));
	held(room, 7, LEASE_ESTABLISHED);
}

static void test_disconnect_releases(void **state)
{
	struct room *room = *state;
	struct wire_event connect = connect_event(7, 40000, PEER, 53);

	connect.flags &= ~WIRE_IN_PROGRESS;
	take(room, connect);
	take(room, release_event(7, 40000, WIRE_DISCONNECT));
	assert_int_equal(room->closed.socket, 7);
	assert_null(ledger_socket(room->ledger, 7));
}

static void test_leases_one_after_another(void **state)
{
	struct room *room = *state;

	take(room, connect_event(7, 40000, PEER, 443));
	take(room, release_event(7, 40000, 0));
	assert_int_equal(room->closed.local_port, 40000);
	take(room, connect_event(7, 40002, PEER, 443));
	assert_int_equal(room->closed.socket, 0);
	assert_int_equal(held(room, 7, LEASE_CONNECTING)->local_port, 40002);
	assert_leases(room, 1);
}

static void test_lost_release(void **state)
{
	struct room *room = *state;

	take(room, bind_event(7, 5000));
	take(room, bind_event(7, 5001));
	assert_int_equal(room->closed.socket, 7);
	assert_int_equal(room->closed.local_port, 5000);
	assert_int_equal(held(room, 7, LEASE_BOUND)->local_port, 5001);
	assert_leases(room, 1);

	/* The claim of the new port was lost as well. */
	take(room, listen_event(7, 5002));
	assert_int_equal(room->closed.local_port, 5001);
	assert_int_equal(held(room, 7, LEASE_LISTEN)->local_port, 5002);
	assert_int_equal(held(room, 7, LEASE_LISTEN)->claimant.key.pid, 0);
	assert_leases(room, 1);
}

static void test_unknown_releases_are_counted(void **state)
{
	struct room *room = *state;
	struct ledger_totals totals;

	take(room, release_event(7, 5000, 0));
	take(room, bind_event(8, 5000));
	take(room, release_event(8, 5000, 0));
	take(room, release_event(8, 5000, 0));
	take(room, release_event(8, 5000, WIRE_TIME_WAIT));
	take(room, release_event(8, 5000, WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER));
	assert_int_equal(room->closed.socket, 0);
	ledger_totals(room->ledger, &totals);
	assert_int_equal(totals.unknown, 4);
	assert_int_equal(totals.opened, 1);
	assert_int_equal(totals.leases, 0);
}

/* ---- rule 5: TIME_WAIT ---- */

static void test_time_wait_keeps_the_port(void **state)
{
	struct room *room = *state;
	struct wire_event failure = failed(bind_event(0, 40000), EADDRINUSE);
	struct blockers blockers;
	uint64_t began;

	take(room, connect_event(7, 40000, PEER, 443));
	take(room, outcome_event(7, 40000, PEER, 443));
	take(room, release_event(7, 40000, WIRE_TIME_WAIT));
	began = room->time;
	assert_int_equal(room->closed.socket, 0);
	assert_null(ledger_socket(room->ledger, 7));
	ask(room, &failure, &blockers);
	assert_int_equal(blockers.total, 1);
	assert_int_equal(blockers.lease[0]->state, LEASE_TIME_WAIT);
	assert_int_equal(blockers.lease[0]->since, began);
	assert_int_equal(blockers.lease[0]->expires, began + LEDGER_TIME_WAIT);
	assert_process(&blockers.lease[0]->claimant, CLIENT, "client");

	room->time = began + LEDGER_TIME_WAIT + 12345;
	take(room, release_event(7, 40000, WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER));
	assert_int_equal(room->closed.socket, 7);
	assert_int_equal(room->closed.state, LEASE_TIME_WAIT);
	assert_int_equal(room->lingered, room->time - began);
	assert_leases(room, 0);
}

static void test_socket_claims_beside_its_time_wait(void **state)
{
	struct room *room = *state;

	take(room, connect_event(7, 40000, PEER, 443));
	take(room, release_event(7, 40000, WIRE_TIME_WAIT));
	take(room, connect_event(7, 40002, PEER, 443));
	assert_int_equal(room->closed.socket, 0);
	assert_leases(room, 2);
	assert_int_equal(held(room, 7, LEASE_CONNECTING)->local_port, 40002);

	take(room, release_event(7, 40000, WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER));
	assert_int_equal(room->closed.local_port, 40000);
	assert_int_equal(held(room, 7, LEASE_CONNECTING)->local_port, 40002);
	assert_leases(room, 1);
}

static void test_time_waits_of_one_socket(void **state)
{
	struct room *room = *state;
	struct wire_event connect = connect_event(7, 5000, PEER, 443), over;

	take(room, connect);
	take(room, release_event(7, 5000, WIRE_TIME_WAIT));
	connect.other_port = 444;
	take(room, connect);
	over = release_event(7, 5000, WIRE_TIME_WAIT);
	over.other_port = 444;
	take(room, over);
	assert_leases(room, 2);
	over.flags |= WIRE_TIME_WAIT_OVER;
	take(room, over);
	assert_int_equal(room->closed.other_port, 444);
	take(room, over);
	assert_int_equal(room->closed.socket, 0);
	over.other_port = 443;
	take(room, over);
	assert_int_equal(room->closed.other_port, 443);
	assert_leases(room, 0);
}

static void test_estimated_time_wait_ends_by_itself(void **state)
{
	struct room *room = *state;
	struct wire_event failure = failed(bind_event(0, 40000), EADDRINUSE);
	struct blockers blockers;
	uint64_t began;

	take(room, connect_event(7, 40000, PEER, 443));
	take(room, release_event(7, 40000, WIRE_TIME_WAIT | WIRE_ESTIMATED));
	began = room->time;
	take(room, connect_event(8, 40001, PEER, 443));
	take(room, release_event(8, 40001, WIRE_TIME_WAIT));
	room->time = began + LEDGER_TIME_WAIT - 2;
	ask(room, &failure, &blockers);
	assert_int_equal(blockers.total, 1);
	assert_leases(room, 2);
	room->time = began + LEDGER_TIME_WAIT - 1; /* take() adds one */
	take(room, bind_event(9, 5000));
	assert_int_equal(room->closed.socket, 0); /* it was not this record that ended it */
	assert_leases(room, 2);
	ask(room, &failure, &blockers);
	assert_int_equal(blockers.total, 0);
}

static void test_reuse_ends_an_estimated_time_wait(void **state)
{
	struct room *room = *state;

	take(room, connect_event(7, 40000, PEER, 443));
	take(room, release_event(7, 40000, WIRE_TIME_WAIT | WIRE_ESTIMATED));
	take(room, connect_event(8, 40000, PEER, 80)); /* shares the port */
	assert_leases(room, 2);
	take(room, connect_event(9, 40000, PEER, 443)); /* has it anew */
	assert_leases(room, 2);
	take(room, release_event(9, 40000, WIRE_TIME_WAIT)); /* the end of it will be seen */
	take(room, connect_event(10, 40000, PEER, 443));
	assert_leases(room, 3);
}

static void test_time_wait_whose_end_was_lost(void **state)
{
	struct room *room = *state;

	take(room, connect_event(7, 40000, PEER, 443));
	take(room, release_event(7, 40000, WIRE_TIME_WAIT));
	room->time += LEDGER_LOST - 2;
	take(room, bind_event(8, 5000));
	assert_leases(room, 2);
	take(room, bind_event(9, 5001));
	assert_leases(room, 2); /* and not three */
}

static void test_end_of_time_wait_whose_beginning_was_lost(void **state)
{
	struct room *room = *state;
	struct wire_event over = release_event(7, 40000, WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER);

	take(room, connect_event(7, 40000, PEER, 443));
	over.duration = 5; /* since another claim */
	take(room, over);
	assert_int_equal(room->closed.socket, 0);
	over.duration = room->time + 1 - held(room, 7, LEASE_CONNECTING)->claimed;
	take(room, over);
	assert_int_equal(room->closed.socket, 7);
	assert_int_equal(room->lingered, 0);
	assert_leases(room, 0);
}

/* ---- rule 6: identity ---- */

static void test_socket_is_its_number(void **state)
{
	struct room *room = *state;
	struct wire_event shared = bind_event(8, 5000), elsewhere = bind_event(9, 5000);

	elsewhere.netns++;
	take(room, bind_event(7, 5000));
	take(room, shared); /* the same port, address and process */
	take(room, elsewhere);
	assert_leases(room, 3);
	take(room, release_event(8, 5000, 0));
	assert_non_null(ledger_socket(room->ledger, 7));
	assert_null(ledger_socket(room->ledger, 8));
	assert_int_equal(ledger_socket(room->ledger, 9)->netns, RECORDS_NETNS + 1);
}

static void test_hand_over_leaves_the_claimant(void **state)
{
	struct room *room = *state;
	const struct lease *lease;

	take(room, bind_event(7, 5000));
	take(room, listen_event(7, 5000)); /* by another process */
	lease = held(room, 7, LEASE_LISTEN);
	assert_process(&lease->claimant, SERVER, "server");
	assert_int_equal(lease->claimant.key.exec, 1);
	assert_int_equal(lease->claimant.key.start, 1000000 + SERVER);
	assert_int_equal(lease->claimant.uid, 1000);
}

static void test_comm_without_an_end(void **state)
{
	struct room *room = *state;
	struct wire_event bind = bind_event(7, 5000);

	memset(bind.comm, 'x', sizeof(bind.comm));
	take(room, bind);
	assert_string_equal(held(room, 7, LEASE_BOUND)->claimant.comm, "xxxxxxxxxxxxxxxx");
}

/* ---- rule 7: addresses move ---- */

static void test_connect_moves_the_address(void **state)
{
	struct room *room = *state;
	struct wire_event connect = connect_event(7, 5000, PEER, 443);
	struct wire_event here = failed(bind_event(0, 5000), EADDRINUSE), there = here;
	struct blockers blockers;

	record_other4(&here, "\x0a\0\0\x01", 5000); /* where it connects from */
	record_other4(&there, "\x0a\0\0\x02", 5000);
	connect.flags &= ~WIRE_CLAIMED;
	connect.device = 3;
	take(room, bind_event(7, 5000));
	ask(room, &there, &blockers);
	assert_int_equal(blockers.total, 1);

	take(room, connect);
	assert_int_equal(held(room, 7, LEASE_CONNECTING)->device, 3);
	ask(room, &there, &blockers);
	assert_int_equal(blockers.total, 0);
	ask(room, &here, &blockers);
	assert_int_equal(blockers.total, 1);

	/* tcp_disconnect() gives the wildcard back, too. */
	take(room, failed(outcome_event(7, 5000, PEER, 443), ECONNREFUSED));
	ask(room, &there, &blockers);
	assert_int_equal(blockers.total, 1);
}

static void test_bound_address_stays_when_a_connect_fails(void **state)
{
	struct room *room = *state;
	struct wire_event bind = bind_event(7, 5000), connect = connect_event(7, 5000, PEER, 443);

	record_local4(&bind, "\x0a\0\0\x01", 5000);
	connect.flags &= ~WIRE_CLAIMED;
	take(room, bind);
	take(room, connect);
	take(room, failed(outcome_event(7, 5000, PEER, 443), ECONNREFUSED));
	assert_memory_equal(held(room, 7, LEASE_BOUND)->local, "\x0a\0\0\x01", 4);
}

static void test_datagram_moves_to_another_peer(void **state)
{
	struct room *room = *state;
	struct wire_event connect = connect_event(7, 5000, PEER, 53);
	uint64_t since;

	connect.flags &= ~(WIRE_IN_PROGRESS | WIRE_CLAIMED);
	connect.protocol = IPPROTO_UDP;
	take(room, connect);
	since = room->time;
	connect.other_port = 54;
	record_local4(&connect, "\x7f\0\0\x01", 5000);
	take(room, connect);
	assert_int_equal(held(room, 7, LEASE_ESTABLISHED)->other_port, 54);
	assert_int_equal(held(room, 7, LEASE_ESTABLISHED)->since, since);
	assert_memory_equal(held(room, 7, LEASE_ESTABLISHED)->local, "\x7f\0\0\x01", 4);
	assert_leases(room, 1);
}

static void test_dual_stack_is_one_lease_in_both_families(void **state)
{
	struct room *room = *state;
	struct wire_event dual = bind_event(7, 5000);
	struct wire_event v4 = failed(bind_event(0, 5000), EADDRINUSE), v6 = v4;
	struct blockers blockers;

	dual.family = v6.family = 6;
	take(room, dual);
	assert_leases(room, 1);
	ask(room, &v4, &blockers);
	assert_int_equal(blockers.total, 1);
	ask(room, &v6, &blockers);
	assert_int_equal(blockers.total, 1);

	dual.flags |= WIRE_V6ONLY;
	take(room, dual);
	assert_leases(room, 1);
	ask(room, &v4, &blockers);
	assert_int_equal(blockers.total, 0);
	ask(room, &v6, &blockers);
	assert_int_equal(blockers.total, 1);
}

/* ---- the ledger as a whole ---- */

static void test_eviction(void **state)
{
	struct room *room = *state;
	struct ledger_totals totals;

	for (unsigned int i = 0; i < 1000; i++)
		take(room, bind_event(1 + i, (uint16_t)(1000 + i)));
	take(room, listen_event(1, 1000)); /* touched: not the oldest any more */
	ledger_totals(room->ledger, &totals);
	assert_int_equal(totals.evicted, 0);
	for (unsigned int i = 0; i < 10; i++) {
		take(room, bind_event(2001 + i, 5000));
		assert_int_equal(room->closed.socket, 0);
	}
	ledger_totals(room->ledger, &totals);
	assert_int_equal(totals.leases, 1000);
	assert_int_equal(totals.evicted, 10);
	assert_int_equal(totals.opened, 1010);
	held(room, 1, LEASE_LISTEN);
	for (uint64_t socket = 2; socket <= 11; socket++)
		assert_null(ledger_socket(room->ledger, socket));
	held(room, 12, LEASE_BOUND);
	held(room, 2010, LEASE_BOUND);

	/* Its release is one of a socket that is unknown now. */
	take(room, release_event(2, 1001, 0));
	ledger_totals(room->ledger, &totals);
	assert_int_equal(totals.unknown, 1);
}

static void test_state_names(void **state)
{
	(void)state;
	assert_string_equal(lease_state_name(LEASE_BOUND), "bound");
	assert_string_equal(lease_state_name(LEASE_CONNECTING), "connecting");
	assert_string_equal(lease_state_name(LEASE_ESTABLISHED), "established");
	assert_string_equal(lease_state_name(LEASE_LISTEN), "listen");
	assert_string_equal(lease_state_name(LEASE_TIME_WAIT), "time_wait");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_claim_opens_a_lease),
		TEST(test_failed_claim_opens_none),
		TEST(test_bind_without_a_port_opens_none),
		TEST(test_states_follow_the_calls),
		TEST(test_listen_that_claims),
		TEST(test_datagram_peer),
		TEST(test_datagram_connect_that_fails_keeps_its_port),
		TEST(test_failed_connect_keeps_a_bound_port),
		TEST(test_failed_connect_gives_back_a_port_of_its_own),
		TEST(test_aborted_connect),
		TEST(test_failed_call_changes_no_state),
		TEST(test_disconnect_releases),
		TEST(test_leases_one_after_another),
		TEST(test_lost_release),
		TEST(test_unknown_releases_are_counted),
		TEST(test_time_wait_keeps_the_port),
		TEST(test_socket_claims_beside_its_time_wait),
		TEST(test_time_waits_of_one_socket),
		TEST(test_estimated_time_wait_ends_by_itself),
		TEST(test_reuse_ends_an_estimated_time_wait),
		TEST(test_time_wait_whose_end_was_lost),
		TEST(test_end_of_time_wait_whose_beginning_was_lost),
		TEST(test_socket_is_its_number),
		TEST(test_hand_over_leaves_the_claimant),
		TEST(test_comm_without_an_end),
		TEST(test_connect_moves_the_address),
		TEST(test_bound_address_stays_when_a_connect_fails),
		TEST(test_datagram_moves_to_another_peer),
		TEST(test_dual_stack_is_one_lease_in_both_families),
		TEST(test_eviction),
		TEST(test_state_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
