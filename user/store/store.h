/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The writing side of the recorded history: one SQLite database (schema.h), one writer.
 *
 * What it is given waits in memory, the batch, until store_commit() writes all of it in
 * one transaction. A commit that fails (disk full, file read-only, ...) keeps the batch
 * and is tried again by the next one. A batch that outgrows its limit, or a database file
 * that somebody deleted or replaced, costs what the batch held: that is counted, becomes a
 * gap in the history, and the generation changes (store_generation()): whoever gave in
 * leases that are still open has to give them again, with their processes.
 *
 * As the only writer the store gives out all ids itself. Not for more than one thread.
 */
#ifndef PORTSNOOP_STORE_H
#define PORTSNOOP_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/process.h"

struct store;

#define STORE_FOLDER "/var/lib/portsnoop"
#define STORE_PATH STORE_FOLDER "/history.db"
#define STORE_MAX_SIZE (UINT64_C(1) << 30)
#define STORE_BATCH (32u << 20) /* bytes that a batch may have */

struct store_options {
	const char *path;
	uint64_t max_size; /* bytes of the database without its WAL; what is oldest goes first */
	uint64_t max_age;  /* ns; 0: no limit */
	size_t batch;	   /* bytes; 0: STORE_BATCH */
};

/* A start of the recording. */
struct store_run {
	uint64_t stream; /* id */
	int64_t started; /* CLOCK_REALTIME, ns */
	uint64_t coverage;
	uint32_t tier;
	const char *host, *kernel, *boot, *program; /* hostile bytes */
};

/* Text: hostile bytes, NULL: not known. */
struct store_process {
	struct process_key key;
	uint32_t uid;
	const char *comm;
	const char *user;
	const struct process *details; /* NULL: the stream did not tell of it */
};

enum store_outcome {
	STORE_BOUND, /* has its port; nothing more was asked of it */
	STORE_LISTENING,
	STORE_PENDING,	   /* connect: no answer yet */
	STORE_ESTABLISHED, /* TCP; UDP with a peer */
	STORE_FAILED,	   /* the connect failed with `error` (0: the process gave up) */
	STORE_OUTCOMES
};

enum store_ending {
	STORE_OPEN, /* still held */
	STORE_RELEASED,
	STORE_ESTIMATED, /* released; the end of TIME_WAIT is estimated */
	STORE_UNSEEN,	 /* the recording ended first: `held` is how long it was seen */
	STORE_EVICTED,	 /* too many leases: the ledger forgot it after `held` */
	STORE_ENDINGS
};

#define STORE_UNKNOWN UINT64_MAX

/* A lease, or a claim that failed. */
struct store_lease {
	int64_t claimed;   /* CLOCK_REALTIME, ns; if the claim was not seen: the start of the
			    * recording; of a failure: when it failed */
	uint64_t held;	   /* ns from `claimed` to the end, TIME_WAIT included; STORE_UNKNOWN:
			    * open */
	uint64_t lingered; /* ns of it in TIME_WAIT; 0: none; STORE_UNKNOWN: in it now */
	uint64_t answered; /* ns from `claimed` to `outcome`; STORE_UNKNOWN: none yet */
	uint32_t process;  /* store_process(); 0: not known */
	uint32_t netns;	   /* inode number */
	uint32_t device;
	uint32_t flags; /* enum wire_flag */
	uint32_t error; /* errno, positive; 0: none */
	uint16_t protocol;
	uint16_t port;	      /* of a failure: the requested one; 0: any */
	uint16_t remote_port; /* 0: no peer */
	uint16_t pool_low, pool_high;
	uint8_t family;	   /* 4 or 6 */
	uint8_t trigger;   /* enum wire_trigger; 0: the claim was not seen, and `process` only
			  * had the socket open */
	uint8_t origin;	   /* enum wire_origin */
	uint8_t outcome;   /* enum store_outcome */
	uint8_t ending;	   /* enum store_ending */
	uint8_t local[16]; /* as in wire.h */
	uint8_t remote[16];
};

struct store_blocker {
	const char *role;   /* blocked_role_name() */
	const char *state;  /* NULL: on exhaustion */
	int64_t since;	    /* CLOCK_REALTIME, ns; 0: not known */
	uint32_t process;   /* 0: not known */
	unsigned int ports; /* on exhaustion: how many it has; else 0 */
	uint16_t port, remote_port;
	uint8_t family;
	uint8_t local[16], remote[16];
};

