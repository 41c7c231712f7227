/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a stream comes to in numbers, for `record --metrics`: counted from its events and
 * from what the ledger tells. Pure, as the ledger is, and bounded whatever comes: what has
 * no room of its own is counted under "other". A counter only ever grows.
 *
 * The struct is for reading; user/format/metrics_text.h makes text of it.
 */
#ifndef PORTSNOOP_METRICS_H
#define PORTSNOOP_METRICS_H

#include <uthash.h>

#include "lib/parse.h"
#include "model/ledger.h"

enum metrics_protocol {
	METRICS_TCP,
	METRICS_UDP,
	METRICS_UDPLITE,
	METRICS_SCTP,
	METRICS_POOLED, /* those above take their ports from the pool; MPTCP's are TCP's */
	METRICS_MPTCP = METRICS_POOLED,
	METRICS_ICMP,
	METRICS_ICMPV6,
	METRICS_OTHER_PROTOCOL,
	METRICS_PROTOCOLS
};
const char *metrics_protocol_name(enum metrics_protocol protocol);

#define METRICS_TRIGGERS (WIRE_SUBFLOW + 1)
#define METRICS_ORIGINS (WIRE_ORIGIN_KERNEL + 1)
const char *metrics_origin_name(unsigned int origin); /* "none" for a claim that was not seen */

/* errnos with a label of their own; the others share the last one. */
#define METRICS_ERRORS 18
const char *metrics_error_name(unsigned int place); /* "EADDRINUSE", ..., "other" */

enum metrics_connect {
	METRICS_ESTABLISHED,
	METRICS_FAILED,
	METRICS_ABORTED, /* the process gave up before an answer came */
	METRICS_CONNECTS
};
const char *metrics_connect_name(enum metrics_connect outcome);

#define METRICS_ENDINGS (LEASE_EVICTED + 1)
const char *metrics_ending_name(enum lease_ending ending);

#define METRICS_BUCKETS 20
struct metrics_buckets {
	const char *label; /* of `le`, as OpenMetrics writes numbers */
	uint64_t most;	   /* ns */
};
struct metrics_histogram {
	const struct metrics_buckets
		*buckets; /* ended by one without label, which takes the rest */
	uint64_t counts[METRICS_BUCKETS];
	uint64_t count, seconds;
	uint32_t nanoseconds; /* of the sum, behind `seconds` */
};

/* For whom the kernel chose ports: the unit or container, or the process that is in none. */
enum metrics_kind {
	METRICS_UNIT,
	METRICS_CONTAINER,
	METRICS_PROCESS,
	METRICS_OTHER, /* all that found no room */
	METRICS_KINDS
};
const char *metrics_kind_name(enum metrics_kind kind);

#define METRICS_NAME 400 /* bytes of a name as escape_label() has it, with the NUL */
struct metrics_owner {
	enum metrics_kind kind;
	uint64_t allocations; /* ports that the kernel chose */
	uint64_t failures;    /* claims for which it found none */
	UT_hash_handle hh;
	char key[]; /* kind, and the name */
};
static inline const char *metrics_owner_name(const struct metrics_owner *owner)
{
	return owner->key + 1;
}

/* So many of each kind, first come; METRICS_OTHER has one, without a name. */
#define METRICS_UNITS 100
#define METRICS_CONTAINERS 50
#define METRICS_PROCESSES 50

/* A network namespace whose range of ports is known. */
#define METRICS_NAMESPACES 64
struct metrics_namespace {
	uint32_t netns;	       /* inode number */
	uint16_t low, high;    /* ip_local_port_range, both included */
	unsigned int reserved; /* of these; 0 where nobody can tell */
	bool leases;	       /* the last survey found some in it */
	/* Distinct ports of the range that are held, by the most alive state of their leases;
	 * of the last survey. */
	uint32_t ports[METRICS_POOLED][LEASE_STATES];
	uint16_t port[METRICS_POOLED]; /* the survey's own */
	uint8_t state[METRICS_POOLED];
	UT_hash_handle hh;
};
static inline unsigned int metrics_capacity(const struct metrics_namespace *space)
{
	return space->high - space->low + 1u - space->reserved;
}

/* Between which addresses the most ports of a pool are used. */
#define METRICS_DESTINATIONS 20
struct metrics_destination {
	uint32_t ports;
	uint32_t netns;
	enum metrics_protocol protocol;
	uint16_t other_port;
	uint8_t family;
	uint8_t local[16], other[16];
};

struct metrics {
	uint64_t claims[METRICS_TRIGGERS][METRICS_ORIGINS][METRICS_PROTOCOLS];
	uint64_t failures[METRICS_TRIGGERS][METRICS_ORIGINS][METRICS_PROTOCOLS][METRICS_ERRORS];
	uint64_t connects[METRICS_PROTOCOLS][METRICS_CONNECTS];
	uint64_t connect_failures[METRICS_PROTOCOLS][METRICS_ERRORS];
	uint64_t releases[METRICS_PROTOCOLS][METRICS_ENDINGS];
	uint64_t time_waits[METRICS_PROTOCOLS];
	struct metrics_histogram connect_time;
	struct metrics_histogram lease_time[METRICS_ORIGINS];
	struct metrics_owner *owners; /* a hash table, in the order in which they came */
	struct metrics_owner *other;  /* of these */
	unsigned int owner_counts[METRICS_KINDS];
	uint64_t owner_serial; /* of the process that was looked up last: */
	struct metrics_owner *owner;
	/* Of the stream's start. */
	uint64_t stream;
	uint32_t own_netns;
	/* As of the last survey. */
	struct metrics_namespace *namespaces;			       /* a hash table */
	uint64_t leases[METRICS_PROTOCOLS][LEASE_STATES];	       /* open, without shares */
	struct metrics_destination destinations[METRICS_DESTINATIONS]; /* most first */
	unsigned int destination_count;
	uint64_t unpooled; /* leases in namespaces for which there is no room */
};

/* NULL without memory. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* What a pipeline says, in its order. Without memory the name of an owner is not kept, and
 * counts under METRICS_OTHER. */
void metrics_event(struct metrics *metrics, const struct event *event);
/* `record`: the one that opened it. */
void metrics_lease_opened(struct metrics *metrics, const struct lease *lease,
			  const struct wire_event *record);
void metrics_lease_ended(struct metrics *metrics, const struct lease *lease,
			 enum lease_ending ending, uint64_t time);

/* What is known otherwise of a namespace's pool. */
void metrics_pool(struct metrics *metrics, uint32_t netns, uint16_t low, uint16_t high,
		  const struct port_set *reserved);

/*
 * Looks at every lease: how many there are, what of the pools they hold, and toward which
 * destinations. A destination is listed from a hundredth of its pool's ports on. `now`:
 * CLOCK_MONOTONIC; estimated TIME_WAIT that is over by then ends first, as in ledger_each().
 * 0 or -ENOMEM.
 */
int metrics_survey(struct metrics *metrics, struct ledger *ledger, uint64_t now);

/* For metrics_survey.c. */
/* As everywhere, what is MPTCP is told by its flag, if not by its number. */
enum metrics_protocol metrics_protocol_of(uint16_t protocol, uint32_t flags);
enum metrics_protocol metrics_space_of(uint16_t protocol); /* whose ports it takes */
struct metrics_namespace *metrics_namespace_find(struct metrics *metrics, uint32_t netns);

#endif
