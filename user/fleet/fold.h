/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Leases and failures of the events of a fleet. Each stream has a ledger of its own, which
 * takes in its events as it would have taken the records they were made of: what a lease is,
 * when it ends and how it came out is the same as on the machine itself (store/tenure.h).
 *
 * What the table has no column for is not known: the socket's options, the device, the pool,
 * MPTCP. What was open before a stream began shows from its release on.
 */
#ifndef PORTSNOOP_FLEET_FOLD_H
#define PORTSNOOP_FLEET_FOLD_H

#include "fleet/answer.h"

struct fold;

/* What is known of a stream. */
struct fold_stream {
	int64_t started; /* ns since 1970; 0: not known */
	int64_t until;	 /* its end, or last sign of life; INT64_MAX: it runs */
};

struct fold_options {
	/* False: it is not known. */
	bool (*find)(void *context, const struct answer_row *row, struct fold_stream *stream);
	history_visitor visitor; /* takes rows in any order, of every lease and failure */
	void *context;
	int64_t now; /* CLOCK_REALTIME */
};

struct fold *fold_new(const struct fold_options *options); /* NULL without memory */
void fold_free(struct fold *fold);

/* In the order of host, stream and number; one that comes twice is taken once. 0, what
 * `visitor` said, or -ENOMEM. */
int fold_socket(struct fold *fold, const struct answer_row *row);
int fold_sockets_end(struct fold *fold); /* what is open still */
int fold_failure(struct fold *fold, const struct answer_row *row);
uint64_t fold_skipped(const struct fold *fold); /* rows that make no sense */

#endif
