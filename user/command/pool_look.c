/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command/pool_row.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "model/pool_bucket.h"
#include "probe/bucket.h"
#include "probe/netns.h"

struct pool_look {
	struct pool_look_options options;
	struct lookup *lookup;
	struct buckets *buckets; /* NULL: refused */
	struct tally *tally;	 /* NULL: refused, or not wanted */
	struct tally_reading last;
	bool has_last;
	uint64_t began;
	bool told; /* what is not to be seen */
};

static void tally_start(struct pool_look *look)
{
	struct probe_failure failure = {0};

	look->tally = tally_open(0, &failure);
	look->began = (uint64_t)clock_ns(CLOCK_MONOTONIC);
	if (!look->tally)
		log_message("no rates and no forecast: %s", failure.text);
}

struct pool_look *pool_look_open(const struct pool_look_options *options)
{
	struct pool_look *look = calloc(1, sizeof(*look));

	if (!look)
		goto fail;
	look->options = *options;
	look->lookup = lookup_open(true);
	if (!look->lookup)
		goto fail;
	look->buckets = buckets_open();
	if (options->watch)
		tally_start(look);
	return look;
fail:
	log_error(-ENOMEM, "pool");
	pool_look_close(look);
	return NULL;
}

void pool_look_close(struct pool_look *look)
{
	if (!look)
		return;
	lookup_close(look->lookup);
	buckets_close(look->buckets);
	tally_close(look->tally);
	tally_reading_free(&look->last);
	free(look);
}

bool pool_look_watches(const struct pool_look *look)
{
	return look->tally;
}

/* ---- namespaces ---- */

static bool has_sockets(const struct holdings *holdings, uint32_t netns)
{
	size_t low = 0, high = holdings->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (holdings->list[middle].netns < netns)
			low = middle + 1;
		else
			high = middle;
	}
	return low < holdings->count && holdings->list[low].netns == netns;
}

static bool netns_wanted(const struct pool_look *look, const struct pool_picture *picture,
			 uint32_t netns)
{
	if (look->options.namespaces)
		return number_list_has(look->options.namespaces, netns);
	return has_sockets(&picture->holdings, netns);
}

/* Settings that cannot be read make no pool; of a namespace that has gone meanwhile
 * there is nothing to say. */
static int place_add(struct pool_picture *picture, const struct netns *netns, bool own)
{
	struct pool_place *place = &picture->places[picture->place_count];
	int error = 0;

	*place = (struct pool_place){.netns = netns->inode, .name = netns->name, .own = own};
	if (own)
		pool_read(&place->settings, "/proc");
	else
		error = pool_read_netns(&place->settings, netns);
	if (error == -ENOENT)
		return 0;
	if (!error)
		error = place->settings.range_error;
	if (!error)
		error = place->settings.reserved_error;
	if (error)
		return log_error(error, "the settings of network namespace %u cannot be read",
				 netns->inode);
	picture->place_count++;
	return 0;
}

/* Each that was asked for by name has to be there. */
static int places_check(const struct pool_look *look, const struct pool_picture *picture)
{
	const struct number_list *wanted = look->options.namespaces;

	for (size_t i = 0; wanted && i < wanted->count; i++) {
		size_t k = 0;

		while (k < picture->place_count && picture->places[k].netns != wanted->numbers[i])
			k++;
		if (k < picture->place_count)
			continue;
		log_message("--netns: network namespace %" PRIu64
			    " cannot be entered: no process is in it that "
			    "may be looked at, and it has no name in /run/netns",
			    wanted->numbers[i]);
		return -ENOENT;
	}
	return 0;
}

