/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "decode_room.h"

static void actions(void **state)
{
	static const struct {
		uint16_t type;
		uint8_t trigger;
		uint16_t protocol;
		uint32_t error, flags;
		enum event_action action;
		enum event_outcome outcome;
	} rows[] = {
		{WIRE_CALL, WIRE_BIND, 6, 0, 0, EVENT_BOUND, EVENT_SUCCESS},
		{WIRE_CALL, WIRE_BIND, 17, EADDRINUSE, 0, EVENT_BOUND, EVENT_FAILURE},
		{WIRE_CALL, WIRE_LISTEN, 6, 0, 0, EVENT_LISTEN, EVENT_SUCCESS},
		{WIRE_CALL, WIRE_CONNECT, 6, 0, WIRE_IN_PROGRESS, EVENT_CONNECTED, EVENT_UNKNOWN},
		{WIRE_CALL, WIRE_CONNECT, 17, 0, 0, EVENT_CONNECTED, EVENT_SUCCESS},
		{WIRE_CALL, WIRE_CONNECT, 6, EADDRNOTAVAIL, 0, EVENT_CONNECTED, EVENT_FAILURE},
		{WIRE_CALL, WIRE_CONNECT, 6, ENETUNREACH, WIRE_IN_PROGRESS, EVENT_CONNECTED,
		 EVENT_FAILURE},
		{WIRE_CALL, WIRE_SUBFLOW, 6, 0, WIRE_IN_PROGRESS, EVENT_CONNECTED, EVENT_UNKNOWN},
		{WIRE_CALL, WIRE_SEND, 17, 0, 0, EVENT_AUTOBOUND, EVENT_SUCCESS},
		{WIRE_CALL, WIRE_SEND, 136, 0, 0, EVENT_AUTOBOUND, EVENT_SUCCESS},
		{WIRE_CALL, WIRE_SEND, 1, 0, 0, EVENT_AUTOBOUND, EVENT_SUCCESS},
		{WIRE_CALL, WIRE_SEND, 132, 0, 0, EVENT_AUTOBOUND, EVENT_SUCCESS},
		{WIRE_CALL, WIRE_SEND, 17, EAGAIN, 0, EVENT_AUTOBOUND, EVENT_FAILURE},
		{WIRE_CALL, WIRE_SEND, 6, 0, WIRE_IN_PROGRESS, EVENT_CONNECTED, EVENT_UNKNOWN},
		{WIRE_CALL, WIRE_SEND, 262, 0, WIRE_IN_PROGRESS, EVENT_CONNECTED, EVENT_UNKNOWN},
		{WIRE_OUTCOME, WIRE_CONNECT, 6, 0, 0, EVENT_ESTABLISHED, EVENT_SUCCESS},
		{WIRE_OUTCOME, WIRE_CONNECT, 6, ECONNREFUSED, 0, EVENT_FAILED, EVENT_FAILURE},
		{WIRE_OUTCOME, WIRE_CONNECT, 6, 0, WIRE_ABORTED, EVENT_FAILED, EVENT_FAILURE},
		{WIRE_RELEASE, WIRE_BIND, 6, 0, 0, EVENT_RELEASED, EVENT_SUCCESS},
		{WIRE_RELEASE, 0, 6, 0, WIRE_NO_CLAIMANT, EVENT_RELEASED, EVENT_SUCCESS},
		{WIRE_OUTCOME, 0, 6, 0, WIRE_NO_CLAIMANT, EVENT_ESTABLISHED, EVENT_SUCCESS},
	};
	struct room *room = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire_event record = record_event(rows[i].type, rows[i].trigger, 42, "web");
		struct seen *seen;

		record.protocol = rows[i].protocol;
		record.error = rows[i].error;
		record.flags = rows[i].flags;
		seen = feed(room, &record, 1);
		if (seen->action != rows[i].action || seen->outcome != rows[i].outcome)
			fail_msg("row %zu: %s, %s", i, event_action_name(seen->action),
				 event_outcome_name(seen->outcome));
		assert_int_equal(seen->sequence, i + 2);
	}
	assert_int_equal(decoder_stream(room->decoder)->events, room->count + 1);
}

