/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "child.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define require(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "child.c:%d: %s\n", __LINE__, #condition);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static size_t file_take(FILE *file, char *text, size_t size)
{
	size_t length;

	rewind(file);
	length = fread(text, 1, size, file);
	require(length < size);
	text[length] = '\0';
	fclose(file);
	return length;
}

/* Files instead of pipes: nobody has to read while the child writes. */
struct child_result child_run(int (*function)(void *context), void *context, int input)
{
	struct child_result result = {.status = -1};
	FILE *out = tmpfile(), *err = tmpfile();
	int status, null = -1;
	pid_t child;

	require(out && err);
	fflush(NULL);
	child = fork();
	require(child >= 0);
	if (!child) {
		if (input < 0)
			input = null = open("/dev/null", O_RDONLY);
		if (dup2(input, 0) < 0 || dup2(fileno(out), 1) < 0 || dup2(fileno(err), 2) < 0)
			_exit(99);
		close(null);
		exit(function(context));
	}
	require(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status))
		result.status = WEXITSTATUS(status);
	result.out_length = file_take(out, result.out, sizeof(result.out));
	file_take(err, result.err, sizeof(result.err));
	return result;
}
