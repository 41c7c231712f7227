/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "report/identities.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIRST 1024

static uint64_t mixed(uint64_t value)
{
	value ^= value >> 32;
	value *= UINT64_C(0x9e3779b97f4a7c15);
	return value ^ value >> 29;
}

static bool is_empty(const struct identity *slot)
{
	return !slot->some;
}

static struct identity *place_find(struct identity *slots, size_t room,
				   const struct identity *identity)
{
	uint64_t hash = mixed(identity->start);
	size_t place;

	hash = mixed(hash + ((uint64_t)identity->pid << 32 | identity->exec));
	hash = mixed(hash + (identity->entry));
	for (place = hash & (room - 1);; place = (place + 1) & (room - 1))
		if (is_empty(&slots[place]) || !memcmp(&slots[place], identity, sizeof(*identity)))
			return &slots[place];
}

static bool room_double(struct identities *identities)
{
	size_t room = identities->room ? 2 * identities->room : FIRST;
	struct identity *slots = calloc(room, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < identities->room; i++)
		if (!is_empty(&identities->slots[i]))
			*place_find(slots, room, &identities->slots[i]) = identities->slots[i];
	free(identities->slots);
	identities->slots = slots;
	identities->room = room;
	return true;
}

int identities_add(struct identities *identities, const struct identity *identity)
{
	struct identity *slot;

	if (identities->count >= identities->room / 2 && identities->count < IDENTITIES_LIMIT &&
	    !room_double(identities))
		return -ENOMEM;
	slot = place_find(identities->slots, identities->room, identity);
	if (!is_empty(slot) || identities->count >= IDENTITIES_LIMIT)
		return 0;
	*slot = *identity;
	identities->count++;
	return 1;
}

void identities_free(struct identities *identities)
{
	free(identities->slots);
	*identities = (struct identities){0};
}
