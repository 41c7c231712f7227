/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "sink/sink.h"

static int tcp_open(struct sink *sink)
{
	return sink_fail(sink, -EOPNOTSUPP, "not there yet");
}

static ssize_t tcp_send(struct sink *sink, const struct frame *frames, size_t *count)
{
	(void)frames;
	(void)count;
	return sink_fail(sink, -EOPNOTSUPP, "not there yet");
}

static void tcp_close(struct sink *sink)
{
	(void)sink;
}

const struct sink_ops sink_tcp = {
	.open = tcp_open,
	.send = tcp_send,
	.close = tcp_close,
};
