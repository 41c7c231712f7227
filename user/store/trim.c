/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is oldest goes first: whole segments, and then, when all segments of an era are
 * gone, what only they referred to. The tables of that are swept from one end to the other,
 * a slice at a time, so that no commit takes long.
 */
#include <stdio.h>

#include "store/writer.h"

#define PORTIONS 4			/* segments at a time, and two for each new one */
#define SLICE 8192			/* ids */
#define SLICES 4			/* for each portion */
#define SLACK_SIZE (UINT64_C(16) << 20) /* of the database, for each segment of slack */
#define SHRINK "1024"			/* pages */
#define AGE_PARTS 16			/* of max_age are kept too long at most */

struct oldest {
	int64_t id, ended, leases, failure;
};

/* 1: there is one, 0, negative errno. */
static int oldest_find(struct writer *writer, struct oldest *oldest)
{
	sqlite3_stmt *statement = writer->statements[OLDEST_SEGMENT];
	int result = sqlite3_step(statement);
	int error = 0;

	if (result == SQLITE_ROW) {
		oldest->id = sqlite3_column_int64(statement, 0);
		oldest->ended = sqlite3_column_int64(statement, 1);
		oldest->leases = sqlite3_column_int64(statement, 2);
		oldest->failure = sqlite3_column_int64(statement, 3);
	} else if (result != SQLITE_DONE) {
		error = database_error(writer->database, result);
	}
	sqlite3_reset(statement);
	return error ? error : result == SQLITE_ROW;
}

static int pages_ask(struct writer *writer, enum statement which, int64_t *pages)
{
	sqlite3_stmt *statement = writer->statements[which];
	int result = sqlite3_step(statement);
	int error = 0;

	if (result == SQLITE_ROW)
		*pages = sqlite3_column_int64(statement, 0);
	else
		error = database_error(writer->database, result);
	sqlite3_reset(statement);
	return error;
}

static int step_with(struct writer *writer, enum statement which, int64_t value)
{
	sqlite3_bind_int64(writer->statements[which], 1, value);
	return writer_step(writer, which);
}

static int segment_trim(struct writer *writer, const struct oldest *oldest)
{
	struct writer_counts *counts = &writer->counts;
	sqlite3 *connection = writer->database->connection;
	int64_t next = oldest->id + 1;
	int64_t leases, failures;
	int error;

	error = step_with(writer, TRIM_LEASES, (next << SCHEMA_SEGMENT_BITS) - 1);
	leases = sqlite3_changes64(connection);
	if (!error)
		error = step_with(writer, TRIM_PORTS, next << SCHEMA_KEY_SEGMENT);
	if (!error)
		error = step_with(writer, TRIM_BLOCKERS, oldest->failure);
	if (!error)
		error = step_with(writer, TRIM_FAILURES, oldest->failure);
	if (error)
		return error;
	failures = sqlite3_changes64(connection);
	counts->leases -= leases;
	counts->failures -= failures;
	counts->trimmed += leases + failures;
	error = step_with(writer, TRIM_SEGMENT, oldest->id);
	return error ? error : writer_step(writer, TRIM_GAPS);
}

/* ---- what is not referred to any more ---- */

/* Swept in this order. The statement is for what leases that are still open refer to:
 * ?1 the segment of now, ?2 the first era that is kept. */
static const struct {
	const char *name, *held;
} tables[] = {
	{"kind", "UPDATE kind SET era = ?1 WHERE era < ?2"
		 " AND id IN (SELECT kind FROM open_lease)"},
	{"process", "UPDATE process SET era = ?1 WHERE era < ?2"
		    " AND id IN (SELECT process FROM open_lease)"},
	{"program", "UPDATE program SET era = ?1 WHERE era < ?2"
		    " AND id IN (SELECT p.program FROM open_lease o"
		    "  JOIN process p ON p.id = o.process)"},
	{"executable", "UPDATE executable SET era = ?1 WHERE era < ?2"
		       " AND id IN (SELECT g.executable FROM open_lease o"
		       "  JOIN process p ON p.id = o.process JOIN program g ON g.id = p.program)"},
	{"cgroup", "UPDATE cgroup SET era = ?1 WHERE era < ?2"
		   " AND id IN (SELECT g.cgroup FROM open_lease o"
		   "  JOIN process p ON p.id = o.process JOIN program g ON g.id = p.program)"},
	{"address", "UPDATE address SET era = ?1 WHERE era < ?2"
		    " AND id IN (SELECT local FROM open_lease"
		    "  UNION SELECT remote FROM open_lease)"},
};
#define TABLES ((int)(sizeof(tables) / sizeof(*tables)))

