/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the ledger keeps its leases: found by socket and by port, in the order of their
 * last use, and those with an end of their own in the order of that. For ledger.c; the
 * rules are there.
 *
 * The links stand in the leases themselves, so nothing but a new lease needs memory: to
 * move or remove one cannot fail. A port's leases of all namespaces and protocols are one
 * list, which makes a range of ports, in order, a walk over an array.
 */
#ifndef PORTSNOOP_LEASE_INDEX_H
#define PORTSNOOP_LEASE_INDEX_H

#include "model/ledger.h"

struct lease_group; /* see lease_pool.h */

struct lease_node {
	struct lease lease;
	struct lease_node *socket_next;
	struct lease_node *port_prev, *port_next;
	struct lease_node *use_prev, *use_next;
	struct lease_node *end_prev, *end_next;
	uint64_t end; /* when it ends by itself; 0: it does not */
	struct lease_node *group_prev, *group_next;
	struct lease_group *group; /* NULL: not in the pool that is watched */
	bool wildcard;		   /* bind gave it no address: a connect does for a while */
};

#define LEASE_PAGE_BITS 8
#define LEASE_PAGE (1 << LEASE_PAGE_BITS)

struct lease_slot {
	struct lease_node *first; /* oldest claim first; of equal ones a listener first */
	unsigned int listening;	  /* how many LEASE_LISTEN there are */
};

struct lease_page {
	size_t leases;
	struct lease_slot slots[LEASE_PAGE];
};

struct lease_index {
	struct lease_node **buckets; /* by socket */
	unsigned int bucket_bits;
	size_t count;
	struct lease_page *pages[65536 / LEASE_PAGE];
	struct lease_node *uses; /* longest unused first */
	struct lease_node *ends; /* soonest first */
};

int lease_index_init(struct lease_index *index);  /* 0 or -ENOMEM */
void lease_index_free(struct lease_index *index); /* and all nodes */

/* Takes the node over. 0, or -ENOMEM, which leaves it with the caller. */
int lease_index_add(struct lease_index *index, struct lease_node *node);
void lease_index_remove(struct lease_index *index, struct lease_node *node); /* frees it */
void lease_index_use(struct lease_index *index, struct lease_node *node);
void lease_index_set_state(struct lease_index *index, struct lease_node *node, uint8_t state);
void lease_index_set_end(struct lease_index *index, struct lease_node *node, uint64_t end);

/* The socket's lease that is not in TIME_WAIT; NULL: none. */
struct lease_node *lease_index_live(const struct lease_index *index, uint64_t socket);

/* The socket's leases, the newest first: NULL begins, NULL ends. */
struct lease_node *lease_index_next(const struct lease_index *index, uint64_t socket,
				    struct lease_node *node);

/* NULL: nobody has it. */
struct lease_slot *lease_index_slot(const struct lease_index *index, uint16_t port);

/* Calls `each` for every lease with a port in low..high, until it returns other than 0. */
typedef int (*lease_node_visitor)(void *context, struct lease_node *node);
int lease_index_range(const struct lease_index *index, uint16_t low, uint16_t high,
		      lease_node_visitor each, void *context);

#endif
