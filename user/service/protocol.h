/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a portsnoop that watches and a portsnoop that asks say to each other, over a
 * UNIX socket of the kind SOCK_SEQPACKET: one message, one packet.
 *
 *   server  SERVICE_HELLO, at once           or SERVICE_REFUSED, and hangs up
 *   client  SERVICE_ASK, once                or SERVICE_ASK_STATUS, once
 *   server  SERVICE_RECORDS ... SERVICE_END  or SERVICE_STATUS
 *                                            or SERVICE_REFUSED, and hangs up
 *
 * A message starts with struct service_header, which is the same in every version;
 * its size is a multiple of 8. What follows holds for SERVICE_VERSION alone: who gets
 * a message of another version reads its header only. Integers are in the byte order
 * of the machine, which both share. Unused bytes are zero. Times are CLOCK_MONOTONIC
 * of the server, ns; those named `wall` are CLOCK_REALTIME, ns, and 0 if unknown.
 *
 * Neither side trusts the other: each checks all of this before it uses anything.
 */
#ifndef PORTSNOOP_SERVICE_PROTOCOL_H
#define PORTSNOOP_SERVICE_PROTOCOL_H

#include <portsnoop/wire.h>
#include <stdint.h>

#define SERVICE_MAGIC 0x4f4e5350u /* "PSNO" on a little-endian machine */
#define SERVICE_VERSION 1

/* Of any message, in bytes. Below the least that a socket takes by default. */
#define SERVICE_MESSAGE_MOST (32u << 10)

enum service_type {
	SERVICE_HELLO = 1,	/* struct service_hello */
	SERVICE_ASK = 2,	/* struct service_ask */
	SERVICE_RECORDS = 3,	/* struct service_header, then records */
	SERVICE_END = 4,	/* struct service_end */
	SERVICE_REFUSED = 5,	/* struct service_refused, in any version */
	SERVICE_ASK_STATUS = 6, /* struct service_ask_status */
	SERVICE_STATUS = 7,	/* struct service_status */
};

struct service_header {
	uint32_t magic;
	uint16_t version;
	uint16_t type; /* enum service_type */
	uint32_t size; /* of the message, this header included */
	uint32_t zero;
};

/* The server about its stream. */
struct service_hello {
	struct service_header header;
	uint64_t stream;      /* id */
	int64_t started_wall; /* the stream's start */
	uint64_t watching;    /* since then, ns */
	uint64_t leases;      /* struct ledger_totals */
	uint64_t opened;
	uint64_t evicted;
	uint64_t unknown;
	uint32_t tier; /* enum wire_tier */
	uint32_t pid;  /* the server's, as it sees itself */
	char program[24];
};

/* Which leases to tell. A set of ports is a bitmap: of one size, and never wrong. */
struct service_ask {
	struct service_header header;
	uint32_t netns;	   /* inode number; 0: any */
	uint16_t protocol; /* IPPROTO_*, TCP stands for MPTCP as well; 0: any */
	uint16_t zero;
	uint8_t ports[65536 / 8];
};

struct service_end {
	struct service_header header;
	uint64_t leases;   /* how many were sent */
	uint64_t withheld; /* how many more there are, which this client may not see */
	uint64_t now;	   /* when the last one was looked at */
	int64_t now_wall;
};

/* How is it going? */
struct service_ask_status {
	struct service_header header;
};

/* What of struct service_status is known. */
enum service_status_told {
	SERVICE_STATUS_COUNTS = 1 << 0,	 /* received ... lost */
	SERVICE_STATUS_LAG = 1 << 1,	 /* lag ... waiting */
	SERVICE_STATUS_LEDGER = 1 << 2,	 /* leases ... unknown */
	SERVICE_STATUS_PROCESS = 1 << 3, /* memory ... confined */
	SERVICE_STATUS_STORE = 1 << 4,	 /* store_...: it records */
	SERVICE_STATUS_PRIVATE = 1 << 5, /* store_path, store_why; of a sink all of its name,
					  * and why */
	SERVICE_STATUS_SINKS = 1 << 6,	 /* sink_count, sinks */
};

