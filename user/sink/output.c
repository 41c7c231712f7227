/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/output.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "lib/signals.h"

static int writable_await(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLOUT};

	while (poll(&wait, 1, -1) < 0)
		if (errno != EINTR || signals_give_up())
			return -errno;
	return 0; /* POLLERR and POLLHUP as well: the next write says what it is */
}

static int bytes_write(int fd, const char *bytes, size_t length)
{
	int error;

	while (length) {
		ssize_t written = write(fd, bytes, length);

		if (written >= 0) {
			bytes += written;
			length -= (size_t)written;
			continue;
		}
		if (errno == EINTR && !signals_give_up())
			continue;
		if (errno != EAGAIN)
			return -errno;
		error = writable_await(fd);
		if (error)
			return error;
	}
	return 0;
}

int output_flush(struct output *output)
{
	if (!output->error && output->pending.failed)
		output->error = -ENOMEM;
	if (!output->error)
		output->error =
			bytes_write(output->fd, output->pending.data, output->pending.length);
	buffer_reset(&output->pending);
	return output->error;
}

void output_free(struct output *output)
{
	buffer_free(&output->pending);
}
