/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/journal.h"
#include "lib/cleanup.h"
#include "scene.h"
#include "sink/channel.h"

static struct scene scene;

static void render(struct format_options options, struct buffer *out)
{
	struct format *format = format_journal.open(&options);

	assert_non_null(format);
	format_journal.begin(format, out);
	format_journal.event(format, &scene.event, out);
	format_journal.close(format);
	assert_false(out->failed);
}

/* Takes the record apart as journald does: the values of a field, each ended by "|". The
 * record has to be whole. */
static char *entries(const struct buffer *record, const char *name)
{
	static char found[8192];
	const char *at = record->data, *end = at + record->length;
	size_t length = 0;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		const char *equals = memchr(at, '=', (size_t)(end - at));
		const char *value, *key = at;
		size_t key_length, size;

		assert_non_null(stop);
		if (equals && equals < stop) {
			key_length = (size_t)(equals - at);
			value = equals + 1;
			size = (size_t)(stop - value);
		} else {
			uint64_t little = 0;

			key_length = (size_t)(stop - at);
			assert_true(end - stop > 8);
			for (unsigned int i = 8; i-- > 0;)
				little = little << 8 | (uint8_t)stop[1 + i];
			value = stop + 9;
			size = little;
			assert_true(size < (size_t)(end - value));
		}
		assert_int_equal(value[size], '\n');
		assert_in_range(key_length, 1, JOURNAL_NAME_MAX);
		if (strlen(name) == key_length && !memcmp(name, key, key_length)) {
			assert_true(length + size + 2 < sizeof(found));
			memcpy(found + length, value, size);
			length += size;
			found[length++] = '|';
		}
		at = value + size + 1;
	}
	found[length] = '\0';
	return found;
}

#define HAS(name, expected) assert_string_equal(entries(&out, name), expected)

static void hostile_scene(void)
{
	static const char args[] = "a\0b c\0\"\n\xff";
	struct wire_event bind = record_bind(7, "x\nMESSAGE=", 80, 0);

	bind.error = EADDRINUSE;
	scene_set(&scene, EVENT_BOUND, bind);
	scene.process = (struct process){.key = {.pid = 7},
					 .exe = "/tmp/\n\x1b[31m\xff",
					 .exe_length = 12,
					 .args = args,
					 .args_length = sizeof(args)};
	scene.event.process = &scene.process;
}

/* Upper case and digits, in the order of the table; no two alike, and none of journald's own. */
static void names_are_valid(void **state)
{
	static const char *const own[] = {"PRIORITY", "SYSLOG_IDENTIFIER", "SYSLOG_FACILITY",
					  "MESSAGE_ID"};
	char names[256][JOURNAL_NAME_MAX + 1];

	(void)state;
	for (unsigned int i = 0; i < field_count; i++) {
		assert_true(journal_name(&field_table[i], names[i]));
		assert_int_equal(strspn(names[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"),
				 strlen(names[i]));
		assert_true(names[i][0] >= 'A' && names[i][0] <= 'Z');
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(names[i], names[j]);
		for (unsigned int j = 0; j < sizeof(own) / sizeof(own[0]); j++)
			assert_string_not_equal(names[i], own[j]);
	}
	assert_true(journal_name(field_named("portsnoop.local.port"), names[0]));
	assert_string_equal(names[0], "PORTSNOOP_LOCAL_PORT");
	assert_true(journal_name(field_named("@timestamp"), names[0]));
	assert_string_equal(names[0], "TIMESTAMP");
	assert_false(journal_name(&(struct field){.path = "a23456789.123456789.123456789.123456789."
							  "123456789.123456789.12345"},
				  names[0]));
}

static void fields_of_an_event(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 60002, 60002));
	render((struct format_options){0}, &out);
	HAS("PRIORITY", "6|");
	HAS("SYSLOG_IDENTIFIER", "portsnoop|");
	HAS("SYSLOG_FACILITY", "3|");
	HAS("MESSAGE_ID", JOURNAL_MESSAGE_ID "|");
	HAS("MESSAGE", "web[42] bound tcp 0.0.0.0:60002|");
	HAS("TIMESTAMP", "2026-11-21T14:32:07.000000000Z|");
	HAS("EVENT_ACTION", "bound-socket|");
	HAS("EVENT_TYPE", "start|");
	HAS("PORTSNOOP_LOCAL_PORT", "60002|");
	HAS("PORTSNOOP_LOCAL_IP", "0.0.0.0|");
	HAS("PORTSNOOP_CLAIMED", "true|");
	HAS("PORTSNOOP_CLASS_POOL", "32768-60999|");
	HAS("PORTSNOOP_CLASS_SERVICE", "|"); /* null */
	HAS("ERROR_CODE", "");		     /* absent */
	HAS("VERB", "");		     /* for people */
	HAS("OBJECT_PID", "");
}

