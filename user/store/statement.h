/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The statements of the writer, prepared once. */
#ifndef PORTSNOOP_STORE_STATEMENT_H
#define PORTSNOOP_STORE_STATEMENT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/schema.h"

enum statement {
	BEGIN,
	COMMIT,
	INSERT_LEASE,
	INSERT_OPEN,
	DELETE_OPEN,
	CLEAR_OPEN,
	INSERT_FAILURE,
	INSERT_BLOCKER,
	INSERT_KIND,
	INSERT_PROCESS,
	INSERT_PROGRAM,
	INSERT_ADDRESS,
	FIND_ADDRESS,
	INSERT_EXECUTABLE,
	FIND_EXECUTABLE,
	INSERT_CGROUP,
	FIND_CGROUP,
	TOUCH_KIND,
	TOUCH_PROCESS,
	TOUCH_PROCESS_PROGRAM,
	TOUCH_PROCESS_EXECUTABLE,
	TOUCH_PROCESS_CGROUP,
	TOUCH_ADDRESS,
	TOUCH_EXECUTABLE,
	TOUCH_CGROUP,
	STORE_SLACK,
	INSERT_GAP,
	GROW_GAP,
	BOUND_GAPS,
	INSERT_RUN,
	UPDATE_RUN,
	BOUND_RUNS,
	LAST_RUN,
	LIST_OPEN,
	COPY_KIND,
	COMPLETE_SEGMENT,
	COMPLETE_PORTS,
	OLDEST_SEGMENT,
	TRIM_LEASES,
	TRIM_PORTS,
	TRIM_BLOCKERS,
	TRIM_FAILURES,
	TRIM_SEGMENT,
	TRIM_GAPS,
	PAGES,
	FREE_PAGES,
	STATEMENTS
};

/* SQLite's result. */
int statements_prepare(sqlite3 *connection, sqlite3_stmt **statements);
void statements_finalize(sqlite3_stmt **statements);

/* NULL data: NULL. Not valid UTF-8: a blob. The bytes must stay until the step. */
void bind_text(sqlite3_stmt *statement, int index, const char *data, size_t length);
void bind_string(sqlite3_stmt *statement, int index, const char *text);

/* A value that stands for NULL. */
static inline void bind_but(sqlite3_stmt *statement, int index, int64_t value, int64_t null)
{
	if (value == null)
		sqlite3_bind_null(statement, index);
	else
		sqlite3_bind_int64(statement, index, value);
}

#endif
