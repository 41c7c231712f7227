/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An event: one line of output. Made by the decoder from one record and what the
 * stream told before; valid until the decoder takes the next record.
 */
#ifndef PORTSNOOP_EVENT_H
#define PORTSNOOP_EVENT_H

#include "model/process.h"

enum event_action {
	EVENT_BOUND,	   /* bound-socket */
	EVENT_CONNECTED,   /* connected-to */
	EVENT_LISTEN,	   /* listen-for-connections */
	EVENT_AUTOBOUND,   /* autobound-socket */
	EVENT_ESTABLISHED, /* connection-established */
	EVENT_FAILED,	   /* connection-failed */
	EVENT_RELEASED,	   /* released-port */
	EVENT_LOST,	   /* lost-events */
	EVENT_START,	   /* stream-start */
	EVENT_END,	   /* stream-end */
	EVENT_HEARTBEAT,   /* heartbeat */
	EVENT_ACTIONS
};

enum event_outcome { EVENT_SUCCESS, EVENT_FAILURE, EVENT_UNKNOWN };

/* A gap: records of one CPU that did not fit into the ring. What was lost behind
 * the last record of a CPU shows in the totals of the stream's end only: that gap
 * has no CPU, and `before` is the time of the end. */
#define EVENT_CPU_UNKNOWN UINT32_MAX
struct event_gap {
	uint32_t cpu;
	uint64_t count;
	uint64_t after;	 /* CLOCK_MONOTONIC of the last record before, 0: none */
	uint64_t before; /* of the first one behind it */
	/* NULL: lost in the kernel. Else a sink's name (hostile bytes) that had no room for
	 * events: `after` and `before` are the times of the first and of the last of them. */
	const char *sink;
};

/* What holds for the whole stream. */
struct stream {
	struct wire_stream_start start;
	int64_t wall_offset;   /* in force now: the clock may have stepped */
	uint64_t stepped;      /* when it did, CLOCK_MONOTONIC; 0: never */
	int64_t offset_before; /* wall_offset until then */
	uint64_t events;       /* event.sequence of the newest event */
};

/* CLOCK_MONOTONIC -> CLOCK_REALTIME, ns. Records that were on their way when the
 * clock stepped keep the time that it showed when they were made. */
static inline int64_t stream_wall_time(const struct stream *stream, uint64_t time)
{
	int64_t offset = time < stream->stepped ? stream->offset_before : stream->wall_offset;

	return (int64_t)((uint64_t)offset + time);
}

#define EVENT_BLOCKERS 64

struct blocked;
struct lease_process;
struct ledger_totals;

struct event {
	enum event_action action;
	enum event_outcome outcome;
	uint64_t sequence; /* from 1, in the order of the stream, before any filter */
	int64_t wall_time; /* CLOCK_REALTIME, ns */
	const struct stream *stream;
	/* By action, else NULL: */
	const struct wire_event *socket;	/* the first seven */
	const struct event_gap *gap;		/* EVENT_LOST */
	const struct wire_stream_end *end;	/* EVENT_END */
	const struct wire_heartbeat *heartbeat; /* EVENT_HEARTBEAT */
	/* Claimant of a socket event. NULL: no record of it came (its pid, tid, uid
	 * and comm still stand in `socket` unless WIRE_NO_CLAIMANT is set). */
	const struct process *process;
	const char *user; /* name of socket->uid, NULL: unknown */
	/* Of a WIRE_CALL: the WIRE_BLOCKER records that came right before it. */
	const struct wire_blocker *blockers;
	unsigned int blocker_count; /* of `blockers`: at most EVENT_BLOCKERS */
	unsigned int blocker_total; /* how many came */
	/* What the ledger makes of the event; the decoder leaves it out. */
	const struct blocked *blocked;	    /* of a failure for want of a port, else NULL */
	const struct lease_process *holder; /* EVENT_RELEASED without a claimant: a process
					     * that had the socket open; NULL: not known */
	uint64_t lingered;		    /* EVENT_RELEASED: of `duration`, ns in TIME_WAIT;
					     * 0: none, or not known */
	const struct ledger_totals *ledger; /* EVENT_END; NULL: there is no ledger */
	/* Paths of the fields that are cut in the line that is being made; a format sets it. */
	const char *const *truncated;
	unsigned int truncated_count;
};

/* How much it matters, as syslog numbers it: what failed is for who looks into something,
 * what was lost is for everybody. */
enum event_severity { SEVERITY_WARNING = 4, SEVERITY_NOTICE = 5, SEVERITY_INFO = 6 };
enum event_severity event_severity(const struct event *event);

const char *event_action_name(enum event_action action); /* ECS: "bound-socket" */
const char *event_outcome_name(enum event_outcome outcome);
const char *trigger_name(unsigned int trigger); /* enum wire_trigger; NULL: none of them */

#endif
