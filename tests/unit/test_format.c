/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <locale.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/escape.h"
#include "format/format.h"
#include "model/decode.h"
#include "records.h"

/* ---- escapes ---- */

static const struct {
	const char *bytes;
	size_t length;
	const char *json, *plain;
} hostile[] = {
#define ROW(bytes, json, plain)                                                                    \
	{                                                                                          \
		bytes, sizeof(bytes) - 1, json, plain                                              \
	}
	ROW("", "", ""),
	ROW("plain text, longer than a word", "plain text, longer than a word",
	    "plain text, longer than a word"),
	ROW("a\"b\\c/", "a\\\"b\\\\c/", "a\"b\\\\c/"),
	ROW("abcdefgh\\ijklmnop", "abcdefgh\\\\ijklmnop", "abcdefgh\\\\ijklmnop"),
	ROW("abcdefgh\x7fijklmnop", "abcdefgh\\u007fijklmnop", "abcdefgh\\x7fijklmnop"),
	ROW("abcdefgh\"ijklmnop", "abcdefgh\\\"ijklmnop", "abcdefgh\"ijklmnop"),
	ROW("1234567\n", "1234567\\u000a", "1234567\\x0a"),
	ROW("12345678\x1b[31m", "12345678\\u001b[31m", "12345678\\x1b[31m"),
	ROW("\0\t\r\x1f\x20\x7e\x7f", "\\u0000\\u0009\\u000d\\u001f ~\\u007f",
	    "\\x00\\x09\\x0d\\x1f ~\\x7f"),
	/* UTF-8: shortest and longest of each length */
	ROW("\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
	    "\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
	    "\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
	ROW("z\xc3\xbcrich \xe6\x9d\xb1\xe4\xba\xac", "z\xc3\xbcrich \xe6\x9d\xb1\xe4\xba\xac",
	    "z\xc3\xbcrich \xe6\x9d\xb1\xe4\xba\xac"),
	/* C1, which some terminals obey */
	ROW("\xc2\x80\xc2\x9b\xc2\x9f", "\\u0080\\u009b\\u009f", "\\xc2\\x80\\xc2\\x9b\\xc2\\x9f"),
	/* invisible, separators, direction, tags */
	ROW("\xe2\x80\x8b\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xae\xe2\x81\xa6\xef\xbb\xbf",
	    "\\u200b\\u2028\\u2029\\u202e\\u2066\\ufeff",
	    "\\xe2\\x80\\x8b\\xe2\\x80\\xa8\\xe2\\x80\\xa9\\xe2\\x80\\xae\\xe2\\x81\\xa6"
	    "\\xef\\xbb\\xbf"),
	ROW("\xf3\xa0\x81\x81", "\\udb40\\udc41", "\\xf3\\xa0\\x81\\x81"),
/* not UTF-8: alone, cut off, too long, surrogate, beyond the end */
#define BAD "\xef\xbf\xbd"
	ROW("a\x80z", "a" BAD "z", "a\\x80z"),
	ROW("\xff\xfe", BAD BAD, "\\xff\\xfe"),
	ROW("\xc3", BAD, "\\xc3"),
	ROW("\xe2\x82", BAD BAD, "\\xe2\\x82"),
	ROW("\xf0\x9f\x98", BAD BAD BAD, "\\xf0\\x9f\\x98"),
	ROW("\xc3\x22", BAD "\\\"", "\\xc3\""),
	ROW("\xc0\x8a", BAD BAD, "\\xc0\\x8a"),
	ROW("\xc1\xbf", BAD BAD, "\\xc1\\xbf"),
	ROW("\xe0\x80\x8a", BAD BAD BAD, "\\xe0\\x80\\x8a"),
	ROW("\xf0\x80\x80\x8a", BAD BAD BAD BAD, "\\xf0\\x80\\x80\\x8a"),
	ROW("\xed\xa0\x80", BAD BAD BAD, "\\xed\\xa0\\x80"),
	ROW("\xf4\x90\x80\x80", BAD BAD BAD BAD, "\\xf4\\x90\\x80\\x80"),
	ROW("\xf8\x88\x80\x80\x80", BAD BAD BAD BAD BAD, "\\xf8\\x88\\x80\\x80\\x80"),
};

static void check_escape(void (*escape)(struct buffer *, const char *, size_t), const char *bytes,
			 size_t length, const char *expected, size_t row)
{
	struct buffer out = BUFFER_EMPTY;
	char *copy = malloc(length + 1);

	assert_non_null(copy);
	/* at every place in a word, from memory that ends where the text does */
	for (size_t before = 0; before < 9; before++) {
		char *whole = malloc(before + length + (before + length == 0));

		assert_non_null(whole);
		memset(whole, '.', before);
		memcpy(whole + before, bytes, length);
		buffer_reset(&out);
		escape(&out, whole, before + length);
		buffer_byte(&out, '\0');
		if (strcmp(out.data + before, expected) || strspn(out.data, ".") < before)
			fail_msg("row %zu, %zu before: %s instead of %s", row, before, out.data,
				 expected);
		free(whole);
	}
	free(copy);
	buffer_free(&out);
}

static void escapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		check_escape(escape_json, hostile[i].bytes, hostile[i].length, hostile[i].json, i);
		check_escape(escape_plain, hostile[i].bytes, hostile[i].length, hostile[i].plain,
			     i);
	}
}

