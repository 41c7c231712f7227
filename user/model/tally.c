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

static int process_compare(const void *key, const void *element)
{
	const struct tally_process_row *a = key, *b = element;

	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return (a->start > b->start) - (a->start < b->start);
}

static int cgroup_compare(const void *key, const void *element)
{
	const struct tally_cgroup_row *a = key, *b = element;

	return (a->id > b->id) - (a->id < b->id);
}

const char *tally_comm(const struct tally_reading *reading, uint64_t start, uint32_t pid)
{
	struct tally_process_row key = {.start = start, .pid = pid}, *found = NULL;

	if (reading->process_count)
		found = bsearch(&key, reading->processes, reading->process_count, sizeof(key),
				process_compare);
	return found ? found->comm : NULL;
}

const char *tally_cgroup(const struct tally_reading *reading, uint64_t id)
{
	struct tally_cgroup_row key = {.id = id}, *found = NULL;

	if (reading->cgroup_count)
		found = bsearch(&key, reading->cgroups, reading->cgroup_count, sizeof(key),
				cgroup_compare);
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
