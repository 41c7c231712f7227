/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writing; recording_reader.c reads. */
#include "stream/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/buffer.h"
#include "lib/cleanup.h"

/* Small enough to stay in the cache between writing and the reader's CRC. */
#define FRAME_FULL (128u << 10)

_Static_assert(sizeof(RECORDING_MAGIC) == 12, "RECORDING_MAGIC");
_Static_assert(sizeof(struct recording_header) == 32, "recording_header");
_Static_assert(sizeof(struct recording_frame) == 16, "recording_frame");

struct recording {
	int fd;
	int error;	     /* the first one */
	uint32_t number;     /* of the next frame */
	off_t good;	     /* length of the file up to its last complete frame */
	struct buffer frame; /* begins with room for struct recording_frame */
};

static int bytes_write(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t written = write(fd, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		bytes += written;
		length -= (size_t)written;
	}
	return 0;
}

/* A torn frame would make the whole file look damaged: takes it back. */
static int recording_write(struct recording *recording, const void *bytes, size_t length)
{
	int error = bytes_write(recording->fd, bytes, length);

	if (!error) {
		recording->good += (off_t)length;
		return 0;
	}
	recording->error = error;
	if (ftruncate(recording->fd, recording->good))
		return error; /* the reader finds the end of the good part by itself */
	return error;
}

static void frame_begin(struct recording *recording)
{
	static const struct recording_frame empty;

	buffer_reset(&recording->frame);
	buffer_append(&recording->frame, &empty, sizeof(empty));
}

static int header_write(struct recording *recording)
{
	struct recording_header header = {
		.magic = RECORDING_MAGIC,
		.byte_order = RECORDING_BYTE_ORDER,
		.version = RECORDING_VERSION,
		.wire_version = WIRE_VERSION,
	};

	header.crc =
		(uint32_t)crc32(0, (const Bytef *)&header, offsetof(struct recording_header, crc));
	return recording_write(recording, &header, sizeof(header));
}

static int file_open(const char *path, const char **why)
{
	/* O_NONBLOCK: opening a pipe must not wait for its reader. */
	CLEANUP_FD int fd = open(
		path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
	struct stat status;

	*why = NULL;
	if (fd < 0 && errno == ELOOP)
		*why = "is a symbolic link; expected a regular file or a new name";
	if (fd < 0 && (errno == ENXIO || errno == EISDIR))
		*why = "is not a regular file";
	if (fd < 0 || fstat(fd, &status))
		goto failed;
	if (!S_ISREG(status.st_mode)) {
		*why = "is not a regular file";
		return -EINVAL;
	}
	/* Emptying a file under another recorder would destroy both recordings. */
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			*why = "is being recorded to by another portsnoop";
		goto failed;
	}
	if (ftruncate(fd, 0))
		goto failed;
	return TAKE_FD(fd);
failed:
	if (!*why)
		*why = strerror(errno);
	return -errno;
}

static void recording_free(struct recording *recording)
{
	buffer_free(&recording->frame);
	free(recording);
}

int recording_create(const char *path, struct recording **recording, const char **why)
{
	CLEANUP_FD int fd = file_open(path, why);
	struct recording *made;
	int error;

	if (fd < 0)
		return fd;
	made = calloc(1, sizeof(*made));
	if (!made) {
		*why = strerror(ENOMEM);
		return -ENOMEM;
	}
	made->fd = TAKE_FD(fd);
	frame_begin(made);
	error = made->frame.failed ? -ENOMEM : header_write(made);
	if (error) {
		close(made->fd);
		recording_free(made);
		*why = strerror(-error);
		return error;
	}
	*recording = made;
	return 0;
}

int recording_flush(struct recording *recording)
{
	struct buffer *buffer = &recording->frame;
	struct recording_frame frame = {
		.magic = RECORDING_FRAME_MAGIC,
		.number = recording->number,
	};
	const Bytef *payload = (const Bytef *)buffer->data + sizeof(frame);
	int error;

	if (recording->error)
		return recording->error;
	if (buffer->length == sizeof(frame))
		return 0;
	frame.length = (uint32_t)(buffer->length - sizeof(frame));
	frame.crc = (uint32_t)crc32(0, payload, frame.length);
	memcpy(buffer->data, &frame, sizeof(frame));
	error = recording_write(recording, buffer->data, buffer->length);
	if (error)
		return error;
	recording->number++;
	frame_begin(recording);
	return 0;
}

/* The bytes behind the end of a name are left over from an older record. */
static void name_clean(char *name, size_t size)
{
	size_t length = strnlen(name, size);

	memset(name + length, 0, size - length);
}

static bool process_valid(const struct wire_process *process, size_t size)
{
	return size == sizeof(*process) && process->exe_length <= WIRE_EXE &&
	       process->args_length <= WIRE_ARGS && process->path_length <= WIRE_CGROUP;
}

static void process_append(struct buffer *out, const struct wire_process *process)
{
	static const char zeros[8];
	const size_t fixed = offsetof(struct wire_process, exe);
	size_t used = (size_t)process->exe_length + process->args_length + process->path_length;
	size_t padding = -used & 7;
	union {
		struct wire_process process;
		char bytes[sizeof(struct wire_process)];
	} head;

	memcpy(head.bytes, process, fixed);
	head.process.header.size = (uint16_t)(fixed + used + padding);
	name_clean(head.process.comm, sizeof(head.process.comm));
	name_clean(head.process.parent_comm, sizeof(head.process.parent_comm));
	buffer_append(out, head.bytes, fixed);
	buffer_append(out, process->exe, process->exe_length);
	buffer_append(out, process->args, process->args_length);
	buffer_append(out, process->path, process->path_length);
	buffer_append(out, zeros, padding);
}

_Static_assert(offsetof(struct wire_process, exe) % 8 == 0, "the parts behind are aligned");

int recording_append(struct recording *recording, const void *record, size_t size)
{
	const struct wire_header *header = record;
	int error;

	if (recording->error)
		return recording->error;
	if (size < sizeof(*header) || size % 8 || header->size != size ||
	    (header->type == WIRE_PROCESS && !process_valid(record, size)))
		return -EINVAL;
	if (recording->frame.length + size > FRAME_FULL) {
		error = recording_flush(recording);
		if (error)
			return error;
	}
	if (header->type == WIRE_PROCESS)
		process_append(&recording->frame, record);
	else
		buffer_append(&recording->frame, record, size);
	if (recording->frame.failed)
		recording->error = -ENOMEM;
	return recording->error;
}

int recording_close(struct recording *recording)
{
	int error;

	if (!recording)
		return 0;
	error = recording_flush(recording);
	if (close(recording->fd) && !error)
		error = -errno; /* a network's file system tells only now */
	recording_free(recording);
	return error;
}
