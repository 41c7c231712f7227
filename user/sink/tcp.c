/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A stream of lines by TCP. */
#include "sink/dial.h"
#include "sink/line_stream.h"

static int tcp_prepare(struct sink *sink)
{
	int error = line_stream_prepare(sink);

	return error ? error : dial_prepare(sink, sink->spec->host);
}

static int tcp_open(struct sink *sink)
{
	int error =
		dial_host(sink, sink->state, sink->spec->host, sink->spec->port, CONNECTION_TCP);

	return error ? error : line_stream_begin(sink);
}

const struct sink_ops sink_tcp = {
	.prepare = tcp_prepare,
	.open = tcp_open,
	.send = line_stream_send,
	.settled = sink_connection_settled,
	.settles_in_ms = sink_connection_settles_in_ms,
	.fd = sink_connection_fd,
	.lost = sink_connection_lost,
	.close = sink_connection_close,
	.free = line_stream_free,
};
