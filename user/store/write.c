/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The operations of the batch as rows. */
#include <string.h>

#include "store/meaning.h"
#include "store/program.h"
#include "store/writer.h"

#define GAP_MERGE INT64_C(60000000000) /* ns that gaps of the same reason may grow to */
#define GAP_NEAR INT64_C(2000000000)
#define GAPS_KEPT 65536

/* Columns local and remote. */
static int bind_ends(struct writer *writer, sqlite3_stmt *statement, int index, uint8_t family,
		     const uint8_t *local, const uint8_t *remote)
{
	int64_t id;
	int error = meaning_address(writer, family, local, &id);

	if (error)
		return error;
	sqlite3_bind_int64(statement, index, id);
	if (!remote) {
		sqlite3_bind_null(statement, index + 1);
		return 0;
	}
	error = meaning_address(writer, family, remote, &id);
	if (!error)
		sqlite3_bind_int64(statement, index + 1, id);
	return error;
}

static int bind_lease(struct writer *writer, enum statement which, int64_t id,
		      const struct op_lease *op)
{
	sqlite3_stmt *statement = writer->statements[which];
	const uint8_t *remote = op->peer ? op->address + (op->family == 4 ? 4 : 16) : NULL;
	int error = bind_ends(writer, statement, 8, op->family, op->address, remote);

	if (!error)
		error = meaning_touch_kind(writer, op->kind);
	if (!error)
		error = meaning_touch_process(writer, op->process);
	sqlite3_bind_int64(statement, 1, id);
	sqlite3_bind_int64(statement, 2, op->claimed);
	bind_but(statement, 3, op->held, -1);
	bind_but(statement, 4, op->lingered, 0);
	bind_but(statement, 5, op->answered, -1);
	sqlite3_bind_int64(statement, 6, op->port);
	bind_but(statement, 7, op->remote_port, 0);
	sqlite3_bind_int64(statement, 10, op->kind);
	bind_but(statement, 11, op->process, 0);
	return error;
}

static int write_open(struct writer *writer, const struct op_lease *op)
{
	int error = bind_lease(writer, INSERT_OPEN, (int64_t)op->id, op);

	if (!error)
		error = writer_step(writer, INSERT_OPEN);
	if (!error && op->op.type == OP_OPEN)
		writer->counts.open++;
	return error;
}

int writer_lease_insert(struct writer *writer, int64_t end)
{
	int error;

	sqlite3_bind_int64(writer->statements[INSERT_LEASE], 1, writer->counts.lease);
	error = writer_step(writer, INSERT_LEASE);
	if (error)
		return error;
	writer->counts.lease++;
	writer->counts.leases++;
	writer->counts.written++;
	writer->counts.segment_leases++;
	return writer_segment_grow(writer, end);
}

static int write_close(struct writer *writer, const struct op_lease *op)
{
	int error;

	if (op->id) {
		sqlite3_bind_int64(writer->statements[DELETE_OPEN], 1, (int64_t)op->id);
		error = writer_step(writer, DELETE_OPEN);
		if (error)
			return error;
		writer->counts.open -= sqlite3_changes(writer->database->connection);
	}
	error = bind_lease(writer, INSERT_LEASE, 0, op);
	return error ? error : writer_lease_insert(writer, op->claimed + op->held);
}

static int write_blocker(struct writer *writer, int position, const struct op_blocker *blocker)
{
	sqlite3_stmt *statement = writer->statements[INSERT_BLOCKER];
	int error = meaning_touch_process(writer, blocker->process);

	if (!error && blocker->family)
		error = bind_ends(writer, statement, 10, blocker->family, blocker->local,
				  blocker->peer ? blocker->remote : NULL);
	if (error)
		return error;
	if (!blocker->family) {
		sqlite3_bind_null(statement, 10);
		sqlite3_bind_null(statement, 11);
	}
	sqlite3_bind_int64(statement, 1, writer->counts.failure);
	sqlite3_bind_int64(statement, 2, position);
	bind_but(statement, 3, blocker->process, 0);
	bind_string(statement, 4, *blocker->role ? blocker->role : NULL);
	bind_string(statement, 5, *blocker->state ? blocker->state : NULL);
	bind_but(statement, 6, blocker->since, 0);
	bind_but(statement, 7, blocker->ports, 0);
	bind_but(statement, 8, blocker->port, 0);
	bind_but(statement, 9, blocker->remote_port, 0);
	return writer_step(writer, INSERT_BLOCKER);
}

