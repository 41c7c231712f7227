/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "model/tally_end.h"

#define SECOND 1000000000ULL
#define ENDED 666 /* the one process that has */
#define ALIVE 777

/* How many rows of each map were taken out. */
static unsigned int removed[TALLY_MAPS];
static bool refuses;

static bool world_ended(void *context, uint32_t pid)
{
	(void)context;
	return pid == ENDED;
}

static bool world_remove(void *context, enum tally_map map, const void *key)
{
	(void)context;
	(void)key;
	if (refuses)
		return false;
	removed[map]++;
	return true;
}

static struct tally_ends *ends_new(size_t room, bool sees_processes)
{
	struct tally_world world = {
		.sees_processes = sees_processes, .ended = world_ended, .remove = world_remove};

	for (size_t i = 0; i < TALLY_MAPS; i++) {
		world.room[i] = room;
		removed[i] = 0;
	}
	refuses = false;
	return tally_ends_new(&world);
}

/* One row of each kind, of one process in one cgroup. */
struct view {
	struct tally_row row;
	struct tally_place_row place;
	struct tally_error_row error;
	struct tally_process_row process;
	struct tally_cgroup_row cgroup;
	struct tally_reading reading;
};

static struct tally_reading *view_at(struct view *view, uint32_t pid, uint64_t time,
				     const struct tally_counts *counts)
{
	const struct tally_key key = {.pid = pid, .start = 5, .cgroup = 9, .class = 6};

	*view = (struct view){
		.row = {.key = key, .counts = *counts},
		.place = {.place = {.netns = 1}, .counts = *counts},
		.error = {.error = {.key = key, .error = 98}, .count = 1},
		.process = {.pid = pid, .start = 5},
		.cgroup = {.id = 9},
		.reading = {.time = time,
			    .rows = &view->row,
			    .row_count = 1,
			    .places = &view->place,
			    .place_count = 1,
			    .errors = &view->error,
			    .error_count = 1,
			    .processes = &view->process,
			    .process_count = 1,
			    .cgroups = &view->cgroup,
			    .cgroup_count = 1},
	};
	return &view->reading;
}

/* The names alone. */
static struct tally_reading *view_without_rows(struct view *view, uint32_t pid, uint64_t time)
{
	struct tally_reading *reading = view_at(view, pid, time, &(struct tally_counts){0});

	reading->row_count = reading->place_count = reading->error_count = 0;
	return reading;
}

static void assert_removed(unsigned int claims, unsigned int places, unsigned int errors,
			   unsigned int names)
{
	assert_int_equal(removed[TALLY_MAP_CLAIMS], claims);
	assert_int_equal(removed[TALLY_MAP_PLACES], places);
	assert_int_equal(removed[TALLY_MAP_ERRORS], errors);
	assert_int_equal(removed[TALLY_MAP_NAMES], names);
}

static void ended_process_goes_at_its_second_reading(void **state)
{
	struct tally_ends *ends = ends_new(100, true);
	const struct tally_counts even = {.claims = 3, .closed = 3};
	struct view view;

	(void)state;
	tally_ends_find(ends, view_at(&view, ENDED, 1 * SECOND, &even));
	assert_false(view.row.last || view.error.last || view.place.last);
	assert_removed(0, 0, 0, 0);
	tally_ends_find(ends, view_at(&view, ENDED, 2 * SECOND, &even));
	assert_true(view.row.last && view.error.last);
	assert_false(view.place.last);
	assert_removed(1, 0, 1, 0);
	tally_ends_find(ends, view_without_rows(&view, ENDED, 3 * SECOND));
	assert_removed(1, 0, 1, 1);
	tally_ends_free(ends);
}

/* It claimed something and ended while the names were read, behind the rows. */
static void name_waits_for_its_row(void **state)
{
	struct tally_ends *ends = ends_new(100, true);
	const struct tally_counts even = {.claims = 3, .closed = 3};
	struct view view;

	(void)state;
	tally_ends_find(ends, view_without_rows(&view, ENDED, 1 * SECOND));
	assert_removed(0, 0, 0, 0);
	tally_ends_find(ends, view_at(&view, ENDED, 2 * SECOND, &even));
	assert_removed(0, 0, 0, 0);
	tally_ends_free(ends);
}

