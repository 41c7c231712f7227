/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Options from a file: what is taken, what is refused, and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/config.h"

#define FILE_NAME "f.conf"

struct options {
	uint64_t count, size, age;
	const char *db, *config;
	bool follow, failed;
};

static int out_of_memory(const char *argument, void *target, const char **expected)
{
	(void)argument;
	(void)target;
	(void)expected;
	return -ENOMEM;
}

static const struct option_entry entries[] = {
	OPTION("count", 'n', "N", "stop after N", option_count, struct options, count),
	OPTION("max-size", 0, "SIZE", "how much", option_size, struct options, size),
	OPTION("max-age", 0, "TIME", "how old", option_duration, struct options, age),
	OPTION("db", 0, "FILE", "where", option_string, struct options, db),
	OPTION("config", 0, "FILE", "the file", option_string, struct options, config,
	       .line_only = true),
	OPTION("follow", 'f', NULL, "go on", option_flag, struct options, follow),
	OPTION("failed", 0, NULL, "only failures", option_flag, struct options, failed),
	OPTION("huge", 0, "N", "too much", out_of_memory, struct options, count),
	{0},
};

static const struct command command = {.name = "test", .options = entries};

static const struct options defaults = {.count = 5, .size = 6, .age = 7, .db = "/default"};

struct parsed {
	struct options options;
	char *text;
	char why[CONFIG_WHY];
	int error;
};

static void parsed_free(struct parsed *parsed)
{
	free(parsed->text);
}

/* In a room of just its size, so that a byte too far is seen. */
static struct parsed parse_bytes(const char *text, size_t length, uint64_t given)
{
	struct parsed parsed = {.options = defaults, .text = malloc(length + 1)};

	assert_non_null(parsed.text);
	memcpy(parsed.text, text, length);
	parsed.text[length] = '\0';
	parsed.error = config_parse(parsed.text, length, FILE_NAME, &command, given,
				    &parsed.options, parsed.why, sizeof(parsed.why));
	assert_true(!parsed.error == !*parsed.why);
	return parsed;
}

static struct parsed parse(const char *text)
{
	return parse_bytes(text, strlen(text), 0);
}

static void expect_defaults(const char *text)
{
	CLEANUP(parsed_free) struct parsed parsed = parse(text);

	assert_string_equal(parsed.why, "");
	assert_memory_equal(&parsed.options, &defaults, sizeof(defaults));
}

static void test_nothing(void **state)
{
	(void)state;
	expect_defaults("");
	expect_defaults("\n");
	expect_defaults("\n\n  \n\t\n\r\n");
	expect_defaults("# count = 9");
	expect_defaults("  # count = 9\n#\n");
	expect_defaults("\xef\xbb\xbf");
	expect_defaults("\xef\xbb\xbf# with a mark\n");
	expect_defaults("follow = no\nfailed = false\n");
}

static void test_values(void **state)
{
	static const char *const texts[] = {
		"count = 9\nmax-size = 4k\nmax-age = 2h\ndb = /var/a b.db\nfollow = yes\n",
		"count=9\nmax-size=4k\nmax-age=2h\ndb=/var/a b.db\nfollow=true",
		"count = 9\r\nmax-size = 4k\r\nmax-age = 2h\r\ndb = /var/a b.db\r\nfollow = yes\r\n",
		"\xef\xbb\xbf"
		"count = 9\nmax-size = 4k\nmax-age = 2h\ndb = /var/a b.db\nfollow = yes\r",
		"\t count\t=\t 9 \t\n# 1\n\nmax-size  =  4k  \n max-age = 2h\n"
		"db =  /var/a b.db \t \n  follow = yes  \n",
		"follow = yes\ndb = /var/a b.db\nmax-age = 2h\nmax-size = 4k\ncount = 9\n"
		"failed = no\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		CLEANUP(parsed_free) struct parsed parsed = parse(texts[i]);

		assert_string_equal(parsed.why, "");
		assert_int_equal(parsed.options.count, 9);
		assert_int_equal(parsed.options.size, 4096);
		assert_int_equal(parsed.options.age, 7200000000000);
		assert_string_equal(parsed.options.db, "/var/a b.db");
		assert_true(parsed.options.follow);
		assert_false(parsed.options.failed);
	}
}

/* Of a path everything belongs to it, even what means something elsewhere. */
static void test_path(void **state)
{
	static const char *const paths[] = {"/a=b", "=", "/a#b", "/\xc3\xa4/\xe2\x82\xac",
					    "a'b\"c"};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		char line[64];

		snprintf(line, sizeof(line), "db = %s\n", paths[i]);
		CLEANUP(parsed_free) struct parsed parsed = parse(line);
		assert_string_equal(parsed.why, "");
		assert_string_equal(parsed.options.db, paths[i]);
	}
}

