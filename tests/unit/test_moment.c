/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/moment.h"

#define US INT64_C(1000)
#define SECOND INT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define NOW (INT64_C(1795271527) * SECOND + 5) /* Sat 2026-11-21 14:32:07.000000005 UTC */
#define TODAY (INT64_C(1795219200) * SECOND)   /* 00:00 UTC */

static void zone_set(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static int parse(const char *text, struct moment *moment)
{
	const char *expected = NULL;
	int result = moment_parse(text, NOW, moment, &expected);

	if (result) {
		assert_int_equal(result, -EINVAL);
		assert_non_null(strstr(expected, "'2026-11-21 14:32:07'"));
	}
	return result;
}

static void means_for(const char *text, int64_t ns, int64_t width)
{
	struct moment moment = {-1, -1, false};

	if (parse(text, &moment))
		fail_msg("'%s' is refused", text);
	if (moment.ns != ns || moment.last != ns + width - 1)
		fail_msg("'%s' is %" PRId64 " to %" PRId64 " instead of %" PRId64 " to %" PRId64,
			 text, moment.ns, moment.last, ns, ns + width - 1);
}

static void what_texts_mean(void **state)
{
	static const struct {
		const char *text;
		int64_t ns, width;
	} rows[] = {
		{"now", NOW, 1},
		{"today", TODAY, DAY},
		{"yesterday", TODAY - DAY, DAY},
		{"tomorrow", TODAY + DAY, DAY},
		{"2026-11-21", TODAY, DAY},
		{"26-11-21", TODAY, DAY},
		{"2026-11-21 14:32", TODAY + 14 * HOUR + 32 * MINUTE, MINUTE},
		{"2026-11-21  14:32", TODAY + 14 * HOUR + 32 * MINUTE, MINUTE},
		{"2026-11-21 14:32:07", NOW - 5, SECOND},
		{"2026-11-21 14:32:07.5", NOW - 5 + SECOND / 2, SECOND / 10},
		{"2026-11-21 14:32:07.123456", NOW - 5 + 123456 * US, US},
		{"2026-11-21 14:32:07.123456789", NOW - 5 + 123456789, 1},
		{"14:32", TODAY + 14 * HOUR + 32 * MINUTE, MINUTE},
		{"14:32:07", NOW - 5, SECOND},
		{"9:05", TODAY + 9 * HOUR + 5 * MINUTE, MINUTE},
		{"23:59", TODAY + DAY - MINUTE, MINUTE}, /* today, and yet to come */
		{"yesterday 14:32", TODAY - 10 * HOUR + 32 * MINUTE, MINUTE},
		{"14:32 yesterday", TODAY - 10 * HOUR + 32 * MINUTE, MINUTE},
		{"yesterday 14:32:07 UTC", NOW - 5 - DAY, SECOND},
		{"14:32:07.25 today", NOW - 5 + SECOND / 4, SECOND / 100},
		{"tomorrow 0:00", TODAY + DAY, MINUTE},
		{"yesterday UTC", TODAY - DAY, DAY},
		{"yesterday 14:32 +01:00", TODAY - 11 * HOUR + 32 * MINUTE, MINUTE},
		{"2026-11-21T14:32:07Z", NOW - 5, SECOND},
		{"2026-11-21T14:32Z", NOW - 5 - 7 * SECOND, MINUTE},
		{"2026-11-21T14:32", NOW - 5 - 7 * SECOND, MINUTE},
		{"2026-11-21T15:32:07+01:00", NOW - 5, SECOND},
		{"2026-11-21T09:02:07-0530", NOW - 5, SECOND},
		{"2026-11-21T15:32:07.000000005+01", NOW, 1},
		{"2026-11-21 15:32:07 +01:00", NOW - 5, SECOND},
		{"2026-11-21 14:32:07Z", NOW - 5, SECOND},
		{"15:32+01:00", NOW - 5 - 7 * SECOND, MINUTE},
		{"01:32 +14:00", NOW - 5 - 7 * SECOND - 3 * HOUR + 0, MINUTE},
		{"2026-11-21 09:32:07 America/New_York", NOW - 5, SECOND},
		{"tomorrow Pacific/Auckland", TODAY + 11 * HOUR + DAY, DAY}, /* there it is
										the 22nd */
		{"Sat 2026-11-21 14:32:07", NOW - 5, SECOND},
		{"saturday 2026-11-21 14:32:07 UTC", NOW - 5, SECOND},
		{"SAT 14:32:07", NOW - 5, SECOND},
		{"-1h30min", NOW - HOUR - 30 * MINUTE, 1},
		{"- 1h 30min", NOW - HOUR - 30 * MINUTE, 1},
		{"-1h30", NOW - HOUR - 30 * SECOND, 1},
		{"+5min", NOW + 5 * MINUTE, 1},
		{"5min left", NOW + 5 * MINUTE, 1},
		{"2 hours ago", NOW - 2 * HOUR, 1},
		{"2h ago", NOW - 2 * HOUR, 1},
		{"1.5h ago", NOW - HOUR - 30 * MINUTE, 1},
		{"1 day 2 hr 3 minutes 4 sec ago", NOW - DAY - 2 * HOUR - 3 * MINUTE - 4 * SECOND,
		 1},
		{"1w ago", NOW - 7 * DAY, 1},
		{"0.000001s ago", NOW - US, 1},
		{"-5 \xc2\xb5s", NOW - 5 * US, 1},
		{"-5ms", NOW - 5000 * US, 1},
		{"@1395716396", 1395716396 * SECOND, SECOND},
		{"@1395716396.5", 1395716396 * SECOND + SECOND / 2, SECOND / 10},
		{"@1395716396.123456789", 1395716396 * SECOND + 123456789, 1},
		{"@0", 0, SECOND},
		{"1970-01-01", 0, DAY},
		{"2024-02-29", INT64_C(1709164800) * SECOND, DAY},
		{"2261-12-31 23:59:59", INT64_C(9214646399) * SECOND, SECOND},
	};

	(void)state;
	zone_set("UTC");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		means_for(rows[i].text, rows[i].ns, rows[i].width);
}

static const char *const wrong[] = {
	"",
	" ",
	" 14:32",
	"14:32 ",
	"\t14:32",
	"14",
	"1432",
	"24:00",
	"14:60",
	"14:32:60",
	"14:32:7.",
	"14:32.5",
	"14:032",
	"14:32:07.1234567890",
	"+14:32",
	"14:32pm",
	"2026-11-31",
	"2026-02-29",
	"2100-02-29",
	"2026-00-01",
	"2026-13-01",
	"2026-11-00",
	"2026-11",
	"2026/11/21",
	"21.11.2026",
	"1969-12-31",
	"2262-01-01",
	"1234-01-01",
	"226-01-01",
	"20260-01-01",
	"2026-11-21 2026-11-21",
	"14:32 14:32",
	"14:32 2026-11-21",
	"today yesterday",
	"today 2026-11-21",
	"today today",
	"Today",
	"NOW",
	"now UTC",
	"now 14:32",
	"midnight",
	"Sun 2026-11-21",
	"Sat",
	"Sat UTC",
	"Sat today",
	"Sa 2026-11-21",
	"Sat, 2026-11-21",
	"2026-11-21 Sat",
	"2026-11-21T",
	"2026-11-21T14:32:07ZZ",
	"2026-11-21T14:32:07Z UTC",
	"2026-11-21T14:32:07z",
	"2026-11-21t14:32:07Z",
	"2026-11-21T14:32:07+1",
	"2026-11-21T14:32:07+15:00",
	"2026-11-21T14:32:07+01:60",
	"2026-11-21T14:32:07+01:0",
	"2026-11-21T14:32:07+010",
	"2026-11-21T14:32:07+",
	"2026-11-21 Z UTC",
	"2026-11-21 UTC 14:32",
	"UTC",
	"14:32 Nowhere",
	"14:32 Europe",
	"14:32 ../zoneinfo/UTC",
	"14:32 /usr/share/zoneinfo/UTC",
	"14:32 Europe/Berlin\n",
	"-",
	"+",
	"--1h",
	"-+1h",
	"-1h -30min",
	"-1x",
	"-1H",
	"-1h,30min",
	"-1.h",
	"-1.5.5h",
	"-1h ",
	"-infinity",
	"-1e3",
	"-0x10",
	"-99999999999999999999",
	"-9999999y",
	"60y ago", /* before 1970 */
	"+400y",
	"ago",
	" ago",
	"1h ago ",
	"1hago",
	"-1h ago",
	"1h ago UTC",
	"@",
	"@-1",
	"@1.",
	"@1.1234567890",
	"@1h",
	"@1 UTC",
	"@ 1",
	"@9999999999999999999",
	"@99999999999",
	"14:32 \xff",
	"14:32\x1b[31m",
};

static void what_is_refused(void **state)
{
	char text[4096];

	(void)state;
	zone_set("UTC");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct moment moment = {-1, -2, true};

		if (!parse(wrong[i], &moment))
			fail_msg("'%s' is %" PRId64, wrong[i], moment.ns);
		assert_true(moment.ns == -1 && moment.last == -2 && moment.clock);
	}
	for (size_t length = 1; length < sizeof(text); length += 13) {
		struct moment moment;

		memset(text, '1', length);
		memcpy(text, "14:32 ", length < 6 ? length : 6);
		text[length] = '\0';
		assert_true(length == 5 || parse(text, &moment) == -EINVAL);
	}
}

