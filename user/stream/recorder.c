/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "stream/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "model/blocked.h"
#include "store/tenure.h"

#define STEP_LEAST INT64_C(100000000) /* of the wall clock: less is no news */

struct entry {
	const struct lease *lease;
	struct entry *prev, *next; /* among those that have changed */
	struct tenure tenure;
	uint64_t id; /* store_lease_open(); 0: not given yet */
	uint32_t process;
	bool changed;
};

struct recorder {
	struct store *store;
	struct metrics *metrics; /* NULL: nobody asks for them */
	struct pipeline *pipeline;
	decoder_handler listener; /* NULL: none */
	void *listener_context;
	struct entry *changed;
	uint64_t generation;
	const struct wire_event *record; /* that is being taken in */
	uint64_t evicted;		 /* since the last commit, from `evicted_since` on */
	int64_t evicted_since;
	int64_t wall_offset;
	bool stuck; /* the last commit failed: the next one is the caller's */
	struct recorder_totals totals;
};

static void entry_change(struct recorder *recorder, struct entry *entry)
{
	if (entry->changed)
		return;
	entry->changed = true;
	DL_APPEND(recorder->changed, entry);
}

static void entry_settle(struct recorder *recorder, struct entry *entry)
{
	if (!entry->changed)
		return;
	entry->changed = false;
	DL_DELETE(recorder->changed, entry);
}

static uint32_t process_intern(struct recorder *recorder, const struct lease_process *process)
{
	struct store_process known = {
		.key = process->key,
		.uid = process->uid,
		.comm = process->comm,
	};
	uint32_t id;

	if (!process->key.pid)
		return 0;
	id = store_process_find(recorder->store, &known);
	if (id)
		return id;
	known.details = pipeline_process(recorder->pipeline, &process->key);
	known.user = pipeline_user(recorder->pipeline, process->uid);
	return store_process(recorder->store, &known);
}

static uint64_t stream_began(const struct recorder *recorder)
{
	return pipeline_stream(recorder->pipeline)->start.header.time;
}

static int64_t wall_time(const struct recorder *recorder, uint64_t time)
{
	return stream_wall_time(pipeline_stream(recorder->pipeline), time);
}

/* When the claim was made, or since when the lease is known of: its first record, or the
 * recording's start for what was there before. */
static uint64_t lease_began(const struct recorder *recorder, const struct lease *lease)
{
	if (lease->claimed)
		return lease->claimed;
	return lease->since ? lease->since : stream_began(recorder);
}

static void entry_fill(const struct entry *entry, struct store_lease *row)
{
	tenure_fill(&entry->tenure, entry->lease, row);
	row->process = entry->process;
}

/* ---- what the ledger tells ---- */

static void lease_opened(void *context, struct lease *lease)
{
	struct recorder *recorder = context;
	const struct wire_event *record = recorder->record;
	struct entry *entry = calloc(1, sizeof(*entry));
	uint64_t began;
	int64_t now;

	if (recorder->metrics)
		metrics_lease_opened(recorder->metrics, lease, record);
	lease->note = entry;
	if (!entry) {
		now = wall_time(recorder, record->header.time);
		store_gap(recorder->store, STORE_GAP_DROPPED, now, now, 1);
		return;
	}
	entry->lease = lease;
	began = lease_began(recorder, lease);
	tenure_open(&entry->tenure, lease, record, began, wall_time(recorder, began));
	entry->process = process_intern(recorder, tenure_owner(lease));
	entry_change(recorder, entry);
}

static void lease_changed(void *context, struct lease *lease)
{
	struct recorder *recorder = context;
	struct entry *entry = lease->note;

	if (!entry)
		return;
	tenure_change(&entry->tenure, lease, recorder->record);
	entry_change(recorder, entry);
}

static void lease_ended(void *context, struct lease *lease, enum lease_ending ending, uint64_t time)
{
	struct recorder *recorder = context;
	struct entry *entry = lease->note;
	struct store_lease row;

	if (recorder->metrics)
		metrics_lease_ended(recorder->metrics, lease, ending, time);
	if (!entry)
		return;
	entry_settle(recorder, entry);
	if (recorder->generation != store_generation(recorder->store)) {
		entry->id = 0;
		entry->process = process_intern(recorder, tenure_owner(lease));
	}
	if (!lease->share || entry->id) {
		tenure_fill_ended(&entry->tenure, lease, ending, time, &row);
		row.process = entry->process;
		store_lease_close(recorder->store, entry->id, &row);
	}
	if (ending == LEASE_EVICTED && !recorder->evicted++)
		recorder->evicted_since = wall_time(recorder, time);
	free(entry);
	lease->note = NULL;
}

