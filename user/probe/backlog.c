/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/backlog.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BLOCK_BYTES (256 * 1024)

/* Records one behind the other, each with its size in front. */
struct block {
	struct block *next;
	size_t used;
	uint64_t bytes[];
};

#define BLOCK_ROOM (BLOCK_BYTES - sizeof(struct block))

struct entry {
	uint64_t size;
	uint64_t record[];
};

struct backlog {
	pthread_mutex_t lock;
	pthread_cond_t room;
	int fd;
	size_t limit;
	/* Under the lock: */
	struct block *first, *last;
	struct block *spare; /* one is kept, for the case that little comes at a time */
	size_t held;	     /* bytes of the blocks in the list */
	bool told;	     /* fd is readable */
	bool hurry, closed;
	int error;
	/* The reader's own: */
	struct block *taken;
	size_t at;
};

static size_t entry_bytes(size_t size)
{
	return sizeof(struct entry) + ((size + 7) & ~(size_t)7);
}

struct backlog *backlog_new(size_t limit)
{
	struct backlog *backlog = calloc(1, sizeof(*backlog));

	if (!backlog)
		return NULL;
	backlog->limit = limit;
	backlog->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (backlog->fd < 0) {
		free(backlog);
		return NULL;
	}
	pthread_mutex_init(&backlog->lock, NULL);
	pthread_cond_init(&backlog->room, NULL);
	return backlog;
}

static void blocks_free(struct block *block)
{
	while (block) {
		struct block *next = block->next;

		free(block);
		block = next;
	}
}

void backlog_free(struct backlog *backlog)
{
	if (!backlog)
		return;
	blocks_free(backlog->first);
	blocks_free(backlog->taken);
	free(backlog->spare);
	close(backlog->fd);
	pthread_cond_destroy(&backlog->room);
	pthread_mutex_destroy(&backlog->lock);
	free(backlog);
}

void backlog_begin(struct backlog *backlog)
{
	pthread_mutex_lock(&backlog->lock);
}

static struct block *block_add(struct backlog *backlog, size_t room)
{
	struct block *block = backlog->spare;

	backlog->spare = NULL;
	if (!block || room > BLOCK_ROOM) {
		free(block);
		block = malloc(sizeof(*block) + (room > BLOCK_ROOM ? room : BLOCK_ROOM));
	}
	if (!block)
		return NULL;
	block->next = NULL;
	block->used = 0;
	if (backlog->last)
		backlog->last->next = block;
	else
		backlog->first = block;
	backlog->last = block;
	return block;
}

int backlog_append(struct backlog *backlog, const void *record, size_t size)
{
	size_t need = entry_bytes(size);
	struct block *block = backlog->last;
	struct entry *entry;

	if (!block || need > BLOCK_ROOM || block->used > BLOCK_ROOM - need)
		block = block_add(backlog, need);
	if (!block)
		return -ENOMEM;
	entry = (void *)((char *)block->bytes + block->used);
	entry->size = size;
	memcpy(entry->record, record, size);
	block->used += need;
	backlog->held += need;
	return 0;
}

bool backlog_full(const struct backlog *backlog)
{
	return backlog->held >= backlog->limit && !backlog->hurry;
}

static void reader_tell(struct backlog *backlog)
{
	uint64_t one = 1;

	if (backlog->told)
		return;
	backlog->told = true;
	/* Cannot fail: the counter is 0 or 1. */
	if (write(backlog->fd, &one, sizeof(one)) < 0)
		abort();
}

void backlog_end(struct backlog *backlog)
{
	if (backlog->first)
		reader_tell(backlog);
	pthread_mutex_unlock(&backlog->lock);
}

void backlog_await_room(struct backlog *backlog)
{
	pthread_mutex_lock(&backlog->lock);
	while (backlog_full(backlog))
		pthread_cond_wait(&backlog->room, &backlog->lock);
	pthread_mutex_unlock(&backlog->lock);
}

void backlog_close(struct backlog *backlog, int error)
{
	pthread_mutex_lock(&backlog->lock);
	backlog->closed = true;
	backlog->error = error;
	reader_tell(backlog);
	pthread_mutex_unlock(&backlog->lock);
}

int backlog_fd(const struct backlog *backlog)
{
	return backlog->fd;
}

/* Everything that is there becomes the reader's, at the price of one lock. */
static void blocks_take(struct backlog *backlog)
{
	struct block *done = backlog->taken;
	uint64_t count;

	backlog->taken = done ? done->next : NULL;
	backlog->at = 0;
	pthread_mutex_lock(&backlog->lock);
	if (!backlog->taken) {
		backlog->taken = backlog->first;
		backlog->first = backlog->last = NULL;
		backlog->held = 0;
		pthread_cond_signal(&backlog->room);
		if (backlog->told && !backlog->closed) {
			backlog->told = false;
			if (read(backlog->fd, &count, sizeof(count)) < 0)
				abort();
		}
	}
	if (!backlog->spare) {
		backlog->spare = done;
		done = NULL;
	}
	pthread_mutex_unlock(&backlog->lock);
	free(done);
}

void *backlog_next(struct backlog *backlog, size_t *size)
{
	struct entry *entry;

	if (!backlog->taken || backlog->at == backlog->taken->used)
		blocks_take(backlog);
	if (!backlog->taken)
		return NULL;
	entry = (void *)((char *)backlog->taken->bytes + backlog->at);
	backlog->at += entry_bytes(entry->size);
	*size = entry->size;
	return entry->record;
}

bool backlog_over(struct backlog *backlog, int *error)
{
	bool over;

	pthread_mutex_lock(&backlog->lock);
	over = backlog->closed && !backlog->first &&
	       (!backlog->taken || (backlog->at == backlog->taken->used && !backlog->taken->next));
	*error = backlog->error;
	pthread_mutex_unlock(&backlog->lock);
	return over;
}

size_t backlog_bytes(struct backlog *backlog)
{
	size_t bytes;

	pthread_mutex_lock(&backlog->lock);
	bytes = backlog->held;
	pthread_mutex_unlock(&backlog->lock);
	return bytes;
}

void backlog_hurry(struct backlog *backlog)
{
	pthread_mutex_lock(&backlog->lock);
	backlog->hurry = true;
	pthread_cond_signal(&backlog->room);
	pthread_mutex_unlock(&backlog->lock);
}
