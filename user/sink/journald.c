/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* journald's native protocol: a datagram a record, https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "sink/dial.h"
#include "sink/line_stream.h"

#define USUAL_PATH "/run/systemd/journal/socket"

/* A file that nobody can change any more, instead of what no datagram has room for. */
static int record_seal(const struct iovec *record)
{
	CLEANUP_FD int fd = memfd_create("portsnoop-record", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < record->iov_len) {
		ssize_t more =
			write(fd, (const char *)record->iov_base + done, record->iov_len - done);

		if (more < 0 && errno != EINTR)
			return -errno;
		done += more > 0 ? (size_t)more : 0;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int record_hand_over(int socket, const struct iovec *record)
{
	CLEANUP_FD int fd = record_seal(record);
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
	return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int journald_open(struct sink *sink)
{
	struct connection *connection = sink->state;
	const char *path = sink->spec->path ? sink->spec->path : USUAL_PATH;
	int error = dial_path(sink, connection, path, SOCK_DGRAM);

	if (error)
		return error;
	if (!connection->datagrams) {
		connection_end(connection);
		return sink_fail(sink, -EPROTOTYPE, "a stream socket, which is not journald's");
	}
	connection->too_long = record_hand_over;
	return 0;
}

const struct sink_ops sink_journald = {
	.prepare = line_stream_prepare,
	.open = journald_open,
	.send = line_stream_send,
	.settled = sink_connection_settled,
	.settles_in_ms = sink_connection_settles_in_ms,
	.fd = sink_connection_fd,
	.lost = sink_connection_lost,
	.close = sink_connection_close,
	.free = line_stream_free,
};