/* ---- what the stream tells ---- */

static void blocker_fill(struct recorder *recorder, const struct blocked_entry *entry,
			 struct store_blocker *blocker)
{
	*blocker = (struct store_blocker){
		.process = process_intern(recorder, &entry->process),
		.role = blocked_role_name(entry->role),
		.state = entry->state,
		.since = entry->since ? wall_time(recorder, entry->since) : 0,
		.ports = entry->ports,
		.port = entry->local_port,
		.remote_port = entry->other_port,
		.family = entry->family,
	};
	memcpy(blocker->local, entry->local, sizeof(blocker->local));
	memcpy(blocker->remote, entry->other, sizeof(blocker->remote));
}

static void failure_record(struct recorder *recorder, const struct event *event)
{
	const struct wire_event *call = event->socket;
	struct lease_process process = {
		.key = {.start = call->start, .pid = call->pid, .exec = call->exec},
		.uid = call->uid,
	};
	struct store_blocker blockers[BLOCKED_MOST];
	struct store_failure failure = {
		.blockers = blockers,
	};

	tenure_fill_failure(call, event->wall_time, &failure.claim);
	memcpy(process.comm, call->comm, strnlen(call->comm, WIRE_COMM));
	if (!(call->flags & WIRE_NO_CLAIMANT))
		failure.claim.process = process_intern(recorder, &process);
	if (event->blocked) {
		failure.reason = event->blocked->reason;
		failure.total = event->blocked->total;
		failure.count = event->blocked->count;
		for (unsigned int i = 0; i < failure.count; i++)
			blocker_fill(recorder, &event->blocked->entries[i], &blockers[i]);
	}
	store_failure(recorder->store, &failure);
}

static void start_record(struct recorder *recorder, const struct event *event)
{
	const struct wire_stream_start *start = &event->stream->start;
	struct store_run run = {
		.stream = start->id,
		.started = event->wall_time,
		.coverage = start->coverage,
		.tier = start->tier,
		.host = start->host,
		.kernel = start->kernel,
		.boot = start->boot_id,
		.program = start->program,
	};

	recorder->wall_offset = event->stream->wall_offset;
	store_run(recorder->store, &run);
}

static int recorder_event(void *context, const struct event *event)
{
	struct recorder *recorder = context;

	if (recorder->metrics)
		metrics_event(recorder->metrics, event);
	recorder->totals.events += event->socket != NULL;
	if (event->action == EVENT_START)
		start_record(recorder, event);
	else if (event->action == EVENT_LOST)
		store_gap(recorder->store, STORE_GAP_LOST,
			  wall_time(recorder,
				    event->gap->after ? event->gap->after : stream_began(recorder)),
			  wall_time(recorder, event->gap->before), event->gap->count);
	else if (event->socket && event->socket->header.type == WIRE_CALL && event->socket->error)
		failure_record(recorder, event);
	if (event->action == EVENT_END) {
		recorder->totals.ended = true;
		recorder->totals.end = *event->end;
	}
	return recorder->listener ? recorder->listener(recorder->listener_context, event) : 0;
}

/* ---- */

struct recorder *recorder_new(struct store *store, struct metrics *metrics)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));
	struct lease_watcher watcher = {lease_opened, lease_changed, lease_ended, recorder};
	struct pipeline_options options = {
		.event = recorder_event,
		.context = recorder,
		.watcher = &watcher,
	};

	if (!recorder)
		return NULL;
	recorder->store = store;
	recorder->metrics = metrics;
	recorder->generation = store_generation(store);
	recorder->pipeline = pipeline_new(&options);
	if (!recorder->pipeline) {
		free(recorder);
		return NULL;
	}
	return recorder;
}

void recorder_listen(struct recorder *recorder, decoder_handler listener, void *context)
{
	recorder->listener = listener;
	recorder->listener_context = context;
}

static int entry_drop(void *context, const struct lease *lease)
{
	(void)context;
	free(lease->note);
	return 0;
}

void recorder_free(struct recorder *recorder)
{
	struct ledger *ledger;

	if (!recorder)
		return;
	ledger = pipeline_ledger(recorder->pipeline);
	ledger_each(ledger, 0, 0, 0, 0, UINT16_MAX, entry_drop, NULL);
	pipeline_free(recorder->pipeline);
	free(recorder);
}

