/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "model/blocked.h"
#include "records.h"
#include "stream/view.h"

/* A format that tells what the view does with it: one letter an event. */
static struct format_options seen_options;
static char letters[512];
static bool fail_next;

/* What the view said of the newest event beyond its record: copies, because that
 * lives no longer than the call. */
static struct {
	struct blocked blocked;
	struct lease_process holder;
	uint64_t lingered, evicted;
	bool has_blocked, has_holder, has_ledger;
} explained;

static void spy_explained(const struct event *event)
{
	memset(&explained, 0, sizeof(explained));
	explained.has_blocked = event->blocked;
	explained.has_holder = event->holder;
	explained.has_ledger = event->ledger;
	explained.lingered = event->lingered;
	if (event->blocked)
		explained.blocked = *event->blocked;
	if (event->holder)
		explained.holder = *event->holder;
	if (event->ledger)
		explained.evicted = event->ledger->evicted;
}

static struct format *spy_open(const struct format_options *options)
{
	seen_options = *options;
	letters[0] = '\0';
	return fail_next ? NULL : (struct format *)letters;
}

static void spy_begin(struct format *format, struct buffer *out)
{
	strcat((char *)format, "(");
	buffer_text(out, "heading\n");
}

static void spy_event(struct format *format, const struct event *event, struct buffer *out)
{
	strncat((char *)format, &"bcaaefrLSE"[event->action], 1);
	buffer_printf(out, "%s\n", event_action_name(event->action));
	spy_explained(event);
}

static void spy_close(struct format *format)
{
	strcat((char *)format, ")");
}

static const struct format_ops spy = {
	.name = "spy",
	.help = "",
	.open = spy_open,
	.begin = spy_begin,
	.event = spy_event,
	.close = spy_close,
};

struct chain {
	struct view_options options;
	struct output output;
	struct view *view;
	uint64_t number; /* of the newest record of CPU 0 */
	uint32_t lost;
	const char *why;
};

static void chain_open(struct chain *chain)
{
	chain->options.format = &spy;
	chain->view = view_new(&chain->options, &chain->output);
	assert_non_null(chain->view);
}

static void chain_close(struct chain *chain)
{
	view_free(chain->view);
	view_options_free(&chain->options);
	output_free(&chain->output);
}

static int chain_start(struct chain *chain)
{
	struct wire_stream_start start = record_start();

	return view_record(chain->view, &start, sizeof(start), &chain->why);
}

static int chain_event(struct chain *chain, struct wire_event event)
{
	event.header.cpu_sequence = record_number(0, ++chain->number + chain->lost);
	event.header.lost = chain->lost;
	return view_record(chain->view, &event, sizeof(event), &chain->why);
}

static int chain_bind(struct chain *chain, uint16_t port)
{
	return chain_event(chain, record_bind(4242, "python3", port, port));
}

/* Bind that fails, with the port in the way of 4242's newest one. */
static int chain_fail(struct chain *chain, uint16_t port)
{
	struct wire_event event = record_bind(99, "late", port, 0);

	event.socket = 99;
	event.error = EADDRINUSE;
	return chain_event(chain, event);
}

static int chain_process(struct chain *chain)
{
	struct wire_process process = record_process(4242, "python3", "/usr/bin/python3", "python3",
						     "/system.slice/app.service");

	process.header.cpu_sequence = record_number(0, ++chain->number + chain->lost);
	process.header.lost = chain->lost;
	return view_record(chain->view, &process, sizeof(process), &chain->why);
}

static int chain_end(struct chain *chain, uint64_t seen, uint64_t lost)
{
	struct wire_stream_end end = record_end(seen, lost);

	return view_record(chain->view, &end, sizeof(end), &chain->why);
}

static void totals_are(const struct chain *chain, const char *line)
{
	struct buffer text = BUFFER_EMPTY;
	struct totals totals;

	view_totals(chain->view, &totals);
	totals_text(&totals, &text);
	buffer_byte(&text, '\0');
	assert_string_equal(text.data, line);
	buffer_free(&text);
}

