/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * HTTP by libcurl, which is loaded when the first client is made: a program that sends
 * nothing has nothing of it. Not in the static program.
 *
 * HTTP/1.1 over plain TCP or TLS, from this machine to the URL: redirections, proxies
 * (http_proxy and the like), ~/.netrc and cookies have no say. The certificate and the name
 * of the server are always checked. Bodies above HTTP_GZIP_FROM bytes go compressed.
 *
 * A client is for one server. No thread is made. Names are resolved by getaddrinfo() before
 * a connection is made, and that waits.
 */
#ifndef PORTSNOOP_SINK_HTTP_H
#define PORTSNOOP_SINK_HTTP_H

#include "lib/buffer.h"

#define HTTP_GZIP_FROM 1024
#define HTTP_ANSWER_MOST (64u << 10)

struct http;

/* Waits until `fd` is readable, at most for `timeout_ms` (-1: for ever), while something else
 * may be done: 0 goes on, negative errno ends the request. NULL: plain poll(). */
typedef int http_wait(void *context, int fd, int timeout_ms);

struct http_options {
	const char *url;	     /* where it will go: the name is looked up now, for what
				      * that loads; that it fails is no error. May be NULL */
	const char *user, *password; /* NULL: none */
	const char *ca;		     /* a file, whose certificates alone are trusted then; NULL: the
				      * system's. It is read at each connection */
	const char *const *headers;  /* "Name: value", ended by NULL; NULL: none */
	unsigned int patience_ms;    /* for a request in all */
	http_wait *wait;
	void *context;
};

/* False: the static program, or libcurl is not there: `why` says which package has it. Loads
 * libcurl, as http_new() does. */
bool http_built(char *why, size_t size);

/* All that needs files of the system's (libraries, names services) is loaded here. 0, or
 * negative errno with `why`, which has no value of a header in it. What the options point at
 * is copied. */
int http_new(const struct http_options *options, struct http **http, char *why, size_t size);
void http_free(struct http *http); /* NULL does nothing */

struct http_answer {
	unsigned int status;	  /* 200, 404, ... */
	unsigned int retry_after; /* s; 0: it did not say */
	struct buffer body;	  /* the first HTTP_ANSWER_MOST bytes, or as it was streamed */
	bool cut;		  /* there was more, which nobody has read */
};

/* POSTs; 0 and the answer, or negative errno with `why`: nobody answered, TLS failed; never
 * -EAGAIN nor -EBADMSG. The connection is kept for the next time. The answer, all zero before
 * its first use, is overwritten; http_answer_free() in any case. */
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
