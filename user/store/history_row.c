/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the ids of a row mean. What was looked up last stays in a slot that is chosen by
 * its id; each part of a row has slots of its own, so that none takes another's
 * place while the row is shown.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/history_inside.h"

#define IP_MOST 64
#define TEXT_MOST 4096	/* of a hostile file; the rest is left out */
#define ARGS_MOST 32768 /* longer ones are not known: half of an array is none */

bool history_column(sqlite3_stmt *statement, int column, int64_t least, int64_t most,
		    int64_t *number)
{
	int64_t value;

	if (sqlite3_column_type(statement, column) != SQLITE_INTEGER)
		return false;
	value = sqlite3_column_int64(statement, column);
	if (value < least || value > most)
		return false;
	*number = value;
	return true;
}

struct history_text history_column_text(sqlite3_stmt *statement, int column)
{
	struct history_text text = {0};
	int type = sqlite3_column_type(statement, column);

	if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
		text.data = sqlite3_column_blob(statement, column);
		text.length = (size_t)sqlite3_column_bytes(statement, column);
		if (!text.data) /* an empty one */
			text.data = "";
	}
	return text;
}

/* A number that is absent or makes no sense is 0. */
static uint32_t column_unsigned(sqlite3_stmt *statement, int column, uint32_t most)
{
	int64_t number = 0;

	history_column(statement, column, 0, most, &number);
	return (uint32_t)number;
}

/* Copies of texts from column `first` on, kept in `bytes`. */
static bool texts_keep(sqlite3_stmt *statement, int first, struct history_text **texts, int count,
		       size_t most, struct buffer *bytes)
{
	size_t total = 0;

	for (int i = 0; i < count; i++) {
		*texts[i] = history_column_text(statement, first + i);
		if (texts[i]->length > most)
			texts[i]->length = most;
		total += texts[i]->length;
	}
	if (!buffer_room(bytes, total + 1)) /* so that they do not move */
		return false;
	for (int i = 0; i < count; i++) {
		const char *copy = bytes->data + bytes->length;

		if (!texts[i]->data)
			continue;
		buffer_append(bytes, texts[i]->data, texts[i]->length);
		texts[i]->data = copy;
	}
	return true;
}

#define TEXTS_KEEP(statement, first, bytes, ...)                                                   \
	texts_keep((statement), (first), (struct history_text *[]){__VA_ARGS__},                   \
		   sizeof((struct history_text *[]){__VA_ARGS__}) / sizeof(struct history_text *), \
		   TEXT_MOST, (bytes))

/* The row of an id: true, and its statement is to be reset after use. */
static bool row_find(struct history *history, enum history_lookup which, int64_t id,
		     sqlite3_stmt **found)
{
	int result;

	*found = history_lookup(history, which, id);
	if (!*found)
		return false;
	result = sqlite3_step(*found);
	if (result == SQLITE_ROW)
		return true;
	if (result != SQLITE_DONE)
		history_fail(history, result);
	sqlite3_reset(*found);
	return false;
}

static void *slots_make(struct history *history, void **slots, size_t count, size_t size)
{
	if (!*slots)
		*slots = calloc(count, size);
	if (!*slots)
		history_fail_with(history, -ENOMEM, "out of memory");
	return *slots;
}

const struct history_run *history_run(struct history *history, uint32_t id)
{
	struct history_run *run = &history->runs[history_slot(id, HISTORY_RUNS)];
	sqlite3_stmt *found;
	bool kept;

	if (id && run->id == id)
		return run;
	run->id = 0;
	if (!id || !row_find(history, LOOKUP_RUN, id, &found))
		return NULL;
	buffer_reset(&run->bytes);
	kept = TEXTS_KEEP(found, 2, &run->bytes, &run->host, &run->tier);
	run->end = INT64_MIN;
	if (!history_column(found, 1, INT64_MIN, INT64_MAX - 1, &run->end))
		history_column(found, 0, INT64_MIN, INT64_MAX - 1, &run->end);
	if (id == history->last_run)
		run->end = history->last_end;
	sqlite3_reset(found);
	if (!kept) {
		history_fail_with(history, -ENOMEM, "out of memory");
		return NULL;
	}
	run->id = id;
	return run;
}

/* Of a text in the table kind. */
static int name_find(const struct history_text *text, int (*find)(const char *name))
{
	char name[32];

	if (!text->data || text->length >= sizeof(name))
		return -1;
	memcpy(name, text->data, text->length);
	name[text->length] = 0;
	return find(name);
}

