/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* CSV, quoted as RFC 4180 says; lines end as text does on this system. The columns have
 * the names that JSON has for them. A gap has its times, its action and portsnoop.gap.*
 * only. */
#include <string.h>

#include "command/history_view.h"
#include "format/csv.h"
#include "lib/escape.h"
#include "model/text.h"

enum {
	TIMESTAMP,
	START,
	END,
	DURATION,
	ACTION,
	OUTCOME,
	ERROR,
	STATE,
	ENDING,
	HELD_AT_LEAST,
	LINGERED,
	PROTOCOL,
	LOCAL_IP,
	LOCAL_PORT,
	REMOTE_IP,
	REMOTE_PORT,
	TRIGGER,
	ORIGIN,
	PID,
	NAME,
	EXECUTABLE,
	USER_NAME,
	CONTAINER,
	UNIT,
	HOLDER_PID,
	HOLDER_NAME,
	BLOCKED_BY,
	GAP_REASON,
	GAP_COUNT,
	HOST, /* the rows of a fleet alone have it */
	COLUMNS
};

static const char *const headings[COLUMNS] = {
	[TIMESTAMP] = "@timestamp",
	[START] = "event.start",
	[END] = "event.end",
	[DURATION] = "event.duration",
	[ACTION] = "event.action",
	[OUTCOME] = "event.outcome",
	[ERROR] = "error.code",
	[STATE] = "portsnoop.state",
	[ENDING] = "portsnoop.ending",
	[HELD_AT_LEAST] = "portsnoop.held_at_least",
	[LINGERED] = "portsnoop.lingered",
	[PROTOCOL] = "protocol",
	[LOCAL_IP] = "portsnoop.local.ip",
	[LOCAL_PORT] = "portsnoop.local.port",
	[REMOTE_IP] = "portsnoop.remote.ip",
	[REMOTE_PORT] = "portsnoop.remote.port",
	[TRIGGER] = "portsnoop.trigger",
	[ORIGIN] = "portsnoop.origin",
	[PID] = "process.pid",
	[NAME] = "process.name",
	[EXECUTABLE] = "process.executable",
	[USER_NAME] = "process.user.name",
	[CONTAINER] = "container.id",
	[UNIT] = "portsnoop.unit",
	[HOLDER_PID] = "portsnoop.holder.pid",
	[HOLDER_NAME] = "portsnoop.holder.name",
	[BLOCKED_BY] = "portsnoop.blocked_by",
	[GAP_REASON] = "portsnoop.gap.reason",
	[GAP_COUNT] = "portsnoop.gap.count",
	[HOST] = "host",
};

static void time_put(struct buffer *out, int64_t ns)
{
	char text[TEXT_TIME];

	buffer_append(out, text, (size_t)(text_time(text, ns) - text));
}

static void number_if(struct buffer *out, bool has, uint64_t number)
{
	if (has)
		buffer_unsigned(out, number);
}

static void word_put(struct buffer *out, const char *word)
{
	if (word)
		buffer_text(out, word);
}

/* Raw. */
static void process_put(struct buffer *out, int column, const struct history_row *row)
{
	const struct history_process *process = &row->process;
	const bool predates = history_predates(row);

	if (!process->pid)
		return;
	switch (column) {
	case HOLDER_PID:
		number_if(out, predates, process->pid);
		return;
	case HOLDER_NAME:
		if (predates)
			history_text_put(out, &process->comm);
		return;
	}
	if (predates)
		return;
	switch (column) {
	case PID:
		buffer_unsigned(out, process->pid);
		break;
	case NAME:
		history_text_put(out, &process->comm);
		break;
	case EXECUTABLE:
		history_text_put(out, &process->exe);
		break;
	case USER_NAME:
		history_text_put(out, &process->user);
		break;
	case CONTAINER:
		history_text_put(out, &process->container);
		break;
	case UNIT:
		history_text_put(out, &process->unit);
		break;
	}
}

static void socket_put(struct buffer *out, int column, const struct history_row *row)
{
	const bool lease = row->kind == HISTORY_LEASE;

	switch (column) {
	case OUTCOME:
		buffer_text(out, history_outcome(row));
		break;
	case ERROR:
		history_text_put(out, &row->error);
		break;
	case STATE:
		word_put(out, lease ? store_outcome_name(row->outcome) : NULL);
		break;
	case ENDING:
		word_put(out, lease ? store_ending_name(row->ending) : NULL);
		break;
	case LINGERED:
		number_if(out, lease && row->lingered && row->lingered != STORE_UNKNOWN,
			  row->lingered);
		break;
	case PROTOCOL:
		history_protocol_put(out, row);
		break;
	case LOCAL_IP:
		if (history_has_local(row))
			history_text_put(out, &row->local);
		break;
	case LOCAL_PORT:
		number_if(out, history_has_local(row), row->port);
		break;
	case REMOTE_IP:
		if (row->remote_port)
			history_text_put(out, &row->remote);
		break;
	case REMOTE_PORT:
		number_if(out, row->remote_port, row->remote_port);
		break;
	case TRIGGER:
		history_text_put(out, &row->trigger);
		break;
	case ORIGIN:
		history_text_put(out, &row->origin);
		break;
	case BLOCKED_BY:
		history_blocked_put(out, row);
		break;
	default:
		process_put(out, column, row);
		break;
	}
}

static void column_put(struct buffer *out, int column, const struct history_row *row)
{
	const bool gap = row->kind == HISTORY_GAP;
	struct history_span span;

	history_span_find(row, &span);
	switch (column) {
	case TIMESTAMP:
		time_put(out, row->time == INT64_MIN ? row->until : row->time);
		break;
	case START:
		if (span.has_start)
			time_put(out, span.start);
		break;
	case END:
		if (span.has_end)
			time_put(out, span.end);
		break;
	case DURATION:
		number_if(out, span.has_duration, span.duration);
		break;
	case HELD_AT_LEAST:
		number_if(out, span.has_least, span.least);
		break;
	case ACTION:
		buffer_text(out, history_action(row));
		break;
	case GAP_REASON:
		word_put(out, gap ? history_gap_reason(row) : NULL);
		break;
	case GAP_COUNT:
		number_if(out, gap && row->count, row->count);
		break;
	case HOST:
		history_text_put(out, &row->host);
		break;
	default:
		if (!gap)
			socket_put(out, column, row);
		break;
	}
}

static int columns_count(const struct history_view *view)
{
	return view->hosts ? COLUMNS : HOST;
}

static void csv_begin(struct history_view *view, struct buffer *out)
{
	for (int i = 0; i < columns_count(view); i++) {
		if (i)
			buffer_byte(out, ',');
		buffer_text(out, headings[i]);
	}
	buffer_byte(out, '\n');
}

static void csv_row(struct history_view *view, const struct history_row *row, struct buffer *out)
{
	for (int i = 0; i < columns_count(view); i++) {
		if (i)
			buffer_byte(out, ',');
		buffer_reset(&view->raw);
		column_put(&view->raw, i, row);
		buffer_reset(&view->cell);
		if (view->raw.length)
			escape_plain(&view->cell, view->raw.data, view->raw.length);
		view->cell.failed |= view->raw.failed;
		csv_cell(out, &view->cell);
	}
	buffer_byte(out, '\n');
}

const struct history_format history_csv = {
	.name = "csv",
	.begin = csv_begin,
	.row = csv_row,
};
