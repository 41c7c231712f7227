/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `record --status`: whom it asks, and what it returns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "command/record_status.h"
#include "lib/cleanup.h"
#include "service_folder.h"

static void expect_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void expect_lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" in:\n%s", part, text);
}

static void status_fill(void *context, struct service_status *status)
{
	(void)context;
	status->told |= SERVICE_STATUS_STORE | SERVICE_STATUS_PRIVATE;
	snprintf(status->store_path, sizeof(status->store_path), "/x.db");
}

struct run {
	bool json;
	int status;
	char out[1 << 14], err[1 << 10];
};

static void run_ask(void *context)
{
	struct run *run = context;

	run->status = record_status_run(run->json, &service_place);
}

/* What is written to the descriptor until capture_end(). */
struct capture {
	int fd, before, file;
};

static struct capture capture_begin(int fd)
{
	struct capture capture = {.fd = fd, .before = dup(fd), .file = memfd_create("out", 0)};

	assert_true(capture.before >= 0 && capture.file >= 0);
	assert_int_equal(dup2(capture.file, fd), fd);
	return capture;
}

static void capture_end(const struct capture *capture, char *text, size_t size)
{
	ssize_t length = pread(capture->file, text, size - 1, 0);

	dup2(capture->before, capture->fd);
	close(capture->before);
	close(capture->file);
	assert_true(length >= 0 && (size_t)length < size - 1);
	text[length] = '\0';
}

/* With this server; NULL: without any. */
static void run(struct run *run, struct server *server)
{
	struct capture out, err;

	fflush(stdout);
	out = capture_begin(STDOUT_FILENO);
	err = capture_begin(STDERR_FILENO);
	if (server)
		service_serve(server, run_ask, run);
	else
		run_ask(run);
	capture_end(&err, run->err, sizeof(run->err));
	capture_end(&out, run->out, sizeof(run->out));
}

static const char nobody[] =
	"portsnoop: nobody records: 'systemctl start portsnoop' or 'portsnoop record' does\n";

static void test_nobody(void **state)
{
	struct run table = {0}, json = {.json = true};

	(void)state;
	run(&table, NULL);
	assert_int_equal(table.status, 1);
	assert_string_equal(table.out, "");
	assert_string_equal(table.err, nobody);
	run(&json, NULL);
	assert_int_equal(json.status, 1);
	assert_string_equal(json.out, "{\"schema\":1,\"recording\":false}\n");
	assert_string_equal(json.err, nobody);
}

static void test_recorder(void **state)
{
	CLEANUP(world_free) struct world world;
	struct run table = {0}, json = {.json = true};
	struct server *server;
	char pid[32];

	(void)state;
	world_make(&world);
	world.source.status = status_fill;
	server = service_start(&world, LONG_MS);
	run(&table, server);
	assert_int_equal(table.status, 0);
	assert_string_equal(table.err, "");
	expect_has(table.out, "recording since ");
	expect_has(table.out, "  file        /x.db\n");
	snprintf(pid, sizeof(pid), "portsnoop[%d]", (int)getpid());
	expect_has(table.out, pid);
	run(&json, server);
	assert_int_equal(json.status, 0);
	assert_string_equal(json.err, "");
	expect_has(json.out, "{\"schema\":1,\"recording\":true,");
	expect_has(json.out, "\"path\":\"/x.db\"");
	server_close(server);
}

static void test_trace(void **state)
{
	CLEANUP(world_free) struct world world;
	struct run table = {0};
	struct server *server;

	(void)state;
	world_make(&world);
	server = service_start(&world, LONG_MS);
	run(&table, server);
	assert_int_equal(table.status, 1);
	assert_string_equal(table.err, nobody);
	expect_has(table.out, "not recording; only watching since ");
	expect_has(table.out, "\nleases\n");
	server_close(server);
}

/* ---- several ---- */

/* Another service, which greets, hears, and says what it was told to, or hangs up. */
struct another {
	int listener;
	const struct service_status *status; /* NULL: hangs up */
	pthread_t thread;
};

static void *another_run(void *context)
{
	const struct another *another = context;
	const struct service_hello hello = {
		.header = {SERVICE_MAGIC, SERVICE_VERSION, SERVICE_HELLO, sizeof(hello), 0},
		.watching = UINT64_MAX,
		.tier = WIRE_TIER_FENTRY,
	};
	struct service_ask_status question;
	int fd = accept4(another->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 || send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) < 0)
		abort();
	if (recv(fd, &question, sizeof(question), 0) != sizeof(question) ||
	    question.header.type != SERVICE_ASK_STATUS)
		abort();
	if (another->status &&
	    send(fd, another->status, sizeof(*another->status), MSG_NOSIGNAL) < 0)
		abort();
	close(fd);
	return NULL;
}

