/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef PORTSNOOP_STATIC
#include "sink/libcurl.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/buffer.h"
#include "lib/cleanup.h"

#define ADDRESSES_MOST 16 /* of one name */

/* Both speak the same; Debian's first one needs the TLS that libmicrohttpd has brought. */
static const char *const libraries[] = {"libcurl-gnutls.so.4", "libcurl.so.4"};

static void *library_open(void)
{
	void *library = NULL;

	/* Unloading what has TLS in it is asking for trouble. */
	for (size_t i = 0; !library && i < sizeof(libraries) / sizeof(libraries[0]); i++)
		library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	return library;
}

int libcurl_load(struct libcurl *curl, char *why, size_t size)
{
	void *library = library_open();
	const char *missing = NULL;

	if (!library) {
		snprintf(why, size,
			 "needs libcurl: install libcurl3-gnutls or libcurl4 (Debian, Ubuntu), "
			 "libcurl (elsewhere)");
		return -ENOENT;
	}
#define LIBCURL_FIND(name)                                                                         \
	do {                                                                                       \
		*(void **)&curl->name = dlsym(library, "curl_" #name);                             \
		if (!curl->name)                                                                   \
			missing = "curl_" #name "()";                                              \
	} while (0)
	LIBCURL_FUNCTIONS(LIBCURL_FIND);
#undef LIBCURL_FIND
	if (missing) {
		snprintf(why, size, "libcurl is too old here: it has no %s", missing);
		return -ENOSYS;
	}
	if (curl->global_init(CURL_GLOBAL_DEFAULT)) {
		snprintf(why, size, "libcurl does not start");
		return -EIO;
	}
	return 0;
}

struct place {
	char *host, *port; /* libcurl's */
};

static int place_of(const struct libcurl *curl, const char *url, struct place *place, char *why,
		    size_t size)
{
	CURLU *parts = curl->url();
	int error = 0;

	*place = (struct place){0};
	if (!parts) {
		snprintf(why, size, "no memory");
		return -ENOMEM;
	}
	if (curl->url_set(parts, CURLUPART_URL, url, 0) ||
	    curl->url_get(parts, CURLUPART_HOST, &place->host, 0) ||
	    curl->url_get(parts, CURLUPART_PORT, &place->port, CURLU_DEFAULT_PORT)) {
		snprintf(why, size, "is no URL: expected http://HOST... or https://HOST...");
		error = -EINVAL;
	}
	curl->url_cleanup(parts);
	return error;
}

/* As libcurl_resolve() does it, of a name. */
static int name_resolve(const struct libcurl *curl, const struct place *place,
			struct curl_slist **resolved, char *why, size_t size)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *found = NULL;
	CLEANUP(buffer_free) struct buffer line = BUFFER_EMPTY;
	unsigned int count = 0;
	int error = getaddrinfo(place->host, place->port, &hints, &found);

	if (error) {
		snprintf(why, size, "%s: %s", place->host, gai_strerror(error));
		return -EHOSTUNREACH;
	}
	buffer_printf(&line, "%s:%s:", place->host, place->port);
	for (struct addrinfo *one = found; one && count < ADDRESSES_MOST; one = one->ai_next) {
		char text[NI_MAXHOST];

		if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof(text), NULL, 0,
				NI_NUMERICHOST))
			continue;
		buffer_printf(&line, one->ai_family == AF_INET6 ? "%s[%s]" : "%s%s",
			      count++ ? "," : "", text);
	}
	freeaddrinfo(found);
	buffer_byte(&line, '\0');
	*resolved = line.failed ? NULL : curl->slist_append(NULL, line.data);
	if (*resolved)
		return 0;
	snprintf(why, size, "no memory");
	return -ENOMEM;
}

static bool host_is_address(const char *host)
{
	return *host == '[' || !host[strspn(host, "0123456789.")];
}

static bool host_is_ascii(const char *host)
{
	while (*host && (unsigned char)*host < 0x80)
		host++;
	return !*host;
}

int libcurl_resolve(const struct libcurl *curl, const char *url, struct curl_slist **resolved,
		    char *why, size_t size)
{
	struct place place;
	int error = place_of(curl, url, &place, why, size);

	*resolved = NULL;
	/* libcurl would look for its translation, not for what is told to it here. */
	if (!error && !host_is_ascii(place.host)) {
		snprintf(why, size, "expected a host name in ASCII (xn--...)");
		error = -EINVAL;
	} else if (!error && !host_is_address(place.host)) {
		error = name_resolve(curl, &place, resolved, why, size);
	}
	curl->free(place.host);
	curl->free(place.port);
	return error;
}
#endif
