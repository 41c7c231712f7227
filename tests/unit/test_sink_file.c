/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lines to files that are rotated, moved, truncated, removed, and on disks that are full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bringing.h"
#include "lib/cleanup.h"

static char folder[] = "/tmp/portsnoop-file-XXXXXX", path[96], old_path[104];

static int64_t born_in; /* s: files will be made only then; 0: they were when they were */

int statx(int fd, const char *restrict name, int flags, unsigned int mask,
	  struct statx *restrict status)
{
	int result = (int)syscall(SYS_statx, fd, name, flags, mask, status);

	if (!result && born_in) {
		status->stx_mask |= STATX_BTIME;
		status->stx_btime.tv_sec = time(NULL) + born_in;
	}
	return result;
}

static int folder_make(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	return mkdtemp(folder) ? 0 : -1;
}

static int one_remove(const char *name, const struct stat *status, int flag, struct FTW *place)
{
	(void)status;
	(void)flag;
	(void)place;
	return remove(name);
}

static int folder_remove(void **state)
{
	(void)state;
	return nftw(folder, one_remove, 10, FTW_DEPTH | FTW_PHYS);
}

/* Each test has a folder of its own in it. */
static int place_make(void **state)
{
	static unsigned int number;

	(void)state;
	snprintf(path, sizeof(path), "%s/%u", folder, ++number);
	assert_return_code(mkdir(path, 0700), errno);
	strcat(path, "/events");
	snprintf(old_path, sizeof(old_path), "%s.1", path);
	return 0;
}

static void file_write(const char *name, const char *text)
{
	CLEANUP_FILE FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
}

/* Appends it; false: there is none. */
static bool file_append(const char *name, struct buffer *bytes)
{
	CLEANUP_FD int fd = open(name, O_RDONLY);
	struct stat status;

	if (fd < 0)
		return false;
	assert_return_code(fstat(fd, &status), errno);
	assert_true(buffer_room(bytes, (size_t)status.st_size + 1));
	assert_int_equal(read(fd, bytes->data + bytes->length, (size_t)status.st_size),
			 status.st_size);
	bytes->length += (size_t)status.st_size;
	return true;
}

static unsigned int old_count(void)
{
	char name[128];

	for (unsigned int number = 1;; number++) {
		snprintf(name, sizeof(name), "%s.%u", path, number);
		if (access(name, F_OK))
			return number - 1;
	}
}

/* All files together, the oldest first: each begins with the head. */
static void files_check(const struct bringing *bringing, unsigned int old, const char *head)
{
	CLEANUP(received_free) struct bringing_received received = {0};

	for (unsigned int number = old; number > 0; number--) {
		char name[128];

		snprintf(name, sizeof(name), "%s.%u", path, number);
		if (!file_append(name, received_part(&received)))
			fail_msg("%s is missing", name);
	}
	assert_true(file_append(path, received_part(&received)));
	received_check(&received, bringing, head);
}

static void bringing_file(struct bringing *bringing)
{
	bringing_make(bringing, &sink_file);
	bringing->spec.path = path;
	bringing->spec.keep = 5;
}

static void test_lines(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	struct stat status;

	(void)state;
	umask(022);
	bringing_file(&bringing);
	bringing_prepare(&bringing);
	bringing_frames_add(&bringing, 3000);
	bringing_settle_all(&bringing);
	assert_return_code(stat(path, &status), errno);
	assert_int_equal(status.st_mode & 07777, 0640);
	files_check(&bringing, 0, NULL);
	/* Appended to, after another start. */
	bringing_close(&bringing);
	bringing_frames_add(&bringing, 10);
	bringing_settle_all(&bringing);
	files_check(&bringing, 0, NULL);
}

static void test_half_line(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	CLEANUP(buffer_free) struct buffer bytes = BUFFER_EMPTY;

	(void)state;
	file_write(path, "whole\nhal");
	bringing_file(&bringing);
	bringing_prepare(&bringing);
	bringing_frame_add(&bringing, "next\n", 5);
	bringing_settle_all(&bringing);
	assert_true(file_append(path, &bytes));
	assert_int_equal(bytes.length, 15);
	assert_memory_equal(bytes.data, "whole\nhal\nnext\n", 15);
}

static void refuse(int error, const char *why)
{
	struct bringing bringing;

	bringing_file(&bringing);
	assert_int_equal(sink_file.prepare(&bringing.sink), error);
	assert_non_null(strstr(bringing.sink.why, why));
	bringing_free(&bringing);
}

