/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The otlp sink, and the request that it makes of lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/otlp_request.h"
#include "http_server.h"
#include "lib/cleanup.h"
#include "sink/header_file.h"
#include "sink/sink.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define HEAD(host) "{\"resource\":{\"h\":\"" host "\"},\"scopeLogs\":[{\"logRecords\":["
#define LINE(host, record) HEAD(host) record "]}]}\n"

/* ---- a request ---- */

static void assert_request(const char *const *lines, size_t count, const char *expected)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;
	struct otlp_request request;

	otlp_request_open(&request, &out);
	for (size_t i = 0; i < count; i++)
		assert_true(otlp_request_add(&request, lines[i], strlen(lines[i])));
	otlp_request_close(&request);
	buffer_byte(&out, '\0');
	assert_string_equal(out.data, expected);
}

static void test_request(void **state)
{
	static const char *const lines[] = {
		LINE("a", "{\"n\":1}"), LINE("a", "{\"n\":2}"),
		LINE("b", "{\"n\":3}"), LINE("b", "{\"n\":\"\\\"logRecords\\\":[\"}"),
		LINE("a", "{\"n\":5}"),
	};

	(void)state;
	assert_request(lines, 0, "{\"resourceLogs\":[]}");
	assert_request(lines, 1, "{\"resourceLogs\":[" HEAD("a") "{\"n\":1}]}]}]}");
	assert_request(lines, 5,
		       "{\"resourceLogs\":[" HEAD("a") "{\"n\":1},{\"n\":2}]}]},"  /* */
		       HEAD("b") "{\"n\":3},{\"n\":\"\\\"logRecords\\\":[\"}]}]}," /* */
		       HEAD("a") "{\"n\":5}]}]}]}");
}

static void test_request_of_no_lines(void **state)
{
	static const char *const wrong[] = {
		"",
		"\n",
		"{}",
		"]}]}",
		"\"logRecords\":[",
		"{\"logRecords\":[]}]",
		"{\"logRecords\":]}]}",
		"{\"logRecords\":[]}]} ",
	};
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;
	struct otlp_request request;

	(void)state;
	otlp_request_open(&request, &out);
	for (size_t i = 0; i < LENGTH(wrong); i++)
		if (otlp_request_add(&request, wrong[i], strlen(wrong[i])))
			fail_msg("'%s' was taken", wrong[i]);
	otlp_request_close(&request);
	buffer_byte(&out, '\0');
	assert_string_equal(out.data, "{\"resourceLogs\":[]}");
}

/* ---- the sink ---- */

struct room {
	struct http_server *server;
	struct sink_spec spec;
	struct sink sink;
	char url[128];
};

static void room_open(struct room *room, const struct http_scene *scenes, size_t count)
{
	*room = (struct room){.server = http_server_start(scenes, count)};
	snprintf(room->url, sizeof(room->url), "%sv1/logs", http_server_url(room->server));
	room->spec.kind = SINK_OTLP;
	room->spec.url = room->url;
	room->sink.ops = &sink_otlp;
	room->sink.spec = &room->spec;
}

static void room_prepare(struct room *room)
{
	if (sink_otlp.prepare(&room->sink))
		fail_msg("prepare: %s", room->sink.why);
	assert_int_equal(sink_otlp.open(&room->sink), 0);
}

static void room_close(struct room *room)
{
	sink_otlp.close(&room->sink);
	sink_otlp.free(&room->sink);
	http_server_stop(room->server);
}

static const struct frame frames[] = {
	{.stream = 1, .sequence = 1, .size = sizeof(LINE("a", "1")) - 1, .bytes = LINE("a", "1")},
	{.stream = 1, .sequence = 2, .size = sizeof(LINE("a", "2")) - 1, .bytes = LINE("a", "2")},
	{.stream = 1, .sequence = 3, .size = 6, .bytes = "damage"},
};

static void assert_request_is(struct room *room, unsigned int number, const char *body)
{
	CLEANUP(buffer_free) struct buffer got = BUFFER_EMPTY;
	const struct http_request *seen;
	static const char line[] = "POST /v1/logs HTTP/1.1\r\n";

	assert_true(http_server_requests(room->server, &seen) >= number);
	assert_ptr_equal(strstr(seen[number - 1].head.data, line), seen[number - 1].head.data);
	assert_non_null(
		strstr(seen[number - 1].head.data, "\r\nContent-Type: application/json\r\n"));
	http_request_body(&seen[number - 1], &got);
	buffer_byte(&got, '\0');
	assert_string_equal(got.data, body);
}

#define BOTH "{\"resourceLogs\":[" HEAD("a") "1,2]}]}]}"

