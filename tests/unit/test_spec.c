/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "sink/spec.h"

static const struct sink_spec *take(struct sink_list *list, const char *text)
{
	const char *expected = NULL;

	if (sink_list_set(text, list, &expected))
		fail_msg("'%s': expected %s", text, expected ? expected : "nothing");
	return &list->specs[list->count - 1];
}

static void refuse(struct sink_list *list, const char *text, const char *words)
{
	size_t count = list->count;
	const char *expected = NULL;

	if (sink_list_set(text, list, &expected) != -EINVAL)
		fail_msg("'%s' is taken", text);
	assert_non_null(expected);
	if (!strstr(expected, words))
		fail_msg("'%s': '%s' is not in: %s", text, words, expected);
	assert_int_equal(list->count, count);
}

static void test_kinds(void **state)
{
	CLEANUP(sink_list_free) struct sink_list list = {0};
	const struct sink_spec *spec;

	(void)state;
	spec = take(&list, "stdout");
	assert_int_equal(spec->kind, SINK_STDOUT);
	assert_string_equal(spec->name, "stdout");
	assert_int_equal(spec->spool, 0);
	assert_true(spec->args);
	spec = take(&list,
		    "file:/a,keep=3,rotate-size=1M,rotate-age=1d,format=csv,args=no,spool=1G");
	assert_int_equal(spec->kind, SINK_FILE);
	assert_string_equal(spec->path, "/a");
	assert_int_equal(spec->keep, 3);
	assert_int_equal(spec->rotate_size, 1 << 20);
	assert_int_equal(spec->rotate_age, 86400000000000);
	assert_ptr_equal(spec->format, &format_csv);
	assert_false(spec->args);
	assert_int_equal(spec->spool, 1 << 30);
	spec = take(&list, "file:/a%2Cb%2c%25");
	assert_string_equal(spec->path, "/a,b,%25");
	assert_int_equal(spec->keep, 5);
	assert_int_equal(spec->rotate_size, 0);
	assert_int_equal(spec->spool, SPOOL_MOST);
	spec = take(&list, "unix:/run/x.sock");
	assert_string_equal(spec->path, "/run/x.sock");
	assert_true(spec->args);
	spec = take(&list, "tcp:[::1]:5170,args=yes");
	assert_string_equal(spec->host, "::1");
	assert_string_equal(spec->port, "5170");
	assert_true(spec->args);
	assert_true(sink_is_remote(spec));
	spec = take(&list, "syslog");
	assert_int_equal(spec->scheme, SCHEME_UNIX);
	assert_null(spec->path);
	assert_true(spec->args);
	spec = take(&list, "syslog:unix:/dev/log");
	assert_string_equal(spec->path, "/dev/log");
	spec = take(&list, "syslog:udp:h:514");
	assert_int_equal(spec->scheme, SCHEME_UDP);
	assert_false(spec->args);
	spec = take(&list, "syslog:tcp:h:601");
	assert_int_equal(spec->scheme, SCHEME_TCP);
	assert_string_equal(spec->port, "601");
	spec = take(&list, "journald");
	assert_null(spec->path);
	spec = take(&list, "journald:/run/x");
	assert_string_equal(spec->path, "/run/x");
	assert_false(sink_is_remote(spec));
}

