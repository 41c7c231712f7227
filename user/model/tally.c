/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/tally.h"

#include <stdlib.h>
#include <string.h>

void tally_reading_free(struct tally_reading *reading)
{
	for (size_t i = 0; i < reading->cgroup_count; i++)
		free(reading->cgroups[i].path);
	free(reading->rows);
	free(reading->places);
	free(reading->errors);
	free(reading->processes);
	free(reading->cgroups);
	*reading = (struct tally_reading){0};
}

static int row_compare(const void *left, const void *right)
{
	const struct tally_row *a = left, *b = right;

	return memcmp(&a->key, &b->key, sizeof(a->key));
}

static int process_compare(const void *left, const void *right)
{
	const struct tally_process_row *a = left, *b = right;

	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return (a->start > b->start) - (a->start < b->start);
}

static int cgroup_compare(const void *left, const void *right)
{
	const struct tally_cgroup_row *a = left, *b = right;

	return (a->id > b->id) - (a->id < b->id);
}

/* qsort() and bsearch() must not be given NULL, which is what no rows are. */
#define SORT(array, count, compare)                                                                \
	({                                                                                         \
		if (count)                                                                         \
			qsort(array, count, sizeof(*(array)), compare);                            \
	})
#define FIND(key, array, count, compare)                                                           \
	((count) ? bsearch(key, array, count, sizeof(*(array)), compare) : NULL)

void tally_reading_sort(struct tally_reading *reading)
{
	SORT(reading->rows, reading->row_count, row_compare);
	SORT(reading->processes, reading->process_count, process_compare);
	SORT(reading->cgroups, reading->cgroup_count, cgroup_compare);
}

const struct tally_row *tally_row_find(const struct tally_reading *reading,
				       const struct tally_key *key)
{
	const struct tally_row wanted = {.key = *key};

	return FIND(&wanted, reading->rows, reading->row_count, row_compare);
}

const struct tally_process_row *tally_process_find(const struct tally_reading *reading,
						   uint64_t start, uint32_t pid)
{
	const struct tally_process_row wanted = {.start = start, .pid = pid};

	return FIND(&wanted, reading->processes, reading->process_count, process_compare);
}

const struct tally_cgroup_row *tally_cgroup_find(const struct tally_reading *reading, uint64_t id)
{
	const struct tally_cgroup_row wanted = {.id = id};

	return FIND(&wanted, reading->cgroups, reading->cgroup_count, cgroup_compare);
}

const char *tally_comm(const struct tally_reading *reading, uint64_t start, uint32_t pid)
{
	const struct tally_process_row *found = tally_process_find(reading, start, pid);

	return found ? found->comm : NULL;
}

const char *tally_cgroup(const struct tally_reading *reading, uint64_t id)
{
	const struct tally_cgroup_row *found = tally_cgroup_find(reading, id);

	return found ? found->path : NULL;
}

void tally_add(struct tally_counts *a, const struct tally_counts *b)
{
	a->claims += b->claims;
	a->failures += b->failures;
	a->connect_failures += b->connect_failures;
	a->closed += b->closed;
	a->held += b->held;
	a->time_waits += b->time_waits;
	a->time_waits_over += b->time_waits_over;
}

void tally_subtract(struct tally_counts *a, const struct tally_counts *b)
{
	a->claims -= b->claims;
	a->failures -= b->failures;
	a->connect_failures -= b->connect_failures;
	a->closed -= b->closed;
	a->held -= b->held;
	a->time_waits -= b->time_waits;
	a->time_waits_over -= b->time_waits_over;
}

uint64_t tally_held(const struct tally_counts *counts)
{
	return counts->claims - (counts->closed - counts->time_waits) - counts->time_waits_over;
}
