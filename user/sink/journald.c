/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "sink/sink.h"

static int journald_open(struct sink *sink)
{
	return sink_fail(sink, -EOPNOTSUPP, "not there yet");
}

static ssize_t journald_send(struct sink *sink, const struct frame *frames, size_t *count)
{
	(void)frames;
	(void)count;
	return sink_fail(sink, -EOPNOTSUPP, "not there yet");
}

static void journald_close(struct sink *sink)
{
	(void)sink;
}

const struct sink_ops sink_journald = {
	.open = journald_open,
	.send = journald_send,
	.close = journald_close,
};
