/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "model/holding.h"
#include "probe/diag.h"

#define PORT 7401

/* What a 6.18 kernel answered: a socket that listens on [::1] for IPv6 alone, one that is
 * bound to 127.0.0.1 on a device, and the TIME_WAIT of a connection to the first. */
static const uint8_t answer_bytes[] = {
	/* [::1]:7401, listening */
	0x84, 0x00, 0x00, 0x00, 0x12, 0x00, 0x02, 0x00, 0x01, 0x00, 0x00, 0x00, 0x70, 0x24, 0x00,
	0x00, 0x0a, 0x0a, 0x00, 0x00, 0x1c, 0xe9, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x3e, 0xe7, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x86, 0x44, 0x86, 0x00, 0x05, 0x00,
	0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x0b, 0x00, 0x01, 0x00, 0x00, 0x00, 0x08,
	0x00, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x00, 0x15, 0x00, 0x01, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x16, 0x00, 0x12, 0x00, 0x00, 0x00,
	/* 127.0.0.1:7401, bound to the first device */
	0x7c, 0x00, 0x00, 0x00, 0x12, 0x00, 0x02, 0x00, 0x01, 0x00, 0x00, 0x00, 0x70, 0x24, 0x00,
	0x00, 0x02, 0x07, 0x00, 0x00, 0x1c, 0xe9, 0x00, 0x00, 0x7f, 0x00, 0x00, 0x01, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	0x3f, 0xe7, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x89, 0x44, 0x86, 0x00, 0x05, 0x00,
	0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0c,
	0x00, 0x15, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x16, 0x00,
	0x52, 0x00, 0x00, 0x00,
	/* [::1]:7401 to [::1]:46884, 59900 ms to go */
	0x60, 0x00, 0x00, 0x00, 0x12, 0x00, 0x02, 0x00, 0x01, 0x00, 0x00, 0x00, 0x70, 0x24, 0x00,
	0x00, 0x0a, 0x06, 0x03, 0x00, 0x1c, 0xe9, 0xb7, 0x24, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00,
	0x40, 0xe7, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0xfc, 0xe9, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00,
	0x0f, 0x00, 0x00, 0x00, 0x00, 0x00};

#define SECOND 132 /* where the messages begin */
#define THIRD 256

static const uint8_t done_bytes[] = {0x14, 0x00, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x01, 0x00,
				     0x00, 0x00, 0x70, 0x24, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};

static const struct diag_answer expected = {
	.sequence = 1, .protocol = IPPROTO_TCP, .low = PORT, .high = PORT};

struct seen {
	struct diag_socket sockets[4];
	size_t count;
	int result; /* what the visitor returns */
};

static int seen_add(const struct diag_socket *socket, void *context)
{
	struct seen *seen = context;

	if (seen->count < 4)
		seen->sockets[seen->count] = *socket;
	seen->count++;
	return seen->result;
}

/* From memory that ends where the bytes do, for the sanitizer to watch. */
static int parse_copy(const struct diag_answer *answer, const uint8_t *bytes, size_t length,
		      struct seen *seen)
{
	uint8_t *copy = malloc(length ? length : 1);
	int result;

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	result = diag_parse(answer, copy, length, seen_add, seen);
	free(copy);
	return result;
}