static void refused(const char *text, const char *why)
{
	CLEANUP(parsed_free) struct parsed parsed = parse(text);

	assert_string_equal(parsed.why, why);
	assert_int_equal(parsed.error, -EINVAL);
}

static void test_refused(void **state)
{
	(void)state;
	refused("count = nine", "f.conf:1: count: 'nine' is not accepted; expected a whole number "
				"from 1");
	refused("\n# x\ncount = 0\n", "f.conf:3: count: '0' is not accepted; expected a whole "
				      "number from 1");
	refused("count 9", "f.conf:1: behind count there is no =; expected count = N");
	refused("db http://me:secret@host/?a=b",
		"f.conf:1: behind db there is no =; expected db = FILE");
	refused("cout 9", "f.conf:1: 'cout' is no option of 'test'; expected count, max-size, "
			  "max-age, db, follow, failed or huge");
	refused("Count = 9", "f.conf:1: 'Count' is no option of 'test'; expected count, max-size, "
			     "max-age, db, follow, failed or huge");
	/* Cut short, as on the command line: the file is to last. */
	refused("max-s = 9", "f.conf:1: 'max-s' is no option of 'test'; expected count, max-size, "
			     "max-age, db, follow, failed or huge");
	refused("n = 9", "f.conf:1: 'n' is no option of 'test'; expected count, max-size, "
			 "max-age, db, follow, failed or huge");
	refused("[main]", "f.conf:1: '[main]' is no option of 'test'; expected count, max-size, "
			  "max-age, db, follow, failed or huge");
	refused("help = yes", "f.conf:1: 'help' is no option of 'test'; expected count, max-size, "
			      "max-age, db, follow, failed or huge");
	refused("--count = 9", "f.conf:1: '--count': expected count, without the dashes");
	refused("= 9", "f.conf:1: expected NAME = VALUE");
	refused("count", "f.conf:1: count has no value; expected count = N");
	refused("count =", "f.conf:1: count has no value; expected count = N");
	refused("count = \t\r\n", "f.conf:1: count has no value; expected count = N");
	refused("follow", "f.conf:1: follow has no value; expected follow = yes");
	refused("follow = 1", "f.conf:1: follow: '1' is not accepted; expected yes, no, true or "
			      "false");
	refused("follow = Yes", "f.conf:1: follow: 'Yes' is not accepted; expected yes, no, true "
				"or false");
	refused("count = 1\ncount = 2", "f.conf:2: count = '2': it was set before; expected each "
					"option once");
	refused("follow = no\nfollow = yes", "f.conf:2: follow = 'yes': it was set before; "
					     "expected each option once");
	refused("config = /x", "f.conf:1: config is for the command line alone: --config");
	refused("db = \"/x\"", "f.conf:1: db: '\"/x\"' is not accepted; expected a value without "
			       "quotes");
	refused("db = '/x'", "f.conf:1: db: ''/x'' is not accepted; expected a value without "
			     "quotes");
	refused("db = /x # here", "f.conf:1: db: '/x # here' is not accepted; expected the "
				  "comment in a line of its own");
	refused("db = /x\t#", "f.conf:1: db: '/x\t#' is not accepted; expected the comment in a "
			      "line of its own");
	refused("count = 1\ndb = /a\x1b[2J", "f.conf:2: there is a control character");
	refused("db = /a\x7f", "f.conf:1: there is a control character");
	refused("# a\rb\n", "f.conf:1: there is a control character");
	refused("db = /a\xff", "f.conf:1: this is not UTF-8");
	refused("# a\xc3\n", "f.conf:1: this is not UTF-8");
	refused("# a\xc3", "f.conf:1: this is not UTF-8");
}

struct list {
	uint64_t count, sum;
};

static int list_add(const char *argument, void *target, const char **expected)
{
	struct list *list = target;
	uint64_t number;

	if (option_count(argument, &number, expected))
		return -EINVAL;
	list->count++;
	list->sum += number;
	return 0;
}

/* As on the command line: each line adds. A password that is typed wrong is not told on. */
static void test_list(void **state)
{
	static const struct option_entry list_entries[] = {
		{.name = "to",
		 .argument = "URL",
		 .help = "where",
		 .set = list_add,
		 .adds_up = true,
		 .secret = true},
		{0},
	};
	static const struct command list_command = {.name = "test", .options = list_entries};
	char text[] = "to = 3\n# once more\nto = 4\nto = 5\n", other[] = "to = 1\nto = 2\n";
	char wrong[] = "to = 1\nto = http://me:a@b:@host/\n";
	struct list list = {0};
	char why[CONFIG_WHY] = "";

	(void)state;
	assert_int_equal(config_parse(text, strlen(text), FILE_NAME, &list_command, 0, &list, why,
				      sizeof(why)),
			 0);
	assert_int_equal(list.count, 3);
	assert_int_equal(list.sum, 12);
	/* The command line has some: these do not count. */
	assert_int_equal(config_parse(other, strlen(other), FILE_NAME, &list_command, 1, &list, why,
				      sizeof(why)),
			 0);
	assert_int_equal(list.count, 3);
	assert_int_equal(config_parse(wrong, strlen(wrong), FILE_NAME, &list_command, 0, &list, why,
				      sizeof(why)),
			 -EINVAL);
	assert_string_equal(why, "f.conf:2: to: 'http://***@host/' is not accepted; expected a "
				 "whole number from 1");
}

