/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A service and those who ask it, through sockets in a folder of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "service_folder.h"

static bool exists(const char *name)
{
	struct stat status;

	return !lstat(service_path(name), &status);
}

static void test_question_and_answer(void **state)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(service_answer_free) struct service_answer answer;
	struct wire_event event = world_claim(42, 60002, 7, RECORDS_TIME + 5);
	struct server *server;
	struct stat status;

	(void)state;
	world_make(&world);
	world_process(&world, 42, 1000);
	world_tell(&world, &event);
	server = service_start(&world, 0);
	assert_int_equal(lstat(service_path(service_own_name()), &status), 0);
	assert_int_equal(status.st_mode, S_IFSOCK | 0666);
	assert_int_equal(service_ask_in_thread(server, &service_all, &answer), 1);
	assert_string_equal(answer.why, "");
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.leases[0].lease.local_port, 60002);
	assert_string_equal(answer.leases[0].claimant->process.exe, "/usr/bin/serve");
	assert_int_equal(answer.facts.pid, getpid());
	assert_int_equal(answer.facts.started_wall, RECORDS_WALL);
	while (server_clients(server))
		service_step(server);
	assert_false(service_ready(server));
	server_close(server);
	assert_false(exists(service_own_name()));
}

static void test_many(void **state)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(service_answer_free) struct service_answer answer;
	struct server *server;

	(void)state;
	world_make(&world);
	for (uint32_t pid = 1; pid <= 200; pid++)
		world_process(&world, pid, 1000);
	for (uint32_t i = 0; i < 50000; i++) {
		struct wire_event event = world_claim(1 + i % 200, (uint16_t)(10000 + i), 1 + i,
						      RECORDS_TIME + 1 + i);

		world_tell(&world, &event);
	}
	server = service_start(&world, LONG_MS);
	assert_int_equal(service_ask_in_thread(server, &service_all, &answer), 1);
	assert_int_equal(answer.count, 50000);
	for (uint32_t i = 0; i < 50000; i++)
		assert_int_equal(answer.leases[i].lease.local_port, 10000 + i);
	server_close(server);
}

/* ---- an end that is seen before what was said ---- */

static unsigned int ends_seen_early;

/* As Linux does it when the other end speaks and hangs up within one call. */
ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
	if (ends_seen_early && recvfrom(fd, bytes, size, flags | MSG_PEEK, NULL, NULL) > 0) {
		ends_seen_early--;
		return 0;
	}
	return recvfrom(fd, bytes, size, flags, NULL, NULL);
}

static void test_hangs_up_with_its_answer(void **state)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(service_answer_free) struct service_answer answer;
	struct wire_event event = world_claim(42, 60002, 7, RECORDS_TIME + 5);
	struct server *server;

	(void)state;
	world_make(&world);
	world_tell(&world, &event);
	server = service_start(&world, LONG_MS);
	ends_seen_early = 1;
	assert_int_equal(service_ask_in_thread(server, &service_all, &answer), 1);
	assert_int_equal(ends_seen_early, 0);
	assert_string_equal(answer.why, "");
	assert_int_equal(answer.count, 1);
	server_close(server);
}

static void test_nobody(void **state)
{
	struct service_query elsewhere = service_all;
	struct service_answer answer;

	(void)state;
	assert_int_equal(service_query(&service_all, LONG_MS, &answer), 0);
	assert_string_equal(answer.why, "");
	elsewhere.place.folder = "/nonexistent/portsnoop";
	assert_int_equal(service_query(&elsewhere, LONG_MS, &answer), 0);
	assert_string_equal(answer.why, "");
}

/* ---- what lies in the folder ---- */

