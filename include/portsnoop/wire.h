/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between bpf/ and user/, and the format of a saved stream.
 *
 * A stream is a sequence of records. Each starts with struct wire_header; its
 * size is a multiple of 8 and includes the header. Integers are in the byte
 * order of the machine that wrote them (a saved stream states it). Ports are
 * in host order. Addresses are 16 bytes in network order; an IPv4 address
 * stands in the first four, the rest is zero. Times are CLOCK_MONOTONIC in
 * nanoseconds unless said otherwise. Unused bytes are zero.
 *
 * Records below WIRE_STREAM_START come from the kernel through the ring
 * buffer. The others are put into the stream by user space, so that whoever
 * renders the stream needs nothing but the stream.
 */
#ifndef PORTSNOOP_WIRE_H
#define PORTSNOOP_WIRE_H

#ifndef __bpf__
#include <stdint.h>
typedef uint8_t wire_u8;
typedef uint16_t wire_u16;
typedef uint32_t wire_u32;
typedef uint64_t wire_u64;
typedef int64_t wire_s64;
#else
typedef __u8 wire_u8;
typedef __u16 wire_u16;
typedef __u32 wire_u32;
typedef __u64 wire_u64;
typedef __s64 wire_s64;
#endif

#define WIRE_VERSION 1

enum wire_type {
	WIRE_PROCESS = 1, /* struct wire_process */
	WIRE_CALL = 2,	  /* struct wire_event: bind, connect, listen or send */
	WIRE_OUTCOME = 3, /* struct wire_event: how a TCP connect ended */
	WIRE_RELEASE = 4, /* struct wire_event: a socket gave its port back */
	WIRE_SEED = 5,	  /* struct wire_event: a socket that had its port before the
			   * stream began. The process is one that holds it, not its
			   * claimant; `state` is the socket's. Its `socket` is 0 if it
			   * turned out to be none: it tells nothing then */

	WIRE_STREAM_START = 64, /* struct wire_stream_start: first record of a stream */
	WIRE_CLOCK = 65,	/* struct wire_clock: the wall clock stepped */
	WIRE_USER = 66,		/* struct wire_user: a user id's name */
	WIRE_STREAM_END = 67,	/* struct wire_stream_end: last record of a whole stream */
	WIRE_BLOCKER = 68,	/* struct wire_blocker: what stands in the way of the
				 * WIRE_CALL that follows */
	WIRE_HEARTBEAT = 69,	/* struct wire_heartbeat: the stream goes on */
};

struct wire_header {
	wire_u16 type;	       /* enum wire_type */
	wire_u16 size;	       /* bytes, this header included, multiple of 8 */
	wire_u32 lost;	       /* records lost on this CPU so far, modulo 2^32 */
	wire_u64 cpu_sequence; /* CPU in the top 16 bits; below, the number of the
				* record on that CPU, from 1, lost ones counted.
				* 0 in records of user space, and in those of
				* kernels without atomic fetch-and-add in BPF
				* (before 5.12), where only the CPU is set */
	wire_u64 time;
};

#define WIRE_SEQUENCE_BITS 48
#define WIRE_COMM 16

enum wire_trigger {
	WIRE_BIND = 1,
	WIRE_CONNECT = 2,
	WIRE_LISTEN = 3,
	WIRE_SEND = 4,
	WIRE_SUBFLOW = 5, /* an MPTCP join */
};

enum wire_origin {
	WIRE_ORIGIN_NONE = 0,	   /* the call asked for no port */
	WIRE_ORIGIN_REQUESTED = 1, /* the program named the port */
	WIRE_ORIGIN_KERNEL = 2,	   /* the kernel chose it */
};

enum wire_flag {
	WIRE_CLAIMED = 1 << 0,	   /* the socket had no port and tried to get one */
	WIRE_IN_PROGRESS = 1 << 1, /* TCP connect: the outcome follows */
	WIRE_HAS_OTHER = 1 << 2,   /* other/other_port are known */
	WIRE_RESERVED = 1 << 3,	   /* port is in ip_local_reserved_ports */
	WIRE_OWN_RANGE = 1 << 4,   /* pool comes from IP_LOCAL_PORT_RANGE */
	WIRE_REUSEADDR = 1 << 5,
	WIRE_REUSEPORT = 1 << 6,
	WIRE_V6ONLY = 1 << 7,
	WIRE_FASTOPEN = 1 << 8,
	WIRE_MPTCP = 1 << 9, /* the socket is MPTCP's or a subflow of one */
	WIRE_KERNEL_SOCKET = 1 << 10,
	WIRE_SELF_CONNECT = 1 << 11,   /* local and remote address and port are equal */
	WIRE_TIME_WAIT = 1 << 12,      /* release: the port lives on in TIME_WAIT */
	WIRE_ESTIMATED = 1 << 13,      /* WIRE_TIME_WAIT was inferred, not seen */
	WIRE_NO_CLAIMANT = 1 << 14,    /* the socket predates the stream: pid, tid, uid,
				      * start, exec and comm are zero */
	WIRE_DISCONNECT = 1 << 15,     /* release by connect(AF_UNSPEC) */
	WIRE_BIND_NO_PORT = 1 << 16,   /* IP_BIND_ADDRESS_NO_PORT put the choice off */
	WIRE_LOCKED = 1 << 17,	       /* bind fixed the port: a failed connect keeps it */
	WIRE_ABORTED = 1 << 18,	       /* failed connect without an errno: the process gave
				      * up before an answer came */
	WIRE_TIME_WAIT_OVER = 1 << 19, /* release: the end of TIME_WAIT, a second record
					* about the same lease */
};

