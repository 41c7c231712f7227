/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the ledger is asked: who stands in the way, who has the most, who has what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>

#include "ledger_room.h"

/* ---- rule 8: what stands in the way ---- */

static void test_blockers_in_order(void **state)
{
	struct room *room = *state;
	struct wire_event failure = failed(bind_event(0, 80), EADDRINUSE);
	struct wire_event connect = connect_event(3, 80, PEER, 443);
	struct blockers blockers;

	take(room, connect_event(1, 80, PEER, 441));
	take(room, release_event(1, 80, WIRE_TIME_WAIT));
	take(room, connect_event(2, 80, PEER, 442));
	take(room, outcome_event(2, 80, PEER, 442));
	take(room, connect);
	take(room, bind_event(4, 80));
	take(room, bind_event(5, 80));
	take(room, bind_event(6, 80));
	take(room, listen_event(6, 80));
	take(room, bind_event(7, 81));
	ask(room, &failure, &blockers);
	assert_int_equal(blockers.total, 6);
	assert_int_equal(blockers.count, 6);
	assert_int_equal(blockers.lease[0]->socket, 6);
	assert_int_equal(blockers.lease[1]->socket, 4);
	assert_int_equal(blockers.lease[2]->socket, 5);
	assert_int_equal(blockers.lease[3]->socket, 3);
	assert_int_equal(blockers.lease[4]->socket, 2);
	assert_int_equal(blockers.lease[5]->socket, 1);
	assert_int_equal(blockers.ports[5], 1);
}

static void test_blockers_are_eight_and_a_total(void **state)
{
	struct room *room = *state;
	struct wire_event failure = failed(bind_event(0, 80), EADDRINUSE);
	struct blockers blockers;

	for (uint64_t socket = 1; socket <= 20; socket++)
		take(room, bind_event(socket, 80));
	take(room, listen_event(20, 80));
	ask(room, &failure, &blockers);
	assert_int_equal(blockers.total, 20);
	assert_int_equal(blockers.count, LEDGER_BLOCKERS);
	assert_int_equal(blockers.lease[0]->socket, 20);
	for (unsigned int i = 1; i < LEDGER_BLOCKERS; i++)
		assert_int_equal(blockers.lease[i]->socket, i);
}

static void test_failed_listen_is_not_its_own_blocker(void **state)
{
	struct room *room = *state;
	struct wire_event first = bind_event(7, 80), second = bind_event(8, 80), failure;
	struct blockers blockers;

	first.flags |= WIRE_REUSEADDR;
	second.flags |= WIRE_REUSEADDR;
	take(room, first);
	take(room, second);
	take(room, listen_event(7, 80));
	failure = failed(listen_event(8, 80), EADDRINUSE); /* SO_REUSEADDR is off now */
	take(room, failure);
	ask(room, &failure, &blockers);
	assert_int_equal(blockers.total, 1);
	assert_int_equal(blockers.lease[0]->socket, 7);
}

static struct wire_event exhausted_connect(void)
{
	struct wire_event failure = failed(connect_event(0, 0, PEER, 443), EADDRNOTAVAIL);

	failure.flags = WIRE_CLAIMED | WIRE_HAS_OTHER;
	memset(failure.local, 0, sizeof(failure.local));
	return failure;
}

static void test_exhaustion(void **state)
{
	struct wire_event connect = exhausted_connect();
	struct wire_event bind = failed(bind_event(0, 0), EADDRINUSE);
	struct wire_event send = failed(bind_event(0, 0), EAGAIN);
	struct wire_event listen = failed(bind_event(0, 0), EADDRINUSE);

	(void)state;
	assert_true(ledger_exhausted(&connect));
	assert_true(ledger_exhausted(&bind));
	send.trigger = WIRE_SEND;
	assert_true(ledger_exhausted(&send));
	listen.trigger = WIRE_LISTEN;
	assert_true(ledger_exhausted(&listen));

	connect.flags &= ~WIRE_CLAIMED; /* from a port that it had */
	assert_false(ledger_exhausted(&connect));
	bind.other_port = 80;
	assert_false(ledger_exhausted(&bind));
	bind.other_port = 0;
	bind.flags &= ~WIRE_HAS_OTHER; /* the port that it wanted is not known */
	assert_false(ledger_exhausted(&bind));
	bind.flags |= WIRE_HAS_OTHER;
	bind.error = EACCES;
	assert_false(ledger_exhausted(&bind));
	send.local_port = 40000; /* has one, and failed for another reason */
	assert_false(ledger_exhausted(&send));
	listen.error = EINVAL;
	assert_false(ledger_exhausted(&listen));
}

