/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lines to a file: appended, never torn. The file is where its name is: when it was moved,
 * removed or truncated, by logrotate or by hand, no line goes where nobody looks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "sink/courier.h"
#include "sink/heading.h"
#include "sink/rotation.h"

#define NS_PER_S INT64_C(1000000000)
#define MODE 0640
/* Who moves a file away makes a new one: logrotate minds one that is there before. */
#define GONE_NS (2 * NS_PER_S)
/* Of logrotate's copytruncate, what is written between copying and truncating is lost. So much
 * is written once more when a file was truncated. */
#define RECENT_NS (2 * NS_PER_S)
#define RECENT_BYTES (4u << 20)
#define ROTATION_AGAIN_NS (60 * NS_PER_S)
#define BUSY_LOOK_MS 50

struct file {
	int fd;		 /* -1: not open */
	struct stat who; /* it is */
	uint64_t size;
	int64_t began;	   /* CLOCK_REALTIME; for rotate-age */
	bool torn;	   /* its end is no end of a line */
	bool owed;	   /* it was truncated, and what is recent not yet written again */
	int64_t gone;	   /* CLOCK_MONOTONIC: its name was found gone; 0: it was not */
	int64_t unrotated; /* CLOCK_MONOTONIC: rotating failed; 0: it did not */
	struct buffer heading;
	struct buffer older, newer; /* what was written last; `newer` since: */
	int64_t since;		    /* CLOCK_MONOTONIC */
};

/* ---- opening ---- */

static int file_fail(struct sink *sink, int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
		return sink_fail(sink, error, "its folder does not exist");
	case -ELOOP:
		return sink_fail(sink, error, "is a symbolic link, which is not followed");
	case -EISDIR:
		return sink_fail(sink, error, "is a folder");
	case -ENODEV:
		return sink_fail(sink, error,
				 "is not a regular file; a socket is written to with unix:PATH");
	case -EWOULDBLOCK:
		/* Not as it is: that would mean that the file stays open. */
		return sink_fail(sink, -EBUSY, "another process writes to it");
	default:
		return sink_fail(sink, error, "%s", strerror(-error));
	}
}

static int kind_check(mode_t mode)
{
	if (S_ISLNK(mode))
		return -ELOOP;
	if (S_ISDIR(mode))
		return -EISDIR;
	return S_ISREG(mode) ? 0 : -ENODEV;
}

/* The descriptor, or negative errno. Looks before it opens: opening a device or a pipe can
 * have effects. */
static int regular_open(const char *path, struct stat *status)
{
	CLEANUP_FD int fd = -1;
	int error = lstat(path, status) ? 0 : kind_check(status->st_mode);

	if (error)
		return error;
	fd = open(path,
		  O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
		  MODE);
	if (fd < 0 || fstat(fd, status))
		return -errno;
	error = kind_check(status->st_mode);
	if (error)
		return error;
	/* Where a file system has no locks, it goes without. */
	if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		return -EWOULDBLOCK;
	return TAKE_FD(fd);
}

/* When it was made, where that can be known. */
static int64_t file_birth(int fd, uint64_t size)
{
	int64_t now = clock_ns(CLOCK_REALTIME);
	struct statx status;

	if (!size || statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &status) ||
	    !(status.stx_mask & STATX_BTIME))
		return now;
	return status.stx_btime.tv_sec * NS_PER_S + status.stx_btime.tv_nsec;
}

static int file_take(struct sink *sink)
{
	struct file *file = sink->state;
	struct stat status;
	char last = '\n';
	int fd = regular_open(sink->spec->path, &status);

	if (fd < 0)
		return file_fail(sink, fd);
	file->fd = fd;
	file->who = status;
	file->size = (uint64_t)status.st_size;
	file->began = file_birth(fd, file->size);
	file->gone = 0;
	/* Half a line: somebody was stopped in the middle of it. */
	file->torn = file->size && pread(fd, &last, 1, status.st_size - 1) == 1 && last != '\n';
	return 0;
}

