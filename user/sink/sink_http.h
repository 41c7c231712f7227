/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What sinks that speak HTTP have in common. */
#ifndef PORTSNOOP_SINK_SINK_HTTP_H
#define PORTSNOOP_SINK_SINK_HTTP_H

#include "sink/http.h"
#include "sink/sink.h"

typedef int http_maker(const struct http_options *options, struct http **http, char *why,
		       size_t size); /* http_new(), or who adds something to it */

/* For prepare(): a client as the sink's specification wants it, which waits by sink_wait(). 0, or
 * negative errno with sink->why. */
int sink_http_new(struct sink *sink, http_maker *make, struct http **http);

#endif
