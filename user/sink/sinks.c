/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/sinks.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/signals.h"
#include "sink/kinds.h"
#include "sink/outlet.h"
#include "sink/syslog_head.h"

#define NS_PER_MS UINT64_C(1000000)
/* A gap ends when there is room for more than its record, or there would soon be one for
 * every other event. */
#define GAP_ROOM (256u << 10)
/* Of the time at the end, what is left to couriers to clear up. */
#define MARGIN_MS 500
#define LOOK_MS 500
#define SAY_MS 3000
/* Less than SIGNALS_PATIENCE_S. */
#define HURRY_MS 4000
/* A batch of the caller's may have more events than a channel has room for. */
#define FLUSH_EVENTS 256

/* Sinks that write the same. */
struct group {
	const struct format_ops *ops;
	bool no_args;
	bool syslog; /* a head first: syslog_head.h */
	struct format *format;
	struct buffer text; /* of the event `sequence` */
	bool ready;
};

struct sinks {
	bool wait;
	int poll; /* epoll of all pidfds */
	unsigned int count, group_count;
	unsigned int unflushed; /* events */
	struct outlet outlets[SINKS_MOST];
	struct group groups[SINKS_MOST];
};

/* ---- begin ---- */

static int group_find(struct sinks *sinks, const struct sink_spec *spec, unsigned int *index)
{
	const struct format_ops *ops = spec->format;
	const struct format_options wish = {
		.no_args = !spec->args, .named = true, .line_most = FORMAT_LINE};
	const bool syslog = spec->kind == SINK_SYSLOG;
	struct group *group = sinks->groups;

	for (unsigned int i = 0; i < sinks->group_count; i++, group++)
		if (group->ops == ops && group->no_args == wish.no_args &&
		    group->syslog == syslog) {
			*index = i;
			return 0;
		}
	*group = (struct group){.ops = ops, .no_args = wish.no_args, .syslog = syslog};
	group->format = ops->open(&wish);
	if (!group->format)
		return -ENOMEM;
	*index = sinks->group_count++;
	return 0;
}

static int outlet_begin(struct sinks *sinks, const struct sinks_options *options,
			const struct sink_spec *spec, char *why, size_t size)
{
	struct outlet *outlet = &sinks->outlets[sinks->count];
	struct epoll_event event = {.events = EPOLLIN};
	char reason[CHANNEL_WHY] = "out of memory";
	int error;

	*outlet = (struct outlet){.spec = *spec, .pidfd = -1};
	outlet->spec.format = sink_format(spec, options->list->format);
	error = group_find(sinks, &outlet->spec, &outlet->group);
	if (!error) {
		sinks->count++;
		error = outlet_open(outlet, options, reason, sizeof(reason));
	}
	if (!error && epoll_ctl(sinks->poll, EPOLL_CTL_ADD, outlet->pidfd, &event)) {
		error = -errno;
		snprintf(reason, sizeof(reason), "epoll: %s", strerror(errno));
	}
	if (error)
		snprintf(why, size, "sink %s: %s", spec->name, reason);
	return error;
}

static int sinks_begin(struct sinks *sinks, const struct sinks_options *options, char *why,
		       size_t size)
{
	int error = 0;

	sinks->poll = epoll_create1(EPOLL_CLOEXEC);
	if (sinks->poll < 0) {
		error = -errno;
		snprintf(why, size, "epoll: %s", strerror(errno));
	} else if (options->spool && mkdir(options->spool, 0700) && errno != EEXIST) {
		error = -errno;
		snprintf(why, size, "the spool %s: %s", options->spool, strerror(errno));
	}
	for (size_t i = 0; !error && i < options->list->count && i < SINKS_MOST; i++)
		error = outlet_begin(sinks, options, &options->list->specs[i], why, size);
	return error;
}

static void couriers_end(struct sinks *sinks, unsigned int timeout_ms);

