/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs count instead of sending it: keys and values of the tally's maps
 * (bpf/maps.bpf.h), which user space reads. Byte order, ports and addresses are as in
 * wire.h. Not part of a stream.
 */
#ifndef PORTSNOOP_TALLY_H
#define PORTSNOOP_TALLY_H

#include <portsnoop/wire.h>

/* What a port is, as far as counting goes: the range that IANA has it in, in the two low
 * bits, and how this machine is set. */
enum tally_class {
	TALLY_NO_PORT = 0, /* a failed allocation has none */
	TALLY_SYSTEM = 1,  /* 0-1023 */
	TALLY_USER = 2,	   /* 1024-49151 */
	TALLY_DYNAMIC = 3, /* 49152-65535 */
	TALLY_IANA = 3,	   /* mask of the above */
	TALLY_IN_POOL = 1 << 2,
	TALLY_RESERVED = 1 << 3, /* ip_local_reserved_ports */
};

/* Who claims what kind of port. */
struct tally_key {
	wire_u64 start;	   /* process: start time, CLOCK_BOOTTIME */
	wire_u64 cgroup;   /* id of its cgroup v2 at the call */
	wire_u32 pid;	   /* thread group, initial pid namespace; 0: unknown */
	wire_u32 uid;	   /* real uid, initial user namespace */
	wire_u32 netns;	   /* inode number; of the socket */
	wire_u16 protocol; /* MPTCP also of its subflows */
	wire_u8 trigger;   /* enum wire_trigger */
	wire_u8 origin;	   /* enum wire_origin; NONE: a connect of a socket that was bound */
	wire_u8 class;	   /* enum tally_class */
	wire_u8 zero[7];
};

/*
 * Only ever counted up. A claim is a lease from its success on: of these, `closed` have
 * been given up by their socket, `time_waits` of which live on in TIME_WAIT, and
 * `time_waits_over` of those have ended, so that
 *
 *	claims - (closed - time_waits) - time_waits_over
 *
 * is what is held of what was claimed since the tally began. In the tracepoint tier
 * TIME_WAIT is inferred, and its end is not seen: time_waits_over stays 0.
 */
struct tally_counts {
	wire_u64 claims;	   /* that succeeded */
	wire_u64 failures;	   /* of claims */
	wire_u64 connect_failures; /* had a port, got no connection: outcomes other than 0 */
	wire_u64 closed;
	wire_u64 held; /* ns from claim to close, of all that are closed */
	wire_u64 time_waits;
	wire_u64 time_waits_over;
	wire_u64 zero;
};

/* Between which addresses the kernel's own choice is made: for a TCP connect the pool is
 * one for each of these; a bind to 0 and datagrams have no other side. Its failures are
 * those for want of a port, no others. */
struct tally_place {
	wire_u32 netns;
	wire_u16 protocol;   /* whose ports they are: TCP also of MPTCP */
	wire_u16 other_port; /* 0: none */
	wire_u16 pool_low;   /* as in wire_event: the socket's own range counts */
	wire_u16 pool_high;
	wire_u8 family;	 /* the socket's, also for v4-mapped addresses */
	wire_u8 trigger; /* enum wire_trigger */
	wire_u8 zero[2];
	wire_u8 local[16]; /* zero: any, or not known any more after a failure */
	wire_u8 other[16];
};

/* Value: a count, u64. */
struct tally_error {
	struct tally_key key;
	wire_u32 error;	  /* errno, positive; 0: aborted by the process itself */
	wire_u32 outcome; /* 1: of a connection, else of a claim; with origin NONE of a call that
			   * would have claimed nothing (EISCONN, no route), which stands nowhere
			   * else: it is a failure of no claim */
};

/* Keys and values that are written once, when the first key with them is. */
struct tally_process {
	wire_u64 start;
	wire_u32 pid;
	wire_u32 zero;
};

struct tally_name {
	char comm[WIRE_COMM]; /* of the thread that made its first call */
};

/* As wire_process has its cgroup's path: components from the last to the first. */
struct tally_path {
	wire_u32 flags; /* WIRE_CGROUP_CUT, WIRE_CGROUP_UNREADABLE, TALLY_PATH_UNFINISHED */
	wire_u16 length;
	wire_u16 zero;
	char path[WIRE_CGROUP];
};

#define TALLY_PATH_UNFINISHED (1u << 31) /* being written right now */

/* Key of tally_overflow: what was counted for keys that found no room. */
enum tally_rest {
	TALLY_REST_CLAIMS, /* struct tally_counts */
	TALLY_REST_PLACES, /* struct tally_counts */
	TALLY_REST_ERRORS, /* `failures`, `connect_failures`; `claims`: of calls, origin NONE */
	TALLY_REST_NAMES,  /* `claims`: names and paths that found no room */
	TALLY_RESTS
};

WIRE_ASSERT(sizeof(struct tally_key) == 40, "tally_key");
WIRE_ASSERT(sizeof(struct tally_counts) == 64, "tally_counts");
WIRE_ASSERT(sizeof(struct tally_place) == 48, "tally_place");
WIRE_ASSERT(sizeof(struct tally_error) == 48, "tally_error");

#endif
