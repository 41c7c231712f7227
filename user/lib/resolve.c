/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/cleanup.h"
#include "lib/parse.h"

#define NETNS_FOLDER "/run/netns/"

static bool is_number(const char *text)
{
	return *text && !text[strspn(text, "0123456789")];
}

int resolve_user(const char *text, uint64_t *uid, const char **expected)
{
	const struct passwd *user;

	*expected = "a user id (0-4294967294) or the name of a user of this machine";
	if (is_number(text))
		return parse_unsigned(text, 0, UINT32_MAX - 1, uid);
	user = *text ? getpwnam(text) : NULL;
	if (!user)
		return -EINVAL;
	*uid = user->pw_uid;
	return 0;
}

/* Looks before it opens: opening a device or a pipe can have effects. */
static int netns_inode(const char *path, uint64_t *inode)
{
	CLEANUP_FD int look = open(path, O_PATH | O_CLOEXEC);
	CLEANUP_FD int file = -1;
	struct statfs system;
	struct stat status;
	int type;

	if (look < 0 || fstatfs(look, &system) || fstat(look, &status))
		return -errno;
	if (system.f_type != NSFS_MAGIC)
		return -EINVAL;
	file = open(path, O_RDONLY | O_CLOEXEC);
	type = file < 0 ? -1 : ioctl(file, NS_GET_NSTYPE);
	if (type >= 0 && type != CLONE_NEWNET)
		return -EINVAL;
	*inode = status.st_ino;
	return 0;
}

int resolve_netns(const char *text, uint64_t *inode, const char **expected)
{
	char path[sizeof(NETNS_FOLDER) + 255];

	*expected = "a network namespace: its inode number, a file like /proc/1/ns/net, or a name "
		    "in " NETNS_FOLDER;
	if (is_number(text))
		return parse_unsigned(text, 1, UINT32_MAX, inode);
	if (!*text || (!strchr(text, '/') && strlen(text) > 255))
		return -EINVAL;
	if (strchr(text, '/'))
		return netns_inode(text, inode) ? -EINVAL : 0;
	snprintf(path, sizeof(path), NETNS_FOLDER "%s", text);
	return netns_inode(path, inode) ? -EINVAL : 0;
}