static void test_urls(void **state)
{
	CLEANUP(sink_list_free) struct sink_list list = {0};
	const struct sink_spec *spec;

	(void)state;
	spec = take(&list, "otlp:https://u:secret@c.example.org,ca=/ca,header-file=/h");
	assert_string_equal(spec->url, "https://c.example.org:443/v1/logs");
	assert_string_equal(spec->host, "c.example.org");
	assert_string_equal(spec->port, "443");
	assert_string_equal(spec->user, "u");
	assert_string_equal(spec->password, "secret");
	assert_string_equal(spec->ca, "/ca");
	assert_string_equal(spec->headers, "/h");
	assert_string_equal(spec->name, "otlp:https://c.example.org:443/v1/logs");
	assert_false(spec->args);
	spec = take(&list, "otlp:http://[::1]:4318/x");
	assert_string_equal(spec->url, "http://[::1]:4318/x");
	spec = take(&list, "clickhouse:http://u:secret@db");
	assert_string_equal(spec->url, "http://db:8123/");
	assert_string_equal(spec->table, "portsnoop.events");
	assert_string_equal(spec->name, "clickhouse:http://db:8123/?table=portsnoop.events");
	spec = take(&list, "clickhouse:https://db/?table=a_1.B");
	assert_string_equal(spec->url, "https://db:8443/");
	assert_string_equal(spec->table, "a_1.B");
}

static void test_wrong(void **state)
{
	CLEANUP(sink_list_free) struct sink_list list = {0};
	static const struct {
		const char *text, *words;
	} wrong[] = {
		{"", "journald[:PATH]"},
		{"fil:/a", "file:PATH"},
		{"file", "file:PATH"},
		{"file:", "file:PATH"},
		{"file:/a/", "file:PATH"},
		{"file,keep=1", "file:PATH"},
		{"stdout:", "journald[:PATH]"},
		{"stdout:x", "without more"},
		{"stdout,spool=1M", "options of stdout ('spool' is none): format=, args="},
		{"unix:", "unix:PATH"},
		{"tcp:h", "tcp:HOST:PORT"},
		{"tcp:h:0", "tcp:HOST:PORT"},
		{"tcp:h:1,", "options of tcp ('' is none): format=, args=, spool="},
		{"tcp:h:1,args", "args=yes"},
		{"tcp:h:1,args=YES", "args=yes"},
		{"tcp:h:1,keep=1", "options of tcp"},
		{"tcp:h:1,args=no,args=no", "args= once"},
		{"tcp:h:1,format=table", "format=ecs, otlp, ocsf or csv"},
		{"tcp:h:1,spool=1x", "spool=SIZE"},
		{"syslog:h:1", "syslog:udp:HOST:PORT"},
		{"syslog:unix:", "syslog:unix:PATH"},
		{"syslog:udp:h", "syslog:udp:HOST:PORT"},
		{"journald:,spool=0", "journald[:PATH]"},
		{"file:/a,keep=0", "keep=N"},
		{"file:/a,rotate-age=0", "rotate-age=TIME"},
		{"file:/a,rotate-size=-1", "rotate-size=SIZE"},
		{"otlp:h:1", "otlp:URL"},
		{"otlp:http://h/?a", "otlp:URL"},
		{"otlp:http://h,format=csv", "options of otlp"},
		{"otlp:http://h,ca=", "ca=FILE"},
		{"otlp:http://h,header-file", "header-file=FILE"},
		{"clickhouse:http://h/x", "clickhouse:URL"},
		{"clickhouse:http://h/?user=x", "clickhouse:URL"},
		{"clickhouse:http://h/?table=a.b.c", "clickhouse:URL"},
		{"clickhouse:http://h/?table=a`b", "clickhouse:URL"},
		{"clickhouse:http://h/?table=", "clickhouse:URL"},
		{"clickhouse:http://h/?table=1a", "clickhouse:URL"},
	};
	char path[200];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		refuse(&list, wrong[i].text, wrong[i].words);
	snprintf(path, sizeof(path), "unix:/%0107d", 0);
	refuse(&list, path, "at most 107 bytes");
	path[strlen(path) - 1] = '\0';
	take(&list, path);
}

static void test_many(void **state)
{
	CLEANUP(sink_list_free) struct sink_list list = {0};
	char text[64];

	(void)state;
	for (int i = 0; i < SINKS_MOST; i++) {
		snprintf(text, sizeof(text), "file:/a%d", i);
		take(&list, text);
	}
	refuse(&list, "file:/a3,keep=4", "each destination once");
	refuse(&list, "stdout", "at most 16");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
