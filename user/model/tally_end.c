/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/tally_end.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* The keys of all maps fit, and no two maps share one. */
struct quiet_key {
	uint64_t map; /* enum tally_map */
	char bytes[48];
};

/*
 * A row that has nothing left to count, since when, and how it stood then. It goes when
 * a later reading finds it the same.
 *
 * No count is lost with it. Of a process that has ended nobody makes calls any more, and
 * what is left of its calls (closes, TIME_WAITs, outcomes) has come, because the counts
 * say that none of it is open; the last addition was over before the earlier reading.
 * Two cases remain. A row for connects of sockets that somebody else had bound (origin
 * NONE) has no such account: if it goes in the very moment (nanoseconds) between a
 * program's finding it and adding to it, that one is missing. The same holds for a
 * place, where anybody may come at any time: it goes only after a minute without anybody,
 * and only when places are short.
 */
struct quiet {
	struct quiet_key key;
	struct tally_counts counts;
	uint64_t since, reading;
	UT_hash_handle hh;
};

struct tally_ends {
	struct tally_world world;
	struct quiet *rows;
	uint64_t reading; /* counts them */
};

struct tally_ends *tally_ends_new(const struct tally_world *world)
{
	struct tally_ends *ends = calloc(1, sizeof(*ends));

	if (ends)
		ends->world = *world;
	return ends;
}

void tally_ends_free(struct tally_ends *ends)
{
	struct quiet *row, *next;

	if (!ends)
		return;
	HASH_ITER (hh, ends->rows, row, next) {
		HASH_DEL(ends->rows, row);
		free(row);
	}
	free(ends);
}

static bool process_ended(const struct tally_ends *ends, uint32_t pid)
{
	const struct tally_world *world = &ends->world;

	return world->sees_processes && pid && world->ended(world->context, pid);
}

static bool map_is_short(const struct tally_ends *ends, enum tally_map map, size_t rows)
{
	return rows > ends->world.room[map] / 2;
}

static bool map_remove(const struct tally_ends *ends, enum tally_map map, const void *key)
{
	return ends->world.remove(ends->world.context, map, key);
}

/* NULL: out of memory. */
static struct quiet *quiet_get(struct tally_ends *ends, const struct quiet_key *key,
			       const struct tally_counts *counts, uint64_t now)
{
	struct quiet *row;

	HASH_FIND(hh, ends->rows, key, sizeof(*key), row);
	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	row->key = *key;
	row->counts = *counts;
	row->since = now;
	HASH_ADD(hh, ends->rows, key, sizeof(row->key), row);
	if (!row->hh.tbl) {
		free(row);
		return NULL;
	}
	return row;
}

/* For how long the row has been the same, in all readings since; 0: since this one. */
static uint64_t quiet_for(struct tally_ends *ends, enum tally_map map, const void *bytes,
			  size_t size, const struct tally_counts *counts, uint64_t now)
{
	struct quiet_key key = {.map = map};
	struct quiet *row;

	memcpy(key.bytes, bytes, size);
	row = quiet_get(ends, &key, counts, now);
	if (!row)
		return 0;
	if (memcmp(&row->counts, counts, sizeof(*counts)) != 0) {
		row->counts = *counts;
		row->since = now;
	}
	row->reading = ends->reading;
	return now - row->since;
}

/* What this reading did not find quiet: counted in again, or gone. */
static void quiet_sweep(struct tally_ends *ends)
{
	struct quiet *row, *next;

	HASH_ITER (hh, ends->rows, row, next) {
		if (row->reading == ends->reading)
			continue;
		HASH_DEL(ends->rows, row);
		free(row);
	}
}

/* Nothing that was claimed is held, but perhaps for TIME_WAIT whose end is not seen. */
static bool counts_are_even(const struct tally_counts *counts, bool estimated)
{
	return counts->claims == counts->closed &&
	       (estimated || counts->time_waits == counts->time_waits_over);
}

static bool lingers(const struct tally_counts *counts)
{
	return counts->time_waits != counts->time_waits_over;
}

static void claims_end(struct tally_ends *ends, struct tally_reading *reading)
{
	bool is_short = map_is_short(ends, TALLY_MAP_CLAIMS, reading->row_count);

	for (size_t i = 0; i < reading->row_count; i++) {
		struct tally_row *row = &reading->rows[i];
		bool ended;
		uint64_t quiet;

		if (!counts_are_even(&row->counts, reading->estimated))
			continue;
		ended = process_ended(ends, row->key.pid);
		if (!ended && (ends->world.sees_processes || !is_short))
			continue;
		quiet = quiet_for(ends, TALLY_MAP_CLAIMS, &row->key, sizeof(row->key), &row->counts,
				  reading->time);
		if (quiet && (quiet > TALLY_QUIET_NS || (ended && !lingers(&row->counts))))
			row->last = map_remove(ends, TALLY_MAP_CLAIMS, &row->key);
	}
}

