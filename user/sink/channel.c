/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A ring that is mapped twice, one behind the other, so that a frame that begins at its end
 * goes on behind it. Positions count bytes, and never go back.
 *
 * Each side writes to one page alone, and has the other's, which holds nothing but numbers
 * to check, read-only.
 */
#include "sink/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEVER UINT64_MAX
#define ALIGN 8

struct writer_page {
	uint64_t head; /* so far frames have been put */
	/* The position that stands at the start of the ring. Moves when the ring is empty:
	 * a quiet channel then takes the memory of a few frames, not of all of the ring. */
	uint64_t base;
	uint64_t wanted;   /* when the tail is there, the writer wants to know; 0: it does not */
	uint64_t deadline; /* CLOCK_MONOTONIC */
	uint32_t reopens;
	uint32_t closed;
};

struct reader_page {
	uint64_t tail;	   /* so far frames have been released */
	uint64_t released; /* frames */
	uint64_t wake;	   /* when the head is behind it, the reader wants to know */
	struct channel_state state;
};

struct slot {
	uint64_t stream, sequence;
	int64_t time;
	uint32_t dropped, size;
};

struct channel {
	size_t bytes, page;
	char *memory; /* writer's page, reader's page, ring, ring */
	struct writer_page *writer;
	struct reader_page *reader;
	char *ring;
	int news;    /* eventfd: to the reader */
	int room;    /* eventfd: to the writer */
	int life[2]; /* writer's, reader's: nothing is ever sent, one side sees the other's end */
	int poll;    /* epoll of all that the reader waits for */

	uint64_t put;	   /* writer: frames */
	uint64_t woken;	   /* writer: the head at the last wake-up */
	uint64_t answered; /* writer: the reader's `wake` that was answered */

	uint64_t known;	       /* reader: up to here the ring was looked at */
	uint64_t known_frames; /* from the tail to there */
	uint64_t cursor;       /* reader: where the frame behind `cursor_skip` others stands */
	uint64_t cursor_skip;
	uint32_t reopens; /* reader: seen */
	bool broken;	  /* reader: the writer's numbers make no sense */
};

static uint64_t get(const uint64_t *number)
{
	return __atomic_load_n(number, __ATOMIC_ACQUIRE);
}

static void set(uint64_t *number, uint64_t value)
{
	__atomic_store_n(number, value, __ATOMIC_RELEASE);
}

/* Each side writes, and then looks whether the other one sleeps; before the other one
 * sleeps, it says so, and then looks for what was written. */
