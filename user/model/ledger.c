/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/ledger.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "lib/cleanup.h"
#include "model/blockers.h"
#include "model/conflict.h"
#include "model/lease_index.h"
#include "model/lease_pool.h"

/* net/tcp_states.h, in WIRE_SEED */
enum {
	STATE_SYN_SENT = 2,
	STATE_TIME_WAIT = 6,
	STATE_CLOSE = 7,
	STATE_LISTEN = 10,
};

struct ledger {
	struct lease_index index;
	struct lease_pool pool;
	size_t limit;
	uint64_t now; /* the newest record's time */
	struct ledger_totals totals;
	struct lease_watcher watcher; /* `opened` NULL: none */
};

/* What one record ends, for the caller. */
struct ending {
	struct lease *closed;
	uint64_t *lingered;
};

const char *lease_state_name(enum lease_state state)
{
	static const char *const names[LEASE_STATES] = {
		[LEASE_BOUND] = "bound",
		[LEASE_CONNECTING] = "connecting",
		[LEASE_ESTABLISHED] = "established",
		[LEASE_LISTEN] = "listen",
		[LEASE_TIME_WAIT] = "time_wait",
	};

	return (unsigned int)state < LEASE_STATES ? names[state] : NULL;
}

struct ledger *ledger_new(size_t limit)
{
	CLEANUP_FREE struct ledger *ledger = calloc(1, sizeof(*ledger));

	if (!ledger || lease_index_init(&ledger->index))
		return NULL;
	ledger->limit = limit ? limit : 1;
	return TAKE_POINTER(ledger);
}

void ledger_free(struct ledger *ledger)
{
	if (!ledger)
		return;
	lease_pool_clear(&ledger->pool);
	lease_index_free(&ledger->index);
	free(ledger);
}

void ledger_watch(struct ledger *ledger, const struct lease_watcher *watcher)
{
	ledger->watcher = *watcher;
}

/* ---- leases ---- */

static void lease_tell(struct ledger *ledger, struct lease_node *node)
{
	if (ledger->watcher.changed)
		ledger->watcher.changed(ledger->watcher.context, &node->lease);
}

static void lease_remove(struct ledger *ledger, struct lease_node *node, enum lease_ending why,
			 uint64_t time)
{
	if (ledger->watcher.ended)
		ledger->watcher.ended(ledger->watcher.context, &node->lease, why, time);
	lease_pool_forget(&ledger->pool, node);
	lease_index_remove(&ledger->index, node);
}

/* For good, because of the record at `time`. */
static void lease_end(struct ledger *ledger, struct lease_node *node, enum lease_ending why,
		      uint64_t time, const struct ending *ending)
{
	const struct lease *lease = &node->lease;

	if (ending->closed) {
		*ending->closed = *lease;
		ending->closed->note = NULL; /* it ends with the lease */
	}
	if (ending->lingered)
		*ending->lingered = lease->state == LEASE_TIME_WAIT && time > lease->since
					    ? time - lease->since
					    : 0;
	lease_remove(ledger, node, why, time);
}

static void ledger_expire(struct ledger *ledger, uint64_t now)
{
	if (now > ledger->now)
		ledger->now = now;
	while (ledger->index.ends && ledger->index.ends->end <= ledger->now) {
		struct lease_node *node = ledger->index.ends;

		lease_remove(ledger, node, LEASE_EXPIRED, node->lease.expires);
	}
}

static void process_set(struct lease_process *process, const struct wire_event *record)
{
	*process = (struct lease_process){
		.key = {.start = record->start, .pid = record->pid, .exec = record->exec},
		.uid = record->uid,
	};
	memcpy(process->comm, record->comm, strnlen(record->comm, WIRE_COMM));
}

static bool address_any(const uint8_t bytes[16])
{
	static const uint8_t zero[16];

	return !memcmp(bytes, zero, sizeof(zero));
}

static void state_set(struct ledger *ledger, struct lease_node *node, uint8_t state, uint64_t time)
{
	if (node->lease.state == state)
		return;
	lease_index_set_state(&ledger->index, node, state);
	node->lease.since = time;
}

