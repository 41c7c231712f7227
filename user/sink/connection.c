/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/connection.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/cleanup.h"
#include "lib/clock.h"

#define MARKS_MOST (1u << 16)
#define WAIT_MS 1000
#define NS_PER_MS INT64_C(1000000)

/* Until a frame of a stream counts as arrived: a receiver that keeps up has read it by then,
 * and done with it what it does; or so much has arrived behind it. One by TCP that is slow is
 * given longer. */
#define STREAM_AGE (2000 * NS_PER_MS)
#define STREAM_AGE_SLOW (30000 * NS_PER_MS)
#define STREAM_BEHIND (256u << 10)
/* What a receiver that has let us wait may have in its buffer; the channel has room for more. */
#define TCP_UNREAD (6u << 20)
/* Of UDP: a refusal would be back. */
#define UDP_AGE (250 * NS_PER_MS)
#define UDP_BEHIND (1u << 20)

#define SETTLES_USUAL_MS 100
#define SETTLES_MOST_MS 2000

struct connection_mark {
	uint64_t end; /* connection.sent when all of the frame was */
	int64_t time; /* CLOCK_MONOTONIC */
};

/* ---- which frames are where ---- */

static struct connection_mark *mark_at(const struct connection *connection, size_t index)
{
	return &connection->marks[(connection->first + index) & (connection->room - 1)];
}

/* False without memory. `room` is a power of two. */
static bool marks_reserve(struct connection *connection, size_t more)
{
	size_t room = connection->room ? connection->room : 256;
	struct connection_mark *marks;

	while (room < connection->count + more)
		room *= 2;
	if (room == connection->room)
		return true;
	marks = calloc(room, sizeof(*marks));
	if (!marks)
		return false;
	for (size_t i = 0; i < connection->count; i++)
		marks[i] = *mark_at(connection, i);
	free(connection->marks);
	connection->marks = marks;
	connection->room = room;
	connection->first = 0;
	return true;
}

static void mark_add(struct connection *connection, uint64_t end, int64_t now)
{
	*mark_at(connection, connection->count++) =
		(struct connection_mark){.end = end, .time = now};
}

static void mark_settle(struct connection *connection)
{
	connection->first = (connection->first + 1) & (connection->room - 1);
	connection->count--;
	connection->settled++;
}

/* ---- sending ---- */

int connection_begin(struct connection *connection, int fd, enum connection_kind kind,
		     bool datagrams)
{
	int queued, error;

	/* Without that no frame would ever have arrived. */
	if (ioctl(fd, SIOCOUTQ, &queued)) {
		error = -errno;
		close(fd);
		return error;
	}
	connection->fd = fd;
	connection->kind = kind;
	connection->datagrams = datagrams;
	connection->broken = false;
	connection->path = NULL;
	connection->too_long = NULL;
	connection->sent = connection->settled = 0;
	connection->done = connection->first = connection->count = 0;
	connection->window_most = 0;
	buffer_reset(&connection->rest);
	return 0;
}

void connection_end(struct connection *connection)
{
	if (connection->fd >= 0)
		close(connection->fd);
	connection->fd = -1;
}

void connection_free(struct connection *connection)
{
	connection_end(connection);
	buffer_free(&connection->rest);
	free(connection->marks);
	*connection = CONNECTION_NONE;
}

/* What is left of a message. 0, or negative errno. */
static int rest_send(struct connection *connection)
{
	while (connection->done < connection->rest.length) {
		ssize_t sent = send(connection->fd, connection->rest.data + connection->done,
				    connection->rest.length - connection->done,
				    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0)
			return -errno;
		connection->done += (size_t)sent;
		connection->sent += (uint64_t)sent;
	}
	buffer_reset(&connection->rest);
	connection->done = 0;
	return 0;
}

int connection_head(struct connection *connection, const void *bytes, size_t length)
{
	int error;

	buffer_append(&connection->rest, bytes, length);
	if (connection->rest.failed)
		return -ENOMEM;
	error = rest_send(connection);
	return error == -EAGAIN ? 0 : error;
}

/* How many messages are taken, or negative errno. */
static ssize_t stream_send(struct connection *connection, struct iovec *messages, size_t count)
{
	struct msghdr message = {.msg_iov = messages,
				 .msg_iovlen = count < IOV_MAX ? count : IOV_MAX};
	ssize_t sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	int64_t now = clock_ns(CLOCK_MONOTONIC);
	uint64_t end = connection->sent;
	size_t taken = 0, left;

	if (sent < 0)
		return -errno;
	left = (size_t)sent;
	connection->sent += left;
	for (; taken < message.msg_iovlen && messages[taken].iov_len <= left; taken++) {
		left -= messages[taken].iov_len;
		end += messages[taken].iov_len;
		mark_add(connection, end, now);
	}
	if (!left)
		return (ssize_t)taken;
	/* The bytes are the queue's, and may be gone when there is room for them. */
	buffer_append(&connection->rest, (const char *)messages[taken].iov_base + left,
		      messages[taken].iov_len - left);
	if (connection->rest.failed)
		return -ENOMEM;
	mark_add(connection, end + messages[taken].iov_len, now);
	return (ssize_t)taken + 1;
}

