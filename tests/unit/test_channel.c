/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sink/channel.h"

#define RING (64u << 10)
#define SLOT 32 /* of a frame without bytes */

static struct channel *channel;
static char bytes[2 * FRAME_MOST];

static int channel_make(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + (i >> 8));
	channel = channel_new(RING);
	return channel ? 0 : -1;
}

static int channel_remove(void **state)
{
	(void)state;
	channel_free(channel);
	return 0;
}

static struct frame frame_make(uint64_t sequence, uint32_t size)
{
	return (struct frame){
		.stream = 7,
		.sequence = sequence,
		.time = (int64_t)(sequence * 3),
		.dropped = (uint32_t)sequence % 5,
		.size = size,
		.bytes = bytes + sequence % 100,
	};
}

static bool put(uint64_t sequence, uint32_t size)
{
	const struct frame frame = frame_make(sequence, size);

	return channel_put(channel, &frame);
}

static void seen(uint64_t skip, uint64_t sequence, uint32_t size)
{
	const struct frame wanted = frame_make(sequence, size);
	struct frame frame;

	assert_true(channel_peek(channel, skip, &frame));
	assert_int_equal(frame.stream, wanted.stream);
	assert_int_equal(frame.sequence, wanted.sequence);
	assert_int_equal(frame.time, wanted.time);
	assert_int_equal(frame.dropped, wanted.dropped);
	assert_int_equal(frame.size, size);
	assert_memory_equal(frame.bytes, wanted.bytes, size);
}

static void test_sizes(void **state)
{
	(void)state;
	assert_null(channel_new(RING - 1));
	assert_int_equal(errno, EINVAL);
	assert_null(channel_new(0));
}

static void test_one(void **state)
{
	struct frame frame;

	(void)state;
	assert_int_equal(channel_frames(channel), 0);
	assert_false(channel_peek(channel, 0, &frame));
	assert_true(put(1, 100));
	assert_int_equal(channel_waiting(channel), 1);
	assert_int_equal(channel_frames(channel), 1);
	seen(0, 1, 100);
	assert_false(channel_peek(channel, 1, &frame));
	channel_release(channel, 1);
	assert_int_equal(channel_waiting(channel), 0);
	assert_int_equal(channel_frames(channel), 0);
	assert_false(channel_peek(channel, 0, &frame));
	channel_release(channel, 1);
	assert_int_equal(channel_waiting(channel), 0);
}

static void test_empty_frame(void **state)
{
	struct frame frame = {.sequence = 9};

	(void)state;
	assert_true(channel_put(channel, &frame));
	assert_true(channel_peek(channel, 0, &frame));
	assert_int_equal(frame.size, 0);
	assert_int_equal(frame.sequence, 9);
}

static void test_full(void **state)
{
	unsigned int count = 0;

	(void)state;
	while (put(count, 1000))
		count++;
	assert_int_equal(count, RING / (SLOT + 1000));
	assert_int_equal(channel_waiting(channel), count);
	assert_false(channel_has_room(channel, 1000));
	assert_true(channel_has_room(channel, RING % (SLOT + 1000) - SLOT));
	/* What is smaller still fits. */
	assert_true(put(count, RING % (SLOT + 1000) - SLOT));
	assert_false(channel_put(channel, &(struct frame){0}));
	assert_int_equal(channel_frames(channel), count + 1);
	for (unsigned int i = 0; i < count; i++)
		seen(i, i, 1000);
	/* The next one has its bytes on both sides of the end. */
	channel_release(channel, 2);
	assert_true(put(count + 1, 1500));
	for (unsigned int i = 2; i < count; i++)
		seen(i - 2, i, 1000);
	seen(count - 1, count + 1, 1500);
}

static void test_too_big(void **state)
{
	struct frame frame = frame_make(0, FRAME_MOST + 1);

	(void)state;
	assert_false(channel_put(channel, &frame));
	assert_int_equal(channel_wait_room(channel, FRAME_MOST + 1, 0), -EMSGSIZE);
	channel_free(channel);
	channel = channel_new(2 * RING);
	assert_false(channel_put(channel, &frame));
	frame.size = FRAME_MOST;
	assert_true(channel_put(channel, &frame));
	frame.bytes = NULL;
	assert_true(channel_peek(channel, 0, &frame));
	assert_memory_equal(frame.bytes, bytes, FRAME_MOST);
	assert_int_equal(channel_wait_room(channel, FRAME_MOST + 1, 0), -EMSGSIZE);
}

