/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "lib/cleanup.h"
#include "sink/url.h"

static void test_host(void **state)
{
	static const struct {
		const char *text, *host, *port;
	} right[] = {
		{"localhost:1", "localhost", "1"},
		{"192.0.2.7:65535", "192.0.2.7", "65535"},
		{"a-b.example_.org:514", "a-b.example_.org", "514"},
		{"[::1]:514", "::1", "514"},
		{"[fe80::1%eth0]:514", "fe80::1%eth0", "514"},
	};
	static const char *const wrong[] = {
		"",	    "host",	  ":1",	      "host:",	     "host:0",	 "host:65536",
		"host:1 ",  "host:+1",	  "::1:514",  "[::1]",	     "[::1]514", "[::1]:",
		"[host]:1", "[::1:514",	  "ho st:1",  "host/x:1",    "-host:1",	 "[]:1",
		"user@h:1", "host:80abc", "[::1%]:1", "[::1%a/b]:1", "host:1:2", "h\n:1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
		CLEANUP_FREE char *host = NULL;
		CLEANUP_FREE char *port = NULL;

		assert_int_equal(host_split(right[i].text, &host, &port), 0);
		assert_string_equal(host, right[i].host);
		assert_string_equal(port, right[i].port);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		CLEANUP_FREE char *host = NULL;
		CLEANUP_FREE char *port = NULL;

		if (host_split(wrong[i], &host, &port) != -EINVAL)
			fail_msg("'%s' is taken", wrong[i]);
		assert_null(host);
		assert_null(port);
	}
}

static void same(const char *is, const char *wanted)
{
	if (!wanted)
		assert_null(is);
	else
		assert_string_equal(is, wanted);
}

static void test_url_parts(void **state)
{
	static const struct {
		const char *text;
		bool tls;
		const char *user, *password, *host, *port, *path, *query;
	} right[] = {
		{"http://h", false, NULL, NULL, "h", NULL, "", NULL},
		{"https://h:1/", true, NULL, NULL, "h", "1", "/", NULL},
		{"http://u@h/p/q?a=b&c", false, "u", NULL, "h", NULL, "/p/q", "a=b&c"},
		{"http://u:p%40%3a@[::1]:9?", false, "u", "p@:", "::1", "9", "", ""},
		{"http://u:a:b@h", false, "u", "a:b", "h", NULL, "", NULL},
		{"http://u:@h", false, "u", "", "h", NULL, "", NULL},
		{"http://u:p@q@h", false, "u", "p@q", "h", NULL, "", NULL},
		{"http://h?x=/y", false, NULL, NULL, "h", NULL, "", "x=/y"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
		CLEANUP(url_free) struct url url;

		if (url_parse(right[i].text, &url))
			fail_msg("'%s' is not taken", right[i].text);
		assert_int_equal(url.tls, right[i].tls);
		same(url.user, right[i].user);
		same(url.password, right[i].password);
		same(url.host, right[i].host);
		same(url.port, right[i].port);
		same(url.path, right[i].path);
		same(url.query, right[i].query);
	}
}

static void test_url_wrong(void **state)
{
	static const char *const wrong[] = {
		"",
		"h",
		"ftp://h",
		"http:/h",
		"http://",
		"http://:80",
		"http://@h",
		"http://h:0",
		"http://h:x",
		"http://h /",
		"http://h/\n",
		"http://h#a",
		"http://u%0@h",
		"http://u%00@h",
		"http://u:%zz@h",
		"http://[::1",
		"http://::1",
		"HTTP://h",
		"http://h\\x",
		"http://\303\244",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct url url;

		if (url_parse(wrong[i], &url) != -EINVAL)
			fail_msg("'%s' is taken", wrong[i]);
		assert_null(url.host);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_url_parts),
		cmocka_unit_test(test_url_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
