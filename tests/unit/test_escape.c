/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/escape.h"

static const struct {
	const char *bytes;
	size_t length;
	const char *json, *plain;
} hostile[] = {
#define ROW(bytes, json, plain)                                                                    \
	{                                                                                          \
		bytes, sizeof(bytes) - 1, json, plain                                              \
	}
	ROW("", "", ""),
	ROW("plain text, longer than a word", "plain text, longer than a word",
	    "plain text, longer than a word"),
	ROW("a\"b\\c/", "a\\\"b\\\\c/", "a\"b\\\\c/"),
	ROW("abcdefgh\\ijklmnop", "abcdefgh\\\\ijklmnop", "abcdefgh\\\\ijklmnop"),
	ROW("abcdefgh\x7fijklmnop", "abcdefgh\\u007fijklmnop", "abcdefgh\\x7fijklmnop"),
	ROW("abcdefgh\"ijklmnop", "abcdefgh\\\"ijklmnop", "abcdefgh\"ijklmnop"),
	ROW("1234567\n", "1234567\\u000a", "1234567\\x0a"),
	ROW("12345678\x1b[31m", "12345678\\u001b[31m", "12345678\\x1b[31m"),
	ROW("\0\t\r\x1f\x20\x7e\x7f", "\\u0000\\u0009\\u000d\\u001f ~\\u007f",
	    "\\x00\\x09\\x0d\\x1f ~\\x7f"),
	/* UTF-8: shortest and longest of each length */
	ROW("\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
	    "\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
	    "\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
	ROW("z\xc3\xbcrich \xe6\x9d\xb1\xe4\xba\xac", "z\xc3\xbcrich \xe6\x9d\xb1\xe4\xba\xac",
	    "z\xc3\xbcrich \xe6\x9d\xb1\xe4\xba\xac"),
	/* C1, which some terminals obey */
	ROW("\xc2\x80\xc2\x9b\xc2\x9f", "\\u0080\\u009b\\u009f", "\\xc2\\x80\\xc2\\x9b\\xc2\\x9f"),
	/* invisible, separators, direction, tags */
	ROW("\xe2\x80\x8b\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xae\xe2\x81\xa6\xef\xbb\xbf",
	    "\\u200b\\u2028\\u2029\\u202e\\u2066\\ufeff",
	    "\\xe2\\x80\\x8b\\xe2\\x80\\xa8\\xe2\\x80\\xa9\\xe2\\x80\\xae\\xe2\\x81\\xa6"
	    "\\xef\\xbb\\xbf"),
	ROW("\xf3\xa0\x81\x81", "\\udb40\\udc41", "\\xf3\\xa0\\x81\\x81"),
/* not UTF-8: alone, cut off, too long, surrogate, beyond the end */
#define BAD "\xef\xbf\xbd"
	ROW("a\x80z", "a" BAD "z", "a\\x80z"),
	ROW("\xff\xfe", BAD BAD, "\\xff\\xfe"),
	ROW("\xc3", BAD, "\\xc3"),
	ROW("\xe2\x82", BAD BAD, "\\xe2\\x82"),
	ROW("\xf0\x9f\x98", BAD BAD BAD, "\\xf0\\x9f\\x98"),
	ROW("\xc3\x22", BAD "\\\"", "\\xc3\""),
	ROW("\xc0\x8a", BAD BAD, "\\xc0\\x8a"),
	ROW("\xc1\xbf", BAD BAD, "\\xc1\\xbf"),
	ROW("\xe0\x80\x8a", BAD BAD BAD, "\\xe0\\x80\\x8a"),
	ROW("\xf0\x80\x80\x8a", BAD BAD BAD BAD, "\\xf0\\x80\\x80\\x8a"),
	ROW("\xed\xa0\x80", BAD BAD BAD, "\\xed\\xa0\\x80"),
	ROW("\xf4\x90\x80\x80", BAD BAD BAD BAD, "\\xf4\\x90\\x80\\x80"),
	ROW("\xf8\x88\x80\x80\x80", BAD BAD BAD BAD BAD, "\\xf8\\x88\\x80\\x80\\x80"),
};

static void check_escape(void (*escape)(struct buffer *, const char *, size_t), const char *bytes,
			 size_t length, const char *expected, size_t row)
{
	struct buffer out = BUFFER_EMPTY;
	char *copy = malloc(length + 1);

	assert_non_null(copy);
	/* at every place in a word, from memory that ends where the text does */
	for (size_t before = 0; before < 9; before++) {
		char *whole = malloc(before + length + (before + length == 0));

		assert_non_null(whole);
		memset(whole, '.', before);
		memcpy(whole + before, bytes, length);
		buffer_reset(&out);
		escape(&out, whole, before + length);
		buffer_byte(&out, '\0');
		if (strcmp(out.data + before, expected) || strspn(out.data, ".") < before)
			fail_msg("row %zu, %zu before: %s instead of %s", row, before, out.data,
				 expected);
		free(whole);
	}
	free(copy);
	buffer_free(&out);
}

static void escapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		check_escape(escape_json, hostile[i].bytes, hostile[i].length, hostile[i].json, i);
		check_escape(escape_plain, hostile[i].bytes, hostile[i].length, hostile[i].plain,
			     i);
	}
}

/* Every byte alone and every pair: what comes out is printable and valid. */
static void nothing_gets_through(void **state)
{
	struct buffer out = BUFFER_EMPTY;

	(void)state;
	for (unsigned int pair = 0; pair < 65536; pair++) {
		const char bytes[2] = {(char)(pair >> 8), (char)pair};

		buffer_reset(&out);
		escape_json(&out, bytes, 2);
		escape_plain(&out, bytes, 2);
		for (size_t at = 0; at < out.length;) {
			uint32_t character = 0;
			size_t taken = utf8_length(out.data + at, out.length - at, &character);

			assert_true(taken);
			assert_true(character >= 0x20);
			assert_false(character >= 0x7f && character < 0xa0);
			at += taken;
		}
	}
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes),
		cmocka_unit_test(nothing_gets_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
