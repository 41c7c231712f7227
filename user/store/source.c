/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "store/source.h"

static int database_ask(void *state, const struct history_query *query, int64_t now,
			history_visitor visitor, void *context)
{
	return history_ask(state, query, now, visitor, context);
}

static const char *database_why(const void *state)
{
	return history_why(state);
}

static void database_close(void *state)
{
	history_close(state);
}

const struct source_ops source_database = {
	.ask = database_ask,
	.why = database_why,
	.close = database_close,
};
