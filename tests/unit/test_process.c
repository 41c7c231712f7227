/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "model/process.h"
#include "records.h"

static const struct process *find(struct process_table *table, wire_u32 pid, wire_u32 exec)
{
	struct process_key key = {.start = 1000000u + pid, .pid = pid, .exec = exec};

	return process_table_find(table, &key);
}

static void add(struct process_table *table, const struct wire_process *record)
{
	assert_int_equal(process_table_add(table, record), 0);
}

#define assert_bytes(bytes, length, text)                                                          \
	do {                                                                                       \
		assert_int_equal(length, strlen(text));                                            \
		assert_memory_equal(bytes, text, strlen(text));                                    \
	} while (0)

static void taken_in(void **state)
{
	struct process_table *table = process_table_new(8);
	struct wire_process record = record_process(42, "web", "/usr/bin/python3.11",
						    "python3 -m http.server",
						    "/system.slice/app.service");
	const struct process *process;

	(void)state;
	record.flags = WIRE_EXE_DELETED;
	record.namespace_pid = 7;
	record.root = 800;
	add(table, &record);
	process = find(table, 42, 1);
	assert_non_null(process);
	assert_bytes(process->exe, process->exe_length, "/usr/bin/python3.11");
	assert_bytes(process->cgroup, process->cgroup_length, "/system.slice/app.service");
	assert_int_equal(process->args_length, sizeof("python3 -m http.server"));
	assert_memory_equal(process->args, "python3\0-m\0http.server", process->args_length);
	assert_string_equal(process->comm, "web");
	assert_string_equal(process->parent_comm, "bash");
	assert_string_equal(process->container.unit, "app.service");
	assert_int_equal(process->parent_pid, 900);
	assert_int_equal(process->namespace_pid, 7);
	assert_int_equal(process->root, 800);
	assert_int_equal(process->flags, WIRE_EXE_DELETED);
	assert_int_equal(process->uid, 1000);
	process_table_free(table);
}

static void identity_is_all_three(void **state)
{
	struct process_table *table = process_table_new(8);
	struct wire_process record = record_process(42, "sh", "/bin/sh", "sh", "/");
	struct process_key key = {.start = 1000042, .pid = 42, .exec = 1};
	uint64_t serial;

	(void)state;
	add(table, &record);
	serial = process_table_find(table, &key)->serial;
	record.exec = 2;
	strcpy(record.comm, "nc");
	add(table, &record);
	assert_string_equal(find(table, 42, 1)->comm, "sh");
	assert_string_equal(find(table, 42, 2)->comm, "nc");
	assert_true(find(table, 42, 2)->serial != serial);
	assert_null(find(table, 42, 3));
	key.start++;
	assert_null(process_table_find(table, &key));

	/* The same one again replaces what was known, and is told from it. */
	strcpy(record.comm, "socat");
	serial = find(table, 42, 2)->serial;
	add(table, &record);
	assert_string_equal(find(table, 42, 2)->comm, "socat");
	assert_true(find(table, 42, 2)->serial != serial);
	process_table_free(table);
}

static void unknown_stays_unknown(void **state)
{
	struct process_table *table = process_table_new(8);
	struct wire_process record = record_process(1, "a", "/bin/a", "a b", "/x");
	const struct process *process;

	(void)state;
	record.flags = WIRE_EXE_UNREADABLE | WIRE_ARGS_UNREADABLE | WIRE_CGROUP_UNREADABLE;
	add(table, &record);
	process = find(table, 1, 1);
	assert_null(process->exe);
	assert_null(process->args);
	assert_null(process->cgroup);

	record = record_process(2, "kworker", "", "", "");
	record.flags = WIRE_KERNEL_THREAD;
	add(table, &record);
	process = find(table, 2, 1);
	assert_null(process->exe);
	assert_null(process->args);
	assert_bytes(process->cgroup, process->cgroup_length, "/");
	process_table_free(table);
}