static int datagram_send(const struct connection *connection, const struct iovec *message)
{
	if (send(connection->fd, message->iov_base, message->iov_len,
		 MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 0;
	if (errno == EMSGSIZE && connection->too_long)
		return connection->too_long(connection->fd, message);
	return -errno;
}

/* Of UDP it says what became of those before it, and says so once. */
static bool is_refusal(const struct connection *connection, int error)
{
	return connection->kind == CONNECTION_UDP && error != -EAGAIN && error != -ENOBUFS &&
	       error != -EMSGSIZE;
}

static ssize_t datagrams_send(struct connection *connection, const struct iovec *messages,
			      size_t count)
{
	int64_t now = clock_ns(CLOCK_MONOTONIC);

	for (size_t i = 0; i < count; i++) {
		int error = datagram_send(connection, &messages[i]);

		if (error)
			return i && !is_refusal(connection, error) ? (ssize_t)i : error;
		connection->sent += messages[i].iov_len;
		mark_add(connection, connection->sent, now);
	}
	return (ssize_t)count;
}

static ssize_t messages_send(struct connection *connection, struct iovec *messages, size_t count)
{
	int error;

	if (connection->datagrams)
		return datagrams_send(connection, messages, count);
	error = rest_send(connection);
	return error ? error : stream_send(connection, messages, count);
}

static ssize_t send_failed(struct sink *sink, struct connection *connection, int error,
			   size_t *count)
{
	if (error == -EMSGSIZE) {
		*count = 1;
		return sink_fail(sink, -EBADMSG, "too long for one datagram");
	}
	if (error == -EINTR)
		return error;
	/* EPIPE takes away nothing of what the socket can tell; others do. */
	connection->broken |= error != -EPIPE || connection->kind != CONNECTION_UNIX;
	return sink_fail(sink, error, "%s",
			 error == -EPIPE ? "the other end has closed the connection"
					 : strerror(-error));
}

ssize_t connection_send(struct sink *sink, struct iovec *messages, size_t *count)
{
	struct connection *connection = sink->state;
	size_t room = MARKS_MOST - connection->count, most = *count < room ? *count : room;
	ssize_t taken;
	int woken;

	if (!most)
		return sink_fail(sink, -EAGAIN, "what was sent is not known to have arrived");
	if (!marks_reserve(connection, most))
		return sink_fail(sink, -ENOMEM, "out of memory");
	taken = messages_send(connection, messages, most);
	if (taken == -EAGAIN || taken == -ENOBUFS) {
		woken = sink_wait(sink, connection->fd, POLLOUT, WAIT_MS);
		if (woken < 0)
			return woken;
		taken = messages_send(connection, messages, most);
		if (taken == -EAGAIN || taken == -ENOBUFS)
			return sink_fail(sink, -EAGAIN, "the other end does not read");
	}
	return taken < 0 ? send_failed(sink, connection, (int)taken, count) : taken;
}

/* ---- what has arrived ---- */

/* A datagram socket does not tell that its receiver is gone, and what was not read with it.
 * Connecting once more does nothing but look. Numbers of inodes are used again. */
static bool receiver_same(const struct connection *connection)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;

	strncpy(address.sun_path, connection->path, sizeof(address.sun_path) - 1);
	return !stat(connection->path, &status) && status.st_dev == connection->receiver.st_dev &&
	       status.st_ino == connection->receiver.st_ino &&
	       status.st_ctim.tv_sec == connection->receiver.st_ctim.tv_sec &&
	       status.st_ctim.tv_nsec == connection->receiver.st_ctim.tv_nsec &&
	       !connect(connection->fd, (struct sockaddr *)&address, sizeof(address));
}

/* To be asked after the queue was: it is emptied when the other end goes away, too. */
static bool connection_stands(struct connection *connection)
{
	struct pollfd look = {.fd = connection->fd, .events = POLLRDHUP};

	if (connection->broken || poll(&look, 1, 0) < 0)
		return false;
	if (connection->kind == CONNECTION_TCP)
		return !(look.revents & (POLLERR | POLLHUP | POLLRDHUP));
	if (connection->path && !receiver_same(connection)) {
		connection->broken = true;
		/* So that it is seen by who polls it. */
		shutdown(connection->fd, SHUT_RDWR);
		return false;
	}
	/* A unix stream that is hung up without an error has been read to its end. */
	return !(look.revents & POLLERR);
}

struct arrival {
	uint64_t end;  /* settled up to here if old enough */
	uint64_t sure; /* and up to here at once */
	int64_t before;
};

static uint64_t behind(uint64_t end, uint64_t much)
{
	return end > much ? end - much : 0;
}

/* How much of what it has acknowledged a receiver may not have read: it promises room, and
 * what lies in its buffer takes that away. */
static void tcp_judge(struct connection *connection, struct arrival *arrival, int64_t now)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);
	uint64_t unread;

	if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &size) ||
	    size < offsetof(struct tcp_info, tcpi_snd_wnd) + sizeof(info.tcpi_snd_wnd)) {
		arrival->sure = 0;
		return;
	}
	if (info.tcpi_snd_wnd > connection->window_most)
		connection->window_most = info.tcpi_snd_wnd;
	unread = 2 * (uint64_t)(connection->window_most - info.tcpi_snd_wnd);
	/* Room that is promised anew and filled at once, while its buffer grows, is never seen. */
	if (info.tcpi_rwnd_limited && unread < TCP_UNREAD)
		unread = TCP_UNREAD;
	if (unread > STREAM_BEHIND)
		arrival->sure = behind(arrival->end, unread);
	if (!info.tcpi_snd_wnd)
		arrival->end = arrival->sure;
	else if (info.tcpi_snd_wnd < connection->window_most / 4)
		arrival->before = now - STREAM_AGE_SLOW;
}