static void who_it_was(void **state)
{
	struct room *room = *state;
	struct wire_process process = record_process(42, "web", "/bin/web", "web", "/");
	struct wire_event bind = record_bind(42, "worker", 80, 80);
	struct wire_user user = {
		.header = {.type = WIRE_USER, .size = sizeof(user)}, .uid = 1000, .name = "dev"};
	struct seen *seen = feed(room, &bind, 1);

	assert_false(seen->has_process);
	assert_string_equal(seen->user, "");
	feed(room, &process, 0);
	feed(room, &user, 0);
	seen = feed(room, &bind, 1);
	assert_true(seen->has_process);
	assert_string_equal(seen->comm, "web");
	assert_string_equal(seen->user, "dev");

	strcpy(user.name, "ops");
	feed(room, &user, 0);
	assert_string_equal(feed(room, &bind, 1)->user, "ops");

	/* another program, another process, nobody: never somebody else's name */
	bind.exec++;
	assert_false(feed(room, &bind, 1)->has_process);
	bind.exec--;
	bind.start++;
	assert_false(feed(room, &bind, 1)->has_process);
	bind.start--;
	bind.uid = 1001;
	assert_string_equal(feed(room, &bind, 1)->user, "");
	bind.uid = 1000;
	bind.flags |= WIRE_NO_CLAIMANT;
	seen = feed(room, &bind, 1);
	assert_false(seen->has_process);
	assert_string_equal(seen->user, "");
}

static void gaps(void **state)
{
	struct room *room = *state;
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct wire_process process = record_process(42, "web", "/bin/web", "web", "/");
	struct seen *seen;

	/* before the first record of a CPU */
	bind.header.cpu_sequence = record_number(2, 6);
	bind.header.lost = 5;
	bind.header.time = 2000;
	feed(room, &bind, 2);
	seen = &room->seen[0];
	assert_int_equal(seen->action, EVENT_LOST);
	assert_int_equal(seen->outcome, EVENT_UNKNOWN);
	assert_int_equal(seen->sequence, 2);
	assert_int_equal(seen[1].sequence, 3);
	assert_int_equal(seen->gap.cpu, 2);
	assert_int_equal(seen->gap.count, 5);
	assert_int_equal(seen->gap.after, 0);
	assert_int_equal(seen->gap.before, 2000);

	/* no more of them, on this CPU and on another */
	bind.header.cpu_sequence = record_number(2, 7);
	bind.header.time = 3000;
	feed(room, &bind, 1);
	bind.header.cpu_sequence = record_number(0, 1);
	bind.header.lost = 0;
	bind.header.time = 4000;
	feed(room, &bind, 1);

	/* in front of a process, which is no event itself */
	process.header.cpu_sequence = record_number(2, 11);
	process.header.lost = 8;
	process.header.time = 5000;
	seen = feed(room, &process, 1);
	assert_int_equal(seen->action, EVENT_LOST);
	assert_int_equal(seen->gap.count, 3);
	assert_int_equal(seen->gap.after, 3000);
	assert_int_equal(decoder_lost(room->decoder), 8);
	assert_int_equal(decoder_received(room->decoder), 4);
}

static void gap_across_the_wrap(void **state)
{
	struct room *room = *state;
	struct wire_event bind = record_bind(42, "web", 80, 80);
	uint64_t lost = 0;

	/* the counter has 32 bits, and what is between two records never has */
	static const uint32_t counters[] = {0x40000000, 0x80000000, 0xc0000000, 0xfffffffe, 3};

	for (unsigned int i = 0; i < 5; i++) {
		bind.header.lost = counters[i];
		feed(room, &bind, 2);
		lost += room->seen[room->count - 2].gap.count;
	}
	assert_int_equal(room->seen[room->count - 2].gap.count, 5);
	assert_int_equal(lost, 0x100000003);
	assert_int_equal(decoder_lost(room->decoder), lost);
}

