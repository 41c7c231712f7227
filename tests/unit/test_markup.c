/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "format/markup.h"
#include "lib/escape.h"

static struct buffer out;

static void shown(const char *wanted)
{
	buffer_byte(&out, 0);
	assert_false(out.failed);
	assert_string_equal(out.data, wanted);
	buffer_reset(&out);
}

static void text_shown(const char *bytes, size_t length, const char *wanted)
{
	markup_text(&out, bytes, length);
	shown(wanted);
}

static void test_text(void **state)
{
	(void)state;
	text_shown("", 0, "");
	text_shown("nginx", 5, "nginx");
	text_shown("<a href='x' b=\"y\">&amp;", 23,
		   "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;amp;");
	text_shown("a\0b\n\x1b[31m\\", 10, "a\\x00b\\x0a\\x1b[31m\\\\");
	text_shown("\xff\xe2\x80\xae", 4, "\\xff\\xe2\\x80\\xae");
	text_shown("gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f");
	/* UTF-8, but nothing that XML could hold */
	text_shown("x\xef\xbf\xbey\xef\xbf\xbf", 8, "x\\xef\\xbf\\xbey\\xef\\xbf\\xbf");
	text_shown("\xef\xbf\xbd", 3, "\xef\xbf\xbd");
	text_shown("\xef\xbf", 2, "\\xef\\xbf");
}

/* However long: whole characters, and no more than there is room for. */
static void test_long(void **state)
{
	char bytes[3000];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i += 2)
		memcpy(bytes + i, "\xc3\xa4", 2);
	for (size_t length = 1; length < sizeof(bytes); length += 7) {
		size_t taken = 0, step;
		uint32_t character;

		markup_text(&out, bytes, length);
		assert_true(out.length <= MARKUP_MOST + 12);
		for (; taken < out.length; taken += step) {
			step = utf8_length(out.data + taken, out.length - taken, &character);
			assert_true(step > 0);
		}
		buffer_reset(&out);
	}
	memset(bytes, '<', sizeof(bytes));
	markup_text(&out, bytes, sizeof(bytes));
	assert_int_equal(out.length, 4 * MARKUP_MOST + strlen("…"));
	buffer_reset(&out);
}

static void test_numbers(void **state)
{
	(void)state;
	markup_number(&out, 0);
	shown("0");
	markup_number(&out, 999);
	shown("999");
	markup_number(&out, 1000);
	shown("1,000");
	markup_number(&out, UINT64_MAX);
	shown("18,446,744,073,709,551,615");
	markup_rate(&out, 0);
	shown("0");
	markup_rate(&out, 0.004);
	shown("0.00");
	markup_rate(&out, 12.34);
	shown("12.3");
	markup_rate(&out, 12345.6);
	shown("12,346");
	markup_duration(&out, 12345678);
	shown("12.3ms");
}

static void test_percent(void **state)
{
	(void)state;
	markup_percent(&out, 0, 0);
	shown("–");
	markup_percent(&out, 0, 7);
	shown("0 %");
	markup_percent(&out, 1, 100000);
	shown("&lt;0.1 %");
	markup_percent(&out, 1, 16);
	shown("6.2 %");
	markup_percent(&out, 28231, 28232);
	shown("99 %");
	markup_percent(&out, 28232, 28232);
	shown("100 %");
	markup_percent(&out, 3, 2);
	shown("150 %");
}

static void test_time(void **state)
{
	(void)state;
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	markup_time(&out, INT64_C(1795262400) * 1000000000 + 999999999);
	shown("2026-11-21 13:00:00");
	markup_time(&out, -1);
	shown("1970-01-01 00:59:59");
	setenv("TZ", "<b>0", 1);
	tzset();
	markup_time_as(&out, 0, "%Z");
	assert_null(memchr(out.data, '<', out.length));
	buffer_reset(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	cmocka_unit_test(test_long),
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_percent),
		cmocka_unit_test(test_time),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buffer_free(&out);
	return failed;
}
