/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "store/history.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "store/history_inside.h"
#include "store/schema.h"

/* ---- errors ---- */

int history_fail_with(struct history *history, int error, const char *format, ...)
{
	va_list arguments;

	if (history->error)
		return history->error;
	va_start(arguments, format);
	vsnprintf(history->why, sizeof(history->why), format, arguments);
	va_end(arguments);
	history->error = error;
	return error;
}

int history_fail(struct history *history, int result)
{
	const char *path = history->path, *words = sqlite3_errmsg(history->file);

	switch (result & 0xff) {
	case SQLITE_NOMEM:
		return history_fail_with(history, -ENOMEM, "%s: out of memory", path);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return history_fail_with(history, -EBUSY,
					 "%s is locked by another program: try again", path);
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
		return history_fail_with(history, -EIO, "%s cannot be read: %s", path, words);
	case SQLITE_INTERRUPT:
		return history_fail_with(history, -EILSEQ,
					 "%s is damaged: reading it finds no end; `sqlite3 FILE "
					 ".recover` may save what is left",
					 path);
	default:
		return history_fail_with(history, -EILSEQ,
					 "%s is damaged (%s): `sqlite3 FILE .recover` may save "
					 "what is left",
					 path, words);
	}
}

int history_fail_sorter(struct history *history, int result)
{
	const char *words = sqlite3_errmsg(history->sorter);

	switch (result & 0xff) {
	case SQLITE_NOMEM:
		return history_fail_with(history, -ENOMEM, "out of memory");
	case SQLITE_FULL:
		return history_fail_with(history, -ENOSPC,
					 "no room to sort: TMPDIR names a folder with more room");
	default:
		return history_fail_with(history, -EIO,
					 "cannot sort in a temporary file (%s): TMPDIR names "
					 "another folder",
					 words);
	}
}

const char *history_why(const struct history *history)
{
	return history->why;
}

uint64_t history_skipped(const struct history *history)
{
	return history->skipped;
}

/* ---- statements ---- */

int history_prepare(struct history *history, const char *sql, sqlite3_stmt **statement)
{
	int result = sqlite3_prepare_v2(history->file, sql, -1, statement, NULL);

	return result == SQLITE_OK ? 0 : history_fail(history, result);
}

sqlite3_stmt *history_lookup(struct history *history, enum history_lookup which, int64_t id)
{
	static const char *const texts[LOOKUPS] = {
		[LOOKUP_RUN] = "SELECT alive, ended, host, tier FROM run NOT INDEXED WHERE id = ?1",
		[LOOKUP_COMMON] = ("SELECT protocol, trigger, origin, error, outcome, ending, run,"
				   " family, netns, device, flags, pool_low, pool_high"
				   " FROM kind NOT INDEXED WHERE id = ?1"),
		[LOOKUP_ADDRESS] = "SELECT ip FROM address NOT INDEXED WHERE id = ?1",
		[LOOKUP_CLAIMANT] =
			("SELECT p.pid, p.start, p.exec, p.namespace_pid, p.parent_pid, g.uid, g.gid,"
			 " g.flags, CASE WHEN typeof(g.args) = 'text' AND json_valid(g.args)"
			 " AND json_type(g.args) = 'array' THEN g.args END,"
			 " g.comm, e.path, g.user, g.parent_comm, c.path, c.unit, c.container,"
			 " c.runtime, c.pod FROM process AS p NOT INDEXED"
			 " LEFT JOIN program AS g NOT INDEXED ON g.id = p.program"
			 " LEFT JOIN executable AS e NOT INDEXED ON e.id = g.executable"
			 " LEFT JOIN cgroup AS c NOT INDEXED ON c.id = g.cgroup WHERE p.id = ?1"),
		[LOOKUP_PROCESS] = "SELECT pid, program FROM process NOT INDEXED WHERE id = ?1",
		[LOOKUP_PROGRAM] =
			("SELECT g.comm, e.path, c.unit, c.container FROM program AS g NOT INDEXED"
			 " LEFT JOIN executable AS e NOT INDEXED ON e.id = g.executable"
			 " LEFT JOIN cgroup AS c NOT INDEXED ON c.id = g.cgroup WHERE g.id = ?1"),
		[LOOKUP_REASON] = "SELECT blocked_reason FROM failure NOT INDEXED WHERE id = ?1",
		[LOOKUP_BLOCKERS] =
			("SELECT role, state, since, ports, port, remote_port, local, remote, process"
			 " FROM blocker WHERE failure = ?1 ORDER BY position"),
		[LOOKUP_VERSION] = "PRAGMA data_version",
	};
	sqlite3_stmt **statement = &history->lookups[which];

	if (!*statement && history_prepare(history, texts[which], statement))
		return NULL;
	sqlite3_bind_int64(*statement, 1, id);
	return *statement;
}

