/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A thread that does nothing but move records from the ring to a backlog, at a
 * priority at which a busy machine does not keep it waiting: what is in the ring is
 * safe from a slow disk, a slow reader of our output and a storm of claims alike. It has
 * no capabilities.
 */
#ifndef PORTSNOOP_READER_H
#define PORTSNOOP_READER_H

#include "probe/backlog.h"

struct probe;
struct reader;

/* NULL with errno set. Both must outlive the reader. */
struct reader *reader_start(struct probe *probe, struct backlog *backlog);

/* No more records will come to the ring: takes out the rest, then closes the backlog.
 * Does not wait for that. */
void reader_finish(struct reader *reader);

/* Waits for the thread's end, which reader_finish() and room in the backlog bring. */
void reader_free(struct reader *reader);

#endif
