/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/outlet.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/signals.h"
#include "sink/courier.h"

#define NAME_MOST 200 /* of a folder; a file system takes 255 */
#define WAIT_MS 500
#define SAY_NS INT64_C(60000000000) /* a destination that comes and goes is not said each time */

/* FOLDER/NAME, where NAME is the sink's, as a file system takes it. */
static char *spool_folder(const char *folder, const char *name)
{
	struct buffer path = BUFFER_EMPTY;
	uint64_t hash = UINT64_C(14695981039346656037);
	size_t start;

	buffer_printf(&path, "%s/", folder);
	start = path.length;
	for (const char *at = name; *at; at++) {
		const unsigned char byte = (unsigned char)*at;

		hash = (hash ^ byte) * UINT64_C(1099511628211);
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
			   byte) ||
		    (byte == '.' && path.length > start))
			buffer_byte(&path, (char)byte);
		else
			buffer_printf(&path, "%%%02X", byte);
	}
	if (!path.failed && path.length - start > NAME_MOST) {
		path.length = start + NAME_MOST;
		buffer_printf(&path, "~%016" PRIx64, hash);
	}
	buffer_byte(&path, '\0');
	if (!path.failed)
		return path.data;
	buffer_free(&path);
	return NULL;
}

static void found_say(const struct outlet *outlet)
{
	struct channel_state state;

	channel_state_read(outlet->channel, &state);
	if (state.found)
		log_message("sink %s: %" PRIu64 " event%s of an earlier run to deliver first",
			    outlet->spec.name, state.found, state.found == 1 ? "" : "s");
	if (state.damaged)
		log_message("sink %s: %" PRIu64 " damaged piece%s of its spool left out",
			    outlet->spec.name, state.damaged, state.damaged == 1 ? "" : "s");
}

int outlet_open(struct outlet *outlet, const struct sinks_options *options, char *why, size_t size)
{
	CLEANUP_FREE char *spool = options->spool ? spool_folder(options->spool, outlet->spec.name)
						  : NULL;
	struct courier_options courier = {
		.spec = &outlet->spec,
		.ops = options->ops,
		.spool = spool,
		.guarded = options->guarded,
	};
	int error;

	outlet->channel = options->spool && !spool ? NULL : channel_new(CHANNEL_BYTES);
	if (!outlet->channel) {
		error = errno ? -errno : -ENOMEM;
		snprintf(why, size, "%s", strerror(-error));
		return error;
	}
	courier.channel = outlet->channel;
	error = courier_start(&courier, &outlet->pid, why, size);
	if (error)
		return error;
	outlet->pidfd = (int)syscall(SYS_pidfd_open, outlet->pid, 0);
	if (outlet->pidfd >= 0) {
		found_say(outlet);
		return 0;
	}
	error = -errno;
	snprintf(why, size, "pidfd_open: %s", strerror(-error));
	return error; /* the courier sees the end of the channel */
}

void outlet_free(struct outlet *outlet)
{
	channel_free(outlet->channel);
	outlet->channel = NULL;
	cleanup_fd(&outlet->pidfd);
	outlet->pidfd = -1;
}

/* ---- events ---- */

/* False: the courier has died, or a stop is asked for. */
static bool room_wait(struct outlet *outlet, size_t size)
{
	int error = -EINTR;

	while ((error == -EINTR || error == -ETIMEDOUT) && !signals_stop()) {
		error = channel_wait_room(outlet->channel, size, WAIT_MS);
		outlet_look(outlet);
	}
	return !error;
}

bool outlet_put(struct outlet *outlet, const struct frame *frame, bool wait)
{
	bool put = channel_put(outlet->channel, frame);

	if (!put && wait && room_wait(outlet, frame->size))
		put = channel_put(outlet->channel, frame);
	if (put)
		outlet->put++;
	return put;
}

void outlet_drop(struct outlet *outlet, const struct event *event)
{
	struct outlet_gap *gap = &outlet->gap;

	outlet->dropped++;
	if (!gap->count++) {
		gap->first = event->sequence;
		gap->since = event->wall_time;
		gap->stream = *event->stream;
	}
	gap->until = event->wall_time;
}

