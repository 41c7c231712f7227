/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A recording begins: what the one before left behind is settled. */
#include <stdlib.h>
#include <string.h>

#include <portsnoop/wire.h>

#include "lib/cleanup.h"
#include "store/meaning.h"
#include "store/writer.h"

#define RUNS_KEPT 16384

/* The kinds of open leases, and those that say `unseen` instead. */
struct kind_pair {
	int64_t open, unseen;
};

struct kind_pairs {
	struct kind_pair *pairs;
	size_t count, room;
};

static void pairs_free(struct kind_pairs *pairs)
{
	free(pairs->pairs);
}

static int pair_compare(const void *a, const void *b)
{
	const struct kind_pair *x = a, *y = b;

	return (x->open > y->open) - (x->open < y->open);
}

static int kinds_copy(struct writer *writer, struct kind_pairs *pairs)
{
	sqlite3_stmt *copy = writer->statements[COPY_KIND];
	sqlite3_stmt *list = NULL;
	int result = sqlite3_prepare_v2(writer->database->connection,
					"SELECT DISTINCT kind FROM open_lease ORDER BY kind", -1,
					&list, NULL);
	int error = 0;

	while (result == SQLITE_OK || result == SQLITE_ROW) {
		result = sqlite3_step(list);
		if (result != SQLITE_ROW)
			break;
		if (pairs->count == pairs->room) {
			size_t room = pairs->room ? 2 * pairs->room : 64;
			struct kind_pair *more = reallocarray(pairs->pairs, room, sizeof(*more));

			if (!more) {
				result = SQLITE_NOMEM;
				break;
			}
			pairs->pairs = more;
			pairs->room = room;
		}
		pairs->pairs[pairs->count++] = (struct kind_pair){
			.open = sqlite3_column_int64(list, 0), .unseen = writer->kind++};
	}
	if (result != SQLITE_DONE)
		error = database_error(writer->database, result);
	sqlite3_finalize(list);
	for (size_t i = 0; !error && i < pairs->count; i++) {
		sqlite3_bind_int64(copy, 1, pairs->pairs[i].open);
		sqlite3_bind_int64(copy, 2, pairs->pairs[i].unseen);
		sqlite3_bind_int64(copy, 3, writer_segment(writer));
		bind_string(copy, 4, store_ending_name(STORE_UNSEEN));
		error = writer_step(writer, COPY_KIND);
	}
	return error;
}

static int touch_address(struct writer *writer, int64_t id)
{
	sqlite3_bind_int64(writer->statements[TOUCH_ADDRESS], 1, id);
	sqlite3_bind_int64(writer->statements[TOUCH_ADDRESS], 2, writer_segment(writer));
	return writer_step(writer, TOUCH_ADDRESS);
}

/* `list` stands at a row of LIST_OPEN. */
static int lease_end(struct writer *writer, sqlite3_stmt *list, const struct kind_pairs *pairs)
{
	sqlite3_stmt *insert = writer->statements[INSERT_LEASE];
	struct kind_pair wanted = {.open = sqlite3_column_int64(list, 7)};
	const struct kind_pair *pair =
		bsearch(&wanted, pairs->pairs, pairs->count, sizeof(*pairs->pairs), pair_compare);
	int64_t claimed = sqlite3_column_int64(list, 0), alive = sqlite3_column_int64(list, 9);
	/* The wall clock may have been set back meanwhile. */
	int64_t held = alive > claimed ? alive - claimed : 0;
	int error = touch_address(writer, sqlite3_column_int64(list, 5));

	if (!error && sqlite3_column_type(list, 6) != SQLITE_NULL)
		error = touch_address(writer, sqlite3_column_int64(list, 6));
	if (!error)
		error = meaning_touch_process(writer, (uint32_t)sqlite3_column_int64(list, 8));
	if (error)
		return error;
	sqlite3_bind_int64(insert, 2, claimed);
	sqlite3_bind_int64(insert, 3, held);
	/* Since when it was in TIME_WAIT is not known. */
	if (sqlite3_column_int64(list, 1) > 0)
		sqlite3_bind_value(insert, 4, sqlite3_column_value(list, 1));
	else
		sqlite3_bind_null(insert, 4);
	for (int i = 2; i <= 6; i++)
		sqlite3_bind_value(insert, 3 + i, sqlite3_column_value(list, i));
	sqlite3_bind_int64(insert, 10, pair ? pair->unseen : wanted.open);
	sqlite3_bind_value(insert, 11, sqlite3_column_value(list, 8));
	return writer_lease_insert(writer, claimed + held);
}

