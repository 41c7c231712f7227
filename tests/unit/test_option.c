/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/help.h"
#include "lib/option.h"
#include "lib/parse.h"
#include "model/filter.h"

struct options {
	struct port_set *ports;
	uint64_t count, every, size;
	const char *save;
	bool failed, follow;
};

static int out_of_memory(const char *argument, void *target, const char **expected)
{
	(void)argument;
	(void)target;
	(void)expected;
	return -ENOMEM;
}

static const struct option_entry entries[] = {
	OPTION("port", 'p', "PORTS", "only these ports", filter_set_ports, struct options, ports),
	OPTION("count", 'n', "N", "stop after N", option_count, struct options, count),
	OPTION("every", 0, "TIME", "how often", option_duration, struct options, every),
	OPTION("size", 's', "SIZE", "how much", option_size, struct options, size),
	OPTION("save", 0, "FILE", "where to", option_string, struct options, save),
	OPTION("failed", 'F', NULL, "only failures", option_flag, struct options, failed),
	OPTION("follow", 0, NULL, "go on", option_flag, struct options, follow),
	OPTION("huge", 0, "N", "too much", out_of_memory, struct options, count),
	{0},
};

static const struct command command_test = {
	.name = "test",
	.usage = "[OPTION]... [WORD]...",
	.summary = "Tests.",
	.text = "A paragraph.",
	.options = entries,
};

#define WORDS_MAX 12

struct words {
	int count;
	char *word[WORDS_MAX + 1];
};

/* Splits at spaces; "''" is an empty word. */
static struct words words_of(char *line)
{
	struct words words = {.word = {(char *)(uintptr_t) "test"}, .count = 1};

	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		words.word[words.count++] = strcmp(word, "''") != 0 ? word : word + 2;
	return words;
}

/* Options that are taken: prints what they became. */
static int parse_and_print(void *context)
{
	char line[256];
	struct options options = {.count = 5};
	struct words words;
	int first;

	snprintf(line, sizeof(line), "%s", (const char *)context);
	words = words_of(line);
	first = options_parse(&command_test, words.count, words.word, &options);
	printf("first=%d count=%llu every=%llu size=%llu save=%s failed=%d follow=%d ports=", first,
	       (unsigned long long)options.count, (unsigned long long)options.every,
	       (unsigned long long)options.size, options.save ? options.save : "-", options.failed,
	       options.follow);
	for (unsigned int port = 0; options.ports && port < 65536; port++)
		if (port_set_has(options.ports, (uint16_t)port))
			printf("%u,", port);
	free(options.ports);
	return 0;
}

static void line_gives(const char *line, int status, const char *out, const char *err)
{
	struct child_result result = child_run(parse_and_print, (void *)(uintptr_t)line, -1);

	assert_string_equal(result.err, err);
	assert_string_equal(result.out, out);
	assert_int_equal(result.status, status);
}

static void line_is(const char *line, const char *out)
{
	line_gives(line, 0, out, "");
}

static void line_is_refused(const char *line, const char *why)
{
	char err[512];

	snprintf(err, sizeof(err), "portsnoop test: %s\n", why);
	line_gives(line, 2, "", err);
}

static void test_taken(void **state)
{
	(void)state;
	line_is("", "first=1 count=5 every=0 size=0 save=- failed=0 follow=0 ports=");
	line_is("--count 7 --every=1.5s -s64k --save f -F --port 80",
		"first=10 count=7 every=1500000000 size=65536 save=f failed=1 follow=0 ports=80,");
	line_is("-Fn3 -p 1", "first=4 count=3 every=0 size=0 save=- failed=1 follow=0 ports=1,");
	/* A list adds up, anything else takes the last. */
	line_is("-p 80 -n 1 -p 90-91 -n 2",
		"first=9 count=2 every=0 size=0 save=- failed=0 follow=0 ports=80,90,91,");
	/* Short for one option only. */
	line_is("--cou 9 --fo", "first=4 count=9 every=0 size=0 save=- failed=0 follow=1 ports=");
}

