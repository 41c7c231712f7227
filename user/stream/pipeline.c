/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "stream/pipeline.h"

#include <stdlib.h>

#include "model/blocked.h"

struct pipeline {
	struct pipeline_options options;
	struct decoder *decoder;
	struct ledger *ledger; /* NULL: no_ledger */
	struct former_listeners *former;
	struct lease_process holder; /* of the newest release; pid 0: see struct event */
	uint64_t lingered;
	bool started;
};

static int pipeline_release(struct pipeline *pipeline, const struct wire_event *release)
{
	const struct lease *lease;
	struct lease closed;
	int error;

	pipeline->holder.key.pid = 0;
	if (release->flags & WIRE_NO_CLAIMANT) {
		lease = ledger_socket(pipeline->ledger, release->socket);
		if (lease)
			pipeline->holder = lease->holder;
	}
	error = ledger_record(pipeline->ledger, release, &closed, &pipeline->lingered);
	if (error)
		return error;
	former_listeners_add(pipeline->former, &closed);
	if (release->flags & WIRE_NO_CLAIMANT && !pipeline->holder.key.pid)
		pipeline->holder = closed.holder; /* it was in TIME_WAIT */
	return 0;
}

/* Before the record's event. */
static int pipeline_observe(void *context, const struct wire_event *record)
{
	struct pipeline *pipeline = context;

	if (record->header.type == WIRE_RELEASE)
		return pipeline_release(pipeline, record);
	return ledger_record(pipeline->ledger, record, NULL, NULL);
}

/* With what the ledger has to say of it. */
static int pipeline_event(void *context, const struct event *event)
{
	struct pipeline *pipeline = context;
	struct ledger_totals totals;
	struct event explained;
	struct blocked blocked;

	if (event->action == EVENT_START)
		pipeline->started = true;
	if (event->socket && event->socket->error && blocked_applies(event->socket)) {
		blocked_find(&blocked, pipeline->ledger, pipeline->former, event);
		explained = *event;
		explained.blocked = &blocked;
		event = &explained;
	} else if (event->action == EVENT_RELEASED &&
		   (pipeline->lingered || pipeline->holder.key.pid)) {
		explained = *event;
		explained.lingered = pipeline->lingered;
		explained.holder = pipeline->holder.key.pid ? &pipeline->holder : NULL;
		event = &explained;
	} else if (event->action == EVENT_END && pipeline->ledger) {
		ledger_totals(pipeline->ledger, &totals);
		explained = *event;
		explained.ledger = &totals;
		event = &explained;
	}
	return pipeline->options.event(pipeline->options.context, event);
}

struct pipeline *pipeline_new(const struct pipeline_options *options)
{
	struct pipeline *pipeline = calloc(1, sizeof(*pipeline));

	if (!pipeline)
		return NULL;
	pipeline->options = *options;
	pipeline->decoder =
		decoder_new(pipeline_event, options->no_ledger ? NULL : pipeline_observe, pipeline);
	if (!options->no_ledger) {
		pipeline->ledger = ledger_new(PIPELINE_LEASES);
		pipeline->former = former_listeners_new();
	}
	if (!pipeline->decoder ||
	    (!options->no_ledger && (!pipeline->ledger || !pipeline->former))) {
		pipeline_free(pipeline);
		return NULL;
	}
	if (options->watcher && pipeline->ledger)
		ledger_watch(pipeline->ledger, options->watcher);
	return pipeline;
}

void pipeline_free(struct pipeline *pipeline)
{
	if (!pipeline)
		return;
	decoder_free(pipeline->decoder);
	former_listeners_free(pipeline->former);
	ledger_free(pipeline->ledger);
	free(pipeline);
}

int pipeline_record(struct pipeline *pipeline, const void *record, size_t size, const char **why)
{
	return decoder_record(pipeline->decoder, record, size, why);
}

struct ledger *pipeline_ledger(const struct pipeline *pipeline)
{
	return pipeline->ledger;
}

const struct process *pipeline_process(const struct pipeline *pipeline,
				       const struct process_key *key)
{
	return decoder_process(pipeline->decoder, key);
}

const char *pipeline_user(const struct pipeline *pipeline, uint32_t uid)
{
	return decoder_user(pipeline->decoder, uid);
}

const struct stream *pipeline_stream(const struct pipeline *pipeline)
{
	return pipeline->started ? decoder_stream(pipeline->decoder) : NULL;
}

void pipeline_totals(const struct pipeline *pipeline, struct decoder_totals *totals)
{
	decoder_totals(pipeline->decoder, totals);
}
