/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The functions of libcurl that http.c calls, looked up in the library at run time; and the
 * names that it is not to look up itself, because it would do so in a thread. */
#ifndef PORTSNOOP_SINK_LIBCURL_H
#define PORTSNOOP_SINK_LIBCURL_H

#include <curl/curl.h>
#include <stddef.h>

#define LIBCURL_FUNCTIONS(function)                                                                \
	function(global_init);                                                                     \
	function(easy_init);                                                                       \
	function(easy_cleanup);                                                                    \
	function(easy_setopt);                                                                     \
	function(easy_getinfo);                                                                    \
	function(easy_strerror);                                                                   \
	function(multi_init);                                                                      \
	function(multi_cleanup);                                                                   \
	function(multi_setopt);                                                                    \
	function(multi_add_handle);                                                                \
	function(multi_remove_handle);                                                             \
	function(multi_socket_action);                                                             \
	function(multi_info_read);                                                                 \
	function(multi_strerror);                                                                  \
	function(slist_append);                                                                    \
	function(slist_free_all);                                                                  \
	function(url);                                                                             \
	function(url_set);                                                                         \
	function(url_get);                                                                         \
	function(url_cleanup);                                                                     \
	function(free)

struct libcurl {
#define LIBCURL_DECLARE(name) __typeof__(curl_##name) *name
	LIBCURL_FUNCTIONS(LIBCURL_DECLARE);
#undef LIBCURL_DECLARE
};

/* Loads the library, which then stays, and prepares it. 0, or negative errno with `why`:
 * what is missing and which package has it. */
int libcurl_load(struct libcurl *curl, char *why, size_t size);

/*
 * Looks up the host of a URL, which may take its time. *resolved, if there is something to be
 * told, is what CURLOPT_RESOLVE wants; the caller's. 0, or negative errno with `why`.
 */
int libcurl_resolve(const struct libcurl *curl, const char *url, struct curl_slist **resolved,
		    char *why, size_t size);

#endif