static void a_time_without_a_day_is_told(void **state)
{
	struct moment moment;

	(void)state;
	zone_set("UTC");
	assert_int_equal(parse("23:59", &moment), 0);
	assert_true(moment.clock);
	assert_int_equal(parse("today 23:59", &moment), 0);
	assert_false(moment.clock);
	assert_int_equal(parse("2026-11-21 23:59", &moment), 0);
	assert_false(moment.clock);
}

static void clocks_that_change(void **state)
{
	const int64_t autumn = INT64_C(1792882800) * SECOND; /* Berlin, 2026-10-25 01:00 CEST */
	const int64_t spring = INT64_C(1774742400) * SECOND; /* Berlin, 2026-03-29 01:00 CET */
	struct moment moment;

	(void)state;
	zone_set("Europe/Berlin");
	/* 02:30 comes twice, the first one is meant, whatever was asked before */
	for (int i = 0; i < 3; i++) {
		means_for("2026-10-25 02:30", autumn + HOUR + 30 * MINUTE, MINUTE);
		means_for("2026-01-25 02:30", INT64_C(1769304600) * SECOND, MINUTE);
		means_for("2026-10-25 02:30", autumn + HOUR + 30 * MINUTE, MINUTE);
		means_for("2026-07-25 02:30", INT64_C(1784939400) * SECOND, MINUTE);
	}
	means_for("2026-10-25 02:30 CEST", autumn + HOUR + 30 * MINUTE, MINUTE);
	means_for("2026-10-25 02:30 CET", autumn + 2 * HOUR + 30 * MINUTE, MINUTE);
	means_for("2026-10-25 03:30", autumn + 3 * HOUR + 30 * MINUTE, MINUTE);
	means_for("2026-10-25", autumn - HOUR, 25 * HOUR);
	/* 02:30 is left out */
	means_for("2026-03-29 02:30", spring + HOUR + 30 * MINUTE, MINUTE);
	means_for("2026-03-29 01:30", spring + 30 * MINUTE, MINUTE);
	means_for("2026-03-29 03:30", spring + HOUR + 30 * MINUTE, MINUTE);
	means_for("2026-03-29", spring - HOUR, 23 * HOUR);
	/* a name that is not in force then */
	assert_int_equal(parse("2026-07-01 12:00 CET", &moment), -EINVAL);
	zone_set("America/New_York");
	means_for("2026-11-01 01:30", INT64_C(1793511000) * SECOND, MINUTE);
	means_for("2026-03-08 02:30", INT64_C(1772955000) * SECOND, MINUTE);
	zone_set("UTC");
	means_for("2026-10-25 02:30 Europe/Berlin", autumn + HOUR + 30 * MINUTE, MINUTE);
}

