/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Runs a function in a child process, for what writes to 1 and 2 or exits. */
#ifndef PORTSNOOP_TESTS_CHILD_H
#define PORTSNOOP_TESTS_CHILD_H

#include <stddef.h>

struct child_result {
	int status; /* of exit; -1: it died otherwise */
	size_t out_length;
	char out[1 << 18]; /* what it wrote to stdout, NUL-terminated; also below */
	char err[1 << 15];
};

/* What the function returns is the exit status. `input` becomes stdin; below 0:
 * /dev/null. Aborts the test when it writes more than there is room for. */
struct child_result child_run(int (*function)(void *context), void *context, int input);

#endif
