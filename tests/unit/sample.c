/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "sample.h"

char sample_folder[] = "/tmp/portsnoop-recording-XXXXXX";
char sample_path[64];

int sample_folder_make(void **state)
{
	(void)state;
	if (!mkdtemp(sample_folder))
		return -1;
	snprintf(sample_path, sizeof(sample_path), "%s/file", sample_folder);
	return 0;
}

int sample_folder_remove(void **state)
{
	(void)state;
	unlink(sample_path);
	return rmdir(sample_folder);
}

void sample_free(struct sample *sample)
{
	buffer_free(&sample->file);
	buffer_free(&sample->records);
}

void file_read(const char *name, struct buffer *bytes)
{
	CLEANUP_FILE FILE *file = fopen(name, "r");
	char part[4096];
	size_t length;

	assert_non_null(file);
	while ((length = fread(part, 1, sizeof(part), file)) > 0)
		buffer_append(bytes, part, length);
}

void sample_append(struct sample *sample, struct recording *recording, const void *record)
{
	const struct wire_header *header = record;

	assert_int_equal(recording_append(recording, record, header->size), 0);
	buffer_append(&sample->records, record, header->size);
}

struct wire_process sample_process(void)
{
	return record_process(4242, "python3", "/usr/bin/python3.11", "python3 -m http.server",
			      "/system.slice/app.service");
}

void sample_make(struct sample *sample)
{
	struct wire_stream_start start = record_start();
	struct wire_process process = sample_process();
	struct wire_event bind = record_bind(4242, "python3", 60002, 60002);
	struct wire_stream_end end = record_end(3, 0);
	struct recording *recording;
	const char *why;

	*sample = (struct sample){0};
	assert_int_equal(recording_create(sample_path, &recording, &why), 0);
	sample_append(sample, recording, &start);
	sample_append(sample, recording, &process);
	assert_int_equal(recording_flush(recording), 0);
	sample_append(sample, recording, &bind);
	bind.local_port = 60003;
	sample_append(sample, recording, &bind);
	assert_int_equal(recording_flush(recording), 0);
	assert_int_equal(recording_flush(recording), 0); /* nothing: no frame */
	sample_append(sample, recording, &end);
	assert_int_equal(recording_close(recording), 0);
	file_read(sample_path, &sample->file);
}

int file_drain(int fd, struct buffer *records, char why[256])
{
	struct recording_reader *reader;
	uint64_t offset, before = 0;
	const void *record;
	size_t size;
	int result;

	assert_int_equal(recording_open_fd(fd, "file", &reader), 0);
	while ((result = recording_next(reader, &record, &size, &offset)) == 1) {
		assert_int_equal((uintptr_t)record % 8, 0);
		assert_int_equal(((const struct wire_header *)record)->size, size);
		assert_int_equal(offset % 8, 0);
		assert_true(offset > before);
		before = offset;
		buffer_append(records, record, size);
	}
	snprintf(why, 256, "%s", recording_why(reader));
	assert_int_equal(!result, !*why);
	if (result) /* stays */
		assert_int_equal(recording_next(reader, &record, &size, &offset), result);
	recording_reader_free(reader);
	return result;
}

int bytes_drain(const void *bytes, size_t length, struct buffer *records, char why[256])
{
	CLEANUP_FD int fd = memfd_create("recording", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	buffer_reset(records);
	return file_drain(fd, records, why);
}

void buffers_equal(const struct buffer *a, const struct buffer *b)
{
	assert_int_equal(a->length, b->length);
	assert_memory_equal(a->data, b->data, a->length);
}
