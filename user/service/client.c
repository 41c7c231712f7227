/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "service/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define CANDIDATES 32

/* Somebody who may be able to answer. */
struct candidate {
	int fd; /* -1: not, or not any more */
	uint32_t pid;
	bool greeted;
	struct service_facts facts;
};

struct inquiry {
	const struct service_query *query;
	uint64_t deadline; /* CLOCK_MONOTONIC, ms */
	size_t count;
	struct candidate list[CANDIDATES];
	int error; /* the last one, and what it was */
	char why[160];
	char message[SERVICE_MESSAGE_MOST] __attribute__((aligned(8)));
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static unsigned int time_left(uint64_t deadline)
{
	uint64_t now = now_ms();

	return now < deadline ? (unsigned int)(deadline - now) : 0;
}

static void inquiry_free(struct inquiry **inquiry)
{
	if (*inquiry)
		for (size_t i = 0; i < (*inquiry)->count; i++)
			cleanup_fd(&(*inquiry)->list[i].fd);
	free(*inquiry);
}

static void candidate_end(struct candidate *candidate)
{
	cleanup_fd(&candidate->fd);
	candidate->fd = -1;
}

static void candidate_fail(struct inquiry *inquiry, struct candidate *candidate, int error,
			   const char *why)
{
	inquiry->error = error;
	snprintf(inquiry->why, sizeof(inquiry->why), "portsnoop[%u]: %.120s", candidate->pid, why);
	candidate_end(candidate);
}

static ssize_t receive_once(struct inquiry *inquiry, int fd)
{
	ssize_t size;

	do
		size = recv(fd, inquiry->message, sizeof(inquiry->message),
			    MSG_DONTWAIT | MSG_TRUNC);
	while (size < 0 && errno == EINTR);
	return size < 0 ? -errno : size;
}

/* One message. Its size, or negative errno: -EAGAIN, -ECONNRESET. */
static ssize_t message_receive(struct inquiry *inquiry, int fd)
{
	ssize_t size = receive_once(inquiry, fd);

	/* Linux looks for a message first and for the end of the connection afterwards. Who
	 * answers and hangs up in between seems to have said nothing: then it is all there. */
	if (!size)
		size = receive_once(inquiry, fd);
	if (size > (ssize_t)sizeof(inquiry->message))
		return -EBADMSG;
	return size ? size : -ECONNRESET;
}

static const char *error_words(int error)
{
	switch (error) {
	case -ECONNRESET:
	case -EPIPE:
		return "it hung up";
	case -EBADMSG:
		return "it sent a message that is too long";
	case -ETIMEDOUT:
		return "it did not answer in time";
	}
	return strerror(-error);
}

/* Connects to all. 0 or negative errno. */
static int candidates_find(struct inquiry *inquiry)
{
	const struct service_place *place = &inquiry->query->place;
	CLEANUP_FD int folder = folder_open(place, false);
	uint32_t pids[CANDIDATES];
	int count;

	if (folder < 0)
		return folder;
	count = folder_list(folder, pids, CANDIDATES);
	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		struct candidate *candidate = &inquiry->list[inquiry->count];
		unsigned int left = time_left(inquiry->deadline);
		char name[FOLDER_NAME];
		uint32_t pid = 0;
		int fd;

		folder_name(name, pids[i]);
		fd = folder_connect(place, folder, name, left ? left : 1, &pid);
		if (fd == -ECONNREFUSED || fd == -ENOENT)
			continue;
		*candidate = (struct candidate){.fd = fd < 0 ? -1 : fd, .pid = pid ? pid : pids[i]};
		inquiry->count++;
		if (fd == -EPERM)
			candidate_fail(
				inquiry, candidate, fd,
				"its socket belongs neither to root nor to the folder's owner");
		else if (fd < 0)
			candidate_fail(inquiry, candidate, fd,
				       error_words(fd == -EAGAIN ? -ETIMEDOUT : fd));
	}
	return 0;
}

static void greeting_take(struct inquiry *inquiry, struct candidate *candidate)
{
	struct service_answer answer = {0};
	ssize_t size = message_receive(inquiry, candidate->fd);
	int error;

	if (size == -EAGAIN)
		return;
	if (size < 0) {
		candidate_fail(inquiry, candidate, (int)size, error_words((int)size));
		return;
	}
	error = answer_hello(&answer, inquiry->message, (size_t)size);
	if (error) {
		candidate_fail(inquiry, candidate, error, answer.why);
		return;
	}
	candidate->greeted = true;
	candidate->facts = answer.facts;
	candidate->facts.pid = candidate->pid;
}

