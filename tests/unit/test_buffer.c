/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include "lib/buffer.h"

static void buffer_is(struct buffer *buffer, const char *text)
{
	assert_false(buffer->failed);
	assert_int_equal(buffer->length, strlen(text));
	assert_memory_equal(buffer->data, text, buffer->length);
	buffer_reset(buffer);
}

static void test_numbers(void **state)
{
	struct buffer buffer = BUFFER_EMPTY;

	(void)state;
	buffer_unsigned(&buffer, 0);
	buffer_is(&buffer, "0");
	buffer_unsigned(&buffer, 1234567890);
	buffer_is(&buffer, "1234567890");
	buffer_unsigned(&buffer, UINT64_MAX);
	buffer_is(&buffer, "18446744073709551615");
	buffer_signed(&buffer, -1);
	buffer_is(&buffer, "-1");
	buffer_signed(&buffer, INT64_MIN);
	buffer_is(&buffer, "-9223372036854775808");
	buffer_signed(&buffer, INT64_MAX);
	buffer_is(&buffer, "9223372036854775807");
	buffer_free(&buffer);
}

static void test_grows(void **state)
{
	struct buffer buffer = BUFFER_EMPTY;

	(void)state;
	for (unsigned int i = 0; i < 100000; i++)
		buffer_byte(&buffer, (char)i);
	assert_int_equal(buffer.length, 100000);
	assert_true(buffer.capacity >= buffer.length);
	for (unsigned int i = 0; i < 100000; i++)
		assert_int_equal(buffer.data[i], (char)i);
	buffer_free(&buffer);
	assert_null(buffer.data);
	assert_int_equal(buffer.capacity, 0);
}

static void test_appends(void **state)
{
	struct buffer buffer = BUFFER_EMPTY;

	(void)state;
	buffer_append(&buffer, NULL, 0);
	assert_int_equal(buffer.length, 0);
	buffer_text(&buffer, "a");
	buffer_printf(&buffer, "%s-%d", "b", 3);
	buffer_byte(&buffer, 'c');
	buffer_is(&buffer, "ab-3c");
	/* Longer than what a new buffer has. */
	buffer_printf(&buffer, "%1000d", 7);
	assert_int_equal(buffer.length, 1000);
	assert_int_equal(buffer.data[999], '7');
	buffer_free(&buffer);
}

/* Exactly as much as there is room for: printf needs one byte more, for its NUL. */
static void test_printf_at_the_edge(void **state)
{
	(void)state;
	for (unsigned int room = 0; room < 4; room++) {
		struct buffer buffer = BUFFER_EMPTY;

		buffer_byte(&buffer, 'x');
		while (buffer.length < buffer.capacity - room)
			buffer_byte(&buffer, 'x');
		buffer_printf(&buffer, "ab");
		assert_memory_equal(buffer.data + buffer.length - 3, "xab", 3);
		buffer_free(&buffer);
	}
}

static void test_fails_and_stays_failed(void **state)
{
	struct buffer buffer = BUFFER_EMPTY;

	(void)state;
	buffer_text(&buffer, "kept");
	assert_false(buffer_grow(&buffer, SIZE_MAX)); /* the sum overflows */
	assert_true(buffer.failed);
	buffer_text(&buffer, "dropped");
	buffer_byte(&buffer, 'd');
	buffer_printf(&buffer, "%d", 1);
	buffer_printf(&buffer, "%5000d", 1); /* more than there is room for */
	assert_int_equal(buffer.length, 4);
	buffer_reset(&buffer);
	assert_false(buffer.failed);
	buffer_text(&buffer, "again");
	buffer_is(&buffer, "again");
	buffer_free(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_appends),
		cmocka_unit_test(test_printf_at_the_edge),
		cmocka_unit_test(test_fails_and_stays_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
