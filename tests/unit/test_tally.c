/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "model/tally.h"

static void reading_of_nothing(void **state)
{
	struct tally_reading reading = {0};
	const struct tally_key key = {.pid = 1};

	(void)state;
	tally_reading_sort(&reading);
	assert_null(tally_row_find(&reading, &key));
	assert_null(tally_process_find(&reading, 0, 0));
	assert_null(tally_cgroup_find(&reading, 0));
	assert_null(tally_comm(&reading, 1, 1));
	assert_null(tally_cgroup(&reading, 1));
	tally_reading_free(&reading);
}

/* One process number in two lives, and a cgroup without a path. */
static void reading_is_found_in(void **state)
{
	struct tally_reading reading = {
		.rows = calloc(3, sizeof(*reading.rows)),
		.row_count = 3,
		.processes = calloc(3, sizeof(*reading.processes)),
		.process_count = 3,
		.cgroups = calloc(2, sizeof(*reading.cgroups)),
		.cgroup_count = 2,
	};

	(void)state;
	assert_true(reading.rows && reading.processes && reading.cgroups);
	for (uint32_t i = 0; i < 3; i++) {
		reading.rows[i].key = (struct tally_key){.pid = 7, .start = 30 - i, .class = 6};
		reading.rows[i].counts.claims = i;
		reading.processes[i] = (struct tally_process_row){
			.pid = i == 1 ? 7 : 8 - i, .start = i, .comm = {(char)('a' + i)}};
	}
	reading.cgroups[0] = (struct tally_cgroup_row){.id = 9, .path = strdup("/a/b")};
	reading.cgroups[1] = (struct tally_cgroup_row){.id = 2};
	tally_reading_sort(&reading);

	assert_string_equal(tally_comm(&reading, 0, 8), "a");
	assert_string_equal(tally_comm(&reading, 1, 7), "b");
	assert_string_equal(tally_comm(&reading, 2, 6), "c");
	assert_null(tally_comm(&reading, 2, 7)); /* another life */
	assert_string_equal(tally_cgroup(&reading, 9), "/a/b");
	assert_null(tally_cgroup(&reading, 2));
	assert_non_null(tally_cgroup_find(&reading, 2));
	assert_null(tally_cgroup_find(&reading, 3));
	for (uint32_t i = 0; i < 3; i++) {
		const struct tally_key key = {.pid = 7, .start = 30 - i, .class = 6};
		const struct tally_key other = {.pid = 7, .start = 30 - i, .class = 7};

		assert_int_equal(tally_row_find(&reading, &key)->counts.claims, i);
		assert_null(tally_row_find(&reading, &other));
	}
	tally_reading_free(&reading);
	assert_null(reading.rows);
	assert_int_equal(reading.row_count, 0);
}

static void counts_add_up(void **state)
{
	const struct tally_counts a = {1, 2, 3, 4, 5, 6, 7, 0}, b = {10, 20, 30, 40, 50, 60, 70, 0};
	struct tally_counts sum = a;

	(void)state;
	tally_add(&sum, &b);
	assert_memory_equal(&sum, &((struct tally_counts){11, 22, 33, 44, 55, 66, 77, 0}),
			    sizeof(sum));
	tally_subtract(&sum, &a);
	assert_memory_equal(&sum, &b, sizeof(sum));
}

static void held_until_the_end_of_time_wait(void **state)
{
	(void)state;
	assert_int_equal(tally_held(&(struct tally_counts){.claims = 5}), 5);
	assert_int_equal(tally_held(&(struct tally_counts){.claims = 5, .closed = 2}), 3);
	assert_int_equal(
		tally_held(&(struct tally_counts){.claims = 5, .closed = 4, .time_waits = 3}), 4);
	assert_int_equal(tally_held(&(struct tally_counts){
				 .claims = 5, .closed = 5, .time_waits = 3, .time_waits_over = 3}),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reading_of_nothing),
		cmocka_unit_test(reading_is_found_in),
		cmocka_unit_test(counts_add_up),
		cmocka_unit_test(held_until_the_end_of_time_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
