/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How large the programs' maps are, which is most of the memory that a trace takes. */
#ifndef PORTSNOOP_MAP_SIZE_H
#define PORTSNOOP_MAP_SIZE_H

#include <portsnoop/wire.h>
#include <stdbool.h>
#include <stddef.h>

struct bpf_object;
struct btf;

struct map_need {
	enum wire_tier tier;
	const struct btf *kernel;
	size_t cpus;
	bool tree, releases, tally; /* as in struct probe_options */
};

/* Before the object is loaded. */
void maps_size(struct bpf_object *object, const struct map_need *need);

#endif
