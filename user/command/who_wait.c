/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Waiting for a port. The hooks are on before the first look at what is there, so that
 * nothing happens unseen between the two.
 *
 * A claim is a record of the stream. The end of the last holding is whatever the kernel
 * says last: the release of a socket that claimed the port, the destruction of one that
 * was accepted or that no process had any more (probe/destroy.h), or the end of
 * TIME_WAIT, for which there is only a clock. Each of them is a reason to look again.
 */
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "command/who.h"
#include "format/format.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/signals.h"
#include "model/decode.h"
#include "probe/destroy.h"
#include "probe/netns.h"
#include "probe/session.h"

#define MS 1000000
#define NEVER UINT64_MAX

/* The kernel's timers end late, by up to an eighth of their time. */
#define OVERDUE_MS 250
/* Looking costs a walk over all open files: it is to take a tenth of the time at most,
 * however many connections of a busy port end. */
#define REST 9

struct wait {
	struct who *who;
	struct session *session;
	struct decoder *decoder;
	struct destroy_watch *watch; /* NULL: for a claim */
	struct format *json;
	int signals;
	uint64_t deadline; /* of --timeout, CLOCK_MONOTONIC; NEVER: none */
	uint64_t rested;   /* not to look again before */
	uint64_t expected; /* when what is left should be over; NEVER: unknown */
	bool again;	   /* something happened: look again */
	bool taken;	   /* the claim was there, and is printed */
	bool bad;	   /* a record was refused, and that was said */
};

