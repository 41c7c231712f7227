/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What user space and the programs in the kernel tell each other besides the
 * stream: knobs that are fixed at load, and memory that both map.
 */
#ifndef PORTSNOOP_CONFIG_H
#define PORTSNOOP_CONFIG_H

#include <portsnoop/wire.h>

/* Read-only data of the programs: the verifier removes what a knob turns off. */
struct config {
	wire_u8 fetch;	   /* atomic fetch-and-add works (5.12); see user/probe/attach.c */
	wire_u8 releases;  /* send WIRE_RELEASE */
	wire_u8 tree;	   /* only claims of the processes in the map `tree` */
	wire_u8 time_wait; /* TIME_WAIT is hooked: nothing is to be inferred */
	wire_u8 sctp;	   /* the hooks that SCTP needs are there: else none of it is sent */
	wire_u8 zero[3];
};

/* One per possible CPU, in a map that user space maps: readable without any
 * capability. Only ever counted up. */
struct cpu_counters {
	wire_u64 seen;	     /* records that were to be sent, filtered ones included */
	wire_u64 lost;	     /* no room in the ring */
	wire_u64 filtered;   /* held back by the tree */
	wire_u64 untracked;  /* no room in a map: a call or a socket went unwatched */
	wire_u64 unseen;     /* a port was given back whose claim no hook had seen */
	wire_u64 generation; /* sockets numbered on this CPU */
	wire_u64 zero[2];
};
WIRE_ASSERT(sizeof(struct cpu_counters) == 64, "one cache line");

/* Map sizes. Measured need: a call lives for microseconds, except a blocking
 * connect, which lives until it is answered; a socket has an entry from its claim
 * to its end. What does not fit is counted as untracked. */
#define CONFIG_CALLS 16384
#define CONFIG_SOCKETS 262144
#define CONFIG_PROCESSES 8192
#define CONFIG_TREE 65536
#define CONFIG_ATTEMPTS 1024
#define CONFIG_TIME_WAIT 65536

#endif
