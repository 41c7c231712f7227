/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/reader.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "guard/guard.h"
#include "probe/attach.h"
#include "probe/ring.h"

/* Between two looks at a busy ring: long enough for a batch, short enough for
 * the eye, and a fraction of what the ring holds at the highest rates measured. */
#define NAP_MS 5
/* Moved at a time; the backlog's reader may have to wait for it. */
#define BATCH 1024
/* Where wake-ups are not ordered by an atomic addition that returns (before 5.12),
 * one could be missed. */
#define SLEEP_WITHOUT_FETCH_MS 500
#define PRIORITY (-20)

struct reader {
	struct probe *probe;
	struct backlog *backlog;
	struct ring *ring;
	pthread_t thread;
	int finish;    /* readable: reader_finish() was called */
	sem_t settled; /* it has given up its privileges, or could not: error */
	int error;
};

static int record_move(void *context, void *record, size_t size)
{
	return backlog_append(context, record, size);
}

static int batch_move(struct reader *reader)
{
	int count;

	backlog_begin(reader->backlog);
	count = backlog_full(reader->backlog) ? -EAGAIN : ring_drain(reader->ring, BATCH);
	backlog_end(reader->backlog);
	return count;
}

/* How long nothing needs to be done, ms; -1: until the ring says so. */
static int idle_time(struct reader *reader, int moved)
{
	if (moved == BATCH)
		return 0;
	if (moved)
		return NAP_MS;
	if (!ring_may_sleep(reader->ring))
		return 0;
	return probe_fetch(reader->probe) ? -1 : SLEEP_WITHOUT_FETCH_MS;
}

static void *reader_run(void *context)
{
	struct reader *reader = context;
	struct pollfd finish = {.fd = reader->finish, .events = POLLIN};
	bool last = false;
	int moved;

	/* Of this thread alone, as Linux has it. Without CAP_SYS_NICE it is as before. */
	setpriority(PRIO_PROCESS, 0, PRIORITY);
	/* From here on it moves memory, and needs nothing else. */
	reader->error = guard_thread();
	sem_post(&reader->settled);
	if (reader->error)
		return NULL;
	for (;;) {
		moved = batch_move(reader);
		if (moved == -EAGAIN) {
			backlog_await_room(reader->backlog);
			continue;
		}
		if (moved < 0 || (last && !moved))
			break;
		if (!last) {
			int timeout = idle_time(reader, moved);
			/* A nap is not to be cut short by a wake-up that was on its way. */
			struct pollfd fds[] = {finish,
					       {.fd = ring_fd(reader->ring), .events = POLLIN}};

			if (timeout)
				poll(fds, timeout == NAP_MS ? 1 : 2, timeout);
			else
				poll(fds, 1, 0);
			last = fds[0].revents;
		}
	}
	backlog_close(reader->backlog, moved < 0 ? moved : 0);
	return NULL;
}

struct reader *reader_start(struct probe *probe, struct backlog *backlog)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	sigset_t all, before;
	int error;

	if (!reader)
		return NULL;
	reader->probe = probe;
	reader->backlog = backlog;
	reader->finish = eventfd(0, EFD_CLOEXEC);
	if (reader->finish < 0) {
		free(reader);
		return NULL;
	}
	sem_init(&reader->settled, 0, 0);
	reader->ring = ring_open(probe, record_move, backlog);
	if (!reader->ring) {
		error = errno;
		goto fail;
	}
	/* Signals are for the thread that waits for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&reader->thread, NULL, reader_run, reader);
	if (!error) {
		sem_wait(&reader->settled); /* no signal interrupts it here */
		error = -reader->error;
		if (error)
			pthread_join(reader->thread, NULL);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error)
		return reader;
fail:
	ring_close(reader->ring);
	sem_destroy(&reader->settled);
	close(reader->finish);
	free(reader);
	errno = error;
	return NULL;
}

void reader_finish(struct reader *reader)
{
	uint64_t one = 1;

	if (write(reader->finish, &one, sizeof(one)) < 0)
		abort(); /* a counter of small numbers takes one more */
}

void reader_free(struct reader *reader)
{
	if (!reader)
		return;
	pthread_join(reader->thread, NULL);
	ring_close(reader->ring);
	sem_destroy(&reader->settled);
	close(reader->finish);
	free(reader);
}
