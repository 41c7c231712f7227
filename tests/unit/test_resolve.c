/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/resolve.h"

static void user_is(const char *text, uint64_t uid)
{
	const char *expected;
	uint64_t found = 77;

	assert_int_equal(resolve_user(text, &found, &expected), 0);
	assert_int_equal(found, uid);
}

static void test_user(void **state)
{
	static const char *const wrong[] = {
		"", "no-such-user-here", "-1", "4294967295", " 0", "0x0", "1e3", "root "};
	const char *expected;
	uint64_t uid = 77;

	(void)state;
	user_is("0", 0);
	user_is("1000", 1000);
	user_is("4294967294", 4294967294);
	user_is("root", 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		expected = NULL;
		assert_int_equal(resolve_user(wrong[i], &uid, &expected), -EINVAL);
		assert_non_null(expected);
		assert_int_equal(uid, 77);
	}
}

static void test_netns(void **state)
{
	static const char *const wrong[] = {
		"",
		"0",
		"-1",
		"4294967296",
		"/proc/self/ns/pid",
		"/proc/self/ns/nope",
		"/etc/passwd",
		"/dev/null",
		"/",
		"no-such-netns-here",
		"./x",
		"0x1",
	};
	char name[300];
	struct stat status;
	const char *expected;
	uint64_t inode = 77;

	(void)state;
	assert_int_equal(resolve_netns("4026531840", &inode, &expected), 0);
	assert_true(inode == 4026531840);
	assert_int_equal(stat("/proc/self/ns/net", &status), 0);
	assert_int_equal(resolve_netns("/proc/self/ns/net", &inode, &expected), 0);
	assert_true(inode == status.st_ino);
	inode = 77;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		expected = NULL;
		assert_int_equal(resolve_netns(wrong[i], &inode, &expected), -EINVAL);
		assert_non_null(expected);
		assert_int_equal(inode, 77);
	}
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(resolve_netns(name, &inode, &expected), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_netns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
