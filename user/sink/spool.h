/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames of one sink on disk, in order, until they are delivered: a folder with segments and
 * the place up to which they are settled. One process at a time has it (-EBUSY). What is
 * found there is checked as hostile input: what is damaged is left out, and said.
 *
 * A segment is append-only; a frame carries a checksum, so that one that was cut by a crash
 * is told from a whole one. Nothing is synced to the disk: it is for a destination that is
 * away, not for a machine that loses power.
 */
#ifndef PORTSNOOP_SINK_SPOOL_H
#define PORTSNOOP_SINK_SPOOL_H

#include "sink/channel.h"

#define SPOOL_SEGMENT (4u << 20)

struct spool;

struct spool_place {
	uint64_t stream, sequence; /* of the last settled frame; 0: none */
};

/* `folder` is made if need be, 0700. 0, or negative errno with `why`. */
int spool_open(const char *folder, uint64_t most, struct spool **spool, char *why, size_t size);
void spool_close(struct spool *spool); /* writes the place; NULL does nothing */

/* -ENOSPC: beyond its limit, or the disk is full; nothing has happened then. */
int spool_append(struct spool *spool, const struct frame *frame);

/* The frame behind the first `skip` unsettled ones. 1, 0: there is none, negative errno. The
 * bytes are valid until the next call. */
int spool_peek(struct spool *spool, uint64_t skip, struct frame *frame);
int spool_settle(struct spool *spool, uint64_t frames); /* the oldest ones; removes segments */
/* The oldest frame cannot be read any more (somebody removed the file, the disk is broken):
 * the rest of its segment is left out, and counted as damaged. */
void spool_leave_out(struct spool *spool);

/* Keeps the place of what never was in the spool, too. */
void spool_note(struct spool *spool, const struct spool_place *place);
void spool_place(const struct spool *spool, struct spool_place *place);

uint64_t spool_frames(const struct spool *spool);
uint64_t spool_bytes(const struct spool *spool);
uint64_t spool_damaged(const struct spool *spool); /* pieces left out since it was opened */

#endif
