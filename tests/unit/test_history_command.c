/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

#include "command/history_option.h"
#include "child.h"
#include "fixture.h"
#include "format/cell.h"
#include "history_sample.h"
#include "lib/cleanup.h"
#include "lib/escape.h"

#define FIXTURES "tests/fixtures/history/"
#define NOW (SAMPLE_NOON + 600 * SAMPLE_SECOND)
#define MINUTE (60 * SAMPLE_SECOND)

static void rows_render(const struct history_format *format, unsigned int width, bool color,
			struct buffer *out)
{
	CLEANUP(history_view_free)
	struct history_view view = {.now = NOW, .width = width, .color = color};

	setenv("TZ", "UTC", 1);
	tzset();
	format->begin(&view, out);
	for (int i = 0; i < SAMPLE_ROWS; i++)
		format->row(&view, &sample_rows[i], out);
	assert_false(out->failed);
}

static void the_table(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	rows_render(&history_table, 0, false, &out);
	fixture_compare(FIXTURES "rows.table", &out);
}

static void the_table_on_a_terminal(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	rows_render(&history_table, 80, false, &out);
	fixture_compare(FIXTURES "rows-80.table", &out);
	buffer_reset(&out);
	rows_render(&history_table, 140, true, &out);
	fixture_compare(FIXTURES "rows-140-color.table", &out);
}

static void the_json(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	rows_render(&history_json, 0, false, &out);
	fixture_compare(FIXTURES "rows.json", &out);
}

static void the_csv(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	rows_render(&history_csv, 0, false, &out);
	fixture_compare(FIXTURES "rows.csv", &out);
}

/* What a terminal or a parser could take for more than text. */
static void clean_check(const struct buffer *out)
{
	for (size_t at = 0, length; at < out->length; at += length) {
		uint32_t character = 0;

		length = utf8_length(out->data + at, out->length - at, &character);
		assert_true(length);
		assert_true(character == '\n' || (character >= ' ' && character < 0x7f) ||
			    character > 0x9f);
		assert_false(character >= 0x202a && character <= 0x202e);
	}
}

static void hostile_bytes_are_escaped(void **state)
{
	static const struct history_format *const formats[] = {&history_table, &history_json,
							       &history_csv};
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		unsigned int lines = 0;

		buffer_reset(&out);
		rows_render(formats[i], 0, false, &out);
		clean_check(&out);
		for (size_t at = 0; at < out.length; at++)
			lines += out.data[at] == '\n';
		assert_int_equal(lines, SAMPLE_ROWS + (formats[i] != &history_json));
	}
}

static void no_line_is_wider_than_the_terminal(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	for (unsigned int width = 1; width < 260; width++) {
		const char *line, *end;

		buffer_reset(&out);
		rows_render(&history_table, width, false, &out);
		clean_check(&out);
		for (line = out.data; line < out.data + out.length; line = end + 1) {
			end = memchr(line, '\n', (size_t)(out.data + out.length - line));
			assert_non_null(end);
			if (cell_columns(line, (size_t)(end - line)) > width)
				fail_msg("of %u columns: %.*s", width, (int)(end - line), line);
		}
	}
}

static void one_row(const struct history_format *format, const struct history_row *row,
		    unsigned int width, int64_t now, struct buffer *out)
{
	CLEANUP(history_view_free) struct history_view view = {.now = now, .width = width};
	CLEANUP(buffer_free) struct buffer heading = BUFFER_EMPTY;

	format->begin(&view, &heading);
	buffer_reset(out);
	format->row(&view, row, out);
	buffer_byte(out, '\0');
	assert_false(out->failed || heading.failed);
}

static void times_are_as_short_as_the_day_allows(void **state)
{
	static const struct {
		int64_t ahead; /* s */
		unsigned int width;
		const char *begin;
	} rows[] = {
		{0, 0, "2026-11-21 12:00:01 "},		 {0, 120, "        12:00:01 "},
		{43198, 120, "        12:00:01 "},	 {43199, 120, " Nov 21 12:00:01 "},
		{365 * 86400, 120, "2026-11-21 12:00 "}, {-86400, 120, " Nov 21 12:00:01 "},
	};
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		one_row(&history_table, &sample_rows[SAMPLE_OPEN], rows[i].width,
			SAMPLE_NOON + (1 + rows[i].ahead) * SAMPLE_SECOND, &out);
		if (strncmp(out.data, rows[i].begin, strlen(rows[i].begin)) != 0)
			fail_msg("row %zu: '%s'", i, out.data);
	}
	setenv("TZ", "Asia/Tokyo", 1);
	tzset();
	one_row(&history_table, &sample_rows[SAMPLE_OPEN], 0, NOW, &out);
	assert_memory_equal(out.data, "2026-11-21 21:00:01", 19);
	setenv("TZ", "UTC", 1);
	tzset();
}

