/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "lib/option.h"
#include "records.h"
#include "stream/recording.h"

static char folder[] = "/tmp/portsnoop-replay-XXXXXX";
static char path[64];

#define EVENTS 5

/* One frame a record: start, process, then binds of 80 and up by turns with
 * releases, then the end. */
static void recording_make(bool whole)
{
	struct wire_stream_start start = record_start();
	struct wire_process process =
		record_process(4242, "python3", "/usr/bin/python3", "python3", "/app.service");
	struct wire_stream_end end = record_end(EVENTS + 1, 0);
	struct recording *recording;
	const char *why;

	assert_int_equal(recording_create(path, &recording, &why), 0);
	assert_int_equal(recording_append(recording, &start, sizeof(start)), 0);
	assert_int_equal(recording_flush(recording), 0);
	process.header.cpu_sequence = record_number(0, 1);
	assert_int_equal(recording_append(recording, &process, sizeof(process)), 0);
	for (uint16_t i = 0; i < EVENTS; i++) {
		struct wire_event event = record_bind(4242, "python3", 80 + i, 80 + i);

		event.header.cpu_sequence = record_number(0, 2 + i);
		if (i % 2)
			event.header.type = WIRE_RELEASE;
		assert_int_equal(recording_append(recording, &event, sizeof(event)), 0);
		assert_int_equal(recording_flush(recording), 0);
	}
	if (whole)
		assert_int_equal(recording_append(recording, &end, sizeof(end)), 0);
	assert_int_equal(recording_close(recording), 0);
}

static int folder_make(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/file", folder);
	return 0;
}

