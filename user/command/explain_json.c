/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One line per subject. What is not known is left out, and told in "absent". */
#include <netinet/in.h>

#include "command/explain.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "model/classify.h"

static const struct {
	enum iana_protocol bit;
	uint16_t number;
	const char *name;
} protocols[] = {
	{IANA_TCP, IPPROTO_TCP, "tcp"},
	{IANA_UDP, IPPROTO_UDP, "udp"},
	{IANA_SCTP, IPPROTO_SCTP, "sctp"},
	{IANA_DCCP, IPPROTO_DCCP, "dccp"},
};
#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

static void string_put(struct json *json, const char *key, const char *text)
{
	json_key(json, key);
	json_string(json, text);
}

/* Nothing for an empty text. */
static void text_put(struct json *json, const char *key, const char *text)
{
	if (*text)
		string_put(json, key, text);
}

static void date_put(struct json *json, const char *key, uint16_t date)
{
	char text[IANA_DATE_TEXT];

	iana_date_text(date, text);
	text_put(json, key, text);
}

static void number_put(struct json *json, const char *key, unsigned int number)
{
	json_key(json, key);
	json_unsigned(json, number);
}

static void bool_put(struct json *json, const char *key, bool truth)
{
	json_key(json, key);
	json_bool(json, truth);
}

static void range_put(struct json *json, const char *key, uint16_t low, uint16_t high)
{
	json_key(json, key);
	json_open(json, '[');
	json_unsigned(json, low);
	json_unsigned(json, high);
	json_close(json, ']');
}

static void protocols_put(struct json *json, unsigned int mask)
{
	json_key(json, "protocols");
	json_open(json, '[');
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (mask & protocols[i].bit)
			json_string(json, protocols[i].name);
	json_close(json, ']');
}

static void entry_put(struct json *json, const struct iana_entry *entry, bool has_port)
{
	json_open(json, '{');
	if (has_port) {
		number_put(json, "low", entry->low);
		number_put(json, "high", entry->high);
	}
	protocols_put(json, entry->protocols);
	string_put(json, "status",
		   entry->status == IANA_USED ? explain_status_name(EXPLAIN_USED)
					      : iana_status_name(entry->status));
	text_put(json, "service", iana_text(entry->name));
	text_put(json, "description", iana_text(entry->text));
	date_put(json, "registered", entry->registered);
	date_put(json, "modified", entry->modified);
	text_put(json, "reference", iana_text(entry->reference));
	text_put(json, "unauthorized_use", iana_text(entry->unauthorized));
	text_put(json, "note", iana_text(entry->note));
	json_close(json, '}');
}

static void entries_put(struct json *json, const struct explain_subject *subject)
{
	const struct iana_entry *entry;
	unsigned int count = iana_find(subject->low, subject->high, &entry);
	bool range = subject->low != subject->high;

	json_key(json, "entries");
	json_open(json, '[');
	for (; count; count--, entry++) {
		if (!explain_covers(entry, subject->protocols))
			continue;
		/* In a range, what is free is told by the numbers. */
		if (range && entry->status != IANA_ASSIGNED && entry->status != IANA_USED)
			continue;
		entry_put(json, entry, true);
	}
	json_close(json, ']');
}

static void port_put(struct json *json, const struct explain_subject *subject)
{
	string_put(json, "range", iana_range_name(iana_range_of(subject->low)));
	string_put(json, "status",
		   explain_status_name(explain_status(subject->low, subject->protocols)));
	json_key(json, "protocols");
	json_open(json, '{');
	for (size_t i = 0; i < PROTOCOLS; i++) {
		if (!(subject->protocols & protocols[i].bit))
			continue;
		json_key(json, protocols[i].name);
		json_open(json, '{');
		string_put(json, "status",
			   explain_status_name(explain_status(subject->low, protocols[i].bit)));
		string_put(json, "service", iana_service(subject->low, protocols[i].number));
		json_close(json, '}');
	}
	json_close(json, '}');
}

static void counts_put(struct json *json, const struct explain_subject *subject)
{
	unsigned int count[EXPLAIN_STATUSES];

	explain_count(subject, count);
	json_key(json, "ports");
	json_open(json, '{');
	for (unsigned int i = 0; i < EXPLAIN_STATUSES; i++)
		number_put(json, explain_status_name(i), count[i]);
	json_close(json, '}');
}

