/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/conflict.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "model/text.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

uint16_t conflict_space(uint16_t protocol)
{
	switch (protocol) {
	case IPPROTO_MPTCP:
		return IPPROTO_TCP;
	case IPPROTO_ICMPV6: /* one table of identifiers: net/ipv4/ping.c */
		return IPPROTO_ICMP;
	default:
		return protocol;
	}
}

static bool address_any(const uint8_t bytes[16])
{
	static const uint8_t zero[16];

	return !memcmp(bytes, zero, sizeof(zero));
}

/* The IPv4 address that a socket goes by: sk_rcv_saddr. Of one that has an address of
 * IPv6 it is LOOPBACK4_IPV6. */
static const uint8_t *address_v4(const struct conflict_address *address)
{
	static const uint8_t stand_in[4] = {127, 0, 0, 6}, zero[4];

	if (address->family != 6)
		return address->bytes;
	if (address_mapped(address->bytes, 6))
		return address->bytes + 12;
	return address_any(address->bytes) ? zero : stand_in;
}

static bool v4_equal(const struct conflict_address *asks, const struct conflict_address *has)
{
	static const uint8_t zero[4];
	const uint8_t *a = address_v4(asks), *b = address_v4(has);

	if (has->family == 6 && has->flags & WIRE_V6ONLY)
		return false;
	return !memcmp(a, b, 4) || !memcmp(a, zero, 4) || !memcmp(b, zero, 4);
}

bool conflict_address(const struct conflict_address *asks, const struct conflict_address *has)
{
	bool asks_v4, has_v4, asks_any, has_any;

	if (asks->family != 6)
		return v4_equal(asks, has);
	asks_v4 = address_mapped(asks->bytes, 6);
	has_v4 = has->family != 6 || address_mapped(has->bytes, 6);
	if (asks_v4 && has_v4)
		return v4_equal(asks, has);
	asks_any = address_any(asks->bytes);
	has_any = has->family == 6 && address_any(has->bytes);
	if (asks_any && has_any)
		return true;
	if (has_any && !(asks_v4 && has->flags & WIRE_V6ONLY))
		return true;
	if (asks_any && !(has_v4 && asks->flags & WIRE_V6ONLY))
		return true;
	return has->family == 6 && !memcmp(asks->bytes, has->bytes, 16);
}

bool conflict_same_address(uint8_t family, const uint8_t address[16], uint8_t other_family,
			   const uint8_t other[16])
{
	bool v4 = family != 6 || address_mapped(address, 6);
	bool other_v4 = other_family != 6 || address_mapped(other, 6);

	if (v4 != other_v4)
		return false;
	if (!v4)
		return !memcmp(address, other, 16);
	return !memcmp(family == 6 ? address + 12 : address, other_family == 6 ? other + 12 : other,
		       4);
}

uint16_t conflict_port(const struct wire_event *failure)
{
	switch (failure->trigger) {
	case WIRE_BIND: /* the address that it asked for: the kernel has erased the rest */
		if (failure->error != EADDRINUSE || !(failure->flags & WIRE_HAS_OTHER))
			return 0;
		return failure->other_port;
	case WIRE_LISTEN:
		return failure->error == EADDRINUSE ? failure->local_port : 0;
	case WIRE_CONNECT:
	case WIRE_SEND:
	case WIRE_SUBFLOW:
		if (failure->flags & WIRE_CLAIMED || !(failure->flags & WIRE_HAS_OTHER))
			return 0;
		return failure->error == EADDRNOTAVAIL ? failure->local_port : 0;
	default:
		return 0;
	}
}

/* SO_REUSEPORT goes by the socket's owner: of the two processes that are known the
 * claimant is nearest to it. Unknown is not the same. */
static bool lease_same_uid(const struct lease *lease, uint32_t uid)
{
	if (lease->claimant.key.pid)
		return lease->claimant.uid == uid;
	return lease->holder.key.pid && lease->holder.uid == uid;
}

/* inet_bind_conflict() with relax and reuseport_ok, which is what a named port gets;
 * sctp_get_port_local(); and udp_lib_lport_inuse(), whose sockets neither listen nor are
 * in TIME_WAIT. */
static bool options_agree(const struct wire_event *failure, const struct lease *lease)
{
	uint32_t both = failure->flags & lease->flags;

	if (both & WIRE_REUSEADDR && lease->state != LEASE_LISTEN)
		return true;
	return both & WIRE_REUSEPORT &&
	       (lease->state == LEASE_TIME_WAIT || lease_same_uid(lease, failure->uid));
}

bool conflict_lease(const struct wire_event *failure, const struct lease *lease)
{
	uint16_t space = conflict_space(failure->protocol), port = conflict_port(failure);
	struct conflict_address asks = {
		.bytes = failure->trigger == WIRE_BIND ? failure->other : failure->local,
		.flags = failure->flags,
		.family = failure->family,
	};
	struct conflict_address has = {lease->local, lease->flags, lease->family};

	if (!port || lease->local_port != port || lease->netns != failure->netns ||
	    conflict_space(lease->protocol) != space)
		return false;
	if (failure->socket && failure->socket == lease->socket && lease->state != LEASE_TIME_WAIT)
		return false;
	if (space == IPPROTO_ICMP) /* ping_get_port() looks at nothing else */
		return !(failure->flags & lease->flags & WIRE_REUSEADDR);
	if (failure->device && lease->device && failure->device != lease->device)
		return false;
	if (!conflict_address(&asks, &has))
		return false;
	if (failure->trigger != WIRE_BIND && failure->trigger != WIRE_LISTEN)
		return lease->other_port == failure->other_port &&
		       conflict_same_address(failure->family, failure->other, lease->family,
					     lease->other);
	return !options_agree(failure, lease);
}