static int folder_remove(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

#define WORDS_MAX 12

/* A line like "-o csv FILE"; FILE becomes the path. */
static int replay_run(void *context)
{
	char line[256], *words[WORDS_MAX] = {(char *)(uintptr_t) "replay"};
	int count = 1;

	signal(SIGPIPE, SIG_IGN);
	snprintf(line, sizeof(line), "%s", (const char *)context);
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		words[count++] = strcmp(word, "FILE") != 0 ? word : path;
	return command_replay.run(&command_replay, count, words);
}

static void line_gives_from(const char *line, int input, int status, const char *out,
			    const char *err)
{
	struct child_result result = child_run(replay_run, (void *)(uintptr_t)line, input);

	assert_string_equal(result.err, err);
	assert_string_equal(result.out, out);
	assert_int_equal(result.status, status);
}

static void line_gives(const char *line, int status, const char *out, const char *err)
{
	line_gives_from(line, -1, status, out, err);
}

#define PORTS "-o csv --fields PORT FILE"

static void test_whole(void **state)
{
	int fd;

	(void)state;
	recording_make(true);
	line_gives(PORTS, 0, "portsnoop.local.port\n80\n82\n84\n",
		   "portsnoop: 5 seen = 3 delivered + 2 filtered + 0 lost\n");
	line_gives("--release " PORTS, 0, "portsnoop.local.port\n80\n81\n82\n83\n84\n",
		   "portsnoop: 5 seen = 5 delivered + 0 filtered + 0 lost\n");
	line_gives("-p 82-90 " PORTS, 0, "portsnoop.local.port\n82\n84\n",
		   "portsnoop: 5 seen = 2 delivered + 3 filtered + 0 lost\n");
	line_gives("-o json --fields PORT,pid -p 82 FILE", 0,
		   "{}\n{\"process\":{\"pid\":4242},\"portsnoop\":{\"local\":{\"port\":82}}}\n{}\n",
		   "portsnoop: 5 seen = 1 delivered + 4 filtered + 0 lost\n");
	fd = open(path, O_RDONLY);
	line_gives_from("-o csv --columns PORT -", fd, 0, "portsnoop.local.port\n80\n82\n84\n",
			"portsnoop: 5 seen = 3 delivered + 2 filtered + 0 lost\n");
	close(fd);
}

static void test_table(void **state)
{
	struct child_result result;

	(void)state;
	recording_make(true);
	result = child_run(replay_run, (void *)(uintptr_t) "--columns PORT,COMM FILE", -1);
	assert_int_equal(result.status, 0);
	assert_non_null(strstr(result.out, "PORT COMM"));
	assert_non_null(strstr(result.out, " 84 python3"));
}

static void test_count(void **state)
{
	(void)state;
	recording_make(true);
	line_gives("-n 2 " PORTS, 0, "portsnoop.local.port\n80\n82\n",
		   "portsnoop: 3 seen = 2 delivered + 1 filtered + 0 lost\n");
	line_gives("--count 3 " PORTS, 0, "portsnoop.local.port\n80\n82\n84\n",
		   "portsnoop: 5 seen = 3 delivered + 2 filtered + 0 lost\n");
}

static void test_cut(void **state)
{
	char err[256];

	(void)state;
	recording_make(false);
	snprintf(err, sizeof(err),
		 "portsnoop: %s: ends without its last record (the recorder was killed?)\n"
		 "portsnoop: 5 seen = 3 delivered + 2 filtered + 0 lost\n",
		 path);
	line_gives(PORTS, 1, "portsnoop.local.port\n80\n82\n84\n", err);
	/* Enough was read before: the cut is nobody's business. */
	line_gives("-n 3 " PORTS, 0, "portsnoop.local.port\n80\n82\n84\n",
		   "portsnoop: 5 seen = 3 delivered + 2 filtered + 0 lost\n");
	assert_int_equal(truncate(path, 700), 0);
	snprintf(err, sizeof(err),
		 "portsnoop: %s: damaged at byte 700: the file ends within frame 2\n"
		 "portsnoop: 1 seen = 1 delivered + 0 filtered + 0 lost\n",
		 path);
	line_gives(PORTS, 1, "portsnoop.local.port\n80\n", err);
}

/* Undamaged frames, but what stands in them is no stream. */
static void test_not_a_stream(void **state)
{
	struct wire_event event = record_bind(4242, "python3", 80, 80);
	struct recording *recording;
	const char *why;
	char err[256];

	(void)state;
	assert_int_equal(recording_create(path, &recording, &why), 0);
	assert_int_equal(recording_append(recording, &event, sizeof(event)), 0);
	assert_int_equal(recording_close(recording), 0);
	snprintf(err, sizeof(err),
		 "portsnoop: %s: at byte 48: the stream does not start with its start record\n",
		 path);
	line_gives(PORTS, 1, "", err);
}

static void test_no_file(void **state)
{
	(void)state;
	line_gives("/nonexistent", 1, "", "portsnoop: /nonexistent: No such file or directory\n");
	line_gives("/dev/null", 1, "", "portsnoop: /dev/null: is empty\n");
	line_gives("-", 1, "", "portsnoop: standard input: is empty\n");
	line_gives("/", 1, "", "portsnoop: /: Is a directory\n");
	line_gives("", 2, "",
		   "portsnoop replay: no FILE is given; expected one, or - for standard input\n");
	line_gives("a b", 2, "", "portsnoop replay: 'b' is one FILE too many; expected one\n");
	line_gives(
		"-o xml FILE", 2, "",
		"portsnoop replay: --output: 'xml' is not accepted; expected table, ecs (or json), "
		"otlp, ocsf or csv\n");
}

static int replay_into_full(void *context)
{
	int full = open("/dev/full", O_WRONLY);

	dup2(full, 1);
	close(full);
	return replay_run(context);
}

static int replay_into_nothing(void *context)
{
	int pipes[2];

	if (pipe(pipes))
		return 99;
	close(pipes[0]);
	dup2(pipes[1], 1);
	close(pipes[1]);
	return replay_run(context);
}

static void test_output_fails(void **state)
{
	struct child_result result;

	(void)state;
	recording_make(true);
	result = child_run(replay_into_full, (void *)(uintptr_t)PORTS, -1);
	assert_string_equal(result.err, "portsnoop: standard output: No space left on device\n");
	assert_int_equal(result.status, 1);
	/* Its reader has seen enough: quietly. */
	result = child_run(replay_into_nothing, (void *)(uintptr_t)PORTS, -1);
	assert_string_equal(result.err, "");
	assert_int_equal(result.status, 0);
}

static int replay_stdin(void *context)
{
	int *out = context;

	dup2(out[1], 1);
	dup2(open("/dev/null", O_WRONLY), 2);
	close(out[0]);
	close(out[1]);
	return replay_run((void *)(uintptr_t) "-o csv --fields PORT -");
}

/* From a pipe that stays open: what came is shown before more comes. */
static void test_follows(void **state)
{
	char bytes[4096], text[64] = "";
	int in[2], out[2], file, status;
	ssize_t length, length_read, got = 0;
	pid_t child;

	(void)state;
	recording_make(true);
	file = open(path, O_RDONLY);
	length = read(file, bytes, sizeof(bytes));
	close(file);
	assert_true(length > 800);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		dup2(in[0], 0);
		close(in[0]);
		close(in[1]);
		exit(replay_stdin(out));
	}
	close(in[0]);
	close(out[1]);
	/* All but the last frame; then wait for what is known so far. */
	assert_int_equal(write(in[1], bytes, (size_t)length - 88), length - 88);
	do {
		length_read = read(out[0], text + got, sizeof(text) - 1 - (size_t)got);
		got += length_read;
	} while (length_read > 0 && !strstr(text, "84\n"));
	assert_string_equal(text, "portsnoop.local.port\n80\n82\n84\n");
	assert_int_equal(write(in[1], bytes + length - 88, 88), 88);
	close(in[1]);
	assert_int_equal(read(out[0], text, sizeof(text)), 0);
	close(out[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	     cmocka_unit_test(test_table),
		cmocka_unit_test(test_count),	     cmocka_unit_test(test_cut),
		cmocka_unit_test(test_not_a_stream), cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_output_fails), cmocka_unit_test(test_follows),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
