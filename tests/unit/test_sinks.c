/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "lib/signals.h"
#include "records.h"
#include "sample.h"
#include "sink/sinks.h"
#include "sink_fake.h"

static char text[] = "file:/x", names[FAKES][16] = {"file:/one", "tcp:two:2", "file:/..,\n"};
static struct sink_spec specs[FAKES];
static struct sink_list list;
static struct sinks *sinks;
static struct stream stream;
static uint64_t next;

/* ---- a format that counts ---- */

struct format {
	struct format_options options;
};

static struct format opened[FAKES];
static unsigned int opens, closes, renders;
static size_t long_from, long_to; /* events that are too long */

static struct format *counted_open(const struct format_options *options)
{
	opened[opens % FAKES].options = *options;
	return &opened[opens++ % FAKES];
}

static void counted_event(struct format *format, const struct event *event, struct buffer *out)
{
	(void)format;
	renders++;
	buffer_printf(out, "%u %llu", event->action, (unsigned long long)event->sequence);
	if (event->gap && event->gap->sink)
		buffer_printf(out, " %llu %s", (unsigned long long)event->gap->count,
			      event->gap->sink);
	while (event->sequence >= long_from && event->sequence <= long_to &&
	       event->action == EVENT_HEARTBEAT && out->length <= FRAME_MOST)
		buffer_byte(out, 'x');
	while (out->length < 1500)
		buffer_byte(out, ' ');
	buffer_byte(out, '\n');
}

static void counted_close(struct format *format)
{
	(void)format;
	closes++;
}

static const struct format_ops counted = {
	.name = "counted",
	.open = counted_open,
	.event = counted_event,
	.close = counted_close,
};

/* ---- the room ---- */

static int room_make(void **state)
{
	for (unsigned int i = 0; i < FAKES; i++)
		specs[i] = (struct sink_spec){
			.kind = i == 1 ? SINK_TCP : SINK_FILE,
			.text = text,
			.name = names[i],
			.host = i == 1 ? names[i] : NULL,
			.args = true,
			.format = &counted,
			.spool = SPOOL_MOST,
			.keep = i,
		};
	list = (struct sink_list){.specs = specs, .count = 1};
	sinks = NULL;
	stream = (struct stream){.start = record_start(), .wall_offset = 1000};
	stream.start.id = 11;
	next = opens = closes = renders = 0;
	long_from = 1;
	long_to = 0;
	return fake_make(state);
}

static int room_remove(void **state)
{
	char command[128];

	sinks_free(sinks);
	for (unsigned int i = 0; i < FAKES; i++)
		if (fake[i].pid && !fake[i].freed)
			kill(fake[i].pid, SIGKILL);
	fake_remove(state);
	snprintf(command, sizeof(command), "rm -rf '%s'/spool", sample_folder);
	/* NOLINTNEXTLINE(cert-env33-c): the folder is ours */
	return system(command) ? -1 : 0;
}

static struct sinks_options options_make(void)
{
	return (struct sinks_options){.list = &list, .ops = &fake_ops};
}

static void begin_with(const struct sinks_options *options)
{
	char why[256] = "";

	if (sinks_open(options, &sinks, why, sizeof(why)))
		fail_msg("%s", why);
}

static void begin(unsigned int count)
{
	struct sinks_options options = options_make();

	list.count = count;
	begin_with(&options);
}

static void event_put(void)
{
	struct wire_heartbeat heartbeat = {0};
	const struct event event = {
		.action = EVENT_HEARTBEAT,
		.outcome = EVENT_UNKNOWN,
		.sequence = ++next,
		.wall_time = (int64_t)next * 10 + 1000,
		.stream = &stream,
		.heartbeat = &heartbeat,
	};

	sinks_event(sinks, &event);
}

static void put(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		event_put();
		if (i % 20 == 19)
			sinks_flush(sinks);
	}
	sinks_flush(sinks);
}

static struct sink_report report(unsigned int index)
{
	struct sink_report reports[FAKES];

	assert_true(sinks_report(sinks, reports, FAKES) > index);
	return reports[index];
}

static uint64_t accounted(unsigned int index)
{
	const struct sink_report one = report(index);

	return one.state.delivered + one.state.refused + one.state.lost + one.state.spooled +
	       one.waiting - one.state.found;
}

static void balanced(unsigned int index)
{
	AWAIT(accounted(index) == report(index).put);
}

