/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "fleet/question.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fleet/answer.h"
#include "fleet/streams.h"
#include "lib/cleanup.h"
#include "model/ledger.h"
#include "model/text.h"
#include "sink/clickhouse_http.h"

#define STREAM "substring(id, 1, 16)"

static void literal_put(struct buffer *out, const char *bytes, size_t length)
{
	static const char plain[] = " ./:@%+,=[]{}<>|!#$&()*?;~^-_";

	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)bytes[i];

		/* not isalnum(): the locale has no say */
		if ((byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'z') ||
		    (byte && strchr(plain, byte)))
			buffer_byte(out, (char)byte);
		else
			buffer_printf(out, "\\x%02X", byte);
	}
}

void question_text(struct buffer *out, const char *bytes, size_t length)
{
	buffer_byte(out, '\'');
	literal_put(out, bytes, length);
	buffer_byte(out, '\'');
}

static void text_put(struct buffer *out, const char *text)
{
	question_text(out, text, strlen(text));
}

/* ---- conditions ---- */

bool question_is_pattern(const char *host)
{
	return strpbrk(host, "*?");
}

/* LIKE has % and _, and a backslash before what is meant as itself. */
static void pattern_put(struct buffer *out, const char *pattern)
{
	struct buffer like = BUFFER_EMPTY;

	for (; *pattern; pattern++) {
		if (*pattern == '*' || *pattern == '?') {
			buffer_byte(&like, *pattern == '*' ? '%' : '_');
			continue;
		}
		if (strchr("%_\\", *pattern))
			buffer_byte(&like, '\\');
		buffer_byte(&like, *pattern);
	}
	question_text(out, like.data ? like.data : "", like.length);
	out->failed |= like.failed;
	buffer_free(&like);
}

static void hosts_put(struct buffer *out, const struct text_list *hosts)
{
	const char *between = "";

	if (!hosts || !hosts->count)
		return;
	buffer_text(out, " AND (");
	for (size_t i = 0; i < hosts->count; i++) {
		buffer_text(out, between);
		between = " OR ";
		if (question_is_pattern(hosts->texts[i])) {
			buffer_text(out, "host LIKE ");
			pattern_put(out, hosts->texts[i]);
		} else {
			buffer_text(out, "host = ");
			text_put(out, hosts->texts[i]);
		}
	}
	buffer_byte(out, ')');
}

/* In ranges: a set of 32,768 odd ports would be a text that the engine refuses. */
#define RANGES_MOST 256

static void ports_put(struct buffer *out, const struct port_set *ports, const char *column)
{
	unsigned int ranges = 0, last = 0;
	const char *between = "";

	buffer_byte(out, '(');
	for (uint32_t port = 0; port <= UINT16_MAX; port++) {
		uint32_t low = port;

		if (!port_set_has(ports, (uint16_t)port))
			continue;
		while (port < UINT16_MAX && port_set_has(ports, (uint16_t)(port + 1)))
			port++;
		if (++ranges > RANGES_MOST) {
			/* the rest as one: what is not asked for is left out here */
			for (last = port; port <= UINT16_MAX; port++)
				if (port_set_has(ports, (uint16_t)port))
					last = port;
			port = last;
		}
		buffer_printf(out, low == port ? "%s%s = %u" : "%s%s BETWEEN %u AND %u", between,
			      column, low, port);
		between = " OR ";
		if (ranges > RANGES_MOST)
			break;
	}
	buffer_text(out, *between ? ")" : "0)");
}

static uint64_t bound(int64_t time)
{
	return time < 0 ? 0 : (uint64_t)time;
}

/* A lease that may have lasted longer than its last row tells. */
static uint64_t since_of(const struct history_query *query)
{
	uint64_t since = bound(query->since);

	return since > LEDGER_LOST ? since - LEDGER_LOST : 0;
}

static bool exact_address(const struct history_remote *remote)
{
	return remote->family && remote->bits == (remote->family == 4 ? 32 : 128);
}

/* Of a row: false only if no row like it can be of an answer. */
static void remote_put(struct buffer *out, const struct history_remote *remote)
{
	char text[TEXT_ADDRESS + 1];

	if (remote->port)
		buffer_printf(out, " AND remote_port = %u", remote->port);
	if (!remote->family)
		return;
	if (exact_address(remote)) {
		*text_address(text, remote->address, remote->family) = 0;
		buffer_printf(out, " AND remote_ip IN ('%s', '::ffff:%s')", text, text);
	} else if (remote->family == 4 && remote->bits >= 8) {
		/* by whole numbers; the rest is judged here */
		const uint8_t *bytes = remote->address;
		unsigned int whole = remote->bits / 8;
		char *end = text;

		for (unsigned int i = 0; i < whole; i++) {
			end = text_unsigned(end, bytes[i]);
			*end++ = '.';
		}
		*end = 0;
		buffer_printf(out,
			      " AND (startsWith(remote_ip, '%s') OR "
			      "startsWith(remote_ip, '::ffff:%s'))",
			      text, text);
	}
}

