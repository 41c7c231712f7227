/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The reading side of the recorded history (schema.h): questions, while it is being
 * written or not. The file may be somebody else's: nothing in it is trusted.
 */
#ifndef PORTSNOOP_STORE_HISTORY_H
#define PORTSNOOP_STORE_HISTORY_H

#include "lib/parse.h"
#include "store/store.h"

struct history;

/* All that are set must hold. */
struct history_query {
	const struct port_set *ports; /* local ports; NULL: any */
	/* What was held at some moment from `since` to `until`, both included,
	 * CLOCK_REALTIME, ns. INT64_MIN, INT64_MAX: no bound. Equal: that moment. */
	int64_t since, until;
	const char *comm;      /* NULL: any, also below; --comm of trace says what matches */
	const char *exe;       /* path, or the last component of one if it has no slash */
	const char *unit;      /* with or without ".service" */
	const char *container; /* id or its beginning, at least 4 characters */
	const struct history_remote *remote;
	uint64_t newest;   /* at most so many, the newest ones; 0: all */
	uint32_t pid;	   /* 0: any */
	uint16_t protocol; /* 0: any; TCP stands for MPTCP as well */
	bool failed;	   /* failures, and leases whose connect failed */
	bool gaps;	   /* rows for the times that are missing as well */
};

/* An address or a network of them, and a port; 0: any. */
struct history_remote {
	uint8_t family; /* 0: any address */
	uint8_t bits;
	uint16_t port;
	uint8_t address[16];
};

enum history_kind {
	HISTORY_LEASE,
	HISTORY_FAILURE,
	HISTORY_GAP,
};

/* Texts: hostile bytes with their length, data NULL: not known. Valid during the call. */
struct history_text {
	const char *data;
	size_t length;
};

struct history_process {
	uint64_t start; /* ns since boot */
	uint32_t pid;	/* 0: not known at all */
	uint32_t exec;
	uint32_t uid, gid;
	uint32_t namespace_pid, parent_pid;
	uint32_t flags; /* enum wire_process_flag */
	bool has_uid;
	struct history_text comm, exe, user, parent_comm, cgroup, unit, container, runtime, pod;
	struct history_text args; /* an array in valid JSON */
};

struct history_blocker {
	struct history_process process;
	struct history_text role, state;
	struct history_text local, remote; /* IP */
	int64_t since;			   /* 0: not known */
	uint32_t ports;
	uint16_t port, remote_port;
};

#define HISTORY_BLOCKERS 8

struct history_row {
	enum history_kind kind;
	int gap;       /* enum store_gap_reason; -1: nobody has recorded since `time` (until is
		  * INT64_MAX), -2: nor before `until` (time is INT64_MIN), or it was
		  * trimmed: only what was still held then is here; -3: of a fleet: the
		  * host went on, but nothing of it has arrived */
	uint64_t id;   /* of its kind, grows; of an open lease: its own numbers */
	int64_t time;  /* claimed; failed; gap: since. CLOCK_REALTIME, ns */
	int64_t until; /* lease: its end; gap: its end. INT64_MAX: not over */
	/* lease and failure */
	uint64_t held, lingered, answered; /* as in struct store_lease */
	uint32_t netns, device, flags;
	uint16_t port, remote_port, pool_low, pool_high;
	uint8_t family;
	uint8_t outcome;				      /* enum store_outcome */
	uint8_t ending;					      /* enum store_ending */
	struct history_text protocol, trigger, origin, error; /* trigger NULL: see store.h */
	struct history_text local, remote;		      /* IP */
	struct history_text host, tier;			      /* of its run */
	bool brief;   /* of a fleet: the pool, the options and the device are not known; of a
		       * gap: nor is why events were lost */
	bool in_pool; /* brief: the kernel could have chosen this port */
	struct history_process process;
	/* gap */
	uint64_t count;
	/* failure */
	struct history_text blocked_reason;
	unsigned int blocked_count, blocked_total;
	struct history_blocker blockers[HISTORY_BLOCKERS]; /* last: mostly there are none */
};

/* Not 0 stops, and comes back. */
typedef int (*history_visitor)(void *context, const struct history_row *row);

/* Read-only. 0 or negative errno with `why` for people, a sentence with the path that says
 * what to do: -ENOENT, -EACCES, -EILSEQ (no history, or damaged, or of a newer version). */
int history_open(const char *path, struct history **history, char *why, size_t size);
void history_close(struct history *history);

/* Rows in the order of `time`. `now` is CLOCK_REALTIME: a recording whose last sign of
 * life is longer ago than HISTORY_SILENCE does not run any more. 0, the visitor's result,
 * or negative errno with history_why(). */
#define HISTORY_SILENCE (INT64_C(30) * 1000000000)
int history_ask(struct history *history, const struct history_query *query, int64_t now,
		history_visitor visitor, void *context);
const char *history_why(const struct history *history);
/* Rows of the file that make no sense and were left out, so far. */
uint64_t history_skipped(const struct history *history);

/* A recording: from the start of a portsnoop to its end. */
struct history_recording {
	uint64_t id;
	int64_t started, ended; /* INT64_MAX: it runs */
	bool killed;		/* `ended` is its last sign of life */
	uint64_t coverage;	/* what its tier sees: model/coverage.h; 0: not known */
	struct history_text host, kernel, tier, program;
};

typedef int (*history_recording_visitor)(void *context, const struct history_recording *recording);

/* Those that ran at some moment from `since` to `until`, in the order of their start; else
 * as history_ask(). */
int history_recordings(struct history *history, int64_t since, int64_t until, int64_t now,
		       history_recording_visitor visitor, void *context);

/* For -f: rows that were written since the last call (the first one only notes where it
 * is): leases when they were first seen in the database, and again when they have ended;
 * failures; gaps. Cheap when there is nothing new. A database that took the place of the
 * one that was opened is followed from its beginning. */
int history_follow(struct history *history, const struct history_query *query,
		   history_visitor visitor, void *context);

#endif