/* `value`: what ?1 and so on are. */
static int execute_with(struct writer *writer, const char *sql, const int64_t *values, int count,
			int64_t *number)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(writer->database->connection, sql, -1, &statement, NULL);
	int error;

	for (int i = 0; result == SQLITE_OK && i < count; i++)
		result = sqlite3_bind_int64(statement, i + 1, values[i]);
	if (result == SQLITE_OK)
		result = sqlite3_step(statement);
	if (result == SQLITE_ROW && number)
		*number = sqlite3_column_int64(statement, 0);
	error = result == SQLITE_DONE || result == SQLITE_ROW
			? 0
			: database_error(writer->database, result);
	sqlite3_finalize(statement);
	return error;
}

static int sweep_begin(struct writer *writer, int64_t kept)
{
	const int64_t eras[] = {writer_segment(writer), kept};

	for (int i = 0; i < TABLES; i++) {
		int error = execute_with(writer, tables[i].held, eras, 2, NULL);

		if (error)
			return error;
	}
	writer->sweep = kept;
	writer->sweep_table = 0;
	writer->sweep_at = 0;
	return 0;
}

/* One slice of a table, or the step to the next one. */
static int sweep_slice(struct writer *writer)
{
	const char *name = tables[writer->sweep_table].name;
	int64_t next = -1;
	char sql[256];
	int error;

	snprintf(sql, sizeof(sql), "SELECT id FROM %s WHERE id > ?1 ORDER BY id LIMIT 1", name);
	error = execute_with(writer, sql, &writer->sweep_at, 1, &next);
	if (error)
		return error;
	if (next >= 0) {
		const int64_t values[] = {next, next + SLICE, writer->sweep,
					  writer->sweep + writer->slack - writer->slack_before,
					  writer->slack_since};

		snprintf(sql, sizeof(sql),
			 "DELETE FROM %s WHERE id >= ?1 AND id < ?2"
			 " AND (era < ?4 OR (era < ?3 AND era >= ?5))",
			 name);
		writer->sweep_at = next + SLICE - 1;
		return execute_with(writer, sql, values, 5, NULL);
	}
	writer->sweep_at = 0;
	if (++writer->sweep_table == TABLES) {
		writer->sweep_table = -1;
		writer->swept = writer->sweep;
	}
	return 0;
}

void writer_settle_slack(struct writer *writer)
{
	int64_t slack = (int64_t)(writer->max_size / SLACK_SIZE);

	if (slack < 1)
		slack = 1;
	if (slack > WRITER_SLACK_MOST)
		slack = WRITER_SLACK_MOST;
	if (slack == writer->slack)
		return;
	/* A greater one is safe for what has a lesser one, but not the other way round. */
	if (slack < writer->slack)
		writer->slack_since = writer_segment(writer);
	if (writer->slack_before < writer->slack)
		writer->slack_before = writer->slack;
	if (writer->slack_before < slack)
		writer->slack_before = slack;
	writer->slack = slack;
	writer->counts.slack_stored = writer->committed.slack_stored = false;
}

void writer_set_size(struct writer *writer, uint64_t max_size)
{
	writer->max_size = max_size;
	/* else when it is attached */
	if (writer->database->connection)
		writer_settle_slack(writer);
}

int writer_store_slack(struct writer *writer)
{
	sqlite3_stmt *statement = writer->statements[STORE_SLACK];

	if (writer->counts.slack_stored)
		return 0;
	sqlite3_bind_int64(statement, 1, writer->slack);
	sqlite3_bind_int64(statement, 2, writer->slack_before);
	sqlite3_bind_int64(statement, 3, writer->slack_since);
	writer->counts.slack_stored = true;
	return writer_step(writer, STORE_SLACK);
}

