/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/header_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/log.h"

#define LINE_MOST 16384

static int line_add(char **headers, size_t *count, const char *line, size_t length, size_t number,
		    char *why, size_t size)
{
	if (!length || *line == '#')
		return 0;
	if (length >= LINE_MOST || memchr(line, '\0', length)) {
		snprintf(why, size, "line %zu is no header: expected NAME: VALUE", number);
		return -EINVAL;
	}
	if (*count == HEADER_FILE_MOST) {
		snprintf(why, size, "expected %d headers at most", HEADER_FILE_MOST);
		return -EINVAL;
	}
	headers[*count] = strdup(line);
	if (!headers[*count]) {
		snprintf(why, size, "no memory");
		return -ENOMEM;
	}
	++*count;
	return 0;
}

static int lines_read(FILE *file, char **headers, char *why, size_t size)
{
	CLEANUP_FREE char *line = NULL;
	size_t room = 0, count = 0, number = 0;
	ssize_t length;
	int error = 0;

	errno = 0;
	while (!error && (length = getline(&line, &room, file)) >= 0) {
		if (length && line[length - 1] == '\n')
			line[--length] = '\0';
		error = line_add(headers, &count, line, (size_t)length, ++number, why, size);
	}
	if (!error && ferror(file)) {
		error = errno ? -errno : -EIO;
		snprintf(why, size, "%s", strerror(-error));
	}
	return error;
}

int header_file_read(const char *path, char ***out, char *why, size_t size)
{
	CLEANUP_FILE FILE *file = fopen(path, "re");
	char **headers;
	struct stat status;
	char reason[128];
	int error;

	if (!file || fstat(fileno(file), &status)) {
		error = -errno;
		snprintf(why, size, "header-file=%s: %s", path, strerror(-error));
		return error;
	}
	if (status.st_mode & (S_IROTH | S_IWOTH))
		log_message("header-file=%s: everybody may %s it; better is chmod o-rwx", path,
			    status.st_mode & S_IWOTH ? "write" : "read");
	headers = calloc(HEADER_FILE_MOST + 1, sizeof(*headers));
	if (!headers) {
		snprintf(why, size, "no memory");
		return -ENOMEM;
	}
	error = lines_read(file, headers, reason, sizeof(reason));
	if (error) {
		snprintf(why, size, "header-file=%s: %s", path, reason);
		headers_free(headers);
		return error;
	}
	*out = headers;
	return 0;
}

void headers_free(char **headers)
{
	for (size_t i = 0; headers && headers[i]; i++)
		free(headers[i]);
	free(headers);
}

void cleanup_headers(char ***headers)
{
	headers_free(*headers);
}
