/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "store/inside.h"

static void run_free(struct store_run *run)
{
	free((char *)run->host);
	free((char *)run->kernel);
	free((char *)run->boot);
	free((char *)run->program);
	*run = (struct store_run){0};
}

static void store_free(struct store *store)
{
	if (!store)
		return;
	writer_free(&store->writer);
	database_free(&store->database);
	batch_free(&store->batch);
	intern_clear(&store->kinds);
	intern_clear(&store->programs);
	intern_clear(&store->processes);
	buffer_free(&store->program);
	run_free(&store->run);
	free(store);
}

/* ---- connecting ---- */

/* What was given before this is not in this database. */
static void begin_generation(struct store *store)
{
	batch_clear(&store->batch);
	intern_clear(&store->kinds);
	intern_clear(&store->programs);
	intern_clear(&store->processes);
	store->generation++;
}

static int connect_once(struct store *store, bool ours)
{
	int error = database_connect(&store->database, ours);

	if (error)
		return error;
	error = writer_attach(&store->writer);
	if (error)
		database_disconnect(&store->database);
	return error;
}

static void disconnect(struct store *store)
{
	writer_detach(&store->writer);
	database_disconnect(&store->database);
}

/* A damaged database is moved aside. */
static int connect_store(struct store *store, bool ours)
{
	char name[4096];
	int error = connect_once(store, ours);

	if (error != -EUCLEAN)
		return error;
	error = database_move_aside(&store->database, name, sizeof(name));
	if (error)
		return error;
	log_message("%s is damaged: moved to %s, a new one begins", store->database.path, name);
	return connect_once(store, false);
}

