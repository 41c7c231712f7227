/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * --follow. The kernel tells of writes to the database and its WAL by inotify on their
 * folder: when all is quiet nothing is done, and a database that takes the place of another is seen.
 */
#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command/history.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/signals.h"

/* A new database is none for a moment, until its tables are there. */
#define PATIENCE 16

/*
 * A write to the WAL is told before it counts: the writer syncs it, then moves the end of
 * the WAL in shared memory, of which nobody tells. So each write is looked for once more
 * after these times, in ms, and then no more until the next one.
 */
static const int looks[] = {0, 5, 20, 100, 1000, 5000};

#define LOOKS (sizeof(looks) / sizeof(looks[0]))

struct follower {
	size_t look; /* the next one; LOOKS: all is quiet */
	int notify, signals;
	char *path;	  /* real; of a file that need not be there */
	const char *name; /* its last component */
	dev_t device;
	ino_t inode;
	bool replaced; /* another file has its name, and could not be opened so far */
	unsigned int refused;
	int64_t asked; /* CLOCK_REALTIME of the last answer */
};

/* Numbers grow, and these have been given to what is in the database when it is first
 * asked: of leases that are held, of those that have ended, of failures and of gaps. */
enum { SEEN_OPEN, SEEN_LEASE, SEEN_FAILURE, SEEN_GAP, SEEN_KINDS };

/* SEEN_KINDS: the row may have a number of one kind or of another. */
static unsigned int seen_kind(const struct history_row *row)
{
	switch (row->kind) {
	case HISTORY_FAILURE:
		return SEEN_FAILURE;
	case HISTORY_GAP:
		return SEEN_GAP;
	default:
		break;
	}
	if (row->ending == STORE_UNSEEN)
		return SEEN_KINDS;
	return row->ending == STORE_OPEN ? SEEN_OPEN : SEEN_LEASE;
}

void history_seen_add(struct history_seen *seen, const struct history_row *row)
{
	unsigned int kind = seen_kind(row);

	if (kind < SEEN_KINDS && !seen->complete && row->id > seen->newest[kind])
		seen->newest[kind] = row->id;
}

/* What was written while it began is new, but was there to be shown, too. */
static int show_new(void *context, const struct history_row *row)
{
	struct history_run *run = context;
	unsigned int kind = seen_kind(row);

	if (kind < SEEN_KINDS && row->id <= run->seen.newest[kind])
		return 0;
	return history_show(run, row);
}

/* ---- the file ---- */

static int path_find(struct follower *follower, const char *path)
{
	follower->path = realpath(path, NULL);
	if (!follower->path)
		return -errno;
	follower->name = strrchr(follower->path, '/') + 1;
	return 0;
}

static int watch_open(struct follower *follower)
{
	CLEANUP_FREE char *copy = strdup(follower->path);

	if (!copy)
		return -ENOMEM;
	follower->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (follower->notify < 0 ||
	    inotify_add_watch(follower->notify, dirname(copy),
			      IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR) < 0)
		return -errno;
	return 0;
}

static void identity_note(struct follower *follower)
{
	struct stat status;

	if (stat(follower->path, &status))
		return;
	follower->device = status.st_dev;
	follower->inode = status.st_ino;
}

/* The old one is still open, so that no other file has its inode number. */
static bool identity_changed(const struct follower *follower)
{
	struct stat status;

	return !stat(follower->path, &status) &&
	       (status.st_dev != follower->device || status.st_ino != follower->inode);
}

static bool event_matters(const struct follower *follower, const struct inotify_event *event)
{
	size_t length = strlen(follower->name);

	if (event->mask & IN_Q_OVERFLOW)
		return true;
	return event->len && !strncmp(event->name, follower->name, length) &&
	       (!event->name[length] || !strcmp(event->name + length, "-wal"));
}

