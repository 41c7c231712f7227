/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/pending.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"

#define NS_PER_MS UINT64_C(1000000)
#define SPOOL_AGAIN_NS (1000 * NS_PER_MS)

static uint64_t spool_count(const struct pending *pending)
{
	return pending->spool ? spool_frames(pending->spool) : 0;
}

/* What the spool had to leave out is gone. */
static void spool_recount(struct pending *pending)
{
	struct channel_state *state = pending->state;
	const uint64_t frames = spool_count(pending);

	if (frames < state->spooled) {
		state->lost += state->spooled - frames;
		pending->vanished = pending->sent > 0;
	}
	state->spooled = frames;
	state->spooled_bytes = pending->spool ? spool_bytes(pending->spool) : 0;
	state->damaged = pending->spool ? spool_damaged(pending->spool) : 0;
}

void pending_begin(struct pending *pending, struct channel *channel, struct spool *spool)
{
	struct spool_place place = {0};

	*pending = (struct pending){
		.channel = channel,
		.spool = spool,
		.state = channel_state(channel),
		.age = PENDING_AGE_MS * NS_PER_MS,
	};
	if (spool)
		spool_place(spool, &place);
	pending->state->stream = place.stream;
	pending->state->sequence = place.sequence;
	pending->state->found = spool_count(pending);
	pending->state->spooled = pending->state->found;
	spool_recount(pending);
}

void pending_end(struct pending *pending)
{
	spool_close(pending->spool);
	pending->spool = NULL;
}

uint64_t pending_frames(struct pending *pending)
{
	return spool_count(pending) + channel_frames(pending->channel);
}

uint64_t pending_unsent(struct pending *pending)
{
	const uint64_t frames = pending_frames(pending);

	return frames > pending->sent ? frames - pending->sent : 0;
}

/* 1, 0: there is none, or negative errno. */
static int frame_peek(struct pending *pending, uint64_t skip, struct frame *frame)
{
	const uint64_t spooled = spool_count(pending);

	if (skip < spooled)
		return spool_peek(pending->spool, skip, frame);
	return channel_peek(pending->channel, skip - spooled, frame);
}

static int batch_fill(struct pending *pending, size_t most, struct batch *batch)
{
	struct frame *frame = batch->frames;
	int found = 0;

	if (most > SINK_BATCH)
		most = SINK_BATCH;
	for (; batch->count < most; batch->count++, frame++) {
		found = frame_peek(pending, pending->sent + batch->count, frame);
		if (found <= 0 ||
		    (batch->count && batch->bytes.length + frame->size > SINK_BATCH_BYTES))
			break;
		buffer_append(&batch->bytes, frame->bytes, frame->size);
		if (batch->bytes.failed)
			return -ENOMEM;
	}
	return found < 0 && !batch->count ? found : (int)batch->count;
}

int pending_batch(struct pending *pending, size_t most, struct batch *batch)
{
	const char *bytes;
	int result;

	buffer_reset(&batch->bytes);
	batch->count = 0;
	result = batch_fill(pending, most, batch);
	if (result < 0 && result != -ENOMEM && pending->spool && !pending->sent) {
		snprintf(pending->state->why, sizeof(pending->state->why),
			 "the spool cannot be read: %s", strerror(-result));
		spool_leave_out(pending->spool);
		result = 0;
	}
	if (pending->spool)
		spool_recount(pending);
	bytes = batch->bytes.data;
	for (size_t i = 0; i < batch->count; i++) {
		batch->frames[i].bytes = bytes;
		bytes += batch->frames[i].size;
	}
	return result;
}

static void spool_remove(struct pending *pending, uint64_t frames)
{
	const uint64_t left = spool_count(pending) - frames;
	struct spool_place place;

	if (!frames)
		return;
	/* That the place cannot be written costs a repetition after a crash; but what cannot be
	 * read to be settled would be delivered once more. */
	spool_settle(pending->spool, frames);
	if (spool_count(pending) > left)
		spool_leave_out(pending->spool);
	spool_place(pending->spool, &place);
	pending->state->stream = place.stream;
	pending->state->sequence = place.sequence;
	pending->state->spooled -= frames;
	spool_recount(pending);
	pending->spool_due = 0;
}

static void channel_remove(struct pending *pending, uint64_t frames)
{
	struct channel_state *state = pending->state;
	struct frame last;

	if (!frames || !channel_peek(pending->channel, frames - 1, &last))
		return;
	state->stream = last.stream;
	state->sequence = last.sequence;
	if (pending->spool)
		spool_note(pending->spool,
			   &(struct spool_place){.stream = last.stream, .sequence = last.sequence});
	channel_release(pending->channel, frames);
	pending->taken += frames;
}

