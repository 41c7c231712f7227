/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/courier.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "sink/courier_inside.h"

#define NEVER UINT64_MAX

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* For poll(): never too early, or it would turn round and round. */
static int poll_ms(uint64_t until, uint64_t now)
{
	uint64_t ms;

	if (until == NEVER)
		return -1;
	if (until <= now)
		return 0;
	ms = (until - now + NS_PER_MS - 1) / NS_PER_MS;
	return ms > 3600000 ? 3600000 : (int)ms;
}

int sink_fail(struct sink *sink, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sink->why, sizeof(sink->why), format, arguments);
	va_end(arguments);
	return error;
}

/* ---- what comes ---- */

static void news_take(struct courier *courier, uint64_t now)
{
	struct channel_news news;

	channel_news(courier->channel, &news);
	courier->reopen |= news.reopen;
	if (news.reopen)
		retry_done(&courier->away);
	if (!news.closed)
		return;
	if (courier->closing) {
		if (news.deadline)
			courier->deadline = least(courier->deadline, news.deadline);
		return;
	}
	courier->closing = true;
	courier->deadline = news.deadline;
	if (!news.deadline)
		courier->deadline = now + NS_PER_MS * (courier->pending.spool
							       ? COURIER_ORPHAN_SPOOL_MS
							       : COURIER_ORPHAN_MS);
	retry_done(&courier->away);
	retry_done(&courier->settle);
	/* Who was killed had a reason, and we may be next. */
	if (!news.deadline)
		pending_store(&courier->pending);
}

/* Nothing more is to be tried: the time is up, or the destination is known to be away, and
 * what is left is kept for the next time. */
static bool is_over(const struct courier *courier, uint64_t now)
{
	return courier->closing &&
	       (now >= courier->deadline ||
		(courier->pending.spool && !courier->open && courier->pending.state->since));
}

/* Waits for news, and for `fd`: until then, or shorter. Returns revents, or -EINTR. */
static short wait_once(struct courier *courier, int fd, short events, uint64_t until, uint64_t wish)
{
	struct pollfd fds[] = {{.fd = channel_fd(courier->channel), .events = POLLIN},
			       {.fd = fd, .events = events}};
	uint64_t now = clock_monotonic();

	if (courier->closing)
		until = least(until, courier->deadline);
	if (!channel_sleep(courier->channel, wish))
		until = now;
	if (poll(fds, 2, poll_ms(until, now)) < 0)
		return 0;
	if (fds[0].revents)
		news_take(courier, clock_monotonic());
	return fds[1].revents;
}

/* In a test of a kind of sink. */
static int wait_alone(int fd, short events, int timeout_ms)
{
	struct pollfd one = {.fd = fd, .events = events};

	return poll(&one, 1, timeout_ms) < 0 ? -errno : one.revents;
}

int sink_wait(struct sink *sink, int fd, short events, int timeout_ms)
{
	struct courier *courier = sink->courier;
	uint64_t now = clock_monotonic(), end, next;
	short found;

	if (!courier)
		return wait_alone(fd, events, timeout_ms);
	end = timeout_ms < 0 ? NEVER : now + (uint64_t)timeout_ms * NS_PER_MS;
	for (;;) {
		if (is_over(courier, now))
			return -EINTR;
		next = pending_keep(&courier->pending, now);
		found = wait_once(courier, fd, events, least(end, next),
				  pending_wish(&courier->pending));
		if (found)
			return found;
		now = clock_monotonic();
		if (now >= end)
			return 0;
	}
}

static void why_say(struct courier *courier, ssize_t error)
{
	struct channel_state *state = courier->pending.state;

	snprintf(state->why, sizeof(state->why), "%s",
		 *courier->sink.why ? courier->sink.why : strerror((int)-error));
	courier->sink.why[0] = '\0';
}

/* ---- what has arrived ---- */

static void connection_works(struct courier *courier)
{
	retry_done(&courier->away);
	courier->pending.state->since = 0;
}

