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
	int reuse_error;
	struct port_set reserved; /* ip_local_reserved_ports */
	/* Whether connect() may take over a port in TIME_WAIT, as tcp_tw_reuse has it: 0: no,
	 * 1: yes, 2: on the loopback device only; and from how old on (tcp_tw_reuse_delay,
	 * 6.14; 1000 before). */
	uint8_t reuse;
	uint32_t reuse_delay; /* ms */
};

#define POOL_RANGE "sys/net/ipv4/ip_local_port_range"
#define POOL_RESERVED "sys/net/ipv4/ip_local_reserved_ports"
#define POOL_UNPRIVILEGED "sys/net/ipv4/ip_unprivileged_port_start"
#define POOL_REUSE "sys/net/ipv4/tcp_tw_reuse"
#define POOL_REUSE_DELAY "sys/net/ipv4/tcp_tw_reuse_delay"

/* `proc` is "/proc", or a folder that holds a copy of these files. */
void pool_read(struct pool *pool, const char *proc);

struct netns;
/* Of another network namespace. 0, or negative errno if it cannot be entered. */
int pool_read_netns(struct pool *pool, const struct netns *netns);

#endif
