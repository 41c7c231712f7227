/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "store/database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/parse.h"
#include "store/schema.h"

#define DESCRIPTORS 1024 /* of which SQLite has the lowest */
#define MODE 0640
#define BUSY_PATIENCE 250 /* ms */

int database_refuse(struct database *database, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(database->why, sizeof(database->why), format, arguments);
	va_end(arguments);
	return error;
}

int database_init(struct database *database, const char *path)
{
	*database = (struct database){.lock = -1};
	database->path = strdup(path);
	return database->path ? 0 : -ENOMEM;
}

void database_free(struct database *database)
{
	database_disconnect(database);
	if (database->lock >= 0)
		close(database->lock);
	free(database->path);
}

/* ---- lock ---- */

static char *path_with(const struct database *database, const char *suffix)
{
	char *path;

	return asprintf(&path, "%s%s", database->path, suffix) < 0 ? NULL : path;
}

static int refuse_folder(struct database *database)
{
	return database_refuse(database, -ENOTDIR, "%s: its folder does not exist: make it first",
			       database->path);
}

/* 0: not told. */
static unsigned int lock_owner(int lock)
{
	char text[16] = "";
	ssize_t length = pread(lock, text, sizeof(text) - 1, 0);
	unsigned long pid = length > 0 ? strtoul(text, NULL, 10) : 0;

	return pid <= INT32_MAX ? pid : 0;
}

int database_lock(struct database *database, bool *first)
{
	CLEANUP_FREE char *path = path_with(database, ".lock");
	CLEANUP_FD int lock = -1;
	char text[16];
	int length;

	*first = false;
	if (!path)
		return database_refuse(database, -ENOMEM, "out of memory");
	lock = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (lock < 0 && errno == ENOENT) {
		*first = true;
		lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE);
	}
	if (lock < 0) {
		int error = -errno;

		*first = false;
		if (error == -ENOENT || error == -ENOTDIR)
			return refuse_folder(database);
		return database_refuse(database, error, "cannot lock %s: %s", path,
				       strerror(-error));
	}
	if (flock(lock, LOCK_EX | LOCK_NB)) {
		unsigned int pid = lock_owner(lock);

		if (errno != EWOULDBLOCK)
			return database_refuse(database, -errno, "cannot lock %s: %s", path,
					       strerror(errno));
		if (!pid)
			return database_refuse(
				database, -EBUSY,
				"another portsnoop records to %s: stop it, or name another "
				"file",
				database->path);
		return database_refuse(
			database, -EBUSY,
			"portsnoop with pid %u records to %s: stop it, or name another file", pid,
			database->path);
	}
	length = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	/* Who has the lock is a courtesy: on a full disk it stays unsaid. */
	if (ftruncate(lock, 0) || pwrite(lock, text, length, 0) != length)
		errno = 0;
	database->lock = TAKE_FD(lock);
	return 0;
}

int database_relock(struct database *database)
{
	CLEANUP_FREE char *path = path_with(database, ".lock");
	struct stat ours, there;
	bool first;

	if (!path)
		return database_refuse(database, -ENOMEM, "out of memory");
	if (database->lock >= 0 && !fstat(database->lock, &ours) && !lstat(path, &there) &&
	    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
		return 0;
	cleanup_fd(&database->lock);
	database->lock = -1;
	return database_lock(database, &first);
}

void database_lock_remove(struct database *database)
{
	CLEANUP_FREE char *path = path_with(database, ".lock");

	if (path)
		unlink(path);
}

/* ---- errors ---- */

static int result_error(struct database *database, int result)
{
	int system = database->connection ? sqlite3_system_errno(database->connection) : 0;

	switch (result & 0xff) {
	case SQLITE_OK:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	/* What is there is not what we made. */
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_ERROR:
		return -EUCLEAN;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EAGAIN;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_CANTOPEN:
		return system > 0 ? -system : -EACCES;
	}
	return system > 0 ? -system : -EIO;
}

int database_error(struct database *database, int result)
{
	int error = result_error(database, result);
	const char *path = database->path;

	switch (error) {
	case 0:
		return 0;
	case -ENOSPC:
		return database_refuse(database, error, "%s: the disk is full", path);
	case -EROFS:
		return database_refuse(database, error, "%s cannot be written: it is read-only",
				       path);
	case -EACCES:
		return database_refuse(database, error, "%s: permission denied", path);
	case -EUCLEAN:
		return database_refuse(database, error, "%s is damaged", path);
	case -EAGAIN:
		return database_refuse(database, error, "%s is locked by another program", path);
	case -ENOMEM:
		return database_refuse(database, error, "out of memory");
	case -EIO:
		return database_refuse(database, error, "%s: %s", path,
				       database->connection ? sqlite3_errmsg(database->connection)
							    : sqlite3_errstr(result));
	}
	return database_refuse(database, error, "%s: %s", path, strerror(-error));
}

int database_execute(struct database *database, const char *sql)
{
	return database_error(database, sqlite3_exec(database->connection, sql, NULL, NULL, NULL));
}

int database_number(struct database *database, const char *sql, int64_t *number)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(database->connection, sql, -1, &statement, NULL);

	if (result == SQLITE_OK)
		result = sqlite3_step(statement);
	if (result == SQLITE_ROW) {
		*number = sqlite3_column_int64(statement, 0);
		result = SQLITE_OK;
	} else if (result == SQLITE_DONE) {
		result = SQLITE_OK;
	}
	result = database_error(database, result);
	sqlite3_finalize(statement);
	return result;
}

