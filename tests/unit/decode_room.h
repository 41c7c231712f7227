/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A decoder whose events and observations are kept, for the tests of it. */
#ifndef PORTSNOOP_DECODE_ROOM_H
#define PORTSNOOP_DECODE_ROOM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/decode.h"
#include "records.h"

#define SEEN_MAX 256

struct seen {
	enum event_action action;
	enum event_outcome outcome;
	uint64_t sequence;
	int64_t wall_time;
	struct event_gap gap;
	struct wire_event socket;
	struct wire_heartbeat heartbeat;
	struct wire_blocker first, last; /* of its blockers */
	unsigned int blocker_count, blocker_total;
	bool has_process;
	char comm[WIRE_COMM + 1];
	char user[36];
};

struct room {
	struct decoder *decoder;
	struct seen seen[SEEN_MAX];
	unsigned int count;
	int answer; /* of the handler */
	/* Records that the observer was given, and how many events had come then. */
	struct wire_event observed[SEEN_MAX];
	unsigned int observations, events_before[SEEN_MAX];
	int observer_answer;
	const char *why;
};

static inline int handler(void *context, const struct event *event)
{
	struct room *room = context;
	struct seen *seen = &room->seen[room->count++];

	assert_true(room->count <= SEEN_MAX);
	assert_ptr_equal(event->stream, decoder_stream(room->decoder));
	*seen = (struct seen){
		.action = event->action,
		.outcome = event->outcome,
		.sequence = event->sequence,
		.wall_time = event->wall_time,
		.has_process = event->process,
		.blocker_count = event->blocker_count,
		.blocker_total = event->blocker_total,
	};
	assert_int_equal(event->blockers != NULL, event->blocker_count != 0);
	if (event->blocker_count) {
		seen->first = event->blockers[0];
		seen->last = event->blockers[event->blocker_count - 1];
	}
	if (event->gap)
		seen->gap = *event->gap;
	if (event->socket)
		seen->socket = *event->socket;
	if (event->heartbeat)
		seen->heartbeat = *event->heartbeat;
	if (event->process)
		strcpy(seen->comm, event->process->comm);
	if (event->user)
		strcpy(seen->user, event->user);
	return room->answer;
}

static inline int observer(void *context, const struct wire_event *record)
{
	struct room *room = context;

	assert_true(room->observations < SEEN_MAX);
	room->events_before[room->observations] = room->count;
	room->observed[room->observations++] = *record;
	return room->observer_answer;
}

static inline int empty(void **state)
{
	struct room *room = calloc(1, sizeof(*room));

	assert_non_null(room);
	room->decoder = decoder_new(handler, observer, room);
	assert_non_null(room->decoder);
	*state = room;
	return 0;
}

/* Behind the stream's start. */
static inline int started(void **state)
{
	struct wire_stream_start start = record_start();
	struct room *room;

	empty(state);
	room = *state;
	assert_int_equal(decoder_record(room->decoder, &start, sizeof(start), &room->why), 0);
	assert_int_equal(room->count, 1);
	assert_int_equal(room->seen[0].action, EVENT_START);
	room->count = 0;
	return 0;
}

static inline int finished(void **state)
{
	struct room *room = *state;

	decoder_free(room->decoder);
	free(room);
	return 0;
}

/* The last of `count` events that the record makes. */
static inline struct seen *feed(struct room *room, const void *record, unsigned int count)
{
	const struct wire_header *header = record;
	unsigned int before = room->count;
	int result = decoder_record(room->decoder, record, header->size, &room->why);

	if (result)
		fail_msg("result %d: %s", result, result == -EBADMSG ? room->why : "");
	assert_int_equal(room->count - before, count);
	return count ? &room->seen[room->count - 1] : NULL;
}

/* From memory that ends where the record does. */
static inline void refuse(struct room *room, const void *record, size_t size, const char *why)
{
	struct decoder_totals before, after;
	unsigned int count = room->count;
	void *copy = malloc(size ? size : 1);

	assert_non_null(copy);
	memcpy(copy, record, size);
	room->why = NULL;
	decoder_totals(room->decoder, &before);
	assert_int_equal(decoder_record(room->decoder, copy, size, &room->why), -EBADMSG);
	decoder_totals(room->decoder, &after);
	assert_non_null(room->why);
	assert_non_null(strstr(room->why, why));
	assert_int_equal(room->count, count);
	assert_memory_equal(&before, &after, sizeof(before));
	free(copy);
}

static inline struct decoder_totals totals_of(struct room *room)
{
	struct decoder_totals totals;

	decoder_totals(room->decoder, &totals);
	return totals;
}

#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, finished)

#endif
