/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "store_room.h"

char room_folder[] = "/tmp/portsnoop-store-XXXXXX";
char room_path[64];

int room_make(void **state)
{
	(void)state;
	memcpy(strrchr(room_folder, '-') + 1, "XXXXXX", 6);
	if (!mkdtemp(room_folder))
		return -1;
	snprintf(room_path, sizeof(room_path), "%s/history.db", room_folder);
	return 0;
}

int room_remove(void **state)
{
	DIR *folder = opendir(room_folder);
	const struct dirent *entry;

	(void)state;
	while (folder && (entry = readdir(folder)))
		unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		closedir(folder);
	/* a test may have mounted something there */
	umount2(room_folder, MNT_DETACH);
	return rmdir(room_folder);
}

const char *room_path_with(const char *suffix)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s%s", room_path, suffix);
	return path;
}

struct store *room_open_with(uint64_t max_size, uint64_t max_age, size_t batch)
{
	const struct store_options options = {
		.path = room_path, .max_size = max_size, .max_age = max_age, .batch = batch};
	struct store *store = NULL;
	char why[256] = "";
	int error = store_open(&options, &store, why, sizeof(why));

	if (error)
		fail_msg("store_open: %d: %s", error, why);
	return store;
}

struct store *room_open(void)
{
	return room_open_with(STORE_MAX_SIZE, 0, 0);
}

void room_run(struct store *store, int64_t started)
{
	const struct store_run run = {.stream = 7,
				      .started = started,
				      .coverage = 3,
				      .tier = WIRE_TIER_FENTRY,
				      .host = "web1",
				      .kernel = "6.1",
				      .boot = "b00t",
				      .program = "0.1"};

	store_run(store, &run);
}

struct store_lease room_lease(uint64_t n)
{
	struct store_lease lease = {
		.claimed = ROOM_START + (int64_t)n * (SECOND / 1000),
		.held = 1000000 + n % 1000,
		.answered = STORE_UNKNOWN,
		.netns = 4026531840,
		.protocol = 6,
		.port = 1024 + n % 60000,
		.pool_low = 32768,
		.pool_high = 60999,
		.family = 4,
		.trigger = WIRE_BIND,
		.origin = WIRE_ORIGIN_REQUESTED,
		.outcome = STORE_BOUND,
		.ending = STORE_RELEASED,
		.flags = WIRE_CLAIMED,
		.local = {127, 0, 0, 1},
	};

	if (n % 2)
		return lease;
	lease.held += 60 * SECOND;
	lease.lingered = 60 * SECOND;
	lease.answered = 100000 + n % 1000;
	lease.trigger = WIRE_CONNECT;
	lease.origin = WIRE_ORIGIN_KERNEL;
	lease.outcome = STORE_ESTABLISHED;
	lease.remote_port = 443;
	lease.remote[0] = 10;
	lease.remote[1] = n >> 16 & 0xff;
	lease.remote[2] = n >> 8 & 0xff;
	lease.remote[3] = n & 0xff;
	return lease;
}

struct store_lease room_open_lease(uint64_t n)
{
	struct store_lease lease = room_lease(n);

	lease.held = STORE_UNKNOWN;
	lease.lingered = 0;
	lease.ending = STORE_OPEN;
	return lease;
}

static const struct store_blocker blockers[] = {
	{.role = "holder", .state = "listen", .since = ROOM_START, .port = 80, .family = 4},
	{.role = "share",
	 .state = "established",
	 .port = 80,
	 .remote_port = 5,
	 .family = 4,
	 .remote = {10, 0, 0, 9}},
};

struct store_failure room_failure(uint64_t n)
{
	struct store_failure failure = {
		.claim = room_lease(n | 1), .blockers = blockers, .count = 2, .total = 3};

	failure.claim.error = 98;
	failure.claim.ending = STORE_OPEN;
	failure.claim.outcome = STORE_FAILED;
	return failure;
}

uint32_t room_process(struct store *store, uint64_t n)
{
	static const char args[] = "web\0--port\0\"80\"";
	const struct process details = {
		.key = {.pid = n == ROOM_OWN ? 999 : 1000 + n % 50, .start = 5 + n % 50},
		.namespace_pid = 3,
		.parent_pid = 1,
		.uid = 33,
		.gid = 34,
		.comm = "web",
		.parent_comm = "systemd",
		.exe = n == ROOM_OWN ? "/usr/bin/own" : "/usr/bin/web",
		.exe_length = 12,
		.args = args,
		.args_length = sizeof(args),
		.cgroup = n == ROOM_OWN ? "/system.slice/own.service" : "/system.slice/web.service",
		.cgroup_length = 25,
		.container = {.unit = "web.service"},
	};
	const struct store_process process = {
		.key = details.key, .uid = 33, .comm = "web", .user = "www", .details = &details};
	uint32_t id = store_process_find(store, &process);

	return id ? id : store_process(store, &process);
}