/* When to ask again. */
static void settle_plan(struct courier *courier)
{
	const struct sink_ops *ops = courier->ops;
	const uint64_t now = clock_monotonic();
	unsigned int ms;

	if (!courier->pending.sent)
		return;
	if (!ops->settles_in_ms) {
		retry_failed(&courier->settle, now);
		return;
	}
	ms = ops->settles_in_ms(&courier->sink);
	courier->settle.due = now + (ms ? ms : 1) * NS_PER_MS;
}

static void settle_look(struct courier *courier)
{
	struct pending *pending = &courier->pending;
	const uint64_t before = pending->sent;
	uint64_t settled;

	settled = courier->settled + before;
	if (courier->ops->settled)
		settled = courier->ops->settled(&courier->sink);
	if (settled > courier->settled) {
		pending_settle(pending, settled - courier->settled,
			       courier->sink.rejected - courier->rejected);
		if (courier->sink.rejected != courier->rejected)
			why_say(courier, -EBADMSG);
		courier->settled = settled;
		courier->rejected = courier->sink.rejected;
	}
	if (pending->sent < before) {
		connection_works(courier);
		courier->settle.failures = 0;
	}
	settle_plan(courier);
}

/* ---- the connection ---- */

static void connection_close(struct courier *courier)
{
	if (!courier->open)
		return;
	if (courier->pending.sent)
		settle_look(courier);
	courier->open = false;
	courier->held = false;
	if (courier->ops->close)
		courier->ops->close(&courier->sink);
	pending_rewind(&courier->pending);
}

static void connection_failed(struct courier *courier, ssize_t error)
{
	struct channel_state *state = courier->pending.state;
	const uint64_t now = clock_monotonic();

	/* Which went well for a while: it is not the same trouble. */
	if (courier->open && now - courier->opened > COURIER_RETRY_MOST_MS * NS_PER_MS)
		retry_done(&courier->away);
	connection_close(courier);
	retry_failed(&courier->away, now);
	if (error == -EINTR && is_over(courier, now))
		return; /* it was us */
	state->gone = error == -ESHUTDOWN;
	state->failures++;
	if (!state->since)
		state->since = clock_ns(CLOCK_REALTIME);
	why_say(courier, error);
}

static void connection_open(struct courier *courier)
{
	const int error = courier->ops->open ? courier->ops->open(&courier->sink) : 0;

	if (error) {
		connection_failed(courier, error);
		return;
	}
	courier->open = true;
	courier->opened = clock_monotonic();
	courier->settled = 0;
	retry_done(&courier->settle);
	retry_done(&courier->stalled);
	/* Else what it takes will tell. */
	if (!pending_frames(&courier->pending))
		courier->pending.state->since = 0;
}

static void connection_reopen(struct courier *courier)
{
	courier->reopen = false;
	if (courier->open && courier->ops->reopen)
		courier->ops->reopen(&courier->sink);
	else
		connection_close(courier);
}

/* ---- to send ---- */

/* What is enough for a batch. */
static uint64_t batch_bytes(const struct courier *courier)
{
	return least(SINK_BATCH_BYTES, channel_room(courier->channel) / 2);
}

static bool linger_over(struct courier *courier, uint64_t unsent, uint64_t now)
{
	const uint64_t linger = courier->ops->linger_ms * NS_PER_MS;

	if (!linger || courier->closing || unsent >= courier->limit ||
	    channel_filled(courier->channel) > batch_bytes(courier))
		return true;
	if (!courier->linger_until)
		courier->linger_until = now + linger;
	return now >= courier->linger_until;
}

static bool can_send(struct courier *courier, uint64_t now)
{
	const uint64_t unsent = pending_unsent(&courier->pending);

	if (!courier->open || !unsent || retry_wait(&courier->stalled, now))
		return false;
	if (courier->held && courier->pending.sent)
		return false;
	return linger_over(courier, unsent, now);
}

static void batch_taken(struct courier *courier, size_t frames)
{
	courier->pending.sent += frames;
	courier->held = false;
	courier->limit = courier->limit < SINK_BATCH / 2 ? courier->limit * 2 : SINK_BATCH;
	retry_done(&courier->stalled);
	settle_look(courier);
}

/* One bad frame must not take others with it: it is looked for by halves. What is taken
 * before it has to be settled first, as frames are settled in order. */