/* A socket as a service would have it, where `listener` listens, or nobody. */
static int stand_in(const char *name, bool listening, uid_t listener)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(folder_address(&service_place, name, &address), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	if (!listening) {
		close(fd);
		return -1;
	}
	assert_int_equal(seteuid(listener), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(seteuid(service_place.owner), 0);
	return fd;
}

static void stand_in_end(const char *name, int fd)
{
	close(fd);
	assert_int_equal(unlink(service_path(name)), 0);
}

static void test_dead_sockets(void **state)
{
	CLEANUP(world_free) struct world world;
	struct service_answer answer;
	struct server *server;
	int file;

	(void)state;
	world_make(&world);
	stand_in("71.sock", false, service_place.owner);
	stand_in("72.new", false, service_place.owner); /* not there yet */
	stand_in("073.sock", false, service_place.owner);
	assert_int_equal(service_query(&service_all, LONG_MS, &answer), 0);
	assert_string_equal(answer.why, "");
	assert_false(exists("71.sock"));
	file = open(service_path("74.sock"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	close(file);
	assert_int_equal(service_query(&service_all, LONG_MS, &answer), -EPERM);
	assert_string_equal(
		answer.why,
		"portsnoop[74]: its socket belongs neither to root nor to the folder's owner");
	unlink(service_path("74.sock"));
	/* A service that begins cleans up as well: an asker may not be able to. */
	stand_in("71.sock", false, service_place.owner);
	stand_in(service_own_name(), false, service_place.owner); /* of one that had our number */
	server = service_start(&world, 0);
	assert_false(exists("71.sock"));
	assert_true(exists("72.new"));
	assert_true(exists("073.sock"));
	assert_true(exists(service_own_name()));
	server_close(server);
	assert_int_equal(unlink(service_path("72.new")), 0);
	assert_int_equal(unlink(service_path("073.sock")), 0);
}

static void test_name_taken(void **state)
{
	CLEANUP(world_free) struct world world;
	struct server_options options = {.place = service_place};
	struct server *server, *second;

	(void)state;
	world_make(&world);
	options.source = world.source;
	server = service_start(&world, 0);
	assert_int_equal(server_open(&options, &second), -EADDRINUSE);
	assert_true(exists(service_own_name()));
	server_close(server);
}

static void test_not_trusted(void **state)
{
	CLEANUP(world_free) struct world world;
	struct server_options options = {.place = service_place};
	struct service_query query = service_all;
	struct service_answer answer;
	struct server *server;

	(void)state;
	world_make(&world);
	options.source = world.source;
	assert_int_equal(chmod(service_folder, 0775), 0);
	assert_int_equal(server_open(&options, &server), -EPERM);
	assert_int_equal(service_query(&service_all, LONG_MS, &answer), -EPERM);
	assert_string_equal(answer.why,
			    "the folder of the services is open to others than root and its owner: "
			    "none is asked");
	assert_int_equal(chmod(service_folder, 0757), 0);
	assert_int_equal(service_query(&service_all, LONG_MS, &answer), -EPERM);
	assert_int_equal(chmod(service_folder, 0755), 0);
	options.place.owner = query.place.owner = service_place.owner + 1;
	assert_int_equal(server_open(&options, &server), -EPERM);
	assert_int_equal(service_query(&query, LONG_MS, &answer), -EPERM);
}

#define SERVICE_USER 12345

/* A folder within ours, as a service manager makes it for the user of a service. */
static struct service_place user_folder_make(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s", service_path("run"));
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chown(path, SERVICE_USER, SERVICE_USER), 0);
	return (struct service_place){.folder = path, .owner = service_place.owner};
}

/* What somebody is told of who has claimed the one port. */
static void told_expect(struct server *server, const struct service_query *query, uid_t uid,
			size_t leases, size_t withheld)
{
	CLEANUP(service_answer_free) struct service_answer answer;

	assert_int_equal(seteuid(uid), 0);
	assert_int_equal(service_ask_in_thread(server, query, &answer), 1);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(answer.count, leases);
	assert_int_equal(answer.withheld, withheld);
}

static void test_service_user(void **state)
{
	CLEANUP(world_free) struct world world;
	struct wire_event event = world_claim(42, 60002, 7, RECORDS_TIME + 5);
	struct server_options options = {.place = service_place};
	struct service_query query = service_all;
	struct service_answer answer;
	struct server *server;

	(void)state;
	if (geteuid()) {
		print_message("only root can make a folder for somebody else\n");
		skip();
	}
	world_make(&world);
	event.uid = 1000;
	world_tell(&world, &event);
	options.source = world.source;
	options.place = query.place = user_folder_make();
	assert_int_equal(seteuid(SERVICE_USER + 1), 0);
	assert_int_equal(server_open(&options, &server), -EPERM);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(seteuid(SERVICE_USER), 0);
	assert_int_equal(server_open(&options, &server), 0);
	told_expect(server, &query, 0, 1, 0);
	told_expect(server, &query, SERVICE_USER, 1, 0);
	told_expect(server, &query, 1000, 1, 0);
	told_expect(server, &query, 1001, 0, 1);
	/* Where others could have put the folder, it may be anybody's. */
	for (size_t i = 0; i < 3; i++) {
		static const mode_t modes[] = {01777, 0775, 0757};

		assert_int_equal(chmod(service_folder, modes[i]), 0);
		assert_int_equal(service_query(&query, LONG_MS, &answer), -EPERM);
	}
	assert_int_equal(chmod(service_folder, 0755), 0);
	assert_int_equal(chown(service_folder, SERVICE_USER + 1, 0), 0);
	assert_int_equal(service_query(&query, LONG_MS, &answer), -EPERM);
	assert_int_equal(chown(service_folder, 0, 0), 0);
	told_expect(server, &query, 0, 1, 0);
	server_close(server);
	assert_int_equal(rmdir(query.place.folder), 0);
}

/* Root may serve in the folder of the service's user, and is root there. */
static void test_root_beside_service(void **state)
{
	CLEANUP(world_free) struct world world;
	struct wire_event event = world_claim(42, 60002, 7, RECORDS_TIME + 5);
	struct server_options options = {.place = service_place};
	struct service_query query = service_all;
	struct server *server;

	(void)state;
	if (geteuid()) {
		print_message("only root can make a folder for somebody else\n");
		skip();
	}
	world_make(&world);
	event.uid = 1000;
	world_tell(&world, &event);
	options.source = world.source;
	options.place = query.place = user_folder_make();
	assert_int_equal(server_open(&options, &server), 0);
	told_expect(server, &query, 0, 1, 0);
	told_expect(server, &query, SERVICE_USER, 0, 1);
	server_close(server);
	assert_int_equal(rmdir(query.place.folder), 0);
}

/* The folder and the socket are root's, but who listens is somebody else. */
static void test_somebody_else(void **state)
{
	CLEANUP(world_free) struct world world;
	struct server_options options = {.place = service_place};
	struct service_answer answer;
	struct server *server;
	int fd;

	(void)state;
	if (geteuid()) {
		print_message("only root can be somebody else\n");
		skip();
	}
	world_make(&world);
	options.source = world.source;
	assert_int_equal(seteuid(12345), 0);
	assert_int_equal(server_open(&options, &server), -EPERM);
	assert_int_equal(seteuid(0), 0);
	fd = stand_in("75.sock", true, 12345);
	assert_int_equal(service_query(&service_all, LONG_MS, &answer), -EPERM);
	assert_non_null(strstr(answer.why, ": its socket belongs neither to root"));
	stand_in_end("75.sock", fd);
	/* Nor somebody who could take root's place in between. */
	fd = stand_in("75.sock", true, 0);
	assert_int_equal(chown(service_path("75.sock"), 12345, 0), 0);
	assert_int_equal(service_query(&service_all, LONG_MS, &answer), -EPERM);
	stand_in_end("75.sock", fd);
}

/* ---- services that are not as they should be ---- */

static void test_silent_service(void **state)
{
	struct service_answer answer;
	char why[80];
	int fd = stand_in("76.sock", true, service_place.owner);

	(void)state;
	assert_int_equal(service_query(&service_all, 1, &answer), -ETIMEDOUT);
	snprintf(why, sizeof(why), "portsnoop[%d]: it did not answer in time", (int)getpid());
	assert_string_equal(answer.why, why);
	stand_in_end("76.sock", fd);
}

struct impostor {
	int listener;
	bool answers;
	struct service_hello hello;
};

/* Greets, takes the question, says that there is nothing (or not even this) and hangs up. */
static void *impostor_run(void *context)
{
	const struct impostor *impostor = context;
	struct service_end end = {
		.header = {SERVICE_MAGIC, SERVICE_VERSION, SERVICE_END, sizeof(end), 0}};
	struct service_ask question;
	int fd = accept4(impostor->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 || send(fd, &impostor->hello, sizeof(impostor->hello), MSG_NOSIGNAL) < 0)
		abort();
	if (recv(fd, &question, sizeof(question), 0) < 0 && errno != ECONNRESET)
		abort();
	if (impostor->answers && send(fd, &end, sizeof(end), MSG_NOSIGNAL) < 0)
		abort();
	close(fd);
	return NULL;
}

static struct service_hello hello_make(void)
{
	return (struct service_hello){
		.header = {SERVICE_MAGIC, SERVICE_VERSION, SERVICE_HELLO,
			   sizeof(struct service_hello), 0},
		.watching = UINT64_MAX,
		.tier = WIRE_TIER_FENTRY,
	};
}

static void test_other_version(void **state)
{
	struct impostor impostor = {.listener = stand_in("77.sock", true, service_place.owner),
				    .hello = hello_make()};
	struct service_answer answer;
	pthread_t thread;
	char why[120];

	(void)state;
	impostor.hello.header.version = 7;
	assert_int_equal(pthread_create(&thread, NULL, impostor_run, &impostor), 0);
	assert_int_equal(service_query(&service_all, LONG_MS, &answer), -EPROTONOSUPPORT);
	snprintf(why, sizeof(why),
		 "portsnoop[%d]: it speaks version 7 of the service's protocol, this portsnoop "
		 "version 1",
		 (int)getpid());
	assert_string_equal(answer.why, why);
	assert_int_equal(pthread_join(thread, NULL), 0);
	stand_in_end("77.sock", impostor.listener);
}

/* In another process namespace it has another number than it knows of. */
static void test_number_of_process(void **state)
{
	struct impostor impostor = {.listener = stand_in("79.sock", true, service_place.owner),
				    .answers = true,
				    .hello = hello_make()};
	struct service_answer answer;
	pthread_t thread;

	(void)state;
	impostor.hello.pid = 1;
	assert_int_equal(pthread_create(&thread, NULL, impostor_run, &impostor), 0);
	assert_int_equal(service_query(&service_all, LONG_MS, &answer), 1);
	assert_int_equal(answer.facts.pid, getpid());
	assert_int_equal(answer.facts.watching, UINT64_MAX);
	assert_int_equal(answer.count, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	stand_in_end("79.sock", impostor.listener);
}

/* The one that has been watching longer is asked first. */
static void test_next_one(void **state)
{
	struct impostor impostor = {.hello = hello_make()};
	CLEANUP(world_free) struct world world;
	CLEANUP(service_answer_free) struct service_answer answer;
	struct wire_event event = world_claim(42, 60002, 7, RECORDS_TIME + 5);
	struct server *server;
	pthread_t thread;

	(void)state;
	world_make(&world);
	world_tell(&world, &event);
	server = service_start(&world, LONG_MS);
	/* Now: a service that begins looks whether the others are alive. */
	impostor.listener = stand_in("78.sock", true, service_place.owner);
	assert_int_equal(pthread_create(&thread, NULL, impostor_run, &impostor), 0);
	assert_int_equal(service_ask_in_thread(server, &service_all, &answer), 2);
	assert_non_null(strstr(answer.why, ": it hung up"));
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.facts.stream, RECORDS_ID);
	assert_int_equal(pthread_join(thread, NULL), 0);
	server_close(server);
	stand_in_end("78.sock", impostor.listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question_and_answer),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_hangs_up_with_its_answer),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_dead_sockets),
		cmocka_unit_test(test_name_taken),
		cmocka_unit_test(test_not_trusted),
		cmocka_unit_test(test_service_user),
		cmocka_unit_test(test_root_beside_service),
		cmocka_unit_test(test_somebody_else),
		cmocka_unit_test(test_silent_service),
		cmocka_unit_test(test_other_version),
		cmocka_unit_test(test_number_of_process),
		cmocka_unit_test(test_next_one),
	};

	return cmocka_run_group_tests(tests, service_folder_make, service_folder_remove);
}