/* ---- the file ---- */

static struct database_file file_at(const char *path)
{
	struct stat status;

	if (!path || stat(path, &status))
		return (struct database_file){0};
	return (struct database_file){.device = status.st_dev, .inode = status.st_ino};
}

static bool file_equal(const struct database_file *a, const struct database_file *b)
{
	return a->inode == b->inode && a->device == b->device;
}

bool database_is_file(const struct database *database, const struct database_file *file)
{
	return file_equal(&database->file, file);
}

bool database_moved(const struct database *database)
{
	struct database_file file = file_at(database->path);

	return !file_equal(&file, &database->file);
}

/* By SQLite's own descriptor: to open and close another one would give up its locks. */
bool database_linked(const struct database *database)
{
	struct stat status;

	for (int fd = 0; fd < DESCRIPTORS; fd++)
		if (!fstat(fd, &status) && status.st_ino == database->file.inode &&
		    status.st_dev == database->file.device)
			return status.st_nlink > 0;
	return false;
}

/* The file is there when this returns 0. SQLite gives its mode to -wal and -shm. */
static int file_make(struct database *database)
{
	CLEANUP_FD int made = -1;
	const char *path = database->path;
	struct stat status;
	int error;

	if (!lstat(path, &status)) {
		if (S_ISLNK(status.st_mode))
			return database_refuse(database, -ELOOP,
					       "%s is a symbolic link: name the file it leads to",
					       path);
		if (!S_ISREG(status.st_mode))
			return database_refuse(database, -EILSEQ,
					       "%s is no file: name a file for the history", path);
		if (!faccessat(AT_FDCWD, path, W_OK, AT_EACCESS))
			return 0;
		error = -errno;
		return error == -EROFS
			       ? database_error(database, SQLITE_READONLY)
			       : database_refuse(
					 database, error,
					 "%s cannot be written: %s, see its mode and owner", path,
					 error == -EACCES ? "permission denied" : strerror(-error));
	}
	if (errno == ENOENT) {
		made = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, MODE);
		if (made >= 0)
			return 0;
	}
	error = -errno;
	if (error == -ENOENT || error == -ENOTDIR)
		return refuse_folder(database);
	return database_refuse(database, error, "cannot make %s: %s", path, strerror(-error));
}

/* Nobody of this process may have it open. What is no SQLite database is only taken for a
 * damaged one of ours if there is a reason to. */
