/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Segments are files NUMBER.spool, read from the lowest number on. Each run of the program
 * begins a new one, so that nothing is ever written behind a piece that a crash left half
 * done. The file `place` says up to where all is settled; it is a hint: without it frames
 * come twice, never not at all.
 */
#include "sink/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "sink/spool_inside.h"

#define SEGMENTS_MOST 65536
#define NOTE_NS INT64_C(1000000000) /* the place of what was never here is written so often */

static void segment_name(char name[32], uint64_t number)
{
	snprintf(name, 32, "%016" PRIu64 ".spool", number);
}

static uint32_t head_check(const struct spool_head *head, const char *bytes)
{
	uLong check = crc32(0, (const Bytef *)head, offsetof(struct spool_head, check));

	return (uint32_t)crc32(check, (const Bytef *)bytes, head->size);
}

uint32_t spool_mark_check(const struct spool_mark *mark)
{
	return (uint32_t)crc32(0, (const Bytef *)mark, offsetof(struct spool_mark, check));
}

bool spool_is_ours(const struct stat *status)
{
	return (status->st_uid == geteuid() || !status->st_uid) && !(status->st_mode & 022);
}

/* ---- the place ---- */

void spool_mark_write(struct spool *spool)
{
	const struct segment *segment = spool->segments + spool->settled.segment;
	struct spool_mark mark = {
		.magic = SPOOL_MAGIC,
		.segment = spool->settled.segment < spool->count ? segment->number
								 : spool->next_number,
		.offset = spool->settled.segment < spool->count ? spool->settled.offset : 0,
		.stream = spool->place.stream,
		.sequence = spool->place.sequence,
	};
	CLEANUP_FD int fd =
		openat(spool->folder, "place", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	mark.check = spool_mark_check(&mark);
	/* Without it frames come twice. */
	if (fd < 0 || pwrite(fd, &mark, sizeof(mark), 0) != (ssize_t)sizeof(mark))
		return;
	spool->noted = clock_ns(CLOCK_MONOTONIC);
	spool->unnoted = false;
}

/* ---- to read ---- */

static void reader_close(struct spool *spool)
{
	cleanup_fd(&spool->reader);
	spool->reader = -1;
	spool->buffer_length = 0;
}

int spool_reader_open(struct spool *spool, const struct segment *segment)
{
	struct stat status;
	char name[32];

	if (spool->reader >= 0 && spool->reading_of == segment->number)
		return 0;
	reader_close(spool);
	segment_name(name, segment->number);
	spool->reader = openat(spool->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (spool->reader < 0)
		return -errno;
	if (fstat(spool->reader, &status) || !S_ISREG(status.st_mode) || !spool_is_ours(&status)) {
		reader_close(spool);
		return -EPERM;
	}
	spool->reading_of = segment->number;
	return 0;
}

/* `size` bytes of the open segment, in the buffer. NULL: there are not so many. */
static const char *reader_bytes(struct spool *spool, uint64_t offset, size_t size)
{
	uint64_t skip = offset - spool->buffer_at;
	ssize_t got;

	if (offset >= spool->buffer_at && skip <= spool->buffer_length &&
	    spool->buffer_length - skip >= size)
		return spool->buffer + skip;
	do
		got = pread(spool->reader, spool->buffer, SPOOL_READ_ROOM, (off_t)offset);
	while (got < 0 && errno == EINTR);
	spool->buffer_at = offset;
	spool->buffer_length = got < 0 ? 0 : (size_t)got;
	return spool->buffer_length >= size ? spool->buffer : NULL;
}

bool spool_frame_read(struct spool *spool, uint64_t offset, struct frame *frame)
{
	const char *bytes = reader_bytes(spool, offset, sizeof(struct spool_head));
	struct spool_head head;

	if (!bytes)
		return false;
	memcpy(&head, bytes, sizeof(head));
	if (head.magic != SPOOL_MAGIC || head.size > FRAME_MOST || head.zero)
		return false;
	bytes = reader_bytes(spool, offset, sizeof(head) + head.size);
	if (!bytes || head.check != head_check(&head, bytes + sizeof(head)))
		return false;
	*frame = (struct frame){
		.stream = head.stream,
		.sequence = head.sequence,
		.time = head.time,
		.dropped = head.dropped,
		.size = head.size,
		.bytes = bytes + sizeof(head),
	};
	return true;
}

uint64_t spool_frame_room(const struct frame *frame)
{
	return sizeof(struct spool_head) + frame->size;
}

/* The frame there, or the first one in a segment behind it. 1, 0: the end, negative errno. */
static int cursor_look(struct spool *spool, struct cursor *cursor, struct frame *frame)
{
	while (cursor->segment < spool->count) {
		const struct segment *segment = &spool->segments[cursor->segment];
		int error;

		if (cursor->offset < segment->end) {
			error = spool_reader_open(spool, segment);
			if (error < 0)
				return error;
			/* It was whole when we looked or wrote. */
			return spool_frame_read(spool, cursor->offset, frame) ? 1 : -EIO;
		}
		if (cursor->segment + 1 == spool->count)
			break; /* more may come here */
		cursor->segment++;
		cursor->offset = 0;
	}
	return 0;
}

int spool_peek(struct spool *spool, uint64_t skip, struct frame *frame)
{
	struct cursor *cursor = &spool->cursor;

	if (skip < cursor->frame)
		*cursor = spool->settled;
	for (;;) {
		int found = cursor_look(spool, cursor, frame);

		if (found <= 0 || cursor->frame == skip)
			return found;
		cursor->offset += spool_frame_room(frame);
		cursor->frame++;
	}
}

/* ---- to settle ---- */

static void segment_remove(struct spool *spool, size_t index)
{
	struct segment *segment = &spool->segments[index];
	char name[32];

	segment_name(name, segment->number);
	unlinkat(spool->folder, name, 0);
	spool->bytes -= segment->size;
	spool->count--;
	memmove(segment, segment + 1, (spool->count - index) * sizeof(*segment));
}

void spool_sweep(struct spool *spool)
{
	if (!spool->frames)
		spool->settled.segment = spool->count;
	if (!spool->settled.segment)
		return;
	reader_close(spool);
	if (spool->settled.segment == spool->count) {
		cleanup_fd(&spool->writer);
		spool->writer = -1;
	}
	while (spool->settled.segment) {
		segment_remove(spool, 0);
		spool->settled.segment--;
	}
	if (!spool->count)
		spool->settled.offset = 0;
	spool->cursor = spool->settled;
}

int spool_settle(struct spool *spool, uint64_t frames)
{
	struct frame frame;
	int found = 1;

	/* Frames are short of each other's places on disk: they have to be walked. */
	spool->settled.frame = 0;
	for (; frames && found > 0; frames--) {
		found = cursor_look(spool, &spool->settled, &frame);
		if (found <= 0)
			break;
		spool->settled.offset += spool_frame_room(&frame);
		spool->segments[spool->settled.segment].frames--;
		spool->frames--;
		spool->place =
			(struct spool_place){.stream = frame.stream, .sequence = frame.sequence};
		if (spool->cursor.frame)
			spool->cursor.frame--;
		else
			spool->cursor = spool->settled;
	}
	while (spool->settled.segment + 1 < spool->count &&
	       spool->settled.offset >= spool->segments[spool->settled.segment].end) {
		spool->settled.segment++;
		spool->settled.offset = 0;
	}
	spool_sweep(spool);
	spool_mark_write(spool);
	return found < 0 ? found : 0;
}

void spool_note(struct spool *spool, const struct spool_place *place)
{
	spool->place = *place;
	spool->unnoted = true;
	if (clock_ns(CLOCK_MONOTONIC) - spool->noted >= NOTE_NS)
		spool_mark_write(spool);
}

void spool_leave_out(struct spool *spool)
{
	struct segment *segment = &spool->segments[spool->settled.segment];

	if (spool->settled.segment == spool->count)
		return;
	spool->frames -= segment->frames;
	segment->frames = 0;
	spool->damaged++;
	spool->settled.segment++;
	spool->settled.offset = 0;
	spool->settled.frame = 0;
	spool_sweep(spool);
	spool_mark_write(spool);
}

/* ---- to append ---- */

struct segment *spool_segment_add(struct spool *spool, uint64_t number)
{
	struct segment *grown;

	if (spool->count == SEGMENTS_MOST)
		return NULL;
	grown = reallocarray(spool->segments, spool->count + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	spool->segments = grown;
	grown += spool->count++;
	*grown = (struct segment){.number = number};
	if (spool->next_number <= number)
		spool->next_number = number + 1;
	return grown;
}

static int writer_begin(struct spool *spool)
{
	char name[32];
	int fd;

	segment_name(name, spool->next_number);
	fd = openat(spool->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0)
		return -errno;
	if (!spool_segment_add(spool, spool->next_number)) {
		close(fd);
		unlinkat(spool->folder, name, 0);
		return -ENOMEM;
	}
	cleanup_fd(&spool->writer);
	spool->writer = fd;
	return 0;
}

/* All of it or nothing. */
static int record_write(int fd, uint64_t offset, const struct spool_head *head, const char *bytes)
{
	struct iovec parts[] = {
		{.iov_base = (void *)head, .iov_len = sizeof(*head)},
		{.iov_base = (void *)bytes, .iov_len = head->size},
	};
	ssize_t wanted = (ssize_t)(sizeof(*head) + head->size), written;
	int error;

	do
		written = pwritev(fd, parts, 2, (off_t)offset);
	while (written < 0 && errno == EINTR);
	if (written == wanted)
		return 0;
	error = written < 0 ? errno : ENOSPC;
	/* Where even that fails, the checksum tells. */
	if (ftruncate(fd, (off_t)offset))
		return -error;
	return error == EDQUOT || error == EFBIG ? -ENOSPC : -error;
}

int spool_append(struct spool *spool, const struct frame *frame)
{
	struct spool_head head = {
		.magic = SPOOL_MAGIC,
		.stream = frame->stream,
		.sequence = frame->sequence,
		.time = frame->time,
		.dropped = frame->dropped,
		.size = frame->size,
	};
	struct segment *segment;
	int error;

	if (frame->size > FRAME_MOST)
		return -EMSGSIZE;
	if (spool->bytes + spool_frame_room(frame) > spool->most)
		return -ENOSPC;
	if (spool->writer < 0 || spool->segments[spool->count - 1].size >= spool->segment_most) {
		error = writer_begin(spool);
		if (error)
			return error == -EDQUOT ? -ENOSPC : error;
	}
	segment = &spool->segments[spool->count - 1];
	head.check = head_check(&head, frame->bytes);
	error = record_write(spool->writer, segment->size, &head, frame->bytes);
	if (error)
		return error;
	segment->size += spool_frame_room(frame);
	segment->end = segment->size;
	segment->frames++;
	spool->bytes += spool_frame_room(frame);
	spool->frames++;
	return 0;
}

void spool_place(const struct spool *spool, struct spool_place *place)
{
	*place = spool->place;
}

uint64_t spool_frames(const struct spool *spool)
{
	return spool->frames;
}

uint64_t spool_bytes(const struct spool *spool)
{
	return spool->bytes;
}

uint64_t spool_damaged(const struct spool *spool)
{
	return spool->damaged;
}