/* What every record says of its socket. */
static void lease_set_socket(struct lease *lease, const struct wire_event *record)
{
	lease->device = record->device;
	lease->flags = record->flags;
	lease->protocol = record->protocol;
	lease->family = record->family;
	memcpy(lease->local, record->local, sizeof(lease->local));
}

static void lease_set_peer(struct lease *lease, const struct wire_event *record)
{
	if (record->flags & WIRE_HAS_OTHER) {
		memcpy(lease->other, record->other, sizeof(lease->other));
		lease->other_port = record->other_port;
	}
}

static void lease_clear_peer(struct lease *lease)
{
	memset(lease->other, 0, sizeof(lease->other));
	lease->other_port = 0;
}

/* A connect whose socket has a peer from then on; the address that a datagram is sent
 * to is none. */
static bool call_connects(const struct wire_event *call)
{
	switch (call->trigger) {
	case WIRE_CONNECT:
	case WIRE_SUBFLOW:
		return !call->error;
	case WIRE_SEND:
		return !call->error && call->flags & WIRE_IN_PROGRESS;
	default:
		return false;
	}
}

/* What a call that did not fail makes of a lease in `state`. */
static uint8_t call_state(const struct wire_event *call, uint8_t state)
{
	if (call->trigger == WIRE_LISTEN && !call->error)
		return LEASE_LISTEN;
	if (!call_connects(call))
		return state;
	return call->flags & WIRE_IN_PROGRESS ? LEASE_CONNECTING : LEASE_ESTABLISHED;
}

/* Takes in a lease; an older one that its socket still holds ends: its release was lost. */
static int lease_open(struct ledger *ledger, const struct lease *lease, const struct ending *ending)
{
	struct lease_node *older = NULL, *node = calloc(1, sizeof(*node));

	if (!node)
		return -ENOMEM;
	node->lease = *lease;
	node->wildcard = address_any(lease->local);
	if (lease->state != LEASE_TIME_WAIT)
		older = lease_index_live(&ledger->index, lease->socket);
	if (lease_index_add(&ledger->index, node)) {
		free(node);
		return -ENOMEM;
	}
	lease_pool_update(&ledger->pool, node);
	ledger->totals.opened++;
	if (ledger->watcher.opened)
		ledger->watcher.opened(ledger->watcher.context, &node->lease);
	if (older)
		lease_end(ledger, older, LEASE_MISSED, ledger->now, ending);
	if (lease->expires)
		lease_index_set_end(&ledger->index, node, lease->expires);
	while (ledger->index.count > ledger->limit) {
		lease_remove(ledger, ledger->index.uses, LEASE_EVICTED, ledger->now);
		ledger->totals.evicted++;
	}
	return 0;
}

static void lease_begin(struct lease *lease, const struct wire_event *record)
{
	*lease = (struct lease){
		.socket = record->socket,
		.since = record->header.time,
		.netns = record->netns,
		.local_port = record->local_port,
	};
	lease_set_socket(lease, record);
}

/* ---- records ---- */

static int call_open(struct ledger *ledger, const struct wire_event *call,
		     const struct ending *ending)
{
	struct lease lease;

	lease_begin(&lease, call);
	lease.claimed = call->header.time;
	lease.trigger = call->trigger;
	lease.origin = call->origin;
	lease.state = call_state(call, LEASE_BOUND);
	if (call_connects(call))
		lease_set_peer(&lease, call);
	process_set(&lease.claimant, call);
	return lease_open(ledger, &lease, ending);
}

/* A socket whose claim was not seen: before the stream, lost, or evicted since. */
static int ledger_discover(struct ledger *ledger, const struct wire_event *record, uint8_t state,
			   bool connects, const struct ending *ending)
{
	struct lease lease;

	lease_begin(&lease, record);
	lease.state = state;
	if (connects)
		lease_set_peer(&lease, record);
	process_set(&lease.holder, record);
	return lease_open(ledger, &lease, ending);
}

/* A connection between the same two ends was in TIME_WAIT, and the kernel gave its port to
 * this one (tcp_tw_reuse): where no hook sees the end of TIME_WAIT, that is how it is known. */
