/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/cleanup.h"

static int directory_open(const char *path, long magic)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) || fs.f_type != magic) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

/* Its root belongs to root alone, unless somebody mounted it otherwise. */
static int tracefs_check(int fd)
{
	CLEANUP_FD int events = -1;

	if (fd < 0)
		return fd;
	events = openat(fd, "events", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (events >= 0 || errno != EACCES)
		return fd;
	close(fd);
	return -EACCES;
}

int place_tracefs(bool *private)
{
	static const char *const paths[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	int fs, mount, error;

	for (unsigned int i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		int fd = tracefs_check(directory_open(paths[i], TRACEFS_MAGIC));

		if (fd >= 0 || fd == -EACCES)
			return fd;
	}
	*private = true;
	/* fsopen() and fsmount() have no wrappers in older C libraries. */
	fs = syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) {
		error = -errno;
		close(fs);
		return error;
	}
	mount = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	error = -errno;
	close(fs);
	return mount < 0 ? error : tracefs_check(mount);
}

int place_tracepoint_id(int tracefs, const char *group, const char *name)
{
	char path[256], text[16] = "";
	ssize_t length;
	int fd, number;

	snprintf(path, sizeof(path), "events/%s/%s/id", group, name);
	fd = openat(tracefs, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0 || sscanf(text, "%d", &number) != 1)
		return -EIO;
	return number;
}

int place_cgroup(bool *root)
{
	CLEANUP_FILE FILE *mounts = fopen("/proc/self/mountinfo", "re");
	CLEANUP_FREE char *line = NULL;
	size_t room = 0;

	if (!mounts)
		return -errno;
	/* ID PARENT DEVICE ROOT MOUNTPOINT OPTIONS [TAG]... - TYPE SOURCE OPTIONS */
	while (getline(&line, &room, mounts) > 0) {
		char within[4096], point[4096];
		char *type = strstr(line, " - ");
		struct stat status;
		int fd;

		if (!type || strncmp(type, " - cgroup2 ", 11))
			continue;
		if (sscanf(line, "%*s %*s %*s %4095s %4095s", within, point) != 2 ||
		    strcmp(within, "/"))
			continue;
		fd = directory_open(point, CGROUP2_SUPER_MAGIC);
		if (fd < 0)
			continue;
		*root = !fstat(fd, &status) && status.st_ino == 1;
		return fd;
	}
	return -ENOENT;
}

bool place_module_symbol(const char *module, const char *name)
{
	CLEANUP_FILE FILE *symbols = NULL;
	CLEANUP_FREE char *line = NULL;
	char path[128], wanted[256];
	size_t room = 0;

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	if (access(path, F_OK))
		return false; /* saves the walk through all symbols */
	snprintf(wanted, sizeof(wanted), " %s\t[%s]", name, module);
	symbols = fopen("/proc/kallsyms", "re");
	while (symbols && getline(&line, &room, symbols) > 0)
		if (strstr(line, wanted))
			return true;
	return false;
}

uint64_t place_capabilities(void)
{
	CLEANUP_FILE FILE *status = fopen("/proc/self/status", "re");
	CLEANUP_FREE char *line = NULL;
	unsigned long long bits = 0;
	size_t room = 0;

	while (status && getline(&line, &room, status) > 0)
		if (sscanf(line, "CapEff: %llx", &bits) == 1)
			break;
	return bits;
}