/* An interrupt between reserving and counting lets the older count come later. */
static void counter_that_lags(void **state)
{
	struct room *room = *state;
	struct wire_event bind = record_bind(42, "web", 80, 80);

	bind.header.lost = 7;
	feed(room, &bind, 2);
	bind.header.lost = 5;
	feed(room, &bind, 1);
	bind.header.lost = 7;
	feed(room, &bind, 1);
	bind.header.lost = 8;
	feed(room, &bind, 2);
	assert_int_equal(room->seen[room->count - 2].gap.count, 1);
	assert_int_equal(decoder_lost(room->decoder), 8);
}

static void number(struct room *room, uint32_t cpu, uint64_t sequence)
{
	struct wire_event bind = record_bind(42, "web", 80, 80);

	bind.header.cpu_sequence = record_number(cpu, sequence);
	feed(room, &bind, 1);
}

static void numbers(void **state)
{
	static const uint64_t order[] = {1, 2, 4, 3, 8, 5, 6, 7, 9};
	struct room *room = *state;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		number(room, 1, order[i]);
	assert_int_equal(totals_of(room).repeated, 0);
	assert_int_equal(totals_of(room).missing, 0);

	number(room, 1, 9);
	number(room, 1, 3);
	assert_int_equal(totals_of(room).repeated, 2);
	assert_int_equal(totals_of(room).missing, 0);

	number(room, 1, 13);
	assert_int_equal(totals_of(room).missing, 3);
	number(room, 1, 11);
	assert_int_equal(totals_of(room).missing, 2);
	number(room, 1, 10);
	number(room, 1, 12);
	assert_int_equal(totals_of(room).missing, 0);
	assert_int_equal(totals_of(room).repeated, 2);

	/* another CPU counts for itself; without numbers there is nothing to check */
	number(room, 3, 1);
	number(room, 0, 0);
	number(room, 0, 0);
	assert_int_equal(totals_of(room).missing, 0);
	assert_int_equal(totals_of(room).repeated, 2);

	/* far behind: late, but who knows whether it is the first time */
	for (uint64_t i = 14; i < 14 + 70; i++)
		number(room, 1, i);
	number(room, 1, 14 + 70 + 64);
	assert_int_equal(totals_of(room).missing, 64);
	number(room, 1, 14 + 70);
	number(room, 1, 14 + 71);
	assert_int_equal(totals_of(room).missing, 62);
	assert_int_equal(totals_of(room).repeated, 2);
	number(room, 1, 14 + 71);
	assert_int_equal(totals_of(room).repeated, 3);
}

/* Lost ones have numbers too, and so have those that a filter held back. */
static void numbers_add_up(void **state)
{
	struct room *room = *state;
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct wire_stream_end end = record_end(12, 4);

	bind.header.cpu_sequence = record_number(0, 5);
	bind.header.lost = 4;
	feed(room, &bind, 2);
	assert_int_equal(totals_of(room).missing, 0);
	number(room, 1, 4);
	assert_int_equal(totals_of(room).missing, 3);
	end.filtered = 2;
	feed(room, &end, 1);
	assert_int_equal(totals_of(room).missing, 1);
}

static void gap_at_the_end(void **state)
{
	struct room *room = *state;
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct wire_stream_end end = record_end(10, 7);
	struct seen *seen;

	bind.header.lost = 2;
	bind.header.time = 5000;
	feed(room, &bind, 2);
	bind.header.time = 4000; /* the newest one need not be the last */
	feed(room, &bind, 1);
	seen = feed(room, &end, 2);
	assert_int_equal(seen->action, EVENT_END);
	seen--;
	assert_int_equal(seen->action, EVENT_LOST);
	assert_int_equal(seen->gap.cpu, EVENT_CPU_UNKNOWN);
	assert_int_equal(seen->gap.count, 5);
	assert_int_equal(seen->gap.after, 5000);
	assert_int_equal(seen->gap.before, end.header.time);
	assert_int_equal(decoder_lost(room->decoder), 7);
	refuse(room, &bind, sizeof(bind), "follows the stream's end");
	refuse(room, &end, sizeof(end), "follows the stream's end");
}

