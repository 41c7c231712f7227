/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A stream of lines to a socket of this machine; a record a datagram if that is what it is. */
#include <sys/socket.h>

#include "sink/dial.h"
#include "sink/line_stream.h"

static int unix_open(struct sink *sink)
{
	int error = dial_path(sink, sink->state, sink->spec->path, SOCK_STREAM);

	return error ? error : line_stream_begin(sink);
}

const struct sink_ops sink_unix = {
	.prepare = line_stream_prepare,
	.open = unix_open,
	.send = line_stream_send,
	.settled = sink_connection_settled,
	.settles_in_ms = sink_connection_settles_in_ms,
	.fd = sink_connection_fd,
	.lost = sink_connection_lost,
	.close = sink_connection_close,
	.free = line_stream_free,
};
