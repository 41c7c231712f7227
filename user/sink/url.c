/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/parse.h"

#define HOST_MOST 253

static bool host_is_name(const char *host)
{
	size_t length = strlen(host);

	return length && length <= HOST_MOST && *host != '-' &&
	       strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
		       length;
}

/* With a scope, as in fe80::1%eth0. */
static bool host_is_ipv6(const char *host)
{
	char address[INET6_ADDRSTRLEN];
	size_t length = strcspn(host, "%");
	uint8_t bytes[16];

	if (length >= sizeof(address) || (host[length] && !host_is_name(host + length + 1)))
		return false;
	memcpy(address, host, length);
	address[length] = '\0';
	return inet_pton(AF_INET6, address, bytes) == 1;
}

/* HOST or [IPV6], and the port behind it: NULL if there is none. -EINVAL, -ENOMEM. */
static int authority_split(const char *text, char **host, const char **port)
{
	const char *end = strchr(text, *text == '[' ? ']' : ':');
	CLEANUP_FREE char *name = NULL;

	if (*text == '[') {
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		name = strndup(text + 1, (size_t)(end - text - 1));
		end = end[1] ? end + 1 : NULL;
	} else {
		name = end ? strndup(text, (size_t)(end - text)) : strdup(text);
	}
	if (!name)
		return -ENOMEM;
	if (*text == '[' ? !host_is_ipv6(name) : !host_is_name(name))
		return -EINVAL;
	*host = TAKE_POINTER(name);
	*port = end ? end + 1 : NULL;
	return 0;
}

static int port_take(const char *text, char **port)
{
	const char *expected;
	uint16_t number;

	if (parse_port(text, &number, &expected) || !number)
		return -EINVAL;
	*port = strdup(text);
	return *port ? 0 : -ENOMEM;
}

int host_split(const char *text, char **host, char **port)
{
	CLEANUP_FREE char *name = NULL;
	const char *behind = NULL;
	int error = authority_split(text, &name, &behind);

	if (!error)
		error = behind ? port_take(behind, port) : -EINVAL;
	if (!error)
		*host = TAKE_POINTER(name);
	return error;
}

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit = (char)tolower((unsigned char)digit);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* In place. A NUL, or what is no code, is an error. */
static int percent_decode(char *text)
{
	char *to = text;

	for (; *text; text++) {
		int value = (unsigned char)*text;

		if (*text == '%') {
			int high = hex_value(text[1]), low = high < 0 ? -1 : hex_value(text[2]);

			if (low < 0 || !(high | low))
				return -EINVAL;
			value = high << 4 | low;
			text += 2;
		}
		*to++ = (char)value;
	}
	*to = '\0';
	return 0;
}

/* USER[:PASSWORD] */
static int user_take(struct url *url, const char *text, size_t length)
{
	size_t user = strcspn(text, ":");
	bool password = user < length;

	if (!password)
		user = length;
	url->user = strndup(text, user);
	if (password)
		url->password = strndup(text + user + 1, length - user - 1);
	if (!url->user || (password && !url->password))
		return -ENOMEM;
	if (!*url->user || percent_decode(url->user) ||
	    (url->password && percent_decode(url->password)))
		return -EINVAL;
	return 0;
}

static int url_take_parts(const char *text, struct url *url)
{
	size_t length = strcspn(text, "/?");
	CLEANUP_FREE char *authority = strndup(text, length);
	const char *query = strchr(text, '?'), *port = NULL;
	char *host, *at;
	int error;

	if (!authority)
		return -ENOMEM;
	host = authority;
	at = strrchr(authority, '@');
	if (at) {
		error = user_take(url, authority, (size_t)(at - authority));
		if (error)
			return error;
		host = at + 1;
	}
	error = authority_split(host, &url->host, &port);
	if (!error && port)
		error = port_take(port, &url->port);
	if (error)
		return error;
	text += length;
	url->path = query ? strndup(text, (size_t)(query - text)) : strdup(text);
	if (query)
		url->query = strdup(query + 1);
	return url->path && (!query || url->query) ? 0 : -ENOMEM;
}

int url_parse(const char *text, struct url *url)
{
	int error;

	*url = (struct url){0};
	for (const char *c = text; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '#')
			return -EINVAL;
	if (!strncmp(text, "https://", 8))
		url->tls = true;
	else if (strncmp(text, "http://", 7) != 0)
		return -EINVAL;
	error = url_take_parts(text + (url->tls ? 8 : 7), url);
	if (error)
		url_free(url);
	return error;
}

void url_free(struct url *url)
{
	free(url->user);
	free(url->password);
	free(url->host);
	free(url->port);
	free(url->path);
	free(url->query);
	*url = (struct url){0};
}
