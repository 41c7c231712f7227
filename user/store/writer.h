/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rows into the database, within a transaction that the writer begins and ends. What it
 * counts and remembers is as the database is: a rollback takes it back.
 *
 * All functions that return int: 0, or negative errno with database->why, and then the
 * transaction has to be rolled back.
 */
#ifndef PORTSNOOP_STORE_WRITER_H
#define PORTSNOOP_STORE_WRITER_H

#include "store/batch.h"
#include "store/database.h"
#include "store/intern.h"
#include "store/statement.h"
#include "store/store.h"

/*
 * Rows that others refer to have the number of a segment, `era`. To write it anew for each
 * lease would cost as much as the lease: it may be up to `slack` segments too old, and such
 * rows are kept for so much longer. A great database can afford a great slack.
 */
#define WRITER_SLACK_MOST 64
#define WRITER_SEGMENT_FAILURES 2048
#define WRITER_TOUCHED 4096

/* Next ids, and what is in the segment that is not complete. */
struct writer_counts {
	int64_t run; /* of this recording; 0: it is not in this database yet */
	int64_t lease, failure, gap;
	int64_t address, executable, cgroup;
	int64_t segment_leases, segment_failures;
	int64_t segment_since, segment_until; /* first and last end or failure in it; 0: none */
	int64_t leases, failures;	      /* rows */
	int64_t open;
	uint64_t written, trimmed, completed;	 /* of this process */
	int64_t gap_since, gap_until, gap_count; /* of the newest gap, if it may grow */
	int gap_reason;				 /* -1: it may not */
	bool slack_stored;
};

/* Rows that are known to have the era. */
struct writer_touched {
	uint32_t id, era;
};

struct writer {
	struct database *database;
	sqlite3_stmt *statements[STATEMENTS];
	struct writer_counts counts, committed;
	/* Given out before the row is written: the id of this run, and next ids. */
	int64_t run, kind, program, process;
	struct intern addresses, executables, cgroups;
	struct writer_touched kinds[WRITER_TOUCHED], processes[WRITER_TOUCHED];
	bool within; /* a transaction */
	uint64_t max_size;
	int64_t slack;
	int64_t slack_since, slack_before; /* rows of older eras may have had this one */
	/* trim.c */
	int64_t swept;	 /* what is referred to by segments from this one on is kept */
	int64_t sweep;	 /* the same, of the sweep that is being done */
	int sweep_table; /* -1: not now */
	int64_t sweep_at;
	uint64_t completed; /* segments, when it was trimmed last */
};

static inline int64_t writer_segment(const struct writer *writer)
{
	return writer->counts.lease >> SCHEMA_SEGMENT_BITS;
}

static inline bool writer_is_fresh(const struct writer *writer, int64_t era)
{
	return writer_segment(writer) - era <= writer->slack;
}

void writer_init(struct writer *writer, struct database *database);
/* To a database that was just connected; and before it is disconnected. */
int writer_attach(struct writer *writer);
void writer_detach(struct writer *writer);
void writer_free(struct writer *writer);

int writer_begin(struct writer *writer);
int writer_commit(struct writer *writer);
void writer_rollback(struct writer *writer);

int writer_op(struct writer *writer, const struct op *op);
int writer_gap(struct writer *writer, enum store_gap_reason reason, int64_t from, int64_t until,
	       uint64_t count);
int writer_alive(struct writer *writer, int64_t now, bool ended);
/* Nothing is held any more. */
int writer_forget_open(struct writer *writer);

/* run.c: as store_run(). Its id is writer->run. */
int writer_run(struct writer *writer, const struct store_run *run);

/* segment.c: after each lease and failure, with its end or time. */
int writer_segment_grow(struct writer *writer, int64_t time);
int writer_segment_complete(struct writer *writer);

/* trim.c: a bounded amount. 1: there is more to do, 0, negative errno. */
int writer_trim(struct writer *writer, uint64_t max_size, uint64_t max_age, int64_t now);
void writer_set_size(struct writer *writer, uint64_t max_size);
/* For the other parts: the slack that the size allows; and into the database. */
void writer_settle_slack(struct writer *writer);
int writer_store_slack(struct writer *writer);

/* For run.c: INSERT_LEASE, bound but for the id. */
int writer_lease_insert(struct writer *writer, int64_t end);
/* For all parts: a statement without rows, once. */
int writer_step(struct writer *writer, enum statement which);

#endif