static void test_out_of_memory(void **state)
{
	CLEANUP(parsed_free) struct parsed parsed = parse("huge = 1\n");

	(void)state;
	assert_int_equal(parsed.error, -ENOMEM);
	assert_string_equal(parsed.why, "f.conf:1: huge: Cannot allocate memory");
}

static void test_nul(void **state)
{
	static const char text[] = "count = 9\ndb = /a\0b\n";
	CLEANUP(parsed_free) struct parsed parsed = parse_bytes(text, sizeof(text) - 1, 0);

	(void)state;
	assert_int_equal(parsed.error, -EINVAL);
	assert_string_equal(parsed.why, "f.conf:2: there is a NUL byte");
}

static void test_long(void **state)
{
	char text[CONFIG_LINE_MOST + 2];

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "db = ", 5);
	for (size_t length = CONFIG_LINE_MOST; length <= CONFIG_LINE_MOST + 1; length++) {
		CLEANUP(parsed_free) struct parsed parsed = parse_bytes(text, length, 0);

		if (length == CONFIG_LINE_MOST) {
			assert_int_equal(parsed.error, 0);
			assert_int_equal(strlen(parsed.options.db), length - 5);
			continue;
		}
		assert_int_equal(parsed.error, -EINVAL);
		assert_string_equal(parsed.why, "f.conf:1: the line is too long: expected at most "
						"8192 bytes");
	}
	/* And what is quoted is not, */
	memcpy(text, "max-size = ", 11);
	CLEANUP(parsed_free) struct parsed value = parse_bytes(text, CONFIG_LINE_MOST, 0);
	assert_int_equal(value.error, -EINVAL);
	assert_non_null(strstr(value.why, "aaa...' is not accepted; expected "));
	assert_true(strlen(value.why) < 256);
	/* neither a name. */
	CLEANUP(parsed_free) struct parsed name = parse_bytes(text + 11, 5000, 0);
	assert_int_equal(name.error, -EINVAL);
	assert_non_null(strstr(name.why, "aaa...' is no option of 'test'; expected count, "));
}

/* Whatever room there is for the words, nothing is written behind it. */
static void test_why_short(void **state)
{
	char *text = strdup("count = nine");

	(void)state;
	assert_non_null(text);
	for (size_t size = 1; size < 100; size++) {
		CLEANUP_FREE char *why = malloc(size);
		struct options options = defaults;

		assert_non_null(why);
		memcpy(text, "count = nine", 12);
		assert_int_equal(
			config_parse(text, 12, FILE_NAME, &command, 0, &options, why, size),
			-EINVAL);
		assert_true(strlen(why) < size);
	}
	free(text);
}

static uint64_t given_by(int argc, const char *const *words, struct options *options)
{
	char *argv[8] = {NULL};
	uint64_t given;

	for (int i = 0; i < argc; i++)
		argv[i] = (char *)(uintptr_t)words[i];
	options_parse_given(&command, argc, argv, options, &given);
	return given;
}

/* And what it does not give comes from the file. */
static void test_command_line_wins(void **state)
{
	static const char *const words[] = {"test", "--max-si=1M", "-f", "--db", "/mine"};
	static const char text[] = "count = 9\nmax-size = 4k\ndb = /file\nfollow = no\n";
	struct options options = defaults;
	char copy[sizeof(text)], why[CONFIG_WHY];
	uint64_t given = given_by(5, words, &options);

	(void)state;
	assert_int_equal(given, 1u << 1 | 1u << 3 | 1u << 5);
	memcpy(copy, text, sizeof(text));
	assert_int_equal(config_parse(copy, sizeof(text) - 1, FILE_NAME, &command, given, &options,
				      why, sizeof(why)),
			 0);
	assert_int_equal(options.count, 9);
	assert_int_equal(options.size, 1 << 20);
	assert_string_equal(options.db, "/mine");
	assert_true(options.follow);
	assert_int_equal(options.age, 7);
	assert_int_equal(given_by(1, words, &options), 0);
}

/* Each entry needs a bit of its own. */
static void test_tables_fit(void **state)
{
	(void)state;
	for (const struct command *const *each = command_list; *each; each++) {
		size_t count = 0;

		while ((*each)->options && (*each)->options[count].name)
			count++;
		assert_true(count <= 64);
	}
}

