/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "report/ends.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST 256

int ends_add(struct ends *ends, const struct end *end)
{
	size_t place;

	if (ends->count == ends->room) {
		size_t room = ends->room ? 2 * ends->room : FIRST;
		struct end *list = realloc(ends->list, room * sizeof(*list));

		if (!list)
			return -ENOMEM;
		ends->list = list;
		ends->room = room;
	}
	for (place = ends->count++; place; place = (place - 1) / 2) {
		const struct end *above = &ends->list[(place - 1) / 2];

		if (above->time <= end->time)
			break;
		ends->list[place] = *above;
	}
	ends->list[place] = *end;
	return 0;
}

static void sink(struct ends *ends, struct end end)
{
	size_t place = 0, below;

	while ((below = 2 * place + 1) < ends->count) {
		if (below + 1 < ends->count && ends->list[below + 1].time < ends->list[below].time)
			below++;
		if (end.time <= ends->list[below].time)
			break;
		ends->list[place] = ends->list[below];
		place = below;
	}
	ends->list[place] = end;
}

void ends_drop(struct ends *ends)
{
	if (--ends->count)
		sink(ends, ends->list[ends->count]);
}

void ends_sink(struct ends *ends)
{
	sink(ends, ends->list[0]);
}

void ends_free(struct ends *ends)
{
	free(ends->list);
	*ends = (struct ends){0};
}
