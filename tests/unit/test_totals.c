/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include "child.h"
#include "stream/totals.h"

static int totals_show(void *context)
{
	totals_print(context);
	return 0;
}

static void line_is(struct totals totals, const char *line)
{
	struct child_result result = child_run(totals_show, &totals, -1);

	assert_string_equal(result.err, line);
	assert_string_equal(result.out, "");
}

/* 1250 records were to be sent: 1240 came, of which 6 describe processes, 4 were
 * held back in the kernel, 6 were lost. */
static const struct totals whole = {
	.delivered = 1200,
	.filtered = 34,
	.received = 1240,
	.lost = 6,
	.ended = true,
	.end = {.seen = 1250, .lost = 6, .filtered = 4},
};

static void test_whole(void **state)
{
	struct totals totals = whole;

	(void)state;
	line_is(totals, "portsnoop: 1244 seen = 1200 delivered + 38 filtered + 6 lost\n");
	totals = (struct totals){.ended = true};
	line_is(totals, "portsnoop: 0 seen = 0 delivered + 0 filtered + 0 lost\n");
	totals = (struct totals){.received = 3, .ended = true, .end = {.seen = 3}};
	line_is(totals, "portsnoop: 0 seen = 0 delivered + 0 filtered + 0 lost\n");
}

/* Without its last record only the gaps tell of loss. */
static void test_without_end(void **state)
{
	struct totals totals = whole;

	(void)state;
	totals.ended = false;
	line_is(totals, "portsnoop: 1240 seen = 1200 delivered + 34 filtered + 6 lost\n");
}

/* The kernel's count of loss is the one that holds. */
static void test_does_not_add_up(void **state)
{
	struct totals totals = whole;

	(void)state;
	totals.lost = 5;
	line_is(totals, "portsnoop: 1244 seen = 1200 delivered + 38 filtered + 6 lost\n");
	totals.received = 1237; /* 3 on their way when --count was reached */
	totals.delivered = 1197;
	line_is(totals, "portsnoop: 1244 seen = 1197 delivered + 38 filtered + 6 lost + 3 "
			"missing\n");
	totals.stopped = true;
	line_is(totals, "portsnoop: 1244 seen = 1197 delivered + 38 filtered + 6 lost + 3 behind "
			"--count\n");
	totals = whole;
	totals.end.seen = 1248;
	line_is(totals, "portsnoop: 1242 seen = 1200 delivered + 38 filtered + 6 lost - 2 that the "
			"kernel did not count\n");
}

static void test_troubles(void **state)
{
	struct totals totals = {.ended = true, .end = {.untracked = 2, .skipped = 3}};

	(void)state;
	line_is(totals, "portsnoop: 0 seen = 0 delivered + 0 filtered + 0 lost\n"
			"portsnoop: 2 calls or sockets went unwatched: a table in the kernel was "
			"full\n"
			"portsnoop: 3 times the kernel left out a hook; what happened then is not "
			"among the seen\n");
	totals.end.untracked = 0;
	totals.end.skipped = UINT64_MAX; /* this kernel does not tell */
	line_is(totals, "portsnoop: 0 seen = 0 delivered + 0 filtered + 0 lost\n");
	totals.ended = false;
	totals.evicted = 7;
	line_is(totals, "portsnoop: 0 seen = 0 delivered + 0 filtered + 0 lost\n"
			"portsnoop: 7 ports in use were forgotten: there were too many, and what "
			"stood in the way of a claim may lack some of them\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_without_end),
		cmocka_unit_test(test_does_not_add_up),
		cmocka_unit_test(test_troubles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
