/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who has how many ports of one pool: the one that ran out last. A pool that is
 * exhausted fails thousands of times a second, so it is counted once, and then kept as
 * the leases change. For ledger.c.
 */
#ifndef PORTSNOOP_LEASE_POOL_H
#define PORTSNOOP_LEASE_POOL_H

#include "model/lease_index.h"

/* What is asked for. No padding. */
struct lease_pool_key {
	uint32_t netns;
	uint16_t space; /* conflict_space() */
	uint16_t low;
	uint16_t high;
	uint16_t other_port; /* 0: any. TCP connects share a port between peers */
	uint8_t other[16];
	uint8_t local[16]; /* with a peer: where it connects from; zero: anywhere */
	uint8_t family;	   /* of these two */
	uint8_t zero[3];
};

struct lease_pool {
	struct lease_pool_key key;
	bool watched;
	struct lease_group *groups;
};

/* 0 or -ENOMEM, which leaves no pool watched. */
int lease_pool_watch(struct lease_pool *pool, const struct lease_index *index,
		     const struct wire_event *failure);

/* To be told of each lease that is new or has changed, and before one is removed. */
void lease_pool_update(struct lease_pool *pool, struct lease_node *node);
void lease_pool_forget(struct lease_pool *pool, struct lease_node *node);

/* No pool is watched any more. */
void lease_pool_clear(struct lease_pool *pool);

/* The groups with the most leases, most first, then the oldest. */
void lease_pool_top(const struct lease_pool *pool, struct blockers *top);

#endif
