/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The whole page of a small stream, byte for byte, in both formats: the files in
 * tests/fixtures/metrics/, which tests/golden/metrics.sh gives to strict readers.
 * UPDATE=1 build/unit/test_metrics_text writes them anew: read the difference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/metrics_text.h"
#include "lib/cleanup.h"
#include "metrics_room.h"
#include "sink/sinks.h"

#define FIXTURES "tests/fixtures/metrics/"
#define MS 1000000u

#define SERVER 100
#define WORKER 200
#define CLIENT 300

static void play(struct metrics_room *room, struct wire_event event, uint64_t socket)
{
	event.socket = socket;
	room->time += MS;
	room_take(room, &event, sizeof(event));
}

static void play_process(struct metrics_room *room, uint32_t pid, const char *comm,
			 const char *cgroup)
{
	struct wire_process process = record_process(pid, comm, "/bin/any", "any", cgroup);

	room_take(room, &process, sizeof(process));
}

static struct wire_event at_port(struct wire_event event, uint16_t port, uint32_t flags,
				 uint32_t error)
{
	event.local_port = port;
	event.flags |= flags;
	event.error = error;
	return event;
}

static void play_all(struct metrics_room *room)
{
	static const char hostile[] = "\"\\\n\x1b[2J\xff";
	struct wire_event listen = record_event(WIRE_CALL, WIRE_LISTEN, SERVER, "server");
	struct wire_event send = record_event(WIRE_CALL, WIRE_SEND, CLIENT, hostile);
	struct wire_event release = record_connect(WIRE_RELEASE, WORKER, "worker");
	struct port_set reserved = {0};

	play_process(room, SERVER, "server", "/system.slice/web.service");
	play_process(room, WORKER, "worker",
		     "/system.slice/docker-c0ffee0000000000000000000000000000000000000000000000000"
		     "000000000.scope");
	play_process(room, CLIENT, hostile, "/");
	play(room, record_seed(SERVER, "old", 1, 10, 22), 1);
	/* A server, and one that comes too late. */
	play(room, record_bind(SERVER, "server", 80, 80), 2);
	play(room, at_port(listen, 80, 0, 0), 2);
	play(room, at_port(record_bind(CLIENT, hostile, 80, 0), 0, 0, EADDRINUSE), 0);
	/* Ports of the kernel's choice: one for a datagram, and then none is left. */
	send.protocol = 17;
	send.origin = WIRE_ORIGIN_KERNEL;
	play(room, at_port(send, 40001, WIRE_CLAIMED, 0), 3);
	play(room, at_port(send, 0, WIRE_CLAIMED, EAGAIN), 0);
	/* Connections: answered, refused, given up, and one that nobody has answered yet. */
	play(room, record_connect(WIRE_CALL, WORKER, "worker"), 4);
	play(room, record_connect(WIRE_OUTCOME, WORKER, "worker"), 4);
	play(room, at_port(release, 40000, WIRE_TIME_WAIT, 0), 4);
	play(room, at_port(record_connect(WIRE_CALL, WORKER, "worker"), 40002, 0, 0), 5);
	play(room, at_port(record_connect(WIRE_OUTCOME, WORKER, "worker"), 40002, 0, ECONNREFUSED),
	     5);
	play(room, at_port(release, 40002, 0, 0), 5);
	play(room, at_port(record_connect(WIRE_CALL, WORKER, "worker"), 40003, 0, 0), 6);
	play(room, at_port(record_connect(WIRE_OUTCOME, WORKER, "worker"), 40003, WIRE_ABORTED, 0),
	     6);
	play(room, at_port(record_connect(WIRE_CALL, WORKER, "worker"), 40004, 0, 0), 7);
	for (uint16_t port = 40090; port < 40110; port++)
		reserved.bits[port >> 3] |= (uint8_t)(1 << (port & 7));
	/* So small that a hundredth of it is one port. */
	metrics_pool(room->metrics, RECORDS_NETNS, 40000, 40099, &reserved);
}

