/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NDJSON in the shape and with the names of the event stream (model/field.c). What is not
 * known is absent. */
#include <string.h>

#include "command/history_view.h"
#include "format/member.h"
#include "lib/cleanup.h"
#include "lib/escape.h"
#include "lib/parse.h"
#include "model/classify.h"
#include "model/text.h"

/* Nothing for what is empty or not known; also below. */
static void text_put(struct json *json, const char *key, const struct history_text *text)
{
	if (!text->length)
		return;
	json_key(json, key);
	json_text(json, text->data, text->length);
}

struct flag_name {
	uint32_t flag;
	const char *name;
};

static void flags_put(struct json *json, const char *key, uint32_t flags,
		      const struct flag_name *names)
{
	bool any = false;

	for (; names->name; names++) {
		if (!(flags & names->flag))
			continue;
		if (!any)
			member_array(json, key);
		any = true;
		json_string(json, names->name);
	}
	if (any)
		json_close(json, ']');
}

/* ---- addresses ---- */

static void endpoint_put(struct json *json, const char *key, const struct history_text *ip,
			 uint16_t port)
{
	member_object(json, key);
	text_put(json, "ip", ip);
	member_number(json, "port", port);
	json_close(json, '}');
}

/* The address as it stands in the packets: of a v4-mapped one the IPv4 address. */
static struct history_text packet_address(const struct history_text *ip)
{
	static const char mapped[] = "::ffff:";
	const size_t prefix = sizeof(mapped) - 1;

	if (ip->length > prefix && !memcmp(ip->data, mapped, prefix) &&
	    memchr(ip->data, '.', ip->length))
		return (struct history_text){ip->data + prefix, ip->length - prefix};
	return *ip;
}

static bool is_wildcard(const struct history_text *ip)
{
	return history_is(ip, "0.0.0.0") || history_is(ip, "::");
}

static bool is_ipv4(const struct history_row *row)
{
	struct history_text local = packet_address(&row->local);
	struct history_text remote = packet_address(&row->remote);

	return row->family == 4 || local.data != row->local.data || remote.data != row->remote.data;
}

static bool is_directed(const struct history_row *row)
{
	if (history_is(&row->trigger, "bind") || history_is(&row->trigger, "listen"))
		return false;
	return row->remote_port;
}

static void network_put(struct json *json, const struct history_row *row)
{
	struct history_text local = packet_address(&row->local);
	struct history_text remote = packet_address(&row->remote);
	const struct history_text *protocol = &row->protocol;

	member_object(json, "network");
	if (history_is(protocol, "mptcp"))
		member_string(json, "transport", "tcp");
	else if (history_is(protocol, "icmpv6"))
		member_string(json, "transport", "ipv6-icmp");
	else if (protocol->length && *protocol->data >= '0' && *protocol->data <= '9')
		text_put(json, "iana_number", protocol);
	else
		text_put(json, "transport", protocol);
	member_string(json, "type", is_ipv4(row) ? "ipv4" : "ipv6");
	json_close(json, '}');
	if (row->kind == HISTORY_LEASE ? row->outcome == STORE_LISTENING
				       : history_is(&row->trigger, "listen"))
		endpoint_put(json, "server", &local, row->port);
	if (!is_directed(row))
		return;
	if (row->port || !is_wildcard(&local)) {
		member_object(json, "source");
		if (!is_wildcard(&local))
			text_put(json, "ip", &local);
		member_number_if(json, "port", row->port);
		json_close(json, '}');
	}
	endpoint_put(json, "destination", &remote, row->remote_port);
}

/* ---- processes ---- */

/* The end of a string's content, which follows a quote, or NULL. */
static const char *string_copy(struct buffer *out, const char *at, const char *end)
{
	const char *from = at;

	while (at < end && *at != '"') {
		size_t escape = 2;

		if (*at != '\\') {
			at++;
			continue;
		}
		escape_json(out, from, (size_t)(at - from));
		if (at + 1 < end && at[1] == 'u') {
			if (end - at < 6)
				return NULL;
			for (int i = 2; i < 6; i++)
				if (!memchr("0123456789abcdefABCDEF", at[i], 22))
					return NULL;
			escape = 6;
		} else if (at + 1 == end || !memchr("\"\\/bfnrt", at[1], 8)) {
			return NULL;
		}
		buffer_append(out, at, escape);
		from = at += escape;
	}
	if (at == end)
		return NULL;
	escape_json(out, from, (size_t)(at - from));
	return at;
}