static bool file_was_ours(const struct database *database, bool ours)
{
	static const unsigned char zero[100];
	unsigned char header[100];
	uint32_t application = 0;
	CLEANUP_FD int file = open(database->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (file < 0 || pread(file, header, sizeof(header), 0) != sizeof(header))
		return ours;
	for (int i = 68; i < 72; i++)
		application = application << 8 | header[i];
	return ours || application == SCHEMA_APPLICATION || !memcmp(header, zero, sizeof(zero));
}

static int file_is_not_ours(struct database *database)
{
	return database_refuse(database, -EILSEQ,
			       "%s is no history of portsnoop: name another file, or move it away",
			       database->path);
}

/* ---- connection ---- */

static int settle(struct database *database)
{
	sqlite3 *connection = database->connection;

	sqlite3_extended_result_codes(connection, 1);
	sqlite3_busy_timeout(connection, BUSY_PATIENCE);
	sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(connection, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(connection, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(connection, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_db_config(connection, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(connection, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	/* page_size and auto_vacuum count for a new file only, and before the WAL. */
	return database_execute(database, "PRAGMA page_size = 4096;"
					  "PRAGMA auto_vacuum = INCREMENTAL;"
					  "PRAGMA cache_size = -2048;"
					  "PRAGMA cell_size_check = ON;"
					  "PRAGMA temp_store = MEMORY;"
					  "PRAGMA synchronous = NORMAL;"
					  "PRAGMA journal_size_limit = 8388608;");
}

static int tables_make(struct database *database)
{
	char head[96];
	int error = database_execute(database, "BEGIN IMMEDIATE");

	if (error)
		return error;
	snprintf(head, sizeof(head), "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
		 SCHEMA_APPLICATION, SCHEMA_VERSION);
	error = database_execute(database, schema_text);
	if (!error)
		error = database_execute(database, head);
	if (error && !sqlite3_get_autocommit(database->connection))
		sqlite3_exec(database->connection, "ROLLBACK", NULL, NULL, NULL);
	return error;
}

static int identify(struct database *database)
{
	int64_t tables = -1, application = 0, version = 0;
	/* The first statement that reads the file, and recovers its WAL. */
	int error = database_number(database, "SELECT count(*) FROM sqlite_schema", &tables);

	if (!error)
		error = database_number(database, "PRAGMA application_id", &application);
	if (!error)
		error = database_number(database, "PRAGMA user_version", &version);
	if (error)
		return error;
	if (application != SCHEMA_APPLICATION && (tables || application))
		return file_is_not_ours(database);
	if (version > SCHEMA_VERSION)
		return database_refuse(
			database, -EILSEQ,
			"%s was written by a newer portsnoop (its schema is %lld, this one "
			"knows %d): name another file",
			database->path, (long long)version, SCHEMA_VERSION);
	return sqlite3_db_readonly(database->connection, "main") == 1
		       ? database_error(database, SQLITE_READONLY)
		       : 0;
}

static int wal_begin(struct database *database)
{
	sqlite3_stmt *statement = NULL;
	int64_t tables = 0;
	bool on = false;
	int result, error;

	result = sqlite3_prepare_v2(database->connection, "PRAGMA journal_mode = WAL", -1,
				    &statement, NULL);
	if (result == SQLITE_OK)
		result = sqlite3_step(statement);
	if (result == SQLITE_ROW) {
		on = !strcmp((const char *)sqlite3_column_text(statement, 0), "wal");
		result = SQLITE_OK;
	}
	error = database_error(database, result);
	sqlite3_finalize(statement);
	if (error)
		return error;
	if (!on)
		return database_refuse(
			database, -EOPNOTSUPP,
			"%s: its file system cannot have a shared WAL: name another file",
			database->path);
	error = database_number(database, "SELECT count(*) FROM sqlite_schema", &tables);
	if (!error && !tables)
		error = tables_make(database);
	return error;
}

int database_connect(struct database *database, bool ours)
{
	CLEANUP_FREE char *wal = path_with(database, "-wal");
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	int error = file_make(database);
	int result;

	if (error)
		return error;
	result = sqlite3_open_v2(database->path, &database->connection, flags, NULL);
	error = database_error(database, result);
	if (!error)
		error = settle(database);
	if (!error)
		error = identify(database);
	if (!error)
		error = wal_begin(database);
	if (!error)
		error = database_number(database, "PRAGMA page_size", &database->page_size);
	if (error) {
		database_disconnect(database);
		if (error == -EUCLEAN && !file_was_ours(database, ours))
			error = file_is_not_ours(database);
		return error;
	}
	database->file = file_at(database->path);
	database->wal = file_at(wal);
	return 0;
}

/* When the file was moved, SQLite leaves its WAL behind: no other database may find it. */
static void wal_remove(struct database *database)
{
	CLEANUP_FREE char *wal = path_with(database, "-wal");
	CLEANUP_FREE char *shared = path_with(database, "-shm");
	struct database_file file = file_at(wal);

	if (!wal || !shared || !file.inode || !file_equal(&file, &database->wal))
		return;
	unlink(wal);
	unlink(shared);
}

void database_disconnect(struct database *database)
{
	bool moved = database->file.inode && database_moved(database);

	if (!database->connection)
		return;
	/* All statements are finalized: this cannot fail. */
	sqlite3_close(database->connection);
	database->connection = NULL;
	if (moved)
		wal_remove(database);
	database->file = database->wal = (struct database_file){0};
}
