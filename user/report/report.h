/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the rows of a history come to in a period, for the page: sums, tops, series. Pure:
 * rows in, numbers out. Memory is bounded by how many keys there may be (KEYED limits), by
 * how many leases were held at one moment, and by how much lifetimes differ; not by how many
 * rows come.
 *
 * What counts as what: a lease was claimed in the period if its claim was seen and lies in
 * it, both ends included. One that was claimed before counts as held alone. It is held from
 * its claim to its end, and for at least 1 ns. Durations of leases whose end or whose claim
 * was not seen are no lifetimes. A lease that was in TIME_WAIT when it was seen last was so
 * for its last minute at most: that long it counts as such.
 */
#ifndef PORTSNOOP_REPORT_H
#define PORTSNOOP_REPORT_H

#include "report/key.h"
#include "report/keyed.h"
#include "report/sketch.h"
#include "report/timeline.h"
#include "store/history.h"

/* ---- who ---- */

/* What the keys are made of, in this order. */
enum report_rank {
	REPORT_PROCESSES,    /* comm, path of the program */
	REPORT_UNITS,	     /* number: enum report_unit; its name */
	REPORT_USERS,	     /* name, number: uid */
	REPORT_DESTINATIONS, /* protocol, address, number: port */
	REPORT_PATHS,	     /* TCP: number: netns, transport, local address, address, number:
			      * port; numbers: the pool */
	REPORT_RANKS
};

enum report_unit {
	REPORT_UNIT_NONE,
	REPORT_UNIT_SYSTEMD,
	REPORT_UNIT_CONTAINER,
};

#define REPORT_WHO_LIMIT (1u << 17)

struct report_who {
	struct keyed_entry base;
	uint64_t kernel, requested, unknown; /* ports claimed in the period, by origin */
	uint64_t failures;		     /* claims that failed */
	uint64_t refused;		     /* connects that had a port and failed */
	uint64_t processes;		     /* different ones */
	uint32_t held, peak;
	int64_t peak_time;
	struct sketch lifetimes; /* of those claimed in the period */
	struct series *series;	 /* of a path, from a 16th of the pool on; or NULL */
};

static inline uint64_t report_claims(const struct report_who *who)
{
	return who->kernel + who->requested + who->unknown;
}

/* ---- pools ---- */

#define REPORT_POOL_LIMIT 256

/* Key: number: netns, numbers: first and last port, transport ("tcp"). */
struct report_pool {
	struct keyed_entry base;
	uint32_t *leases;	  /* of each port; NULL: of entry 0 */
	uint32_t used, peak;	  /* different ports */
	uint32_t held, lingering; /* leases of them */
	uint32_t peak_held, peak_lingering;
	int64_t peak_time;
	struct series *series;
};

/* ---- failures ---- */

#define REPORT_FAILURE_LIMIT 8192
#define REPORT_BLOCKERS 4

/* Processes of one name, with sockets in one state. */
struct report_blocker {
	char *name; /* comm, then state; hostile bytes */
	uint32_t comm_length, length;
	uint32_t pid;		    /* 0: not known, or several */
	uint64_t ports, ports_most; /* of the last failure, and of any */
	uint64_t count;		    /* failures */
	uint64_t last;		    /* the last one's number, from 1 */
};

/* Key: comm, path of the program, trigger, error, protocol, address, number: port. */
struct report_failure {
	struct keyed_entry base;
	uint64_t count;
	int64_t first, last;
	uint64_t blocked; /* of them with a blocker */
	uint64_t blockers_more;
	struct report_blocker blockers[REPORT_BLOCKERS];
	char reason[24]; /* why there is no blocker, of the last one without; hostile bytes */
};

/* ---- listeners ---- */

#define REPORT_LISTENER_LIMIT 8192

/* Key: number: port, protocol, address, comm, name of the unit, user. */
struct report_listener {
	struct keyed_entry base;
	int64_t since, until; /* INT64_MAX: still */
	uint64_t times;
	uint32_t pid;  /* the last one */
	bool predates; /* `since` is the start of the recording */
	bool unseen;   /* `until` is the end of the recording */
};

