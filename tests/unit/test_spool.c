/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "draw.h"
#include "sink/spec.h"
#include "sink/spool.h"

#define STREAM 0x7f3a

static char room[64], folder[80];

static int room_make(void **state)
{
	(void)state;
	snprintf(room, sizeof(room), "/tmp/portsnoop-spool.XXXXXX");
	if (!mkdtemp(room))
		return -1;
	snprintf(folder, sizeof(folder), "%s/all/one", room);
	return 0;
}

static int room_remove(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", room);
	return system(command);
}

static struct spool *begin(uint64_t most)
{
	struct spool *spool;
	char why[200] = "";

	if (spool_open(folder, most, &spool, why, sizeof(why)))
		fail_msg("%s", why);
	return spool;
}

/* Bytes that tell which frame they are of, and none of them is like the others. */
static struct frame frame_make(uint64_t sequence)
{
	static char bytes[FRAME_MOST];
	size_t size = 20 + sequence * 7919 % 900;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(sequence * 31 + i * 7);
	return (struct frame){
		.stream = STREAM,
		.sequence = sequence,
		.time = (int64_t)sequence * 1000,
		.dropped = sequence % 5 ? 0 : 3,
		.size = (uint32_t)size,
		.bytes = bytes,
	};
}

static void append(struct spool *spool, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i <= to; i++) {
		struct frame frame = frame_make(i);

		assert_int_equal(spool_append(spool, &frame), 0);
	}
}

static void is_frame(const struct frame *frame, uint64_t sequence)
{
	struct frame wanted = frame_make(sequence);

	assert_int_equal(frame->sequence, sequence);
	assert_int_equal(frame->stream, STREAM);
	assert_int_equal(frame->time, wanted.time);
	assert_int_equal(frame->dropped, wanted.dropped);
	assert_int_equal(frame->size, wanted.size);
	assert_memory_equal(frame->bytes, wanted.bytes, wanted.size);
}

/* All that is there: from..to, and nothing else. */
static void expect(struct spool *spool, uint64_t from, uint64_t to)
{
	struct frame frame;
	uint64_t count = to + 1 - from;

	assert_int_equal(spool_frames(spool), count);
	for (uint64_t i = 0; i < count; i++) {
		assert_int_equal(spool_peek(spool, i, &frame), 1);
		is_frame(&frame, from + i);
	}
	assert_int_equal(spool_peek(spool, count, &frame), 0);
}

static void test_order(void **state)
{
	struct spool *spool = begin(SPOOL_MOST);
	struct spool_place place;

	(void)state;
	expect(spool, 1, 0);
	append(spool, 1, 100);
	expect(spool, 1, 100);
	assert_int_equal(spool_settle(spool, 40), 0);
	expect(spool, 41, 100);
	spool_close(spool);
	spool = begin(SPOOL_MOST);
	spool_place(spool, &place);
	assert_int_equal(place.stream, STREAM);
	assert_int_equal(place.sequence, 40);
	expect(spool, 41, 100);
	append(spool, 101, 120);
	expect(spool, 41, 120);
	assert_int_equal(spool_settle(spool, 80), 0);
	expect(spool, 1, 0);
	assert_int_equal(spool_bytes(spool), 0);
	append(spool, 121, 121);
	expect(spool, 121, 121);
	assert_int_equal(spool_settle(spool, 1), 0);
	place.sequence = 200;
	spool_note(spool, &place);
	spool_close(spool);
	spool = begin(SPOOL_MOST);
	spool_place(spool, &place);
	assert_int_equal(place.sequence, 200);
	expect(spool, 1, 0);
	assert_int_equal(spool_damaged(spool), 0);
	spool_close(spool);
}

/* The same things done to a list of numbers. */
static void test_random(void **state)
{
	struct spool *spool = begin(256 << 10);
	uint64_t first = 1, next = 1, refused = 0;
	struct frame frame;

	(void)state;
	for (unsigned int turn = 0; turn < 20000; turn++) {
		uint64_t what = draw(100), count = next - first;

		if (what < 68) {
			struct frame more = frame_make(next);
			int error = spool_append(spool, &more);

			assert_true(!error || error == -ENOSPC);
			next += !error;
			refused += error != 0;
		} else if (what < 88) {
			uint64_t skip = count ? draw(count) : 0;

			assert_int_equal(spool_peek(spool, skip, &frame), count != 0);
			if (count)
				is_frame(&frame, first + skip);
		} else if (what < 99) {
			uint64_t some = count ? draw(count < 9 ? count + 1 : 9) : 0;

			assert_int_equal(spool_settle(spool, some), 0);
			first += some;
		} else {
			spool_close(spool);
			spool = begin(256 << 10);
		}
		assert_int_equal(spool_frames(spool), next - first);
		assert_true(spool_bytes(spool) <= 256 << 10);
	}
	assert_true(refused > 10);
	assert_true(next > 2000);
	expect(spool, first, next - 1);
	spool_close(spool);
}