/* False: the folder is gone. */
static bool events_take(const struct follower *follower, bool *changed)
{
	char room[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t size;

	while ((size = read(follower->notify, room, sizeof(room))) > 0) {
		const struct inotify_event *event;

		for (char *at = room; at < room + size; at += sizeof(*event) + event->len) {
			event = (const struct inotify_event *)at;
			if (event->mask & (IN_IGNORED | IN_UNMOUNT))
				return false;
			*changed |= event_matters(follower, event);
		}
	}
	return true;
}

/* ---- rows ---- */

/* 0, or the exit status plus one. */
static int stop_with(int status)
{
	return status + 1;
}

static int flushed(struct history_run *run)
{
	int status = history_flush(run, run->found ? HISTORY_FOUND : HISTORY_NOTHING);

	return run->output_error ? stop_with(status) : 0;
}

/* Notes where it is, and shows what there is. */
static int rows_begin(struct history_run *run, struct follower *follower, bool only_new)
{
	int error = history_follow(run->history, &run->query, show_new, run), status;

	if (error)
		return stop_with(history_failed(run, error));
	follower->asked = history_now();
	if (only_new)
		return 0;
	run->seen = (struct history_seen){0};
	status = history_ask_all(run);
	run->seen.complete = true;
	return status == HISTORY_ERROR || run->output_error ? stop_with(status) : 0;
}

/*
 * The new database tells of what was recorded since the last answer of the old one: as the
 * writer begins anew, also of what is held still.
 */
static int database_renew(struct history_run *run, struct follower *follower)
{
	const struct history_query query = run->query;
	struct history *opened = NULL;
	char why[512] = "";
	int status;

	identity_note(follower);
	if (history_open(follower->path, &opened, why, sizeof(why))) {
		follower->replaced = true;
		if (++follower->refused == PATIENCE)
			log_message("%s", why);
		return 0;
	}
	log_message("%s is another database now", follower->path);
	follower->replaced = false;
	follower->refused = 0;
	source_close(&run->source);
	run->history = opened;
	run->source = (struct source){&source_database, opened};
	run->query.since = follower->asked;
	run->query.newest = 0;
	status = rows_begin(run, follower, false);
	run->query = query;
	return status;
}

static int new_rows(struct history_run *run, struct follower *follower)
{
	int error;

	if (follower->replaced || identity_changed(follower))
		return database_renew(run, follower);
	run->view.now = history_now();
	error = history_follow(run->history, &run->query, show_new, run);
	if (error && !run->output_error && identity_changed(follower)) {
		follower->replaced = true; /* this very moment, and it is not ready */
		return 0;
	}
	if (error)
		return stop_with(history_failed(run, error));
	follower->asked = run->view.now;
	return flushed(run);
}

/* Waits for a write, a signal, or the end of the output. True: to be asked. *status: what new_rows() says. */
static bool change_await(struct history_run *run, struct follower *follower, int *status)
{
	struct pollfd waits[] = {
		{.fd = follower->notify, .events = POLLIN},
		{.fd = follower->signals, .events = POLLIN},
		{.fd = run->output.fd}, /* its reader may go while nothing is written */
	};
	bool changed = false;
	int count = poll(waits, sizeof(waits) / sizeof(waits[0]),
			 follower->look < LOOKS ? looks[follower->look] : -1);

	if (count < 0 && errno != EINTR) {
		*status = stop_with((log_error(-errno, "cannot wait"), HISTORY_ERROR));
	} else if (signals_stop() || waits[2].revents) {
		*status = stop_with(run->found ? HISTORY_FOUND : HISTORY_NOTHING);
	} else if (!events_take(follower, &changed)) {
		log_message("the folder of %s is gone", follower->path);
		*status = stop_with(HISTORY_ERROR);
	}
	if (changed)
		follower->look = 1;
	else if (!count && follower->look < LOOKS)
		changed = ++follower->look;
	return changed && !*status;
}

static void follower_free(struct follower *follower)
{
	cleanup_fd(&follower->notify);
	free(follower->path);
}

int history_follow_run(struct history_run *run, bool only_new)
{
	CLEANUP(follower_free) struct follower follower = {.notify = -1};
	int error = path_find(&follower, run->name), status;

	if (!error)
		error = watch_open(&follower);
	if (!error)
		identity_note(&follower);
	if (history_begin(run)) /* says more than the error */
		return HISTORY_ERROR;
	if (error)
		return log_error(error, "cannot watch %s", run->name), HISTORY_ERROR;
	follower.signals = signals_open(SIGNALS_PLAIN);
	if (follower.signals < 0)
		return log_error(follower.signals, "cannot wait"), HISTORY_ERROR;
	status = rows_begin(run, &follower, only_new);
	if (!status)
		status = new_rows(run, &follower); /* what came while it began */
	while (!status)
		if (change_await(run, &follower, &status))
			status = new_rows(run, &follower);
	return status - 1;
}