/* Who is stopped, or hangs, must not use up the time of those that answer. */
static void greetings_await(struct inquiry *inquiry)
{
	uint64_t deadline = now_ms() + time_left(inquiry->deadline) / 2;

	for (;;) {
		struct pollfd fds[CANDIDATES];
		bool waiting = false;
		unsigned int left = time_left(deadline);

		for (size_t i = 0; i < inquiry->count; i++) {
			const struct candidate *candidate = &inquiry->list[i];

			fds[i] = (struct pollfd){.fd = candidate->greeted ? -1 : candidate->fd,
						 .events = POLLIN};
			waiting |= fds[i].fd >= 0;
		}
		if (!waiting || (poll(fds, inquiry->count, (int)left) <= 0 && !left))
			break;
		for (size_t i = 0; i < inquiry->count; i++)
			if (fds[i].fd >= 0 && fds[i].revents)
				greeting_take(inquiry, &inquiry->list[i]);
	}
	for (size_t i = 0; i < inquiry->count; i++)
		if (!inquiry->list[i].greeted && inquiry->list[i].fd >= 0)
			candidate_fail(inquiry, &inquiry->list[i], -ETIMEDOUT,
				       error_words(-ETIMEDOUT));
}

/* The one that is left and has been watching the longest. */
static struct candidate *candidate_best(struct inquiry *inquiry)
{
	struct candidate *best = NULL;

	for (size_t i = 0; i < inquiry->count; i++) {
		struct candidate *candidate = &inquiry->list[i];

		if (candidate->fd >= 0 &&
		    (!best || candidate->facts.watching > best->facts.watching))
			best = candidate;
	}
	return best;
}

/* 0, or negative errno with answer->why. */
static int candidate_hear(struct inquiry *inquiry, const struct candidate *candidate,
			  struct service_answer *answer)
{
	struct pollfd socket = {.fd = candidate->fd, .events = POLLIN};
	int result;

	for (;;) {
		unsigned int left = time_left(inquiry->deadline);
		ssize_t size = message_receive(inquiry, candidate->fd);

		if (size == -EAGAIN && left) {
			poll(&socket, 1, (int)left);
			continue;
		}
		if (size < 0) {
			size = size == -EAGAIN ? -ETIMEDOUT : size;
			snprintf(answer->why, sizeof(answer->why), "%s", error_words((int)size));
			return (int)size;
		}
		result = answer_take(answer, inquiry->query, inquiry->message, (size_t)size);
		if (result)
			return result < 0 ? result : 0;
	}
}

static int candidate_ask(struct inquiry *inquiry, const struct candidate *candidate,
			 struct service_answer *answer)
{
	struct service_ask ask;

	answer_ask(inquiry->query, &ask);
	if (send(candidate->fd, &ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		int error = -errno;

		snprintf(answer->why, sizeof(answer->why), "%s", error_words(error));
		return error;
	}
	return candidate_hear(inquiry, candidate, answer);
}

/* 0 or negative errno: nobody answered. */
static int inquiry_run(struct inquiry *inquiry, struct service_answer *answer)
{
	struct candidate *candidate;
	int error;

	greetings_await(inquiry);
	while ((candidate = candidate_best(inquiry))) {
		error = candidate_ask(inquiry, candidate, answer);
		if (!error) {
			answer->facts = candidate->facts;
			return 0;
		}
		candidate_fail(inquiry, candidate, error, answer->why);
		service_answer_free(answer);
	}
	return inquiry->error;
}

/* Everybody who may be able to answer. 0, or negative errno with `why`; -ENOENT: there is
 * nobody. */
static int inquiry_begin(struct inquiry *inquiry, const struct service_query *query,
			 unsigned int timeout_ms, char *why, size_t size)
{
	int error;

	inquiry->query = query;
	inquiry->deadline = now_ms() + timeout_ms;
	error = candidates_find(inquiry);
	if (error == -EPERM)
		snprintf(why, size,
			 "the folder of the services is open to others than root and its owner: "
			 "none is asked");
	else if (error && error != -ENOENT)
		snprintf(why, size, "the folder of the services: %s", strerror(-error));
	return error;
}

int service_query(const struct service_query *query, unsigned int timeout_ms,
		  struct service_answer *answer)
{
	CLEANUP(inquiry_free) struct inquiry *inquiry = calloc(1, sizeof(*inquiry));
	int error;

