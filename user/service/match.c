/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "service/match.h"

#include <string.h>

#include "model/conflict.h"
#include "model/text.h"

static bool is_v4(uint8_t family, const uint8_t bytes[16])
{
	return family == 4 || address_mapped(bytes, family);
}

static bool same_place(const struct lease *lease, const struct holding *holding)
{
	return lease->netns == holding->netns &&
	       conflict_space(lease->protocol) == conflict_space(holding->protocol);
}

static bool same_local(const struct lease *lease, const struct holding *holding)
{
	return conflict_same_address(lease->family, lease->local, holding->family, holding->local);
}

static bool same_socket(const struct lease *lease, const struct holding *holding)
{
	return same_place(lease, holding) &&
	       (lease->state == LEASE_TIME_WAIT) == (holding->state == HOLDING_TIME_WAIT) &&
	       lease->other_port == holding->other_port && same_local(lease, holding) &&
	       (!holding->other_port || conflict_same_address(lease->family, lease->other,
							      holding->family, holding->other));
}

/* The holding was accepted by this listener, if by any. */
static bool same_listener(const struct lease *lease, const struct holding *holding)
{
	bool v4 = is_v4(lease->family, lease->local);

	if (lease->state != LEASE_LISTEN || !holding->other_port || !same_place(lease, holding))
		return false;
	if (!address_wildcard(lease->local, lease->family))
		return same_local(lease, holding);
	return v4 == is_v4(holding->family, holding->local) ||
	       (!v4 && !(lease->flags & WIRE_V6ONLY));
}

bool service_process_holds(const struct lease_process *process, const struct holding *holding)
{
	for (size_t i = 0; i < holding->holder_count; i++) {
		const struct holder *holder = &holding->holders[i];
		struct process_key key = {.start = holder->start, .pid = holder->pid};

		if (process_key_near(&key, &process->key))
			return true;
	}
	return false;
}

static bool same_claimant(const struct lease *a, const struct lease *b)
{
	return a->claimant.key.pid && a->claimant.key.pid == b->claimant.key.pid &&
	       a->share == b->share && a->claimant.key.start == b->claimant.key.start &&
	       a->claimant.key.exec == b->claimant.key.exec;
}

/* The first lease with this port. */
static size_t port_first(const struct service_answer *answer, uint16_t port)
{
	size_t low = 0, high = answer->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (answer->leases[middle].lease.local_port < port)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct candidates {
	const struct service_lease *first, *last;
	bool mixed; /* of several claimants, or of unknown ones */
};

static void candidate_add(struct candidates *candidates, const struct service_lease *lease)
{
	if (!candidates->first)
		candidates->first = lease;
	else
		candidates->mixed |= !same_claimant(&candidates->last->lease, &lease->lease);
	candidates->last = lease;
}

typedef bool (*lease_test)(const struct lease *lease, const struct holding *holding);

/* False: there is none. */
static bool match(const struct service_answer *answer, const struct holding *holding,
		  lease_test test, struct service_found *found)
{
	struct candidates all = {0}, held = {0};
	const struct candidates *some;

	for (size_t i = port_first(answer, holding->local_port);
	     i < answer->count && answer->leases[i].lease.local_port == holding->local_port; i++) {
		const struct service_lease *lease = &answer->leases[i];

		if (!test(&lease->lease, holding))
			continue;
		candidate_add(&all, lease);
		if (service_process_holds(&lease->lease.claimant, holding) ||
		    service_process_holds(&lease->lease.holder, holding))
			candidate_add(&held, lease);
	}
	some = held.first ? &held : &all;
	if (!some->mixed) {
		found->lease = some->first;
		found->last = some->last;
	}
	return all.first;
}

struct service_found service_match(const struct service_answer *answer,
				   const struct holding *holding)
{
	struct service_found found = {0};

	if (match(answer, holding, same_socket, &found)) {
		found.share = found.lease && found.lease->lease.share;
	} else {
		match(answer, holding, same_listener, &found);
		found.share = found.lease;
	}
	return found;
}
