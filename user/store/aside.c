/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a damaged database goes. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "model/text.h"
#include "store/database.h"

#define MARK ".damaged-"
#define KEPT 3

/* Without its parts: they are moved and removed with it. */
static bool is_damaged(const char *name, const char *base)
{
	size_t length = strlen(base), all = strlen(name);

	return !strncmp(name, base, length) && !strncmp(name + length, MARK, strlen(MARK)) &&
	       name[all - 1] == 'Z';
}

/* The oldest one, if there are more than are kept. The time sorts as the name does. */
static bool find_surplus(DIR *folder, const char *base, char *oldest, size_t size)
{
	const struct dirent *entry;
	unsigned int count = 0;

	*oldest = '\0';
	rewinddir(folder);
	while ((entry = readdir(folder))) {
		if (!is_damaged(entry->d_name, base))
			continue;
		count++;
		if (!*oldest || strcmp(entry->d_name, oldest) < 0)
			snprintf(oldest, size, "%s", entry->d_name);
	}
	return count > KEPT;
}

static const char *const suffixes[] = {"", "-wal", "-shm"};
#define SUFFIXES (sizeof(suffixes) / sizeof(*suffixes))

static void keep_newest(const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP_FREE char *folder_path = slash ? strndup(path, slash - path + 1) : strdup(".");
	DIR *folder = folder_path ? opendir(folder_path) : NULL;
	char oldest[256], name[272];

	while (folder && find_surplus(folder, slash ? slash + 1 : path, oldest, sizeof(oldest))) {
		for (size_t i = 0; i < SUFFIXES; i++) {
			snprintf(name, sizeof(name), "%s%s", oldest, suffixes[i]);
			/* One that cannot be removed would be found for ever. */
			if (unlinkat(dirfd(folder), name, 0) && !i)
				goto out;
		}
	}
out:
	if (folder)
		closedir(folder);
}

int database_move_aside(struct database *database, char *name, size_t size)
{
	char moment[TEXT_TIME + 1];

	*text_time(moment, clock_ns(CLOCK_REALTIME)) = '\0';
	if ((size_t)snprintf(name, size, "%s" MARK "%s", database->path, moment) >= size)
		return database_refuse(database, -ENAMETOOLONG, "%s: the name is too long",
				       database->path);
	for (size_t i = 0; i < SUFFIXES; i++) {
		char from[4200], to[4200];

		snprintf(from, sizeof(from), "%s%s", database->path, suffixes[i]);
		snprintf(to, sizeof(to), "%s%s", name, suffixes[i]);
		if (rename(from, to) && (errno != ENOENT || !i))
			return database_refuse(database, -errno, "cannot move %s to %s: %s", from,
					       to, strerror(errno));
	}
	keep_newest(database->path);
	return 0;
}