/* An array of strings, made harmless; false: it is none. The database may be anybody's. */
static bool args_copy(struct buffer *out, const struct history_text *args)
{
	const char *at = args->data, *end;

	if (!args->length || *at != '[')
		return false;
	end = at + args->length;
	do {
		buffer_byte(out, *at++);
		if (at == end || *at != '"')
			return false;
		buffer_byte(out, *at++);
		at = string_copy(out, at, end);
		if (!at)
			return false;
		buffer_byte(out, *at++);
	} while (at < end && *at == ',');
	buffer_byte(out, ']');
	return at + 1 == end && *at == ']';
}

static void args_put(struct json *json, const struct history_text *args, struct buffer *room)
{
	buffer_reset(room);
	if (!args_copy(room, args))
		return;
	json->out->failed |= room->failed;
	json_key(json, "args");
	buffer_append(json->out, room->data, room->length);
	json->comma = true;
}

/* The members of process.* */
static void process_put(struct json *json, const struct history_process *process,
			struct buffer *room)
{
	char uid[TEXT_UNSIGNED];

	member_number(json, "pid", process->pid);
	text_put(json, "name", &process->comm);
	text_put(json, "executable", &process->exe);
	args_put(json, &process->args, room);
	if (process->parent_pid) {
		member_object(json, "parent");
		member_number(json, "pid", process->parent_pid);
		text_put(json, "name", &process->parent_comm);
		json_close(json, '}');
	}
	if (!process->has_uid && !process->user.length)
		return;
	member_object(json, "user");
	if (process->has_uid) {
		json_key(json, "id"); /* ECS wants a string */
		json_text(json, uid, (size_t)(text_unsigned(uid, process->uid) - uid));
	}
	text_put(json, "name", &process->user);
	json_close(json, '}');
}

static void container_put(struct json *json, const struct history_process *process)
{
	if (!process->container.length && !process->runtime.length)
		return;
	member_object(json, "container");
	text_put(json, "id", &process->container);
	text_put(json, "runtime", &process->runtime);
	json_close(json, '}');
}

/* What trace has of the claimant under portsnoop. */
static void place_put(struct json *json, const struct history_process *process)
{
	static const struct flag_name exe_flags[] = {
		{WIRE_EXE_DELETED, "deleted"},
		{WIRE_EXE_MEMORY, "memory"},
		{0},
	};
	static const struct flag_name incomplete[] = {
		{WIRE_EXE_CUT, "executable cut"},
		{WIRE_EXE_UNREADABLE, "executable unreadable"},
		{WIRE_ARGS_CUT, "args cut"},
		{WIRE_ARGS_UNREADABLE, "args unreadable"},
		{WIRE_CGROUP_CUT, "cgroup cut"},
		{WIRE_CGROUP_UNREADABLE, "cgroup unreadable"},
		{0},
	};

	text_put(json, "pod", &process->pod);
	text_put(json, "unit", &process->unit);
	text_put(json, "cgroup", &process->cgroup);
	flags_put(json, "exe_flags", process->flags, exe_flags);
	flags_put(json, "incomplete", process->flags, incomplete);
	if (process->namespace_pid != process->pid)
		member_number_if(json, "namespace_pid", process->namespace_pid);
	member_flag(json, "kernel_thread", process->flags & WIRE_KERNEL_THREAD);
}

/* ---- what happened ---- */

/* ECS ties the type to a category; these are allowed for "network". */
static void type_put(struct json *json, const struct history_row *row)
{
	bool refused = history_is(&row->error, "EACCES") || history_is(&row->error, "EPERM") ||
		       history_is(&row->error, "ECONNREFUSED");
	bool start = row->kind == HISTORY_FAILURE ||
		     (row->kind == HISTORY_LEASE && !history_predates(row));
	bool end = row->kind == HISTORY_LEASE &&
		   (row->ending == STORE_RELEASED || row->ending == STORE_ESTIMATED);
	bool connection = row->kind != HISTORY_GAP && is_directed(row);

	member_array(json, "type");
	if (connection)
		json_string(json, "connection");
	if (start)
		json_string(json, "start");
	if (end)
		json_string(json, "end");
	if (refused)
		json_string(json, "denied");
	if (!connection && !start && !end && !refused)
		json_string(json, "info");
	json_close(json, ']');
}

