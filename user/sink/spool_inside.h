/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What spool.c and spool_open.c share. */
#ifndef PORTSNOOP_SINK_SPOOL_INSIDE_H
#define PORTSNOOP_SINK_SPOOL_INSIDE_H

#include <sys/stat.h>

#include "sink/spool.h"

#define SPOOL_MAGIC UINT64_C(0x31306c6f6f707370) /* "pspool01" */
#define SPOOL_READ_ROOM (2 * (FRAME_MOST + sizeof(struct spool_head)))

/* On disk, in this machine's byte order; the frame's bytes follow. */
struct spool_head {
	uint64_t magic;
	uint64_t stream;
	uint64_t sequence;
	int64_t time;
	uint32_t dropped;
	uint32_t size;
	uint32_t zero;
	uint32_t check; /* CRC-32 of what is before it, and of the bytes */
};

struct spool_mark {
	uint64_t magic;
	uint64_t segment; /* its number, and how far it is settled */
	uint64_t offset;
	uint64_t stream, sequence; /* of the last settled frame */
	uint32_t zero;
	uint32_t check;
};

struct segment {
	uint64_t number;
	uint64_t size;	 /* bytes of the file */
	uint64_t end;	 /* of what is whole in it */
	uint64_t frames; /* in it, from the settled ones on */
};

/* A position among the unsettled frames. */
struct cursor {
	size_t segment; /* index; == count: behind the last one */
	uint64_t offset;
	uint64_t frame; /* how many unsettled ones are before it */
};

struct spool {
	int folder, lock;
	int writer;	     /* the newest segment; -1: none of ours yet */
	int reader;	     /* the segment that `reading` is in; -1 */
	uint64_t reading_of; /* its number */
	uint64_t most, segment_most, frames, bytes, damaged, next_number;
	struct segment *segments;
	size_t count;
	struct cursor settled, cursor;
	struct spool_place place;
	int64_t noted; /* when `place` was written, CLOCK_MONOTONIC */
	bool unnoted;
	uint64_t buffer_at; /* what of the reader's file is in the buffer */
	size_t buffer_length;
	char *buffer;
};

/* Nobody else may have put it there. */
bool spool_is_ours(const struct stat *status);

struct segment *spool_segment_add(struct spool *spool, uint64_t number); /* NULL: no room */
int spool_reader_open(struct spool *spool, const struct segment *segment);
/* The frame at `offset` of the open segment, checked. False: what stands there is none. */
bool spool_frame_read(struct spool *spool, uint64_t offset, struct frame *frame);
uint64_t spool_frame_room(const struct frame *frame);
void spool_sweep(
	struct spool *spool); /* segments before the settled place; all, when no frame is left */

uint32_t spool_mark_check(const struct spool_mark *mark);
void spool_mark_write(struct spool *spool);

#endif
