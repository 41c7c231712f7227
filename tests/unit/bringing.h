/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A sink with frames to bring, and what a courier does with it: all in one process. */
#ifndef PORTSNOOP_TESTS_BRINGING_H
#define PORTSNOOP_TESTS_BRINGING_H

#include "lib/buffer.h"
#include "sink/sink.h"

struct bringing {
	struct sink_spec spec;
	struct sink sink;
	struct frame *frames; /* "N some text\n", N from 0 on, of many lengths */
	size_t count;
	bool open;
	size_t settled; /* frames: as the sink has said */
	size_t next;	/* to be sent */
	size_t first;	/* the first one since open() */
	size_t most;	/* of one send(); usual: SINK_BATCH */
	unsigned int failures, refused, waits;
	int error; /* the last one */
};

/* `spec` is its own, and filled in before bringing_prepare(). */
void bringing_make(struct bringing *bringing, const struct sink_ops *ops);
void bringing_prepare(struct bringing *bringing);
void bringing_free(struct bringing *bringing);

/* `count` more. */
void bringing_frames_add(struct bringing *bringing, size_t count);
/* One of these bytes. */
void bringing_frame_add(struct bringing *bringing, const char *bytes, size_t size);

/* Opens, looks at the other end, sends a batch, asks what has arrived. */
void bringing_step(struct bringing *bringing);
void bringing_close(struct bringing *bringing);
/* Steps until all frames are taken, or settled. */
void bringing_send_all(struct bringing *bringing);
void bringing_settle_all(struct bringing *bringing);

/* What a receiver got: from each connection whole frames in order, the first byte that of
 * one, the last one possibly cut. Together all of them, and none for the first time before
 * those that precede it. With `head`, each connection begins with it. */
struct bringing_received {
	struct buffer *parts;
	size_t count;
};
struct buffer *received_part(struct bringing_received *received); /* one more connection */
void received_check(const struct bringing_received *received, const struct bringing *bringing,
		    const char *head);
void received_free(struct bringing_received *received);

#endif