static void fill(struct room *room, uint32_t pid, uint64_t socket, uint16_t port, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct wire_event connect =
			connect_event(socket + i, (uint16_t)(port + i), PEER, 443);

		connect.pid = pid;
		take(room, connect);
	}
}

static void test_top_holders(void **state)
{
	struct room *room = *state;
	struct wire_event failure = exhausted_connect(), elsewhere = failure;
	struct wire_event noise = connect_event(900, 40900, PEER, 444);
	struct blockers top;

	for (uint32_t pid = 1; pid <= 10; pid++)
		fill(room, pid, pid * 20, (uint16_t)(40000 + pid * 20), pid);
	take(room, noise); /* toward another peer */
	noise.socket++;
	noise.local_port = 20000; /* outside the pool */
	noise.other_port = 443;
	take(room, noise);
	noise.socket++;
	noise.local_port = 40901;
	noise.netns++;
	take(room, noise);
	take(room, release_event(60, 40060, WIRE_TIME_WAIT)); /* of 3: counts */
	take(room, release_event(40, 40040, 0));	      /* of 2: does not */

	holders(room, &failure, &top);
	assert_int_equal(top.total, 10);
	assert_int_equal(top.count, LEDGER_BLOCKERS);
	for (unsigned int i = 0; i < LEDGER_BLOCKERS; i++) {
		assert_int_equal(top.lease[i]->claimant.key.pid, 10 - i);
		assert_int_equal(top.ports[i], 10 - i);
		assert_int_equal(top.lease[i]->socket, (10 - i) * 20);
	}

	/* And as the leases change. */
	fill(room, 1, 500, 50000, 30);
	take(room, release_event(200, 40200, 0));
	holders(room, &failure, &top);
	assert_int_equal(top.lease[0]->claimant.key.pid, 1);
	assert_int_equal(top.ports[0], 31);
	assert_int_equal(top.ports[1], 9);
	assert_int_equal(top.lease[1]->claimant.key.pid, 9);
	assert_int_equal(top.lease[2]->claimant.key.pid, 10);
	assert_int_equal(top.lease[2]->socket, 201);

	elsewhere.other_port = 444;
	holders(room, &elsewhere, &top);
	assert_int_equal(top.total, 1);
	assert_int_equal(top.lease[0]->socket, 900);
}

static void test_top_holders_of_bound_ports(void **state)
{
	struct room *room = *state;
	struct wire_event failure = exhausted_connect(), datagram = bind_event(9, 40002);
	struct wire_event bind = failed(bind_event(0, 0), EADDRINUSE);
	struct blockers top;

	/* connect() takes no port that bind() has, wherever it goes. */
	take(room, bind_event(7, 40000));
	take(room, connect_event(8, 40001, PEER, 444));
	datagram.protocol = IPPROTO_UDP;
	take(room, datagram);
	holders(room, &failure, &top);
	assert_int_equal(top.total, 1);
	assert_int_equal(top.lease[0]->socket, 7);

	/* bind() takes none that anybody has. */
	holders(room, &bind, &top);
	assert_int_equal(top.total, 2);
}