static void several_words_are_several_entries(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	scene_set(&scene, EVENT_CONNECTED, record_connect(WIRE_CALL, 31, "curl"));
	render((struct format_options){0}, &out);
	HAS("EVENT_TYPE", "connection|start|");
}

static void priorities(void **state)
{
	struct wire_event failed = record_bind(42, "web", 80, 0);
	struct event_gap gap = {.cpu = 1, .count = 3};
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	failed.error = EADDRINUSE;
	scene_set(&scene, EVENT_BOUND, failed);
	render((struct format_options){0}, &out);
	HAS("PRIORITY", "5|");
	scene.event = (struct event){.action = EVENT_LOST,
				     .gap = &gap,
				     .stream = &scene.stream,
				     .wall_time = RECORDS_WALL};
	buffer_reset(&out);
	render((struct format_options){0}, &out);
	HAS("PRIORITY", "4|");
	HAS("PORTSNOOP_LOST_COUNT", "3|");
}

/* Nothing in a name can become a field, or a line of what others read. */
static void hostile_bytes_stay_where_they_are(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	hostile_scene();
	render((struct format_options){0}, &out);
	HAS("MESSAGE", "x\\x0aMESSAGE=[7] could not bind tcp 0.0.0.0:80: EADDRINUSE|");
	HAS("PROCESS_NAME", "x\nMESSAGE=|");
	HAS("PROCESS_EXECUTABLE", "/tmp/\n\x1b[31m\xff|");
	HAS("PROCESS_ARGS", "[\"a\",\"b c\",\"\\\"\\u000a\xef\xbf\xbd\"]|");
}

static void arguments_can_be_left_out(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	hostile_scene();
	render((struct format_options){.no_args = true}, &out);
	HAS("PROCESS_ARGS", "");
	HAS("PROCESS_NAME", "x\nMESSAGE=|");
}

/* Everything as long as records let it be still fits into a frame. */
static void longest_record_is_a_frame(void **state)
{
	static char exe[WIRE_EXE], path[WIRE_CGROUP], args[WIRE_ARGS];
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	hostile_scene();
	memset(exe, '\n', sizeof(exe));
	memset(path, '\n', sizeof(path));
	memset(args, '\n', sizeof(args));
	args[sizeof(args) - 1] = '\0';
	scene.process.exe = exe;
	scene.process.exe_length = sizeof(exe);
	scene.process.cgroup = path;
	scene.process.cgroup_length = sizeof(path);
	scene.process.args = args;
	scene.process.args_length = sizeof(args);
	render((struct format_options){0}, &out);
	assert_true(out.length > sizeof(exe) + sizeof(path) + 6 * (sizeof(args) - 1));
	assert_true(out.length < FRAME_MOST / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_valid),
		cmocka_unit_test(fields_of_an_event),
		cmocka_unit_test(several_words_are_several_entries),
		cmocka_unit_test(priorities),
		cmocka_unit_test(hostile_bytes_stay_where_they_are),
		cmocka_unit_test(arguments_can_be_left_out),
		cmocka_unit_test(longest_record_is_a_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
