/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Records in, events out. Pure: what comes out depends on the records alone.
 * A record may make no event (a process, a seed), or one; a gap before it makes
 * another, EVENT_LOST, first. What stands in the way of a call (WIRE_BLOCKER) is part
 * of the event of the next record of the kernel, if that is a WIRE_CALL; else nobody
 * gets it.
 *
 * What is an error and what is not:
 * - A record that breaks the contract of wire.h is -EBADMSG, and changes nothing.
 * - A record of an unknown type is skipped and counted: the wire grows by addition.
 *   In a stream of a newer version than WIRE_VERSION a known record may be longer
 *   than here, and one with an unknown trigger is skipped as well.
 * - The numbers of one CPU (header.cpu_sequence) may come in another order, because
 *   an interrupt's record can overtake the one that it interrupted; its lost count
 *   may lag for the same reason, and the highest one counts. A number that comes
 *   twice is counted as `repeated`, numbers that neither came nor were counted as
 *   lost are `missing`. Both mean that the stream is not what the kernel sent; the
 *   events are still worth reading, so neither ends the decoding.
 */
#ifndef PORTSNOOP_DECODE_H
#define PORTSNOOP_DECODE_H

#include "model/event.h"

struct decoder;

struct decoder_totals {
	uint64_t received; /* records of the kernel, skipped ones included */
	uint64_t lost;	   /* sum of all gaps so far */
	uint64_t skipped;  /* records of an unknown kind */
	uint64_t repeated; /* numbers that came twice, as far as 64 numbers back */
	/* Numbers that are left to be explained. While the stream runs, a few may be on
	 * their way; before its end, those that a filter in the kernel held back are
	 * among them. */
	uint64_t missing;
};

/* Called for each event, which is valid during the call only. A negative
 * result stops the decoder and comes back from decoder_record(). */
typedef int (*decoder_handler)(void *context, const struct event *event);

/* Called for each record of a socket (WIRE_CALL, WIRE_OUTCOME, WIRE_RELEASE, WIRE_SEED)
 * once it was found to be well-formed and of a known kind, before the event that it
 * makes: for whoever keeps account of the sockets. A seed makes no event. The result
 * is as the handler's. */
typedef int (*decoder_observer)(void *context, const struct wire_event *record);

/* `observer` may be NULL. NULL without memory. */
struct decoder *decoder_new(decoder_handler handler, decoder_observer observer, void *context);
void decoder_free(struct decoder *decoder);

/* One record of `size` bytes, 8-aligned. 0, the handler's or observer's error, -ENOMEM, or
 * -EBADMSG when it is not a well-formed record: *why then says what is wrong
 * with it, a constant text. The first record must be WIRE_STREAM_START, and
 * none may follow WIRE_STREAM_END. */
int decoder_record(struct decoder *decoder, const void *record, size_t size, const char **why);

/* What the stream told of processes and users so far. NULL: nothing. */
const struct process *decoder_process(const struct decoder *decoder, const struct process_key *key);
const char *decoder_user(const struct decoder *decoder, uint32_t uid);

const struct stream *decoder_stream(const struct decoder *decoder);

/* Sum of all gaps so far, and records received from the kernel. */
uint64_t decoder_lost(const struct decoder *decoder);
uint64_t decoder_received(const struct decoder *decoder);
void decoder_totals(const struct decoder *decoder, struct decoder_totals *totals);

#endif