struct store_failure {
	struct store_lease claim; /* claimed is the time; held and what follows is unused */
	const char *reason;	  /* why there are no blockers; NULL: there are, or none apply */
	const struct store_blocker *blockers;
	unsigned int count, total;
};

enum store_gap_reason {
	STORE_GAP_STOPPED, /* nobody was recording; the one before ended orderly */
	STORE_GAP_KILLED,  /* nobody was recording; from the last sign of life on */
	STORE_GAP_LOST,	   /* no room in the ring of the kernel; `count` records */
	STORE_GAP_DROPPED, /* not written in time; `count` leases and failures */
	STORE_GAP_EVICTED, /* the ledger was full; `count` leases */
	STORE_GAP_CLOCK,   /* the wall clock stepped from `from` to `until`; count 0 */
	STORE_GAP_REASONS
};

/*
 * Opens or makes the database, and takes the lock of its writer (PATH.lock). 0, or
 * negative errno with `why` for people, one sentence that says what to do: -EBUSY another
 * portsnoop writes it (its pid is told), -EROFS, -EACCES, -ENOTDIR, -EILSEQ it is no
 * database of ours or of a newer version. One that is damaged is moved aside to
 * PATH.damaged-TIME, told on stderr, and begun anew.
 */
int store_open(const struct store_options *options, struct store **store, char *why, size_t size);

/* The limits may change; path and batch may not. */
void store_limit(struct store *store, uint64_t max_size, uint64_t max_age);

/* Commits what it can, and says that this run ended orderly at this time. */
void store_close(struct store *store, int64_t now);

/* Once, first. Leases that an earlier run left open get STORE_UNSEEN, and the time since
 * its end becomes a gap. */
void store_run(struct store *store, const struct store_run *run);

/* These give to the batch; they cannot fail: what finds no room is counted. */

/* Id of the process, interned by its key, name and user. 0 without room. */
uint32_t store_process(struct store *store, const struct store_process *process);
/* The id it got before, by that name and user; 0: not known. Its details are not looked at. */
uint32_t store_process_find(const struct store *store, const struct store_process *process);

uint64_t store_lease_open(struct store *store, const struct store_lease *lease); /* 0: no room */
void store_lease_change(struct store *store, uint64_t id, const struct store_lease *lease);
/* `id` of store_lease_open(); 0: it was not given yet. */
void store_lease_close(struct store *store, uint64_t id, const struct store_lease *lease);
void store_failure(struct store *store, const struct store_failure *failure);
void store_gap(struct store *store, enum store_gap_reason reason, int64_t from, int64_t until,
	       uint64_t count);

bool store_pending(const struct store *store); /* there is something to commit */
/* So much that it is to be committed soon, whatever the time: a quarter of the room. */
bool store_crowded(const struct store *store);

/* Writes the batch and the sign of life, then trims a bounded amount if need be. 0 or
 * negative errno: it is to be tried again. The first failure in a row and the recovery
 * are told on stderr. `now`: CLOCK_REALTIME, ns. */
int store_commit(struct store *store, int64_t now);

/* Changes when what was given before is not in the database and never will be. */
uint64_t store_generation(const struct store *store);

/* SIGHUP: closes the database and opens what is now at the path: the same one, or a new
 * one (and another generation). As store_commit(). */
int store_reopen(struct store *store, int64_t now);

struct store_status {
	uint64_t bytes; /* of the database, without its WAL */
	uint64_t wal;	/* bytes of the WAL */
	uint64_t max_size;
	uint64_t max_age;
	uint64_t leases;   /* ended ones, in the database */
	uint64_t failures; /* in the database */
	uint64_t open;	   /* leases that are held */
	uint64_t commits;  /* by this run, as all below */
	uint64_t written;  /* leases and failures */
	uint64_t dropped;  /* leases and failures that are in no database */
	uint64_t trimmed;  /* leases and failures, for want of room or by age */
	uint64_t pending;  /* bytes of the batch */
	int64_t oldest;	   /* CLOCK_REALTIME ns of the oldest entry; 0: none */
	int64_t committed; /* of the last commit that succeeded; 0: none */
	int error;	   /* of the last commit; 0 or negative errno */
	char why[160];	   /* the same for people */
};
void store_status(const struct store *store, struct store_status *status);

/* "bound", "listening", "pending", "established", "failed" and so on: what the database
 * has. Both ways; -1: none of them. */
const char *store_outcome_name(enum store_outcome outcome);
const char *store_ending_name(enum store_ending ending);
const char *store_gap_name(enum store_gap_reason reason);
int store_outcome_find(const char *name);
int store_ending_find(const char *name);
int store_gap_find(const char *name);

#endif