static void no_gap_at_the_end(void **state)
{
	struct room *room = *state;
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct wire_stream_end end = record_end(10, 2);

	bind.header.lost = 2;
	feed(room, &bind, 2);
	feed(room, &end, 1);
}

/* It tells of the stream, and nothing of sockets: what was said of the next call stays. */
static void heartbeats(void **state)
{
	struct room *room = *state;
	struct wire_heartbeat beat = record_heartbeat(12, 4);
	struct wire_blocker blocker = record_blocker(61, "nginx", 10, 80);
	struct wire_event bind = record_bind(42, "web", 80, 0);
	struct seen *seen;

	bind.error = 98;
	feed(room, &blocker, 0);
	seen = feed(room, &beat, 1);
	assert_int_equal(seen->action, EVENT_HEARTBEAT);
	assert_int_equal(seen->heartbeat.seen, 12);
	assert_int_equal(seen->heartbeat.lost, 4);
	assert_int_equal(seen->wall_time, RECORDS_WALL + 30000000000);
	assert_int_equal(totals_of(room).received, 0);
	assert_int_equal(feed(room, &bind, 1)->blocker_total, 1);
	assert_int_equal(totals_of(room).lost, 0);
	refuse(room, &beat, sizeof(beat) - 8, "size");
	beat.header.size -= 8;
	refuse(room, &beat, sizeof(beat) - 8, "too short");
}

static void clock_steps(void **state)
{
	struct room *room = *state;
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct wire_clock step = {
		.header = {.type = WIRE_CLOCK, .size = sizeof(step), .time = RECORDS_TIME + 500},
		.wall_offset = RECORDS_WALL,
	};

	bind.header.time = RECORDS_TIME + 100;
	assert_int_equal(feed(room, &bind, 1)->wall_time, RECORDS_WALL + 100);
	feed(room, &step, 0);
	/* was made before the step, and read behind it */
	bind.header.time = RECORDS_TIME + 499;
	assert_int_equal(feed(room, &bind, 1)->wall_time, RECORDS_WALL + 499);
	bind.header.time = RECORDS_TIME + 500;
	assert_int_equal(feed(room, &bind, 1)->wall_time,
			 RECORDS_WALL + (int64_t)RECORDS_TIME + 500);
	assert_int_equal(decoder_stream(room->decoder)->wall_offset, RECORDS_WALL);
	/* no overflow that C would not define */
	step.wall_offset = INT64_MAX;
	step.header.time = 0;
	feed(room, &step, 0);
	bind.header.time = UINT64_MAX;
	feed(room, &bind, 1);
}

static void unknown_types(void **state)
{
	struct room *room = *state;
	struct {
		struct wire_header header;
		uint64_t more;
	} record = {.header = {.type = 9,
			       .size = sizeof(record),
			       .lost = 3,
			       .cpu_sequence = record_number(1, 4)}};

	/* of the kernel: what its header says counts */
	assert_int_equal(feed(room, &record, 1)->gap.count, 3);
	assert_int_equal(totals_of(room).skipped, 1);
	assert_int_equal(totals_of(room).received, 1);
	record.header.type = 63;
	record.header.cpu_sequence = record_number(1, 5);
	feed(room, &record, 0);
	/* of user space, where it says nothing */
	record.header.type = 70;
	record.header.lost = 9;
	feed(room, &record, 0);
	record.header.type = UINT16_MAX;
	record.header.size = sizeof(record.header);
	feed(room, &record, 0);
	assert_int_equal(totals_of(room).skipped, 4);
	assert_int_equal(totals_of(room).received, 2);
	assert_int_equal(totals_of(room).lost, 3);
	assert_int_equal(totals_of(room).missing, 0);
}

