/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a report is made of: quantiles, tables, the heap of ends, parts of time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/ends.h"
#include "report/identities.h"
#include "report/key.h"
#include "report/keyed.h"
#include "report/sketch.h"
#include "report/timeline.h"

#define SECOND INT64_C(1000000000)
#define HOUR (3600 * SECOND)
#define NOON (INT64_C(1795262400) * SECOND) /* Sat 2026-11-21 12:00:00 UTC */

static uint64_t state = 88172645463325252u;

static uint64_t number(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static int number_compare(const void *one, const void *two)
{
	const uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)two;

	return (a > b) - (a < b);
}

static void about(uint64_t shown, uint64_t truth)
{
	const uint64_t off = shown > truth ? shown - truth : truth - shown;

	if (off > truth / 500)
		fail_msg("%llu is too far from %llu", (unsigned long long)shown,
			 (unsigned long long)truth);
}

static void test_sketch(void **context)
{
	static const unsigned int parts[] = {1, 10, 500, 950, 990, 1000};
	static uint64_t values[10007];
	const size_t count = sizeof(values) / sizeof(*values);
	struct sketch sketch = {0};

	(void)context;
	assert_int_equal(sketch_quantile(&sketch, 500), 0);
	for (size_t i = 0; i < count; i++) {
		values[i] = number() >> (number() % 64);
		assert_int_equal(sketch_add(&sketch, values[i]), 0);
	}
	qsort(values, count, sizeof(*values), number_compare);
	assert_int_equal(sketch.total, count);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		about(sketch_quantile(&sketch, parts[i]),
		      values[(count * parts[i] + 999) / 1000 - 1]);
	for (uint32_t i = 1; i < sketch.used; i++)
		assert_true(sketch.bins[i - 1].number < sketch.bins[i].number);
	sketch_free(&sketch);
	sketch_add(&sketch, UINT64_MAX);
	sketch_add(&sketch, 0);
	assert_int_equal(sketch_quantile(&sketch, 500), 0);
	about(sketch_quantile(&sketch, 501), UINT64_MAX);
	sketch_free(&sketch);
}

struct sum {
	struct keyed_entry base;
	uint64_t count;
};

static int count_compare(const void *one, const void *two)
{
	const struct sum *a = *(struct sum *const *)one, *b = *(struct sum *const *)two;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return keyed_compare(&a->base, &b->base);
}

static void test_keyed(void **context)
{
	struct keyed keyed;
	struct sum *sum;

	(void)context;
	assert_int_equal(keyed_init(&keyed, sizeof(*sum), 100), 0);
	for (uint32_t round = 0; round < 3; round++)
		for (uint32_t i = 0; i < 150; i++) {
			sum = (struct sum *)keyed_find(&keyed, &i, i < 100 ? sizeof(i) : 3);
			assert_non_null(sum);
			sum->count += i;
			/* What came first has a place of its own. */
			assert_int_equal(sum->base.index, i < 100 ? i + 1 : 0);
		}
	assert_int_equal(keyed.count, 101);
	sum = (struct sum *)keyed.entries[0];
	assert_null(sum->base.key);
	assert_int_equal(sum->count, 3 * (100 + 149) * 50 / 2);
	keyed_sort(&keyed, count_compare);
	assert_ptr_equal(keyed.entries[0], sum);
	for (uint32_t i = 1; i < keyed.count; i++) {
		assert_int_equal(((struct sum *)keyed.entries[i])->count, 3 * (100 - i));
		assert_int_equal(keyed.entries[i]->index, i);
	}
	keyed_free(&keyed, NULL);
}

/* A text may hold anything, also what looks like the next one. */
static void test_key(void **context)
{
	const struct history_text texts[] = {
		{NULL, 0}, {"", 0}, {"a\0b", 3}, {"\1\2", 2}, {"x", 1},
	};
	struct history_text longer = {.length = 1000};
	struct buffer key = BUFFER_EMPTY;
	char bytes[1000];
	const char *at;

	(void)context;
	memset(bytes, 'x', sizeof(bytes));
	bytes[999] = 'y';
	longer.data = bytes;
	for (size_t i = 0; i < 5; i++) {
		key_text(&key, &texts[i]);
		key_number(&key, (uint32_t)i - 1);
	}
	key_text(&key, &longer);
	at = key.data;
	for (size_t i = 0; i < 5; i++) {
		struct history_text text = key_take_text(&at);

		assert_int_equal(text.length, texts[i].length);
		assert_int_equal(!text.data, !texts[i].data);
		if (text.length)
			assert_memory_equal(text.data, texts[i].data, text.length);
		assert_int_equal(key_take_number(&at), (uint32_t)i - 1);
	}
	longer = key_take_text(&at);
	assert_int_equal(longer.length, KEY_TEXT);
	assert_int_equal(longer.data[KEY_TEXT - 1], 'y');
	assert_ptr_equal(at, key.data + key.length);
	buffer_free(&key);
}

