/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/rate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "lib/order.h"
#include "model/container.h"
#include "model/message.h"
#include "model/text.h"

/* Groups of which the tally has no row any more. Beyond, the smallest are forgotten by name:
 * a machine that starts processes all day must not fill our memory. */
#define GONE_MOST 8192
#define GONE_KEPT (GONE_MOST / 4 * 3)

struct entry {
	struct rate_group group; /* first: a pointer to it is one to its entry */
	uint64_t cgroup;
	bool described; /* by its first row */
	UT_hash_handle hh;
};

/* The group of a cgroup, so that a path is looked at once. */
struct alias {
	uint64_t cgroup;
	struct entry *entry;
	bool used;
	UT_hash_handle hh;
};

struct rate {
	enum rate_by by;
	uint64_t start;
	uint64_t time; /* of the newest reading */
	uint64_t interval;
	struct entry *entries;	   /* by subject */
	struct alias *aliases;	   /* by cgroup */
	struct rate_group **order; /* as they are shown */
	size_t order_room;
	struct rate_errors errors; /* of all */
	struct rate_sum forgotten;
	size_t forgotten_count;
	struct rate_sum overflow;
	struct rate_sum total;
};

_Static_assert(offsetof(struct rate_subject, name) == 48,
	       "a subject without padding can be hashed as bytes");

const char *rate_by_name(enum rate_by by)
{
	static const char *const names[RATE_BYS] = {
		[RATE_PROCESS] = "process",
		[RATE_COMM] = "comm",
		[RATE_UNIT] = "unit",
		[RATE_CONTAINER] = "container",
		[RATE_USER] = "user",
		[RATE_DESTINATION] = "destination",
		[RATE_PORT_CLASS] = "port-class",
		[RATE_NETNS] = "netns",
	};

	return by < RATE_BYS ? names[by] : NULL;
}

/* ---- what a row is about ---- */

static void name_copy(struct rate_subject *subject, const char *name)
{
	memcpy(subject->name, name, strnlen(name, sizeof(subject->name) - 1));
}

static bool container_of_cgroup(const struct tally_reading *reading, uint64_t cgroup,
				struct container *container)
{
	const char *path = tally_cgroup(reading, cgroup);

	*container = (struct container){0};
	if (path)
		container_parse(container, path, strlen(path));
	return path != NULL;
}

static void subject_place(struct rate_subject *subject, enum rate_by by, bool known,
			  const struct container *container)
{
	const char *name = by == RATE_UNIT ? container->unit : container->id;

	/* A container can be known by its runtime alone. */
	if (!known)
		subject->kind = RATE_UNKNOWN;
	else if (!*name && (by == RATE_UNIT || !*container->runtime))
		subject->kind = RATE_NONE;
	else
		name_copy(subject, *name ? name : container->runtime);
}

static void subject_of_key(struct rate_subject *subject, enum rate_by by,
			   const struct tally_key *key)
{
	switch (by) {
	case RATE_PROCESS:
		subject->start = key->start;
		subject->pid = key->pid;
		subject->kind = key->pid ? RATE_KNOWN : RATE_UNKNOWN;
		break;
	case RATE_USER:
		subject->number = key->uid;
		break;
	case RATE_NETNS:
		subject->number = key->netns;
		break;
	case RATE_PORT_CLASS:
		subject->class = key->class;
		subject->origin = key->origin;
		break;
	default:
		break;
	}
}

static void subject_of_place(struct rate_subject *subject, const struct tally_place *place)
{
	const uint8_t *address = place->other;
	uint8_t family = place->family;

	subject->protocol = place->protocol;
	if (!place->other_port) {
		subject->kind = RATE_NONE;
		subject->trigger = place->trigger;
		return;
	}
	address = event_packet_address(address, &family);
	subject->port = place->other_port;
	subject->family = family;
	memcpy(subject->address, address, family == 4 ? 4 : sizeof(subject->address));
}

/* Not known: no process at all, or its name found no room. */
static void subject_comm(struct rate_subject *subject, const char *comm)
{
	if (!comm)
		subject->kind = RATE_UNKNOWN;
	else if (!*comm)
		subject->kind = RATE_NONE;
	else
		name_copy(subject, comm);
}

/* ---- groups ---- */

static size_t subject_size(const struct rate_subject *subject)
{
	return offsetof(struct rate_subject, name) + strlen(subject->name);
}