int store_open(const struct store_options *options, struct store **result, char *why, size_t size)
{
	CLEANUP(store_cleanup) struct store *store = calloc(1, sizeof(*store));
	bool first = false;
	int error;

	if (!store || database_init(&store->database, options->path)) {
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	writer_init(&store->writer, &store->database);
	store->batch.limit = options->batch ? options->batch : STORE_BATCH;
	store->kinds.limit = STORE_KINDS;
	store->programs.limit = STORE_PROGRAMS;
	store->processes.limit = STORE_PROCESSES;
	store->generation = 1;
	store_limit(store, options->max_size, options->max_age);
	error = database_lock(&store->database, &first);
	if (!error) {
		error = connect_store(store, !first);
		/* A lock beside what is not ours would say that it is. */
		if (error && first)
			database_lock_remove(&store->database);
	}
	if (error) {
		snprintf(why, size, "%s", store->database.why);
		return error;
	}
	store_measure(store, true);
	*result = TAKE_POINTER(store);
	return 0;
}

void store_cleanup(struct store **store)
{
	store_free(*store);
}

void store_limit(struct store *store, uint64_t max_size, uint64_t max_age)
{
	store->status.max_size = max_size;
	store->status.max_age = max_age;
	writer_set_size(&store->writer, max_size);
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

void store_run(struct store *store, const struct store_run *run)
{
	run_free(&store->run);
	store->run = *run;
	store->run.host = copy(run->host);
	store->run.kernel = copy(run->kernel);
	store->run.boot = copy(run->boot);
	store->run.program = copy(run->program);
	store->has_run = true;
	store->writer.counts.run = store->writer.committed.run = 0;
}

/* ---- trouble ---- */

/* The batch is lost, and all that is open has to be given again. `now` 0: until the next
 * attempt. */
static void drop(struct store *store, int64_t now)
{
	if (!store->lost.since)
		store->lost.since = store->status.committed ? store->status.committed
							    : store->run.started;
	store->lost.until = now;
	store->lost.any |= store->batch.entries > 0;
	store->lost.count += store->batch.entries;
	store->status.dropped += store->batch.entries;
	begin_generation(store);
	store->forget_open = true;
}

/* One more that finds no room. */
void store_full(struct store *store)
{
	if (!store->full)
		log_message("%s has not been written for too long: what waited is lost, and "
			    "counted",
			    store->database.path);
	store->full = true;
	drop(store, 0);
}

/* An entry that is lost without a batch to lose. */
void store_lose(struct store *store)
{
	if (!store->lost.since)
		store->lost.since = store->status.committed ? store->status.committed
							    : store->run.started;
	store->lost.any = true;
	store->lost.until = 0;
	store->lost.count++;
	store->status.dropped++;
}

static int fail(struct store *store, int error)
{
	if (!store->status.error)
		log_message("%s; recording goes on in memory", store->database.why);
	store->status.error = error;
	snprintf(store->status.why, sizeof(store->status.why), "%s", store->database.why);
	return error;
}

static void succeed(struct store *store, int64_t now)
{
	if (store->status.error)
		log_message("%s is being written again", store->database.path);
	store->status.error = 0;
	store->status.why[0] = '\0';
	store->status.committed = now;
	store->full = false;
}

/* A recording's beginning in another file. Whoever deleted the one before may have deleted
 * the lock as well. */
static int connect_next(struct store *store, int64_t now)
{
	int error = database_relock(&store->database);

	if (!error)
		error = connect_store(store, true);
	if (!error)
		store->run.started = now;
	return error;
}

/* The file at the path is another one, or was none of ours to begin with. */
static int connect_anew(struct store *store, int64_t now)
{
	int error;

	drop(store, now);
	store->renew = false;
	disconnect(store);
	error = connect_next(store, now);
	if (!error)
		store->forget_open = false;
	return error;
}

static int reconnect(struct store *store, int64_t now)
{
	struct writer_counts counts = store->writer.committed;
	int64_t run = store->writer.run, kind = store->writer.kind;
	int64_t process = store->writer.process, program = store->writer.program;
	int error;

	if (store->database.connection)
		store->file = store->database.file;
	disconnect(store);
	error = connect_once(store, true);
	if (error == -EUCLEAN || (!error && !database_is_file(&store->database, &store->file)))
		return connect_anew(store, now);
	/* Ids that are given out already stay, also if this was in vain. */
	store->writer.run = run;
	store->writer.kind = kind;
	store->writer.process = process;
	store->writer.program = program;
	store->writer.counts.run = store->writer.committed.run = counts.run;
	store->renew = error != 0;
	return error;
}

/* ---- writing ---- */

static int write_all(struct store *store, int64_t now, bool ended)
{
	struct writer *writer = &store->writer;
	struct batch_place place = {0};
	const struct op *op;
	int error = 0;

	if (store->has_run && !writer->counts.run)
		error = writer_run(writer, &store->run);
	else if (store->forget_open)
		error = writer_forget_open(writer);
	if (!error && store->lost.any)
		error = writer_gap(writer, STORE_GAP_DROPPED, store->lost.since, store->lost.until,
				   store->lost.count);
	if (!error)
		error = writer_store_slack(writer);
	while (!error && (op = batch_next(&store->batch, &place)))
		error = writer_op(writer, op);
	return error ? error : writer_alive(writer, now, ended);
}

static int write_batch(struct store *store, int64_t now, bool ended)
{
	int error = writer_begin(&store->writer);

	if (!error)
		error = write_all(store, now, ended);
	if (!error)
		error = writer_commit(&store->writer);
	if (error) {
		writer_rollback(&store->writer);
		return error;
	}
	batch_clear(&store->batch);
	store->lost = (struct store_lost){0};
	store->forget_open = false;
	store->status.commits++;
	return 0;
}

/* The file was moved, or is gone: what waits goes into it still, and a new one begins. */
static int leave_moved(struct store *store, int64_t now)
{
	bool linked = database_linked(&store->database);
	int error = linked ? write_batch(store, now, true) : -ENOENT;

	/* Its WAL cannot follow a file that was renamed. */
	if (linked)
		sqlite3_wal_checkpoint_v2(store->database.connection, NULL,
					  SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	if (error)
		return connect_anew(store, now);
	disconnect(store);
	begin_generation(store);
	return connect_next(store, now);
}

/* Makes sure that there is a connection, and to the file at the path. */
static int ready(struct store *store, int64_t now)
{
	if (!store->database.connection)
		return store->renew ? reconnect(store, now) : connect_anew(store, now);
	if (database_moved(&store->database)) {
		if (database_linked(&store->database)) {
			log_message("%s was moved: it keeps what it has, and a new one begins",
				    store->database.path);
			return leave_moved(store, now);
		}
		log_message("%s was deleted or replaced: a new one begins", store->database.path);
		return connect_anew(store, now);
	}
	return store->renew ? reconnect(store, now) : 0;
}

static int commit(struct store *store, int64_t now, bool ended)
{
	uint64_t trimmed = store->writer.counts.trimmed;
	int error;

	if (store->lost.any && !store->lost.until)
		store->lost.until = now;
	error = ready(store, now);
	if (!error)
		error = write_batch(store, now, ended);
	if (!error && !ended) {
		int more = writer_trim(&store->writer, store->status.max_size,
				       store->status.max_age, now);

		error = more < 0 ? more : 0;
	}
	if (error == -EUCLEAN && store->database.connection) {
		char name[4096];

		/* It has shown only now. The next commit makes a new one. */
		drop(store, now);
		disconnect(store);
		if (!database_move_aside(&store->database, name, sizeof(name)))
			log_message("%s is damaged: moved to %s, a new one begins",
				    store->database.path, name);
		error = connect_anew(store, now);
		if (!error)
			error = write_batch(store, now, ended);
	} else if (error && error != -EAGAIN && error != -ENOSPC && store->database.connection) {
		/* Whatever it was, a new connection may know better. */
		store->renew = true;
	}
	if (error)
		return fail(store, error);
	succeed(store, now);
	store_measure(store, trimmed != store->writer.counts.trimmed);
	return 0;
}

bool store_crowded(const struct store *store)
{
	return store->batch.bytes > store->batch.limit / 4;
}

int store_commit(struct store *store, int64_t now)
{
	return commit(store, now, false);
}

void store_close(struct store *store, int64_t now)
{
	if (!store)
		return;
	commit(store, now, true);
	store_free(store);
}

int store_reopen(struct store *store, int64_t now)
{
	int error;

	if (!store->database.connection)
		return commit(store, now, false);
	if (database_moved(&store->database)) {
		error = leave_moved(store, now);
		if (error)
			return fail(store, error);
	} else {
		write_batch(store, now, false);
		store->renew = true;
		error = reconnect(store, now);
		if (error)
			return fail(store, error);
	}
	return commit(store, now, false);
}

uint64_t store_generation(const struct store *store)
{
	return store->generation;
}
