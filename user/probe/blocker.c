/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/blocker.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "probe/lookup.h"

#define SHARE 10 /* of the time at most a tenth */
#define CREDIT_NS INT64_C(1000000000)

struct blocker_finder {
	struct lookup *lookup;
	bool processes;
	bool failed; /* it could not be had: not tried again */
	int64_t credit, counted;
	struct port_set ports;
};

static int64_t now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

struct blocker_finder *blocker_finder_new(bool processes)
{
	struct blocker_finder *finder = calloc(1, sizeof(*finder));

	if (!finder)
		return NULL;
	finder->processes = processes;
	finder->credit = CREDIT_NS;
	finder->counted = now();
	return finder;
}

void blocker_finder_free(struct blocker_finder *finder)
{
	if (!finder)
		return;
	lookup_close(finder->lookup);
	free(finder);
}

static bool finder_open(struct blocker_finder *finder)
{
	if (!finder->lookup && !finder->failed) {
		finder->lookup = lookup_open(finder->processes);
		finder->failed = !finder->lookup;
	}
	return finder->lookup != NULL;
}

void blocker_finder_settle(struct blocker_finder *finder)
{
	if (finder_open(finder))
		lookup_settle(finder->lookup);
}

/* The port that was to be had; 0: the call did not fail for want of one port. */
static uint16_t port_wanted(const struct wire_event *call)
{
	if (call->error != EADDRINUSE)
		return 0;
	if (call->trigger == WIRE_BIND)
		return call->other_port; /* 0: any, and none was left */
	return call->trigger == WIRE_LISTEN ? call->local_port : 0;
}

static bool credit_left(struct blocker_finder *finder)
{
	int64_t time = now();

	finder->credit += (time - finder->counted) / SHARE;
	finder->counted = time;
	if (finder->credit > CREDIT_NS)
		finder->credit = CREDIT_NS;
	return finder->credit > 0;
}

/* When the call failed, as processes count their time. */
static uint64_t failure_time(const struct wire_event *call)
{
	return call->header.time + (uint64_t)(clock_ns(CLOCK_BOOTTIME) - now());
}

/* The first process that has the socket open and was there when the call failed; NULL:
 * none. Between the failure and our look somebody else may have got the port. */
static const struct holder *holder_then(const struct holding *holding, uint64_t failed)
{
	for (size_t i = 0; i < holding->holder_count; i++)
		if (holding->holders[i].start <= failed)
			return &holding->holders[i];
	return NULL;
}

/* The socket that failed to listen is bound, and does not stand in its own way. */
static bool is_itself(const struct holding *holding, const struct wire_event *call)
{
	return call->trigger == WIRE_LISTEN && holding->state == HOLDING_CLOSE &&
	       holding->holder_count && holding->holders[0].pid == call->pid &&
	       !memcmp(holding->local, call->local, sizeof(call->local));
}

/* The ledger knows it, and knows whose it is. Here it could be one that got the port
 * behind the failure. */
static bool is_claimed(const struct holding *holding)
{
	return holding->inode &&
	       (holding->state == HOLDING_LISTEN || holding->state == HOLDING_CLOSE);
}

static int holding_hand(const struct holding *holding, const struct holder *holder, uint32_t total,
			blocker_handler handler, void *context)
{
	struct wire_blocker blocker = {
		.inode = holding->inode,
		.netns = holding->netns,
		.uid = holding->uid,
		.device = holding->device,
		.flags = holding->flags & (WIRE_REUSEADDR | WIRE_REUSEPORT | WIRE_V6ONLY |
					   WIRE_MPTCP | WIRE_KERNEL_SOCKET),
		.holders = holding->holder_count,
		.protocol = holding->protocol,
		.local_port = holding->local_port,
		.other_port = holding->other_port,
		.family = holding->family,
		.state = holding->state,
		.total = total,
	};

	memcpy(blocker.local, holding->local, sizeof(blocker.local));
	memcpy(blocker.other, holding->other, sizeof(blocker.other));
	if (holding->state == HOLDING_TIME_WAIT && holding->has_expires)
		blocker.expires = holding->expires;
	if (holder) {
		blocker.pid = holder->pid;
		blocker.start = holder->start;
		memcpy(blocker.comm, holder->comm, sizeof(blocker.comm));
	}
	return handler(context, &blocker);
}

int blocker_find(struct blocker_finder *finder, const struct wire_event *call,
		 blocker_handler handler, void *context)
{
	struct lookup_query query = {.ports = &finder->ports, .netns = call->netns};
	uint16_t port = port_wanted(call);
	struct holdings holdings = {0};
	const char *why;
	int result = 0;

	if (!port || !credit_left(finder) || !finder_open(finder))
		return 0;
	query.protocol = call->protocol == IPPROTO_MPTCP ? IPPROTO_TCP : call->protocol;
	memset(&finder->ports, 0, sizeof(finder->ports));
	finder->ports.bits[port >> 3] |= (uint8_t)(1u << (port & 7));
	if (!lookup_run(finder->lookup, &query, &holdings, &why)) {
		uint64_t failed = failure_time(call);
		size_t sent = 0;

		for (size_t i = 0; i < holdings.count && sent < WIRE_BLOCKERS && !result; i++) {
			const struct holding *holding = &holdings.list[i];
			const struct holder *holder = holder_then(holding, failed);

			if (is_itself(holding, call) || (holding->holder_count && !holder))
				continue;
			if (!lookup_knows_processes(finder->lookup) && is_claimed(holding))
				continue;
			result = holding_hand(holding, holder, (uint32_t)holdings.count, handler,
					      context);
			sent++;
		}
		holdings_free(&holdings);
	}
	finder->credit -= now() - finder->counted;
	finder->counted = now();
	return result;
}
