/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "lib/cleanup.h"
#include "lib/parse.h"
#include "model/container.h"

#define ARGS_LIMIT 4096
#define DELETED " (deleted)"
/* /proc counts in ticks of 1/100 s (USER_HZ), on every architecture that matters. */
#define TICK_NS 10000000

struct known_process {
	uint32_t pid;
	UT_hash_handle hh;
	struct holder details; /* owns its texts; start is in ticks */
};

struct known_user {
	uint32_t uid;
	UT_hash_handle hh;
	char *name;
};

struct procfs {
	int folder;
	struct known_process *processes;
	struct known_user *users;
};

struct procfs *procfs_open(const char *proc)
{
	struct procfs *procfs = calloc(1, sizeof(*procfs));

	if (!procfs)
		return NULL;
	procfs->folder = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (procfs->folder < 0) {
		procfs_close(procfs);
		return NULL;
	}
	return procfs;
}

static void texts_free(struct holder *holder)
{
	free(holder->exe);
	free(holder->args);
	free(holder->cgroup);
}

void procfs_close(struct procfs *procfs)
{
	struct known_process *process, *next_process;
	struct known_user *user, *next_user;
	int saved = errno;

	if (!procfs)
		return;
	HASH_ITER (hh, procfs->processes, process, next_process) {
		HASH_DEL(procfs->processes, process);
		texts_free(&process->details);
		free(process);
	}
	HASH_ITER (hh, procfs->users, user, next_user) {
		HASH_DEL(procfs->users, user);
		free(user->name);
		free(user);
	}
	if (procfs->folder >= 0)
		close(procfs->folder);
	free(procfs);
	errno = saved;
}

