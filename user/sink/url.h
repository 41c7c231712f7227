/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a destination is: hosts with ports, and URLs of HTTP. */
#ifndef PORTSNOOP_SINK_URL_H
#define PORTSNOOP_SINK_URL_H

#include <stdbool.h>

/* "HOST:PORT", "[::1]:PORT" -> both, to be freed; the host without brackets. -EINVAL, -ENOMEM:
 * both stay as they are. */
int host_split(const char *text, char **host, char **port);

/* http[s]://[USER[:PASSWORD]@]HOST[:PORT][/PATH][?QUERY]. All but the path may be NULL. */
struct url {
	bool tls;
	char *user, *password; /* percent-decoded */
	char *host;	       /* without brackets */
	char *port;
	char *path; /* "" or from the slash on, as it stands there */
	char *query;
};

/* 0, -EINVAL, -ENOMEM: the URL is empty then. */
int url_parse(const char *text, struct url *url);
void url_free(struct url *url);

#endif