/* A quiet channel takes the memory of one frame, not of all of the ring. */
static void test_rewinds(void **state)
{
	struct frame first, frame;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		assert_true(put(i, 500));
		seen(0, i, 500);
		channel_peek(channel, 0, &frame);
		if (!i)
			first = frame;
		assert_ptr_equal(first.bytes, frame.bytes);
		channel_release(channel, 1);
	}
}

/* ---- against a list ---- */

#define MODEL 4096

static void test_random(void **state)
{
	static uint32_t sizes[MODEL];
	uint64_t first = 0, next = 0;
	unsigned int refused = 0;

	(void)state;
	srandom(4711);
	for (unsigned int step = 0; step < 200000; step++) {
		unsigned int what = (unsigned int)random() % 8;
		uint64_t count = next - first;

		if (what < 4 && count < MODEL) {
			uint32_t size = (uint32_t)(random() % (random() % 50 ? 300 : 9000));

			sizes[next % MODEL] = size;
			if (put(next, size))
				next++;
			else
				refused++;
		} else if (what < 6 && count) {
			uint64_t skip = (uint64_t)random() % count;

			seen(skip, first + skip, sizes[(first + skip) % MODEL]);
		} else if (what == 6) {
			assert_int_equal(channel_frames(channel), count);
			assert_int_equal(channel_waiting(channel), count);
		} else {
			uint64_t frames = random() % 32 ? 0 : (uint64_t)random() % (count + 1);

			channel_frames(channel);
			channel_release(channel, frames);
			first += frames;
		}
	}
	assert_true(refused > 100);
	assert_true(next > 10000);
}

/* ---- wake-ups ---- */

/* How often the courier was woken up since the last time. */
static uint64_t wakes(void)
{
	int fds[CHANNEL_FDS];
	uint64_t count = 0;

	channel_fds(channel, fds);
	if (read(fds[0], &count, sizeof(count)) < 0)
		assert_int_equal(errno, EAGAIN);
	return count;
}

static void test_wakes_who_sleeps(void **state)
{
	struct channel_news news;

	(void)state;
	put(1, 10);
	channel_wake(channel);
	assert_int_equal(wakes(), 0); /* it does not sleep */
	assert_false(channel_sleep(channel, 0));
	assert_int_equal(channel_frames(channel), 1);
	assert_true(channel_sleep(channel, 0)); /* it knows of that one */
	channel_wake(channel);
	assert_int_equal(wakes(), 0);
	put(2, 10);
	put(3, 10);
	assert_int_equal(wakes(), 0); /* once a batch */
	channel_wake(channel);
	put(4, 10);
	channel_wake(channel);
	channel_wake(channel);
	assert_int_equal(wakes(), 1); /* and once a sleep */
	channel_news(channel, &news);
	assert_false(news.closed);
	assert_false(news.reopen);
	put(5, 10);
	channel_wake(channel);
	assert_int_equal(wakes(), 0);
}

static void test_wakes_for_so_much(void **state)
{
	(void)state;
	assert_true(channel_sleep(channel, 1000));
	for (unsigned int i = 0; i < 10; i++)
		put(i, 96 - SLOT);
	put(10, 40 - SLOT);
	channel_wake(channel);
	assert_int_equal(wakes(), 0);
	put(11, 0);
	channel_wake(channel);
	assert_int_equal(wakes(), 1);
	assert_false(channel_sleep(channel, 1000));
	channel_frames(channel);
	assert_int_equal(channel_filled(channel), 1000 + SLOT);
	assert_true(channel_sleep(channel, 1000)); /* nothing new */
	assert_true(channel_sleep(channel, UINT64_MAX));
	put(12, 5000);
	channel_wake(channel);
	assert_int_equal(wakes(), 0);
}

