/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Serves metrics over HTTP: /metrics, and a page at / that says so. GET and HEAD only.
 *
 * It never waits for anybody and lives in the owner's loop, as service/server.h does: call
 * metrics_server_handle() whenever metrics_server_fd() is readable, and when
 * metrics_server_timeout() is over. Once it is open it needs no privilege and makes no
 * socket; what the kernel hands it are the connections that it accepts.
 *
 * A connection gets one answer and has METRICS_PATIENCE_MS for it in all. When there are too
 * many, the oldest goes: who holds connections open keeps nobody else out.
 */
#ifndef PORTSNOOP_METRICS_SERVER_H
#define PORTSNOOP_METRICS_SERVER_H

#include "lib/buffer.h"
#include "lib/parse.h"

#define METRICS_PATIENCE_MS 10000
#define METRICS_CONNECTIONS 64
#define METRICS_CONNECTIONS_OF_ADDRESS 16 /* unless it is of this machine */
#define METRICS_REQUEST 16384 /* bytes that a request, and its answer's head, may have */

struct metrics_source {
	/* Appends the page. Told to `out` by buffer.failed: without memory. */
	void (*page)(void *context, bool classic, struct buffer *out);
	void *context;
	unsigned int patience_ms; /* 0: METRICS_PATIENCE_MS */
};

struct metrics_server;

/* Not so in the static program: metrics_server_open() fails there, -EOPNOTSUPP. */
bool metrics_server_built(void);

/* 0, or negative errno with `why` for people: what is wrong and what to do. */
int metrics_server_open(const struct endpoint *endpoint, const struct metrics_source *source,
			struct metrics_server **server, char *why, size_t size);
void metrics_server_close(struct metrics_server *server); /* NULL does nothing */

/* "http://127.0.0.1:9845/metrics", with the port that it got. */
const char *metrics_server_url(const struct metrics_server *server);

int metrics_server_fd(const struct metrics_server *server);
int metrics_server_timeout(const struct metrics_server *server); /* ms; -1: for ever */

/* 0, or negative errno: it cannot go on, and is to be closed. */
int metrics_server_handle(struct metrics_server *server);

/* How many connections there are now. */
unsigned int metrics_server_connections(const struct metrics_server *server);

#endif
