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
#include "model/blocked.h"
#include "model/decode.h"
#include "records.h"

struct room {
	const struct format_ops *ops;
	struct format *format;
	struct decoder *decoder;
	struct buffer out;
	bool anew; /* a new format for each event, without anything remembered */
	struct format_options options;
	const struct blocked *blocked; /* of each failure */
};

static int render(void *context, const struct event *event)
{
	struct room *room = context;
	struct event explained = *event;

	if (event->outcome == EVENT_FAILURE)
		explained.blocked = room->blocked;
	event = &explained;
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
	room->decoder = decoder_new(render, NULL, room);
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

/* Two sockets with names as nobody should choose them. */
static struct blocked hostile_blocked(void)
{
	struct blocked blocked = {.count = 2, .total = 3, .time = RECORDS_TIME + 1000000};
	struct blocked_entry *entry = &blocked.entries[0];

	*entry = (struct blocked_entry){
		.process = {.key = {.pid = 812}, .comm = "\033[31m\n\"},{"},
		.holder = {.key = {.pid = 813}, .comm = "a,b\xff"},
		.role = BLOCKED_SHARE,
		.state = "time_wait",
		.since = RECORDS_TIME,
		.expires = 41234000000,
		.local_port = 80,
		.other_port = 5000,
		.family = 4,
		.other = {192, 0, 2, 7},
	};
	entry[1] = (struct blocked_entry){.state = "bound", .local_port = 80, .family = 6};
	return blocked;
}

static struct wire_event failed_bind(void)
{
	struct wire_event failed = record_bind(7, "nginx", 80, 0);

	failed.error = EADDRINUSE;
	return failed;
}

static void json_objects(void **state)
{
	struct blocked blocked = hostile_blocked();
	struct wire_event failed = failed_bind();
	struct room room;

	(void)state;
	room_open(&room, "json",
		  chosen("portsnoop.blocked_by,portsnoop.blocked_by_total,portsnoop.origin"));
	assert_string_equal(feed(&room, &failed), "{\"portsnoop\":{\"origin\":\"requested\"}}\n");
	room.blocked = &blocked;
	assert_string_equal(
		feed(&room, &failed),
		"{\"portsnoop\":{\"origin\":\"requested\",\"blocked_by\":["
		"{\"pid\":812,\"name\":\"\\u001b[31m\\u000a\\\"},{\",\"role\":\"share\","
		"\"holder\":{\"pid\":813,\"name\":\"a,b\xef\xbf\xbd\"},\"state\":\"time_wait\","
		"\"since\":\"2026-11-21T14:32:07.000000000Z\",\"expires_ms\":41234,"
		"\"local\":{\"ip\":\"0.0.0.0\",\"port\":80},"
		"\"remote\":{\"ip\":\"192.0.2.7\",\"port\":5000}},"
		"{\"pid\":null,\"name\":null,\"role\":\"unknown\",\"state\":\"bound\",\"since\":null,"
		"\"local\":{\"ip\":\"::\",\"port\":80}}],\"blocked_by_total\":3}}\n");
	blocked.count = 1;
	blocked.entries[0] = (struct blocked_entry){.ports = 3};
	assert_string_equal(feed(&room, &failed),
			    "{\"portsnoop\":{\"origin\":\"requested\",\"blocked_by\":["
			    "{\"pid\":null,\"name\":null,\"role\":\"unknown\",\"since\":null,"
			    "\"ports\":3}],\"blocked_by_total\":3}}\n");
	blocked.count = 0;
	assert_string_equal(feed(&room, &failed),
			    "{\"portsnoop\":{\"origin\":\"requested\",\"blocked_by\":[],"
			    "\"blocked_by_total\":3}}\n");
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
	assert_non_null(strstr(room.out.data, ",12,\n"));
	room_close(&room);
}

#define HOSTILE_BLOCKED                                                                            \
	"\\x1b[31m\\x0a\"},{[812] (time_wait to 192.0.2.7:5000, 41.2s left, "                      \
	"open in a,b\\xff[813]) +2 more"

static void csv_blocked(void **state)
{
	struct blocked blocked = hostile_blocked();
	struct wire_event failed = failed_bind();
	struct room room;

	(void)state;
	room_open(&room, "csv", chosen("PORT,BLOCKED-BY,PID"));
	assert_string_equal(feed(&room, &failed), ",,7\n");
	room.blocked = &blocked;
	assert_string_equal(
		feed(&room, &failed),
		",\"\\x1b[31m\\x0a\"\"},{[812] (time_wait to 192.0.2.7:5000, 41.2s left, "
		"open in a,b\\xff[813]) +2 more\",7\n");
	room_close(&room);
	room_open(&room, "csv", (struct format_options){0});
	room.blocked = &blocked;
	assert_non_null(strstr(feed(&room, &failed), "+2 more\"\n"));
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

/* Behind the row where there is room, else below it: nobody should have to look for it. */
static void table_blocked(void **state)
{
	struct blocked blocked = hostile_blocked();
	struct wire_event failed = failed_bind();
	struct room room;

	(void)state;
	room_open(&room, "table", (struct format_options){0});
	room.blocked = &blocked;
	assert_string_equal(
		feed(&room, &failed),
		"14:32:07.001 bind          7 nginx           tcp     0.0.0.0:80            "
		"-                     EADDRINUSE    system http  held by " HOSTILE_BLOCKED "\n");
	room_close(&room);
	room_open(&room, "table", (struct format_options){.width = 80});
	room.blocked = &blocked;
	blocked.total = 1;
	blocked.entries[0] = (struct blocked_entry){
		.process = {.key = {.pid = 812}, .comm = "nginx"}, .state = "listen", .family = 4};
	assert_string_equal(
		feed(&room, &failed),
		"14:32:07.001 bind          7 nginx    tcp  0.0.0.0:80      -               EADD"
		"\xe2\x80\xa6\n             held by nginx[812] (listen)\n");
	blocked.count = 0;
	assert_null(strstr(feed(&room, &failed), "held"));
	room_close(&room);

	/* who chose the columns has chosen */
	room_open(&room, "table", chosen("PID,BLOCKED-BY"));
	room.blocked = &blocked;
	blocked.count = 1;
	assert_string_equal(feed(&room, &failed), "      7 nginx[812] (listen)\n");
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
	struct blocked blocked = hostile_blocked();
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
		room.blocked = &blocked;
		for (const char *line = feed(&room, &event); *line; line = strchr(line, '\n') + 1)
			assert_true(columns_of(line) <= width);
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
	static const char *const names[] = {"json", "csv", "table", "otlp", "ocsf"};
	struct wire_event bind = record_bind(42, "web", 80, 80);
	struct room room;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
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
		cmocka_unit_test(json_line),
		cmocka_unit_test(json_chosen_fields),
		cmocka_unit_test(json_stream_events),
		cmocka_unit_test(json_objects),
		cmocka_unit_test(json_remembers_right),
		cmocka_unit_test(csv_rows),
		cmocka_unit_test(csv_blocked),
		cmocka_unit_test(table_rows),
		cmocka_unit_test(table_blocked),
		cmocka_unit_test(table_is_never_too_wide),
		cmocka_unit_test(table_on_a_wide_terminal),
		cmocka_unit_test(table_colors),
		cmocka_unit_test(failure_is_kept),
	};

	setenv("TZ", "UTC", 1);
	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
