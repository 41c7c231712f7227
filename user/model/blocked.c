/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/blocked.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model/conflict.h"
#include "model/holding.h"

#define MILLISECOND UINT64_C(1000000)
#define TIMER_SLACK (100 * MILLISECOND) /* a few of the kernel's ticks */
#define LISTENERS_MOST 16
#define FORMER_SLOTS 4096

/* One a slot; a slot is found by its port alone, and the newest one has it. */
struct former_listeners {
	struct lease slots[FORMER_SLOTS];
};

/* One question: the failure, and what is known of it. */
struct inquiry {
	const struct wire_event *failure;
	const struct wire_blocker *listed;
	unsigned int listed_count;
	bool known[EVENT_BLOCKERS]; /* listed, and an entry or no obstacle */
	struct blockers leases;
	const struct lease *listeners[LISTENERS_MOST];
	unsigned int listener_count;
};

const char *blocked_role_name(enum blocked_role role)
{
	static const char *const names[] = {
		[BLOCKED_UNKNOWN] = "unknown",
		[BLOCKED_CLAIMANT] = "claimant",
		[BLOCKED_SHARE] = "share",
		[BLOCKED_HOLDER] = "holder",
	};

	return names[role];
}

bool blocked_applies(const struct wire_event *record)
{
	return record->header.type == WIRE_CALL && record->error &&
	       (record->error == EADDRINUSE || ledger_exhausted(record) || conflict_port(record));
}

/* ---- who listened ---- */

struct former_listeners *former_listeners_new(void)
{
	return calloc(1, sizeof(struct former_listeners));
}

void former_listeners_free(struct former_listeners *former)
{
	free(former);
}

void former_listeners_add(struct former_listeners *former, const struct lease *closed)
{
	if (closed->state == LEASE_LISTEN && closed->claimant.key.pid)
		former->slots[closed->local_port % FORMER_SLOTS] = *closed;
}

/* ---- what the kernel listed ---- */

static uint8_t state_of(uint8_t tcp_state)
{
	switch (tcp_state) {
	case HOLDING_LISTEN:
		return LEASE_LISTEN;
	case HOLDING_CLOSE:
		return LEASE_BOUND;
	case HOLDING_SYN_SENT:
		return LEASE_CONNECTING;
	case HOLDING_TIME_WAIT:
		return LEASE_TIME_WAIT;
	default:
		return LEASE_ESTABLISHED;
	}
}

/* The ledger's word where it has one. */
static const char *state_name(uint8_t tcp_state)
{
	uint8_t state = state_of(tcp_state);

	return state == LEASE_ESTABLISHED ? holding_state_name(tcp_state) : lease_state_name(state);
}

/* As a lease without a claim. */
static struct lease listed_lease(const struct wire_blocker *listed)
{
	struct lease lease = {
		.netns = listed->netns,
		.device = listed->device,
		.flags = listed->flags,
		.protocol = listed->protocol,
		.local_port = listed->local_port,
		.other_port = listed->other_port,
		.family = listed->family,
		.state = state_of(listed->state),
		.holder = {.key = {.start = listed->start, .pid = listed->pid}, .uid = listed->uid},
	};

	memcpy(lease.local, listed->local, sizeof(lease.local));
	memcpy(lease.other, listed->other, sizeof(lease.other));
	memcpy(lease.holder.comm, listed->comm, strnlen(listed->comm, WIRE_COMM));
	return lease;
}

/* A handshake under way is no socket yet, and holds nothing. */
static bool listed_holds(const struct wire_blocker *listed)
{
	return listed->state != HOLDING_NEW_SYN_RECV &&
	       (listed->state != HOLDING_SYN_RECV || listed->inode);
}

static bool listed_is(const struct wire_blocker *listed, const struct lease *lease)
{
	return listed->netns == lease->netns && listed->local_port == lease->local_port &&
	       listed->other_port == lease->other_port &&
	       conflict_space(listed->protocol) == conflict_space(lease->protocol) &&
	       conflict_same_address(listed->family, listed->local, lease->family, lease->local) &&
	       (!listed->other_port ||
		conflict_same_address(listed->family, listed->other, lease->family, lease->other));
}

static bool listed_by(const struct wire_blocker *listed, const struct lease *lease)
{
	struct process_key key = {.start = listed->start, .pid = listed->pid};

	return key.pid && (process_key_near(&key, &lease->claimant.key) ||
			   process_key_near(&key, &lease->holder.key));
}

/* The lease's own line in the list; it is known then. Several sockets can have the same
 * address (SO_REUSEPORT): one of the same process is the better guess. NULL: none. */
