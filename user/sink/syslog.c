/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Messages as RFC 5424 wants them; their head is a part of the frame (syslog_head.h). By TCP
 * each begins with its length (RFC 6587, octet counting), a datagram holds one, and a unix
 * stream has one a line: what reads local sockets knows no lengths.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "model/text.h"
#include "sink/dial.h"

#define USUAL_PATH "/dev/log"

struct syslog {
	struct connection connection; /* first: connection.h */
	char *text;		      /* messages with their lengths */
	size_t room;
};

static bool is_counted(const struct sink *sink)
{
	return sink->spec->scheme == SCHEME_TCP;
}

static int syslog_prepare(struct sink *sink)
{
	struct syslog *syslog = calloc(1, sizeof(*syslog));

	if (!syslog)
		return sink_fail(sink, -ENOMEM, "out of memory");
	syslog->connection = CONNECTION_NONE;
	sink->state = syslog;
	return sink->spec->scheme == SCHEME_UNIX ? 0 : dial_prepare(sink, sink->spec->host);
}

static int syslog_open(struct sink *sink)
{
	const struct sink_spec *spec = sink->spec;

	if (spec->scheme == SCHEME_UNIX)
		return dial_path(sink, sink->state, spec->path ? spec->path : USUAL_PATH,
				 SOCK_DGRAM);
	return dial_host(sink, sink->state, spec->host, spec->port,
			 is_counted(sink) ? CONNECTION_TCP : CONNECTION_UDP);
}

static size_t message_length(const struct frame *frame)
{
	return frame->size && frame->bytes[frame->size - 1] == '\n' ? frame->size - 1 : frame->size;
}

/* False without memory. */
static bool text_reserve(struct syslog *syslog, const struct frame *frames, size_t count)
{
	size_t room = 0;
	char *text;

	for (size_t i = 0; i < count; i++)
		room += TEXT_UNSIGNED + 1 + frames[i].size;
	if (room <= syslog->room)
		return true;
	text = realloc(syslog->text, room);
	if (!text)
		return false;
	syslog->text = text;
	syslog->room = room;
	return true;
}

static void counted_make(struct syslog *syslog, const struct frame *frames, size_t count,
			 struct iovec *messages)
{
	char *to = syslog->text;

	for (size_t i = 0; i < count; i++) {
		size_t length = message_length(&frames[i]);

		messages[i].iov_base = to;
		to = text_unsigned(to, length);
		*to++ = ' ';
		memcpy(to, frames[i].bytes, length);
		to += length;
		messages[i].iov_len = (size_t)(to - (char *)messages[i].iov_base);
	}
}

static ssize_t syslog_send(struct sink *sink, const struct frame *frames, size_t *count)
{
	struct syslog *syslog = sink->state;
	struct iovec messages[SINK_BATCH];

	if (*count > SINK_BATCH)
		*count = SINK_BATCH;
	if (is_counted(sink)) {
		if (!text_reserve(syslog, frames, *count))
			return sink_fail(sink, -ENOMEM, "out of memory");
		counted_make(syslog, frames, *count, messages);
		return connection_send(sink, messages, count);
	}
	for (size_t i = 0; i < *count; i++) {
		messages[i].iov_base = (char *)(uintptr_t)frames[i].bytes;
		messages[i].iov_len = syslog->connection.datagrams ? message_length(&frames[i])
								   : frames[i].size;
	}
	return connection_send(sink, messages, count);
}

static void syslog_free(struct sink *sink)
{
	struct syslog *syslog = sink->state;

	if (!syslog)
		return;
	connection_free(&syslog->connection);
	free(syslog->text);
	free(syslog);
	sink->state = NULL;
}

const struct sink_ops sink_syslog = {
	.prepare = syslog_prepare,
	.open = syslog_open,
	.send = syslog_send,
	.settled = sink_connection_settled,
	.settles_in_ms = sink_connection_settles_in_ms,
	.fd = sink_connection_fd,
	.lost = sink_connection_lost,
	.close = sink_connection_close,
	.free = syslog_free,
};
