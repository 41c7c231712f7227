/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The conditions of a query, as functions for the statements of the scan: a row that does
 * not match costs no more than the columns they need. What an id means is looked up once
 * and remembered.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <portsnoop/wire.h>

#include "model/text.h"
#include "store/history_inside.h"

#define PROTOCOL_MPTCP 262
#define SERVICE ".service"

bool history_text_is(const struct history_text *text, const char *wanted)
{
	size_t length = strlen(wanted);

	return text->data && text->length == length && !memcmp(text->data, wanted, length);
}

static bool exe_wanted(const struct history_text *exe, const char *wanted)
{
	struct history_text last = *exe;
	const char *slash;

	if (strchr(wanted, '/') || !exe->data)
		return history_text_is(exe, wanted);
	slash = memrchr(exe->data, '/', exe->length);
	if (slash) {
		last.data = slash + 1;
		last.length = exe->length - (size_t)(last.data - exe->data);
	}
	return history_text_is(&last, wanted);
}

static bool unit_wanted(const struct history_text *unit, const char *wanted)
{
	struct history_text name = *unit;
	size_t suffix = sizeof(SERVICE) - 1;

	if (history_text_is(unit, wanted))
		return true;
	if (!unit->data || unit->length <= suffix ||
	    memcmp(unit->data + unit->length - suffix, SERVICE, suffix))
		return false;
	name.length -= suffix;
	return history_text_is(&name, wanted);
}

static bool container_wanted(const struct history_text *id, const char *wanted)
{
	size_t length = strlen(wanted);

	return id->data && length >= 4 && id->length >= length && !memcmp(id->data, wanted, length);
}

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
	const struct history_query *query = history->query;
	sqlite3_stmt *found = history_lookup(history, LOOKUP_PROGRAM, id);
	struct history_text comm, exe, unit, container;
	bool wanted = false;
	int result;

	if (!found)
		return false;
	result = sqlite3_step(found);
	if (result == SQLITE_ROW) {
		comm = history_column_text(found, 0);
		exe = history_column_text(found, 1);
		unit = history_column_text(found, 2);
		container = history_column_text(found, 3);
		wanted = (!query->comm || history_text_is(&comm, query->comm)) &&
			 (!query->exe || exe_wanted(&exe, query->exe)) &&
			 (!query->unit || unit_wanted(&unit, query->unit)) &&
			 (!query->container || container_wanted(&container, query->container));
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

/* An IPv4 address is one, mapped or not. */
static unsigned int address_plain(uint8_t *bytes, unsigned int family)
{
	if (!address_mapped(bytes, (uint8_t)family))
		return family;
	memmove(bytes, bytes + 12, 4);
	memset(bytes + 4, 0, 12);
	return 4;
}

static bool prefix_equal(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	return !memcmp(a, b, whole) && (!rest || !((a[whole] ^ b[whole]) >> (8 - rest)));
}

static bool address_judge(struct history *history, uint32_t id)
{
	const struct history_remote *remote = history->query->remote;
	sqlite3_stmt *found = history_lookup(history, LOOKUP_ADDRESS, id);
	unsigned int family = 0, wanted = remote->family, bits = remote->bits;
	char text[INET6_ADDRSTRLEN] = "";
	uint8_t bytes[16] = {0}, network[16];
	struct history_text ip;
	int result;

	if (!found)
		return false;
	result = sqlite3_step(found);
	if (result == SQLITE_ROW) {
		ip = history_column_text(found, 0);
		if (ip.data && ip.length < sizeof(text)) {
			memcpy(text, ip.data, ip.length);
			text[ip.length] = 0;
		}
	} else if (result != SQLITE_DONE) {
		history_fail(history, result);
	}
	sqlite3_reset(found);
	if (inet_pton(AF_INET6, text, bytes) == 1)
		family = 6;
	else if (inet_pton(AF_INET, text, bytes) == 1)
		family = 4;
	memcpy(network, remote->address, sizeof(network));
	if (wanted == 6 && bits >= 96 && address_plain(network, 6) == 4) {
		wanted = 4;
		bits -= 96;
	}
	if (wanted == 4)
		family = address_plain(bytes, family);
	return family == wanted && bits <= (family == 4 ? 32 : 128) &&
	       prefix_equal(bytes, network, bits);
}

static bool protocol_wanted(const struct history_common *common, uint16_t wanted)
{
	return !wanted || common->protocol == wanted ||
	       (wanted == IPPROTO_TCP && common->protocol == PROTOCOL_MPTCP) ||
	       (wanted == PROTOCOL_MPTCP && common->flags & WIRE_MPTCP);
}

static bool kind_judge(struct history *history, uint32_t id)
{
	const struct history_common *common = history_common(history, id);
	const struct history_query *query = history->query;

	return common && protocol_wanted(common, query->protocol);
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
