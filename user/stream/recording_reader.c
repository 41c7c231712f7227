/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/cleanup.h"
#include "lib/signals.h"
#include "stream/recording.h"

/* Enough for the frames that recording.c writes; grows up to the largest one. */
#define READ_AHEAD (256u << 10)
#define WHY_MOST 200

/* Everything in the file has a length that is a multiple of 8, and `start` and
 * `offset` move together: what is aligned in the file is so in memory. */
struct recording_reader {
	int fd;
	bool own;	 /* fd is to be closed */
	bool started;	 /* the file's header was read */
	bool ended;	 /* WIRE_STREAM_END was read */
	bool expanded;	 /* `process` holds a record */
	int error;	 /* the first one */
	uint32_t number; /* of the next frame */
	size_t frame;	 /* bytes of the payload, already checked, from `start` on */
	uint64_t offset; /* of `start` in the file */
	unsigned char *bytes;
	size_t capacity, start, end;
	char *name;
	char *why;
	size_t why_size;
	struct wire_process process;
};

int recording_open_fd(int fd, const char *name, struct recording_reader **reader)
{
	struct recording_reader *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->fd = fd;
	made->capacity = READ_AHEAD;
	made->bytes = malloc(made->capacity);
	made->name = strdup(name);
	made->why_size = strlen(name) + WHY_MOST;
	made->why = calloc(1, made->why_size);
	if (!made->bytes || !made->name || !made->why) {
		recording_reader_free(made);
		return -ENOMEM;
	}
	*reader = made;
	return 0;
}

int recording_open(const char *path, struct recording_reader **reader)
{
	CLEANUP_FD int fd = -1;
	int error;

	if (!strcmp(path, "-"))
		return recording_open_fd(STDIN_FILENO, "standard input", reader);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	error = recording_open_fd(fd, path, reader);
	if (error)
		return error;
	(*reader)->fd = TAKE_FD(fd);
	(*reader)->own = true;
	return 0;
}

void recording_reader_free(struct recording_reader *reader)
{
	if (!reader)
		return;
	if (reader->own)
		close(reader->fd);
	free(reader->bytes);
	free(reader->name);
	free(reader->why);
	free(reader);
}

const char *recording_why(const struct recording_reader *reader)
{
	return reader->why;
}

static int fail(struct recording_reader *reader, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct recording_reader *reader, int error, const char *format, ...)
{
	int length = snprintf(reader->why, reader->why_size, "%s: ", reader->name);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reader->why + length, reader->why_size - (size_t)length, format, arguments);
	va_end(arguments);
	reader->error = error;
	return error;
}