static void args_that_are_no_array_of_strings(void **state)
{
	static const struct {
		const char *args, *shown; /* NULL: left out */
	} rows[] = {
		{"[\"a\"]", "\"args\":[\"a\"]"},
		{"[\"a\",\"b c\",\"\"]", "\"args\":[\"a\",\"b c\",\"\"]"},
		{"[\"\\u0000\\n\\\\\\\"\\/\"]", "\"args\":[\"\\u0000\\n\\\\\\\"\\/\"]"},
		{"[\"\x1b\"]", "\"args\":[\"\\u001b\"]"},
		{"[]", NULL},
		{"[", NULL},
		{"", NULL},
		{"[\"a\"", NULL},
		{"[\"a\",]", NULL},
		{"[\"a\"]]", NULL},
		{"[\"a\"] ", NULL},
		{"[\"a\"],\"x\":[\"b\"]", NULL},
		{"[1]", NULL},
		{"[null]", NULL},
		{"[[\"a\"]]", NULL},
		{"{\"a\":1}", NULL},
		{"\"a\"", NULL},
		{"[\"a]", NULL},
		{"[\"a\\\"]", NULL},
		{"[\"\\u12\"]", NULL},
		{"[\"\\u12g4\"]", NULL},
		{"[\"\\x\"]", NULL},
		{"[\"a\"\"b\"]", NULL},
	};
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct history_row row = sample_rows[SAMPLE_LISTENING];

		row.process.args = (struct history_text){rows[i].args, strlen(rows[i].args)};
		one_row(&history_json, &row, 0, NOW, &out);
		if (rows[i].shown ? !strstr(out.data, rows[i].shown)
				  : strstr(out.data, "args") != NULL)
			fail_msg("%s: %s", rows[i].args, out.data);
	}
}

/* A holder is never passed off as the claimant. */
static void a_claim_that_was_not_seen(void **state)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	(void)state;
	one_row(&history_json, &sample_rows[SAMPLE_PREDATES], 0, NOW, &out);
	assert_null(strstr(out.data, "\"process\":"));
	assert_null(strstr(out.data, "\"start\":"));
	assert_null(strstr(out.data, "\"duration\":"));
	assert_non_null(
		strstr(out.data, "\"process_unknown\":\"predates\",\"holder\":{\"pid\":65,"));
	one_row(&history_csv, &sample_rows[SAMPLE_PREDATES], 0, NOW, &out);
	assert_non_null(strstr(out.data, ",,,,,,65,sshd,"));
	one_row(&history_table, &sample_rows[SAMPLE_PREDATES], 0, NOW, &out);
	assert_non_null(strstr(out.data, "unknown >=1h00m         - -  "));
	assert_non_null(strstr(out.data, "by sshd[65], claimant unknown\n"));
}

/* ---- what is asked ---- */

static void remote_is(const char *text, uint8_t family, const char *address, uint8_t bits,
		      uint16_t port)
{
	struct history_remote remote;
	const char *expected = NULL;
	uint8_t bytes[16] = {0};

	if (history_remote_parse(text, &remote, &expected))
		fail_msg("'%s' is refused", text);
	memcpy(bytes, address, family == 4 ? 4 : family == 6 ? 16 : 0);
	assert_int_equal(remote.family, family);
	assert_int_equal(remote.bits, bits);
	assert_int_equal(remote.port, port);
	assert_memory_equal(remote.address, bytes, 16);
}

#define DOC6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"

