/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How a service says how it is going, and what an asker makes of it, without sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "service/answer.h"
#include "service/status.h"
#include "service_world.h"

#define NOW (RECORDS_TIME + UINT64_C(3600000000000))

/* ---- what a service tells ---- */

static void status_fill(void *context, struct service_status *status)
{
	const struct store_status store = {.bytes = 4096,
					   .wal = 11,
					   .max_size = 12,
					   .max_age = 13,
					   .leases = 14,
					   .failures = 15,
					   .open = 16,
					   .commits = 17,
					   .written = 18,
					   .dropped = 19,
					   .trimmed = 20,
					   .pending = 21,
					   .oldest = -22,
					   .committed = 23,
					   .error = -ENOSPC,
					   .why = "the disk is full"};

	/* What was before a call must not come out behind the texts. */
	memset(status->store_path, 'x', sizeof(status->store_path));
	memset(status->store_why, 'x', sizeof(status->store_why));
	service_status_store(status, &store, context);
	status->received = 1;
	status->delivered = 2;
	status->filtered = 3;
	status->lost = 4;
	status->lag = 5;
	status->lag_most = 6;
	status->waiting = 7;
	status->told |= SERVICE_STATUS_COUNTS | SERVICE_STATUS_LAG;
}

static void status_talk(struct world *world, bool all, struct service_status *status)
{
	struct reply *reply = reply_new(&world->source, 0, all);
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;
	struct service_answer answer = {0};
	struct service_ask_status ask;

	assert_non_null(reply);
	answer_ask_status(&ask);
	assert_true(reply_ask(reply, &ask, sizeof(ask), &out));
	assert_int_equal(out.length, 0);
	assert_false(reply_next(reply, NOW, &out));
	assert_int_equal(out.length, sizeof(*status));
	assert_int_equal(answer_take_status(&answer, status, out.data, out.length), 1);
	assert_string_equal(answer.why, "");
	reply_free(reply);
}

static void test_status(void **state)
{
	CLEANUP(world_free) struct world world;
	struct service_status status;
	struct wire_event event = world_claim(42, 60002, 7, RECORDS_TIME + 5);

	(void)state;
	world_make(&world);
	world_tell(&world, &event);
	world.stream.start.coverage = 5;
	status_talk(&world, true, &status);
	assert_int_equal(status.told, SERVICE_STATUS_LEDGER | SERVICE_STATUS_PROCESS);
	assert_int_equal(status.stream, RECORDS_ID);
	assert_int_equal(status.started_wall, RECORDS_WALL);
	assert_int_equal(status.now_wall, RECORDS_WALL + 3600000000000);
	assert_int_equal(status.watching, UINT64_C(3600000000000));
	assert_int_equal(status.coverage, 5);
	assert_int_equal(status.tier, WIRE_TIER_TRACEPOINT);
	assert_int_equal(status.pid, getpid());
	assert_string_equal(status.program, PORTSNOOP_VERSION);
	assert_int_equal(status.leases, 1);
	assert_int_equal(status.opened, 1);
	assert_int_equal(status.evicted, 0);
	assert_int_equal(status.unknown, 0);
	assert_int_equal(status.received, 0);
	assert_int_equal(status.store_bytes, 0);
	assert_true(status.memory > 1 << 20);
	assert_int_equal(status.memory % 4096, 0);
	/* Whoever may do everything, or nothing. */
	assert_true(!status.capabilities || !geteuid());
}

