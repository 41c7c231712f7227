/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One recording after the other: what was open, and the time between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_room.h"

/* Dies without a word after `act`. */
static void killed_after(void (*act)(struct store *store))
{
	pid_t child = fork();
	int status;

	if (!child) {
		act(room_open());
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void leave_two_open(struct store *store)
{
	struct store_lease lease;

	room_run(store, ROOM_START);
	for (uint64_t n = 1; n <= 2; n++) {
		lease = room_open_lease(n);
		lease.process = room_process(store, n);
		store_lease_open(store, &lease);
	}
	store_commit(store, ROOM_START + 5 * SECOND);
}

static void test_killed(void **state)
{
	struct store *store;

	(void)state;
	killed_after(leave_two_open);
	store = room_open();
	room_run(store, ROOM_START + 9 * SECOND);
	assert_int_equal(store_commit(store, ROOM_START + 10 * SECOND), 0);
	store_close(store, ROOM_START + 11 * SECOND);
	assert_int_equal(room_number("SELECT count(*) FROM open_lease"), 0);
	assert_int_equal(room_number("SELECT count(*) FROM leases WHERE ending = 'unseen'"), 2);
	assert_int_equal(room_number("SELECT held FROM leases WHERE local_port = 1026"),
			 5 * SECOND - 2 * SECOND / 1000);
	assert_int_equal(room_number("SELECT pid FROM leases WHERE local_port = 1026"), 1002);
	assert_string_equal(room_text("SELECT reason FROM gaps"), "killed");
	assert_int_equal(room_number("SELECT since FROM gaps"), ROOM_START + 5 * SECOND);
	assert_int_equal(room_number("SELECT until FROM gaps"), ROOM_START + 9 * SECOND);
	assert_int_equal(room_number("SELECT count(*) FROM runs"), 2);
	room_check();
}

static void test_stopped(void **state)
{
	struct store *store = room_open();

	(void)state;
	leave_two_open(store);
	store_close(store, ROOM_START + 6 * SECOND);
	store = room_open();
	room_run(store, ROOM_START + 9 * SECOND);
	store_close(store, ROOM_START + 11 * SECOND);
	assert_string_equal(room_text("SELECT reason FROM gaps"), "stopped");
	assert_int_equal(room_number("SELECT since FROM gaps"), ROOM_START + 6 * SECOND);
	assert_int_equal(room_number("SELECT count(*) FROM gaps"), 1);
	assert_int_equal(room_number("SELECT held FROM leases WHERE local_port = 1026"),
			 6 * SECOND - 2 * SECOND / 1000);
}

/* The run before was on a clock that was ahead. */
static void test_clock_behind(void **state)
{
	struct store *store;

	(void)state;
	killed_after(leave_two_open);
	store = room_open();
	room_run(store, ROOM_START - 100 * SECOND);
	store_close(store, ROOM_START - 99 * SECOND);
	assert_int_equal(room_number("SELECT count(*) FROM gaps"), 2);
	assert_int_equal(room_number("SELECT since FROM gaps WHERE reason = 'clock'"),
			 ROOM_START + 5 * SECOND);
	assert_int_equal(room_number("SELECT until FROM gaps WHERE reason = 'clock'"),
			 ROOM_START - 100 * SECOND);
	assert_int_equal(room_number("SELECT until - since FROM gaps WHERE reason = 'killed'"), 0);
	assert_int_equal(room_number("SELECT min(held) >= 0 FROM leases"), 1);
	room_check();
}

/* ---- killed at any moment ---- */

struct shared {
	volatile uint64_t given; /* leases whose commit returned */
	volatile uint64_t failures;
	volatile int64_t alive; /* of the last commit */
	volatile uint64_t runs; /* that had a commit */
};

#define ROUNDS 40  /* in half of them there is a commit */
#define GIVEN 3000 /* at a time: segments are completed and trimmed now and then */
#define SIZE (UINT64_C(2) << 20)

/* A clock on which leases end before they are given, and that no run sets back. */
static int64_t clock_at(uint64_t n, uint64_t round)
{
	return room_lease(n).claimed + (100 + (int64_t)round * 10) * SECOND;
}

static void write_on(struct shared *shared, uint64_t round)
{
	struct store *store = room_open_with(SIZE, 0, 0);
	uint64_t n = shared->given;
	bool first = true;

	room_run(store, clock_at(n, round));
	for (;;) {
		struct store_lease lease = room_open_lease(n);
		struct store_failure failure = room_failure(n);
		uint64_t id;

		lease.process = failure.claim.process = room_process(store, n);
		id = store_lease_open(store, &lease);
		store_failure(store, &failure);
		room_give(store, n, GIVEN);
		n += GIVEN;
		if (store_commit(store, clock_at(n, round)))
			_exit(1);
		shared->alive = clock_at(n, round);
		shared->failures++;
		shared->given = n;
		shared->runs += first;
		first = false;
		lease = room_lease(n);
		if (n / GIVEN % 2)
			store_lease_close(store, id, &lease);
	}
}

/* All that a commit promised; what it had not promised yet may be there, too. */
static void check_promises(const struct shared *shared)
{
	assert_string_equal(room_text("PRAGMA integrity_check"), "ok");
	if (!shared->given)
		return;
	assert_true(room_number("SELECT max(claimed) FROM lease WHERE kind IN"
				" (SELECT id FROM kind WHERE ending != 'unseen')") >=
		    room_lease(shared->given - 1).claimed);
	assert_true(room_number("SELECT max(id) FROM failure") >= (int64_t)shared->failures);
	assert_true(room_number("SELECT max(alive) FROM run") >= shared->alive);
	assert_int_equal(room_number("SELECT count(*) FROM run WHERE ended NOT NULL"), 0);
	assert_true(room_number("SELECT count(*) FROM run") >= (int64_t)shared->runs);
	/* Each run but the first says that the one before was killed; what is older than all
	 * segments is trimmed. */
	assert_int_equal(
		room_number("SELECT count(*) FROM run r WHERE id > 1 AND started >"
			    " (SELECT coalesce(min(released), 0) FROM segment) AND NOT EXISTS"
			    " (SELECT 1 FROM gap WHERE run = r.id AND reason = 'killed')"),
		0);
	assert_int_equal(room_number("SELECT count(*) FROM gap g JOIN run r ON r.id = g.run"
				     " JOIN run b ON b.id = g.run - 1"
				     " WHERE g.since != b.alive OR g.until != r.started"),
			 0);
	/* Only the newest has leases that are open. */
	assert_int_equal(
		room_number("SELECT count(*) FROM open_lease o JOIN kind k ON k.id = o.kind"
			    " WHERE k.run != (SELECT max(id) FROM run)"),
		0);
}

static void test_kill_loop(void **state)
{
	struct store *store;
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(shared, MAP_FAILED);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint64_t before = shared->given;
		pid_t child = fork();
		int status;

		if (!child)
			write_on(shared, round);
		/* Half of them are killed in their first commit, or before it. */
		while (round % 2 && shared->given == before && !waitpid(child, NULL, WNOHANG))
			usleep(100);
		usleep((round * 7919 + 13) % 97 * 700);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		check_promises(shared);
	}
	assert_true(shared->runs >= ROUNDS / 2);
	assert_true(room_number("SELECT count(*) FROM leases WHERE ending = 'unseen'") > 0);
	/* What none of them got to is done at last. */
	store = room_open_with(SIZE, 0, 0);
	room_run(store, clock_at(shared->given, ROUNDS));
	for (int i = 0; i < 10; i++)
		assert_int_equal(store_commit(store, clock_at(shared->given, ROUNDS) + i), 0);
	store_close(store, clock_at(shared->given, ROUNDS + 1));
	assert_true(room_number("SELECT min(id) FROM segment") > 0);
	assert_int_equal(room_number("SELECT count(*) FROM open_lease"), 0);
	room_check();
	munmap(shared, sizeof(*shared));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_killed, room_make, room_remove),
		cmocka_unit_test_setup_teardown(test_stopped, room_make, room_remove),
		cmocka_unit_test_setup_teardown(test_clock_behind, room_make, room_remove),
		cmocka_unit_test_setup_teardown(test_kill_loop, room_make, room_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
