/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include "format/openmetrics.h"
#include "lib/cleanup.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct openmetrics_family families[] = {
	{"t_calls", OPENMETRICS_COUNTER, NULL, "Calls."},
	{"t_size_bytes", OPENMETRICS_GAUGE, "bytes", "Size."},
	{"t_build", OPENMETRICS_INFO, NULL, "Version."},
	{"t_time_seconds", OPENMETRICS_HISTOGRAM, "seconds", "Time."},
};

static void write_all(struct buffer *out, bool classic)
{
	static const char hostile[] = "a\"b\\c\nd\x1b[31m\xff\xc3\xa9\xe2\x80\xae";
	struct openmetrics writer = {.out = out, .classic = classic};

	openmetrics_family(&writer, &families[0]);
	openmetrics_sample(&writer, "");
	openmetrics_label(&writer, "name", hostile, sizeof(hostile) - 1);
	openmetrics_label_number(&writer, "netns", 7);
	openmetrics_number(&writer, UINT64_MAX);
	openmetrics_family(&writer, &families[1]);
	openmetrics_sample(&writer, "");
	openmetrics_number(&writer, 0);
	openmetrics_family(&writer, &families[2]);
	openmetrics_sample(&writer, "");
	openmetrics_label_escaped(&writer, "version", "1\\\\2");
	openmetrics_number(&writer, 1);
	openmetrics_family(&writer, &families[3]);
	openmetrics_sample(&writer, "_sum");
	openmetrics_seconds(&writer, 12, 3000);
	openmetrics_end(&writer);
	buffer_byte(out, '\0');
}

static void test_openmetrics(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	write_all(&out, false);
	assert_false(out.failed);
	assert_string_equal(out.data,
			    "# HELP t_calls Calls.\n"
			    "# TYPE t_calls counter\n"
			    "t_calls_total{name=\"a\\\"b\\\\c\xef\xbf\xbd"
			    "d\xef\xbf\xbd[31m\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\",netns=\"7\"} "
			    "18446744073709551615\n"
			    "# HELP t_size_bytes Size.\n"
			    "# TYPE t_size_bytes gauge\n"
			    "# UNIT t_size_bytes bytes\n"
			    "t_size_bytes 0\n"
			    "# HELP t_build Version.\n"
			    "# TYPE t_build info\n"
			    "t_build_info{version=\"1\\\\2\"} 1\n"
			    "# HELP t_time_seconds Time.\n"
			    "# TYPE t_time_seconds histogram\n"
			    "# UNIT t_time_seconds seconds\n"
			    "t_time_seconds_sum 12.000003000\n"
			    "# EOF\n");
}

static void test_classic(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	write_all(&out, true);
	assert_non_null(strstr(out.data, "# HELP t_calls_total Calls.\n"
					 "# TYPE t_calls_total counter\n"
					 "t_calls_total{"));
	assert_non_null(strstr(out.data, "# HELP t_build_info Version.\n"
					 "# TYPE t_build_info gauge\n"
					 "t_build_info{"));
	assert_null(strstr(out.data, "# UNIT"));
	assert_null(strstr(out.data, "# EOF"));
}

static void test_accept(void **state)
{
	static const char *const wanted[] = {
		"application/openmetrics-text",
		"application/openmetrics-text; version=1.0.0",
		"Application/OpenMetrics-Text;version=1.0.0;charset=utf-8",
		"text/plain;q=0.5, application/openmetrics-text",
		"application/openmetrics-text;version=0.0.1",
		"application/openmetrics-text;q=0.001",
		/* Prometheus 2.42, and 3.0 */
		"application/openmetrics-text;version=1.0.0,application/"
		"openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
		"application/openmetrics-text;version=0.0.1;q=0.4,"
		"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
		"text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
	};
	static const char *const others[] = {
		NULL,
		"",
		"*/*",
		"text/plain",
		"text/html,application/xhtml+xml,*/*;q=0.8",
		"text/plain,application/openmetrics-text;q=0.9",
		"application/openmetrics-text;q=0",
		"application/openmetrics-text;q=0.0,*/*;q=0.1",
		"application/openmetrics-text;version=2.0.0",
		"application/openmetrics-text;q=2",
		"application/openmetrics-text;q=-1",
		"application/openmetrics-text;q=nan",
		"application/openmetrics-textual",
		"application/openmetrics",
		",;=,;;q=;,,version=",
		";;;;====,,,,",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wanted); i++)
		if (!openmetrics_accepted(wanted[i]))
			fail_msg("refused: %s", wanted[i]);
	for (size_t i = 0; i < COUNT(others); i++)
		if (openmetrics_accepted(others[i]))
			fail_msg("accepted: %s", others[i] ? others[i] : "(none)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openmetrics),
		cmocka_unit_test(test_classic),
		cmocka_unit_test(test_accept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
