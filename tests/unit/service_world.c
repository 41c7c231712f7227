/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdio.h>

#include "lib/cleanup.h"
#include "service_world.h"

#define WORLD_LIMIT 200000

static const struct stream *world_stream(void *context)
{
	const struct world *world = context;

	return world->begun ? &world->stream : NULL;
}

static const struct process *world_find(void *context, const struct process_key *key)
{
	const struct world *world = context;

	return process_table_find(world->processes, key);
}

static const char *world_user(void *context, uint32_t uid)
{
	const struct world *world = context;

	return process_table_user(world->processes, uid);
}

void world_make(struct world *world)
{
	*world = (struct world){
		.ledger = ledger_new(WORLD_LIMIT),
		.processes = process_table_new(4096),
		.begun = true,
		.source = {.stream = world_stream, .find = world_find, .user = world_user},
	};
	assert_non_null(world->ledger);
	assert_non_null(world->processes);
	world->stream.start = record_start();
	world->stream.wall_offset = world->stream.start.wall_offset;
	world->source.ledger = world->ledger;
	world->source.context = world;
}

void world_free(struct world *world)
{
	ledger_free(world->ledger);
	process_table_free(world->processes);
}

void world_tell(struct world *world, const struct wire_event *event)
{
	assert_int_equal(ledger_record(world->ledger, event, NULL, NULL), 0);
}

struct wire_event world_claim(uint32_t pid, uint16_t port, uint64_t socket, uint64_t time)
{
	struct wire_event event = record_bind(pid, "claimer", port, port);

	event.socket = socket;
	event.header.time = time;
	return event;
}

void world_process(struct world *world, uint32_t pid, uint32_t uid)
{
	char args[64], path[64];
	struct wire_process process;

	snprintf(args, sizeof(args), "serve --id %u", pid);
	snprintf(path, sizeof(path), "/system.slice/app%u.service", pid);
	process = record_process(pid, "serve", "/usr/bin/serve", args, path);
	process.uid = uid;
	assert_int_equal(process_table_add(world->processes, &process), 0);
}

void world_refuses(const void *message, size_t size, enum service_reason reason)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;
	const struct service_refused *refused;
	struct reply *reply;

	world_make(&world);
	reply = reply_new(&world.source, 0, true);
	assert_false(reply_ask(reply, message, size, &out));
	assert_int_equal(out.length, sizeof(*refused));
	refused = (const struct service_refused *)out.data;
	assert_int_equal(refused->header.type, SERVICE_REFUSED);
	assert_int_equal(refused->reason, reason);
	reply_free(reply);
}
