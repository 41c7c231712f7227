/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bins are as wide as the value is large: 256 for each power of two. */
#include "report/sketch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BITS 8
#define FIRST 4 /* bins; most keys of a long list have few leases */

static uint32_t bin_number(uint64_t value)
{
	unsigned int power;

	if (value >> BITS == 0)
		return (uint32_t)value;
	power = 63 - (unsigned int)__builtin_clzll(value);
	return ((power - BITS + 1) << BITS) |
	       ((uint32_t)(value >> (power - BITS)) & ((1u << BITS) - 1));
}

static uint64_t bin_middle(uint32_t number)
{
	unsigned int shift;
	uint64_t low;

	if (number >> BITS == 0)
		return number;
	shift = (number >> BITS) - 1;
	low = (uint64_t)((number & ((1u << BITS) - 1)) | 1u << BITS) << shift;
	return low + (shift ? UINT64_C(1) << (shift - 1) : 0);
}

/* Where it is, or belongs. */
static uint32_t bin_place(const struct sketch *sketch, uint32_t number)
{
	uint32_t low = 0, high = sketch->used;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (sketch->bins[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int sketch_add(struct sketch *sketch, uint64_t value)
{
	const uint32_t number = bin_number(value);
	const uint32_t place = bin_place(sketch, number);

	if (place == sketch->used || sketch->bins[place].number != number) {
		if (sketch->used == sketch->room) {
			uint32_t room = sketch->room ? 2 * sketch->room : FIRST;
			struct sketch_bin *bins =
				realloc(sketch->bins, room * sizeof(*sketch->bins));

			if (!bins)
				return -ENOMEM;
			sketch->bins = bins;
			sketch->room = room;
		}
		memmove(&sketch->bins[place + 1], &sketch->bins[place],
			(sketch->used - place) * sizeof(*sketch->bins));
		sketch->bins[place] = (struct sketch_bin){.number = number};
		sketch->used++;
	}
	if (sketch->bins[place].count < UINT32_MAX)
		sketch->bins[place].count++;
	sketch->total++;
	return 0;
}

uint64_t sketch_quantile(const struct sketch *sketch, unsigned int permille)
{
	/* Nearest rank; the total is far from where this could overflow. */
	uint64_t rank = (sketch->total * permille + 999) / 1000, seen = 0;

	if (!rank)
		rank = 1;
	for (uint32_t i = 0; i < sketch->used; i++) {
		seen += sketch->bins[i].count;
		if (seen >= rank)
			return bin_middle(sketch->bins[i].number);
	}
	return 0;
}

void sketch_free(struct sketch *sketch)
{
	free(sketch->bins);
	*sketch = (struct sketch){0};
}