static void span_put(struct json *json, const struct history_row *row)
{
	struct history_span span;

	history_span_find(row, &span);
	if (span.has_start)
		member_time(json, "start", span.start);
	if (span.has_end)
		member_time(json, "end", span.end);
	if (span.has_duration)
		member_number(json, "duration", span.duration);
}

static void head_put(struct json *json, const struct history_row *row, struct buffer *words)
{
	member_time(json, "@timestamp", row->time == INT64_MIN ? row->until : row->time);
	buffer_reset(words);
	history_sentence_put(words, row);
	json->out->failed |= words->failed;
	json_key(json, "message");
	json_text(json, words->data, words->failed ? 0 : words->length);
	member_event(json, "event");
	type_put(json, row);
	member_string(json, "action", history_action(row));
	if (row->kind != HISTORY_GAP)
		member_string(json, "outcome", history_outcome(row));
	member_string(json, "dataset", "portsnoop.history");
	span_put(json, row);
	json_close(json, '}');
}

static void class_put(struct json *json, const struct history_row *row)
{
	const bool requested = history_is(&row->origin, "requested");
	const char *uses[KNOWN_USES_MAX], *service = NULL, *expected;
	unsigned int count = 0;
	char name[16] = "";
	uint16_t protocol = 0;

	if (row->protocol.length < sizeof(name) && row->protocol.data)
		memcpy(name, row->protocol.data, row->protocol.length);
	/* the number of a ping socket is an identifier, and no port */
	if (!row->port || !strncmp(name, "icmp", 4))
		return;
	if (requested && !parse_protocol(name, &protocol, &expected)) {
		service = iana_service(row->port, protocol);
		count = known_uses(row->port, protocol, uses, KNOWN_USES_MAX);
	}
	member_object(json, "class");
	member_string(json, "iana", iana_range_name(iana_range_of(row->port)));
	member_string(json, "service", service);
	if (row->brief)
		member_bool(json, "in_pool", row->in_pool);
	if (row->pool_high) {
		member_bool(json, "in_pool",
			    row->port >= row->pool_low && row->port <= row->pool_high &&
				    !(row->flags & WIRE_RESERVED));
	}
	if (!row->brief)
		member_bool(json, "reserved", row->flags & WIRE_RESERVED);
	if (row->pool_high) {
		member_array(json, "pool");
		json_unsigned(json, row->pool_low);
		json_unsigned(json, row->pool_high);
		json_close(json, ']');
	}
	member_flag(json, "own_range", row->flags & WIRE_OWN_RANGE);
	json_close(json, '}');
	if (!count)
		return;
	member_array(json, "known_uses");
	for (unsigned int i = 0; i < count && i < KNOWN_USES_MAX; i++)
		json_string(json, uses[i]);
	json_close(json, ']');
}

static void lease_put(struct json *json, const struct history_row *row)
{
	struct history_span span;

	history_span_find(row, &span);
	member_string(json, "state", store_outcome_name(row->outcome));
	member_string(json, "ending", store_ending_name(row->ending));
	if (span.has_least)
		member_number(json, "held_at_least", span.least);
	if (row->answered != STORE_UNKNOWN)
		member_number_if(json, "answered", row->answered);
	if (!row->lingered)
		return;
	if (row->lingered != STORE_UNKNOWN)
		member_number(json, "lingered", row->lingered);
	member_string(json, "time_wait",
		      row->ending == STORE_ESTIMATED || row->flags & WIRE_ESTIMATED ? "estimated"
		      : row->ending == STORE_RELEASED				    ? "over"
										    : "seen");
}

static void blocker_put(struct json *json, const struct history_blocker *blocker)
{
	json_open(json, '{');
	json_key(json, "pid");
	if (blocker->process.pid) {
		json_unsigned(json, blocker->process.pid);
		text_put(json, "name", &blocker->process.comm);
	} else {
		json_string(json, NULL);
		member_string(json, "name", NULL);
	}
	text_put(json, "role", &blocker->role);
	text_put(json, "state", &blocker->state);
	if (blocker->since)
		member_time(json, "since", blocker->since);
	else
		member_string(json, "since", NULL);
	if (blocker->port)
		endpoint_put(json, "local", &blocker->local, blocker->port);
	if (blocker->remote_port)
		endpoint_put(json, "remote", &blocker->remote, blocker->remote_port);
	member_number_if(json, "ports", blocker->ports);
	json_close(json, '}');
}

