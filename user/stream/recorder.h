/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A stream into the history: every lease of the ledger and every call that failed goes to
 * a store. What of a lease changes within a commit's time costs one row.
 *
 * Not recorded: connections that were accepted (shares of their listener's lease), as far
 * as they are known to be. Calls on a socket that had its port already change its lease.
 */
#ifndef PORTSNOOP_RECORDER_H
#define PORTSNOOP_RECORDER_H

#include "model/metrics.h"
#include "store/store.h"
#include "stream/pipeline.h"

struct recorder;

/* The store must outlive it, and so must `metrics`, which is told of everything; NULL: there
 * is none. NULL without memory. */
struct recorder *recorder_new(struct store *store, struct metrics *metrics);
void recorder_free(struct recorder *recorder); /* leases that are open stay open in the store */

/* Each event of the stream goes there as well, to be set before the first record. Its
 * result is as a decoder_handler's. */
void recorder_listen(struct recorder *recorder, decoder_handler listener, void *context);

/* As pipeline_record(). */
int recorder_record(struct recorder *recorder, const void *record, size_t size, const char **why);

struct pipeline *recorder_pipeline(const struct recorder *recorder);

/* Something waits for recorder_commit(). */
bool recorder_pending(const struct recorder *recorder);

/* Gives what has changed to the store and lets it commit, as store_commit(). When a lot has
 * come, recorder_record() does so by itself, as of the record's time. `monotonic`:
 * CLOCK_MONOTONIC, ns, of the stream. */
int recorder_commit(struct recorder *recorder, int64_t now, uint64_t monotonic);

struct recorder_totals {
	uint64_t events;   /* of sockets, all of them looked at */
	uint64_t lost;	   /* records for which the kernel's ring had no room, by the gaps */
	uint64_t received; /* records of the kernel */
	int64_t newest;	   /* CLOCK_MONOTONIC of the newest record of the kernel; 0: none */
	bool ended;	   /* the stream's end came: `end` is there */
	struct wire_stream_end end;
};
void recorder_totals(const struct recorder *recorder, struct recorder_totals *totals);

#endif