static int protocol_find(const char *name)
{
	const char *expected;
	uint16_t protocol;

	return parse_protocol(name, &protocol, &expected) ? -1 : protocol;
}

const struct history_common *history_common(struct history *history, uint32_t id)
{
	struct history_common *common;
	struct history_text outcome, ending;
	sqlite3_stmt *found;
	int64_t number = 0;
	int names[3];
	bool kept;

	if (!slots_make(history, (void **)&history->commons, HISTORY_COMMONS,
			sizeof(*history->commons)))
		return NULL;
	common = &history->commons[history_slot(id, HISTORY_COMMONS)];
	if (id && common->id == id)
		return common->sane ? common : NULL;
	common->id = 0;
	if (!id || !row_find(history, LOOKUP_COMMON, id, &found))
		return NULL;
	buffer_reset(&common->bytes);
	kept = TEXTS_KEEP(found, 0, &common->bytes, &common->protocol_name, &common->trigger,
			  &common->origin, &common->error, &outcome, &ending);
	common->sane = history_column(found, 6, 1, UINT32_MAX, &number);
	common->run = (uint32_t)number;
	common->sane &= history_column(found, 7, 4, 6, &number) && number != 5;
	common->family = (uint8_t)number;
	common->netns = column_unsigned(found, 8, UINT32_MAX);
	common->device = column_unsigned(found, 9, UINT32_MAX);
	common->flags = column_unsigned(found, 10, UINT32_MAX);
	common->pool_low = (uint16_t)column_unsigned(found, 11, UINT16_MAX);
	common->pool_high = (uint16_t)column_unsigned(found, 12, UINT16_MAX);
	sqlite3_reset(found);
	if (!kept) {
		history_fail_with(history, -ENOMEM, "out of memory");
		return NULL;
	}
	names[0] = name_find(&outcome, store_outcome_find);
	names[1] = name_find(&ending, store_ending_find);
	names[2] = name_find(&common->protocol_name, protocol_find);
	common->sane &= names[0] >= 0 && names[1] >= 0 && common->protocol_name.data;
	common->outcome = (uint8_t)names[0];
	common->ending = (uint8_t)names[1];
	common->protocol = (uint16_t)(names[2] < 0 ? UINT16_MAX : names[2]);
	common->id = id;
	return common->sane ? common : NULL;
}

static struct history_text address_text(struct history *history, struct history_address *slot,
					uint32_t id)
{
	sqlite3_stmt *found;

	if (id && slot->id == id)
		return slot->ip;
	slot->id = 0;
	if (!id || !row_find(history, LOOKUP_ADDRESS, id, &found))
		return (struct history_text){0};
	buffer_reset(&slot->bytes);
	if (texts_keep(found, 0, (struct history_text *[]){&slot->ip}, 1, IP_MOST, &slot->bytes))
		slot->id = id;
	else
		history_fail_with(history, -ENOMEM, "out of memory");
	sqlite3_reset(found);
	return slot->id ? slot->ip : (struct history_text){0};
}

/* Of the slot; all zero if it is not known. */
static const struct history_process *process_read(struct history *history,
						  struct history_claimant *slot, uint32_t id)
{
	struct history_process *process = &slot->process;
	sqlite3_stmt *found;
	int64_t number = 0;
	bool kept;

	if (id && slot->id == id)
		return process;
	slot->id = 0;
	*process = (struct history_process){0};
	if (!id || !row_find(history, LOOKUP_CLAIMANT, id, &found))
		return process;
	buffer_reset(&slot->bytes);
	process->pid = column_unsigned(found, 0, UINT32_MAX);
	history_column(found, 1, 0, INT64_MAX, &number);
	process->start = (uint64_t)number;
	process->exec = column_unsigned(found, 2, UINT32_MAX);
	process->namespace_pid = sqlite3_column_type(found, 3) == SQLITE_NULL
					 ? process->pid
					 : column_unsigned(found, 3, UINT32_MAX);
	process->parent_pid = column_unsigned(found, 4, UINT32_MAX);
	process->has_uid = history_column(found, 5, 0, UINT32_MAX, &number);
	process->uid = column_unsigned(found, 5, UINT32_MAX);
	process->gid = column_unsigned(found, 6, UINT32_MAX);
	process->flags = column_unsigned(found, 7, UINT32_MAX);
	kept = TEXTS_KEEP(found, 9, &slot->bytes, &process->comm, &process->exe, &process->user,
			  &process->parent_comm, &process->cgroup, &process->unit,
			  &process->container, &process->runtime, &process->pod);
	if (sqlite3_column_bytes(found, 8) <= ARGS_MOST) {
		struct buffer more = BUFFER_EMPTY;

		/* Behind the others, which point into the buffer: it may not move. */
		kept = kept && texts_keep(found, 8, (struct history_text *[]){&process->args}, 1,
					  ARGS_MOST, &more);
		buffer_free(&slot->args);
		slot->args = more;
	}
	sqlite3_reset(found);
	if (!kept) {
		history_fail_with(history, -ENOMEM, "out of memory");
		*process = (struct history_process){0};
		return process;
	}
	slot->id = id;
	return process;
}

