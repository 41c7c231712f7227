/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a path to a database that can be asked, or to a sentence for people. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "store/history_inside.h"
#include "store/schema.h"

#define BUSY_PATIENCE 3000   /* ms */
#define VALUE_MOST (1 << 20) /* bytes of a value or a row: ours have a few thousand */
#define CACHE "-2048"	     /* KiB */

__attribute__((format(printf, 4, 5))) static int refuse(int error, char *why, size_t size,
							const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, size, format, arguments);
	va_end(arguments);
	return error;
}

/* -wal beside the database: 1, 0, or negative errno. An empty one has nothing. */
static int wal_exists(const char *path)
{
	CLEANUP_FREE char *wal = NULL;
	struct stat status;

	if (asprintf(&wal, "%s-wal", path) < 0)
		return -ENOMEM;
	if (!stat(wal, &status))
		return status.st_size > 0;
	return errno == ENOENT ? 0 : -errno;
}

static int refuse_access(const char *path, char *why, size_t size)
{
	return refuse(-EACCES, why, size,
		      "%s: permission denied: ask as root, as the user of the recording or as a "
		      "member of the file's group",
		      path);
}

static int file_check(const char *path, struct stat *status, char *why, size_t size)
{
	if (stat(path, status)) {
		switch (errno) {
		case ENOENT:
		case ENOTDIR:
			return refuse(-ENOENT, why, size,
				      "%s: there is no history here: `portsnoop record` makes one, "
				      "--db names another file",
				      path);
		case EACCES:
			return refuse_access(path, why, size);
		default:
			return refuse(-errno, why, size, "%s: %s", path, strerror(errno));
		}
	}
	if (!S_ISREG(status->st_mode))
		return refuse(-EILSEQ, why, size,
			      "%s is no file: expected the database of `portsnoop record`", path);
	if (!status->st_size)
		return refuse(-ENOENT, why, size,
			      "%s is empty: nothing has been recorded yet; `portsnoop record` does",
			      path);
	if (access(path, R_OK))
		return refuse_access(path, why, size);
	return 0;
}

/* An absolute path is neither an URI nor ":memory:", whatever SQLite was built with. */
static int uri_make(const char *path, char **uri)
{
	struct buffer text = BUFFER_EMPTY;

	buffer_text(&text, "file:");
	for (const char *at = path; *at; at++) {
		if (strchr("%?#", *at))
			buffer_printf(&text, "%%%02x", (unsigned char)*at);
		else
			buffer_byte(&text, *at);
	}
	buffer_append(&text, "?immutable=1", sizeof("?immutable=1"));
	if (text.failed) {
		buffer_free(&text);
		return -ENOMEM;
	}
	*uri = text.data;
	return 0;
}

