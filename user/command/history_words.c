/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <inttypes.h>
#include <string.h>

#include "command/history_view.h"
#include "model/text.h"

const struct history_format *history_format_find(const char *name)
{
	static const struct history_format *const formats[] = {
		&history_table,
		&history_json,
		&history_csv,
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (!strcmp(formats[i]->name, name))
			return formats[i];
	return NULL;
}

void history_view_free(struct history_view *view)
{
	buffer_free(&view->raw);
	buffer_free(&view->cell);
}

void history_text_put(struct buffer *out, const struct history_text *text)
{
	if (text->data)
		buffer_append(out, text->data, text->length);
}

void history_duration_put(struct buffer *out, uint64_t ns)
{
	char text[TEXT_DURATION];

	buffer_append(out, text, (size_t)(text_duration(text, ns) - text));
}

void history_protocol_put(struct buffer *out, const struct history_row *row)
{
	if (row->flags & WIRE_MPTCP)
		buffer_text(out, "mptcp");
	else
		history_text_put(out, &row->protocol);
}

void history_endpoint_put(struct buffer *out, const struct history_text *ip, uint16_t port)
{
	bool six = ip->data && memchr(ip->data, ':', ip->length);

	if (six)
		buffer_byte(out, '[');
	if (ip->data)
		history_text_put(out, ip);
	else
		buffer_byte(out, '?');
	buffer_text(out, six ? "]:" : ":");
	buffer_unsigned(out, port);
}

void history_process_put(struct buffer *out, const struct history_process *process)
{
	if (!process->pid) {
		buffer_text(out, "an unknown process");
		return;
	}
	history_text_put(out, &process->comm);
	buffer_printf(out, "[%u]", process->pid);
}

void history_held_put(struct buffer *out, const struct history_row *row)
{
	if (row->kind != HISTORY_LEASE)
		return;
	if (row->ending == STORE_OPEN) {
		buffer_text(out, "still");
	} else if (row->held != STORE_UNKNOWN) {
		if (history_held_least(row))
			buffer_text(out, ">=");
		history_duration_put(out, row->held);
	}
}

void history_time_wait_put(struct buffer *out, const struct history_row *row)
{
	if (row->kind != HISTORY_LEASE || !row->lingered)
		return;
	if (row->lingered == STORE_UNKNOWN) {
		buffer_text(out, row->ending == STORE_OPEN ? "now" : "yes");
		return;
	}
	if (row->ending == STORE_ESTIMATED)
		buffer_byte(out, '~');
	history_duration_put(out, row->lingered);
}

void history_result_put(struct buffer *out, const struct history_row *row)
{
	static const char *const words[STORE_OUTCOMES] = {
		[STORE_BOUND] = "bound",     [STORE_LISTENING] = "listening",
		[STORE_PENDING] = "pending", [STORE_ESTABLISHED] = "connected",
		[STORE_FAILED] = "gave up",
	};
	const bool answered = row->kind == HISTORY_LEASE && row->outcome == STORE_ESTABLISHED &&
			      !row->error.length && row->answered && row->answered != STORE_UNKNOWN;

	if (row->error.length)
		history_text_put(out, &row->error);
	else if (row->kind == HISTORY_FAILURE)
		buffer_text(out, "failed");
	else if (answered)
		buffer_text(out, "ok ");
	else if (row->outcome < STORE_OUTCOMES)
		buffer_text(out, words[row->outcome]);
	if (answered)
		history_duration_put(out, row->answered);
}

bool history_has_local(const struct history_row *row)
{
	return row->kind == HISTORY_LEASE || row->port || history_is(&row->trigger, "bind");
}

void history_local_put(struct buffer *out, const struct history_row *row)
{
	if (history_has_local(row))
		history_endpoint_put(out, &row->local, row->port);
}

void history_remote_put(struct buffer *out, const struct history_row *row)
{
	if (row->remote_port)
		history_endpoint_put(out, &row->remote, row->remote_port);
}

static bool text_equal(const struct history_text *a, const struct history_text *b)
{
	return a->data && b->data && a->length == b->length && !memcmp(a->data, b->data, a->length);
}

void history_blocked_put(struct buffer *out, const struct history_row *row)
{
	const struct history_blocker *blocker = &row->blockers[0];

	if (row->kind != HISTORY_FAILURE || !row->blocked_count)
		return;
	history_process_put(out, &blocker->process);
	buffer_text(out, " (");
	if (blocker->state.data) {
		history_text_put(out, &blocker->state);
		if (!text_equal(&blocker->local, &row->local)) {
			buffer_text(out, " on ");
			history_endpoint_put(out, &blocker->local, blocker->port);
		}
		if (blocker->remote_port) {
			buffer_text(out, " to ");
			history_endpoint_put(out, &blocker->remote, blocker->remote_port);
		}
	} else {
		buffer_printf(out, "%u port%s", blocker->ports, blocker->ports == 1 ? "" : "s");
	}
	if (blocker->since && blocker->since < row->time) {
		buffer_text(out, ", ");
		history_duration_put(out, (uint64_t)row->time - (uint64_t)blocker->since);
	}
	buffer_byte(out, ')');
	if (row->blocked_total > 1)
		buffer_printf(out, " +%u more", row->blocked_total - 1);
}

const char *history_gap_reason(const struct history_row *row)
{
	if (row->gap == -1)
		return "not_recording";
	if (row->gap == -2)
		return "not_recorded_before";
	if (row->gap == -3)
		return "silent";
	return row->gap >= 0 && row->gap < STORE_GAP_REASONS
		       ? store_gap_name((enum store_gap_reason)row->gap)
		       : "unknown";
}

static void count_put(struct buffer *out, uint64_t count, const char *one, const char *many)
{
	buffer_printf(out, "%" PRIu64 " %s", count, count == 1 ? one : many);
}

void history_gap_put(struct buffer *out, struct buffer *why, const struct history_row *row)
{
	const char *what = "nothing recorded", *because = "";

	switch (row->gap) {
	case STORE_GAP_STOPPED:
		because = "portsnoop was stopped";
		break;
	case STORE_GAP_KILLED:
		because = "portsnoop was killed";
		break;
	case STORE_GAP_LOST:
		count_put(out, row->count, "record lost", "records lost");
		what = NULL;
		because = row->brief ? "" : "no room in the ring";
		break;
	case STORE_GAP_DROPPED:
		count_put(out, row->count, "lease or failure not written",
			  "leases and failures not written");
		what = NULL;
		because = "the database could not take them in time";
		break;
	case STORE_GAP_EVICTED:
		count_put(out, row->count, "lease given up on", "leases given up on");
		what = NULL;
		because = "there were too many to keep account of";
		break;
	case STORE_GAP_CLOCK:
		what = "the clock stepped";
		break;
	case -1:
		because = "nobody is recording";
		break;
	case -2:
		break;
	case -3:
		what = "nothing has arrived";
		because = "heartbeats are missing";
		break;
	default:
		what = "something is missing";
		break;
	}
	if (what)
		buffer_text(out, what);
	buffer_text(why, because);
}

static void path_put(struct buffer *out, const struct history_row *row)
{
	history_protocol_put(out, row);
	if (history_has_local(row)) {
		buffer_byte(out, ' ');
		history_local_put(out, row);
	}
	if (row->remote_port) {
		buffer_text(out, " -> ");
		history_remote_put(out, row);
	}
}

static void lease_sentence(struct buffer *out, const struct history_row *row)
{
	bool open = row->ending == STORE_OPEN;

	history_process_put(out, &row->process);
	if (history_predates(row))
		buffer_text(out, " had ");
	else
		buffer_text(out, open ? " holds " : " held ");
	path_put(out, row);
	if (history_predates(row))
		buffer_text(out, " open, claimed before the recording");
	if (!open && row->held != STORE_UNKNOWN) {
		buffer_text(out, history_held_least(row) ? ", held at least " : " for ");
		history_duration_put(out, row->held);
	}
	if (row->lingered && row->lingered != STORE_UNKNOWN) {
		buffer_text(out, ", ");
		history_duration_put(out, row->lingered);
		buffer_text(out, " of it TIME_WAIT");
	}
	if (row->outcome != STORE_FAILED)
		return;
	buffer_text(out, ", connect failed: ");
	history_result_put(out, row);
}

static void failure_sentence(struct buffer *out, const struct history_row *row)
{
	history_process_put(out, &row->process);
	if (history_is(&row->trigger, "bind"))
		buffer_text(out, " could not bind ");
	else if (history_is(&row->trigger, "listen"))
		buffer_text(out, " could not listen on ");
	else if (history_is(&row->trigger, "send"))
		buffer_text(out, " could not autobind ");
	else
		buffer_text(out, " failed to connect ");
	path_put(out, row);
	buffer_text(out, ": ");
	history_result_put(out, row);
	if (!row->blocked_count)
		return;
	buffer_text(out, ", held by ");
	history_blocked_put(out, row);
}

static void gap_sentence(struct buffer *out, const struct history_row *row)
{
	struct buffer why = BUFFER_EMPTY;

	history_gap_put(out, &why, row);
	if (row->gap == -2)
		buffer_text(out, " before this");
	if (row->gap == -1)
		buffer_text(out, " since");
	if ((row->gap >= 0 || row->gap == -3) && row->gap != STORE_GAP_CLOCK &&
	    row->until > row->time) {
		buffer_text(out, row->count ? " in " : " for ");
		history_duration_put(out, (uint64_t)row->until - (uint64_t)row->time);
	}
	if (why.length) {
		buffer_text(out, ": ");
		buffer_append(out, why.data, why.length);
	}
	out->failed |= why.failed;
	buffer_free(&why);
}

void history_sentence_put(struct buffer *out, const struct history_row *row)
{
	switch (row->kind) {
	case HISTORY_LEASE:
		lease_sentence(out, row);
		break;
	case HISTORY_FAILURE:
		failure_sentence(out, row);
		break;
	case HISTORY_GAP:
		gap_sentence(out, row);
		break;
	}
}

const char *history_action(const struct history_row *row)
{
	if (row->kind == HISTORY_GAP)
		return "recording-gap";
	if (row->kind == HISTORY_LEASE)
		return "held-port";
	if (history_is(&row->trigger, "bind"))
		return "bound-socket";
	if (history_is(&row->trigger, "listen"))
		return "listen-for-connections";
	return history_is(&row->trigger, "send") ? "autobound-socket" : "connected-to";
}

const char *history_outcome(const struct history_row *row)
{
	if (row->kind == HISTORY_FAILURE || row->outcome == STORE_FAILED)
		return "failure";
	return row->outcome == STORE_PENDING ? "unknown" : "success";
}

void history_span_find(const struct history_row *row, struct history_span *span)
{
	const bool gap = row->kind == HISTORY_GAP, lease = row->kind == HISTORY_LEASE;
	const bool least = lease && history_held_least(row), over = row->until != INT64_MAX;

	*span = (struct history_span){
		.start = row->time,
		.end = row->until,
		.duration = row->held,
		.least = row->held,
	};
	if (gap && row->gap == STORE_GAP_CLOCK)
		return;
	span->has_start = row->time != INT64_MIN && !history_predates(row);
	span->has_end = over && (gap || (lease && (row->ending == STORE_RELEASED ||
						   row->ending == STORE_ESTIMATED)));
	if (gap) {
		span->has_duration = span->has_start && over && row->until > row->time;
		span->duration = (uint64_t)row->until - (uint64_t)row->time;
	} else if (lease && row->ending != STORE_OPEN && row->held != STORE_UNKNOWN) {
		span->has_duration = !least;
		span->has_least = least;
	}
}
