/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Records that were taken out of the ring and are not worked on yet: a queue between
 * the thread that reads the ring and the one that does everything else. It holds what
 * comes while a disk or a pipe makes the other one wait, gives its memory back when it
 * is empty, and is bounded: when it is full the ring is not read, and the kernel
 * counts what finds no room there.
 */
#ifndef PORTSNOOP_BACKLOG_H
#define PORTSNOOP_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>

struct backlog;

/* Takes in about `limit` bytes, at least one record. NULL with errno set. */
struct backlog *backlog_new(size_t limit);
void backlog_free(struct backlog *backlog);

/* The writer's side. Between begin and end the records are not seen by the reader,
 * which is waited for by nobody. */
void backlog_begin(struct backlog *backlog);
/* Copies a record, 8-aligned. 0 or -ENOMEM. */
int backlog_append(struct backlog *backlog, const void *record, size_t size);
bool backlog_full(const struct backlog *backlog); /* append no more */
void backlog_end(struct backlog *backlog);
/* Waits until there is room, or until backlog_hurry(). */
void backlog_await_room(struct backlog *backlog);
/* What the writer had to say at its end: no more records come. 0 or negative errno. */
void backlog_close(struct backlog *backlog, int error);

/* The reader's side. */
int backlog_fd(const struct backlog *backlog); /* readable: there is something to take */
/* The next record, valid and writable until the next call; NULL: none at the moment. */
void *backlog_next(struct backlog *backlog, size_t *size);
/* No more will come, and all was taken; *error as the writer said. */
bool backlog_over(struct backlog *backlog, int *error);
/* Memory that records wait in, about; bytes. */
size_t backlog_bytes(struct backlog *backlog);
/* Ends backlog_await_room(): now and from now on. */
void backlog_hurry(struct backlog *backlog);

#endif
