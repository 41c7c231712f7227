/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "fleet_room.h"

#include <stdlib.h>
#include <string.h>

static void *kept[65536];
static size_t kept_count;

void fleet_room_free(void)
{
	while (kept_count)
		free(kept[--kept_count]);
}

static void keep(struct history_text *text)
{
	char *copy;

	if (!text->data || kept_count == sizeof(kept) / sizeof(kept[0]))
		return;
	copy = malloc(text->length + 1);
	if (!copy)
		abort();
	memcpy(copy, text->data, text->length);
	copy[text->length] = 0;
	kept[kept_count++] = copy;
	text->data = copy;
}

int fleet_room_visit(void *context, const struct history_row *row)
{
	struct fleet_room *room = context;
	struct history_row *copy = &room->rows[room->count];

	if (room->count == ROOM_ROWS)
		return -1;
	*copy = *row;
	room->count++;
	keep(&copy->protocol);
	keep(&copy->trigger);
	keep(&copy->origin);
	keep(&copy->error);
	keep(&copy->local);
	keep(&copy->remote);
	keep(&copy->host);
	keep(&copy->tier);
	keep(&copy->process.comm);
	keep(&copy->process.exe);
	keep(&copy->process.unit);
	for (unsigned int i = 0; i < copy->blocked_count; i++) {
		keep(&copy->blockers[i].process.comm);
		keep(&copy->blockers[i].state);
		keep(&copy->blockers[i].role);
		keep(&copy->blockers[i].local);
		keep(&copy->blockers[i].remote);
	}
	return room->result;
}

struct history_text fleet_text(const char *text)
{
	return (struct history_text){text, strlen(text)};
}

struct answer_row fleet_row(uint64_t sequence, uint64_t ms, const char *action)
{
	const struct history_text none = {"", 0};
	struct answer_row row = {
		.time = T0 + ms * 1000000,
		.stream = 0xabc,
		.sequence = sequence,
		.host = fleet_text("web1"),
		.action = fleet_text(action),
		.outcome = fleet_text("success"),
		.transport = fleet_text("tcp"),
		.tier = fleet_text("fentry"),
	};
	struct history_text *empty[] = {
		&row.id,	  &row.error,	     &row.trigger, &row.origin,	   &row.local_ip,
		&row.remote_ip,	  &row.requested_ip, &row.comm,	   &row.exe,	   &row.args,
		&row.parent_comm, &row.entity,	     &row.user,	   &row.container, &row.runtime,
		&row.pod,	  &row.unit,	     &row.cgroup,  &row.time_wait, &row.holder_comm,
		&row.blocked_by,
	};

	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
		*empty[i] = none;
	return row;
}

static void process_set(struct answer_row *row)
{
	row->pid = 4242;
	row->uid = 1000;
	row->comm = fleet_text("python3");
	row->exe = fleet_text("/usr/bin/python3.11");
	row->user = fleet_text("dev");
	row->unit = fleet_text("app.service");
	row->entity = fleet_text("7f3a91c2:4242:1234567:3");
}

struct answer_row fleet_bind(uint64_t sequence, uint64_t ms, uint64_t socket, uint16_t port)
{
	struct answer_row row = fleet_row(sequence, ms, "bound-socket");

	process_set(&row);
	row.trigger = fleet_text("bind");
	row.origin = fleet_text("requested");
	row.claimed = 1;
	row.socket = socket;
	row.local_ip = row.requested_ip = fleet_text("0.0.0.0");
	row.local_port = row.requested_port = port;
	return row;
}

struct answer_row fleet_connect(uint64_t sequence, uint64_t ms, uint64_t socket, uint16_t port)
{
	struct answer_row row = fleet_row(sequence, ms, "connected-to");

	process_set(&row);
	row.trigger = fleet_text("connect");
	row.origin = fleet_text("kernel");
	row.outcome = fleet_text("unknown");
	row.claimed = 1;
	row.socket = socket;
	row.local_ip = fleet_text("10.0.0.1");
	row.local_port = port;
	row.remote_ip = fleet_text("192.0.2.80");
	row.remote_port = 443;
	row.in_pool = 1;
	return row;
}

struct answer_row fleet_release(uint64_t sequence, uint64_t ms, uint64_t socket, uint16_t port,
				uint64_t duration_ms)
{
	struct answer_row row = fleet_row(sequence, ms, "released-port");

	process_set(&row);
	row.trigger = fleet_text("bind");
	row.origin = fleet_text("requested");
	row.socket = socket;
	row.local_ip = fleet_text("0.0.0.0");
	row.local_port = port;
	row.duration = duration_ms * 1000000;
	return row;
}
