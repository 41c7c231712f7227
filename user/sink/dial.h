/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connecting, for sinks: at most SINK_PATIENCE_MS for an address, by way of sink_wait().
 * Sockets do not block. They return 0 with the connection begun, or negative errno with
 * sink->why.
 */
#ifndef PORTSNOOP_SINK_DIAL_H
#define PORTSNOOP_SINK_DIAL_H

#include "sink/connection.h"

/* Before the guard: has libc load what it finds names with. That a name is not found now is
 * no failure. The static program takes addresses only, and says so. */
int dial_prepare(struct sink *sink, const char *host);

/* Asks for the addresses of the host, and tries one after the other. */
int dial_host(struct sink *sink, struct connection *connection, const char *host, const char *port,
	      enum connection_kind kind);

/* As the socket there is: a stream, or datagrams; `first` is tried first. */
int dial_path(struct sink *sink, struct connection *connection, const char *path, int first);

#endif
