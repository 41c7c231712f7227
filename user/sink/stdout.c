/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lines to stdout, each of them whole unless its reader goes away. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "sink/heading.h"

#define WAIT_MS 60000

struct standard {
	bool blocks; /* a write can: not a file */
	bool headed;
	struct buffer batch;
	struct buffer rest; /* of a line that was written in part, or the heading */
	uint64_t taken;	    /* frames since open() */
};

static int stdout_prepare(struct sink *sink)
{
	struct standard *standard = calloc(1, sizeof(*standard));
	struct stat status;

	if (!standard)
		return sink_fail(sink, -ENOMEM, "out of memory");
	sink->state = standard;
	if (fstat(STDOUT_FILENO, &status))
		return sink_fail(sink, -errno, "%s", strerror(errno));
	standard->blocks = !S_ISREG(status.st_mode);
	return 0;
}

static int writable_await(struct sink *sink)
{
	struct pollfd look = {.fd = STDOUT_FILENO, .events = POLLOUT};
	int woken = poll(&look, 1, 0);

	while (!woken)
		woken = sink_wait(sink, STDOUT_FILENO, POLLOUT, WAIT_MS);
	return woken < 0 ? woken : 0;
}

static int write_failed(struct sink *sink, int error)
{
	if (error == -EPIPE)
		return sink_fail(sink, -ESHUTDOWN, "its reader has gone");
	return sink_fail(sink, error, "%s", strerror(-error));
}

/* All of it, or negative errno with what was written: *done. O_NONBLOCK would be everybody's
 * who has stdout open. Where poll() finds room, it is for PIPE_BUF bytes at least. */
static int bytes_write(struct sink *sink, const struct buffer *bytes, size_t *done)
{
	const struct standard *standard = sink->state;

	*done = 0;
	while (*done < bytes->length) {
		size_t left = bytes->length - *done;
		size_t part = standard->blocks && left > PIPE_BUF ? PIPE_BUF : left;
		int error = standard->blocks ? writable_await(sink) : 0;
		ssize_t written;

		if (error)
			return error;
		written = write(STDOUT_FILENO, bytes->data + *done, part);
		if (written < 0 && errno != EINTR && errno != EAGAIN)
			return write_failed(sink, -errno);
		if (written > 0)
			*done += (size_t)written;
	}
	return 0;
}

static int rest_write(struct sink *sink)
{
	struct standard *standard = sink->state;
	size_t done;
	int error;

	if (standard->rest.failed)
		return sink_fail(sink, -ENOMEM, "out of memory");
	error = bytes_write(sink, &standard->rest, &done);
	if (done)
		memmove(standard->rest.data, standard->rest.data + done,
			standard->rest.length - done);
	standard->rest.length -= done;
	return error;
}

static int stdout_open(struct sink *sink)
{
	struct standard *standard = sink->state;

	if (!standard->headed)
		heading_make(sink, &standard->rest);
	standard->headed = true;
	standard->taken = 0;
	return rest_write(sink);
}

/* How many of the frames `done` bytes are; what is left of the last one is kept. */
static size_t frames_count(struct standard *standard, const struct frame *frames, size_t done)
{
	size_t taken = 0;

	for (; done >= frames[taken].size; taken++)
		done -= frames[taken].size;
	if (!done)
		return taken;
	buffer_append(&standard->rest, frames[taken].bytes + done, frames[taken].size - done);
	return taken + 1;
}

static ssize_t stdout_send(struct sink *sink, const struct frame *frames, size_t *count)
{
	struct standard *standard = sink->state;
	int error = rest_write(sink);
	size_t done, taken = *count;

	if (error)
		return error;
	buffer_reset(&standard->batch);
	for (size_t i = 0; i < *count; i++)
		buffer_append(&standard->batch, frames[i].bytes, frames[i].size);
	if (standard->batch.failed)
		return sink_fail(sink, -ENOMEM, "out of memory");
	error = bytes_write(sink, &standard->batch, &done);
	if (error)
		taken = frames_count(standard, frames, done);
	standard->taken += taken;
	return taken ? (ssize_t)taken : error;
}

static uint64_t stdout_settled(struct sink *sink)
{
	const struct standard *standard = sink->state;

	return standard->taken - (standard->taken && standard->rest.length ? 1 : 0);
}

static void stdout_close(struct sink *sink)
{
	(void)sink;
}

static void stdout_free(struct sink *sink)
{
	struct standard *standard = sink->state;

	if (standard) {
		buffer_free(&standard->batch);
		buffer_free(&standard->rest);
	}
	free(standard);
	sink->state = NULL;
}

const struct sink_ops sink_stdout = {
	.prepare = stdout_prepare,
	.open = stdout_open,
	.send = stdout_send,
	.settled = stdout_settled,
	.close = stdout_close,
	.free = stdout_free,
};
