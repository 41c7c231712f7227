/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a service tells, and what an asker makes of it, without sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "service/answer.h"
#include "service_world.h"

#define NOW (RECORDS_TIME + UINT64_C(3600000000000))
#define MOST_STEPS 100000

static struct port_set ports_all;

static const struct service_query query_all = {.ports = &ports_all};

static int ports_make(void **state)
{
	(void)state;
	memset(&ports_all, 0xff, sizeof(ports_all));
	return 0;
}

/* Called between two messages. */
typedef void (*meddler)(struct world *world, unsigned int step);

/* A whole conversation. What answer_take() said in the end. */
static int talk(struct world *world, uint32_t uid, bool all, const struct service_query *query,
		meddler meddle, struct service_answer *answer)
{
	struct reply *reply = reply_new(&world->source, uid, all);
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;
	struct service_ask ask;
	bool more;
	int result;

	*answer = (struct service_answer){0};
	assert_non_null(reply);
	assert_true(reply_hello(reply, NOW, &out));
	assert_int_equal(answer_hello(answer, out.data, out.length), 0);
	answer_ask(query, &ask);
	buffer_reset(&out);
	assert_true(reply_ask(reply, &ask, sizeof(ask), &out));
	assert_int_equal(out.length, 0);
	for (unsigned int step = 0;; step++) {
		assert_true(step < MOST_STEPS);
		buffer_reset(&out);
		more = reply_next(reply, NOW, &out);
		assert_false(out.failed);
		assert_true(out.length <= SERVICE_MESSAGE_MOST);
		result = out.length ? answer_take(answer, query, out.data, out.length) : 0;
		assert_int_equal(result, more ? 0 : 1);
		if (!more)
			break;
		if (meddle)
			meddle(world, step);
	}
	reply_free(reply);
	return result;
}

static void test_one_lease(void **state)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(service_answer_free) struct service_answer answer;
	struct wire_event event = world_claim(42, 60002, 7, RECORDS_TIME + 5);
	const struct service_lease *found;

	(void)state;
	world_make(&world);
	world_process(&world, 42, 1000);
	assert_int_equal(process_table_name_user(world.processes, 1000, "dev"), 0);
	event.flags |= WIRE_REUSEADDR;
	event.device = 3;
	memcpy(event.local, "\x7f\0\0\x01", 4);
	world_tell(&world, &event);
	talk(&world, 0, true, &query_all, NULL, &answer);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.withheld, 0);
	found = &answer.leases[0];
	assert_int_equal(found->lease.socket, 7);
	assert_int_equal(found->lease.claimed, RECORDS_TIME + 5);
	assert_int_equal(found->lease.since, RECORDS_TIME + 5);
	assert_int_equal(found->lease.netns, RECORDS_NETNS);
	assert_int_equal(found->lease.device, 3);
	assert_true(found->lease.flags & WIRE_REUSEADDR);
	assert_int_equal(found->lease.protocol, IPPROTO_TCP);
	assert_int_equal(found->lease.local_port, 60002);
	assert_int_equal(found->lease.family, 4);
	assert_int_equal(found->lease.trigger, WIRE_BIND);
	assert_int_equal(found->lease.origin, WIRE_ORIGIN_REQUESTED);
	assert_int_equal(found->lease.state, LEASE_BOUND);
	assert_memory_equal(found->lease.local, event.local, 16);
	assert_int_equal(found->claimed_wall, RECORDS_WALL + 5);
	assert_int_equal(found->since_wall, RECORDS_WALL + 5);
	assert_int_equal(found->expires_wall, 0);
	assert_int_equal(found->lease.claimant.key.pid, 42);
	assert_int_equal(found->lease.claimant.key.start, 1000042);
	assert_int_equal(found->lease.claimant.key.exec, 1);
	assert_int_equal(found->lease.claimant.uid, 1000);
	assert_string_equal(found->lease.claimant.comm, "claimer");
	assert_null(found->holder);
	assert_int_equal(answer.now, NOW);
	assert_int_equal(answer.now_wall, RECORDS_WALL + 3600000000000);
}

