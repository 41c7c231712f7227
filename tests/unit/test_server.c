/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A service whose askers are not as they should be, or too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "service_folder.h"

/* A client at the other end of a socket pair. */
static int come(struct server *server, uid_t uid)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	server_admit(server, pair[0], uid);
	return pair[1];
}

static void hear_refusal(int fd, enum service_reason reason)
{
	struct service_refused refused;

	assert_int_equal(recv(fd, &refused, sizeof(refused), 0), sizeof(refused));
	assert_int_equal(refused.header.type, SERVICE_REFUSED);
	assert_int_equal(refused.reason, reason);
	assert_int_equal(recv(fd, &refused, sizeof(refused), 0), 0);
}

static void hear_greeting(int fd)
{
	struct service_hello hello;

	assert_int_equal(recv(fd, &hello, sizeof(hello), 0), sizeof(hello));
	assert_int_equal(hello.header.type, SERVICE_HELLO);
}

static void test_bad_question(void **state)
{
	CLEANUP(world_free) struct world world;
	struct server *server;
	struct service_ask question;
	char junk[16384] = "junk";
	int fd;

	(void)state;
	world_make(&world);
	server = service_start(&world, LONG_MS);
	fd = come(server, 1000);
	hear_greeting(fd);
	assert_int_equal(send(fd, junk, sizeof(junk), 0), sizeof(junk));
	service_step(server);
	hear_refusal(fd, SERVICE_MALFORMED);
	close(fd);
	answer_ask(&service_all, &question);
	question.header.version = 2;
	fd = come(server, 1000);
	hear_greeting(fd);
	assert_int_equal(send(fd, &question, sizeof(question), 0), sizeof(question));
	service_step(server);
	hear_refusal(fd, SERVICE_VERSION_UNKNOWN);
	close(fd);
	assert_int_equal(server_clients(server), 0);
	server_close(server);
}

static void test_uid_decides(void **state)
{
	CLEANUP(world_free) struct world world;
	struct wire_event event = world_claim(42, 60002, 7, RECORDS_TIME + 5);
	struct service_ask question;
	struct server *server;

	(void)state;
	world_make(&world);
	world_tell(&world, &event); /* of uid 1000 */
	server = service_start(&world, LONG_MS);
	answer_ask(&service_all, &question);
	for (uid_t uid = 1000; uid <= 1001; uid++) {
		CLEANUP(service_answer_free) struct service_answer answer = {0};
		char message[SERVICE_MESSAGE_MOST] __attribute__((aligned(8)));
		int fd = come(server, uid), result = 0;
		ssize_t size;

		hear_greeting(fd);
		assert_int_equal(send(fd, &question, sizeof(question), 0), sizeof(question));
		while (server_clients(server))
			service_step(server);
		while (!result) {
			size = recv(fd, message, sizeof(message), 0);
			assert_true(size > 0);
			result = answer_take(&answer, &service_all, message, (size_t)size);
		}
		assert_int_equal(result, 1);
		assert_int_equal(answer.count, uid == 1000);
		assert_int_equal(answer.withheld, uid == 1001);
		close(fd);
	}
	server_close(server);
}

/* Somebody who asks for more than a socket takes, and reads nothing. */
static int come_slow(struct server *server, struct world *world)
{
	struct service_ask question;
	int fd = come(server, service_place.owner);

	for (uint32_t i = 0; i < 20000; i++) {
		struct wire_event event =
			world_claim(1, (uint16_t)(10000 + i), 1 + i, RECORDS_TIME + 1 + i);

		world_tell(world, &event);
	}
	answer_ask(&service_all, &question);
	assert_int_equal(send(fd, &question, sizeof(question), 0), sizeof(question));
	return fd;
}

static void test_slow_client(void **state)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(service_answer_free) struct service_answer answer;
	struct server *server;
	int slow;

	(void)state;
	world_make(&world);
	server = service_start(&world, LONG_MS);
	slow = come_slow(server, &world);
	while (service_ready(server))
		assert_int_equal(server_handle(server), 0);
	assert_int_equal(server_clients(server), 1);
	assert_int_equal(service_ask_in_thread(server, &service_all, &answer), 1);
	assert_int_equal(answer.count, 20000);
	close(slow);
	server_close(server);
}

/* Neither is waited for longer than the patience. */
static void test_patience(void **state)
{
	CLEANUP(world_free) struct world world;
	struct server *server;
	int slow, silent;

	(void)state;
	world_make(&world);
	server = service_start(&world, 1);
	silent = come(server, service_place.owner);
	slow = come_slow(server, &world);
	while (server_clients(server))
		service_step(server);
	assert_false(service_ready(server));
	close(slow);
	close(silent);
	server_close(server);
}

static void test_too_many(void **state)
{
	CLEANUP(world_free) struct world world;
	int fds[SERVER_CLIENTS], count = 0, fd;
	struct server *server;

	(void)state;
	world_make(&world);
	server = service_start(&world, LONG_MS);
	/* One user cannot keep the others out, nor all users root. */
	for (uid_t uid = 70001; uid <= 70003; uid++)
		for (int i = 0; i < SERVER_CLIENTS_OF_USER; i++) {
			fds[count] = come(server, uid);
			hear_greeting(fds[count++]);
			if (i < SERVER_CLIENTS_OF_USER - 1)
				continue;
			fd = come(server, uid);
			hear_refusal(fd, SERVICE_BUSY);
			close(fd);
		}
	assert_int_equal(count, SERVER_CLIENTS - SERVER_RESERVED);
	fd = come(server, 70004);
	hear_refusal(fd, SERVICE_BUSY);
	close(fd);
	while (count < SERVER_CLIENTS) {
		fds[count] = come(server, service_place.owner);
		hear_greeting(fds[count++]);
	}
	fd = come(server, service_place.owner);
	hear_refusal(fd, SERVICE_BUSY);
	close(fd);
	/* Who is silent makes no work; who goes makes room. */
	assert_false(service_ready(server));
	close(fds[0]);
	while (server_clients(server) == SERVER_CLIENTS)
		service_step(server);
	fds[0] = come(server, 70004);
	hear_greeting(fds[0]);
	while (count)
		close(fds[--count]);
	server_close(server);
}

/* Out of descriptors it rests, or its owner's loop would spin; then it goes on. */
static void test_no_descriptors(void **state)
{
	CLEANUP(world_free) struct world world;
	struct sockaddr_un address;
	struct rlimit limit, low;
	struct server *server;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), next;

	(void)state;
	world_make(&world);
	server = service_start(&world, LONG_MS);
	assert_int_equal(folder_address(&service_place, service_own_name(), &address), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	next = dup(fd);
	close(next);
	low = limit;
	low.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	service_step(server);
	assert_int_equal(server_clients(server), 0);
	assert_false(service_ready(server));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (!server_clients(server))
		service_step(server);
	hear_greeting(fd);
	close(fd);
	server_close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_question), cmocka_unit_test(test_uid_decides),
		cmocka_unit_test(test_slow_client),  cmocka_unit_test(test_patience),
		cmocka_unit_test(test_too_many),     cmocka_unit_test(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, service_folder_make, service_folder_remove);
}
