/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "probe/backlog.h"

#define LIMIT 4096

static bool readable(const struct backlog *backlog)
{
	struct pollfd wait = {.fd = backlog_fd(backlog), .events = POLLIN};

	return poll(&wait, 1, 0) == 1;
}

static void put(struct backlog *backlog, uint64_t number)
{
	uint64_t record[4] = {number, number, number, number};

	backlog_begin(backlog);
	assert_int_equal(backlog_append(backlog, record, sizeof(record)), 0);
	backlog_end(backlog);
}

static uint64_t take(struct backlog *backlog)
{
	size_t size;
	const uint64_t *record = backlog_next(backlog, &size);

	if (!record)
		return 0;
	assert_int_equal(size, 32);
	assert_int_equal((uintptr_t)record % 8, 0);
	assert_int_equal(record[0], record[3]);
	return record[0];
}

static void test_order(void **state)
{
	struct backlog *backlog = backlog_new(LIMIT);
	int error;

	(void)state;
	assert_false(readable(backlog));
	assert_int_equal(take(backlog), 0);
	put(backlog, 1);
	put(backlog, 2);
	assert_true(readable(backlog));
	assert_int_equal(take(backlog), 1);
	assert_false(readable(backlog));
	put(backlog, 3);
	assert_true(readable(backlog));
	assert_int_equal(take(backlog), 2);
	assert_int_equal(take(backlog), 3);
	assert_int_equal(take(backlog), 0);
	assert_false(readable(backlog));
	assert_false(backlog_over(backlog, &error));
	put(backlog, 4);
	backlog_close(backlog, -EIO);
	assert_true(readable(backlog));
	assert_false(backlog_over(backlog, &error));
	assert_int_equal(take(backlog), 4);
	assert_true(backlog_over(backlog, &error));
	assert_int_equal(error, -EIO);
	assert_true(readable(backlog));
	backlog_free(backlog);
}

/* Sizes of all kinds, also ones that no block has room for. */
static void test_sizes(void **state)
{
	struct backlog *backlog = backlog_new(SIZE_MAX);
	size_t sizes[] = {24, 152, 3704, 262144, 24, 1000000, 262120, 31, 24};
	size_t count = sizeof(sizes) / sizeof(*sizes), size;
	char *bytes = malloc(1000000);

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < count; i++) {
			memset(bytes, 'a' + (int)i, sizes[i]);
			backlog_begin(backlog);
			assert_int_equal(backlog_append(backlog, bytes, sizes[i]), 0);
			backlog_end(backlog);
		}
		for (size_t i = 0; i < count; i++) {
			const char *record = backlog_next(backlog, &size);

			assert_non_null(record);
			assert_int_equal(size, sizes[i]);
			assert_int_equal(record[0], 'a' + (int)i);
			assert_int_equal(record[size - 1], 'a' + (int)i);
		}
		assert_null(backlog_next(backlog, &size));
	}
	free(bytes);
	backlog_free(backlog);
}

static void test_full(void **state)
{
	struct backlog *backlog = backlog_new(LIMIT);
	unsigned int count = 0;

	(void)state;
	while (!backlog_full(backlog))
		put(backlog, ++count);
	assert_in_range(count, 1, LIMIT / 32);
	assert_int_equal(take(backlog), 1);
	assert_false(backlog_full(backlog)); /* all of it was handed over */
	backlog_await_room(backlog);
	while (!backlog_full(backlog))
		put(backlog, ++count);
	backlog_hurry(backlog);
	assert_false(backlog_full(backlog));
	backlog_await_room(backlog);
	backlog_free(backlog);
}

#define RECORDS 200000

static void *writer_run(void *context)
{
	struct backlog *backlog = context;
	uint64_t number = 0;

	while (number < RECORDS) {
		backlog_begin(backlog);
		for (int i = 0; i < 100 && number < RECORDS && !backlog_full(backlog); i++) {
			uint64_t record[4] = {number + 1, 0, 0, number + 1};

			if (backlog_append(backlog, record, sizeof(record)))
				abort();
			number++;
		}
		backlog_end(backlog);
		backlog_await_room(backlog);
	}
	backlog_close(backlog, 0);
	return NULL;
}

/* Two threads and a narrow backlog: everything comes, once and in order. */
static void test_threads(void **state)
{
	struct backlog *backlog = backlog_new(LIMIT);
	struct pollfd wait = {.fd = backlog_fd(backlog), .events = POLLIN};
	uint64_t expected = 1, number;
	pthread_t writer;
	int error;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, writer_run, backlog), 0);
	while (!backlog_over(backlog, &error)) {
		poll(&wait, 1, -1);
		while ((number = take(backlog)))
			assert_int_equal(number, expected++);
	}
	assert_int_equal(error, 0);
	assert_int_equal(expected, RECORDS + 1);
	pthread_join(writer, NULL);
	backlog_free(backlog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