/* What is given to it may be hostile: nothing of it runs, and nothing gets large. */
static void connection_restrict(sqlite3 *file)
{
	static const struct {
		int what, most;
	} limits[] = {
		{SQLITE_LIMIT_LENGTH, VALUE_MOST}, {SQLITE_LIMIT_SQL_LENGTH, 65536},
		{SQLITE_LIMIT_COLUMN, 200},	   {SQLITE_LIMIT_EXPR_DEPTH, 100},
		{SQLITE_LIMIT_ATTACHED, 0},	   {SQLITE_LIMIT_WORKER_THREADS, 0},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		sqlite3_limit(file, limits[i].what, limits[i].most);
	sqlite3_db_config(file, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(file, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(file, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(file, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_db_config(file, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(file, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	sqlite3_busy_timeout(file, BUSY_PATIENCE);
	sqlite3_exec(file, "PRAGMA cell_size_check = ON; PRAGMA cache_size = " CACHE, NULL, NULL,
		     NULL);
}

/* A question may take long, but a loop in a damaged tree would take for ever: no more steps
 * than a sane file of this size could ask for. */
void history_budget(struct history *history)
{
	CLEANUP_FREE char *wal = NULL;
	struct stat status;

	history->budget = 8 * 1024;
	if (!stat(history->path, &status))
		history->budget += status.st_size / 16;
	if (asprintf(&wal, "%s-wal", history->path) >= 0 && !stat(wal, &status))
		history->budget += status.st_size / 16;
}

static int budget_spend(void *context)
{
	struct history *history = context;

	return --history->budget < 0;
}

static int number_ask(sqlite3 *file, const char *sql, int64_t *number)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(file, sql, -1, &statement, NULL);

	if (result == SQLITE_OK)
		result = sqlite3_step(statement);
	if (result == SQLITE_ROW) {
		*number = sqlite3_column_int64(statement, 0);
		result = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	return result;
}

static int refuse_result(struct history *history, int result, char *why, size_t size)
{
	const char *path = history->path;

	switch (result & 0xff) {
	case SQLITE_NOTADB:
		return refuse(-EILSEQ, why, size,
			      "%s is no SQLite database, so no history: --db names another file",
			      path);
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return refuse(-EACCES, why, size,
			      "%s: what was written last is in %s-wal, and %s-shm beside it is "
			      "missing or not ours to open: ask as root or as the user of the "
			      "recording",
			      path, path, path);
	case SQLITE_BUSY:
		return refuse(-EBUSY, why, size, "%s is locked by another program: try again",
			      path);
	case SQLITE_NOMEM:
		return refuse(-ENOMEM, why, size, "%s: out of memory", path);
	default:
		return refuse(-EILSEQ, why, size,
			      "%s is damaged (%s): `sqlite3 FILE .recover` may save what is left",
			      path, sqlite3_errmsg(history->file));
	}
}

/* The same texts as in a database that we made: no table is a view, a virtual one, or has
 * columns with expressions, and there is the index. */
static int schema_compare(struct history *history, char *why, size_t size)
{
	sqlite3_stmt *ours = NULL, *theirs = NULL;
	const char *all = "SELECT name, sql FROM sqlite_schema "
			  "WHERE type IN ('table', 'index') AND sql NOT NULL";
	/* The collation is the column's own. */
	const char *same = "SELECT count(*), sum(sql = ?2 AND rootpage > 0) FROM sqlite_schema "
			   "WHERE lower(name) = ?1 OR (name = ?1)";
	int result, error = 0;

	result = sqlite3_prepare_v2(history->sorter, all, -1, &ours, NULL);
	if (result != SQLITE_OK)
		error = refuse(-ENOMEM, why, size, "%s", sqlite3_errmsg(history->sorter));
	result = error ? SQLITE_OK : sqlite3_prepare_v2(history->file, same, -1, &theirs, NULL);
	if (result != SQLITE_OK)
		error = refuse_result(history, result, why, size);
	while (!error && sqlite3_step(ours) == SQLITE_ROW) {
		sqlite3_bind_value(theirs, 1, sqlite3_column_value(ours, 0));
		sqlite3_bind_value(theirs, 2, sqlite3_column_value(ours, 1));
		result = sqlite3_step(theirs);
		if (result != SQLITE_ROW)
			error = refuse_result(history, result, why, size);
		else if (sqlite3_column_int64(theirs, 0) != 1 ||
			 sqlite3_column_int64(theirs, 1) != 1)
			error = refuse(
				-EILSEQ, why, size,
				"%s: `%s` in it is not what portsnoop makes: it was changed by "
				"hand, or this is no history; --db names another file",
				history->path, sqlite3_column_text(ours, 0));
		sqlite3_reset(theirs);
	}
	sqlite3_finalize(ours);
	sqlite3_finalize(theirs);
	return error;
}

static int file_open(struct history *history, bool immutable)
{
	CLEANUP_FREE char *uri = NULL;
	int64_t application;
	int result, flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;

	if (immutable && uri_make(history->path, &uri))
		return SQLITE_NOMEM;
	result = sqlite3_open_v2(uri ? uri : history->path, &history->file,
				 uri ? flags | SQLITE_OPEN_URI : flags, NULL);
	if (result != SQLITE_OK)
		return result;
	sqlite3_extended_result_codes(history->file, 0);
	connection_restrict(history->file);
	sqlite3_progress_handler(history->file, 1000, budget_spend, history);
	history->immutable = immutable;
	/* The schema's cookie is read under a lock, application_id alone may not be. */
	return number_ask(history->file, "SELECT count(*) FROM sqlite_schema", &application);
}

static int version_check(struct history *history, char *why, size_t size)
{
	int64_t application = 0, version = 0;
	int result = number_ask(history->file, "PRAGMA application_id", &application);

	if (result == SQLITE_OK)
		result = number_ask(history->file, "PRAGMA user_version", &version);
	if (result != SQLITE_OK)
		return refuse_result(history, result, why, size);
	if (application != SCHEMA_APPLICATION)
		return refuse(-EILSEQ, why, size,
			      "%s is a database of another program (application_id 0x%llx), no "
			      "history: --db names another file",
			      history->path, (unsigned long long)application & 0xffffffff);
	if (version > SCHEMA_VERSION)
		return refuse(-EILSEQ, why, size,
			      "%s was written by a newer portsnoop (its schema is %lld, this one "
			      "knows %d): ask with the one that records",
			      history->path, (long long)version, SCHEMA_VERSION);
	if (version < SCHEMA_VERSION)
		return refuse(-EILSEQ, why, size,
			      "%s has schema %lld, expected %d: start `portsnoop record` once with "
			      "this version, or --db names another file",
			      history->path, (long long)version, SCHEMA_VERSION);
	return 0;
}

int history_connect(struct history *history, char *why, size_t size)
{
	CLEANUP_FREE char *whole = realpath(history->path, NULL);
	struct stat status;
	int result, error = file_check(history->path, &status, why, size);

	if (error)
		return error;
	if (!whole)
		return refuse(-errno, why, size, "%s: %s", history->path, strerror(errno));
	free(history->path);
	history->path = TAKE_POINTER(whole);
	history_budget(history);
	history->device = status.st_dev;
	history->inode = status.st_ino;
	history->modified = status.st_mtim;
	history->size = status.st_size;
	result = file_open(history, false);
	if (result == SQLITE_CANTOPEN || result == SQLITE_READONLY) {
		/* We may not make the files of a WAL. Without one, all is in the database,
		 * and nobody writes it. */
		if (!wal_exists(history->path)) {
			sqlite3_close(history->file);
			history->file = NULL;
			result = file_open(history, true);
		}
	}
	if (result != SQLITE_OK)
		return refuse_result(history, result, why, size);
	error = version_check(history, why, size);
	if (!error)
		error = schema_compare(history, why, size);
	if (!error && history_match_install(history))
		error = refuse(-ENOMEM, why, size, "%s: out of memory", history->path);
	return error;
}

void history_disconnect(struct history *history)
{
	for (int i = 0; i < LOOKUPS; i++) {
		sqlite3_finalize(history->lookups[i]);
		history->lookups[i] = NULL;
	}
	sqlite3_close(history->file);
	history->file = NULL;
}
