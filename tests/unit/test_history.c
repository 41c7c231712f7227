/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the history answers, against a naive model of the same contents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history_room.h"

#define ALL ((struct history_query){.since = INT64_MIN, .until = INT64_MAX, .gaps = true})

static struct history *history_make(const struct room *room)
{
	struct history *history = NULL;
	char why[300] = "";
	int error = history_open(room->path, &history, why, sizeof(why));

	if (error)
		fail_msg("%d: %s", error, why);
	return history;
}

static size_t query_check(struct room *room, struct history *history,
			  const struct history_query *query)
{
	struct room_lines wanted, got = {0};
	size_t count;

	room_answer(room, query, &wanted);
	assert_int_equal(history_ask(history, query, ROOM_NOW, room_line, &got), 0);
	for (size_t i = 0; i < wanted.count && i < got.count; i++)
		assert_string_equal(got.lines[i], wanted.lines[i]);
	assert_int_equal(got.count, wanted.count);
	count = got.count;
	room_lines_free(&wanted);
	room_lines_free(&got);
	return count;
}

/* A condition in one of three queries, and a moment in every second one. */
struct query_room {
	struct history_query query;
	struct port_set ports;
	struct history_remote remote;
	char container[8];
};

static void remote_random(struct room *room, struct history_remote *remote)
{
	static const struct {
		uint8_t family, bits;
		const char *text;
	} networks[] = {{4, 32, "192.0.2.1"},
			{4, 25, "192.0.2.0"},
			{4, 0, "0.0.0.0"},
			{6, 128, "::1"},
			{6, 33, "2001:db8::"},
			{6, 0, "::"},
			{6, 120, "::ffff:192.0.2.0"},
			{0, 0, NULL}};
	size_t i = room_random(room, sizeof(networks) / sizeof(*networks));

	*remote = (struct history_remote){.family = networks[i].family, .bits = networks[i].bits};
	remote->port = (uint16_t)room_random(room, 3) * 100;
	if (networks[i].family)
		assert_int_equal(inet_pton(networks[i].family == 4 ? AF_INET : AF_INET6,
					   networks[i].text, remote->address),
				 1);
}

static void times_random(struct room *room, struct history_query *query)
{
	const struct room_lease *lease = &room->leases[room_random(room, room->lease_count)];
	int64_t end = lease->claimed + (lease->open ? 0 : lease->held);

	switch (room_random(room, 6)) {
	case 0:
		return;
	case 1: /* its very edges */
		query->since = query->until = room_random(room, 2) ? lease->claimed : end;
		return;
	case 2:
		query->since = query->until =
			ROOM_NOW - (int64_t)room_random(room, 110000) * 1000000000;
		return;
	case 3:
		query->since = end;
		return;
	case 4:
		query->until = lease->claimed;
		return;
	default:
		query->since = lease->claimed;
		query->until = lease->claimed + (int64_t)room_random(room, 1000000000) * 1000;
	}
}

static void query_random(struct room *room, struct query_room *random)
{
	static const char *const comms[] = {"nginx", "sshd", "a'b", "\xff\xfe", "ngin", ""};
	static const char *const exes[] = {"p3", "/usr/bin/p3", "/usr/sbin/p4", "bin/p3", "p99"};
	static const char *const units[] = {"nginx", "ssh.service", "session-3.scope", "session-3"};
	struct history_query *query = &random->query;

	memset(random, 0, sizeof(*random));
	*query = ALL;
	query->gaps = room_random(room, 2);
	times_random(room, query);
	if (room_random(room, 4)) {
		uint64_t more = room_random(room, 3) ? 1 + room_random(room, 3) : 40;

		while (more--) {
			const struct room_lease *lease =
				&room->leases[room_random(room, room->lease_count)];

			random->ports.bits[lease->port >> 3] |= (uint8_t)(1 << (lease->port & 7));
		}
		query->ports = &random->ports;
	}
	if (!room_random(room, 4))
		query->protocol = (uint16_t[]){6, 17, 262, 132}[room_random(room, 4)];
	if (!room_random(room, 6))
		query->pid = 99 + (uint32_t)room_random(room, 33);
	if (!room_random(room, 6))
		query->comm = comms[room_random(room, 6)];
	if (!room_random(room, 6))
		query->exe = exes[room_random(room, 5)];
	if (!room_random(room, 6))
		query->unit = units[room_random(room, 4)];
	if (!room_random(room, 8))
		query->container = "c0ffee0";
	if (!room_random(room, 5)) {
		remote_random(room, &random->remote);
		query->remote = &random->remote;
	}
	if (!room_random(room, 4))
		query->newest = 1 + room_random(room, room_random(room, 2) ? 5 : 300);
	query->failed = !room_random(room, 5);
}