/* ---- over time ---- */

struct report_bucket {
	uint64_t kernel, requested, unknown;
	uint64_t failures, refused;
	uint32_t held, lingering; /* at the moment in it when most were held */
};

/* ---- lifetimes ---- */

#define REPORT_LIFETIMES 25

/* Where bin `number` ends, ns; the last one has no end (UINT64_MAX). */
uint64_t report_lifetime_end(unsigned int number);

/* ---- gaps ---- */

#define REPORT_GAPS 200
#define REPORT_COLUMNS 1024 /* the period in so many parts, for the bands in charts */

enum report_shade {
	REPORT_CLEAR,
	REPORT_PARTLY, /* something was lost */
	REPORT_BLIND,  /* nothing was recorded */
};

struct report_gap {
	int gap; /* as in struct history_row */
	int64_t since, until;
	uint64_t count;
};

/* ---- recordings ---- */

#define REPORT_RECORDINGS 64

/* Copies; texts as in struct history_recording, cut to KEY_TEXT bytes. */
struct report_recording {
	struct history_recording told;
	char *texts;
};

struct report_totals {
	uint64_t rows;
	uint64_t kernel, requested, unknown; /* ports claimed */
	uint64_t failures;		     /* claims that failed */
	uint64_t portless;		     /* calls of them that did not get as far as a port */
	uint64_t exhausted;		     /* of them for want of any free port */
	int64_t exhausted_first, exhausted_last;
	uint64_t refused;
	uint64_t before;    /* held, claimed before the period */
	uint64_t predating; /* held, claimed before the recording */
	uint64_t end;	    /* held at the end of the period */
	uint64_t lost;	    /* records, leases, failures that gaps tell of */
	uint32_t peak, peak_lingering;
	int64_t peak_time;
	uint64_t rate; /* most claims in a second of the clock */
	int64_t rate_time;
	double held_ns, lingering_ns; /* of all ports together, in the period */
	struct sketch lifetimes;
	struct {
		uint64_t ns;
		bool least;	    /* it was longer */
		struct buffer name; /* protocol, address, port, process; hostile bytes */
	} longest;
};

struct report {
	int64_t since, until, now;
	struct timeline timeline;
	struct report_totals totals;
	struct report_bucket *buckets; /* timeline.count */
	struct keyed ranks[REPORT_RANKS];
	struct keyed pools, failures, refusals, listeners;
	uint64_t in_use[REPORT_LIFETIMES];    /* lifetimes without TIME_WAIT */
	uint64_t lifetimes[REPORT_LIFETIMES]; /* with it */
	/* of each port number, in the period */
	uint32_t *port_claims;
	double *port_held, *port_lingering; /* ns */
	struct report_gap gaps[REPORT_GAPS];
	unsigned int gap_count;
	uint64_t gaps_more;
	uint8_t columns[REPORT_COLUMNS];		       /* enum report_shade */
	struct report_recording recordings[REPORT_RECORDINGS]; /* the newest ones */
	unsigned int recording_count;
	uint64_t recordings_more;
	/* the report's own */
	struct ends *ends;
	struct identities *identities;
	struct buffer key;
	uint32_t held, lingering;
	unsigned int at; /* buckets that were entered */
	int64_t second;
	uint64_t second_count;
};

/* CLOCK_REALTIME, ns, both ends of the period included; `now` is not before them. 0 or
 * -ENOMEM. */
int report_init(struct report *report, int64_t since, int64_t until, int64_t now);
/* A history_visitor, for the rows that were held from `since` to `until`, in order. 0 or
 * -ENOMEM. */
int report_row(void *report, const struct history_row *row);
/* A history_recording_visitor. 0 or -ENOMEM. */
int report_recording(void *report, const struct history_recording *recording);
/* After the last row: sorts, and fills in what goes on to the end. */
int report_finish(struct report *report);
void report_free(struct report *report);

/* Ports of the pool in a key. */
static inline uint32_t report_capacity(uint32_t low, uint32_t high)
{
	return high - low + 1;
}

#endif