static void reused_end(struct ledger *ledger, const struct wire_event *call)
{
	struct lease_slot *slot = lease_index_slot(&ledger->index, call->local_port);
	struct lease_node *node, *next;

	DL_FOREACH_SAFE2(slot ? slot->first : NULL, node, next, port_next)
	{
		const struct lease *lease = &node->lease;

		if (lease->state == LEASE_TIME_WAIT && node->end == lease->expires &&
		    lease->netns == call->netns && lease->protocol == call->protocol &&
		    lease->other_port == call->other_port &&
		    !memcmp(lease->local, call->local, sizeof(lease->local)) &&
		    !memcmp(lease->other, call->other, sizeof(lease->other)))
			lease_remove(ledger, node, LEASE_EXPIRED, call->header.time);
	}
}

static int call_record(struct ledger *ledger, const struct wire_event *call,
		       const struct ending *ending)
{
	struct lease_node *node;
	struct lease *lease;

	if (!call->local_port)
		return 0;
	if (call->trigger == WIRE_CONNECT && !call->error && call->flags & WIRE_HAS_OTHER)
		reused_end(ledger, call);
	if (call->flags & WIRE_CLAIMED)
		return call_open(ledger, call, ending);
	node = lease_index_live(&ledger->index, call->socket);
	if (!node || node->lease.local_port != call->local_port) {
		if (call->error)
			return 0;
		return ledger_discover(ledger, call, call_state(call, LEASE_BOUND),
				       call_connects(call), ending);
	}
	lease = &node->lease;
	lease_index_use(&ledger->index, node);
	lease_set_socket(lease, call);
	if (!call->error) {
		if (call_connects(call))
			lease_set_peer(lease, call);
		else
			node->wildcard = address_any(lease->local);
		state_set(ledger, node, call_state(call, lease->state), call->header.time);
	}
	lease_pool_update(&ledger->pool, node);
	lease_tell(ledger, node);
	return 0;
}

static int outcome_record(struct ledger *ledger, const struct wire_event *outcome,
			  const struct ending *ending)
{
	struct lease_node *node = lease_index_live(&ledger->index, outcome->socket);
	bool failed = outcome->error || outcome->flags & WIRE_ABORTED;
	struct lease *lease;

	if (!node || (outcome->local_port && node->lease.local_port != outcome->local_port)) {
		if (failed || !outcome->local_port)
			return 0;
		return ledger_discover(ledger, outcome, LEASE_ESTABLISHED, true, ending);
	}
	lease = &node->lease;
	lease_index_use(&ledger->index, node);
	lease_set_socket(lease, outcome);
	if (failed) {
		/* tcp_disconnect() comes after the record. */
		lease_clear_peer(lease);
		if (node->wildcard)
			memset(lease->local, 0, sizeof(lease->local));
		state_set(ledger, node, LEASE_BOUND, outcome->header.time);
	} else {
		lease_set_peer(lease, outcome);
		state_set(ledger, node, LEASE_ESTABLISHED, outcome->header.time);
	}
	lease_pool_update(&ledger->pool, node);
	lease_tell(ledger, node);
	return 0;
}

/* The lease whose TIME_WAIT is over: of several the oldest with the same peer. If the
 * record that it began was lost, the lease still looks like one that is held. */
static struct lease_node *lingering_find(struct ledger *ledger, const struct wire_event *release)
{
	struct lease_node *node = NULL, *found = NULL;
	uint64_t claimed = release->duration ? release->header.time - release->duration : 0;

	while ((node = lease_index_next(&ledger->index, release->socket, node))) {
		const struct lease *lease = &node->lease;

		if (lease->local_port != release->local_port ||
		    lease->other_port != release->other_port ||
		    memcmp(lease->other, release->other, sizeof(lease->other)) != 0)
			continue;
		if (lease->state == LEASE_TIME_WAIT)
			found = node;
		else if (!found && (lease->share ? 0 : lease->claimed) == claimed)
			found = node;
	}
	return found;
}

