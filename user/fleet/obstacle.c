/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "fleet/obstacle.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND INT64_C(1000000000)
#define TIME_LENGTH 30 /* 2026-11-21T14:32:07.123456789Z */

enum { PID, NAME, ROLE, STATE, SINCE, PORTS, LOCAL_IP, LOCAL_PORT, REMOTE_IP, REMOTE_PORT };

int obstacles_open(struct obstacles *obstacles)
{
	static const char sql[] =
		"SELECT json_extract(value, '$.pid'), json_extract(value, '$.name'),"
		" json_extract(value, '$.role'), json_extract(value, '$.state'),"
		" json_extract(value, '$.since'), json_extract(value, '$.ports'),"
		" json_extract(value, '$.local.ip'), json_extract(value, '$.local.port'),"
		" json_extract(value, '$.remote.ip'), json_extract(value, '$.remote.port')"
		" FROM json_each(CASE WHEN json_valid(?1) THEN ?1 ELSE '[]' END)"
		" WHERE type = 'object' LIMIT ?2";

	*obstacles = (struct obstacles){0};
	if (sqlite3_open_v2(":memory:", &obstacles->database,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX,
			    NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(obstacles->database, sql, -1, &obstacles->statement, NULL) ==
		    SQLITE_OK)
		return 0;
	obstacles_free(obstacles);
	return -ENOMEM;
}

void obstacles_free(struct obstacles *obstacles)
{
	sqlite3_finalize(obstacles->statement);
	sqlite3_close(obstacles->database);
	buffer_free(&obstacles->texts);
	*obstacles = (struct obstacles){0};
}

static uint64_t number(sqlite3_stmt *row, int column, uint64_t most)
{
	int64_t value;

	if (sqlite3_column_type(row, column) != SQLITE_INTEGER)
		return 0;
	value = sqlite3_column_int64(row, column);
	return value > 0 && (uint64_t)value <= most ? (uint64_t)value : 0;
}

/* At the end of the buffer, which has room. */
static struct history_text text(sqlite3_stmt *row, int column, struct buffer *texts)
{
	struct history_text found = {0};

	if (sqlite3_column_type(row, column) != SQLITE_TEXT)
		return found;
	found.data = texts->data + texts->length;
	found.length = (size_t)sqlite3_column_bytes(row, column);
	buffer_append(texts, sqlite3_column_text(row, column), found.length);
	return found;
}

/* 0: it is none. */
static int64_t time_read(sqlite3_stmt *row, int column)
{
	const char *words = (const char *)sqlite3_column_text(row, column);
	struct tm day = {0};
	unsigned int rest;
	int end = 0;

	if (!words || strlen(words) != TIME_LENGTH ||
	    sscanf(words, "%4d-%2d-%2dT%2d:%2d:%2d.%9uZ%n", &day.tm_year, &day.tm_mon, &day.tm_mday,
		   &day.tm_hour, &day.tm_min, &day.tm_sec, &rest, &end) != 7 ||
	    end != TIME_LENGTH || day.tm_year < 1970 || day.tm_year > 2200)
		return 0;
	day.tm_year -= 1900;
	day.tm_mon--;
	return (int64_t)timegm(&day) * SECOND + rest;
}

int obstacles_read(struct obstacles *obstacles, const struct history_text *json, uint64_t total,
		   struct history_row *row)
{
	sqlite3_stmt *found = obstacles->statement;
	int result;

	row->blocked_count = 0;
	row->blocked_total = total > UINT_MAX ? UINT_MAX : (unsigned int)total;
	if (!json->length || json->length > INT_MAX / 16)
		return 0;
	/* All texts together are no longer than what they stand in; none of them may move. */
	buffer_reset(&obstacles->texts);
	if (!buffer_room(&obstacles->texts, 4 * json->length + 1))
		return -ENOMEM;
	sqlite3_bind_text(found, 1, json->data, (int)json->length, SQLITE_STATIC);
	sqlite3_bind_int(found, 2, HISTORY_BLOCKERS);
	while ((result = sqlite3_step(found)) == SQLITE_ROW &&
	       row->blocked_count < HISTORY_BLOCKERS) {
		struct history_blocker *blocker = &row->blockers[row->blocked_count++];
		struct buffer *texts = &obstacles->texts;

		*blocker = (struct history_blocker){
			.process = {.pid = (uint32_t)number(found, PID, UINT32_MAX),
				    .comm = text(found, NAME, texts)},
			.role = text(found, ROLE, texts),
			.state = text(found, STATE, texts),
			.since = time_read(found, SINCE),
			.ports = (uint32_t)number(found, PORTS, UINT32_MAX),
			.local = text(found, LOCAL_IP, texts),
			.port = (uint16_t)number(found, LOCAL_PORT, UINT16_MAX),
			.remote = text(found, REMOTE_IP, texts),
			.remote_port = (uint16_t)number(found, REMOTE_PORT, UINT16_MAX),
		};
	}
	sqlite3_reset(found);
	sqlite3_clear_bindings(found);
	if (row->blocked_total < row->blocked_count)
		row->blocked_total = row->blocked_count;
	return result == SQLITE_NOMEM || obstacles->texts.failed ? -ENOMEM : 0;
}
