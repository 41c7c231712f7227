/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `rate` shows of readings that were made up. UPDATE=1 writes the fixtures anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command/rate.h"
#include "fixture.h"
#include "format/cell.h"
#include "lib/cleanup.h"
#include "model/coverage.h"
#include "sink/screen.h"

#define FIXTURES "tests/fixtures/rate/"
#define S UINT64_C(1000000000)
#define NOON (INT64_C(1795262400) * 1000000000)
#define INTERVALS 12
#define NOBODY 4294967000u /* no machine knows this user */
#define NETNS 7		   /* nor this namespace */

static const char *const paths[] = {
	"/system.slice/web.service",
	"/system.slice/docker-"
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
	"/kubepods.slice/kubepods-burstable.slice/"
	"kubepods-burstable-pod01234567_89ab_cdef_0123_456789abcdef.slice/cri-containerd-"
	"fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210.scope",
	"/somewhere\x1b[31m/\n",
	NULL,
};
#define PATHS (sizeof(paths) / sizeof(*paths))

#define ROWS 6
static const struct made {
	struct tally_key key;
	const char *comm;
	uint64_t claims[INTERVALS]; /* in each; the failures and ends follow from it */
	unsigned int failing;	    /* one in so many; 0: none */
	uint32_t error;
} made[ROWS] = {
	{.key = {.pid = 42,
		 .start = S,
		 .cgroup = 0,
		 .origin = WIRE_ORIGIN_KERNEL,
		 .class = TALLY_USER | TALLY_IN_POOL},
	 .comm = "curl",
	 .claims = {0, 10, 20, 40, 80, 160, 320, 640, 1280, 640, 320, 1234}},
	{.key = {.pid = 42,
		 .start = S,
		 .cgroup = 0,
		 .origin = WIRE_ORIGIN_REQUESTED,
		 .class = TALLY_SYSTEM},
	 .comm = "curl",
	 .claims = {[11] = 3}},
	{.key = {.pid = 4711,
		 .start = 2 * S,
		 .cgroup = 1,
		 .uid = NOBODY,
		 .origin = WIRE_ORIGIN_KERNEL,
		 .class = TALLY_DYNAMIC | TALLY_IN_POOL},
	 .comm = "evil\x1b[2J\n\xff",
	 .claims = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 50},
	 .failing = 5,
	 .error = 99},
	{.key = {.pid = 1234567,
		 .cgroup = 2,
		 .origin = WIRE_ORIGIN_REQUESTED,
		 .class = TALLY_DYNAMIC | TALLY_RESERVED},
	 .comm = "\xe6\xbc\xa2\xe5\xad\x97",
	 .claims = {[3] = 7},
	 .failing = 1,
	 .error = 98},
	{.key = {.pid = 0, .cgroup = 4, .origin = WIRE_ORIGIN_KERNEL, .class = TALLY_USER},
	 .claims = {[11] = 1}},
	{.key = {.pid = 77, .cgroup = 3, .origin = WIRE_ORIGIN_KERNEL, .class = TALLY_USER},
	 .claims = {12345678, 0}},
};

