/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the rows of a history come from: the database of a machine, or the table of a fleet. */
#ifndef PORTSNOOP_STORE_SOURCE_H
#define PORTSNOOP_STORE_SOURCE_H

#include "store/history.h"

struct source_ops {
	/* As history_ask(), history_why() and history_close(). */
	int (*ask)(void *state, const struct history_query *query, int64_t now,
		   history_visitor visitor, void *context);
	const char *(*why)(const void *state);
	void (*close)(void *state);
};

struct source {
	const struct source_ops *ops;
	void *state; /* NULL: it is not open */
};

static inline void source_close(struct source *source)
{
	if (source->state)
		source->ops->close(source->state);
	source->state = NULL;
}

extern const struct source_ops source_database; /* of a struct history */

#endif
