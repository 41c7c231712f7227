/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rows of the tally that nobody will count in any more: found, and taken out of the
 * kernel's maps to make room. What they counted has been read before.
 */
#ifndef PORTSNOOP_MODEL_TALLY_END_H
#define PORTSNOOP_MODEL_TALLY_END_H

#include "model/tally.h"

/* How long nobody must have come to a place: longer than TIME_WAIT (60 s,
 * include/net/tcp.h: TCP_TIMEWAIT_LEN). */
#define TALLY_QUIET_NS 61000000000ULL

/* The maps that rows are taken out of; their keys are those of <portsnoop/tally.h>. */
enum tally_map {
	TALLY_MAP_CLAIMS,
	TALLY_MAP_PLACES,
	TALLY_MAP_ERRORS,
	TALLY_MAP_NAMES,
	TALLY_MAP_CGROUPS,
	TALLY_MAPS
};

/* What the kernel is asked, and told. */
struct tally_world {
	size_t room[TALLY_MAPS]; /* rows that each map has room for */
	bool sees_processes;	 /* else `ended` is not asked */
	bool (*ended)(void *context, uint32_t pid);
	bool (*remove)(void *context, enum tally_map map, const void *key); /* false: it stays */
	void *context;
};

/* What is remembered from one reading to the next. */
struct tally_ends;

struct tally_ends *tally_ends_new(const struct tally_world *world); /* NULL: out of memory */
void tally_ends_free(struct tally_ends *ends);

/* Marks the rows as `last` and takes them out. The reading is whole and in order.
 * Running out of memory only means that rows stay. */
void tally_ends_find(struct tally_ends *ends, struct tally_reading *reading);

#endif
