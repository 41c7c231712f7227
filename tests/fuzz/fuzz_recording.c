/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A file that claims to be a recording. Read as it is, which mostly ends at a
 * checksum, and again with the checksums made right, so that what stands behind
 * them is reached.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "check.h"
#include "stream/recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void record_check(const void *record, size_t size, uint64_t offset, size_t file_size)
{
	const struct wire_header *header = record;
	const struct wire_process *process = record;

	check((uintptr_t)record % 8 == 0 && offset % 8 == 0 && offset < file_size);
	check(size >= sizeof(*header) && size % 8 == 0 && header->size == size);
	if (header->type == WIRE_PROCESS) {
		check(size == sizeof(*process));
		check(process->exe_length <= WIRE_EXE && process->args_length <= WIRE_ARGS &&
		      process->path_length <= WIRE_CGROUP);
	}
}

static void file_read(int fd, size_t size)
{
	struct recording_reader *reader;
	const void *record;
	uint64_t offset;
	size_t length;
	int result;

	check(lseek(fd, 0, SEEK_SET) == 0);
	check(recording_open_fd(fd, "file", &reader) == 0);
	while ((result = recording_next(reader, &record, &length, &offset)) == 1) {
		record_check(record, length, offset, size);
		(void)recording_ready(reader);
	}
	check(!result == !*recording_why(reader));
	recording_reader_free(reader);
}

static void checksums_mend(uint8_t *bytes, size_t size)
{
	struct recording_header header;
	struct recording_frame frame;

	if (size < sizeof(header))
		return;
	memcpy(&header, bytes, sizeof(header));
	header.crc = (uint32_t)crc32(0, bytes, offsetof(struct recording_header, crc));
	memcpy(bytes, &header, sizeof(header));
	for (size_t at = sizeof(header); size - at >= sizeof(frame); at += frame.length) {
		memcpy(&frame, bytes + at, sizeof(frame));
		if (frame.length > size - at - sizeof(frame))
			return;
		frame.crc = (uint32_t)crc32(0, bytes + at + sizeof(frame), frame.length);
		memcpy(bytes + at, &frame, sizeof(frame));
		at += sizeof(frame);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("recording", MFD_CLOEXEC);
	uint8_t *bytes = malloc(size + 1);

	check(fd >= 0 && bytes);
	check(write(fd, data, size) == (ssize_t)size);
	file_read(fd, size);
	if (size)
		memcpy(bytes, data, size);
	checksums_mend(bytes, size);
	check(pwrite(fd, bytes, size, 0) == (ssize_t)size);
	file_read(fd, size);
	free(bytes);
	close(fd);
	return 0;
}
