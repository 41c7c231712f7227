/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/courier.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

int sink_fail(struct sink *sink, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sink->why, sizeof(sink->why), format, arguments);
	va_end(arguments);
	return error;
}

int sink_wait(struct sink *sink, int fd, short events, int timeout_ms)
{
	struct pollfd one = {.fd = fd, .events = events};

	(void)sink;
	return poll(&one, 1, timeout_ms) < 0 ? -errno : one.revents;
}
