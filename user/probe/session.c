/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "lib/clock.h"
#include "probe/backlog.h"
#include "probe/blocker.h"
#include "probe/reader.h"

#define DRAIN_LIMIT 16384
/* Seconds of the highest rates measured. Twice of it can be in memory: what the
 * reader's thread has put there, and what is being worked on. */
#define BACKLOG_BYTES (64 * 1024 * 1024)

struct user {
	uint32_t uid;
	UT_hash_handle hh;
};

struct session {
	struct probe *probe;
	struct backlog *backlog;
	struct reader *reader;
	struct blocker_finder *finder; /* NULL: without a ledger */
	ring_handler handler;
	void *context;
	int epoll;
	int clock;	    /* readable when the wall clock was set */
	int heartbeat;	    /* readable when one is due; -1: there are none */
	bool busy;	    /* the last drain stopped at its limit */
	struct user *users; /* whose names were sent */
};

/* Of a few tries the one with the least time between the two clocks. */
static int64_t wall_offset(void)
{
	int64_t best = 0, least = INT64_MAX;

	for (int i = 0; i < 5; i++) {
		int64_t before = clock_ns(CLOCK_MONOTONIC);
		int64_t wall = clock_ns(CLOCK_REALTIME);
		int64_t after = clock_ns(CLOCK_MONOTONIC);

		if (after - before < least) {
			least = after - before;
			best = wall - (before + (after - before) / 2);
		}
	}
	return best;
}

static int session_send(struct session *session, struct wire_header *header, uint16_t type,
			uint16_t size)
{
	header->type = type;
	header->size = size;
	header->time = clock_ns(CLOCK_MONOTONIC);
	return session->handler(session->context, header, size);
}

static int start_send(struct session *session)
{
	struct wire_stream_start start = {
		.wall_offset = wall_offset(),
		.coverage = probe_coverage(session->probe),
		.version = WIRE_VERSION,
		.tier = probe_tier(session->probe),
		.cpus = sysconf(_SC_NPROCESSORS_CONF),
		.ring_bytes = probe_ring_bytes(session->probe),
		.program = PORTSNOOP_VERSION,
	};
	struct utsname kernel;
	struct stat netns;
	FILE *file;

	if (getrandom(&start.id, sizeof(start.id), 0) != sizeof(start.id))
		return -EIO;
	if (!stat("/proc/self/ns/net", &netns))
		start.own_netns = netns.st_ino;
	gethostname(start.host, sizeof(start.host) - 1);
	if (!uname(&kernel))
		snprintf(start.kernel, sizeof(start.kernel), "%.*s", (int)sizeof(start.kernel) - 1,
			 kernel.release);
	file = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (file) {
		if (fscanf(file, "%39s", start.boot_id) != 1)
			start.boot_id[0] = 0;
		fclose(file);
	}
	return session_send(session, &start.header, WIRE_STREAM_START, sizeof(start));
}

static int clock_send(struct session *session)
{
	struct wire_clock record = {.wall_offset = wall_offset()};

	return session_send(session, &record.header, WIRE_CLOCK, sizeof(record));
}

