/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: store FOLDER LEASES
 *
 * Gives so many leases to a store in this folder, as the recorder does, in three ways, and
 * prints a line for each as JSON: leases, seconds of CPU and of the clock, bytes of the
 * database and of its tables about processes. One commit for each second's worth at
 * 200,000 a second.
 */
#include <endian.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"

#define SECOND INT64_C(1000000000)
#define START (INT64_C(1800000000) * SECOND)
#define COMMIT_EVERY 200000

static uint64_t random_state;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static int64_t clock_now(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

static uint32_t process_give(struct store *store, uint64_t n)
{
	char args[64];
	struct process details = {
		.key = {.pid = 1000 + n % 4000000, .start = 1000000000 + n * 1000},
		.namespace_pid = 1000 + n % 4000000,
		.parent_pid = 812,
		.uid = 1000,
		.gid = 1000,
		.comm = "curl",
		.parent_comm = "bash",
		.exe = "/usr/bin/curl",
		.exe_length = 13,
		.args = args,
		.cgroup = "/system.slice/worker.service",
		.cgroup_length = 28,
		.container = {.unit = "worker.service"},
	};
	struct store_process process = {.key = details.key,
					.uid = 1000,
					.comm = "curl",
					.user = "worker",
					.details = &details};
	uint32_t id = store_process_find(store, &process);

	if (id)
		return id;
	memcpy(args, "curl\0-sS\0http://127.0.0.1/health", 33);
	details.args_length = 33;
	return store_process(store, &process);
}

/* What all have: ports of the pool, held for 0.1 ms to 1 s. */
static struct store_lease lease_make(uint64_t n)
{
	uint64_t chance = random_next();
	unsigned int digits = chance % 5;
	uint64_t held = 100000;

	while (digits--)
		held *= 10;
	return (struct store_lease){
		.claimed = START + (int64_t)n * 5000,
		.held = held + (chance >> 8) % held,
		.answered = STORE_UNKNOWN,
		.netns = 4026531840,
		.flags = WIRE_CLAIMED,
		.protocol = 6,
		.port = 32768 + (chance >> 40) % 28232,
		.pool_low = 32768,
		.pool_high = 60999,
		.family = 4,
		.trigger = WIRE_BIND,
		.origin = WIRE_ORIGIN_KERNEL,
		.outcome = STORE_BOUND,
		.ending = STORE_RELEASED,
	};
}

static void lease_connect(struct store_lease *lease, unsigned int remotes)
{
	uint64_t chance = random_next();
	uint32_t remote = htobe32(0x0a000000u + chance % remotes);

	lease->trigger = WIRE_CONNECT;
	lease->outcome = STORE_ESTABLISHED;
	lease->answered = 30000 + (chance >> 32) % 20000000;
	lease->lingered = 60 * SECOND + (chance >> 20) % 4000000;
	lease->held += lease->lingered;
	lease->remote_port = 443;
	memcpy(lease->local, "\300\250\001\002", 4);
	memcpy(lease->remote, &remote, 4);
}

static void bind_give(struct store *store, uint64_t n)
{
	struct store_lease lease = lease_make(n);

	lease.process = process_give(store, n % 50);
	store_lease_close(store, 0, &lease);
}

static void connect_give(struct store *store, uint64_t n)
{
	struct store_lease lease = lease_make(n);

	lease_connect(&lease, 20000);
	lease.process = process_give(store, n % 50);
	store_lease_close(store, 0, &lease);
}

static void alone_give(struct store *store, uint64_t n)
{
	struct store_lease lease = lease_make(n);

	lease_connect(&lease, 1);
	lease.process = process_give(store, n);
	store_lease_close(store, 0, &lease);
}

static const struct {
	const char *name;
	void (*give)(struct store *store, uint64_t n);
} ways[] = {
	{"bind to 0 and close, 50 processes", bind_give},
	{"TCP connect to 20,000 remotes, 50 processes", connect_give},
	{"TCP connect, a process each", alone_give},
};

static int64_t ask(const char *path, const char *sql)
{
	sqlite3 *connection = NULL;
	sqlite3_stmt *statement = NULL;
	int64_t number = -1;

	if (!sqlite3_open(path, &connection) &&
	    !sqlite3_prepare_v2(connection, sql, -1, &statement, NULL) &&
	    sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(connection);
	return number;
}

static void clear(const char *path)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
	char name[4200];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		unlink(name);
	}
}

static int measure(const char *path, size_t way, uint64_t leases)
{
	const struct store_options options = {.path = path, .max_size = UINT64_C(1) << 40};
	const struct store_run run = {.stream = 1, .started = START, .host = "bench"};
	int64_t processor, wall;
	struct store *store;
	char why[256];

	clear(path);
	random_state = 88172645463325252u;
	if (store_open(&options, &store, why, sizeof(why))) {
		fprintf(stderr, "store: %s\n", why);
		return 1;
	}
	processor = clock_now(CLOCK_PROCESS_CPUTIME_ID);
	wall = clock_now(CLOCK_MONOTONIC);
	store_run(store, &run);
	for (uint64_t n = 0; n < leases;) {
		ways[way].give(store, n++);
		if ((n % COMMIT_EVERY == 0 || n == leases) && store_commit(store, START + SECOND))
			return 1;
	}
	/* With the checkpoint of what is left in the WAL. */
	store_close(store, START + 2 * SECOND);
	processor = clock_now(CLOCK_PROCESS_CPUTIME_ID) - processor;
	wall = clock_now(CLOCK_MONOTONIC) - wall;
	if ((uint64_t)ask(path, "SELECT count(*) FROM lease") != leases) {
		fprintf(stderr, "store: not all leases are there\n");
		return 1;
	}
	printf("{\"way\": \"%s\", \"leases\": %llu, \"cpu\": %.3f, \"wall\": %.3f, \"bytes\": %lld,"
	       " \"processes\": %lld}\n",
	       ways[way].name, (unsigned long long)leases, (double)processor / 1e9,
	       (double)wall / 1e9,
	       (long long)ask(path, "SELECT (page_count - freelist_count) * page_size"
				    " FROM pragma_page_count, pragma_freelist_count,"
				    " pragma_page_size"),
	       (long long)ask(path, "SELECT count(*) FROM process"));
	fflush(stdout);
	clear(path);
	return 0;
}

int main(int argc, char **argv)
{
	char path[4096];
	uint64_t leases = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

	if (!leases) {
		fputs("usage: store FOLDER LEASES\n", stderr);
		return 2;
	}
	snprintf(path, sizeof(path), "%s/history.db", argv[1]);
	for (size_t way = 0; way < sizeof(ways) / sizeof(*ways); way++)
		if (measure(path, way, leases))
			return 1;
	return 0;
}