enum service_confined {
	SERVICE_NO_NEW_PRIVILEGES = 1 << 0,
	SERVICE_SYSTEM_CALLS = 1 << 1, /* a filter of system calls is in force */
};

#define SERVICE_PATH_MOST 4096

#define SERVICE_SINKS 16
#define SERVICE_SINK_NAME 256
#define SERVICE_SINK_WHY 160

/* Where events go. */
struct service_sink {
	uint64_t delivered; /* events that have arrived for certain */
	uint64_t waiting;   /* in its queue */
	uint64_t spooled;   /* on disk */
	uint64_t spooled_bytes;
	uint64_t dropped; /* for which its queue had no room */
	uint64_t refused; /* that the other end does not take */
	uint64_t lost;	  /* taken from its queue, and neither delivered nor kept */
	int64_t since;	  /* it is away since, CLOCK_REALTIME, ns; 0: it is there */
	uint64_t ended;	  /* 1: nobody delivers to it any more */
	/* NUL-terminated; hostile bytes. To who may not see everything, the name is its kind. */
	char name[SERVICE_SINK_NAME]; /* what is too long is cut */
	char why[SERVICE_SINK_WHY];
};

/*
 * How it is going; no time is negative. It grows at its end, within SERVICE_VERSION: who gets a longer one
 * leaves out the rest, to who gets a shorter one (SERVICE_STATUS_LEAST is the least) the
 * rest is zero, which means "not known" or "none" then.
 */
struct service_status {
	struct service_header header;
	uint64_t told;	      /* enum service_status_told */
	uint64_t stream;      /* id */
	int64_t started_wall; /* the stream's start */
	int64_t now_wall;
	uint64_t watching; /* since the start, ns */
	uint64_t coverage; /* COVERAGE_BIT() */
	uint32_t tier;	   /* enum wire_tier */
	uint32_t pid;	   /* as it sees itself */
	char program[24];
	/* What the stream saw so far. Events of sockets; as far as is known, for what the
	 * kernel itself filters or has just lost shows later. */
	uint64_t received;  /* records of the kernel, events and others */
	uint64_t delivered; /* events that were worked on */
	uint64_t filtered;
	uint64_t lost; /* records that found no room in the ring of the kernel */
	/* How far it is behind. */
	uint64_t lag;	   /* from the newest record's time in the kernel to when it was
			    * worked on, ns */
	uint64_t lag_most; /* the longest so far */
	uint64_t waiting;  /* bytes of records that wait to be worked on */
	/* struct ledger_totals */
	uint64_t leases;
	uint64_t opened;
	uint64_t evicted;
	uint64_t unknown;
	/* The process. */
	uint64_t memory;       /* bytes that are resident */
	uint64_t capabilities; /* 1 << CAP_...: that it has or can get back */
	uint64_t confined;     /* enum service_confined */
	/* struct store_status */
	uint64_t store_bytes;
	uint64_t store_wal;
	uint64_t store_max_size;
	uint64_t store_max_age;
	uint64_t store_leases;
	uint64_t store_failures;
	uint64_t store_open;
	uint64_t store_commits;
	uint64_t store_written;
	uint64_t store_dropped;
	uint64_t store_trimmed;
	uint64_t store_pending;
	int64_t store_oldest;	 /* CLOCK_REALTIME, ns; 0: nothing is in it */
	int64_t store_committed; /* CLOCK_REALTIME, ns; 0: never yet */
	uint64_t store_error;	 /* errno, positive; 0: none */
	/* For those alone who may see everything. NUL-terminated; hostile bytes. */
	char store_why[160];
	char store_path[SERVICE_PATH_MOST];
	/* Its sinks; the first ones are used. */
	uint64_t sink_count;
	struct service_sink sinks[SERVICE_SINKS];
};

#define SERVICE_STATUS_LEAST 4584

enum service_reason {
	SERVICE_BUSY = 1,	     /* too many clients */
	SERVICE_VERSION_UNKNOWN = 2, /* header.version says which one is spoken here */
	SERVICE_MALFORMED = 3,
	SERVICE_NOT_READY = 4, /* the stream has not begun */
};

