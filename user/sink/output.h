/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bytes on their way to a file descriptor, which stays the caller's. Renderers
 * append to `pending`; output_flush() writes it, all of it, also where the
 * descriptor takes it in parts or does not block.
 */
#ifndef PORTSNOOP_OUTPUT_H
#define PORTSNOOP_OUTPUT_H

#include "lib/buffer.h"

/* When this much is pending, a flush is due: within a batch, too. */
#define OUTPUT_FULL (64u << 10)

struct output {
	int fd;
	int error; /* the first one; nothing is written after it */
	struct buffer pending;
};

#define OUTPUT_TO(descriptor) ((struct output){.fd = (descriptor)})

/* 0, or negative errno, which stays: -EPIPE when the reader has gone (SIGPIPE must
 * be ignored: main does), -ENOMEM when `pending` failed, -EINTR when it was given up
 * (lib/signals.h). */
int output_flush(struct output *output);

void output_free(struct output *output); /* drops what is pending */

#endif