static void batch_refused(struct courier *courier, size_t frames)
{
	struct pending *pending = &courier->pending;

	if (frames > 1) {
		courier->limit = frames / 2;
	} else if (pending->sent) {
		courier->limit = 1;
		courier->held = true;
	} else {
		why_say(courier, -EBADMSG);
		pending_refuse(pending);
		connection_works(courier);
	}
}

static void batch_stalled(struct courier *courier)
{
	if (*courier->sink.why)
		why_say(courier, -EAGAIN);
	retry_failed(&courier->stalled, clock_monotonic());
}

static void batch_send(struct courier *courier)
{
	struct batch *batch = &courier->batch;
	size_t count = 0;
	ssize_t result = pending_batch(&courier->pending, courier->limit, batch);

	courier->linger_until = 0;
	if (result > 0) {
		count = batch->count;
		result = courier->ops->send(&courier->sink, batch->frames, &count);
	} else if (result < 0) {
		sink_fail(&courier->sink, (int)result, "frames cannot be read: %s",
			  strerror((int)-result));
	}
	if (result > 0)
		batch_taken(courier, (size_t)result < batch->count ? (size_t)result : batch->count);
	else if (result == -EBADMSG)
		batch_refused(courier, count && count < batch->count ? count : batch->count);
	else if (!result || result == -EAGAIN)
		batch_stalled(courier);
	else
		connection_failed(courier, result);
}

/* ---- the loop ---- */

/* Times that are over are not waited for. */
static uint64_t until_next(const struct courier *courier, uint64_t now)
{
	const uint64_t open[] = {courier->stalled.due, courier->linger_until,
				 courier->pending.sent ? courier->settle.due : 0};
	uint64_t until = courier->kept_until;

	if (!courier->open)
		return least(until, courier->away.due);
	for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++)
		if (open[i] > now)
			until = least(until, open[i]);
	return until;
}

/* Which frames are worth waking up for. */
static uint64_t wish(const struct courier *courier, uint64_t now)
{
	if (!courier->open || courier->held || retry_wait(&courier->stalled, now))
		return pending_wish(&courier->pending);
	return courier->linger_until > now ? batch_bytes(courier) : 0;
}

static void rest(struct courier *courier, uint64_t now)
{
	const struct sink_ops *ops = courier->ops;
	const int fd = courier->open && ops->fd ? ops->fd(&courier->sink) : -1;
	short events;
	int error;

	if (courier->batch.bytes.capacity > FRAME_MOST)
		buffer_free(&courier->batch.bytes);
	events = wait_once(courier, fd, POLLIN | POLLRDHUP, until_next(courier, now),
			   wish(courier, now));
	if (!events)
		return;
	error = ops->lost ? ops->lost(&courier->sink, events) : -EPIPE;
	if (error)
		connection_failed(courier, error);
	else if (courier->pending.sent)
		settle_look(courier);
}

static void turn(struct courier *courier, uint64_t now)
{
	struct pending *pending = &courier->pending;

	if (courier->reopen)
		connection_reopen(courier);
	if (!courier->open && !retry_wait(&courier->away, now))
		connection_open(courier);
	else if (courier->open && pending->vanished)
		connection_close(courier); /* what is sent cannot be told from what is not */
	else if (courier->open && pending->sent && !retry_wait(&courier->settle, now))
		settle_look(courier);
	else if (can_send(courier, now))
		batch_send(courier);
	else
		rest(courier, now);
}

void courier_work(struct courier *courier)
{
	struct pollfd news = {.fd = channel_fd(courier->channel), .events = POLLIN};
	uint64_t now;

	for (;;) {
		now = clock_monotonic();
		if (poll(&news, 1, 0) == 1)
			news_take(courier, now);
		courier->kept_until = pending_keep(&courier->pending, now);
		if (courier->pending.state->gone || is_over(courier, now) ||
		    (courier->closing && !pending_frames(&courier->pending)))
			break;
		turn(courier, now);
	}
	connection_close(courier);
	pending_store(&courier->pending);
	if (pending_frames(&courier->pending) && !*courier->pending.state->why)
		snprintf(courier->pending.state->why, sizeof(courier->pending.state->why),
			 "no answer until the end");
	pending_lose(&courier->pending);
}
