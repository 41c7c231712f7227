/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/list.h"

static void test_numbers(void **state)
{
	struct number_list *list = NULL;

	(void)state;
	assert_false(number_list_has(list, 0));
	for (uint64_t i = 0; i < 100; i += 2)
		assert_int_equal(number_list_add(&list, i), 0);
	assert_int_equal(list->count, 50);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(number_list_has(list, i), i % 2 == 0);
	free(list);
}

static void test_texts(void **state)
{
	struct text_list *list = NULL;

	(void)state;
	assert_false(text_list_has(list, "", 0));
	assert_int_equal(text_list_add(&list, "sshd-and-more", 4), 0);
	assert_int_equal(text_list_add(&list, "", 0), 0);
	assert_true(text_list_has(list, "sshd", 4));
	assert_true(text_list_has(list, "", 0));
	assert_false(text_list_has(list, "sshd-", 5));
	assert_false(text_list_has(list, "ssh", 3));
	assert_false(text_list_has(list, "sshD", 4));
	text_list_free(list);
	text_list_free(NULL);
}

struct parts {
	char joined[64];
	int stop_at;
};

static int part_take(const char *part, void *context)
{
	struct parts *parts = context;

	strcat(strcat(parts->joined, part), ";");
	return --parts->stop_at ? 0 : -5;
}

static void parts_are(const char *text, const char *joined)
{
	struct parts parts = {{0}, 0};

	assert_int_equal(list_split(text, part_take, &parts), 0);
	assert_string_equal(parts.joined, joined);
}

static void test_split(void **state)
{
	struct parts parts = {.stop_at = 2};

	(void)state;
	parts_are("a,b,c", "a;b;c;");
	parts_are("a", "a;");
	parts_are("", ";");
	parts_are("a,,b", "a;;b;");
	parts_are(",", ";;");
	assert_int_equal(list_split("a,b,c", part_take, &parts), -5);
	assert_string_equal(parts.joined, "a;b;");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
