/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "service/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/parse.h"

#define SUFFIX ".sock"
#define SWEEP_MOST 256
#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

static const char *place_folder(const struct service_place *place)
{
	return place->folder ? place->folder : SERVICE_FOLDER;
}

/* Where nobody else can put a folder, root has given it to whomever it belongs to. A sticky
 * bit is no help: it keeps others from taking away, not from putting there. */
static bool placed_by_owner(const struct service_place *place, int folder)
{
	struct stat parent;

	return !fstatat(folder, "..", &parent, 0) && parent.st_uid == place->owner &&
	       !(parent.st_mode & OTHERS_WRITE);
}

bool folder_trusts(const struct service_place *place, int folder, uid_t uid)
{
	struct stat status;

	return uid == place->owner || (!fstat(folder, &status) && status.st_uid == uid);
}

int folder_open(const struct service_place *place, bool make)
{
	const char *path = place_folder(place);
	bool made = make && !mkdir(path, 0755);
	CLEANUP_FD int fd = -1;
	struct stat status;

	if (make && !made && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* The umask may have kept others out. */
	if ((made && fchmod(fd, 0755)) || fstat(fd, &status))
		return -errno;
	if (status.st_mode & OTHERS_WRITE ||
	    (status.st_uid != place->owner && !placed_by_owner(place, fd)))
		return -EPERM;
	return TAKE_FD(fd);
}

int folder_address(const struct service_place *place, const char *name, struct sockaddr_un *address)
{
	int length;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	length = snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s",
			  place_folder(place), name);
	return length < (int)sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

void folder_name(char name[FOLDER_NAME], uint32_t pid)
{
	snprintf(name, FOLDER_NAME, "%u" SUFFIX, pid);
}

/* Exactly what folder_name() makes, or 0. */
static uint32_t name_pid(const char *name)
{
	char digits[FOLDER_NAME], again[FOLDER_NAME];
	size_t length = strcspn(name, ".");
	uint64_t pid;

	if (length >= sizeof(digits))
		return 0;
	memcpy(digits, name, length);
	digits[length] = '\0';
	if (parse_unsigned(digits, 1, UINT32_MAX, &pid))
		return 0;
	folder_name(again, (uint32_t)pid);
	return strcmp(name, again) ? 0 : (uint32_t)pid;
}

int folder_list(int folder, uint32_t *pids, size_t most)
{
	CLEANUP_FD int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_DIR DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	size_t count = 0;

	if (!dir)
		return -errno;
	TAKE_FD(fd);
	while (count < most && (entry = readdir(dir))) {
		uint32_t pid = name_pid(entry->d_name);

		if (pid)
			pids[count++] = pid;
	}
	return (int)count;
}

static int socket_wait_set(int fd, unsigned int timeout_ms)
{
	struct timeval patience = {.tv_sec = timeout_ms / 1000,
				   .tv_usec = timeout_ms % 1000 * 1000};

	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

/* Who it was that called listen(). */
static int peer_check(const struct service_place *place, int folder, int fd, uint32_t *pid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return -errno;
	if (!folder_trusts(place, folder, peer.uid))
		return -EPERM;
	*pid = peer.pid > 0 ? (uint32_t)peer.pid : 0;
	return 0;
}

/* Not one that somebody put there since. */
static void socket_remove(int folder, const char *name, const struct stat *dead)
{
	struct stat now;

	if (!fstatat(folder, name, &now, AT_SYMLINK_NOFOLLOW) && now.st_ino == dead->st_ino &&
	    now.st_ctim.tv_sec == dead->st_ctim.tv_sec &&
	    now.st_ctim.tv_nsec == dead->st_ctim.tv_nsec)
		unlinkat(folder, name, 0);
}

int folder_connect(const struct service_place *place, int folder, const char *name,
		   unsigned int timeout_ms, uint32_t *pid)
{
	CLEANUP_FD int fd = -1;
	struct sockaddr_un address;
	struct stat status;
	int error = folder_address(place, name, &address);

	if (error)
		return error;
	if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (!S_ISSOCK(status.st_mode) || !folder_trusts(place, folder, status.st_uid))
		return -EPERM;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | (timeout_ms ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0 || (timeout_ms && socket_wait_set(fd, timeout_ms)))
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		error = -errno;
		if (error == -ECONNREFUSED)
			socket_remove(folder, name, &status);
		return error;
	}
	error = peer_check(place, folder, fd, pid);
	return error ? error : TAKE_FD(fd);
}

void folder_sweep(const struct service_place *place, int folder)
{
	uint32_t pids[SWEEP_MOST] = {0}, pid;
	int count = folder_list(folder, pids, SWEEP_MOST);

	for (int i = 0; i < count; i++) {
		char name[FOLDER_NAME];
		int fd;

		folder_name(name, pids[i]);
		fd = folder_connect(place, folder, name, 0, &pid);
		cleanup_fd(&fd);
	}
}
