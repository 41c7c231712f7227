/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The HTTP side of metrics, asked over the loopback by clients of every kind. */
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
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "sink/metrics_server.h"

#define PATIENCE 20000 /* ms, for what should come at once */
#define GET "GET /metrics HTTP/1.1\r\nHost: x\r\n"
#define WANTS_OPENMETRICS "Accept: application/openmetrics-text\r\n"

struct world {
	struct metrics_server *server;
	unsigned int pages;
	bool fails;
	uint16_t port;
};

static void page_write(void *context, bool classic, struct buffer *out)
{
	struct world *world = context;

	buffer_printf(out, "page %u %s\n", ++world->pages, classic ? "classic" : "openmetrics");
	out->failed |= world->fails;
}

static void world_open(struct world *world, unsigned int patience_ms)
{
	struct metrics_source source = {page_write, world, patience_ms};
	struct endpoint endpoint;
	const char *expected;
	char why[256] = "";

	*world = (struct world){0};
	assert_int_equal(parse_endpoint("0", &endpoint, &expected), 0);
	if (metrics_server_open(&endpoint, &source, &world->server, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(sscanf(metrics_server_url(world->server), "http://127.0.0.1:%hu/metrics",
				&world->port),
			 1);
}

static void world_close(struct world *world)
{
	metrics_server_close(world->server);
}

/* As the recorder's loop does, until the client has something to read. */
static void serve_until(struct world *world, int client)
{
	for (;;) {
		struct pollfd fds[] = {{.fd = metrics_server_fd(world->server), .events = POLLIN},
				       {.fd = client, .events = POLLIN}};
		int wait = metrics_server_timeout(world->server);

		if (wait < 0 || wait > PATIENCE)
			wait = PATIENCE;
		if (poll(fds, 2, wait) < 0 && errno != EINTR)
			fail_msg("poll: %s", strerror(errno));
		if (fds[1].revents)
			return;
		assert_int_equal(metrics_server_handle(world->server), 0);
	}
}

static int come(const struct world *world)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(world->port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	/* Whoever is refused may find the connection gone. */
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* All that comes until the server closes it; the client's to free. */
static char *hear(struct world *world, int fd)
{
	struct buffer answer = BUFFER_EMPTY;
	char bytes[4096];
	ssize_t got;

	do {
		serve_until(world, fd);
		got = recv(fd, bytes, sizeof(bytes), 0);
		if (got > 0)
			buffer_append(&answer, bytes, (size_t)got);
	} while (got > 0);
	buffer_byte(&answer, '\0');
	close(fd);
	return answer.data;
}

static char *ask(struct world *world, const char *request)
{
	int fd = come(world);

	say(fd, request);
	return hear(world, fd);
}

static void expect_answer(struct world *world, const char *request, const char *status,
			  const char *words)
{
	CLEANUP_FREE char *answer = ask(world, request);

	if (strncmp(answer, status, strlen(status)) != 0 || !strstr(answer, words))
		fail_msg("'%s' was answered with '%s', expected '%s' and '%s'", request, answer,
			 status, words);
}

static void test_formats(void **state)
{
	CLEANUP(world_close) struct world world;
	CLEANUP_FREE char *answer = NULL;

	(void)state;
	world_open(&world, 0);
	expect_answer(&world, GET "\r\n", "HTTP/1.1 200", "\r\n\r\npage 1 classic\n");
	expect_answer(&world, GET "\r\n", "HTTP/1.1 200",
		      "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	expect_answer(&world, GET WANTS_OPENMETRICS "\r\n", "HTTP/1.1 200",
		      "\r\nContent-Type: application/openmetrics-text; version=1.0.0; "
		      "charset=utf-8\r\n");
	expect_answer(&world, GET WANTS_OPENMETRICS "\r\n", "HTTP/1.1 200", " openmetrics\n");
	expect_answer(&world, "GET /metrics?a=b HTTP/1.0\r\n\r\n", "HTTP/1.", " classic\n");
	expect_answer(&world, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200",
		      "href=\"/metrics\"");
	answer = ask(&world, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_non_null(strstr(answer, "Content-Length: 15\r\n"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void test_refused(void **state)
{
	CLEANUP(world_close) struct world world;
	CLEANUP_FREE char *large = malloc(1 << 20);

	(void)state;
	assert_non_null(large);
	world_open(&world, 0);
	expect_answer(&world, "GET /metric HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404",
		      "/metrics");
	expect_answer(&world, "GET /metrics/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
		      "HTTP/1.1 404", "");
	expect_answer(&world, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		      "HTTP/1.1 405", "Allow: GET, HEAD\r\n");
	expect_answer(&world,
		      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nxxxx",
		      "HTTP/1.1 405", "");
	expect_answer(&world, "DELETE /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405", "");
	/* More than METRICS_REQUEST: refused, or cut off. */
	strcpy(large, GET "A: ");
	memset(large + strlen(large), 'a', 1 << 19);
	free(ask(&world, large));
	strcpy(large, "GET /");
	memset(large + 5, 'b', 1 << 19);
	free(ask(&world, large));
	free(ask(&world, "\x16\x03\x01\x02\x01\x01\xfc\x03\x03\r\n\r\n"));
	free(ask(&world, "\r\n\r\n\r\n \r\n\r\n"));
	assert_int_equal(world.pages, 0);
	world.fails = true;
	expect_answer(&world, GET "\r\n", "HTTP/1.1 503", "");
	world.fails = false;
	expect_answer(&world, GET "\r\n", "HTTP/1.1 200", "");
	assert_int_equal(metrics_server_connections(world.server), 0);
}

/* Who says nothing, or a byte at a time, is not waited for longer than the patience. */
static void test_slow(void **state)
{
	CLEANUP(world_close) struct world world;
	int silent, slow, left;

	(void)state;
	world_open(&world, 300);
	silent = come(&world);
	slow = come(&world);
	say(slow, GET);
	serve_until(&world, silent);
	assert_true(recv(silent, &left, sizeof(left), 0) <= 0);
	serve_until(&world, slow);
	assert_true(recv(slow, &left, sizeof(left), 0) <= 0);
	close(silent);
	close(slow);
	expect_answer(&world, GET "\r\n", "HTTP/1.1 200", "page 1 ");
	assert_int_equal(metrics_server_connections(world.server), 0);
	assert_int_equal(metrics_server_timeout(world.server), -1);
}

/* More than there is room for, all of them silent: who asks is answered at once. */
static void test_crowd(void **state)
{
	CLEANUP(world_close) struct world world;
	int fds[3 * METRICS_CONNECTIONS];
	unsigned int gone = 0;
	char byte;

	(void)state;
	world_open(&world, PATIENCE * 10);
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		fds[i] = come(&world);
		say(fds[i], GET);
		if (i % 16 == 15)
			expect_answer(&world, GET "\r\n", "HTTP/1.1 200", "classic");
		assert_true(metrics_server_connections(world.server) <= METRICS_CONNECTIONS);
	}
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		bool over = recv(fds[i], &byte, 1, MSG_DONTWAIT) >= 0 || errno == ECONNRESET;

		/* The oldest ones, and no others. */
		if (over)
			assert_true(gone == i);
		gone += over;
		close(fds[i]);
	}
	assert_true(gone >= sizeof(fds) / sizeof(*fds) - METRICS_CONNECTIONS);
}

/* Those who ask at once get what was made for the first of them. */
static void test_page_kept(void **state)
{
	CLEANUP(world_close) struct world world;
	int fds[20];

	(void)state;
	world_open(&world, 0);
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		fds[i] = come(&world);
		say(fds[i], GET "\r\n");
	}
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		CLEANUP_FREE char *answer = hear(&world, fds[i]);

		assert_non_null(strstr(answer, "classic\n"));
	}
	assert_true(world.pages < sizeof(fds) / sizeof(*fds));
}

static void test_taken(void **state)
{
	CLEANUP(world_close) struct world world;
	struct metrics_source source = {page_write, &world, 0};
	struct metrics_server *second = NULL;
	struct endpoint endpoint;
	const char *expected;
	char why[256], words[64];

	(void)state;
	world_open(&world, 0);
	assert_int_equal(parse_endpoint("0", &endpoint, &expected), 0);
	endpoint.port = world.port;
	assert_int_equal(metrics_server_open(&endpoint, &source, &second, why, sizeof(why)),
			 -EADDRINUSE);
	snprintf(words, sizeof(words), "portsnoop who %u/tcp", world.port);
	assert_non_null(strstr(why, words));
	/* TEST-NET-1 */
	assert_int_equal(parse_endpoint("192.0.2.1:1", &endpoint, &expected), 0);
	assert_int_equal(metrics_server_open(&endpoint, &source, &second, why, sizeof(why)),
			 -EADDRNOTAVAIL);
	assert_null(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),	  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_slow),	  cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_page_kept), cmocka_unit_test(test_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