static void test_process_and_facts(void **state)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(service_answer_free) struct service_answer answer;
	struct wire_event event = world_claim(42, 60002, 7, RECORDS_TIME + 5);
	const struct service_process *claimant;

	(void)state;
	world_make(&world);
	world_process(&world, 42, 1000);
	assert_int_equal(process_table_name_user(world.processes, 1000, "dev"), 0);
	world_tell(&world, &event);
	talk(&world, 0, true, &query_all, NULL, &answer);
	claimant = answer.leases[0].claimant;
	assert_non_null(claimant);
	assert_true(claimant->details);
	assert_string_equal(claimant->user, "dev");
	assert_string_equal(claimant->process.exe, "/usr/bin/serve");
	assert_int_equal(claimant->process.exe_length, 14);
	assert_int_equal(claimant->process.args_length, 14);
	assert_memory_equal(claimant->process.args,
			    "serve\0--id\0"
			    "42",
			    14);
	assert_string_equal(claimant->process.cgroup, "/system.slice/app42.service");
	assert_string_equal(claimant->process.container.unit, "app42.service");
	assert_string_equal(claimant->process.comm, "serve");
	assert_string_equal(claimant->process.parent_comm, "bash");
	assert_int_equal(claimant->process.parent_pid, 900);
	assert_int_equal(claimant->process.gid, 1000);
	assert_int_equal(answer.facts.pid, getpid());
	assert_int_equal(answer.facts.tier, WIRE_TIER_TRACEPOINT);
	assert_int_equal(answer.facts.stream, RECORDS_ID);
	assert_int_equal(answer.facts.started_wall, RECORDS_WALL);
	assert_int_equal(answer.facts.watching, UINT64_C(3600000000000));
	assert_int_equal(answer.facts.totals.leases, 1);
	assert_int_equal(answer.facts.totals.opened, 1);
	assert_string_equal(answer.facts.program, PORTSNOOP_VERSION);
}

/* The stream did not tell of the process, or it is forgotten by now. */
static void test_process_unknown(void **state)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(service_answer_free) struct service_answer answer;
	struct wire_event event = world_claim(42, 60002, 7, RECORDS_TIME + 5);
	const struct service_process *claimant;

	(void)state;
	world_make(&world);
	world_tell(&world, &event);
	talk(&world, 0, true, &query_all, NULL, &answer);
	claimant = answer.leases[0].claimant;
	assert_non_null(claimant);
	assert_false(claimant->details);
	assert_int_equal(claimant->process.key.pid, 42);
	assert_null(claimant->user);
	assert_null(claimant->process.exe);
	assert_null(claimant->process.args);
	assert_null(claimant->process.cgroup);
	assert_string_equal(answer.leases[0].lease.claimant.comm, "claimer");
}

static void test_empty(void **state)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(service_answer_free) struct service_answer answer;

	(void)state;
	world_make(&world);
	talk(&world, 0, true, &query_all, NULL, &answer);
	assert_int_equal(answer.count, 0);
	assert_int_equal(answer.withheld, 0);
}

static void test_query_narrows(void **state)
{
	static const uint16_t ports[] = {0, 1, 79, 80, 81, 8000, 8001, 8010, 8011, 65534, 65535};
	static const uint16_t wanted[] = {0, 80, 8000, 8001, 8010, 65535};
	CLEANUP(world_free) struct world world;
	struct service_answer answer;
	struct port_set set = {0};
	struct service_query query = {.ports = &set};
	struct wire_event event;
	const char *expected;

	(void)state;
	world_make(&world);
	for (size_t i = 0; i < sizeof(ports) / sizeof(*ports); i++) {
		/* The ledger has no port 0, and nobody may be told of one. */
		event = world_claim(42, ports[i], 10 + i, RECORDS_TIME + 5 + i);
		world_tell(&world, &event);
	}
	assert_int_equal(parse_ports("0,80,8000-8010,65535", &set, &expected), 0);
	talk(&world, 0, true, &query, NULL, &answer);
	assert_int_equal(answer.count, sizeof(wanted) / sizeof(*wanted) - 1);
	for (size_t i = 0; i < answer.count; i++)
		assert_int_equal(answer.leases[i].lease.local_port, wanted[i + 1]);
	service_answer_free(&answer);
	query.protocol = IPPROTO_UDP;
	talk(&world, 0, true, &query, NULL, &answer);
	assert_int_equal(answer.count, 0);
	service_answer_free(&answer);
	query.protocol = IPPROTO_TCP;
	query.netns = RECORDS_NETNS;
	event = world_claim(42, 80, 99, RECORDS_TIME + 99);
	event.protocol = 262;
	world_tell(&world, &event);
	talk(&world, 0, true, &query, NULL, &answer);
	assert_int_equal(answer.count, 6);
	service_answer_free(&answer);
	query.netns++;
	talk(&world, 0, true, &query, NULL, &answer);
	assert_int_equal(answer.count, 0);
	service_answer_free(&answer);
}

