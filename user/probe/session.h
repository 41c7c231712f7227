/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A live stream: the records of the kernel, and between them what only user space
 * knows (start, names of users, steps of the clock, heartbeats, end), in the order in which a
 * replay will see them.
 */
#ifndef PORTSNOOP_SESSION_H
#define PORTSNOOP_SESSION_H

#include "probe/attach.h"
#include "probe/ring.h"

struct session;

/* Usual time between two heartbeats: probe_options.heartbeat. */
#define SESSION_HEARTBEAT UINT64_C(60000000000)

/* Attaches, notes the sockets that are there, and hands over WIRE_STREAM_START.
 * NULL: *failure tells why. */
struct session *session_open(const struct probe_options *options, ring_handler handler,
			     void *context, struct probe_failure *failure);

/* For `-- COMMAND`. */
int session_tree_add(struct session *session, uint32_t pid);

/*
 * Before the process gives up its privileges (guard.h): makes ready whatever could not be
 * had afterwards. From then on the session needs none: the reader never had any, the
 * totals are mapped, detaching is close(). The kernel before 5.19 does not tell any more
 * how many runs it skipped; what blocks a claim is found as lookup_settle() has it, by
 * the ledger otherwise. 0 or negative errno.
 */
int session_settle(struct session *session);

int session_fd(const struct session *session); /* to be polled for input */

/* How long the caller may sleep on session_fd(), in ms; -1: until it is readable.
 * Ask right before each sleep. */
int session_timeout(struct session *session);

/* Hands over what has come, up to a limit that leaves room for other work between.
 * How many records, or the handler's error. */
int session_drain(struct session *session);

/* Memory that records wait in to be handed over, about; bytes. */
size_t session_waiting(const struct session *session);

/* What the kernel lost so far: its totals, which are ahead of the stream. */
void session_totals(const struct session *session, struct cpu_counters *totals);

/* Runs of our programs that the kernel left out; UINT64_MAX: it does not tell. */
uint64_t session_skipped(const struct session *session);

/* Detaches, hands over the rest and WIRE_STREAM_END. 0 or the handler's error; with
 * `quiet`, the handler is not called any more. */
int session_end(struct session *session, bool quiet);

void session_close(struct session *session);

#endif