static void test_refused(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	char other[128];

	(void)state;
	snprintf(other, sizeof(other), "%s.other", path);
	file_write(other, "");
	assert_return_code(symlink(other, path), errno);
	refuse(-ELOOP, "symbolic link");
	unlink(path);
	assert_return_code(mkdir(path, 0700), errno);
	refuse(-EISDIR, "folder");
	rmdir(path);
	assert_return_code(mkfifo(path, 0600), errno);
	refuse(-ENODEV, "regular file");
	unlink(path);
	bringing_file(&bringing);
	bringing_prepare(&bringing);
	refuse(-EBUSY, "another process");
	strcpy(path, "/nonexistent/events");
	refuse(-ENOENT, "folder does not exist");
	strcpy(path, other);
}

/* ---- a full disk ---- */

static void size_limit(rlim_t most)
{
	struct rlimit limit;

	assert_return_code(getrlimit(RLIMIT_FSIZE, &limit), errno);
	limit.rlim_cur = most;
	assert_return_code(setrlimit(RLIMIT_FSIZE, &limit), errno);
}

static void test_full(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	CLEANUP(buffer_free) struct buffer bytes = BUFFER_EMPTY;
	size_t expected = 0;

	(void)state;
	bringing_file(&bringing);
	bringing_prepare(&bringing);
	bringing_frames_add(&bringing, 1000);
	for (rlim_t most = 1; most < 60000; most += most < 50 ? 1 : 997) {
		size_limit(most);
		bringing_step(&bringing);
		bringing_step(&bringing);
		assert_int_equal(bringing.error, -EFBIG);
		size_limit(RLIM_INFINITY);
		/* Whole lines, as many as there is room for. */
		buffer_reset(&bytes);
		assert_true(file_append(path, &bytes));
		while (expected < bringing.settled)
			expected++;
		assert_true(bytes.length <= most);
		assert_true(bytes.length + bringing.frames[expected].size > most);
		assert_true(!bytes.length || bytes.data[bytes.length - 1] == '\n');
	}
	bringing_settle_all(&bringing);
	buffer_reset(&bytes);
	assert_true(file_append(path, &bytes));
	for (size_t i = 0, at = 0; i < bringing.count; i++) {
		assert_memory_equal(bytes.data + at, bringing.frames[i].bytes,
				    bringing.frames[i].size);
		at += bringing.frames[i].size;
		assert_true(i + 1 < bringing.count || at == bytes.length);
	}
}

/* ---- rotation ---- */

static off_t file_size(const char *name)
{
	struct stat status;

	return stat(name, &status) ? -1 : status.st_size;
}

static void test_rotate_size(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	char name[128];

	(void)state;
	bringing_file(&bringing);
	bringing.spec.rotate_size = 20000;
	bringing.spec.keep = 100;
	bringing_prepare(&bringing);
	bringing_frames_add(&bringing, 1000);
	bringing_settle_all(&bringing);
	/* No file is larger, none has room for the next line, and none is missing. */
	for (unsigned int number = 1; number <= 15; number++) {
		snprintf(name, sizeof(name), "%s.%u", path, number);
		assert_in_range(file_size(name), 20000 - 610, 20000);
	}
	assert_int_equal(old_count(), 15);
	files_check(&bringing, 15, NULL);
	assert_int_equal(bringing.failures, 0);
}

/* Lines that fill a file to the byte, and one that is longer than a file may be. */
static void test_rotate_bounds(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	static const int sizes[] = {6, 6, 6, 30, 6, 6};
	char text[32], name[128];

	(void)state;
	bringing_file(&bringing);
	bringing.spec.rotate_size = 12;
	bringing_prepare(&bringing);
	for (int i = 0; i < 6; i++) {
		snprintf(text, sizeof(text), "%d %-*s", i, sizes[i] - 3, "x");
		strcat(text, "\n");
		bringing_frame_add(&bringing, text, strlen(text));
	}
	bringing_settle_all(&bringing);
	static const off_t expected[] = {12, 30, 6, 12};
	for (unsigned int number = 0; number < 4; number++) {
		snprintf(name, sizeof(name), number ? "%s.%u" : "%s", path, number);
		assert_int_equal(file_size(name), expected[number]);
	}
	files_check(&bringing, 3, NULL);
}