	*answer = (struct service_answer){0};
	if (!inquiry)
		return -ENOMEM;
	error = inquiry_begin(inquiry, query, timeout_ms, answer->why, sizeof(answer->why));
	if (error)
		return error == -ENOENT ? 0 : error;
	error = inquiry_run(inquiry, answer);
	snprintf(answer->why, sizeof(answer->why), "%s", inquiry->why);
	return error ? error : (int)inquiry->count;
}

/* 0, or the candidate has failed. */
static int status_hear(struct inquiry *inquiry, struct candidate *candidate,
		       struct service_status *status)
{
	struct service_answer answer = {0};
	struct pollfd socket = {.fd = candidate->fd, .events = POLLIN};
	ssize_t size;
	int result;

	for (;;) {
		unsigned int left = time_left(inquiry->deadline);

		size = message_receive(inquiry, candidate->fd);
		if (size != -EAGAIN || !left)
			break;
		poll(&socket, 1, (int)left);
	}
	if (size < 0) {
		result = size == -EAGAIN ? -ETIMEDOUT : (int)size;
		candidate_fail(inquiry, candidate, result, error_words(result));
		return result;
	}
	result = answer_take_status(&answer, status, inquiry->message, (size_t)size);
	if (result < 0)
		candidate_fail(inquiry, candidate, result, answer.why);
	return result < 0 ? result : 0;
}

static void status_ask(struct inquiry *inquiry, struct candidate *candidate)
{
	struct service_ask_status ask;

	answer_ask_status(&ask);
	if (send(candidate->fd, &ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		candidate_fail(inquiry, candidate, -errno, error_words(-errno));
}

static int report_compare(const void *a, const void *b)
{
	const struct service_status *one = &((const struct service_report *)a)->status;
	const struct service_status *other = &((const struct service_report *)b)->status;
	uint64_t records = one->told & SERVICE_STATUS_STORE;

	if (records != (other->told & SERVICE_STATUS_STORE))
		return records ? -1 : 1;
	if (one->watching != other->watching)
		return one->watching > other->watching ? -1 : 1;
	return one->pid < other->pid ? -1 : one->pid > other->pid;
}

/* All are asked before the first answer is awaited: who hangs costs the others nothing. */
static size_t statuses_take(struct inquiry *inquiry, struct service_report *reports)
{
	size_t count = 0;

	greetings_await(inquiry);
	for (size_t i = 0; i < inquiry->count; i++)
		if (inquiry->list[i].fd >= 0)
			status_ask(inquiry, &inquiry->list[i]);
	for (size_t i = 0; i < inquiry->count; i++) {
		struct candidate *candidate = &inquiry->list[i];

		if (candidate->fd < 0 || status_hear(inquiry, candidate, &reports[count].status))
			continue;
		reports[count++].pid = candidate->pid;
	}
	qsort(reports, count, sizeof(*reports), report_compare);
	return count;
}

int service_ask_status(const struct service_place *place, unsigned int timeout_ms,
		       struct service_report **reports, size_t *count, char *why, size_t size)
{
	CLEANUP(inquiry_free) struct inquiry *inquiry = calloc(1, sizeof(*inquiry));
	CLEANUP_FREE struct service_report *taken = calloc(CANDIDATES, sizeof(*taken));
	const struct service_query query = {.place = *place};
	int error;

	*reports = NULL;
	*count = 0;
	snprintf(why, size, "%s", inquiry && taken ? "" : strerror(ENOMEM));
	if (!inquiry || !taken)
		return -ENOMEM;
	error = inquiry_begin(inquiry, &query, timeout_ms, why, size);
	if (error)
		return error == -ENOENT ? 0 : error;
	*count = statuses_take(inquiry, taken);
	snprintf(why, size, "%s", inquiry->why);
	if (!*count)
		return inquiry->error;
	*reports = TAKE_POINTER(taken);
	return (int)inquiry->count;
}
