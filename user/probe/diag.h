/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's own list of sockets, by netlink (sock_diag(7)): no root needed, but
 * only one network namespace and no process. It has what no process has open:
 * TIME_WAIT, orphans, connections that were not accepted yet.
 */
#ifndef PORTSNOOP_DIAG_H
#define PORTSNOOP_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct diag_socket {
	uint32_t inode;	  /* 0: none: TIME_WAIT, orphan, not accepted yet */
	uint32_t uid;	  /* 0 as well where nobody noted it: TIME_WAIT, SYN_RECV */
	uint32_t device;  /* ifindex that it is bound to; 0: none */
	uint32_t expires; /* ms until TIME_WAIT is over, with has_expires */
	uint16_t protocol;
	uint16_t local_port;
	uint16_t other_port; /* 0: no peer */
	uint8_t family;	     /* 4 or 6 */
	uint8_t state;	     /* enum holding_state */
	bool has_expires;
	bool v6only;
	uint8_t local[16]; /* as in wire.h */
	uint8_t other[16];
};

/* A negative return ends the listing, which then returns it. */
typedef int diag_visitor(const struct diag_socket *socket, void *context);

/* A descriptor to ask with, for the network namespace that the calling thread is in
 * now, wherever it moves later. Close it with close(). Negative errno. */
int diag_open(void);

/*
 * Every socket of the protocol (IPPROTO_*: TCP, UDP, UDPLITE, SCTP, MPTCP) with a local
 * port from `low` to `high`, both included, in both families. 0 or negative errno;
 * -ENOENT: this kernel cannot list the protocol. TCP finds the subflows of MPTCP
 * sockets, not the MPTCP sockets; a TCP socket that is bound and neither listens nor is
 * connected is listed from 6.8 on. The kernel may load the protocol's diag module.
 */
int diag_list(int diag, uint16_t protocol, uint16_t low, uint16_t high, diag_visitor *visit,
	      void *context);

/* The same without TCP sockets that are bound and neither listen nor are connected: they
 * take the kernel a walk of their own. */
int diag_list_active(int diag, uint16_t protocol, uint16_t low, uint16_t high, diag_visitor *visit,
		     void *context);

/* What one read gave. 1: it was the end of the list; 0: more will come; negative errno:
 * the kernel's answer, what visit returned, or -EBADMSG. `bytes` may be anything. Left
 * out are messages with another sequence number, and sockets outside of low to high. */
struct diag_answer {
	uint32_t sequence;
	uint16_t protocol;
	uint16_t low, high;
};
int diag_parse(const struct diag_answer *answer, const void *bytes, size_t length,
	       diag_visitor *visit, void *context);

#endif