static void test_rotate_keep(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	CLEANUP(buffer_free) struct buffer bytes = BUFFER_EMPTY;
	char name[128];

	(void)state;
	/* Of a time when more was kept; and what is not of ours. */
	for (unsigned int number = 1; number <= 4; number++) {
		snprintf(name, sizeof(name), "%s.%u", path, number);
		file_write(name, "old\n");
	}
	snprintf(name, sizeof(name), "%s.6", path);
	file_write(name, "not ours\n");
	bringing_file(&bringing);
	bringing.spec.rotate_size = 4;
	bringing.spec.keep = 2;
	bringing_prepare(&bringing);
	bringing_frame_add(&bringing, "one\n", 4);
	bringing_frame_add(&bringing, "two\n", 4);
	bringing_settle_all(&bringing);
	assert_true(file_append(path, &bytes));
	assert_true(file_append(old_path, &bytes));
	snprintf(name, sizeof(name), "%s.2", path);
	assert_true(file_append(name, &bytes));
	assert_int_equal(bytes.length, 12);
	assert_memory_equal(bytes.data, "two\none\nold\n", 12);
	for (unsigned int number = 3; number <= 6; number++) {
		snprintf(name, sizeof(name), "%s.%u", path, number);
		assert_int_equal(file_size(name), number == 6 ? 9 : -1);
	}
}

static void test_rotate_age(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;

	(void)state;
	bringing_file(&bringing);
	bringing.spec.rotate_age = UINT64_C(3600000000000);
	bringing_prepare(&bringing);
	bringing_frames_add(&bringing, 1);
	bringing_settle_all(&bringing);
	bringing_frames_add(&bringing, 1);
	bringing_settle_all(&bringing);
	files_check(&bringing, 0, NULL);
	assert_int_equal(file_size(old_path), -1);
	bringing.spec.rotate_age = 1;
	bringing_frames_add(&bringing, 1);
	bringing_settle_all(&bringing);
	files_check(&bringing, 1, NULL);
	assert_int_equal(file_size(old_path), bringing.frames[0].size + bringing.frames[1].size);
}

/* Made when the clock was a day ahead: that does not keep it for a day longer. */
static void test_rotate_clock_back(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;

	(void)state;
	file_write(path, "a line\n");
	bringing_file(&bringing);
	bringing.spec.rotate_age = 1;
	born_in = 86400;
	bringing_prepare(&bringing);
	born_in = 0;
	bringing_frames_add(&bringing, 1);
	bringing_settle_all(&bringing);
	assert_int_equal(file_size(old_path), -1);
	bringing_frames_add(&bringing, 1);
	bringing_settle_all(&bringing);
	assert_true(file_size(old_path) > 0);
}

static void test_rotate_heading(void **state)
{
	CLEANUP(buffer_free) struct buffer first = BUFFER_EMPTY;
	CLEANUP(bringing_free) struct bringing bringing;
	size_t length;

	(void)state;
	bringing_file(&bringing);
	bringing.spec.format = &format_csv;
	bringing.spec.keep = 100;
	bringing_prepare(&bringing);
	bringing_step(&bringing);
	/* A heading alone is no reason to rotate. */
	assert_true(file_append(path, &first));
	length = first.length;
	assert_true(length > 100 && first.data[length - 1] == '\n');
	bringing.spec.rotate_size = length + 1;
	bringing_frames_add(&bringing, 10);
	bringing_settle_all(&bringing);
	buffer_byte(&first, '\0');
	assert_int_equal(old_count(), 9);
	files_check(&bringing, old_count(), first.data);
	/* Not again where there is one. */
	bringing_close(&bringing);
	bringing_step(&bringing);
	files_check(&bringing, old_count(), first.data);
}

/* What cannot be rotated grows, and is whole. */
static void test_rotate_never(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	int saved = dup(STDERR_FILENO);

	(void)state;
	assert_return_code(mkdir(old_path, 0700), errno);
	bringing_file(&bringing);
	bringing.spec.keep = 1;
	bringing.spec.rotate_size = 1000;
	bringing_prepare(&bringing);
	bringing_frames_add(&bringing, 100);
	assert_return_code(dup2(open("/dev/null", O_WRONLY), STDERR_FILENO), errno);
	bringing_settle_all(&bringing);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(bringing.failures, 0);
	files_check(&bringing, 0, NULL);
}

/* ---- what others do to it ---- */

