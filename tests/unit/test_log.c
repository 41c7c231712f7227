/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "lib/log.h"

static int message_write(void *context)
{
	errno = EDOM;
	log_message("%s", (const char *)context);
	return errno == EDOM ? 0 : 1;
}

static void message_is(const char *text, const char *line)
{
	struct child_result result = child_run(message_write, (void *)(uintptr_t)text, -1);

	assert_int_equal(result.status, 0);
	assert_string_equal(result.err, line);
	assert_string_equal(result.out, "");
}

static void test_message(void **state)
{
	(void)state;
	message_is("hello", "portsnoop: hello\n");
	message_is("", "portsnoop: \n");
	message_is("größe €𝄞", "portsnoop: größe €𝄞\n");
}

static void test_hostile(void **state)
{
	(void)state;
	message_is("a\nportsnoop: b", "portsnoop: a\\x0aportsnoop: b\n");
	message_is("\033[2J\x7f\r", "portsnoop: \\x1b[2J\\x7f\\x0d\n");
	message_is("\xc2\x9b"
		   "2J",
		   "portsnoop: \\xc2\\x9b2J\n");			     /* C1 */
	message_is("\xe2\x80\xae", "portsnoop: \\xe2\\x80\\xae\n");	     /* U+202E */
	message_is("\xff\xc3", "portsnoop: \\xff\\xc3\n");		     /* not UTF-8, cut */
	message_is("\xc0\xaf", "portsnoop: \\xc0\\xaf\n");		     /* overlong */
	message_is("\xe0\x9f\xbf", "portsnoop: \\xe0\\x9f\\xbf\n");	     /* U+07FF in three */
	message_is("\xed\xa0\x80", "portsnoop: \\xed\\xa0\\x80\n");	     /* surrogate */
	message_is("\xf4\x90\x80\x80", "portsnoop: \\xf4\\x90\\x80\\x80\n"); /* above U+10FFFF */
	message_is("\xe2\x82"
		   "a",
		   "portsnoop: \\xe2\\x82"
		   "a\n");
}

/* Nobody to tell, and nothing that the caller would notice. */
static int message_fail(void *context)
{
	(void)context;
	close(2);
	errno = EDOM;
	log_message("hello");
	return errno == EDOM ? 0 : 1;
}

static void test_errno_stays(void **state)
{
	struct child_result result = child_run(message_fail, NULL, -1);

	(void)state;
	assert_int_equal(result.status, 0);
}

static int error_write(void *context)
{
	(void)context;
	return log_error(-ENOENT, "/x/%d", 5) == -ENOENT ? 0 : 1;
}

static void test_error(void **state)
{
	struct child_result result = child_run(error_write, NULL, -1);

	(void)state;
	assert_int_equal(result.status, 0);
	assert_string_equal(result.err, "portsnoop: /x/5: No such file or directory\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_errno_stays),
		cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
