/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: history FILE LEASES spread|dense
 *
 * Fills a database of the history for history.py: so many leases in ten days, a tenth of
 * them on one port, all the time or in a tenth of it; one in 2,000 is held for hours or
 * days. Through SQL and schema.h, so that it takes seconds. Prints when it begins and ends.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/schema.h"

#define SECOND INT64_C(1000000000)
#define DAY (86400 * SECOND)
#define DAYS 10
#define PORT 60002
#define PROCESSES 200000
#define PROGRAMS 300
#define ADDRESSES 5000
#define LONG_EVERY 2000 /* one of so many is held for hours or days */

static sqlite3 *db;
static uint64_t state = 42;

static uint64_t number(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static void sql(const char *text)
{
	char *why = NULL;

	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK) {
		fprintf(stderr, "history: %s: %s\n", text, why);
		exit(1);
	}
}

static sqlite3_stmt *prepare(const char *text)
{
	sqlite3_stmt *statement;

	if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK) {
		fprintf(stderr, "history: %s: %s\n", text, sqlite3_errmsg(db));
		exit(1);
	}
	return statement;
}

static void insert(sqlite3_stmt *statement)
{
	if (sqlite3_step(statement) != SQLITE_DONE) {
		fprintf(stderr, "history: %s\n", sqlite3_errmsg(db));
		exit(1);
	}
	sqlite3_reset(statement);
}

/* What leases refer to. */
static void others_fill(int64_t begin, int64_t end)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "INSERT INTO run (id, stream, host, tier, started, alive) VALUES"
		 " (1, 1, 'bench', 'fentry', %lld, %lld);"
		 "INSERT INTO kind (id, run, netns, protocol, family, trigger, origin, outcome,"
		 " ending, flags) VALUES (1, 1, 4026531840, 'tcp', 4, 'connect', 'kernel',"
		 " 'established', 'released', 1), (2, 1, 4026531840, 'tcp', 4, 'bind', 'requested',"
		 " 'listening', 'released', 1);",
		 (long long)begin, (long long)end);
	sql(text);
	snprintf(text, sizeof(text),
		 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
		 " INSERT INTO address (id, ip) SELECT i, printf('10.%%d.%%d.%%d', i / 65536,"
		 " i / 256 %% 256, i %% 256) FROM n",
		 ADDRESSES);
	sql(text);
	snprintf(
		text, sizeof(text),
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
		" INSERT INTO executable (id, path) SELECT i, printf('/usr/bin/program%%d', i) FROM n",
		PROGRAMS);
	sql(text);
	sql("INSERT INTO cgroup (id, path, unit) VALUES (1, '/system.slice/a.service', 'a.service')");
	snprintf(
		text, sizeof(text),
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
		" INSERT INTO program (id, comm, executable, args, uid, user, cgroup, flags) SELECT i,"
		" printf('program%%d', i), i, printf('[\"program%%d\",\"--serve\"]', i), 1000, 'dev',"
		" 1, 0 FROM n",
		PROGRAMS);
	sql(text);
	snprintf(text, sizeof(text),
		 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
		 " INSERT INTO process (id, pid, start, exec, program) SELECT i, 1 + i %% 4000000,"
		 " i * 1000000, 1, 1 + i * 7919 %% %d FROM n",
		 PROCESSES, PROGRAMS);
	sql(text);
}

static int key_compare(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return left < right ? -1 : left > right;
}

static unsigned int digits(int64_t held)
{
	unsigned int count = 1;

	while (held /= 10)
		count++;
	return count;
}

static int64_t held_number(int64_t i)
{
	if (i % LONG_EVERY == LONG_EVERY / 2)
		return (int64_t)number(3 * 24) * 3600 * SECOND + 3600 * SECOND;
	if (number(2)) /* with TIME_WAIT */
		return 60 * SECOND + (int64_t)number(SECOND);
	return (int64_t)number(UINT64_C(1) << (10 + number(24)));
}

static uint16_t port_number(int64_t i, int64_t leases, int dense)
{
	int hot = dense ? i >= leases / 2 && i < leases / 2 + leases / 10 : i % 10 == 0;

	if (hot || (i % LONG_EVERY == LONG_EVERY / 2 && number(2)))
		return PORT;
	return (uint16_t)(number(20) ? 32768 + number(60002 - 32768) : number(2) ? 80 : 443);
}

