/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What can happen to the file of a running recording, and that it goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "store_room.h"

static int64_t at(int seconds)
{
	return ROOM_START + seconds * SECOND;
}

static uint64_t dropped(const struct store *store)
{
	struct store_status status;

	store_status(store, &status);
	return status.dropped;
}

/* The file is written by somebody else: what this process has open keeps its locks. */
static void file_write(const char *path, off_t offset, char byte, size_t length)
{
	pid_t child = fork();
	int status;

	if (!child) {
		char *bytes = malloc(length);
		int file = open(path, O_WRONLY | O_CREAT, 0600);

		memset(bytes, byte, length);
		_exit(pwrite(file, bytes, length, offset) != (ssize_t)length);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static int try_open(char why[256])
{
	const struct store_options options = {.path = room_path, .max_size = STORE_MAX_SIZE};
	struct store *store = NULL;
	int error;

	*why = '\0';
	error = store_open(&options, &store, why, 256);
	store_close(store, at(0));
	return error;
}

static int damaged_count(void)
{
	char command[128], answer[16] = "";
	FILE *list;

	snprintf(command, sizeof(command), "ls %s | grep -c 'damaged-[0-9TZ:.-]*$'", room_folder);
	list = popen(command, "r");
	assert_non_null(list);
	assert_non_null(fgets(answer, sizeof(answer), list));
	pclose(list);
	return atoi(answer);
}

static void test_second(void **state)
{
	struct store *store = room_open();
	char why[256], pid[32];

	(void)state;
	assert_int_equal(try_open(why), -EBUSY);
	snprintf(pid, sizeof(pid), "pid %d ", (int)getpid());
	assert_non_null(strstr(why, pid));
	store_close(store, at(1));
	assert_int_equal(try_open(why), 0);
}

static void test_places(void **state)
{
	char why[256], target[96];

	(void)state;
	snprintf(target, sizeof(target), "%s", room_path_with("-else"));
	assert_int_equal(symlink(target, room_path), 0);
	assert_int_equal(try_open(why), -ELOOP);
	assert_int_equal(access(target, F_OK), -1);
	assert_int_equal(unlink(room_path), 0);

	/* Somebody's notes stay what they are, whatever the second try thinks. */
	file_write(room_path, 0, 'a', 5000);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(try_open(why), -EILSEQ);
		assert_non_null(strstr(why, "no history"));
	}
	assert_int_equal(access(room_path_with(".lock"), F_OK), -1);
}

static void execute(const char *sql)
{
	sqlite3 *connection;

	assert_int_equal(sqlite3_open_v2(room_path, &connection,
					 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_exec(connection, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(connection);
}

static void test_others(void **state)
{
	char why[256];

	(void)state;
	execute("CREATE TABLE notes (text)");
	assert_int_equal(try_open(why), -EILSEQ);
	assert_int_equal(room_number("SELECT count(*) FROM notes"), 0);
	execute("DROP TABLE notes");
	assert_int_equal(try_open(why), 0);
	execute("PRAGMA user_version = 99");
	assert_int_equal(try_open(why), -EILSEQ);
	assert_non_null(strstr(why, "newer"));
}

static void test_folder(void **state)
{
	char kept[sizeof(room_path)], why[256];

	(void)state;
	memcpy(kept, room_path, sizeof(kept));
	snprintf(room_path, sizeof(room_path), "%s/none/h.db", room_folder);
	assert_int_equal(try_open(why), -ENOTDIR);
	assert_non_null(strstr(why, "folder does not exist"));
	memcpy(room_path, kept, sizeof(kept));
}

/* As a user who may read it, and no more. */
static void test_access(void **state)
{
	char why[256];
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(try_open(why), 0);
	assert_int_equal(chmod(room_path, 0444), 0);
	assert_int_equal(chmod(room_path_with(".lock"), 0666), 0);
	assert_int_equal(chmod(room_folder, 0777), 0);
	child = fork();
	if (!child) {
		int error;

		if (!geteuid() && (setgid(65534) || setuid(65534)))
			_exit(2);
		error = try_open(why);
		_exit(error != -EACCES || !strstr(why, "permission denied"));
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void test_deleted(void **state)
{
	struct store *store = room_open();
	uint64_t generation;

	(void)state;
	room_run(store, at(0));
	room_give(store, 0, 100);
	assert_int_equal(store_commit(store, at(1)), 0);
	generation = store_generation(store);
	room_give(store, 100, 30);
	assert_int_equal(unlink(room_path), 0);
	assert_int_equal(store_commit(store, at(2)), 0);
	assert_int_not_equal(store_generation(store), generation);
	assert_int_equal(dropped(store), 30);
	room_give(store, 200, 5);
	store_close(store, at(3));
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 5);
	assert_int_equal(room_number("SELECT count(*) FROM runs"), 1);
	assert_int_equal(room_number("SELECT count FROM gaps WHERE reason = 'dropped'"), 30);
	assert_int_equal(room_number("SELECT since FROM gaps WHERE reason = 'dropped'"), at(1));
	assert_int_equal(room_number("SELECT until FROM gaps WHERE reason = 'dropped'"), at(2));
	room_check();
}

/* The folder is moved; then it comes back. What waited is in the file that was open. */
static void test_folder_gone(void **state)
{
	struct store *store = room_open();
	struct store_lease lease = room_lease(1);
	char away[96];

	(void)state;
	snprintf(away, sizeof(away), "%s-away", room_folder);
	room_run(store, at(0));
	room_give(store, 0, 100);
	assert_int_equal(store_commit(store, at(1)), 0);
	assert_int_equal(rename(room_folder, away), 0);
	room_give(store, 100, 30);
	assert_int_equal(store_commit(store, at(2)), -ENOTDIR);
	/* With no database there are no ids. */
	assert_int_equal(store_lease_open(store, &lease), 0);
	assert_int_equal(room_process(store, 3), 0);
	store_lease_close(store, 0, &lease);
	assert_int_equal(dropped(store), 1);
	assert_int_equal(store_commit(store, at(3)), -ENOTDIR);
	assert_int_equal(rename(away, room_folder), 0);
	assert_int_equal(store_commit(store, at(4)), 0);
	room_give(store, 200, 5);
	store_close(store, at(5));
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 135);
	assert_int_equal(room_number("SELECT sum(count) FROM gaps WHERE reason = 'dropped'"), 1);
	assert_int_equal(room_number("SELECT max(until) FROM gaps WHERE reason = 'dropped'"),
			 at(4));
	room_check();
}

static void test_replaced(void **state)
{
	struct store *store;
	char other[96];

	(void)state;
	snprintf(other, sizeof(other), "%s", room_path_with("-other"));
	store = room_open();
	room_run(store, at(0));
	room_give(store, 0, 7);
	store_close(store, at(1));
	assert_int_equal(rename(room_path, other), 0);

	store = room_open();
	room_run(store, at(2));
	room_give(store, 100, 100);
	assert_int_equal(store_commit(store, at(3)), 0);
	assert_int_equal(rename(other, room_path), 0);
	assert_int_equal(store_commit(store, at(4)), 0);
	room_give(store, 300, 5);
	store_close(store, at(5));
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 12);
	assert_int_equal(room_number("SELECT count(*) FROM runs"), 2);
	assert_int_equal(room_number("SELECT until FROM gaps WHERE reason = 'stopped'"), at(4));
	room_check();
}

/* As logrotate does it. */
static void test_reopen(void **state)
{
	struct store *store = room_open();
	struct store_lease lease = room_open_lease(4);
	uint64_t generation = store_generation(store), id;

	(void)state;
	room_run(store, at(0));
	id = store_lease_open(store, &lease);
	room_give(store, 0, 100);
	assert_int_equal(store_reopen(store, at(1)), 0);
	assert_int_equal(store_generation(store), generation);
	lease = room_lease(4);
	store_lease_close(store, id, &lease);
	room_give(store, 100, 100);
	assert_int_equal(rename(room_path, room_path_with(".1")), 0);
	assert_int_equal(store_reopen(store, at(2)), 0);
	assert_int_not_equal(store_generation(store), generation);
	assert_int_equal(dropped(store), 0);
	room_give(store, 200, 5);
	store_close(store, at(3));
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 5);
	room_check();
	assert_int_equal(rename(room_path_with(".1"), room_path), 0);
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 201);
	assert_int_equal(room_number("SELECT ended FROM runs"), at(2));
	assert_int_equal(room_number("SELECT count(*) FROM open_lease"), 0);
	room_check();
}

static void fill(void)
{
	struct store *store = room_open();

	room_run(store, at(0));
	room_give(store, 0, 20000);
	assert_int_equal(store_commit(store, at(1)), 0);
	store_close(store, at(2));
}

static void test_damaged_at_open(void **state)
{
	struct store *store;

	(void)state;
	fill();
	file_write(room_path, 100, 'x', 4000);
	store = room_open();
	assert_int_equal(damaged_count(), 1);
	room_run(store, at(3));
	room_give(store, 0, 10);
	store_close(store, at(4));
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 10);
	/* Nothing of it makes sense, but we have been here before. */
	file_write(room_path, 0, 'x', 8192);
	store = room_open();
	store_close(store, at(5));
	assert_int_equal(damaged_count(), 2);
	room_check();
	/* A disk that damages them all must not fill up with them. */
	for (int i = 0; i < 4; i++) {
		file_write(room_path, 0, 'x', 8192);
		store = room_open();
		store_close(store, at(6 + i));
	}
	assert_int_equal(damaged_count(), 3);
}