/* Each event either arrived or is in a gap, in order. Returns how many gaps there are. */
static unsigned int whole(const struct fake *one)
{
	uint64_t expected = 1;
	unsigned int gaps = 0;

	for (uint64_t i = 0; i < one->count; i++) {
		const struct frame *frame = &one->arrived[i];

		assert_int_equal(frame->stream, 11);
		assert_int_equal(frame->sequence, expected);
		assert_int_equal(frame->time, expected * 10 + 1000);
		expected += frame->dropped ? frame->dropped : 1;
		gaps += frame->dropped > 0;
	}
	assert_int_equal(expected, next + 1);
	return gaps;
}

/* ---- tests ---- */

static void test_all_arrive(void **state)
{
	(void)state;
	begin(3);
	assert_int_equal(sinks_alive(sinks), 3);
	put(1000);
	assert_int_equal(sinks_end(sinks, 20000), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(whole(&fake[i]), 0);
		assert_int_equal(report(i).put, 1000);
		assert_int_equal(report(i).state.delivered, 1000);
		assert_false(report(i).alive);
		assert_int_equal(fake[i].freed, 1);
	}
	assert_string_equal(report(1).name, "tcp:two:2");
	assert_int_equal(renders, 1000); /* once for all */
	assert_int_equal(sinks_alive(sinks), 0);
}

/* For each way to write it once. */
static void test_groups(void **state)
{
	(void)state;
	specs[1].args = false;
	begin(3);
	put(10);
	assert_int_equal(opens, 2);
	assert_false(opened[0].options.no_args);
	assert_true(opened[1].options.no_args);
	assert_int_equal(opened[0].options.line_most, 16384);
	assert_int_equal(renders, 20);
	assert_int_equal(sinks_end(sinks, 20000), 0);
	sinks_free(sinks);
	sinks = NULL;
	assert_int_equal(closes, 2);
}

static void test_usual_format(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		specs[i].format = NULL;
	list.format = &counted;
	specs[1].format = &format_json;
	specs[2].kind = SINK_CLICKHOUSE;
	begin(3);
	assert_int_equal(opens, 1);
	list.format = NULL;
}

/* ---- no room ---- */

static void test_drops(void **state)
{
	char wanted[64];
	uint64_t first, dropped;

	(void)state;
	fake->stalls = true;
	begin(1);
	while (!report(0).dropped)
		put(20);
	first = report(0).put + 1;
	put(2000);
	dropped = report(0).dropped;
	assert_int_equal(report(0).put + dropped, next);
	assert_int_equal(report(0).waiting, report(0).put);
	fake->stalls = false;
	AWAIT(report(0).waiting == 0);
	put(10);
	AWAIT(report(0).waiting == 0);
	assert_int_equal(whole(fake), 1);
	assert_int_equal(report(0).dropped, dropped);
	snprintf(wanted, sizeof(wanted), "%u %llu %llu file:/one ", EVENT_LOST,
		 (unsigned long long)first, (unsigned long long)dropped);
	assert_memory_equal(fake->gap, wanted, strlen(wanted));
	balanced(0);
	assert_int_equal(sinks_end(sinks, 20000), -EIO);
	assert_int_equal(report(0).put, report(0).state.delivered);
}

/* Nothing comes behind it, and it is told all the same. */
static void test_drops_at_end(void **state)
{
	(void)state;
	fake->stalls = true;
	begin(1);
	while (!report(0).dropped)
		put(20);
	fake->stalls = false;
	assert_int_equal(sinks_end(sinks, 20000), -EIO);
	assert_int_equal(whole(fake), 1);
}

static void test_drops_in_a_stream_before(void **state)
{
	struct stream before;

	(void)state;
	long_from = long_to = 5;
	begin(1);
	put(5);
	before = stream;
	stream.start.id = 12;
	put(1);
	stream = before;
	AWAIT(report(0).state.delivered == 6);
	assert_int_equal(fake->arrived[4].stream, 11);
	assert_int_equal(fake->arrived[4].dropped, 1);
	assert_int_equal(fake->arrived[5].stream, 12);
}

static void test_too_long(void **state)
{
	(void)state;
	long_from = 100;
	long_to = 102;
	begin(1);
	put(200);
	assert_int_equal(sinks_end(sinks, 20000), -EIO);
	assert_int_equal(report(0).dropped, 3);
	assert_int_equal(whole(fake), 3);
}

static void test_gap_in_ecs(void **state)
{
	(void)state;
	specs[0].format = &format_json;
	fake->stalls = true;
	begin(1);
	while (!report(0).dropped)
		put(20);
	fake->stalls = false;
	sinks_end(sinks, 20000);
	assert_int_equal(whole(fake), 1);
	assert_non_null(strstr(fake->gap, "\"action\":\"lost-events\""));
	assert_non_null(strstr(fake->gap, "\"sink\":\"file:/one\""));
	assert_non_null(strstr(fake->gap, "no room for the sink file:/one"));
}