/* Room comes back while frames keep coming. */
static void test_limit(void **state)
{
	struct spool *spool = begin(64 << 10);
	struct frame frame = frame_make(1);
	uint64_t first = 1, next = 1;

	(void)state;
	while (!spool_append(spool, &frame))
		frame = frame_make(++next);
	assert_true(next > 60);
	expect(spool, 1, next - 1);
	for (unsigned int i = 0; i < 1000; i++) {
		assert_int_equal(spool_settle(spool, 40), 0);
		first += 40;
		for (unsigned int j = 0; j < 40; j++, next++) {
			frame = frame_make(next);
			if (spool_append(spool, &frame))
				break;
		}
		if (next - first < 20)
			fail_msg("no room in turn %u", i);
	}
	expect(spool, first, next - 1);
	spool_close(spool);
}

static void test_disk_full(void **state)
{
	struct rlimit before, small;
	struct spool *spool = begin(SPOOL_MOST);
	struct frame frame = frame_make(1);
	uint64_t next = 1;
	int error;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 10000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (!(error = spool_append(spool, &frame)))
		frame = frame_make(++next);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(error, -ENOSPC);
	append(spool, next, next + 10);
	expect(spool, 1, next + 10);
	spool_close(spool);
	spool = begin(SPOOL_MOST);
	assert_int_equal(spool_damaged(spool), 0);
	expect(spool, 1, next + 10);
	spool_close(spool);
}

static void segment_path(char path[160], unsigned int number)
{
	snprintf(path, 160, "%s/%016u.spool", folder, number);
}

static void byte_change(unsigned int number, off_t offset)
{
	char path[160], byte;
	int fd;

	segment_path(path, number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
	close(fd);
}

/* A frame that a crash cut, and one that the disk changed: what is before them, and the
 * segments behind, are there. */
static void test_damage(void **state)
{
	struct spool *spool = begin(SPOOL_MOST);
	struct stat status;
	struct frame frame;
	char path[160];

	(void)state;
	append(spool, 1, 10);
	spool_close(spool);
	segment_path(path, 1);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(truncate(path, status.st_size - 1), 0);
	spool = begin(SPOOL_MOST);
	assert_int_equal(spool_damaged(spool), 1);
	expect(spool, 1, 9);
	append(spool, 10, 20);
	expect(spool, 1, 20);
	spool_close(spool);
	byte_change(2, 70);
	spool = begin(SPOOL_MOST);
	assert_int_equal(spool_damaged(spool), 2);
	expect(spool, 1, 9);
	append(spool, 10, 12);
	assert_int_equal(spool_peek(spool, 9, &frame), 1);
	is_frame(&frame, 10);
	spool_close(spool);
	for (int i = 0; i < 80; i += 13) {
		byte_change(3, i);
		spool = begin(SPOOL_MOST);
		expect(spool, 1, 9);
		spool_close(spool);
		byte_change(3, i);
	}
}

/* Without the place frames come once more, and none is missing. */
static void test_place_lost(void **state)
{
	struct spool *spool = begin(SPOOL_MOST);
	char path[100];

	(void)state;
	append(spool, 1, 10);
	assert_int_equal(spool_settle(spool, 4), 0);
	spool_close(spool);
	snprintf(path, sizeof(path), "%s/place", folder);
	assert_int_equal(truncate(path, 20), 0);
	spool = begin(SPOOL_MOST);
	expect(spool, 1, 10);
	spool_close(spool);
}

static void refuse(int error, const char *words)
{
	struct spool *spool = NULL;
	char why[200] = "";

	assert_int_equal(spool_open(folder, SPOOL_MOST, &spool, why, sizeof(why)), error);
	assert_null(spool);
	if (!strstr(why, words))
		fail_msg("'%s' is not in: %s", words, why);
}

static void test_hostile(void **state)
{
	struct spool *spool = begin(SPOOL_MOST);
	char path[160], target[100];

	(void)state;
	refuse(-EBUSY, "another portsnoop uses it");
	append(spool, 1, 10);
	spool_close(spool);
	assert_int_equal(chmod(folder, 0777), 0);
	refuse(-EPERM, "others could write to it");
	assert_int_equal(chmod(folder, 0700), 0);
	/* A segment that is a link to a good one counts as damaged. */
	segment_path(path, 1);
	snprintf(target, sizeof(target), "%s/elsewhere", room);
	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink(target, path), 0);
	spool = begin(SPOOL_MOST);
	assert_int_equal(spool_damaged(spool), 1);
	expect(spool, 1, 0);
	spool_close(spool);
	assert_int_equal(access(target, F_OK), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	spool = begin(SPOOL_MOST);
	assert_int_equal(spool_damaged(spool), 1);
	spool_close(spool);
	snprintf(path, sizeof(path), "%s.real", folder);
	assert_int_equal(rename(folder, path), 0);
	assert_int_equal(symlink(path, folder), 0);
	refuse(-ENOTDIR, "Not a directory");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, room_make, room_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order),  TEST(test_random),	  TEST(test_limit),   TEST(test_disk_full),
		TEST(test_damage), TEST(test_place_lost), TEST(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