static void test_chain(void **state)
{
	struct chain chain = {.output = OUTPUT_TO(-1)};
	const char *expected;

	(void)state;
	assert_int_equal(filter_set_ports("80,81", &chain.options.filter.ports, &expected), 0);
	chain_open(&chain);
	assert_null(pipeline_stream(view_pipeline(chain.view)));
	assert_int_equal(chain.output.pending.length, 0); /* no stream, no heading */
	assert_int_equal(chain_start(&chain), 0);
	assert_non_null(pipeline_stream(view_pipeline(chain.view)));
	assert_int_equal(chain_process(&chain), 0);
	assert_int_equal(chain_bind(&chain, 80), 0);
	assert_int_equal(chain_bind(&chain, 22), 0);
	assert_int_equal(chain_process(&chain), 0);
	totals_are(&chain, "2 seen = 1 delivered + 1 filtered + 0 lost");
	chain.lost = 3;
	assert_int_equal(chain_bind(&chain, 81), 0);
	totals_are(&chain, "6 seen = 2 delivered + 1 filtered + 3 lost");
	assert_int_equal(chain_end(&chain, 8, 3), 0);
	assert_string_equal(letters, "(SbLbE");
	totals_are(&chain, "6 seen = 2 delivered + 1 filtered + 3 lost");
	chain_close(&chain);
	assert_string_equal(letters, "(SbLbE)");
}

/* Lost behind the last record: only the end tells. */
static void test_lost_at_the_end(void **state)
{
	struct chain chain = {.output = OUTPUT_TO(-1)};

	(void)state;
	chain_open(&chain);
	assert_int_equal(chain_start(&chain), 0);
	assert_int_equal(chain_bind(&chain, 80), 0);
	totals_are(&chain, "1 seen = 1 delivered + 0 filtered + 0 lost");
	assert_int_equal(chain_end(&chain, 6, 5), 0);
	totals_are(&chain, "6 seen = 1 delivered + 0 filtered + 5 lost");
	assert_string_equal(letters, "(SbLE");
	chain_close(&chain);
}

static void test_releases_are_filtered(void **state)
{
	struct wire_event release = record_bind(4242, "python3", 80, 80);
	struct chain chain = {.output = OUTPUT_TO(-1)};

	(void)state;
	release.header.type = WIRE_RELEASE;
	chain_open(&chain);
	assert_int_equal(chain_start(&chain), 0);
	assert_int_equal(chain_event(&chain, release), 0);
	totals_are(&chain, "1 seen = 0 delivered + 1 filtered + 0 lost");
	chain.options.filter.release = true;
	assert_int_equal(chain_event(&chain, release), 0);
	totals_are(&chain, "2 seen = 1 delivered + 1 filtered + 0 lost");
	assert_string_equal(letters, "(Sr");
	chain_close(&chain);
}

/* What stood in the way is known, whatever the filter lets through. */
static void test_blocked(void **state)
{
	struct wire_blocker listed = record_blocker(77, "worker", 7, 80);
	struct chain chain = {.output = OUTPUT_TO(-1)};

	(void)state;
	chain.options.filter.failed = true;
	chain_open(&chain);
	assert_int_equal(chain_start(&chain), 0);
	assert_int_equal(chain_bind(&chain, 80), 0);
	assert_int_equal(chain_fail(&chain, 80), 0);
	assert_true(explained.has_blocked);
	assert_int_equal(explained.blocked.total, 1);
	assert_int_equal(explained.blocked.entries[0].process.key.pid, 4242);
	assert_int_equal(explained.blocked.entries[0].holder.key.pid, 0);
	totals_are(&chain, "2 seen = 1 delivered + 1 filtered + 0 lost");

	/* what the kernel listed goes with its call alone, and is no record of it */
	assert_int_equal(view_record(chain.view, &listed, sizeof(listed), &chain.why), 0);
	assert_int_equal(chain_fail(&chain, 80), 0);
	assert_int_equal(explained.blocked.entries[0].holder.key.pid, 77);
	assert_int_equal(chain_fail(&chain, 80), 0);
	assert_int_equal(explained.blocked.entries[0].holder.key.pid, 0);
	totals_are(&chain, "4 seen = 3 delivered + 1 filtered + 0 lost");

	/* a failure for another reason */
	chain.options.filter.failed = false;
	assert_int_equal(chain_bind(&chain, 81), 0);
	assert_false(explained.has_blocked);
	chain_close(&chain);
}

