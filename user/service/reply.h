/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a server says to one client, message by message (protocol.h). No I/O, and no
 * snapshot: each message is made of the ledger as it is then. A lease that is there all
 * the time is told once, whatever comes and goes meanwhile.
 */
#ifndef PORTSNOOP_SERVICE_REPLY_H
#define PORTSNOOP_SERVICE_REPLY_H

#include "lib/buffer.h"
#include "model/ledger.h"
#include "service/protocol.h"

/* What there is to tell. All of it is asked for while a message is made, never kept. */
struct service_source {
	struct ledger *ledger; /* only looked at: time does not go on in it */
	/* NULL: the stream has not begun, unknown process, unknown user. */
	const struct stream *(*stream)(void *context);
	const struct process *(*find)(void *context, const struct process_key *key);
	const char *(*user)(void *context, uint32_t uid);
	/* Fills in what it knows beyond the stream, the ledger and this process, and says so
	 * in status->told (status.h helps). All else is zero, or filled in already. NULL:
	 * it knows nothing more. */
	void (*status)(void *status_context, struct service_status *status);
	void *context, *status_context;
};

struct reply;

/* `all`: this client may see everything; else only the leases whose claimant has its
 * uid, or, if the claimant is unknown, the process that had it. The others are counted.
 * NULL without memory. `source` must outlive it. */
struct reply *reply_new(const struct service_source *source, uint32_t uid, bool all);
void reply_free(struct reply *reply);

/*
 * Each appends at most one message to `out`, which has room for SERVICE_MESSAGE_MOST
 * bytes or becomes failed. `now` is CLOCK_MONOTONIC.
 */

/* SERVICE_HELLO; or SERVICE_REFUSED, and it is over: false. */
bool reply_hello(struct reply *reply, uint64_t now, struct buffer *out);

/* Takes what the client sent. False: it is refused in `out`, and it is over. */
bool reply_ask(struct reply *reply, const void *message, size_t size, struct buffer *out);

/* After the client has asked: does a bounded part of the work. False with the last
 * message. It may append nothing, and there is more to come nevertheless. */
bool reply_next(struct reply *reply, uint64_t now, struct buffer *out);

/* SERVICE_REFUSED, for whoever cannot even be heard. */
void reply_refuse(enum service_reason reason, struct buffer *out);

#endif