/* Every byte alone and every pair: what comes out is printable and valid. */
static void nothing_gets_through(void **state)
{
	struct buffer out = BUFFER_EMPTY;

	(void)state;
	for (unsigned int pair = 0; pair < 65536; pair++) {
		const char bytes[2] = {(char)(pair >> 8), (char)pair};

		buffer_reset(&out);
		escape_json(&out, bytes, 2);
		escape_plain(&out, bytes, 2);
		for (size_t at = 0; at < out.length;) {
			uint32_t character = 0;
			size_t taken = utf8_length(out.data + at, out.length - at, &character);

			assert_true(taken);
			assert_true(character >= 0x20);
			assert_false(character >= 0x7f && character < 0xa0);
			at += taken;
		}
	}
	buffer_free(&out);
}

/* ---- rendering ---- */

struct room {
	const struct format_ops *ops;
	struct format *format;
	struct decoder *decoder;
	struct buffer out;
	bool anew; /* a new format for each event, without anything remembered */
	struct format_options options;
};

static int render(void *context, const struct event *event)
{
	struct room *room = context;

	if (room->anew) {
		room->ops->close(room->format);
		room->format = room->ops->open(&room->options);
	}
	room->ops->event(room->format, event, &room->out);
	return 0;
}

static void room_open(struct room *room, const char *name, struct format_options options)
{
	struct wire_stream_start start = record_start();
	const char *why;

	*room = (struct room){.ops = format_find(name), .options = options};
	assert_non_null(room->ops);
	room->format = room->ops->open(&room->options);
	room->decoder = decoder_new(render, room);
	assert_true(room->format && room->decoder);
	room->ops->begin(room->format, &room->out);
	assert_int_equal(decoder_record(room->decoder, &start, sizeof(start), &why), 0);
}

static void room_close(struct room *room)
{
	room->ops->close(room->format);
	decoder_free(room->decoder);
	buffer_free(&room->out);
}

/* What the record adds to the output. */
static const char *feed(struct room *room, const void *record)
{
	const struct wire_header *header = record;
	const char *why = "";
	int result;

	buffer_reset(&room->out);
	result = decoder_record(room->decoder, record, header->size, &why);
	if (result)
		fail_msg("result %d: %s", result, why);
	buffer_byte(&room->out, '\0');
	assert_false(room->out.failed);
	return room->out.data;
}

static const struct field **choose(const char *names, unsigned int *count)
{
	static const struct field *fields[32];

	*count = 0;
	for (;;) {
		size_t length = strcspn(names, ",");

		fields[*count] = field_find(names, length);
		if (!fields[(*count)++])
			fail_msg("there is no field '%s'", names);
		if (!names[length])
			return fields;
		names += length + 1;
	}
}

static struct format_options chosen(const char *names)
{
	struct format_options options = {0};

	options.fields = choose(names, &options.field_count);
	return options;
}

