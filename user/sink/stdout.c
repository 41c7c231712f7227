/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "sink/sink.h"

static int stdout_open(struct sink *sink)
{
	return sink_fail(sink, -EOPNOTSUPP, "not there yet");
}

static ssize_t stdout_send(struct sink *sink, const struct frame *frames, size_t *count)
{
	(void)frames;
	(void)count;
	return sink_fail(sink, -EOPNOTSUPP, "not there yet");
}

static void stdout_close(struct sink *sink)
{
	(void)sink;
}

const struct sink_ops sink_stdout = {
	.open = stdout_open,
	.send = stdout_send,
	.close = stdout_close,
};
