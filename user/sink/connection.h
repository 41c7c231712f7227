/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A connected socket that frames go through, and what is known of how many of them have
 * arrived. For sinks: the sink's state begins with it, and the functions named sink_* are
 * their operations as they are.
 *
 * What a kernel has taken has not arrived: a receiver that is restarted loses what it had
 * not read, or had read and done nothing with. A unix socket tells what is unread. Of TCP
 * the acknowledged bytes are known, and the window tells how much room the receiver has left.
 * Of a stream, what is younger than two seconds does not count either, unless much came
 * behind it. Of UDP nothing is known; a refusal comes back soon, or not at all.
 */
#ifndef PORTSNOOP_SINK_CONNECTION_H
#define PORTSNOOP_SINK_CONNECTION_H

#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include "lib/buffer.h"
#include "sink/sink.h"

struct connection_mark;

enum connection_kind { CONNECTION_UNIX, CONNECTION_TCP, CONNECTION_UDP };

struct connection {
	int fd; /* -1: there is none */
	enum connection_kind kind;
	bool datagrams;	      /* one message each; else a stream of bytes */
	bool broken;	      /* its end was seen: no more is known to have arrived */
	const char *path;     /* unix datagrams: where the receiver is */
	struct stat receiver; /* and which one it was */
	/* Datagrams: what to do with one that is too long: 0, or negative errno. NULL: it is
	 * refused. */
	int (*too_long)(int fd, const struct iovec *message);
	uint64_t sent;	    /* bytes that the kernel has taken */
	struct buffer rest; /* of the last message, from `done` on, which it took in part */
	size_t done;
	struct connection_mark *marks; /* a ring: of each frame that is not settled, the oldest
					* at `first` */
	size_t first, count, room;
	uint64_t settled;     /* frames */
	uint32_t window_most; /* TCP: the largest window that the receiver had */
};

#define CONNECTION_NONE ((struct connection){.fd = -1})

/* Takes over a connected socket, which does not block. 0, or negative errno, and it is closed:
 * the kernel does not tell how much is on its way. */
int connection_begin(struct connection *connection, int fd, enum connection_kind kind,
		     bool datagrams);
void connection_end(struct connection *connection);  /* closes it; keeps memory */
void connection_free(struct connection *connection); /* and gives that back */

/* A message that is no frame, in front of all others: the heading. 0 or negative errno. */
int connection_head(struct connection *connection, const void *bytes, size_t length);

/* Each message is one frame's; as sink_ops.send. */
ssize_t connection_send(struct sink *sink, struct iovec *messages, size_t *count);

/* ---- operations of a sink whose state begins with a connection ---- */

uint64_t sink_connection_settled(struct sink *sink);
unsigned int sink_connection_settles_in_ms(struct sink *sink);
int sink_connection_fd(struct sink *sink);
int sink_connection_lost(struct sink *sink, short events);
void sink_connection_close(struct sink *sink);

#endif
