/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "report/inside.h"

/* MPTCP's ports are TCP's. What has numbers that are no ports has none. */
static struct history_text transport(const struct history_row *row)
{
	static const struct history_text tcp = {.data = "tcp", .length = 3};

	if (report_text_is(&row->protocol, "mptcp"))
		return tcp;
	if (row->protocol.length >= 4 && !memcmp(row->protocol.data, "icmp", 4))
		return (struct history_text){0};
	return row->protocol;
}

static struct report_who *who_of_key(struct report *report, enum report_rank rank)
{
	if (report->key.failed)
		return NULL;
	return (struct report_who *)keyed_find(&report->ranks[rank], report->key.data,
					       report->key.length);
}

static struct buffer *key_begin(struct report *report)
{
	buffer_reset(&report->key);
	return &report->key;
}

static void unit_key(struct buffer *key, const struct history_process *process)
{
	if (process->container.data) {
		key_number(key, REPORT_UNIT_CONTAINER);
		key_text(key, &process->container);
	} else {
		key_number(key, process->unit.data ? REPORT_UNIT_SYSTEMD : REPORT_UNIT_NONE);
		key_text(key, &process->unit);
	}
}

/* Ports are shared between destinations: a TCP connect fails when all of its source address
 * are taken toward this one. */
static bool has_path(const struct history_row *row)
{
	const struct history_text kind = transport(row);

	return row->kind == HISTORY_LEASE && row->pool_low && row->pool_high >= row->pool_low &&
	       row->port >= row->pool_low && row->port <= row->pool_high &&
	       report_text_is(&kind, "tcp");
}

int report_who_find(struct report *report, const struct history_row *row,
		    struct report_who *who[REPORT_RANKS])
{
	const struct history_text kind = transport(row);
	struct buffer *key = key_begin(report);
	unsigned int wanted = 3;

	who[REPORT_DESTINATIONS] = who[REPORT_PATHS] = NULL;
	key_text(key, &row->process.comm);
	key_text(key, &row->process.exe);
	who[REPORT_PROCESSES] = who_of_key(report, REPORT_PROCESSES);
	key = key_begin(report);
	unit_key(key, &row->process);
	who[REPORT_UNITS] = who_of_key(report, REPORT_UNITS);
	key = key_begin(report);
	key_text(key, &row->process.user);
	key_number(key, row->process.has_uid ? row->process.uid : UINT32_MAX);
	who[REPORT_USERS] = who_of_key(report, REPORT_USERS);
	if (row->remote_port) {
		key = key_begin(report);
		key_text(key, &row->protocol);
		key_text(key, &row->remote);
		key_number(key, row->remote_port);
		who[REPORT_DESTINATIONS] = who_of_key(report, REPORT_DESTINATIONS);
		wanted++;
	}
	if (row->remote_port && has_path(row)) {
		key = key_begin(report);
		key_number(key, row->netns);
		key_text(key, &kind);
		key_text(key, &row->local);
		key_text(key, &row->remote);
		key_number(key, row->remote_port);
		key_number(key, row->pool_low);
		key_number(key, row->pool_high);
		who[REPORT_PATHS] = who_of_key(report, REPORT_PATHS);
		wanted++;
	}
	for (int i = 0; i < REPORT_RANKS; i++)
		wanted -= who[i] != NULL;
	return wanted ? -ENOMEM : 0;
}

int report_pool_find(struct report *report, const struct history_row *row,
		     struct report_pool **pool)
{
	const struct history_text kind = transport(row);
	struct buffer *key = key_begin(report);

	*pool = NULL;
	if (!row->pool_low || row->port < row->pool_low || row->port > row->pool_high || !kind.data)
		return 0;
	key_number(key, row->netns);
	key_number(key, row->pool_low);
	key_number(key, row->pool_high);
	key_text(key, &kind);
	if (!key->failed)
		*pool = (struct report_pool *)keyed_find(&report->pools, key->data, key->length);
	if (!*pool)
		return -ENOMEM;
	if (!(*pool)->base.index || (*pool)->leases)
		return 0;
	(*pool)->leases =
		calloc(report_capacity(row->pool_low, row->pool_high), sizeof(*(*pool)->leases));
	(*pool)->series = calloc(1, sizeof(*(*pool)->series));
	return (*pool)->leases && (*pool)->series ? 0 : -ENOMEM;
}