struct service_refused {
	struct service_header header;
	uint32_t reason; /* enum service_reason */
	uint32_t zero;
};

enum service_record_type {
	SERVICE_PROCESS = 1, /* struct service_process_record, then its texts */
	SERVICE_LEASE = 2,   /* struct service_lease_record */
};

struct service_record {
	uint16_t type; /* enum service_record_type */
	uint16_t zero;
	uint32_t size; /* of the record, this included; a multiple of 8 */
};

enum service_told {
	SERVICE_TOLD_DETAILS = 1 << 0, /* the stream told of the process; else only its key
					* and uid are known, and the user's name */
	SERVICE_TOLD_EXE = 1 << 1,
	SERVICE_TOLD_ARGS = 1 << 2,
	SERVICE_TOLD_CGROUP = 1 << 3,
	SERVICE_TOLD_USER = 1 << 4,
};

/* The most that a text can have: what the wire allows, and the mark of a cut path. */
#define SERVICE_EXE_MOST (WIRE_EXE + 8)
#define SERVICE_ARGS_MOST WIRE_ARGS
#define SERVICE_CGROUP_MOST (WIRE_CGROUP + 8)
#define SERVICE_USER_MOST 64

/* Comes before the first lease that refers to it by its number. The same process may
 * come more than once, with another number. Texts: exe, args, cgroup and the name of
 * the user stand one behind the other; zeros up to the next multiple of 8 follow. */
struct service_process_record {
	struct service_record record;
	uint64_t start; /* CLOCK_BOOTTIME */
	uint64_t cgroup_id;
	uint64_t parent_start;
	uint32_t number; /* from 1, without gaps */
	uint32_t pid;	 /* never 0 */
	uint32_t exec;
	uint32_t uid; /* when it made the claim */
	uint32_t gid;
	uint32_t namespace_pid;
	uint32_t parent_pid;
	uint32_t flags; /* enum wire_process_flag */
	uint16_t told;	/* enum service_told */
	uint16_t exe_length;
	uint16_t args_length;
	uint16_t cgroup_length;
	uint16_t user_length;
	uint16_t zero[3];
	char comm[WIRE_COMM];
	char parent_comm[WIRE_COMM];
	/* texts */
};

struct service_lease_record {
	struct service_record record;
	uint64_t socket; /* this and the rest: struct lease */
	uint64_t claimed;
	uint64_t since;
	uint64_t expires;
	int64_t claimed_wall;
	int64_t since_wall;
	int64_t expires_wall;
	uint32_t netns;
	uint32_t device;
	uint32_t flags;
	uint32_t claimant; /* number of a process; 0: none */
	uint32_t holder;
	uint16_t protocol;
	uint16_t local_port;
	uint16_t other_port;
	uint8_t family;
	uint8_t trigger;
	uint8_t origin;
	uint8_t state;
	uint8_t share;
	uint8_t zero;
	uint8_t local[16];
	uint8_t other[16];
	char claimant_comm[WIRE_COMM];
	char holder_comm[WIRE_COMM];
};

WIRE_ASSERT(sizeof(struct service_header) == 16, "service_header");
WIRE_ASSERT(sizeof(struct service_hello) == 104, "service_hello");
WIRE_ASSERT(sizeof(struct service_ask) == 8216, "service_ask");
WIRE_ASSERT(sizeof(struct service_end) == 48, "service_end");
WIRE_ASSERT(sizeof(struct service_refused) == 24, "service_refused");
WIRE_ASSERT(sizeof(struct service_ask_status) == 16, "service_ask_status");
WIRE_ASSERT(sizeof(struct service_sink) == 488, "service_sink");
WIRE_ASSERT(sizeof(struct service_status) ==
		    SERVICE_STATUS_LEAST + 8 + SERVICE_SINKS * sizeof(struct service_sink),
	    "service_status");
WIRE_ASSERT(sizeof(struct service_status) <= SERVICE_MESSAGE_MOST, "service_status");
WIRE_ASSERT(sizeof(struct service_process_record) == 112, "service_process_record");
WIRE_ASSERT(sizeof(struct service_lease_record) == 160, "service_lease_record");

#endif
