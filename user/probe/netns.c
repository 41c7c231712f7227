/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/parse.h"

#define NAMED "/run/netns"

uint32_t netns_own(void)
{
	struct stat status;

	return stat("/proc/thread-self/ns/net", &status) ? 0 : (uint32_t)status.st_ino;
}

static struct netns *netns_add(struct netns_list *namespaces, size_t *room)
{
	if (namespaces->count == *room) {
		size_t more = *room ? 2 * *room : 64;
		struct netns *list = realloc(namespaces->list, more * sizeof(*list));

		if (!list)
			return NULL;
		namespaces->list = list;
		*room = more;
	}
	namespaces->list[namespaces->count] = (struct netns){0};
	return &namespaces->list[namespaces->count++];
}

/* Namespaces with a name in /run/netns: `ip netns` mounts each over a file there. */
static int named_read(struct netns_list *namespaces, size_t *room)
{
	CLEANUP_DIR DIR *folder = opendir(NAMED);
	struct dirent *entry;
	struct stat status, outside;

	if (!folder) {
		namespaces->whole = errno == ENOENT;
		return 0;
	}
	if (fstat(dirfd(folder), &outside))
		return -errno;
	while ((entry = readdir(folder))) {
		struct netns *netns;

		if (entry->d_name[0] == '.')
			continue;
		if (fstatat(dirfd(folder), entry->d_name, &status, 0)) {
			namespaces->whole = false;
			continue;
		}
		/* A file that nothing is mounted over is a leftover. */
		if (status.st_dev == outside.st_dev)
			continue;
		netns = netns_add(namespaces, room);
		if (!netns)
			return -ENOMEM;
		netns->inode = (uint32_t)status.st_ino;
		netns->name = strdup(entry->d_name);
		if (!netns->name)
			return -ENOMEM;
		/* A name that does not fit has a path that nobody needs while a process
		 * is in there. */
		if (snprintf(netns->path, sizeof(netns->path), NAMED "/%s", entry->d_name) >=
		    (int)sizeof(netns->path))
			netns->path[0] = 0;
	}
	return 0;
}

static int task_add(struct netns_list *namespaces, size_t *room, uint32_t inode, unsigned int pid)
{
	struct netns *netns = netns_add(namespaces, room);

	if (!netns)
		return -ENOMEM;
	netns->inode = inode;
	snprintf(netns->path, sizeof(netns->path), "/proc/%u/ns/net", pid);
	return 0;
}

static int processes_read(struct netns_list *namespaces, size_t *room)
{
	CLEANUP_DIR DIR *folder = opendir("/proc");
	struct dirent *entry;
	uint32_t last = 0;

	if (!folder)
		return -errno;
	while ((entry = readdir(folder))) {
		char path[64], target[64];
		unsigned int inode;
		ssize_t length;
		uint64_t pid;

		if (parse_unsigned(entry->d_name, 1, INT_MAX, &pid))
			continue;
		snprintf(path, sizeof(path), "%u/ns/net", (unsigned int)pid);
		length = readlinkat(dirfd(folder), path, target, sizeof(target) - 1);
		if (length < 0) {
			if (errno != ENOENT && errno != ESRCH)
				namespaces->whole = false;
			continue;
		}
		target[length] = 0;
		/* 5.10 refuses by an empty text. */
		if (sscanf(target, "net:[%u]", &inode) != 1) {
			namespaces->whole = false;
			continue;
		}
		/* Most processes are where the one before them is. */
		if (inode == last)
			continue;
		last = inode;
		if (task_add(namespaces, room, inode, (unsigned int)pid))
			return -ENOMEM;
	}
	return 0;
}

/* Of several entries of one namespace the first is kept: one that has a name. */
static int netns_compare(const void *first, const void *second)
{
	const struct netns *a = first, *b = second;

	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	if (!a->name || !b->name)
		return !a->name - !b->name;
	return strcmp(a->name, b->name);
}

static void netns_unite(struct netns_list *namespaces)
{
	size_t count = 0;

	qsort(namespaces->list, namespaces->count, sizeof(*namespaces->list), netns_compare);
	for (size_t i = 0; i < namespaces->count; i++) {
		struct netns *netns = &namespaces->list[i];
		struct netns *last = count ? &namespaces->list[count - 1] : NULL;

		if (!last || last->inode != netns->inode) {
			namespaces->list[count++] = *netns;
			continue;
		}
		if (!last->path[0])
			memcpy(last->path, netns->path, sizeof(last->path));
		free(netns->name);
	}
	namespaces->count = count;
}

/* Hands over what was found, or frees it. */
static int netns_finish(struct netns_list *namespaces, struct netns_list *found, int error)
{
	if (error) {
		netns_list_free(found);
		return error;
	}
	if (found->count)
		netns_unite(found);
	*namespaces = *found;
	return 0;
}

int netns_list_read(struct netns_list *namespaces)
{
	struct netns_list found = {.whole = true};
	size_t room = 0;
	int error = named_read(&found, &room);

	if (!error)
		error = processes_read(&found, &room);
	return netns_finish(namespaces, &found, error);
}

int netns_list_make(struct netns_list *namespaces, const struct listing_namespace *tasks,
		    size_t count)
{
	struct netns_list found = {.whole = true};
	size_t room = 0;
	int error = named_read(&found, &room);

	/* From the youngest on: what has been there since the start may be out of reach. */
	for (size_t i = count; i-- > 0 && !error;)
		if (i + 1 == count || tasks[i].netns != tasks[i + 1].netns)
			error = task_add(&found, &room, tasks[i].netns, tasks[i].pid);
	return netns_finish(namespaces, &found, error);
}

void netns_list_free(struct netns_list *namespaces)
{
	for (size_t i = 0; i < namespaces->count; i++)
		free(namespaces->list[i].name);
	free(namespaces->list);
	*namespaces = (struct netns_list){0};
}

const struct netns *netns_list_find(const struct netns_list *namespaces, uint32_t inode)
{
	for (size_t i = 0; i < namespaces->count; i++)
		if (namespaces->list[i].inode == inode)
			return &namespaces->list[i];
	return NULL;
}

int netns_visit(const struct netns *netns, int (*visit)(void *context), void *context)
{
	CLEANUP_FD int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int other = -1;
	struct stat status;
	int result;

	if (own < 0)
		return -errno;
	other = open(netns->path, O_RDONLY | O_CLOEXEC);
	if (other < 0)
		return -errno;
	if (fstat(other, &status))
		return -errno;
	if ((uint32_t)status.st_ino != netns->inode)
		return -ENOENT; /* the number of the process names another one by now */
	if (setns(other, CLONE_NEWNET))
		return -errno;
	result = visit(context);
	if (setns(own, CLONE_NEWNET)) {
		/* All that this program would say from here on would be about another
		 * namespace than it says. */
		log_error(-errno, "cannot return to the network namespace");
		abort();
	}
	return result;
}

struct opening {
	int (*open_inside)(void);
};

static int opening_visit(void *context)
{
	const struct opening *opening = context;

	return opening->open_inside();
}

int netns_call(const struct netns *netns, int (*open_inside)(void))
{
	struct opening opening = {open_inside};

	return netns_visit(netns, opening_visit, &opening);
}