static unsigned int steps;

static void steps_count(struct world *world, unsigned int step)
{
	(void)world;
	steps = step + 1;
}

/* More ranges than a step takes; and no step is long, not even one that tells nothing. */
static void test_every_other_port(void **state)
{
	CLEANUP(world_free) struct world world;
	struct service_answer answer;
	struct port_set set;
	struct service_query query = {.ports = &set};

	(void)state;
	world_make(&world);
	memset(&set, 0xaa, sizeof(set));
	for (uint32_t port = 1; port < 16384; port += 2) {
		struct wire_event event =
			world_claim(42, (uint16_t)port, port, RECORDS_TIME + port);

		world_tell(&world, &event);
		event = world_claim(42, (uint16_t)(port + 1), port + 100000, RECORDS_TIME + port);
		world_tell(&world, &event);
	}
	talk(&world, 0, true, &query, NULL, &answer);
	assert_int_equal(answer.count, 8192);
	for (size_t i = 0; i < answer.count; i++)
		assert_int_equal(answer.leases[i].lease.local_port, 1 + 2 * i);
	service_answer_free(&answer);
	talk(&world, 1001, false, &query, steps_count, &answer);
	assert_int_equal(answer.withheld, 8192);
	assert_true(steps >= 50);
	service_answer_free(&answer);
	talk(&world, 1001, false, &query_all, steps_count, &answer);
	assert_int_equal(answer.withheld, 16384);
	assert_true(steps >= 50);
	service_answer_free(&answer);
}

/* 50,000 leases of 200 processes: each is told once, and so is each process. */
static void test_many(void **state)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(service_answer_free) struct service_answer answer;

	(void)state;
	world_make(&world);
	for (uint32_t pid = 1; pid <= 200; pid++)
		world_process(&world, pid, 1000);
	for (uint32_t i = 0; i < 50000; i++) {
		struct wire_event event = world_claim(1 + i % 200, (uint16_t)(10000 + i), 1 + i,
						      RECORDS_TIME + 1 + i);

		world_tell(&world, &event);
	}
	talk(&world, 0, true, &query_all, NULL, &answer);
	assert_int_equal(answer.count, 50000);
	for (uint32_t i = 0; i < 50000; i++) {
		const struct service_lease *found = &answer.leases[i];

		assert_int_equal(found->lease.local_port, 10000 + i);
		assert_int_equal(found->claimant->process.key.pid, 1 + i % 200);
		assert_string_equal(found->claimant->process.exe, "/usr/bin/serve");
	}
	assert_int_equal(answer.process_count, 200);
}

#define CROWD 3000

/* A port's leases all have one claim time. Those with an even number stay; the others go
 * and come while they are told. */
static void crowd_meddle(struct world *world, unsigned int step)
{
	uint64_t time = RECORDS_TIME + 1000 + step;

	for (uint64_t socket = 1 + 2 * (step % 7); socket < CROWD; socket += 14) {
		struct wire_event event = record_event(WIRE_RELEASE, 0, 42, "claimer");

		record_local4(&event, "\0\0\0\0", 443);
		event.socket = socket;
		event.header.time = time;
		world_tell(world, &event);
		if (socket % 3)
			continue;
		event = world_claim(42, 443, socket + (uint64_t)(step + 1) * 2 * CROWD, time);
		world_tell(world, &event);
	}
}

