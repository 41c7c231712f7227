/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Metrics that are told of a stream as record does it. Include behind cmocka.h. */
#ifndef PORTSNOOP_METRICS_ROOM_H
#define PORTSNOOP_METRICS_ROOM_H

#include "model/metrics.h"
#include "records.h"
#include "stream/pipeline.h"

struct metrics_room {
	struct metrics *metrics;
	struct pipeline *pipeline;
	uint64_t time; /* of the next record */
	const struct wire_event *record;
	/* May be NULL. */
	void (*ended)(void *context, const struct lease *lease, enum lease_ending ending,
		      uint64_t time);
	void *context;
};

static inline int room_event(void *context, const struct event *event)
{
	struct metrics_room *room = context;

	metrics_event(room->metrics, event);
	return 0;
}

static inline void room_opened(void *context, struct lease *lease)
{
	struct metrics_room *room = context;

	metrics_lease_opened(room->metrics, lease, room->record);
}

static inline void room_ended(void *context, struct lease *lease, enum lease_ending ending,
			      uint64_t time)
{
	struct metrics_room *room = context;

	metrics_lease_ended(room->metrics, lease, ending, time);
	if (room->ended)
		room->ended(room->context, lease, ending, time);
}

static inline void room_take(struct metrics_room *room, void *record, size_t size)
{
	struct wire_header *header = record;
	const char *why = "";

	header->time = room->time;
	room->record = record;
	if (pipeline_record(room->pipeline, record, size, &why))
		fail_msg("a record was refused: %s", why);
}

static inline void room_open(struct metrics_room *room,
			     void (*ended)(void *context, const struct lease *lease,
					   enum lease_ending ending, uint64_t time),
			     void *context)
{
	const struct lease_watcher watcher = {room_opened, NULL, room_ended, room};
	struct pipeline_options options = {
		.event = room_event, .context = room, .watcher = &watcher};
	struct wire_stream_start start = record_start();

	*room = (struct metrics_room){
		.metrics = metrics_new(),
		.pipeline = pipeline_new(&options),
		.time = RECORDS_TIME,
		.ended = ended,
		.context = context,
	};
	assert_non_null(room->metrics);
	assert_non_null(room->pipeline);
	room_take(room, &start, sizeof(start));
}

static inline void room_close(struct metrics_room *room)
{
	pipeline_free(room->pipeline);
	metrics_free(room->metrics);
}

#endif