/* A timer that never ends, but is cancelled when somebody sets the clock. */
static int clock_watch(int fd)
{
	struct itimerspec never = {.it_value.tv_sec = 9000000000}; /* year 2255 */

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static int clock_check(struct session *session)
{
	uint64_t expirations;

	if (read(session->clock, &expirations, sizeof(expirations)) >= 0 || errno != ECANCELED)
		return 0;
	clock_watch(session->clock);
	return clock_send(session);
}

/* 0 or negative errno. */
static int heartbeat_open(struct session *session, uint64_t interval)
{
	const struct timespec each = {.tv_sec = (time_t)(interval / 1000000000),
				      .tv_nsec = (long)(interval % 1000000000)};
	const struct itimerspec when = {.it_value = each, .it_interval = each};
	struct epoll_event event = {.events = EPOLLIN};

	if (!interval)
		return 0;
	session->heartbeat = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (session->heartbeat < 0 || timerfd_settime(session->heartbeat, 0, &when, NULL) ||
	    epoll_ctl(session->epoll, EPOLL_CTL_ADD, session->heartbeat, &event))
		return -errno;
	return 0;
}

/* One, however many are due: it tells of now. */
static int heartbeat_check(struct session *session)
{
	struct wire_heartbeat record = {0};
	struct cpu_counters totals;
	uint64_t expirations;

	if (session->heartbeat < 0 ||
	    read(session->heartbeat, &expirations, sizeof(expirations)) < 0)
		return 0;
	probe_totals(session->probe, &totals);
	record.seen = totals.seen;
	record.lost = totals.lost;
	record.filtered = totals.filtered;
	record.untracked = totals.untracked;
	return session_send(session, &record.header, WIRE_HEARTBEAT, sizeof(record));
}

/* Before the first record with this user. A user without a name is asked for once
 * as well. */
static int user_send(struct session *session, uint32_t uid)
{
	struct wire_user record = {.uid = uid};
	struct user *user;
	struct passwd *entry;

	HASH_FIND(hh, session->users, &uid, sizeof(uid), user);
	if (user)
		return 0;
	user = calloc(1, sizeof(*user));
	if (!user)
		return -ENOMEM;
	user->uid = uid;
	HASH_ADD(hh, session->users, uid, sizeof(uid), user);
	entry = getpwuid(uid);
	if (!entry || strlen(entry->pw_name) >= sizeof(record.name))
		return 0;
	strcpy(record.name, entry->pw_name);
	return session_send(session, &record.header, WIRE_USER, sizeof(record));
}

static int blocker_send(void *context, struct wire_blocker *blocker)
{
	return session_send(context, &blocker->header, WIRE_BLOCKER, sizeof(*blocker));
}

static int session_record(void *context, void *bytes, size_t size)
{
	struct session *session = context;
	const struct wire_header *header = bytes;
	int error = 0;

	/* With all of them: the first one of a process may be lost. */
	if (header->type == WIRE_CALL || header->type == WIRE_OUTCOME ||
	    header->type == WIRE_RELEASE || header->type == WIRE_SEED) {
		const struct wire_event *event = bytes;

		if (!(event->flags & WIRE_NO_CLAIMANT))
			error = user_send(session, event->uid);
		if (!error && session->finder && header->type == WIRE_CALL && event->error)
			error = blocker_find(session->finder, event, blocker_send, session);
	}
	return error ? error : session->handler(session->context, bytes, size);
}

struct session *session_open(const struct probe_options *options, ring_handler handler,
			     void *context, struct probe_failure *failure)
{
	struct session *session = calloc(1, sizeof(*session));
	struct epoll_event event = {.events = EPOLLIN};
	int error = -ENOMEM;

	failure->error = 0;
	if (!session)
		goto fail;
	session->handler = handler;
	session->context = context;
	session->epoll = session->clock = session->heartbeat = -1;
	session->probe = probe_open(options, failure);
	if (!session->probe)
		goto fail;
	session->backlog = backlog_new(BACKLOG_BYTES);
	if (options->ledger) {
		session->finder = blocker_finder_new(options->tree);
		if (!session->finder)
			goto fail;
	}
	session->epoll = epoll_create1(EPOLL_CLOEXEC);
	session->clock = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (!session->backlog || session->epoll < 0 || session->clock < 0 ||
	    epoll_ctl(session->epoll, EPOLL_CTL_ADD, backlog_fd(session->backlog), &event) ||
	    epoll_ctl(session->epoll, EPOLL_CTL_ADD, session->clock, &event) ||
	    clock_watch(session->clock)) {
		error = -errno;
		goto fail;
	}
	error = heartbeat_open(session, options->heartbeat);
	if (!error)
		error = start_send(session);
	if (error)
		goto fail;
	session->reader = reader_start(session->probe, session->backlog);
	if (!session->reader) {
		error = -errno;
		goto fail;
	}
	error = probe_snapshot(session->probe);
	if (error)
		goto fail;
	return session;
fail:
	if (!failure->error) {
		failure->error = error;
		snprintf(failure->text, sizeof(failure->text), "cannot start: %s",
			 strerror(-error));
	}
	session_close(session);
	return NULL;
}

int session_tree_add(struct session *session, uint32_t pid)
{
	return probe_tree_add(session->probe, pid);
}

int session_settle(struct session *session)
{
	if (session->finder)
		blocker_finder_settle(session->finder);
	/* Nobody has this number, so that NSS asks, and loads, all of its modules. */
	getpwuid((uid_t)-2);
	return 0;
}

int session_fd(const struct session *session)
{
	return session->epoll;
}

int session_timeout(struct session *session)
{
	return session->busy ? 0 : -1;
}

int session_drain(struct session *session)
{
	int count, error = clock_check(session);
	void *record;
	size_t size;

	session->busy = false;
	if (!error)
		error = heartbeat_check(session);
	for (count = 0; !error && count < DRAIN_LIMIT; count++) {
		record = backlog_next(session->backlog, &size);
		if (!record)
			break;
		error = session_record(session, record, size);
	}
	session->busy = count == DRAIN_LIMIT;
	if (!error)
		backlog_over(session->backlog, &error);
	return error ? error : count;
}

size_t session_waiting(const struct session *session)
{
	return backlog_bytes(session->backlog);
}

void session_totals(const struct session *session, struct cpu_counters *totals)
{
	probe_totals(session->probe, totals);
}

uint64_t session_skipped(const struct session *session)
{
	return probe_skipped(session->probe);
}

/* What is in the ring and in the backlog still. */
static int session_finish(struct session *session)
{
	struct pollfd wait = {.fd = backlog_fd(session->backlog), .events = POLLIN};
	int count, error;

	reader_finish(session->reader);
	do {
		if (poll(&wait, 1, session_timeout(session)) < 0 && errno != EINTR)
			return -errno;
		count = session_drain(session);
		if (count < 0)
			return count;
	} while (!backlog_over(session->backlog, &error));
	return error;
}

int session_end(struct session *session, bool quiet)
{
	struct wire_stream_end end = {0};
	struct cpu_counters totals;
	int error;

	end.skipped = probe_skipped(session->probe);
	probe_detach(session->probe);
	/* Programs that were running when they were detached end before this does:
	 * it waits for all RCU readers. */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	if (quiet)
		return 0;
	error = session_finish(session);
	if (error)
		return error;
	probe_totals(session->probe, &totals);
	end.seen = totals.seen;
	end.lost = totals.lost;
	end.filtered = totals.filtered;
	end.untracked = totals.untracked;
	end.unseen = totals.unseen;
	return session_send(session, &end.header, WIRE_STREAM_END, sizeof(end));
}

void session_close(struct session *session)
{
	struct user *user, *next;

	if (!session)
		return;
	if (session->reader) {
		/* Nobody takes anything any more: it is not to wait for room. */
		backlog_hurry(session->backlog);
		reader_finish(session->reader);
		reader_free(session->reader);
	}
	HASH_ITER (hh, session->users, user, next) {
		HASH_DEL(session->users, user);
		free(user);
	}
	if (session->epoll >= 0)
		close(session->epoll);
	if (session->clock >= 0)
		close(session->clock);
	if (session->heartbeat >= 0)
		close(session->heartbeat);
	blocker_finder_free(session->finder);
	backlog_free(session->backlog);
	probe_close(session->probe);
	free(session);
}