static void test_damaged_while_it_runs(void **state)
{
	struct store *store;
	uint64_t generation;

	(void)state;
	fill();
	store = room_open();
	generation = store_generation(store);
	room_run(store, at(3));
	room_give(store, 20000, 10);
	assert_int_equal(store_commit(store, at(4)), 0);
	file_write(room_path, 4096, 'x', 1 << 20);
	room_give(store, 20010, 10);
	/* To trim it has to read what is oldest. */
	store_limit(store, 1 << 19, 0);
	for (int i = 5; i < 8; i++)
		assert_int_equal(store_commit(store, at(i)), 0);
	assert_int_equal(damaged_count(), 1);
	assert_int_not_equal(store_generation(store), generation);
	room_give(store, 30000, 10);
	store_close(store, at(9));
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 10);
	room_check();
}

static sqlite3 *lock_it(void)
{
	sqlite3 *connection;

	assert_int_equal(sqlite3_open(room_path, &connection), SQLITE_OK);
	assert_int_equal(sqlite3_exec(connection, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	return connection;
}

static void test_locked(void **state)
{
	struct store *store = room_open();
	sqlite3 *other;

	(void)state;
	room_run(store, at(0));
	assert_int_equal(store_commit(store, at(1)), 0);
	other = lock_it();
	room_give(store, 0, 10);
	assert_int_equal(store_commit(store, at(2)), -EAGAIN);
	sqlite3_close(other);
	assert_int_equal(store_commit(store, at(3)), 0);
	/* Whoever reads does not stand in the way. */
	assert_int_equal(sqlite3_open(room_path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN; SELECT count(*) FROM lease", NULL, NULL, NULL),
			 SQLITE_OK);
	room_give(store, 10, 10);
	assert_int_equal(store_commit(store, at(4)), 0);
	sqlite3_close(other);
	store_close(store, at(5));
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 20);
	room_check();
}

static void test_batch_full(void **state)
{
	struct store *store = room_open_with(STORE_MAX_SIZE, 0, 65536);
	struct store_lease lease = room_open_lease(0);
	struct store_status status;
	uint64_t generation = store_generation(store);
	sqlite3 *other;

	(void)state;
	room_run(store, at(0));
	lease.process = room_process(store, 0);
	store_lease_open(store, &lease);
	assert_int_equal(store_commit(store, at(1)), 0);
	other = lock_it();
	for (int i = 0; i < 5; i++) {
		room_give(store, i * 1000, 1000);
		assert_int_equal(store_commit(store, at(2 + i)), -EAGAIN);
		store_status(store, &status);
		assert_true(status.pending <= 65536);
		assert_int_equal(status.error, -EAGAIN);
	}
	sqlite3_close(other);
	assert_int_not_equal(store_generation(store), generation);
	assert_int_equal(store_commit(store, at(7)), 0);
	store_status(store, &status);
	assert_true(status.dropped > 3000);
	assert_int_equal(status.dropped + status.written, 5000);
	assert_int_equal(status.open, 0);
	assert_int_equal(status.error, 0);
	store_close(store, at(8));
	assert_int_equal(room_number("SELECT sum(count) FROM gaps WHERE reason = 'dropped'"),
			 status.dropped);
	assert_int_equal(room_number("SELECT min(since) FROM gaps WHERE reason = 'dropped'"),
			 at(1));
	/* It has to be given again. */
	assert_int_equal(room_number("SELECT count(*) FROM open_lease"), 0);
	room_check();
}

/* ---- a full disk ---- */

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	if (setrlimit(RLIMIT_FSIZE, &limit))
		_exit(3);
}

static int grow_and_fail(void *context)
{
	struct store *store = room_open();
	struct store_status status;

	(void)context;
	signal(SIGXFSZ, SIG_IGN);
	room_run(store, at(0));
	room_give(store, 0, 1000);
	if (store_commit(store, at(1)))
		return 1;
	/* The WAL cannot get so large. */
	limit_files(300000);
	room_give(store, 1000, 20000);
	for (int i = 2; i < 6; i++)
		if (!store_commit(store, at(i)))
			return 2;
	limit_files(RLIM_INFINITY);
	if (store_commit(store, at(6)))
		return 3;
	room_give(store, 21000, 1000);
	if (store_commit(store, at(7)))
		return 4;
	store_status(store, &status);
	if (status.leases != 22000 || status.written != 22000)
		return 5;
	store_close(store, at(8));
	return 0;
}

static unsigned int count_lines(const char *text)
{
	unsigned int lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void test_too_large(void **state)
{
	struct child_result result = child_run(grow_and_fail, NULL, -1);

	(void)state;
	if (result.status || count_lines(result.err) != 2)
		fail_msg("%d: %s", result.status, result.err);
	assert_int_equal(room_number("SELECT count(*) FROM leases"), 22000);
	assert_int_equal(room_number("SELECT count(*) FROM gaps"), 0);
	room_check();
}

static void test_disk_full(void **state)
{
	char options[] = "size=2m";
	struct store *store;
	struct store_status status;
	char filler[96];

	(void)state;
	if (geteuid() || mount("none", room_folder, "tmpfs", 0, options)) {
		print_message("a small file system needs root and mount(2)\n");
		skip();
	}
	store = room_open();
	room_run(store, at(0));
	room_give(store, 0, 100);
	assert_int_equal(store_commit(store, at(1)), 0);
	snprintf(filler, sizeof(filler), "%s", room_path_with("-filler"));
	file_write(filler, 0, 'x', 1700000);
	room_give(store, 100, 20000);
	for (int i = 2; i < 5; i++) {
		assert_int_equal(store_commit(store, at(i)), -ENOSPC);
		store_status(store, &status);
		assert_non_null(strstr(status.why, "disk is full"));
	}
	assert_int_equal(unlink(filler), 0);
	/* Half of it has room at last; the limit sees to the rest. */
	store_limit(store, 1 << 19, 0);
	assert_int_equal(store_commit(store, at(6)), 0);
	store_close(store, at(8));
	room_check();
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, room_make, room_remove)
	const struct CMUnitTest tests[] = {
		TEST(test_second),	    TEST(test_places),	  TEST(test_others),
		TEST(test_folder),	    TEST(test_access),	  TEST(test_deleted),
		TEST(test_folder_gone),	    TEST(test_replaced),  TEST(test_reopen),
		TEST(test_damaged_at_open), TEST(test_locked),	  TEST(test_damaged_while_it_runs),
		TEST(test_batch_full),	    TEST(test_too_large), TEST(test_disk_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
