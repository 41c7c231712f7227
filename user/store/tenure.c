/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "store/tenure.h"

#include <string.h>

/* Flags that tell something of a lease once it is over, and do not split what could be
 * one kind of lease. */
#define KEPT_FLAGS                                                                                 \
	(WIRE_REUSEADDR | WIRE_REUSEPORT | WIRE_V6ONLY | WIRE_FASTOPEN | WIRE_MPTCP |              \
	 WIRE_KERNEL_SOCKET | WIRE_SELF_CONNECT | WIRE_RESERVED | WIRE_OWN_RANGE |                 \
	 WIRE_BIND_NO_PORT)

static const uint8_t outcomes[LEASE_STATES] = {
	[LEASE_BOUND] = STORE_BOUND,
	[LEASE_CONNECTING] = STORE_PENDING,
	[LEASE_ESTABLISHED] = STORE_ESTABLISHED,
	[LEASE_LISTEN] = STORE_LISTENING,
	[LEASE_TIME_WAIT] = STORE_ESTABLISHED,
};

static uint64_t span(uint64_t from, uint64_t until)
{
	return until > from ? until - from : 0;
}

const struct lease_process *tenure_owner(const struct lease *lease)
{
	return lease->claimed ? &lease->claimant : &lease->holder;
}

void tenure_open(struct tenure *tenure, const struct lease *lease, const struct wire_event *record,
		 uint64_t began, int64_t claimed)
{
	*tenure = (struct tenure){
		.answered = STORE_UNKNOWN,
		.claimed = claimed,
		.began = began,
		.flags = record->flags,
		.pool_low = record->pool_low,
		.pool_high = record->pool_high,
		.outcome = outcomes[lease->state],
	};
	if (lease->claimed &&
	    (tenure->outcome == STORE_ESTABLISHED || tenure->outcome == STORE_LISTENING))
		tenure->answered = 0;
}

/* True if the record tells how the claim, or a later connect, came out. */
static bool outcome_take(struct tenure *tenure, const struct lease *lease,
			 const struct wire_event *record)
{
	if (record->header.type == WIRE_OUTCOME &&
	    (record->error || record->flags & WIRE_ABORTED)) {
		tenure->outcome = STORE_FAILED;
		tenure->error = record->error;
		tenure->remote_port = record->other_port;
		memcpy(tenure->remote, record->other, sizeof(tenure->remote));
		return true;
	}
	/* A call that failed changed nothing, and has a row of its own. */
	if (record->error || lease->state == LEASE_BOUND || lease->state == LEASE_TIME_WAIT)
		return false;
	tenure->outcome = outcomes[lease->state];
	tenure->error = 0;
	tenure->remote_port = 0;
	return tenure->outcome != STORE_PENDING;
}

void tenure_change(struct tenure *tenure, const struct lease *lease,
		   const struct wire_event *record)
{
	tenure->flags |= record->flags;
	if (record->header.type == WIRE_RELEASE || record->header.type == WIRE_SEED)
		return;
	if (outcome_take(tenure, lease, record))
		tenure->answered = span(tenure->began, record->header.time);
}

void tenure_fill(const struct tenure *tenure, const struct lease *lease, struct store_lease *row)
{
	*row = (struct store_lease){
		.claimed = tenure->claimed,
		.held = STORE_UNKNOWN,
		.lingered = lease->state == LEASE_TIME_WAIT ? STORE_UNKNOWN : 0,
		.answered = tenure->answered,
		.netns = lease->netns,
		.device = lease->device,
		.flags = tenure->flags & KEPT_FLAGS,
		.error = tenure->error,
		.protocol = lease->protocol,
		.port = lease->local_port,
		.remote_port = lease->other_port,
		.pool_low = tenure->pool_low,
		.pool_high = tenure->pool_high,
		.family = lease->family,
		.trigger = lease->trigger,
		.origin = lease->origin,
		.outcome = tenure->outcome,
		.ending = STORE_OPEN,
	};
	memcpy(row->local, lease->local, sizeof(row->local));
	memcpy(row->remote, lease->other, sizeof(row->remote));
	if (!row->remote_port && tenure->remote_port) {
		row->remote_port = tenure->remote_port;
		memcpy(row->remote, tenure->remote, sizeof(row->remote));
	}
}

void tenure_fill_ended(const struct tenure *tenure, const struct lease *lease,
		       enum lease_ending ending, uint64_t time, struct store_lease *row)
{
	static const uint8_t endings[] = {
		[LEASE_RELEASED] = STORE_RELEASED,
		[LEASE_EXPIRED] = STORE_ESTIMATED,
		[LEASE_MISSED] = STORE_ESTIMATED,
		[LEASE_EVICTED] = STORE_EVICTED,
	};

	tenure_fill(tenure, lease, row);
	row->held = span(tenure->began, time);
	row->lingered = lease->state == LEASE_TIME_WAIT
				? span(lease->since ? lease->since : tenure->began, time)
				: 0;
	row->ending = endings[ending];
}

/* A bind tells where it wanted to go in `other`; a connect its destination. */
static void failure_place(const struct wire_event *call, struct store_lease *claim)
{
	bool bind = call->trigger == WIRE_BIND;

	claim->port = call->local_port;
	memcpy(claim->local, call->local, sizeof(claim->local));
	if (!(call->flags & WIRE_HAS_OTHER))
		return;
	if (bind) {
		claim->port = call->other_port;
		memcpy(claim->local, call->other, sizeof(claim->local));
		return;
	}
	claim->remote_port = call->other_port;
	memcpy(claim->remote, call->other, sizeof(claim->remote));
}

void tenure_fill_failure(const struct wire_event *call, int64_t time, struct store_lease *claim)
{
	*claim = (struct store_lease){
		.claimed = time,
		.netns = call->netns,
		.device = call->device,
		.flags = call->flags & (KEPT_FLAGS | WIRE_CLAIMED),
		.error = call->error,
		.protocol = call->protocol,
		.pool_low = call->pool_low,
		.pool_high = call->pool_high,
		.family = call->family,
		.trigger = call->trigger,
		.origin = call->origin,
		.outcome = STORE_FAILED,
	};
	failure_place(call, claim);
}