static void test_status_of_source(void **state)
{
	static const char zeros[SERVICE_PATH_MOST];
	CLEANUP(world_free) struct world world;
	struct service_status status;
	char path[] = "/var/lib/x.db";

	(void)state;
	world_make(&world);
	world.source.status = status_fill;
	world.source.status_context = path;
	status_talk(&world, true, &status);
	assert_int_equal(status.told, SERVICE_STATUS_COUNTS | SERVICE_STATUS_LAG |
					      SERVICE_STATUS_LEDGER | SERVICE_STATUS_PROCESS |
					      SERVICE_STATUS_STORE | SERVICE_STATUS_PRIVATE);
	assert_int_equal(status.received, 1);
	assert_int_equal(status.delivered, 2);
	assert_int_equal(status.filtered, 3);
	assert_int_equal(status.lost, 4);
	assert_int_equal(status.lag, 5);
	assert_int_equal(status.lag_most, 6);
	assert_int_equal(status.waiting, 7);
	assert_int_equal(status.store_bytes, 4096);
	assert_int_equal(status.store_wal, 11);
	assert_int_equal(status.store_max_size, 12);
	assert_int_equal(status.store_max_age, 13);
	assert_int_equal(status.store_leases, 14);
	assert_int_equal(status.store_failures, 15);
	assert_int_equal(status.store_open, 16);
	assert_int_equal(status.store_commits, 17);
	assert_int_equal(status.store_written, 18);
	assert_int_equal(status.store_dropped, 19);
	assert_int_equal(status.store_trimmed, 20);
	assert_int_equal(status.store_pending, 21);
	assert_int_equal(status.store_oldest, 0); /* a clock that was never right */
	assert_int_equal(status.store_committed, 23);
	assert_int_equal(status.store_error, ENOSPC);
	assert_string_equal(status.store_why, "the disk is full");
	assert_string_equal(status.store_path, path);
	assert_memory_equal(status.store_why + 16, zeros, sizeof(status.store_why) - 16);
	assert_memory_equal(status.store_path + 13, zeros, sizeof(status.store_path) - 13);
	/* Others learn the numbers, and no names. */
	status_talk(&world, false, &status);
	assert_false(status.told & SERVICE_STATUS_PRIVATE);
	assert_true(status.told & SERVICE_STATUS_STORE);
	assert_int_equal(status.store_error, ENOSPC);
	assert_memory_equal(status.store_why, zeros, sizeof(status.store_why));
	assert_memory_equal(status.store_path, zeros, sizeof(status.store_path));
}

static void sinks_fill(void *context, struct service_status *status)
{
	service_status_sinks(status, context, 3);
}

static void test_status_of_sinks(void **state)
{
	char name[SERVICE_SINK_NAME + 10] = "unix:";
	struct sink_report reports[] = {
		{.name = "file:/var/log/events.json",
		 .dropped = 1,
		 .waiting = 2,
		 .alive = true,
		 .state = {.delivered = 3, .refused = 4, .lost = 5, .why = "not any more"}},
		{.name = "tcp:host:1",
		 .alive = true,
		 .state = {.spooled = 6, .spooled_bytes = 7, .since = -8, .why = "no route"}},
		{.name = name, .state = {.why = "it was killed"}},
	};
	CLEANUP(world_free) struct world world;
	struct service_status status;

	(void)state;
	memset(name + 5, 'p', sizeof(name) - 6);
	world_make(&world);
	world.source.status = sinks_fill;
	world.source.status_context = reports;
	status_talk(&world, true, &status);
	assert_true(status.told & SERVICE_STATUS_SINKS);
	assert_int_equal(status.sink_count, 3);
	assert_string_equal(status.sinks[0].name, reports[0].name);
	assert_int_equal(status.sinks[0].dropped, 1);
	assert_int_equal(status.sinks[0].waiting, 2);
	assert_int_equal(status.sinks[0].delivered, 3);
	assert_int_equal(status.sinks[0].refused, 4);
	assert_int_equal(status.sinks[0].lost, 5);
	assert_string_equal(status.sinks[0].why, ""); /* that is over */
	assert_int_equal(status.sinks[1].spooled, 6);
	assert_int_equal(status.sinks[1].spooled_bytes, 7);
	assert_int_equal(status.sinks[1].since, 0); /* a clock that was never right */
	assert_string_equal(status.sinks[1].why, "no route");
	assert_int_equal(status.sinks[1].ended, 0);
	assert_int_equal(strlen(status.sinks[2].name), SERVICE_SINK_NAME - 1);
	assert_int_equal(status.sinks[2].ended, 1);
	/* Others learn the numbers, and no names. */
	status_talk(&world, false, &status);
	assert_int_equal(status.sink_count, 3);
	assert_string_equal(status.sinks[0].name, "file");
	assert_int_equal(status.sinks[0].delivered, 3);
	assert_string_equal(status.sinks[1].name, "tcp");
	assert_string_equal(status.sinks[1].why, "");
	assert_string_equal(status.sinks[2].why, "");
}

