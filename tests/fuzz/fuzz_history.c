/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A database that claims to be a history. The input is SQL that somebody ran on one, and
 * behind a NUL what happened to its bytes: five each, an offset of three and, of two, what
 * stands there now; offset 0xffffff: the file ends at that page.
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "store/history.h"
#include "store/schema.h"

#define NOW INT64_C(2000)
#define STEPS 200 /* of SQL, in thousands */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char contents[] =
	"INSERT INTO run VALUES (1, 9, 'host', '6.1', 'boot', '0.1', 'fentry', 1, 1000, 1900, 1950),"
	" (2, 10, 'host', '6.1', 'boot', '0.1', 'fentry', 1, 1960, 2000, NULL);"
	"INSERT INTO gap VALUES (1, 2, 'stopped', 1950, 1960, 0), (2, 2, 'clock', 1990, 1980, 0);"
	"INSERT INTO address VALUES (1, 0, '0.0.0.0'), (2, 0, '192.0.2.1'), (3, 0, '::1');"
	"INSERT INTO executable VALUES (1, 0, '/usr/bin/app');"
	"INSERT INTO cgroup VALUES (1, 0, '/a', 'app.service', 'c0ffee12', 'docker', 'pod');"
	"INSERT INTO program VALUES (1, 0, 'app', 1, '[\"app\"]', 0, 'root', 0, 'sh', 1, 0);"
	"INSERT INTO process VALUES (1, 0, 42, 7, 1, 1, NULL, 1);"
	"INSERT INTO kind (id, run, netns, protocol, family, outcome, ending, flags) VALUES"
	" (1, 1, 7, 'tcp', 4, 'established', 'released', 1),"
	" (2, 2, 7, 'udp', 6, 'failed', 'open', 1), (3, 1, 7, 'tcp', 4, 'failed', 'open', 1);"
	"INSERT INTO lease VALUES (1, 1000, 100, NULL, 5, 80, 443, 1, 2, 1, 1),"
	" (2, 1050, 100, 50, NULL, 81, NULL, 3, NULL, 3, NULL),"
	" (8192, 1500, 300, NULL, NULL, 80, 1, 1, 3, 1, 1);"
	"INSERT INTO open_lease VALUES (1, 1100, NULL, -1, NULL, 80, 443, 1, 2, 2, 1),"
	" (2, 1970, NULL, NULL, NULL, 80, NULL, 3, NULL, 3, 1);"
	"INSERT INTO segment (id, claimed, released, ended, leases, failure) VALUES"
	" (0, 1000, 1100, 1150, 2, 0);"
	"INSERT INTO failure VALUES (1, 1600, 80, 443, 1, 2, 2, 1, 3, NULL);"
	"INSERT INTO blocker VALUES (1, 0, 1, 'holder', 'listen', 1000, 0, 80, 0, 1, NULL);";

static char path[64];
static uint8_t *image;
static size_t image_size;

static int steps_spend(void *context)
{
	return --*(int *)context < 0;
}

/* Nothing of the input may reach another file. */
static int only_inside(void *context, int what, const char *a, const char *b, const char *c,
		       const char *d)
{
	(void)context, (void)b, (void)c, (void)d;
	if (what == SQLITE_ATTACH || what == SQLITE_DETACH)
		return SQLITE_DENY;
	if (what == SQLITE_PRAGMA && strcmp(a, "writable_schema") && strcmp(a, "user_version"))
		return SQLITE_DENY;
	return SQLITE_OK;
}

static void folder_remove(void)
{
	char *slash = strrchr(path, '/');

	unlink(path);
	*slash = 0;
	rmdir(path);
}

