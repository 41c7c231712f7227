/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "stream/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "model/blocked.h"

/* Flags that tell something of a lease once it is over, and do not split what could be
 * one kind of lease. */
#define KEPT_FLAGS                                                                                 \
	(WIRE_REUSEADDR | WIRE_REUSEPORT | WIRE_V6ONLY | WIRE_FASTOPEN | WIRE_MPTCP |              \
	 WIRE_KERNEL_SOCKET | WIRE_SELF_CONNECT | WIRE_RESERVED | WIRE_OWN_RANGE |                 \
	 WIRE_BIND_NO_PORT)

#define STEP_LEAST INT64_C(100000000) /* of the wall clock: less is no news */

/* What a lease of the ledger lacks. */
struct entry {
	const struct lease *lease;
	struct entry *prev, *next; /* among those that have changed */
	uint64_t id;		   /* store_lease_open(); 0: not given yet */
	uint64_t answered;	   /* ns after the claim; STORE_UNKNOWN: no answer yet */
	int64_t claimed;	   /* CLOCK_REALTIME, ns */
	uint64_t began;		   /* the same, CLOCK_MONOTONIC */
	uint32_t process;
	uint32_t flags;
	uint32_t error;
	uint16_t pool_low, pool_high;
	uint16_t remote_port; /* a connect that fails leaves no peer behind */
	uint8_t outcome;
	bool changed;
	uint8_t remote[16];
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

static const struct lease_process *lease_owner(const struct lease *lease)
{
	return lease->claimed ? &lease->claimant : &lease->holder;
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
	const struct lease *lease = entry->lease;

	*row = (struct store_lease){
		.claimed = entry->claimed,
		.held = STORE_UNKNOWN,
		.lingered = lease->state == LEASE_TIME_WAIT ? STORE_UNKNOWN : 0,
		.answered = entry->answered,
		.process = entry->process,
		.netns = lease->netns,
		.device = lease->device,
		.flags = entry->flags & KEPT_FLAGS,
		.error = entry->error,
		.protocol = lease->protocol,
		.port = lease->local_port,
		.remote_port = lease->other_port,
		.pool_low = entry->pool_low,
		.pool_high = entry->pool_high,
		.family = lease->family,
		.trigger = lease->trigger,
		.origin = lease->origin,
		.outcome = entry->outcome,
		.ending = STORE_OPEN,
	};
	memcpy(row->local, lease->local, sizeof(row->local));
	memcpy(row->remote, lease->other, sizeof(row->remote));
	if (!row->remote_port && entry->remote_port) {
		row->remote_port = entry->remote_port;
		memcpy(row->remote, entry->remote, sizeof(row->remote));
	}
}

static uint64_t span(uint64_t from, uint64_t until)
{
	return until > from ? until - from : 0;
}

/* ---- what the ledger tells ---- */

static const uint8_t outcomes[LEASE_STATES] = {
	[LEASE_BOUND] = STORE_BOUND,
	[LEASE_CONNECTING] = STORE_PENDING,
	[LEASE_ESTABLISHED] = STORE_ESTABLISHED,
	[LEASE_LISTEN] = STORE_LISTENING,
	[LEASE_TIME_WAIT] = STORE_ESTABLISHED,
};

static void lease_opened(void *context, struct lease *lease)
{
	struct recorder *recorder = context;
	const struct wire_event *record = recorder->record;
	struct entry *entry = calloc(1, sizeof(*entry));
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
	entry->began = lease_began(recorder, lease);
	entry->claimed = wall_time(recorder, entry->began);
	entry->outcome = outcomes[lease->state];
	entry->answered = STORE_UNKNOWN;
	if (lease->claimed &&
	    (entry->outcome == STORE_ESTABLISHED || entry->outcome == STORE_LISTENING))
		entry->answered = 0;
	entry->flags = record->flags;
	entry->pool_low = record->pool_low;
	entry->pool_high = record->pool_high;
	entry->process = process_intern(recorder, lease_owner(lease));
	entry_change(recorder, entry);
}

/* True if the record tells how the claim, or a later connect, came out. */
static bool outcome_take(struct entry *entry, const struct lease *lease,
			 const struct wire_event *record)
{
	if (record->header.type == WIRE_OUTCOME &&
	    (record->error || record->flags & WIRE_ABORTED)) {
		entry->outcome = STORE_FAILED;
		entry->error = record->error;
		entry->remote_port = record->other_port;
		memcpy(entry->remote, record->other, sizeof(entry->remote));
		return true;
	}
	/* A call that failed changed nothing, and has a row of its own. */
	if (record->error || lease->state == LEASE_BOUND || lease->state == LEASE_TIME_WAIT)
		return false;
	entry->outcome = outcomes[lease->state];
	entry->error = 0;
	entry->remote_port = 0;
	return entry->outcome != STORE_PENDING;
}

static void lease_changed(void *context, struct lease *lease)
{
	struct recorder *recorder = context;
	const struct wire_event *record = recorder->record;
	struct entry *entry = lease->note;

	if (!entry)
		return;
	entry->flags |= record->flags;
	entry_change(recorder, entry);
	if (record->header.type == WIRE_RELEASE || record->header.type == WIRE_SEED)
		return;
	if (outcome_take(entry, lease, record))
		entry->answered = span(entry->began, record->header.time);
}

static void lease_ended(void *context, struct lease *lease, enum lease_ending ending, uint64_t time)
{
	static const uint8_t endings[] = {
		[LEASE_RELEASED] = STORE_RELEASED,
		[LEASE_EXPIRED] = STORE_ESTIMATED,
		[LEASE_MISSED] = STORE_ESTIMATED,
		[LEASE_EVICTED] = STORE_EVICTED,
	};
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
		entry->process = process_intern(recorder, lease_owner(lease));
	}
	if (!lease->share || entry->id) {
		entry_fill(entry, &row);
		row.held = span(entry->began, time);
		row.lingered = lease->state == LEASE_TIME_WAIT
				       ? span(lease->since ? lease->since : entry->began, time)
				       : 0;
		row.ending = endings[ending];
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

/* A bind tells where it wanted to go in `other`; a connect its destination. */
static void failure_place(const struct wire_event *call, struct store_lease *claim)
{
	bool bind = call->trigger == WIRE_BIND;

	claim->port = call->local_port;
	memcpy(claim->local, call->local, sizeof(claim->local));
	if (!(call->flags & WIRE_HAS_OTHER))
		return;
	if (bind) {
		claim->port = call->other_port;
		memcpy(claim->local, call->other, sizeof(claim->local));
		return;
	}
	claim->remote_port = call->other_port;
	memcpy(claim->remote, call->other, sizeof(claim->remote));
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
		.claim =
			{
				.claimed = event->wall_time,
				.netns = call->netns,
				.device = call->device,
				.flags = call->flags & (KEPT_FLAGS | WIRE_CLAIMED),
				.error = call->error,
				.protocol = call->protocol,
				.pool_low = call->pool_low,
				.pool_high = call->pool_high,
				.family = call->family,
				.trigger = call->trigger,
				.origin = call->origin,
				.outcome = STORE_FAILED,
			},
		.blockers = blockers,
	};

	failure_place(call, &failure.claim);
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
	entry->process = process_intern(recorder, lease_owner(lease));
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
