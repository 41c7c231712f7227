/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/rotation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/cleanup.h"

/* NULL without memory. */
static char *name_make(const char *path, uint64_t number)
{
	char *name;

	return asprintf(&name, "%s.%" PRIu64, path, number) < 0 ? NULL : name;
}

static int old_exists(const char *path, uint64_t number)
{
	CLEANUP_FREE char *name = name_make(path, number);
	struct stat status;

	if (!name)
		return -ENOMEM;
	if (!lstat(name, &status))
		return 1;
	return errno == ENOENT ? 0 : -errno;
}

/* 0: the file itself. */
static int old_move(const char *path, uint64_t number)
{
	CLEANUP_FREE char *from = number ? name_make(path, number) : NULL;
	CLEANUP_FREE char *to = name_make(path, number + 1);

	if ((number && !from) || !to)
		return -ENOMEM;
	return rename(from ? from : path, to) ? -errno : 0;
}

/* What was kept when more was to be kept. */
static void rest_remove(const char *path, uint64_t number)
{
	for (;; number++) {
		CLEANUP_FREE char *name = name_make(path, number);

		if (!name || unlink(name))
			return;
	}
}

int rotation_turn(const char *path, uint64_t keep)
{
	uint64_t last = 0;
	int error = 0;

	/* Up to the first number that is free: those behind it stay. */
	while (last + 1 < keep && (error = old_exists(path, last + 1)) > 0)
		last++;
	if (error < 0)
		return error;
	for (uint64_t number = last + 1; number-- > 0;) {
		error = old_move(path, number);
		if (error)
			return error;
	}
	rest_remove(path, keep + 1);
	return 0;
}
