/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Messages as RFC 5424 and RFC 6587 want them, read by a parser that knows only these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bringing.h"
#include "lib/cleanup.h"
#include "sink/syslog_head.h"

/* ---- RFC 5424, section 6 ---- */

struct message {
	unsigned int priority;
	char time[40], host[256], program[49], process[129], id[33];
	const char *text;
	size_t length;
};

static const char *number_parse(const char *at, unsigned int digits, unsigned int least,
				unsigned int most)
{
	unsigned int number = 0;

	for (unsigned int i = 0; i < digits; i++, at++) {
		assert_in_range(*at, '0', '9');
		number = number * 10 + (unsigned int)(*at - '0');
	}
	assert_in_range(number, least, most);
	return at;
}

static const char *byte_parse(const char *at, char byte)
{
	assert_int_equal(*at, byte);
	return at + 1;
}

/* FULL-DATE "T" PARTIAL-TIME "Z", with six digits of a second at most. */
static void time_check(const char *at)
{
	unsigned int digits = 0;

	at = number_parse(at, 4, 0, 9999);
	at = number_parse(byte_parse(at, '-'), 2, 1, 12);
	at = number_parse(byte_parse(at, '-'), 2, 1, 31);
	at = number_parse(byte_parse(at, 'T'), 2, 0, 23);
	at = number_parse(byte_parse(at, ':'), 2, 0, 59);
	at = number_parse(byte_parse(at, ':'), 2, 0, 59);
	at = byte_parse(at, '.');
	for (; *at >= '0' && *at <= '9'; at++)
		digits++;
	assert_in_range(digits, 1, 6);
	at = byte_parse(at, 'Z');
	assert_int_equal(*at, '\0');
}

/* 1 to `most` bytes of PRINTUSASCII, and a space. */
static const char *word_parse(const char *at, char *word, size_t most)
{
	size_t length = 0;

	while (*at != ' ') {
		assert_in_range(*at, 33, 126);
		assert_true(length < most);
		word[length++] = *at++;
	}
	assert_true(length);
	word[length] = '\0';
	return at + 1;
}

/* `bytes` are NUL-terminated behind the message. */
static void message_parse(const char *bytes, size_t length, struct message *message)
{
	const char *at = byte_parse(bytes, '<');
	char priority[4];
	size_t digits = strspn(at, "0123456789");

	assert_in_range(digits, 1, 3);
	snprintf(priority, sizeof(priority), "%.*s", (int)digits, at);
	message->priority = (unsigned int)atoi(priority);
	assert_true(message->priority <= 191 && (priority[0] != '0' || digits == 1));
	at = byte_parse(byte_parse(byte_parse(at + digits, '>'), '1'), ' ');
	at = word_parse(at, message->time, 39);
	time_check(message->time);
	at = word_parse(at, message->host, 255);
	at = word_parse(at, message->program, 48);
	at = word_parse(at, message->process, 128);
	at = word_parse(at, message->id, 32);
	at = byte_parse(byte_parse(at, '-'), ' ');
	message->text = at;
	message->length = length - (size_t)(at - bytes);
	assert_true(at <= bytes + length);
	for (size_t i = 0; i < length; i++)
		assert_true(bytes[i] != '\n' && bytes[i] != '\r' && bytes[i]);
}

static void head_parse(const struct event *event, struct message *message, char *room, size_t size)
{
	CLEANUP(buffer_free) struct buffer head = BUFFER_EMPTY;

	syslog_head(event, &head);
	buffer_text(&head, "{}");
	assert_false(head.failed);
	assert_true(head.length < size);
	memcpy(room, head.data, head.length);
	room[head.length] = '\0';
	message_parse(room, head.length, message);
	assert_int_equal(message->length, 2);
}

static void test_head(void **state)
{
	struct stream stream = {.start = {.id = 0x7f3a0c5e11d2b846, .host = "web1"}};
	struct event event = {.action = EVENT_BOUND,
			      .outcome = EVENT_SUCCESS,
			      .wall_time = INT64_C(1795271527123456789),
			      .stream = &stream};
	struct message message = {0};
	char room[1024];

	(void)state;
	head_parse(&event, &message, room, sizeof(room));
	assert_int_equal(message.priority, 3 * 8 + 6);
	assert_string_equal(message.time, "2026-11-21T14:32:07.123456Z");
	assert_string_equal(message.host, "web1");
	assert_string_equal(message.program, "portsnoop");
	assert_string_equal(message.process, "7f3a0c5e11d2b846");
	assert_string_equal(message.id, "bound-socket");
	for (unsigned int action = 0; action < EVENT_ACTIONS; action++) {
		event.action = action;
		event.outcome = EVENT_FAILURE;
		head_parse(&event, &message, room, sizeof(room));
		assert_int_equal(message.priority, 3 * 8 + (action == EVENT_LOST ? 4 : 5));
		assert_string_equal(message.id, event_action_name(action));
	}
	event.action = EVENT_CONNECTED;
	event.outcome = EVENT_UNKNOWN;
	head_parse(&event, &message, room, sizeof(room));
	assert_int_equal(message.priority, 3 * 8 + 6);
	event.wall_time = INT64_MIN;
	head_parse(&event, &message, room, sizeof(room));
	event.wall_time = INT64_MAX;
	head_parse(&event, &message, room, sizeof(room));
}

