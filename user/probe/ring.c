/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/ring.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probe/attach.h"

#define STOP (-ECANCELED) /* from our callback: the limit is reached */

struct ring {
	struct ring_buffer *buffer;
	ring_handler handler;
	void *context;
	volatile uint32_t *asleep;
	/* The two positions, each at the start of a page of its own
	 * (kernel/bpf/ringbuf.c). */
	const volatile uint64_t *consumer, *producer;
	size_t page;
	unsigned int left;
	int error;
};

static int ring_sample(void *context, void *record, size_t size)
{
	struct ring *ring = context;

	ring->error = ring->handler(ring->context, record, size);
	if (ring->error < 0)
		return ring->error;
	return --ring->left ? 0 : STOP;
}

struct ring *ring_open(struct probe *probe, ring_handler handler, void *context)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int fd = probe_ring_fd(probe);
	void *memory;

	if (!ring)
		return NULL;
	ring->handler = handler;
	ring->context = context;
	ring->asleep = probe_reader_asleep(probe);
	ring->page = sysconf(_SC_PAGESIZE);
	ring->buffer = ring_buffer__new(fd, ring_sample, ring, NULL);
	if (!ring->buffer)
		goto fail;
	memory = mmap(NULL, ring->page, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		goto fail;
	ring->consumer = memory;
	memory = mmap(NULL, ring->page, PROT_READ, MAP_SHARED, fd, ring->page);
	if (memory == MAP_FAILED)
		goto fail;
	ring->producer = memory;
	return ring;
fail:
	ring_close(ring);
	return NULL;
}

void ring_close(struct ring *ring)
{
	int saved = errno;

	if (!ring)
		return;
	if (ring->consumer)
		munmap((void *)ring->consumer, ring->page);
	if (ring->producer)
		munmap((void *)ring->producer, ring->page);
	ring_buffer__free(ring->buffer);
	free(ring);
	errno = saved;
}

int ring_fd(const struct ring *ring)
{
	return ring_buffer__epoll_fd(ring->buffer);
}

int ring_drain(struct ring *ring, unsigned int limit)
{
	int result;

	*ring->asleep = 0;
	ring->left = limit;
	ring->error = 0;
	result = ring_buffer__consume(ring->buffer);
	if (ring->error < 0)
		return ring->error;
	if (result < 0 && result != STOP)
		return result;
	return limit - ring->left;
}

bool ring_may_sleep(struct ring *ring)
{
	*ring->asleep = 1;
	/* Pairs with the atomic addition between a producer's reservation and its
	 * look at the flag: one of the two sees the other. */
	atomic_thread_fence(memory_order_seq_cst);
	if (*ring->producer == *ring->consumer)
		return true;
	*ring->asleep = 0;
	return false;
}
