/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A table of SQLite in a file without a name. A row is kept as its struct, and behind it its
 * texts in the order of the lists below. */
#include "fleet/sorter.h"

#include <errno.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buffer.h"
#include "lib/cleanup.h"

#define ROW(member) offsetof(struct history_row, member)
#define PROCESS(member) offsetof(struct history_process, member)
#define BLOCKER(member) offsetof(struct history_blocker, member)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const size_t row_texts[] = {
	ROW(protocol), ROW(trigger), ROW(origin), ROW(error),	       ROW(local),
	ROW(remote),   ROW(host),    ROW(tier),	  ROW(blocked_reason),
};
static const size_t process_texts[] = {
	PROCESS(comm), PROCESS(exe),	   PROCESS(user),    PROCESS(parent_comm), PROCESS(cgroup),
	PROCESS(unit), PROCESS(container), PROCESS(runtime), PROCESS(pod),	   PROCESS(args),
};
static const size_t blocker_texts[] = {BLOCKER(role), BLOCKER(state), BLOCKER(local),
				       BLOCKER(remote)};

struct sorter {
	sqlite3 *database;
	sqlite3_stmt *insert;
	struct buffer room;
	struct history_row row;
	char why[160];
};

/* ---- a row as bytes ---- */

typedef void text_visitor(struct history_text *text, void *context);

static void list_visit(void *base, const size_t *offsets, size_t count, text_visitor *visit,
		       void *context)
{
	for (size_t i = 0; i < count; i++)
		visit((struct history_text *)((char *)base + offsets[i]), context);
}

static void texts_visit(struct history_row *row, text_visitor *visit, void *context)
{
	list_visit(row, row_texts, COUNT(row_texts), visit, context);
	list_visit(&row->process, process_texts, COUNT(process_texts), visit, context);
	for (unsigned int i = 0; i < row->blocked_count; i++) {
		struct history_blocker *blocker = &row->blockers[i];

		list_visit(blocker, blocker_texts, COUNT(blocker_texts), visit, context);
		list_visit(&blocker->process, process_texts, COUNT(process_texts), visit, context);
	}
}

static size_t row_size(const struct history_row *row)
{
	return offsetof(struct history_row, blockers) +
	       row->blocked_count * sizeof(row->blockers[0]);
}

static void text_append(struct history_text *text, void *context)
{
	if (text->data)
		buffer_append(context, text->data, text->length);
}

static void text_place(struct history_text *text, void *context)
{
	const char **at = context;

	if (!text->data)
		return;
	text->data = *at;
	*at += text->length;
}

/* ---- SQLite ---- */

static int fail(struct sorter *sorter, int result)
{
	switch (result & 0xff) {
	case SQLITE_NOMEM:
		snprintf(sorter->why, sizeof(sorter->why), "out of memory");
		return -ENOMEM;
	case SQLITE_FULL:
		snprintf(sorter->why, sizeof(sorter->why),
			 "no room to sort: TMPDIR names a folder with more room");
		return -ENOSPC;
	default:
		snprintf(sorter->why, sizeof(sorter->why),
			 "cannot sort in a temporary file (%s): TMPDIR names another folder",
			 sqlite3_errmsg(sorter->database));
		return -EIO;
	}
}

struct sorter *sorter_new(void)
{
	struct sorter *sorter = calloc(1, sizeof(*sorter));

	if (!sorter)
		return NULL;
	if (sqlite3_open_v2("", &sorter->database,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) == SQLITE_OK &&
	    sqlite3_exec(sorter->database,
			 "PRAGMA journal_mode = OFF; PRAGMA temp_store = FILE;"
			 " PRAGMA cache_size = -32768;"
			 " CREATE TABLE found (time, what, host, id, bytes); BEGIN",
			 NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(sorter->database, "INSERT INTO found VALUES (?1, ?2, ?3, ?4, ?5)",
			       -1, &sorter->insert, NULL) == SQLITE_OK)
		return sorter;
	sorter_free(sorter);
	return NULL;
}

void sorter_free(struct sorter *sorter)
{
	if (!sorter)
		return;
	sqlite3_finalize(sorter->insert);
	sqlite3_close(sorter->database);
	buffer_free(&sorter->room);
	free(sorter);
}

const char *sorter_why(const struct sorter *sorter)
{
	return sorter->why;
}

int sorter_add(struct sorter *sorter, const struct history_row *row)
{
	struct history_row *copy = &sorter->row;
	int result;

	memcpy(copy, row, row_size(row));
	buffer_reset(&sorter->room);
	buffer_append(&sorter->room, copy, row_size(copy));
	texts_visit(copy, text_append, &sorter->room);
	if (sorter->room.failed || sorter->room.length > INT32_MAX)
		return fail(sorter, SQLITE_NOMEM);
	sqlite3_bind_int64(sorter->insert, 1, row->time);
	sqlite3_bind_int(sorter->insert, 2, row->kind);
	sqlite3_bind_blob(sorter->insert, 3, row->host.data ? row->host.data : "",
			  (int)row->host.length, SQLITE_STATIC);
	sqlite3_bind_int64(sorter->insert, 4, (int64_t)row->id);
	sqlite3_bind_blob(sorter->insert, 5, sorter->room.data, (int)sorter->room.length,
			  SQLITE_STATIC);
	result = sqlite3_step(sorter->insert);
	sqlite3_reset(sorter->insert);
	return result == SQLITE_DONE ? 0 : fail(sorter, result);
}

/* What sorter_add() wrote, in a place that a struct may have. */
static int row_visit(struct sorter *sorter, sqlite3_stmt *sorted, history_visitor visitor,
		     void *context)
{
	const char *bytes = sqlite3_column_blob(sorted, 0);
	size_t least = offsetof(struct history_row, blockers);
	struct history_row *row = &sorter->row;
	const char *at;

	if (!bytes)
		return fail(sorter, SQLITE_NOMEM);
	memcpy(row, bytes, least);
	memcpy(row->blockers, bytes + least, row->blocked_count * sizeof(row->blockers[0]));
	at = bytes + row_size(row);
	texts_visit(row, text_place, &at);
	return visitor(context, row);
}

int sorter_visit(struct sorter *sorter, uint64_t newest, history_visitor visitor, void *context)
{
	static const char order[] = "time, what, host, id";
	CLEANUP_FREE char *sql = NULL;
	sqlite3_stmt *sorted = NULL;
	int result, error = 0;

	if (newest && newest <= INT64_MAX)
		result = asprintf(&sql,
				  "SELECT bytes FROM (SELECT * FROM found ORDER BY time DESC, what"
				  " DESC, host DESC, id DESC LIMIT %llu) ORDER BY %s",
				  (unsigned long long)newest, order);
	else
		result = asprintf(&sql, "SELECT bytes FROM found ORDER BY %s", order);
	if (result < 0)
		return fail(sorter, SQLITE_NOMEM);
	result = sqlite3_prepare_v2(sorter->database, sql, -1, &sorted, NULL);
	if (result != SQLITE_OK)
		return fail(sorter, result);
	while (!error && (result = sqlite3_step(sorted)) == SQLITE_ROW)
		error = row_visit(sorter, sorted, visitor, context);
	if (!error && result != SQLITE_DONE)
		error = fail(sorter, result);
	sqlite3_finalize(sorted);
	return error;
}