static void leases_fill(int64_t leases, int dense, int64_t begin, int64_t end)
{
	sqlite3_stmt *lease =
		prepare("INSERT INTO lease (id, claimed, held, lingered, answered, port,"
			" remote_port, local, remote, kind, process) VALUES"
			" (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
	sqlite3_stmt *key = prepare("INSERT INTO lease_port VALUES (?1)");
	sqlite3_stmt *segment = prepare("INSERT INTO segment (id, claimed, released, ended, leases,"
					" failure) VALUES (?1, ?2, ?3, ?4, ?5, 0)");
	static int64_t keys[SCHEMA_SEGMENT];
	int64_t step = (end - begin) / leases, claimed = INT64_MAX, released = INT64_MAX;
	int64_t ended = INT64_MIN;
	int count = 0;

	for (int64_t i = 0; i < leases; i++) {
		int64_t id = i + 1, held = held_number(i), until = begin + i * step;
		int64_t since = until - held;
		uint16_t port = port_number(i, leases, dense);

		sqlite3_bind_int64(lease, 1, id);
		sqlite3_bind_int64(lease, 2, since);
		sqlite3_bind_int64(lease, 3, held);
		if (held >= 60 * SECOND && held < 61 * SECOND)
			sqlite3_bind_int64(lease, 4, 60 * SECOND);
		else
			sqlite3_bind_null(lease, 4);
		sqlite3_bind_int64(lease, 5, held / 10);
		sqlite3_bind_int(lease, 6, port);
		sqlite3_bind_int(lease, 7, 443);
		sqlite3_bind_int64(lease, 8, 1);
		sqlite3_bind_int64(lease, 9, 1 + (int64_t)number(ADDRESSES));
		sqlite3_bind_int(lease, 10, 1 + (port == 80));
		sqlite3_bind_int64(lease, 11, 1 + i * PROCESSES / leases);
		insert(lease);
		claimed = since < claimed ? since : claimed;
		released = until < released ? until : released;
		ended = until > ended ? until : ended;
		keys[count++] = schema_key(id >> SCHEMA_SEGMENT_BITS, port, digits(held), id);
		if ((id + 1) & (SCHEMA_SEGMENT - 1))
			continue;
		qsort(keys, (size_t)count, sizeof(*keys), key_compare);
		for (int j = 0; j < count; j++) {
			sqlite3_bind_int64(key, 1, keys[j]);
			insert(key);
		}
		sqlite3_bind_int64(segment, 1, id >> SCHEMA_SEGMENT_BITS);
		sqlite3_bind_int64(segment, 2, claimed);
		sqlite3_bind_int64(segment, 3, released);
		sqlite3_bind_int64(segment, 4, ended);
		sqlite3_bind_int(segment, 5, count);
		insert(segment);
		claimed = released = INT64_MAX;
		ended = INT64_MIN;
		count = 0;
	}
	sqlite3_finalize(lease);
	sqlite3_finalize(key);
	sqlite3_finalize(segment);
}

static int fill(const char *path, int64_t leases, int dense)
{
	int64_t end = (int64_t)time(NULL) * SECOND, begin = end - DAYS * DAY;
	char text[128];

	remove(path);
	if (sqlite3_open(path, &db) != SQLITE_OK) {
		fprintf(stderr, "history: %s: %s\n", path, sqlite3_errmsg(db));
		return 1;
	}
	sql("PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536; BEGIN");
	sql(schema_text);
	others_fill(begin, end);
	leases_fill(leases, dense, begin, end);
	snprintf(text, sizeof(text),
		 "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;"
		 "PRAGMA journal_mode = WAL",
		 SCHEMA_APPLICATION, SCHEMA_VERSION);
	sql(text);
	sqlite3_close(db);
	printf("{\"begin\": %lld, \"end\": %lld}\n", (long long)begin, (long long)end);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && (!strcmp(argv[3], "spread") || !strcmp(argv[3], "dense")))
		return fill(argv[1], strtoll(argv[2], NULL, 10), !strcmp(argv[3], "dense"));
	fprintf(stderr, "usage: history FILE LEASES spread|dense\n");
	return 2;
}
