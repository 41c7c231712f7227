/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A socket that holds a port now, as the kernel lists it, with every process that has
 * it open. No I/O here: user/probe/lookup.h finds them.
 */
#ifndef PORTSNOOP_HOLDING_H
#define PORTSNOOP_HOLDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/process.h"

/* Texts are owned by the holder; NULL: could not be read, or there is none. */
struct holder {
	uint64_t start; /* CLOCK_BOOTTIME, ns */
	uint32_t pid;
	uint32_t uid;
	int fd;		  /* the lowest one with which it has the socket open */
	unsigned int fds; /* how many */
	char comm[WIRE_COMM + 1];
	bool exe_deleted;
	char *user; /* name of uid */
	char *exe;
	char *args; /* each ended by a NUL */
	size_t args_length;
	char *cgroup;
	struct container container;
};

/* net/tcp_states.h */
enum holding_state {
	HOLDING_ESTABLISHED = 1,
	HOLDING_SYN_SENT,
	HOLDING_SYN_RECV,
	HOLDING_FIN_WAIT1,
	HOLDING_FIN_WAIT2,
	HOLDING_TIME_WAIT,
	HOLDING_CLOSE, /* bound, not connected; datagram sockets too */
	HOLDING_CLOSE_WAIT,
	HOLDING_LAST_ACK,
	HOLDING_LISTEN,
	HOLDING_CLOSING,
	HOLDING_NEW_SYN_RECV,
};

/* What TCP's bind bucket of the port says to connect(); model/pool_bucket.h asks. */
enum holding_bucket {
	HOLDING_BUCKET_UNKNOWN,
	HOLDING_BUCKET_CONNECT, /* shared between destinations */
	HOLDING_BUCKET_BIND,	/* a bind or listen has a share: passed by */
};

/*
 * Without holders are: TIME_WAIT and orphans (`orphan`); connections that wait for
 * accept() in their listener's queue (no inode, no orphan: who gets them is the
 * listener's business); and sockets with an inode that are the kernel's own, on their
 * way in a message (SCM_RIGHTS) or held by io_uring alone.
 */
struct holding {
	uint32_t netns; /* inode number */
	uint32_t uid;	/* owner of the socket; 0 without an inode, where nobody noted it */
	uint32_t device;
	uint32_t flags;	 /* enum wire_flag: WIRE_REUSEADDR, WIRE_REUSEPORT, WIRE_V6ONLY,
			 * WIRE_MPTCP, WIRE_KERNEL_SOCKET, WIRE_SELF_CONNECT */
	uint64_t inode;	 /* 0: none: TIME_WAIT, or closed by its process (orphan) */
	uint64_t socket; /* address of the kernel's struct sock; 0: not known */
	uint16_t protocol;
	uint16_t local_port;
	uint16_t other_port; /* 0: no peer */
	uint8_t family;
	uint8_t state;	  /* enum holding_state */
	bool orphan;	  /* no process has it open: the kernel finishes it alone */
	bool has_expires; /* the next line is known */
	uint32_t expires; /* ms until its timer ends it: TIME_WAIT, and FIN_WAIT2 of
				* an orphan that the kernel keeps in the same way */
	uint8_t local[16];
	uint8_t other[16];
	/* The next ones are of pool_bucket_join(), zero without it. */
	uint8_t bucket;	  /* enum holding_bucket */
	bool stamped;	  /* TIME_WAIT: timestamps were in use, so that tcp_tw_reuse applies */
	bool delayed;	  /* `age` has to exceed tcp_tw_reuse_delay, else 0 */
	uint32_t age;	  /* ms, of TIME_WAIT */
	uint16_t own_low; /* IP_LOCAL_PORT_RANGE; both 0: as its network namespace */
	uint16_t own_high;
	struct holder *holders; /* by pid */
	size_t holder_count;
};

struct holdings {
	struct holding *list; /* by netns, protocol, local port, listening first, peer */
	size_t count;
	/* What was not to be seen, for people, one sentence each; NULL-terminated. E.g.
	 * "processes of other users (run as root to see them)". */
	const char *blind[8];
};

void holding_sort(struct holdings *holdings);
void holding_free(struct holding *holding); /* what it owns */
void holdings_free(struct holdings *holdings);
const char *holding_state_name(uint8_t state); /* "established", ..., "bound" for CLOSE */

#endif
