/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/parse.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Wrong for every parser of numbers. */
static const char *const never[] = {
	"",
	" ",
	"80abc",
	" 80",
	"80 ",
	"+80",
	"-1",
	"-",
	"0x50",
	"1e3",
	"80\n",
	"8 0",
	"８０",
	"1_0",
	"1'000",
	"1,000",
	",",
	"--1",
	"٣",
	"nan",
	"inf",
	"0b1",
	"1.",
	".5",
	"1.5.5",
	"s",
	"18446744073709551616",
	"99999999999999999999999999",
};

static void test_unsigned(void **state)
{
	uint64_t number = 7;

	(void)state;
	for (size_t i = 0; i < COUNT(never); i++) {
		assert_int_equal(parse_unsigned(never[i], 0, UINT64_MAX, &number), -EINVAL);
		assert_int_equal(number, 7);
	}
	assert_int_equal(parse_unsigned("9", 10, 20, &number), -EINVAL);
	assert_int_equal(parse_unsigned("21", 10, 20, &number), -EINVAL);
	assert_int_equal(number, 7);
	assert_int_equal(parse_unsigned("10", 10, 20, &number), 0);
	assert_int_equal(number, 10);
	assert_int_equal(parse_unsigned("20", 10, 20, &number), 0);
	assert_int_equal(number, 20);
	assert_int_equal(parse_unsigned("18446744073709551615", 0, UINT64_MAX, &number), 0);
	assert_true(number == UINT64_MAX);
	assert_int_equal(parse_unsigned("0", 0, 0, &number), 0);
	assert_int_equal(number, 0);
}

static void test_port(void **state)
{
	static const char *const wrong[] = {"65536", "80-", "80-90", "1,2", "655350"};
	const char *expected = NULL;
	uint16_t port = 7;

	(void)state;
	for (size_t i = 0; i < COUNT(never) + COUNT(wrong); i++) {
		const char *text = i < COUNT(never) ? never[i] : wrong[i - COUNT(never)];

		expected = NULL;
		assert_int_equal(parse_port(text, &port, &expected), -EINVAL);
		assert_int_equal(port, 7);
		assert_string_equal(expected, "a port (0-65535)");
	}
	assert_int_equal(parse_port("0", &port, &expected), 0);
	assert_int_equal(port, 0);
	assert_int_equal(parse_port("65535", &port, &expected), 0);
	assert_int_equal(port, 65535);
}

static unsigned int ports_count(const struct port_set *set)
{
	unsigned int count = 0;

	for (unsigned int port = 0; port < 65536; port++)
		count += port_set_has(set, (uint16_t)port);
	return count;
}

static void test_ports(void **state)
{
	static const char *const wrong[] = {
		"65536",   "80-",      "-80",	"90-80",     "1,,2",	",1",	       "1,",
		"1-2-3",   "80-65536", "1;2",	"1, 2",	     "80 - 90", "80-90,",      "0-0x9",
		"1,80abc", "80--90",   "1,+80", "1,2,3,4,x", "80:90",	"65536-65537",
	};
	static struct port_set set, before;
	const char *expected = NULL;

	(void)state;
	before.bits[1] = 0x81;
	set = before;
	for (size_t i = 0; i < COUNT(never) + COUNT(wrong); i++) {
		const char *text = i < COUNT(never) ? never[i] : wrong[i - COUNT(never)];

		if (!strcmp(text, "1,000")) /* a list of 1 and 0 */
			continue;
		expected = NULL;
		assert_int_equal(parse_ports(text, &set, &expected), -EINVAL);
		assert_memory_equal(&set, &before, sizeof(set));
		assert_non_null(expected);
	}
	memset(&set, 0, sizeof(set));
	assert_int_equal(parse_ports("22,80,8000-8010", &set, &expected), 0);
	assert_int_equal(ports_count(&set), 13);
	assert_true(port_set_has(&set, 22) && port_set_has(&set, 80));
	assert_true(port_set_has(&set, 8000) && port_set_has(&set, 8010));
	assert_false(port_set_has(&set, 7999) || port_set_has(&set, 8011));
	/* Adds to what is there. */
	assert_int_equal(parse_ports("443", &set, &expected), 0);
	assert_int_equal(ports_count(&set), 14);
	memset(&set, 0, sizeof(set));
	assert_int_equal(parse_ports("0-65535", &set, &expected), 0);
	assert_int_equal(ports_count(&set), 65536);
	memset(&set, 0, sizeof(set));
	assert_int_equal(parse_ports("65535,80-80,0", &set, &expected), 0);
	assert_int_equal(ports_count(&set), 3);
}

static void test_duration(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} right[] = {
		{"500ms", 500000000},
		{"10s", 10000000000},
		{"5m", 300000000000},
		{"2h", 7200000000000},
		{"1d", 86400000000000},
		{"90", 90000000000},
		{"1.5s", 1500000000},
		{"1.5", 1500000000},
		{"0.000000001", 1},
		{"0.000001ms", 1},
		{"0.123456789d", 10666666569600},
		{"1.5h", 5400000000000},
		{"18446744073.709551615s", UINT64_MAX},
		{"213503d", 213503 * 86400000000000u},
	};
	static const char *const wrong[] = {
		"0",
		"0s",
		"0.0",
		"0.000ms",
		"1us",
		"1ns",
		"1S",
		"1w",
		"1 s",
		"s",
		"10ss",
		"1.s",
		".5s",
		"-1s",
		"1,5s",
		"1m30s",
		"1.5.",
		"1e3s",
		"0x5s",
		"+1s",
		"1ms ",
		" 1s",
		"213504d",
		"0.0000001ms",
		"msec",
		"10min",
		"18446744074s",
		"18446744073.709551616s",
		"0.0000000001s",
		"1.1234567890s",
	};
	const char *expected;
	uint64_t ns = 7;

	(void)state;
	for (size_t i = 0; i < COUNT(right); i++) {
		ns = 7;
		assert_int_equal(parse_duration(right[i].text, &ns, &expected), 0);
		assert_true(ns == right[i].ns);
	}
	ns = 7;
	for (size_t i = 0; i < COUNT(never) + COUNT(wrong); i++) {
		const char *text = i < COUNT(never) ? never[i] : wrong[i - COUNT(never)];

		expected = NULL;
		assert_int_equal(parse_duration(text, &ns, &expected), -EINVAL);
		assert_int_equal(ns, 7);
		assert_non_null(expected);
	}
}