static void test_news(void **state)
{
	struct channel_news news;

	(void)state;
	channel_reopen(channel);
	assert_int_equal(wakes(), 1);
	channel_news(channel, &news);
	assert_true(news.reopen);
	assert_false(news.closed);
	channel_news(channel, &news);
	assert_false(news.reopen);
	channel_close(channel, 12345);
	channel_news(channel, &news);
	assert_true(news.closed);
	assert_int_equal(news.deadline, 12345);
}

/* ---- two processes ---- */

static void child_good(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void reader_main(unsigned int count) __attribute__((noreturn));

/* Takes `count` frames, asleep whenever it can. */
static void reader_main(unsigned int count)
{
	struct pollfd one = {.events = POLLIN};
	struct channel_news news;
	uint64_t next = 0;

	if (channel_keep_reader(channel))
		_exit(10);
	one.fd = channel_fd(channel);
	while (next < count) {
		uint64_t frames = channel_frames(channel);
		struct frame frame;

		for (uint64_t i = 0; i < frames; i++, next++)
			if (!channel_peek(channel, i, &frame) || frame.sequence != next ||
			    memcmp(frame.bytes, bytes + next % 100, frame.size) != 0)
				_exit(11);
		channel_release(channel, frames);
		if (!frames && channel_sleep(channel, 0) && poll(&one, 1, 20000) != 1)
			_exit(12);
		channel_news(channel, &news);
		if (news.closed)
			_exit(13);
	}
	/* Neither side writes to what is the other's. */
	_exit(0);
}

static void test_two(void **state)
{
	const unsigned int count = 100000;
	pid_t child = fork();

	(void)state;
	if (!child)
		reader_main(count);
	channel_keep_writer(channel);
	for (unsigned int i = 0; i < count; i++) {
		while (!put(i, i * 7919 % 1200)) {
			int error = channel_wait_room(channel, i * 7919 % 1200, 20000);

			assert_true(!error || error == -EINTR);
		}
		if (i % 3 == 0)
			channel_wake(channel);
	}
	channel_wake(channel);
	child_good(child);
	assert_int_equal(channel_waiting(channel), 0);
	assert_int_equal(channel_wait_room(channel, 100, 0), 0);
}

static void test_courier_dies(void **state)
{
	pid_t child = fork();

	(void)state;
	if (!child) {
		channel_keep_reader(channel);
		pause();
	}
	channel_keep_writer(channel);
	while (put(0, 1000))
		;
	assert_int_equal(channel_wait_room(channel, 1000, 0), -ETIMEDOUT);
	kill(child, SIGKILL);
	assert_int_equal(channel_wait_room(channel, 1000, 20000), -EPIPE);
	waitpid(child, NULL, 0);
}

/* What a program that was killed had put stays. */
static void test_program_dies(void **state)
{
	struct pollfd one = {.events = POLLIN};
	struct channel_news news;
	pid_t child = fork();

	(void)state;
	if (!child) {
		channel_keep_writer(channel);
		put(0, 1000);
		put(1, 1000);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(channel_keep_reader(channel), 0);
	one.fd = channel_fd(channel);
	waitpid(child, NULL, 0);
	assert_int_equal(poll(&one, 1, 20000), 1);
	channel_news(channel, &news);
	assert_true(news.closed);
	assert_int_equal(news.deadline, 0);
	assert_int_equal(channel_frames(channel), 2);
	seen(1, 1, 1000);
	/* It is no news any more. */
	assert_int_equal(poll(&one, 1, 0), 0);
	channel_news(channel, &news);
	assert_true(news.closed);
}

/* A child that is forked later has nothing of it. */
static void test_not_inherited(void **state)
{
	pid_t child;
	int status;

	(void)state;
	channel_keep_writer(channel);
	child = fork();
	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		_exit(put(0, 1) ? 1 : 2);
	}
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
}

/* ---- the other side is not trusted ---- */

/* The tail, how many were released, and the wish to be woken stand before the state. */
static uint64_t *reader_page(void)
{
	return (uint64_t *)(void *)channel_state(channel) - 3;
}

static uint64_t *writer_page(void)
{
	return reader_page() - sysconf(_SC_PAGESIZE) / (long)sizeof(uint64_t);
}

static uint64_t nonsense(uint64_t near)
{
	switch (random() % 5) {
	case 0:
		return (uint64_t)random() << 33 ^ (uint64_t)random();
	case 1:
		return near + (uint64_t)(random() % 100000);
	case 2:
		return near - (uint64_t)(random() % 100000);
	case 3:
		return UINT64_MAX;
	}
	return near;
}

static void test_hostile_courier(void **state)
{
	struct channel_state copy;
	uint64_t head = 0;

	(void)state;
	assert_true(put(0, 100));
	reader_page()[0] = writer_page()[0] + 8;
	assert_false(put(1, 100));
	assert_false(channel_has_room(channel, 0));
	srandom(1);
	for (unsigned int i = 1; i < 200000; i++) {
		uint64_t *page = reader_page();

		page[0] = nonsense(head);
		page[1] = nonsense(i);
		page[2] = nonsense(head);
		if (put(i, (uint32_t)random() % 70000))
			head = writer_page()[0];
		channel_wake(channel);
		assert_true(channel_waiting(channel) <= i + 1);
		channel_has_room(channel, 100);
	}
	memset(channel_state(channel), 0xff, sizeof(struct channel_state));
	channel_state_read(channel, &copy);
	assert_true(copy.ended);
	assert_int_equal(strlen(copy.why), sizeof(copy.why) - 1);
}

static uint32_t *ring(void)
{
	return (uint32_t *)(void *)(writer_page() +
				    2 * sysconf(_SC_PAGESIZE) / (long)sizeof(uint64_t));
}

/* What cannot be is the end of it. */
static void broken(void)
{
	struct channel_news news;
	struct frame frame;

	assert_int_equal(channel_frames(channel), 0);
	assert_false(channel_peek(channel, 0, &frame));
	channel_release(channel, 1);
	channel_news(channel, &news);
	assert_true(news.closed);
}

static void test_impossible_size(void **state)
{
	(void)state;
	channel_free(channel);
	channel = channel_new(4 * RING);
	put(1, FRAME_MOST);
	put(2, FRAME_MOST);
	ring()[7] = FRAME_MOST + 1;
	broken();
}

static void test_impossible_end(void **state)
{
	(void)state;
	put(1, 100);
	ring()[7] = 101 + 8;
	broken();
}

static void test_impossible_head(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < RING / (SLOT + 32); i++)
		assert_true(put(i, 32));
	writer_page()[0] += SLOT + 32; /* more than there can be */
	broken();
}