static void test_waits(void **state)
{
	struct sinks_options options = options_make();

	(void)state;
	options.wait = true;
	fake->most = 100;
	fake->slow = true;
	begin_with(&options);
	put(20000); /* several times what the channel takes */
	assert_int_equal(sinks_end(sinks, 20000), 0);
	assert_int_equal(fake->count, 20000);
	assert_int_equal(whole(fake), 0);
}

/* A slow one does not stall the others. */
static void test_slow_one(void **state)
{
	(void)state;
	fake[1].hangs = true;
	begin(3);
	for (unsigned int i = 0; i < 100; i++) {
		put(200);
		AWAIT(report(0).waiting == 0 && report(2).waiting == 0);
	}
	assert_int_equal(whole(&fake[0]), 0);
	assert_int_equal(whole(&fake[2]), 0);
	assert_int_equal(fake[1].count, 0);
	assert_true(report(1).dropped > 0);
	assert_int_equal(report(1).put + report(1).dropped, 20000);
	assert_int_equal(sinks_end(sinks, 500), -EIO);
	assert_int_equal(report(1).state.lost, report(1).put);
	balanced(1);
}

/* ---- couriers that end ---- */

static void test_courier_killed(void **state)
{
	struct pollfd one = {.events = POLLIN};
	uint64_t before;

	(void)state;
	fake[1].lags = true;
	fake[1].stalls = true;
	begin(3);
	one.fd = sinks_fd(sinks);
	put(100);
	assert_int_equal(poll(&one, 1, 0), 0);
	kill(fake[1].pid, SIGKILL);
	assert_int_equal(poll(&one, 1, 30000), 1);
	sinks_check(sinks);
	assert_int_equal(poll(&one, 1, 0), 0);
	sinks_check(sinks);
	assert_int_equal(sinks_alive(sinks), 2);
	assert_false(report(1).alive);
	assert_int_equal(report(1).state.lost, 100);
	assert_int_equal(report(1).waiting, 0);
	balanced(1);
	before = report(1).put;
	put(50);
	assert_int_equal(report(1).put, before);
	assert_int_equal(report(1).dropped, 50);
	balanced(1);
	assert_int_equal(sinks_end(sinks, 20000), -EIO);
	assert_int_equal(whole(&fake[0]), 0);
	assert_int_equal(whole(&fake[2]), 0);
}

static void test_gone(void **state)
{
	struct pollfd one = {.events = POLLIN};

	(void)state;
	fake->gone = true;
	begin(1);
	one.fd = sinks_fd(sinks);
	assert_int_equal(poll(&one, 1, 30000), 1);
	sinks_check(sinks);
	assert_int_equal(sinks_alive(sinks), 0);
	put(5);
	assert_int_equal(report(0).dropped, 5);
	assert_int_equal(sinks_end(sinks, 0), -EIO);
}

/* A reader of standard output that has seen enough is no failure. */
static void test_gone_reader(void **state)
{
	(void)state;
	specs[0].kind = SINK_STDOUT;
	begin(1);
	put(5);
	AWAIT(report(0).state.delivered == 5);
	fake->gone = true;
	put(5);
	while (sinks_alive(sinks))
		sinks_check(sinks);
	put(5);
	assert_true(report(0).state.gone);
	assert_int_equal(sinks_end(sinks, 0), 0);
}

/* Who never comes back is not waited for for ever. */
static void test_stuck(void **state)
{
	(void)state;
	fake->stuck = true;
	begin(2);
	put(10);
	AWAIT(fake->sent == 1);
	assert_int_equal(sinks_end(sinks, 300), -EIO);
	assert_false(report(0).alive);
	assert_int_equal(report(0).state.lost, 10);
	assert_int_equal(report(1).state.delivered, 10);
	assert_int_equal(fake->freed, 0);
}

static void test_prepare_fails(void **state)
{
	struct sinks_options options = options_make();
	char why[256] = "";

	(void)state;
	fake[2].prepare = -ENOENT;
	list.count = 3;
	assert_int_equal(sinks_open(&options, &sinks, why, sizeof(why)), -ENOENT);
	assert_string_equal(why, "sink file:/..,\n: not prepared");
	assert_null(sinks);
	assert_int_equal(fake[0].freed, 1);
	assert_int_equal(fake[1].freed, 1);
}

static void test_reopen(void **state)
{
	(void)state;
	begin(2);
	AWAIT(fake[0].opened && fake[1].opened);
	sinks_reopen(sinks);
	AWAIT(fake[0].reopened == 1 && fake[1].reopened == 1);
	assert_int_equal(sinks_end(sinks, 20000), 0);
}

/* ---- spools ---- */

