/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Files that are no history, that are damaged, made to hurt, or not ours to open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "history_room.h"
#include "store/schema.h"

#define ALL ((struct history_query){.since = INT64_MIN, .until = INT64_MAX, .gaps = true})
/* So that no rows fill up the disk. */
#define NOWHERE ((struct history_query){.since = INT64_MIN, .until = INT64_MAX, .comm = "nobody"})
#define NOBODY 65534

static void room_settle(struct room *room)
{
	room_sql(room, "PRAGMA wal_checkpoint(TRUNCATE)");
	sqlite3_close(room->db);
	room->db = NULL;
}

static void room_again(struct room *room)
{
	assert_int_equal(sqlite3_open(room->path, &room->db), SQLITE_OK);
}

static void refused(const char *path, int error, const char *words)
{
	struct history *history = NULL;
	char why[320] = "";

	assert_int_equal(history_open(path, &history, why, sizeof(why)), error);
	assert_null(history);
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
	if (error != -EACCES)
		assert_non_null(strstr(why, path));
}

static struct history *opened(const char *path)
{
	struct history *history = NULL;
	char why[320] = "";
	int error = history_open(path, &history, why, sizeof(why));

	if (error)
		fail_msg("%d: %s", error, why);
	return history;
}

static int row_count(void *context, const struct history_row *row)
{
	(void)row;
	++*(size_t *)context;
	return 0;
}

static void file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_no_history(void **state)
{
	struct room room;

	(void)state;
	history_room_make(&room, 1);
	sqlite3_close(room.db);
	unlink(room.path);
	refused(room.path, -ENOENT, "portsnoop record");
	refused(room.folder, -EILSEQ, "no file");
	file_write(room.path, "");
	refused(room.path, -ENOENT, "nothing has been recorded");
	file_write(room.path,
		   "not a database, but longer than a header of one hundred bytes; not a "
		   "database, but longer than a header of one hundred bytes");
	refused(room.path, -EILSEQ, "no SQLite database");
	unlink(room.path);
	room_again(&room);
	room_sql(&room, "CREATE TABLE lease (id)");
	refused(room.path, -EILSEQ, "another program");
	room_sql(&room, "PRAGMA application_id = 0x504e4f50; PRAGMA user_version = 99");
	refused(room.path, -EILSEQ, "newer portsnoop");
	room_sql(&room, "PRAGMA user_version = 0");
	refused(room.path, -EILSEQ, "schema 0");
	room_sql(&room, "PRAGMA user_version = 1");
	refused(room.path, -EILSEQ, "not what portsnoop makes");
	history_room_remove(&room);
}

static void test_schema(void **state)
{
	static const char *const changes[] = {
		"ALTER TABLE lease RENAME TO l; CREATE VIEW lease AS SELECT * FROM l",
		"ALTER TABLE run RENAME TO r; CREATE VIRTUAL TABLE run USING fts5(id, host, tier, "
		"started, alive, ended)",
		"ALTER TABLE program ADD COLUMN more AS (zeroblob(1000000000))",
		"DROP INDEX failure_port; CREATE INDEX failure_port ON failure (port, time, id + 1)",
		"DROP TABLE blocker",
		"ALTER TABLE gap RENAME COLUMN reason TO why",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct room room;

		history_room_make(&room, 1);
		room_fill(&room, 10);
		room_sql(&room,
			 "DROP VIEW leases; DROP VIEW failures; DROP VIEW gaps; DROP VIEW runs");
		history_close(opened(room.path));
		room_sql(&room, changes[i]);
		refused(room.path, -EILSEQ, "not what portsnoop makes");
		history_room_remove(&room);
	}
}

/* Other tables, views, triggers and indexes are nobody's business. */
static void test_schema_more(void **state)
{
	struct history *history;
	struct room room;
	size_t count = 0;

	(void)state;
	history_room_make(&room, 1);
	room_fill(&room, 10);
	room_sql(&room, "CREATE TABLE more (x); CREATE INDEX ours ON lease (claimed, port);"
			"CREATE VIEW a AS SELECT * FROM b; CREATE VIEW b AS SELECT * FROM a;"
			"CREATE TRIGGER t AFTER INSERT ON lease BEGIN DELETE FROM lease; END");
	history = opened(room.path);
	assert_int_equal(history_ask(history, &ALL, ROOM_NOW, row_count, &count), 0);
	assert_true(count > 10);
	history_close(history);
	history_room_remove(&room);
}

