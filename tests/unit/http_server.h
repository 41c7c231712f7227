/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An HTTP server on the loopback that does as it is told, well-behaved or not. */
#ifndef PORTSNOOP_TESTS_HTTP_SERVER_H
#define PORTSNOOP_TESTS_HTTP_SERVER_H

#include <stdbool.h>

#include "lib/buffer.h"

/* What it does with one request. */
struct http_scene {
	const char *answer; /* all bytes of it; NULL: none */
	const char *tail;
	bool hold;    /* then says no more until the client has gone */
	bool endless; /* then repeats `tail` until the client has gone */
	bool hang_up; /* then hangs up */
};

#define HTTP_REQUESTS_MOST 16

/* What it was sent. */
struct http_request {
	struct buffer head;	 /* with the empty line, NUL-terminated */
	struct buffer body;	 /* as it was sent */
	unsigned int connection; /* from 1 on */
};

struct http_server;

/* One scene a request, in order; the last one is repeated. */
struct http_server *http_server_start(const struct http_scene *scenes, size_t count);
const char *http_server_url(struct http_server *server); /* http://127.0.0.1:PORT/ */
/* Has seen so many requests, and returns them: after their answers only. */
unsigned int http_server_requests(struct http_server *server, const struct http_request **requests);
void http_server_stop(struct http_server *server);

/* The body as it was before it was compressed; appended. */
void http_request_body(const struct http_request *request, struct buffer *out);

#define HTTP_OK(body_length, body) "HTTP/1.1 200 OK\r\nContent-Length: " body_length "\r\n\r\n" body

#endif