void room_give(struct store *store, uint64_t n, uint64_t count)
{
	for (uint64_t end = n + count; n < end; n++) {
		struct store_lease lease = room_lease(n);

		lease.process = room_process(store, n);
		store_lease_close(store, 0, &lease);
	}
}

static sqlite3_stmt *ask(sqlite3 **connection, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_open_v2(room_path, connection, SQLITE_OPEN_READWRITE, NULL) ||
	    sqlite3_prepare_v2(*connection, sql, -1, &statement, NULL))
		fail_msg("%s: %s", sql, sqlite3_errmsg(*connection));
	switch (sqlite3_step(statement)) {
	case SQLITE_ROW:
	case SQLITE_DONE:
		return statement;
	}
	fail_msg("%s: %s", sql, sqlite3_errmsg(*connection));
	return NULL;
}

int64_t room_number(const char *sql)
{
	sqlite3 *connection;
	sqlite3_stmt *statement = ask(&connection, sql);
	int64_t number = sqlite3_column_int64(statement, 0);

	sqlite3_finalize(statement);
	sqlite3_close(connection);
	return number;
}

const char *room_text(const char *sql)
{
	static char text[1024];
	sqlite3 *connection;
	sqlite3_stmt *statement = ask(&connection, sql);
	const unsigned char *found = sqlite3_column_text(statement, 0);

	snprintf(text, sizeof(text), "%s", found ? (const char *)found : "");
	sqlite3_finalize(statement);
	sqlite3_close(connection);
	return text;
}

void room_check(void)
{
	static const struct {
		const char *table, *column, *target;
	} references[] = {
		{"kind", "run", "run"},
		{"lease", "kind", "kind"},
		{"lease", "process", "process"},
		{"lease", "local", "address"},
		{"lease", "remote", "address"},
		{"open_lease", "kind", "kind"},
		{"open_lease", "process", "process"},
		{"open_lease", "local", "address"},
		{"open_lease", "remote", "address"},
		{"failure", "kind", "kind"},
		{"failure", "process", "process"},
		{"failure", "local", "address"},
		{"failure", "remote", "address"},
		{"blocker", "failure", "failure"},
		{"blocker", "process", "process"},
		{"blocker", "local", "address"},
		{"blocker", "remote", "address"},
		{"process", "program", "program"},
		{"program", "executable", "executable"},
		{"program", "cgroup", "cgroup"},
	};
	static const char *const rules[] = {
		/* The index on the port, both ways, and the bounds. */
		"SELECT count(*) FROM lease_port WHERE ((key >> 33 << 13) | (key & 8191))"
		" NOT IN (SELECT id FROM lease)",
		"SELECT count(*) FROM lease l JOIN segment s ON s.id = l.id >> 13 WHERE NOT EXISTS"
		" (SELECT 1 FROM lease_port WHERE key = ((l.id >> 13 << 33) | (l.port << 17)"
		"  | (min(length(l.held), 15) << 13) | (l.id & 8191)))",
		"SELECT count(*) FROM lease l JOIN segment s ON s.id = l.id >> 13"
		" WHERE l.claimed < s.claimed OR l.claimed + l.held NOT BETWEEN s.released AND s.ended",
		"SELECT count(*) FROM segment s WHERE leases !="
		" (SELECT count(*) FROM lease l WHERE l.id >> 13 = s.id)",
		"SELECT count(*) FROM lease WHERE id >> 13 < (SELECT min(id) FROM segment)",
	};

	assert_string_equal(room_text("PRAGMA integrity_check"), "ok");
	for (size_t i = 0; i < sizeof(references) / sizeof(*references); i++) {
		char sql[256];
		int64_t count;

		snprintf(
			sql, sizeof(sql),
			"SELECT count(*) FROM %s WHERE %s NOT NULL AND %s NOT IN (SELECT id FROM %s)",
			references[i].table, references[i].column, references[i].column,
			references[i].target);
		count = room_number(sql);
		if (count)
			fail_msg("%lld: %s", (long long)count, sql);
	}
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		int64_t count = room_number(rules[i]);

		if (count)
			fail_msg("%lld: %s", (long long)count, rules[i]);
	}
}
