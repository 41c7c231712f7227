/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What stands in the way of a claim that just failed: the kernel is asked at once, as
 * `who` does, and the answer goes into the stream in front of the failure. The stream
 * alone cannot know: accepted connections and their TIME_WAIT make no records, and
 * what was claimed by a process outside of `-- COMMAND` makes none either.
 */
#ifndef PORTSNOOP_BLOCKER_H
#define PORTSNOOP_BLOCKER_H

#include <portsnoop/wire.h>
#include <stdbool.h>

struct blocker_finder;

/* NULL without memory. What it needs is loaded with the first failure. `processes`: the
 * stream does not tell of all sockets, so the kernel is asked whose they are, which keeps
 * ports from being free for moments (lookup_open()). Else the ledger knows that. */
struct blocker_finder *blocker_finder_new(bool processes);
void blocker_finder_free(struct blocker_finder *finder);

/* Before the process gives up its privileges: it goes on with what can be told without
 * them (lookup_settle()). */
void blocker_finder_settle(struct blocker_finder *finder);

/* Header without time. A result other than 0 stops and comes back. */
typedef int (*blocker_handler)(void *context, struct wire_blocker *blocker);

/*
 * Hands over what holds the port that `call` wanted, if it failed for want of it.
 * Looking costs milliseconds; a program that tries again and again is
 * not to make the stream late, so about a tenth of the time is spent on it, and a
 * failure beyond that has to do with what the ledger knows. 0 or the handler's result.
 */
int blocker_find(struct blocker_finder *finder, const struct wire_event *call,
		 blocker_handler handler, void *context);

#endif
