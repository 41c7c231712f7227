/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is given to the store goes to the batch. */
#include <stdio.h>
#include <string.h>

#include "store/inside.h"
#include "store/program.h"

/* Further than this no time goes: sums of two stay in range. */
#define TIME_MOST (INT64_MAX / 4)

static int64_t bounded(int64_t time)
{
	return time > TIME_MOST ? TIME_MOST : time < -TIME_MOST ? -TIME_MOST : time;
}

static int64_t duration(uint64_t ns)
{
	return ns == STORE_UNKNOWN ? -1 : ns > (uint64_t)TIME_MOST ? TIME_MOST : (int64_t)ns;
}

/* There is a database that its ids are for. */
static bool is_ready(const struct store *store)
{
	return store->database.connection || store->renew;
}

/* When there is no room for more, all that waits goes, and this comes next. */
static void *room(struct store *store, enum op_type type, size_t size)
{
	void *op = batch_add(&store->batch, type, size);

	if (op || !store->batch.bytes)
		return op;
	store_full(store);
	return NULL;
}

/* What is given now is written later, when the row of an old one may be swept away. */
static bool is_gone(const struct store *store, const struct intern_entry *entry)
{
	return !writer_is_fresh(&store->writer, entry->era);
}

/* NULL without memory: then it gets another id next time. */
static struct intern_entry *remember(struct store *store, struct intern *intern, const void *key,
				     size_t length, uint32_t id)
{
	struct intern_entry *entry = intern_find(intern, key, length);

	if (!entry)
		return intern_add(intern, key, length, id, writer_segment(&store->writer));
	entry->id = id;
	entry->era = writer_segment(&store->writer);
	return entry;
}

/* ---- what is referred to ---- */

/* 0 without room. */
static uint32_t kind_id(struct store *store, const struct store_lease *lease)
{
	const struct kind_key key = {
		.netns = lease->netns,
		.device = lease->device,
		.flags = lease->flags,
		.error = lease->error,
		.protocol = lease->protocol,
		.pool_low = lease->pool_low,
		.pool_high = lease->pool_high,
		.family = lease->family,
		.trigger = lease->trigger,
		.origin = lease->origin,
		.outcome = lease->outcome,
		.ending = lease->ending,
	};
	struct intern_entry *entry = intern_find(&store->kinds, &key, sizeof(key));
	struct op_kind *op;

	if (entry && !is_gone(store, entry))
		return entry->id;
	if (store->writer.kind > UINT32_MAX)
		return 0;
	op = room(store, OP_KIND, sizeof(*op));
	if (!op)
		return 0;
	op->id = (uint32_t)store->writer.kind++;
	op->run = (uint32_t)store->writer.run;
	op->key = key;
	remember(store, &store->kinds, &key, sizeof(key), op->id);
	return op->id;
}

/* A process may call its threads what it likes, and change its user: each such face of it
 * is a row. */
struct face {
	struct process_key key;
	uint32_t uid;
	char comm[WIRE_COMM + 4];
};

static void face_make(struct face *face, const struct store_process *process)
{
	*face = (struct face){.key = process->key, .uid = process->uid};
	if (process->comm)
		memcpy(face->comm, process->comm, strnlen(process->comm, WIRE_COMM));
}

static struct intern_entry *process_find(const struct store *store, const struct face *face)
{
	/* To be asked for keeps it from being forgotten, no more. */
	struct intern_entry *entry =
		intern_find((struct intern *)&store->processes, face, sizeof(*face));

	return entry && !is_gone(store, entry) ? entry : NULL;
}

uint32_t store_process_find(const struct store *store, const struct store_process *process)
{
	const struct intern_entry *entry;
	struct face face;

	face_make(&face, process);
	entry = process_find(store, &face);
	return entry ? entry->id : 0;
}

/* 0 without room. */
static uint32_t program_id(struct store *store, const struct store_process *process)
{
	struct buffer *program = &store->program;
	const struct intern_entry *entry;
	struct op_program *op;

	buffer_reset(program);
	program_write(program, process);
	if (program->failed || store->writer.program > UINT32_MAX)
		return 0;
	entry = intern_find(&store->programs, program->data, program->length);
	if (entry && !is_gone(store, entry))
		return entry->id;
	op = room(store, OP_PROGRAM, sizeof(*op) + program->length);
	if (!op)
		return 0;
	op->id = (uint32_t)store->writer.program++;
	memcpy(op->bytes, program->data, program->length);
	remember(store, &store->programs, program->data, program->length, op->id);
	return op->id;
}

uint32_t store_process(struct store *store, const struct store_process *process)
{
	const struct process_key *key = &process->key;
	struct intern_entry *entry;
	uint64_t generation = store->generation;
	struct op_process *op = NULL;
	uint32_t program, id;
	struct face face;

	face_make(&face, process);
	entry = process_find(store, &face);
	if (entry && (entry->whole || !process->details))
		return entry->id;
	if (!is_ready(store) || store->writer.process > UINT32_MAX)
		return 0;
	id = entry ? entry->id : 0;
	program = program_id(store, process);
	if (program)
		op = room(store, OP_PROCESS, sizeof(*op));
	if (!op || generation != store->generation)
		return 0;
	op->id = id ? id : (uint32_t)store->writer.process++;
	op->program = program;
	op->pid = key->pid;
	op->start = key->start;
	op->exec = key->exec;
	if (process->details) {
		op->namespace_pid = process->details->namespace_pid;
		op->parent_pid = process->details->parent_pid;
	}
	entry = remember(store, &store->processes, &face, sizeof(face), op->id);
	if (entry)
		entry->whole = process->details != NULL;
	return op->id;
}

/* ---- leases ---- */

static bool is_zero(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i])
			return false;
	return true;
}