static void arrival_judge(struct connection *connection, struct arrival *arrival, int64_t now)
{
	if (connection->kind == CONNECTION_UDP) {
		arrival->before = now - UDP_AGE;
		arrival->sure = behind(arrival->end, UDP_BEHIND);
	} else if (connection->datagrams) {
		/* Who reads it has it in hand. */
		arrival->before = now;
		arrival->sure = arrival->end;
	} else {
		arrival->before = now - STREAM_AGE;
		arrival->sure = behind(arrival->end, STREAM_BEHIND);
	}
	if (connection->kind == CONNECTION_TCP)
		tcp_judge(connection, arrival, now);
}

static void settle(struct connection *connection)
{
	struct arrival arrival;
	int queued;

	if (ioctl(connection->fd, SIOCOUTQ, &queued) || !connection_stands(connection))
		return;
	/* A unix socket counts what its buffers take: never less than what they hold. */
	arrival.end = connection->sent > (uint64_t)queued ? connection->sent - (uint64_t)queued : 0;
	arrival_judge(connection, &arrival, clock_ns(CLOCK_MONOTONIC));
	while (connection->count) {
		const struct connection_mark *mark = mark_at(connection, 0);

		if (mark->end > arrival.end ||
		    (mark->end > arrival.sure && mark->time > arrival.before))
			break;
		mark_settle(connection);
	}
}

uint64_t sink_connection_settled(struct sink *sink)
{
	struct connection *connection = sink->state;
	int error;

	if (connection->fd < 0 || !connection->count)
		return connection->settled;
	error = rest_send(connection);
	if (error && error != -EAGAIN && error != -EPIPE)
		connection->broken = true;
	settle(connection);
	return connection->settled;
}

unsigned int sink_connection_settles_in_ms(struct sink *sink)
{
	const struct connection *connection = sink->state;
	const struct connection_mark *first, *last;
	int64_t age = connection->kind == CONNECTION_UDP ? UDP_AGE : STREAM_AGE, left;

	if (!connection->count || (connection->datagrams && connection->kind != CONNECTION_UDP))
		return SETTLES_USUAL_MS;
	first = mark_at(connection, 0);
	last = mark_at(connection, connection->count - 1);
	left = (first->time + age - clock_ns(CLOCK_MONOTONIC)) / NS_PER_MS + 1;
	if (last->end - first->end > STREAM_BEHIND || left < SETTLES_USUAL_MS)
		return SETTLES_USUAL_MS;
	return left < SETTLES_MOST_MS ? (unsigned int)left : SETTLES_MOST_MS;
}

/* ---- the other end ---- */

int sink_connection_fd(struct sink *sink)
{
	return ((struct connection *)sink->state)->fd;
}

/* What it says is of no interest. */
int sink_connection_lost(struct sink *sink, short events)
{
	struct connection *connection = sink->state;
	char scratch[4096];
	ssize_t got = -1;

	if (connection->path && connection->broken)
		return sink_fail(sink, -ECONNRESET, "its receiver has gone");
	/* It may say more than we care to hear now. */
	for (unsigned int i = 0; i < 64; i++) {
		got = recv(connection->fd, scratch, sizeof(scratch), MSG_DONTWAIT);
		if (got < 0 || (!got && !connection->datagrams))
			break;
	}
	if (got > 0 || (!got && connection->datagrams) ||
	    (got < 0 && errno == EAGAIN && !(events & (POLLERR | POLLHUP))))
		return 0;
	if (!got || errno == EAGAIN)
		return sink_fail(sink, -EPIPE, "the other end has closed the connection");
	connection->broken = true;
	return sink_fail(sink, -errno, "%s", strerror(errno));
}

void sink_connection_close(struct sink *sink)
{
	connection_end(sink->state);
}