static void test_random(void **state)
{
	size_t rows = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct query_room random;
		struct history *history;
		struct room room;

		history_room_make(&room, seed);
		room_fill(&room, seed * 700);
		history = history_make(&room);
		rows += query_check(&room, history, &ALL);
		for (int i = 0; i < 250; i++) {
			query_random(&room, &random);
			rows += query_check(&room, history, &random.query);
		}
		assert_int_equal(history_skipped(history), 0);
		history_close(history);
		history_room_remove(&room);
	}
	assert_true(rows > 50000);
}

/* The first and the last moment of every lease, which are those of segments, too. */
static void test_moments(void **state)
{
	struct history_query query = ALL;
	struct history *history;
	struct room room;

	(void)state;
	history_room_make(&room, 11);
	room_fill(&room, 400);
	history = history_make(&room);
	for (size_t i = 0; i < room.lease_count; i += 1 + room_random(&room, 2)) {
		const struct room_lease *lease = &room.leases[i];

		query.since = query.until = lease->claimed;
		query_check(&room, history, &query);
		query.since = query.until = lease->claimed + lease->held;
		query_check(&room, history, &query);
	}
	history_close(history);
	history_room_remove(&room);
}

/* So many that they are sorted in temporary files. */
static int order_check(void *context, const struct history_row *row)
{
	int64_t *last = context;

	assert_true(row->time >= last[0]);
	last[0] = row->time;
	last[1]++;
	return 0;
}

static void test_order(void **state)
{
	struct history_query query = {.since = INT64_MIN, .until = INT64_MAX};
	int64_t last[2] = {INT64_MIN, 0};
	struct history *history;
	struct room room;

	(void)state;
	history_room_make(&room, 9);
	room_fill(&room, 10);
	room_sql(&room,
		 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)"
		 " INSERT INTO lease SELECT 1000000 + i, i * 7919 % 300007, 5, NULL, NULL, 80,"
		 " NULL, 1, NULL, 1, 1 FROM n");
	history = history_make(&room);
	assert_int_equal(history_ask(history, &query, ROOM_NOW, order_check, last), 0);
	assert_int_equal(last[1], 300000 + room.lease_count);
	history_close(history);
	history_room_remove(&room);
}

static int stop(void *context, const struct history_row *row)
{
	(void)row;
	return ++*(int *)context == 3 ? 42 : 0;
}

static void test_stop(void **state)
{
	struct history *history;
	struct room room;
	int count = 0;

	(void)state;
	history_room_make(&room, 3);
	room_fill(&room, 300);
	history = history_make(&room);
	assert_int_equal(history_ask(history, &ALL, ROOM_NOW, stop, &count), 42);
	assert_int_equal(count, 3);
	query_check(&room, history, &ALL);
	history_close(history);
	history_room_remove(&room);
}

/* ---- when nothing was recorded ---- */

static int gaps_note(void *context, const struct history_row *row)
{
	struct room_gap *gaps = context;

	if (row->kind == HISTORY_GAP && row->gap < 0)
		gaps[row->gap + 2] =
			(struct room_gap){.since = row->time, .until = row->until, .id = 1};
	return 0;
}