/* Every column of every table with everything that does not belong there. */
static void test_types(void **state)
{
	static const char *const columns[] = {"run.alive",	    "run.started",
					      "run.host",	    "gap.reason",
					      "gap.since",	    "gap.until",
					      "gap.count",	    "address.ip",
					      "executable.path",    "cgroup.unit",
					      "cgroup.container",   "program.comm",
					      "program.executable", "program.args",
					      "program.uid",	    "program.cgroup",
					      "process.pid",	    "process.start",
					      "process.program",    "process.namespace_pid",
					      "kind.run",	    "kind.protocol",
					      "kind.family",	    "kind.outcome",
					      "kind.ending",	    "kind.flags",
					      "kind.error",	    "kind.pool_low",
					      "lease.claimed",	    "lease.held",
					      "lease.lingered",	    "lease.port",
					      "lease.local",	    "lease.kind",
					      "lease.process",	    "open_lease.claimed",
					      "open_lease.kind",    "segment.claimed",
					      "segment.ended",	    "segment.released",
					      "segment.leases",	    "failure.time",
					      "failure.kind",	    "failure.blocked_total",
					      "blocker.since",	    "blocker.process",
					      "blocker.role",	    "blocker.local"};
	static const char *const values[] = {"'words'",
					     "x'00ff'",
					     "-1",
					     "1e300",
					     "9223372036854775807",
					     "-9223372036854775808",
					     "'\x1b[2J\n'",
					     "4294967296",
					     "zeroblob(5000)"};
	struct history_query queries[3] = {ALL, ALL, ALL};
	struct port_set ports = {0};
	struct history *history;
	struct room room;
	size_t count = 0;

	(void)state;
	ports.bits[60002 >> 3] |= 1 << (60002 & 7);
	queries[1].ports = &ports;
	queries[1].since = queries[1].until = ROOM_NOW - INT64_C(50000000000000);
	queries[2].comm = "nginx";
	queries[2].protocol = 6;
	queries[2].newest = 3;
	history_room_make(&room, 1);
	room_fill(&room, 60);
	history = opened(room.path);
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns) * 9; i++) {
		char table[32], sql[200];
		const char *dot = strchr(columns[i / 9], '.');

		snprintf(table, sizeof(table), "%.*s", (int)(dot - columns[i / 9]), columns[i / 9]);
		snprintf(sql, sizeof(sql), "SAVEPOINT s; UPDATE OR IGNORE %s SET %s = %s", table,
			 dot + 1, values[i % 9]);
		room_sql(&room, sql);
		room_sql(&room, "RELEASE s");
		for (int j = 0; j < 3; j++)
			assert_int_equal(
				history_ask(history, &queries[j], ROOM_NOW, row_count, &count), 0);
	}
	history_close(history);
	history_room_remove(&room);
}

static int nonsense_count(void *context, const struct history_row *row)
{
	if (row->kind == HISTORY_LEASE)
		++*(size_t *)context;
	return 0;
}

static void test_skipped(void **state)
{
	struct history *history;
	struct room room;
	size_t count = 0;

	(void)state;
	history_room_make(&room, 1);
	room_fill(&room, 100);
	room_sql(&room, "UPDATE lease SET port = 70000 WHERE id = 1;"
			"UPDATE lease SET held = 9e18 WHERE id = 2;"
			"UPDATE lease SET claimed = 'x' WHERE id = 3;"
			"UPDATE lease SET kind = 99999 WHERE id = 4");
	history = opened(room.path);
	assert_int_equal(history_ask(history, &ALL, ROOM_NOW, nonsense_count, &count), 0);
	assert_int_equal(count, 130 - 4);
	assert_true(history_skipped(history) >= 3);
	history_close(history);
	history_room_remove(&room);
}

static int texts_check(void *context, const struct history_row *row)
{
	size_t *seen = context;

	if (row->kind == HISTORY_GAP || !row->process.pid)
		return 0;
	assert_true(row->process.comm.length <= 4096);
	assert_null(row->process.args.data);
	seen[0] += row->process.comm.length == 4096;
	return 0;
}

static void test_texts(void **state)
{
	static const char *const args[] = {
		"'[\"a\"], \"forged\": [\"b\"]'",	 "'{}'", "'[\"a\n\"]'", "x'5b5d'", "7",
		"'[\"' || hex(zeroblob(50000)) || '\"]'"};
	struct history *history;
	struct room room;
	size_t seen = 0;
	char sql[200];

	(void)state;
	history_room_make(&room, 1);
	room_fill(&room, 50);
	for (size_t i = 0; i < sizeof(args) / sizeof(*args); i++) {
		snprintf(sql, sizeof(sql),
			 "UPDATE program SET comm = hex(zeroblob(50000)), args = %s", args[i]);
		room_sql(&room, sql);
		history = opened(room.path);
		assert_int_equal(history_ask(history, &ALL, ROOM_NOW, texts_check, &seen), 0);
		history_close(history);
	}
	assert_true(seen > 50);
	/* No value of ours has a million bytes. */
	room_sql(&room, "UPDATE program SET comm = zeroblob(2000000)");
	history = opened(room.path);
	assert_int_equal(history_ask(history, &ALL, ROOM_NOW, texts_check, &seen), -EILSEQ);
	assert_non_null(strstr(history_why(history), "damaged"));
	history_close(history);
	history_room_remove(&room);
}

