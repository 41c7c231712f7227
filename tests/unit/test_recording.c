/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "sample.h"

static void test_there_and_back(void **state)
{
	CLEANUP(sample_free) struct sample sample;
	CLEANUP(buffer_free) struct buffer records = BUFFER_EMPTY;
	struct stat status;
	char why[256];

	(void)state;
	sample_make(&sample);
	assert_int_equal(stat(sample_path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_memory_equal(sample.file.data, "PORTSNOOP\n\0\0", 12);
	/* Nearly all of a process is unused, and not written. */
	assert_true(sample.file.length < 1200);
	assert_int_equal(bytes_drain(sample.file.data, sample.file.length, &records, why), 0);
	buffers_equal(&records, &sample.records);
}

/* Ring memory is used again and again: what it held before stays on this machine. */
static void test_no_old_bytes(void **state)
{
	struct wire_stream_start start = record_start();
	struct wire_process process;
	CLEANUP(buffer_free) struct buffer bytes = BUFFER_EMPTY, records = BUFFER_EMPTY;
	const struct wire_process *back;
	struct recording *recording;
	char why[256];
	const char *error;

	(void)state;
	memset(&process, 'S', sizeof(process));
	process.header = sample_process().header;
	process.exe_length = process.args_length = process.path_length = 2;
	memcpy(process.exe, "e", 2);
	memcpy(process.args, "a", 2);
	memcpy(process.path, "p", 2);
	memcpy(process.comm, "c", 2);
	memcpy(process.parent_comm, "d", 2);
	assert_int_equal(recording_create(sample_path, &recording, &error), 0);
	assert_int_equal(recording_append(recording, &start, sizeof(start)), 0);
	assert_int_equal(recording_append(recording, &process, sizeof(process)), 0);
	assert_int_equal(recording_close(recording), 0);
	file_read(sample_path, &bytes);
	assert_int_equal(bytes_drain(bytes.data, bytes.length, &records, why), -ENODATA);
	back = (const struct wire_process *)(records.data + sizeof(start));
	for (size_t i = 2; i < WIRE_COMM; i++)
		assert_true(!back->comm[i] && !back->parent_comm[i]);
	for (const char *at = back->exe + 2; at < back->args; at++)
		assert_int_equal(*at, 0);
	/* The last bytes of the file fill up the record. */
	assert_memory_equal(bytes.data + bytes.length - 4, "p\0\0\0", 4);
	assert_memory_equal(back->args, "a\0\0\0", 4);
	assert_memory_equal(back->path, "p\0\0\0", 4);
}

/* Every length that the parts can have, also those at which the short record is as
 * long as the whole one; and a long one before a short one. */
static void test_process_lengths(void **state)
{
	static const uint16_t lengths[][3] = {
		{WIRE_EXE, WIRE_ARGS, WIRE_CGROUP},
		{0, 0, 0},
		{WIRE_EXE, 0, WIRE_CGROUP},
		{WIRE_EXE, WIRE_ARGS - 3, WIRE_CGROUP},
		{0, 1, 0},
		{1, 0, 0},
		{0, 0, 1},
		{WIRE_EXE - 1, WIRE_ARGS - 1, WIRE_CGROUP - 1},
		{5, 1, 1},
		{5, 1, 2},
		{5, 1, 3},
	};
	CLEANUP(sample_free) struct sample sample = {0};
	CLEANUP(buffer_free) struct buffer records = BUFFER_EMPTY;
	struct wire_stream_end end = record_end(1, 0);
	struct recording *recording;
	const char *error;
	char why[256];

	(void)state;
	assert_int_equal(recording_create(sample_path, &recording, &error), 0);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct wire_process process = sample_process();

		process.exe_length = lengths[i][0];
		process.args_length = lengths[i][1];
		process.path_length = lengths[i][2];
		memset(process.exe, 0, sizeof(process) - offsetof(struct wire_process, exe));
		memset(process.exe, 'e', process.exe_length);
		memset(process.args, 'a', process.args_length);
		memset(process.path, 'p', process.path_length);
		sample_append(&sample, recording, &process);
	}
	sample_append(&sample, recording, &end);
	assert_int_equal(recording_close(recording), 0);
	file_read(sample_path, &sample.file);
	assert_int_equal(bytes_drain(sample.file.data, sample.file.length, &records, why), 0);
	buffers_equal(&records, &sample.records);
}

/* More than the reader keeps in memory, through a pipe that gives it bit by bit. */
static void test_long_through_a_pipe(void **state)
{
	CLEANUP(sample_free) struct sample sample = {0};
	CLEANUP(buffer_free) struct buffer records = BUFFER_EMPTY;
	struct wire_process process = sample_process();
	struct wire_stream_end end = record_end(1, 0);
	struct recording *recording;
	const char *error;
	int pipes[2], status;
	char why[256];
	pid_t child;

	(void)state;
	assert_int_equal(recording_create(sample_path, &recording, &error), 0);
	for (uint32_t i = 0; i < 6000; i++) {
		struct wire_event bind = record_bind(i, "x", (uint16_t)i, (uint16_t)i);

		sample_append(&sample, recording, &bind);
		process.pid = i;
		if (i % 50 == 0)
			sample_append(&sample, recording, &process);
		if (i % 777 == 0)
			assert_int_equal(recording_flush(recording), 0);
	}
	sample_append(&sample, recording, &end);
	assert_int_equal(recording_close(recording), 0);
	file_read(sample_path, &sample.file);
	assert_true(sample.file.length > 800000);

	assert_int_equal(pipe(pipes), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		for (size_t at = 0, part = 1; at < sample.file.length; at += part, part += 13) {
			if (part > sample.file.length - at)
				part = sample.file.length - at;
			if (write(pipes[1], sample.file.data + at, part) != (ssize_t)part)
				_exit(1);
		}
		_exit(0);
	}
	close(pipes[1]);
	assert_int_equal(file_drain(pipes[0], &records, why), 0);
	close(pipes[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	buffers_equal(&records, &sample.records);
}

/* A record does not wait for the frame behind it. */
static void test_ready(void **state)
{
	CLEANUP(sample_free) struct sample sample;
	struct recording_reader *reader;
	const void *record;
	uint64_t offset;
	size_t size, second = 0;
	int pipes[2];

	(void)state;
	sample_make(&sample);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(recording_open_fd(pipes[0], "pipe", &reader), 0);
	assert_false(recording_ready(reader));
	/* Where the second frame begins. */
	second = sizeof(struct recording_header) + sizeof(struct recording_frame) +
		 ((struct recording_frame *)(void *)(sample.file.data + 32))->length;
	assert_int_equal(write(pipes[1], sample.file.data, second + 16), second + 16);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(recording_next(reader, &record, &size, &offset), 1);
		assert_int_equal(recording_ready(reader), !i);
	}
	assert_int_equal(
		write(pipes[1], sample.file.data + second + 16, sample.file.length - second - 16),
		sample.file.length - second - 16);
	assert_int_equal(recording_next(reader, &record, &size, &offset), 1);
	assert_int_equal(offset, second + 16);
	assert_true(recording_ready(reader));
	assert_int_equal(recording_next(reader, &record, &size, &offset), 1);
	assert_true(recording_ready(reader)); /* the third frame is here, too */
	assert_int_equal(recording_next(reader, &record, &size, &offset), 1);
	assert_false(recording_ready(reader));
	close(pipes[1]);
	assert_int_equal(recording_next(reader, &record, &size, &offset), 0);
	recording_reader_free(reader);
	close(pipes[0]);
}

static void test_append_refuses(void **state)
{
	struct wire_event bind = record_bind(1, "x", 1, 1);
	struct wire_process process = sample_process();
	struct recording *recording;
	const char *why;

	(void)state;
	assert_int_equal(recording_create(sample_path, &recording, &why), 0);
	assert_int_equal(recording_append(recording, &bind, 16), -EINVAL);
	assert_int_equal(recording_append(recording, &bind, sizeof(bind) - 8), -EINVAL);
	bind.header.size = 20;
	assert_int_equal(recording_append(recording, &bind, 20), -EINVAL);
	process.header.size -= 8;
	assert_int_equal(recording_append(recording, &process, process.header.size), -EINVAL);
	process = sample_process();
	process.args_length = WIRE_ARGS + 1;
	assert_int_equal(recording_append(recording, &process, sizeof(process)), -EINVAL);
	bind.header.size = sizeof(bind);
	assert_int_equal(recording_append(recording, &bind, sizeof(bind)), 0);
	assert_int_equal(recording_close(recording), 0);
	assert_int_equal(recording_close(NULL), 0);
}

/* The disk is full in the middle of a frame: an error that stays, and a file that
 * ends with the last whole frame. RLIMIT_FSIZE stands for the disk. */
static void test_disk_full(void **state)
{
	struct wire_stream_start start = record_start();
	struct wire_event bind = record_bind(1, "x", 1, 1);
	struct rlimit limit, before;
	CLEANUP(buffer_free) struct buffer bytes = BUFFER_EMPTY, records = BUFFER_EMPTY;
	struct recording *recording;
	const char *error;
	char why[256];

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(recording_create(sample_path, &recording, &error), 0);
	assert_int_equal(recording_append(recording, &start, sizeof(start)), 0);
	assert_int_equal(recording_flush(recording), 0);
	limit = before;
	limit.rlim_cur = 32 + 16 + sizeof(start) + 100;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(recording_append(recording, &bind, sizeof(bind)), 0);
	assert_int_equal(recording_flush(recording), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(recording_flush(recording), -EFBIG);
	assert_int_equal(recording_append(recording, &bind, sizeof(bind)), -EFBIG);
	assert_int_equal(recording_close(recording), -EFBIG);
	file_read(sample_path, &bytes);
	assert_int_equal(bytes.length, 32 + 16 + sizeof(start));
	assert_int_equal(bytes_drain(bytes.data, bytes.length, &records, why), -ENODATA);
	assert_int_equal(records.length, sizeof(start));
}

static void create_fails(const char *name, int error, const char *why)
{
	struct recording *recording;
	const char *words = NULL;

	assert_int_equal(recording_create(name, &recording, &words), error);
	assert_string_equal(words, why);
}

static void test_create_refuses(void **state)
{
	char link[80], fifo[80];

	(void)state;
	snprintf(link, sizeof(link), "%s/link", sample_folder);
	snprintf(fifo, sizeof(fifo), "%s/fifo", sample_folder);
	assert_int_equal(symlink(sample_path, link), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	create_fails(link, -ELOOP, "is a symbolic link; expected a regular file or a new name");
	create_fails(fifo, -ENXIO, "is not a regular file");
	create_fails("/dev/null", -EINVAL, "is not a regular file");
	create_fails(sample_folder, -EISDIR, "is not a regular file");
	create_fails("/nonexistent/x", -ENOENT, "No such file or directory");
	create_fails("", -ENOENT, "No such file or directory");
	unlink(link);
	unlink(fifo);
}

static void test_create_empties_and_locks(void **state)
{
	CLEANUP(sample_free) struct sample sample;
	struct recording *recording;
	struct stat status;
	const char *why;

	(void)state;
	sample_make(&sample);
	assert_int_equal(recording_create(sample_path, &recording, &why), 0);
	assert_int_equal(stat(sample_path, &status), 0);
	assert_int_equal(status.st_size, 32);
	create_fails(sample_path, -EWOULDBLOCK, "is being recorded to by another portsnoop");
	assert_int_equal(recording_close(recording), 0);
}

static void test_open_fails(void **state)
{
	struct recording_reader *reader;
	const void *record;
	uint64_t offset;
	size_t size;

	(void)state;
	assert_int_equal(recording_open("/nonexistent", &reader), -ENOENT);
	assert_int_equal(recording_open("/", &reader), 0);
	assert_int_equal(recording_next(reader, &record, &size, &offset), -EISDIR);
	assert_string_equal(recording_why(reader), "/: Is a directory");
	recording_reader_free(reader);
	recording_reader_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_no_old_bytes),
		cmocka_unit_test(test_process_lengths),
		cmocka_unit_test(test_long_through_a_pipe),
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_append_refuses),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_create_refuses),
		cmocka_unit_test(test_create_empties_and_locks),
		cmocka_unit_test(test_open_fails),
	};

	return cmocka_run_group_tests(tests, sample_folder_make, sample_folder_remove);
}
