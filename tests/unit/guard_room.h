/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For the tests of the guard: what is given up is gone for good, so that each part runs in a
 * child. */
#ifndef PORTSNOOP_GUARD_ROOM_H
#define PORTSNOOP_GUARD_ROOM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"

/* In a child, where cmocka's assertions have nobody to tell. */
static unsigned int complaints;

#define expect(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __func__, __LINE__, #condition,  \
				errno);                                                            \
			complaints++;                                                              \
		}                                                                                  \
	} while (0)

/* Without what ends a program well: that makes threads, and looks for leaks by ptrace. */
static inline void leave(void) __attribute__((noreturn));

static inline void leave(void)
{
	fflush(NULL);
	_exit(complaints ? 1 : 0);
}

static inline void entered(const char *name, int error, const char *why)
{
	if (!error)
		return;
	fprintf(stderr, "%s: %d: %s\n", name, error, why);
	_exit(1);
}

static inline void child_expect(int (*function)(void *context), void *context)
{
	static struct child_result result; /* too large for a stack */

	result = child_run(function, context, -1);
	if (result.status || *result.err)
		fail_msg("status %d: %s", result.status, result.err);
}

static inline void denied(const char *name, long result)
{
	if (result != -1 || errno != EPERM) {
		fprintf(stderr, "%s: result %ld, errno %d\n", name, result, errno);
		complaints++;
	}
}

#define DENIED(name, ...) denied(#name, syscall(SYS_##name, ##__VA_ARGS__))

#endif