static void remote_addresses(void **state)
{
	static const char *const wrong[] = {
		"",
		"192.0.2",
		"192.0.2.256",
		"192.0.2.1/33",
		"192.0.2.1/",
		"192.0.2.1:",
		"192.0.2.1:0",
		"192.0.2.1:65536",
		"192.0.2.1:a",
		"192.0.2.1 ",
		"[192.0.2.1]",
		"[192.0.2.1]:80",
		"[2001:db8::1",
		"2001:db8::1]:1",
		"[2001:db8::1]80",
		"[2001:db8::1]:",
		"2001:db8::/129",
		"[2001:db8::1]:80 ",
		":",
		"::1:80:",
		"[]:80",
		"localhost",
		"[fe80::1%eth0]:80",
		"192.0.2.1/24/24",
		"/24",
		"*:80",
		"192.0.2.0/+4",
	};

	(void)state;
	remote_is("192.0.2.1", 4, "\xc0\0\2\1", 32, 0);
	remote_is("192.0.2.1:443", 4, "\xc0\0\2\1", 32, 443);
	remote_is("192.0.2.1/24", 4, "\xc0\0\2\0", 24, 0);
	remote_is("192.0.2.129/25:443", 4, "\xc0\0\2\x80", 25, 443);
	remote_is("0.0.0.0/0", 4, "\0\0\0\0", 0, 0);
	remote_is("2001:db8::1", 6, DOC6 "\1", 128, 0);
	remote_is("[2001:db8::1]", 6, DOC6 "\1", 128, 0);
	remote_is("[2001:db8::1]:443", 6, DOC6 "\1", 128, 443);
	remote_is("2001:db8::ffff/32", 6, DOC6 "\0", 32, 0);
	remote_is("[2001:db8::ffff/32]:53", 6, DOC6 "\0", 32, 53);
	remote_is("::1", 6, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 128, 0);
	remote_is("::ffff:192.0.2.1", 4, "\xc0\0\2\1", 32, 0);
	remote_is("[::ffff:192.0.2.1/120]:80", 4, "\xc0\0\2\0", 24, 80);
	remote_is(":443", 0, "", 0, 443);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct history_remote remote = {.port = 7};
		const char *expected = NULL;

		if (history_remote_parse(wrong[i], &remote, &expected) != -EINVAL)
			fail_msg("'%s' is taken", wrong[i]);
		assert_non_null(expected);
		assert_int_equal(remote.port, 7);
	}
}

static const struct command command = {.name = "history", .options = history_option_table};

struct asked {
	struct history_options options;
	struct history_query query;
	struct subjects subjects;
	struct port_set ports;
	bool mixed;
};

/* Words of a command line, options first; the last one is NULL. */
static void ask(struct asked *asked, const char *const *words, int64_t now)
{
	static const struct subject_rules rules = {.least = 1,
						   .protocols = IANA_TCP | IANA_UDP | IANA_SCTP};
	char *arguments[32] = {(char *)(uintptr_t) "history"};
	int count = 1, next;

	for (; *words; words++)
		arguments[count++] = (char *)(uintptr_t)*words;
	memset(asked, 0, sizeof(*asked));
	next = options_parse(&command, count, arguments, &asked->options);
	for (; next < count; next++)
		assert_int_equal(subjects_add(&asked->subjects, &command, &rules, arguments[next]),
				 0);
	history_query_set(&asked->query, &command, &asked->options, &asked->subjects, &asked->ports,
			  now, &asked->mixed);
}

#define ASK(asked, ...)                                                                            \
	ask(asked, (const char *const[]){__VA_ARGS__, NULL},                                       \
	    SAMPLE_NOON + 365 * 86400 * SAMPLE_SECOND)

static void asked_free(struct asked *asked)
{
	subjects_free(&asked->subjects);
}

static void what_is_asked_for(void **state)
{
	CLEANUP(asked_free) struct asked asked = {0};

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	ASK(&asked, "60002");
	assert_ptr_equal(asked.query.ports, &asked.ports);
	assert_true(port_set_has(&asked.ports, 60002) && !port_set_has(&asked.ports, 60001));
	assert_int_equal(asked.query.protocol, 0);
	assert_true(asked.query.since == INT64_MIN && asked.query.until == INT64_MAX);
	assert_true(asked.query.gaps && !asked.query.failed && !asked.query.newest);
	assert_null(asked.query.remote);
	asked_free(&asked);

	ASK(&asked, "--at", "2026-11-21 12:00", "80/tcp", "8000-8010/tcp");
	assert_true(asked.query.since == SAMPLE_NOON &&
		    asked.query.until == SAMPLE_NOON + MINUTE - 1);
	assert_int_equal(asked.query.protocol, 6);
	assert_false(asked.mixed);
	assert_true(port_set_has(&asked.ports, 80) && port_set_has(&asked.ports, 8005));
	asked_free(&asked);

	ASK(&asked, "--at", "2026-11-21 12:00:00");
	assert_true(asked.query.until == SAMPLE_NOON + SAMPLE_SECOND - 1);
	assert_null(asked.query.ports);
	ASK(&asked, "--at", "@1795262400.000000001");
	assert_true(asked.query.since == SAMPLE_NOON + 1 && asked.query.until == SAMPLE_NOON + 1);

	ASK(&asked, "-S", "2026-11-21 12:00", "-U", "2026-11-21 12:05", "-n", "3", "--failed", "-P",
	    "42", "-c", "nginx", "--exe", "curl", "-u", "web", "--container", "c0ff", "--remote",
	    ":443");
	assert_true(asked.query.since == SAMPLE_NOON &&
		    asked.query.until == SAMPLE_NOON + 5 * MINUTE);
	assert_true(asked.query.newest == 3 && asked.query.failed && asked.query.pid == 42);
	assert_string_equal(asked.query.comm, "nginx");
	assert_string_equal(asked.query.exe, "curl");
	assert_string_equal(asked.query.unit, "web");
	assert_string_equal(asked.query.container, "c0ff");
	assert_int_equal(asked.query.remote->port, 443);

	ASK(&asked, "-S", "2026-11-21 12:00", "-U", "2026-11-21 12:00");
	assert_true(asked.query.since == SAMPLE_NOON && asked.query.until == SAMPLE_NOON);

	ASK(&asked, "53/udp", "80/tcp", "443");
	assert_true(asked.mixed);
	assert_int_equal(asked.query.protocol, 0);
	assert_true(history_wanted(&asked.subjects, &sample_rows[SAMPLE_MAPPED]));
	assert_false(history_wanted(&asked.subjects, &sample_rows[SAMPLE_LISTENING]));
	assert_true(history_wanted(&asked.subjects, &sample_rows[SAMPLE_KILLED]));
	asked_free(&asked);
	ASK(&asked, "53001/tcp", "80/udp");
	assert_false(history_wanted(&asked.subjects, &sample_rows[SAMPLE_UDP]));
	asked_free(&asked);
	ASK(&asked, "53001/udp", "80/tcp");
	assert_true(history_wanted(&asked.subjects, &sample_rows[SAMPLE_UDP]));
}

