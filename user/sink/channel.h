/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A bounded queue of frames in memory that two processes share: the program puts frames in
 * and never waits, one courier (sink/courier.h) takes them out. It is made before the courier
 * is forked. What is in it outlives the program: the courier delivers it even when the
 * program was killed.
 *
 * A frame is one rendered event. Whenever nothing moves, of all frames that were put
 *
 *	put + found = delivered + refused + lost + spooled + waiting
 *
 * Neither side trusts the other's numbers: who talks to a
 * network must not be able to break who watches the kernel.
 */
#ifndef PORTSNOOP_SINK_CHANNEL_H
#define PORTSNOOP_SINK_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_BYTES (8u << 20) /* usual room */
#define FRAME_MOST (64u << 10)	 /* bytes of one frame */
#define CHANNEL_WHY 160

/* Of an event. A frame that stands for others that found no room (the lost-events record
 * of a sink) says how many. */
struct frame {
	uint64_t stream;   /* wire_stream_start.id */
	uint64_t sequence; /* event.sequence: with the stream it is event.id */
	int64_t time;	   /* CLOCK_REALTIME, ns */
	uint32_t dropped;  /* this many events are missing here; 0: it is an event */
	uint32_t size;	   /* of the bytes */
	const char *bytes; /* as the format has made them, with a newline if it makes lines */
};

/* What a courier says of itself; each number is written by it alone. */
struct channel_state {
	uint64_t delivered; /* events that are known to have arrived */
	uint64_t repeated;  /* of these, sent once more after a connection broke */
	uint64_t refused;   /* events that the other end does not take: counted, not sent again */
	uint64_t lost;	    /* taken out of the channel, and neither delivered nor kept */
	uint64_t found;	    /* events that were on disk already when it began */
	uint64_t spooled;   /* events on disk now */
	uint64_t spooled_bytes;
	uint64_t damaged; /* pieces of the spool that are left out */
	/* event.id of the last one that is settled, also of an earlier run; 0: none */
	uint64_t stream, sequence;
	uint64_t failures;     /* times that the destination was found away */
	int64_t since;	       /* it is away since, CLOCK_REALTIME, ns; 0: it is there */
	bool ended;	       /* the courier has done all that it could */
	bool gone;	       /* and that because the destination is gone for good */
	char why[CHANNEL_WHY]; /* for people: what went wrong last; hostile bytes */
};

struct channel;

/* `bytes`: a power of two. NULL: errno. */
struct channel *channel_new(size_t bytes);
void channel_free(struct channel *channel); /* each process its own; NULL does nothing */

/* ---- the program's side ---- */

/* After fork(): lets go of the other side. Children that are forked later do not get it. */
void channel_keep_writer(struct channel *channel);

/* False: there is no room, and nothing has happened. Seen by the courier at the next
 * channel_wake() at the latest. */
bool channel_put(struct channel *channel, const struct frame *frame);
bool channel_has_room(const struct channel *channel, size_t size); /* for a frame */
void channel_wake(struct channel *channel); /* once a batch; cheap when nothing was put */

/* Waits until there is room for a frame of `size` bytes: 0. -ETIMEDOUT, -EINTR (a signal came),
 * -EPIPE (the courier has ended), -EMSGSIZE (there never will be). */
int channel_wait_room(struct channel *channel, size_t size, int timeout_ms);

/* To be seen at the courier's next wake-up, which it brings about. */
void channel_reopen(struct channel *channel); /* SIGHUP */
void channel_close(struct channel *channel,
		   uint64_t deadline); /* no more frames; CLOCK_MONOTONIC; again: an earlier one */

/* A copy: of what a courier writes nothing is believed but that these are numbers and a text. */
void channel_state_read(const struct channel *channel, struct channel_state *state);
/* Frames that wait in the channel. */
uint64_t channel_waiting(const struct channel *channel);

/* ---- the courier's side ---- */

int channel_keep_reader(struct channel *channel); /* 0 or negative errno */
/* The descriptors that this side has: all others may be closed. */
#define CHANNEL_FDS 4
void channel_fds(const struct channel *channel, int fds[CHANNEL_FDS]);

uint64_t channel_frames(struct channel *channel); /* that wait */
/* Looks at the frame behind the first `skip` ones. False: there is none. The bytes are valid
 * until channel_release(). */
bool channel_peek(struct channel *channel, uint64_t skip, struct frame *frame);
void channel_release(struct channel *channel, uint64_t frames); /* the oldest ones */

/* Bytes that the frames take which channel_frames() counted last. */
uint64_t channel_filled(const struct channel *channel);
uint64_t channel_room(const struct channel *channel); /* of all frames */

/* Before poll(): the program is to wake it up as soon as more than `bytes` wait and there
 * are frames that channel_frames() has not counted. UINT64_MAX: never for frames. False: it
 * is so already. */
bool channel_sleep(struct channel *channel, uint64_t bytes);
/* Readable when there is something new: frames as channel_sleep() asked for,
 * channel_reopen(), channel_close(), or when the program has ended without a word.
 * channel_news() makes it quiet again. */
int channel_fd(const struct channel *channel);
struct channel_news {
	bool reopen;
	bool closed;	   /* nothing comes any more: the program has ended, or is about to */
	uint64_t deadline; /* closed: CLOCK_MONOTONIC, ns, until when to try; 0: it was killed */
};
void channel_news(struct channel *channel, struct channel_news *news);

struct channel_state *channel_state(struct channel *channel);

#endif
