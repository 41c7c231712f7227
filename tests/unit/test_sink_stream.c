/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lines by unix sockets and by TCP, to receivers that are away, restart, reset and tarry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "bringing.h"

static char folder[] = "/tmp/portsnoop-stream-XXXXXX", path[64];

static int folder_make(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", folder);
	return 0;
}

static int folder_remove(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

/* ---- a receiver, one connection at a time ---- */

struct receiver {
	bool unix_socket;
	int type;
	uint16_t port; /* TCP: 0 until it has listened once */
	int listener, fd;
	struct bringing_received received;
};

static void receiver_listen(struct receiver *receiver)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(receiver->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *address = receiver->unix_socket ? (struct sockaddr *)&un
							 : (struct sockaddr *)&in;
	socklen_t size = receiver->unix_socket ? sizeof(un) : sizeof(in);
	const int on = 1;

	strcpy(un.sun_path, path);
	if (receiver->unix_socket)
		unlink(path);
	receiver->listener =
		socket(address->sa_family, receiver->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(receiver->listener >= 0);
	setsockopt(receiver->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_return_code(bind(receiver->listener, address, size), errno);
	if (receiver->type == SOCK_STREAM)
		assert_return_code(listen(receiver->listener, 5), errno);
	if (!receiver->unix_socket) {
		assert_return_code(getsockname(receiver->listener, address, &size), errno);
		receiver->port = ntohs(in.sin_port);
	}
	receiver->fd = -1;
	if (receiver->type == SOCK_DGRAM) {
		receiver->fd = receiver->listener;
		received_part(&receiver->received);
	}
}

static void receiver_stop(struct receiver *receiver)
{
	if (receiver->fd >= 0 && receiver->fd != receiver->listener)
		close(receiver->fd);
	if (receiver->listener >= 0)
		close(receiver->listener);
	receiver->fd = receiver->listener = -1;
}

static void receiver_reset(struct receiver *receiver)
{
	const struct linger now = {.l_onoff = 1};

	setsockopt(receiver->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	receiver_stop(receiver);
}

/* Takes what is there, `most` bytes at most. */
static size_t receiver_read(struct receiver *receiver, size_t most)
{
	struct buffer *part;
	size_t total = 0;

	if (receiver->fd < 0) {
		receiver->fd = accept4(receiver->listener, NULL, NULL, SOCK_NONBLOCK);
		if (receiver->fd < 0)
			return 0;
		received_part(&receiver->received);
	}
	part = &receiver->received.parts[receiver->received.count - 1];
	while (total < most) {
		size_t room = most - total < 65536 ? most - total : 65536;
		ssize_t got;

		assert_true(buffer_room(part, room));
		got = recv(receiver->fd, part->data + part->length, room, 0);
		if (got <= 0)
			break;
		part->length += (size_t)got;
		total += (size_t)got;
	}
	return total;
}

static void receiver_free(struct receiver *receiver)
{
	receiver_stop(receiver);
	received_free(&receiver->received);
}

#define UNIX_RECEIVER                                                                              \
	((struct receiver){.unix_socket = true, .type = SOCK_STREAM, .listener = -1, .fd = -1})
#define TCP_RECEIVER ((struct receiver){.type = SOCK_STREAM, .listener = -1, .fd = -1})

static char port_text[8];

static void bringing_to(struct bringing *bringing, const struct receiver *receiver)
{
	bringing_make(bringing, receiver->unix_socket ? &sink_unix : &sink_tcp);
	bringing->spec.path = path;
	bringing->spec.host = "127.0.0.1";
	snprintf(port_text, sizeof(port_text), "%u", receiver->port);
	bringing->spec.port = port_text;
	bringing_prepare(bringing);
}

static bool last_came(const struct bringing *bringing, const struct receiver *receiver)
{
	const struct frame *last = &bringing->frames[bringing->count - 1];
	const struct buffer *part = &receiver->received.parts[receiver->received.count - 1];

	return receiver->received.count && part->length >= last->size &&
	       !memcmp(part->data + part->length - last->size, last->bytes, last->size);
}

static void bring_all(struct bringing *bringing, struct receiver *receiver)
{
	do {
		struct pollfd look = {.events = POLLIN};

		bringing_step(bringing);
		look.fd = receiver->fd >= 0 ? receiver->fd : receiver->listener;
		poll(&look, 1, bringing->next == bringing->count ? 100 : 0);
		receiver_read(receiver, SIZE_MAX);
	} while (!last_came(bringing, receiver));
}

/* ---- what a receiver does ---- */

static void away_at_first(struct receiver *receiver)
{
	CLEANUP(bringing_free) struct bringing bringing;

	receiver_listen(receiver);
	receiver_stop(receiver);
	bringing_to(&bringing, receiver);
	bringing_frames_add(&bringing, 2000);
	bringing_step(&bringing);
	assert_int_equal(bringing.failures, 1);
	assert_int_equal(bringing.error, -ECONNREFUSED);
	assert_non_null(strstr(bringing.sink.why, "refused"));
	receiver_listen(receiver);
	bring_all(&bringing, receiver);
	assert_int_equal(bringing.failures, 1);
	assert_int_equal(receiver->received.count, 1);
	received_check(&receiver->received, &bringing, NULL);
	receiver_free(receiver);
}

static void test_away_at_first(void **state)
{
	struct receiver one = UNIX_RECEIVER, two = TCP_RECEIVER;

	(void)state;
	away_at_first(&one);
	away_at_first(&two);
}

/* Stops several times with bytes unread, in the middle of a line as chance has it. */
static void restarts(struct receiver *receiver, void (*stop)(struct receiver *receiver))
{
	CLEANUP(bringing_free) struct bringing bringing;
	size_t reads = 0;

	receiver_listen(receiver);
	bringing_to(&bringing, receiver);
	bringing_frames_add(&bringing, 10000);
	bringing.most = 20;
	for (unsigned int round = 0; round < 5; round++) {
		bringing_step(&bringing);
		while (bringing.open && bringing.next < bringing.count &&
		       reads < 300000 * (round + 1)) {
			reads += receiver_read(receiver, 7001);
			bringing_step(&bringing);
		}
		receiver_read(receiver, 1);
		bringing_step(&bringing);
		stop(receiver);
		/* It notices, by itself. */
		while (bringing.open)
			bringing_step(&bringing);
		receiver_listen(receiver);
	}
	assert_true(bringing.failures >= 5);
	bring_all(&bringing, receiver);
	assert_int_equal(receiver->received.count, 6);
	received_check(&receiver->received, &bringing, NULL);
	receiver_free(receiver);
}

static void test_restarts(void **state)
{
	struct receiver one = UNIX_RECEIVER, two = TCP_RECEIVER;

	(void)state;
	restarts(&one, receiver_stop);
	restarts(&two, receiver_stop);
}

static void test_resets(void **state)
{
	struct receiver receiver = TCP_RECEIVER;

	(void)state;
	restarts(&receiver, receiver_reset);
}

/* Of a unix socket it is known what was read: so much is settled, when it is old enough, or
 * enough came behind it. */
static void test_unix_settled(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	struct receiver receiver = UNIX_RECEIVER;
	size_t settled;

	(void)state;
	receiver_listen(&receiver);
	bringing_to(&bringing, &receiver);
	bringing_frames_add(&bringing, 3000);
	bringing_step(&bringing);
	assert_int_equal(bringing.settled, 0);
	while (bringing.next < bringing.count) {
		receiver_read(&receiver, SIZE_MAX);
		bringing_step(&bringing);
	}
	receiver_read(&receiver, SIZE_MAX);
	bringing_step(&bringing);
	settled = bringing.settled;
	assert_in_range(settled, 1000, 2900);
	/* Stopped, and all was read: but what was done with it? */
	receiver_stop(&receiver);
	bringing_step(&bringing);
	assert_false(bringing.open);
	assert_int_equal(bringing.error, -EPIPE);
	assert_int_equal(bringing.settled, settled);
	receiver_listen(&receiver);
	bring_all(&bringing, &receiver);
	received_check(&receiver.received, &bringing, NULL);
	receiver_free(&receiver);
}

static void test_unix_unread(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	struct receiver receiver = UNIX_RECEIVER;

	(void)state;
	receiver_listen(&receiver);
	bringing_to(&bringing, &receiver);
	bringing_frames_add(&bringing, 100);
	bringing_send_all(&bringing);
	receiver_read(&receiver, 5000);
	receiver_stop(&receiver);
	bringing_step(&bringing);
	assert_false(bringing.open);
	assert_int_equal(bringing.error, -ECONNRESET);
	assert_true(bringing.settled < 100);
	receiver_free(&receiver);
}

/* What TCP has acknowledged has not been read. */
static void test_tcp_unread(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	struct receiver receiver = TCP_RECEIVER;

	(void)state;
	receiver_listen(&receiver);
	bringing_to(&bringing, &receiver);
	bringing_frames_add(&bringing, 100);
	bringing_send_all(&bringing);
	receiver_read(&receiver, 5000);
	bringing_step(&bringing);
	assert_int_equal(bringing.settled, 0);
	receiver_stop(&receiver);
	while (bringing.open)
		bringing_step(&bringing);
	assert_int_equal(bringing.settled, 0);
	receiver_listen(&receiver);
	bring_all(&bringing, &receiver);
	received_check(&receiver.received, &bringing, NULL);
	receiver_free(&receiver);
}

/* One that reads nothing for longer than what usually counts as arrived, and is stopped. */
static void test_stalls(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	struct receiver receiver = TCP_RECEIVER;

	(void)state;
	receiver_listen(&receiver);
	bringing_to(&bringing, &receiver);
	bringing_frames_add(&bringing, 60000);
	while (bringing.waits < 3)
		bringing_step(&bringing);
	assert_string_equal(bringing.sink.why, "the other end does not read");
	receiver_read(&receiver, 1);
	receiver_stop(&receiver);
	while (bringing.open)
		bringing_step(&bringing);
	receiver_listen(&receiver);
	bring_all(&bringing, &receiver);
	received_check(&receiver.received, &bringing, NULL);
	receiver_free(&receiver);
}

/* In good order it is not held up by what it waits for. */
static void test_much(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	struct receiver receiver = TCP_RECEIVER;

	(void)state;
	receiver_listen(&receiver);
	bringing_to(&bringing, &receiver);
	bringing_frames_add(&bringing, 40000);
	while (bringing.next < bringing.count) {
		bringing_step(&bringing);
		receiver_read(&receiver, SIZE_MAX);
	}
	/* 13 MB in far less than the time that the last of it takes, 6 MB at most. */
	assert_true(bringing.settled > bringing.count / 4);
	bring_all(&bringing, &receiver);
	bringing_settle_all(&bringing);
	assert_int_equal(bringing.failures, 0);
	received_check(&receiver.received, &bringing, NULL);
	receiver_free(&receiver);
}

/* What a receiver says is read, and ignored. */
static void test_talks(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	struct receiver receiver = UNIX_RECEIVER;
	char chatter[100000] = "yes";

	(void)state;
	receiver_listen(&receiver);
	bringing_to(&bringing, &receiver);
	bringing_frames_add(&bringing, 10);
	bringing_send_all(&bringing);
	receiver_read(&receiver, SIZE_MAX);
	for (unsigned int i = 0; i < 20; i++) {
		assert_return_code(send(receiver.fd, chatter, sizeof(chatter), 0), errno);
		bringing_frames_add(&bringing, 10);
		bringing_step(&bringing);
		assert_true(bringing.open);
		receiver_read(&receiver, SIZE_MAX);
	}
	bring_all(&bringing, &receiver);
	received_check(&receiver.received, &bringing, NULL);
	receiver_free(&receiver);
}

static void test_heading(void **state)
{
	const char head[] = "@timestamp,event.action,";
	CLEANUP(bringing_free) struct bringing bringing;
	struct receiver receiver = UNIX_RECEIVER;
	const char *end;

	(void)state;
	receiver_listen(&receiver);
	bringing_make(&bringing, &sink_unix);
	bringing.spec.path = path;
	bringing.spec.format = &format_csv;
	bringing_prepare(&bringing);
	bringing_frame_add(&bringing, "a,b\n", 4);
	for (unsigned int i = 0; i < 2; i++) {
		struct buffer *part;

		bringing.settled = bringing.next = 0;
		bring_all(&bringing, &receiver);
		part = &receiver.received.parts[i];
		assert_true(part->length > sizeof(head));
		assert_memory_equal(part->data, head, sizeof(head) - 1);
		end = memchr(part->data, '\n', part->length);
		assert_non_null(end);
		assert_int_equal(part->data + part->length - end, 5);
		assert_memory_equal(end + 1, "a,b\n", 4);
		receiver_stop(&receiver);
		bringing_step(&bringing);
		assert_false(bringing.open);
		receiver_listen(&receiver);
	}
	receiver_free(&receiver);
}

/* ---- a datagram each ---- */

static void test_datagrams(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	struct receiver receiver = UNIX_RECEIVER;

	(void)state;
	receiver.type = SOCK_DGRAM;
	receiver_listen(&receiver);
	bringing_to(&bringing, &receiver);
	bringing_frames_add(&bringing, 5);
	bringing_step(&bringing);
	assert_int_equal(bringing.settled, 0);
	assert_int_equal(receiver_read(&receiver, bringing.frames[0].size),
			 bringing.frames[0].size);
	receiver_read(&receiver, SIZE_MAX);
	bringing_step(&bringing);
	assert_int_equal(bringing.settled, 5);
	/* Stopped with some of them unread: they come again, though no error told. */
	bringing_frames_add(&bringing, 5);
	bringing_step(&bringing);
	receiver_stop(&receiver);
	bringing_step(&bringing);
	assert_int_equal(bringing.settled, 5);
	receiver_listen(&receiver);
	bringing_step(&bringing);
	assert_int_equal(bringing.settled, 5);
	bringing_frames_add(&bringing, 2000);
	bring_all(&bringing, &receiver);
	assert_true(bringing.failures >= 1);
	received_check(&receiver.received, &bringing, NULL);
	receiver_free(&receiver);
}

static void test_datagram_too_long(void **state)
{
	static char much[1 << 20];
	CLEANUP(bringing_free) struct bringing bringing;
	struct receiver receiver = UNIX_RECEIVER;

	(void)state;
	receiver.type = SOCK_DGRAM;
	receiver_listen(&receiver);
	bringing_to(&bringing, &receiver);
	bringing_frame_add(&bringing, much, sizeof(much));
	bringing_frame_add(&bringing, "short\n", 6);
	bring_all(&bringing, &receiver);
	assert_int_equal(bringing.refused, 1);
	assert_int_equal(bringing.failures, 0);
	assert_string_equal(bringing.sink.why, "too long for one datagram");
	assert_int_equal(receiver.received.parts[0].length, 6);
	receiver_free(&receiver);
}

/* ---- what is no receiver ---- */

static void test_nobody(void **state)
{
	struct bringing bringing;

	(void)state;
	unlink(path);
	bringing_make(&bringing, &sink_unix);
	bringing.spec.path = path;
	bringing_prepare(&bringing);
	assert_int_equal(sink_unix.open(&bringing.sink), -ENOENT);
	bringing_free(&bringing);
	bringing_make(&bringing, &sink_tcp);
	bringing.spec.host = "no-such-host.invalid";
	bringing.spec.port = "5170";
	bringing_prepare(&bringing);
	assert_true(sink_tcp.open(&bringing.sink) < 0);
	assert_non_null(strstr(bringing.sink.why, "'no-such-host.invalid'"));
	bringing_free(&bringing);
}

/* All addresses of a name are tried: localhost has ::1 as well, where nobody listens. */
static void test_addresses(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	struct receiver receiver = TCP_RECEIVER;

	(void)state;
	receiver_listen(&receiver);
	bringing_to(&bringing, &receiver);
	bringing.spec.host = "localhost";
	bringing_frames_add(&bringing, 10);
	bringing_send_all(&bringing);
	assert_int_equal(bringing.failures, 0);
	receiver_free(&receiver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_away_at_first), cmocka_unit_test(test_restarts),
		cmocka_unit_test(test_resets),	      cmocka_unit_test(test_unix_settled),
		cmocka_unit_test(test_unix_unread),   cmocka_unit_test(test_tcp_unread),
		cmocka_unit_test(test_stalls),	      cmocka_unit_test(test_much),
		cmocka_unit_test(test_talks),	      cmocka_unit_test(test_heading),
		cmocka_unit_test(test_datagrams),     cmocka_unit_test(test_datagram_too_long),
		cmocka_unit_test(test_nobody),	      cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