int sinks_open(const struct sinks_options *options, struct sinks **sinks, char *why, size_t size)
{
	struct sinks *made = calloc(1, sizeof(*made));
	int error;

	if (!made) {
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	made->wait = options->wait;
	made->poll = -1;
	error = sinks_begin(made, options, why, size);
	if (!error) {
		*sinks = made;
		return 0;
	}
	couriers_end(made, 2 * MARGIN_MS);
	sinks_free(made);
	return error;
}

/* ---- events ---- */

/* NULL: without memory. */
static const struct buffer *group_render(struct group *group, const struct event *event)
{
	size_t head;

	buffer_reset(&group->text);
	if (group->syslog)
		syslog_head(event, &group->text);
	head = group->text.length;
	group->ops->event(group->format, event, &group->text);
	/* What a format leaves out has no head either. */
	if (group->text.length == head)
		group->text.length = 0;
	return group->text.failed ? NULL : &group->text;
}

static bool event_put(const struct sinks *sinks, struct outlet *outlet, const struct event *event,
		      const struct buffer *text)
{
	const struct frame frame = {
		.stream = event->stream->start.id,
		.sequence = event->sequence,
		.time = event->wall_time,
		.dropped = !event->gap || !event->gap->sink ? 0
			   : event->gap->count > UINT32_MAX ? UINT32_MAX
							    : (uint32_t)event->gap->count,
		.size = (uint32_t)text->length,
		.bytes = text->data,
	};

	return text->length <= FRAME_MOST && outlet_put(outlet, &frame, sinks->wait);
}

/* True: there is no gap any more. `room`: how much there has to be. */
static bool gap_close(struct sinks *sinks, struct outlet *outlet, size_t room)
{
	struct group *group = &sinks->groups[outlet->group];
	const struct buffer *text;
	struct event_gap gap;
	struct event event;

	if (!outlet->gap.count)
		return true;
	if (!channel_has_room(outlet->channel, room))
		return false;
	event = outlet_gap_event(outlet, &gap);
	group->ready = false;
	text = group_render(group, &event);
	if (!text || (text->length && !event_put(sinks, outlet, &event, text)))
		return false;
	outlet->gap.count = 0;
	return true;
}

static bool outlet_event(struct sinks *sinks, struct outlet *outlet, const struct event *event)
{
	struct group *group = &sinks->groups[outlet->group];

	if (!outlet_alive(outlet) || !gap_close(sinks, outlet, sinks->wait ? 0 : GAP_ROOM))
		return false;
	if (!group->ready)
		group->ready = group_render(group, event) != NULL;
	if (!group->ready)
		return false;
	return !group->text.length || event_put(sinks, outlet, event, &group->text);
}

void sinks_event(struct sinks *sinks, const struct event *event)
{
	for (unsigned int i = 0; i < sinks->group_count; i++)
		sinks->groups[i].ready = false;
	for (unsigned int i = 0; i < sinks->count; i++)
		if (!outlet_event(sinks, &sinks->outlets[i], event))
			outlet_drop(&sinks->outlets[i], event);
	if (++sinks->unflushed >= FLUSH_EVENTS)
		sinks_flush(sinks);
}

void sinks_flush(struct sinks *sinks)
{
	sinks->unflushed = 0;
	for (unsigned int i = 0; i < sinks->count; i++) {
		if (!outlet_alive(&sinks->outlets[i]))
			continue;
		channel_wake(sinks->outlets[i].channel);
		outlet_look(&sinks->outlets[i]);
	}
}

void sinks_reopen(struct sinks *sinks)
{
	for (unsigned int i = 0; i < sinks->count; i++)
		if (outlet_alive(&sinks->outlets[i]))
			channel_reopen(sinks->outlets[i].channel);
}

/* ---- couriers ---- */

int sinks_fd(const struct sinks *sinks)
{
	return sinks->poll;
}

/* It has ended though nobody asked it to. */
static void death_say(const struct outlet *outlet, int status)
{
	const struct channel_state *last = &outlet->last;
	const unsigned long long lost = last->lost;
	char how[CHANNEL_WHY] = "its courier has ended";

	if (last->ended && last->gone)
		memcpy(how, last->why, sizeof(how));
	else if (status != -1 && WIFSIGNALED(status))
		snprintf(how, sizeof(how), "its courier was killed by signal %d", WTERMSIG(status));
	log_message("sink %s: %s: %llu event%s lost, and it gets no more", outlet->spec.name, how,
		    lost, lost == 1 ? "" : "s");
}

static bool has_ended(const struct outlet *outlet)
{
	struct pollfd one = {.fd = outlet->pidfd, .events = POLLIN};

	return outlet_alive(outlet) && poll(&one, 1, 0) == 1;
}

void sinks_check(struct sinks *sinks)
{
	int status;

	for (unsigned int i = 0; i < sinks->count; i++) {
		struct outlet *outlet = &sinks->outlets[i];

		if (!has_ended(outlet))
			continue;
		outlet_reap(outlet, &status);
		death_say(outlet, status);
	}
}

unsigned int sinks_alive(const struct sinks *sinks)
{
	unsigned int alive = 0;

	for (unsigned int i = 0; i < sinks->count; i++)
		alive += outlet_alive(&sinks->outlets[i]);
	return alive;
}

size_t sinks_report(const struct sinks *sinks, struct sink_report *reports, size_t most)
{
	size_t count = sinks->count < most ? sinks->count : most;

	for (size_t i = 0; i < count; i++)
		outlet_report(&sinks->outlets[i], &reports[i]);
	return count;
}

/* ---- end ---- */

static int ms_until(uint64_t until)
{
	const uint64_t now = clock_monotonic();

	return until <= now ? 0 : (int)((until - now + NS_PER_MS - 1) / NS_PER_MS);
}

/* The gap at the very end gets its record, too, if there is room for it in time. */
static void gap_end(struct sinks *sinks, struct outlet *outlet, uint64_t until)
{
	int error;

	if (!outlet_alive(outlet))
		return;
	do
		error = channel_wait_room(outlet->channel, FRAME_MOST, ms_until(until));
	while (error == -EINTR && !signals_give_up() && ms_until(until));
	if (!error)
		gap_close(sinks, outlet, FRAME_MOST);
}

static void outlet_close(struct outlet *outlet, uint64_t deadline)
{
	if (outlet_alive(outlet))
		channel_close(outlet->channel, deadline);
}

/* Who asks to stop does not wait as long as we would. */
static uint64_t couriers_hurry(struct sinks *sinks, uint64_t until)
{
	const uint64_t end = clock_monotonic() + HURRY_MS * NS_PER_MS;

	if (end >= until)
		return until;
	for (unsigned int i = 0; i < sinks->count; i++)
		outlet_close(&sinks->outlets[i], end - MARGIN_MS * NS_PER_MS);
	return end;
}

/* Of those that are neither done nor known to be away. */
static void couriers_say(const struct sinks *sinks)
{
	struct sink_report report;

	for (unsigned int i = 0; i < sinks->count; i++) {
		const struct outlet *outlet = &sinks->outlets[i];

		outlet_report(outlet, &report);
		if (report.alive && !outlet->away && report.waiting)
			log_message("sink %s: no answer so far; %" PRIu64 " event%s wait",
				    report.name, report.waiting, report.waiting == 1 ? "" : "s");
	}
}

/* Waits for all, and says meanwhile of who is away. `killed`: they end soon, whoever asks. */
static void couriers_wait(struct sinks *sinks, uint64_t until, bool killed)
{
	struct pollfd one = {.fd = sinks->poll, .events = POLLIN};
	const uint64_t say = clock_monotonic() + SAY_MS * NS_PER_MS;
	bool hurried = signals_asked(), said = false;
	int status, left;

	while (sinks_alive(sinks)) {
		if (!hurried && signals_asked()) {
			hurried = true;
			until = couriers_hurry(sinks, until);
		}
		if (!said && clock_monotonic() >= say) {
			said = true;
			couriers_say(sinks);
		}
		for (unsigned int i = 0; i < sinks->count; i++)
			if (has_ended(&sinks->outlets[i]))
				outlet_reap(&sinks->outlets[i], &status);
			else
				outlet_look(&sinks->outlets[i]);
		left = ms_until(until);
		if (!sinks_alive(sinks) || !left || (!killed && signals_give_up()))
			return;
		poll(&one, 1, left < LOOK_MS ? left : LOOK_MS);
	}
}

static void couriers_end(struct sinks *sinks, unsigned int timeout_ms)
{
	const unsigned int margin = timeout_ms / 2 < MARGIN_MS ? timeout_ms / 2 : MARGIN_MS;
	const uint64_t begin = clock_monotonic(), end = begin + timeout_ms * NS_PER_MS;
	const uint64_t deadline = begin + (timeout_ms - margin) * NS_PER_MS;

	for (unsigned int i = 0; i < sinks->count; i++)
		if (!sinks->outlets[i].gap.count)
			outlet_close(&sinks->outlets[i], deadline);
	for (unsigned int i = 0; i < sinks->count; i++) {
		if (!sinks->outlets[i].gap.count)
			continue;
		gap_end(sinks, &sinks->outlets[i], begin + timeout_ms / 2 * NS_PER_MS);
		outlet_close(&sinks->outlets[i], deadline);
	}
	couriers_wait(sinks, end, false);
	for (unsigned int i = 0; i < sinks->count; i++)
		if (outlet_alive(&sinks->outlets[i]))
			kill(sinks->outlets[i].pid, SIGKILL);
	couriers_wait(sinks, clock_monotonic() + MARGIN_MS * NS_PER_MS, true);
}

int sinks_end(struct sinks *sinks, unsigned int timeout_ms)
{
	bool good = true;

	couriers_end(sinks, timeout_ms);
	for (unsigned int i = 0; i < sinks->count; i++)
		good &= outlet_sum(&sinks->outlets[i]);
	return good ? 0 : -EIO;
}

void sinks_free(struct sinks *sinks)
{
	if (!sinks)
		return;
	for (unsigned int i = 0; i < sinks->count; i++)
		outlet_free(&sinks->outlets[i]);
	for (unsigned int i = 0; i < sinks->group_count; i++) {
		struct group *group = &sinks->groups[i];

		group->ops->close(group->format);
		buffer_free(&group->text);
	}
	cleanup_fd(&sinks->poll);
	free(sinks);
}