static void the_time_zone_stays(void **state)
{
	(void)state;
	zone_set("America/New_York");
	means_for("2026-11-21 15:32:07 Europe/Berlin", NOW - 5, SECOND);
	assert_string_equal(getenv("TZ"), "America/New_York");
	means_for("2026-11-21 09:32:07", NOW - 5, SECOND);
	unsetenv("TZ");
	means_for("2026-11-21 15:32:07 Europe/Berlin", NOW - 5, SECOND);
	assert_null(getenv("TZ"));
	zone_set("UTC");
}

/* ---- against systemd ---- */

static const char *const oracle_texts[] = {
	/* It adds up what no calendar has, so that these stay away: 31 November, 14:32:60. */
	"2026-11-21 14:32:07",
	"2026-11-21 14:32:07.1",
	"2026-11-21 14:32:07.123456",
	"2026-11-21 14:32:07.000001",
	"2026-11-21 14:32",
	"2026-11-21  14:32",
	"2026-11-21",
	"26-11-21",
	"12-11-23",
	"12-11-23 4:05",
	"2012-11-23 11:12:13",
	"2026-1-2",
	"2026-1-2 3:4:5",
	"2024-02-29 23:59:59",
	"2026-03-29 01:59:59",
	"2026-03-29 03:00",
	"2026-03-29 02:30",
	"2026-03-08 01:59:59",
	"2026-03-08 02:30",
	"2026-03-08 03:00",
	"2026-10-25 00:59:59",
	"2026-10-25 03:00",
	"2026-11-01 00:59:59",
	"2026-11-01 02:00",
	"2026-07-01",
	"2026-07-01 12:00",
	"1999-12-31 23:59:59.999999",
	"2038-01-19 03:14:08",
	"2100-01-01",
	"2261-12-31",
	"1970-01-02",
	"00-01-01",
	"68-01-01",
	"2026-11-21 14:32:07 UTC",
	"2026-11-21 14:32 utc",
	"2026-11-21 UTC",
	"2026-07-01 12:00:00.5 UTC",
	"14:32:07",
	"14:32:07.25",
	"14:32",
	"0:00",
	"23:59:59",
	"14:32 UTC",
	"14:32:07.654321 UTC",
	"Sat 2026-11-21 14:32",
	"saturday 2026-11-21",
	"sAt 2026-11-21 14:32:07.5 UTC",
	"Wednesday 2026-07-01",
	"Thu 2026-01-01 00:00",
	"now",
	"today",
	"yesterday",
	"tomorrow",
	"today UTC",
	"yesterday UTC",
	"tomorrow UTC",
	"-1h30min",
	"- 1h",
	"-1 h 30 min",
	"-1h30",
	"-1h30 5",
	"-1M",
	"-1y",
	"-1w",
	"-1month",
	"-5 m",
	"-5us",
	"-5 \xc2\xb5s",
	"-5\xce\xbcs",
	"-5 msec",
	"-1hr",
	"-.5h",
	"-1.5",
	"-1h.5",
	"-0",
	"+5",
	"+5min",
	"+ 5min",
	"5min left",
	"2 hours ago",
	"2hours  ago",
	"2h ago",
	"1.5h ago",
	"30min 1h ago",
	"1m1m ago",
	"1.5years ago",
	"0.5M ago",
	"1 day 2 hr 3 minutes 4 sec 5 ms ago",
	"5 ago",
	"@1395716396",
	"@1395716396.5",
	"@1395716396.000001",
	"@0",
};