static void living_process_stays(void **state)
{
	struct tally_ends *ends = ends_new(1, true);
	const struct tally_counts even = {.claims = 3, .closed = 3};
	struct view view;

	(void)state;
	for (uint64_t i = 1; i < 200; i++)
		tally_ends_find(ends, view_at(&view, ALIVE, i * SECOND, &even));
	assert_false(view.row.last || view.error.last);
	assert_int_equal(removed[TALLY_MAP_CLAIMS] + removed[TALLY_MAP_NAMES], 0);
	tally_ends_free(ends);
}

static void what_is_open_stays(void **state)
{
	static const struct tally_counts open[] = {
		{.claims = 3, .closed = 2},
		{.claims = 3, .closed = 3, .time_waits = 2, .time_waits_over = 1},
	};
	struct view view;

	(void)state;
	for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++) {
		struct tally_ends *ends = ends_new(1, true);

		for (uint64_t now = 1; now < 200; now++)
			tally_ends_find(ends, view_at(&view, ENDED, now * SECOND, &open[i]));
		assert_false(view.row.last || view.error.last || view.place.last);
		assert_removed(0, 0, 0, 0);
		tally_ends_free(ends);
	}
}

/* Counted in between two readings: the next one has to find it the same. */
static void change_begins_anew(void **state)
{
	struct tally_ends *ends = ends_new(100, true);
	struct tally_counts counts = {.claims = 3, .closed = 3};
	struct view view;

	(void)state;
	for (uint64_t i = 1; i < 10; i++) {
		counts.connect_failures++;
		tally_ends_find(ends, view_at(&view, ENDED, i * SECOND, &counts));
		assert_false(view.row.last);
	}
	assert_removed(0, 0, 0, 0);
	tally_ends_find(ends, view_at(&view, ENDED, 10 * SECOND, &counts));
	assert_true(view.row.last && view.error.last);
	tally_ends_free(ends);
}

/* A row that went and came back is a new one. */
static void absence_is_forgotten(void **state)
{
	struct tally_ends *ends = ends_new(100, true);
	const struct tally_counts even = {.claims = 3, .closed = 3};
	struct tally_reading nothing = {.time = 2 * SECOND};
	struct view view;

	(void)state;
	tally_ends_find(ends, view_at(&view, ENDED, 1 * SECOND, &even));
	tally_ends_find(ends, &nothing);
	tally_ends_find(ends, view_at(&view, ENDED, 3 * SECOND, &even));
	assert_false(view.row.last);
	tally_ends_free(ends);
}

/* Where the end of TIME_WAIT is not seen, a minute stands for it. */
static void estimated_time_wait_takes_a_minute(void **state)
{
	struct tally_ends *ends = ends_new(100, true);
	const struct tally_counts counts = {.claims = 3, .closed = 3, .time_waits = 1};
	struct view view;

	(void)state;
	for (uint64_t i = 1; i <= 62; i++) {
		struct tally_reading *reading = view_at(&view, ENDED, i * SECOND, &counts);

		reading->estimated = true;
		tally_ends_find(ends, reading);
		assert_false(view.row.last);
	}
	tally_ends_find(ends, view_at(&view, ENDED, 62 * SECOND, &counts));
	assert_false(view.row.last); /* not estimated: it has not ended */
	for (uint64_t i = 63; i <= 126; i++) {
		struct tally_reading *reading = view_at(&view, ENDED, i * SECOND, &counts);

		reading->estimated = true;
		tally_ends_find(ends, reading);
	}
	assert_true(view.row.last);
	tally_ends_free(ends);
}