/* As logrotate does with `create`, at the usual moments. */
static void test_moved(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;

	(void)state;
	bringing_file(&bringing);
	bringing_prepare(&bringing);
	bringing_frames_add(&bringing, 10);
	bringing_settle_all(&bringing);
	assert_return_code(rename(path, old_path), errno);
	/* It waits for the new one, and writes to neither. */
	bringing_frames_add(&bringing, 10);
	bringing_step(&bringing);
	assert_int_equal(bringing.waits, 1);
	assert_int_equal(bringing.settled, 10);
	assert_int_equal(file_size(path), -1);
	file_write(path, "");
	bringing_settle_all(&bringing);
	assert_int_equal(bringing.failures, 0);
	files_check(&bringing, 1, NULL);
	/* Told to open it again. */
	assert_return_code(rename(path, old_path), errno);
	bringing_close(&bringing);
	bringing_frames_add(&bringing, 1);
	bringing_settle_all(&bringing);
	assert_int_equal(file_size(path), bringing.frames[20].size);
}

/* Nobody makes a new one: it does so itself after a while. */
static void test_removed(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	off_t size = 0;

	(void)state;
	bringing_file(&bringing);
	bringing_prepare(&bringing);
	bringing_frames_add(&bringing, 10);
	bringing_settle_all(&bringing);
	unlink(path);
	bringing_frames_add(&bringing, 10);
	bringing_settle_all(&bringing);
	assert_int_equal(bringing.failures, 0);
	for (size_t i = 10; i < 20; i++)
		size += bringing.frames[i].size;
	assert_int_equal(file_size(path), size);
}

static void test_folder_missing(void **state)
{
	CLEANUP(bringing_free) struct bringing bringing;
	char place[96], away[128];

	(void)state;
	snprintf(place, sizeof(place), "%.*s", (int)(strrchr(path, '/') - path), path);
	snprintf(away, sizeof(away), "%s.away", place);
	bringing_file(&bringing);
	bringing_prepare(&bringing);
	bringing_frames_add(&bringing, 10);
	bringing_settle_all(&bringing);
	assert_return_code(rename(place, away), errno);
	bringing_close(&bringing);
	bringing_frames_add(&bringing, 10);
	bringing_step(&bringing);
	bringing_step(&bringing);
	assert_int_equal(bringing.failures, 2);
	assert_string_equal(bringing.sink.why, "its folder does not exist");
	assert_return_code(rename(away, place), errno);
	bringing_settle_all(&bringing);
	assert_int_equal(bringing.failures, 2);
	files_check(&bringing, 0, NULL);
}

/* As logrotate does with `copytruncate`: what came behind the copy is not lost. */
static void test_truncated(void **state)
{
	CLEANUP(buffer_free) struct buffer copy = BUFFER_EMPTY;
	CLEANUP(bringing_free) struct bringing bringing;
	CLEANUP_FILE FILE *file = NULL;

	(void)state;
	bringing_file(&bringing);
	bringing_prepare(&bringing);
	bringing_frames_add(&bringing, 10);
	bringing_settle_all(&bringing);
	assert_true(file_append(path, &copy));
	file = fopen(old_path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(copy.data, 1, copy.length, file), copy.length);
	fclose(TAKE_POINTER(file));
	bringing_frames_add(&bringing, 10);
	bringing_settle_all(&bringing);
	assert_return_code(truncate(path, 0), errno);
	bringing_frames_add(&bringing, 10);
	bringing_settle_all(&bringing);
	assert_int_equal(bringing.failures, 0);
	files_check(&bringing, 1, NULL);
	/* Once. */
	copy.length = 0;
	assert_true(file_append(path, &copy));
	assert_int_equal(copy.length, file_size(path));
	bringing_frames_add(&bringing, 1);
	bringing_settle_all(&bringing);
	assert_int_equal(file_size(path), copy.length + bringing.frames[30].size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_lines, place_make),
		cmocka_unit_test_setup(test_half_line, place_make),
		cmocka_unit_test_setup(test_refused, place_make),
		cmocka_unit_test_setup(test_full, place_make),
		cmocka_unit_test_setup(test_rotate_size, place_make),
		cmocka_unit_test_setup(test_rotate_bounds, place_make),
		cmocka_unit_test_setup(test_rotate_keep, place_make),
		cmocka_unit_test_setup(test_rotate_age, place_make),
		cmocka_unit_test_setup(test_rotate_clock_back, place_make),
		cmocka_unit_test_setup(test_rotate_heading, place_make),
		cmocka_unit_test_setup(test_rotate_never, place_make),
		cmocka_unit_test_setup(test_moved, place_make),
		cmocka_unit_test_setup(test_removed, place_make),
		cmocka_unit_test_setup(test_folder_missing, place_make),
		cmocka_unit_test_setup(test_truncated, place_make),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
