/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pure chain behind every stream, live or not: record -> decoder -> ledger -> what the
 * ledger has to say of the event. What comes out depends on the records alone.
 */
#ifndef PORTSNOOP_PIPELINE_H
#define PORTSNOOP_PIPELINE_H

#include "model/decode.h"
#include "model/ledger.h"

struct pipeline;

/* Room of the ledger: what is beyond is forgotten, and counted. */
#define PIPELINE_LEASES 262144

struct pipeline_options {
	bool no_ledger;
	decoder_handler event; /* with `blocked`, `holder`, `lingered` and `ledger` filled in */
	void *context;
	const struct lease_watcher *watcher; /* NULL: none; see ledger_watch() */
};

/* NULL without memory. */
struct pipeline *pipeline_new(const struct pipeline_options *options);
void pipeline_free(struct pipeline *pipeline);

/* As decoder_record(). */
int pipeline_record(struct pipeline *pipeline, const void *record, size_t size, const char **why);

/* What a service answers from: NULL without a ledger, and what the stream told. */
struct ledger *pipeline_ledger(const struct pipeline *pipeline);
const struct process *pipeline_process(const struct pipeline *pipeline,
				       const struct process_key *key);
const char *pipeline_user(const struct pipeline *pipeline, uint32_t uid);

/* What the stream's start said; NULL before it came. */
const struct stream *pipeline_stream(const struct pipeline *pipeline);
void pipeline_totals(const struct pipeline *pipeline, struct decoder_totals *totals);

#endif