static int ask_in_child(void *context)
{
	struct timespec now;
	struct asked asked;

	clock_gettime(CLOCK_REALTIME, &now);
	ask(&asked, context, now.tv_sec * SAMPLE_SECOND);
	asked_free(&asked);
	return 0;
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *words[8], *said;
	} rows[] = {
		{{"--at", "teatime"}, "--at: 'teatime' is not accepted; expected a time like"},
		{{"--at", "2099-01-01"}, "--at: '2099-01-01' is yet to come"},
		{{"--at", "23:59:59.999999999"},
		 "is of today, and yet to come; 'yesterday 23:59:59.999999999' is the one before"},
		{{"--since", "2099-01-01"}, "--since: '2099-01-01' is yet to come"},
		{{"--at", "now", "--since", "now"}, "--at excludes --since and --until"},
		{{"--at", "now", "--until", "now"}, "--at excludes --since and --until"},
		{{"-f", "--until", "now"}, "--follow has no end"},
		{{"-f", "--at", "now"}, "--follow has no end"},
		{{"-S", "2026-11-21", "-U", "2026-11-20"}, "is before --since"},
		{{"-n", "0"}, "--lines: '0' goes with --follow only"},
		{{"-n", "-1"}, "--lines: '-1' is not accepted"},
		{{"-P", "0"}, "--pid: '0' is not accepted"},
		{{"-P", "abc"}, "--pid: 'abc' is not accepted"},
		{{"-c", "sixteen bytes here"}, "--comm: "},
		{{"--container", "c0f"}, "at least its first 4 characters"},
		{{"--remote", "nowhere"}, "--remote: 'nowhere' is not accepted"},
		{{"-o", "xml"}, "expected table, json or csv"},
		{{"--db", ""}, "--db: '' is not accepted"},
		{{"0"}, "'0': expected a port"},
		{{"80abc"}, "'80abc': expected a port"},
		{{"postgre"}, "no service of that name"},
		{{"80/icmp"}, "behind the slash"},
		{{"--at", "\x1b[31m"}, "--at: '\\x1b[31m' is not accepted"},
	};

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static struct child_result child;

		child = child_run(ask_in_child, (void *)(uintptr_t)rows[i].words, -1);
		assert_int_equal(child.status, 2);
		if (!strstr(child.err, rows[i].said) ||
		    strncmp(child.err, "portsnoop history: ", 19) != 0)
			fail_msg("row %zu: %s", i, child.err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table),
		cmocka_unit_test(the_table_on_a_terminal),
		cmocka_unit_test(the_json),
		cmocka_unit_test(the_csv),
		cmocka_unit_test(hostile_bytes_are_escaped),
		cmocka_unit_test(no_line_is_wider_than_the_terminal),
		cmocka_unit_test(times_are_as_short_as_the_day_allows),
		cmocka_unit_test(args_that_are_no_array_of_strings),
		cmocka_unit_test(a_claim_that_was_not_seen),
		cmocka_unit_test(remote_addresses),
		cmocka_unit_test(what_is_asked_for),
		cmocka_unit_test(what_is_refused),
	};

	setlocale(LC_CTYPE, "C.UTF-8"); /* as main() does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