/* A path whose upper part is missing must not look like one from the root. */
static void cut_paths(void **state)
{
	struct process_table *table = process_table_new(8);
	struct wire_process record = record_process(1, "a", "/bin/sshd", "", "/a.service");
	const struct process *process;

	(void)state;
	record.flags = WIRE_EXE_CUT | WIRE_CGROUP_CUT;
	add(table, &record);
	process = find(table, 1, 1);
	assert_bytes(process->exe, process->exe_length, ".../bin/sshd");
	assert_bytes(process->cgroup, process->cgroup_length, ".../a.service");

	/* empty components, and the fullest record */
	memset(record.exe, 0, sizeof(record.exe));
	record.exe_length = WIRE_EXE;
	memset(record.path, 'x', sizeof(record.path));
	record.path[WIRE_CGROUP - 1] = '\0';
	record.path_length = WIRE_CGROUP;
	memset(record.args, 'y', sizeof(record.args));
	record.args[WIRE_ARGS - 1] = '\0';
	record.args_length = WIRE_ARGS;
	record.flags = WIRE_CGROUP_CUT;
	memset(record.comm, 'z', sizeof(record.comm));
	add(table, &record);
	process = find(table, 1, 1);
	assert_bytes(process->exe, process->exe_length, "/");
	assert_int_equal(process->cgroup_length, 3 + WIRE_CGROUP);
	assert_int_equal(process->args_length, WIRE_ARGS);
	assert_int_equal(strlen(process->comm), WIRE_COMM);
	process_table_free(table);
}

static void least_recently_used_goes(void **state)
{
	struct process_table *table = process_table_new(3);
	struct wire_process record;

	(void)state;
	for (wire_u32 pid = 1; pid <= 3; pid++) {
		record = record_process(pid, "a", "/bin/a", "a", "/");
		add(table, &record);
	}
	assert_non_null(find(table, 1, 1)); /* now 2 is the oldest */
	record = record_process(4, "a", "/bin/a", "a", "/");
	add(table, &record);
	assert_null(find(table, 2, 1));
	assert_non_null(find(table, 1, 1));
	assert_non_null(find(table, 3, 1));
	assert_non_null(find(table, 4, 1));
	process_table_free(table);
}

/* Long arguments cannot make it grow beyond its share. */
static void texts_are_bounded(void **state)
{
	struct process_table *table = process_table_new(8);
	struct wire_process record = record_process(1, "a", "/bin/a", "", "/");
	unsigned int kept = 0;

	(void)state;
	memset(record.args, 'y', sizeof(record.args));
	record.args[WIRE_ARGS - 1] = '\0';
	record.args_length = WIRE_ARGS;
	for (wire_u32 pid = 1; pid <= 8; pid++) {
		record.pid = pid;
		record.start = 1000000u + pid;
		add(table, &record);
	}
	for (wire_u32 pid = 1; pid <= 8; pid++)
		kept += !!find(table, pid, 1);
	assert_int_equal(kept, 3); /* of 8 KiB in all */
	assert_non_null(find(table, 8, 1));
	process_table_free(table);
}

static void names_of_users(void **state)
{
	struct process_table *table = process_table_new(2);

	(void)state;
	assert_null(process_table_user(table, 0));
	assert_int_equal(process_table_name_user(table, 0, "root"), 0);
	assert_int_equal(process_table_name_user(table, 1000, "dev"), 0);
	assert_string_equal(process_table_user(table, 0), "root");
	assert_string_equal(process_table_user(table, 1000), "dev");
	assert_int_equal(process_table_name_user(table, 1000, "ops"), 0);
	assert_string_equal(process_table_user(table, 1000), "ops");
	assert_string_equal(process_table_user(table, 0), "root");
	assert_int_equal(process_table_name_user(table, 1001, "new"), 0);
	assert_null(process_table_user(table, 0));
	assert_string_equal(process_table_user(table, 1001), "new");
	process_table_free(table);
}

static void emptied_and_used_again(void **state)
{
	struct process_table *table = process_table_new(1);

	(void)state;
	for (wire_u32 pid = 1; pid <= 100; pid++) {
		struct wire_process record = record_process(pid, "a", "/bin/a", "a", "/");

		add(table, &record);
		assert_non_null(find(table, pid, 1));
		assert_null(find(table, pid - 1, 1));
	}
	process_table_free(table);
	process_table_free(process_table_new(0));
	process_table_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taken_in),
		cmocka_unit_test(identity_is_all_three),
		cmocka_unit_test(unknown_stays_unknown),
		cmocka_unit_test(cut_paths),
		cmocka_unit_test(least_recently_used_goes),
		cmocka_unit_test(texts_are_bounded),
		cmocka_unit_test(names_of_users),
		cmocka_unit_test(emptied_and_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
