/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/lookup_match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/text.h"

/* ::ffff:a.b.c.d is a.b.c.d to whoever sends there. */
static bool address_unmap(uint8_t family, const uint8_t address[16], uint8_t v4[4])
{
	if (family != 4 && !address_mapped(address, family))
		return false;
	memcpy(v4, family == 4 ? address : address + 12, 4);
	return true;
}

bool match_address(const struct lookup_query *query, const struct holding *holding)
{
	static const uint8_t any[16];
	uint8_t asked[4], local[4];

	if (!query->has_address)
		return true;
	if (!address_unmap(query->family, query->address, asked)) {
		if (holding->family != 6)
			return false;
		return !memcmp(holding->local, any, 16) ||
		       !memcmp(holding->local, query->address, 16);
	}
	if (holding->family == 6 && !memcmp(holding->local, any, 16))
		return !(holding->flags & WIRE_V6ONLY);
	if (!address_unmap(holding->family, holding->local, local))
		return false;
	return !memcmp(local, any, 4) || !memcmp(local, asked, 4);
}

int match_names(const struct holding *a, const struct holding *b)
{
	int order;

	if (a->netns != b->netns)
		return a->netns < b->netns ? -1 : 1;
	if (a->local_port != b->local_port)
		return a->local_port < b->local_port ? -1 : 1;
	if (a->other_port != b->other_port)
		return a->other_port < b->other_port ? -1 : 1;
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	order = memcmp(a->local, b->local, sizeof(a->local));
	return order ? order : memcmp(a->other, b->other, sizeof(a->other));
}

static int record_compare(const void *first, const void *second)
{
	const struct listing_record *a = *(const struct listing_record *const *)first;
	const struct listing_record *b = *(const struct listing_record *const *)second;

	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->fd < b->fd ? -1 : a->fd > b->fd;
}

const struct listing_record **match_sort(const struct listing_record *records, size_t count)
{
	const struct listing_record **sorted = malloc((count ? count : 1) * sizeof(*sorted));

	if (!sorted)
		return NULL;
	for (size_t i = 0; i < count; i++)
		sorted[i] = &records[i];
	qsort(sorted, count, sizeof(*sorted), record_compare);
	return sorted;
}

size_t match_same(const struct listing_record *const *records, size_t count)
{
	size_t same = 1;

	while (same < count && records[same]->inode == records[0]->inode)
		same++;
	return same;
}

int match_holding(struct holding *holding, const struct listing_record *const *records,
		  size_t count)
{
	const struct listing_record *record = records[0];
	struct holder *holder = NULL;

	*holding = (struct holding){
		.netns = record->netns,
		.uid = record->owner,
		.device = record->device,
		.flags = record->flags,
		.inode = record->inode,
		.socket = record->socket,
		.protocol = record->protocol,
		.local_port = record->local_port,
		.other_port = record->other_port,
		.family = record->family,
		.state = record->state,
	};
	memcpy(holding->local, record->local, sizeof(holding->local));
	memcpy(holding->other, record->other, sizeof(holding->other));
	if (holding->other_port == holding->local_port &&
	    !memcmp(holding->local, holding->other, sizeof(holding->local)))
		holding->flags |= WIRE_SELF_CONNECT;
	holding->holders = calloc(count, sizeof(*holding->holders));
	if (!holding->holders)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		record = records[i];
		if (holder && holder->pid == record->pid && holder->start == record->start) {
			holder->fds++;
			continue;
		}
		holder = &holding->holders[holding->holder_count++];
		holder->start = record->start;
		holder->pid = record->pid;
		holder->uid = record->uid;
		holder->fd = (int)record->fd;
		holder->fds = 1;
		memcpy(holder->comm, record->comm, strnlen(record->comm, WIRE_COMM));
	}
	return 0;
}
