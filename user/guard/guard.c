/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "guard/guard.h"

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "guard/landlock.h"
#include "guard/syscalls.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

#define NAME_SERVICE_PORT 53

static int fail(char *why, size_t size, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int fail(char *why, size_t size, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, size, format, arguments);
	va_end(arguments);
	return error;
}

/* Of the calling thread, for good. */
static int capabilities_drop(void)
{
	/* First, as long as CAP_SETPCAP lasts; without it the set stays, and means nothing
	 * to who cannot gain capabilities by execve(). The kernel drops ambient
	 * capabilities with the others: none may be ambient that is not permitted. */
	if (!capng_get_caps_process() && capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP)) {
		capng_clear(CAPNG_SELECT_BOTH);
		capng_apply(CAPNG_SELECT_BOUNDS); /* which says so on stderr if it may not */
	}
	capng_clear(CAPNG_SELECT_BOTH);
	return capng_apply(CAPNG_SELECT_CAPS) ? -EPERM : 0;
}

int guard_thread(void)
{
	int error = capabilities_drop();

	return error ? error : landlock_service();
}

/* A line of /proc/PID/status, "Name:\tHEX". */
static bool status_number(const char *line, const char *name, uint64_t *number)
{
	size_t length = strlen(name);
	unsigned long long value;

	if (strncmp(line, name, length) || sscanf(line + length, ": %llx", &value) != 1)
		return false;
	*number = value;
	return true;
}

/* 1: it has capabilities; 0: none; negative errno. */
static int thread_has_capabilities(uint64_t thread)
{
	static const char *const names[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
	CLEANUP_FILE FILE *status = NULL;
	CLEANUP_FREE char *line = NULL;
	size_t room = 0, found = 0;
	char path[64];
	uint64_t bits, all = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%u/status", (unsigned int)thread);
	status = fopen(path, "re");
	if (!status)
		return errno == ENOENT ? 0 : -errno; /* it has ended */
	while (getline(&line, &room, status) > 0)
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (status_number(line, names[i], &bits)) {
				all |= bits;
				found++;
			}
	if (found != sizeof(names) / sizeof(*names))
		return -EIO;
	return all != 0;
}

/* Each thread has its own, and what one of them can do, all of them can. */
static int threads_check(char *why, size_t size)
{
	CLEANUP_DIR DIR *folder = opendir("/proc/self/task");
	const struct dirent *entry;

	if (!folder)
		return fail(why, size, -errno, "/proc/self/task: %s", strerror(errno));
	while ((entry = readdir(folder))) {
		uint64_t thread;
		int has;

		if (parse_unsigned(entry->d_name, 1, INT32_MAX, &thread))
			continue;
		has = thread_has_capabilities(thread);
		if (has < 0)
			return fail(why, size, has, "the capabilities of thread %u: %s",
				    (unsigned int)thread, strerror(-has));
		if (has)
			return fail(why, size, -EBUSY, "thread %u still has capabilities",
				    (unsigned int)thread);
	}
	return 0;
}

/* `error`: of what the thread has given up before. */
static int process_restrict(int error, enum syscalls_kind kind, char *why, size_t size)
{
	if (size)
		why[0] = '\0';
	if (error)
		return fail(why, size, error,
			    "capabilities, or TCP (Landlock), cannot be given up: %s",
			    strerror(-error));
	error = threads_check(why, size);
	if (error)
		return error;
	/* Also where the kernel has no filters; and of all threads, by the filter. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail(why, size, -errno, "no_new_privs: %s", strerror(errno));
	error = syscalls_restrict(kind);
	if (error)
		return fail(why, size, error, "system calls cannot be restricted (seccomp): %s",
			    strerror(-error));
	return 0;
}

int guard_enter(char *why, size_t size)
{
	return process_restrict(guard_thread(), SYSCALLS_SERVICE, why, size);
}

int guard_courier(uint16_t port, char *why, size_t size)
{
	const uint16_t ports[] = {port, NAME_SERVICE_PORT};
	int error = capabilities_drop();

	if (!error)
		error = landlock_courier(ports, port ? sizeof(ports) / sizeof(*ports) : 0);
	return process_restrict(error, port ? SYSCALLS_REMOTE_COURIER : SYSCALLS_COURIER, why,
				size);
}