#define ORACLE_TEXTS (sizeof(oracle_texts) / sizeof(oracle_texts[0]))
/* What it refuses, too. */
static const char *const oracle_wrong[] = {
	"14:32 ",
	"24:00",
	"14:60",
	"14:32:7.",
	"14:32.5",
	"2026-13-01",
	"2026-11",
	"2026/11/21",
	"1969-12-31",
	"Today",
	"NOW",
	"now UTC",
	"Sun 2026-11-21",
	"Sat",
	"Sat today",
	"Sa 2026-11-21",
	"2026-11-21 Sat",
	"UTC",
	"-",
	"+",
	"-1h -30min",
	"-1x",
	"-1H",
	"-1h,30min",
	"-1.h",
	"-1.5.5h",
	"-infinity",
	"60y ago",
	"ago",
	"1h ago ",
	"1hago",
	"-1h ago",
	"1h ago UTC",
	"@",
	"@1 UTC",
	"14:32 Nowhere",
};

#define ORACLE_WRONG (sizeof(oracle_wrong) / sizeof(oracle_wrong[0]))

static int64_t wall_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

/* What it says of each text, as us since 1970, or -1: refused. Every text has its own
 * process: it finds hours that come twice by what it was asked before. */
static int64_t oracle_ask(const char *text)
{
	CLEANUP(buffer_free) struct buffer command = BUFFER_EMPTY;
	int64_t seconds = -1, fraction = 0;
	char line[256];
	FILE *oracle;

	buffer_printf(&command, "LC_ALL=C systemd-analyze timestamp -- '%s' 2>&1", text);
	buffer_byte(&command, '\0');
	assert_false(command.failed);
	oracle = popen(command.data, "r");
	assert_non_null(oracle);
	while (fgets(line, sizeof(line), oracle)) {
		const char *at = strstr(line, "UNIX seconds: @");
		int digits = 0;

		if (!at)
			continue;
		if (sscanf(at, "UNIX seconds: @%" SCNd64 ".%n%" SCNd64, &seconds, &digits,
			   &fraction) == 2)
			assert_int_equal(strspn(at + digits, "0123456789"), 6);
	}
	pclose(oracle);
	return seconds < 0 ? -1 : seconds * 1000000 + fraction;
}

