/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the store is. */
#include <stdio.h>
#include <sys/stat.h>

#include "store/inside.h"

static uint64_t wal_bytes(const struct store *store)
{
	char path[4200];
	struct stat status;

	snprintf(path, sizeof(path), "%s-wal", store->database.path);
	return stat(path, &status) ? 0 : status.st_size;
}

static int64_t lesser(int64_t a, int64_t b)
{
	return !a || (b && b < a) ? b : a;
}

void store_measure(struct store *store, bool oldest)
{
	struct database *database = &store->database;
	int64_t pages = 0, lease = 0, failure = 0;

	/* What cannot be asked stays as it was: nobody fails for this. */
	if (!database_number(database, "PRAGMA page_count", &pages))
		store->status.bytes = pages * database->page_size;
	store->status.wal = wal_bytes(store);
	if (!oldest && store->status.oldest)
		return;
	if (!database_number(database, "SELECT claimed FROM lease ORDER BY id LIMIT 1", &lease) &&
	    !database_number(database, "SELECT time FROM failure ORDER BY id LIMIT 1", &failure))
		store->status.oldest = lesser(lease, failure);
}

void store_status(const struct store *store, struct store_status *status)
{
	const struct writer_counts *counts = &store->writer.counts;

	*status = store->status;
	status->leases = counts->leases;
	status->failures = counts->failures;
	status->open = counts->open;
	status->written = counts->written;
	status->trimmed = counts->trimmed;
	status->pending = store->batch.bytes;
}
