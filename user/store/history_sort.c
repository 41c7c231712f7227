/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The scan as a virtual table of the sorter, so that SQLite puts its rows in order: in
 * bounded memory, with temporary files if need be, and keeping only the newest ones if no
 * more are wanted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/history_inside.h"

#define BATCH 256 /* rows whose ids are looked up in one transaction */

enum found_column {
	FOUND_TIME,
	FOUND_WHAT,
	FOUND_ID,
	FOUND_RECORD,
};

struct found_table {
	sqlite3_vtab base;
	struct history *history;
};

struct found_cursor {
	sqlite3_vtab_cursor base;
	struct history *history;
	struct history_record record;
	int64_t number;
	bool over;
};

static int found_connect(sqlite3 *sorter, void *context, int count, const char *const *words,
			 sqlite3_vtab **out, char **why)
{
	struct found_table *table;
	int result = sqlite3_declare_vtab(sorter, "CREATE TABLE x (time, what, id, record)");

	(void)count, (void)words, (void)why;
	if (result != SQLITE_OK)
		return result;
	table = sqlite3_malloc(sizeof(*table));
	if (!table)
		return SQLITE_NOMEM;
	*table = (struct found_table){.history = context};
	*out = &table->base;
	return SQLITE_OK;
}

static int found_disconnect(sqlite3_vtab *table)
{
	sqlite3_free(table);
	return SQLITE_OK;
}

static int found_plan(sqlite3_vtab *table, sqlite3_index_info *plan)
{
	(void)table;
	plan->estimatedCost = 1e6;
	return SQLITE_OK;
}

static int found_open(sqlite3_vtab *table, sqlite3_vtab_cursor **out)
{
	struct found_cursor *cursor = sqlite3_malloc(sizeof(*cursor));

	if (!cursor)
		return SQLITE_NOMEM;
	*cursor = (struct found_cursor){.history = ((struct found_table *)table)->history,
					.over = true};
	*out = &cursor->base;
	return SQLITE_OK;
}

static int found_close(sqlite3_vtab_cursor *cursor)
{
	sqlite3_free(cursor);
	return SQLITE_OK;
}

static int found_next(sqlite3_vtab_cursor *base)
{
	struct found_cursor *cursor = (struct found_cursor *)base;
	int result = history_scan_next(cursor->history, &cursor->record);

	cursor->number++;
	cursor->over = result != 1;
	return result < 0 ? SQLITE_ERROR : SQLITE_OK;
}

static int found_first(sqlite3_vtab_cursor *cursor, int number, const char *name, int count,
		       sqlite3_value **values)
{
	(void)number, (void)name, (void)count, (void)values;
	return found_next(cursor);
}

static int found_over(sqlite3_vtab_cursor *cursor)
{
	return ((struct found_cursor *)cursor)->over;
}

static int found_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
	const struct found_cursor *cursor = (struct found_cursor *)base;
	const struct history_record *record = &cursor->record;

	switch (column) {
	case FOUND_TIME:
		sqlite3_result_int64(context, record->time);
		break;
	case FOUND_WHAT:
		sqlite3_result_int(context, record->what);
		break;
	case FOUND_ID:
		sqlite3_result_int64(context, record->id);
		break;
	default:
		sqlite3_result_blob(context, record, sizeof(*record), SQLITE_TRANSIENT);
		break;
	}
	return SQLITE_OK;
}

static int found_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *number)
{
	*number = ((struct found_cursor *)cursor)->number;
	return SQLITE_OK;
}

int history_sort_install(struct history *history)
{
	static const sqlite3_module module = {
		.xConnect = found_connect,
		.xBestIndex = found_plan,
		.xDisconnect = found_disconnect,
		.xOpen = found_open,
		.xClose = found_close,
		.xFilter = found_first,
		.xNext = found_next,
		.xEof = found_over,
		.xColumn = found_column,
		.xRowid = found_rowid,
	};

	return sqlite3_create_module(history->sorter, "found", &module, history);
}

/* 1, 0: there is no more. */
static int record_step(struct history *history, sqlite3_stmt *sorted, struct history_record *record)
{
	int result = sqlite3_step(sorted);

	if (result == SQLITE_ROW)
		memcpy(record, sqlite3_column_blob(sorted, 0), sizeof(*record));
	else if (result != SQLITE_DONE)
		return history_fail_sorter(history, result);
	return result == SQLITE_ROW;
}

static int rows_visit(struct history *history, const struct history_record *records, size_t count,
		      history_visitor visitor, void *context)
{
	for (size_t i = 0; i < count; i++) {
		struct history_row row;
		int result = history_row(history, &records[i], &row);

		if (result < 0)
			return result;
		if (!result) {
			history->skipped++;
			continue;
		}
		result = visitor(context, &row);
		if (result)
			return result;
	}
	return 0;
}

static int sorted_visit(struct history *history, sqlite3_stmt *sorted, history_visitor visitor,
			void *context)
{
	struct history_record records[BATCH];
	int result = 1, error = 0;

	while (result == 1 && !error) {
		size_t count = 0;

		while (count < BATCH &&
		       (result = record_step(history, sorted, &records[count])) == 1)
			count++;
		if (result < 0)
			return result;
		error = history_rows_prepare(history, records, count);
		if (!error)
			error = rows_visit(history, records, count, visitor, context);
	}
	return error;
}

int history_sorted(struct history *history, const struct history_position *after,
		   history_visitor visitor, void *context)
{
	static const char all[] = "SELECT record FROM found ORDER BY time, what, id";
	static const char newest[] =
		"SELECT record FROM (SELECT time, what, id, record FROM found"
		" ORDER BY time DESC, what DESC, id DESC LIMIT ?1) ORDER BY time, what, id";
	const struct history_query *query = history->query;
	bool few = query->newest && query->newest <= INT64_MAX && !after;
	sqlite3_stmt *sorted = NULL;
	int result, error = history_scan_start(history, after);

	if (error)
		return error;
	result = sqlite3_prepare_v2(history->sorter, few ? newest : all, -1, &sorted, NULL);
	if (result == SQLITE_OK && few)
		result = sqlite3_bind_int64(sorted, 1, (int64_t)query->newest);
	if (result == SQLITE_OK)
		error = sorted_visit(history, sorted, visitor, context);
	else
		error = history_fail_sorter(history, result);
	sqlite3_finalize(sorted);
	history_scan_end(history);
	return error;
}