static void test_operands(void **state)
{
	(void)state;
	line_is("a --count 7", "first=1 count=5 every=0 size=0 save=- failed=0 follow=0 ports=");
	line_is("-F -- --count 7",
		"first=3 count=5 every=0 size=0 save=- failed=1 follow=0 ports=");
	line_is("-F a -- --count",
		"first=2 count=5 every=0 size=0 save=- failed=1 follow=0 ports=");
	line_is("-", "first=1 count=5 every=0 size=0 save=- failed=0 follow=0 ports=");
}

static void test_refused_values(void **state)
{
	static const char *const ports[] = {"80abc", "+80",  "-1",   "65536", "80-",
					    "90-80", "1,,2", "0x50", "1e3",   "''"};
	char line[64], why[256];

	(void)state;
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		const char *value = strcmp(ports[i], "''") != 0 ? ports[i] : "";

		snprintf(line, sizeof(line), "--port %s", ports[i]);
		snprintf(why, sizeof(why),
			 "--port: '%s' is not accepted; expected a port (0-65535), a range like "
			 "8000-8010, or a comma-separated list of these",
			 value);
		line_is_refused(line, why);
	}
	line_is_refused("-p x", "--port: 'x' is not accepted; expected a port (0-65535), a range "
				"like 8000-8010, or a comma-separated list of these");
	line_is_refused("-n 0", "--count: '0' is not accepted; expected a whole number from 1");
	line_is_refused("--count=18446744073709551616",
			"--count: '18446744073709551616' is not accepted; expected a whole number "
			"from 1");
	line_is_refused("--save ''",
			"--save: '' is not accepted; expected a text that is not empty");
	line_is_refused("--save=", "--save: '' is not accepted; expected a text that is not empty");
	line_is_refused("--every 0s",
			"--every: '0s' is not accepted; expected a duration above zero like 500ms, "
			"10s, 1.5s, 5m, 2h or 1d; a plain number is seconds");
	line_is_refused("-s 1q", "--size: '1q' is not accepted; expected a size above zero like "
				 "4096, 64k, 8M or 1G, in powers of 1024");
	/* The terminal must not obey what was typed. */
	line_is_refused("-n \033[2J",
			"--count: '\\x1b[2J' is not accepted; expected a whole number from 1");
}

static void test_refused_options(void **state)
{
	(void)state;
	line_is_refused("--bogus", "--bogus is no option; 'portsnoop test --help' lists them");
	line_is_refused("--bogus=3 x", "--bogus is no option; 'portsnoop test --help' lists them");
	line_is_refused("-x", "-x is no option; 'portsnoop test --help' lists them");
	line_is_refused("-Fx", "-x is no option; 'portsnoop test --help' lists them");
	line_is_refused("--countless 3",
			"--countless is no option; 'portsnoop test --help' lists them");
	line_is_refused("--f", "--f could be --failed or --follow");
	line_is_refused("--s=3", "--s could be --size or --save");
	line_is_refused("--h", "--h could be --huge or --help");
	line_is_refused("--failed=yes", "--failed takes no value; '--failed=yes' has one");
	line_is_refused("--help=yes", "--help takes no value; '--help=yes' has one");
	line_is_refused("--count", "--count has no value; expected N");
	line_is_refused("-F -p", "--port has no value; expected PORTS");
	/* The first mistake is the one that is told. */
	line_is_refused("-n 0 --bogus",
			"--count: '0' is not accepted; expected a whole number from 1");
}

static void test_no_memory(void **state)
{
	(void)state;
	line_gives("--huge 3", 1, "", "portsnoop: --huge: Cannot allocate memory\n");
}

static const char help[] = "Usage: portsnoop test [OPTION]... [WORD]...\n"
			   "\n"
			   "Tests.\n"
			   "\n"
			   "A paragraph.\n"
			   "\n"
			   "Options:\n"
			   "  -p, --port PORTS  only these ports\n"
			   "  -n, --count N     stop after N\n"
			   "      --every TIME  how often\n"
			   "  -s, --size SIZE   how much\n"
			   "      --save FILE   where to\n"
			   "  -F, --failed      only failures\n"
			   "      --follow      go on\n"
			   "      --huge N      too much\n"
			   "  -h, --help        show this help\n";

