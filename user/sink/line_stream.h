/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Frames as they are, by a connection: a heading first where they make a stream, and then a
 * line each. For sinks whose state is nothing but a connection. */
#ifndef PORTSNOOP_SINK_LINE_STREAM_H
#define PORTSNOOP_SINK_LINE_STREAM_H

#include "sink/connection.h"

int line_stream_prepare(struct sink *sink); /* operations of the sink, as below */
/* The connection has begun. 0, or negative errno and it has ended. */
int line_stream_begin(struct sink *sink);
ssize_t line_stream_send(struct sink *sink, const struct frame *frames, size_t *count);
void line_stream_free(struct sink *sink);

#endif
