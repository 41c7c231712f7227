/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/pool_bucket.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/order.h"
#include "model/conflict.h"

static int socket_compare(const void *first, const void *second)
{
	const struct bucket_record *a = first, *b = second;

	return number_compare(a->socket, b->socket);
}

/* Two sockets of one name, on different devices, are alike in what is asked here. */
static int name_compare(const void *first, const void *second)
{
	const struct bucket_record *a = first, *b = second;
	int order = number_compare(a->protocol, b->protocol);

	if (!order)
		order = number_compare(a->netns, b->netns);
	if (!order)
		order = number_compare(a->local_port, b->local_port);
	if (!order)
		order = number_compare(a->other_port, b->other_port);
	if (!order)
		order = number_compare(a->family, b->family);
	if (!order)
		order = memcmp(a->local, b->local, sizeof(a->local));
	return order ? order : memcmp(a->other, b->other, sizeof(a->other));
}

static void holding_take(struct holding *holding, const struct bucket_record *record)
{
	if (record->flags & BUCKET_KNOWN)
		holding->bucket = record->flags & BUCKET_BIND ? HOLDING_BUCKET_BIND
							      : HOLDING_BUCKET_CONNECT;
	if (record->flags & BUCKET_V6ONLY)
		holding->flags |= WIRE_V6ONLY;
	holding->stamped = record->flags & BUCKET_STAMPED;
	holding->delayed = record->flags & BUCKET_DELAY;
	holding->age = record->age;
	if (record->own_low || record->own_high) {
		holding->own_low = record->own_low;
		holding->own_high = record->own_high;
	}
}

void pool_bucket_join(struct holdings *holdings, struct bucket_record *records, size_t count)
{
	const struct bucket_record *found;

	if (!count)
		return;
	qsort(records, count, sizeof(*records), socket_compare);
	for (size_t i = 0; i < holdings->count; i++) {
		struct bucket_record key = {.socket = holdings->list[i].socket};

		if (!key.socket)
			continue;
		found = bsearch(&key, records, count, sizeof(*records), socket_compare);
		if (found)
			holding_take(&holdings->list[i], found);
	}
	/* A socket of MPTCP has another address than its subflow, but the same name. */
	qsort(records, count, sizeof(*records), name_compare);
	for (size_t i = 0; i < holdings->count; i++) {
		struct holding *holding = &holdings->list[i];
		struct bucket_record key = {
			.netns = holding->netns,
			.protocol = IPPROTO_TCP,
			.local_port = holding->local_port,
			.other_port = holding->other_port,
			.family = holding->family,
		};

		if (holding->bucket || !holding->other_port ||
		    conflict_space(holding->protocol) != IPPROTO_TCP)
			continue;
		memcpy(key.local, holding->local, sizeof(key.local));
		memcpy(key.other, holding->other, sizeof(key.other));
		found = bsearch(&key, records, count, sizeof(*records), name_compare);
		if (found)
			holding_take(holding, found);
	}
}