static const struct wire_blocker *listed_take(struct inquiry *inquiry, const struct lease *lease)
{
	unsigned int found = inquiry->listed_count;

	for (unsigned int i = 0; i < inquiry->listed_count; i++) {
		if (inquiry->known[i] || !listed_is(&inquiry->listed[i], lease))
			continue;
		if (found == inquiry->listed_count)
			found = i;
		if (!listed_by(&inquiry->listed[i], lease))
			continue;
		found = i;
		break;
	}
	if (found == inquiry->listed_count)
		return NULL;
	inquiry->known[found] = true;
	return &inquiry->listed[found];
}

static bool inquiry_has(const struct inquiry *inquiry, const struct lease *lease)
{
	for (unsigned int i = 0; i < inquiry->leases.count; i++)
		if (inquiry->leases.lease[i] == lease)
			return true;
	return false;
}

/* Of the leases on the port: those that are too many to be named, but may be listed, the
 * one of the failed call itself, and the listeners. */
static int lease_visit(void *context, const struct lease *lease)
{
	struct inquiry *inquiry = context;
	const struct wire_event *failure = inquiry->failure;
	bool own = lease->socket == failure->socket && lease->state != LEASE_TIME_WAIT;

	if (own || (conflict_lease(failure, lease) && !inquiry_has(inquiry, lease)))
		listed_take(inquiry, lease);
	if (lease->state == LEASE_LISTEN && inquiry->listener_count < LISTENERS_MOST)
		inquiry->listeners[inquiry->listener_count++] = lease;
	return 0;
}

/* ---- entries ---- */

static struct blocked_entry lease_entry(const struct lease *lease, uint64_t now)
{
	struct blocked_entry entry = {
		.kind = lease->state,
		.state = lease_state_name(lease->state),
		.since = lease->since,
		.local_port = lease->local_port,
		.other_port = lease->other_port,
		.family = lease->family,
	};

	if (lease->claimant.key.pid) {
		entry.process = lease->claimant;
		entry.role = lease->share ? BLOCKED_SHARE : BLOCKED_CLAIMANT;
	} else if (lease->holder.key.pid) {
		entry.process = lease->holder;
		entry.role = BLOCKED_HOLDER;
	}
	if (lease->state == LEASE_TIME_WAIT && lease->expires > now)
		entry.expires = lease->expires - now;
	memcpy(entry.local, lease->local, sizeof(entry.local));
	memcpy(entry.other, lease->other, sizeof(entry.other));
	return entry;
}

/* What the kernel knows better. */
static void entry_add_listed(struct blocked_entry *entry, const struct lease *lease,
			     const struct wire_blocker *listed)
{
	struct lease seen = listed_lease(listed);

	entry->state = state_name(listed->state);
	if (lease->state != seen.state)
		entry->since = 0;
	if (listed->expires)
		entry->expires = listed->expires * MILLISECOND;
	if (listed->pid && !process_key_near(&seen.holder.key, &entry->process.key))
		entry->holder = seen.holder;
}

/* The listener whose port an accepted connection shares. NULL: it is none, or that
 * listener is not known. */
static const struct lease *share_origin(const struct inquiry *inquiry,
					const struct former_listeners *former,
					const struct lease *share)
{
	struct conflict_address asks = {share->local, share->flags, share->family}, has;
	const struct lease *slot = former ? &former->slots[share->local_port % FORMER_SLOTS] : NULL;

	if (share->state != LEASE_ESTABLISHED && share->state != LEASE_TIME_WAIT)
		return NULL;
	if (conflict_space(share->protocol) != IPPROTO_TCP)
		return NULL;
	for (unsigned int i = 0; i <= inquiry->listener_count; i++) {
		const struct lease *lease = i < inquiry->listener_count ? inquiry->listeners[i]
									: slot;

		if (!lease || lease->local_port != share->local_port ||
		    lease->netns != share->netns || conflict_space(lease->protocol) != IPPROTO_TCP)
			continue;
		has = (struct conflict_address){lease->local, lease->flags, lease->family};
		if (conflict_address(&asks, &has))
			return lease;
	}
	return NULL;
}

/* Without a process that has it open the kernel does not tell the options: an accepted
 * connection has those of its listener. */
static uint32_t share_options(const struct inquiry *inquiry, const struct lease *origin)
{
	const uint32_t options = WIRE_REUSEADDR | WIRE_REUSEPORT;

	if (origin)
		return origin->flags & options;
	for (unsigned int i = 0; i < inquiry->listed_count; i++)
		if (inquiry->listed[i].state == HOLDING_LISTEN)
			return inquiry->listed[i].flags & options;
	return 0;
}

/* The order of ledger_blockers(). */
static unsigned int entry_rank(const struct blocked_entry *entry)
{
	static const uint8_t ranks[LEASE_STATES] = {
		[LEASE_LISTEN] = 0,	 [LEASE_BOUND] = 1,	[LEASE_CONNECTING] = 2,
		[LEASE_ESTABLISHED] = 3, [LEASE_TIME_WAIT] = 4,
	};

	return ranks[entry->kind];
}

