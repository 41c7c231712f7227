/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The database file of the history as its one writer has it: the lock, the connection, and
 * which file it is. Never open and close the file by hand while it is connected: closing
 * any descriptor of it drops the locks that SQLite has on it.
 *
 * Errors of SQLite are negative errno here: -EUCLEAN the file is damaged, -EAGAIN somebody
 * else has locked it, -ENOSPC the disk is full, -EROFS it cannot be written.
 */
#ifndef PORTSNOOP_STORE_DATABASE_H
#define PORTSNOOP_STORE_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DATABASE_WHY 160

struct database_file {
	dev_t device;
	ino_t inode; /* 0: none */
};

struct database {
	sqlite3 *connection; /* NULL: not connected */
	char *path;
	int lock; /* -1: none */
	struct database_file file, wal;
	int64_t page_size;
	char why[DATABASE_WHY]; /* what the last error was, for people */
};

/* 0 or -ENOMEM. */
int database_init(struct database *database, const char *path);
void database_free(struct database *database); /* disconnects, and gives the lock back */

/* 0, or negative errno: -EBUSY another process has it. `first`: PATH.lock was not there. */
int database_lock(struct database *database, bool *first);
void database_lock_remove(struct database *database);
/* The lock again, if the file that has it is not the one at its path any more: -EBUSY if
 * somebody else got that, and then there is none. */
int database_relock(struct database *database);

/* Connects, and makes the tables in a new or empty file. 0, or negative errno: -EILSEQ
 * it is something else than a history or of a newer version, -EUCLEAN it is damaged.
 * `ours`: the file is known to have been a history. */
int database_connect(struct database *database, bool ours);
void database_disconnect(struct database *database);

bool database_is_file(const struct database *database, const struct database_file *file);
/* The file at the path is not the one that is connected any more. */
bool database_moved(const struct database *database);
/* The file that is open has a name still: it was moved, not deleted. */
bool database_linked(const struct database *database);

/* aside.c: moves the file, which must not be connected, to PATH.damaged-TIME. Of several
 * such files the newest ones are kept. */
int database_move_aside(struct database *database, char *name, size_t size);

/* To be told of a result of SQLite other than OK, ROW, DONE: negative errno, and `why`. */
int database_error(struct database *database, int result);
/* Sets `why` and returns the error. */
int database_refuse(struct database *database, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int database_execute(struct database *database, const char *sql);
/* The first column of the first row; without a row `number` stays. */
int database_number(struct database *database, const char *sql, int64_t *number);

#endif