static void test_head_hostile(void **state)
{
	struct stream stream = {0};
	struct event event = {.stream = &stream};
	struct message message = {0};
	char room[1024];

	(void)state;
	head_parse(&event, &message, room, sizeof(room));
	assert_string_equal(message.host, "-");
	strcpy(stream.start.host, "a b\n<1>\x1b[31m\xff]\x7f");
	head_parse(&event, &message, room, sizeof(room));
	assert_string_equal(message.host, "a?b?<1>?[31m?]?");
	memset(stream.start.host, 'x', sizeof(stream.start.host));
	head_parse(&event, &message, room, sizeof(room));
	assert_int_equal(strlen(message.host), sizeof(stream.start.host));
}

/* ---- the ways ---- */

static char folder[] = "/tmp/portsnoop-syslog-XXXXXX", path[64], port_text[8];

static int folder_make(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/log", folder);
	return 0;
}

static int folder_remove(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static int path_bind(int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	unlink(path);
	assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(address)), errno);
	if (type == SOCK_STREAM)
		assert_return_code(listen(fd, 5), errno);
	return fd;
}

/* To any free port, which becomes port_text; or to the one of before. */
static int port_bind(int type, bool again)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = again ? htons((uint16_t)atoi(port_text)) : 0,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(address);

	assert_return_code(bind(fd, (struct sockaddr *)&address, size), errno);
	if (type == SOCK_STREAM)
		assert_return_code(listen(fd, 5), errno);
	assert_return_code(getsockname(fd, (struct sockaddr *)&address, &size), errno);
	snprintf(port_text, sizeof(port_text), "%u", ntohs(address.sin_port));
	return fd;
}

static void bringing_syslog(struct bringing *bringing, enum sink_scheme scheme)
{
	bringing_make(bringing, &sink_syslog);
	bringing->spec.scheme = scheme;
	bringing->spec.path = path;
	bringing->spec.host = "127.0.0.1";
	bringing->spec.port = port_text;
	bringing_prepare(bringing);
}

/* As the program makes them. */
static void messages_add(struct bringing *bringing, size_t count)
{
	struct stream stream = {.start = {.id = 1, .host = "web1"}};
	struct event event = {.action = EVENT_BOUND, .stream = &stream};

	for (size_t i = 0; i < count; i++) {
		CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;

		syslog_head(&event, &text);
		/* Lengths on both sides of 99, 100, 999, 1000: of UTF-8 in part. */
		buffer_printf(&text, "%zu ", bringing->count);
		for (size_t more = bringing->count * 37 % 600; more-- > 0;)
			buffer_text(&text, "é");
		buffer_byte(&text, '\n');
		bringing_frame_add(bringing, text.data, text.length);
	}
}

/* The message is the frame without its newline. */
static void message_check(const struct bringing *bringing, size_t number, const char *bytes,
			  size_t length)
{
	struct message message = {0};
	char copy[FRAME_MOST];

	assert_true(length < sizeof(copy));
	memcpy(copy, bytes, length);
	copy[length] = '\0';
	message_parse(copy, length, &message);
	assert_true(number < bringing->count);
	assert_int_equal(length, bringing->frames[number].size - 1);
	assert_memory_equal(bytes, bringing->frames[number].bytes, length);
}

/* RFC 6587, 3.4.1: MSG-LEN SP SYSLOG-MSG, one behind the other, and nothing between. */
static void test_octets(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	CLEANUP(buffer_free) struct buffer bytes = BUFFER_EMPTY;
	CLEANUP_FD int listener = port_bind(SOCK_STREAM, false), fd = -1;
	size_t at = 0, number = 0;
	char *end;

	(void)state;
	bringing_syslog(&bringing, SCHEME_TCP);
	messages_add(&bringing, 1200);
	bringing.most = 100;
	bringing_step(&bringing);
	fd = accept(listener, NULL, NULL);
	while (bringing.next < bringing.count || number < bringing.count) {
		ssize_t got;

		bringing_step(&bringing);
		assert_true(buffer_room(&bytes, 1 << 20));
		got = recv(fd, bytes.data + bytes.length, 1 << 20, MSG_DONTWAIT);
		if (got <= 0)
			continue;
		bytes.length += (size_t)got;
		for (;;) {
			size_t length = 0;
			const char *blank = memchr(bytes.data + at, ' ', bytes.length - at);

			if (!blank)
				break;
			assert_in_range(bytes.data[at], '1', '9');
			length = strtoul(bytes.data + at, &end, 10);
			assert_ptr_equal(end, blank);
			if (bytes.length - (size_t)(blank + 1 - bytes.data) < length)
				break;
			message_check(&bringing, number++, blank + 1, length);
			at = (size_t)(blank + 1 - bytes.data) + length;
		}
	}
	assert_int_equal(at, bytes.length);
	assert_int_equal(bringing.failures, 0);
}