static bool of_socket(const struct wire_header *header)
{
	return header->type == WIRE_CALL || header->type == WIRE_OUTCOME ||
	       header->type == WIRE_RELEASE || header->type == WIRE_SEED;
}

static void clock_check(struct recorder *recorder, const struct wire_header *header)
{
	const struct stream *stream = pipeline_stream(recorder->pipeline);
	int64_t step;

	if (!stream || header->type != WIRE_CLOCK)
		return;
	step = stream->wall_offset - recorder->wall_offset;
	if (step < STEP_LEAST && step > -STEP_LEAST)
		return;
	store_gap(recorder->store, STORE_GAP_CLOCK, (int64_t)header->time + recorder->wall_offset,
		  (int64_t)header->time + stream->wall_offset, 0);
	recorder->wall_offset = stream->wall_offset;
}

int recorder_record(struct recorder *recorder, const void *record, size_t size, const char **why)
{
	const struct wire_header *header = record;
	int error;

	recorder->record = record;
	error = pipeline_record(recorder->pipeline, record, size, why);
	if (error)
		return error;
	if (of_socket(header) && (int64_t)header->time > recorder->totals.newest)
		recorder->totals.newest = (int64_t)header->time;
	clock_check(recorder, header);
	if (store_crowded(recorder->store) && !recorder->stuck)
		recorder_commit(recorder, wall_time(recorder, header->time), header->time);
	return 0;
}

struct pipeline *recorder_pipeline(const struct recorder *recorder)
{
	return recorder->pipeline;
}

bool recorder_pending(const struct recorder *recorder)
{
	return recorder->changed || recorder->evicted || store_pending(recorder->store);
}

static int entry_renew(void *context, const struct lease *lease)
{
	struct recorder *recorder = context;
	struct entry *entry = lease->note;

	if (!entry)
		return 0;
	entry->id = 0;
	entry->process = process_intern(recorder, tenure_owner(lease));
	entry_change(recorder, entry);
	return 0;
}

static void generation_check(struct recorder *recorder)
{
	uint64_t generation = store_generation(recorder->store);

	if (generation == recorder->generation)
		return;
	recorder->generation = generation;
	ledger_each(pipeline_ledger(recorder->pipeline), 0, 0, 0, 0, UINT16_MAX, entry_renew,
		    recorder);
}

/*
 * In portions, so that any number of leases fits. When the store has lost what it was
 * given, all are to be given again: from the beginning, and once only, or they wait for the
 * next commit. 0 or negative errno of a commit between.
 */
static int changes_give(struct recorder *recorder, int64_t now)
{
	uint64_t generation = recorder->generation;
	struct store_lease row;
	struct entry *entry;
	int error;

	while (recorder->changed) {
		if (store_crowded(recorder->store)) {
			error = store_commit(recorder->store, now);
			if (error)
				return error;
		}
		generation_check(recorder);
		if (recorder->generation > generation + 1)
			return 0;
		entry = recorder->changed;
		entry_settle(recorder, entry);
		if (entry->lease->share)
			continue;
		entry_fill(entry, &row);
		if (entry->id)
			store_lease_change(recorder->store, entry->id, &row);
		else
			entry->id = store_lease_open(recorder->store, &row);
	}
	return 0;
}

static int lease_pass(void *context, const struct lease *lease)
{
	(void)context;
	(void)lease;
	return 0;
}

/* TIME_WAIT whose end nobody sees is over at its time, whether records come or not. */
static void leases_expire(struct recorder *recorder, uint64_t monotonic)
{
	ledger_each(pipeline_ledger(recorder->pipeline), monotonic, 0, 0, 0, 0, lease_pass, NULL);
}

int recorder_commit(struct recorder *recorder, int64_t now, uint64_t monotonic)
{
	int error;

	generation_check(recorder);
	leases_expire(recorder, monotonic);
	if (recorder->evicted)
		store_gap(recorder->store, STORE_GAP_EVICTED, recorder->evicted_since, now,
			  recorder->evicted);
	recorder->evicted = 0;
	error = changes_give(recorder, now);
	if (!error)
		error = store_commit(recorder->store, now);
	recorder->stuck = error;
	return error;
}

void recorder_totals(const struct recorder *recorder, struct recorder_totals *totals)
{
	struct decoder_totals received;

	*totals = recorder->totals;
	pipeline_totals(recorder->pipeline, &received);
	totals->lost = received.lost;
	totals->received = received.received;
}
