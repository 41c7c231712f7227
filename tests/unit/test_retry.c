/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include "sink/retry.h"

#define MS UINT64_C(1000000)

static void test_doubles(void **state)
{
	static const unsigned int wanted[] = {250, 500, 1000, 2000, 4000, 8000, 8100, 8100, 8100};
	struct retry retry = {.least_ms = 250, .most_ms = 8100};
	const uint64_t now = 77 * MS;

	(void)state;
	assert_int_equal(retry_wait(&retry, now), 0);
	for (unsigned int i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		retry_failed(&retry, now);
		assert_int_equal(retry.failures, i + 1);
		assert_true(retry_wait(&retry, now) <= wanted[i] * MS);
		assert_true(retry_wait(&retry, now) >= wanted[i] * MS / 2);
		assert_int_equal(retry_wait(&retry, now + wanted[i] * MS), 0);
	}
	retry_done(&retry);
	assert_int_equal(retry_wait(&retry, now), 0);
	retry_failed(&retry, now);
	assert_true(retry_wait(&retry, now) <= 250 * MS);
}

/* All of the time between the half and the whole is used. */
static void spread_is_wide(unsigned int ms)
{
	uint64_t least = UINT64_MAX, most = 0;

	for (unsigned int i = 0; i < 200; i++) {
		struct retry retry = {.least_ms = ms, .most_ms = ms};

		retry_failed(&retry, 0);
		if (retry.due < least)
			least = retry.due;
		if (retry.due > most)
			most = retry.due;
	}
	assert_true(least < ms * MS * 6 / 10);
	assert_true(most > ms * MS * 9 / 10);
}

/* Not in step with others. */
static void test_chance(void **state)
{
	(void)state;
	spread_is_wide(250);
	spread_is_wide(1000);
	spread_is_wide(30000);
	spread_is_wide(3600000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