static void json_line(void **state)
{
	struct wire_process process = record_process(42, "web", "/usr/bin/python3.11",
						     "python3 -m http.server",
						     "/system.slice/app.service");
	struct wire_event bind = record_bind(42, "web", 60002, 60002);
	struct room room;

	(void)state;
	room_open(&room, "json", (struct format_options){0});
	feed(&room, &process);
	assert_string_equal(
		feed(&room, &bind),
		"{\"@timestamp\":\"2026-11-21T14:32:07.001000000Z\","
		"\"message\":\"web[42] bound tcp 0.0.0.0:60002\",\"ecs\":{\"version\":\"9.4.0\"},"
		"\"event\":{\"kind\":\"event\",\"category\":[\"network\"],\"type\":[\"start\"],"
		"\"action\":\"bound-socket\",\"outcome\":\"success\","
		"\"dataset\":\"portsnoop.events\",\"id\":\"00c0ffee12345678-2\",\"sequence\":2},"
		"\"network\":{\"transport\":\"tcp\",\"type\":\"ipv4\"},"
		"\"process\":{\"pid\":42,\"entity_id\":\"7f3a91c2:42:1000042:1\",\"name\":\"web\","
		"\"executable\":\"/usr/bin/python3.11\","
		"\"args\":[\"python3\",\"-m\",\"http.server\"],"
		"\"parent\":{\"pid\":900,\"name\":\"bash\"},\"user\":{\"id\":\"1000\"}},"
		"\"host\":{\"name\":\"web1\"},"
		"\"portsnoop\":{\"schema\":1,\"trigger\":\"bind\",\"origin\":\"requested\","
		"\"claimed\":true,\"local\":{\"ip\":\"0.0.0.0\",\"port\":60002},"
		"\"requested\":{\"ip\":\"0.0.0.0\",\"port\":60002},"
		"\"class\":{\"iana\":\"dynamic\",\"service\":null,\"in_pool\":true,"
		"\"reserved\":false,\"privileged\":false,\"pool\":[32768,60999]},"
		"\"unit\":\"app.service\",\"cgroup\":\"/system.slice/app.service\","
		"\"netns\":4026531840,\"socket\":4097,\"tier\":\"tracepoint\"}}\n");
	room_close(&room);
}

static void json_chosen_fields(void **state)
{
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct room room;

	(void)state;
	/* in the order of the table, so that no object comes twice */
	room_open(&room, "json", chosen("portsnoop.local.port,pid,portsnoop.origin,comm"));
	assert_string_equal(feed(&room, &bind),
			    "{\"process\":{\"pid\":42,\"name\":\"web\"},"
			    "\"portsnoop\":{\"origin\":\"requested\",\"local\":{\"port\":80}}}\n");
	room_close(&room);

	room_open(&room, "json", chosen("process.parent.name,local"));
	assert_string_equal(feed(&room, &bind), "{\"local\":\"0.0.0.0:80\"}\n");
	room_close(&room);

	room_open(&room, "json", chosen("container.id"));
	assert_string_equal(feed(&room, &bind), "{}\n");
	room_close(&room);
}

static void json_stream_events(void **state)
{
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct wire_stream_end end = record_end(9, 5);
	struct room room;

	(void)state;
	room_open(&room, "json", (struct format_options){0});
	assert_non_null(strstr(room.out.data, "\"action\":\"stream-start\""));
	bind.header.lost = 3;
	assert_non_null(
		strstr(feed(&room, &bind), "\"lost\":{\"count\":3,\"cpu\":0,\"to\":\"2026-"));
	assert_non_null(strstr(feed(&room, &end), "\"lost\":{\"count\":2,\"from\":\"2026-"));
	assert_non_null(strstr(room.out.data, "\"totals\":{\"seen\":9,\"lost\":5,"));
	room_close(&room);
}

static unsigned int draw(unsigned int *seed, unsigned int below)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % below;
}

/* What a format remembers must not show: thousands of events of hundreds of
 * processes, whose records come, change and go. */