static uint32_t id_column(sqlite3_stmt *statement, int column)
{
	return column_unsigned(statement, column, UINT32_MAX);
}

static void blockers_read(struct history *history, int64_t failure, struct history_row *row)
{
	sqlite3_stmt *found = history_lookup(history, LOOKUP_BLOCKERS, failure);
	unsigned int count = 0;
	int result = SQLITE_DONE;

	if (!found)
		return;
	while (count < HISTORY_BLOCKERS && (result = sqlite3_step(found)) == SQLITE_ROW) {
		struct history_blocker *blocker = &row->blockers[count];
		struct buffer *texts = &history->texts[count];

		*blocker = (struct history_blocker){0};
		buffer_reset(texts);
		if (!TEXTS_KEEP(found, 0, texts, &blocker->role, &blocker->state)) {
			history_fail_with(history, -ENOMEM, "out of memory");
			break;
		}
		history_column(found, 2, INT64_MIN, INT64_MAX, &blocker->since);
		blocker->ports = column_unsigned(found, 3, UINT32_MAX);
		blocker->port = (uint16_t)column_unsigned(found, 4, UINT16_MAX);
		blocker->remote_port = (uint16_t)column_unsigned(found, 5, UINT16_MAX);
		blocker->local =
			address_text(history, &history->ends[2 * count], id_column(found, 6));
		blocker->remote =
			address_text(history, &history->ends[2 * count + 1], id_column(found, 7));
		blocker->process =
			*process_read(history, &history->blockers[count], id_column(found, 8));
		count++;
	}
	sqlite3_reset(found);
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		history_fail(history, result);
	row->blocked_count = count;
}

static void failure_read(struct history *history, const struct history_record *record,
			 struct history_row *row)
{
	struct buffer *texts = &history->texts[HISTORY_BLOCKERS];
	sqlite3_stmt *found;

	blockers_read(history, record->id, row);
	row->blocked_total = (unsigned int)record->lingered;
	if (row->blocked_total < row->blocked_count)
		row->blocked_total = row->blocked_count;
	row->lingered = 0;
	if (!row_find(history, LOOKUP_REASON, record->id, &found))
		return;
	buffer_reset(texts);
	if (!TEXTS_KEEP(found, 0, texts, &row->blocked_reason))
		history_fail_with(history, -ENOMEM, "out of memory");
	sqlite3_reset(found);
}

static bool slots_ready(struct history *history)
{
	return slots_make(history, (void **)&history->locals, HISTORY_ADDRESSES,
			  sizeof(*history->locals)) &&
	       slots_make(history, (void **)&history->remotes, HISTORY_ADDRESSES,
			  sizeof(*history->remotes)) &&
	       slots_make(history, (void **)&history->claimants, HISTORY_CLAIMANTS,
			  sizeof(*history->claimants));
}

static int socket_read(struct history *history, const struct history_record *record,
		       struct history_row *row)
{
	const struct history_common *common = history_common(history, record->kind);
	const struct history_run *run;