static void image_make(void)
{
	sqlite3 *db;
	char text[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/history.XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	check(mkdtemp(path));
	strcat(path, "/db");
	atexit(folder_remove);
	check(sqlite3_open(path, &db) == SQLITE_OK);
	snprintf(text, sizeof(text),
		 "PRAGMA page_size = 512; PRAGMA application_id = %d; PRAGMA user_version = %d",
		 SCHEMA_APPLICATION, SCHEMA_VERSION);
	check(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK);
	check(sqlite3_exec(db, schema_text, NULL, NULL, NULL) == SQLITE_OK);
	check(sqlite3_exec(db, contents, NULL, NULL, NULL) == SQLITE_OK);
	for (int i = 1; i <= 2; i++) {
		snprintf(text, sizeof(text), "INSERT INTO lease_port VALUES (%lld)",
			 (long long)schema_key(0, (uint16_t)(79 + i), 3, i));
		check(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK);
	}
	sqlite3_close(db);
	file = fopen(path, "r");
	check(file && !fseek(file, 0, SEEK_END));
	image_size = (size_t)ftell(file);
	image = malloc(image_size);
	rewind(file);
	check(image && fread(image, 1, image_size, file) == image_size);
	fclose(file);
}

static void file_make(void)
{
	static const char *const ends[] = {"-wal", "-shm", "-journal"};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char other[80];

	check(fd >= 0 && write(fd, image, image_size) == (ssize_t)image_size);
	close(fd);
	for (int i = 0; i < 3; i++) {
		snprintf(other, sizeof(other), "%s%s", path, ends[i]);
		unlink(other);
	}
}

static void sql_run(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	int steps = STEPS;
	sqlite3 *db;

	check(text && sqlite3_open(path, &db) == SQLITE_OK);
	memcpy(text, data, size);
	text[size] = 0;
	sqlite3_exec(db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 2000000);
	sqlite3_set_authorizer(db, only_inside, NULL);
	sqlite3_progress_handler(db, 1000, steps_spend, &steps);
	sqlite3_exec(db, text, NULL, NULL, NULL);
	sqlite3_close(db);
	free(text);
}

static void bytes_change(const uint8_t *data, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	check(fd >= 0);
	for (; size >= 5; data += 5, size -= 5) {
		off_t offset = data[0] << 16 | data[1] << 8 | data[2];

		if (offset == 0xffffff)
			check(!ftruncate(fd, (off_t)(data[3] << 8 | data[4]) * 512));
		else if (offset <= (off_t)image_size)
			check(pwrite(fd, data + 3, 2, offset) == 2);
	}
	close(fd);
}

static void text_check(struct history_text text, size_t *sum)
{
	for (size_t i = 0; i < text.length; i++)
		*sum += (unsigned char)text.data[i];
}

static void process_check(const struct history_process *process, size_t *sum)
{
	const struct history_text texts[] = {process->comm,	   process->exe,     process->user,
					     process->parent_comm, process->cgroup,  process->unit,
					     process->container,   process->runtime, process->pod,
					     process->args};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		text_check(texts[i], sum);
}

/* All that is pointed at is there, and what has bounds is in them. */
static int row_check(void *context, const struct history_row *row)
{
	const struct history_text texts[] = {row->protocol, row->trigger, row->origin,
					     row->error,    row->local,	  row->remote,
					     row->host,	    row->tier,	  row->blocked_reason};
	size_t sum = 0;

	check(row->kind <= HISTORY_GAP);
	check(row->blocked_count <= HISTORY_BLOCKERS && row->blocked_count <= row->blocked_total);
	if (row->kind == HISTORY_GAP) {
		check(row->gap >= -2 && row->gap < STORE_GAP_REASONS);
	} else {
		check(row->outcome < STORE_OUTCOMES && row->ending < STORE_ENDINGS);
		check(row->family == 4 || row->family == 6);
		check(row->until >= row->time);
		check(row->protocol.data);
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		text_check(texts[i], &sum);
	process_check(&row->process, &sum);
	for (unsigned int i = 0; i < row->blocked_count; i++) {
		text_check(row->blockers[i].role, &sum);
		text_check(row->blockers[i].local, &sum);
		process_check(&row->blockers[i].process, &sum);
	}
	*(size_t *)context += sum;
	return 0;
}

static void history_read(struct history *history)
{
	static struct port_set ports;
	const struct history_remote remote = {.family = 4, .bits = 24, .address = {192, 0, 2}};
	const struct history_query queries[] = {
		{.since = INT64_MIN, .until = INT64_MAX, .gaps = true},
		{.since = 1080, .until = 1080, .ports = &ports, .gaps = true, .newest = 2},
		{.since = 1000,
		 .until = INT64_MAX,
		 .pid = 42,
		 .comm = "app",
		 .exe = "app",
		 .unit = "app",
		 .container = "c0ff",
		 .protocol = 6},
		{.since = INT64_MIN, .until = 1700, .remote = &remote, .failed = true},
	};
	size_t sum = 0;

	ports.bits[80 / 8] = 3;
	for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
		int result = history_ask(history, &queries[i], NOW, row_check, &sum);

		check(result <= 0 && !result == !*history_why(history));
	}
	for (int i = 0; i < 2; i++)
		history_follow(history, &queries[0], row_check, &sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
	size_t length = nul ? (size_t)(nul - data) : size;
	struct history *history = NULL;
	char why[320] = "";
	int error;

	if (!image)
		image_make();
	file_make();
	if (length)
		sql_run(data, length);
	if (nul)
		bytes_change(nul + 1, size - length - 1);
	error = history_open(path, &history, why, sizeof(why));
	check(!error == !*why && !error == (history != NULL));
	if (history)
		history_read(history);
	history_close(history);
	return 0;
}