static int write_failure(struct writer *writer, const struct op_failure *op)
{
	sqlite3_stmt *statement = writer->statements[INSERT_FAILURE];
	const struct op_lease *claim = &op->claim;
	const uint8_t *remote = claim->address + (claim->family == 4 ? 4 : 16);
	int error = bind_ends(writer, statement, 5, claim->family, claim->address,
			      claim->peer ? remote : NULL);

	if (!error)
		error = meaning_touch_kind(writer, claim->kind);
	if (!error)
		error = meaning_touch_process(writer, claim->process);
	if (error)
		return error;
	sqlite3_bind_int64(statement, 1, writer->counts.failure);
	sqlite3_bind_int64(statement, 2, claim->claimed);
	sqlite3_bind_int64(statement, 3, claim->port);
	bind_but(statement, 4, claim->remote_port, 0);
	sqlite3_bind_int64(statement, 7, claim->kind);
	bind_but(statement, 8, claim->process, 0);
	bind_but(statement, 9, op->total, 0);
	bind_string(statement, 10, *op->reason ? op->reason : NULL);
	error = writer_step(writer, INSERT_FAILURE);
	for (uint32_t i = 0; !error && i < op->count; i++)
		error = write_blocker(writer, (int)i, &op->blockers[i]);
	if (error)
		return error;
	writer->counts.failure++;
	writer->counts.failures++;
	writer->counts.written++;
	writer->counts.segment_failures++;
	return writer_segment_grow(writer, claim->claimed);
}

/* Loss goes on for long, record by record: one row a minute says enough. */
static bool gap_merges(const struct writer_counts *counts, enum store_gap_reason reason,
		       int64_t from, int64_t until)
{
	return (int)reason == counts->gap_reason && from >= counts->gap_since &&
	       from - counts->gap_until <= GAP_NEAR && until - counts->gap_since <= GAP_MERGE;
}

int writer_gap(struct writer *writer, enum store_gap_reason reason, int64_t from, int64_t until,
	       uint64_t count)
{
	struct writer_counts *counts = &writer->counts;
	int64_t number = count < INT64_MAX / 2 ? (int64_t)count : INT64_MAX / 2;
	sqlite3_stmt *statement = writer->statements[INSERT_GAP];
	int error;

	if (reason >= STORE_GAP_REASONS)
		return 0;
	if (gap_merges(counts, reason, from, until)) {
		statement = writer->statements[GROW_GAP];
		if (until > counts->gap_until)
			counts->gap_until = until;
		counts->gap_count += number;
		sqlite3_bind_int64(statement, 1, counts->gap - 1);
		sqlite3_bind_int64(statement, 2, counts->gap_until);
		sqlite3_bind_int64(statement, 3, counts->gap_count);
		error = writer_step(writer, GROW_GAP);
		if (error || sqlite3_changes(writer->database->connection))
			return error;
		/* It was trimmed away. */
		statement = writer->statements[INSERT_GAP];
	}
	sqlite3_bind_int64(statement, 1, counts->gap);
	sqlite3_bind_int64(statement, 2, counts->run);
	bind_string(statement, 3, store_gap_name(reason));
	sqlite3_bind_int64(statement, 4, from);
	sqlite3_bind_int64(statement, 5, until);
	sqlite3_bind_int64(statement, 6, number);
	error = writer_step(writer, INSERT_GAP);
	if (error)
		return error;
	counts->gap_reason = reason <= STORE_GAP_KILLED || reason == STORE_GAP_CLOCK ? -1
										     : (int)reason;
	counts->gap_since = from;
	counts->gap_until = until;
	counts->gap_count = number;
	sqlite3_bind_int64(writer->statements[BOUND_GAPS], 1, counts->gap++ - GAPS_KEPT);
	return writer_step(writer, BOUND_GAPS);
}

int writer_alive(struct writer *writer, int64_t now, bool ended)
{
	sqlite3_stmt *statement = writer->statements[UPDATE_RUN];

	if (!writer->counts.run)
		return 0;
	sqlite3_bind_int64(statement, 1, writer->counts.run);
	sqlite3_bind_int64(statement, 2, now);
	if (ended)
		sqlite3_bind_int64(statement, 3, now);
	else
		sqlite3_bind_null(statement, 3);
	return writer_step(writer, UPDATE_RUN);
}

int writer_forget_open(struct writer *writer)
{
	writer->counts.open = 0;
	return writer_step(writer, CLEAR_OPEN);
}

int writer_op(struct writer *writer, const struct op *op)
{
	const struct op_gap *gap;

	switch (op->type) {
	case OP_KIND:
		return meaning_kind(writer, (const struct op_kind *)op);
	case OP_PROGRAM:
		return meaning_program(writer, (const struct op_program *)op);
	case OP_PROCESS:
		return meaning_process(writer, (const struct op_process *)op);
	case OP_OPEN:
	case OP_CHANGE:
		return write_open(writer, (const struct op_lease *)op);
	case OP_CLOSE:
		return write_close(writer, (const struct op_lease *)op);
	case OP_FAILURE:
		return write_failure(writer, (const struct op_failure *)op);
	case OP_GAP:
		gap = (const struct op_gap *)op;
		return writer_gap(writer, gap->reason, gap->from, gap->until, gap->count);
	}
	return 0;
}