static void json_remembers_right(void **state)
{
	struct room kept, anew;
	unsigned int seed = 7;
	char *expected;

	(void)state;
	room_open(&kept, "json", (struct format_options){0});
	room_open(&anew, "json", (struct format_options){0});
	anew.anew = true;
	for (int i = 0; i < 3000; i++) {
		wire_u32 pid = 1 + draw(&seed, 400);
		struct wire_event event = record_bind(pid, "web", 80, 80);
		struct wire_process process;

		event.header.time = RECORDS_TIME + (wire_u64)i * 100000000;
		event.header.type = (wire_u16)(WIRE_CALL + draw(&seed, 3));
		event.trigger = (wire_u8)(1 + draw(&seed, 5));
		event.error = draw(&seed, 3) ? 0 : draw(&seed, 120);
		event.tid = draw(&seed, 4) ? pid : pid + 1000;
		event.exec = 1 + draw(&seed, 2);
		if (!draw(&seed, 10))
			event.flags |= WIRE_NO_CLAIMANT;
		if (draw(&seed, 2))
			event.flags |= WIRE_IN_PROGRESS;
		if (!draw(&seed, 20)) {
			char name[16];

			snprintf(name, sizeof(name), "/bin/%u", draw(&seed, 1000));
			process = record_process(pid, name + 5, name, draw(&seed, 2) ? name : "",
						 "/system.slice/a.service");
			process.exec = event.exec;
			process.parent_pid = draw(&seed, 2) ? 0 : 900;
			if (!draw(&seed, 5)) { /* too long to be kept */
				memset(process.args, 'a', WIRE_ARGS - 1);
				process.args_length = WIRE_ARGS;
			}
			feed(&kept, &process);
			feed(&anew, &process);
		}
		expected = strdup(feed(&anew, &event));
		assert_string_equal(feed(&kept, &event), expected);
		free(expected);
	}
	room_close(&kept);
	room_close(&anew);
}

static void csv_rows(void **state)
{
	struct wire_process process = record_process(42, "we,b", "/bin/we\"b", "a b", "/x");
	struct wire_event bind = record_bind(42, "we,b", 80, 80);
	struct room room;

	(void)state;
	room_open(&room, "csv", chosen("comm,EXE,args,error.code,portsnoop.class.pool,PORT"));
	buffer_byte(&room.out, '\0');
	assert_string_equal(room.out.data,
			    "process.name,process.executable,process.args,error.code,"
			    "portsnoop.class.pool,portsnoop.local.port\n");
	feed(&room, &process);
	assert_string_equal(feed(&room, &bind), "\"we,b\",\"/bin/we\"\"b\",a b,,32768-60999,80\n");
	strcpy(bind.comm, " a");
	assert_string_equal(feed(&room, &bind), "\" a\",\"/bin/we\"\"b\",a b,,32768-60999,80\n");
	strcpy(bind.comm, "a\nb\\");
	assert_string_equal(feed(&room, &bind),
			    "a\\x0ab\\\\,\"/bin/we\"\"b\",a b,,32768-60999,80\n");
	room_close(&room);

	/* a loss is a row, the start and the end are none */
	room_open(&room, "csv", (struct format_options){0});
	assert_int_equal(room.out.data[room.out.length - 1], '\n');
	assert_ptr_equal(memchr(room.out.data, '\n', room.out.length),
			 room.out.data + room.out.length - 1);
	bind.header.lost = 12;
	assert_non_null(strstr(feed(&room, &bind), ",lost-events,"));
	assert_non_null(strstr(room.out.data, ",12\n"));
	room_close(&room);
}

static void table_rows(void **state)
{
	struct wire_event bind = record_bind(4242, "python3", 60002, 60002);
	struct wire_event failed = record_bind(7, "nginx", 80, 0);
	struct room room;

	(void)state;
	room_open(&room, "table", (struct format_options){0});
	buffer_byte(&room.out, '\0');
	assert_string_equal(
		room.out.data,
		"TIME         EVENT       PID COMM            PROTO   LOCAL                 "
		"REMOTE                RESULT        PORT-CLASS\n");
	assert_string_equal(
		feed(&room, &bind),
		"14:32:07.001 bind       4242 python3         tcp     0.0.0.0:60002         "
		"-                     ok            dynamic, pool\n");
	failed.error = EADDRINUSE;
	assert_string_equal(
		feed(&room, &failed),
		"14:32:07.001 bind          7 nginx           tcp     0.0.0.0:80            "
		"-                     EADDRINUSE    system http\n");
	/* nothing is cut where nobody looks at columns */
	bind.family = 6;
	memset(bind.local, 0xfd, 16);
	assert_non_null(strstr(feed(&room, &bind),
			       " tcp     [fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd]:60002 - "));
	room_close(&room);
}

static unsigned int columns_of(const char *line)
{
	size_t length = strcspn(line, "\n");
	unsigned int columns = 0;

	for (size_t at = 0; at < length;) {
		uint32_t character = 0;
		size_t taken = utf8_length(line + at, length - at, &character);

		assert_true(taken);
		columns += utf8_columns(character);
		at += taken;
	}
	return columns;
}