static void test_ends(void **context)
{
	struct ends ends = {0};
	int64_t last = INT64_MIN;
	size_t moved = 0, out = 0;

	(void)context;
	for (int i = 0; i < 5000; i++) {
		struct end end = {.time = (int64_t)(number() % 1000)};

		end.until = i % 3 ? end.time : end.time + (int64_t)(number() % 1000);
		assert_int_equal(ends_add(&ends, &end), 0);
	}
	while (ends.count) {
		struct end *end = &ends.list[0];

		assert_true(end->time >= last);
		last = end->time;
		if (end->time < end->until) {
			end->time = end->until;
			ends_sink(&ends);
			moved++;
		} else {
			ends_drop(&ends);
			out++;
		}
	}
	assert_int_equal(out, 5000);
	assert_true(moved > 1000);
	ends_free(&ends);
}

static void test_identities(void **context)
{
	struct identities identities = {0};

	(void)context;
	for (int round = 0; round < 2; round++)
		for (uint32_t i = 0; i < 20000; i++) {
			const struct identity identity = {
				.start = i / 7,
				.pid = i % 7,
				.exec = 1,
				.entry = i % 2,
				.some = 1,
			};

			assert_int_equal(identities_add(&identities, &identity), !round);
		}
	identities_free(&identities);
}

static void zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static void timeline_holds(const struct timeline *timeline)
{
	assert_in_range(timeline->count, 1, TIMELINE_MOST);
	assert_true(timeline->origin <= timeline->since);
	assert_true(timeline->since - timeline->origin < timeline->width);
	assert_int_equal(timeline_begin(timeline, 0), timeline->since);
	assert_int_equal(timeline_end(timeline, timeline->count - 1), timeline->until);
	for (unsigned int i = 0; i < timeline->count; i++) {
		const int64_t begin = timeline_begin(timeline, i), end = timeline_end(timeline, i);

		assert_true(begin < end);
		assert_int_equal(timeline_part(timeline, begin), i);
		assert_int_equal(timeline_part(timeline, end - 1), i);
		if (i)
			assert_int_equal(timeline_end(timeline, i - 1), begin);
	}
	/* The last moment belongs to the period. */
	assert_int_equal(timeline_part(timeline, timeline->until), timeline->count - 1);
}

static void test_timeline(void **context)
{
	struct timeline timeline;

	(void)context;
	zone("UTC");
	for (int i = 0; i < 2000; i++) {
		const int64_t since = (int64_t)(number() % (uint64_t)NOON);
		const int64_t length = (int64_t)((number() >> 1) >> (number() % 62));

		if (length < 1 || length > NOON)
			continue;
		timeline_set(&timeline, since, since + length);
		timeline_holds(&timeline);
	}
	timeline_set(&timeline, NOON, NOON + 24 * HOUR);
	assert_int_equal(timeline.width, 300 * SECOND);
	assert_int_equal(timeline.count, 288);
	timeline_set(&timeline, NOON + 1, NOON + 24 * HOUR + 1);
	assert_int_equal(timeline.width, 300 * SECOND);
	/* A day begins at midnight here, not in Greenwich. */
	zone("Asia/Kolkata");
	timeline_set(&timeline, NOON, NOON + 200 * 24 * HOUR);
	assert_int_equal(timeline.width, 24 * HOUR);
	assert_int_equal((timeline.origin + 11 * HOUR / 2) % (24 * HOUR), 0);
	timeline_holds(&timeline);
	zone("UTC");
	timeline_set(&timeline, NOON, NOON + 1);
	timeline_holds(&timeline);
	timeline_set(&timeline, 0, INT64_MAX - 1);
	timeline_holds(&timeline);
}

static void test_series(void **context)
{
	static const uint32_t wanted[] = {0, 0, 7, 5, 5, 9, 1, 1};
	struct series series = {0};

	(void)context;
	series_set(&series, 2, 3);
	series_set(&series, 2, 7);
	series_set(&series, 2, 5);
	series_set(&series, 5, 9);
	series_set(&series, 5, 8);
	series_set(&series, 5, 1);
	series_set(&series, 7, 1);
	assert_memory_equal(series.peaks, wanted, sizeof(wanted));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sketch),	   cmocka_unit_test(test_keyed),
		cmocka_unit_test(test_key),	   cmocka_unit_test(test_ends),
		cmocka_unit_test(test_identities), cmocka_unit_test(test_timeline),
		cmocka_unit_test(test_series),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