static void barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static size_t slot_size(size_t size)
{
	return (sizeof(struct slot) + size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static char *slot_at(const struct channel *channel, uint64_t position)
{
	return channel->ring +
	       ((position - __atomic_load_n(&channel->writer->base, __ATOMIC_RELAXED)) &
		(channel->bytes - 1));
}

static void event_add(int fd)
{
	const uint64_t one = 1;
	ssize_t written;

	/* A full counter is readable, too. */
	do
		written = write(fd, &one, sizeof(one));
	while (written < 0 && errno == EINTR);
}

static void event_clear(int fd)
{
	uint64_t count;
	ssize_t length;

	do
		length = read(fd, &count, sizeof(count));
	while (length < 0 && errno == EINTR);
}

static void fd_drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- made, and given up ---- */

/* 0 or negative errno. */
static int memory_map(struct channel *channel)
{
	const size_t head = 2 * channel->page, all = head + 2 * channel->bytes;
	char *memory = mmap(NULL, all, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	channel->memory = memory;
	channel->writer = (struct writer_page *)memory;
	channel->reader = (struct reader_page *)(memory + channel->page);
	channel->ring = memory + head;
	/* The same pages once more. */
	if (mremap(channel->ring, 0, channel->bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
		   channel->ring + channel->bytes) == MAP_FAILED)
		return -errno;
	return 0;
}

static int channel_make(struct channel *channel)
{
	int error = memory_map(channel);

	if (error)
		return error;
	channel->reader->wake = NEVER;
	channel->answered = NEVER;
	channel->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	channel->room = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (channel->news < 0 || channel->room < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, channel->life))
		return -errno;
	return 0;
}

struct channel *channel_new(size_t bytes)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct channel *channel;
	int error;

	if (bytes < page || bytes & (bytes - 1)) {
		errno = EINVAL;
		return NULL;
	}
	channel = calloc(1, sizeof(*channel));
	if (!channel)
		return NULL;
	*channel = (struct channel){
		.bytes = bytes,
		.page = page,
		.news = -1,
		.room = -1,
		.life = {-1, -1},
		.poll = -1,
	};
	error = channel_make(channel);
	if (!error)
		return channel;
	channel_free(channel);
	errno = -error;
	return NULL;
}

void channel_free(struct channel *channel)
{
	if (!channel)
		return;
	if (channel->memory)
		munmap(channel->memory, 2 * channel->page + 2 * channel->bytes);
	fd_drop(&channel->news);
	fd_drop(&channel->room);
	fd_drop(&channel->life[0]);
	fd_drop(&channel->life[1]);
	fd_drop(&channel->poll);
	free(channel);
}

/* ---- the program's side ---- */

void channel_keep_writer(struct channel *channel)
{
	fd_drop(&channel->life[1]);
	/* Neither can fail in a way that matters: they are a second line. */
	mprotect(channel->reader, channel->page, PROT_READ);
	madvise(channel->memory, 2 * channel->page + 2 * channel->bytes, MADV_DONTFORK);
}

/* A tail that makes no sense is a full ring. */
static bool size_fits(const struct channel *channel, uint64_t tail, size_t size)
{
	const uint64_t used = channel->writer->head - tail;

	return used <= channel->bytes && channel->bytes - used >= size;
}

bool channel_has_room(const struct channel *channel, size_t size)
{
	return size_fits(channel, get(&channel->reader->tail), slot_size(size));
}

bool channel_put(struct channel *channel, const struct frame *frame)
{
	struct writer_page *writer = channel->writer;
	const uint64_t tail = get(&channel->reader->tail);
	const size_t size = slot_size(frame->size);
	char *slot;

	if (frame->size > FRAME_MOST || !size_fits(channel, tail, size))
		return false;
	/* Whatever the reader has to learn of this comes with the new head. */
	if (tail == writer->head)
		__atomic_store_n(&writer->base, writer->head, __ATOMIC_RELAXED);
	slot = slot_at(channel, writer->head);
	*(struct slot *)slot = (struct slot){
		.stream = frame->stream,
		.sequence = frame->sequence,
		.time = frame->time,
		.dropped = frame->dropped,
		.size = frame->size,
	};
	if (frame->size)
		memcpy(slot + sizeof(struct slot), frame->bytes, frame->size);
	channel->put++;
	set(&writer->head, writer->head + size);
	return true;
}

void channel_wake(struct channel *channel)
{
	const uint64_t head = channel->writer->head;
	uint64_t wake;

	if (channel->woken == head)
		return;
	channel->woken = head;
	barrier();
	wake = get(&channel->reader->wake);
	if (wake == NEVER || wake == channel->answered || (int64_t)(head - wake) <= 0)
		return;
	channel->answered = wake;
	event_add(channel->news);
}

int channel_wait_room(struct channel *channel, size_t size, int timeout_ms)
{
	struct pollfd fds[] = {{.fd = channel->room, .events = POLLIN},
			       {.fd = channel->life[0], .events = POLLIN}};
	const size_t needed = slot_size(size);
	size_t more = channel->bytes / 4; /* a wake-up for each frame would be a waste */
	int result = 0;

	if (size > FRAME_MOST || needed > channel->bytes)
		return -EMSGSIZE;
	if (more < needed)
		more = needed;
	set(&channel->writer->wanted, channel->writer->head + more - channel->bytes);
	barrier();
	channel_wake(channel);
	while (!result && !channel_has_room(channel, size)) {
		int ready = poll(fds, 2, timeout_ms);

		if (ready < 0)
			result = -errno;
		else if (fds[1].revents)
			result = -EPIPE;
		else if (!ready)
			result = -ETIMEDOUT;
		else
			event_clear(channel->room);
	}
	set(&channel->writer->wanted, 0);
	return result;
}

void channel_reopen(struct channel *channel)
{
	__atomic_fetch_add(&channel->writer->reopens, 1, __ATOMIC_RELEASE);
	event_add(channel->news);
}

void channel_close(struct channel *channel, uint64_t deadline)
{
	set(&channel->writer->deadline, deadline);
	__atomic_store_n(&channel->writer->closed, 1, __ATOMIC_RELEASE);
	event_add(channel->news);
}

void channel_state_read(const struct channel *channel, struct channel_state *state)
{
	const struct channel_state *theirs = &channel->reader->state;

	memcpy(state, theirs, sizeof(*state));
	/* A bool may be nothing but 0 and 1. */
	state->ended = *(const volatile unsigned char *)&theirs->ended != 0;
	state->gone = *(const volatile unsigned char *)&theirs->gone != 0;
	state->why[sizeof(state->why) - 1] = '\0';
}

uint64_t channel_waiting(const struct channel *channel)
{
	const uint64_t released = get(&channel->reader->released);

	return released > channel->put ? 0 : channel->put - released;
}

/* ---- the courier's side ---- */

static int poll_add(int poll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int channel_keep_reader(struct channel *channel)
{
	int error;

	fd_drop(&channel->life[0]);
	mprotect(channel->writer, channel->page, PROT_READ);
	mprotect(channel->ring, 2 * channel->bytes, PROT_READ);
	channel->poll = epoll_create1(EPOLL_CLOEXEC);
	if (channel->poll < 0)
		return -errno;
	error = poll_add(channel->poll, channel->news);
	return error ? error : poll_add(channel->poll, channel->life[1]);
}

void channel_fds(const struct channel *channel, int fds[CHANNEL_FDS])
{
	fds[0] = channel->news;
	fds[1] = channel->room;
	fds[2] = channel->life[1];
	fds[3] = channel->poll;
}

/* The slot at a position, copied: it is checked, and does not change any more. */
static bool slot_read(struct channel *channel, uint64_t position, uint64_t head, struct slot *slot)
{
	const uint64_t tail = channel->reader->tail;

	if (channel->broken || head - tail > channel->bytes ||
	    head - position < sizeof(struct slot) || head - position > channel->bytes) {
		channel->broken = true;
		return false;
	}
	memcpy(slot, slot_at(channel, position), sizeof(*slot));
	/* As the compiler may not read the size once more from the ring. */
	__asm__ volatile("" ::: "memory");
	if (slot->size > FRAME_MOST || slot_size(slot->size) > head - position)
		channel->broken = true;
	return !channel->broken;
}

uint64_t channel_frames(struct channel *channel)
{
	const uint64_t head = get(&channel->writer->head);
	struct slot slot;

	while (channel->known != head && slot_read(channel, channel->known, head, &slot)) {
		channel->known += slot_size(slot.size);
		channel->known_frames++;
	}
	return channel->broken ? 0 : channel->known_frames;
}

/* The cursor stands on the frame behind `skip` others, which is there. */
static bool cursor_move(struct channel *channel, uint64_t skip)
{
	struct slot slot;

	if (skip < channel->cursor_skip) {
		channel->cursor = channel->reader->tail;
		channel->cursor_skip = 0;
	}
	while (channel->cursor_skip < skip) {
		if (!slot_read(channel, channel->cursor, channel->known, &slot))
			return false;
		channel->cursor += slot_size(slot.size);
		channel->cursor_skip++;
	}
	return true;
}

bool channel_peek(struct channel *channel, uint64_t skip, struct frame *frame)
{
	struct slot slot;

	if (skip >= channel->known_frames && skip >= channel_frames(channel))
		return false;
	if (!cursor_move(channel, skip) ||
	    !slot_read(channel, channel->cursor, channel->known, &slot))
		return false;
	*frame = (struct frame){
		.stream = slot.stream,
		.sequence = slot.sequence,
		.time = slot.time,
		.dropped = slot.dropped,
		.size = slot.size,
		.bytes = slot_at(channel, channel->cursor) + sizeof(slot),
	};
	return true;
}

void channel_release(struct channel *channel, uint64_t frames)
{
	struct reader_page *reader = channel->reader;
	const uint64_t skip = channel->cursor_skip;
	uint64_t wanted, at;

	if (frames > channel->known_frames)
		frames = channel->known_frames;
	if (!frames || !cursor_move(channel, frames))
		return;
	at = channel->cursor;
	if (skip > frames) {
		/* It stood further on, and will be wanted there again. */
		cursor_move(channel, skip);
		channel->cursor_skip = skip - frames;
	} else {
		channel->cursor_skip = 0;
	}
	channel->known_frames -= frames;
	set(&reader->released, reader->released + frames);
	set(&reader->tail, at);
	barrier();
	wanted = get(&channel->writer->wanted);
	if (wanted && (int64_t)(at - wanted) >= 0)
		event_add(channel->room);
}

uint64_t channel_filled(const struct channel *channel)
{
	return channel->known - channel->reader->tail;
}

uint64_t channel_room(const struct channel *channel)
{
	return channel->bytes;
}

bool channel_sleep(struct channel *channel, uint64_t bytes)
{
	uint64_t wake = channel->reader->tail + bytes;

	if (bytes == NEVER || channel->broken) {
		set(&channel->reader->wake, NEVER);
		return true;
	}
	if ((int64_t)(wake - channel->known) < 0)
		wake = channel->known;
	set(&channel->reader->wake, wake);
	barrier();
	return (int64_t)(get(&channel->writer->head) - wake) <= 0;
}

int channel_fd(const struct channel *channel)
{
	return channel->poll;
}

void channel_news(struct channel *channel, struct channel_news *news)
{
	const struct writer_page *writer = channel->writer;
	struct pollfd life = {.fd = channel->life[1], .events = POLLIN};
	const uint32_t reopens = __atomic_load_n(&writer->reopens, __ATOMIC_ACQUIRE);

	event_clear(channel->news);
	set(&channel->reader->wake, NEVER);
	*news = (struct channel_news){.reopen = reopens != channel->reopens};
	channel->reopens = reopens;
	if (__atomic_load_n(&writer->closed, __ATOMIC_ACQUIRE)) {
		news->closed = true;
		news->deadline = get(&writer->deadline);
	}
	if (poll(&life, 1, 0) == 1 || channel->broken) {
		/* Level-triggered: it would be news for ever. */
		epoll_ctl(channel->poll, EPOLL_CTL_DEL, channel->life[1], NULL);
		news->closed = true;
	}
}

struct channel_state *channel_state(struct channel *channel)
{
	return &channel->reader->state;
}