static void test_edges(void **state)
{
	struct room_gap gaps[2] = {0};
	struct history *history;
	struct room room;
	int64_t alive;

	(void)state;
	history_room_make(&room, 5);
	room_fill(&room, 300);
	history = history_make(&room);
	alive = room.runs[ROOM_RUNS].alive;
	assert_int_equal(history_ask(history, &ALL, ROOM_NOW, gaps_note, gaps), 0);
	assert_int_equal(gaps[0].until, room.runs[1].started);
	assert_true(gaps[0].since == INT64_MIN);
	assert_int_equal(gaps[1].id, 0); /* it runs */

	/* It was killed: silent for too long. */
	assert_int_equal(history_ask(history, &ALL, alive + HISTORY_SILENCE, gaps_note, gaps), 0);
	assert_int_equal(gaps[1].id, 0);
	assert_int_equal(history_ask(history, &ALL, alive + HISTORY_SILENCE + 1, gaps_note, gaps),
			 0);
	assert_int_equal(gaps[1].since, alive);
	assert_true(gaps[1].until == INT64_MAX);

	/* It ended. */
	memset(gaps, 0, sizeof(gaps));
	room_sql(&room, "UPDATE run SET ended = alive + 1 WHERE id = 3");
	assert_int_equal(history_ask(history, &ALL, alive, gaps_note, gaps), 0);
	assert_int_equal(gaps[1].since, alive + 1);

	/* The beginning is trimmed. */
	room_sql(&room, "DELETE FROM lease WHERE id >> 13 < 1; DELETE FROM segment WHERE id < 1");
	assert_int_equal(history_ask(history, &ALL, alive, gaps_note, gaps), 0);
	assert_true(gaps[0].until > room.runs[1].started);
	history_close(history);
	history_room_remove(&room);
}

/* What is held lasts until its run ended; of the last one, until now. */
static int open_note(void *context, const struct history_row *row)
{
	if (row->ending == STORE_OPEN || row->ending == STORE_UNSEEN) {
		((int64_t *)context)[0] = row->until;
		((int64_t *)context)[1] = (int64_t)row->held;
	}
	return 0;
}

static void test_open(void **state)
{
	struct history_query query = {.since = INT64_MIN, .until = INT64_MAX, .newest = 1};
	struct history *history;
	struct room room;
	int64_t seen[2], alive, claimed;

	(void)state;
	history_room_make(&room, 5);
	room_fill(&room, 20);
	alive = room.runs[ROOM_RUNS].alive;
	claimed = alive - 1000;
	room_sql(&room, "DELETE FROM lease; DELETE FROM open_lease; DELETE FROM failure;"
			"UPDATE kind SET run = 3, ending = 'open'");
	room_sql(&room,
		 "INSERT INTO open_lease SELECT 7, alive - 1000, NULL, NULL, NULL, 80, NULL, 1,"
		 " NULL, 1, 1 FROM run WHERE id = 3");
	history = history_make(&room);
	assert_int_equal(history_ask(history, &query, ROOM_NOW, open_note, seen), 0);
	assert_true(seen[0] == INT64_MAX && seen[1] == -1);
	assert_int_equal(history_ask(history, &query, ROOM_NOW * 2, open_note, seen), 0);
	assert_true(seen[0] == alive && seen[1] == alive - claimed);
	history_close(history);
	history_room_remove(&room);
}

/* ---- follow ---- */

static void follow_check(struct history *history, size_t count, struct room_lines *lines)
{
	struct history_query query = ALL;

	room_lines_free(lines);
	assert_int_equal(history_follow(history, &query, room_line, lines), 0);
	assert_int_equal(lines->count, count);
}