static void table_is_never_too_wide(void **state)
{
	struct wire_event event = record_connect(WIRE_CALL, 4194304,
						 "\xe6\x9d\xb1\xe4\xba\xac\xe6\x9d"
						 "\xb1\xe4\xba\xac");
	struct room room;

	(void)state;
	event.family = 6;
	event.error = EADDRNOTAVAIL;
	memset(event.local, 0xfd, 16);
	memset(event.other, 0xfe, 16);
	for (unsigned int width = 1; width < 240; width++) {
		room_open(&room, "table", (struct format_options){.width = width});
		buffer_byte(&room.out, '\0');
		assert_true(columns_of(room.out.data) <= width);
		event.header.lost = 0;
		assert_true(columns_of(feed(&room, &event)) <= width);
		event.header.lost = 1000000;
		assert_true(columns_of(feed(&room, &event)) <= width);
		assert_non_null(strchr(room.out.data, '\n'));
		room_close(&room);
	}

	room_open(&room, "table", (struct format_options){.width = 100});
	event.header.lost = 0;
	assert_string_equal(
		feed(&room, &event),
		"14:32:07.001 connect 4194304 \xe6\x9d\xb1\xe4\xba\xac\xe6\x9d\xb1\xe4\xba\xac tcp  "
		"\xe2\x80\xa6"
		"fd:fdfd]:40000 \xe2\x80\xa6"
		"fefe:fefe]:443 EADDRNOTAV\xe2\x80\xa6 user, pool\n");
	room_close(&room);
}

/* Room enough changes nothing but the columns of the endpoints. */
static void table_on_a_wide_terminal(void **state)
{
	struct wire_event bind = record_bind(4242, "python3", 60002, 60002);
	struct room room;

	(void)state;
	room_open(&room, "table", (struct format_options){.width = 135});
	assert_string_equal(
		feed(&room, &bind),
		"14:32:07.001 bind       4242 python3         tcp     0.0.0.0:60002         "
		"-                     ok            dynamic, pool\n");
	room_close(&room);
}

static void table_colors(void **state)
{
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct wire_event listen = record_event(WIRE_CALL, WIRE_LISTEN, 42, "web");
	struct room room;

	(void)state;
	room_open(&room, "table", (struct format_options){.color = true});
	assert_null(strchr(feed(&room, &bind), '\033'));
	assert_memory_equal(feed(&room, &listen), "\033[1m", 4);
	bind.origin = WIRE_ORIGIN_KERNEL;
	assert_memory_equal(feed(&room, &bind), "\033[2m", 4);
	bind.error = EADDRINUSE;
	assert_memory_equal(feed(&room, &bind), "\033[31m", 5);
	assert_non_null(strstr(room.out.data, "\033[0m\n"));
	bind.header.lost = 5;
	assert_memory_equal(feed(&room, &bind), "\033[1;33m!! 5 records lost on CPU 0 ", 33);
	room_close(&room);

	/* nor does anybody else bring one in */
	room_open(&room, "table", (struct format_options){0});
	strcpy(bind.comm, "\033[31m\n");
	assert_null(strchr(feed(&room, &bind), '\033'));
	assert_non_null(strstr(room.out.data, " \\x1b[31m\\x0a "));
	room_close(&room);
}

/* No memory is said, not hidden. */
static void failure_is_kept(void **state)
{
	static const char *const names[] = {"json", "csv", "table"};
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct room room;
	const char *why;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		room_open(&room, names[i], (struct format_options){0});
		room.out.failed = true;
		assert_int_equal(decoder_record(room.decoder, &bind, sizeof(bind), &why), 0);
		assert_true(room.out.failed);
		room_close(&room);
	}
	assert_null(format_find("yaml"));
	assert_null(format_find(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes),
		cmocka_unit_test(nothing_gets_through),
		cmocka_unit_test(json_line),
		cmocka_unit_test(json_chosen_fields),
		cmocka_unit_test(json_stream_events),
		cmocka_unit_test(json_remembers_right),
		cmocka_unit_test(csv_rows),
		cmocka_unit_test(table_rows),
		cmocka_unit_test(table_is_never_too_wide),
		cmocka_unit_test(table_on_a_wide_terminal),
		cmocka_unit_test(table_colors),
		cmocka_unit_test(failure_is_kept),
	};

	setenv("TZ", "UTC", 1);
	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
