/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/sink_http.h"

#include <errno.h>
#include <poll.h>

#include "lib/cleanup.h"
#include "sink/header_file.h"

static int wait_for_answer(void *context, int fd, int timeout_ms)
{
	int seen = sink_wait(context, fd, POLLIN, timeout_ms);

	return seen < 0 ? seen : 0;
}

int sink_http_new(struct sink *sink, http_maker *make, struct http **http)
{
	const struct sink_spec *spec = sink->spec;
	CLEANUP(cleanup_headers) char **headers = NULL;
	struct http_options options = {
		.url = spec->url,
		.user = spec->user,
		.password = spec->password,
		.ca = spec->ca,
		.patience_ms = SINK_PATIENCE_MS,
		.wait = wait_for_answer,
		.context = sink,
	};
	char why[CHANNEL_WHY];
	int error = 0;

	if (spec->headers)
		error = header_file_read(spec->headers, &headers, sink->why, sizeof(sink->why));
	if (error)
		return error;
	options.headers = (const char *const *)headers;
	error = make(&options, http, why, sizeof(why));
	if (error == -EINVAL && spec->headers)
		return sink_fail(sink, error, "header-file=%s: %s", spec->headers, why);
	return error ? sink_fail(sink, error, "%s", why) : 0;
}
