/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "sink/sink.h"

static int syslog_open(struct sink *sink)
{
	return sink_fail(sink, -EOPNOTSUPP, "not there yet");
}

static ssize_t syslog_send(struct sink *sink, const struct frame *frames, size_t *count)
{
	(void)frames;
	(void)count;
	return sink_fail(sink, -EOPNOTSUPP, "not there yet");
}

static void syslog_close(struct sink *sink)
{
	(void)sink;
}

const struct sink_ops sink_syslog = {
	.open = syslog_open,
	.send = syslog_send,
	.close = syslog_close,
};