/* NULL without memory. */
static struct entry *entry_get(struct rate *rate, const struct rate_subject *subject)
{
	struct entry *entry;

	HASH_FIND(hh, rate->entries, subject, subject_size(subject), entry);
	if (entry)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->group.subject = *subject;
	HASH_ADD_KEYPTR(hh, rate->entries, &entry->group.subject, subject_size(subject), entry);
	if (entry->hh.tbl)
		return entry;
	free(entry);
	return NULL;
}

static void entry_free(struct rate *rate, struct entry *entry)
{
	HASH_DEL(rate->entries, entry);
	free(entry->group.errors.list);
	free(entry);
}

/* The group of units and containers that a cgroup belongs to. */
static struct entry *entry_of_cgroup(struct rate *rate, const struct tally_reading *reading,
				     uint64_t cgroup)
{
	struct rate_subject subject = {0};
	struct container container;
	struct alias *alias;

	HASH_FIND(hh, rate->aliases, &cgroup, sizeof(cgroup), alias);
	if (alias) {
		alias->used = true;
		return alias->entry;
	}
	subject_place(&subject, rate->by, container_of_cgroup(reading, cgroup, &container),
		      &container);
	alias = calloc(1, sizeof(*alias));
	if (!alias)
		return NULL;
	*alias = (struct alias){.cgroup = cgroup, .used = true};
	alias->entry = entry_get(rate, &subject);
	if (alias->entry)
		HASH_ADD(hh, rate->aliases, cgroup, sizeof(cgroup), alias);
	if (!alias->entry || !alias->hh.tbl) {
		free(alias);
		return NULL;
	}
	if (!alias->entry->described)
		alias->entry->group.container = container;
	return alias->entry;
}

static struct entry *entry_of_key(struct rate *rate, const struct tally_reading *reading,
				  const struct tally_key *key)
{
	struct rate_subject subject = {0};
	struct entry *entry;
	const char *comm = NULL;

	if (rate->by == RATE_UNIT || rate->by == RATE_CONTAINER)
		return entry_of_cgroup(rate, reading, key->cgroup);
	if (rate->by == RATE_COMM)
		subject_comm(&subject, tally_comm(reading, key->start, key->pid));
	else
		subject_of_key(&subject, rate->by, key);
	entry = entry_get(rate, &subject);
	if (!entry || rate->by != RATE_PROCESS)
		return entry;
	if (!*entry->group.comm)
		comm = tally_comm(reading, key->start, key->pid);
	if (comm)
		memcpy(entry->group.comm, comm, strnlen(comm, sizeof(entry->group.comm) - 1));
	if (!entry->described)
		container_of_cgroup(reading, key->cgroup, &entry->group.container);
	return entry;
}

/* ---- a reading ---- */

static void entry_describe(struct entry *entry, const struct tally_key *key)
{
	struct rate_group *group = &entry->group;

	if (!entry->described) {
		entry->described = true;
		entry->cgroup = key->cgroup;
		group->uid = key->uid;
		group->netns = key->netns;
	}
	if (entry->cgroup != key->cgroup)
		group->mixed |= RATE_MIXED_CGROUP;
	if (group->uid != key->uid)
		group->mixed |= RATE_MIXED_USER;
	if (group->netns != key->netns)
		group->mixed |= RATE_MIXED_NETNS;
}

static void group_count(struct rate_group *group, const struct rate_counts *counts, bool last)
{
	rate_counts_add(&group->sum.now, counts);
	if (last)
		rate_counts_add(&group->gone, counts);
	else
		group->live = true;
}

static int rows_take(struct rate *rate, const struct tally_reading *reading)
{
	for (size_t i = 0; i < reading->row_count; i++) {
		const struct tally_row *row = &reading->rows[i];
		struct rate_counts counts = rate_counts_of(&row->counts, row->key.origin);
		struct entry *entry = entry_of_key(rate, reading, &row->key);

		if (!entry)
			return -ENOMEM;
		entry_describe(entry, &row->key);
		group_count(&entry->group, &counts, row->last);
	}
	return 0;
}

