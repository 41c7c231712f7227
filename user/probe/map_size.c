/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/map_size.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <portsnoop/config.h>
#include <stdint.h>

/* What a map is for. One that the stream in hand has no use for gets room for nothing. */
enum map_use {
	USE_ALWAYS,
	USE_TREE,
	USE_RECORDS, /* anything but the tally */
	USE_LINGER,
	USE_TALLY,
};

static const struct size {
	const char *name;
	enum map_use use;
	bool may_grow;
	uint32_t preallocated; /* entries, where all of the memory is taken at once */
} sizes[] = {
	{"sockets", USE_ALWAYS, true, CONFIG_SOCKETS / 4},
	{"time_waits", USE_LINGER, true, CONFIG_TIME_WAIT / 4},
	{"tree", USE_TREE, false, 0},
	{"processes", USE_RECORDS, false, 0},
	{"tally_sockets", USE_TALLY, true, CONFIG_SOCKETS / 4},
	{"tally_claims", USE_TALLY, false, 0},
	{"tally_places", USE_TALLY, false, 0},
	{"tally_errors", USE_TALLY, false, 0},
	{"tally_names", USE_TALLY, false, 0},
	{"tally_cgroups", USE_TALLY, true, CONFIG_TALLY_CGROUPS / 4},
};

/* Since 6.1 a hash map can allocate from a tracing program without harm; before,
 * the kernel warns in its log. */
static bool kernel_has_map_allocator(const struct btf *kernel)
{
	return btf__find_by_name_kind(kernel, "bpf_mem_alloc", BTF_KIND_STRUCT) > 0;
}

/*
 * A map that has a value a CPU takes its memory at once: the kernel refills what it keeps
 * for growing in a worker (mm/percpu.c, pcpu_balance_workfn()), and where that gets no CPU
 * a row finds no room however empty the map is. So many entries that it takes no more than
 * this: on up to 32 CPUs that is all of CONFIG_TALLY_ROWS; 4096 of them on 128.
 */
#define PER_CPU_BYTES (32u << 20)

static void map_fit(struct bpf_map *map, size_t cpus)
{
	uint32_t most = PER_CPU_BYTES / ((bpf_map__value_size(map) + 7) / 8 * 8 * cpus);

	if (bpf_map__max_entries(map) > most)
		bpf_map__set_max_entries(map, most ? most : 1);
}

static bool map_used(enum map_use use, const struct map_need *need)
{
	switch (use) {
	case USE_ALWAYS:
		return true;
	case USE_TREE:
		return need->tree;
	case USE_RECORDS:
		return !need->tally;
	case USE_LINGER:
		return !need->tally && need->releases && need->tier != WIRE_TIER_TRACEPOINT;
	case USE_TALLY:
		return need->tally;
	}
	return true;
}

/*
 * Memory only for what is in use, where that is safe: everywhere since 6.1, which has an
 * allocator for it; before, in programs that run where the kernel may allocate. These are
 * the fentry tier's (kernel/bpf/verifier.c, check_map_prog_compatibility(): tracing
 * programs are not among those warned of). The other tiers have to do with less then.
 */
void maps_size(struct bpf_object *object, const struct map_need *need)
{
	bool grows = kernel_has_map_allocator(need->kernel) || need->tier == WIRE_TIER_FENTRY;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		const struct size *size = &sizes[i];
		struct bpf_map *map = bpf_object__find_map_by_name(object, size->name);

		if (size->may_grow && grows)
			bpf_map__set_map_flags(map, BPF_F_NO_PREALLOC);
		else if (size->may_grow)
			bpf_map__set_max_entries(map, size->preallocated);
		if (bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_HASH)
			map_fit(map, need->cpus);
		if (!map_used(size->use, need))
			bpf_map__set_max_entries(map, 1);
	}
}