/* Behind those of the same state: since when it has been there is not known. */
static void entry_insert(struct blocked *blocked, const struct blocked_entry *entry)
{
	unsigned int at = blocked->count;

	blocked->total++;
	while (at && entry_rank(&blocked->entries[at - 1]) > entry_rank(entry))
		at--;
	if (at == BLOCKED_MOST)
		return;
	if (blocked->count < BLOCKED_MOST)
		blocked->count++;
	memmove(&blocked->entries[at + 1], &blocked->entries[at],
		(blocked->count - at - 1) * sizeof(*entry));
	blocked->entries[at] = *entry;
}

/* A connection that was closed before the port was claimed was another listener's. */
static bool listed_is_older(const struct wire_blocker *listed, const struct lease *origin)
{
	uint64_t left = listed->expires * MILLISECOND;

	return listed->state == HOLDING_TIME_WAIT && left < LEDGER_TIME_WAIT &&
	       listed->header.time + left + TIMER_SLACK < origin->claimed + LEDGER_TIME_WAIT;
}

static void listed_insert(struct blocked *blocked, const struct inquiry *inquiry,
			  const struct former_listeners *former, const struct wire_blocker *listed)
{
	struct lease lease = listed_lease(listed);
	const struct lease *origin = share_origin(inquiry, former, &lease);
	struct blocked_entry entry;

	if (!listed->inode)
		lease.flags |= share_options(inquiry, origin);
	if (!listed_holds(listed) || !conflict_lease(inquiry->failure, &lease))
		return;
	if (origin && !listed_is_older(listed, origin))
		lease.claimant = origin->claimant;
	lease.share = true;
	entry = lease_entry(&lease, blocked->time);
	entry_add_listed(&entry, &lease, listed);
	entry_insert(blocked, &entry);
}

/* ---- answers ---- */

static void exhausted_find(struct blocked *blocked, struct ledger *ledger,
			   const struct wire_event *failure)
{
	struct blockers top;

	ledger_top_holders(ledger, failure, &top);
	for (unsigned int i = 0; i < top.count; i++) {
		const struct lease *lease = top.lease[i];
		struct blocked_entry *entry = &blocked->entries[i];

		*entry = (struct blocked_entry){.since = lease->claimed, .ports = top.ports[i]};
		entry->process = lease->claimant;
		entry->role = BLOCKED_CLAIMANT;
		if (!lease->claimant.key.pid) {
			entry->process = lease->holder;
			entry->role = lease->holder.key.pid ? BLOCKED_HOLDER : BLOCKED_UNKNOWN;
		}
	}
	blocked->count = top.count;
	blocked->total = top.total;
}

static void conflicts_find(struct blocked *blocked, struct ledger *ledger,
			   const struct former_listeners *former, const struct event *event)
{
	const struct wire_event *failure = event->socket;
	uint16_t port = conflict_port(failure);
	struct inquiry inquiry = {
		.failure = failure,
		.listed = event->blockers,
		.listed_count = event->blocker_count,
	};

	if (ledger)
		ledger_blockers(ledger, failure, &inquiry.leases);
	for (unsigned int i = 0; i < inquiry.leases.count; i++) {
		const struct lease *lease = inquiry.leases.lease[i];
		const struct wire_blocker *listed = listed_take(&inquiry, lease);

		blocked->entries[i] = lease_entry(lease, blocked->time);
		if (listed)
			entry_add_listed(&blocked->entries[i], lease, listed);
	}
	blocked->count = inquiry.leases.count;
	blocked->total = inquiry.leases.total;
	if (!inquiry.listed_count)
		return;
	if (ledger && port)
		ledger_each(ledger, blocked->time, failure->netns, 0, port, port, lease_visit,
			    &inquiry);
	for (unsigned int i = 0; i < inquiry.listed_count; i++)
		if (!inquiry.known[i])
			listed_insert(blocked, &inquiry, former, &inquiry.listed[i]);
	if (inquiry.listed_count == EVENT_BLOCKERS && inquiry.listed->total > inquiry.listed_count)
		blocked->unlisted = inquiry.listed->total - inquiry.listed_count;
}

void blocked_find(struct blocked *blocked, struct ledger *ledger,
		  const struct former_listeners *former, const struct event *event)
{
	const struct wire_event *failure = event->socket;

	memset(blocked, 0, sizeof(*blocked));
	blocked->time = failure->header.time;
	blocked->exhausted = ledger_exhausted(failure);
	if (!blocked->exhausted)
		conflicts_find(blocked, ledger, former, event);
	else if (ledger)
		exhausted_find(blocked, ledger, failure);
	if (!blocked->count)
		blocked->reason = ledger ? "not_seen" : "no_ledger";
}