static void file_close(struct sink *sink)
{
	struct file *file = sink->state;

	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

/* The courier of a program that was killed may still be at it. */
static int file_take_patiently(struct sink *sink)
{
	const struct timespec pause = {.tv_nsec = BUSY_LOOK_MS * 1000000L};
	int error;

	for (unsigned int ms = 0;; ms += BUSY_LOOK_MS) {
		error = file_take(sink);
		if (error != -EBUSY || ms >= COURIER_SPOOL_WAIT_MS)
			return error;
		nanosleep(&pause, NULL);
	}
}

static int file_prepare(struct sink *sink)
{
	struct file *file = calloc(1, sizeof(*file));
	int error;

	if (!file)
		return sink_fail(sink, -ENOMEM, "out of memory");
	file->fd = -1;
	sink->state = file;
	heading_make(sink, &file->heading);
	if (file->heading.failed)
		return sink_fail(sink, -ENOMEM, "out of memory");
	error = file_take_patiently(sink);
	return error == -ENOSPC || error == -EDQUOT ? 0 : error;
}

static void file_free(struct sink *sink)
{
	struct file *file = sink->state;

	if (!file)
		return;
	file_close(sink);
	buffer_free(&file->heading);
	buffer_free(&file->older);
	buffer_free(&file->newer);
	free(file);
	sink->state = NULL;
}

/* ---- writing ---- */

/* Cuts off what stands behind the last whole line, unless the file has changed meanwhile. */
static void tail_cut(struct file *file, size_t length)
{
	struct stat status;

	if (!length)
		return;
	if (!fstat(file->fd, &status) && (uint64_t)status.st_size == file->size &&
	    !ftruncate(file->fd, (off_t)(file->size - length)))
		file->size -= length;
	else
		file->torn = true;
}

/* How much of it was written: all, or *error says why not. */
static size_t bytes_write(struct file *file, const char *bytes, size_t length, int *error)
{
	size_t done = 0;
	off_t end;

	*error = 0;
	while (done < length && !*error) {
		ssize_t written = write(file->fd, bytes + done, length - done);

		if (written >= 0)
			done += (size_t)written;
		else if (errno != EINTR)
			*error = -errno;
	}
	end = done ? lseek(file->fd, 0, SEEK_CUR) : -1;
	if (end < 0)
		return done;
	/* Truncated since the last look: what was written before is gone. */
	if ((uint64_t)end < file->size + done)
		file->owed = true;
	file->size = (uint64_t)end;
	return done;
}

/* Lines of our own making; all or nothing. 0, or negative errno. */
static int lines_write(struct file *file, const struct buffer *lines)
{
	int error;
	size_t done = bytes_write(file, lines->data, lines->length, &error);

	if (error)
		tail_cut(file, done);
	return error;
}

/* What must stand in front of the next line. */
static int place_prepare(struct file *file)
{
	struct buffer newline = {.data = "\n", .length = 1};
	int error = 0;

	if (file->torn)
		error = lines_write(file, &newline);
	if (error)
		return error;
	file->torn = false;
	if (!file->size)
		error = lines_write(file, &file->heading);
	if (error || !file->owed)
		return error;
	error = lines_write(file, &file->older);
	if (!error)
		error = lines_write(file, &file->newer);
	file->owed = error != 0;
	return error;
}

static int file_open(struct sink *sink)
{
	struct file *file = sink->state;
	int error = file->fd >= 0 ? 0 : file_take(sink);

	if (error)
		return error;
	error = place_prepare(file);
	if (!error)
		return 0;
	file_close(sink);
	return file_fail(sink, error);
}

/* ---- where the file is ---- */

static int file_again(struct sink *sink)
{
	file_close(sink);
	return file_open(sink);
}

/* 0: it is where its name is. -EAGAIN: its name is gone, and may come back. */
static int place_check(struct sink *sink)
{
	struct file *file = sink->state;
	struct stat status;
	int64_t now;

	if (!lstat(sink->spec->path, &status)) {
		file->gone = 0;
		if (status.st_dev != file->who.st_dev || status.st_ino != file->who.st_ino)
			return file_again(sink);
		if ((uint64_t)status.st_size >= file->size)
			return 0;
		file->size = (uint64_t)status.st_size;
		file->began = clock_ns(CLOCK_REALTIME);
		file->torn = false;
		file->owed = true;
		return 0;
	}
	/* What cannot be seen may be there. */
	if (errno != ENOENT && errno != ENOTDIR)
		return 0;
	now = clock_ns(CLOCK_MONOTONIC);
	if (!file->gone)
		file->gone = now;
	if (now - file->gone < GONE_NS)
		return sink_fail(sink, -EAGAIN, "it was moved away, or removed");
	return file_again(sink);
}

static bool rotation_due(const struct sink *sink, size_t more)
{
	const struct sink_spec *spec = sink->spec;
	struct file *file = sink->state;
	int64_t now = clock_ns(CLOCK_REALTIME), age = now - file->began;

	/* The clock was wrong when it was made. */
	if (age < 0)
		file->began = now;
	if (file->size <= file->heading.length)
		return false;
	if (file->unrotated && clock_ns(CLOCK_MONOTONIC) - file->unrotated < ROTATION_AGAIN_NS)
		return false;
	return (spec->rotate_size && file->size + more > spec->rotate_size) ||
	       (spec->rotate_age && age > 0 && (uint64_t)age >= spec->rotate_age);
}

/* A file that cannot be rotated grows: that is better than to lose lines. */
static int file_rotate(struct sink *sink)
{
	struct file *file = sink->state;
	int error = rotation_turn(sink->spec->path, sink->spec->keep);

	if (!error) {
		file->unrotated = 0;
		return file_again(sink);
	}
	file->unrotated = clock_ns(CLOCK_MONOTONIC);
	log_error(error, "%s cannot be rotated, and grows", sink->spec->path);
	return 0;
}

/* ---- frames ---- */

static void recent_age(struct file *file)
{
	int64_t now = clock_ns(CLOCK_MONOTONIC);
	struct buffer empty = file->older;

	if (now - file->since < RECENT_NS && file->newer.length < RECENT_BYTES)
		return;
	file->older = file->newer;
	file->newer = empty;
	buffer_reset(&file->newer);
	file->since = now;
}

/* How many fit into the file as it is; one always does. */
static size_t frames_fit(const struct sink *sink, const struct frame *frames, size_t count)
{
	const struct file *file = sink->state;
	uint64_t size = file->size + frames[0].size;
	size_t fit = 1;

	if (!sink->spec->rotate_size || file->unrotated)
		return count;
	while (fit < count && size + frames[fit].size <= sink->spec->rotate_size)
		size += frames[fit++].size;
	return fit;
}

/* How many are written, or negative errno. */
static ssize_t frames_write(struct file *file, const struct frame *frames, size_t count)
{
	size_t start, done, taken = 0;
	int error;

	recent_age(file);
	start = file->newer.length;
	for (size_t i = 0; i < count; i++)
		buffer_append(&file->newer, frames[i].bytes, frames[i].size);
	if (file->newer.failed) {
		buffer_reset(&file->newer);
		return -ENOMEM;
	}
	done = bytes_write(file, file->newer.data + start, file->newer.length - start, &error);
	file->newer.length = start;
	while (taken < count && done >= frames[taken].size) {
		done -= frames[taken].size;
		file->newer.length += frames[taken++].size;
	}
	tail_cut(file, done);
	return taken ? (ssize_t)taken : error;
}

static ssize_t file_send(struct sink *sink, const struct frame *frames, size_t *count)
{
	struct file *file = sink->state;
	ssize_t taken;
	int error = place_check(sink);

	if (!error && rotation_due(sink, frames[0].size))
		error = file_rotate(sink);
	if (error)
		return error;
	error = place_prepare(file);
	if (error)
		return file_fail(sink, error);
	taken = frames_write(file, frames, frames_fit(sink, frames, *count));
	if (taken < 0)
		return file_fail(sink, (int)taken);
	/* In vain: it is owed, and the next one tries again. */
	if (file->owed)
		place_prepare(file);
	return taken;
}

const struct sink_ops sink_file = {
	.prepare = file_prepare,
	.open = file_open,
	.send = file_send,
	.close = file_close,
	.free = file_free,
};
