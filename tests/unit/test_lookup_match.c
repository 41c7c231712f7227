/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "probe/lookup_match.h"

static uint8_t address_read(const char *text, uint8_t address[16])
{
	memset(address, 0, 16);
	if (strchr(text, ':')) {
		assert_int_equal(inet_pton(AF_INET6, text, address), 1);
		return 6;
	}
	assert_int_equal(inet_pton(AF_INET, text, address), 1);
	return 4;
}

static bool reaches(const char *asked, const char *local, uint32_t flags)
{
	struct lookup_query query = {.has_address = asked != NULL};
	struct holding holding = {.flags = flags};

	if (asked)
		query.family = address_read(asked, query.address);
	holding.family = address_read(local, holding.local);
	return match_address(&query, &holding);
}

static void test_address(void **state)
{
	(void)state;
	assert_true(reaches(NULL, "10.0.0.1", 0));
	assert_true(reaches("10.0.0.1", "10.0.0.1", 0));
	assert_true(reaches("10.0.0.1", "0.0.0.0", 0));
	assert_true(reaches("10.0.0.1", "::", 0));
	assert_true(reaches("10.0.0.1", "::ffff:10.0.0.1", 0));
	assert_true(reaches("10.0.0.1", "::ffff:0.0.0.0", 0));
	assert_true(reaches("::ffff:10.0.0.1", "10.0.0.1", 0));
	assert_true(reaches("::ffff:10.0.0.1", "0.0.0.0", 0));
	assert_true(reaches("::1", "::1", 0));
	assert_true(reaches("::1", "::", WIRE_V6ONLY));

	assert_false(reaches("10.0.0.1", "10.0.0.2", 0));
	assert_false(reaches("10.0.0.1", "::", WIRE_V6ONLY));
	assert_false(reaches("10.0.0.1", "::ffff:10.0.0.2", 0));
	assert_false(reaches("10.0.0.1", "::10.0.0.1", 0));
	assert_false(reaches("::1", "::2", 0));
	assert_false(reaches("::1", "0.0.0.0", 0));
	assert_false(reaches("::", "10.0.0.1", 0));
}

static void test_names(void **state)
{
	static const struct holding base = {.netns = 2,
					    .local_port = 2,
					    .other_port = 2,
					    .family = 4,
					    .local = {2},
					    .other = {2}};
	struct holding higher[6];

	(void)state;
	for (size_t i = 0; i < 6; i++)
		higher[i] = base;
	higher[0].netns++;
	higher[1].local_port++;
	higher[2].other_port++;
	higher[3].family = 6;
	higher[4].local[0]++;
	higher[5].other[0]++;
	assert_int_equal(match_names(&base, &base), 0);
	for (size_t i = 0; i < 6; i++) {
		assert_true(match_names(&base, &higher[i]) < 0);
		assert_true(match_names(&higher[i], &base) > 0);
	}
}

/* Two sockets: one that two processes have, the second of them three times and with a
 * number that another process had before it. */
static const struct listing_record records[] = {
	{.inode = 9, .pid = 300, .start = 5, .fd = 3, .local_port = 80, .comm = "sixteen letters!"},
	{.inode = 7, .pid = 400, .start = 9, .fd = 30, .local_port = 80, .other_port = 80},
	{.inode = 7, .pid = 20, .start = 1, .fd = 4, .uid = 1000, .owner = 33, .local_port = 80},
	{.inode = 7, .pid = 400, .start = 9, .fd = 5, .local_port = 80},
	{.inode = 7, .pid = 400, .start = 8, .fd = 6, .local_port = 80},
	{.inode = 7, .pid = 400, .start = 9, .fd = 10, .local_port = 80},
};

#define COUNT (sizeof(records) / sizeof(records[0]))

static void test_holders(void **state)
{
	const struct listing_record **sorted = match_sort(records, COUNT);
	struct holding holding;

	(void)state;
	assert_non_null(sorted);
	assert_int_equal(match_same(sorted, COUNT), 5);
	assert_int_equal(match_same(sorted + 5, 1), 1);

	assert_int_equal(match_holding(&holding, sorted, 5), 0);
	assert_int_equal(holding.inode, 7);
	assert_int_equal(holding.uid, 33);
	assert_int_equal(holding.holder_count, 3);
	assert_int_equal(holding.holders[0].pid, 20);
	assert_int_equal(holding.holders[0].uid, 1000);
	assert_int_equal(holding.holders[1].pid, 400);
	assert_int_equal(holding.holders[1].start, 8);
	assert_int_equal(holding.holders[1].fds, 1);
	assert_int_equal(holding.holders[2].start, 9);
	assert_int_equal(holding.holders[2].fd, 5);
	assert_int_equal(holding.holders[2].fds, 3);
	holding_free(&holding);

	assert_int_equal(match_holding(&holding, sorted + 5, 1), 0);
	assert_int_equal(holding.holder_count, 1);
	assert_string_equal(holding.holders[0].comm, "sixteen letters!");
	holding_free(&holding);
	free(sorted);

	sorted = match_sort(NULL, 0);
	assert_non_null(sorted);
	free(sorted);
}

static void test_self(void **state)
{
	struct listing_record record = {.inode = 1, .local_port = 80, .other_port = 80};
	const struct listing_record *pointer = &record;
	struct holding holding;

	(void)state;
	record.local[0] = record.other[0] = 127;
	assert_int_equal(match_holding(&holding, &pointer, 1), 0);
	assert_int_equal(holding.flags, WIRE_SELF_CONNECT);
	holding_free(&holding);
	record.other_port = 81; /* a connection within this machine */
	assert_int_equal(match_holding(&holding, &pointer, 1), 0);
	assert_int_equal(holding.flags, 0);
	holding_free(&holding);
	record.other_port = 80;
	record.other[1] = 1;
	assert_int_equal(match_holding(&holding, &pointer, 1), 0);
	assert_int_equal(holding.flags, 0);
	holding_free(&holding);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_holders),
		cmocka_unit_test(test_self),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
