/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What became of everything that the kernel saw: the last line of a stream,
 *
 *   portsnoop: 1234 seen = 1200 delivered + 34 filtered + 0 lost
 *
 * It is exact, and this is where its numbers come from. Of the records that the
 * programs in the kernel wanted to send (end.seen), some were held back by a filter
 * there (end.filtered), some found no room in the ring (end.lost) and the others
 * came to us (received):
 *
 *   end.seen = received + end.filtered + end.lost
 *
 * A record that came is either an event, which the output got or our own filter
 * held back, or it describes a process, or a socket from before the stream, and is no
 * event:
 *
 *   received = delivered + filtered by us + descriptions
 *
 * The line counts events, so the descriptions that came are left out on both sides:
 *
 *   seen = end.seen - descriptions = delivered + filtered (by both) + lost
 *
 * A lost record cannot be looked at: should it have described something, it still
 * counts as lost. Loss is never made smaller than it is.
 *
 * A stream without its last record has no totals of the kernel. What is known of
 * loss then is the gaps between the records that came, and `seen` is the sum.
 *
 * With the totals of the kernel, the two sides are counted independently, and if
 * they differ, the line says so: "+ 3 behind --count" came when enough had been
 * delivered, and were not looked at; "+ 3 missing" are not in the stream at all,
 * which should never be.
 */
#ifndef PORTSNOOP_TOTALS_H
#define PORTSNOOP_TOTALS_H

#include <portsnoop/wire.h>
#include <stdbool.h>

#include "lib/buffer.h"

struct totals {
	uint64_t delivered; /* events of sockets that the output got */
	uint64_t filtered;  /* events of sockets that our filter held back */
	uint64_t received;  /* records of the kernel, events and others */
	uint64_t lost;	    /* by the gaps */
	bool ended;	    /* `end` is there */
	bool stopped;	    /* by --count: the records behind it are not among the received */
	uint64_t evicted;   /* leases that the ledger forgot for want of room */
	struct wire_stream_end end;
};

/* The line, without the name of the program and the newline. */
void totals_text(const struct totals *totals, struct buffer *out);

/* The line on stderr, and one more for each thing that went wrong in the kernel or found
 * no room in the ledger. */
void totals_print(const struct totals *totals);

#endif