/*
 * What a socket did. Sent for each call that claims or uses a port (WIRE_CALL),
 * for the end of a TCP handshake (WIRE_OUTCOME) and for the end of a lease
 * (WIRE_RELEASE). The process is the claimant; in WIRE_OUTCOME and WIRE_RELEASE
 * it is the one that made the claim, whoever was running when it ended.
 */
struct wire_event {
	struct wire_header header;
	wire_u64 socket;   /* generation number of the socket in this stream, from 1;
			    * 0: failed before it was given one */
	wire_u64 start;	   /* process: start time, CLOCK_BOOTTIME */
	wire_u64 duration; /* WIRE_OUTCOME and WIRE_RELEASE: since the claim, ns */
	wire_u64 cgroup;   /* id of the process' cgroup v2 at the call */
	wire_u32 pid;	   /* thread group, initial pid namespace */
	wire_u32 tid;
	wire_u32 uid;	     /* real uid, initial user namespace */
	wire_u32 exec;	     /* self_exec_id: changes with each exec */
	wire_u32 netns;	     /* inode number of the socket's network namespace */
	wire_u32 error;	     /* errno, positive; 0 is success */
	wire_u32 flags;	     /* enum wire_flag */
	wire_u32 device;     /* ifindex that the socket is bound to; 0: none */
	wire_u16 local_port; /* 0: none */
	wire_u16 other_port; /* bind: requested; connect, send: remote */
	wire_u16 pool_low;   /* what the kernel may choose from: both included */
	wire_u16 pool_high;
	wire_u16 unprivileged; /* ip_unprivileged_port_start */
	wire_u16 protocol;     /* IPPROTO_*, 262 is MPTCP */
	wire_u8 family;	       /* 4 or 6: the socket's, also for v4-mapped addresses */
	wire_u8 trigger;       /* enum wire_trigger */
	wire_u8 origin;	       /* enum wire_origin */
	wire_u8 state;	       /* WIRE_SEED: TCP state (net/tcp_states.h), else 0 */
	wire_u8 local[16];
	wire_u8 other[16];    /* the address that belongs to other_port */
	char comm[WIRE_COMM]; /* name of the thread at the call */
};

enum wire_process_flag {
	WIRE_EXE_DELETED = 1 << 0, /* the file has no name any more */
	WIRE_EXE_MEMORY = 1 << 1,  /* on a mount that only the kernel has: memfd */
	WIRE_EXE_CUT = 1 << 2,	   /* too long: the components nearest the root are missing */
	WIRE_EXE_UNREADABLE = 1 << 3,
	WIRE_ARGS_CUT = 1 << 4,
	WIRE_ARGS_UNREADABLE = 1 << 5, /* for instance swapped out */
	WIRE_CGROUP_CUT = 1 << 6,
	WIRE_CGROUP_UNREADABLE = 1 << 7,
	WIRE_KERNEL_THREAD = 1 << 8, /* has neither exe nor arguments */
};

#define WIRE_EXE 1024
#define WIRE_ARGS 2048
#define WIRE_CGROUP 512

/*
 * A process, captured in its own context before the first WIRE_CALL that refers
 * to it. Its identity is (pid, start, exec). May come more than once.
 * A path is its components from the last to the first, each ended by a NUL; the
 * root itself is no component, so "/" has length 0.
 */
struct wire_process {
	struct wire_header header;
	wire_u64 start;	       /* CLOCK_BOOTTIME */
	wire_u64 cgroup;       /* id */
	wire_u64 parent_start; /* CLOCK_BOOTTIME */
	wire_u32 pid;
	wire_u32 exec;
	wire_u32 namespace_pid; /* pid as the process itself sees it */
	wire_u32 parent_pid;	/* 0: none */
	wire_u32 uid;
	wire_u32 gid;
	wire_u32 flags;	     /* enum wire_process_flag */
	wire_u16 exe_length; /* bytes used of exe, args, path */
	wire_u16 args_length;
	wire_u16 path_length;
	wire_u16 zero;
	wire_u32 root;	      /* the process of --pid that it is, or descends from; 0: none */
	char comm[WIRE_COMM]; /* of the thread group leader */
	char parent_comm[WIRE_COMM];
	char exe[WIRE_EXE];	/* path */
	char args[WIRE_ARGS];	/* each argument ended by a NUL */
	char path[WIRE_CGROUP]; /* path of the cgroup v2 */
};

