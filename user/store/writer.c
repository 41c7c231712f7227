/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "store/writer.h"

#include <errno.h>

#define ADDRESSES ((size_t)1536 << 10) /* bytes to remember, twice this at most */
#define PATHS ((size_t)128 << 10)

void writer_init(struct writer *writer, struct database *database)
{
	*writer = (struct writer){.database = database, .sweep_table = -1};
	writer->addresses.limit = ADDRESSES;
	writer->executables.limit = writer->cgroups.limit = PATHS;
}

static void forget(struct writer *writer)
{
	intern_clear(&writer->addresses);
	intern_clear(&writer->executables);
	intern_clear(&writer->cgroups);
	for (int i = 0; i < WRITER_TOUCHED; i++)
		writer->kinds[i] = writer->processes[i] = (struct writer_touched){0};
}

static int counts_load(struct writer *writer)
{
	struct writer_counts *counts = &writer->counts;
	/* Without a row, the database is new. */
	const struct {
		const char *sql;
		int64_t *number;
	} questions[] = {
		{"SELECT max((SELECT coalesce(max(id), 0) FROM lease) + 1,"
		 " (SELECT coalesce((max(id) + 1) << 13, 1) FROM segment))",
		 &counts->lease},
		{"SELECT max((SELECT coalesce(max(id), 0) FROM failure),"
		 " (SELECT coalesce(max(failure), 0) FROM segment)) + 1",
		 &counts->failure},
		{"SELECT coalesce(max(id), 0) + 1 FROM gap", &counts->gap},
		{"SELECT coalesce(max(id), 0) + 1 FROM address", &counts->address},
		{"SELECT coalesce(max(id), 0) + 1 FROM executable", &counts->executable},
		{"SELECT coalesce(max(id), 0) + 1 FROM cgroup", &counts->cgroup},
		{"SELECT coalesce(max(id), 0) + 1 FROM program", &writer->program},
		{"SELECT coalesce(max(id), 0) + 1 FROM run", &writer->run},
		{"SELECT coalesce(max(id), 0) + 1 FROM process", &writer->process},
		{"SELECT coalesce(max(id), 0) + 1 FROM kind", &writer->kind},
		{"SELECT count(*) FROM open_lease", &counts->open},
		/* Of the segment that is not complete. */
		{"SELECT count(*) FROM lease"
		 " WHERE id >= (SELECT coalesce((max(id) + 1) << 13, 0) FROM segment)",
		 &counts->segment_leases},
		{"SELECT count(*) FROM failure"
		 " WHERE id > (SELECT coalesce(max(failure), 0) FROM segment)",
		 &counts->segment_failures},
		{"SELECT min(t) FROM (SELECT min(claimed + held) AS t FROM lease"
		 " WHERE id >= (SELECT coalesce((max(id) + 1) << 13, 0) FROM segment)"
		 " UNION ALL SELECT min(time) FROM failure"
		 " WHERE id > (SELECT coalesce(max(failure), 0) FROM segment))",
		 &counts->segment_since},
		{"SELECT max(time) FROM failure"
		 " WHERE id > (SELECT coalesce(max(failure), 0) FROM segment)",
		 &counts->segment_until},
		{"SELECT slack FROM slack", &writer->slack},
		{"SELECT before FROM slack", &writer->slack_before},
		{"SELECT since FROM slack", &writer->slack_since},
		{"SELECT coalesce(sum(leases), 0) FROM segment", &counts->leases},
		{"SELECT coalesce(max(id) - min(id) + 1, 0) FROM failure", &counts->failures},
	};

	for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++) {
		int error =
			database_number(writer->database, questions[i].sql, questions[i].number);

		if (error)
			return error;
	}
	counts->leases += counts->segment_leases;
	counts->slack_stored = writer->slack > 0;
	return 0;
}

int writer_attach(struct writer *writer)
{
	int error, result;

	/* What was counted goes on, what was remembered does not. */
	writer->counts = (struct writer_counts){
		.written = writer->counts.written,
		.trimmed = writer->counts.trimmed,
		.completed = writer->counts.completed,
		.gap_reason = -1,
	};
	writer->swept = writer->sweep = 0;
	writer->sweep_table = -1;
	writer->slack = writer->slack_before = writer->slack_since = 0;
	result = statements_prepare(writer->database->connection, writer->statements);
	error = database_error(writer->database, result);
	if (!error)
		error = counts_load(writer);
	if (!error)
		writer_settle_slack(writer);
	writer->committed = writer->counts;
	if (error)
		writer_detach(writer);
	return error;
}

void writer_detach(struct writer *writer)
{
	statements_finalize(writer->statements);
	writer->within = false;
	forget(writer);
}

void writer_free(struct writer *writer)
{
	writer_detach(writer);
}

int writer_step(struct writer *writer, enum statement which)
{
	int result = sqlite3_step(writer->statements[which]);

	/* Of a statement that failed this tells the same once more. */
	sqlite3_reset(writer->statements[which]);
	return result == SQLITE_DONE ? 0 : database_error(writer->database, result);
}

int writer_begin(struct writer *writer)
{
	int error = writer_step(writer, BEGIN);

	if (!error)
		writer->within = true;
	return error;
}

int writer_commit(struct writer *writer)
{
	int error = writer_step(writer, COMMIT);

	if (error)
		return error;
	writer->within = false;
	writer->committed = writer->counts;
	return 0;
}

void writer_rollback(struct writer *writer)
{
	if (!writer->within)
		return;
	writer->within = false;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_reset(writer->statements[i]);
	/* Some errors roll back by themselves. */
	if (!sqlite3_get_autocommit(writer->database->connection))
		sqlite3_exec(writer->database->connection, "ROLLBACK", NULL, NULL, NULL);
	writer->counts = writer->committed;
	writer->sweep_table = -1; /* it begins anew */
	forget(writer);
}