static void time_wait_begin(struct ledger *ledger, struct lease_node *node,
			    const struct wire_event *release)
{
	struct lease *lease = &node->lease;
	uint64_t begun = release->header.time;
	uint64_t lasts = release->flags & WIRE_ESTIMATED ? LEDGER_TIME_WAIT : LEDGER_LOST;

	lease->flags = release->flags;
	if (release->other_port)
		lease_set_peer(lease, release);
	lease->expires = begun + LEDGER_TIME_WAIT;
	lease_index_set_end(&ledger->index, node, begun + lasts);
	state_set(ledger, node, LEASE_TIME_WAIT, begun);
	lease_index_use(&ledger->index, node);
	lease_pool_update(&ledger->pool, node);
	lease_tell(ledger, node);
}

static void release_record(struct ledger *ledger, const struct wire_event *release,
			   const struct ending *ending)
{
	bool over = release->flags & WIRE_TIME_WAIT_OVER;
	struct lease_node *node = over ? lingering_find(ledger, release)
				       : lease_index_live(&ledger->index, release->socket);

	if (!node)
		ledger->totals.unknown++;
	else if (release->flags & WIRE_TIME_WAIT && !over)
		time_wait_begin(ledger, node, release);
	else
		lease_end(ledger, node, LEASE_RELEASED, release->header.time, ending);
}

/* ---- seeds ---- */

static uint8_t seed_state(const struct wire_event *seed)
{
	switch (seed->state) {
	case STATE_SYN_SENT:
		return LEASE_CONNECTING;
	case STATE_TIME_WAIT:
		return LEASE_TIME_WAIT;
	case STATE_CLOSE:
		return LEASE_BOUND;
	case STATE_LISTEN:
		return LEASE_LISTEN;
	default:
		return LEASE_ESTABLISHED;
	}
}

/* A seeded connection on a port that somebody listens on was accepted there. */
static bool lease_is_share(const struct lease *lease, const struct lease *listener)
{
	struct conflict_address has = {listener->local, listener->flags, listener->family};
	struct conflict_address asks = {lease->local, lease->flags, lease->family};

	return listener->state == LEASE_LISTEN && lease->state == LEASE_ESTABLISHED &&
	       !lease->since && listener->netns == lease->netns &&
	       conflict_space(listener->protocol) == conflict_space(lease->protocol) &&
	       conflict_space(lease->protocol) == IPPROTO_TCP && conflict_address(&asks, &has);
}

static bool process_same(const struct process_key *a, const struct process_key *b)
{
	return a->pid == b->pid && a->start == b->start && a->exec == b->exec;
}

/* Of several listeners (SO_REUSEPORT) the one of the same process is meant; between those
 * of others nobody can tell. */
static void share_find(struct ledger *ledger, struct lease *lease)
{
	const struct lease_slot *slot = lease_index_slot(&ledger->index, lease->local_port);
	unsigned int listening = slot ? slot->listening : 0;
	const struct lease *found = NULL;
	const struct lease_node *node;
	bool unclear = false;

	for (node = listening ? slot->first : NULL; listening; node = node->port_next) {
		const struct lease *listener = &node->lease;

		listening -= listener->state == LEASE_LISTEN;
		if (!lease_is_share(lease, listener))
			continue;
		if (process_same(&listener->claimant.key, &lease->holder.key)) {
			found = listener;
			unclear = false;
			break;
		}
		unclear |= found && !process_same(&found->claimant.key, &listener->claimant.key);
		found = listener;
	}
	lease->share = found;
	if (!found || unclear)
		return;
	lease->claimant = found->claimant;
	lease->claimed = found->claimed;
	lease->trigger = found->trigger;
	lease->origin = found->origin;
}

/* The seed of the listener, whose claimant nobody knows, may come behind those of its
 * shares. */
static void shares_adopt(struct ledger *ledger, const struct lease *listener)
{
	struct lease_slot *slot = lease_index_slot(&ledger->index, listener->local_port);
	struct lease_node *node;

	DL_FOREACH2(slot->first, node, port_next)
	{
		if (node->lease.share || !lease_is_share(&node->lease, listener))
			continue;
		node->lease.share = true;
		lease_pool_update(&ledger->pool, node);
		lease_tell(ledger, node);
	}
}