/* Of the oldest, these need no place any more. */
static void frames_remove(struct pending *pending, uint64_t frames)
{
	const uint64_t spooled = spool_count(pending);
	const uint64_t from_spool = frames < spooled ? frames : spooled;

	spool_remove(pending, from_spool);
	channel_remove(pending, frames - from_spool);
}

static uint64_t at_most(uint64_t number, uint64_t most)
{
	return number < most ? number : most;
}

void pending_settle(struct pending *pending, uint64_t frames, uint64_t rejected)
{
	const uint64_t settled = at_most(frames, pending->sent);
	const uint64_t refused = at_most(rejected, settled);
	const uint64_t repeated = at_most(settled - refused, pending->again);

	pending->sent -= settled;
	pending->again -= at_most(settled, pending->again);
	pending->state->repeated += repeated;
	/* First: what is counted twice when we are killed here is not lost at least. */
	pending->state->delivered += settled - refused;
	pending->state->refused += refused;
	frames_remove(pending, settled);
}

void pending_refuse(struct pending *pending)
{
	pending->again -= at_most(1, pending->again);
	pending->state->refused++;
	frames_remove(pending, 1);
}

void pending_rewind(struct pending *pending)
{
	if (pending->again < pending->sent)
		pending->again = pending->sent;
	pending->sent = 0;
	pending->vanished = false;
	if (pending->mark_sent)
		pending->mark_due = 1; /* they were given time enough */
}

/* The oldest frames of the channel; fewer when there is no room. */
static void spool_put(struct pending *pending, uint64_t frames, uint64_t now)
{
	struct channel_state *state = pending->state;
	uint64_t moved = 0;
	struct frame frame;
	int error = 0;

	if (pending->spool_due > now)
		return;
	pending->spool_due = 0;
	for (; moved < frames && channel_peek(pending->channel, moved, &frame); moved++) {
		error = spool_append(pending->spool, &frame);
		if (error)
			break;
		state->spooled++;
	}
	channel_release(pending->channel, moved);
	pending->taken += moved;
	spool_recount(pending);
	if (!error)
		return;
	pending->spool_due = now + SPOOL_AGAIN_NS;
	if (error != -ENOSPC)
		snprintf(state->why, sizeof(state->why), "the spool: %s", strerror(-error));
}

static bool half_full(const struct pending *pending)
{
	return channel_filled(pending->channel) > channel_room(pending->channel) / 2;
}

/* So much of the channel is old now. */
static void mark_reach(struct pending *pending, uint64_t now)
{
	const uint64_t old = pending->mark > pending->taken ? pending->mark - pending->taken : 0;

	if (old && !pending->mark_sent && pending->sent >= spool_count(pending) + old) {
		pending->mark_sent = true;
		pending->mark_due = now + PENDING_AGE_SENT_MS * NS_PER_MS;
		return;
	}
	spool_put(pending, old, now);
	pending->mark_due = 0;
}

uint64_t pending_keep(struct pending *pending, uint64_t now)
{
	uint64_t frames;

	if (!pending->spool)
		return UINT64_MAX;
	frames = channel_frames(pending->channel);
	/* All of them: one after the other at the edge would be a wake-up for each. */
	if (half_full(pending))
		spool_put(pending, frames, now);
	if (pending->mark_due && now >= pending->mark_due)
		mark_reach(pending, now);
	frames = channel_frames(pending->channel);
	if (!frames) {
		pending->mark_due = 0;
		return UINT64_MAX;
	}
	if (!pending->mark_due) {
		pending->mark = pending->taken + frames;
		pending->mark_sent = false;
		pending->mark_due = now + pending->age;
	}
	return pending->mark_due;
}

uint64_t pending_wish(const struct pending *pending)
{
	if (!pending->spool || pending->spool_due)
		return UINT64_MAX;
	/* The first frame starts the time that it may stay. */
	return pending->mark_due ? channel_room(pending->channel) / 2 : 0;
}

void pending_store(struct pending *pending)
{
	pending->spool_due = 0;
	if (pending->spool)
		spool_put(pending, channel_frames(pending->channel),
			  (uint64_t)clock_ns(CLOCK_MONOTONIC));
}

void pending_lose(struct pending *pending)
{
	const uint64_t frames = channel_frames(pending->channel);

	pending->state->lost += frames;
	channel_release(pending->channel, frames);
}
