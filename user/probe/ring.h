/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The reading end of the ring buffer, and the protocol by which its reader sleeps:
 * the first record after a quiet moment wakes it at once; while records keep
 * coming nobody wakes anybody, and the reader comes back by itself.
 */
#ifndef PORTSNOOP_RING_H
#define PORTSNOOP_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct probe;
struct ring;

/* A negative result stops the drain and comes back from it. `record` is valid
 * during the call, writable, 8-aligned. */
typedef int (*ring_handler)(void *context, void *record, size_t size);

/* NULL with errno set. The probe must outlive the ring. */
struct ring *ring_open(struct probe *probe, ring_handler handler, void *context);
void ring_close(struct ring *ring);

int ring_fd(const struct ring *ring); /* readable (epoll) after a wake-up */

/* Hands over what is there, at most `limit` records. Returns how many, or the
 * handler's error. */
int ring_drain(struct ring *ring, unsigned int limit);

/* Announces that the reader is about to sleep on ring_fd(). False: do not, there
 * is something to read. */
bool ring_may_sleep(struct ring *ring);

#endif
