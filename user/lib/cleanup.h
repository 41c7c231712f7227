/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Locals that give back what they own when they go out of scope. Initialise them
 * where they are declared (-1, NULL); hand the value on with TAKE_FD() or
 * TAKE_POINTER(), which leave the local empty.
 */
#ifndef PORTSNOOP_CLEANUP_H
#define PORTSNOOP_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY; */
#define CLEANUP(function) __attribute__((cleanup(function)))

#define CLEANUP_FD CLEANUP(cleanup_fd)	   /* int; below 0: none */
#define CLEANUP_FILE CLEANUP(cleanup_file) /* FILE *; NULL: none */
#define CLEANUP_DIR CLEANUP(cleanup_dir)   /* DIR *; NULL: none */
#define CLEANUP_FREE CLEANUP(cleanup_free) /* any pointer from malloc() */

/* Each keeps errno, so that it can be read behind the scope. */
static inline void cleanup_fd(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_file(FILE *const *file)
{
	int saved = errno;

	if (*file)
		fclose(*file);
	errno = saved;
}

static inline void cleanup_dir(DIR *const *folder)
{
	int saved = errno;

	if (*folder)
		closedir(*folder);
	errno = saved;
}

static inline void cleanup_free(void *pointer)
{
	int saved = errno;

	free(*(void **)pointer);
	errno = saved;
}

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int taken__ = (fd);                                                                \
		(fd) = -1;                                                                         \
		taken__;                                                                           \
	})

#define TAKE_POINTER(pointer)                                                                      \
	({                                                                                         \
		__typeof__(pointer) taken__ = (pointer);                                           \
		(pointer) = NULL;                                                                  \
		taken__;                                                                           \
	})

#endif