/* A listener's connections outlive it: who listened is remembered. */
static void test_former_listener(void **state)
{
	struct wire_event listen = record_event(WIRE_CALL, WIRE_LISTEN, 4242, "python3");
	struct wire_event release = record_bind(4242, "python3", 80, 80);
	struct wire_blocker listed = record_blocker(0, "", 6, 80);
	struct chain chain = {.output = OUTPUT_TO(-1)};

	(void)state;
	record_local4(&listen, "\0\0\0\0", 80);
	release.header.type = WIRE_RELEASE;
	listed.other_port = 5000;
	listed.expires = 60000;
	chain_open(&chain);
	assert_int_equal(chain_start(&chain), 0);
	assert_int_equal(chain_bind(&chain, 80), 0);
	assert_int_equal(chain_event(&chain, listen), 0);
	assert_int_equal(chain_event(&chain, release), 0);
	assert_int_equal(view_record(chain.view, &listed, sizeof(listed), &chain.why), 0);
	assert_int_equal(chain_fail(&chain, 80), 0);
	assert_int_equal(explained.blocked.total, 1);
	assert_int_equal(explained.blocked.entries[0].process.key.pid, 4242);
	assert_int_equal(explained.blocked.entries[0].role, BLOCKED_SHARE);
	chain_close(&chain);
}

static void test_no_ledger(void **state)
{
	struct chain chain = {.options = {.no_ledger = true}, .output = OUTPUT_TO(-1)};

	(void)state;
	chain_open(&chain);
	assert_int_equal(chain_start(&chain), 0);
	assert_int_equal(chain_bind(&chain, 80), 0);
	assert_int_equal(chain_fail(&chain, 80), 0);
	assert_true(explained.has_blocked);
	assert_string_equal(explained.blocked.reason, "no_ledger");
	assert_int_equal(chain_end(&chain, 2, 0), 0);
	assert_false(explained.has_ledger);
	chain_close(&chain);
}

/* How long a port lingered, and who had it if the claimant is not known. A seed is a
 * description: no event, and the totals stay exact. */
static void test_releases_are_explained(void **state)
{
	struct wire_event release = record_connect(WIRE_CALL, 4242, "python3");
	struct wire_event seed = record_seed(7, "cupsd", 5, 10, 631);
	struct chain chain = {.output = OUTPUT_TO(-1)};

	(void)state;
	chain.options.filter.release = true;
	chain_open(&chain);
	assert_int_equal(chain_start(&chain), 0);
	assert_int_equal(chain_event(&chain, seed), 0);
	totals_are(&chain, "0 seen = 0 delivered + 0 filtered + 0 lost");
	assert_int_equal(chain_event(&chain, release), 0);
	release.header.type = WIRE_RELEASE;
	release.flags = WIRE_HAS_OTHER | WIRE_TIME_WAIT;
	release.header.time += 1000;
	assert_int_equal(chain_event(&chain, release), 0);
	assert_int_equal(explained.lingered, 0);
	release.flags |= WIRE_TIME_WAIT_OVER;
	release.header.time += 60000;
	assert_int_equal(chain_event(&chain, release), 0);
	assert_int_equal(explained.lingered, 60000);
	assert_false(explained.has_holder);

	/* the seed's; and not the next one's */
	release = record_event(WIRE_RELEASE, 0, 0, "");
	release.socket = 5;
	release.start = release.exec = release.tid = release.uid = 0;
	release.flags = WIRE_NO_CLAIMANT;
	release.local_port = 631;
	assert_int_equal(chain_event(&chain, release), 0);
	assert_true(explained.has_holder);
	assert_int_equal(explained.lingered, 0);
	assert_string_equal(explained.holder.comm, "cupsd");
	release.socket = 6;
	assert_int_equal(chain_event(&chain, release), 0);
	assert_false(explained.has_holder);
	totals_are(&chain, "5 seen = 5 delivered + 0 filtered + 0 lost");
	assert_int_equal(chain_end(&chain, 6, 0), 0);
	totals_are(&chain, "5 seen = 5 delivered + 0 filtered + 0 lost");
	assert_true(explained.has_ledger);
	assert_int_equal(explained.evicted, 0);
	chain_close(&chain);
}

