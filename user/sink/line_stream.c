/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/line_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "sink/heading.h"

int line_stream_prepare(struct sink *sink)
{
	struct connection *connection = malloc(sizeof(*connection));

	if (!connection)
		return sink_fail(sink, -ENOMEM, "out of memory");
	*connection = CONNECTION_NONE;
	sink->state = connection;
	return 0;
}

int line_stream_begin(struct sink *sink)
{
	CLEANUP(buffer_free) struct buffer heading = BUFFER_EMPTY;
	struct connection *connection = sink->state;
	int error = 0;

	if (connection->datagrams)
		return 0;
	heading_make(sink, &heading);
	if (heading.failed)
		error = -ENOMEM;
	else if (heading.length)
		error = connection_head(connection, heading.data, heading.length);
	if (!error)
		return 0;
	connection_end(connection);
	return sink_fail(sink, error, "%s", strerror(-error));
}

ssize_t line_stream_send(struct sink *sink, const struct frame *frames, size_t *count)
{
	struct iovec messages[SINK_BATCH];

	if (*count > SINK_BATCH)
		*count = SINK_BATCH;
	for (size_t i = 0; i < *count; i++) {
		messages[i].iov_base = (char *)(uintptr_t)frames[i].bytes;
		messages[i].iov_len = frames[i].size;
	}
	return connection_send(sink, messages, count);
}

void line_stream_free(struct sink *sink)
{
	struct connection *connection = sink->state;

	if (connection)
		connection_free(connection);
	free(connection);
	sink->state = NULL;
}