static void places_end(struct tally_ends *ends, struct tally_reading *reading)
{
	bool is_short = map_is_short(ends, TALLY_MAP_PLACES, reading->place_count);

	for (size_t i = 0; i < reading->place_count; i++) {
		struct tally_place_row *row = &reading->places[i];

		if (counts_are_even(&row->counts, reading->estimated) &&
		    quiet_for(ends, TALLY_MAP_PLACES, &row->place, sizeof(row->place), &row->counts,
			      reading->time) > TALLY_QUIET_NS &&
		    is_short)
			row->last = map_remove(ends, TALLY_MAP_PLACES, &row->place);
	}
}

static bool key_is_counted(const struct tally_reading *reading, const struct tally_key *key)
{
	const struct tally_row *row = tally_row_find(reading, key);

	return row && !row->last;
}

static void errors_end(struct tally_ends *ends, struct tally_reading *reading)
{
	bool is_short = map_is_short(ends, TALLY_MAP_ERRORS, reading->error_count);

	for (size_t i = 0; i < reading->error_count; i++) {
		struct tally_error_row *row = &reading->errors[i];
		const struct tally_counts counts = {.failures = row->count};
		bool ended = process_ended(ends, row->error.key.pid);
		uint64_t quiet;

		if (!ended && (ends->world.sees_processes || !is_short))
			continue;
		quiet = quiet_for(ends, TALLY_MAP_ERRORS, &row->error, sizeof(row->error), &counts,
				  reading->time);
		if (quiet && (ended || quiet > TALLY_QUIET_NS) &&
		    !key_is_counted(reading, &row->error.key))
			row->last = map_remove(ends, TALLY_MAP_ERRORS, &row->error);
	}
}

/* Which of the processes and cgroups are in a row that stays. */
struct named {
	bool *processes, *cgroups;
};

static void key_name(const struct tally_reading *reading, const struct tally_key *key,
		     const struct named *named)
{
	const struct tally_process_row *process = tally_process_find(reading, key->start, key->pid);
	const struct tally_cgroup_row *cgroup = tally_cgroup_find(reading, key->cgroup);

	if (process)
		named->processes[process - reading->processes] = true;
	if (cgroup)
		named->cgroups[cgroup - reading->cgroups] = true;
}

/*
 * A name is written with its first row only. So it must not go while its process may
 * still make calls, nor a path while it is not sure that its cgroup has none: a path goes
 * when they are short, after a minute without a row. A row that comes at that very moment
 * has no path then.
 */
static void names_end(struct tally_ends *ends, const struct tally_reading *reading,
		      const struct named *named)
{
	bool names_short = map_is_short(ends, TALLY_MAP_NAMES, reading->process_count);
	bool paths_short = map_is_short(ends, TALLY_MAP_CGROUPS, reading->cgroup_count);
	const struct tally_counts none = {0};

	for (size_t i = 0; i < reading->process_count; i++) {
		const struct tally_process_row *row = &reading->processes[i];
		const struct tally_process key = {.start = row->start, .pid = row->pid};
		bool ended = !named->processes[i] && process_ended(ends, row->pid);
		uint64_t quiet;

		if (named->processes[i] || (!ended && (ends->world.sees_processes || !names_short)))
			continue;
		/* The row may have come after the rows were read, and its end, too. */
		quiet = quiet_for(ends, TALLY_MAP_NAMES, &key, sizeof(key), &none, reading->time);
		if (quiet && (ended || quiet > TALLY_QUIET_NS))
			map_remove(ends, TALLY_MAP_NAMES, &key);
	}
	for (size_t i = 0; i < reading->cgroup_count; i++) {
		const uint64_t *id = &reading->cgroups[i].id;

		if (!named->cgroups[i] && paths_short &&
		    quiet_for(ends, TALLY_MAP_CGROUPS, id, sizeof(*id), &none, reading->time) >
			    TALLY_QUIET_NS)
			map_remove(ends, TALLY_MAP_CGROUPS, id);
	}
}

void tally_ends_find(struct tally_ends *ends, struct tally_reading *reading)
{
	struct named named = {calloc(reading->process_count + 1, 1),
			      calloc(reading->cgroup_count + 1, 1)};

	ends->reading++;
	claims_end(ends, reading);
	places_end(ends, reading);
	errors_end(ends, reading);
	if (named.processes && named.cgroups) {
		for (size_t i = 0; i < reading->row_count; i++)
			if (!reading->rows[i].last)
				key_name(reading, &reading->rows[i].key, &named);
		for (size_t i = 0; i < reading->error_count; i++)
			if (!reading->errors[i].last)
				key_name(reading, &reading->errors[i].error.key, &named);
		names_end(ends, reading, &named);
	}
	free(named.processes);
	free(named.cgroups);
	quiet_sweep(ends);
}