static const uint8_t ours[16] = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 1};
static const uint8_t theirs[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};
static const uint8_t other[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

static void place_set(struct tally_place *place, size_t index)
{
	*place = (struct tally_place){.netns = NETNS,
				      .protocol = 6,
				      .pool_low = 32768,
				      .pool_high = 60999,
				      .family = 6,
				      .trigger = WIRE_CONNECT};
	if (index == 3) { /* a bind to 0 */
		place->trigger = WIRE_BIND;
		return;
	}
	memcpy(place->other, index == 2 ? other : theirs, 16);
	memcpy(place->local, index == 2 ? other : ours, 16);
	place->other_port = index == 2 ? 443 : 80;
	place->local[15] += index == 1; /* from another address */
	place->pool_high += index == 1;
}

struct room {
	struct rate *rate;
	struct rate_view view;
};

static void room_take(struct room *room, size_t interval)
{
	struct tally_row rows[ROWS] = {0};
	struct tally_place_row places[ROWS] = {0};
	struct tally_error_row errors[ROWS + 1] = {0};
	struct tally_process_row processes[ROWS] = {0};
	struct tally_cgroup_row cgroups[PATHS] = {0};
	struct tally_reading reading = {.time = (interval + 1) * S,
					.rows = rows,
					.row_count = ROWS,
					.places = places,
					.errors = errors,
					.processes = processes,
					.cgroups = cgroups,
					.cgroup_count = PATHS};

	for (size_t i = 0; i < ROWS; i++) {
		struct tally_counts *counts = &rows[i].counts;

		rows[i].key = made[i].key;
		rows[i].key.netns = NETNS;
		for (size_t j = 0; j <= interval && j < INTERVALS; j++) {
			counts->claims += made[i].claims[j];
			counts->failures += made[i].failing ? made[i].claims[j] / made[i].failing
							    : 0;
		}
		counts->closed = counts->claims / 2;
		counts->time_waits = counts->claims / 4;
		counts->time_waits_over = counts->claims / 8;
		if (i == 0)
			counts->connect_failures = counts->claims / 10;
		if (made[i].key.origin == WIRE_ORIGIN_KERNEL) {
			place_set(&places[reading.place_count].place, reading.place_count);
			places[reading.place_count++].counts = *counts;
		}
		if (counts->failures)
			errors[reading.error_count++] = (struct tally_error_row){
				.error = {.key = rows[i].key, .error = made[i].error},
				.count = counts->failures - (i == 2)};
		if (counts->connect_failures)
			errors[reading.error_count++] = (struct tally_error_row){
				.error = {.key = rows[i].key, .error = 111, .outcome = 1},
				.count = counts->connect_failures};
		/* By pid, as it has to be. */
		if (made[i].comm && (!i || made[i].key.pid != made[i - 1].key.pid)) {
			struct tally_process_row *row = &processes[reading.process_count++];

			row->pid = made[i].key.pid;
			row->start = made[i].key.start;
			strcpy(row->comm, made[i].comm);
		}
	}
	for (size_t i = 0; i < PATHS; i++) {
		cgroups[i].id = i;
		cgroups[i].path = (char *)(uintptr_t)paths[i];
	}
	memcpy(reading.rest, room->view.rest, sizeof(reading.rest));
	assert_int_equal(rate_take(room->rate, &reading), 0);
}

static void room_make(struct room *room, enum rate_by by, size_t top)
{
	*room = (struct room){.rate = rate_new(by, 0)};
	room->view = (struct rate_view){
		.names = rate_names_new(),
		.host = "web1",
		.wall = NOON,
		.boot_offset = NOON - (int64_t)(100 * S),
		.tier = WIRE_TIER_FENTRY,
		.coverage = COVERAGE_ALL,
	};
	assert_non_null(room->rate);
	assert_non_null(room->view.names);
	for (size_t i = 0; i < INTERVALS; i++)
		room_take(room, i);
	room->view.result = rate_result(room->rate, top);
}

/* One more interval, in which things went wrong. */
static void room_spoil(struct room *room)
{
	room->view.rest[TALLY_REST_CLAIMS] = (struct tally_counts){.claims = 17, .failures = 2};
	room->view.rest[TALLY_REST_PLACES] = (struct tally_counts){.claims = 17, .failures = 2};
	room->view.rest[TALLY_REST_ERRORS] = (struct tally_counts){.failures = 1};
	room->view.rest[TALLY_REST_NAMES] = (struct tally_counts){.claims = 4};
	room->view.untracked = 3;
	room->view.skipped = UINT64_MAX;
	room->view.estimated = true;
	room->view.tier = WIRE_TIER_TRACEPOINT;
	room->view.coverage &= ~COVERAGE_BIT(COVERAGE_SCTP);
	room_take(room, INTERVALS);
	room->view.result = rate_result(room->rate, 3);
}

static void room_free(struct room *room)
{
	rate_free(room->rate);
	rate_names_free(room->view.names);
}

/* ---- against files ---- */

static void check(struct room *room, void (*render)(struct buffer *, const struct rate_view *),
		  const char *path)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	render(&out, &room->view);
	assert_false(out.failed);
	fixture_compare(path, &out);
}

