/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `record --status`: what it makes of a status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command/record_status.h"
#include "lib/cleanup.h"
#include "model/coverage.h"

#define NS INT64_C(1000000000)
#define STARTED (INT64_C(1795271591) * NS)
#define NOW (STARTED + INT64_C(3600) * NS)
#define GIB (UINT64_C(1) << 30)

static struct service_report report_good(void)
{
	return (struct service_report){
		.pid = 4242,
		.status =
			{
				.told = SERVICE_STATUS_COUNTS | SERVICE_STATUS_LAG |
					SERVICE_STATUS_LEDGER | SERVICE_STATUS_PROCESS |
					SERVICE_STATUS_STORE | SERVICE_STATUS_PRIVATE,
				.stream = 0x7f3a,
				.started_wall = STARTED,
				.now_wall = NOW,
				.watching = (uint64_t)(NOW - STARTED),
				.coverage = COVERAGE_ALL,
				.tier = WIRE_TIER_FENTRY,
				.pid = 1,
				.program = "0.1.0",
				.received = 12345,
				.delivered = 12000,
				.filtered = 34,
				.lag = 340000,
				.lag_most = 12000000,
				.waiting = 1536,
				.leases = 120,
				.opened = 5000,
				.unknown = 3,
				.memory = 14 << 20,
				.confined = SERVICE_NO_NEW_PRIVILEGES | SERVICE_SYSTEM_CALLS,
				.store_bytes = 117 << 20,
				.store_wal = 1 << 20,
				.store_max_size = GIB,
				.store_leases = 4880,
				.store_failures = 33,
				.store_open = 120,
				.store_commits = 3600,
				.store_written = 5033,
				.store_trimmed = 9,
				.store_pending = 400,
				.store_oldest = STARTED + NS,
				.store_committed = NOW - NS / 2,
				.store_path = "/var/lib/portsnoop/history.db",
			},
	};
}

static const char good_text[] = //
	"recording since 2026-11-21 14:33:11, nothing lost\n"
	"\n"
	"recording\n"
	"  process     portsnoop[4242], version 0.1.0\n"
	"  running     1h 0m\n"
	"  memory      14.0 MiB\n"
	"  rights      no capabilities; none can be gained; system calls are filtered\n"
	"  tier        fentry\n"
	"\n"
	"stream\n"
	"  records     12345 received from the kernel\n"
	"  events      12034 seen = 12000 recorded + 34 filtered + 0 lost\n"
	"\n"
	"loss\n"
	"  ring        0 records had no room\n"
	"  ledger      0 leases had no room\n"
	"  database    0 leases and failures were not written in time\n"
	"\n"
	"lag\n"
	"  behind      340us; 12ms at most\n"
	"  waiting     1.5 KiB\n"
	"\n"
	"database\n"
	"  file        /var/lib/portsnoop/history.db\n"
	"  size        117.0 MiB of 1.0 GiB; WAL 1.0 MiB\n"
	"  age         since 2026-11-21 14:33:12; no limit\n"
	"  holds       4880 ended leases, 33 failures\n"
	"  written     5033 leases and failures in 3600 commits; 9 trimmed\n"
	"  last commit 2026-11-21 15:33:10, 500ms ago\n"
	"  pending     400 bytes\n"
	"\n"
	"leases\n"
	"  open        120\n"
	"  opened      5000 since the start\n"
	"  unknown     3 releases of sockets that were not known\n";

static const char good_json[] =
	"{\"schema\":1,\"recording\":true,\"problems\":[],\"pid\":4242,\"program\":\"0.1.0\","
	"\"since\":\"2026-11-21T14:33:11.000000000Z\",\"watching_ns\":3600000000000,"
	"\"stream\":{\"id\":\"7f3a\",\"tier\":\"fentry\",\"not_covered\":[],\"received\":12345,"
	"\"seen\":12034,\"delivered\":12000,\"filtered\":34,\"lost\":0},"
	"\"lag\":{\"ns\":340000,\"most_ns\":12000000,\"waiting_bytes\":1536},"
	"\"ledger\":{\"leases\":120,\"opened\":5000,\"evicted\":0,\"unknown\":3},"
	"\"process\":{\"memory_bytes\":14680064,\"capabilities\":[],\"no_new_privileges\":true,"
	"\"system_call_filter\":true},"
	"\"database\":{\"path\":\"/var/lib/portsnoop/history.db\",\"bytes\":122683392,"
	"\"wal_bytes\":1048576,\"max_bytes\":1073741824,\"max_age_ns\":null,\"leases\":4880,"
	"\"failures\":33,\"open\":120,\"oldest\":\"2026-11-21T14:33:12.000000000Z\","
	"\"commits\":3600,\"committed\":\"2026-11-21T15:33:10.500000000Z\",\"written\":5033,"
	"\"dropped\":0,\"trimmed\":9,\"pending_bytes\":400,\"error\":null},\"sinks\":null}\n";

