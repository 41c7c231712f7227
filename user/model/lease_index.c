/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/lease_index.h"

#include <errno.h>
#include <stdlib.h>

#include <utlist.h>

#define BUCKET_BITS_LEAST 6

static struct lease_node **socket_bucket(const struct lease_index *index, uint64_t socket)
{
	/* 2^64 divided by the golden ratio: generation numbers lie close together */
	return &index->buckets[socket * UINT64_C(0x9e3779b97f4a7c15) >> (64 - index->bucket_bits)];
}

int lease_index_init(struct lease_index *index)
{
	*index = (struct lease_index){.bucket_bits = BUCKET_BITS_LEAST};
	index->buckets = calloc((size_t)1 << BUCKET_BITS_LEAST, sizeof(index->buckets[0]));
	return index->buckets ? 0 : -ENOMEM;
}

void lease_index_free(struct lease_index *index)
{
	struct lease_node *node, *next;

	DL_FOREACH_SAFE2(index->uses, node, next, use_next)
	free(node);
	for (size_t i = 0; i < sizeof(index->pages) / sizeof(index->pages[0]); i++)
		free(index->pages[i]);
	free(index->buckets);
}

/* Without memory it stays as it is: correct, only slower. The newest lease of a socket
 * stays before its older ones. */
static void buckets_resize(struct lease_index *index, unsigned int bits)
{
	struct lease_index resized = {.bucket_bits = bits};
	struct lease_node *node;

	resized.buckets = calloc((size_t)1 << bits, sizeof(resized.buckets[0]));
	if (!resized.buckets)
		return;
	for (size_t i = 0; i < (size_t)1 << index->bucket_bits; i++) {
		struct lease_node *turned = NULL;

		while ((node = index->buckets[i])) {
			index->buckets[i] = node->socket_next;
			node->socket_next = turned;
			turned = node;
		}
		while ((node = turned)) {
			struct lease_node **bucket = socket_bucket(&resized, node->lease.socket);

			turned = node->socket_next;
			node->socket_next = *bucket;
			*bucket = node;
		}
	}
	free(index->buckets);
	index->buckets = resized.buckets;
	index->bucket_bits = bits;
}

static struct lease_page **port_page(struct lease_index *index, uint16_t port)
{
	return &index->pages[port >> LEASE_PAGE_BITS];
}

static void port_insert(struct lease_slot *slot, struct lease_node *node)
{
	const struct lease *lease = &node->lease;
	struct lease_node *before = slot->first ? slot->first->port_prev : NULL; /* the last */

	while (before && (before->lease.claimed > lease->claimed ||
			  (lease->state == LEASE_LISTEN && before->lease.state != LEASE_LISTEN &&
			   before->lease.claimed == lease->claimed)))
		before = before == slot->first ? NULL : before->port_prev;
	if (before)
		DL_APPEND_ELEM2(slot->first, before, node, port_prev, port_next);
	else
		DL_PREPEND2(slot->first, node, port_prev, port_next);
}

int lease_index_add(struct lease_index *index, struct lease_node *node)
{
	struct lease *lease = &node->lease;
	struct lease_page **page = port_page(index, lease->local_port);
	struct lease_node **bucket;
	struct lease_slot *slot;

	if (!*page)
		*page = calloc(1, sizeof(**page));
	if (!*page)
		return -ENOMEM;
	(*page)->leases++;
	slot = &(*page)->slots[lease->local_port % LEASE_PAGE];
	slot->listening += lease->state == LEASE_LISTEN;
	port_insert(slot, node);

	if (index->count >> index->bucket_bits)
		buckets_resize(index, index->bucket_bits + 1);
	bucket = socket_bucket(index, lease->socket);
	node->socket_next = *bucket;
	*bucket = node;
	index->count++;
	DL_APPEND2(index->uses, node, use_prev, use_next);
	return 0;
}

static void end_forget(struct lease_index *index, struct lease_node *node)
{
	if (node->end)
		DL_DELETE2(index->ends, node, end_prev, end_next);
	node->end = 0;
}

void lease_index_remove(struct lease_index *index, struct lease_node *node)
{
	struct lease_node **link = socket_bucket(index, node->lease.socket);
	struct lease_page **page = port_page(index, node->lease.local_port);
	struct lease_slot *slot = &(*page)->slots[node->lease.local_port % LEASE_PAGE];

	while (*link != node)
		link = &(*link)->socket_next;
	*link = node->socket_next;
	index->count--;
	if (index->bucket_bits > BUCKET_BITS_LEAST && !(index->count >> (index->bucket_bits - 3)))
		buckets_resize(index, index->bucket_bits - 1);

	DL_DELETE2(slot->first, node, port_prev, port_next);
	slot->listening -= node->lease.state == LEASE_LISTEN;
	if (!--(*page)->leases) {
		free(*page);
		*page = NULL;
	}
	end_forget(index, node);
	DL_DELETE2(index->uses, node, use_prev, use_next);
	free(node);
}

void lease_index_use(struct lease_index *index, struct lease_node *node)
{
	DL_DELETE2(index->uses, node, use_prev, use_next);
	DL_APPEND2(index->uses, node, use_prev, use_next);
}

void lease_index_set_state(struct lease_index *index, struct lease_node *node, uint8_t state)
{
	struct lease_slot *slot = lease_index_slot(index, node->lease.local_port);

	slot->listening -= node->lease.state == LEASE_LISTEN;
	slot->listening += state == LEASE_LISTEN;
	node->lease.state = state;
}

void lease_index_set_end(struct lease_index *index, struct lease_node *node, uint64_t end)
{
	struct lease_node *before;

	end_forget(index, node);
	before = index->ends ? index->ends->end_prev : NULL; /* the last */
	node->end = end;
	while (before && before->end > end)
		before = before == index->ends ? NULL : before->end_prev;
	if (before)
		DL_APPEND_ELEM2(index->ends, before, node, end_prev, end_next);
	else
		DL_PREPEND2(index->ends, node, end_prev, end_next);
}

struct lease_node *lease_index_next(const struct lease_index *index, uint64_t socket,
				    struct lease_node *node)
{
	node = node ? node->socket_next : *socket_bucket(index, socket);
	while (node && node->lease.socket != socket)
		node = node->socket_next;
	return node;
}

struct lease_node *lease_index_live(const struct lease_index *index, uint64_t socket)
{
	struct lease_node *node = lease_index_next(index, socket, NULL);

	while (node && node->lease.state == LEASE_TIME_WAIT)
		node = lease_index_next(index, socket, node);
	return node;
}

struct lease_slot *lease_index_slot(const struct lease_index *index, uint16_t port)
{
	struct lease_page *page = index->pages[port >> LEASE_PAGE_BITS];

	return page ? &page->slots[port % LEASE_PAGE] : NULL;
}

int lease_index_range(const struct lease_index *index, uint16_t low, uint16_t high,
		      lease_node_visitor each, void *context)
{
	for (unsigned int port = low; port <= high; port++) {
		struct lease_slot *slot = lease_index_slot(index, (uint16_t)port);
		struct lease_node *node;

		if (!slot) {
			port |= LEASE_PAGE - 1;
			continue;
		}
		DL_FOREACH2(slot->first, node, port_next)
		{
			int result = each(context, node);

			if (result)
				return result;
		}
	}
	return 0;
}