static void test_size(void **state)
{
	static const char *const wrong[] = {
		"0",  "0k", "64kB", "64KiB", "k",   "1.5M", "1 k",	 "64kk",
		"1p", "1@", "1K ",  "-1k",   "+1k", "0x1k", "16777216T", "1\x2b",
	};
	const char *expected;
	uint64_t bytes;

	(void)state;
	assert_int_equal(parse_size("4096", &bytes, &expected), 0);
	assert_true(bytes == 4096);
	assert_int_equal(parse_size("64k", &bytes, &expected), 0);
	assert_true(bytes == 64 << 10);
	assert_int_equal(parse_size("64K", &bytes, &expected), 0);
	assert_true(bytes == 64 << 10);
	assert_int_equal(parse_size("8M", &bytes, &expected), 0);
	assert_true(bytes == 8 << 20);
	assert_int_equal(parse_size("1G", &bytes, &expected), 0);
	assert_true(bytes == 1 << 30);
	assert_int_equal(parse_size("16777215T", &bytes, &expected), 0);
	assert_true(bytes == 16777215ull << 40);
	bytes = 7;
	for (size_t i = 0; i < COUNT(never) + COUNT(wrong); i++) {
		const char *text = i < COUNT(never) ? never[i] : wrong[i - COUNT(never)];

		expected = NULL;
		assert_int_equal(parse_size(text, &bytes, &expected), -EINVAL);
		assert_int_equal(bytes, 7);
		assert_non_null(expected);
	}
}

static void test_protocol(void **state)
{
	static const char *const names[] = {"tcp",    "udp",  "udplite", "icmp",
					    "icmpv6", "sctp", "mptcp"};
	static const char *const wrong[] = {"",	     "6",    "tcp ", " tcp",
					    "tcpv4", "dccp", "tc",   "udp-lite"};
	const char *expected;
	uint16_t protocol;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_int_equal(parse_protocol(names[i], &protocol, &expected), 0);
		assert_string_equal(protocol_name(protocol), names[i]);
	}
	assert_int_equal(parse_protocol("TCP", &protocol, &expected), 0);
	assert_int_equal(protocol, IPPROTO_TCP);
	assert_int_equal(parse_protocol("mptcp", &protocol, &expected), 0);
	assert_int_equal(protocol, 262);
	protocol = 7;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		expected = NULL;
		assert_int_equal(parse_protocol(wrong[i], &protocol, &expected), -EINVAL);
		assert_int_equal(protocol, 7);
		assert_non_null(expected);
	}
	assert_null(protocol_name(0));
	assert_null(protocol_name(255));
}

static void test_endpoint(void **state)
{
	static const char *const wrong[] = {
		"",
		"x",
		":9845",
		"127.0.0.1",
		"127.0.0.1:",
		"::1:80",
		"[::1]",
		"[::1]80",
		"[::1:80",
		"[127.0.0.1]:80",
		"70000",
		"1.2.3.4:-1",
		"1.2.3:80",
		"localhost:9845",
		"1.2.3.4:80 ",
		"[]:80",
		"[:80",
		"0x7f000001:80",
		"127.1:80",
		"http://127.0.0.1:80",
		"[fe80::1%lo]:80",
	};
	static const uint8_t loopback6[16] = {[15] = 1};
	struct endpoint endpoint;
	const char *expected;

	(void)state;
	assert_int_equal(parse_endpoint("9845", &endpoint, &expected), 0);
	assert_int_equal(endpoint.family, 4);
	assert_int_equal(endpoint.port, 9845);
	assert_memory_equal(endpoint.bytes, "\x7f\0\0\1", 4);
	assert_int_equal(parse_endpoint("192.0.2.7:80", &endpoint, &expected), 0);
	assert_int_equal(endpoint.family, 4);
	assert_int_equal(endpoint.port, 80);
	assert_memory_equal(endpoint.bytes, "\xc0\0\2\7\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(parse_endpoint("[::1]:65535", &endpoint, &expected), 0);
	assert_int_equal(endpoint.family, 6);
	assert_int_equal(endpoint.port, 65535);
	assert_memory_equal(endpoint.bytes, loopback6, 16);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		expected = NULL;
		if (parse_endpoint(wrong[i], &endpoint, &expected) != -EINVAL)
			fail_msg("accepted: %s", wrong[i]);
		assert_int_equal(endpoint.port, 65535);
		assert_non_null(expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unsigned), cmocka_unit_test(test_port),
		cmocka_unit_test(test_ports),	 cmocka_unit_test(test_duration),
		cmocka_unit_test(test_size),	 cmocka_unit_test(test_protocol),
		cmocka_unit_test(test_endpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
