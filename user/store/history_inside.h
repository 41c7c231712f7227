/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the parts of history.c share; nobody else includes this.
 *
 * There are two connections. `file` has the hostile database: statements on base tables
 * only, whose texts in sqlite_schema are the ones of schema_text. `sorter` is a database in
 * memory, whose sorter puts what was found in order, in temporary files if it is much. The
 * file is read in one transaction until all is found (a slow reader of the output must
 * not keep the writer from truncating its WAL); what a row's ids mean is looked up when it
 * is shown.
 */
#ifndef PORTSNOOP_STORE_HISTORY_INSIDE_H
#define PORTSNOOP_STORE_HISTORY_INSIDE_H

#include <sqlite3.h>
#include <sys/types.h>

#include "lib/buffer.h"
#include "store/history.h"

/* What is known of a row when it is found; the sorter carries it. */
struct history_record {
	int64_t time, id;
	int64_t until;
	int64_t held, lingered, answered;      /* -1: STORE_UNKNOWN; gap: held is the count;
					   * failure: blocked_total */
	uint32_t kind, process, local, remote; /* ids; 0: none */
	uint16_t port, remote_port;
	uint8_t what;	/* enum history_kind */
	uint8_t unseen; /* an open lease of a run that is over */
	int16_t gap;
};

struct history_run {
	int64_t id;  /* 0: the slot is empty; also below */
	int64_t end; /* when it was alive last; INT64_MAX: it runs */
	struct history_text host, tier;
	struct buffer bytes;
};

struct history_common { /* table kind */
	int64_t id;
	bool sane;
	uint32_t run, netns, device, flags;
	uint16_t protocol, pool_low, pool_high;
	uint8_t family, outcome, ending;
	struct history_text protocol_name, trigger, origin, error;
	struct buffer bytes;
};

struct history_address {
	int64_t id;
	struct history_text ip;
	struct buffer bytes;
};

struct history_claimant {
	int64_t id;
	struct history_process process;
	struct buffer bytes, args;
};

/* Slots, powers of two. Ids often come in steps: they are spread. */
static inline uint32_t history_slot(uint32_t id, uint32_t slots)
{
	return (uint32_t)((uint64_t)(id * UINT32_C(0x9e3779b1)) * slots >> 32);
}

#define HISTORY_RUNS 64
#define HISTORY_COMMONS 1024
#define HISTORY_ADDRESSES 8192
#define HISTORY_CLAIMANTS 2048

/* The verdict about an id. */
#define HISTORY_MEMOS 65536
struct history_memo {
	uint32_t id;
	uint32_t wanted;
};

enum history_lookup {
	LOOKUP_RUN,
	LOOKUP_COMMON,
	LOOKUP_ADDRESS,
	LOOKUP_CLAIMANT,
	LOOKUP_PROCESS,
	LOOKUP_PROGRAM,
	LOOKUP_REASON,
	LOOKUP_BLOCKERS,
	LOOKUP_VERSION,
	LOOKUPS
};

/* Ids that were seen. */
struct history_position {
	int64_t lease, open, failure, gap, run;
};

struct history_scan;

struct history {
	sqlite3 *file, *sorter;
	sqlite3_stmt *lookups[LOOKUPS];
	char *path;
	dev_t device;
	ino_t inode;
	bool immutable; /* opened so: nothing may write it meanwhile */
	struct timespec modified;
	int64_t size;
	int64_t budget; /* steps of SQLite's machine, in thousands, that are left */

	const struct history_query *query;
	int64_t last_run, last_end; /* INT64_MAX: it runs */
	struct history_memo *processes, *programs, *addresses, *kinds, *failed;
	struct history_scan *scan;

	struct history_run runs[HISTORY_RUNS];
	struct history_common *commons;
	struct history_address *locals, *remotes;
	struct history_claimant *claimants;
	struct history_claimant blockers[HISTORY_BLOCKERS];
	struct history_address ends[2 * HISTORY_BLOCKERS];
	struct buffer texts[HISTORY_BLOCKERS + 1]; /* of one row: its blockers, the reason */

	struct history_position seen;
	int64_t version; /* PRAGMA data_version when `seen` was noted */
	bool following;

	uint64_t skipped;
	int error; /* 0, or the first one of this question */
	char why[320];
};

/* history_open.c */
int history_connect(struct history *history, char *why, size_t size);
void history_disconnect(struct history *history);
void history_budget(struct history *history); /* a new one, for a question */

/* history.c: remember the error, return it. */
int history_fail(struct history *history, int result); /* of SQLite, of `file` */
int history_fail_sorter(struct history *history, int result);
int history_fail_with(struct history *history, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int history_prepare(struct history *history, const char *sql, sqlite3_stmt **statement);
/* The first row's columns; those that are no integers are left as they are. 1, 0: there is
 * no row, or negative errno. */
int history_numbers(struct history *history, const char *sql, int64_t *numbers, int count);
/* The kept statement with its first parameter bound; NULL: see history->error. Give it
 * back with sqlite3_reset(). */
sqlite3_stmt *history_lookup(struct history *history, enum history_lookup which, int64_t id);

/* history_match.c: the functions wanted_...() for the statements of the scan, and what
 * they need of the query. */
int history_match_install(struct history *history);
void history_match_reset(struct history *history);

/* history_row.c */
struct history_text history_column_text(sqlite3_stmt *statement, int column);
bool history_column(sqlite3_stmt *statement, int column, int64_t least, int64_t most,
		    int64_t *number); /* an integer in these bounds; else false */
/* NULL: not there or makes no sense, or history->error. */
const struct history_common *history_common(struct history *history, uint32_t id);
const struct history_run *history_run(struct history *history, uint32_t id);
/* 1: `row` is whole; 0: it makes no sense; negative errno. */
int history_row(struct history *history, const struct history_record *record,
		struct history_row *row);
/* Looks up beforehand, in one transaction, what the rows are going to need. */
int history_rows_prepare(struct history *history, const struct history_record *records,
			 size_t count);
void history_rows_reset(struct history *history); /* forgets what was looked up */
void history_rows_free(struct history *history);

/* history_scan.c: what answers the query, in any order. `after`: only rows with greater
 * ids, and nothing derived; NULL: all. */
int history_scan_start(struct history *history, const struct history_position *after);
int history_scan_next(struct history *history, struct history_record *record); /* 1, 0, -errno */
void history_scan_end(struct history *history);

/* history_sort.c */
int history_sort_install(struct history *history);
int history_sorted(struct history *history, const struct history_position *after,
		   history_visitor visitor, void *context);

#endif
