/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/screen.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "format/cell.h"

#define HEIGHT_FALLBACK 24

bool screen_wanted(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

unsigned int screen_height(void)
{
	struct winsize size;

	return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row ? size.ws_row
								       : HEIGHT_FALLBACK;
}

int screen_resizes_open(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* Of a color, or of a character of UTF-8. */
static size_t piece_length(const char *at, const char *end)
{
	const char *next = at + 1;

	if (*at == '\033') {
		while (next < end && (*next < '@' || *next > '~' || *next == '['))
			next++;
		return (size_t)(next - at) + (next < end);
	}
	while (next < end && ((unsigned char)*next & 0xc0) == 0x80)
		next++;
	return (size_t)(next - at);
}

/* A line that wraps would take two. Its colors are kept, also what ends them. */
static void line_put(struct buffer *out, const char *line, size_t length, unsigned int width)
{
	const char *end = line + length;
	unsigned int column = 0;

	while (line < end) {
		size_t piece = piece_length(line, end);
		bool color = *line == '\033';

		if (!color)
			column += cell_columns(line, piece);
		if (color || !width || column <= width)
			buffer_append(out, line, piece);
		line += piece;
	}
}

/* Nothing is changed that would have to be put back: not even when we are killed. */
void screen_put(struct buffer *out, const struct buffer *frame, unsigned int width,
		unsigned int height, bool first)
{
	const char *line = frame->data, *end = frame->data + frame->length;

	for (unsigned int i = 0; first && i < height; i++)
		buffer_byte(out, '\n');
	buffer_text(out, "\033[H");
	while (line < end && --height) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		const size_t length = (size_t)((next ? next : end) - line);

		/* In this order: behind a line that fills its row it would take the last
		 * character away. */
		buffer_text(out, "\033[K");
		line_put(out, line, length, width);
		buffer_text(out, "\r\n");
		line += length + 1;
	}
	buffer_text(out, "\033[J");
}