static const struct sink_report sinks[] = {
	{.name = "file:/var/log/portsnoop/\"a\nb\\.json",
	 .put = 17,
	 .waiting = 2,
	 .state = {.delivered = 15},
	 .alive = true},
	{.name = "tcp:logs.example.org:5170",
	 .put = 14,
	 .dropped = 3,
	 .state = {.delivered = 4,
		   .refused = 1,
		   .lost = 2,
		   .spooled = 7,
		   .spooled_bytes = 8192,
		   .since = INT64_C(1795271528000000000)},
	 .alive = true},
	{.name = "journald", .put = 17, .state = {.delivered = 17}},
};

static const struct metrics_service service = {
	.version = "0.1.0",
	.tier = "tracepoint",
	.started = UINT64_C(1795271527000000000),
	.memory = 12345678,
	.cpu = UINT64_C(1500000000),
	.received = 21,
	.events = 17,
	.lost = 3,
	.untracked = 4,
	.unseen = 5,
	.skipped = 6,
	.evicted = 7,
	.lag = 2500000,
	.backlog = 4096,
	.store_bytes = 65536,
	.store_wal = 32768,
	.store_limit = 1 << 30,
	.store_leases = 8,
	.store_failures = 9,
	.store_written = 10,
	.store_dropped = 11,
	.store_trimmed = 12,
	.store_committed = UINT64_C(1795271528000000001),
	.store_failing = true,
	.sinks = sinks,
	.sink_count = sizeof(sinks) / sizeof(*sinks),
};

static void file_compare(const char *name, const struct buffer *text)
{
	CLEANUP_FILE FILE *file = NULL;
	CLEANUP_FREE char *expected = malloc(1 << 20);
	size_t length;

	assert_non_null(expected);
	if (getenv("UPDATE")) {
		file = fopen(name, "we");
		assert_non_null(file);
		assert_int_equal(fwrite(text->data, 1, text->length, file), text->length);
		return;
	}
	file = fopen(name, "re");
	if (!file)
		fail_msg("%s: %s (to be run in the tree's top folder)", name, strerror(errno));
	length = fread(expected, 1, (1 << 20) - 1, file);
	expected[length] = '\0';
	assert_string_equal(text->data, expected);
}

static void page_compare(const char *name, bool classic)
{
	CLEANUP(room_close) struct metrics_room room;
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;

	room_open(&room, NULL, NULL);
	play_all(&room);
	assert_int_equal(metrics_survey(room.metrics, pipeline_ledger(room.pipeline), room.time),
			 0);
	metrics_text(room.metrics, &service, classic, &text);
	buffer_byte(&text, '\0');
	assert_false(text.failed);
	text.length--;
	file_compare(name, &text);
}

static void test_openmetrics(void **state)
{
	(void)state;
	page_compare(FIXTURES "page.openmetrics", false);
}

static void test_classic(void **state)
{
	(void)state;
	page_compare(FIXTURES "page.classic", true);
}

/* What is not known is absent; its family is still told of. */
static void test_unknown(void **state)
{
	const struct metrics_service nothing = {.version = "1", .skipped = UINT64_MAX};
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;
	struct metrics *metrics = metrics_new();

	(void)state;
	assert_non_null(metrics);
	metrics_text(metrics, &nothing, false, &text);
	buffer_byte(&text, '\0');
	assert_null(strstr(text.data, "\nportsnoop_skipped_total"));
	assert_null(strstr(text.data, "\nportsnoop_tier_info"));
	assert_null(strstr(text.data, "\nportsnoop_store_commit_timestamp_seconds"));
	assert_null(strstr(text.data, "\nprocess_resident_memory_bytes"));
	for (const struct openmetrics_family *family = metrics_families; family->name; family++) {
		char line[256];

		snprintf(line, sizeof(line), "# TYPE %s %s\n", family->name,
			 openmetrics_type_name(family->type));
		if (!strstr(text.data, line))
			fail_msg("missing: %s", line);
	}
	metrics_free(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openmetrics),
		cmocka_unit_test(test_classic),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
