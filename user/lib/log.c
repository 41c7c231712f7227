/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/escape.h"

#define LOG_NAME "portsnoop"

static void bytes_write(const char *bytes, size_t length)
{
	while (length) {
		ssize_t written = write(STDERR_FILENO, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return; /* nobody to tell */
		bytes += written;
		length -= (size_t)written;
	}
}

static void line_write(const char *who, int error, const char *format, va_list arguments)
{
	static const char no_memory[] = LOG_NAME ": out of memory\n";
	CLEANUP(buffer_free) struct buffer line = BUFFER_EMPTY;
	CLEANUP_FREE char *text = NULL;
	int saved = errno, length;

	length = vasprintf(&text, format, arguments);
	if (length < 0) {
		text = NULL; /* undefined after a failure */
		bytes_write(no_memory, sizeof(no_memory) - 1);
		errno = saved;
		return;
	}
	escape_plain(&line, who, strlen(who));
	buffer_text(&line, ": ");
	escape_plain(&line, text, (size_t)length);
	if (error) {
		buffer_text(&line, ": ");
		buffer_text(&line, strerror(error < 0 ? -error : error));
	}
	buffer_byte(&line, '\n');
	if (line.failed)
		bytes_write(no_memory, sizeof(no_memory) - 1);
	else
		bytes_write(line.data, line.length);
	errno = saved;
}

void log_prefixed(const char *who, const char *format, va_list arguments)
{
	line_write(who, 0, format, arguments);
}

void log_message(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	line_write(LOG_NAME, 0, format, arguments);
	va_end(arguments);
}

int log_error(int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	line_write(LOG_NAME, error, format, arguments);
	va_end(arguments);
	return error;
}