/* Longer than there is room for: cut, and with an end. */
static void test_status_long_path(void **state)
{
	CLEANUP(world_free) struct world world;
	struct service_status status;
	char path[SERVICE_PATH_MOST + 10];

	(void)state;
	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	world_make(&world);
	world.source.status = status_fill;
	world.source.status_context = path;
	status_talk(&world, true, &status);
	assert_int_equal(strlen(status.store_path), SERVICE_PATH_MOST - 1);
}

/* ---- what an asker takes ---- */

static void test_ask_status_malformed(void **state)
{
	struct service_ask_status good, bad;
	struct port_set ports = {0};
	const struct service_query query = {.ports = &ports};
	struct service_ask ask;

	(void)state;
	answer_ask_status(&good);
	bad = good;
	bad.header.version++;
	world_refuses(&bad, sizeof(bad), SERVICE_VERSION_UNKNOWN);
	bad = good;
	bad.header.zero = 1;
	world_refuses(&bad, sizeof(bad), SERVICE_MALFORMED);
	bad = good;
	bad.header.size += 8;
	world_refuses(&bad, sizeof(bad), SERVICE_MALFORMED);
	/* One question in the length of the other. */
	answer_ask(&query, &ask);
	ask.header.type = SERVICE_ASK_STATUS;
	world_refuses(&ask, sizeof(ask), SERVICE_MALFORMED);
	bad = good;
	bad.header.type = SERVICE_ASK;
	world_refuses(&bad, sizeof(bad), SERVICE_MALFORMED);
}

static struct service_status status_good(void)
{
	return (struct service_status){
		.header = {SERVICE_MAGIC, SERVICE_VERSION, SERVICE_STATUS,
			   sizeof(struct service_status), 0},
		.told = UINT64_MAX,
		.tier = WIRE_TIER_KPROBE,
		.store_error = 28,
		.store_why = "why",
		.store_path = "/path",
		.sink_count = 2,
		.sinks = {{.name = "stdout"}, {.name = "journald", .why = "why"}},
	};
}

/* In a buffer of just this size, so that a byte too far is seen. */
static int status_take(const struct service_status *told, size_t size, const char *why,
		       struct service_status *taken)
{
	struct service_answer answer = {0};
	CLEANUP_FREE char *copy = calloc(1, size);
	int result;

	assert_non_null(copy);
	memcpy(copy, told, size < sizeof(*told) ? size : sizeof(*told));
	result = answer_take_status(&answer, taken, copy, size);
	assert_string_equal(answer.why, why);
	return result;
}

#define SPOIL_STATUS(member, value, error, why)                                                    \
	do {                                                                                       \
		struct service_status status__ = status_good(), taken__;                           \
		status__.member = (value);                                                         \
		assert_int_equal(status_take(&status__, sizeof(status__), why, &taken__), error);  \
	} while (0)

