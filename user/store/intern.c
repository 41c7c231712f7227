/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "store/intern.h"

#include <stdlib.h>
#include <string.h>

static void entries_free(struct intern_entry **entries)
{
	struct intern_entry *entry, *next;

	HASH_ITER (hh, *entries, entry, next) {
		HASH_DEL(*entries, entry);
		free(entry);
	}
}

static size_t entry_bytes(size_t length)
{
	return sizeof(struct intern_entry) + length + 16; /* malloc's and the bucket's share */
}

static void make_room(struct intern *intern, size_t bytes)
{
	if (intern->bytes + bytes <= intern->limit || !intern->young)
		return;
	entries_free(&intern->old);
	intern->old = intern->young;
	intern->young = NULL;
	intern->bytes = 0;
}

static struct intern_entry *keep(struct intern *intern, struct intern_entry *entry, size_t length)
{
	HASH_ADD_KEYPTR(hh, intern->young, entry->key, length, entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	intern->bytes += entry_bytes(length);
	return entry;
}

struct intern_entry *intern_find(struct intern *intern, const void *key, size_t length)
{
	struct intern_entry *entry;

	HASH_FIND(hh, intern->young, key, length, entry);
	if (entry)
		return entry;
	HASH_FIND(hh, intern->old, key, length, entry);
	if (!entry)
		return NULL;
	HASH_DEL(intern->old, entry);
	make_room(intern, entry_bytes(length));
	return keep(intern, entry, length);
}

struct intern_entry *intern_add(struct intern *intern, const void *key, size_t length, uint32_t id,
				uint32_t era)
{
	struct intern_entry *entry;

	make_room(intern, entry_bytes(length));
	entry = calloc(1, sizeof(*entry) + length);
	if (!entry)
		return NULL;
	entry->id = id;
	entry->era = era;
	memcpy(entry->key, key, length);
	return keep(intern, entry, length);
}

void intern_clear(struct intern *intern)
{
	entries_free(&intern->young);
	entries_free(&intern->old);
	intern->bytes = 0;
}
