/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Asks the kernel which sockets hold a port now: the iterator over all open files of
 * all processes (iter/task_file) for whom they belong to, and sock_diag in each network
 * namespace for those that no process has open: TIME_WAIT, orphans. Where iterators are
 * not to be had (no root, an old kernel): sock_diag and /proc/PID/fd alone.
 */
#ifndef PORTSNOOP_LOOKUP_H
#define PORTSNOOP_LOOKUP_H

#include "lib/parse.h"
#include "model/holding.h"

/* A network namespace of this machine. */
struct netns {
	uint32_t inode;
	char *name;    /* of its file in /run/netns; NULL: it has none */
	char path[64]; /* a file that opens it: /proc/PID/ns/net or /run/netns/NAME */
};
struct netns_list {
	struct netns *list;
	size_t count;
	bool whole; /* false: some could not be looked at (no root) */
};
int netns_list_read(struct netns_list *namespaces); /* 0 or negative errno */
void netns_list_free(struct netns_list *namespaces);
/* NULL: it is not among them. Valid as long as the list. */
const struct netns *netns_list_find(const struct netns_list *namespaces, uint32_t inode);

struct lookup_query {
	const struct port_set *ports; /* local ports */
	uint16_t protocol;	      /* 0: all; TCP finds MPTCP as well */
	uint32_t netns;		      /* 0: all that can be seen */
	bool has_address; /* only sockets that this address reaches: it, or a wildcard */
	uint8_t family;
	uint8_t address[16];
};

struct lookup; /* what stays loaded between two queries */

/*
 * NULL with errno set. Without root it works with less, and says so in `blind`.
 * `processes` false: sockets alone, by sock_diag. A walk over open files has a reference to
 * each of them for a moment, and a socket that its process closes right then keeps its port
 * until the walk is over: whoever asks again and again would be in the way of others.
 */
struct lookup *lookup_open(bool processes);
void lookup_close(struct lookup *lookup);

/*
 * Before the process gives up its privileges. What it can tell without them from then on:
 * in its own network namespace all, in others what processes have open. Where the kernel
 * refuses the iterator (lookup_iter.h), sock_diag alone, which knows no process, in its
 * own namespace only. Never an error.
 */
void lookup_settle(struct lookup *lookup);

/* Whether the last answer told which processes have a socket open. */
bool lookup_knows_processes(const struct lookup *lookup);

/* 0, or negative errno with *why, a text for people, constant. */
int lookup_run(struct lookup *lookup, const struct lookup_query *query, struct holdings *holdings,
	       const char **why);

#endif