typedef void (*renderer)(struct buffer *out, const struct service_report *report);

static const char *rendered(renderer render, const struct service_report *report)
{
	static char text[1 << 15];
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	render(&out, report);
	assert_false(out.failed);
	assert_true(out.length && out.length < sizeof(text));
	memcpy(text, out.data, out.length);
	text[out.length] = '\0';
	return text;
}

static void test_good(void **state)
{
	const struct service_report report = report_good();

	(void)state;
	assert_string_equal(rendered(record_status_text, &report), good_text);
	assert_string_equal(rendered(record_status_json, &report), good_json);
}

static void expect_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void expect_lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" in:\n%s", part, text);
}

static void expect_verdict(const struct service_report *report, const char *words)
{
	const char *text = rendered(record_status_text, report);

	if (strncmp(text, words, strlen(words)) != 0 || text[strlen(words)] != '\n')
		fail_msg("not \"%s\" but:\n%s", words, text);
}

#define SINCE "recording since 2026-11-21 14:33:11"

static void test_verdict(void **state)
{
	struct service_report report = report_good();
	struct service_status *status = &report.status;

	(void)state;
	status->lost = 1;
	expect_verdict(&report, SINCE ": 1 record lost in the ring of the kernel");
	status->lost = 12;
	expect_verdict(&report, SINCE ": 12 records lost in the ring of the kernel");
	status->evicted = 2;
	status->store_dropped = 3;
	expect_verdict(&report, SINCE ": 12 records lost in the ring of the kernel; 3 entries "
				      "never written: the database could not be written in time; "
				      "2 leases forgotten: there were too many");
	expect_has(rendered(record_status_json, &report),
		   "\"problems\":[\"12 records lost in the ring of the kernel\",\"3 entries never "
		   "written: the database could not be written in time\",\"2 leases forgotten: "
		   "there were too many\"]");
	report = report_good();
	status->store_error = ENOSPC;
	expect_verdict(&report, SINCE ": the database cannot be written: No space left on device");
	snprintf(status->store_why, sizeof(status->store_why), "/var is full: make room");
	expect_verdict(&report, SINCE ": the database cannot be written: /var is full: make room");
	expect_has(rendered(record_status_json, &report),
		   "\"error\":{\"code\":\"ENOSPC\",\"message\":\"/var is full: make room\"}");
	report = report_good();
	status->store_committed = NOW - 30 * NS;
	expect_verdict(&report, SINCE ", nothing lost");
	status->store_committed = NOW - 31 * NS;
	expect_verdict(&report, SINCE ": nothing was written for 31 seconds");
	status->store_committed = 0; /* it has just begun */
	expect_verdict(&report, SINCE ", nothing lost");
	expect_has(rendered(record_status_text, &report), "  last commit none yet\n");
	expect_has(rendered(record_status_json, &report), "\"committed\":null");
	report = report_good();
	status->lag = 11 * NS;
	expect_verdict(&report, SINCE ": 11 seconds behind");
	report = report_good();
	status->started_wall = 0;
	expect_verdict(&report, "recording for 1h 0m, nothing lost");
}