/* Damage at `start` plus `ahead`. */
#define damaged(reader, ahead, format, ...)                                                        \
	fail(reader, -EBADMSG, "damaged at byte %" PRIu64 ": " format, (reader)->offset + (ahead), \
	     ##__VA_ARGS__)

static int room_make(struct recording_reader *reader, size_t wanted)
{
	unsigned char *bytes;

	if (reader->start < reader->end && reader->capacity - reader->start >= wanted)
		return 0;
	memmove(reader->bytes, reader->bytes + reader->start, reader->end - reader->start);
	reader->end -= reader->start;
	reader->start = 0;
	if (reader->capacity >= wanted)
		return 0;
	bytes = realloc(reader->bytes, wanted);
	if (!bytes)
		return fail(reader, -ENOMEM, "out of memory");
	reader->bytes = bytes;
	reader->capacity = wanted;
	return 0;
}

/* Reads until `wanted` bytes lie at `start`, or the file ends: fewer do then. */
static int bytes_fill(struct recording_reader *reader, size_t wanted)
{
	int error;

	if (reader->end - reader->start >= wanted)
		return 0;
	error = room_make(reader, wanted);
	while (!error && reader->end - reader->start < wanted) {
		ssize_t got = read(reader->fd, reader->bytes + reader->end,
				   reader->capacity - reader->end);

		if (got < 0 && errno == EINTR && !signals_asked())
			continue;
		if (got < 0)
			return fail(reader, -errno, "%s", strerror(errno));
		if (!got)
			break;
		reader->end += (size_t)got;
	}
	return error;
}

static size_t bytes_there(const struct recording_reader *reader)
{
	return reader->end - reader->start;
}

bool recording_ready(const struct recording_reader *reader)
{
	struct recording_frame frame;

	if (reader->frame || reader->error)
		return true;
	if (!reader->started || bytes_there(reader) < sizeof(frame))
		return false;
	memcpy(&frame, reader->bytes + reader->start, sizeof(frame));
	return bytes_there(reader) - sizeof(frame) >= frame.length;
}

static void bytes_skip(struct recording_reader *reader, size_t count)
{
	reader->start += count;
	reader->offset += count;
}

static int header_read(struct recording_reader *reader)
{
	struct recording_header header;
	int error = bytes_fill(reader, sizeof(header));

	if (error)
		return error;
	if (!bytes_there(reader))
		return fail(reader, -EBADMSG, "is empty");
	memset(&header, 0, sizeof(header));
	memcpy(&header, reader->bytes + reader->start,
	       bytes_there(reader) < sizeof(header) ? bytes_there(reader) : sizeof(header));
	if (memcmp(header.magic, RECORDING_MAGIC, sizeof(header.magic)) != 0 &&
	    (bytes_there(reader) >= sizeof(header.magic) ||
	     memcmp(header.magic, RECORDING_MAGIC, bytes_there(reader)) != 0))
		return fail(reader, -EBADMSG, "is not a recording of portsnoop");
	if (bytes_there(reader) < sizeof(header))
		return damaged(reader, bytes_there(reader), "the file ends within its header");
	if (header.byte_order == __builtin_bswap32(RECORDING_BYTE_ORDER))
		return fail(reader, -EBADMSG, "was recorded on a machine of the other byte order");
	if (header.byte_order != RECORDING_BYTE_ORDER)
		return damaged(reader, offsetof(struct recording_header, byte_order),
			       "the byte order is impossible");
	if (header.crc != (uint32_t)crc32(0, reader->bytes + reader->start,
					  offsetof(struct recording_header, crc)))
		return damaged(reader, 0, "the header's checksum does not match");
	if (header.version != RECORDING_VERSION || header.wire_version > WIRE_VERSION ||
	    !header.wire_version)
		return fail(reader, -EBADMSG,
			    "has format %" PRIu32 " with records of version %" PRIu32
			    "; this portsnoop reads format %u with records up to version %u",
			    header.version, header.wire_version, RECORDING_VERSION, WIRE_VERSION);
	bytes_skip(reader, sizeof(header));
	reader->started = true;
	return 0;
}

/* 1: a frame's payload lies at `start`. 0: the file ends here. */
static int frame_read(struct recording_reader *reader)
{
	struct recording_frame frame;
	int error = bytes_fill(reader, sizeof(frame));

	if (error || !bytes_there(reader))
		return error;
	if (bytes_there(reader) < sizeof(frame))
		return damaged(reader, bytes_there(reader), "the file ends within frame %" PRIu32,
			       reader->number);
	memcpy(&frame, reader->bytes + reader->start, sizeof(frame));
	if (frame.magic != RECORDING_FRAME_MAGIC)
		return damaged(reader, 0, "no frame begins here, expected frame %" PRIu32,
			       reader->number);
	if (frame.number != reader->number)
		return damaged(reader, offsetof(struct recording_frame, number),
			       "frame %" PRIu32 " where frame %" PRIu32 " is expected",
			       frame.number, reader->number);
	if (!frame.length || frame.length % 8 || frame.length > RECORDING_PAYLOAD_MOST)
		return damaged(reader, offsetof(struct recording_frame, length),
			       "a frame of %" PRIu32 " bytes is impossible", frame.length);
	error = bytes_fill(reader, sizeof(frame) + frame.length);
	if (error)
		return error;
	if (bytes_there(reader) < sizeof(frame) + frame.length)
		return damaged(reader, bytes_there(reader), "the file ends within frame %" PRIu32,
			       reader->number);
	bytes_skip(reader, sizeof(frame));
	if (frame.crc != (uint32_t)crc32(0, reader->bytes + reader->start, frame.length))
		return damaged(reader, 0, "the checksum of frame %" PRIu32 " does not match",
			       reader->number);
	reader->frame = frame.length;
	reader->number++;
	return 1;
}

/* Moves exe, args and path to where wire.h has them. */
static bool process_expand(struct recording_reader *reader, const struct wire_header *header)
{
	const size_t fixed = offsetof(struct wire_process, exe);
	const unsigned char *from = (const unsigned char *)header;
	struct wire_process *to = &reader->process;
	size_t used;

	if (header->size < fixed)
		return false;
	if (reader->expanded) { /* the rest is zero still */
		memset(to->exe, 0, to->exe_length);
		memset(to->args, 0, to->args_length);
		memset(to->path, 0, to->path_length);
		reader->expanded = false;
	}
	memcpy(to, from, fixed);
	used = (size_t)to->exe_length + to->args_length + to->path_length;
	if (to->exe_length > WIRE_EXE || to->args_length > WIRE_ARGS ||
	    to->path_length > WIRE_CGROUP || header->size != fixed + used + (-used & 7)) {
		to->exe_length = to->args_length = to->path_length = 0;
		return false;
	}
	from += fixed;
	memcpy(to->exe, from, to->exe_length);
	memcpy(to->args, from + to->exe_length, to->args_length);
	memcpy(to->path, from + to->exe_length + to->args_length, to->path_length);
	to->header.size = sizeof(*to);
	reader->expanded = true;
	return true;
}

static int record_read(struct recording_reader *reader, const void **record, size_t *size,
		       uint64_t *offset)
{
	const struct wire_header *header =
		(const struct wire_header *)(reader->bytes + reader->start);

	if (reader->ended)
		return damaged(reader, 0, "a record follows the stream's last one");
	if (reader->frame < sizeof(*header) || header->size < sizeof(*header) || header->size % 8 ||
	    header->size > reader->frame)
		return damaged(reader, 0, "a record's size is impossible");
	*record = header;
	*size = header->size;
	*offset = reader->offset;
	if (header->type == WIRE_PROCESS) {
		if (!process_expand(reader, header))
			return damaged(reader, 0, "the parts of a process do not fit its record");
		*record = &reader->process;
		*size = sizeof(reader->process);
	}
	reader->ended = header->type == WIRE_STREAM_END;
	reader->frame -= header->size;
	bytes_skip(reader, header->size);
	return 1;
}

int recording_next(struct recording_reader *reader, const void **record, size_t *size,
		   uint64_t *offset)
{
	int result = reader->error;

	if (!result && !reader->started)
		result = header_read(reader);
	if (result)
		return result;
	if (!reader->frame) {
		result = frame_read(reader);
		if (!result && !reader->ended)
			return fail(reader, -ENODATA,
				    "ends without its last record (the recorder was killed?)");
		if (result <= 0)
			return result;
	}
	return record_read(reader, record, size, offset);
}
