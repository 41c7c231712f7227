/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the bind buckets say, put to the sockets they are about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "model/pool_bucket.h"

static struct holding holding_made(uint16_t protocol, uint16_t port, uint16_t other_port)
{
	return (struct holding){.netns = 5,
				.protocol = protocol,
				.family = 4,
				.local_port = port,
				.other_port = other_port,
				.local = {10, 0, 0, 1},
				.other = {other_port ? 9 : 0}};
}

static struct bucket_record record_made(uint16_t protocol, uint16_t port, uint16_t other_port,
					uint32_t flags)
{
	return (struct bucket_record){.netns = 5,
				      .protocol = protocol,
				      .family = 4,
				      .local_port = port,
				      .other_port = other_port,
				      .flags = flags,
				      .local = {10, 0, 0, 1},
				      .other = {other_port ? 9 : 0}};
}

static void by_socket(void **state)
{
	struct holding list[] = {holding_made(IPPROTO_TCP, 1000, 0),
				 holding_made(IPPROTO_UDP, 1000, 0),
				 holding_made(IPPROTO_TCP, 1001, 0)};
	struct bucket_record records[] = {
		record_made(IPPROTO_TCP, 1000, 0, BUCKET_KNOWN | BUCKET_BIND),
		record_made(IPPROTO_UDP, 1000, 0, 0),
		record_made(IPPROTO_TCP, 1001, 0, BUCKET_KNOWN),
	};
	struct holdings holdings = {.list = list, .count = 3};

	(void)state;
	for (size_t i = 0; i < 3; i++) /* the other way round */
		list[i].socket = records[i].socket = 30 - i;
	records[1].own_low = 7;
	records[1].own_high = 8;
	pool_bucket_join(&holdings, records, 3);
	assert_int_equal(list[0].bucket, HOLDING_BUCKET_BIND);
	assert_int_equal(list[1].bucket, HOLDING_BUCKET_UNKNOWN);
	assert_int_equal(list[1].own_low, 7);
	assert_int_equal(list[1].own_high, 8);
	assert_int_equal(list[0].own_high, 0);
	assert_int_equal(list[2].bucket, HOLDING_BUCKET_CONNECT);
}

static void by_name(void **state)
{
	struct holding list[] = {holding_made(IPPROTO_TCP, 1000, 80),
				 holding_made(IPPROTO_TCP, 1000, 81), holding_made(262, 1000, 82),
				 holding_made(IPPROTO_TCP, 1000, 83)};
	struct bucket_record records[] = {
		record_made(IPPROTO_TCP, 1000, 81, BUCKET_KNOWN | BUCKET_STAMPED | BUCKET_DELAY),
		record_made(IPPROTO_UDP, 1000, 83, 0),
		record_made(IPPROTO_TCP, 1000, 82, BUCKET_KNOWN | BUCKET_BIND | BUCKET_V6ONLY),
	};
	struct holdings holdings = {.list = list, .count = 4};

	(void)state;
	records[0].socket = 1;
	records[0].age = 1234;
	records[1].age = 5;  /* of another protocol */
	list[2].socket = 99; /* the MPTCP socket, not its subflow */
	pool_bucket_join(&holdings, records, 3);
	assert_int_equal(list[0].bucket, HOLDING_BUCKET_UNKNOWN);
	assert_int_equal(list[1].bucket, HOLDING_BUCKET_CONNECT);
	assert_true(list[1].stamped && list[1].delayed);
	assert_int_equal(list[1].age, 1234);
	assert_int_equal(list[2].bucket, HOLDING_BUCKET_BIND);
	assert_int_equal(list[2].flags, WIRE_V6ONLY);
	assert_int_equal(list[3].bucket, HOLDING_BUCKET_UNKNOWN);
	assert_int_equal(list[3].age, 0);
	/* Another namespace has the same names. */
	list[1].bucket = HOLDING_BUCKET_UNKNOWN;
	list[1].netns = 6;
	pool_bucket_join(&holdings, records, 3);
	assert_int_equal(list[1].bucket, HOLDING_BUCKET_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_socket),
		cmocka_unit_test(by_name),
	};

	return cmocka_run_group_tests_name("pool_bucket", tests, NULL, NULL);
}