/* A trace that serves keeps nothing. */
static void test_watching_only(void **state)
{
	struct service_report report = report_good();
	const char *text;

	(void)state;
	report.status.told = SERVICE_STATUS_LEDGER;
	expect_verdict(&report, "not recording; only watching since 2026-11-21 14:33:11");
	text = rendered(record_status_text, &report);
	expect_has(text, "\nwatching\n  process ");
	expect_has(text, "\nleases\n");
	expect_lacks(text, "\nrecording\n");
	expect_lacks(text, "\nstream\n");
	expect_lacks(text, "\nlag\n");
	expect_lacks(text, "\ndatabase\n");
	expect_lacks(text, "  rights ");
	text = rendered(record_status_json, &report);
	expect_has(text, "{\"schema\":1,\"recording\":false,\"problems\":[],");
	expect_has(text, "\"lag\":null,\"ledger\":{");
	expect_has(text, "\"process\":null,\"database\":null,\"sinks\":null}\n");
	expect_lacks(text, "\"lost\"");
	report.status.told = 0;
	text = rendered(record_status_text, &report);
	expect_lacks(text, "\nleases\n");
	expect_has(rendered(record_status_json, &report), "\"ledger\":null");
}

static void sinks_give(struct service_status *status)
{
	status->told |= SERVICE_STATUS_SINKS;
	status->sink_count = 3;
	status->sinks[0] =
		(struct service_sink){.delivered = 100, .waiting = 2, .name = "file:/a/b.json"};
	status->sinks[1] = (struct service_sink){
		.delivered = 4,
		.spooled = 7,
		.spooled_bytes = 1536,
		.since = STARTED,
		.name = "tcp:logs:5170",
		.why = "no route\n\x1b[2J",
	};
	status->sinks[2] = (struct service_sink){.delivered = 100, .name = "journald"};
}

static void test_sinks(void **state)
{
	struct service_report report = report_good();
	struct service_status *status = &report.status;
	const char *text;

	(void)state;
	sinks_give(status);
	expect_verdict(&report, SINCE ": tcp:logs:5170 is away: no route\\x0a\\x1b[2J");
	text = rendered(record_status_text, &report);
	expect_has(text, "\nsinks\n"
			 "  to          file:/a/b.json\n"
			 "    events    100 delivered; 0 dropped, 0 refused, 0 lost\n"
			 "    waiting   2\n"
			 "  to          tcp:logs:5170\n"
			 "    events    4 delivered; 0 dropped, 0 refused, 0 lost\n"
			 "    waiting   0; 7 on disk, 1.5 KiB\n"
			 "    away      since 2026-11-21 14:33:11: no route\\x0a\\x1b[2J\n"
			 "  to          journald\n");
	text = rendered(record_status_json, &report);
	expect_has(text, "\"problems\":[\"tcp:logs:5170 is away: no route\\\\x0a\\\\x1b[2J\"]");
	expect_has(text, "\"sinks\":[{\"name\":\"file:/a/b.json\",\"delivered\":100,\"waiting\":2,"
			 "\"spooled\":0,\"spooled_bytes\":0,\"dropped\":0,\"refused\":0,"
			 "\"lost\":0,\"away_since\":null,\"why\":null,\"ended\":false},{");
	expect_has(text, "\"spooled\":7,\"spooled_bytes\":1536,\"dropped\":0,\"refused\":0,"
			 "\"lost\":0,\"away_since\":\"2026-11-21T14:33:11.000000000Z\","
			 "\"why\":\"no route\\u000a\\u001b[2J\",\"ended\":false}");
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	status->sinks[1].since = 0;
	status->sinks[1].why[0] = '\0';
	expect_verdict(&report, SINCE ", nothing lost");
	status->sinks[0].dropped = 5;
	status->sinks[1].ended = 1;
	status->sinks[1].lost = 7;
	status->sinks[2].refused = 1;
	expect_verdict(&report, SINCE ": file:/a/b.json missed events, 5 dropped; tcp:logs:5170 "
				      "gets nothing any more: its process has ended, 7 lost; "
				      "journald missed events, 1 refused");
	status->sink_count = 0;
	expect_lacks(rendered(record_status_text, &report), "sinks");
	expect_has(rendered(record_status_json, &report), "\"sinks\":[]}");
}

