/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The conditions of a query, as functions for the statements of the scan: a row that does
 * not match costs no more than the columns they need. What an id means is looked up once
 * and remembered.
 */
#include <stdlib.h>
#include <string.h>

#include "store/history_inside.h"
#include "store/wanted.h"

/* The verdict about an id, from memory or by `judge`. */
static bool memo_ask(struct history *history, struct history_memo **memos, uint32_t id,
		     bool (*judge)(struct history *history, uint32_t id))
{
	struct history_memo *memo;

	if (!id)
		return false;
	if (!*memos)
		*memos = calloc(HISTORY_MEMOS, sizeof(**memos));
	if (!*memos)
		return judge(history, id);
	memo = *memos + history_slot(id, HISTORY_MEMOS);
	if (memo->id != id) {
		memo->wanted = judge(history, id);
		memo->id = id;
	}
	return memo->wanted;
}

static bool program_judge(struct history *history, uint32_t id)
{
	sqlite3_stmt *found = history_lookup(history, LOOKUP_PROGRAM, id);
	bool wanted = false;
	int result;

	if (!found)
		return false;
	result = sqlite3_step(found);
	if (result == SQLITE_ROW) {
		struct history_process process = {
			.comm = history_column_text(found, 0),
			.exe = history_column_text(found, 1),
			.unit = history_column_text(found, 2),
			.container = history_column_text(found, 3),
		};

		wanted = wanted_program(history->query, &process);
	} else if (result != SQLITE_DONE) {
		history_fail(history, result);
	}
	sqlite3_reset(found);
	return wanted;
}

static bool process_judge(struct history *history, uint32_t id)
{
	const struct history_query *query = history->query;
	sqlite3_stmt *found = history_lookup(history, LOOKUP_PROCESS, id);
	int64_t pid = 0, program = 0;
	int result;

	if (!found)
		return false;
	result = sqlite3_step(found);
	if (result == SQLITE_ROW) {
		history_column(found, 0, 1, UINT32_MAX, &pid);
		history_column(found, 1, 1, UINT32_MAX, &program);
	} else if (result != SQLITE_DONE) {
		history_fail(history, result);
	}
	sqlite3_reset(found);
	if (query->pid && pid != query->pid)
		return false;
	if (!query->comm && !query->exe && !query->unit && !query->container)
		return true;
	return memo_ask(history, &history->programs, (uint32_t)program, program_judge);
}

static bool address_judge(struct history *history, uint32_t id)
{
	sqlite3_stmt *found = history_lookup(history, LOOKUP_ADDRESS, id);
	struct history_text ip;
	bool wanted = false;
	int result;

	if (!found)
		return false;
	result = sqlite3_step(found);
	if (result == SQLITE_ROW) {
		ip = history_column_text(found, 0);
		wanted = wanted_address(&ip, history->query->remote);
	} else if (result != SQLITE_DONE) {
		history_fail(history, result);
	}
	sqlite3_reset(found);
	return wanted;
}

static bool kind_judge(struct history *history, uint32_t id)
{
	const struct history_common *common = history_common(history, id);
	const struct history_query *query = history->query;

	return common && wanted_protocol(common->protocol, common->flags, query->protocol);
}

static bool failed_judge(struct history *history, uint32_t id)
{
	const struct history_common *common = history_common(history, id);

	return kind_judge(history, id) && common->outcome == STORE_FAILED;
}

/* 0: none, or nonsense. */
static uint32_t value_id(sqlite3_value *value)
{
	int64_t id;

	if (sqlite3_value_type(value) != SQLITE_INTEGER)
		return 0;
	id = sqlite3_value_int64(value);
	return id > 0 && id <= UINT32_MAX ? (uint32_t)id : 0;
}

static void wanted_port(sqlite3_context *context, int count, sqlite3_value **values)
{
	const struct history *history = sqlite3_user_data(context);
	int64_t port = sqlite3_value_int64(*values);

	(void)count;
	sqlite3_result_int(context, port >= 0 && port <= 65535 &&
					    port_set_has(history->query->ports, (uint16_t)port));
}

static void wanted_process(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct history *history = sqlite3_user_data(context);

	(void)count;
	sqlite3_result_int(
		context, memo_ask(history, &history->processes, value_id(*values), process_judge));
}

static void wanted_remote(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct history *history = sqlite3_user_data(context);
	const struct history_remote *remote = history->query->remote;
	bool wanted = true;

	(void)count;
	if (remote->port)
		wanted = sqlite3_value_type(values[1]) == SQLITE_INTEGER &&
			 sqlite3_value_int64(values[1]) == remote->port;
	if (wanted && remote->family)
		wanted = memo_ask(history, &history->addresses, value_id(values[0]), address_judge);
	sqlite3_result_int(context, wanted);
}

static void wanted_kind(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct history *history = sqlite3_user_data(context);

	(void)count;
	sqlite3_result_int(context,
			   memo_ask(history, &history->kinds, value_id(*values), kind_judge));
}

static void wanted_failed(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct history *history = sqlite3_user_data(context);

	(void)count;
	sqlite3_result_int(context,
			   memo_ask(history, &history->failed, value_id(*values), failed_judge));
}

int history_match_install(struct history *history)
{
	static const struct {
		const char *name;
		int count;
		void (*function)(sqlite3_context *context, int count, sqlite3_value **values);
	} functions[] = {
		{"wanted_port", 1, wanted_port},     {"wanted_process", 1, wanted_process},
		{"wanted_remote", 2, wanted_remote}, {"wanted_kind", 1, wanted_kind},
		{"wanted_failed", 1, wanted_failed},
	};
	int result = SQLITE_OK;

	for (size_t i = 0; result == SQLITE_OK && i < sizeof(functions) / sizeof(*functions); i++)
		result = sqlite3_create_function_v2(history->file, functions[i].name,
						    functions[i].count,
						    SQLITE_UTF8 | SQLITE_DIRECTONLY, history,
						    functions[i].function, NULL, NULL, NULL);
	return result;
}

void history_match_reset(struct history *history)
{
	struct history_memo **memos[] = {&history->processes, &history->programs,
					 &history->addresses, &history->kinds, &history->failed};

	for (size_t i = 0; i < sizeof(memos) / sizeof(*memos); i++) {
		free(*memos[i]);
		*memos[i] = NULL;
	}
}