static void test_spools(void **state)
{
	struct sinks_options options = options_make();
	char folder[128], path[256];

	(void)state;
	snprintf(folder, sizeof(folder), "%s/spool", sample_folder);
	options.spool = folder;
	list.count = 3;
	fake[0].away = fake[2].away = true;
	begin_with(&options);
	put(100);
	AWAIT(report(0).state.failures && report(2).state.failures);
	assert_int_equal(sinks_end(sinks, 20000), 0); /* kept is not lost */
	assert_int_equal(report(0).state.spooled, 100);
	assert_int_equal(report(1).state.spooled, 0);
	assert_int_equal(report(2).state.spooled, 100);
	snprintf(path, sizeof(path), "%s/file%%3A%%2Fone", folder);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/file%%3A%%2F..%%2C%%0A", folder);
	assert_int_equal(access(path, F_OK), 0);

	sinks_free(sinks);
	fake[0].away = fake[2].away = false;
	begin_with(&options);
	assert_int_equal(report(0).state.found, 100);
	put(100);
	assert_int_equal(sinks_end(sinks, 20000), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(whole(&fake[i]), 0);
		assert_int_equal(fake[i].count, 200);
		balanced(i);
	}
}

/* ---- for people ---- */

static int words(void *context)
{
	struct sinks_options options = options_make();
	char folder[128];

	(void)context;
	snprintf(folder, sizeof(folder), "%s/spool", sample_folder);
	options.spool = folder;
	list.count = 3;
	fake[1].away = true;
	fake[2].bad = 10;
	fake[0].lags = true;
	begin_with(&options);
	put(1);
	AWAIT(report(1).state.since && report(0).waiting == 0);
	put(9);
	AWAIT(report(2).state.refused == 1 && report(0).state.delivered == 10);
	kill(fake[0].pid, SIGSTOP);
	put(10);
	AWAIT(report(2).state.refused == 2);
	kill(fake[0].pid, SIGKILL);
	while (sinks_alive(sinks) == 3)
		sinks_check(sinks);
	put(1);
	fake[1].away = false;
	AWAIT(!report(1).state.since);
	put(1);
	AWAIT(report(2).waiting == 0 && report(1).waiting == 0);
	return sinks_end(sinks, 20000) != -EIO;
}

static void test_words(void **state)
{
	static const char *const wanted[] = {
		"portsnoop: sink tcp:two:2: nobody is there; events wait until it is there\n",
		"portsnoop: sink tcp:two:2: it is there again\n",
		"portsnoop: sink tcp:two:2: 22 events delivered\n",
		"portsnoop: sink file:/one: its courier was killed by signal 9: 10 events lost, "
		"and it gets no more\n",
		"portsnoop: sink file:/one: 10 events delivered, 2 dropped, 10 lost\n",
		"portsnoop: sink file:/..,\\x0a: 20 events delivered, 2 refused: a bad one\n",
	};
	struct child_result *result = calloc(1, sizeof(*result));

	(void)state;
	assert_non_null(result);
	*result = child_run(words, NULL, -1);
	for (unsigned int i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (!strstr(result->err, wanted[i]))
			fail_msg("%s is missing in\n%s", wanted[i], result->err);
	assert_int_equal(result->status, 0);
	free(result);
}

/* Whoever waits for it has lost patience: it is killed, and what it had is lost, not waiting. */
static void test_given_up(void **state)
{
	(void)state;
	fake->stuck = true;
	begin(1);
	put(100);
	AWAIT(fake->sent);
	assert_true(signals_open(SIGNALS_PLAIN) >= 0);
	raise(SIGTERM);
	raise(SIGTERM);
	assert_true(signals_give_up());
	assert_int_equal(sinks_end(sinks, 20000), -EIO);
	assert_false(report(0).alive);
	assert_int_equal(report(0).state.lost, 100);
	assert_int_equal(report(0).waiting, 0);
	balanced(0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, room_make, room_remove)
	const struct CMUnitTest tests[] = {
		TEST(test_all_arrive),	   TEST(test_groups),
		TEST(test_usual_format),   TEST(test_drops),
		TEST(test_drops_at_end),   TEST(test_drops_in_a_stream_before),
		TEST(test_too_long),	   TEST(test_gap_in_ecs),
		TEST(test_waits),	   TEST(test_slow_one),
		TEST(test_courier_killed), TEST(test_gone),
		TEST(test_gone_reader),	   TEST(test_stuck),
		TEST(test_prepare_fails),  TEST(test_reopen),
		TEST(test_spools),	   TEST(test_words),
		TEST(test_given_up), /* the last one: that stays so */
	};

	return cmocka_run_group_tests(tests, sample_folder_make, sample_folder_remove);
}
