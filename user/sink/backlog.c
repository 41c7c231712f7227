/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/backlog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"

#define NS_PER_MS UINT64_C(1000000)
#define SPOOL_AGAIN_NS (1000 * NS_PER_MS)

static uint64_t spool_count(const struct backlog *backlog)
{
	return backlog->spool ? spool_frames(backlog->spool) : 0;
}

/* What the spool had to leave out is gone. */
static void spool_recount(struct backlog *backlog)
{
	struct channel_state *state = backlog->state;
	const uint64_t frames = spool_count(backlog);

	if (frames < state->spooled) {
		state->lost += state->spooled - frames;
		backlog->vanished = backlog->sent > 0;
	}
	state->spooled = frames;
	state->spooled_bytes = backlog->spool ? spool_bytes(backlog->spool) : 0;
}

void backlog_begin(struct backlog *backlog, struct channel *channel, struct spool *spool)
{
	*backlog = (struct backlog){
		.channel = channel,
		.spool = spool,
		.state = channel_state(channel),
		.age = BACKLOG_AGE_MS * NS_PER_MS,
	};
	backlog->state->found = spool_count(backlog);
	backlog->state->spooled = backlog->state->found;
	spool_recount(backlog);
}

void backlog_end(struct backlog *backlog)
{
	spool_close(backlog->spool);
	backlog->spool = NULL;
}

uint64_t backlog_frames(struct backlog *backlog)
{
	return spool_count(backlog) + channel_frames(backlog->channel);
}

uint64_t backlog_unsent(struct backlog *backlog)
{
	const uint64_t frames = backlog_frames(backlog);

	return frames > backlog->sent ? frames - backlog->sent : 0;
}

/* 1, 0: there is none, or negative errno. */
static int frame_peek(struct backlog *backlog, uint64_t skip, struct frame *frame)
{
	const uint64_t spooled = spool_count(backlog);

	if (skip < spooled)
		return spool_peek(backlog->spool, skip, frame);
	return channel_peek(backlog->channel, skip - spooled, frame);
}

static int batch_fill(struct backlog *backlog, size_t most, struct batch *batch)
{
	struct frame *frame = batch->frames;
	int found = 0;

	if (most > SINK_BATCH)
		most = SINK_BATCH;
	for (; batch->count < most; batch->count++, frame++) {
		found = frame_peek(backlog, backlog->sent + batch->count, frame);
		if (found <= 0 ||
		    (batch->count && batch->bytes.length + frame->size > SINK_BATCH_BYTES))
			break;
		buffer_append(&batch->bytes, frame->bytes, frame->size);
		if (batch->bytes.failed)
			return -ENOMEM;
	}
	return found < 0 && !batch->count ? found : (int)batch->count;
}

int backlog_batch(struct backlog *backlog, size_t most, struct batch *batch)
{
	const char *bytes;
	int result;

	buffer_reset(&batch->bytes);
	batch->count = 0;
	result = batch_fill(backlog, most, batch);
	if (backlog->spool)
		spool_recount(backlog);
	bytes = batch->bytes.data;
	for (size_t i = 0; i < batch->count; i++) {
		batch->frames[i].bytes = bytes;
		bytes += batch->frames[i].size;
	}
	return result;
}

/* Of the oldest, these need no place any more. */
static void frames_remove(struct backlog *backlog, uint64_t frames)
{
	const uint64_t spooled = spool_count(backlog);
	const uint64_t from_spool = frames < spooled ? frames : spooled;
	const uint64_t from_channel = frames - from_spool;
	struct frame last;

	if (from_spool) {
		/* That the place cannot be written costs a repetition after a crash. */
		spool_settle(backlog->spool, from_spool);
		backlog->state->spooled -= from_spool;
		spool_recount(backlog);
		backlog->spool_due = 0;
	}
	if (!from_channel)
		return;
	if (backlog->spool && channel_peek(backlog->channel, from_channel - 1, &last))
		spool_note(backlog->spool, &(struct spool_place){.stream = last.stream,
								 .sequence = last.sequence});
	channel_release(backlog->channel, from_channel);
	backlog->taken += from_channel;
}

static uint64_t at_most(uint64_t number, uint64_t most)
{
	return number < most ? number : most;
}

void backlog_settle(struct backlog *backlog, uint64_t frames)
{
	const uint64_t settled = at_most(frames, backlog->sent);
	const uint64_t repeated = at_most(settled, backlog->again);

	backlog->sent -= settled;
	backlog->again -= repeated;
	backlog->state->repeated += repeated;
	/* First: what is counted twice when we are killed here is not lost at least. */
	backlog->state->delivered += settled;
	frames_remove(backlog, settled);
}

void backlog_refuse(struct backlog *backlog)
{
	backlog->again -= at_most(1, backlog->again);
	backlog->state->refused++;
	frames_remove(backlog, 1);
}

void backlog_rewind(struct backlog *backlog)
{
	if (backlog->again < backlog->sent)
		backlog->again = backlog->sent;
	backlog->sent = 0;
	backlog->vanished = false;
}

/* The oldest frames of the channel; fewer when there is no room. */
static void spool_put(struct backlog *backlog, uint64_t frames, uint64_t now)
{
	struct channel_state *state = backlog->state;
	uint64_t moved = 0;
	struct frame frame;
	int error = 0;

	if (backlog->spool_due > now)
		return;
	backlog->spool_due = 0;
	for (; moved < frames && channel_peek(backlog->channel, moved, &frame); moved++) {
		error = spool_append(backlog->spool, &frame);
		if (error)
			break;
		state->spooled++;
	}
	channel_release(backlog->channel, moved);
	backlog->taken += moved;
	spool_recount(backlog);
	if (!error)
		return;
	backlog->spool_due = now + SPOOL_AGAIN_NS;
	if (error != -ENOSPC)
		snprintf(state->why, sizeof(state->why), "the spool: %s", strerror(-error));
}

static bool half_full(const struct backlog *backlog)
{
	return channel_filled(backlog->channel) > channel_room(backlog->channel) / 2;
}

uint64_t backlog_keep(struct backlog *backlog, uint64_t now)
{
	uint64_t frames;

	if (!backlog->spool)
		return UINT64_MAX;
	frames = channel_frames(backlog->channel);
	/* All of them: one after the other at the edge would be a wake-up for each. */
	if (half_full(backlog))
		spool_put(backlog, frames, now);
	if (backlog->mark_due && now >= backlog->mark_due) {
		if (backlog->mark > backlog->taken)
			spool_put(backlog, backlog->mark - backlog->taken, now);
		backlog->mark_due = 0;
	}
	frames = channel_frames(backlog->channel);
	if (!frames) {
		backlog->mark_due = 0;
		return UINT64_MAX;
	}
	if (!backlog->mark_due) {
		backlog->mark = backlog->taken + frames;
		backlog->mark_due = now + backlog->age;
	}
	return backlog->mark_due;
}

uint64_t backlog_wish(const struct backlog *backlog)
{
	if (!backlog->spool || backlog->spool_due)
		return UINT64_MAX;
	/* The first frame starts the time that it may stay. */
	return backlog->mark_due ? channel_room(backlog->channel) / 2 : 0;
}

void backlog_store(struct backlog *backlog)
{
	backlog->spool_due = 0;
	if (backlog->spool)
		spool_put(backlog, channel_frames(backlog->channel),
			  (uint64_t)clock_ns(CLOCK_MONOTONIC));
}

void backlog_lose(struct backlog *backlog)
{
	const uint64_t frames = channel_frames(backlog->channel);

	backlog->state->lost += frames;
	channel_release(backlog->channel, frames);
}
