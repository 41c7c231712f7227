/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A spool that somebody else has written: two segments and the place, each behind its
 * length (two bytes, little-endian). What is in it comes out once, in order, and what is
 * put behind it as well.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sink/spool.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static char folder[64];

static void file_write(const char *name, const uint8_t **data, size_t *size)
{
	size_t length = *size < 2 ? 0 : (*data)[0] | (size_t)(*data)[1] << 8;
	char path[128];
	int fd;

	*data += *size < 2 ? *size : 2;
	*size -= *size < 2 ? *size : 2;
	length = length > *size ? *size : length;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, *data, length) == (ssize_t)length);
	close(fd);
	*data += length;
	*size -= length;
}

static void folder_remove(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (system(command))
		_exit(1);
}

static void folder_make(void)
{
	if (*folder)
		return;
	snprintf(folder, sizeof(folder), "/tmp/portsnoop-fuzz.XXXXXX");
	CHECK(mkdtemp(folder));
	atexit(folder_remove);
}

static void segments_remove(void)
{
	char path[128];

	for (unsigned int i = 1; i < 6; i++) {
		snprintf(path, sizeof(path), "%s/%016u.spool", folder, i);
		unlink(path);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame frame, own = {.stream = 1, .sequence = 2, .size = 3, .bytes = "abc"};
	struct spool *spool;
	uint64_t count, seen = 0;
	char why[200];

	folder_make();
	segments_remove();
	file_write("0000000000000001.spool", &data, &size);
	file_write("0000000000000003.spool", &data, &size);
	file_write("place", &data, &size);
	CHECK(!spool_open(folder, 1 << 20, &spool, why, sizeof(why)));
	count = spool_frames(spool);
	while (spool_peek(spool, seen, &frame) == 1) {
		CHECK(frame.size <= FRAME_MOST);
		CHECK(!frame.size || memchr(frame.bytes, frame.bytes[0], frame.size));
		seen++;
	}
	CHECK(seen == count);
	CHECK(!spool_append(spool, &own));
	CHECK(spool_peek(spool, count, &frame) == 1 && frame.size == 3);
	CHECK(!spool_settle(spool, count));
	CHECK(spool_frames(spool) == 1 && spool_peek(spool, 0, &frame) == 1 && frame.sequence == 2);
	spool_close(spool);
	CHECK(!spool_open(folder, 1 << 20, &spool, why, sizeof(why)));
	CHECK(spool_frames(spool) == 1);
	CHECK(!spool_settle(spool, 1));
	spool_close(spool);
	return 0;
}