/* Bytes changed, or the end missing: an answer or a refusal, soon. */
static void damage(struct room *room, int fd, off_t size)
{
	int64_t changes = 1 + (int64_t)room_random(room, 4);

	while (changes--) {
		off_t page = (off_t)room_random(room, (uint64_t)size / 4096) * 4096;
		uint8_t byte = (uint8_t)room_random(room, 256);
		/* Headers and pointers are at the beginning of a page. */
		off_t at = page + (off_t)room_random(room, room_random(room, 2) ? 64 : 4096);

		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	if (!room_random(room, 10))
		assert_int_equal(ftruncate(fd, (off_t)room_random(room, (uint64_t)size)), 0);
}

static void test_damage(void **state)
{
	struct history_query queries[2] = {ALL, ALL};
	struct port_set ports = {0};
	size_t refusals = 0, failures = 0, count = 0;
	struct room room;
	struct stat status;
	uint8_t *whole;
	int fd;

	(void)state;
	memset(ports.bits + 32768 / 8, 0xff, 1);
	queries[1].ports = &ports;
	queries[1].since = queries[1].until = ROOM_NOW - INT64_C(50000000000000);
	history_room_make(&room, 1);
	room_fill(&room, 2000);
	room_settle(&room);
	fd = open(room.path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	whole = malloc((size_t)status.st_size);
	assert_non_null(whole);
	assert_int_equal(pread(fd, whole, (size_t)status.st_size, 0), status.st_size);
	for (int i = 0; i < 150; i++) {
		struct history *history = NULL;
		char why[320];

		assert_int_equal(pwrite(fd, whole, (size_t)status.st_size, 0), status.st_size);
		damage(&room, fd, status.st_size);
		if (history_open(room.path, &history, why, sizeof(why))) {
			assert_true(*why);
			refusals++;
			continue;
		}
		for (int j = 0; j < 2; j++) {
			int error = history_ask(history, &queries[j], ROOM_NOW, row_count, &count);

			assert_int_equal(!error, !*history_why(history));
			failures += error != 0;
		}
		history_close(history);
	}
	assert_true(refusals > 5 && failures > 5 && count > 100);
	free(whole);
	close(fd);
	room_again(&room);
	history_room_remove(&room);
}

/* All children of a page of a tree become `child`. */
static void children_set(uint8_t *page, uint32_t child)
{
	const uint8_t bytes[4] = {(uint8_t)(child >> 24), (uint8_t)(child >> 16),
				  (uint8_t)(child >> 8), (uint8_t)child};

	memcpy(page + 8, bytes, sizeof(bytes));
	for (int i = 0; i < (page[3] << 8 | page[4]); i++)
		memcpy(page + (page[12 + 2 * i] << 8 | page[13 + 2 * i]), bytes, sizeof(bytes));
}

/* Inner pages in a row, each with the next one as all of its children: not deeper than
 * SQLite takes, but it has more leaves than anybody can read. */
static void test_endless(void **state)
{
	uint32_t root, leaves[8] = {0};
	struct history *history;
	struct room room;
	uint8_t page[4096];
	sqlite3_stmt *statement;
	size_t count = 0;
	int fd;

	(void)state;
	history_room_make(&room, 1);
	room_fill(&room, 3000);
	assert_int_equal(sqlite3_prepare_v2(
				 room.db, "SELECT rootpage FROM sqlite_schema WHERE name = 'lease'",
				 -1, &statement, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	root = (uint32_t)sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	room_settle(&room);
	fd = open(room.path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, page, sizeof(page), (off_t)(root - 1) * 4096), sizeof(page));
	assert_int_equal(page[0], 5); /* an inner page */
	for (int i = 0; i < 8; i++) {
		int at = page[12 + 2 * i] << 8 | page[13 + 2 * i];

		leaves[i] = (uint32_t)page[at] << 24 | (uint32_t)page[at + 1] << 16 |
			    (uint32_t)page[at + 2] << 8 | page[at + 3];
	}
	for (int i = 0; i < 8; i++) {
		children_set(page, leaves[i]);
		assert_int_equal(pwrite(fd, page, sizeof(page),
					(off_t)((i ? leaves[i - 1] : root) - 1) * 4096),
				 sizeof(page));
	}
	close(fd);
	history = opened(room.path);
	assert_int_equal(history_ask(history, &NOWHERE, ROOM_NOW, row_count, &count), -EILSEQ);
	assert_non_null(strstr(history_why(history), "no end"));
	history_close(history);
	room_again(&room);
	history_room_remove(&room);
}

/* ---- not ours to open ---- */

/* Whoever may do anything becomes nobody meanwhile. */
static void rights_drop(struct room *room)
{
	assert_int_equal(chmod(room->path, 0444), 0);
	assert_int_equal(chmod(room->folder, 0555), 0);
	if (!geteuid())
		assert_int_equal(seteuid(NOBODY), 0);
}

static void rights_back(struct room *room)
{
	if (!getuid())
		assert_int_equal(seteuid(0), 0);
	prctl(PR_SET_DUMPABLE, 1); /* or the leak detector may not look at us */
	assert_int_equal(chmod(room->folder, 0700), 0);
	assert_int_equal(chmod(room->path, 0600), 0);
}

static void file_copy(const char *from, const char *to)
{
	char bytes[4096];
	size_t length;
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");

	assert_non_null(in);
	assert_non_null(out);
	while ((length = fread(bytes, 1, sizeof(bytes), in)))
		assert_int_equal(fwrite(bytes, 1, length, out), length);
	fclose(in);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(to, 0444), 0);
}

/* As a writer that was killed leaves it: its connection is in another process. */
static void room_kill(struct room *room)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	char from[128], to[128];

	for (int i = 0; i < 3; i++) {
		snprintf(from, sizeof(from), "%s%s", room->path, ends[i]);
		snprintf(to, sizeof(to), "%s/kept%s", room->folder, ends[i]);
		file_copy(from, to);
	}
	sqlite3_close(room->db);
	room->db = NULL;
	for (int i = 0; i < 3; i++) {
		snprintf(from, sizeof(from), "%s/kept%s", room->folder, ends[i]);
		snprintf(to, sizeof(to), "%s%s", room->path, ends[i]);
		assert_int_equal(rename(from, to), 0);
	}
}

static size_t rows_ask(struct history *history)
{
	size_t count = 0;

	assert_int_equal(history_ask(history, &ALL, ROOM_NOW, row_count, &count), 0);
	return count;
}

static void test_not_ours(void **state)
{
	struct history *history;
	size_t before, count;
	struct room room;

	(void)state;
	history_room_make(&room, 1);
	room_fill(&room, 50);
	history = opened(room.path);
	before = rows_ask(history);
	assert_true(before > 80);
	history_close(history);

	/* It was killed; -wal and -shm may be read. */
	room_kill(&room);
	rights_drop(&room);
	history = opened(room.path);
	assert_int_equal(rows_ask(history), before);
	history_close(history);
	rights_back(&room);

	/* It ended: the file is all there is. */
	room_again(&room);
	room_settle(&room);
	rights_drop(&room);
	history = opened(room.path);
	assert_int_equal(rows_ask(history), before);
	rights_back(&room);

	/* And now it is written again. */
	room_again(&room);
	room_sql(&room, "INSERT INTO gap VALUES (100, 3, 'lost', 3, 4, 9)");
	assert_int_equal(history_ask(history, &ALL, ROOM_NOW, row_count, &count), -EBUSY);
	assert_non_null(strstr(history_why(history), "ask again"));
	history_close(history);
	history_room_remove(&room);
}

static void test_not_readable(void **state)
{
	struct room room;
	char other[128];

	(void)state;
	history_room_make(&room, 1);
	room_fill(&room, 50);
	room_kill(&room);
	rights_drop(&room);
	rights_back(&room);
	assert_int_equal(chmod(room.path, 0), 0);
	if (!geteuid()) {
		assert_int_equal(chmod(room.folder, 0555), 0);
		assert_int_equal(seteuid(NOBODY), 0);
	}
	refused(room.path, -EACCES, "ask as root");
	rights_back(&room);

	/* There is a WAL, and nothing beside it may be made. */
	snprintf(other, sizeof(other), "%s-shm", room.path);
	assert_int_equal(unlink(other), 0);
	rights_drop(&room);
	refused(room.path, -EACCES, "-shm");
	rights_back(&room);
	history_room_remove(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_history),  cmocka_unit_test(test_schema),
		cmocka_unit_test(test_schema_more), cmocka_unit_test(test_types),
		cmocka_unit_test(test_skipped),	    cmocka_unit_test(test_texts),
		cmocka_unit_test(test_damage),	    cmocka_unit_test(test_endless),
		cmocka_unit_test(test_not_ours),    cmocka_unit_test(test_not_readable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
