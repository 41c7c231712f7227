/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/procfs.h"

#define START 12340000000 /* ns: what the file says in ticks */

/* A folder that stands for /proc, with one process; its name is in *state. */
static const char *const folders[] = {"", "/42", "/42/fd"};
static const char *const files[] = {"/42/stat",	   "/42/status", "/42/cmdline", "/42/cgroup",
				    "/42/exe",	   "/42/fd/0",	 "/42/fd/3",	"/42/fd/10",
				    "/42/fd/evil", "/42/root",	 "/x (deleted)"};

static const char *path_of(const char *proc, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s%s", proc, name);
	return path;
}

static void file_put(const char *proc, const char *name, const void *bytes, size_t length)
{
	FILE *file = fopen(path_of(proc, name), "we");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	fclose(file);
}

static void text_put(const char *proc, const char *name, const char *text)
{
	file_put(proc, name, text, strlen(text));
}

static void link_put(const char *proc, const char *name, const char *target)
{
	unlink(path_of(proc, name));
	assert_int_equal(symlink(target, path_of(proc, name)), 0);
}

/* The process has set its name to what could be taken for the end of it. */
static void process_put(const char *proc)
{
	text_put(proc, "/42/stat",
		 "42 (a) S 1\n(b) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1234 99 1\n");
	text_put(proc, "/42/status", "Name:\ta) S 1\\n(b\nUmask:\t0022\nUid:\t1000\t0\t0\t0\n");
	file_put(proc, "/42/cmdline", "sleep\0009", 7);
	text_put(proc, "/42/cgroup", "12:pids:/old\n0::/system.slice/app.service\n");
	link_put(proc, "/42/exe", "/usr/bin/sleep");
}

static int proc_make(void **state)
{
	char *proc = strdup("/tmp/portsnoop-procfs-XXXXXX");

	if (!proc || !mkdtemp(proc)) {
		free(proc);
		return -1;
	}
	*state = proc;
	for (size_t i = 1; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (mkdir(path_of(proc, folders[i]), 0700))
			return -1;
	return 0;
}

static int proc_remove(void **state)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(path_of(*state, files[i]));
	for (size_t i = sizeof(folders) / sizeof(folders[0]); i-- > 0;)
		rmdir(path_of(*state, folders[i]));
	free(*state);
	return 0;
}

static void holder_free(struct holder *holder)
{
	free(holder->user);
	free(holder->exe);
	free(holder->args);
	free(holder->cgroup);
}

/* What is told of the process 42 that started at `start`. */
static struct holder describe(const char *proc, uint64_t start)
{
	struct procfs *procfs = procfs_open(proc);
	struct holder holder = {.pid = 42, .start = start};

	assert_non_null(procfs);
	assert_int_equal(procfs_describe(procfs, &holder), 0);
	procfs_close(procfs);
	return holder;
}

static void test_describe(void **state)
{
	struct holder holder;

	process_put(*state);
	holder = describe(*state, START + 9999999);
	assert_string_equal(holder.user, "root");
	assert_string_equal(holder.exe, "/usr/bin/sleep");
	assert_false(holder.exe_deleted);
	assert_int_equal(holder.args_length, 8); /* the end that it lacked */
	assert_memory_equal(holder.args, "sleep\0009", 8);
	assert_string_equal(holder.cgroup, "/system.slice/app.service");
	assert_string_equal(holder.container.unit, "app.service");
	holder_free(&holder);
}

/* Another process got the number, or it ended. */
static void test_reused(void **state)
{
	const uint64_t starts[] = {START - 1, START + 10000000};
	struct holder holder;

	process_put(*state);
	for (size_t i = 0; i < 2; i++) {
		holder = describe(*state, starts[i]);
		assert_null(holder.exe);
		assert_null(holder.args);
		assert_null(holder.cgroup);
		assert_string_equal(holder.container.unit, "");
		holder_free(&holder);
	}
	unlink(path_of(*state, "/42/stat"));
	holder = describe(*state, START);
	assert_null(holder.exe);
	holder_free(&holder);
	text_put(*state, "/42/stat", "42 (a) S 1 42");
	holder = describe(*state, START);
	assert_null(holder.exe);
	holder_free(&holder);
}

static void test_deleted(void **state)
{
	struct holder holder;
	char target[256];

	process_put(*state);
	link_put(*state, "/42/exe", "/x (deleted)");
	holder = describe(*state, START);
	assert_string_equal(holder.exe, "/x");
	assert_true(holder.exe_deleted);
	holder_free(&holder);

	/* A file that has this very name, and is the one that runs. */
	text_put(*state, "/x (deleted)", "");
	snprintf(target, sizeof(target), "%s/x (deleted)", (char *)*state);
	link_put(*state, "/42/exe", target);
	link_put(*state, "/42/root", "/");
	holder = describe(*state, START);
	assert_string_equal(holder.exe, target);
	assert_false(holder.exe_deleted);
	holder_free(&holder);
}

struct walk {
	unsigned int count;
	uint64_t inodes;
	struct holder last;
	int result;
};

static int walk_visit(uint64_t inode, const struct holder *holder, void *context)
{
	struct walk *walk = context;

	walk->count++;
	walk->inodes += inode;
	walk->last = *holder;
	return walk->result;
}

static void test_sockets(void **state)
{
	struct procfs *procfs = procfs_open(*state);
	struct walk walk = {0};
	bool whole = false;

	assert_non_null(procfs);
	process_put(*state);
	link_put(*state, "/42/fd/0", "/dev/null");
	link_put(*state, "/42/fd/3", "socket:[4000000001]");
	link_put(*state, "/42/fd/10", "socket:[5]");
	link_put(*state, "/42/fd/evil", "socket:[7]");
	assert_int_equal(procfs_sockets(procfs, walk_visit, &walk, &whole), 0);
	assert_true(whole);
	assert_int_equal(walk.count, 2);
	assert_int_equal(walk.inodes, 4000000006);
	assert_int_equal(walk.last.pid, 42);
	assert_int_equal(walk.last.uid, 1000);
	assert_int_equal(walk.last.start, START);
	assert_string_equal(walk.last.comm, "a) S 1\n(b");

	walk = (struct walk){.result = -ECANCELED};
	assert_int_equal(procfs_sockets(procfs, walk_visit, &walk, &whole), -ECANCELED);
	assert_int_equal(walk.count, 1);
	procfs_close(procfs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_describe, proc_make, proc_remove),
		cmocka_unit_test_setup_teardown(test_reused, proc_make, proc_remove),
		cmocka_unit_test_setup_teardown(test_deleted, proc_make, proc_remove),
		cmocka_unit_test_setup_teardown(test_sockets, proc_make, proc_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