static void test_help(void **state)
{
	(void)state;
	line_gives("--help", 0, help, "");
	line_gives("-h", 0, help, "");
	line_gives("-F --he --bogus", 0, help, "");
	line_is("x --help", "first=1 count=5 every=0 size=0 save=- failed=0 follow=0 ports=");
}

static void test_help_wraps(void **state)
{
	static const struct option_entry options[] = {
		{.name = "a-name-that-is-far-too-long-for-this",
		 .argument = "VALUE",
		 .help = "x y"},
		/* The 80th column is the last one. */
		{.name = "edge",
		 .help = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
			 "bbbb ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc dddd"},
		{.name = "words",
		 .letter = 'h',
		 .help = "aaaaaaaaaa bbbbbbbbbb cccccccccc dddddddddd eeeeeeeeee ffffffffff "
			 "gggggggggg"},
		{0},
	};
	const struct command command = {
		.name = "wrap",
		.usage = "",
		.summary = "Wraps.",
		.text = "1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 "
			"1234567890 1234567890\n  kept  as it is\n",
		.options = options,
	};
	struct buffer text = BUFFER_EMPTY;

	(void)state;
	help_text(&command, &text);
	buffer_byte(&text, '\0');
	assert_string_equal(
		text.data,
		"Usage: portsnoop wrap\n\nWraps.\n\n"
		"1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 "
		"1234567890\n1234567890\n  kept  as it is\n\nOptions:\n"
		"      --a-name-that-is-far-too-long-for-this VALUE\n"
		"               x y\n"
		"      --edge   aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
		"bbbb\n"
		"               ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc\n"
		"               dddd\n"
		"  -h, --words  aaaaaaaaaa bbbbbbbbbb cccccccccc dddddddddd eeeeeeeeee "
		"ffffffffff\n"
		"               gggggggggg\n"
		"      --help   show this help\n");
	buffer_free(&text);
}

static int error_exit(void *context)
{
	usage_error(context, "'%s' is wrong", "a\nb");
}

static void test_usage_error(void **state)
{
	struct child_result result = child_run(error_exit, (void *)(uintptr_t)&command_test, -1);

	(void)state;
	assert_int_equal(result.status, 2);
	assert_string_equal(result.err, "portsnoop test: 'a\\x0ab' is wrong\n");
	result = child_run(error_exit, NULL, -1);
	assert_int_equal(result.status, 2);
	assert_string_equal(result.err, "portsnoop: 'a\\x0ab' is wrong\n");
}

static void shown_is(bool secret, const char *value, const char *shown)
{
	const struct option_entry entry = {.name = "to", .secret = secret};
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	option_value_shown(&entry, value, &out);
	buffer_byte(&out, '\0');
	assert_false(out.failed);
	assert_string_equal(out.data, shown);
}

/* What could be a password is not repeated, however wrong the rest of it is. */
static void secrets(void **state)
{
	(void)state;
	shown_is(false, "http://me:secret@host", "http://me:secret@host");
	shown_is(true, "http://me:secret@host", "http://***@host");
	shown_is(true, "x:http://me:s/e@c?r@e,t@host/,a=b", "x:http://***@host/,a=b");
	shown_is(true, "http://host/path", "http://host/path");
	shown_is(true, "http://me:secret@host/?password=secret&a=b",
		 "http://***@host/?password=***");
	shown_is(true, "http://host/?user=me&password=secret,a=b", "http://host/?user=***");
	shown_is(true, "file:/a@b", "file:/a@b");
	shown_is(true, "", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_operands),
		cmocka_unit_test(test_refused_values),
		cmocka_unit_test(test_refused_options),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_help_wraps),
		cmocka_unit_test(test_usage_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
