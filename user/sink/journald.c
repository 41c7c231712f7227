/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * journald's native protocol: a datagram a record, https://systemd.io/JOURNAL_NATIVE_PROTOCOL/.
 *
 * There is no answer. What journald has not taken out of its queue is charged to our socket
 * (SIOCOUTQ); with nothing left of it, and journald still there, all has arrived. A journald
 * that ended has thrown its queue away, which looks the same: only a datagram tells then. An
 * empty one is ignored by it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "sink/sink.h"

#define JOURNALD_PATH "/run/systemd/journal/socket"
/* Of records on their way: more of them wait until these have arrived, or they never would
 * all have, while events come. */
#define ON_THEIR_WAY 4096
#define PATIENCE_NS (SINK_PATIENCE_MS * INT64_C(1000000))

struct journald {
	struct sockaddr_un address;
	int fd; /* -1: closed */
	uint64_t taken, settled;
};

static int journald_prepare(struct sink *sink)
{
	const char *path = sink->spec->path ? sink->spec->path : JOURNALD_PATH;
	struct journald *journald;

	if (strlen(path) >= sizeof(journald->address.sun_path))
		return sink_fail(sink, -ENAMETOOLONG,
				 "the path of a socket has at most %zu characters, '%s' has %zu",
				 sizeof(journald->address.sun_path) - 1, path, strlen(path));
	journald = calloc(1, sizeof(*journald));
	if (!journald)
		return sink_fail(sink, -ENOMEM, "%s", strerror(ENOMEM));
	journald->fd = -1;
	journald->address.sun_family = AF_UNIX;
	strcpy(journald->address.sun_path, path);
	sink->state = journald;
	return 0;
}

static void journald_close(struct sink *sink)
{
	struct journald *journald = sink->state;

	if (journald->fd >= 0)
		close(journald->fd);
	journald->fd = -1;
}

static void journald_free(struct sink *sink)
{
	free(sink->state);
	sink->state = NULL;
}

static int journald_open(struct sink *sink)
{
	struct journald *journald = sink->state;
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&journald->address,
			      sizeof(journald->address)) < 0) {
		int error = errno;

		return sink_fail(sink, -error, "journald at %s: %s", journald->address.sun_path,
				 strerror(error));
	}
	journald->fd = TAKE_FD(fd);
	journald->taken = journald->settled = 0;
	return 0;
}

/* A file that nobody can change any more, instead of what no datagram has room for. */
static int record_seal(const struct frame *frame)
{
	CLEANUP_FD int fd = memfd_create("portsnoop-record", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < frame->size) {
		ssize_t more = write(fd, frame->bytes + done, frame->size - done);

		if (more < 0 && errno != EINTR)
			return -errno;
		done += more > 0 ? (size_t)more : 0;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int record_hand_over(int socket, const struct frame *frame)
{
	CLEANUP_FD int fd = record_seal(frame);
	union {
		struct cmsghdr header; /* its alignment */
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	if (fd < 0)
		return fd;
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int record_send(int socket, const struct frame *frame)
{
	if (send(socket, frame->bytes, frame->size, MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == EMSGSIZE ? record_hand_over(socket, frame) : -errno;
}

static bool is_full(int error)
{
	return error == -EAGAIN || error == -ENOBUFS || error == -EINTR;
}

static uint64_t journald_settled(struct sink *sink)
{
	struct journald *journald = sink->state;
	int waiting;

	if (journald->settled == journald->taken || ioctl(journald->fd, SIOCOUTQ, &waiting) < 0 ||
	    waiting)
		return journald->settled;
	if (send(journald->fd, "", 0, MSG_NOSIGNAL) >= 0)
		journald->settled = journald->taken;
	else if (!is_full(-errno))
		shutdown(journald->fd, SHUT_RDWR); /* for poll(), and lost() */
	return journald->settled;
}

static unsigned int journald_settles_in_ms(struct sink *sink)
{
	(void)sink;
	return 10;
}

/* Before more is sent than can be told apart. */
static int room_await(struct sink *sink)
{
	struct journald *journald = sink->state;
	int64_t deadline = clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;

	while (journald->taken - journald_settled(sink) >= ON_THEIR_WAY) {
		int error = sink_wait(sink, -1, 0, 1);

		if (error < 0)
			return error;
		if (clock_ns(CLOCK_MONOTONIC) >= deadline)
			return sink_fail(sink, -EAGAIN, "journald takes nothing");
	}
	return 0;
}

/* One record; waits for journald if it must. */
static int record_deliver(struct sink *sink, const struct frame *frame)
{
	struct journald *journald = sink->state;
	int64_t deadline = clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
	int error;

	while (is_full(error = record_send(journald->fd, frame))) {
		int ready = sink_wait(sink, journald->fd, POLLOUT, SINK_PATIENCE_MS);

		if (ready < 0)
			return ready;
		if (clock_ns(CLOCK_MONOTONIC) >= deadline)
			return sink_fail(sink, -EAGAIN, "journald takes nothing");
	}
	return error ? sink_fail(sink, error, "journald at %s: %s", journald->address.sun_path,
				 strerror(-error))
		     : 0;
}

static ssize_t journald_send(struct sink *sink, const struct frame *frames, size_t *count)
{
	struct journald *journald = sink->state;
	int error = room_await(sink);
	size_t done = 0;

	while (!error && done < *count) {
		error = record_deliver(sink, &frames[done]);
		done += !error;
	}
	journald->taken += done;
	return done ? (ssize_t)done : error;
}

static int journald_fd(struct sink *sink)
{
	struct journald *journald = sink->state;

	return journald->fd;
}

static int journald_lost(struct sink *sink, short events)
{
	return events & (POLLHUP | POLLERR) ? sink_fail(sink, -ECONNREFUSED, "journald has ended")
					    : 0;
}

const struct sink_ops sink_journald = {
	.prepare = journald_prepare,
	.open = journald_open,
	.send = journald_send,
	.settled = journald_settled,
	.settles_in_ms = journald_settles_in_ms,
	.fd = journald_fd,
	.lost = journald_lost,
	.close = journald_close,
	.free = journald_free,
};