/* A stream of a newer portsnoop: longer records, triggers that we do not know. */
static void newer_version(void **state)
{
	struct room *room = *state;
	struct wire_stream_start start = record_start();
	struct {
		struct wire_event event;
		uint64_t more;
	} record = {.event = record_bind(42, "web", 80, 80)};

	start.version = WIRE_VERSION + 1;
	feed(room, &start, 1);
	record.event.header.size = sizeof(record);
	assert_int_equal(feed(room, &record, 1)->action, EVENT_BOUND);
	record.event.trigger = WIRE_SUBFLOW + 1;
	feed(room, &record, 0);
	assert_int_equal(totals_of(room).skipped, 1);
	assert_int_equal(totals_of(room).received, 2);
	record.event.trigger = WIRE_BIND;
	record.event.header.size = sizeof(record.event) - 8;
	refuse(room, &record, sizeof(record.event) - 8, "too short");
}

static void must_start(void **state)
{
	struct room *room = *state;
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct wire_stream_start start = record_start(), bad;

	refuse(room, &bind, sizeof(bind), "does not start with");
	bad = start;
	bad.version = 0;
	refuse(room, &bad, sizeof(bad), "no version");
	bad = start;
	bad.cpus = 0;
	refuse(room, &bad, sizeof(bad), "number of CPUs");
	bad.cpus = 65537;
	refuse(room, &bad, sizeof(bad), "number of CPUs");
	bad = start;
	memset(bad.host, 'a', sizeof(bad.host));
	refuse(room, &bad, sizeof(bad), "has no end");
	bad = start;
	memset(bad.kernel, 'a', sizeof(bad.kernel));
	refuse(room, &bad, sizeof(bad), "has no end");
	bad = start;
	memset(bad.boot_id, 'a', sizeof(bad.boot_id));
	refuse(room, &bad, sizeof(bad), "has no end");
	bad = start;
	memset(bad.program, 'a', sizeof(bad.program));
	refuse(room, &bad, sizeof(bad), "has no end");
	bad = start;
	bad.header.size += 8;
	refuse(room, &bad, sizeof(bad), "not that of its header");

	feed(room, &start, 1);
	refuse(room, &start, sizeof(start), "starts twice");
}