static int seed_record(struct ledger *ledger, const struct wire_event *seed,
		       const struct ending *ending)
{
	struct lease lease;
	int error;

	if (!seed->local_port || lease_index_next(&ledger->index, seed->socket, NULL))
		return 0;
	lease_begin(&lease, seed);
	lease_set_peer(&lease, seed);
	process_set(&lease.holder, seed);
	lease.since = 0;
	lease.state = seed_state(seed);
	/* No hook has seen its TIME_WAIT begin, and none will see the end. */
	if (lease.state == LEASE_TIME_WAIT)
		lease.expires = seed->header.time + LEDGER_TIME_WAIT;
	share_find(ledger, &lease);
	error = lease_open(ledger, &lease, ending);
	if (!error && lease.state == LEASE_LISTEN)
		shares_adopt(ledger, &lease);
	return error;
}

int ledger_record(struct ledger *ledger, const struct wire_event *record, struct lease *closed,
		  uint64_t *lingered)
{
	struct ending ending = {closed, lingered};

	if (closed)
		*closed = (struct lease){0};
	if (lingered)
		*lingered = 0;
	ledger_expire(ledger, record->header.time);
	if (record->header.type == WIRE_RELEASE)
		release_record(ledger, record, &ending);
	if (!record->socket)
		return 0;
	switch (record->header.type) {
	case WIRE_CALL:
		return call_record(ledger, record, &ending);
	case WIRE_OUTCOME:
		return outcome_record(ledger, record, &ending);
	case WIRE_SEED:
		return seed_record(ledger, record, &ending);
	default:
		return 0;
	}
}

/* ---- questions ---- */

void ledger_blockers(struct ledger *ledger, const struct wire_event *failure,
		     struct blockers *blockers)
{
	uint16_t port = conflict_port(failure);
	const struct lease_slot *slot;
	const struct lease_node *node;

	*blockers = (struct blockers){0};
	ledger_expire(ledger, failure->header.time);
	slot = port ? lease_index_slot(&ledger->index, port) : NULL;
	if (!slot)
		return;
	DL_FOREACH2(slot->first, node, port_next)
	if (conflict_lease(failure, &node->lease))
		blockers_add(blockers, &node->lease);
}

bool ledger_exhausted(const struct wire_event *failure)
{
	if (!(failure->flags & WIRE_CLAIMED) || failure->local_port)
		return false;
	switch (failure->trigger) {
	case WIRE_BIND:
		return failure->error == EADDRINUSE && !failure->other_port &&
		       failure->flags & WIRE_HAS_OTHER;
	case WIRE_LISTEN:
		return failure->error == EADDRINUSE;
	case WIRE_CONNECT:
	case WIRE_SEND:
	case WIRE_SUBFLOW:
		return failure->error == EADDRNOTAVAIL || failure->error == EAGAIN;
	default:
		return false;
	}
}

void ledger_top_holders(struct ledger *ledger, const struct wire_event *failure,
			struct blockers *blockers)
{
	*blockers = (struct blockers){0};
	ledger_expire(ledger, failure->header.time);
	if (ledger_exhausted(failure) && !lease_pool_watch(&ledger->pool, &ledger->index, failure))
		lease_pool_top(&ledger->pool, blockers);
}

const struct lease *ledger_socket(struct ledger *ledger, uint64_t socket)
{
	const struct lease_node *node = lease_index_live(&ledger->index, socket);

	return node ? &node->lease : NULL;
}

struct question {
	lease_visitor each;
	void *context;
	uint32_t netns;
	uint16_t protocol;
};

static int question_answer(void *context, struct lease_node *node)
{
	const struct question *question = context;
	const struct lease *lease = &node->lease;

	if (question->netns && lease->netns != question->netns)
		return 0;
	if (question->protocol && lease->protocol != question->protocol &&
	    (question->protocol != IPPROTO_TCP || conflict_space(lease->protocol) != IPPROTO_TCP))
		return 0;
	return question->each(question->context, lease);
}

int ledger_each(struct ledger *ledger, uint64_t now, uint32_t netns, uint16_t protocol,
		uint16_t low, uint16_t high, lease_visitor each, void *context)
{
	struct question question = {each, context, netns, protocol};

	ledger_expire(ledger, now);
	return lease_index_range(&ledger->index, low, high, question_answer, &question);
}

void ledger_totals(const struct ledger *ledger, struct ledger_totals *totals)
{
	*totals = ledger->totals;
	totals->leases = ledger->index.count;
}