static void iana_put(struct json *json, const struct explain_subject *subject)
{
	json_key(json, "iana");
	json_open(json, '{');
	string_put(json, "date", iana_date);
	range_put(json, "dynamic_range", IANA_DYNAMIC_LOW, UINT16_MAX);
	if (subject->portless) {
		json_key(json, "entries");
		json_open(json, '[');
		entry_put(json, subject->portless, false);
		json_close(json, ']');
	} else {
		if (subject->low == subject->high)
			port_put(json, subject);
		else
			counts_put(json, subject);
		entries_put(json, subject);
	}
	json_close(json, '}');
}

/* One port is or is not; of more, so many are. */
static void truth_put(struct json *json, const struct explain_subject *subject, const char *key,
		      const char *count_key, unsigned int count)
{
	if (subject->low == subject->high)
		bool_put(json, key, count);
	else
		number_put(json, count_key, count);
}

static void absent_put(struct json *json, const char *proc, const char *name, int error)
{
	CLEANUP(buffer_free) struct buffer path = BUFFER_EMPTY;

	if (!error)
		return;
	buffer_printf(&path, "%s/%s", proc, name);
	json->out->failed |= path.failed;
	json_open(json, '{');
	json_key(json, "file");
	json_text(json, path.data, path.failed ? 0 : path.length);
	string_put(json, "reason", explain_reason(error));
	json_close(json, '}');
}

static void machine_put(struct json *json, const struct explain_subject *subject,
			const struct pool *pool, const char *proc)
{
	unsigned int inside, reserved;

	explain_pool(subject, pool, &inside, &reserved);
	json_key(json, "machine");
	json_open(json, '{');
	if (!pool->range_error) {
		range_put(json, "pool", pool->low, pool->high);
		/* What is reserved is not in the pool: unknown means unknown here. */
		if (!pool->reserved_error || !inside)
			truth_put(json, subject, "in_pool", "ports_in_pool", inside - reserved);
	}
	if (!pool->reserved_error)
		truth_put(json, subject, "reserved", "ports_reserved",
			  explain_reserved(subject, pool));
	if (!pool->unprivileged_error) {
		number_put(json, "unprivileged_port_start", pool->unprivileged);
		truth_put(json, subject, "privileged", "ports_privileged",
			  explain_privileged(subject, pool));
	}
	json_close(json, '}');
	if (!pool->range_error && !pool->reserved_error && !pool->unprivileged_error)
		return;
	json_key(json, "absent");
	json_open(json, '[');
	absent_put(json, proc, POOL_RANGE, pool->range_error);
	absent_put(json, proc, POOL_RESERVED, pool->reserved_error);
	absent_put(json, proc, POOL_UNPRIVILEGED, pool->unprivileged_error);
	json_close(json, ']');
}

static void uses_put(struct json *json, const struct explain_subject *subject)
{
	string_put(json, "known_uses_date", known_use_date);
	json_key(json, "known_uses");
	json_open(json, '[');
	for (unsigned int i = 0; i < known_use_count; i++) {
		const struct known_use *use = &known_use_table[i];

		if (!explain_meets(use, subject))
			continue;
		json_open(json, '{');
		string_put(json, "text", known_use_strings + use->text);
		string_put(json, "name", known_use_strings + use->name);
		number_put(json, "low", use->low);
		number_put(json, "high", use->high);
		protocols_put(json, use->protocols);
		bool_put(json, "specific", i < known_use_specific);
		string_put(json, "source", known_use_strings + use->source);
		text_put(json, "note", known_use_strings + use->note);
		json_close(json, '}');
	}
	json_close(json, ']');
}

void explain_json(struct buffer *out, const struct explain_subject *subject,
		  const struct pool *pool, const char *proc)
{
	struct json json = {.out = out};

	json_open(&json, '{');
	string_put(&json, "query", subject->query);
	if (subject->portless) {
		string_put(&json, "port", NULL);
	} else if (subject->low == subject->high) {
		number_put(&json, "port", subject->low);
	} else {
		number_put(&json, "low", subject->low);
		number_put(&json, "high", subject->high);
	}
	iana_put(&json, subject);
	if (!subject->portless) {
		machine_put(&json, subject, pool, proc);
		uses_put(&json, subject);
	}
	json_close(&json, '}');
	buffer_byte(out, '\n');
}