static int places_find(const struct pool_look *look, struct pool_picture *picture)
{
	struct netns own = {.inode = netns_own()};
	int error = netns_list_read(&picture->names);
	const struct netns *named;

	if (error)
		return log_error(error, "the network namespaces cannot be listed");
	picture->places = calloc(picture->names.count + 1, sizeof(*picture->places));
	if (!picture->places)
		return log_error(-ENOMEM, "pool");
	named = netns_list_find(&picture->names, own.inode);
	if (named)
		own.name = named->name;
	if (!look->options.namespaces || number_list_has(look->options.namespaces, own.inode))
		error = place_add(picture, &own, true);
	for (size_t i = 0; i < picture->names.count && !error; i++) {
		const struct netns *netns = &picture->names.list[i];

		if (netns->inode == own.inode || !netns_wanted(look, picture, netns->inode))
			continue;
		/* One that refuses does not cost the others. */
		if (place_add(picture, netns, false) && look->options.namespaces)
			error = -EPERM;
	}
	return error ? error : places_check(look, picture);
}

/* ---- sockets ---- */

struct record_list {
	struct bucket_record *list;
	size_t count;
};

static void records_free(struct record_list *records)
{
	free(records->list);
}

static int records_add(struct record_list *records, struct bucket_record *more, size_t count)
{
	struct bucket_record *list =
		realloc(records->list, (records->count + count + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	records->list = list;
	if (count)
		memcpy(list + records->count, more, count * sizeof(*more));
	records->count += count;
	return 0;
}

static int buckets_take(const struct pool_look *look, struct pool_picture *picture)
{
	CLEANUP(records_free) struct record_list records = {0};
	int error = 0;

	if (!look->buckets)
		return 0;
	for (size_t i = 0; i <= picture->place_count && !error; i++) {
		CLEANUP_FREE struct bucket_record *list = NULL;
		const struct pool_place *place = &picture->places[i];
		size_t count = 0;

		if (i == picture->place_count)
			error = buckets_read_ranges(look->buckets, &list, &count);
		else
			error = buckets_read_netns(
				look->buckets,
				place->own ? NULL : netns_list_find(&picture->names, place->netns),
				&list, &count);
		if (error == -ENOENT) /* gone meanwhile */
			error = 0;
		if (!error)
			error = records_add(&records, list, count);
	}
	if (!error)
		pool_bucket_join(&picture->holdings, records.list, records.count);
	return error ? log_error(error, "the kernel's list of ports cannot be read") : 0;
}

static int sockets_list(const struct pool_look *look, struct pool_picture *picture)
{
	struct port_set all;
	const struct number_list *namespaces = look->options.namespaces;
	struct lookup_query query = {.ports = &all};
	const char *why = NULL;
	int error;

	memset(&all, 0xff, sizeof(all));
	all.bits[0] = 0xfe; /* 0 is no port */
	if (namespaces && namespaces->count == 1)
		query.netns = (uint32_t)namespaces->numbers[0];
	error = lookup_run(look->lookup, &query, &picture->holdings, &why);
	if (error)
		log_error(error, "%s", why ? why : "cannot look for the sockets");
	return error;
}

/* ---- pools ---- */

static int kept_add(const struct pool_look *look, struct pool_place *place)
{
	const struct pool_keys *kept = look->options.kept;
	int error = 0;

	for (size_t i = 0; kept && i < kept->count && !error; i++)
		if (kept->list[i].netns == place->netns)
			error = pool_space_add(place->space, &kept->list[i]);
	return error;
}

static int keys_add(struct pool_place *place, const struct pool_changes *changes)
{
	static const uint8_t any[16];
	int error = 0;

	for (size_t i = 0; i < changes->count && !error; i++) {
		const struct pool_key *key = &changes->list[i].key;

		if (key->netns != place->netns || !key->protocol)
			continue;
		/* Where a failed one would have come from nobody knows any more. */
		if (key->way == POOL_CONNECT && !memcmp(key->local, any, sizeof(any)))
			continue;
		error = pool_space_add(place->space, key);
	}
	return error;
}

static int place_count(const struct pool_look *look, struct pool_place *place,
		       const struct pool_picture *picture, const struct pool_changes *changes)
{
	const struct pool_rules rules = {
		.netns = place->netns,
		.low = place->settings.low,
		.high = place->settings.high,
		.reserved = &place->settings.reserved,
		.reuse = place->settings.reuse,
		.reuse_delay = place->settings.reuse_delay,
	};
	struct pool_use *uses = NULL;
	size_t count = 0;
	int error;

	place->space = pool_space_new(&rules, &picture->holdings);
	if (!place->space)
		return -ENOMEM;
	error = kept_add(look, place);
	if (!error && changes)
		error = keys_add(place, changes);
	if (!error)
		error = pool_space_count(place->space, &uses, &count);
	if (!error) {
		place->rows = calloc(count + 1, sizeof(*place->rows));
		error = place->rows ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < count && !error; i++) {
		struct pool_row *row = &place->rows[place->row_count++];

		row->use = uses[i];
		error = pool_row_fill(row, place->space, changes, rules.reuse_delay);
	}
	free(uses);
	return error;
}

static int tally_take(struct pool_look *look, struct pool_picture *picture,
		      struct pool_changes *changes, struct tally_reading *now)
{
	int error = tally_read(look->tally, now);

	if (error)
		return log_error(error, "the kernel's tally cannot be read");
	error = pool_changes_make(changes, look->has_last ? &look->last : NULL, now, look->began);
	if (error)
		return log_error(error, "pool");
	picture->watched = true;
	picture->estimated = now->estimated;
	picture->window = changes->window;
	picture->missed = now->rest[TALLY_REST_PLACES].claims +
			  now->rest[TALLY_REST_PLACES].failures + now->untracked;
	return 0;
}

static int pools_count(const struct pool_look *look, struct pool_picture *picture,
		       const struct pool_changes *changes, const struct tally_reading *now)
{
	int error = 0;

	for (size_t i = 0; i < picture->place_count && !error; i++) {
		struct pool_place *place = &picture->places[i];

		error = place_count(look, place, picture, changes);
		if (!error && now)
			error = pool_failures_make(place, look->has_last ? &look->last : NULL, now);
	}
	return error ? log_error(error, "pool") : 0;
}

static void blind_tell(struct pool_look *look, const struct pool_picture *picture)
{
	if (look->told)
		return;
	look->told = true;
	for (size_t i = 0; picture->holdings.blind[i]; i++)
		log_message("not seen: %s", picture->holdings.blind[i]);
	if (!look->buckets)
		log_message("estimated: which ports connect() passes by (as root it is read)");
}

int pool_look_take(struct pool_look *look, struct pool_picture *picture)
{
	CLEANUP(pool_changes_free) struct pool_changes changes = {0};
	struct tally_reading now = {0};
	int error;

	*picture = (struct pool_picture){0};
	error = sockets_list(look, picture);
	picture->wall = clock_ns(CLOCK_REALTIME);
	if (!error)
		error = places_find(look, picture);
	if (!error)
		error = buckets_take(look, picture);
	if (!error && look->tally)
		error = tally_take(look, picture, &changes, &now);
	if (!error)
		error = pools_count(look, picture, look->tally ? &changes : NULL,
				    look->tally ? &now : NULL);
	if (!error) {
		blind_tell(look, picture);
		tally_reading_free(&look->last);
		look->last = now;
		look->has_last = look->tally;
	} else {
		tally_reading_free(&now);
		pool_picture_free(picture);
	}
	return error;
}

void pool_picture_free(struct pool_picture *picture)
{
	for (size_t i = 0; i < picture->place_count; i++) {
		struct pool_place *place = &picture->places[i];

		for (size_t k = 0; k < place->row_count; k++)
			pool_row_free(&place->rows[k]);
		free(place->rows);
		free(place->failures);
		pool_space_free(place->space);
	}
	free(picture->places);
	netns_list_free(&picture->names);
	holdings_free(&picture->holdings);
	*picture = (struct pool_picture){0};
}
