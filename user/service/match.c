/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "service/match.h"

#include <string.h>

#define PROTOCOL_TCP 6
#define PROTOCOL_MPTCP 262
/* /proc tells a start time in ticks of 10 ms. */
#define START_TICK UINT64_C(10000000)

/* A socket of family 6 that talks IPv4 has mapped addresses, or plain ones, as whoever
 * tells of it likes. */
struct address {
	bool v4;
	uint8_t bytes[16];
};

static struct address address_plain(uint8_t family, const uint8_t bytes[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct address address = {.v4 = family == 4};

	if (family == 6 && !memcmp(bytes, mapped, sizeof(mapped))) {
		address.v4 = true;
		bytes += sizeof(mapped);
	}
	memcpy(address.bytes, bytes, address.v4 ? 4 : 16);
	return address;
}

static bool address_equal(const struct address *a, const struct address *b)
{
	return a->v4 == b->v4 && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static bool address_any(const struct address *address)
{
	static const uint8_t zero[16];

	return !memcmp(address->bytes, zero, sizeof(zero));
}

static uint16_t protocol_plain(uint16_t protocol)
{
	return protocol == PROTOCOL_MPTCP ? PROTOCOL_TCP : protocol;
}

static bool same_port(const struct lease *lease, const struct holding *holding)
{
	return lease->netns == holding->netns &&
	       protocol_plain(lease->protocol) == protocol_plain(holding->protocol) &&
	       (lease->state == LEASE_TIME_WAIT) == (holding->state == HOLDING_TIME_WAIT);
}

static bool same_socket(const struct lease *lease, const struct holding *holding)
{
	struct address a = address_plain(lease->family, lease->local);
	struct address b = address_plain(holding->family, holding->local);

	if (!same_port(lease, holding) || !address_equal(&a, &b) ||
	    lease->other_port != holding->other_port)
		return false;
	a = address_plain(lease->family, lease->other);
	b = address_plain(holding->family, holding->other);
	return !holding->other_port || address_equal(&a, &b);
}

/* The holding was accepted by this listener, if by any. */
static bool same_listener(const struct lease *lease, const struct holding *holding)
{
	struct address listener = address_plain(lease->family, lease->local);
	struct address local = address_plain(holding->family, holding->local);

	if (lease->state != LEASE_LISTEN || !holding->other_port ||
	    lease->netns != holding->netns ||
	    protocol_plain(lease->protocol) != protocol_plain(holding->protocol))
		return false;
	if (!address_any(&listener))
		return address_equal(&listener, &local);
	return listener.v4 == local.v4 || (!listener.v4 && !(lease->flags & WIRE_V6ONLY));
}

static bool process_holds(const struct lease_process *process, const struct holding *holding)
{
	for (size_t i = 0; i < holding->holder_count; i++) {
		uint64_t start = holding->holders[i].start, other = process->key.start;

		if (holding->holders[i].pid == process->key.pid &&
		    (start < other ? other - start : start - other) < START_TICK)
			return true;
	}
	return false;
}

static bool same_claimant(const struct lease *a, const struct lease *b)
{
	return a->claimant.key.pid && a->claimant.key.pid == b->claimant.key.pid &&
	       a->claimant.key.start == b->claimant.key.start &&
	       a->claimant.key.exec == b->claimant.key.exec && a->claimed == b->claimed;
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

typedef bool (*lease_test)(const struct lease *lease, const struct holding *holding);

static const struct service_lease *match(const struct service_answer *answer,
					 const struct holding *holding, lease_test test, bool *none)
{
	const struct service_lease *found = NULL, *held = NULL;
	bool ambiguous = false, held_ambiguous = false;

	for (size_t i = port_first(answer, holding->local_port);
	     i < answer->count && answer->leases[i].lease.local_port == holding->local_port; i++) {
		const struct service_lease *lease = &answer->leases[i];

		if (!test(&lease->lease, holding))
			continue;
		ambiguous |= found && !same_claimant(&found->lease, &lease->lease);
		found = lease;
		if (!process_holds(&lease->lease.claimant, holding) &&
		    !process_holds(&lease->lease.holder, holding))
			continue;
		held_ambiguous |= held && !same_claimant(&held->lease, &lease->lease);
		held = lease;
	}
	*none = !found;
	if (!ambiguous)
		return found;
	return held_ambiguous ? NULL : held;
}

const struct service_lease *service_match(const struct service_answer *answer,
					  const struct holding *holding, bool *share)
{
	const struct service_lease *found;
	bool none;

	found = match(answer, holding, same_socket, &none);
	if (share)
		*share = found && found->lease.share;
	if (!none)
		return found;
	found = match(answer, holding, same_listener, &none);
	if (share)
		*share = found;
	return found;
}
