/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Strict parsers for what people type. Each takes the whole text or nothing: an
 * empty text, a sign, a space or a tail is an error. They return 0 and fill in
 * their result, or -EINVAL and leave it untouched; *expected then points at a
 * constant that completes "expected ...".
 */
#ifndef PORTSNOOP_PARSE_H
#define PORTSNOOP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int parse_unsigned(const char *text, uint64_t least, uint64_t most, uint64_t *number);

int parse_port(const char *text, uint16_t *port, const char **expected); /* 0..65535 */

/* "80", "8000-8010", "22,80,8000-8010" into a set of ports. */
struct port_set {
	uint8_t bits[65536 / 8];
};
int parse_ports(const char *text, struct port_set *set, const char **expected);
static inline bool port_set_has(const struct port_set *set, uint16_t port)
{
	return set->bits[port >> 3] & (1u << (port & 7));
}

/* "500ms", "10s", "5m", "2h", "1d", "90" (seconds), "1.5s" -> ns; more than zero. */
int parse_duration(const char *text, uint64_t *ns, const char **expected);

/* "64k", "8M", "1G", in powers of 1024 -> bytes; more than zero. */
int parse_size(const char *text, uint64_t *bytes, const char **expected);

/* Where to listen: "9845" (on 127.0.0.1), "192.0.2.7:9845", "[::1]:9845". */
struct endpoint {
	uint8_t bytes[16]; /* in network order; an IPv4 address stands in the first four */
	uint16_t port;
	uint8_t family; /* 4 or 6; 0: none was given */
};
int parse_endpoint(const char *text, struct endpoint *endpoint, const char **expected);

/* tcp, udp, udplite, icmp, icmpv6, sctp, mptcp -> IPPROTO_*. */
int parse_protocol(const char *text, uint16_t *protocol, const char **expected);
const char *protocol_name(uint16_t protocol); /* NULL: unknown */

#endif