	if (!common || !slots_ready(history))
		return history->error;
	run = history_run(history, common->run);
	if (run) {
		row->host = run->host;
		row->tier = run->tier;
	}
	row->held = (uint64_t)record->held;
	row->lingered = (uint64_t)record->lingered;
	row->answered = (uint64_t)record->answered;
	row->netns = common->netns;
	row->device = common->device;
	row->flags = common->flags;
	row->port = record->port;
	row->remote_port = record->remote_port;
	row->pool_low = common->pool_low;
	row->pool_high = common->pool_high;
	row->family = common->family;
	row->outcome = common->outcome;
	row->ending = record->unseen ? STORE_UNSEEN : common->ending;
	row->protocol = common->protocol_name;
	row->trigger = common->trigger;
	row->origin = common->origin;
	row->error = common->error;
	row->local = address_text(history,
				  &history->locals[history_slot(record->local, HISTORY_ADDRESSES)],
				  record->local);
	row->remote = address_text(
		history, &history->remotes[history_slot(record->remote, HISTORY_ADDRESSES)],
		record->remote);
	row->process = *process_read(
		history, &history->claimants[history_slot(record->process, HISTORY_CLAIMANTS)],
		record->process);
	if (record->what == HISTORY_FAILURE)
		failure_read(history, record, row);
	return history->error ? history->error : 1;
}

int history_row(struct history *history, const struct history_record *record,
		struct history_row *row)
{
	memset(row, 0, offsetof(struct history_row, blockers));
	row->kind = record->what;
	row->id = (uint64_t)record->id;
	row->time = record->time;
	row->until = record->until;
	row->gap = 0;
	row->count = 0;
	if (record->what != HISTORY_GAP)
		return socket_read(history, record, row);
	row->gap = record->gap;
	row->count = (uint64_t)record->held;
	return 1;
}

int history_rows_prepare(struct history *history, const struct history_record *records,
			 size_t count)
{
	int result = sqlite3_exec(history->file, "BEGIN", NULL, NULL, NULL);

	if (result != SQLITE_OK)
		return history_fail(history, result);
	for (size_t i = 0; i < count && !history->error; i++) {
		const struct history_record *record = &records[i];
		const struct history_common *common;

		if (record->what == HISTORY_GAP || !slots_ready(history))
			continue;
		common = history_common(history, record->kind);
		if (common)
			history_run(history, common->run);
		address_text(history,
			     &history->locals[history_slot(record->local, HISTORY_ADDRESSES)],
			     record->local);
		address_text(history,
			     &history->remotes[history_slot(record->remote, HISTORY_ADDRESSES)],
			     record->remote);
		process_read(history,
			     &history->claimants[history_slot(record->process, HISTORY_CLAIMANTS)],
			     record->process);
	}
	sqlite3_exec(history->file, "COMMIT", NULL, NULL, NULL);
	return history->error;
}

void history_rows_reset(struct history *history)
{
	for (int i = 0; i < HISTORY_RUNS; i++)
		history->runs[i].id = 0;
	for (int i = 0; history->commons && i < HISTORY_COMMONS; i++)
		history->commons[i].id = 0;
	for (int i = 0; history->locals && i < HISTORY_ADDRESSES; i++)
		history->locals[i].id = 0;
	for (int i = 0; history->remotes && i < HISTORY_ADDRESSES; i++)
		history->remotes[i].id = 0;
	for (int i = 0; history->claimants && i < HISTORY_CLAIMANTS; i++)
		history->claimants[i].id = 0;
	for (int i = 0; i < HISTORY_BLOCKERS; i++)
		history->blockers[i].id = 0;
	for (int i = 0; i < 2 * HISTORY_BLOCKERS; i++)
		history->ends[i].id = 0;
}

void history_rows_free(struct history *history)
{
	for (int i = 0; i < HISTORY_RUNS; i++)
		buffer_free(&history->runs[i].bytes);
	for (int i = 0; history->commons && i < HISTORY_COMMONS; i++)
		buffer_free(&history->commons[i].bytes);
	for (int i = 0; history->locals && i < HISTORY_ADDRESSES; i++)
		buffer_free(&history->locals[i].bytes);
	for (int i = 0; history->remotes && i < HISTORY_ADDRESSES; i++)
		buffer_free(&history->remotes[i].bytes);
	for (int i = 0; history->claimants && i < HISTORY_CLAIMANTS; i++) {
		buffer_free(&history->claimants[i].bytes);
		buffer_free(&history->claimants[i].args);
	}
	for (int i = 0; i < HISTORY_BLOCKERS; i++) {
		buffer_free(&history->blockers[i].bytes);
		buffer_free(&history->blockers[i].args);
	}
	for (int i = 0; i < 2 * HISTORY_BLOCKERS; i++)
		buffer_free(&history->ends[i].bytes);
	for (int i = 0; i <= HISTORY_BLOCKERS; i++)
		buffer_free(&history->texts[i]);
	free(history->commons);
	free(history->locals);
	free(history->remotes);
	free(history->claimants);
}