static void oracle_compare(const char *zone, const char *text)
{
	struct moment before, behind;
	const char *expected;
	int64_t said;

	if (moment_parse(text, wall_now(), &before, &expected))
		fail_msg("%s: '%s' is refused", zone, text);
	said = oracle_ask(text);
	assert_int_equal(moment_parse(text, wall_now(), &behind, &expected), 0);
	if (said < before.ns / US || said > behind.ns / US)
		fail_msg("%s: '%s' is %" PRId64 " to %" PRId64 " us, systemd says %" PRId64, zone,
			 text, before.ns / US, behind.ns / US, said);
}

static void as_systemd_has_it(void **state)
{
	static const char *const zones[] = {"UTC", "Europe/Berlin", "America/New_York"};

	(void)state;
	assert_true(ORACLE_TEXTS >= 60);
	if (system("systemd-analyze timestamp now >/dev/null 2>&1") != 0) {
		print_message("systemd-analyze timestamp is missing here\n");
		skip();
	}
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		zone_set(zones[i]);
		for (size_t j = 0; j < ORACLE_TEXTS; j++)
			oracle_compare(zones[i], oracle_texts[j]);
	}
	zone_set("UTC");
	for (size_t i = 0; i < ORACLE_WRONG; i++) {
		struct moment moment;

		if (oracle_ask(oracle_wrong[i]) >= 0)
			fail_msg("systemd takes '%s'", oracle_wrong[i]);
		assert_int_equal(parse(oracle_wrong[i], &moment), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_texts_mean),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(a_time_without_a_day_is_told),
		cmocka_unit_test(clocks_that_change),
		cmocka_unit_test(the_time_zone_stays),
		cmocka_unit_test(as_systemd_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
