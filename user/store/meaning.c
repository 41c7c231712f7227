/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "store/meaning.h"

#include <stdio.h>
#include <string.h>

#include "model/event.h"
#include "model/message.h"
#include "model/text.h"
#include "store/program.h"

#define PROTOCOL_MPTCP 262

/* Gives the row its era: 1, 0 there is no such row, negative errno. */
static int touch(struct writer *writer, enum statement which, int64_t id)
{
	sqlite3_stmt *statement = writer->statements[which];
	int error;

	sqlite3_bind_int64(statement, 1, id);
	sqlite3_bind_int64(statement, 2, writer_segment(writer));
	error = writer_step(writer, which);
	return error ? error : sqlite3_changes(writer->database->connection) > 0;
}

/* 1: there is a row, 0, negative errno. The first parameter is bound. */
static int find(struct writer *writer, enum statement which, int64_t *id, int64_t *era)
{
	sqlite3_stmt *statement = writer->statements[which];
	int result = sqlite3_step(statement);
	int error = 0;

	if (result == SQLITE_ROW)
		*id = sqlite3_column_int64(statement, 0), *era = sqlite3_column_int64(statement, 1);
	else if (result != SQLITE_DONE)
		error = database_error(writer->database, result);
	sqlite3_reset(statement);
	return error ? error : result == SQLITE_ROW;
}

/* A table of things that are known by a text. */
struct names {
	struct intern *intern;
	int64_t *next;
	enum statement find, touch, insert;
};

/* The insert's parameters from 3 on are bound, and the one of the find. */
static int name_id(struct writer *writer, const struct names *names, const void *key, size_t length,
		   int64_t *id)
{
	struct intern_entry *entry = intern_find(names->intern, key, length);
	sqlite3_stmt *insert = writer->statements[names->insert];
	int64_t era = 0, now = writer_segment(writer);
	int there = 0, error;

	if (entry) {
		*id = entry->id;
		there = 1;
	} else {
		there = find(writer, names->find, id, &era);
		if (there > 0 && writer_is_fresh(writer, era))
			now = era;
	}
	if (there > 0 && now != era)
		there = touch(writer, names->touch, *id);
	if (there < 0)
		return there;
	if (!there) {
		/* What is remembered may have been swept away: it comes back as it was. */
		if (!entry)
			*id = (*names->next)++;
		sqlite3_bind_int64(insert, 1, *id);
		sqlite3_bind_int64(insert, 2, now);
		error = writer_step(writer, names->insert);
		if (error)
			return error;
	}
	if (entry)
		entry->era = now;
	else
		intern_add(names->intern, key, length, *id, now);
	return 0;
}

static bool is_remembered(struct writer *writer, struct intern *intern, const void *key,
			  size_t length, int64_t *id)
{
	struct intern_entry *entry = intern_find(intern, key, length);

	if (!entry || !writer_is_fresh(writer, entry->era))
		return false;
	*id = entry->id;
	return true;
}

int meaning_address(struct writer *writer, uint8_t family, const uint8_t *bytes, int64_t *id)
{
	const struct names names = {&writer->addresses, &writer->counts.address, FIND_ADDRESS,
				    TOUCH_ADDRESS, INSERT_ADDRESS};
	size_t length = family == 4 ? 4 : 16;
	uint8_t wide[16] = {0};
	char text[TEXT_ADDRESS];
	int size;

	if (is_remembered(writer, &writer->addresses, bytes, length, id))
		return 0;
	memcpy(wide, bytes, length);
	size = (int)(text_address(text, wide, family) - text);
	sqlite3_bind_text(writer->statements[FIND_ADDRESS], 1, text, size, SQLITE_STATIC);
	sqlite3_bind_text(writer->statements[INSERT_ADDRESS], 3, text, size, SQLITE_STATIC);
	return name_id(writer, &names, bytes, length, id);
}

static int executable_id(struct writer *writer, const struct program *program, int64_t *id)
{
	const struct names names = {&writer->executables, &writer->counts.executable,
				    FIND_EXECUTABLE, TOUCH_EXECUTABLE, INSERT_EXECUTABLE};
	const char *path = program->texts[PROGRAM_EXE].data;
	size_t length = program->texts[PROGRAM_EXE].length;

	*id = 0;
	if (!path || is_remembered(writer, &writer->executables, path, length, id))
		return 0;
	bind_text(writer->statements[FIND_EXECUTABLE], 1, path, length);
	bind_text(writer->statements[INSERT_EXECUTABLE], 3, path, length);
	return name_id(writer, &names, path, length, id);
}

static int cgroup_id(struct writer *writer, const struct program *program, int64_t *id)
{
	const struct names names = {&writer->cgroups, &writer->counts.cgroup, FIND_CGROUP,
				    TOUCH_CGROUP, INSERT_CGROUP};
	const char *path = program->texts[PROGRAM_CGROUP].data;
	size_t length = program->texts[PROGRAM_CGROUP].length;

	*id = 0;
	if (!path || is_remembered(writer, &writer->cgroups, path, length, id))
		return 0;
	bind_text(writer->statements[FIND_CGROUP], 1, path, length);
	bind_text(writer->statements[INSERT_CGROUP], 3, path, length);
	for (int i = PROGRAM_UNIT; i <= PROGRAM_POD; i++)
		bind_text(writer->statements[INSERT_CGROUP], 4 + i - PROGRAM_UNIT,
			  program->texts[i].data, program->texts[i].length);
	return name_id(writer, &names, path, length, id);
}

static void bind_program_text(sqlite3_stmt *statement, int index, const struct program *program,
			      enum program_text which)
{
	bind_text(statement, index, program->texts[which].data, program->texts[which].length);
}

