/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifdef PORTSNOOP_STATIC
#include <errno.h>
#include <stdio.h>

#include "sink/http.h"

/* No dlopen() there, and libcurl has no static library with TLS in it that could be shipped. */

static int http_missing(char *why, size_t size)
{
	snprintf(why, size,
		 "this program was built without HTTP: the one that is not static "
		 "has it");
	return -EOPNOTSUPP;
}

bool http_built(char *why, size_t size)
{
	http_missing(why, size);
	return false;
}

int http_new(const struct http_options *options, struct http **http, char *why, size_t size)
{
	(void)options;
	(void)http;
	return http_missing(why, size);
}

void http_free(struct http *http)
{
	(void)http;
}

int http_post(struct http *http, const char *url, const char *content_type, const void *body,
	      size_t size, struct http_answer *answer, char *why, size_t why_size)
{
	return http_post_stream(http, url, content_type, body, size, NULL, NULL, answer, why,
				why_size);
}

int http_post_stream(struct http *http, const char *url, const char *content_type, const void *body,
		     size_t size, http_take *take, void *context, struct http_answer *answer,
		     char *why, size_t why_size)
{
	(void)http;
	(void)url;
	(void)content_type;
	(void)body;
	(void)size;
	(void)take;
	(void)context;
	*answer = (struct http_answer){0};
	return http_missing(why, why_size);
}

void http_answer_free(struct http_answer *answer)
{
	*answer = (struct http_answer){0};
}
#endif