static void test_sockets(void **state)
{
	static const uint8_t v6[16] = {[15] = 1}, v4[16] = {127, 0, 0, 1}, none[16];
	struct seen seen = {0};
	const struct diag_socket *socket = seen.sockets;

	(void)state;
	assert_int_equal(parse_copy(&expected, answer_bytes, sizeof(answer_bytes), &seen), 0);
	assert_int_equal(seen.count, 3);

	assert_int_equal(socket->family, 6);
	assert_int_equal(socket->state, HOLDING_LISTEN);
	assert_int_equal(socket->protocol, IPPROTO_TCP);
	assert_int_equal(socket->local_port, PORT);
	assert_int_equal(socket->other_port, 0);
	assert_memory_equal(socket->local, v6, 16);
	assert_memory_equal(socket->other, none, 16);
	assert_int_equal(socket->inode, 0x864486);
	assert_true(socket->v6only);
	assert_false(socket->has_expires);

	socket++;
	assert_int_equal(socket->family, 4);
	assert_int_equal(socket->state, HOLDING_CLOSE);
	assert_memory_equal(socket->local, v4, 16);
	assert_int_equal(socket->device, 1);
	assert_int_equal(socket->inode, 0x864489);
	assert_false(socket->v6only);

	socket++;
	assert_int_equal(socket->state, HOLDING_TIME_WAIT);
	assert_int_equal(socket->other_port, 46884);
	assert_memory_equal(socket->other, v6, 16);
	assert_int_equal(socket->inode, 0);
	assert_true(socket->has_expires);
	assert_int_equal(socket->expires, 59900);
}

/* 6.8 gives such sockets a state of its own. */
static void test_bound(void **state)
{
	uint8_t bytes[sizeof(answer_bytes)];
	struct seen seen = {0};

	(void)state;
	memcpy(bytes, answer_bytes, sizeof(bytes));
	bytes[SECOND + 17] = 13;
	assert_int_equal(parse_copy(&expected, bytes, sizeof(bytes), &seen), 0);
	assert_int_equal(seen.sockets[1].state, HOLDING_CLOSE);
}

static void test_others(void **state)
{
	struct diag_answer other = expected;
	uint8_t bytes[sizeof(answer_bytes)];
	struct seen seen = {0};

	(void)state;
	other.sequence = 2;
	assert_int_equal(parse_copy(&other, answer_bytes, sizeof(answer_bytes), &seen), 0);
	other.sequence = 1;
	other.low = other.high = PORT + 1;
	assert_int_equal(parse_copy(&other, answer_bytes, sizeof(answer_bytes), &seen), 0);
	other.low = other.high = PORT - 1;
	assert_int_equal(parse_copy(&other, answer_bytes, sizeof(answer_bytes), &seen), 0);
	assert_int_equal(seen.count, 0);
	memcpy(bytes, answer_bytes, sizeof(bytes));
	bytes[16] = AF_UNIX;
	assert_int_equal(parse_copy(&expected, bytes, sizeof(bytes), &seen), 0);
	assert_int_equal(seen.count, 2);
}

static void test_end(void **state)
{
	uint8_t bytes[sizeof(done_bytes)];
	struct seen seen = {.result = -ECANCELED};
	int32_t error = -ENOENT;

	(void)state;
	assert_int_equal(parse_copy(&expected, done_bytes, sizeof(done_bytes), &seen), 1);
	assert_int_equal(parse_copy(&expected, answer_bytes, sizeof(answer_bytes), &seen),
			 -ECANCELED);
	assert_int_equal(seen.count, 1);
	/* The kernel's own error, in either kind of message. */
	memcpy(bytes, done_bytes, sizeof(bytes));
	memcpy(bytes + 16, &error, sizeof(error));
	assert_int_equal(parse_copy(&expected, bytes, sizeof(bytes), &seen), -ENOENT);
	bytes[4] = 2;
	assert_int_equal(parse_copy(&expected, bytes, sizeof(bytes), &seen), -ENOENT);
	/* An acknowledgement is no answer. */
	memset(bytes + 16, 0, sizeof(error));
	assert_int_equal(parse_copy(&expected, bytes, sizeof(bytes), &seen), -EBADMSG);
}

static void test_cut(void **state)
{
	(void)state;
	for (size_t length = 0; length < sizeof(answer_bytes); length++) {
		struct seen seen = {0};
		int result = parse_copy(&expected, answer_bytes, length, &seen);
		bool whole = length == 0 || length == SECOND || length == THIRD;

		assert_int_equal(result, whole ? 0 : -EBADMSG);
		assert_int_equal(seen.count, (length >= SECOND) + (length >= THIRD));
	}
}

