/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* main.c itself, with commands that only say how they were called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "child.h"

#define main portsnoop_main
#define command_trace stand_in_trace
#define command_explain stand_in_explain
#define command_who stand_in_who
#define command_replay stand_in_replay
#define command_doctor stand_in_doctor
#define command_record stand_in_record
#define command_history stand_in_history
#define command_report stand_in_report
#define command_rate stand_in_rate
#define command_pool stand_in_pool
#define command_list stand_in_list
int portsnoop_main(int argc, char **argv);
#include "command/list.c"
#include "main.c"
#undef main

static int words_print(const struct command *command, int argc, char **argv)
{
	printf("%s:", command->name);
	for (int i = 0; i < argc; i++)
		printf(" [%s]", argv[i]);
	printf(" %s", argv[argc] ? "no end" : "end");
	return 7;
}

static const struct option_entry no_options[] = {{0}};

#define STAND_IN(word)                                                                             \
	const struct command stand_in_##word = {                                                   \
		.name = #word,                                                                     \
		.usage = "",                                                                       \
		.summary = "about " #word,                                                         \
		.options = no_options,                                                             \
		.run = words_print,                                                                \
	}
STAND_IN(trace);
STAND_IN(who);
STAND_IN(explain);
STAND_IN(replay);
STAND_IN(doctor);
STAND_IN(record);
STAND_IN(history);
STAND_IN(report);
STAND_IN(rate);
STAND_IN(pool);

static int main_run(void *context)
{
	char line[128], *words[12] = {(char *)(uintptr_t) "portsnoop"};
	int count = 1;

	snprintf(line, sizeof(line), "%s", (const char *)context);
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		words[count++] = word;
	return portsnoop_main(count, words);
}

static void line_gives(const char *line, int status, const char *out, const char *err)
{
	struct child_result result = child_run(main_run, (void *)(uintptr_t)line, -1);

	assert_string_equal(result.err, err);
	assert_string_equal(result.out, out);
	assert_int_equal(result.status, status);
}

static void test_commands(void **state)
{
	(void)state;
	line_gives("", 7, "trace: [trace] end", "");
	line_gives("trace", 7, "trace: [trace] end", "");
	line_gives("trace --port 80", 7, "trace: [trace] [--port] [80] end", "");
	line_gives("--port 80", 7, "trace: [trace] [--port] [80] end", "");
	line_gives("-p80 -- ls", 7, "trace: [trace] [-p80] [--] [ls] end", "");
	line_gives("-- help", 7, "trace: [trace] [--] [help] end", "");
	line_gives("who 80 --wait", 7, "who: [who] [80] [--wait] end", "");
	line_gives("explain 80", 7, "explain: [explain] [80] end", "");
	line_gives("replay --version", 7, "replay: [replay] [--version] end", "");
	line_gives("doctor", 7, "doctor: [doctor] end", "");
}

static void test_unknown(void **state)
{
	static const char list[] =
		"is no command; expected one of: trace, who, rate, pool, record, history, report, "
		"explain, replay, doctor, help\n";
	char err[256];

	(void)state;
	snprintf(err, sizeof(err), "portsnoop: 'bogus' %s", list);
	line_gives("bogus --help", 2, "", err);
	line_gives("help bogus", 2, "", err);
	snprintf(err, sizeof(err), "portsnoop: 'Trace' %s", list);
	line_gives("Trace", 2, "", err);
	snprintf(err, sizeof(err), "portsnoop: 'trac' %s", list);
	line_gives("trac", 2, "", err);
	line_gives("help trace doctor", 2, "",
		   "portsnoop: help: 'doctor' is one word too many; expected one command\n");
}

static void test_help_and_version(void **state)
{
	static const char help[] = "Usage: portsnoop explain\n\nabout explain\n\nOptions:\n"
				   "  -h, --help  show this help\n";
	static const char *const overviews[] = {"help", "--help", "-h", "help help",
						"--help trace"};

	(void)state;
	line_gives("--version", 0, "portsnoop " PORTSNOOP_VERSION "\n", "");
	line_gives("-V", 0, "portsnoop " PORTSNOOP_VERSION "\n", "");
	line_gives("help explain", 0, help, "");
	for (size_t i = 0; i < sizeof(overviews) / sizeof(overviews[0]); i++) {
		struct child_result result =
			child_run(main_run, (void *)(uintptr_t)overviews[i], -1);

		assert_int_equal(result.status, 0);
		assert_string_equal(result.err, "");
		assert_non_null(strstr(result.out, "\n  trace     about trace\n"));
		assert_non_null(strstr(result.out, "\n  doctor    about doctor\n"));
	}
}

/* The writer of words must see EPIPE, not die. */
static int pipe_signal_state(void *context)
{
	struct sigaction action;

	main_run(context);
	sigaction(SIGPIPE, NULL, &action);
	return action.sa_handler == SIG_IGN ? 0 : 1;
}

static void test_pipe_signal(void **state)
{
	struct child_result result = child_run(pipe_signal_state, (void *)(uintptr_t) "trace", -1);

	(void)state;
	assert_int_equal(result.status, 0);
}

/* With 1 closed, the next file to be opened must not become the output. */
static int closed_output(void *context)
{
	close(1);
	main_run(context);
	return open("/dev/null", O_RDONLY) > 2 && write(1, "x", 1) < 0 ? 0 : 1;
}

static void test_closed_output(void **state)
{
	struct child_result result = child_run(closed_output, (void *)(uintptr_t) "trace", -1);

	(void)state;
	assert_int_equal(result.status, 0);
	result = child_run(closed_output, (void *)(uintptr_t) "--version", -1);
	assert_string_equal(result.err, "portsnoop: standard output: Bad file descriptor\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),	 cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_help_and_version), cmocka_unit_test(test_pipe_signal),
		cmocka_unit_test(test_closed_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
