/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What stood in the way of a failure, out of the JSON in the fleet's table. */
#ifndef PORTSNOOP_FLEET_OBSTACLE_H
#define PORTSNOOP_FLEET_OBSTACLE_H

#include <sqlite3.h>

#include "lib/buffer.h"
#include "store/history.h"

struct obstacles {
	sqlite3 *database; /* whose parser of JSON it is */
	sqlite3_stmt *statement;
	struct buffer texts;
};

int obstacles_open(struct obstacles *obstacles); /* 0 or -ENOMEM */
void obstacles_free(struct obstacles *obstacles);

/* Fills in the blockers of `row`, whose texts are valid until the next call. What is no list
 * of them is none. 0 or -ENOMEM. */
int obstacles_read(struct obstacles *obstacles, const struct history_text *json, uint64_t total,
		   struct history_row *row);

#endif
