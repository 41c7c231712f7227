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
	wire_u8 ledger;	   /* send WIRE_SEED */
	wire_u8 follow;	   /* tell of what descends from a process in the map `followed` */
	wire_u8 family;	   /* 4 or 6, for CONFIG_FAMILY */
	wire_u32 filter;   /* enum config_filter */
	wire_u32 triggers; /* bit per enum wire_trigger, for CONFIG_TRIGGERS */
	/* For CONFIG_CGROUPS, bits as in the values of filter_components: which of them
	 * are the last component of a path, and which the first. */
	wire_u64 cgroup_lasts;
	wire_u64 cgroup_firsts;
	wire_u8 tally; /* count, and send nothing at all: <portsnoop/tally.h> */
	wire_u8 zero[7];
};

/* What a record must be like to be sent: each condition that is set must hold. They
 * mean what user/model/filter.h says; some let through more, which is for user space
 * to hold back. */
enum config_filter {
	CONFIG_PORTS = 1 << 0,	   /* filter_ports */
	CONFIG_PIDS = 1 << 1,	   /* filter_numbers, and `followed` */
	CONFIG_UIDS = 1 << 2,	   /* filter_numbers */
	CONFIG_NETNS = 1 << 3,	   /* filter_numbers */
	CONFIG_PROTOCOLS = 1 << 4, /* filter_numbers */
	CONFIG_COMMS = 1 << 5,	   /* filter_names */
	CONFIG_CGROUPS = 1 << 6,   /* filter_components */
	CONFIG_FAMILY = 1 << 7,
	CONFIG_TRIGGERS = 1 << 8,
	CONFIG_FAILED = 1 << 9,
	CONFIG_EPHEMERAL = 1 << 10,
};

#define CONFIG_CLAIMANT (CONFIG_PIDS | CONFIG_UIDS | CONFIG_COMMS | CONFIG_CGROUPS)

/* Key of filter_numbers: the condition, above the number. */
#define CONFIG_NUMBER(condition, number) ((wire_u64)(condition) << 32 | (wire_u32)(number))

/* Keys of filter_components begin a component of a cgroup's path, and end with a NUL
 * at least. */
#define CONFIG_COMPONENT 40

/* Value of `followed`, by thread group. */
struct config_followed {
	wire_u64 start; /* CLOCK_BOOTTIME; 0: any process with this number */
	wire_u32 root;	/* pid of the one that was asked for */
	wire_u32 zero;
};

/* One per possible CPU, in a map that user space maps: readable without any
 * capability. Only ever counted up. */
struct cpu_counters {
	wire_u64 seen;	     /* records that were to be sent, filtered ones included */
	wire_u64 lost;	     /* no room in the ring */
	wire_u64 filtered;   /* held back by the tree or a filter */
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
#define CONFIG_TALLY_ROWS 16384 /* claims, places and processes: each */
#define CONFIG_TALLY_ERRORS 4096
#define CONFIG_TALLY_CGROUPS 1024

#endif
