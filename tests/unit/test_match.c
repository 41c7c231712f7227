/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which lease is that of a socket that the kernel lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <string.h>

#include "service/match.h"

#define NETNS 5
#define START 70000000000u

static struct service_lease lease(uint16_t port, uint8_t state, uint32_t pid)
{
	return (struct service_lease){
		.lease = {.netns = NETNS,
			  .protocol = 6,
			  .local_port = port,
			  .family = 4,
			  .state = state,
			  .claimed = 1000u + pid,
			  .claimant = {.key = {.pid = pid, .start = START + pid, .exec = 1}}},
	};
}

static struct holding holding(uint16_t port, uint8_t state)
{
	return (struct holding){
		.netns = NETNS, .protocol = 6, .local_port = port, .family = 4, .state = state};
}

/* The number of the claimant that is found; 0: none. */
static uint32_t found(struct service_lease *leases, size_t count, const struct holding *one,
		      bool share)
{
	struct service_answer answer = {.leases = leases, .count = count};
	struct service_found match = service_match(&answer, one);

	assert_int_equal(match.share, share);
	assert_int_equal(!match.lease, !match.last);
	return match.lease ? match.lease->lease.claimant.key.pid : 0;
}

static void test_same_socket(void **state)
{
	struct service_lease leases[] = {lease(79, LEASE_LISTEN, 1), lease(80, LEASE_LISTEN, 2),
					 lease(81, LEASE_LISTEN, 3)};
	struct holding one = holding(80, HOLDING_LISTEN);

	(void)state;
	assert_int_equal(found(leases, 3, &one, false), 2);
	assert_int_equal(found(leases, 1, &one, false), 0);
	assert_int_equal(found(NULL, 0, &one, false), 0);
	one.protocol = 262;
	assert_int_equal(found(leases, 3, &one, false), 2);
	one.protocol = 17;
	assert_int_equal(found(leases, 3, &one, false), 0);
	one.protocol = 6;
	one.netns++;
	assert_int_equal(found(leases, 3, &one, false), 0);
	one.netns--;
	one.local[0] = 127;
	assert_int_equal(found(leases, 3, &one, false), 0);
	memset(one.local, 0, 16);
	one.family = 6;
	assert_int_equal(found(leases, 3, &one, false), 0);
}