static size_t address_length(uint8_t family)
{
	return family == 4 ? 4 : 16;
}

static bool has_peer(const struct store_lease *lease)
{
	return lease->remote_port || !is_zero(lease->remote, address_length(lease->family));
}

static size_t lease_size(const struct store_lease *lease)
{
	return offsetof(struct op_lease, address) +
	       (has_peer(lease) ? 2 : 1) * address_length(lease->family);
}

static void lease_fill(struct op_lease *op, const struct store_lease *lease, uint64_t id,
		       uint32_t kind)
{
	size_t length = address_length(lease->family);

	op->id = id;
	op->claimed = bounded(lease->claimed);
	op->held = duration(lease->held);
	op->lingered = duration(lease->lingered);
	op->answered = duration(lease->answered);
	op->process = lease->process;
	op->kind = kind;
	op->port = lease->port;
	op->remote_port = lease->remote_port;
	op->family = lease->family;
	op->peer = has_peer(lease);
	memcpy(op->address, lease->local, length);
	if (op->peer)
		memcpy(op->address + length, lease->remote, length);
}

/* NULL without room. After a batch was dropped, what the lease refers to is in no batch. */
static struct op_lease *lease_add(struct store *store, enum op_type type, uint64_t id,
				  const struct store_lease *lease)
{
	uint64_t generation = store->generation;
	struct op_lease *op = NULL;
	uint32_t kind;

	if (!is_ready(store))
		return NULL;
	kind = kind_id(store, lease);
	if (kind)
		op = room(store, type, lease_size(lease));
	if (generation != store->generation || !op)
		return NULL;
	lease_fill(op, lease, id, kind);
	return op;
}

/* Ids of different runs differ, too. */
#define RUN_SHIFT 32

uint64_t store_lease_open(struct store *store, const struct store_lease *lease)
{
	uint64_t id = (uint64_t)store->writer.run << RUN_SHIFT | (store->open + 1);
	struct op_lease *op = lease_add(store, OP_OPEN, id, lease);

	if (!op)
		return 0;
	if (!batch_opened(&store->batch, op)) {
		op->op.type = OP_NONE;
		return 0;
	}
	store->open++;
	return id;
}

void store_lease_change(struct store *store, uint64_t id, const struct store_lease *lease)
{
	struct op_lease *op = batch_find_opened(&store->batch, id);
	uint32_t kind;

	if (!id)
		return;
	/* Not written yet, and with room for what it is now: nobody needs what it was. */
	if (op && op->op.size >= lease_size(lease)) {
		uint64_t generation = store->generation;

		kind = kind_id(store, lease);
		/* Its kind stands behind it, but no row asks for one before the commit. */
		if (kind && generation == store->generation)
			lease_fill(op, lease, id, kind);
		return;
	}
	if (op) {
		struct op_lease *wider = lease_add(store, OP_OPEN, id, lease);

		if (wider) {
			op->op.type = OP_NONE;
			store->batch.opened[id - store->batch.opened_first] = wider;
		}
		return;
	}
	lease_add(store, OP_CHANGE, id, lease);
}

void store_lease_close(struct store *store, uint64_t id, const struct store_lease *lease)
{
	struct op_lease *opened = id ? batch_find_opened(&store->batch, id) : NULL;
	struct op_lease *op;

	op = lease_add(store, OP_CLOSE, opened ? 0 : id, lease);
	if (!op) {
		store_lose(store);
		return;
	}
	if (op->held < 0)
		op->held = 0;
	if (op->lingered < 0)
		op->lingered = 0;
	if (opened)
		batch_take_back(&store->batch, opened);
	store->batch.entries++;
}

/* ---- failures and gaps ---- */

static void text_put(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "");
}

static void blocker_fill(struct op_blocker *op, const struct store_blocker *blocker)
{
	op->since = blocker->since;
	op->process = blocker->process;
	op->ports = blocker->ports;
	op->port = blocker->port;
	op->remote_port = blocker->remote_port;
	op->family = blocker->ports ? 0 : blocker->family;
	memcpy(op->local, blocker->local, sizeof(op->local));
	memcpy(op->remote, blocker->remote, sizeof(op->remote));
	op->peer = blocker->remote_port || !is_zero(op->remote, sizeof(op->remote));
	text_put(op->role, sizeof(op->role), blocker->role);
	text_put(op->state, sizeof(op->state), blocker->state);
}

void store_failure(struct store *store, const struct store_failure *failure)
{
	const struct store_lease *claim = &failure->claim;
	uint64_t generation = store->generation;
	struct op_failure *op = NULL;
	uint32_t kind = 0;

	if (is_ready(store))
		kind = kind_id(store, claim);
	if (kind)
		op = room(store, OP_FAILURE,
			  sizeof(*op) + failure->count * sizeof(struct op_blocker));
	if (generation != store->generation || !op) {
		store_lose(store);
		return;
	}
	lease_fill(&op->claim, claim, 0, kind);
	op->count = failure->count;
	op->total = failure->total;
	text_put(op->reason, sizeof(op->reason), failure->reason);
	for (unsigned int i = 0; i < failure->count; i++)
		blocker_fill(&op->blockers[i], &failure->blockers[i]);
	store->batch.entries++;
}

void store_gap(struct store *store, enum store_gap_reason reason, int64_t from, int64_t until,
	       uint64_t count)
{
	struct op_gap *op = is_ready(store) ? room(store, OP_GAP, sizeof(*op)) : NULL;

	if (!op)
		return;
	op->reason = reason;
	op->from = bounded(from);
	op->until = bounded(until);
	op->count = count;
}

bool store_pending(const struct store *store)
{
	return store->batch.bytes || store->lost.any ||
	       (store->has_run && !store->writer.counts.run);
}
