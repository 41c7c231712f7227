/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service_folder.h"

char service_folder[] = "/tmp/portsnoop-service-XXXXXX";
struct service_place service_place = {.folder = service_folder};
static struct port_set ports_all;
struct service_query service_all = {.ports = &ports_all};

int service_folder_make(void **state)
{
	(void)state;
	memset(&ports_all, 0xff, sizeof(ports_all));
	service_place.owner = geteuid();
	service_all.place = service_place;
	return mkdtemp(service_folder) && !chmod(service_folder, 0755) ? 0 : -1;
}

int service_folder_remove(void **state)
{
	(void)state;
	return rmdir(service_folder); /* and nothing is left in it */
}

const char *service_path(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", service_folder, name);
	return path;
}

const char *service_own_name(void)
{
	static char name[FOLDER_NAME];

	folder_name(name, (uint32_t)getpid());
	return name;
}

struct server *service_start(const struct world *world, unsigned int patience_ms)
{
	struct server_options options = {
		.source = world->source, .place = service_place, .patience_ms = patience_ms};
	struct server *server;

	assert_int_equal(server_open(&options, &server), 0);
	return server;
}

void service_step(struct server *server)
{
	struct pollfd ready = {.fd = server_fd(server), .events = POLLIN};

	assert_int_equal(poll(&ready, 1, LONG_MS), 1);
	assert_int_equal(server_handle(server), 0);
}

bool service_ready(const struct server *server)
{
	struct pollfd ready = {.fd = server_fd(server), .events = POLLIN};

	return poll(&ready, 1, 0) == 1;
}

struct serving {
	void (*ask)(void *context);
	void *context;
	int done; /* an eventfd */
};

static void *serving_run(void *context)
{
	struct serving *serving = context;
	uint64_t one = 1;

	serving->ask(serving->context);
	if (write(serving->done, &one, sizeof(one)) != sizeof(one))
		abort();
	return NULL;
}

void service_serve(struct server *server, void (*ask)(void *context), void *context)
{
	struct serving serving = {.ask = ask, .context = context, .done = eventfd(0, EFD_CLOEXEC)};
	struct pollfd fds[] = {{.fd = serving.done, .events = POLLIN},
			       {.fd = server_fd(server), .events = POLLIN}};
	pthread_t thread;

	assert_true(serving.done >= 0);
	assert_int_equal(pthread_create(&thread, NULL, serving_run, &serving), 0);
	while (!fds[0].revents) {
		assert_true(poll(fds, 2, LONG_MS) > 0);
		if (fds[1].revents)
			assert_int_equal(server_handle(server), 0);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(serving.done);
}

struct asking {
	const struct service_query *query;
	struct service_answer answer;
	int result;
};

static void query_ask(void *context)
{
	struct asking *asking = context;

	asking->result = service_query(asking->query, LONG_MS, &asking->answer);
}

int service_ask_in_thread(struct server *server, const struct service_query *query,
			  struct service_answer *answer)
{
	struct asking asking = {.query = query};

	service_serve(server, query_ask, &asking);
	*answer = asking.answer;
	return asking.result;
}