/* `before`, `text` and `after` as one literal. */
static void joined_put(struct buffer *out, const char *before, const char *text, const char *after)
{
	buffer_byte(out, '\'');
	literal_put(out, before, strlen(before));
	literal_put(out, text, strlen(text));
	literal_put(out, after, strlen(after));
	buffer_byte(out, '\'');
}

static void process_put(struct buffer *out, const struct history_query *query)
{
	if (query->pid)
		buffer_printf(out, " AND (pid = %u OR holder_pid = %u)", query->pid, query->pid);
	if (query->comm) {
		buffer_text(out, " AND (comm = ");
		text_put(out, query->comm);
		buffer_text(out, " OR holder_comm = ");
		text_put(out, query->comm);
		buffer_byte(out, ')');
	}
	if (query->exe && strchr(query->exe, '/')) {
		buffer_text(out, " AND exe = ");
		text_put(out, query->exe);
	} else if (query->exe) {
		buffer_text(out, " AND (exe = ");
		text_put(out, query->exe);
		buffer_text(out, " OR endsWith(exe, ");
		joined_put(out, "/", query->exe, "");
		buffer_text(out, "))");
	}
	if (query->unit) {
		buffer_text(out, " AND (unit = ");
		text_put(out, query->unit);
		buffer_text(out, " OR unit = ");
		joined_put(out, "", query->unit, ".service");
		buffer_byte(out, ')');
	}
	if (query->container) {
		buffer_text(out, " AND startsWith(container, ");
		text_put(out, query->container);
		buffer_byte(out, ')');
	}
}

static bool has_process(const struct history_query *query)
{
	return query->pid || query->comm || query->exe || query->unit || query->container;
}

static bool has_remote(const struct history_query *query)
{
	return query->remote && (query->remote->port || query->remote->family);
}

static void protocol_put(struct buffer *out, uint16_t protocol)
{
	const char *name = protocol_name(protocol);

	if (name)
		buffer_printf(out, " AND transport = '%s'", !strcmp(name, "mptcp") ? "tcp" : name);
}

/* What is asked of every row. */
static void base_put(struct buffer *out, const struct question *question, const char *columns)
{
	buffer_printf(out, "SELECT %s FROM ", columns);
	clickhouse_table(out, question->table);
	buffer_text(out, " WHERE ");
}

static void local_ports_put(struct buffer *out, const struct history_query *query)
{
	if (query->ports)
		ports_put(out, query->ports, "local_port");
	else
		buffer_text(out, "local_port > 0");
}

#define CALLS "'bound-socket', 'connected-to', 'listen-for-connections', 'autobound-socket'"

/* The sockets of which one row or another is of an answer. */
static void sockets_put(struct buffer *out, const struct question *question)
{
	const struct history_query *query = question->query;
	bool bounded = query->since != INT64_MIN || query->until != INT64_MAX;

	if (!bounded && !has_process(query) && !has_remote(query) && !query->failed)
		return;
	buffer_text(out, " AND (host, " STREAM ", socket) GLOBAL IN (");
	base_put(out, question, "host, " STREAM " AS stream, socket");
	local_ports_put(out, query);
	hosts_put(out, question->hosts);
	buffer_text(out, " AND socket > 0 GROUP BY host, stream, socket HAVING 1");
	if (query->until != INT64_MAX)
		/* When it was claimed: a release may be the only row that is left of it. */
		buffer_printf(out,
			      " AND min(if(action = 'released-port' AND duration < time,"
			      " toUInt64(time - duration), time)) <= %" PRIu64,
			      bound(query->until));
	if (query->since != INT64_MIN)
		/* Released since, or not at all. */
		buffer_printf(out,
			      " AND (max(time) >= %" PRIu64 " OR argMax(action, time) !="
			      " 'released-port')",
			      since_of(query));
	if (query->failed)
		buffer_text(out, " AND countIf(action = 'connection-failed') > 0");
	if (has_process(query)) {
		buffer_text(out, " AND countIf(1");
		process_put(out, query);
		buffer_text(out, ") > 0");
	}
	if (has_remote(query)) {
		buffer_text(out, " AND countIf(1");
		remote_put(out, query->remote);
		buffer_text(out, ") > 0");
	}
	buffer_byte(out, ')');
}

static void window_put(struct buffer *out, const struct history_query *query)
{
	if (query->since != INT64_MIN)
		buffer_printf(out, " AND time >= %" PRIu64, bound(query->since));
	if (query->until != INT64_MAX)
		buffer_printf(out, " AND time <= %" PRIu64, bound(query->until));
}

