/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Groups: claims that failed, who listened where; and what the recording misses. */
#include <errno.h>
#include <stdlib.h>

#include "report/inside.h"

static bool is_bind(const struct history_row *row)
{
	return report_text_is(&row->trigger, "bind") || report_text_is(&row->trigger, "listen");
}

static void failure_key(struct buffer *key, const struct history_row *row)
{
	const bool local = row->kind == HISTORY_FAILURE && (is_bind(row) || !row->remote_port);

	buffer_reset(key);
	key_text(key, &row->process.comm);
	key_text(key, &row->process.exe);
	key_text(key, &row->trigger);
	key_text(key, &row->error);
	key_text(key, &row->protocol);
	key_text(key, local ? &row->local : &row->remote);
	key_number(key, local ? row->port : row->remote_port);
}

static uint32_t blocker_name(struct buffer *name, const struct history_blocker *blocker)
{
	const struct history_text *comm = &blocker->process.comm, *state = &blocker->state;
	size_t comm_length;

	buffer_reset(name);
	if (comm->data)
		buffer_append(name, comm->data, comm->length < KEY_TEXT ? comm->length : KEY_TEXT);
	comm_length = name->length;
	if (state->data)
		buffer_append(name, state->data,
			      state->length < KEY_TEXT ? state->length : KEY_TEXT);
	return (uint32_t)comm_length;
}

static void blocker_count(struct report_blocker *known, uint64_t failure,
			  const struct history_blocker *blocker)
{
	if (known->count && known->pid != blocker->process.pid)
		known->pid = 0;
	/* Once a failure, of however many sockets. */
	if (known->last != failure) {
		known->last = failure;
		known->count++;
		known->ports = 0;
	}
	known->ports += blocker->ports;
	if (known->ports > known->ports_most)
		known->ports_most = known->ports;
}

static int blocker_add(struct report_failure *group, const struct history_blocker *blocker,
		       struct buffer *name)
{
	const uint32_t comm_length = blocker_name(name, blocker);

	if (name->failed)
		return -ENOMEM;
	for (int i = 0; i < REPORT_BLOCKERS; i++) {
		struct report_blocker *known = &group->blockers[i];

		if (!known->count) {
			known->name = malloc(name->length + 1);
			if (!known->name)
				return -ENOMEM;
			if (name->length)
				memcpy(known->name, name->data, name->length);
			known->length = (uint32_t)name->length;
			known->comm_length = comm_length;
			known->pid = blocker->process.pid;
		} else if (known->comm_length != comm_length || known->length != name->length ||
			   (name->length && memcmp(known->name, name->data, name->length) != 0)) {
			continue;
		}
		blocker_count(known, group->count, blocker);
		return 0;
	}
	group->blockers_more++;
	return 0;
}

int report_failure_add(struct report *report, struct keyed *groups, const struct history_row *row)
{
	struct report_failure *group;
	int error = 0;

	failure_key(&report->key, row);
	if (report->key.failed)
		return -ENOMEM;
	group = (struct report_failure *)keyed_find(groups, report->key.data, report->key.length);
	if (!group)
		return -ENOMEM;
	if (!group->count || row->time < group->first)
		group->first = row->time;
	if (!group->count++ || row->time > group->last)
		group->last = row->time;
	if (row->kind != HISTORY_FAILURE || !group->base.index)
		return 0;
	group->blocked += row->blocked_count > 0;
	for (unsigned int i = 0; i < row->blocked_count && !error; i++)
		error = blocker_add(group, &row->blockers[i], &report->key);
	if (!row->blocked_count && row->blocked_reason.data) {
		size_t length = row->blocked_reason.length;

		if (length >= sizeof(group->reason))
			length = sizeof(group->reason) - 1;
		memcpy(group->reason, row->blocked_reason.data, length);
		group->reason[length] = 0;
	}
	return error;
}

void report_failure_free(struct keyed_entry *entry)
{
	struct report_failure *group = (struct report_failure *)entry;

	for (int i = 0; i < REPORT_BLOCKERS; i++)
		free(group->blockers[i].name);
}

int report_listener_add(struct report *report, const struct history_row *row)
{
	struct report_listener *listener;
	struct buffer *key = &report->key;

	buffer_reset(key);
	key_number(key, row->port);
	key_text(key, &row->protocol);
	key_text(key, &row->local);
	key_text(key, &row->process.comm);
	key_text(key, row->process.container.data ? &row->process.container : &row->process.unit);
	key_text(key, &row->process.user);
	if (key->failed)
		return -ENOMEM;
	listener = (struct report_listener *)keyed_find(&report->listeners, key->data, key->length);
	if (!listener)
		return -ENOMEM;
	if (!listener->times++) {
		listener->since = row->time;
		listener->until = row->until;
		listener->predates = !row->trigger.data;
	}
	if (row->until >= listener->until) {
		listener->until = row->until;
		listener->unseen = row->ending == STORE_UNSEEN || row->ending == STORE_EVICTED;
	}
	listener->pid = row->process.pid;
	return 0;
}

/* ---- gaps ---- */

static unsigned int column_of(const struct report *report, int64_t time)
{
	const double part = (double)(time - report->since) /
			    ((double)(report->until - report->since) + 1) * REPORT_COLUMNS;

	return part < REPORT_COLUMNS ? (unsigned int)part : REPORT_COLUMNS - 1;
}

static enum report_shade gap_shade(int gap)
{
	switch (gap) {
	case STORE_GAP_LOST:
	case STORE_GAP_DROPPED:
	case STORE_GAP_EVICTED:
		return REPORT_PARTLY;
	case STORE_GAP_CLOCK:
		return REPORT_CLEAR;
	default:
		return REPORT_BLIND;
	}
}

void report_gap_add(struct report *report, const struct history_row *row)
{
	const enum report_shade shade = gap_shade(row->gap);
	int64_t first = row->time < row->until ? row->time : row->until;
	int64_t last = row->time < row->until ? row->until : row->time;

	/* It only touches the period, which is complete. */
	if (shade == REPORT_BLIND && (last <= report->since || first >= report->until))
		return;
	if (report->gap_count < REPORT_GAPS)
		report->gaps[report->gap_count++] = (struct report_gap){
			row->gap,
			row->time,
			row->until,
			row->count,
		};
	else
		report->gaps_more++;
	if (shade == REPORT_PARTLY && row->count < INT64_MAX)
		report->totals.lost += row->count;
	if (shade == REPORT_CLEAR)
		return;
	first = first > report->since ? first : report->since;
	last = last < report->until ? last : report->until;
	if (first > last)
		return;
	for (unsigned int i = column_of(report, first); i <= column_of(report, last); i++)
		if (report->columns[i] < shade)
			report->columns[i] = shade;
}