int history_numbers(struct history *history, const char *sql, int64_t *numbers, int count)
{
	sqlite3_stmt *statement;
	int result, error = history_prepare(history, sql, &statement);

	if (error)
		return error;
	result = sqlite3_step(statement);
	for (int i = 0; result == SQLITE_ROW && i < count; i++)
		history_column(statement, i, INT64_MIN, INT64_MAX, &numbers[i]);
	sqlite3_finalize(statement);
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		return history_fail(history, result);
	return result == SQLITE_ROW;
}

/* ---- open ---- */

void history_close(struct history *history)
{
	if (!history)
		return;
	history_scan_end(history);
	history_disconnect(history);
	history_match_reset(history);
	history_rows_free(history);
	sqlite3_close(history->sorter);
	free(history->path);
	free(history);
}

static void history_cleanup(struct history **history)
{
	history_close(*history);
}

int history_open(const char *path, struct history **out, char *why, size_t size)
{
	CLEANUP(history_cleanup) struct history *history = calloc(1, sizeof(*history));
	int error;

	*why = 0;
	if (history)
		history->path = strdup(path);
	if (!history || !history->path ||
	    sqlite3_open_v2(":memory:", &history->sorter,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK ||
	    sqlite3_exec(history->sorter, schema_text, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(history->sorter, "PRAGMA temp_store = FILE; PRAGMA cache_size = -16384",
			 NULL, NULL, NULL) != SQLITE_OK ||
	    history_sort_install(history) != SQLITE_OK) {
		snprintf(why, size, "%s: out of memory", path);
		return -ENOMEM;
	}
	error = history_connect(history, why, size);
	if (!error)
		*out = TAKE_POINTER(history);
	return error;
}

/* ---- ask ---- */

/* How far the last run got. `now` INT64_MIN: silence does not count. */
static int run_last(struct history *history, int64_t now)
{
	/* id, alive, ended */
	int64_t last[3] = {0, INT64_MIN, INT64_MIN}, quiet;
	int error = history_numbers(
		history, "SELECT id, alive, ended FROM run ORDER BY id DESC LIMIT 1", last, 3);

	if (error < 0)
		return error;
	history->last_run = last[0];
	history->last_end = INT64_MAX;
	if (last[2] != INT64_MIN)
		history->last_end = last[2];
	else if (now != INT64_MIN && !__builtin_sub_overflow(now, HISTORY_SILENCE, &quiet) &&
		 last[1] < quiet)
		history->last_end = last[1];
	return 0;
}

/* Opened as one that nobody writes: is that so? */
static int stillness_check(struct history *history)
{
	CLEANUP_FREE char *wal = NULL;
	struct stat status;

	if (!history->immutable)
		return 0;
	if (asprintf(&wal, "%s-wal", history->path) < 0)
		return history_fail_with(history, -ENOMEM, "out of memory");
	if (!stat(wal, &status) || stat(history->path, &status) ||
	    status.st_size != history->size || status.st_mtim.tv_sec != history->modified.tv_sec ||
	    status.st_mtim.tv_nsec != history->modified.tv_nsec)
		return history_fail_with(history, -EBUSY,
					 "%s: a recording began while it was read: ask again",
					 history->path);
	return 0;
}

static int question_begin(struct history *history, const struct history_query *query, int64_t now)
{
	int result;

	history->query = query;
	history->error = 0;
	*history->why = 0;
	history_match_reset(history);
	history_rows_reset(history);
	history_budget(history);
	if (stillness_check(history))
		return history->error;
	result = sqlite3_exec(history->file, "BEGIN", NULL, NULL, NULL);
	return result == SQLITE_OK ? run_last(history, now) : history_fail(history, result);
}

static void question_end(struct history *history)
{
	if (history->scan)
		history_scan_end(history);
	else if (!sqlite3_get_autocommit(history->file))
		sqlite3_exec(history->file, "COMMIT", NULL, NULL, NULL);
	history->query = NULL;
}

int history_ask(struct history *history, const struct history_query *query, int64_t now,
		history_visitor visitor, void *context)
{
	int error = question_begin(history, query, now);

	if (!error)
		error = history_sorted(history, NULL, visitor, context);
	question_end(history);
	if (!error)
		error = stillness_check(history);
	return error;
}

static bool recording_read(struct history *history, sqlite3_stmt *row,
			   struct history_recording *recording)
{
	struct history_text *texts[] = {&recording->host, &recording->kernel, &recording->tier,
					&recording->program};
	int64_t id = 0, coverage = 0;

	*recording = (struct history_recording){.ended = INT64_MIN};
	if (!history_column(row, 0, 1, INT64_MAX, &id) ||
	    !history_column(row, 1, INT64_MIN, INT64_MAX, &recording->started))
		return false;
	recording->id = (uint64_t)id;
	if (!history_column(row, 3, INT64_MIN, INT64_MAX - 1, &recording->ended)) {
		recording->killed = true;
		if (!history_column(row, 2, INT64_MIN, INT64_MAX - 1, &recording->ended))
			return false;
	}
	if (id == history->last_run && history->last_end == INT64_MAX) {
		recording->ended = INT64_MAX;
		recording->killed = false;
	}
	history_column(row, 4, 0, INT64_MAX, &coverage);
	recording->coverage = (uint64_t)coverage;
	for (int i = 0; i < 4; i++)
		*texts[i] = history_column_text(row, 5 + i);
	return true;
}

int history_recordings(struct history *history, int64_t since, int64_t until, int64_t now,
		       history_recording_visitor visitor, void *context)
{
	static const struct history_query nothing;
	struct history_recording recording;
	sqlite3_stmt *runs = NULL;
	int error = question_begin(history, &nothing, now), result = SQLITE_DONE;

	if (!error)
		error = history_prepare(history,
					"SELECT id, started, alive, ended, coverage, host, kernel,"
					" tier, program FROM run NOT INDEXED ORDER BY id",
					&runs);
	while (!error && (result = sqlite3_step(runs)) == SQLITE_ROW) {
		if (!recording_read(history, runs, &recording))
			history->skipped++;
		else if (recording.started <= until && recording.ended >= since)
			error = visitor(context, &recording);
	}
	if (!error && result != SQLITE_DONE)
		error = history_fail(history, result);
	sqlite3_finalize(runs);
	question_end(history);
	return error;
}

/* ---- follow ---- */

static int version_read(struct history *history, int64_t *version)
{
	sqlite3_stmt *found = history_lookup(history, LOOKUP_VERSION, 0);
	int result;

	if (!found)
		return history->error;
	result = sqlite3_step(found);
	if (result == SQLITE_ROW)
		*version = sqlite3_column_int64(found, 0);
	sqlite3_reset(found);
	return result == SQLITE_ROW ? 0 : history_fail(history, result);
}

static int position_read(struct history *history, struct history_position *position)
{
	int64_t last[5] = {0};
	int error = history_numbers(
		history,
		"SELECT (SELECT max(id) FROM lease), (SELECT max(id) FROM open_lease),"
		" (SELECT max(id) FROM failure), (SELECT max(id) FROM gap),"
		" (SELECT max(id) FROM run)",
		last, 5);

	*position = (struct history_position){last[0], last[1], last[2], last[3], last[4]};
	return error < 0 ? error : 0;
}

/* Another file took the place: from its beginning. One that is not ready yet is looked at
 * again the next time. */
static int replacement_follow(struct history *history)
{
	struct stat status;
	sqlite3 *file = history->file;
	sqlite3_stmt *lookups[LOOKUPS];
	bool immutable = history->immutable;
	char why[sizeof(history->why)];
	int error;

	if (stat(history->path, &status))
		return 0;
	if (status.st_dev == history->device && status.st_ino == history->inode &&
	    (!immutable || !stillness_check(history)))
		return 0;
	history->error = 0;
	memcpy(lookups, history->lookups, sizeof(lookups));
	memset(history->lookups, 0, sizeof(lookups));
	history->file = NULL;
	/* The same one, of which the recording goes on: we know what we have seen. */
	if (status.st_dev != history->device || status.st_ino != history->inode)
		history->seen = (struct history_position){0};
	history->version = -1;
	error = history_connect(history, why, sizeof(why));
	if (!error || error != -ENOENT) {
		for (int i = 0; i < LOOKUPS; i++)
			sqlite3_finalize(lookups[i]);
		sqlite3_close(file);
		return error ? history_fail_with(history, error, "%s", why) : 0;
	}
	history_disconnect(history);
	history->file = file;
	memcpy(history->lookups, lookups, sizeof(lookups));
	history->inode = 0; /* so that it is tried again */
	return 0;
}

/* The ids of what is held are its own in each run. */
static void run_follow(struct history_position *seen, const struct history_position *now)
{
	if (now->run != seen->run)
		seen->open = 0;
}

int history_follow(struct history *history, const struct history_query *query,
		   history_visitor visitor, void *context)
{
	struct history_position now, after;
	int64_t version = 0;
	int error;

	history->error = 0;
	error = replacement_follow(history);
	if (!error)
		error = version_read(history, &version);
	if (error || (history->following && version == history->version))
		return error;
	error = question_begin(history, query, INT64_MIN);
	if (!error)
		error = position_read(history, &now);
	if (!error && history->following) {
		after = history->seen;
		run_follow(&after, &now);
		error = history_sorted(history, &after, visitor, context);
	}
	question_end(history);
	if (!error) {
		history->seen = now;
		history->version = version;
		history->following = true;
	}
	return error;
}
