/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sink_fake.h"

struct fake *fake;

/* Of the courier: what its connection has taken, and settled. */
static uint64_t taken, settled;
static bool connected, polled;
static struct frame deferred[100000]; /* from the settled one on */
static uint64_t deferred_count;

int fake_make(void **state)
{
	(void)state;
	fake = mmap(NULL, FAKES * sizeof(*fake), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return fake == MAP_FAILED ? -1 : 0;
}

int fake_remove(void **state)
{
	(void)state;
	return munmap(fake, FAKES * sizeof(*fake));
}

struct frame fake_frame(uint64_t sequence)
{
	static char bytes[64];
	const int length = snprintf(bytes, sizeof(bytes), "event %llu %.*s\n",
				    (unsigned long long)sequence, (int)(sequence % 30),
				    "..............................");

	return (struct frame){
		.stream = 7,
		.sequence = sequence,
		.time = (int64_t)sequence * 5,
		.size = (uint32_t)length,
		.bytes = bytes,
	};
}

static bool unlucky(void)
{
	return fake->chance && (unsigned int)random() % 1000 < fake->chance;
}

static int fake_prepare(struct sink *sink)
{
	srandom((unsigned int)getpid());
	fake += sink->spec->keep;
	fake->pid = getpid();
	polled = sink->ops->settled != NULL;
	fake->prepared++;
	fake->patience_early = _res.retrans * _res.retry;
	if (fake->prepare == 1)
		_exit(3);
	return fake->prepare ? sink_fail(sink, fake->prepare, "not prepared") : 0;
}

static int fake_open(struct sink *sink)
{
	if (fake->gone)
		return sink_fail(sink, -ESHUTDOWN, "gone for good");
	if (fake->away || unlucky())
		return sink_fail(sink, -ECONNREFUSED, "nobody is there");
	if (connected)
		abort();
	connected = true;
	taken = settled = deferred_count = 0;
	fake->opened++;
	fake->patience = _res.retrans * _res.retry;
	return 0;
}

static void fake_close(struct sink *sink)
{
	(void)sink;
	if (!connected)
		abort();
	connected = false;
	fake->closed++;
}

static void arrive(const struct frame *frame)
{
	const struct frame wanted = fake_frame(frame->sequence);

	if (fake->count == FAKE_ARRIVALS)
		abort();
	/* A record of a gap has bytes of its own. */
	if (frame->stream == 7 && !frame->dropped &&
	    (frame->size != wanted.size || memcmp(frame->bytes, wanted.bytes, wanted.size) != 0 ||
	     frame->time != wanted.time))
		abort();
	if (frame->dropped)
		snprintf(fake->gap, sizeof(fake->gap), "%.*s", (int)frame->size, frame->bytes);
	fake->arrived[fake->count] = *frame;
	fake->arrived[fake->count].bytes = NULL;
	__atomic_store_n(&fake->count, fake->count + 1, __ATOMIC_RELEASE);
}

static void frame_take(const struct frame *frame)
{
	/* Not before those that were deferred while the test had it so. */
	if (!polled || (!fake->defers && !deferred_count)) {
		arrive(frame);
		return;
	}
	if (deferred_count == sizeof(deferred) / sizeof(*deferred))
		abort();
	deferred[deferred_count++] = *frame;
}

static void deferred_arrive(void)
{
	for (uint64_t i = 0; i < deferred_count; i++) {
		/* Its bytes were a batch's. */
		struct frame frame = fake_frame(deferred[i].sequence);

		frame.dropped = deferred[i].dropped;
		arrive(&frame);
	}
	deferred_count = 0;
}

static bool is_bad(const struct frame *frame)
{
	return fake->bad && frame->sequence % fake->bad == 0;
}

static ssize_t fake_send(struct sink *sink, const struct frame *frames, size_t *count)
{
	size_t most = *count;

	if (!connected)
		abort();
	fake->sent++;
	while (fake->stuck)
		pause();
	while (fake->hangs && !fake->away)
		if (sink_wait(sink, -1, 0, 50) == -EINTR)
			return -EINTR;
	if (fake->gone)
		return sink_fail(sink, -ESHUTDOWN, "gone for good");
	if (fake->away || unlucky())
		return sink_fail(sink, -EPIPE, "it hung up");
	if (fake->stalls || unlucky())
		return -EAGAIN;
	for (size_t i = 0; i < *count; i++)
		if (is_bad(&frames[i])) {
			fake->alone += *count == 1;
			return sink_fail(sink, -EBADMSG, "a bad one");
		}
	if (fake->most && most > fake->most)
		most = fake->most;
	if (most && unlucky())
		most = (size_t)random() % most + 1;
	if (unlucky() && sink_wait(sink, -1, 0, 3) == -EINTR)
		return -EINTR;
	for (size_t i = 0; i < most; i++) {
		frame_take(&frames[i]);
		if (fake->breaks && !--fake->breaks)
			return sink_fail(sink, -ECONNRESET, "it broke");
		/* It has arrived, but nobody knows. */
		if (unlucky() && random() % 50 == 0)
			return sink_fail(sink, -ECONNRESET, "it broke");
	}
	taken += most;
	if (!fake->lags && !fake->slow && !unlucky()) {
		deferred_arrive();
		settled = taken;
	}
	for (size_t i = 0; i < most && fake->rejects; i++, fake->rejects--) {
		sink->rejected++;
		sink_fail(sink, 0, "it does not like some");
	}
	return (ssize_t)most;
}

static uint64_t fake_settled(struct sink *sink)
{
	static bool asked;

	(void)sink;
	/* Not at the first time: it takes a while. */
	if (fake->slow)
		asked = !asked;
	if (!fake->lags && !(fake->slow && asked)) {
		deferred_arrive();
		settled = taken;
	}
	return settled;
}

static unsigned int fake_settles_in(struct sink *sink)
{
	(void)sink;
	return 1;
}

static void fake_reopen(struct sink *sink)
{
	(void)sink;
	fake->reopened++;
}

static void fake_free(struct sink *sink)
{
	(void)sink;
	if (connected)
		abort();
	fake->freed++;
}

struct sink_ops fake_ops = {
	.prepare = fake_prepare,
	.open = fake_open,
	.send = fake_send,
	.reopen = fake_reopen,
	.close = fake_close,
	.free = fake_free,
};

const struct sink_ops fake_polled = {
	.prepare = fake_prepare,
	.open = fake_open,
	.send = fake_send,
	.settled = fake_settled,
	.settles_in_ms = fake_settles_in,
	.close = fake_close,
	.free = fake_free,
};

void fake_in_order(uint64_t first, uint64_t last)
{
	uint64_t next = first;

	for (uint64_t i = 0; i < fake->count; i++) {
		const struct frame *frame = &fake->arrived[i];

		while (fake->bad && next % fake->bad == 0)
			next++;
		if (frame->sequence > next)
			fail_msg("%llu arrived, and %llu did not",
				 (unsigned long long)frame->sequence, (unsigned long long)next);
		if (frame->sequence == next)
			next++;
	}
	while (fake->bad && next % fake->bad == 0)
		next++;
	assert_true(next > last);
}