/* Up to `size` bytes of a file of the process, or -errno. */
static ssize_t file_read(const struct procfs *procfs, uint32_t pid, const char *name, char *bytes,
			 size_t size)
{
	CLEANUP_FD int fd = -1;
	size_t used = 0;
	char path[64];

	snprintf(path, sizeof(path), "%u/%s", pid, name);
	fd = openat(procfs->folder, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (used < size) {
		ssize_t length = read(fd, bytes + used, size - used);

		if (length < 0 && errno != EINTR)
			return -errno;
		if (!length)
			break;
		if (length > 0)
			used += (size_t)length;
	}
	return (ssize_t)used;
}

/* The 22nd word of stat, in ticks, and the name of the process, which may hold anything:
 * its end is the last bracket. 0: cannot be told. */
static uint64_t start_read(const struct procfs *procfs, uint32_t pid, char comm[WIRE_COMM + 1])
{
	char text[1024], *open_bracket, *rest;
	ssize_t length = file_read(procfs, pid, "stat", text, sizeof(text) - 1);
	unsigned long long ticks;

	if (length <= 0)
		return 0;
	text[length] = 0;
	open_bracket = strchr(text, '(');
	rest = strrchr(text, ')');
	if (!open_bracket || !rest || rest < open_bracket)
		return 0;
	if (comm)
		snprintf(comm, WIRE_COMM + 1, "%.*s", (int)(rest - open_bracket - 1),
			 open_bracket + 1);
	/* Behind the bracket come the words from the third on. */
	if (sscanf(rest + 1,
		   " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s"
		   " %llu",
		   &ticks) != 1)
		return 0;
	return ticks;
}

/* The first number of the line is the real one. The name of the process, which comes
 * before, cannot forge a line: the kernel escapes it there. */
static bool uid_read(const struct procfs *procfs, uint32_t pid, uint32_t *uid)
{
	char text[2048], *line;
	ssize_t length = file_read(procfs, pid, "status", text, sizeof(text) - 1);

	if (length <= 0)
		return false;
	text[length] = 0;
	line = strstr(text, "\nUid:");
	return line && sscanf(line, "\nUid: %u", uid) == 1;
}

/* "/usr/bin/x (deleted)" may also be a file of this very name. */
static bool exe_is_deleted(const struct procfs *procfs, uint32_t pid, const char *exe)
{
	char path[PATH_MAX + 64];
	struct stat running, named;

	snprintf(path, sizeof(path), "%u/exe", pid);
	if (fstatat(procfs->folder, path, &running, 0))
		return true;
	snprintf(path, sizeof(path), "%u/root%s", pid, exe);
	return fstatat(procfs->folder, path, &named, 0) || named.st_ino != running.st_ino ||
	       named.st_dev != running.st_dev;
}

static int exe_read(const struct procfs *procfs, struct holder *details)
{
	char path[64], exe[PATH_MAX];
	ssize_t length;

	snprintf(path, sizeof(path), "%u/exe", details->pid);
	length = readlinkat(procfs->folder, path, exe, sizeof(exe) - 1);
	if (length <= 0)
		return 0;
	exe[length] = 0;
	if (length > (ssize_t)strlen(DELETED) && !strcmp(exe + length - strlen(DELETED), DELETED) &&
	    exe_is_deleted(procfs, details->pid, exe)) {
		exe[length - (ssize_t)strlen(DELETED)] = 0;
		details->exe_deleted = true;
	}
	details->exe = strdup(exe);
	return details->exe ? 0 : -ENOMEM;
}

static int args_read(const struct procfs *procfs, struct holder *details)
{
	char args[ARGS_LIMIT + 1];
	ssize_t length = file_read(procfs, details->pid, "cmdline", args, ARGS_LIMIT);

	if (length <= 0) /* a thread of the kernel has none */
		return 0;
	if (args[length - 1]) /* cut, or written over by the process */
		args[length++] = 0;
	details->args = malloc((size_t)length);
	if (!details->args)
		return -ENOMEM;
	memcpy(details->args, args, (size_t)length);
	details->args_length = (size_t)length;
	return 0;
}

/* The line "0::/path" is that of cgroup v2. */
static int cgroup_read(const struct procfs *procfs, struct holder *details)
{
	char text[8192], *line, *end;
	ssize_t length = file_read(procfs, details->pid, "cgroup", text, sizeof(text) - 1);
	size_t deleted = strlen(DELETED);

	if (length <= 0)
		return 0;
	text[length] = 0;
	for (line = text; line && strncmp(line, "0::", 3) != 0; line = end ? end + 1 : NULL)
		end = strchr(line, '\n');
	if (!line || line[3] != '/')
		return 0;
	line += 3;
	line[strcspn(line, "\n")] = 0;
	length = (ssize_t)strlen(line);
	if ((size_t)length > deleted && !strcmp(line + length - deleted, DELETED))
		line[length - (ssize_t)deleted] = 0;
	details->cgroup = strdup(line);
	if (!details->cgroup)
		return -ENOMEM;
	container_parse(&details->container, line, strlen(line));
	return 0;
}

/* Read between two looks at the start time, all of it is about one process. */
static int process_read(const struct procfs *procfs, struct holder *details)
{
	uint64_t start = start_read(procfs, details->pid, NULL);
	int error;

	if (!start)
		return 0;
	error = exe_read(procfs, details);
	if (!error)
		error = args_read(procfs, details);
	if (!error)
		error = cgroup_read(procfs, details);
	if (!error && start_read(procfs, details->pid, NULL) == start)
		details->start = start;
	return error;
}

static int process_find(struct procfs *procfs, uint32_t pid, const struct holder **details)
{
	struct known_process *process;
	int error;

	HASH_FIND(hh, procfs->processes, &pid, sizeof(pid), process);
	if (!process) {
		process = calloc(1, sizeof(*process));
		if (!process)
			return -ENOMEM;
		process->pid = process->details.pid = pid;
		error = process_read(procfs, &process->details);
		if (!error) {
			HASH_ADD(hh, procfs->processes, pid, sizeof(pid), process);
			if (!process->hh.tbl)
				error = -ENOMEM;
		}
		if (error) {
			texts_free(&process->details);
			free(process);
			return error;
		}
	}
	*details = &process->details;
	return 0;
}

static int user_find(struct procfs *procfs, uint32_t uid, const char **name)
{
	struct known_user *user;
	struct passwd *entry;

	HASH_FIND(hh, procfs->users, &uid, sizeof(uid), user);
	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return -ENOMEM;
		user->uid = uid;
		entry = getpwuid(uid);
		user->name = entry ? strdup(entry->pw_name) : NULL;
		HASH_ADD(hh, procfs->users, uid, sizeof(uid), user);
		if (!user->hh.tbl) {
			free(user->name);
			free(user);
			return -ENOMEM;
		}
	}
	*name = user->name;
	return 0;
}

