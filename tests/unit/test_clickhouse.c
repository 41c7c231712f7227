/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The clickhouse sink, against a server that does as it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http_server.h"
#include "lib/cleanup.h"
#include "sink/clickhouse_http.h"
#include "sink/sink.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define ANSWER(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body
#define DONE HTTP_OK("0", "")
#define UNKNOWN                                                                                    \
	ANSWER("404 Not Found", "Code: 115, e.displayText() = DB::Exception: Unknown setting x, "  \
				"e.what() = DB::Exception\n")
#define ASYNC "async_insert=1&wait_for_async_insert=1"
#define TOKEN "&insert_deduplication_token=00c0ffee12345678-7_00c0ffee12345678-9_2"
#define JOINED "&async_insert_deduplicate=1"

struct room {
	struct http_server *server;
	struct sink_spec spec;
	struct sink sink;
};

static const struct frame frames[] = {
	{.stream = 0x00c0ffee12345678, .sequence = 7, .size = 8, .bytes = "{\"a\":1}\n"},
	{.stream = 0x00c0ffee12345678, .sequence = 9, .size = 8, .bytes = "{\"a\":2}\n"},
};

static void room_open(struct room *room, const struct http_scene *scenes, size_t count)
{
	*room = (struct room){.server = http_server_start(scenes, count)};
	room->spec = (struct sink_spec){.kind = SINK_CLICKHOUSE,
					.url = (char *)http_server_url(room->server),
					.table = "fleet.events",
					.user = "writer",
					.password = "a b\"&"};
	room->sink = (struct sink){.ops = &sink_clickhouse, .spec = &room->spec};
	if (sink_clickhouse.prepare(&room->sink))
		fail_msg("prepare: %s", room->sink.why);
	assert_int_equal(sink_clickhouse.open(&room->sink), 0);
}

static void room_close(struct room *room)
{
	sink_clickhouse.close(&room->sink);
	sink_clickhouse.free(&room->sink);
	http_server_stop(room->server);
}

static ssize_t both_send(struct room *room)
{
	size_t count = LENGTH(frames);

	return sink_clickhouse.send(&room->sink, frames, &count);
}

static void assert_target(struct room *room, unsigned int number, const char *query)
{
	const struct http_request *seen;
	char line[256];

	assert_true(http_server_requests(room->server, &seen) >= number);
	snprintf(line, sizeof(line), "POST /%s HTTP/1.1\r\n", query);
	if (strncmp(seen[number - 1].head.data, line, strlen(line)) != 0)
		fail_msg("request %u: %.200s", number, seen[number - 1].head.data);
}

static void batch_is_one_insert(void **state)
{
	static const struct http_scene scenes[] = {{.answer = DONE}};
	static const char begin[] = "INSERT INTO `fleet`.`events` (`time`, `action`, ";
	static const char end[] = ") FORMAT JSONEachRow\n{\"a\":1}\n{\"a\":2}\n";
	CLEANUP(buffer_free) struct buffer body = BUFFER_EMPTY;
	const struct http_request *seen;
	struct room room;

	(void)state;
	room_open(&room, scenes, LENGTH(scenes));
	assert_int_equal(both_send(&room), 2);
	assert_target(&room, 1, "?" ASYNC TOKEN JOINED);
	assert_int_equal(http_server_requests(room.server, &seen), 1);
	assert_non_null(strstr(seen->head.data, "\r\nX-ClickHouse-User: writer\r\n"));
	assert_non_null(strstr(seen->head.data, "\r\nX-ClickHouse-Key: a b\"&\r\n"));
	assert_null(strstr(seen->head.data, "Authorization"));
	http_request_body(seen, &body);
	buffer_byte(&body, '\0');
	assert_ptr_equal(strstr(body.data, begin), body.data);
	assert_string_equal(body.data + body.length - sizeof(end), end);
	assert_null(strstr(body.data, "NULL"));
	room_close(&room);
}

/* One setting after the other, the newest first; it is remembered until the next open(). */
static void old_server_gets_no_settings(void **state)
{
	static const struct http_scene scenes[] = {
		{.answer = UNKNOWN, .hang_up = true},
		{.answer = UNKNOWN, .hang_up = true},
		{.answer = UNKNOWN, .hang_up = true},
		{.answer = DONE},
		{.answer = DONE},
		{.answer = DONE},
	};
	struct room room;

	(void)state;
	room_open(&room, scenes, LENGTH(scenes));
	assert_int_equal(both_send(&room), 2);
	assert_target(&room, 1, "?" ASYNC TOKEN JOINED);
	assert_target(&room, 2, "?" ASYNC TOKEN);
	assert_target(&room, 3, "?" ASYNC);
	assert_target(&room, 4, "");
	assert_int_equal(both_send(&room), 2);
	assert_target(&room, 5, "");
	sink_clickhouse.close(&room.sink);
	assert_int_equal(sink_clickhouse.open(&room.sink), 0);
	assert_int_equal(both_send(&room), 2);
	assert_target(&room, 6, "?" ASYNC TOKEN JOINED);
	room_close(&room);
}

static void assert_refused(const char *answer, bool rows, const char *why)
{
	const struct http_scene scenes[] = {{.answer = answer, .hang_up = true}};
	struct room room;
	ssize_t result;

	room_open(&room, scenes, LENGTH(scenes));
	result = both_send(&room);
	assert_true(result < 0 && result != -EAGAIN);
	if ((result == -EBADMSG) != rows)
		fail_msg("%s: %zd", answer, result);
	assert_string_equal(room.sink.why, why);
	room_close(&room);
}

static void rows_that_are_wrong_are_told_from_the_rest(void **state)
{
	(void)state;
	assert_refused(ANSWER("400 Bad Request",
			      "Code: 117, e.displayText() = DB::Exception: Unknown field found: a: "
			      "(at row 2)\n, e.what() = DB::Exception\n"),
		       true, "the server says (117): Unknown field found: a: (at row 2)");
	assert_refused(ANSWER("413 Too Large", "<html>\n"), true, "HTTP status 413: <html>");
	assert_refused(ANSWER("404 Not Found",
			      "Code: 60. DB::Exception: Table fleet.events does not exist. "
			      "(UNKNOWN_TABLE) (version 26.7.2.1)\n"),
		       false,
		       "the server says (60): Table fleet.events does not exist. (UNKNOWN_TABLE)");
	assert_refused(ANSWER("500 Internal Server Error",
			      "Code: 16, e.displayText() = DB::Exception: No such column a in "
			      "table events, e.what() = DB::Exception\n"),
		       false, "the server says (16): No such column a in table events");
	assert_refused(ANSWER("200 OK", "Code: 241. DB::Exception: Memory limit\n"), false,
		       "the server says (241): Memory limit");
	assert_refused(ANSWER("502 Bad Gateway", ""), false, "HTTP status 502");
	assert_refused(ANSWER("401 Unauthorized", "Code: 193\n"), false,
		       "the server says (193): Code: 193");
}

static void table_is_quoted(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	clickhouse_table(&out, "events");
	clickhouse_table(&out, "a.b");
	buffer_byte(&out, '\0');
	assert_string_equal(out.data, "`events``a`.`b`");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(batch_is_one_insert),
		cmocka_unit_test(old_server_gets_no_settings),
		cmocka_unit_test(rows_that_are_wrong_are_told_from_the_rest),
		cmocka_unit_test(table_is_quoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
