/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * When two sockets cannot have the same port, by the kernel's own rules. The same from
 * 5.10 to 7.3: the second table by address (6.1) changed where the kernel looks, not
 * what it finds. Not to be seen from here, and taken for absent: VRFs, a BPF program
 * attached to an SO_REUSEPORT group, SK_FORCE_REUSE.
 */
#ifndef PORTSNOOP_CONFLICT_H
#define PORTSNOOP_CONFLICT_H

#include "model/ledger.h"

/* Protocols that share their ports get the same number: TCP and MPTCP, whose subflows
 * are TCP; the two pings. UDP and UDP-Lite are apart. */
uint16_t conflict_space(uint16_t protocol);

/* A local address and what decides about it. */
struct conflict_address {
	const uint8_t *bytes; /* as in wire.h */
	uint32_t flags;	      /* WIRE_V6ONLY counts */
	uint8_t family;
};

/* Whether a packet could be for both: inet_rcv_saddr_equal() of net/ipv4, wildcards
 * included. `asks` is the socket that wants the port, `has` the one that has it: the
 * kernel does not treat them alike. */
bool conflict_address(const struct conflict_address *asks, const struct conflict_address *has);

/* Whether two addresses are the same one, v4-mapped or not. */
bool conflict_same_address(uint8_t family, const uint8_t address[16], uint8_t other_family,
			   const uint8_t other[16]);

/* The port that a failed call could not have, because somebody else has it: of bind and
 * listen with EADDRINUSE, and of a connect from a bound port with EADDRNOTAVAIL. 0: it
 * failed for another reason, or no port would do. */
uint16_t conflict_port(const struct wire_event *failure);

/* Whether the lease is (one of) what it ran into. Never the lease that the socket itself
 * holds; its own one in TIME_WAIT can be. */
bool conflict_lease(const struct wire_event *failure, const struct lease *lease);

#endif
