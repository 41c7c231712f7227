/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ports that the kernel may choose from, as a network namespace is set now:
 * that of the thread which reads. IPv6 has no settings of its own.
 */
#ifndef PORTSNOOP_POOL_H
#define PORTSNOOP_POOL_H

#include "lib/parse.h"

/* What could not be read has a negative errno in its `error`, -EBADMSG when the
 * file does not hold what the kernel writes; its values are zero then. */
struct pool {
	uint16_t low; /* ip_local_port_range, both included */
	uint16_t high;
	uint16_t unprivileged; /* ip_unprivileged_port_start: below it is privileged */
	int range_error;
	int unprivileged_error;
	int reserved_error;
	struct port_set reserved; /* ip_local_reserved_ports */
};

#define POOL_RANGE "sys/net/ipv4/ip_local_port_range"
#define POOL_RESERVED "sys/net/ipv4/ip_local_reserved_ports"
#define POOL_UNPRIVILEGED "sys/net/ipv4/ip_unprivileged_port_start"

/* `proc` is "/proc", or a folder that holds a copy of these files. */
void pool_read(struct pool *pool, const char *proc);

#endif