static void test_send(void **state)
{
	static const struct http_scene scene = {.answer = HTTP_OK("2", "{}")};
	struct room room;
	size_t count = 2;

	(void)state;
	room_open(&room, &scene, 1);
	room_prepare(&room);
	assert_int_equal(sink_otlp.send(&room.sink, frames, &count), 2);
	assert_int_equal(room.sink.rejected, 0);
	assert_request_is(&room, 1, BOTH);
	/* Up to what a damaged spool has instead of a line; then that alone. */
	count = 3;
	assert_int_equal(sink_otlp.send(&room.sink, frames, &count), 2);
	assert_request_is(&room, 2, BOTH);
	count = 1;
	assert_int_equal(sink_otlp.send(&room.sink, frames + 2, &count), -EBADMSG);
	assert_int_equal(count, 1);
	room_close(&room);
}

#define SAYS(text) "HTTP/1.1 200 OK\r\n\r\n" text

static void test_statuses(void **state)
{
	static const struct {
		const char *answer;
		int error;
		unsigned int rejected;
		const char *why;
	} cases[] = {
		{"HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n", 0, 0, NULL},
		{SAYS("{\"partialSuccess\":{}}"), 0, 0, NULL},
		{SAYS("{\"partialSuccess\":{\"rejectedLogRecords\":\"1\"}}"), 0, 1,
		 "1 records rejected: {\"partialSuccess\":{\"rejectedLogRecords\":\"1\"}}"},
		{SAYS("{\"partialSuccess\":{\"rejectedLogRecords\" : 2}}"), 0, 2,
		 "2 records rejected: {\"partialSuccess\":{\"rejectedLogRecords\" : 2}}"},
		/* Nobody can reject more than was sent. */
		{SAYS("{\"partialSuccess\":{\"rejectedLogRecords\":999999}}"), 0, 2,
		 "999999 records rejected: {\"partialSuccess\":{\"rejectedLogRecords\":999999}}"},
		{SAYS("{\"partialSuccess\":{\"rejectedLogRecords\":-7}}"), 0, 0, NULL},
		{SAYS("\"rejectedLogRecords\""), 0, 0, NULL},
		{SAYS("{\"errorMessage\":\"\\\"rejectedLogRecords\\\":\\\"1\\\"\"}"), 0, 0, NULL},
		{"HTTP/1.1 400 Bad\r\nContent-Length: 11\r\n\r\nwrong\nwords", -EBADMSG, 0,
		 "HTTP status 400: wrong"},
		{"HTTP/1.1 413 Big\r\nContent-Length: 0\r\n\r\n", -EBADMSG, 0, "HTTP status 413"},
		{"HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n", -EBADMSG, 0, "HTTP status 422"},
		{"HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n", -EBUSY, 0, "HTTP status 401"},
		{"HTTP/1.1 404 What\r\nContent-Length: 0\r\n\r\n", -EBUSY, 0, "HTTP status 404"},
		{"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", -EBUSY, 0, "HTTP status 429"},
		{"HTTP/1.1 301 There\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", -EBUSY, 0,
		 "HTTP status 301"},
		{"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", -EBUSY, 0, "HTTP status 500"},
		{"HTTP/1.1 502 Oh\r\nContent-Length: 0\r\n\r\n", -EBUSY, 0, "HTTP status 502"},
		{"HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n", -EBUSY, 0, "HTTP status 503"},
		{"HTTP/1.1 504 Oh\r\nContent-Length: 0\r\n\r\n", -EBUSY, 0, "HTTP status 504"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct http_scene scene = {.answer = cases[i].answer, .hang_up = true};
		struct room room;
		size_t count = 2;
		ssize_t taken;

		room_open(&room, &scene, 1);
		room_prepare(&room);
		taken = sink_otlp.send(&room.sink, frames, &count);
		if (taken != (cases[i].error ? cases[i].error : 2) || count != 2)
			fail_msg("%s: %zd (%s)", cases[i].answer, taken, room.sink.why);
		if (room.sink.rejected != cases[i].rejected)
			fail_msg("%s: %ju rejected", cases[i].answer,
				 (uintmax_t)room.sink.rejected);
		if (cases[i].why)
			assert_string_equal(room.sink.why, cases[i].why);
		/* Without Retry-After it may be tried at once. */
		assert_int_equal(sink_otlp.open(&room.sink), 0);
		room_close(&room);
	}
}

static void test_retry_after(void **state)
{
	static const struct http_scene scenes[] = {
		{.answer = "HTTP/1.1 503 Away\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n"},
	};
	struct room room;
	size_t count = 2;

	(void)state;
	room_open(&room, scenes, LENGTH(scenes));
	room_prepare(&room);
	assert_int_equal(sink_otlp.send(&room.sink, frames, &count), -EBUSY);
	assert_string_equal(room.sink.why, "HTTP status 503");
	sink_otlp.close(&room.sink);
	assert_int_equal(sink_otlp.open(&room.sink), -EBUSY);
	assert_non_null(strstr(room.sink.why, "HTTP status 503: asks to be left alone for "));
	room_close(&room);
}

static void test_nobody_there(void **state)
{
	static const struct http_scene scene = {.hang_up = true};
	struct room room;
	size_t count = 2;

	(void)state;
	room_open(&room, &scene, 1);
	room_prepare(&room);
	assert_int_equal(sink_otlp.send(&room.sink, frames, &count), -ECONNRESET);
	assert_true(*room.sink.why);
	room_close(&room);
}

/* ---- header-file= ---- */

struct scratch {
	char path[64];
};

static void scratch_write(struct scratch *scratch, const char *bytes, size_t size)
{
	int fd;

	snprintf(scratch->path, sizeof(scratch->path), "/tmp/portsnoop-otlp-XXXXXX");
	fd = mkostemp(scratch->path, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static void test_header_file(void **state)
{
	static const char text[] = "# a token\n\nAuthorization: Bearer s3cret\nX-Scope: ports";
	static const struct http_scene scene = {.answer = HTTP_OK("0", "")};
	const struct http_request *seen;
	struct scratch scratch;
	struct room room;
	size_t count = 2;

	(void)state;
	scratch_write(&scratch, text, sizeof(text) - 1);
	room_open(&room, &scene, 1);
	room.spec.headers = scratch.path;
	room_prepare(&room);
	assert_int_equal(sink_otlp.send(&room.sink, frames, &count), 2);
	assert_int_equal(http_server_requests(room.server, &seen), 1);
	assert_non_null(strstr(seen->head.data, "\r\nAuthorization: Bearer s3cret\r\n"));
	assert_non_null(strstr(seen->head.data, "\r\nX-Scope: ports\r\n"));
	room_close(&room);
	unlink(scratch.path);
}

static void assert_header_file_refused(const char *bytes, size_t size)
{
	static const struct http_scene scene = {.answer = HTTP_OK("0", "")};
	struct scratch scratch;
	struct room room;

	scratch_write(&scratch, bytes, size);
	room_open(&room, &scene, 1);
	room.spec.headers = scratch.path;
	if (sink_otlp.prepare(&room.sink) != -EINVAL)
		fail_msg("a file with '%s' was taken", bytes);
	assert_ptr_equal(strstr(room.sink.why, "header-file=/tmp/"), room.sink.why);
	assert_null(strstr(room.sink.why, "s3cret"));
	room_close(&room);
	unlink(scratch.path);
}

static void test_header_file_refused(void **state)
{
	static const char *const wrong[] = {
		"X-Key: s3cret\r\n", "X-Key: a\rX-Other: s3cret\n", "s3cret\n",
		"X-Key s3cret\n",    "X-Key: s3cret\x1b]0;\n",
	};
	static const char nul[] = "X-Key: s3cret\0\n";
	CLEANUP(buffer_free) struct buffer many = BUFFER_EMPTY;
	struct sink_spec spec = {.url = (char[]){"http://127.0.0.1:1"},
				 .headers = (char[]){"/nonexistent/token"}};
	struct sink sink = {.spec = &spec};

	(void)state;
	for (size_t i = 0; i < LENGTH(wrong); i++)
		assert_header_file_refused(wrong[i], strlen(wrong[i]));
	assert_header_file_refused(nul, sizeof(nul) - 1);
	for (unsigned int i = 0; i <= HEADER_FILE_MOST; i++)
		buffer_printf(&many, "X-%u: s3cret\n", i);
	assert_header_file_refused(many.data, many.length);
	buffer_reset(&many);
	buffer_text(&many, "X-Key: ");
	while (many.length < 20000)
		buffer_text(&many, "s3cret");
	assert_header_file_refused(many.data, many.length);

	assert_int_equal(sink_otlp.prepare(&sink), -ENOENT);
	assert_string_equal(sink.why, "header-file=/nonexistent/token: No such file or directory");
	sink_otlp.free(&sink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),	    cmocka_unit_test(test_request_of_no_lines),
		cmocka_unit_test(test_send),	    cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_retry_after), cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_header_file), cmocka_unit_test(test_header_file_refused),
	};

	return cmocka_run_group_tests_name("otlp", tests, NULL, NULL);
}