static void entry_describe_place(struct entry *entry, const struct tally_place *place)
{
	struct rate_group *group = &entry->group;
	uint8_t family = place->family;
	const uint8_t *source = event_packet_address(place->local, &family);
	const size_t length = family == 4 ? 4 : sizeof(group->source);

	if (!entry->described) {
		entry->described = true;
		group->netns = place->netns;
		group->pool_low = place->pool_low;
		group->pool_high = place->pool_high;
	}
	if (group->netns != place->netns)
		group->mixed |= RATE_MIXED_NETNS;
	if (group->pool_low != place->pool_low || group->pool_high != place->pool_high)
		group->mixed |= RATE_MIXED_POOL;
	/* Any, or not known: no reason to say that there are several. */
	if (address_wildcard(place->local, place->family))
		return;
	if (!group->source_family) {
		group->source_family = family;
		memcpy(group->source, source, length);
	}
	if (group->source_family != family || memcmp(group->source, source, length) != 0)
		group->mixed |= RATE_MIXED_SOURCE;
}

static int places_take(struct rate *rate, const struct tally_reading *reading)
{
	for (size_t i = 0; i < reading->place_count; i++) {
		const struct tally_place_row *row = &reading->places[i];
		struct rate_counts counts = rate_counts_of(&row->counts, WIRE_ORIGIN_KERNEL);
		struct rate_subject subject = {0};
		struct entry *entry;

		subject_of_place(&subject, &row->place);
		entry = entry_get(rate, &subject);
		if (!entry)
			return -ENOMEM;
		entry_describe_place(entry, &row->place);
		group_count(&entry->group, &counts, row->last);
	}
	return 0;
}

/* A claim counted by its place: not one that failed for another reason than want of a port. */
static bool error_is_of_place(const struct tally_error *error)
{
	if (error->key.origin != WIRE_ORIGIN_KERNEL)
		return false;
	return error->outcome || error->error == EADDRINUSE || error->error == EAGAIN ||
	       (error->error == EADDRNOTAVAIL && error->key.trigger != WIRE_BIND);
}

static int error_rows_take(struct rate *rate, const struct tally_reading *reading)
{
	const bool places = rate->by == RATE_DESTINATION;

	for (size_t i = 0; i < reading->error_count; i++) {
		const struct tally_error_row *row = &reading->errors[i];
		const struct tally_key *key = &row->error.key;
		struct entry *entry;

		if (places && !error_is_of_place(&row->error))
			continue;
		if (rate_errors_take(&rate->errors, row))
			return -ENOMEM;
		if (places)
			continue;
		entry = entry_of_key(rate, reading, key);
		if (!entry || rate_errors_take(&entry->group.errors, row))
			return -ENOMEM;
		/* It may be the only thing that is known of the key. */
		entry_describe(entry, key);
		entry->group.live |= !row->last;
	}
	return 0;
}

static void rate_begin(struct rate *rate)
{
	struct entry *entry;
	struct alias *alias;

	for (entry = rate->entries; entry; entry = entry->hh.next) {
		struct rate_group *group = &entry->group;

		group->sum.before = group->sum.now;
		group->sum.now = group->gone;
		group->live = false;
		rate_errors_begin(&group->errors);
	}
	for (alias = rate->aliases; alias; alias = alias->hh.next)
		alias->used = false;
	rate_errors_begin(&rate->errors);
	rate->forgotten.before = rate->forgotten.now;
	rate->overflow.before = rate->overflow.now;
}

static void aliases_drop(struct rate *rate)
{
	struct alias *alias, *next;

	HASH_ITER (hh, rate->aliases, alias, next) {
		if (alias->used && alias->entry->group.live)
			continue; /* the others may be forgotten */
		HASH_DEL(rate->aliases, alias);
		free(alias);
	}
}

static void history_add(struct rate *rate, struct rate_group *group)
{
	const struct rate_counts interval = rate_interval(&group->sum);

	memmove(group->history, group->history + 1, sizeof(group->history) - sizeof(float));
	group->history[RATE_HISTORY - 1] =
		(float)((double)rate_attempts(&interval) * 1e9 / (double)rate->interval);
}

/* ---- order ---- */

/* The most first. */
static int total_compare(const void *first, const void *second)
{
	const struct rate_group *a = *(struct rate_group *const *)first;
	const struct rate_group *b = *(struct rate_group *const *)second;
	int order = number_compare(rate_attempts(&b->sum.now), rate_attempts(&a->sum.now));

	if (!order)
		order = number_compare(b->sum.now.connect_failures, a->sum.now.connect_failures);
	return order ? order : memcmp(&a->subject, &b->subject, sizeof(a->subject));
}

