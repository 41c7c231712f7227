/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Paths of cgroups as the kernel side looks for them: by component, from the leaf up,
 * all paths at once (cgroup_allowed() in bpf/filter.bpf.h). Pure.
 */
#ifndef PORTSNOOP_CGROUP_PATTERN_H
#define PORTSNOOP_CGROUP_PATTERN_H

#include <portsnoop/config.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/list.h"

#define CGROUP_COMPONENTS 64 /* bits of a mask */

struct cgroup_patterns {
	uint64_t lasts, firsts; /* see struct config */
	size_t count;
	struct cgroup_component {
		char text[CONFIG_COMPONENT]; /* NUL-padded */
		uint64_t places;
	} components[CGROUP_COMPONENTS]; /* no text twice */
};

/* False: the kernel cannot look for these, because one is the root, or they have too
 * many components. */
bool cgroup_patterns_make(struct cgroup_patterns *patterns, const struct text_list *paths);

#endif