static void place_goes_when_places_are_short(void **state)
{
	const struct tally_counts even = {.claims = 3, .closed = 3};
	struct view view;

	(void)state;
	for (size_t room = 1; room <= 2; room++) {
		struct tally_ends *ends = ends_new(room, true);

		for (uint64_t i = 1; i <= 62; i++)
			tally_ends_find(ends, view_at(&view, ALIVE, i * SECOND, &even));
		assert_false(view.place.last);
		tally_ends_find(ends, view_at(&view, ALIVE, 63 * SECOND, &even));
		assert_int_equal(view.place.last, room == 1);
		assert_int_equal(removed[TALLY_MAP_PLACES], room == 1);
		tally_ends_free(ends);
	}
}

/* In a pid namespace: nobody can be asked, so time alone counts, and only in need. */
static void unseen_processes_go_when_rows_are_short(void **state)
{
	const struct tally_counts even = {.claims = 3, .closed = 3};
	struct view view;

	(void)state;
	for (size_t room = 1; room <= 2; room++) {
		struct tally_ends *ends = ends_new(room, false);

		for (uint64_t i = 1; i <= 62; i++)
			tally_ends_find(ends, view_at(&view, ENDED, i * SECOND, &even));
		assert_false(view.row.last || view.error.last);
		tally_ends_find(ends, view_at(&view, ENDED, 63 * SECOND, &even));
		assert_int_equal(view.row.last, room == 1);
		assert_int_equal(view.error.last, room == 1);
		tally_ends_free(ends);
	}
}

/* An error stays as long as its key is counted, and a name as long as either is. */
static void names_and_errors_follow_their_rows(void **state)
{
	struct tally_ends *ends = ends_new(100, true);
	struct tally_counts counts = {.claims = 3, .closed = 2};
	struct view view;

	(void)state;
	for (uint64_t i = 1; i <= 3; i++)
		tally_ends_find(ends, view_at(&view, ENDED, i * SECOND, &counts));
	assert_removed(0, 0, 0, 0);
	view_at(&view, ENDED, 4 * SECOND, &counts)->row_count = 0;
	tally_ends_find(ends, &view.reading);
	assert_true(view.error.last);
	assert_removed(0, 0, 1, 0);
	tally_ends_find(ends, view_without_rows(&view, ENDED, 5 * SECOND));
	assert_removed(0, 0, 1, 1);
	tally_ends_free(ends);
}

static void path_goes_when_paths_are_short(void **state)
{
	struct tally_ends *ends = ends_new(1, true);
	const struct tally_counts open = {.claims = 1};
	struct view view;

	(void)state;
	for (uint64_t i = 1; i <= 70; i++)
		tally_ends_find(ends, view_at(&view, ALIVE, i * SECOND, &open));
	assert_int_equal(removed[TALLY_MAP_CGROUPS], 0); /* a row has it */
	for (uint64_t i = 71; i <= 133; i++) {
		tally_ends_find(ends, view_without_rows(&view, ALIVE, i * SECOND));
		assert_int_equal(removed[TALLY_MAP_CGROUPS], i == 133);
	}
	tally_ends_free(ends);
}

static void what_cannot_be_taken_out_stays(void **state)
{
	struct tally_ends *ends = ends_new(100, true);
	const struct tally_counts even = {.claims = 3, .closed = 3};
	struct view view;

	(void)state;
	refuses = true;
	for (uint64_t i = 1; i <= 5; i++)
		tally_ends_find(ends, view_at(&view, ENDED, i * SECOND, &even));
	assert_false(view.row.last || view.error.last);
	tally_ends_free(ends);
	tally_ends_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ended_process_goes_at_its_second_reading),
		cmocka_unit_test(name_waits_for_its_row),
		cmocka_unit_test(living_process_stays),
		cmocka_unit_test(what_is_open_stays),
		cmocka_unit_test(change_begins_anew),
		cmocka_unit_test(absence_is_forgotten),
		cmocka_unit_test(estimated_time_wait_takes_a_minute),
		cmocka_unit_test(place_goes_when_places_are_short),
		cmocka_unit_test(unseen_processes_go_when_rows_are_short),
		cmocka_unit_test(names_and_errors_follow_their_rows),
		cmocka_unit_test(path_goes_when_paths_are_short),
		cmocka_unit_test(what_cannot_be_taken_out_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