static void failure_put(struct json *json, const struct history_row *row)
{
	if (!row->blocked_count && !row->blocked_reason.length)
		return;
	member_array(json, "blocked_by");
	for (unsigned int i = 0; i < row->blocked_count && i < HISTORY_BLOCKERS; i++)
		blocker_put(json, &row->blockers[i]);
	json_close(json, ']');
	member_number(json, "blocked_by_total", row->blocked_total);
	text_put(json, "blocked_by_reason", &row->blocked_reason);
}

static void socket_put(struct json *json, const struct history_row *row)
{
	static const struct flag_name options[] = {
		{WIRE_REUSEADDR, "reuseaddr"},
		{WIRE_REUSEPORT, "reuseport"},
		{WIRE_V6ONLY, "v6only"},
		{WIRE_BIND_NO_PORT, "bind_address_no_port"},
		{0},
	};

	text_put(json, "trigger", &row->trigger);
	text_put(json, "origin", &row->origin);
	if (history_has_local(row))
		endpoint_put(json,
			     row->kind == HISTORY_FAILURE && history_is(&row->trigger, "bind")
				     ? "requested"
				     : "local",
			     &row->local, row->port);
	if (row->remote_port)
		endpoint_put(json, "remote", &row->remote, row->remote_port);
	class_put(json, row);
	flags_put(json, "socket_options", row->flags, options);
	member_flag(json, "mptcp", row->flags & WIRE_MPTCP || history_is(&row->protocol, "mptcp"));
	member_flag(json, "fastopen", row->flags & WIRE_FASTOPEN);
	member_flag(json, "self_connect", row->flags & WIRE_SELF_CONNECT);
	member_flag(json, "kernel_socket", row->flags & WIRE_KERNEL_SOCKET);
	if (row->kind == HISTORY_LEASE)
		lease_put(json, row);
	else
		failure_put(json, row);
}

/* Of a lease whose claim was not seen, the process is a holder. */
static void unknown_put(struct json *json, const struct history_row *row, struct buffer *room)
{
	if (!history_predates(row)) {
		if (!row->process.pid)
			member_string(json, "process_unknown", "no-record");
		return;
	}
	member_string(json, "process_unknown", "predates");
	if (!row->process.pid)
		return;
	member_object(json, "holder");
	process_put(json, &row->process, room);
	container_put(json, &row->process);
	place_put(json, &row->process);
	json_close(json, '}');
}

static void gap_put(struct json *json, const struct history_row *row)
{
	member_object(json, "gap");
	member_string(json, "reason", history_gap_reason(row));
	member_number_if(json, "count", row->count);
	if (row->gap == STORE_GAP_CLOCK) {
		member_time(json, "from", row->time);
		member_time(json, "to", row->until);
	}
	json_close(json, '}');
}

static void json_row(struct history_view *view, const struct history_row *row, struct buffer *out)
{
	const bool claimant = row->process.pid && !history_predates(row);
	struct json json = {.out = out};

	json_open(&json, '{');
	head_put(&json, row, &view->cell);
	if (row->kind != HISTORY_GAP) {
		if (row->error.length) {
			member_object(&json, "error");
			text_put(&json, "code", &row->error);
			json_close(&json, '}');
		}
		network_put(&json, row);
		if (claimant) {
			member_object(&json, "process");
			process_put(&json, &row->process, &view->cell);
			json_close(&json, '}');
			container_put(&json, &row->process);
		}
	}
	if (row->host.length) {
		member_object(&json, "host");
		text_put(&json, "name", &row->host);
		json_close(&json, '}');
	}
	member_object(&json, "portsnoop");
	member_number(&json, "schema", 1);
	if (row->kind == HISTORY_GAP) {
		gap_put(&json, row);
	} else {
		socket_put(&json, row);
		unknown_put(&json, row, &view->cell);
		if (claimant)
			place_put(&json, &row->process);
		member_number_if(&json, "device", row->device);
		member_number_if(&json, "netns", row->netns);
	}
	text_put(&json, "tier", &row->tier);
	json_close(&json, '}');
	json_close(&json, '}');
	buffer_byte(out, '\n');
}

static void json_begin(struct history_view *view, struct buffer *out)
{
	(void)view;
	(void)out;
}

const struct history_format history_json = {
	.name = "json",
	.begin = json_begin,
	.row = json_row,
};
