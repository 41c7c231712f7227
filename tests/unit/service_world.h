/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A ledger, its processes and its stream, for what tells of them. */
#ifndef PORTSNOOP_TESTS_SERVICE_WORLD_H
#define PORTSNOOP_TESTS_SERVICE_WORLD_H

#include "records.h"
#include "service/reply.h"

struct world {
	struct ledger *ledger;
	struct process_table *processes;
	struct stream stream;
	bool begun;
	struct service_source source;
};

/* Its stream has begun, at RECORDS_TIME. */
void world_make(struct world *world);
void world_free(struct world *world);

void world_tell(struct world *world, const struct wire_event *event);

/* "PID claims this port": socket and time of the claim are given. */
struct wire_event world_claim(uint32_t pid, uint16_t port, uint64_t socket, uint64_t time);

/* A process with an exe, arguments and a cgroup of its own. */
void world_process(struct world *world, uint32_t pid, uint32_t uid);

/* A new server refuses this message, for this reason. */
void world_refuses(const void *message, size_t size, enum service_reason reason);

#endif