static uint64_t now(void)
{
	return (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

static int wait_event(void *context, const struct event *event)
{
	struct wait *wait = context;
	struct who *who = wait->who;

	if (event->action == EVENT_LOST)
		wait->again = true;
	if (!event->socket || wait->taken)
		return 0;
	if (wait->watch) {
		wait->again |= event->action == EVENT_RELEASED &&
			       who_wants_port(&who->view, event->socket);
		return 0;
	}
	if (!who_wants_claim(&who->view, event->socket))
		return 0;
	wait->taken = true;
	if (who->json)
		format_json.event(wait->json, event, &who->output.pending);
	else
		who_text_claim(&who->output.pending, &who->view, event);
	return 0;
}

static int wait_record(void *context, void *record, size_t size)
{
	struct wait *wait = context;
	const char *why = NULL;
	int error = decoder_record(wait->decoder, record, size, &why);

	if (error != -EBADMSG)
		return error;
	if (!wait->bad)
		log_message("a record from the kernel is not as it should be: %s", why);
	wait->bad = true;
	return 0;
}

static void wait_free(struct wait *wait)
{
	session_close(wait->session);
	decoder_free(wait->decoder);
	destroy_watch_free(wait->watch);
	if (wait->json)
		format_json.close(wait->json);
}

/* 0, or negative errno, and that was said. */
static int wait_start(struct wait *wait, bool releases)
{
	const struct probe_options options = {.releases = releases};
	const struct format_options shape = {0};
	struct probe_failure failure;

	wait->deadline = wait->who->timeout ? now() + wait->who->timeout : NEVER;
	if (wait->deadline < wait->who->timeout)
		wait->deadline = NEVER;
	wait->expected = NEVER;
	wait->signals = signals_open(SIGNALS_PLAIN);
	wait->decoder = decoder_new(wait_event, NULL, wait);
	wait->json = format_json.open(&shape);
	if (!wait->decoder || !wait->json)
		return log_error(-ENOMEM, "who");
	if (releases) {
		wait->watch = destroy_watch_new();
		if (!wait->watch)
			return log_error(-errno, "who");
	}
	wait->session = session_open(&options, wait_record, wait, &failure);
	if (wait->session)
		return 0;
	log_message("%s", failure.text);
	return failure.error ? failure.error : -EIO;
}

static void subjects_print(const struct who *who, struct buffer *out)
{
	for (size_t i = 0; i < who->subjects.count; i++) {
		buffer_text(out, i ? ", " : "");
		who_subject(out, &who->subjects.list[i]);
	}
}

static void wait_say(const struct who *who, const char *before, const char *after)
{
	CLEANUP(buffer_free) struct buffer words = BUFFER_EMPTY;

	subjects_print(who, &words);
	buffer_byte(&words, '\0');
	log_message("%s%s%s", before, words.failed ? "" : words.data, after);
}

/* ms to sleep; -1: without an end. */
static int wait_sleep(const struct wait *wait)
{
	int own = session_timeout(wait->session);
	uint64_t look = wait->again ? wait->rested : wait->expected, time = now(), ms;
	uint64_t until = look < wait->deadline ? look : wait->deadline;

	if (until == NEVER)
		return own;
	ms = until > time ? (until - time + MS - 1) / MS : 0;
	if (ms > INT32_MAX)
		ms = INT32_MAX;
	return own < 0 || (int)ms < own ? (int)ms : own;
}

enum wait_result { WAIT_ON, WAIT_STOP, WAIT_LATE, WAIT_UNREAD };

/* Sleeps until something happens, and takes it in. An enum wait_result, or negative
 * errno. */
static int wait_step(struct wait *wait)
{
	struct pollfd fds[] = {
		{.fd = session_fd(wait->session), .events = POLLIN},
		{.fd = wait->signals, .events = POLLIN},
		{.fd = wait->watch ? destroy_watch_fd(wait->watch) : -1, .events = POLLIN},
		{.fd = wait->who->output.fd}, /* only whether its reader has gone */
	};
	int result;

	if (poll(fds, sizeof(fds) / sizeof(*fds), wait_sleep(wait)) < 0 && errno != EINTR)
		return -errno;
	result = session_drain(wait->session);
	if (result < 0)
		return result;
	if (wait->watch && destroy_watch_read(wait->watch, &wait->who->ports))
		wait->again = true;
	if (wait->taken)
		return WAIT_ON;
	if (signals_stop())
		return WAIT_STOP;
	if (fds[3].revents & (POLLERR | POLLHUP))
		return WAIT_UNREAD;
	if (now() >= wait->expected)
		wait->again = true;
	return now() >= wait->deadline ? WAIT_LATE : WAIT_ON;
}

/* Not what was waited for. */
static int wait_status(const struct wait *wait, int result)
{
	if (result < 0) {
		log_error(result, "who");
		return WHO_ERROR;
	}
	if (result == WAIT_LATE)
		wait_say(wait->who,
			 wait->watch ? "not free in time: " : "nobody came in time: ", "");
	return WHO_NOBODY;
}

static int wait_look(struct wait *wait, struct holdings *holdings)
{
	uint64_t before = now(), after;
	int error;

	wait->again = false;
	error = who_look(wait->who, holdings);
	after = now();
	wait->rested = after + (after - before) * REST;
	return error;
}

static bool anybody(const struct who *who, const struct holdings *holdings)
{
	for (size_t i = 0; i < holdings->count; i++)
		if (who_wants_any(&who->view, &holdings->list[i]) && who_alive(&holdings->list[i]))
			return true;
	return false;
}

/* A record was lost: it may have been the claim. WHO_FOUND, or another status. */
static int claim_look(struct wait *wait)
{
	CLEANUP(holdings_free) struct holdings holdings = {0};

	if (wait_look(wait, &holdings))
		return WHO_ERROR;
	return anybody(wait->who, &holdings) ? who_answer(wait->who, &holdings) : WHO_NOBODY;
}

int who_wait_claim(struct who *who)
{
	CLEANUP(wait_free) struct wait wait = {.who = who};
	int status, result;

	if (wait_start(&wait, false))
		return WHO_ERROR;
	status = claim_look(&wait);
	if (status != WHO_NOBODY)
		return status;
	wait_say(who, "waiting until somebody takes ", "");
	for (;;) {
		result = wait_step(&wait);
		if (wait.taken)
			return who_flush(who, WHO_FOUND);
		if (result != WAIT_ON)
			return wait_status(&wait, result);
		if (!wait.again || now() < wait.rested)
			continue;
		status = claim_look(&wait);
		if (status != WHO_NOBODY)
			return status;
	}
}

/* ---- until it is free ---- */

/* 1: a namespace is watched from now on that was not before. */
static int netns_watch(struct wait *wait, uint32_t inode)
{
	struct who *who = wait->who;
	const struct netns own = {.inode = who->view.own_netns};

	if (inode == own.inode)
		return destroy_watch_add(wait->watch, &own);
	for (int again = 0; again < 2; again++) {
		const struct netns *named = netns_list_find(&who->names, inode);

		if (named)
			return destroy_watch_add(wait->watch, named);
		netns_list_free(&who->names);
		if (netns_list_read(&who->names))
			break;
	}
	return 0; /* it went away */
}

/* Notes what is to be waited for. How many are left; *fresh: a namespace is watched anew. */
static size_t holdings_judge(struct wait *wait, const struct holdings *holdings, bool *fresh)
{
	uint64_t last = OVERDUE_MS;
	bool timed = true;
	size_t left = 0;

	*fresh = false;
	for (size_t i = 0; i < holdings->count; i++) {
		const struct holding *holding = &holdings->list[i];

		if (!who_wants_any(&wait->who->view, holding))
			continue;
		left++;
		timed &= holding->has_expires || holding->state == HOLDING_TIME_WAIT;
		if (holding->has_expires && holding->expires > last)
			last = holding->expires;
		/* Without it the releases of the stream are left, which are most. */
		*fresh |= netns_watch(wait, holding->netns) > 0;
	}
	wait->expected = timed ? now() + last * MS : NEVER;
	return left;
}

/* In JSON the exit status says it. */
static int free_answer(struct who *who)
{
	if (!who->json) {
		subjects_print(who, &who->output.pending);
		buffer_text(&who->output.pending, ": free\n");
	}
	return who_flush(who, WHO_FOUND);
}

/* WHO_FOUND: it is free. */
static int free_look(struct wait *wait)
{
	bool fresh = true;

	/* What ended before the watch began shows in a second look. */
	while (fresh) {
		CLEANUP(holdings_free) struct holdings holdings = {0};

		if (wait_look(wait, &holdings))
			return WHO_ERROR;
		if (holdings_judge(wait, &holdings, &fresh))
			continue;
		return free_answer(wait->who);
	}
	return WHO_NOBODY;
}

int who_wait_free(struct who *who)
{
	CLEANUP(wait_free) struct wait wait = {.who = who};
	int status, result;

	if (wait_start(&wait, true))
		return WHO_ERROR;
	status = free_look(&wait);
	if (status != WHO_NOBODY)
		return status;
	wait_say(who, "waiting until ", " is given back");
	for (;;) {
		result = wait_step(&wait);
		if (result != WAIT_ON)
			return wait_status(&wait, result);
		if (!wait.again || now() < wait.rested)
			continue;
		status = free_look(&wait);
		if (status != WHO_NOBODY)
			return status;
	}
}