/* ---- files ---- */

static char folder[] = "/tmp/portsnoop-config-XXXXXX";
static char path[sizeof(folder) + 8];

static int folder_make(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/f", folder);
	return 0;
}

static int folder_remove(void **state)
{
	(void)state;
	return rmdir(folder);
}

static void file_write(const char *text, size_t length)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), length);
}

static int file_read(struct config_file *config, struct options *options, char *why)
{
	*options = defaults;
	why[0] = '\0';
	return config_read(config, path, &command, 0, options, why, CONFIG_WHY);
}

static void expect_why(const char *why, const char *words)
{
	char expected[CONFIG_WHY];

	snprintf(expected, sizeof(expected), "%s%s", path, words);
	assert_string_equal(why, expected);
}

/* Twice, as upon SIGHUP: what the first file told stays until it is freed. */
static void test_file(void **state)
{
	CLEANUP(config_free) struct config_file first = {0}, second = {0};
	struct options before, after;
	char why[CONFIG_WHY];

	(void)state;
	file_write("db = /one\ncount = 1\n", 20);
	assert_int_equal(file_read(&first, &before, why), 0);
	file_write("db = /two\n", 10);
	assert_int_equal(file_read(&second, &after, why), 0);
	assert_string_equal(before.db, "/one");
	assert_int_equal(before.count, 1);
	assert_string_equal(after.db, "/two");
	assert_int_equal(after.count, 5);
	file_write("db = /three\ncount = x\n", 22);
	assert_int_equal(file_read(&second, &before, why), -EINVAL);
	expect_why(why, ":2: count: 'x' is not accepted; expected a whole number from 1");
	assert_string_equal(after.db, "/two");
	unlink(path);
	config_free(&first);
	assert_null(first.text);
}

static void test_file_missing(void **state)
{
	struct config_file config = {0};
	struct options options;
	char why[CONFIG_WHY];

	(void)state;
	assert_int_equal(file_read(&config, &options, why), -ENOENT);
	expect_why(why, ": No such file or directory");
	assert_null(config.text);
	assert_memory_equal(&options, &defaults, sizeof(defaults));
}

static void test_file_unreadable(void **state)
{
	struct config_file config = {0};
	struct options options;
	char why[CONFIG_WHY];
	int error;

	(void)state;
	file_write("count = 1\n", 10);
	chmod(path, 0);
	if (!geteuid())
		assert_int_equal(seteuid(65534), 0);
	chmod(folder, 0755);
	error = file_read(&config, &options, why);
	if (!getuid())
		assert_int_equal(seteuid(0), 0);
	unlink(path);
	assert_int_equal(error, -EACCES);
	expect_why(why, ": Permission denied");
}

static void test_file_of_another_kind(void **state)
{
	struct config_file config = {0};
	struct options options;
	char why[CONFIG_WHY];

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(file_read(&config, &options, why), -EISDIR);
	expect_why(why, ": this is a directory; expected a file");
	assert_int_equal(rmdir(path), 0);
	/* Nobody writes to it. */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(file_read(&config, &options, why), -EINVAL);
	expect_why(why, ": this is a pipe; expected a file, which can be read again");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/zero", path), 0);
	assert_int_equal(file_read(&config, &options, why), -EINVAL);
	expect_why(why, ": this is a device; expected a file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("f", path), 0);
	assert_int_equal(file_read(&config, &options, why), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_null(config.text);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(file_read(&config, &options, why), 0);
	assert_int_equal(unlink(path), 0);
	assert_memory_equal(&options, &defaults, sizeof(defaults));
	config_free(&config);
}

static void test_file_size(void **state)
{
	CLEANUP_FREE char *text = malloc(CONFIG_MOST + 1);
	CLEANUP(config_free) struct config_file config = {0};
	struct options options;
	char why[CONFIG_WHY];

	(void)state;
	assert_non_null(text);
	memset(text, '\n', CONFIG_MOST + 1);
	memcpy(text + CONFIG_MOST - 9, "count = 8", 9);
	file_write(text, CONFIG_MOST);
	assert_int_equal(file_read(&config, &options, why), 0);
	assert_int_equal(options.count, 8);
	config_free(&config);
	file_write(text, CONFIG_MOST + 1);
	assert_int_equal(file_read(&config, &options, why), -EFBIG);
	expect_why(why, ": expected at most 64 KiB");
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_why_short),
		cmocka_unit_test(test_command_line_wins),
		cmocka_unit_test(test_tables_fit),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_missing),
		cmocka_unit_test(test_file_unreadable),
		cmocka_unit_test(test_file_of_another_kind),
		cmocka_unit_test(test_file_size),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
