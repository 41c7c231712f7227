/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/lease_pool.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "model/conflict.h"

/* The leases of one process; of all unknown ones pid is 0. */
struct lease_group {
	struct process_key key;
	struct lease_node *leases; /* oldest claim first */
	unsigned int count;
	UT_hash_handle hh;
};

_Static_assert(sizeof(struct lease_pool_key) == 48, "a key without padding can be compared");

static bool address_any(const uint8_t bytes[16])
{
	static const uint8_t zero[16];

	return !memcmp(bytes, zero, sizeof(zero));
}

/* A bucket that bind or listen made is theirs: __inet_hash_connect() passes it by,
 * whoever is at the other end. Of a lease without a trigger only its state tells. */
static bool lease_is_bound(const struct lease *lease)
{
	switch (lease->trigger) {
	case WIRE_BIND:
	case WIRE_LISTEN:
		return true;
	case 0:
		return lease->share || lease->state == LEASE_BOUND || lease->state == LEASE_LISTEN;
	default:
		return false;
	}
}

static bool pool_has(const struct lease_pool_key *key, const struct lease *lease)
{
	if (lease->local_port < key->low || lease->local_port > key->high ||
	    lease->netns != key->netns || conflict_space(lease->protocol) != key->space)
		return false;
	if (!key->other_port || lease_is_bound(lease))
		return true;
	return lease->other_port == key->other_port &&
	       conflict_same_address(lease->family, lease->other, key->family, key->other) &&
	       (address_any(key->local) ||
		conflict_same_address(lease->family, lease->local, key->family, key->local));
}

static void group_remove(struct lease_pool *pool, struct lease_group *group)
{
	HASH_DEL(pool->groups, group);
	free(group);
}

void lease_pool_forget(struct lease_pool *pool, struct lease_node *node)
{
	struct lease_group *group = node->group;

	if (!group)
		return;
	DL_DELETE2(group->leases, node, group_prev, group_next);
	node->group = NULL;
	if (!--group->count)
		group_remove(pool, group);
}

void lease_pool_clear(struct lease_pool *pool)
{
	struct lease_group *group, *next_group;

	HASH_ITER (hh, pool->groups, group, next_group) {
		struct lease_node *node;

		DL_FOREACH2(group->leases, node, group_next)
		node->group = NULL;
		group_remove(pool, group);
	}
	*pool = (struct lease_pool){0};
}

static struct lease_group *group_find(struct lease_pool *pool, const struct process_key *key)
{
	struct lease_group *group;

	HASH_FIND(hh, pool->groups, key, sizeof(*key), group);
	if (group)
		return group;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->key = *key;
	HASH_ADD(hh, pool->groups, key, sizeof(*key), group);
	if (!group->hh.tbl) {
		free(group);
		return NULL;
	}
	return group;
}

/* NULL without memory. */
static struct lease_group *group_of(struct lease_pool *pool, const struct lease *lease)
{
	return group_find(pool,
			  lease->claimant.key.pid ? &lease->claimant.key : &lease->holder.key);
}

static void group_insert(struct lease_group *group, struct lease_node *node)
{
	struct lease_node *before = group->leases ? group->leases->group_prev : NULL; /* last */

	while (before && before->lease.claimed > node->lease.claimed)
		before = before == group->leases ? NULL : before->group_prev;
	if (before)
		DL_APPEND_ELEM2(group->leases, before, node, group_prev, group_next);
	else
		DL_PREPEND2(group->leases, node, group_prev, group_next);
	group->count++;
	node->group = group;
}

void lease_pool_update(struct lease_pool *pool, struct lease_node *node)
{
	struct lease_group *group;

	if (!pool->watched || pool_has(&pool->key, &node->lease) == !!node->group)
		return;
	if (node->group) {
		lease_pool_forget(pool, node);
		return;
	}
	group = group_of(pool, &node->lease);
	if (group)
		group_insert(group, node);
	else
		lease_pool_clear(pool); /* counted anew when it is asked for again */
}

static int pool_count(void *context, struct lease_node *node)
{
	struct lease_pool *pool = context;
	struct lease_group *group;

	if (!pool_has(&pool->key, &node->lease))
		return 0;
	group = group_of(pool, &node->lease);
	if (!group)
		return -ENOMEM;
	DL_APPEND2(group->leases, node, group_prev, group_next);
	group->count++;
	node->group = group;
	return 0;
}

static int node_compare(const struct lease_node *a, const struct lease_node *b)
{
	return (a->lease.claimed > b->lease.claimed) - (a->lease.claimed < b->lease.claimed);
}

int lease_pool_watch(struct lease_pool *pool, const struct lease_index *index,
		     const struct wire_event *failure)
{
	struct lease_pool_key key = {
		.netns = failure->netns,
		.space = conflict_space(failure->protocol),
		.low = failure->pool_low,
		.high = failure->pool_high,
	};
	struct lease_group *group, *next_group;
	int error;

	if (key.space == IPPROTO_TCP && failure->error == EADDRNOTAVAIL &&
	    failure->flags & WIRE_HAS_OTHER) {
		key.other_port = failure->other_port;
		memcpy(key.other, failure->other, sizeof(key.other));
		memcpy(key.local, failure->local, sizeof(key.local));
		key.family = failure->family;
	}
	if (pool->watched && !memcmp(&pool->key, &key, sizeof(key)))
		return 0;

	lease_pool_clear(pool);
	pool->key = key;
	pool->watched = true;
	/* Sorted afterwards: it comes by port, and each insertion would pass many. */
	error = lease_index_range(index, key.low, key.high, pool_count, pool);
	if (error) {
		lease_pool_clear(pool);
		return error;
	}
	HASH_ITER (hh, pool->groups, group, next_group)
		DL_SORT2(group->leases, node_compare, group_prev, group_next);
	return 0;
}

static bool group_before(const struct lease_group *group, const struct lease *lease,
			 unsigned int count)
{
	if (group->count != count)
		return group->count > count;
	return group->leases->lease.claimed < lease->claimed;
}

void lease_pool_top(const struct lease_pool *pool, struct blockers *top)
{
	struct lease_group *group, *next_group;

	*top = (struct blockers){0};
	HASH_ITER (hh, pool->groups, group, next_group) {
		unsigned int at = top->count;

		top->total++;
		while (at && group_before(group, top->lease[at - 1], top->ports[at - 1]))
			at--;
		if (at == LEDGER_BLOCKERS)
			continue;
		if (top->count < LEDGER_BLOCKERS)
			top->count++;
		for (unsigned int i = top->count - 1; i > at; i--) {
			top->lease[i] = top->lease[i - 1];
			top->ports[i] = top->ports[i - 1];
		}
		top->lease[at] = &group->leases->lease;
		top->ports[at] = group->count;
	}
}