struct event outlet_gap_event(const struct outlet *outlet, struct event_gap *gap)
{
	const struct outlet_gap *own = &outlet->gap;
	const int64_t offset = own->stream.wall_offset;

	*gap = (struct event_gap){
		.cpu = EVENT_CPU_UNKNOWN,
		.count = own->count,
		.after = (uint64_t)(own->since - offset),
		.before = (uint64_t)(own->until - offset),
		.sink = outlet->spec.name,
	};
	return (struct event){
		.action = EVENT_LOST,
		.outcome = EVENT_UNKNOWN,
		.sequence = own->first,
		.wall_time = own->since,
		.stream = &own->stream,
		.gap = gap,
	};
}

/* ---- what becomes of it ---- */

void outlet_look(struct outlet *outlet)
{
	struct channel_state state;
	int64_t now;

	if (!outlet_alive(outlet))
		return;
	channel_state_read(outlet->channel, &state);
	/* That it is gone for good is said of its end. */
	if (state.gone || !state.since == !outlet->away)
		return;
	if (!state.since) {
		outlet->away = false;
		log_message("sink %s: it is there again", outlet->spec.name);
		return;
	}
	now = clock_ns(CLOCK_MONOTONIC);
	if (outlet->said && now - outlet->said < SAY_NS)
		return;
	outlet->said = now;
	outlet->away = true;
	log_message("sink %s: %s; events wait until it is there", outlet->spec.name, state.why);
}

/* What the numbers of a courier can be at most. */
static uint64_t take(uint64_t *left, uint64_t number)
{
	const uint64_t taken = number < *left ? number : *left;

	*left -= taken;
	return taken;
}

void outlet_reap(struct outlet *outlet, int *status)
{
	struct channel_state *last = &outlet->last;
	uint64_t left;

	*status = -1;
	if (waitpid(outlet->pid, status, WNOHANG) != outlet->pid)
		*status = -1; /* a guard may forbid to ask */
	cleanup_fd(&outlet->pidfd);
	outlet->pidfd = -1;
	channel_state_read(outlet->channel, last);
	left = outlet->put + last->found;
	last->delivered = take(&left, last->delivered);
	last->refused = take(&left, last->refused);
	last->spooled = take(&left, last->spooled);
	last->lost = left;
}

void outlet_report(const struct outlet *outlet, struct sink_report *report)
{
	*report = (struct sink_report){
		.name = outlet->spec.name,
		.put = outlet->put,
		.dropped = outlet->dropped,
		.alive = outlet_alive(outlet),
	};
	if (!report->alive) {
		report->state = outlet->last;
		return;
	}
	report->waiting = channel_waiting(outlet->channel);
	channel_state_read(outlet->channel, &report->state);
}

bool outlet_sum(const struct outlet *outlet)
{
	CLEANUP(buffer_free) struct buffer line = BUFFER_EMPTY;
	struct sink_report report;
	const struct channel_state *state = &report.state;
	bool good;

	outlet_report(outlet, &report);
	good = !report.dropped && !state->refused && !state->lost && !report.waiting;
	buffer_printf(&line, "%" PRIu64 " event%s delivered", state->delivered,
		      state->delivered == 1 ? "" : "s");
	if (state->repeated)
		buffer_printf(&line, " (%" PRIu64 " of them more than once)", state->repeated);
	if (state->spooled)
		buffer_printf(&line, ", %" PRIu64 " kept for the next time", state->spooled);
	if (report.waiting)
		buffer_printf(&line, ", %" PRIu64 " not, its courier hangs", report.waiting);
	if (report.dropped)
		buffer_printf(&line, ", %" PRIu64 " dropped", report.dropped);
	if (state->refused)
		buffer_printf(&line, ", %" PRIu64 " refused", state->refused);
	if (state->lost)
		buffer_printf(&line, ", %" PRIu64 " lost", state->lost);
	if (*state->why && (state->spooled || !good))
		buffer_printf(&line, ": %s", state->why);
	buffer_byte(&line, '\0');
	log_message("sink %s: %s", outlet->spec.name, line.failed ? "out of memory" : line.data);
	/* A reader that has seen enough is no failure. */
	return good || (state->gone && outlet->spec.kind == SINK_STDOUT);
}
