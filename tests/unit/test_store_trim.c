/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is oldest goes, and what is still referred to stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <sys/stat.h>

#include "store_room.h"

#define MIB (UINT64_C(1) << 20)

static void commit(struct store *store, uint64_t n)
{
	assert_int_equal(store_commit(store, ROOM_START + (int64_t)n * (SECOND / 1000)), 0);
}

static void test_segments(void **state)
{
	struct store *store = room_open();
	struct store_status status;

	(void)state;
	room_run(store, ROOM_START);
	room_give(store, 0, 20000);
	commit(store, 20000);
	/* It goes on where it was after another start. */
	store_close(store, ROOM_START + 30 * SECOND);
	store = room_open();
	room_run(store, ROOM_START + 40 * SECOND);
	room_give(store, 20000, 20000);
	commit(store, 50000);
	store_status(store, &status);
	assert_int_equal(status.leases, 40000);
	assert_int_equal(status.written, 20000);
	store_close(store, ROOM_START + 60 * SECOND);
	assert_int_equal(room_number("SELECT count(*) FROM lease"), 40000);
	assert_int_equal(room_number("SELECT count(*) FROM segment"), 4);
	assert_int_equal(room_number("SELECT count(*) FROM lease_port"), 4 * 8192 - 1);
	room_check();
}

static void test_size(void **state)
{
	struct store *store = room_open_with(4 * MIB, 0, 0);
	struct store_lease open = room_open_lease(0);
	struct store_status status;
	struct stat file;
	uint64_t n = 0, id;

	(void)state;
	room_run(store, ROOM_START);
	open.process = room_process(store, ROOM_OWN);
	open.local[3] = 77;
	id = store_lease_open(store, &open);
	/* With addresses and processes of their own. */
	for (int i = 0; i < 160; i++) {
		room_give(store, n, 10000);
		n += 10000;
		commit(store, n);
		store_status(store, &status);
		assert_true(status.bytes < 5 * MIB);
	}
	assert_true(status.trimmed > 1000000);
	assert_int_equal(status.leases + status.trimmed, status.written);
	assert_true(status.oldest > ROOM_START);
	/* Nothing but the open lease has referred to this for a million leases. */
	assert_int_equal(
		room_number("SELECT count(*) FROM open_lease o"
			    " JOIN kind ON kind.id = o.kind JOIN address ON address.id = o.local"
			    " JOIN process p ON p.id = o.process"
			    " JOIN program g ON g.id = p.program"
			    " JOIN executable ON executable.id = g.executable"
			    " JOIN cgroup ON cgroup.id = g.cgroup"),
		1);
	open = room_lease(0);
	open.process = room_process(store, ROOM_OWN);
	open.local[3] = 77;
	store_lease_close(store, id, &open);
	store_close(store, ROOM_START + (int64_t)n * SECOND);
	assert_int_equal(stat(room_path, &file), 0);
	assert_true((uint64_t)file.st_size < 5 * MIB);
	/* They are not all kept: there were 800,000. */
	assert_true(room_number("SELECT count(*) FROM address") < 100000);
	assert_int_equal(room_number("SELECT count(*) FROM leases WHERE local_ip = '127.0.0.77'"),
			 1);
	room_check();
}

static void test_age(void **state)
{
	struct store *store = room_open_with(STORE_MAX_SIZE, 100 * SECOND, 0);
	struct store_status status;
	uint64_t n;

	(void)state;
	room_run(store, ROOM_START);
	/* Ten a second for as long as the limit ten times: no segment gets full. */
	for (n = 0; n < 1000000; n += 1000) {
		room_give(store, n, 10);
		commit(store, n + 1000);
	}
	store_status(store, &status);
	assert_true(status.oldest >= ROOM_START + (1000 - 107 - 62) * SECOND);
	assert_true(status.leases >= 1000);
	store_close(store, ROOM_START + 1001 * SECOND);
	room_check();
}

static void test_failures_only(void **state)
{
	struct store *store = room_open_with(2 * MIB, 0, 0);
	struct store_status status;
	uint64_t n = 0;

	(void)state;
	room_run(store, ROOM_START);
	for (int i = 0; i < 60; i++) {
		for (int k = 0; k < 1000; k++, n++) {
			struct store_failure failure = room_failure(n);

			failure.claim.process = room_process(store, n);
			store_failure(store, &failure);
		}
		commit(store, n);
		store_status(store, &status);
		assert_true(status.bytes < 4 * MIB);
	}
	assert_true(status.trimmed > 20000);
	assert_int_equal(status.failures + status.trimmed, 60000);
	store_close(store, ROOM_START + 100 * SECOND);
	assert_int_equal(room_number("SELECT count(*) FROM failure"), status.failures);
	assert_int_equal(room_number("SELECT max(id) FROM failure"), 60000);
	assert_true(room_number("SELECT count(*) FROM segment") > 1);
	room_check();
}

static void test_lowered(void **state)
{
	struct store *store = room_open();
	struct store_status status;
	struct stat file;

	(void)state;
	room_run(store, ROOM_START);
	for (uint64_t n = 0; n < 200000; n += 10000) {
		room_give(store, 0, 10000);
		commit(store, n);
	}
	store_status(store, &status);
	assert_true(status.bytes > 8 * MIB);
	store_limit(store, 3 * MIB, 0);
	for (int i = 0; i < 30; i++)
		commit(store, 200000 + i);
	store_status(store, &status);
	assert_true(status.bytes <= 3 * MIB);
	store_close(store, ROOM_START + 300 * SECOND);
	assert_int_equal(stat(room_path, &file), 0);
	assert_true((uint64_t)file.st_size <= 3 * MIB);
	room_check();
}

/* Loss without an end stays a few rows. */
static void test_gaps(void **state)
{
	struct store *store = room_open();

	(void)state;
	room_run(store, ROOM_START);
	for (int i = 0; i < 600; i++) {
		store_gap(store, STORE_GAP_LOST, ROOM_START + i * SECOND,
			  ROOM_START + (i + 1) * SECOND, 2);
		commit(store, i);
	}
	store_gap(store, STORE_GAP_EVICTED, ROOM_START, ROOM_START + SECOND, 9);
	store_close(store, ROOM_START + 700 * SECOND);
	assert_int_equal(room_number("SELECT count(*) FROM gaps WHERE reason = 'lost'"), 10);
	assert_int_equal(room_number("SELECT sum(count) FROM gaps WHERE reason = 'lost'"), 1200);
	assert_int_equal(room_number("SELECT max(until) FROM gaps"), ROOM_START + 600 * SECOND);
	assert_int_equal(room_number("SELECT count FROM gaps WHERE reason = 'evicted'"), 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_segments, room_make, room_remove),
		cmocka_unit_test_setup_teardown(test_size, room_make, room_remove),
		cmocka_unit_test_setup_teardown(test_age, room_make, room_remove),
		cmocka_unit_test_setup_teardown(test_failures_only, room_make, room_remove),
		cmocka_unit_test_setup_teardown(test_lowered, room_make, room_remove),
		cmocka_unit_test_setup_teardown(test_gaps, room_make, room_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