static int text_copy(char **copy, const char *text)
{
	if (!text)
		return 0;
	*copy = strdup(text);
	return *copy ? 0 : -ENOMEM;
}

int procfs_describe(struct procfs *procfs, struct holder *holder)
{
	const struct holder *details;
	const char *user;
	int error = user_find(procfs, holder->uid, &user);

	if (!error)
		error = text_copy(&holder->user, user);
	if (!error)
		error = process_find(procfs, holder->pid, &details);
	if (error)
		return error;
	if (!details->start || details->start != holder->start / TICK_NS)
		return 0;
	error = text_copy(&holder->exe, details->exe);
	if (!error)
		error = text_copy(&holder->cgroup, details->cgroup);
	if (!error && details->args) {
		holder->args = malloc(details->args_length);
		if (!holder->args)
			return -ENOMEM;
		memcpy(holder->args, details->args, details->args_length);
		holder->args_length = details->args_length;
	}
	holder->exe_deleted = details->exe_deleted;
	holder->container = details->container;
	return error;
}

/* Looks into one process. 1: it may not be looked into. */
static int process_sockets(const struct procfs *procfs, struct holder *holder,
			   procfs_visitor *visit, void *context)
{
	CLEANUP_DIR DIR *folder = NULL;
	struct dirent *entry;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%u/fd", holder->pid);
	fd = openat(procfs->folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno != ENOENT && errno != ESRCH;
	folder = fdopendir(fd);
	if (!folder) {
		close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(folder))) {
		unsigned long long inode;
		char target[64];
		uint64_t number;
		ssize_t length;
		int error;

		if (parse_unsigned(entry->d_name, 0, INT_MAX, &number))
			continue;
		length = readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1);
		if (length < 0) {
			if (errno == EACCES || errno == EPERM)
				return 1;
			continue;
		}
		target[length] = 0;
		if (sscanf(target, "socket:[%llu]", &inode) != 1)
			continue;
		if (!holder->start) {
			uint64_t ticks = start_read(procfs, holder->pid, holder->comm);

			if (!ticks || !uid_read(procfs, holder->pid, &holder->uid))
				return 0;
			holder->start = ticks * TICK_NS;
		}
		holder->fd = (int)number;
		error = visit(inode, holder, context);
		if (error < 0)
			return error;
	}
	return 0;
}

int procfs_sockets(struct procfs *procfs, procfs_visitor *visit, void *context, bool *whole)
{
	CLEANUP_DIR DIR *folder = NULL;
	struct dirent *entry;
	int fd = openat(procfs->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	folder = fdopendir(fd);
	if (!folder) {
		close(fd);
		return -ENOMEM;
	}
	*whole = true;
	while ((entry = readdir(folder))) {
		struct holder holder = {0};
		uint64_t pid;
		int result;

		if (parse_unsigned(entry->d_name, 1, INT_MAX, &pid))
			continue;
		holder.pid = (uint32_t)pid;
		result = process_sockets(procfs, &holder, visit, context);
		if (result < 0)
			return result;
		if (result > 0)
			*whole = false;
	}
	return 0;
}