static void test_crowd_changes(void **state)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(service_answer_free) struct service_answer answer;
	static unsigned char told[CROWD];

	(void)state;
	world_make(&world);
	memset(told, 0, sizeof(told));
	/* Upside down: the order is not the one in which they came. */
	for (uint64_t socket = CROWD - 1; socket; socket--) {
		struct wire_event event = world_claim(42, 443, socket, RECORDS_TIME + 5);

		world_tell(&world, &event);
	}
	talk(&world, 0, true, &query_all, crowd_meddle, &answer);
	for (size_t i = 0; i < answer.count; i++)
		if (answer.leases[i].lease.socket < CROWD)
			told[answer.leases[i].lease.socket]++;
	for (size_t socket = 1; socket < CROWD; socket++) {
		assert_true(told[socket] <= 1);
		if (socket % 2 == 0)
			assert_int_equal(told[socket], 1);
	}
}

static struct wire_event seed(uint32_t pid, uint32_t uid, uint16_t port, uint64_t socket)
{
	struct wire_event event = record_event(WIRE_SEED, 0, pid, "holds");

	record_local4(&event, "\0\0\0\0", port);
	event.uid = uid;
	event.socket = socket;
	event.state = 10; /* TCP_LISTEN */
	return event;
}

static void test_seed(void **state)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(service_answer_free) struct service_answer answer;
	struct wire_event event = seed(43, 1000, 22, 9);

	(void)state;
	world_make(&world);
	world_process(&world, 43, 1000);
	world_tell(&world, &event);
	talk(&world, 0, true, &query_all, NULL, &answer);
	assert_int_equal(answer.count, 1);
	assert_null(answer.leases[0].claimant);
	assert_int_equal(answer.leases[0].lease.claimant.key.pid, 0);
	assert_int_equal(answer.leases[0].claimed_wall, 0);
	assert_int_equal(answer.leases[0].lease.state, LEASE_LISTEN);
	assert_int_equal(answer.leases[0].lease.holder.key.pid, 43);
	assert_string_equal(answer.leases[0].lease.holder.comm, "holds");
	assert_true(answer.leases[0].holder->details);
}

