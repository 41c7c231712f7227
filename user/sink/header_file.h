/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The file of header-file=: a header a line, NAME: VALUE; empty lines, and those that begin
 * with #, are left out. It often holds a token: no value of it is in any message.
 */
#ifndef PORTSNOOP_SINK_HEADER_FILE_H
#define PORTSNOOP_SINK_HEADER_FILE_H

#include <stddef.h>

#define HEADER_FILE_MOST 64 /* headers */

/* Ended by NULL, to be freed by headers_free(). 0, or negative errno with `why`. Whether each
 * is a header, http_new() says. Warns of a file that others may read. */
int header_file_read(const char *path, char ***headers, char *why, size_t size);
void headers_free(char **headers);     /* NULL does nothing */
void cleanup_headers(char ***headers); /* for CLEANUP() */

#endif
