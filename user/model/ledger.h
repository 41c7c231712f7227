/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who holds which port, as far as the stream has told: every lease, found by its
 * socket and by (network namespace, protocol, port). Pure and without a clock of its
 * own: time is that of the records.
 *
 * A lease is opened by a claim that succeeded, or by a seed. A release that goes into
 * TIME_WAIT moves it there; the release without TIME_WAIT, or the end of TIME_WAIT,
 * closes it. TIME_WAIT that was only inferred (WIRE_ESTIMATED) closes by itself
 * LEDGER_TIME_WAIT after it began, or when a connect() gets its port toward the same peer
 * (tcp_tw_reuse); one that was seen, when its end was lost, LEDGER_LOST after it. One socket can have several leases one after the other, and some in TIME_WAIT
 * beside a new one.
 */
#ifndef PORTSNOOP_LEDGER_H
#define PORTSNOOP_LEDGER_H

#include "model/event.h"

/* TCP_TIMEWAIT_LEN, include/net/tcp.h, ns */
#define LEDGER_TIME_WAIT (UINT64_C(60) * 1000000000)
/* Longer than FIN_WAIT2 and TIME_WAIT together, begun anew by late segments */
#define LEDGER_LOST (5 * LEDGER_TIME_WAIT)

enum lease_state {
	LEASE_BOUND,	   /* has its port; UDP without a peer, TCP before listen or connect */
	LEASE_CONNECTING,  /* SYN_SENT */
	LEASE_ESTABLISHED, /* TCP connected, or closing but not yet gone; UDP with a peer */
	LEASE_LISTEN,
	LEASE_TIME_WAIT,
	LEASE_STATES
};

const char *lease_state_name(enum lease_state state); /* "bound", "connecting", "established",
							* "listen", "time_wait" */

/* A process as a lease names it: a copy, because the process may be long gone. */
struct lease_process {
	struct process_key key; /* pid 0: unknown */
	uint32_t uid;
	char comm[WIRE_COMM + 1]; /* of the thread that made the call */
};

struct lease {
	uint64_t socket;  /* generation number in the stream */
	uint64_t since;	  /* of `state`, CLOCK_MONOTONIC; 0: before the stream began */
	uint64_t claimed; /* when the claim was made, CLOCK_MONOTONIC; 0: before the stream */
	uint64_t expires; /* LEASE_TIME_WAIT: when it ends at the latest, CLOCK_MONOTONIC */
	uint32_t netns;
	uint32_t device;
	uint32_t flags; /* enum wire_flag, as of the newest record about the socket */
	uint16_t protocol;
	uint16_t local_port;
	uint16_t other_port; /* 0: no peer */
	uint8_t family;
	uint8_t trigger; /* of the claim; 0: unknown */
	uint8_t origin;
	uint8_t state; /* enum lease_state */
	bool share;    /* a seed that was accepted on this port: claim and claimant are
			* the listener's, as far as they are known */
	uint8_t local[16];
	uint8_t other[16];
	struct lease_process claimant; /* pid 0: the claim was before the stream */
	struct lease_process holder;   /* a process that had it when a seed or a call told of
					* a claim that was not seen; else pid 0 */
	void *note;		       /* the watcher's own */
};

struct ledger;

struct ledger_totals {
	uint64_t leases;  /* open now */
	uint64_t opened;  /* ever */
	uint64_t evicted; /* closed for want of room, oldest first */
	uint64_t unknown; /* releases of sockets that it does not know */
};

/* Holds at most `limit` leases; the one that was touched longest ago makes room, and
 * is counted. Memory grows with the number of leases and is given back when they
 * close. NULL without memory. */
struct ledger *ledger_new(size_t limit);
void ledger_free(struct ledger *ledger);

enum lease_ending {
	LEASE_RELEASED,
	LEASE_EXPIRED, /* TIME_WAIT: its end was not seen, and is estimated */
	LEASE_MISSED,  /* its socket made another claim: the release was lost */
	LEASE_EVICTED, /* for want of room */
};

/* For whoever keeps a record of the leases. Called while a record is taken in; a lease is
 * the same object from `opened` to `ended`, which comes for each one but those that are
 * left when the ledger is freed. `time`: when it ended, CLOCK_MONOTONIC. */
struct lease_watcher {
	void (*opened)(void *context, struct lease *lease);
	void (*changed)(void *context, struct lease *lease);
	void (*ended)(void *context, struct lease *lease, enum lease_ending ending, uint64_t time);
	void *context;
};
void ledger_watch(struct ledger *ledger, const struct lease_watcher *watcher);

/*
 * Takes in one record of a socket: WIRE_CALL, WIRE_OUTCOME, WIRE_RELEASE or WIRE_SEED.
 * 0 or -ENOMEM, which leaves it as it was. If the record ends a lease for good,
 * *closed (may be NULL) is what it was, and closed->socket is 0 if none ended.
 * In `lingered` (may be NULL): how long it stood in TIME_WAIT, ns.
 */
int ledger_record(struct ledger *ledger, const struct wire_event *record, struct lease *closed,
		  uint64_t *lingered);

/* What an event that failed with EADDRINUSE ran into. */
#define LEDGER_BLOCKERS 8
struct blockers {
	unsigned int count; /* of `lease`: at most LEDGER_BLOCKERS */
	unsigned int total; /* how many there are */
	/* Valid until the next record, or the next question about a later time. */
	const struct lease *lease[LEDGER_BLOCKERS];
	/* On exhaustion (see ledger_exhausted()) an entry stands for all leases of its
	 * process in that pool, and this is how many. Else 1. */
	unsigned int ports[LEDGER_BLOCKERS];
};

/*
 * Every lease that the kernel would take for a conflict with this failed bind or listen
 * (EADDRINUSE): address, family (a dual-stack socket conflicts in both), device,
 * SO_REUSEADDR, SO_REUSEPORT with the same uid, as inet_csk_bind_conflict() and
 * udp_lib_lport_inuse() do (net/ipv4/inet_connection_sock.c, net/ipv4/udp.c); and with
 * a connect from a port that was bound (EADDRNOTAVAIL): the same peer. Listening sockets
 * first, then bound, connecting, established, TIME_WAIT; within a state the oldest first.
 */
void ledger_blockers(struct ledger *ledger, const struct wire_event *failure,
		     struct blockers *blockers);

/* Exhaustion: an allocation that found no free port (bind to 0, connect, send). Names the
 * processes with the most leases in the pool of the failure (netns, protocol, range; for
 * a TCP connect those toward the same peer, and those of bind and listen, whose ports
 * connect never takes), most first, and of each its oldest lease. All leases of unknown
 * processes are one entry. total: processes. */
bool ledger_exhausted(const struct wire_event *failure);
void ledger_top_holders(struct ledger *ledger, const struct wire_event *failure,
			struct blockers *blockers);

/* The lease that the socket holds (not one in TIME_WAIT), or NULL. */
const struct lease *ledger_socket(struct ledger *ledger, uint64_t socket);

/* Calls `each` for every lease with a local port in low..high (netns and protocol 0: any;
 * protocol TCP means MPTCP as well), until it returns other than 0, which comes back. In
 * order of port, then of claim. `now` ends estimated TIME_WAIT first. */
typedef int (*lease_visitor)(void *context, const struct lease *lease);
int ledger_each(struct ledger *ledger, uint64_t now, uint32_t netns, uint16_t protocol,
		uint16_t low, uint16_t high, lease_visitor each, void *context);

void ledger_totals(const struct ledger *ledger, struct ledger_totals *totals);

#endif