/* One port, two peers; and IPv4 in IPv6. */
static void test_peers(void **state)
{
	struct service_lease leases[] = {lease(4000, LEASE_ESTABLISHED, 1),
					 lease(4000, LEASE_ESTABLISHED, 2)};
	struct holding one = holding(4000, HOLDING_ESTABLISHED);

	(void)state;
	leases[0].lease.other_port = leases[1].lease.other_port = one.other_port = 443;
	memcpy(leases[0].lease.other, "\x0a\0\0\x01", 4);
	leases[1].lease.family = 6;
	memcpy(leases[1].lease.local, "\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0", 16);
	memcpy(leases[1].lease.other, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x02", 16);
	memcpy(one.other, "\x0a\0\0\x01", 4);
	assert_int_equal(found(leases, 2, &one, false), 1);
	memcpy(one.other, "\x0a\0\0\x02", 4);
	assert_int_equal(found(leases, 2, &one, false), 2);
	memcpy(one.other, "\x0a\0\0\x03", 4);
	assert_int_equal(found(leases, 2, &one, false), 0);
	memcpy(one.other, "\x0a\0\0\x01", 4);
	one.other_port++;
	assert_int_equal(found(leases, 2, &one, false), 0);
}

static void test_time_wait(void **state)
{
	struct service_lease leases[] = {lease(80, LEASE_TIME_WAIT, 1), lease(80, LEASE_BOUND, 2)};
	struct holding one = holding(80, HOLDING_TIME_WAIT);

	(void)state;
	assert_int_equal(found(leases, 2, &one, false), 1);
	one.state = HOLDING_CLOSE;
	assert_int_equal(found(leases, 2, &one, false), 2);
}

/* SO_REUSEPORT: all look the same, but not who has them. */
static void test_reuseport(void **state)
{
	struct service_lease leases[] = {lease(80, LEASE_LISTEN, 1), lease(80, LEASE_LISTEN, 2),
					 lease(80, LEASE_LISTEN, 2)};
	struct holder holders[] = {{.pid = 2, .start = START + 2}, {.pid = 9}};
	struct holding one = holding(80, HOLDING_LISTEN);

	(void)state;
	assert_int_equal(found(leases, 3, &one, false), 0);
	one.holders = holders;
	one.holder_count = 2;
	assert_int_equal(found(leases, 3, &one, false), 2);
	/* From /proc, in ticks; and the same number, but another process. */
	holders[0].start = START;
	assert_int_equal(found(leases, 3, &one, false), 2);
	holders[0].start = START + 20000000;
	assert_int_equal(found(leases, 3, &one, false), 0);
	holders[0].start = START + 2;
	/* The same number before and after an exec; and two that nothing is known of. */
	leases[2].lease.claimant.key.exec++;
	assert_int_equal(found(leases, 3, &one, false), 0);
	leases[2].lease.claimant.key.pid = leases[1].lease.claimant.key.pid = 0;
	assert_int_equal(found(leases + 1, 2, &one, false), 0);
}

/* Several of one process, as a server has them for its workers: which one, is not known. */
static void test_several(void **state)
{
	struct service_lease leases[] = {lease(80, LEASE_LISTEN, 2), lease(80, LEASE_LISTEN, 2),
					 lease(80, LEASE_LISTEN, 2)};
	struct service_answer answer = {.leases = leases, .count = 3};
	struct holder holder = {.pid = 9};
	struct holding one = holding(80, HOLDING_LISTEN);

	(void)state;
	leases[1].lease.claimed++;
	leases[2].lease.claimed += 2;
	assert_int_equal(found(leases, 3, &one, false), 2);
	assert_ptr_equal(service_match(&answer, &one).lease, leases);
	assert_ptr_equal(service_match(&answer, &one).last, leases + 2);
	answer.count = 1;
	assert_ptr_equal(service_match(&answer, &one).last, leases);
	one.holders = &holder;
	one.holder_count = 1;
	assert_int_equal(found(leases, 3, &one, false), 2);
	holder = (struct holder){.pid = 2, .start = START + 2};
	assert_int_equal(found(leases, 3, &one, false), 2);
	memcpy(one.local, "\x0a\0\0\x01", 4);
	one.other_port = 5555;
	one.state = HOLDING_ESTABLISHED;
	assert_int_equal(found(leases, 3, &one, true), 2);
	/* one of them was there before: whose is it? */
	leases[0].lease.claimant = (struct lease_process){0};
	leases[0].lease.holder.key = leases[1].lease.claimant.key;
	assert_int_equal(found(leases, 3, &one, false), 0);
	one = holding(80, HOLDING_LISTEN);
	assert_int_equal(found(leases, 3, &one, false), 0);
}

static void test_share(void **state)
{
	struct service_lease leases[] = {lease(80, LEASE_LISTEN, 1)};
	struct holding one = holding(80, HOLDING_ESTABLISHED);

	(void)state;
	memcpy(one.local, "\x0a\0\0\x01", 4);
	one.other_port = 5555;
	assert_int_equal(found(leases, 1, &one, true), 1);
	/* A dual-stack listener accepts IPv4, one of IPv4 no IPv6. */
	leases[0].lease.family = 6;
	assert_int_equal(found(leases, 1, &one, true), 1);
	leases[0].lease.flags = WIRE_V6ONLY;
	assert_int_equal(found(leases, 1, &one, false), 0);
	leases[0].lease = lease(80, LEASE_LISTEN, 1).lease;
	one.family = 6;
	one.local[0] = 0xfe;
	assert_int_equal(found(leases, 1, &one, false), 0);
	one = holding(80, HOLDING_ESTABLISHED);
	one.other_port = 5555;
	memcpy(one.local, "\x0a\0\0\x01", 4);
	memcpy(leases[0].lease.local, "\x0a\0\0\x02", 4);
	assert_int_equal(found(leases, 1, &one, false), 0);
	memcpy(leases[0].lease.local, "\x0a\0\0\x01", 4);
	assert_int_equal(found(leases, 1, &one, true), 1);
	one.state = HOLDING_TIME_WAIT;
	assert_int_equal(found(leases, 1, &one, true), 1);
	leases[0].lease.state = LEASE_BOUND;
	assert_int_equal(found(leases, 1, &one, false), 0);
	leases[0].lease.state = LEASE_LISTEN;
	leases[0].lease.netns++;
	assert_int_equal(found(leases, 1, &one, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_socket), cmocka_unit_test(test_peers),
		cmocka_unit_test(test_time_wait),   cmocka_unit_test(test_reuseport),
		cmocka_unit_test(test_several),	    cmocka_unit_test(test_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
