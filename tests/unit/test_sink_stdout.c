/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lines to a stdout that is a file, a pipe, a pipe that nobody reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bringing.h"
#include "lib/cleanup.h"

static int saved = -1;

/* `fd` becomes 1, until stdout_restore(). */
static void stdout_replace(int fd)
{
	saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	assert_true(saved >= 0 && dup2(fd, STDOUT_FILENO) >= 0);
	close(fd);
}

static int stdout_restore(void **state)
{
	(void)state;
	if (saved >= 0) {
		dup2(saved, STDOUT_FILENO);
		close(saved);
	}
	saved = -1;
	return 0;
}

static int signals_ignore(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return 0;
}

static void fd_read(int fd, struct buffer *bytes)
{
	ssize_t got;

	do {
		assert_true(buffer_room(bytes, 4096));
		got = read(fd, bytes->data + bytes->length, 4096);
		bytes->length += got > 0 ? (size_t)got : 0;
	} while (got > 0);
}

static void test_pipe(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	CLEANUP(received_free) struct bringing_received received = {0};
	int ends[2];
	pid_t writer;

	(void)state;
	bringing_make(&bringing, &sink_stdout);
	bringing_frames_add(&bringing, 3000);
	assert_return_code(pipe2(ends, O_CLOEXEC), errno);
	writer = fork();
	if (!writer) {
		stdout_replace(ends[1]);
		bringing_prepare(&bringing);
		bringing_settle_all(&bringing);
		_exit(bringing.failures ? 1 : 0);
	}
	close(ends[1]);
	fd_read(ends[0], received_part(&received));
	close(ends[0]);
	received_check(&received, &bringing, NULL);
	assert_int_equal(waitpid(writer, &ends[0], 0), writer);
	assert_int_equal(ends[0], 0);
}

/* A reader that leaves ends it: for good. */
static void test_reader_gone(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	int ends[2];

	(void)state;
	assert_return_code(pipe2(ends, O_CLOEXEC), errno);
	close(ends[0]);
	bringing_make(&bringing, &sink_stdout);
	bringing_frames_add(&bringing, 3);
	stdout_replace(ends[1]);
	bringing_prepare(&bringing);
	bringing_step(&bringing);
	stdout_restore(NULL);
	assert_int_equal(bringing.error, -ESHUTDOWN);
	assert_int_equal(bringing.settled, 0);
	assert_string_equal(bringing.sink.why, "its reader has gone");
}

/* A disk that is full in the middle of a line: the line goes on when there is room. */
static void test_full(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	CLEANUP(received_free) struct bringing_received received = {0};
	CLEANUP_FD int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	struct rlimit limit;

	(void)state;
	assert_true(fd >= 0);
	bringing_make(&bringing, &sink_stdout);
	bringing_frames_add(&bringing, 500);
	assert_return_code(getrlimit(RLIMIT_FSIZE, &limit), errno);
	stdout_replace(dup(fd));
	bringing_prepare(&bringing);
	for (limit.rlim_cur = 1000; limit.rlim_cur < 60000; limit.rlim_cur += 1777) {
		setrlimit(RLIMIT_FSIZE, &limit);
		bringing_step(&bringing);
		bringing_step(&bringing);
	}
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	bringing_settle_all(&bringing);
	stdout_restore(NULL);
	assert_int_equal(bringing.error, -EFBIG);
	lseek(fd, 0, SEEK_SET);
	fd_read(fd, received_part(&received));
	/* Each line is whole; one that was cut may stand there twice. */
	for (size_t at = 0, number = 0; number < bringing.count;) {
		const struct buffer *part = &received.parts[0];
		const struct frame *frame = &bringing.frames[number];

		assert_true(at + frame->size <= part->length);
		if (!memcmp(part->data + at, frame->bytes, frame->size)) {
			number++;
		} else {
			frame--;
			assert_memory_equal(part->data + at, frame->bytes, frame->size);
		}
		at += frame->size;
	}
}

static void test_heading(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	CLEANUP(buffer_free) struct buffer bytes = BUFFER_EMPTY;
	int ends[2];

	(void)state;
	assert_return_code(pipe2(ends, O_CLOEXEC), errno);
	bringing_make(&bringing, &sink_stdout);
	bringing.spec.format = &format_csv;
	stdout_replace(ends[1]);
	bringing_prepare(&bringing);
	bringing_step(&bringing);
	bringing_close(&bringing);
	bringing_step(&bringing);
	stdout_restore(NULL);
	fd_read(ends[0], &bytes);
	close(ends[0]);
	/* Once. */
	assert_memory_equal(bytes.data, "@timestamp,", 11);
	assert_ptr_equal(memchr(bytes.data, '\n', bytes.length), bytes.data + bytes.length - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_pipe, stdout_restore),
		cmocka_unit_test_teardown(test_reader_gone, stdout_restore),
		cmocka_unit_test_teardown(test_full, stdout_restore),
		cmocka_unit_test_teardown(test_heading, stdout_restore),
	};

	return cmocka_run_group_tests(tests, signals_ignore, NULL);
}