static int leases_end(struct writer *writer)
{
	CLEANUP(pairs_free) struct kind_pairs pairs = {0};
	sqlite3_stmt *list = writer->statements[LIST_OPEN];
	int error = kinds_copy(writer, &pairs);
	int result = SQLITE_ROW;

	while (!error) {
		result = sqlite3_step(list);
		if (result != SQLITE_ROW)
			break;
		error = lease_end(writer, list, &pairs);
	}
	if (!error && result != SQLITE_DONE)
		error = database_error(writer->database, result);
	sqlite3_reset(list);
	return error ? error : writer_forget_open(writer);
}

/* 1: there is one, 0, negative errno. */
static int last_run(struct writer *writer, int64_t *id, int64_t *end, bool *orderly)
{
	sqlite3_stmt *statement = writer->statements[LAST_RUN];
	int result = sqlite3_step(statement);
	int error = 0;

	if (result == SQLITE_ROW) {
		*id = sqlite3_column_int64(statement, 0);
		*end = sqlite3_column_int64(statement, 1);
		*orderly = sqlite3_column_int(statement, 2);
	} else if (result != SQLITE_DONE) {
		error = database_error(writer->database, result);
	}
	sqlite3_reset(statement);
	return error ? error : result == SQLITE_ROW;
}

static int write_gap(struct writer *writer, int64_t end, bool orderly, int64_t started)
{
	enum store_gap_reason reason = orderly ? STORE_GAP_STOPPED : STORE_GAP_KILLED;
	int error;

	if (end <= started)
		return writer_gap(writer, reason, end, started, 0);
	/* The one before was on a clock that was ahead. How long nobody recorded cannot be
	 * known: that it was so stands where this one begins. */
	error = writer_gap(writer, STORE_GAP_CLOCK, end, started, 0);
	return error ? error : writer_gap(writer, reason, started, started, 0);
}

static const char *tier_text(uint32_t tier)
{
	switch (tier) {
	case WIRE_TIER_FENTRY:
		return "fentry";
	case WIRE_TIER_KPROBE:
		return "kprobe";
	case WIRE_TIER_TRACEPOINT:
		return "tracepoint";
	}
	return NULL;
}

static int insert_run(struct writer *writer, const struct store_run *run, int64_t id)
{
	sqlite3_stmt *statement = writer->statements[INSERT_RUN];

	sqlite3_bind_int64(statement, 1, id);
	sqlite3_bind_int64(statement, 2, (int64_t)run->stream);
	bind_string(statement, 3, run->host);
	bind_string(statement, 4, run->kernel);
	bind_string(statement, 5, run->boot);
	bind_string(statement, 6, run->program);
	bind_string(statement, 7, tier_text(run->tier));
	sqlite3_bind_int64(statement, 8, (int64_t)run->coverage);
	sqlite3_bind_int64(statement, 9, run->started);
	sqlite3_bind_int64(statement, 10, run->started);
	return writer_step(writer, INSERT_RUN);
}

int writer_run(struct writer *writer, const struct store_run *run)
{
	int64_t before = 0, end = 0, id = writer->run;
	bool orderly = false;
	int error = last_run(writer, &before, &end, &orderly);

	if (error < 0)
		return error;
	if (error) {
		error = leases_end(writer);
		if (!error) {
			writer->counts.run = id;
			error = write_gap(writer, end, orderly, run->started);
		}
	}
	if (!error)
		error = insert_run(writer, run, id);
	if (error)
		return error;
	writer->counts.run = id;
	sqlite3_bind_int64(writer->statements[BOUND_RUNS], 1, id - RUNS_KEPT);
	return id > RUNS_KEPT ? writer_step(writer, BOUND_RUNS) : 0;
}