static void test_hostile_program(void **state)
{
	(void)state;
	srandom(2);
	for (unsigned int i = 0; i < 2000; i++) {
		struct frame frame;
		unsigned int sum = 0;
		uint64_t frames;

		channel_free(channel);
		channel = channel_new(RING);
		while (put(0, (uint32_t)random() % 3000))
			;
		for (unsigned int step = 0; step < 20; step++) {
			uint64_t *page = writer_page();

			if (random() % 4 == 0)
				page[random() % 3] = nonsense(page[0]);
			ring()[(size_t)random() % (RING / sizeof(uint32_t))] = (uint32_t)random();
			frames = channel_frames(channel);
			assert_true(frames <= RING / SLOT);
			for (uint64_t at = 0; at < frames; at++) {
				if (!channel_peek(channel, at, &frame))
					break;
				for (uint32_t k = 0; k < frame.size; k++)
					sum += (unsigned char)frame.bytes[k];
			}
			channel_release(channel, frames ? (uint64_t)random() % frames : 1);
		}
		assert_true(sum != 1);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, channel_make, channel_remove)
	const struct CMUnitTest tests[] = {
		TEST(test_sizes),
		TEST(test_one),
		TEST(test_empty_frame),
		TEST(test_full),
		TEST(test_too_big),
		TEST(test_rewinds),
		TEST(test_random),
		TEST(test_wakes_who_sleeps),
		TEST(test_wakes_for_so_much),
		TEST(test_news),
		TEST(test_two),
		TEST(test_courier_dies),
		TEST(test_program_dies),
		TEST(test_not_inherited),
		TEST(test_hostile_courier),
		TEST(test_impossible_size),
		TEST(test_impossible_end),
		TEST(test_impossible_head),
		TEST(test_hostile_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