/* Bounded, and what it costs is said. */
static void test_evictions(void **state)
{
	struct wire_event bind = record_bind(4242, "python3", 80, 80);
	struct chain chain = {.output = OUTPUT_TO(-1)};
	struct totals totals;

	(void)state;
	chain.options.filter.failed = true;
	chain_open(&chain);
	assert_int_equal(chain_start(&chain), 0);
	for (unsigned int i = 0; i < PIPELINE_LEASES + 3; i++) {
		bind.socket = 1 + i;
		bind.local_port = (uint16_t)(1 + i % 65535);
		assert_int_equal(chain_event(&chain, bind), 0);
	}
	view_totals(chain.view, &totals);
	assert_int_equal(totals.evicted, 3);
	assert_int_equal(chain_end(&chain, PIPELINE_LEASES + 3, 0), 0);
	assert_int_equal(explained.evicted, 3);
	chain_close(&chain);
}

/* The stream's own events are not counted, and behind the last event only its end
 * is taken. */
static void test_count(void **state)
{
	struct chain chain = {.options = {.count = 2}, .output = OUTPUT_TO(-1)};
	const char *expected;

	(void)state;
	assert_int_equal(filter_set_ports("80", &chain.options.filter.ports, &expected), 0);
	chain_open(&chain);
	assert_int_equal(chain_start(&chain), 0);
	assert_int_equal(chain_bind(&chain, 80), 0);
	assert_int_equal(chain_bind(&chain, 22), 0);
	chain.lost = 1;
	assert_int_equal(chain_bind(&chain, 80), VIEW_DONE);
	assert_int_equal(chain_bind(&chain, 80), VIEW_DONE);
	assert_int_equal(view_record(chain.view, NULL, 0, &chain.why), VIEW_DONE);
	assert_string_equal(letters, "(SbLb");
	totals_are(&chain, "4 seen = 2 delivered + 1 filtered + 1 lost");
	assert_int_equal(chain_end(&chain, 5, 1), VIEW_DONE);
	assert_string_equal(letters, "(SbLbE");
	totals_are(&chain, "5 seen = 2 delivered + 1 filtered + 1 lost + 1 behind --count");
	chain_close(&chain);
}

static void test_damage(void **state)
{
	struct chain chain = {.output = OUTPUT_TO(-1)};

	(void)state;
	chain_open(&chain);
	assert_int_equal(chain_bind(&chain, 80), -EBADMSG);
	assert_non_null(chain.why);
	assert_string_equal(letters, "");
	chain_close(&chain);
}

static void test_no_memory(void **state)
{
	struct chain chain = {.options = {.format = &spy}, .output = OUTPUT_TO(-1)};

	(void)state;
	fail_next = true;
	assert_null(view_new(&chain.options, &chain.output));
	fail_next = false;
	view_free(NULL);
}

/* Written with the batch; before that only if much is pending. */
static void test_flush(void **state)
{
	struct chain chain = {0};
	int pipes[2], length, result = 0;
	char text[64] = "";

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(pipes), 0);
	chain.output = OUTPUT_TO(pipes[1]);
	chain_open(&chain);
	assert_int_equal(chain_start(&chain), 0);
	assert_int_equal(chain_bind(&chain, 80), 0);
	assert_int_equal(ioctl(pipes[0], FIONREAD, &length), 0);
	assert_int_equal(length, 0);
	assert_int_equal(view_flush(chain.view), 0);
	assert_int_equal(read(pipes[0], text, sizeof(text) - 1), 34);
	assert_string_equal(text, "heading\nstream-start\nbound-socket\n");
	close(pipes[0]);
	for (unsigned int i = 0; i < OUTPUT_FULL && !result; i++) {
		letters[0] = '\0';
		result = chain_bind(&chain, 80);
	}
	assert_int_equal(result, -EPIPE);
	assert_int_equal(view_flush(chain.view), -EPIPE);
	chain_close(&chain);
	close(pipes[1]);
}

