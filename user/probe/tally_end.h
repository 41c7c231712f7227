/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rows of the tally that nobody will count in any more: found, and taken out of the
 * kernel's maps to make room. What they counted has been read before.
 */
#ifndef PORTSNOOP_TALLY_END_H
#define PORTSNOOP_TALLY_END_H

#include "model/tally.h"

struct bpf_map;

/* The maps; those of the object that is loaded. */
struct tally_maps {
	const struct bpf_map *claims, *places, *errors, *names, *cgroups;
};

/* What is remembered from one reading to the next. */
struct tally_ends;

struct tally_ends *tally_ends_new(const struct tally_maps *maps); /* NULL: out of memory */
void tally_ends_free(struct tally_ends *ends);

/* Marks the rows as `last` and takes them out. The reading is whole and in order.
 * Running out of memory only means that rows stay. */
void tally_ends_find(struct tally_ends *ends, struct tally_reading *reading);

#endif