static size_t datagrams_take(const struct bringing *bringing, int fd, size_t number)
{
	char bytes[FRAME_MOST];
	ssize_t got;

	while ((got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) >= 0)
		message_check(bringing, number++, bytes, (size_t)got);
	return number;
}

static void test_udp(void **state)
{
	static char much[65530];
	CLEANUP(bringing_free) struct bringing bringing;
	CLEANUP_FD int fd = port_bind(SOCK_DGRAM, false);
	size_t number = 0;

	(void)state;
	bringing_syslog(&bringing, SCHEME_UDP);
	messages_add(&bringing, 200);
	bringing.most = 10;
	while (bringing.next < bringing.count) {
		bringing_step(&bringing);
		number = datagrams_take(&bringing, fd, number);
	}
	assert_int_equal(number, 200);
	bringing_settle_all(&bringing);
	/* No datagram can hold it: refused, and the next one comes. */
	bringing_frame_add(&bringing, much, sizeof(much));
	messages_add(&bringing, 1);
	bringing_settle_all(&bringing);
	assert_int_equal(bringing.refused, 1);
	assert_int_equal(datagrams_take(&bringing, fd, 201), 202);
	assert_int_equal(bringing.failures, 0);
}

/* What was refused comes again, when there is somebody. */
static void test_udp_away(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	CLEANUP_FD int fd = port_bind(SOCK_DGRAM, false);

	(void)state;
	bringing_syslog(&bringing, SCHEME_UDP);
	messages_add(&bringing, 20);
	close(fd);
	while (bringing.failures < 3)
		bringing_step(&bringing);
	assert_int_equal(bringing.error, -ECONNREFUSED);
	assert_int_equal(bringing.settled, 0);
	fd = port_bind(SOCK_DGRAM, true);
	bringing_settle_all(&bringing);
	assert_int_equal(datagrams_take(&bringing, fd, 0), 20);
}

/* More than what counts as arrived for what came behind it. */
static void test_udp_away_much(void **state)
{
	static char much[32000];
	CLEANUP(bringing_free) struct bringing bringing;
	CLEANUP_FD int fd = port_bind(SOCK_DGRAM, false);

	(void)state;
	bringing_syslog(&bringing, SCHEME_UDP);
	for (unsigned int i = 0; i < 100; i++)
		bringing_frame_add(&bringing, much, sizeof(much));
	close(fd);
	while (bringing.failures < 3)
		bringing_step(&bringing);
	assert_int_equal(bringing.error, -ECONNREFUSED);
	assert_int_equal(bringing.settled, 0);
}

static void test_local(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	CLEANUP_FD int fd = path_bind(SOCK_DGRAM);
	size_t number = 0;

	(void)state;
	bringing_syslog(&bringing, SCHEME_UNIX);
	messages_add(&bringing, 100);
	bringing.most = 5;
	while (number < bringing.count) {
		bringing_step(&bringing);
		number = datagrams_take(&bringing, fd, number);
	}
	bringing_settle_all(&bringing);
	assert_int_equal(bringing.failures, 0);
}

/* A stream listens there: a message a line. */
static void test_local_stream(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	CLEANUP_FD int listener = path_bind(SOCK_STREAM), fd = -1;
	char bytes[FRAME_MOST], *end;
	size_t length = 0, number = 0;

	(void)state;
	bringing_syslog(&bringing, SCHEME_UNIX);
	messages_add(&bringing, 100);
	bringing.most = 5;
	bringing_step(&bringing);
	fd = accept(listener, NULL, NULL);
	while (number < bringing.count) {
		ssize_t got;

		bringing_step(&bringing);
		got = recv(fd, bytes + length, sizeof(bytes) - length, MSG_DONTWAIT);
		if (got > 0)
			length += (size_t)got;
		while ((end = memchr(bytes, '\n', length))) {
			message_check(&bringing, number++, bytes, (size_t)(end - bytes));
			length -= (size_t)(end + 1 - bytes);
			memmove(bytes, end + 1, length);
		}
	}
	assert_int_equal(length, 0);
	bringing_settle_all(&bringing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),	 cmocka_unit_test(test_head_hostile),
		cmocka_unit_test(test_octets),	 cmocka_unit_test(test_udp),
		cmocka_unit_test(test_udp_away), cmocka_unit_test(test_udp_away_much),
		cmocka_unit_test(test_local),	 cmocka_unit_test(test_local_stream),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