#define PORT_KEY "\"local\":{\"ip\":\"0.0.0.0\",\"port\":"

/* With sinks the output gets nothing; the filter and --count hold for them. */
static void test_sinks(void **state)
{
	char path[] = "/tmp/portsnoop-view-XXXXXX", spec[64], why[256] = "", text[1 << 14] = "";
	struct chain chain = {.options = {.count = 2}, .output = OUTPUT_TO(-1)};
	struct sinks_options options = {0};
	struct sink_list list = {0};
	const char *expected = NULL;
	uint64_t port = 0;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	snprintf(spec, sizeof(spec), "file:%s", path);
	assert_int_equal(sink_list_set(spec, &list, &expected), 0);
	options.list = &list;
	if (sinks_open(&options, &chain.options.sinks, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(filter_set_ports("80-443", &chain.options.filter.ports, &expected), 0);
	chain_open(&chain);
	assert_int_equal(chain_start(&chain), 0);
	assert_int_equal(chain_bind(&chain, 80), 0);
	assert_int_equal(chain_bind(&chain, 8080), 0);
	assert_int_equal(chain_bind(&chain, 443), VIEW_DONE);
	assert_int_equal(chain_bind(&chain, 90), VIEW_DONE);
	assert_int_equal(view_flush(chain.view), 0);
	assert_int_equal(chain.output.pending.length, 0);
	assert_int_equal(chain_end(&chain, 5, 0), VIEW_DONE);
	assert_int_equal(sinks_end(chain.options.sinks, 60000), 0);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	for (const char *at = text; (at = strstr(at, PORT_KEY)); at++)
		port = port * 1000 + strtoul(at + strlen(PORT_KEY), NULL, 10);
	assert_int_equal(port, 80443);
	assert_non_null(strstr(text, "\"stream-start\""));
	assert_non_null(strstr(text, "\"stream-end\""));
	sinks_free(chain.options.sinks);
	chain_close(&chain);
	sink_list_free(&list);
	close(fd);
	unlink(path);
}

static void test_set_format(void **state)
{
	const struct format_ops *format = NULL;
	const char *expected = NULL;

	(void)state;
	assert_int_equal(view_set_format("json", &format, &expected), 0);
	assert_ptr_equal(format, &format_json);
	assert_int_equal(view_set_format("csv", &format, &expected), 0);
	assert_ptr_equal(format, &format_csv);
	assert_int_equal(view_set_format("table", &format, &expected), 0);
	assert_int_equal(view_set_format("xml", &format, &expected), -EINVAL);
	assert_int_equal(view_set_format("", &format, &expected), -EINVAL);
	assert_ptr_equal(format, &format_table);
	assert_string_equal(expected, "table, ecs (or json), otlp, ocsf or csv");
	assert_int_equal(view_set_format("ecs", &format, &expected), 0);
	assert_ptr_equal(format, &format_json);
	assert_int_equal(view_set_format("otlp", &format, &expected), 0);
	assert_ptr_equal(format, &format_otlp);
	assert_int_equal(view_set_format("ocsf", &format, &expected), 0);
	assert_ptr_equal(format, &format_ocsf);
	/* for sinks alone */
	assert_int_equal(view_set_format("otlp-record", &format, &expected), -EINVAL);
}

static void test_set_fields(void **state)
{
	struct view_options options = {0};
	struct field_choice *choice = &options.fields;
	struct output output = OUTPUT_TO(-1);
	const char *expected = NULL;

	(void)state;
	/* By path, by heading, in either case; the second list adds to the first. */
	assert_int_equal(view_set_fields("process.pid,COMM", choice, &expected), 0);
	assert_int_equal(view_set_fields("message", choice, &expected), 0);
	assert_int_equal(choice->count, 3);
	assert_string_equal(choice->fields[0]->path, "process.pid");
	assert_string_equal(choice->fields[1]->path, "process.name");
	assert_string_equal(choice->fields[2]->path, "message");
	options.format = &spy;
	options.width = 99;
	options.color = true;
	view_free(view_new(&options, &output));
	assert_ptr_equal(seen_options.fields, choice->fields);
	assert_int_equal(seen_options.field_count, 3);
	assert_int_equal(seen_options.width, 99);
	assert_true(seen_options.color);
	view_options_free(&options);
	assert_null(options.fields.fields);
}

static void test_set_unknown_field(void **state)
{
	static const char *const wrong[] = {"",	       "pid,,comm", "pid,",
					    "process", "pid,bogus", "pid "};
	struct view_options options = {0};
	const char *expected;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		expected = NULL;
		assert_int_equal(view_set_fields(wrong[i], &options.fields, &expected), -EINVAL);
		assert_non_null(expected);
	}
	assert_int_equal(view_set_fields("pid,bogus", &options.fields, &expected), -EINVAL);
	assert_non_null(strstr(expected, "('bogus' is none of them): @timestamp, message, "));
	for (unsigned int i = 0; i < field_count; i++) {
		assert_non_null(strstr(expected, field_table[i].path));
		if (field_table[i].column)
			assert_non_null(strstr(expected, field_table[i].column));
	}
	view_options_free(&options);
}

/* What the terminal is like, and what the environment says of it. */
static void settled_is(int fd, const char *columns, const char *no_color, const char *term,
		       unsigned int width, bool color)
{
	struct view_options options = {.width = 7, .color = true};

	setenv("COLUMNS", columns ? columns : "", 1);
	if (!columns)
		unsetenv("COLUMNS");
	setenv("NO_COLOR", no_color ? no_color : "", 1);
	if (!no_color)
		unsetenv("NO_COLOR");
	setenv("TERM", term ? term : "", 1);
	if (!term)
		unsetenv("TERM");
	view_options_settle(&options, fd);
	assert_ptr_equal(options.format, &format_table);
	assert_int_equal(options.width, width);
	assert_int_equal(options.color, color);
}

static void test_terminal(void **state)
{
	struct winsize size = {.ws_col = 123, .ws_row = 40};
	int ours, theirs, null = open("/dev/null", O_WRONLY);

	(void)state;
	settled_is(null, "100", NULL, "xterm", 0, false);
	assert_int_equal(openpty(&ours, &theirs, NULL, NULL, &size), 0);
	settled_is(theirs, NULL, NULL, "xterm", 123, true);
	settled_is(theirs, "100", NULL, "xterm", 100, true);
	settled_is(theirs, "100x", NULL, "xterm", 123, true);
	settled_is(theirs, "0", NULL, "xterm", 123, true);
	settled_is(theirs, "", NULL, "xterm", 123, true);
	settled_is(theirs, NULL, "1", "xterm", 123, false);
	settled_is(theirs, NULL, "", "xterm", 123, true); /* empty: as if it were not there */
	settled_is(theirs, NULL, NULL, "dumb", 123, false);
	settled_is(theirs, NULL, NULL, NULL, 123, false);
	size.ws_col = 0;
	assert_int_equal(ioctl(ours, TIOCSWINSZ, &size), 0);
	settled_is(theirs, NULL, NULL, "xterm", 80, true);
	close(ours);
	close(theirs);
	close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_lost_at_the_end),
		cmocka_unit_test(test_releases_are_filtered),
		cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_former_listener),
		cmocka_unit_test(test_no_ledger),
		cmocka_unit_test(test_releases_are_explained),
		cmocka_unit_test(test_evictions),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_sinks),
		cmocka_unit_test(test_set_format),
		cmocka_unit_test(test_set_fields),
		cmocka_unit_test(test_set_unknown_field),
		cmocka_unit_test(test_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
