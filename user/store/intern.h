/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which id something has in the database, as far as it is remembered. Bounded: what was
 * not asked for in the longest time is forgotten, half of everything at once.
 */
#ifndef PORTSNOOP_STORE_INTERN_H
#define PORTSNOOP_STORE_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct intern_entry {
	UT_hash_handle hh;
	uint32_t id;
	uint32_t era; /* see schema.c: the row is known to have this one or a later one */
	bool whole;   /* for the owner */
	char key[];
};

struct intern {
	struct intern_entry *young, *old;
	size_t bytes; /* of the young ones */
	size_t limit; /* of these; as many are old */
};

/* Owned by the table, valid until the next call of intern_add(); NULL: not known. */
struct intern_entry *intern_find(struct intern *intern, const void *key, size_t length);
/* The key must not be there yet. NULL without memory: it is just not remembered. */
struct intern_entry *intern_add(struct intern *intern, const void *key, size_t length, uint32_t id,
				uint32_t era);
void intern_clear(struct intern *intern);

#endif