static void test_foreign_uid(void **state)
{
	static const uint64_t visible[] = {2, 4, 5};
	CLEANUP(world_free) struct world world;
	struct service_answer answer;
	struct wire_event event;

	(void)state;
	world_make(&world);
	world_process(&world, 1, 0);
	world_process(&world, 2, 1000);
	world_process(&world, 5, 0); /* root's when it was told of, 1000's when it claimed */
	event = world_claim(1, 22, 1, RECORDS_TIME + 1);
	event.uid = 0;
	world_tell(&world, &event);
	event = world_claim(2, 23, 2, RECORDS_TIME + 2);
	world_tell(&world, &event);
	event = seed(1, 0, 24, 3);
	world_tell(&world, &event);
	event = seed(2, 1000, 25, 4);
	world_tell(&world, &event);
	event = world_claim(5, 26, 5, RECORDS_TIME + 5);
	world_tell(&world, &event);
	event = seed(0, 0, 27, 6); /* nobody knows whose */
	event.flags = WIRE_NO_CLAIMANT;
	world_tell(&world, &event);

	talk(&world, 1000, false, &query_all, NULL, &answer);
	assert_int_equal(answer.count, 3);
	assert_int_equal(answer.withheld, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(answer.leases[i].lease.socket, visible[i]);
	assert_true(answer.leases[0].claimant->details);
	assert_true(answer.leases[1].holder->details);
	assert_false(answer.leases[2].claimant->details);
	assert_null(answer.leases[2].claimant->process.args);
	service_answer_free(&answer);

	talk(&world, 1001, false, &query_all, NULL, &answer);
	assert_int_equal(answer.count, 0);
	assert_int_equal(answer.process_count, 0);
	assert_int_equal(answer.withheld, 6);
	service_answer_free(&answer);

	talk(&world, 0, true, &query_all, NULL, &answer);
	assert_int_equal(answer.count, 6);
	assert_int_equal(answer.withheld, 0);
	assert_true(answer.leases[4].claimant->details);
	service_answer_free(&answer);
}

/* The listener is the asker's, the one that accepted is not. */
static void test_foreign_holder(void **state)
{
	CLEANUP(world_free) struct world world;
	struct service_answer answer;
	struct wire_event event = world_claim(2, 80, 1, RECORDS_TIME + 1);

	(void)state;
	world_make(&world);
	world_process(&world, 2, 1000);
	world_process(&world, 3, 1001);
	event.trigger = WIRE_LISTEN;
	world_tell(&world, &event);
	event = seed(3, 1001, 80, 2);
	event.state = 1; /* TCP_ESTABLISHED */
	event.header.time += 100;
	record_other4(&event, "\x0a\0\0\x02", 5555);
	world_tell(&world, &event);
	talk(&world, 0, true, &query_all, NULL, &answer);
	assert_int_equal(answer.count, 2);
	assert_true(answer.leases[1].lease.share);
	assert_int_equal(answer.leases[1].claimant->process.key.pid, 2);
	assert_int_equal(answer.leases[1].holder->process.key.pid, 3);
	service_answer_free(&answer);
	talk(&world, 1000, false, &query_all, NULL, &answer);
	assert_int_equal(answer.count, 2);
	assert_int_equal(answer.leases[1].claimant->process.key.pid, 2);
	assert_null(answer.leases[1].holder);
	assert_string_equal(answer.leases[1].lease.holder.comm, "");
	service_answer_free(&answer);
}

/* Time goes on between two records, but not in the ledger: what it says later must not
 * depend on who asked. */
static void test_time_wait_is_over(void **state)
{
	CLEANUP(world_free) struct world world;
	struct service_answer answer;
	struct wire_event event = world_claim(2, 80, 1, NOW - 2 * LEDGER_TIME_WAIT);
	struct ledger_totals before, after;

	(void)state;
	world_make(&world);
	world_tell(&world, &event);
	event = record_event(WIRE_RELEASE, 0, 2, "claimer");
	record_local4(&event, "\0\0\0\0", 80);
	event.socket = 1;
	event.flags = WIRE_TIME_WAIT | WIRE_ESTIMATED;
	event.header.time = NOW - LEDGER_TIME_WAIT + 1;
	world_tell(&world, &event);
	talk(&world, 0, true, &query_all, NULL, &answer);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.leases[0].lease.state, LEASE_TIME_WAIT);
	assert_int_equal(answer.leases[0].lease.expires, NOW + 1);
	assert_int_equal(answer.leases[0].expires_wall - answer.now_wall, 1);
	service_answer_free(&answer);

	event = world_claim(2, 81, 2, NOW - LEDGER_TIME_WAIT - 1);
	world_tell(&world, &event);
	event = record_event(WIRE_RELEASE, 0, 2, "claimer");
	record_local4(&event, "\0\0\0\0", 81);
	event.socket = 2;
	event.flags = WIRE_TIME_WAIT | WIRE_ESTIMATED;
	event.header.time = NOW - LEDGER_TIME_WAIT;
	world_tell(&world, &event);
	ledger_totals(world.ledger, &before);
	talk(&world, 0, true, &query_all, NULL, &answer);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.leases[0].lease.local_port, 80);
	ledger_totals(world.ledger, &after);
	assert_int_equal(before.leases, 2);
	assert_int_equal(after.leases, 2);
	service_answer_free(&answer);
}

static void test_not_ready(void **state)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;
	struct service_answer answer = {0};
	struct reply *reply;

	(void)state;
	world_make(&world);
	world.begun = false;
	reply = reply_new(&world.source, 0, true);
	assert_false(reply_hello(reply, NOW, &out));
	assert_int_equal(answer_hello(&answer, out.data, out.length), -EBUSY);
	assert_string_equal(answer.why, "it has not begun to watch yet");
	reply_free(reply);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_lease),
		cmocka_unit_test(test_process_and_facts),
		cmocka_unit_test(test_process_unknown),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_query_narrows),
		cmocka_unit_test(test_every_other_port),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_crowd_changes),
		cmocka_unit_test(test_seed),
		cmocka_unit_test(test_foreign_uid),
		cmocka_unit_test(test_foreign_holder),
		cmocka_unit_test(test_time_wait_is_over),
		cmocka_unit_test(test_not_ready),
	};

	return cmocka_run_group_tests(tests, ports_make, NULL);
}
