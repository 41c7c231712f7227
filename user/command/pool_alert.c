/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command/pool.h"

/* So that a pool at the threshold does not come and go with each connection. */
#define OVER 0.9

static struct pool_key *key_find(const struct pool_keys *keys, const struct pool_key *key)
{
	for (size_t i = 0; i < keys->count; i++)
		if (!memcmp(&keys->list[i], key, sizeof(*key)))
			return &keys->list[i];
	return NULL;
}

static int key_add(struct pool_keys *keys, const struct pool_key *key)
{
	struct pool_key *list = reallocarray(keys->list, keys->count + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	keys->list = list;
	list[keys->count++] = *key;
	return 0;
}

static void key_remove(struct pool_keys *keys, struct pool_key *key)
{
	*key = keys->list[--keys->count];
}

static int row_judge(struct pool_alerts *alerts, const struct pool_alert *alert, double threshold,
		     pool_alert_teller *tell, void *context)
{
	struct pool_alert told = *alert;
	struct pool_key *key = key_find(&alerts->keys, &alert->row->use.key);
	double share = pool_share(&alert->row->use);

	if (!key && share >= threshold) {
		tell(&told, context);
		return key_add(&alerts->keys, &alert->row->use.key);
	}
	if (key && share < threshold * OVER) {
		told.over = true;
		tell(&told, context);
		key_remove(&alerts->keys, key);
	}
	return 0;
}

int pool_alerts_find(struct pool_alerts *alerts, const struct pool_picture *picture,
		     double threshold, pool_alert_teller *tell, void *context)
{
	int error = 0;

	for (size_t i = 0; i < picture->place_count && !error; i++) {
		struct pool_alert alert = {.place = &picture->places[i]};

		for (size_t k = 0; threshold > 0 && k < alert.place->row_count && !error; k++) {
			alert.row = &alert.place->rows[k];
			error = row_judge(alerts, &alert, threshold, tell, context);
		}
		alert.row = NULL;
		for (size_t k = 0; k < alert.place->failure_count; k++) {
			alert.failure = &alert.place->failures[k];
			tell(&alert, context);
		}
	}
	return error;
}

void pool_alerts_free(struct pool_alerts *alerts)
{
	free(alerts->keys.list);
	alerts->keys = (struct pool_keys){0};
}

bool pool_is_pressed(const struct pool_picture *picture, double threshold)
{
	for (size_t i = 0; i < picture->place_count; i++) {
		const struct pool_place *place = &picture->places[i];

		if (place->failure_count)
			return true;
		for (size_t k = 0; k < place->row_count; k++)
			if (pool_share(&place->rows[k].use) >= threshold)
				return true;
	}
	return false;
}

const struct pool_row *pool_fullest(const struct pool_picture *picture,
				    const struct pool_place **place)
{
	const struct pool_row *fullest = NULL;

	for (size_t i = 0; i < picture->place_count; i++) {
		for (size_t k = 0; k < picture->places[i].row_count; k++) {
			const struct pool_row *row = &picture->places[i].rows[k];

			if (fullest && pool_share(&row->use) <= pool_share(&fullest->use))
				continue;
			fullest = row;
			*place = &picture->places[i];
		}
	}
	return fullest;
}