static void test_details(void **state)
{
	struct service_report report = report_good();
	struct service_status *status = &report.status;
	const char *text;

	(void)state;
	status->told &= ~(uint64_t)SERVICE_STATUS_PRIVATE;
	status->store_path[0] = '\0';
	status->capabilities = UINT64_C(3) << 38;
	status->confined = 0;
	status->coverage = COVERAGE_ALL & ~(COVERAGE_BIT(COVERAGE_SCTP) | COVERAGE_BIT(0));
	status->store_max_age = 90 * UINT64_C(86400) * NS;
	status->store_oldest = 0;
	text = rendered(record_status_text, &report);
	expect_has(text, "  rights      capabilities: perfmon, bpf; any system call\n");
	expect_has(text, "  not seen    bind, sctp\n");
	expect_has(text, "  file        only root is told\n");
	expect_has(text, "  age         empty; limit 90d 0h\n");
	text = rendered(record_status_json, &report);
	expect_has(text, "\"capabilities\":[\"perfmon\",\"bpf\"],\"no_new_privileges\":false,"
			 "\"system_call_filter\":false}");
	expect_has(text, "\"not_covered\":[\"bind\",\"sctp\"]");
	expect_has(text, "\"path\":null");
	expect_has(text, "\"max_age_ns\":7776000000000000");
	expect_has(text, "\"oldest\":null");
	status->capabilities = (UINT64_C(1) << 41) - 1;
	expect_has(rendered(record_status_text, &report), "  rights      all capabilities; ");
	status->capabilities = (UINT64_C(1) << 20) - 1;
	expect_has(rendered(record_status_text, &report), "  rights      20 capabilities; ");
	status->capabilities = UINT64_C(1) << 63;
	expect_has(rendered(record_status_text, &report), "  rights      capabilities: 63; ");
	expect_has(rendered(record_status_json, &report), "\"capabilities\":[63]");
}

static void test_units(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} times[] = {
		{0, "0ns"},
		{999, "999ns"},
		{1000, "1us"},
		{999999, "999us"},
		{999999999, "999ms"},
		{1204000000, "1.204s"},
		{59999000000, "59.999s"},
		{60000000000, "1m 0s"},
		{3599000000000, "59m 59s"},
		{86399000000000, "23h 59m"},
		{273600000000000, "3d 4h"},
		{UINT64_MAX, "213503d 23h"},
	};
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {
		{0, "0 bytes"},		 {1023, "1023 bytes"}, {1024, "1.0 KiB"},
		{1048575, "1023.9 KiB"}, {1048576, "1.0 MiB"}, {UINT64_MAX, "15.9 EiB"},
	};
	struct service_report report = report_good();
	char line[64];

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		report.status.watching = times[i].ns;
		snprintf(line, sizeof(line), "  running     %s\n", times[i].text);
		expect_has(rendered(record_status_text, &report), line);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		report.status.memory = sizes[i].bytes;
		snprintf(line, sizeof(line), "  memory      %s\n", sizes[i].text);
		expect_has(rendered(record_status_text, &report), line);
	}
}

/* Nothing in it makes a line of its own, or speaks to a terminal. */
static void test_hostile(void **state)
{
	struct service_report report = report_good();
	struct service_status *status = &report.status;
	const char *text;

	(void)state;
	memset(status->program, '\x1b', sizeof(status->program));
	snprintf(status->store_path, sizeof(status->store_path), "/a\nforged\x1b[2J\xff\"");
	snprintf(status->store_why, sizeof(status->store_why), "why\nforged\x9b");
	status->store_error = UINT64_MAX;
	status->started_wall = status->now_wall = INT64_MAX;
	status->watching = status->received = status->delivered = status->lost = UINT64_MAX;
	status->store_committed = 1;
	text = rendered(record_status_text, &report);
	expect_lacks(text, "\x1b");
	expect_lacks(text, "\nforged");
	expect_has(text, ": the database cannot be written: why\\x0aforged\\x9b; ");
	expect_has(text, "  file        /a\\x0aforged\\x1b[2J\\xff\"\n");
	text = rendered(record_status_json, &report);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	expect_lacks(text, "\x1b");
	expect_has(text, "\"path\":\"/a\\u000aforged\\u001b[2J\xef\xbf\xbd\\\"\"");
	expect_has(text, "\"error\":{\"code\":null,");
	status->store_why[0] = '\0';
	expect_has(rendered(record_status_text, &report), "the database cannot be written: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	      cmocka_unit_test(test_verdict),
		cmocka_unit_test(test_watching_only), cmocka_unit_test(test_details),
		cmocka_unit_test(test_units),	      cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_sinks),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
