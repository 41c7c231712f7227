/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model/holding.h"

/* In the order that is wanted; the inode tells which is which. */
static const struct holding ordered[] = {
	{.inode = 0,
	 .netns = 1,
	 .protocol = IPPROTO_TCP,
	 .local_port = 80,
	 .state = HOLDING_LISTEN},
	{.inode = 1,
	 .netns = 1,
	 .protocol = IPPROTO_TCP,
	 .local_port = 80,
	 .state = HOLDING_LISTEN,
	 .local = {10}},
	{.inode = 2,
	 .netns = 1,
	 .protocol = IPPROTO_TCP,
	 .local_port = 80,
	 .state = HOLDING_ESTABLISHED,
	 .other = {10, 0, 0, 1},
	 .other_port = 9},
	{.inode = 3,
	 .netns = 1,
	 .protocol = IPPROTO_TCP,
	 .local_port = 80,
	 .state = HOLDING_TIME_WAIT,
	 .other = {10, 0, 0, 2},
	 .other_port = 7},
	{.inode = 4,
	 .netns = 1,
	 .protocol = IPPROTO_TCP,
	 .local_port = 80,
	 .state = HOLDING_ESTABLISHED,
	 .other = {10, 0, 0, 2},
	 .other_port = 8},
	{.inode = 5,
	 .netns = 1,
	 .protocol = IPPROTO_TCP,
	 .local_port = 256,
	 .state = HOLDING_CLOSE},
	{.inode = 6, .netns = 1, .protocol = IPPROTO_UDP, .local_port = 53, .state = HOLDING_CLOSE},
	{.inode = 7,
	 .netns = 2,
	 .protocol = IPPROTO_TCP,
	 .local_port = 22,
	 .state = HOLDING_LISTEN},
	{.inode = 8, .netns = 4026531840, .protocol = IPPROTO_TCP, .local_port = 22},
};

#define COUNT (sizeof(ordered) / sizeof(ordered[0]))

static void test_sort(void **state)
{
	struct holding list[COUNT];
	struct holdings holdings = {.list = list, .count = COUNT};
	unsigned int seed = 1;

	(void)state;
	for (int round = 0; round < 200; round++) {
		memcpy(list, ordered, sizeof(list));
		for (size_t i = COUNT; i-- > 1;) {
			struct holding swap = list[i];
			size_t other = (seed = seed * 1103515245 + 12345) / 65536 % (i + 1);

			list[i] = list[other];
			list[other] = swap;
		}
		holding_sort(&holdings);
		for (size_t i = 0; i < COUNT; i++)
			assert_int_equal(list[i].inode, i);
	}
	holdings = (struct holdings){0};
	holding_sort(&holdings);
}

static void test_sort_holders(void **state)
{
	struct holder holders[] = {{.pid = 300}, {.pid = 20, .start = 2}, {.pid = 20, .start = 1}};
	struct holding holding = {.holders = holders, .holder_count = 3};
	struct holdings holdings = {.list = &holding, .count = 1};

	(void)state;
	holding_sort(&holdings);
	assert_int_equal(holders[0].pid, 20);
	assert_int_equal(holders[0].start, 1);
	assert_int_equal(holders[1].start, 2);
	assert_int_equal(holders[2].pid, 300);
}

/* The sanitizer tells what is not freed, or freed twice. */
static void test_release(void **state)
{
	struct holdings holdings = {.count = 2, .blind = {"something"}};

	(void)state;
	holdings.list = calloc(2, sizeof(*holdings.list));
	assert_non_null(holdings.list);
	holdings.list[1].holders = calloc(2, sizeof(struct holder));
	assert_non_null(holdings.list[1].holders);
	holdings.list[1].holder_count = 2;
	holdings.list[1].holders[0].user = strdup("user");
	holdings.list[1].holders[0].exe = strdup("exe");
	holdings.list[1].holders[1].args = strdup("args");
	holdings.list[1].holders[1].cgroup = strdup("cgroup");
	holdings_free(&holdings);
	assert_null(holdings.list);
	assert_int_equal(holdings.count, 0);
	assert_null(holdings.blind[0]);
	holdings_free(&holdings);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(holding_state_name(HOLDING_ESTABLISHED), "established");
	assert_string_equal(holding_state_name(HOLDING_LISTEN), "listen");
	assert_string_equal(holding_state_name(HOLDING_TIME_WAIT), "time_wait");
	assert_string_equal(holding_state_name(HOLDING_CLOSE), "bound");
	assert_string_equal(holding_state_name(HOLDING_NEW_SYN_RECV), "syn_recv");
	for (unsigned int i = HOLDING_ESTABLISHED; i <= HOLDING_NEW_SYN_RECV; i++)
		assert_string_not_equal(holding_state_name((uint8_t)i), "unknown");
	assert_string_equal(holding_state_name(0), "unknown");
	assert_string_equal(holding_state_name(13), "unknown");
	assert_string_equal(holding_state_name(255), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sort),
		cmocka_unit_test(test_sort_holders),
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