enum wire_tier {
	WIRE_TIER_FENTRY = 1,
	WIRE_TIER_KPROBE = 2,
	WIRE_TIER_TRACEPOINT = 3,
};

struct wire_stream_start {
	struct wire_header header;
	wire_s64 wall_offset; /* CLOCK_REALTIME minus CLOCK_MONOTONIC, ns */
	wire_u64 id;	      /* random: two streams differ */
	wire_u64 coverage;    /* bit n: claim kind n of user/model/coverage.h is seen */
	wire_u32 version;     /* WIRE_VERSION */
	wire_u32 tier;	      /* enum wire_tier */
	wire_u32 cpus;	      /* possible CPUs */
	wire_u32 ring_bytes;
	wire_u32 own_netns; /* inode of the network namespace that portsnoop ran in */
	wire_u32 zero;
	char host[64];	 /* NUL-terminated, also below */
	char kernel[64]; /* uname release */
	char boot_id[40];
	char program[24]; /* portsnoop's version */
};

struct wire_clock {
	struct wire_header header;
	wire_s64 wall_offset;
};

struct wire_user {
	struct wire_header header;
	wire_u32 uid;
	char name[36]; /* NUL-terminated; user space of the traced machine knew it so */
};

#define WIRE_BLOCKERS 64

/*
 * A socket that the kernel listed right after a claim failed for want of its port.
 * Zero to WIRE_BLOCKERS come before the WIRE_CALL with that failure, and belong to it alone.
 * The process is one that has the socket open, not its claimant.
 */
struct wire_blocker {
	struct wire_header header;
	wire_u64 inode;	  /* of the socket; 0: it has none (TIME_WAIT, not accepted yet) */
	wire_u64 start;	  /* process: start time, CLOCK_BOOTTIME */
	wire_u32 pid;	  /* 0: no process has it open, or which one was not to be seen */
	wire_u32 holders; /* how many processes have it open */
	wire_u32 netns;
	wire_u32 uid;
	wire_u32 device;  /* ifindex that it is bound to; 0: none */
	wire_u32 flags;	  /* enum wire_flag: WIRE_V6ONLY, WIRE_MPTCP */
	wire_u32 expires; /* ms until TIME_WAIT is over; 0 in other states */
	wire_u16 protocol;
	wire_u16 local_port;
	wire_u16 other_port;
	wire_u8 family; /* 4 or 6 */
	wire_u8 state;	/* TCP state (net/tcp_states.h) */
	wire_u8 local[16];
	wire_u8 other[16];
	wire_u32 total;	      /* sockets listed for this failure; the first ones are sent */
	char comm[WIRE_COMM]; /* of the process */
};

/* Totals of the kernel side so far, as in struct wire_stream_end: they are ahead of the
 * stream. Comes at times, so that silence can be told from the end of whoever watches. */
struct wire_heartbeat {
	struct wire_header header;
	wire_u64 seen;
	wire_u64 lost;
	wire_u64 filtered;
	wire_u64 untracked;
};

/* Totals of the kernel side over the whole stream, summed over the CPUs. */
struct wire_stream_end {
	struct wire_header header;
	wire_u64 seen;	    /* records that the programs wanted to send */
	wire_u64 lost;	    /* of these, for want of room in the ring */
	wire_u64 filtered;  /* of these, held back in the kernel by a filter */
	wire_u64 untracked; /* calls or sockets for which a map had no room */
	wire_u64 unseen;    /* ports given back whose claim no hook had seen */
	wire_u64 skipped;   /* program runs that the kernel itself left out;
			    * UINT64_MAX: this kernel does not tell */
};

#ifdef __cplusplus
#define WIRE_ASSERT static_assert
#else
#define WIRE_ASSERT _Static_assert
#endif
WIRE_ASSERT(sizeof(struct wire_header) == 24, "wire_header");
WIRE_ASSERT(sizeof(struct wire_event) == 152, "wire_event");
WIRE_ASSERT(sizeof(struct wire_process) == 3704, "wire_process");
WIRE_ASSERT(sizeof(struct wire_stream_start) == 264, "wire_stream_start");
WIRE_ASSERT(sizeof(struct wire_clock) == 32, "wire_clock");
WIRE_ASSERT(sizeof(struct wire_user) == 64, "wire_user");
WIRE_ASSERT(sizeof(struct wire_blocker) == 128, "wire_blocker");
WIRE_ASSERT(sizeof(struct wire_heartbeat) == 56, "wire_heartbeat");
WIRE_ASSERT(sizeof(struct wire_stream_end) == 72, "wire_stream_end");

#endif
