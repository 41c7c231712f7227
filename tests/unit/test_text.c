/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "model/text.h"

static void addresses(void **state)
{
	char expected[TEXT_ENDPOINT + 1], text[TEXT_ADDRESS + 1];
	uint8_t bytes[16];
	unsigned int seed = 1;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		int family = i % 4 ? 6 : 4;
		char *end;

		/* many zeros, as in real addresses */
		for (int j = 0; j < 16; j++) {
			seed = seed * 1103515245 + 12345;
			bytes[j] = seed >> 16 & 3 ? 0 : (uint8_t)(seed >> 20);
		}
		if (i % 8 == 1)
			memcpy(bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
		end = text_address(text, bytes, (uint8_t)family);
		assert_true(end - text <= TEXT_ADDRESS);
		*end = '\0';
		inet_ntop(family == 4 ? AF_INET : AF_INET6, bytes, expected, sizeof(expected));
		/* what was once IPv4-compatible is written in groups by RFC 5952 */
		if (family == 6 && strchr(expected, '.') && strncmp(expected, "::ffff:", 7))
			assert_int_equal(inet_pton(AF_INET6, text, expected), 1);
		else
			assert_string_equal(text, expected);
	}
	memset(bytes, 0xff, sizeof(bytes));
	*text_endpoint(expected, bytes, 6, 65535) = '\0';
	assert_string_equal(expected, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	*text_endpoint(expected, bytes, 4, 0) = '\0';
	assert_string_equal(expected, "255.255.255.255:0");
}

static void times(void **state)
{
	static const int64_t seconds[] = {
		0,	     -1,	  951782399,   951782400,    951868800,	   4107542399,
		4107542400,  -2208988801, -9223372036, 9223372036,   1709164800,   1735689599,
		-2203891201, -2203891200, 68169600,    -30610224000, 253402300799, -86400,
	};
	char text[TEXT_TIME + 1], expected[40];

	(void)state;
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		time_t time = seconds[i];
		struct tm tm;

		*text_second(text, seconds[i]) = '\0';
		gmtime_r(&time, &tm);
		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.", &tm);
		assert_string_equal(text, expected);
	}
	for (int64_t second = -9000000000; second < 9000000000; second += 12345677) {
		time_t time = second;
		struct tm tm;

		*text_second(text, second) = '\0';
		gmtime_r(&time, &tm);
		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.", &tm);
		assert_string_equal(text, expected);
	}
	*text_time(text, -1) = '\0';
	assert_string_equal(text, "1969-12-31T23:59:59.999999999Z");
	*text_time(text, INT64_MIN) = '\0';
	assert_string_equal(text, "1677-09-21T00:12:43.145224192Z");
	*text_time(text, INT64_MAX) = '\0';
	assert_string_equal(text, "2262-04-11T23:47:16.854775807Z");
}

static void integers(void **state)
{
	static const uint64_t edges[] = {0, 9, 10, 99, 100, 101, 999, 1000, 12345, UINT64_MAX};
	char text[TEXT_UNSIGNED + 1], expected[32];

	(void)state;
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		*text_unsigned(text, edges[i]) = '\0';
		snprintf(expected, sizeof(expected), "%llu", (unsigned long long)edges[i]);
		assert_string_equal(text, expected);
		*text_signed(text, (int64_t)edges[i]) = '\0';
		snprintf(expected, sizeof(expected), "%lld", (long long)edges[i]);
		assert_string_equal(text, expected);
	}
	*text_signed(text, INT64_MIN) = '\0';
	assert_string_equal(text, "-9223372036854775808");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(times),
		cmocka_unit_test(integers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
