/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/pool.h"

/* A folder that stands for /proc; its name is in *state. */
static const char *const folders[] = {"", "/sys", "/sys/net", "/sys/net/ipv4"};
static const char *const files[] = {POOL_RANGE, POOL_RESERVED, POOL_UNPRIVILEGED, POOL_REUSE,
				    POOL_REUSE_DELAY};

static void path_make(char path[256], const char *proc, const char *name)
{
	snprintf(path, 256, "%s/%s", proc, name);
}

static int proc_make(void **state)
{
	char path[256], *proc = strdup("/tmp/portsnoop-pool-XXXXXX");

	if (!proc || !mkdtemp(proc)) {
		free(proc);
		return -1;
	}
	*state = proc;
	for (size_t i = 1; i < 4; i++) {
		path_make(path, proc, folders[i] + 1);
		if (mkdir(path, 0700))
			return -1;
	}
	return 0;
}

static int proc_remove(void **state)
{
	char path[256];

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		path_make(path, *state, files[i]);
		unlink(path);
	}
	for (size_t i = 4; i-- > 1;) {
		path_make(path, *state, folders[i] + 1);
		rmdir(path);
	}
	rmdir(*state);
	free(*state);
	return 0;
}

static void write_bytes(const char *proc, const char *name, const char *text, size_t length)
{
	char path[256];
	FILE *file;

	path_make(path, proc, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static void write_text(const char *proc, const char *name, const char *text)
{
	write_bytes(proc, name, text, strlen(text));
}

static void reads_what_the_kernel_writes(void **state)
{
	struct pool pool;

	write_text(*state, POOL_RANGE, "32768\t60999\n");
	write_text(*state, POOL_RESERVED, "8080,40000-40002\n");
	write_text(*state, POOL_UNPRIVILEGED, "1024\n");
	pool_read(&pool, *state);
	assert_int_equal(pool.range_error, 0);
	assert_int_equal(pool.reserved_error, 0);
	assert_int_equal(pool.unprivileged_error, 0);
	assert_int_equal(pool.low, 32768);
	assert_int_equal(pool.high, 60999);
	assert_int_equal(pool.unprivileged, 1024);
	for (unsigned int port = 0; port <= 65535; port++)
		assert_int_equal(port_set_has(&pool.reserved, (uint16_t)port),
				 port == 8080 || (port >= 40000 && port <= 40002));
}

static void none_reserved(void **state)
{
	static const struct port_set none;
	struct pool pool;

	write_text(*state, POOL_RESERVED, "\n");
	pool_read(&pool, *state);
	assert_int_equal(pool.reserved_error, 0);
	assert_memory_equal(&pool.reserved, &none, sizeof(none));
}

static void reuse_of_time_wait(void **state)
{
	struct pool pool;

	pool_read(&pool, *state);
	assert_int_equal(pool.reuse_error, -ENOENT);
	write_text(*state, POOL_REUSE, "2\n");
	pool_read(&pool, *state);
	assert_int_equal(pool.reuse_error, 0);
	assert_int_equal(pool.reuse, 2);
	assert_int_equal(pool.reuse_delay, 1000); /* before 6.14 nobody could say */
	write_text(*state, POOL_REUSE_DELAY, "20\n");
	pool_read(&pool, *state);
	assert_int_equal(pool.reuse_delay, 20);
	write_text(*state, POOL_REUSE, "3\n");
	pool_read(&pool, *state);
	assert_int_equal(pool.reuse_error, -EBADMSG);
	assert_int_equal(pool.reuse, 0);
}

/* Every other port: longer than any fixed room. */
static void many_reserved(void **state)
{
	char *text = malloc((size_t)65536 * 6), *end = text;
	struct pool pool;

	assert_non_null(text);
	for (unsigned int port = 1; port <= 65535; port += 2)
		end += sprintf(end, "%s%u", end == text ? "" : ",", port);
	strcpy(end, "\n");
	write_text(*state, POOL_RESERVED, text);
	free(text);
	pool_read(&pool, *state);
	assert_int_equal(pool.reserved_error, 0);
	for (unsigned int port = 0; port <= 65535; port++)
		assert_int_equal(port_set_has(&pool.reserved, (uint16_t)port), port & 1);
}

static void absent_is_an_error(void **state)
{
	char path[256];
	struct pool pool;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		path_make(path, *state, files[i]);
		unlink(path);
	}
	write_text(*state, POOL_UNPRIVILEGED, "0\n");
	memset(&pool, 0xff, sizeof(pool));
	pool_read(&pool, *state);
	assert_int_equal(pool.range_error, -ENOENT);
	assert_int_equal(pool.reserved_error, -ENOENT);
	assert_int_equal(pool.unprivileged_error, 0);
	assert_int_equal(pool.low, 0);
	assert_int_equal(pool.high, 0);
	assert_int_equal(pool.unprivileged, 0);
	assert_false(port_set_has(&pool.reserved, 80));
}

static void nonsense_is_an_error(void **state)
{
	static const char *const ranges[] = {
		"",	  "\n",	     "32768\n", "1 65536\n", "60999\t32768\n", "1\t2\t3\n",
		"x\ty\n", "-1\t5\n", "1\t\n",	"\t1\n",     "1\t2x\n"};
	static const char *const lists[] = {"a\n", "80,\n", "1-\n", "65536\n", "9-8\n", "80 81\n"};
	static const char *const starts[] = {"", "\n", "65536\n", "-1\n", "10 24\n", "1k\n"};
	struct pool pool;

	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		write_text(*state, POOL_RANGE, ranges[i]);
		pool_read(&pool, *state);
		assert_int_equal(pool.range_error, -EBADMSG);
		assert_int_equal(pool.low | pool.high, 0);
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		write_text(*state, POOL_RESERVED, lists[i]);
		pool_read(&pool, *state);
		assert_int_equal(pool.reserved_error, -EBADMSG);
	}
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		write_text(*state, POOL_UNPRIVILEGED, starts[i]);
		pool_read(&pool, *state);
		assert_int_equal(pool.unprivileged_error, -EBADMSG);
	}
	write_bytes(*state, POOL_UNPRIVILEGED,
		    "10\0"
		    "24\n",
		    6);
	pool_read(&pool, *state);
	assert_int_equal(pool.unprivileged_error, -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_the_kernel_writes),
		cmocka_unit_test(none_reserved),
		cmocka_unit_test(reuse_of_time_wait),
		cmocka_unit_test(many_reserved),
		cmocka_unit_test(absent_is_an_error),
		cmocka_unit_test(nonsense_is_an_error),
	};

	return cmocka_run_group_tests(tests, proc_make, proc_remove);
}