static void test_top_holders_know_and_unknown(void **state)
{
	struct room *room = *state;
	struct wire_event failure = failed(bind_event(0, 0), EADDRINUSE);
	struct wire_event seed = seed_event(8, 40001, CLOSED);
	struct blockers top;

	take(room, seed); /* the process is counted by what it holds, too */
	take(room, seed_event(9, 40002, CLOSED));
	seed.socket = 10;
	seed.pid = 0;
	seed.local_port = 40003;
	take(room, seed);
	holders(room, &failure, &top);
	assert_int_equal(top.total, 2);
	assert_int_equal(top.ports[0], 2);
	assert_int_equal(top.lease[0]->holder.key.pid, OTHER);
	assert_int_equal(top.lease[0]->claimant.key.pid, 0);
}

/* ---- who has what ---- */

struct visited {
	uint64_t sockets[16];
	unsigned int count;
	unsigned int stop_at; /* 0: never */
};

static int visit(void *context, const struct lease *lease)
{
	struct visited *visited = context;

	assert_true(visited->count < 16);
	visited->sockets[visited->count++] = lease->socket;
	return visited->count == visited->stop_at ? 42 : 0;
}

static void assert_each(struct room *room, uint32_t netns, uint16_t protocol, uint16_t low,
			uint16_t high, const char *sockets)
{
	struct visited visited = {.count = 0};

	assert_int_equal(
		ledger_each(room->ledger, room->time, netns, protocol, low, high, visit, &visited),
		0);
	assert_int_equal(visited.count, strlen(sockets));
	for (unsigned int i = 0; i < visited.count; i++)
		assert_int_equal(visited.sockets[i], sockets[i] - '0');
}

static void test_each(void **state)
{
	struct room *room = *state;
	struct wire_event event;
	struct visited visited = {.stop_at = 2};

	take(room, bind_event(1, 65535));
	take(room, bind_event(2, 80));
	event = bind_event(3, 80);
	event.protocol = 262;
	take(room, event);
	event = bind_event(4, 80);
	event.protocol = IPPROTO_UDP;
	take(room, event);
	event = bind_event(5, 80);
	event.protocol = IPPROTO_UDPLITE;
	take(room, event);
	event = bind_event(6, 80);
	event.netns++;
	take(room, event);
	take(room, bind_event(7, 79));
	take(room, seed_event(8, 80, CLOSED));
	take(room, bind_event(9, 1));

	assert_each(room, 0, 0, 0, 65535, "978234561");
	assert_each(room, 0, 0, 80, 80, "823456");
	assert_each(room, 0, 6, 80, 80, "8236");
	assert_each(room, RECORDS_NETNS, 6, 80, 80, "823");
	assert_each(room, RECORDS_NETNS, 262, 80, 80, "3");
	assert_each(room, 0, IPPROTO_UDP, 0, 65535, "4");
	assert_each(room, RECORDS_NETNS + 1, 0, 0, 65535, "6");
	assert_each(room, RECORDS_NETNS + 2, 0, 0, 65535, "");
	assert_each(room, 0, 0, 81, 65534, "");
	assert_each(room, 0, 0, 2, 79, "7");
	assert_each(room, 0, 0, 65535, 65535, "1");
	assert_each(room, 0, 0, 80, 79, "");
	assert_int_equal(ledger_each(room->ledger, room->time, 0, 0, 0, 65535, visit, &visited),
			 42);
	assert_int_equal(visited.count, 2);
}

static void test_each_ends_time_wait_first(void **state)
{
	struct room *room = *state;

	take(room, connect_event(1, 40000, PEER, 443));
	take(room, release_event(1, 40000, WIRE_TIME_WAIT | WIRE_ESTIMATED));
	assert_each(room, 0, 0, 0, 65535, "1");
	room->time += LEDGER_TIME_WAIT;
	assert_each(room, 0, 0, 0, 65535, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_blockers_in_order),
		TEST(test_blockers_are_eight_and_a_total),
		TEST(test_failed_listen_is_not_its_own_blocker),
		TEST(test_exhaustion),
		TEST(test_top_holders),
		TEST(test_top_holders_of_bound_ports),
		TEST(test_top_holders_know_and_unknown),
		TEST(test_each),
		TEST(test_each_ends_time_wait_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
