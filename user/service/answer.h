/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a running service said: leases, and who claimed them. Put together message by
 * message, each of which is checked in full first. No I/O here: client.h asks.
 */
#ifndef PORTSNOOP_SERVICE_ANSWER_H
#define PORTSNOOP_SERVICE_ANSWER_H

#include "lib/parse.h"
#include "model/ledger.h"
#include "service/folder.h"
#include "service/protocol.h"

struct service_query {
	const struct port_set *ports;
	uint16_t protocol;	    /* 0: all; TCP finds MPTCP as well */
	uint32_t netns;		    /* inode number; 0: all */
	struct service_place place; /* left empty: the one of this machine */
};

/* A process as the service knew it. Its texts are hostile bytes, as everywhere. */
struct service_process {
	struct process process; /* serial is 0; comm and what follows uid is known only if: */
	bool details;
	const char *user; /* name of process.uid, NUL-terminated; NULL: unknown */
};

struct service_lease {
	struct lease lease;   /* times are CLOCK_MONOTONIC of the service */
	int64_t claimed_wall; /* CLOCK_REALTIME, ns; 0: unknown, it was before the stream */
	int64_t since_wall;
	int64_t expires_wall;
	/* NULL: unknown, as lease.claimant.key.pid 0 is. Owned by the answer. */
	const struct service_process *claimant;
	const struct service_process *holder;
};

/* About the service that answered. */
struct service_facts {
	uint32_t pid;	      /* as seen from here; if that cannot be, as it sees itself */
	uint32_t tier;	      /* enum wire_tier */
	uint64_t stream;      /* id */
	int64_t started_wall; /* CLOCK_REALTIME, ns */
	uint64_t watching;    /* for so long, ns */
	struct ledger_totals totals;
	char program[25]; /* its version; hostile bytes */
};

struct service_answer {
	struct service_facts facts;
	struct service_lease *leases; /* by port, then by claim */
	size_t count;
	uint64_t withheld; /* how many more there are, of other users */
	uint64_t now;	   /* CLOCK_MONOTONIC of the service at the end: expires - now is left */
	int64_t now_wall;
	char why[160]; /* for people: what kept a service from answering; empty: nothing */
	/* below: owned, for answer.c */
	struct service_process **processes;
	size_t process_count;
	size_t lease_room, process_room, bytes;
};

void service_answer_free(struct service_answer *answer);

/* The question as a message. */
void answer_ask(const struct service_query *query, struct service_ask *ask);

/*
 * Take one message each. 0 or 1: 1 when it was the last one. Or negative errno with
 * `why`: -EPROTONOSUPPORT (another version), -EBUSY, -EBADMSG (not as protocol.h has it),
 * -E2BIG (more than anybody could read), -ENOMEM.
 */
int answer_hello(struct service_answer *answer, const void *message, size_t size);
int answer_take(struct service_answer *answer, const struct service_query *query,
		const void *message, size_t size);

/* The same for the other question. 1, with the status in full: its texts end within
 * their room, and what the service did not tell is zero. Of the answer `why` alone is
 * used. */
void answer_ask_status(struct service_ask_status *ask);
int answer_take_status(struct service_answer *answer, struct service_status *status,
		       const void *message, size_t size);

#endif