int meaning_program(struct writer *writer, const struct op_program *op)
{
	sqlite3_stmt *statement = writer->statements[INSERT_PROGRAM];
	int64_t executable, cgroup;
	struct program program;
	int error;

	program_read(op->bytes, &program);
	error = executable_id(writer, &program, &executable);
	if (!error)
		error = cgroup_id(writer, &program, &cgroup);
	if (error)
		return error;
	sqlite3_bind_int64(statement, 1, op->id);
	sqlite3_bind_int64(statement, 2, writer_segment(writer));
	bind_program_text(statement, 3, &program, PROGRAM_COMM);
	bind_but(statement, 4, executable, 0);
	bind_program_text(statement, 5, &program, PROGRAM_ARGS);
	sqlite3_bind_int64(statement, 6, program.uid);
	bind_program_text(statement, 7, &program, PROGRAM_USER);
	bind_but(statement, 8, program.whole ? (int64_t)program.gid : -1, -1);
	bind_program_text(statement, 9, &program, PROGRAM_PARENT_COMM);
	bind_but(statement, 10, cgroup, 0);
	bind_but(statement, 11, program.whole ? (int64_t)program.flags : -1, -1);
	return writer_step(writer, INSERT_PROGRAM);
}

static void touched(struct writer_touched *rows, uint32_t id, uint32_t era)
{
	rows[id % WRITER_TOUCHED] = (struct writer_touched){.id = id, .era = era};
}

static bool is_touched(const struct writer *writer, const struct writer_touched *rows, uint32_t id)
{
	const struct writer_touched *row = &rows[id % WRITER_TOUCHED];

	return row->id == id && writer_is_fresh(writer, row->era);
}

int meaning_process(struct writer *writer, const struct op_process *op)
{
	sqlite3_stmt *statement = writer->statements[INSERT_PROCESS];
	int error;

	sqlite3_bind_int64(statement, 1, op->id);
	sqlite3_bind_int64(statement, 2, writer_segment(writer));
	sqlite3_bind_int64(statement, 3, op->pid);
	sqlite3_bind_int64(statement, 4, (int64_t)op->start);
	sqlite3_bind_int64(statement, 5, op->exec);
	sqlite3_bind_int64(statement, 6, op->program);
	if (op->namespace_pid && op->namespace_pid != op->pid)
		sqlite3_bind_int64(statement, 7, op->namespace_pid);
	else
		sqlite3_bind_null(statement, 7);
	bind_but(statement, 8, op->parent_pid, 0);
	error = writer_step(writer, INSERT_PROCESS);
	if (!error)
		touched(writer->processes, op->id, writer_segment(writer));
	return error;
}

static const char *protocol_text(const struct kind_key *key, char *number, size_t size)
{
	const struct wire_event socket = {.protocol = key->protocol};
	const char *name = event_transport(&socket);

	if (key->protocol == PROTOCOL_MPTCP || key->flags & WIRE_MPTCP)
		return "mptcp";
	if (!name) {
		snprintf(number, size, "%u", key->protocol);
		name = number;
	}
	return name;
}

static const char *origin_text(uint8_t origin)
{
	switch (origin) {
	case WIRE_ORIGIN_REQUESTED:
		return "requested";
	case WIRE_ORIGIN_KERNEL:
		return "kernel";
	}
	return NULL;
}

int meaning_kind(struct writer *writer, const struct op_kind *op)
{
	sqlite3_stmt *statement = writer->statements[INSERT_KIND];
	const struct kind_key *key = &op->key;
	const char *outcome = store_outcome_name(key->outcome);
	const char *ending = store_ending_name(key->ending);
	const char *error_text = key->error ? errno_name(key->error) : NULL;
	char protocol[16], error_number[16];
	int error;

	if (key->error && !error_text) {
		snprintf(error_number, sizeof(error_number), "%u", key->error);
		error_text = error_number;
	}
	sqlite3_bind_int64(statement, 1, op->id);
	sqlite3_bind_int64(statement, 2, writer_segment(writer));
	sqlite3_bind_int64(statement, 3, op->run);
	sqlite3_bind_int64(statement, 4, key->netns);
	bind_string(statement, 5, protocol_text(key, protocol, sizeof(protocol)));
	sqlite3_bind_int64(statement, 6, key->family);
	bind_string(statement, 7, trigger_name(key->trigger));
	bind_string(statement, 8, origin_text(key->origin));
	bind_string(statement, 9, outcome ? outcome : "");
	bind_string(statement, 10, ending ? ending : "");
	bind_string(statement, 11, error_text);
	bind_but(statement, 12, key->device, 0);
	sqlite3_bind_int64(statement, 13, key->flags);
	bind_but(statement, 14, key->pool_low, 0);
	bind_but(statement, 15, key->pool_high, 0);
	error = writer_step(writer, INSERT_KIND);
	if (!error)
		touched(writer->kinds, op->id, writer_segment(writer));
	return error;
}

int meaning_touch_kind(struct writer *writer, uint32_t id)
{
	uint32_t era = writer_segment(writer);
	int there;

	if (is_touched(writer, writer->kinds, id))
		return 0;
	there = touch(writer, TOUCH_KIND, id);
	if (there > 0)
		touched(writer->kinds, id, era);
	return there < 0 ? there : 0;
}

int meaning_touch_process(struct writer *writer, uint32_t id)
{
	static const enum statement parts[] = {TOUCH_PROCESS, TOUCH_PROCESS_PROGRAM,
					       TOUCH_PROCESS_EXECUTABLE, TOUCH_PROCESS_CGROUP};
	uint32_t era = writer_segment(writer);

	if (!id || is_touched(writer, writer->processes, id))
		return 0;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		int there = touch(writer, parts[i], id);

		if (there < 0)
			return there;
	}
	touched(writer->processes, id, era);
	return 0;
}