static int sweep(struct writer *writer, int slices)
{
	struct oldest oldest = {.id = writer_segment(writer)};
	int64_t kept, bound = oldest.id - 2 * writer->slack;
	int error = 0;

	while (!error && slices-- && writer->sweep_table >= 0)
		error = sweep_slice(writer);
	if (error || writer->sweep_table >= 0)
		return error;
	error = oldest_find(writer, &oldest);
	if (error < 0)
		return error;
	/* What waits, or is given next, refers to rows that are fresh. */
	kept = oldest.id < bound ? oldest.id : bound;
	kept -= writer->slack;
	return kept - writer->swept >= writer->slack ? sweep_begin(writer, kept) : 0;
}

static int shrink(struct writer *writer)
{
	return database_execute(writer->database, "PRAGMA incremental_vacuum(" SHRINK ")");
}

/* With few leases a segment takes years: none may be much younger at its end than it was
 * at its beginning. */
static bool segment_is_due(const struct writer *writer, uint64_t max_age, int64_t now)
{
	int64_t since = writer->counts.segment_since;

	return max_age && since && now > since && (uint64_t)(now - since) > max_age / AGE_PARTS;
}

struct limits {
	int64_t pages;
	int64_t oldest; /* what ended before is too old */
};

/* 1: one went, 0: none has to, negative errno. */
static int trim_one(struct writer *writer, const struct limits *limits)
{
	struct oldest oldest = {0};
	int64_t pages = 0, unused = 0;
	int error = pages_ask(writer, PAGES, &pages);
	bool large;

	if (!error)
		error = pages_ask(writer, FREE_PAGES, &unused);
	if (error)
		return error;
	large = pages - unused > limits->pages;
	error = oldest_find(writer, &oldest);
	if (error < 0)
		return error;
	if (!error) {
		if (!large || !writer->counts.segment_since)
			return 0;
		error = writer_segment_complete(writer);
		return error ? error : 1;
	}
	if (!large && oldest.ended >= limits->oldest)
		return 0;
	error = segment_trim(writer, &oldest);
	return error ? error : 1;
}

/* `fresh`: segments that were completed since the last time. */
static int trim_within(struct writer *writer, uint64_t max_age, int64_t now,
		       const struct limits *limits, int fresh)
{
	int portions = PORTIONS + 2 * fresh, trimmed = 0, result = 1;
	int64_t pages = 0, unused = 0;
	int error = 0;

	if (segment_is_due(writer, max_age, now))
		error = writer_segment_complete(writer);
	if (!error)
		error = sweep(writer, SLICES * portions);
	/* What is swept makes room, too: until then no more goes than comes. */
	if (writer->sweep_table >= 0)
		portions = fresh;
	while (!error && result > 0 && trimmed < portions) {
		result = trim_one(writer, limits);
		if (result < 0)
			return result;
		trimmed += result;
	}
	if (!error)
		error = pages_ask(writer, PAGES, &pages);
	if (!error)
		error = pages_ask(writer, FREE_PAGES, &unused);
	if (!error && unused && pages > limits->pages) {
		error = shrink(writer);
		result = 1;
	}
	return error ? error : result > 0 || writer->sweep_table >= 0;
}

int writer_trim(struct writer *writer, uint64_t max_size, uint64_t max_age, int64_t now)
{
	const struct limits limits = {
		.pages = (int64_t)(max_size / (uint64_t)writer->database->page_size),
		.oldest = max_age && max_age < INT64_MAX && now > (int64_t)max_age
				  ? now - (int64_t)max_age
				  : INT64_MIN,
	};
	int fresh = (int)(writer->counts.completed - writer->completed);
	int more, error = writer_begin(writer);

	if (error)
		return error;
	more = trim_within(writer, max_age, now, &limits, fresh);
	error = more < 0 ? more : writer_commit(writer);
	if (error) {
		writer_rollback(writer);
		return error;
	}
	writer->completed = writer->counts.completed;
	return more;
}
