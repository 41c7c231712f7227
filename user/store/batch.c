/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "store/batch.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)256 << 10)
#define LARGE ((size_t)4 << 20)

struct batch_piece {
	struct batch_piece *next;
	size_t used, size;
	uint64_t bytes[];
};

static struct batch_piece *piece_new(size_t least)
{
	size_t size = least > PIECE ? least : PIECE;
	struct batch_piece *piece = malloc(sizeof(*piece) + size);

	if (piece) {
		piece->next = NULL;
		piece->used = 0;
		piece->size = size;
	}
	return piece;
}

void *batch_add(struct batch *batch, enum op_type type, size_t size)
{
	struct batch_piece *piece = batch->last;
	struct op *op;

	size = (size + 7) & ~(size_t)7;
	if (batch->bytes + size > batch->limit)
		return NULL;
	if (!piece || piece->size - piece->used < size) {
		piece = piece_new(size);
		if (!piece)
			return NULL;
		if (batch->last)
			batch->last->next = piece;
		else
			batch->first = piece;
		batch->last = piece;
	}
	op = (struct op *)((char *)piece->bytes + piece->used);
	memset(op, 0, size);
	op->type = type;
	op->size = size;
	piece->used += size;
	batch->bytes += size;
	return op;
}

bool batch_opened(struct batch *batch, struct op_lease *lease)
{
	if (batch->opened_count == batch->opened_room) {
		size_t room = batch->opened_room ? 2 * batch->opened_room : 256;
		struct op_lease **opened = reallocarray(batch->opened, room, sizeof(*opened));

		if (!opened)
			return false;
		batch->opened = opened;
		batch->opened_room = room;
	}
	if (!batch->opened_count)
		batch->opened_first = lease->id;
	batch->opened[batch->opened_count++] = lease;
	return true;
}

struct op_lease *batch_find_opened(const struct batch *batch, uint64_t id)
{
	/* of an id before the first one the difference is huge */
	return id - batch->opened_first < batch->opened_count
		       ? batch->opened[id - batch->opened_first]
		       : NULL;
}

void batch_take_back(struct batch *batch, struct op_lease *lease)
{
	batch->opened[lease->id - batch->opened_first] = NULL;
	lease->op.type = OP_NONE;
}

const struct op *batch_next(const struct batch *batch, struct batch_place *place)
{
	const struct op *op;

	if (!place->piece)
		place->piece = batch->first;
	while (place->piece && place->at == place->piece->used) {
		place->piece = place->piece->next;
		place->at = 0;
	}
	if (!place->piece)
		return NULL;
	op = (const struct op *)((const char *)place->piece->bytes + place->at);
	place->at += op->size;
	return op;
}

static void pieces_free(struct batch_piece *piece)
{
	while (piece) {
		struct batch_piece *next = piece->next;

		free(piece);
		piece = next;
	}
}

void batch_clear(struct batch *batch)
{
	struct batch_piece *piece = batch->first;
	bool large = batch->bytes > LARGE;

	if (piece) {
		pieces_free(piece->next);
		piece->next = NULL;
		piece->used = 0;
	}
	batch->last = piece;
	batch->bytes = 0;
	batch->entries = 0;
	batch->opened_count = 0;
	if (batch->opened_room > 4096) {
		free(batch->opened);
		batch->opened = NULL;
		batch->opened_room = 0;
	}
	/* The C library would keep it for a next burst that may be years away. */
	if (large)
		malloc_trim(0);
}

void batch_free(struct batch *batch)
{
	pieces_free(batch->first);
	free(batch->opened);
	*batch = (struct batch){0};
}