static void test_tables(void **state)
{
	CLEANUP(room_free) struct room room;

	(void)state;
	room_make(&room, RATE_PROCESS, 10);
	check(&room, rate_table, FIXTURES "process.table");
	room.view.width = 140;
	room.view.color = true;
	check(&room, rate_table, FIXTURES "process-140-color.table");
	room.view.width = 80;
	room.view.color = false;
	room.view.result = rate_result(room.rate, 2);
	check(&room, rate_table, FIXTURES "process-80.table");
	room_spoil(&room);
	room.view.width = 0;
	check(&room, rate_table, FIXTURES "spoiled.table");
	check(&room, rate_line, FIXTURES "spoiled.line");
	check(&room, rate_json, FIXTURES "spoiled.json");
}

/* The name and what a row is about, by every dimension. */
static void test_dimensions(void **state)
{
	(void)state;
	for (unsigned int by = 0; by < RATE_BYS; by++) {
		CLEANUP(room_free) struct room room;
		char path[80];

		room_make(&room, by, 10);
		room.view.once = true;
		room.view.final = true;
		snprintf(path, sizeof(path), FIXTURES "%s.json", rate_by_name(by));
		check(&room, rate_json, path);
		room.view.width = 120;
		snprintf(path, sizeof(path), FIXTURES "%s-120.table", rate_by_name(by));
		check(&room, rate_table, path);
		snprintf(path, sizeof(path), FIXTURES "%s.line", rate_by_name(by));
		check(&room, rate_line, path);
	}
}

/* ---- the terminal ---- */

/* No line is wider than the terminal, and what is left out is said. */
static void test_widths(void **state)
{
	CLEANUP(room_free) struct room room;

	(void)state;
	room_make(&room, RATE_DESTINATION, 10);
	for (unsigned int width = 1; width < 200; width++) {
		CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;
		const char *line, *end;

		room.view.width = width;
		rate_table(&out, &room.view);
		buffer_byte(&out, '\0');
		assert_false(out.failed);
		for (line = out.data; *line; line = end + 1) {
			end = strchr(line, '\n');
			/* Three numbers and something of a name. */
			if (width >= 30)
				assert_in_range(cell_columns(line, (size_t)(end - line)), 0, width);
		}
		if (width >= 60)
			assert_int_equal(!strstr(out.data, "no room for the columns"),
					 width >= 107);
	}
}

static void test_screen(void **state)
{
	CLEANUP(buffer_free) struct buffer frame = BUFFER_EMPTY, out = BUFFER_EMPTY;

	(void)state;
	buffer_text(&frame, "one\ntwo\nthree\n");
	screen_put(&out, &frame, 0, 4, true);
	buffer_byte(&out, '\0');
	assert_string_equal(out.data, "\n\n\n\n\033[H\033[Kone\r\n\033[Ktwo\r\n\033[Kthree\r\n"
				      "\033[J");
	buffer_reset(&out);
	screen_put(&out, &frame, 0, 2, false); /* no line more than there is room for */
	buffer_byte(&out, '\0');
	assert_string_equal(out.data, "\033[H\033[Kone\r\n\033[J");
	buffer_reset(&out);
	screen_put(&out, &frame, 0, 1, false);
	buffer_byte(&out, '\0');
	assert_string_equal(out.data, "\033[H\033[J");
}

static void test_lines(void **state)
{
	CLEANUP(room_free) struct room room;

	(void)state;
	room_make(&room, RATE_PROCESS, 2);
	room.view.width = 200;
	/* Title, headings, two rows, the others, total, failures. */
	assert_int_equal(rate_table_lines(&room.view), 7);
}

static int setup(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	return !setlocale(LC_ALL, "C.UTF-8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables), cmocka_unit_test(test_dimensions),
		cmocka_unit_test(test_widths), cmocka_unit_test(test_screen),
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
