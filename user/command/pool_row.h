/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A pool's row, from what was counted and listed. */
#ifndef PORTSNOOP_COMMAND_POOL_ROW_H
#define PORTSNOOP_COMMAND_POOL_ROW_H

#include "command/pool.h"

/* Fills in all but `use`. 0 or -ENOMEM. */
int pool_row_fill(struct pool_row *row, const struct pool_space *space,
		  const struct pool_changes *changes, uint32_t reuse_delay);
void pool_row_free(struct pool_row *row);

/* What failed in between the two readings in that namespace; `before` may be NULL. */
int pool_failures_make(struct pool_place *place, const struct tally_reading *before,
		       const struct tally_reading *now);

#endif
