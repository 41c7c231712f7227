/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What stood in the way of a call that failed for want of a port: the leases of the
 * ledger and what the kernel listed right after the failure (WIRE_BLOCKER), put
 * together. A socket that both know is one entry: the ledger says who claimed it, the
 * kernel in which state it is and who has it open. Pure, as the ledger is.
 */
#ifndef PORTSNOOP_BLOCKED_H
#define PORTSNOOP_BLOCKED_H

#include "model/ledger.h"

/* What `process` of an entry has to do with it. */
enum blocked_role {
	BLOCKED_UNKNOWN,  /* nothing is known of any process */
	BLOCKED_CLAIMANT, /* it made the claim */
	BLOCKED_SHARE,	  /* it claimed the port that this connection was accepted on */
	BLOCKED_HOLDER,	  /* it had the socket open; who made the claim is not known */
};

const char *blocked_role_name(enum blocked_role role);

struct blocked_entry {
	struct lease_process process; /* key.pid 0: unknown */
	struct lease_process holder;  /* another process that had it open then; key.pid 0: none
				       * that is known. Its uid and exec are not */
	enum blocked_role role;
	uint8_t kind;	     /* enum lease_state */
	const char *state;   /* the same, or finer, a constant; NULL on exhaustion */
	uint64_t since;	     /* of the state; on exhaustion of the first port. CLOCK_MONOTONIC;
			      * 0: not known */
	uint64_t expires;    /* TIME_WAIT: ns that are left of it at most; 0: not known */
	unsigned int ports;  /* on exhaustion: how many it has of that pool; else 0 */
	uint16_t local_port; /* 0 on exhaustion */
	uint16_t other_port; /* 0: no peer */
	uint8_t family;
	uint8_t local[16];
	uint8_t other[16];
};

#define BLOCKED_MOST 8

struct blocked {
	unsigned int count;    /* of `entries` */
	unsigned int total;    /* how many there are: sockets; on exhaustion processes */
	unsigned int unlisted; /* sockets on that port beyond those, which nobody looked at */
	bool exhausted;	       /* no port was left: the entries have the most of them */
	const char *reason;    /* why there is no entry, a constant; NULL: there is one */
	uint64_t time;	       /* of the failure, CLOCK_MONOTONIC */
	/* Listening first, then bound, connecting, established, TIME_WAIT; within a state
	 * the oldest first. On exhaustion the most ports first. */
	struct blocked_entry entries[BLOCKED_MOST];
};

/* Whether the event of this record has an answer: a call that failed because it could
 * not have the port that it wanted, or any. */
bool blocked_applies(const struct wire_event *record);

/* Who listened on a port until lately: connections that were accepted there, and their
 * TIME_WAIT, outlive the lease. Bounded. */
struct former_listeners;
struct former_listeners *former_listeners_new(void); /* NULL without memory */
void former_listeners_free(struct former_listeners *former);
void former_listeners_add(struct former_listeners *former, const struct lease *closed);

/* Fills in `blocked` for an event that it applies to. `ledger` and `former` as they were
 * when the record had been taken in; NULL: there is none. */
void blocked_find(struct blocked *blocked, struct ledger *ledger,
		  const struct former_listeners *former, const struct event *event);

#endif
