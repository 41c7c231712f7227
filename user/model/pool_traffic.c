/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/pool_traffic.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/order.h"
#include "model/conflict.h"

#define NS 1e9

static int place_compare(const void *first, const void *second)
{
	const struct tally_place_row *const *a = first, *const *b = second;

	return memcmp(&(*a)->place, &(*b)->place, sizeof(struct tally_place));
}

static const struct tally_place_row **places_sort(const struct tally_reading *reading)
{
	const struct tally_place_row **sorted =
		malloc((reading->place_count + 1) * sizeof(const struct tally_place_row *));

	if (!sorted)
		return NULL;
	for (size_t i = 0; i < reading->place_count; i++)
		sorted[i] = &reading->places[i];
	qsort(sorted, reading->place_count, sizeof(const struct tally_place_row *), place_compare);
	return sorted;
}

/* Pools of one destination, from wherever, are alike. */
static int target_compare(const struct pool_key *a, const struct pool_key *b)
{
	int order = number_compare(a->netns, b->netns);

	if (!order)
		order = number_compare(a->protocol, b->protocol);
	if (!order)
		order = number_compare(a->way, b->way);
	if (!order)
		order = number_compare(a->other_port, b->other_port);
	if (!order)
		order = number_compare(a->family, b->family);
	return order ? order : memcmp(a->other, b->other, sizeof(a->other));
}

static int change_compare(const void *first, const void *second)
{
	const struct pool_change *a = first, *b = second;

	return target_compare(&a->key, &b->key);
}

int pool_changes_make(struct pool_changes *changes, const struct tally_reading *before,
		      const struct tally_reading *now, uint64_t began)
{
	static const struct tally_reading nothing;
	const struct tally_place_row **sorted = places_sort(before ? before : &nothing);
	size_t count = before ? before->place_count : 0;

	*changes = (struct pool_changes){
		.window = now->time - (before ? before->time : began),
		.whole = now->time - began,
		.list = malloc((now->place_count + 1) * sizeof(*changes->list)),
	};
	if (!sorted || !changes->list) {
		free(sorted);
		pool_changes_free(changes);
		return -ENOMEM;
	}
	for (size_t i = 0; i < now->place_count; i++) {
		const struct tally_place_row *row = &now->places[i], **old;
		struct pool_change *change = &changes->list[changes->count++];

		old = bsearch(&row, sorted, count, sizeof(const struct tally_place_row *),
			      place_compare);
		if (!pool_place_key(&row->place, &change->key))
			change->key.protocol = 0;
		change->window = change->whole = row->counts;
		if (old)
			tally_subtract(&change->window, &(*old)->counts);
	}
	free(sorted);
	qsort(changes->list, changes->count, sizeof(*changes->list), change_compare);
	return 0;
}

void pool_changes_free(struct pool_changes *changes)
{
	free(changes->list);
	*changes = (struct pool_changes){0};
}

bool pool_place_key(const struct tally_place *place, struct pool_key *key)
{
	uint16_t protocol = conflict_space(place->protocol);

	*key = (struct pool_key){
		.netns = place->netns,
		.protocol = protocol,
		.low = place->pool_low,
		.high = place->pool_high,
		.way = POOL_BIND,
	};
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_UDPLITE)
		return false;
	if (protocol == IPPROTO_TCP && place->trigger != WIRE_BIND &&
	    place->trigger != WIRE_LISTEN) {
		if (!place->other_port)
			return false;
		key->way = POOL_CONNECT;
		key->other_port = place->other_port;
	}
	pool_key_addresses(key, place->family, place->local, place->other);
	return true;
}

static bool address_any(const uint8_t bytes[16])
{
	static const uint8_t zero[16];

	return !memcmp(bytes, zero, sizeof(zero));
}

enum part { NO_PART, TAKES_ONLY, WHOLE };

static enum part bind_part(const struct pool_key *of, const struct pool_key *key)
{
	struct conflict_address asks = {key->local, 0, key->family};
	struct conflict_address has = {of->local, 0, of->family};

	if (!conflict_address(&asks, &has))
		return NO_PART;
	return of->way == POOL_BIND ? WHOLE : TAKES_ONLY;
}

/* What counts of a place: a connect that fails is no failure of bind's, but one that does not
 * takes a port from bind. */
static enum part key_part(const struct pool_key *of, const struct pool_key *key)
{
	if (of->netns != key->netns || of->protocol != key->protocol)
		return NO_PART;
	/* A port outside of the sockets' own range is none of the pool's. */
	if (key->own && (of->low > key->high || of->high < key->low))
		return NO_PART;
	if (key->way == POOL_BIND)
		return bind_part(of, key);
	return address_any(of->local) || !memcmp(of->local, key->local, sizeof(of->local))
		       ? WHOLE
		       : NO_PART;
}

/* The first one that the pool may have a part in, and behind the last one. */
static size_t changes_find(const struct pool_changes *changes, const struct pool_key *key,
			   size_t *end)
{
	size_t low = 0, high = changes->count;

	*end = changes->count;
	if (key->way == POOL_BIND)
		return 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (target_compare(&changes->list[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (*end = low; *end < changes->count && !target_compare(&changes->list[*end].key, key);)
		++*end;
	return low;
}

static void counts_take(struct tally_counts *sum, const struct tally_counts *counts, enum part part)
{
	struct tally_counts taken = *counts;

	if (part == TAKES_ONLY)
		taken.failures = taken.connect_failures = 0;
	tally_add(sum, &taken);
}

/* What was given back lived so long; what is still held was taken somewhen in that time,
 * half of it ago on average, and lives on. The estimate of the mean that is most likely
 * if lives have no memory: time that was held by each give-back. */
static double life_of(const struct tally_counts *counts, uint64_t whole)
{
	double open = (double)counts->claims - (double)counts->closed;

	if (!counts->closed)
		return -1;
	return ((double)counts->held + (open > 0 ? open * (double)whole / 2 : 0)) /
	       (double)counts->closed / NS;
}

void pool_traffic_sum(const struct pool_changes *changes, const struct pool_key *key,
		      struct pool_traffic *traffic)
{
	size_t end;

	*traffic = (struct pool_traffic){0};
	for (size_t i = changes_find(changes, key, &end); i < end; i++) {
		enum part part = key_part(&changes->list[i].key, key);

		if (part == NO_PART)
			continue;
		traffic->most |= part == TAKES_ONLY;
		counts_take(&traffic->window, &changes->list[i].window, part);
		counts_take(&traffic->whole, &changes->list[i].whole, part);
	}
	if (changes->window)
		traffic->rate = (double)traffic->window.claims * NS / (double)changes->window;
	traffic->life = life_of(&traffic->whole, changes->whole);
	if (traffic->whole.closed)
		traffic->share = (double)traffic->whole.time_waits / (double)traffic->whole.closed;
	if (traffic->share > 1)
		traffic->share = 1;
}