static int interval_compare(const void *first, const void *second)
{
	const struct rate_group *a = *(struct rate_group *const *)first;
	const struct rate_group *b = *(struct rate_group *const *)second;
	const struct rate_counts in_a = rate_interval(&a->sum), in_b = rate_interval(&b->sum);
	int order = number_compare(rate_attempts(&in_b), rate_attempts(&in_a));

	return order ? order : total_compare(first, second);
}

/* 0 or -ENOMEM. */
static int entries_sort(struct rate *rate)
{
	const size_t count = HASH_COUNT(rate->entries);
	struct rate_group **grown;
	struct entry *entry;
	size_t i = 0;

	if (count > rate->order_room) {
		grown = reallocarray(rate->order, count * 2, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		rate->order = grown;
		rate->order_room = count * 2;
	}
	for (entry = rate->entries; entry; entry = entry->hh.next)
		rate->order[i++] = &entry->group;
	if (count)
		qsort(rate->order, count, sizeof(*rate->order), interval_compare);
	return 0;
}

/* Of the groups that are gone, those with the smallest totals. 0 or -ENOMEM. */
static int entries_forget(struct rate *rate)
{
	const size_t count = HASH_COUNT(rate->entries);
	size_t gone = 0, i = count;
	struct entry *entry;

	for (entry = rate->entries; entry; entry = entry->hh.next)
		gone += !entry->group.live;
	if (gone <= GONE_MOST)
		return 0;
	qsort(rate->order, count, sizeof(*rate->order), total_compare);
	while (i-- && gone > GONE_KEPT) {
		if (rate->order[i]->live)
			continue;
		rate_sum_add(&rate->forgotten, &rate->order[i]->sum);
		rate->forgotten_count++;
		entry_free(rate, (struct entry *)rate->order[i]);
		gone--;
	}
	return entries_sort(rate);
}

int rate_take(struct rate *rate, const struct tally_reading *reading)
{
	const bool places = rate->by == RATE_DESTINATION;
	struct entry *entry;
	int error;

	rate_begin(rate);
	rate->interval = reading->time > rate->time ? reading->time - rate->time : 1;
	rate->time = reading->time;
	rate->overflow.now =
		rate_counts_of(&reading->rest[places ? TALLY_REST_PLACES : TALLY_REST_CLAIMS],
			       places ? WIRE_ORIGIN_KERNEL : WIRE_ORIGIN_NONE);
	error = places ? places_take(rate, reading) : rows_take(rate, reading);
	if (!error)
		error = error_rows_take(rate, reading);
	if (error)
		return error;
	aliases_drop(rate);
	rate->total = rate->overflow;
	rate_sum_add(&rate->total, &rate->forgotten);
	for (entry = rate->entries; entry; entry = entry->hh.next) {
		history_add(rate, &entry->group);
		rate_sum_add(&rate->total, &entry->group.sum);
	}
	error = entries_sort(rate);
	return error ? error : entries_forget(rate);
}

struct rate_result rate_result(const struct rate *rate, size_t top)
{
	const size_t count = HASH_COUNT(rate->entries);
	struct rate_result result = {
		.by = rate->by,
		.interval = rate->interval,
		.since = rate->time > rate->start ? rate->time - rate->start : 1,
		.rows = rate->order,
		.count = count < top ? count : top,
		.rest = rate->forgotten,
		.rest_count = rate->forgotten_count + count,
		.overflow = rate->overflow,
		.total = rate->total,
		.errors = &rate->errors,
	};

	result.rest_count -= result.count;
	for (size_t i = result.count; i < count; i++)
		rate_sum_add(&result.rest, &rate->order[i]->sum);
	return result;
}

struct rate *rate_new(enum rate_by by, uint64_t time)
{
	struct rate *rate = calloc(1, sizeof(*rate));

	if (!rate)
		return NULL;
	rate->by = by;
	rate->start = rate->time = time;
	rate->interval = 1;
	return rate;
}

void rate_free(struct rate *rate)
{
	struct entry *entry, *next;
	struct alias *alias, *next_alias;

	if (!rate)
		return;
	HASH_ITER (hh, rate->entries, entry, next)
		entry_free(rate, entry);
	HASH_ITER (hh, rate->aliases, alias, next_alias) {
		HASH_DEL(rate->aliases, alias);
		free(alias);
	}
	free(rate->errors.list);
	free(rate->order);
	free(rate);
}