#define ANOTHER "99.sock"

static void another_start(struct another *another, const struct service_status *status)
{
	struct sockaddr_un address;

	another->status = status;
	another->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_true(another->listener >= 0);
	assert_int_equal(folder_address(&service_place, ANOTHER, &address), 0);
	assert_int_equal(
		bind(another->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(another->listener, 4), 0);
	assert_int_equal(pthread_create(&another->thread, NULL, another_run, another), 0);
}

static void another_end(struct another *another)
{
	assert_int_equal(pthread_join(another->thread, NULL), 0);
	close(another->listener);
	assert_int_equal(unlink(service_path(ANOTHER)), 0);
}

/* It records, and has been watching the longest. */
static struct service_status status_of_another(void)
{
	return (struct service_status){
		.header = {SERVICE_MAGIC, SERVICE_VERSION, SERVICE_STATUS,
			   sizeof(struct service_status), 0},
		.told = SERVICE_STATUS_STORE | SERVICE_STATUS_PRIVATE | SERVICE_STATUS_LEDGER,
		.watching = UINT64_MAX,
		.tier = WIRE_TIER_FENTRY,
		.store_path = "/another.db",
	};
}

/* The one that watches longer is none, and is not told of. */
static void test_prefers_recorder(void **state)
{
	CLEANUP(world_free) struct world world;
	struct service_status status = status_of_another();
	struct run json = {.json = true};
	struct another another;
	struct server *server;

	(void)state;
	status.told = SERVICE_STATUS_LEDGER;
	world_make(&world);
	world.source.status = status_fill;
	server = service_start(&world, LONG_MS);
	another_start(&another, &status);
	run(&json, server);
	assert_int_equal(json.status, 0);
	assert_ptr_equal(strchr(json.out, '\n'), json.out + strlen(json.out) - 1);
	expect_has(json.out, "\"recording\":true");
	expect_has(json.out, "\"path\":\"/x.db\"");
	assert_string_equal(json.err, "");
	server_close(server);
	another_end(&another);
}

static void test_two_recorders(void **state)
{
	CLEANUP(world_free) struct world world;
	const struct service_status status = status_of_another();
	struct run json = {.json = true}, table = {0};
	struct another another;
	struct server *server;
	const char *second;

	(void)state;
	world_make(&world);
	world.source.status = status_fill;
	server = service_start(&world, LONG_MS);
	another_start(&another, &status);
	run(&json, server);
	another_end(&another);
	assert_int_equal(json.status, 0);
	expect_has(json.out, "\"path\":\"/another.db\"");
	second = strchr(json.out, '\n') + 1;
	expect_has(second, "\"path\":\"/x.db\"");
	another_start(&another, &status);
	run(&table, server);
	another_end(&another);
	expect_has(table.out, "not known\n\nrecording since ");
	server_close(server);
}

/* It may be the one that records. */
static void test_one_does_not_answer(void **state)
{
	CLEANUP(world_free) struct world world;
	struct run table = {0};
	struct another another;
	struct server *server;

	(void)state;
	world_make(&world);
	server = service_start(&world, LONG_MS);
	another_start(&another, NULL);
	run(&table, server);
	another_end(&another);
	assert_int_equal(table.status, 2);
	expect_has(table.err, ": it hung up\n");
	assert_string_equal(table.out, "");
	/* Unless another one does. */
	world.source.status = status_fill;
	server_close(server);
	server = service_start(&world, LONG_MS);
	another_start(&another, NULL);
	run(&table, server);
	another_end(&another);
	assert_int_equal(table.status, 0);
	expect_has(table.err, ": it hung up\n");
	expect_has(table.out, "recording since ");
	server_close(server);
	another_start(&another, NULL);
	run(&table, NULL);
	another_end(&another);
	assert_int_equal(table.status, 2);
	assert_string_equal(table.out, "");
	expect_lacks(table.err, "nobody");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody),	      cmocka_unit_test(test_recorder),
		cmocka_unit_test(test_trace),	      cmocka_unit_test(test_prefers_recorder),
		cmocka_unit_test(test_two_recorders), cmocka_unit_test(test_one_does_not_answer),
	};

	return cmocka_run_group_tests(tests, service_folder_make, service_folder_remove);
}
