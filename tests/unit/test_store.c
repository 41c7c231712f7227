/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is given is there, as rows that people read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <sys/stat.h>

#include "store_room.h"

static void test_lease(void **state)
{
	struct store *store = room_open();
	struct store_lease lease = room_lease(2);
	struct stat status;

	(void)state;
	room_run(store, ROOM_START);
	assert_true(store_pending(store));
	lease.process = room_process(store, 2);
	assert_int_not_equal(lease.process, 0);
	store_lease_close(store, 0, &lease);
	assert_int_equal(store_commit(store, ROOM_START + SECOND), 0);
	assert_false(store_pending(store));
	store_close(store, ROOM_START + 2 * SECOND);
	assert_string_equal(
		room_text(
			"SELECT protocol || ' ' || local_ip || ' ' || local_port || ' ' || remote_ip"
			" || ' ' || remote_port || ' ' || trigger || ' ' || origin || ' ' || outcome"
			" || ' ' || ending || ' ' || pid || ' ' || comm || ' ' || exe || ' ' || user"
			" || ' ' || unit || ' ' || host || ' ' || netns FROM leases"),
		"tcp 127.0.0.1 1026 10.0.0.2 443 connect kernel established released 1002 web "
		"/usr/bin/web www web.service web1 4026531840");
	assert_string_equal(room_text("SELECT args FROM leases"),
			    "[\"web\",\"--port\",\"\\\"80\\\"\"]");
	assert_string_equal(room_text("SELECT claimed_at FROM leases"),
			    "2027-01-15T08:00:00.002000000Z");
	assert_int_equal(room_number("SELECT held FROM leases"), 60 * SECOND + 1000002);
	assert_int_equal(room_number("SELECT lingered FROM leases"), 60 * SECOND);
	assert_int_equal(room_number("SELECT answered FROM leases"), 100002);
	assert_int_equal(room_number("SELECT ended FROM runs"), ROOM_START + 2 * SECOND);
	assert_int_equal(room_number("SELECT count(*) FROM gaps"), 0);
	assert_int_equal(room_number("PRAGMA application_id"), 0x504e4f50);
	assert_int_equal(stat(room_path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	room_check();
}

static void test_open_change_close(void **state)
{
	struct store *store = room_open();
	struct store_lease lease = room_open_lease(2);
	uint64_t ids[3];

	(void)state;
	room_run(store, ROOM_START);
	for (int i = 0; i < 3; i++) {
		lease = room_open_lease(2 + 2 * i);
		ids[i] = store_lease_open(store, &lease);
		assert_int_not_equal(ids[i], 0);
	}
	/* Two of them change: one in the batch, one in the database; one ends in the batch. */
	lease = room_open_lease(2);
	lease.outcome = STORE_LISTENING;
	store_lease_change(store, ids[0], &lease);
	lease = room_lease(6);
	store_lease_close(store, ids[2], &lease);
	assert_int_equal(store_commit(store, ROOM_START + SECOND), 0);
	lease = room_open_lease(4);
	lease.lingered = STORE_UNKNOWN;
	store_lease_change(store, ids[1], &lease);
	assert_int_equal(store_commit(store, ROOM_START + 2 * SECOND), 0);
	lease = room_lease(2);
	store_lease_close(store, ids[0], &lease);
	store_close(store, ROOM_START + 3 * SECOND);
	assert_int_equal(room_number("SELECT count(*) FROM lease"), 2);
	assert_int_equal(room_number("SELECT count(*) FROM open_lease"), 1);
	assert_int_equal(room_number("SELECT lingered FROM open_lease"), -1);
	assert_int_equal(room_number("SELECT local_port FROM leases WHERE ending = 'open'"), 1028);
	room_check();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lease, room_make, room_remove),
		cmocka_unit_test_setup_teardown(test_open_change_close, room_make, room_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
