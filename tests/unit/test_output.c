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
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sink/output.h"

#define LONG (1u << 20)

static void pattern_append(struct buffer *buffer)
{
	for (unsigned int i = 0; i < LONG; i++)
		buffer_byte(buffer, (char)(i * 7 + (i >> 8)));
}

/* A child that reads little by little, and exits with 0 if it got all of it. */
static pid_t reader_start(const int pipes[2])
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		unsigned int at = 0;
		char part[1000];
		ssize_t got;

		close(pipes[1]);
		while ((got = read(pipes[0], part, sizeof(part))) > 0)
			for (ssize_t i = 0; i < got; i++, at++)
				if (part[i] != (char)(at * 7 + (at >> 8)))
					_exit(2);
		_exit(at == LONG ? 0 : 1);
	}
	close(pipes[0]);
	return child;
}

static void long_arrives(int flags)
{
	struct output output;
	int pipes[2], status;
	pid_t child;

	assert_int_equal(pipe2(pipes, 0), 0);
	assert_true(fcntl(pipes[1], F_SETPIPE_SZ, 4096) >= 4096);
	assert_int_equal(fcntl(pipes[1], F_SETFL, flags), 0);
	output = OUTPUT_TO(pipes[1]);
	pattern_append(&output.pending);
	child = reader_start(pipes);
	assert_int_equal(output_flush(&output), 0);
	assert_int_equal(output.pending.length, 0);
	close(pipes[1]);
	while (waitpid(child, &status, 0) != child)
		assert_int_equal(errno, EINTR);
	assert_int_equal(status, 0);
	output_free(&output);
}

static void test_blocking(void **state)
{
	(void)state;
	long_arrives(0);
}

static void test_not_blocking(void **state)
{
	(void)state;
	long_arrives(O_NONBLOCK);
}

static volatile sig_atomic_t rings;
static int go; /* a byte into it lets the reader begin */

static void alarm_ring(int number)
{
	int saved = errno;

	(void)number;
	if (++rings == 3 && write(go, "", 1) != 1)
		abort();
	errno = saved;
}

/* The pipe is full, and its reader begins only when the third signal has
 * interrupted the write, or the wait. */
static void interrupted_arrives(int flags)
{
	struct itimerval often = {{0, 2000}, {0, 2000}}, off = {{0, 0}, {0, 0}};
	struct output output;
	int pipes[2], start[2], status;
	pid_t child;
	char byte;

	assert_int_equal(pipe(start), 0);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(fcntl(pipes[1], F_SETFL, flags), 0);
	rings = 0;
	go = start[1];
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		close(start[1]);
		close(pipes[1]);
		if (read(start[0], &byte, 1) != 1)
			_exit(3);
		child = reader_start(pipes);
		if (waitpid(child, &status, 0) != child)
			_exit(4);
		_exit(WEXITSTATUS(status));
	}
	close(pipes[0]);
	close(start[0]);
	output = OUTPUT_TO(pipes[1]);
	pattern_append(&output.pending);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	status = output_flush(&output);
	assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
	assert_int_equal(status, 0);
	close(pipes[1]);
	close(start[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	output_free(&output);
}

/* Signals without SA_RESTART interrupt write() and poll(). */
static void test_interrupted(void **state)
{
	struct sigaction action = {.sa_handler = alarm_ring}, before;

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
	interrupted_arrives(0);
	interrupted_arrives(O_NONBLOCK);
	assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
}

static void test_reader_gone(void **state)
{
	struct output output;
	int pipes[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(pipes), 0);
	close(pipes[0]);
	output = OUTPUT_TO(pipes[1]);
	buffer_text(&output.pending, "x");
	assert_int_equal(output_flush(&output), -EPIPE);
	assert_int_equal(output.pending.length, 0);
	/* Stays, and does not write to whatever has that number by then. */
	close(pipes[1]);
	buffer_text(&output.pending, "x");
	assert_int_equal(output_flush(&output), -EPIPE);
	output_free(&output);
}

/* Full and not blocking, then the reader goes: poll() must not wait for ever. */
static void test_reader_gone_while_full(void **state)
{
	struct output output;
	int pipes[2], status;
	char byte;
	pid_t child;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	assert_true(fcntl(pipes[1], F_SETPIPE_SZ, 4096) >= 4096);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		close(pipes[1]);
		while (read(pipes[0], &byte, 1) != 1)
			;
		_exit(0);
	}
	close(pipes[0]);
	output = OUTPUT_TO(pipes[1]);
	pattern_append(&output.pending);
	assert_int_equal(output_flush(&output), -EPIPE);
	close(pipes[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	output_free(&output);
}

static void test_other_errors(void **state)
{
	struct output output = OUTPUT_TO(-1);
	int full = open("/dev/full", O_WRONLY);

	(void)state;
	assert_int_equal(output_flush(&output), 0); /* nothing to write */
	buffer_text(&output.pending, "x");
	assert_int_equal(output_flush(&output), -EBADF);
	output_free(&output);
	output = OUTPUT_TO(full);
	buffer_text(&output.pending, "x");
	assert_int_equal(output_flush(&output), -ENOSPC);
	output_free(&output);
	close(full);
	output = OUTPUT_TO(1);
	buffer_byte(&output.pending, 'x');
	assert_false(buffer_grow(&output.pending, SIZE_MAX));
	assert_int_equal(output_flush(&output), -ENOMEM);
	output_free(&output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocking),
		cmocka_unit_test(test_not_blocking),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_reader_gone),
		cmocka_unit_test(test_reader_gone_while_full),
		cmocka_unit_test(test_other_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