/* A message that is whole but too short for what it says it is. */
static void test_short(void **state)
{
	uint8_t bytes[SECOND];

	(void)state;
	memcpy(bytes, answer_bytes, sizeof(bytes));
	for (uint8_t length = 16; length <= 88; length++) {
		struct seen seen = {0};

		bytes[0] = length;
		assert_int_equal(parse_copy(&expected, bytes, length, &seen),
				 length < 88 ? -EBADMSG : 0);
		assert_int_equal(seen.count, length == 88);
	}
}

/* No byte can make it read elsewhere or run for ever, or show a port that was not asked
 * for. */
static void test_damaged(void **state)
{
	static const uint8_t values[] = {0x00, 0x01, 0x03, 0x0f, 0x7f, 0x80, 0xff};
	uint8_t bytes[sizeof(answer_bytes)];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		for (size_t k = 0; k < sizeof(values); k++) {
			struct seen seen = {0};

			memcpy(bytes, answer_bytes, sizeof(bytes));
			bytes[i] = values[k];
			parse_copy(&expected, bytes, sizeof(bytes), &seen);
			assert_true(seen.count <= 4);
			for (size_t n = 0; n < seen.count && n < 4; n++)
				assert_int_equal(seen.sockets[n].local_port, PORT);
		}
	}
}

/* An attribute that says it is shorter than its own head, or longer than the message. */
static void test_attributes(void **state)
{
	static const uint16_t lengths[] = {0, 3, 4, 45, 60000};
	uint8_t bytes[SECOND];

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct seen seen = {0};

		memcpy(bytes, answer_bytes, sizeof(bytes));
		memcpy(bytes + 96, &lengths[i], sizeof(lengths[i])); /* that of v6only */
		assert_int_equal(parse_copy(&expected, bytes, sizeof(bytes), &seen), 0);
		assert_int_equal(seen.count, 1);
		assert_false(seen.sockets[0].v6only);
	}
}

/* The kernel of this machine, asked about a socket of ours. */
static int own_socket(uint16_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static void test_kernel(void **state)
{
	struct seen seen = {0};
	uint16_t port;
	int fd = own_socket(&port), diag = diag_open(), result;

	(void)state;
	result = diag < 0 ? diag : diag_list(diag, IPPROTO_TCP, port, port, seen_add, &seen);
	if (result == -ENOENT || result == -EPROTONOSUPPORT || result == -EPERM) {
		print_message("this machine has no tcp_diag\n");
		close(fd);
		skip();
	}
	assert_int_equal(result, 0);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.sockets[0].local_port, port);
	assert_int_equal(seen.sockets[0].state, HOLDING_LISTEN);
	assert_int_equal(seen.sockets[0].uid, getuid());
	assert_true(seen.sockets[0].inode != 0);

	/* Who gives up half-way can ask again. */
	seen = (struct seen){.result = -ECANCELED};
	assert_int_equal(diag_list(diag, IPPROTO_TCP, 1, UINT16_MAX, seen_add, &seen), -ECANCELED);
	assert_int_equal(seen.count, 1);
	seen = (struct seen){0};
	assert_int_equal(diag_list(diag, IPPROTO_TCP, port, port, seen_add, &seen), 0);
	assert_int_equal(seen.count, 1);
	close(fd);
	seen = (struct seen){0};
	assert_int_equal(diag_list(diag, IPPROTO_TCP, port, port, seen_add, &seen), 0);
	assert_int_equal(seen.count, 0);
	assert_int_equal(diag_list(diag, IPPROTO_ICMP, port, port, seen_add, &seen), -ENOENT);
	close(diag);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockets), cmocka_unit_test(test_bound),
		cmocka_unit_test(test_others),	cmocka_unit_test(test_end),
		cmocka_unit_test(test_cut),	cmocka_unit_test(test_short),
		cmocka_unit_test(test_damaged), cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