static void malformed(void **state)
{
	struct room *room = *state;
	struct wire_event event = record_bind(42, "web", 80, 80), bad;
	struct wire_process process = record_process(42, "web", "/bin/web", "web", "/a"), wrong;
	struct wire_blocker blocker = record_blocker(7, "web", 10, 80), hindered;
	struct wire_user user = {.header = {.type = WIRE_USER, .size = sizeof(user)}};
	struct wire_header header = {.type = WIRE_CALL, .size = sizeof(header)};
	uint64_t longer[sizeof(event) / 8 + 1];

	refuse(room, &header, 0, "impossible");
	refuse(room, &header, 8, "impossible");
	refuse(room, &header, 23, "impossible");
	refuse(room, &header, sizeof(header), "too short");
	header.size = 16;
	refuse(room, &header, sizeof(header), "not that of its header");
	header.size = sizeof(header);
	header.type = 0;
	refuse(room, &header, sizeof(header), "no type");
	memcpy(longer, &event, sizeof(event));
	longer[sizeof(event) / 8] = 0;
	((struct wire_header *)longer)->size = sizeof(longer);
	refuse(room, longer, sizeof(longer), "too long");

#define SPOIL(what, change, why)                                                                   \
	do {                                                                                       \
		bad = event;                                                                       \
		wrong = process;                                                                   \
		hindered = blocker;                                                                \
		change;                                                                            \
		refuse(room, &what, sizeof(what), why);                                            \
	} while (0)
	SPOIL(bad, bad.family = 0, "neither 4 nor 6");
	SPOIL(bad, bad.family = 10, "neither 4 nor 6");
	SPOIL(bad, bad.trigger = 0, "no trigger");
	SPOIL(bad, bad.trigger = WIRE_SUBFLOW + 1, "trigger is unknown");
	SPOIL(bad, (bad.trigger = 200, bad.header.type = WIRE_RELEASE), "trigger is unknown");
	SPOIL(bad, bad.origin = 3, "origin");
	event = record_seed(42, "web", 4097, 10, 80);
	SPOIL(bad, bad.family = 5, "neither 4 nor 6");
	SPOIL(bad, bad.state = 0, "state is unknown");
	SPOIL(bad, bad.state = 13, "state is unknown");
	SPOIL(bad, bad.local_port = 0, "has none");
	SPOIL(bad, bad.origin = 3, "origin");
	SPOIL(bad, bad.trigger = WIRE_SUBFLOW + 1, "trigger is unknown");
	SPOIL(bad, memset(bad.comm, 'a', WIRE_COMM), "no end");
	SPOIL(bad, bad.header.cpu_sequence = record_number(4, 1), "CPU that the stream");
	event = record_bind(42, "web", 80, 80);
	SPOIL(bad, bad.error = 4096, "error number");
	SPOIL(bad, memset(bad.comm, 'a', WIRE_COMM), "no end");
	SPOIL(bad, bad.header.cpu_sequence = record_number(4, 1), "CPU that the stream");
	SPOIL(wrong, wrong.exe_length = WIRE_EXE + 1, "executable");
	SPOIL(wrong, wrong.exe_length--, "executable");
	SPOIL(wrong, wrong.args_length = WIRE_ARGS + 1, "arguments");
	SPOIL(wrong, wrong.args_length = UINT16_MAX, "arguments");
	SPOIL(wrong, wrong.args_length--, "arguments");
	SPOIL(wrong, wrong.path_length = WIRE_CGROUP + 1, "cgroup");
	SPOIL(wrong, wrong.path_length--, "cgroup");
	SPOIL(wrong, memset(wrong.comm, 'a', WIRE_COMM), "name has no end");
	SPOIL(wrong, memset(wrong.parent_comm, 'a', WIRE_COMM), "name has no end");
	SPOIL(hindered, hindered.family = 0, "neither 4 nor 6");
	SPOIL(hindered, hindered.state = 0, "state is unknown");
	SPOIL(hindered, hindered.state = 13, "state is unknown");
	SPOIL(hindered, hindered.local_port = 0, "has none");
	SPOIL(hindered, memset(hindered.comm, 'a', WIRE_COMM), "name has no end");
	blocker.header.size = sizeof(blocker) - 8;
	refuse(room, &blocker, sizeof(blocker) - 8, "too short");
	memset(user.name, 'a', sizeof(user.name));
	refuse(room, &user, sizeof(user), "name has no end");

	assert_int_equal(room->observations, 0);
	assert_int_equal(feed(room, &event, 1)->blocker_total, 0);
	assert_int_equal(decoder_received(room->decoder), 1);
}

static void handler_stops(void **state)
{
	struct room *room = *state;
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct wire_stream_end end = record_end(10, 5);

	room->answer = -EPIPE;
	assert_int_equal(decoder_record(room->decoder, &bind, sizeof(bind), &room->why), -EPIPE);
	assert_int_equal(room->count, 1);
	bind.header.lost = 1;
	assert_int_equal(decoder_record(room->decoder, &bind, sizeof(bind), &room->why), -EPIPE);
	assert_int_equal(room->count, 2);
	assert_int_equal(decoder_record(room->decoder, &end, sizeof(end), &room->why), -EPIPE);
	assert_int_equal(room->count, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(actions, started),
		TEST(who_it_was, started),
		TEST(gaps, started),
		TEST(gap_across_the_wrap, started),
		TEST(counter_that_lags, started),
		TEST(numbers, started),
		TEST(numbers_add_up, started),
		TEST(gap_at_the_end, started),
		TEST(no_gap_at_the_end, started),
		TEST(heartbeats, started),
		TEST(clock_steps, started),
		TEST(unknown_types, started),
		TEST(newer_version, empty),
		TEST(must_start, empty),
		TEST(malformed, started),
		TEST(handler_stops, started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