static void test_follow(void **state)
{
	struct room_lines lines = {0};
	struct history *history;
	struct room room;

	(void)state;
	history_room_make(&room, 5);
	room_fill(&room, 300);
	history = history_make(&room);
	follow_check(history, 0, &lines);
	follow_check(history, 0, &lines);
	room_sql(
		&room,
		"INSERT INTO open_lease VALUES (100, 5, NULL, NULL, NULL, 80, NULL, 1, NULL, 2, 1)");
	follow_check(history, 1, &lines);
	assert_non_null(strstr(lines.lines[0], "0 100 5..9223372036854775807"));
	follow_check(history, 0, &lines);
	room_sql(&room,
		 "BEGIN; DELETE FROM open_lease WHERE id = 100;"
		 "INSERT INTO lease VALUES (10000000, 5, 6, NULL, NULL, 80, NULL, 1, NULL, 1, 1);"
		 "INSERT INTO failure VALUES (10000, 4, 80, NULL, 1, NULL, 1, 1, 0, NULL);"
		 "INSERT INTO gap VALUES (100, 3, 'lost', 3, 4, 9); COMMIT");
	follow_check(history, 3, &lines);
	assert_non_null(strstr(lines.lines[0], "gap 100 2 3..4 9"));
	assert_non_null(strstr(lines.lines[1], "1 10000 4..4"));
	assert_non_null(strstr(lines.lines[2], "0 10000000 5..11 held 6"));
	follow_check(history, 0, &lines);

	/* Another run counts what is held from 1 again. */
	room_sql(
		&room,
		"BEGIN; DELETE FROM open_lease;"
		"INSERT INTO run SELECT 4, 4, host, kernel, boot, program, tier, coverage,"
		" started, alive, NULL FROM run WHERE id = 3;"
		"UPDATE kind SET run = 4;"
		"INSERT INTO open_lease VALUES (1, 5, NULL, NULL, NULL, 80, NULL, 1, NULL, 2, 1); COMMIT");
	follow_check(history, 1, &lines);
	room_lines_free(&lines);
	history_close(history);
	history_room_remove(&room);
}

/* Another database at the same place. */
static void test_follow_replaced(void **state)
{
	struct room_lines lines = {0};
	struct history *history;
	struct room room, other;
	char path[200];

	(void)state;
	history_room_make(&room, 5);
	room_fill(&room, 300);
	history_room_make(&other, 6);
	room_fill(&other, 30);
	history = history_make(&room);
	follow_check(history, 0, &lines);
	room_sql(&other, "PRAGMA wal_checkpoint(TRUNCATE)");
	sqlite3_close(room.db);
	sqlite3_close(other.db);
	assert_int_equal(rename(other.path, room.path), 0);
	snprintf(path, sizeof(path), "%s-wal", room.path);
	remove(path);
	snprintf(path, sizeof(path), "%s-shm", room.path);
	remove(path);
	assert_int_equal(sqlite3_open(room.path, &room.db), SQLITE_OK);
	room_sql(&room, "SELECT 1 FROM run");
	follow_check(history, other.lease_count + other.gap_count, &lines);
	follow_check(history, 0, &lines);
	room_sql(&room, "INSERT INTO gap VALUES (100, 3, 'lost', 3, 4, 9)");
	follow_check(history, 1, &lines);
	room_lines_free(&lines);
	history_close(history);
	history_room_remove(&room);
	other.db = NULL;
	history_room_remove(&other);
}

/* The writer goes on while rows are shown, and its WAL is not kept from being emptied. */
static int write_and_empty(void *context, const struct history_row *row)
{
	struct room *room = context;
	sqlite3_stmt *statement;

	(void)row;
	room_sql(room,
		 "INSERT INTO gap (run, reason, since, until, count) VALUES (1, 'lost', 1, 2, 3)");
	assert_int_equal(sqlite3_prepare_v2(room->db, "PRAGMA wal_checkpoint(TRUNCATE)", -1,
					    &statement, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(statement, 0), 0);
	sqlite3_finalize(statement);
	return 0;
}

static void test_writer(void **state)
{
	struct history *history;
	struct room room;

	(void)state;
	history_room_make(&room, 5);
	room_fill(&room, 50);
	history = history_make(&room);
	assert_int_equal(history_ask(history, &ALL, ROOM_NOW, write_and_empty, &room), 0);
	history_close(history);
	history_room_remove(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),		cmocka_unit_test(test_moments),
		cmocka_unit_test(test_order),		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_edges),		cmocka_unit_test(test_open),
		cmocka_unit_test(test_follow),		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_follow_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
