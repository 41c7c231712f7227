/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The history of a fleet: the same questions as of a machine's own (store/history.h), asked
 * of the table that `--sink clickhouse:` fills. Each row says which host it is of.
 */
#ifndef PORTSNOOP_FLEET_FLEET_H
#define PORTSNOOP_FLEET_FLEET_H

#include "lib/list.h"
#include "sink/spec.h"
#include "store/source.h"

#define FLEET_PATIENCE_MS 120000 /* for one answer; a question has up to five */

struct fleet_options {
	const struct sink_spec *spec;  /* of the kind clickhouse */
	const struct text_list *hosts; /* names, or patterns with * and ?; NULL: all */
	unsigned int patience_ms;      /* 0: FLEET_PATIENCE_MS */
};

/* Nothing is asked yet. What the options point at lives as long as it. 0, or negative errno
 * with `why`, for people. */
int fleet_open(const struct fleet_options *options, void **state, char *why, size_t size);

extern const struct source_ops source_fleet; /* of what fleet_open() made */

/* After an answer: a host that was asked for and is not in the table; NULL: there is none,
 * from number *next on. */
const char *fleet_host_missing(const void *state, size_t *next);

#endif
