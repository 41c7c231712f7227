/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "report/keyed.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct keyed_slot {
	struct keyed_entry *entry;
	UT_hash_handle hh;
	char key[];
};

static bool entry_append(struct keyed *keyed, struct keyed_entry *entry)
{
	if (keyed->count == keyed->room) {
		uint32_t room = keyed->room ? 2 * keyed->room : 64;
		struct keyed_entry **entries = realloc(keyed->entries, room * sizeof(*entries));

		if (!entries)
			return false;
		keyed->entries = entries;
		keyed->room = room;
	}
	entry->index = keyed->count;
	keyed->entries[keyed->count++] = entry;
	return true;
}

int keyed_init(struct keyed *keyed, size_t size, uint32_t limit)
{
	struct keyed_entry *other = calloc(1, size);

	*keyed = (struct keyed){.size = size, .limit = limit};
	if (other && entry_append(keyed, other))
		return 0;
	free(other);
	return -ENOMEM;
}

static bool slot_add(struct keyed *keyed, struct keyed_slot *slot, size_t length)
{
	HASH_ADD(hh, keyed->table, key, length, slot);
	return slot->hh.tbl;
}

struct keyed_entry *keyed_find(struct keyed *keyed, const void *key, size_t length)
{
	struct keyed_entry *entry;
	struct keyed_slot *slot;

	HASH_FIND(hh, keyed->table, key, length, slot);
	if (slot)
		return slot->entry;
	if (keyed->count > keyed->limit)
		return keyed->entries[0];
	slot = calloc(1, sizeof(*slot) + length);
	entry = calloc(1, keyed->size);
	if (!slot || !entry || !entry_append(keyed, entry)) {
		free(slot);
		free(entry);
		return NULL;
	}
	memcpy(slot->key, key, length);
	slot->entry = entry;
	entry->key = slot->key;
	entry->length = (uint32_t)length;
	if (slot_add(keyed, slot, length))
		return entry;
	keyed->count--;
	free(slot);
	free(entry);
	return NULL;
}

void keyed_sort(struct keyed *keyed, int (*compare)(const void *one, const void *two))
{
	if (keyed->count > 2)
		qsort(keyed->entries + 1, keyed->count - 1, sizeof(*keyed->entries), compare);
	for (uint32_t i = 0; i < keyed->count; i++)
		keyed->entries[i]->index = i;
}

int keyed_compare(const struct keyed_entry *one, const struct keyed_entry *two)
{
	const uint32_t length = one->length < two->length ? one->length : two->length;
	const int order = memcmp(one->key, two->key, length);

	return order ? order : (one->length > two->length) - (one->length < two->length);
}

void keyed_free(struct keyed *keyed, void (*entry_free)(struct keyed_entry *entry))
{
	struct keyed_slot *slot, *next;

	HASH_ITER (hh, keyed->table, slot, next) {
		HASH_DEL(keyed->table, slot);
		free(slot);
	}
	for (uint32_t i = 0; i < keyed->count; i++) {
		if (entry_free)
			entry_free(keyed->entries[i]);
		free(keyed->entries[i]);
	}
	free(keyed->entries);
	*keyed = (struct keyed){0};
}
