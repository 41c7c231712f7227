/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: stopwatch COMMAND [ARGUMENT]...
 *
 * Runs the command with stdin and stdout on /dev/null, and tells on its own stdout, in
 * one line: nanoseconds from before the fork until it had ended, the most memory that
 * it had resident in KiB, its CPU time in microseconds, and its exit status (128 and
 * the signal, if one ended it).
 *
 * A program of its own because it is small: what a process had resident before it
 * executed the command counts as the command's.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static long long microseconds(const struct timeval *time)
{
	return time->tv_sec * 1000000LL + time->tv_usec;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	long long start, end;
	int status, null;
	pid_t pid;

	if (argc < 2) {
		fputs("usage: stopwatch COMMAND [ARGUMENT]...\n", stderr);
		return 2;
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0) {
		perror("stopwatch: /dev/null");
		return 1;
	}
	start = now();
	pid = fork();
	if (pid < 0) {
		perror("stopwatch: fork");
		return 1;
	}
	if (pid == 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	if (wait4(pid, &status, 0, &usage) != pid) {
		perror("stopwatch: wait4");
		return 1;
	}
	end = now();
	printf("%lld %ld %lld %d\n", end - start, usage.ru_maxrss,
	       microseconds(&usage.ru_utime) + microseconds(&usage.ru_stime),
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
