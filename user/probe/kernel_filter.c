/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/kernel_filter.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "probe/cgroup_pattern.h"
#include "probe/iterate.h"

/* The conditions that are lists of numbers. */
struct numbers {
	enum config_filter condition;
	const struct number_list *list;
};

#define NUMBERS 4

static void numbers_of(const struct filter *filter, struct numbers numbers[NUMBERS])
{
	numbers[0] = (struct numbers){CONFIG_PIDS, filter->pids};
	numbers[1] = (struct numbers){CONFIG_UIDS, filter->uids};
	numbers[2] = (struct numbers){CONFIG_NETNS, filter->netns};
	numbers[3] = (struct numbers){CONFIG_PROTOCOLS, filter->protocols};
}

static void map_size(struct bpf_object *object, const char *name, size_t count)
{
	bpf_map__set_max_entries(bpf_object__find_map_by_name(object, name), count ? count : 1);
}

static void conditions_set(struct config *knobs, const struct filter *filter,
			   const struct cgroup_patterns *patterns)
{
	struct numbers numbers[NUMBERS];

	numbers_of(filter, numbers);
	for (size_t i = 0; i < NUMBERS; i++)
		if (numbers[i].list)
			knobs->filter |= numbers[i].condition;
	if (filter->ports)
		knobs->filter |= CONFIG_PORTS;
	if (filter->comms)
		knobs->filter |= CONFIG_COMMS;
	if (filter->failed)
		knobs->filter |= CONFIG_FAILED;
	if (filter->ephemeral)
		knobs->filter |= CONFIG_EPHEMERAL;
	if (filter->family) {
		knobs->filter |= CONFIG_FAMILY;
		knobs->family = filter->family;
	}
	if (filter->triggers) {
		knobs->filter |= CONFIG_TRIGGERS;
		knobs->triggers = filter->triggers;
	}
	if (patterns) {
		knobs->filter |= CONFIG_CGROUPS;
		knobs->cgroup_lasts = patterns->lasts;
		knobs->cgroup_firsts = patterns->firsts;
	}
}

void kernel_filter_configure(struct bpf_object *object, struct config *knobs,
			     const struct filter *filter, bool hold_back)
{
	struct cgroup_patterns patterns = {.count = 0};
	struct numbers numbers[NUMBERS];
	size_t count = 0;

	knobs->follow = filter && filter->pids;
	if (!knobs->follow)
		map_size(object, "followed", 1);
	if (!filter || !hold_back)
		return;
	conditions_set(knobs, filter,
		       filter->cgroups && cgroup_patterns_make(&patterns, filter->cgroups)
			       ? &patterns
			       : NULL);
	numbers_of(filter, numbers);
	for (size_t i = 0; i < NUMBERS; i++)
		if (numbers[i].list)
			count += numbers[i].list->count;
	map_size(object, "filter_numbers", count);
	map_size(object, "filter_names", filter->comms ? filter->comms->count : 0);
	map_size(object, "filter_components", patterns.count);
}

static int map_put(const struct bpf_object *object, const char *name, const void *key,
		   const void *value)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	return bpf_map__update_elem(map, key, bpf_map__key_size(map), value,
				    bpf_map__value_size(map), BPF_ANY);
}

static int numbers_put(const struct bpf_object *object, const struct config *knobs,
		       const struct filter *filter)
{
	struct numbers numbers[NUMBERS];
	uint8_t any = 1;

	numbers_of(filter, numbers);
	for (size_t i = 0; i < NUMBERS; i++) {
		if (!(knobs->filter & numbers[i].condition))
			continue;
		for (size_t n = 0; n < numbers[i].list->count; n++) {
			uint64_t number = numbers[i].list->numbers[n];
			uint64_t key = CONFIG_NUMBER(numbers[i].condition, number);
			int error;

			if (number > UINT32_MAX)
				continue; /* nothing has such a number */
			error = map_put(object, "filter_numbers", &key, &any);
			if (error)
				return error;
		}
	}
	return 0;
}

static int names_put(const struct bpf_object *object, const struct text_list *names)
{
	uint8_t any = 1;

	for (size_t i = 0; i < names->count; i++) {
		char key[WIRE_COMM] = {0};
		int error;

		memcpy(key, names->texts[i], strnlen(names->texts[i], WIRE_COMM - 1));
		error = map_put(object, "filter_names", key, &any);
		if (error)
			return error;
	}
	return 0;
}

static int components_put(const struct bpf_object *object, const struct text_list *paths)
{
	struct cgroup_patterns patterns;
	int error = 0;

	cgroup_patterns_make(&patterns, paths);
	for (size_t i = 0; !error && i < patterns.count; i++)
		error = map_put(object, "filter_components", patterns.components[i].text,
				&patterns.components[i].places);
	return error;
}

static int roots_put(const struct bpf_object *object, const struct number_list *pids)
{
	for (size_t i = 0; i < pids->count; i++) {
		uint32_t pid = pids->numbers[i];
		struct config_followed root = {.root = pid};
		int error = map_put(object, "followed", &pid, &root);

		if (error)
			return error;
	}
	return 0;
}

int kernel_filter_fill(const struct bpf_object *object, const struct config *knobs,
		       const struct filter *filter)
{
	uint32_t first = 0;
	int error = 0;

	if (!filter)
		return 0;
	if (knobs->follow)
		error = roots_put(object, filter->pids);
	if (!error)
		error = numbers_put(object, knobs, filter);
	if (!error && knobs->filter & CONFIG_PORTS)
		error = map_put(object, "filter_ports", &first, filter->ports);
	if (!error && knobs->filter & CONFIG_COMMS)
		error = names_put(object, filter->comms);
	if (!error && knobs->filter & CONFIG_CGROUPS)
		error = components_put(object, filter->cgroups);
	return error;
}

int kernel_filter_follow(const struct bpf_object *object)
{
	const struct bpf_program *program =
		bpf_object__find_program_by_name(object, "snapshot_followed");
	ssize_t found;

	do
		found = program_iterate(program);
	while (found > 0);
	return (int)found;
}
