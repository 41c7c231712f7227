/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * HTTP by libcurl, which is loaded when the first client is made: a program that sends
 * nothing has nothing of it. Not in the static program.
 */
#ifndef PORTSNOOP_SINK_HTTP_H
#define PORTSNOOP_SINK_HTTP_H

#include "lib/buffer.h"

struct http;

/* Polls `fd` for `events`, at most for `timeout_ms`, while something else may be done: 0 goes
 * on, negative errno ends the request. NULL: plain poll(). */
typedef int http_wait(void *context, const int *fds, const short *events, size_t count,
		      int timeout_ms);

struct http_options {
	const char *user, *password; /* NULL: none */
	const char *ca;		     /* a file; NULL: the system's */
	const char *const *headers;  /* "Name: value", ended by NULL; NULL: none */
	unsigned int patience_ms;    /* for a request in all */
	http_wait *wait;
	void *context;
};

/* False: the static program, or libcurl is not there: `why` says which package has it. */
bool http_built(char *why, size_t size);

/* 0, or negative errno with `why`. */
int http_new(const struct http_options *options, struct http **http, char *why, size_t size);
void http_free(struct http *http);

struct http_answer {
	unsigned int status;	  /* 200, 404, ... */
	unsigned int retry_after; /* s; 0: it did not say */
	struct buffer body;	  /* at most HTTP_ANSWER_MOST bytes, or as it was streamed */
};
#define HTTP_ANSWER_MOST (64u << 10)

/* POSTs; 0 and the answer, or negative errno with `why`: nobody answered, TLS failed.
 * Redirections are not followed. The connection is kept for the next time. */
int http_post(struct http *http, const char *url, const char *content_type, const void *body,
	      size_t size, struct http_answer *answer, char *why, size_t why_size);

/* The same for an answer of any length: handed over as it comes. A negative return of `take`
 * ends it, and is returned. The answer's body stays empty if the status is 200. */
typedef int http_take(void *context, const char *bytes, size_t size);
int http_post_stream(struct http *http, const char *url, const char *content_type, const void *body,
		     size_t size, http_take *take, void *context, struct http_answer *answer,
		     char *why, size_t why_size);

void http_answer_free(struct http_answer *answer);

#endif
