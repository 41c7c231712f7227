/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a spool finds in its folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/order.h"
#include "lib/parse.h"
#include "sink/spool_inside.h"

static int fail(char *why, size_t size, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int fail(char *why, size_t size, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, size, format, arguments);
	va_end(arguments);
	return error;
}

static bool mark_read(int folder, struct spool_mark *mark)
{
	CLEANUP_FD int fd = openat(folder, "place", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;

	return fd >= 0 && !fstat(fd, &status) && S_ISREG(status.st_mode) &&
	       spool_is_ours(&status) && read(fd, mark, sizeof(*mark)) == (ssize_t)sizeof(*mark) &&
	       mark->magic == SPOOL_MAGIC && mark->check == spool_mark_check(mark);
}

/* Counts the whole frames of a segment; behind the first damage all of it is left out. */
static void segment_scan(struct spool *spool, struct segment *segment)
{
	struct frame frame;
	struct stat status;

	if (spool_reader_open(spool, segment) || fstat(spool->reader, &status)) {
		spool->damaged++;
		return;
	}
	segment->size = (uint64_t)status.st_size;
	while (segment->end < segment->size && spool_frame_read(spool, segment->end, &frame)) {
		segment->end += spool_frame_room(&frame);
		segment->frames++;
	}
	if (segment->end < segment->size)
		spool->damaged++;
	spool->bytes += segment->size;
	spool->frames += segment->frames;
}

static int segment_compare(const void *a, const void *b)
{
	return number_compare(((const struct segment *)a)->number,
			      ((const struct segment *)b)->number);
}

static int segments_find(struct spool *spool)
{
	int fd = openat(spool->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_DIR DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!folder) {
		int error = -errno;

		cleanup_fd(&fd);
		return error;
	}
	while ((entry = readdir(folder))) {
		char number[17];
		uint64_t value;

		if (strlen(entry->d_name) != 22 || strcmp(entry->d_name + 16, ".spool") != 0)
			continue;
		memcpy(number, entry->d_name, 16);
		number[16] = '\0';
		if (!parse_unsigned(number, 0, UINT64_C(9999999999999998), &value) &&
		    !spool_segment_add(spool, value))
			return -ENOMEM;
	}
	if (spool->count)
		qsort(spool->segments, spool->count, sizeof(*spool->segments), segment_compare);
	return 0;
}

/* Leaves out what the mark says is settled. */
static void mark_take(struct spool *spool)
{
	struct cursor *settled = &spool->settled;
	struct spool_mark mark;
	struct frame frame;

	if (!mark_read(spool->folder, &mark))
		return;
	spool->place = (struct spool_place){.stream = mark.stream, .sequence = mark.sequence};
	if (spool->next_number < mark.segment && mark.segment < UINT64_C(9999999999999999))
		spool->next_number = mark.segment;
	while (settled->segment < spool->count) {
		struct segment *segment = &spool->segments[settled->segment];

		if (segment->number > mark.segment ||
		    (segment->number == mark.segment && settled->offset >= mark.offset))
			break;
		if (settled->offset >= segment->end) {
			if (settled->segment + 1 == spool->count)
				break;
			settled->segment++;
			settled->offset = 0;
			continue;
		}
		if (spool_reader_open(spool, segment) ||
		    !spool_frame_read(spool, settled->offset, &frame))
			break;
		settled->offset += spool_frame_room(&frame);
		segment->frames--;
		spool->frames--;
	}
	spool->cursor = *settled;
}

static int folder_take(const char *path, struct spool *spool, char *why, size_t size)
{
	CLEANUP_FREE char *parent = strdup(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;
	struct stat status;

	if (slash && slash != parent) {
		*slash = '\0';
		mkdir(parent, 0700);
	}
	mkdir(path, 0700);
	spool->folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (spool->folder < 0)
		return fail(why, size, -errno, "the spool %s: %s", path, strerror(errno));
	if (fstat(spool->folder, &status) || !spool_is_ours(&status))
		return fail(why, size, -EPERM,
			    "the spool %s: others could write to it: it has to belong to the one "
			    "who runs this, with mode 0700",
			    path);
	spool->lock =
		openat(spool->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (spool->lock < 0)
		return fail(why, size, -errno, "the spool %s: %s", path, strerror(errno));
	if (flock(spool->lock, LOCK_EX | LOCK_NB))
		return fail(why, size, -EBUSY, "the spool %s: another portsnoop uses it", path);
	return 0;
}

static void spool_free(struct spool *spool)
{
	cleanup_fd(&spool->writer);
	cleanup_fd(&spool->reader);
	cleanup_fd(&spool->lock);
	cleanup_fd(&spool->folder);
	free(spool->segments);
	free(spool->buffer);
	free(spool);
}

static int spool_load(struct spool *spool, const char *path, char *why, size_t size)
{
	int error = folder_take(path, spool, why, size);

	if (error)
		return error;
	error = segments_find(spool);
	if (error)
		return fail(why, size, error, "the spool %s: %s", path, strerror(-error));
	for (size_t i = 0; i < spool->count; i++)
		segment_scan(spool, &spool->segments[i]);
	mark_take(spool);
	spool_sweep(spool);
	return 0;
}

int spool_open(const char *folder, uint64_t most, struct spool **spool, char *why, size_t size)
{
	struct spool *made = calloc(1, sizeof(*made));
	int error;

	if (!made)
		return fail(why, size, -ENOMEM, "%s", strerror(ENOMEM));
	made->folder = made->lock = made->writer = made->reader = -1;
	made->most = most;
	/* Room comes back a segment at a time. */
	made->segment_most = most / 4 < SPOOL_SEGMENT ? most / 4 : SPOOL_SEGMENT;
	made->next_number = 1;
	made->buffer = malloc(SPOOL_READ_ROOM);
	error = made->buffer ? spool_load(made, folder, why, size)
			     : fail(why, size, -ENOMEM, "%s", strerror(ENOMEM));
	if (error) {
		spool_free(made);
		return error;
	}
	*spool = made;
	return 0;
}

void spool_close(struct spool *spool)
{
	if (!spool)
		return;
	if (spool->unnoted)
		spool_mark_write(spool);
	spool_free(spool);
}