#define IN_ORDER " ORDER BY host, " STREAM ", toUInt64OrZero(substring(id, 18)) FORMAT TabSeparated"

void question_sockets(struct buffer *out, const struct question *question)
{
	const struct history_query *query = question->query;

	base_put(out, question, answer_row_columns);
	local_ports_put(out, query);
	hosts_put(out, question->hosts);
	if (query->protocol)
		protocol_put(out, query->protocol);
	buffer_text(out, " AND socket > 0");
	sockets_put(out, question);
	buffer_text(out, IN_ORDER);
}

/* Of a bind that failed the port is the one that it asked for, and the socket has none. */
void question_failures(struct buffer *out, const struct question *question)
{
	const struct history_query *query = question->query;

	base_put(out, question, answer_row_columns);
	if (query->ports) {
		buffer_text(out, "(local_port = 0 OR ");
		ports_put(out, query->ports, "local_port");
		buffer_text(out, ") AND if(trigger = 'bind' AND requested_ip != '', ");
		ports_put(out, query->ports, "requested_port");
		buffer_text(out, ", ");
		ports_put(out, query->ports, "local_port");
		buffer_byte(out, ')');
	} else {
		buffer_byte(out, '1');
	}
	hosts_put(out, question->hosts);
	window_put(out, query);
	if (query->protocol)
		protocol_put(out, query->protocol);
	buffer_text(out, " AND outcome = 'failure' AND action IN (" CALLS ")");
	process_put(out, query);
	if (has_remote(query))
		remote_put(out, query->remote);
	buffer_text(out, IN_ORDER);
}

#define CONTROLS "'stream-start', 'stream-end', 'heartbeat', 'lost-events'"
#define NO_HOLES ", 0"
#define BY_STREAM " GROUP BY host, stream FORMAT TabSeparated"

static void streams_put(struct buffer *out, const struct question *question, const char *holes,
			const char *actions)
{
	CLEANUP(buffer_free) struct buffer columns = BUFFER_EMPTY;

	buffer_printf(&columns, "%s%s", answer_stream_columns, holes);
	buffer_byte(&columns, 0);
	out->failed |= columns.failed;
	if (out->failed)
		return;
	base_put(out, question, columns.data);
	buffer_printf(out, "local_port = 0 AND action IN (%s)", actions);
	hosts_put(out, question->hosts);
}

void question_streams(struct buffer *out, const struct question *question)
{
	streams_put(out, question, NO_HOLES, "'stream-start', 'stream-end'");
	buffer_text(out, BY_STREAM);
}

/* A silence that is too long leaves out a whole part of half its length. */
void question_pulse(struct buffer *out, const struct question *question,
		    const struct question_window *window)
{
	char part[128], holes[512];

	snprintf(part, sizeof(part), "If(intDiv(time, %" PRId64 "), time <= %" PRIu64 ")",
		 STREAM_SILENCE / 2, bound(window->until));
	snprintf(holes, sizeof(holes), ", toUInt64(max%s - min%s + 1 - uniqExact%s)", part, part,
		 part);
	streams_put(out, question, holes, CONTROLS);
	buffer_printf(out, " AND (time BETWEEN %" PRIu64 " AND %" PRIu64 " OR time >= %" PRIu64 ")",
		      bound(window->since), bound(window->until), bound(window->alive));
	buffer_text(out, BY_STREAM);
}

static void names_put(struct buffer *out, const struct stream_name *names, size_t count)
{
	buffer_text(out, " AND (host, " STREAM ") IN (");
	for (size_t i = 0; i < count; i++) {
		buffer_text(out, i ? ", (" : "(");
		question_text(out, names[i].host, names[i].host_length);
		buffer_text(out, ", ");
		text_put(out, names[i].stream);
		buffer_byte(out, ')');
	}
	buffer_byte(out, ')');
}

void question_life(struct buffer *out, const struct question *question,
		   const struct stream_name *names, size_t count)
{
	streams_put(out, question, NO_HOLES, CONTROLS);
	names_put(out, names, count);
	buffer_text(out, BY_STREAM);
}

#define IN_TIME " ORDER BY host, " STREAM ", time LIMIT 1 BY host, id FORMAT TabSeparated"

void question_lost(struct buffer *out, const struct question *question)
{
	base_put(out, question, answer_beat_columns);
	buffer_text(out, "local_port = 0 AND action = 'lost-events'");
	hosts_put(out, question->hosts);
	window_put(out, question->query);
	buffer_text(out, IN_TIME);
}

void question_beats(struct buffer *out, const struct question *question,
		    const struct stream_name *names, size_t count)
{
	base_put(out, question, answer_beat_columns);
	buffer_text(out, "local_port = 0 AND action IN (" CONTROLS ")");
	hosts_put(out, question->hosts);
	names_put(out, names, count);
	buffer_text(out, IN_TIME);
}
