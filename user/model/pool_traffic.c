/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/pool_traffic.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

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
		change->place = row->place;
		change->window = change->whole = row->counts;
		if (old)
			tally_subtract(&change->window, &(*old)->counts);
	}
	free(sorted);
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

static bool place_is_of(const struct tally_place *place, const struct pool_key *key)
{
	struct pool_key of;

	if (place->netns != key->netns || !pool_place_key(place, &of) || of.way != key->way ||
	    of.protocol != key->protocol)
		return false;
	/* A port outside of the sockets' own range is none of the pool's. */
	if (key->own && (of.low > key->high || of.high < key->low))
		return false;
	if (key->way == POOL_BIND) {
		struct conflict_address asks = {key->local, 0, key->family};
		struct conflict_address has = {of.local, 0, of.family};

		return conflict_address(&asks, &has);
	}
	return of.other_port == key->other_port && of.family == key->family &&
	       !memcmp(of.other, key->other, sizeof(of.other)) &&
	       (address_any(of.local) || !memcmp(of.local, key->local, sizeof(of.local)));
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
	*traffic = (struct pool_traffic){0};
	for (size_t i = 0; i < changes->count; i++) {
		if (!place_is_of(&changes->list[i].place, key))
			continue;
		tally_add(&traffic->window, &changes->list[i].window);
		tally_add(&traffic->whole, &changes->list[i].whole);
	}
	if (changes->window)
		traffic->rate = (double)traffic->window.claims * NS / (double)changes->window;
	traffic->life = life_of(&traffic->whole, changes->whole);
	if (traffic->whole.closed)
		traffic->share = (double)traffic->whole.time_waits / (double)traffic->whole.closed;
	if (traffic->share > 1)
		traffic->share = 1;
}