static void test_status_spoiled(void **state)
{
	static const char malformed[] = "its status is malformed";
	struct service_status status = status_good(), taken;

	(void)state;
	assert_int_equal(status_take(&status, sizeof(status), "", &taken), 1);
	assert_memory_equal(&taken, &status, sizeof(taken));
	SPOIL_STATUS(header.magic, 1, -EBADMSG, "its socket speaks something else");
	SPOIL_STATUS(header.version, 2, -EPROTONOSUPPORT,
		     "it speaks version 2 of the service's protocol, this portsnoop version 1");
	SPOIL_STATUS(header.size, 16, -EBADMSG, "it sent a message of a wrong size");
	SPOIL_STATUS(header.type, SERVICE_HELLO, -EBADMSG, "it sent a message of an unknown type");
	SPOIL_STATUS(header.type, SERVICE_REFUSED, -EBADMSG, "its refusal is malformed");
	SPOIL_STATUS(tier, 0, -EBADMSG, malformed);
	SPOIL_STATUS(tier, WIRE_TIER_TRACEPOINT + 1, -EBADMSG, malformed);
	SPOIL_STATUS(started_wall, -1, -EBADMSG, malformed);
	SPOIL_STATUS(now_wall, -1, -EBADMSG, malformed);
	SPOIL_STATUS(store_oldest, -1, -EBADMSG, malformed);
	SPOIL_STATUS(store_committed, INT64_MIN, -EBADMSG, malformed);
	SPOIL_STATUS(store_why[sizeof(status.store_why) - 1], 'x', -EBADMSG, malformed);
	SPOIL_STATUS(store_path[SERVICE_PATH_MOST - 1], 'x', -EBADMSG, malformed);
	SPOIL_STATUS(sink_count, SERVICE_SINKS + 1, -EBADMSG, malformed);
	SPOIL_STATUS(sinks[1].since, -1, -EBADMSG, malformed);
	SPOIL_STATUS(sinks[1].name[SERVICE_SINK_NAME - 1], 'x', -EBADMSG, malformed);
	SPOIL_STATUS(sinks[0].why[SERVICE_SINK_WHY - 1], 'x', -EBADMSG, malformed);
	/* A name needs no end. */
	SPOIL_STATUS(program[23], 'x', 1, "");
}

/* What comes behind is of a newer one. */
static void test_status_grows(void **state)
{
	struct service_status status = status_good(), taken;

	(void)state;
	status.header.size = sizeof(status) + 8;
	assert_int_equal(status_take(&status, sizeof(status) + 8, "", &taken), 1);
	assert_string_equal(taken.store_path, "/path");
	status.header.size = SERVICE_MESSAGE_MOST;
	assert_int_equal(status_take(&status, SERVICE_MESSAGE_MOST, "", &taken), 1);
	assert_int_equal(taken.sink_count, 2);
	/* One that knows of no sinks. */
	status.header.size = SERVICE_STATUS_LEAST;
	assert_int_equal(status_take(&status, SERVICE_STATUS_LEAST, "", &taken), 1);
	assert_string_equal(taken.store_path, "/path");
	assert_int_equal(taken.sink_count, 0);
	assert_string_equal(taken.sinks[0].name, "");
	status.header.size = SERVICE_STATUS_LEAST - 8;
	assert_int_equal(
		status_take(&status, SERVICE_STATUS_LEAST - 8, "its status is malformed", &taken),
		-EBADMSG);
	status.header.size = sizeof(status.header);
	assert_int_equal(
		status_take(&status, sizeof(status.header), "its status is malformed", &taken),
		-EBADMSG);
	assert_int_equal(status_take(&status, 8, "its socket speaks something else", &taken),
			 -EBADMSG);
}

/* One that is older than the question. */
static void test_status_refused(void **state)
{
	struct service_refused refused = {
		.header = {SERVICE_MAGIC, SERVICE_VERSION, SERVICE_REFUSED, sizeof(refused), 0},
		.reason = SERVICE_MALFORMED};
	struct service_answer answer = {0};
	struct service_status taken;

	(void)state;
	assert_int_equal(answer_take_status(&answer, &taken, &refused, sizeof(refused)), -EPROTO);
	assert_string_equal(answer.why,
			    "it did not understand the question: it may be an older one");
	refused.reason = SERVICE_BUSY;
	assert_int_equal(answer_take_status(&answer, &taken, &refused, sizeof(refused)), -EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_status_of_source),
		cmocka_unit_test(test_status_of_sinks),
		cmocka_unit_test(test_status_long_path),
		cmocka_unit_test(test_ask_status_malformed),
		cmocka_unit_test(test_status_spoiled),
		cmocka_unit_test(test_status_grows),
		cmocka_unit_test(test_status_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
