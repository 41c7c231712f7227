/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "model/container.h"

#define CUT_MARK "..."
#define START_TICK UINT64_C(10000000) /* ns, of /proc/PID/stat */
#define TEXT_AVERAGE 1024

struct process_entry {
	struct process process;
	UT_hash_handle hh;
	struct process_entry *prev, *next; /* the least recently used one first */
	size_t length;
	char text[];
};

struct user_entry {
	uint32_t uid;
	UT_hash_handle hh;
	char name[];
};

struct process_table {
	struct process_entry *entries; /* by key */
	struct process_entry *order;
	struct process_entry *recent; /* the last one found: events come in bursts */
	struct user_entry *users;
	uint64_t serial;
	size_t limit;
	size_t text; /* bytes of all entries */
};

_Static_assert(sizeof(struct process_key) == 16, "a key without padding can be hashed as bytes");

struct process_table *process_table_new(size_t limit)
{
	struct process_table *table = calloc(1, sizeof(*table));

	if (table)
		table->limit = limit ? limit : 1;
	return table;
}

static void entry_remove(struct process_table *table, struct process_entry *entry)
{
	HASH_DEL(table->entries, entry);
	DL_DELETE(table->order, entry);
	table->text -= entry->length;
	if (table->recent == entry)
		table->recent = NULL;
	free(entry);
}

void process_table_free(struct process_table *table)
{
	struct process_entry *entry, *next;
	struct user_entry *user, *next_user;

	if (!table)
		return;
	HASH_CLEAR(hh, table->entries);
	DL_FOREACH_SAFE (table->order, entry, next)
		free(entry);
	HASH_ITER (hh, table->users, user, next_user) {
		HASH_DEL(table->users, user);
		free(user);
	}
	free(table);
}

/*
 * Components leaf first, each ended by a NUL -> a path root first. Returns its
 * length, at most `length` and the mark, or 1 for "/".
 */
static size_t path_build(char *out, const char *components, size_t length, bool cut)
{
	char *start = out;

	if (cut) {
		memcpy(out, CUT_MARK, strlen(CUT_MARK));
		out += strlen(CUT_MARK);
	}
	while (length) {
		size_t end = --length; /* of the component: its NUL */

		while (length && components[length - 1])
			length--;
		if (end == length)
			continue;
		*out++ = '/';
		memcpy(out, components + length, end - length);
		out += end - length;
	}
	if (out == start)
		*out++ = '/';
	return (size_t)(out - start);
}

/* strncpy and strlcpy trust one side or the other; a record's name is 16 bytes
 * with a NUL among them. */
static void comm_set(char out[WIRE_COMM + 1], const char comm[WIRE_COMM])
{
	memcpy(out, comm, strnlen(comm, WIRE_COMM));
}

static struct process_entry *entry_new(const struct wire_process *record)
{
	size_t room = record->exe_length + record->args_length + record->path_length +
		      2 * (strlen(CUT_MARK) + 1);
	struct process_entry *entry = calloc(1, sizeof(*entry) + room);
	struct process *process;
	char *text;

	if (!entry)
		return NULL;
	text = entry->text;
	process = &entry->process;
	process->key.start = record->start;
	process->key.pid = record->pid;
	process->key.exec = record->exec;
	process->cgroup_id = record->cgroup;
	process->parent_start = record->parent_start;
	process->namespace_pid = record->namespace_pid;
	process->parent_pid = record->parent_pid;
	process->root = record->root;
	process->uid = record->uid;
	process->gid = record->gid;
	process->flags = record->flags;
	comm_set(process->comm, record->comm);
	comm_set(process->parent_comm, record->parent_comm);

	/* The root cannot be executed: no component means that none was read. */
	if (record->exe_length && !(record->flags & WIRE_EXE_UNREADABLE)) {
		process->exe = text;
		process->exe_length = path_build(text, record->exe, record->exe_length,
						 record->flags & WIRE_EXE_CUT);
		text += process->exe_length;
	}
	if (record->args_length && !(record->flags & WIRE_ARGS_UNREADABLE)) {
		process->args = text;
		process->args_length = record->args_length;
		memcpy(text, record->args, record->args_length);
		text += process->args_length;
	}
	if (!(record->flags & WIRE_CGROUP_UNREADABLE)) {
		process->cgroup = text;
		process->cgroup_length = path_build(text, record->path, record->path_length,
						    record->flags & WIRE_CGROUP_CUT);
		container_parse(&process->container, process->cgroup, process->cgroup_length);
	}
	entry->length = room;
	return entry;
}

int process_table_add(struct process_table *table, const struct wire_process *record)
{
	struct process_entry *entry = entry_new(record), *old;

	if (!entry)
		return -ENOMEM;
	HASH_FIND(hh, table->entries, &entry->process.key, sizeof(entry->process.key), old);
	if (old)
		entry_remove(table, old);
	HASH_ADD(hh, table->entries, process.key, sizeof(entry->process.key), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return -ENOMEM;
	}
	entry->process.serial = ++table->serial;
	DL_APPEND(table->order, entry);
	table->text += entry->length;
	table->recent = entry;
	while (table->order != entry && (HASH_COUNT(table->entries) > table->limit ||
					 table->text > table->limit * TEXT_AVERAGE))
		entry_remove(table, table->order);
	return 0;
}

static bool key_equal(const struct process_key *a, const struct process_key *b)
{
	return a->start == b->start && a->pid == b->pid && a->exec == b->exec;
}

bool process_key_near(const struct process_key *a, const struct process_key *b)
{
	uint64_t apart = a->start > b->start ? a->start - b->start : b->start - a->start;

	return a->pid == b->pid && apart <= START_TICK;
}

const struct process *process_table_find(struct process_table *table, const struct process_key *key)
{
	struct process_entry *entry = table->recent;

	if (entry && key_equal(&entry->process.key, key))
		return &entry->process;
	HASH_FIND(hh, table->entries, key, sizeof(*key), entry);
	if (!entry)
		return NULL;
	DL_DELETE(table->order, entry);
	DL_APPEND(table->order, entry);
	table->recent = entry;
	return &entry->process;
}

const struct process *process_table_peek(const struct process_table *table,
					 const struct process_key *key)
{
	const struct process_entry *entry;

	HASH_FIND(hh, table->entries, key, sizeof(*key), entry);
	return entry ? &entry->process : NULL;
}

int process_table_name_user(struct process_table *table, uint32_t uid, const char *name)
{
	size_t size = strlen(name) + 1;
	struct user_entry *entry, *old;

	entry = calloc(1, sizeof(*entry) + size);
	if (!entry)
		return -ENOMEM;
	entry->uid = uid;
	memcpy(entry->name, name, size);
	HASH_FIND(hh, table->users, &uid, sizeof(uid), old);
	if (!old && HASH_COUNT(table->users) >= table->limit)
		old = table->users; /* a hash table keeps the order of its additions */
	if (old) {
		HASH_DEL(table->users, old);
		free(old);
	}
	HASH_ADD(hh, table->users, uid, sizeof(uid), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return -ENOMEM;
	}
	return 0;
}

const char *process_table_user(const struct process_table *table, uint32_t uid)
{
	const struct user_entry *entry;

	HASH_FIND(hh, table->users, &uid, sizeof(uid), entry);
	return entry ? entry->name : NULL;
}
