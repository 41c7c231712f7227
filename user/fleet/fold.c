/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "fleet/fold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/obstacle.h"
#include "fleet/record.h"
#include "lib/cleanup.h"
#include "lib/parse.h"
#include "model/event.h"
#include "model/message.h"
#include "model/text.h"
#include "store/tenure.h"
#include "store/wanted.h"

#define LEASES (1u << 22) /* of a stream at a time */
#define STATE_ESTABLISHED 1
#define STATE_CLOSE 7

/* Where in the order it is: so that what comes twice is known. */
struct place {
	struct buffer host;
	uint64_t stream, sequence;
	bool begun;
};

struct entry {
	struct tenure tenure;
	struct history_process process;
	struct buffer texts; /* of the process, and the tier */
	struct history_text tier;
	uint64_t sequence;
	bool in_pool;
};

struct fold {
	struct fold_options options;
	struct obstacles obstacles;
	struct place sockets, failures;
	struct fold_stream stream; /* of `sockets` */
	struct ledger *ledger;	   /* the same */
	int64_t last;		   /* the newest row of it */
	const struct answer_row *row;
	const struct wire_event *record;
	struct history_row out;
	uint64_t skipped;
	int result; /* of the visitor, or an error */
};

/* ---- rows ---- */

static struct history_text word(const char *name)
{
	return (struct history_text){name, name ? strlen(name) : 0};
}

/* Empty in the table: it is not known. */
static struct history_text known(const struct history_text *text)
{
	return text->length ? *text : (struct history_text){0};
}

/* `owner`: of a row without a claimant who had the socket open. */
static void process_fill(struct history_process *process, const struct answer_row *row, bool owner)
{
	if (owner && !row->pid) {
		*process = (struct history_process){.pid = (uint32_t)row->holder_pid,
						    .namespace_pid = (uint32_t)row->holder_pid,
						    .comm = row->holder_comm};
		return;
	}
	*process = (struct history_process){
		.pid = (uint32_t)row->pid,
		.namespace_pid = (uint32_t)row->pid,
		.parent_pid = (uint32_t)row->parent_pid,
		.uid = (uint32_t)row->uid,
		.has_uid = row->pid != 0,
		.comm = row->comm,
		.exe = known(&row->exe),
		.user = known(&row->user),
		.parent_comm = known(&row->parent_comm),
		.cgroup = known(&row->cgroup),
		.unit = known(&row->unit),
		.container = known(&row->container),
		.runtime = known(&row->runtime),
		.pod = known(&row->pod),
		.args = known(&row->args),
	};
}

/* Texts of a row that are made. */
struct ends {
	char local[TEXT_ADDRESS], remote[TEXT_ADDRESS];
	char error[TEXT_UNSIGNED + 1];
};

/* What the store would have been given, as what it would have told of it. */
static void socket_fill(struct history_row *row, const struct store_lease *lease, struct ends *ends)
{
	char *end = text_address(ends->local, lease->local, lease->family);

	row->time = lease->claimed;
	row->held = lease->held;
	row->lingered = lease->lingered;
	row->answered = lease->answered;
	row->netns = lease->netns;
	row->flags = lease->flags;
	row->port = lease->port;
	row->remote_port = lease->remote_port;
	row->family = lease->family;
	row->outcome = lease->outcome;
	row->ending = lease->ending;
	row->brief = true;
	row->protocol = word(protocol_name(lease->protocol));
	row->trigger = word(trigger_name(lease->trigger));
	row->origin = word(lease->origin == WIRE_ORIGIN_REQUESTED ? "requested"
			   : lease->origin == WIRE_ORIGIN_KERNEL  ? "kernel"
								  : NULL);
	row->error = word(lease->error ? errno_name(lease->error) : NULL);
	if (lease->error && !row->error.data) {
		*text_unsigned(ends->error, lease->error) = 0;
		row->error = word(ends->error);
	}
	row->local = (struct history_text){ends->local, (size_t)(end - ends->local)};
	if (!lease->remote_port)
		return;
	end = text_address(ends->remote, lease->remote, lease->family);
	row->remote = (struct history_text){ends->remote, (size_t)(end - ends->remote)};
}

static void row_give(struct fold *fold, const struct place *place)
{
	fold->out.host = (struct history_text){place->host.data, place->host.length};
	if (!fold->result)
		fold->result = fold->options.visitor(fold->options.context, &fold->out);
}

static struct history_row *row_begin(struct fold *fold, enum history_kind kind)
{
	memset(&fold->out, 0, offsetof(struct history_row, blockers));
	fold->out.kind = kind;
	return &fold->out;
}

/* ---- leases ---- */

static bool text_keep(struct entry *entry, struct history_text *text)
{
	const char *copy = entry->texts.data + entry->texts.length;

	if (!text->data)
		return true;
	buffer_append(&entry->texts, text->data, text->length);
	text->data = copy;
	return !entry->texts.failed;
}

static bool entry_fill(struct entry *entry, const struct answer_row *row, bool owner)
{
	struct history_process *process = &entry->process;
	struct history_text *texts[] = {
		&process->comm, &process->exe,	     &process->user,	&process->parent_comm,
		&process->unit, &process->container, &process->runtime, &process->cgroup,
		&process->pod,	&process->args,	     &entry->tier,
	};
	size_t total = 1;

	process_fill(process, row, owner);
	entry->tier = known(&row->tier);
	entry->sequence = row->sequence;
	entry->in_pool = row->in_pool;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		total += texts[i]->length;
	if (!buffer_room(&entry->texts, total)) /* so that they do not move */
		return false;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!text_keep(entry, texts[i]))
			return false;
	return true;
}

static void entry_free(struct entry *entry)
{
	if (!entry)
		return;
	buffer_free(&entry->texts);
	free(entry);
}

static void lease_opened(void *context, struct lease *lease)
{
	struct fold *fold = context;
	const struct answer_row *row = fold->row;
	struct entry *entry = calloc(1, sizeof(*entry));
	uint64_t began = lease->claimed ? lease->claimed : lease->since;

	lease->note = entry;
	if (!entry || !entry_fill(entry, row, !lease->claimed)) {
		fold->result = -ENOMEM;
		return;
	}
	if (!began)
		began = fold->stream.started > 0 ? (uint64_t)fold->stream.started : row->time;
	tenure_open(&entry->tenure, lease, fold->record, began, (int64_t)began);
}

static void lease_changed(void *context, struct lease *lease)
{
	struct fold *fold = context;
	struct entry *entry = lease->note;

	if (entry)
		tenure_change(&entry->tenure, lease, fold->record);
}

static void lease_give(struct fold *fold, const struct lease *lease, const struct store_lease *has)
{
	const struct entry *entry = lease->note;
	struct history_row *row = row_begin(fold, HISTORY_LEASE);
	struct ends ends;

	socket_fill(row, has, &ends);
	row->id = entry->sequence;
	row->process = entry->process;
	row->in_pool = entry->in_pool;
	row->tier = entry->tier;
	row->until = INT64_MAX;
	if (has->held != STORE_UNKNOWN &&
	    __builtin_add_overflow(row->time, (int64_t)has->held, &row->until))
		row->until = INT64_MAX;
	row_give(fold, &fold->sockets);
}

static void lease_ended(void *context, struct lease *lease, enum lease_ending ending, uint64_t time)
{
	struct fold *fold = context;
	struct entry *entry = lease->note;
	const struct answer_row *row = fold->row;
	struct store_lease has;

	if (entry && !lease->share && !fold->result) {
		tenure_fill_ended(&entry->tenure, lease, ending, time, &has);
		/* The machine measured it, whatever its clock did meanwhile. */
		if (ending == LEASE_RELEASED && lease->claimed && row->duration &&
		    row->duration <= INT64_MAX)
			has.held = row->duration;
		if (ending == LEASE_RELEASED && has.lingered && row->lingered &&
		    row->lingered <= has.held)
			has.lingered = row->lingered;
		lease_give(fold, lease, &has);
	}
	entry_free(entry);
	lease->note = NULL;
}

/* Held still, or as long as its stream was alive. */
static int lease_left(void *context, const struct lease *lease)
{
	struct fold *fold = context;
	const struct entry *entry = lease->note;
	int64_t until = fold->stream.until > fold->last ? fold->stream.until : fold->last;
	struct store_lease has;

	if (!entry || lease->share || fold->result)
		return 0;
	tenure_fill(&entry->tenure, lease, &has);
	if (fold->stream.until != INT64_MAX) {
		has.held = until > has.claimed ? (uint64_t)(until - has.claimed) : 0;
		has.ending = STORE_UNSEEN;
	}
	lease_give(fold, lease, &has);
	return 0;
}

static int lease_forget(void *context, const struct lease *lease)
{
	(void)context;
	entry_free(lease->note);
	return 0;
}

static void stream_drop(struct fold *fold)
{
	if (fold->ledger)
		ledger_each(fold->ledger, 0, 0, 0, 0, UINT16_MAX, lease_forget, NULL);
	ledger_free(fold->ledger);
	fold->ledger = NULL;
}

static void stream_end(struct fold *fold)
{
	int64_t until = fold->stream.until < fold->options.now ? fold->stream.until
							       : fold->options.now;

	if (!fold->ledger)
		return;
	if (until < fold->last)
		until = fold->last;
	ledger_each(fold->ledger, (uint64_t)until, 0, 0, 0, UINT16_MAX, lease_left, fold);
	stream_drop(fold);
}

static int stream_begin(struct fold *fold, const struct answer_row *row)
{
	const struct lease_watcher watcher = {lease_opened, lease_changed, lease_ended, fold};

	fold->last = 0;
	if (!fold->options.find || !fold->options.find(fold->options.context, row, &fold->stream))
		fold->stream = (struct fold_stream){.until = INT64_MAX};
	fold->ledger = ledger_new(LEASES);
	if (!fold->ledger)
		return -ENOMEM;
	ledger_watch(fold->ledger, &watcher);
	return 0;
}

/* ---- order ---- */

static bool is_same_stream(const struct place *place, const struct answer_row *row)
{
	return place->begun && place->stream == row->stream &&
	       place->host.length == row->host.length &&
	       (!row->host.length || !memcmp(place->host.data, row->host.data, row->host.length));
}

/* It has come before, or is older than what has. */
static bool is_repeated(const struct place *place, const struct answer_row *row)
{
	return is_same_stream(place, row) && place->sequence >= row->sequence;
}

static int place_take(struct place *place, const struct answer_row *row)
{
	if (!is_same_stream(place, row)) {
		buffer_reset(&place->host);
		buffer_append(&place->host, row->host.data, row->host.length);
		place->stream = row->stream;
		place->begun = true;
	}
	place->sequence = row->sequence;
	return place->host.failed ? -ENOMEM : 0;
}

/* ---- releases whose claim is not there ---- */

struct search {
	uint64_t socket;
	const struct lease *live, *lingering;
};

static int lease_match(void *context, const struct lease *lease)
{
	struct search *search = context;

	if (lease->socket == search->socket && lease->state == LEASE_TIME_WAIT &&
	    !search->lingering)
		search->lingering = lease;
	return 0;
}

static int record_take(struct fold *fold, const struct wire_event *record)
{
	int error;

	fold->record = record;
	error = ledger_record(fold->ledger, record, NULL, NULL);
	return fold->result ? fold->result : error;
}

/* The row alone carries everything: who, since when, and where; but not how the claim came
 * out. */
static int claim_take(struct fold *fold, const struct wire_event *release)
{
	const bool over = release->flags & WIRE_TIME_WAIT_OVER;
	struct wire_event claim = *release;
	int error;

	claim.flags &= WIRE_HAS_OTHER | WIRE_NO_CLAIMANT;
	claim.duration = 0;
	if (release->pid && release->trigger && release->duration &&
	    release->duration < release->header.time) {
		claim.header.type = WIRE_CALL;
		claim.header.time -= release->duration;
		claim.flags |= WIRE_CLAIMED;
		if (release->trigger == WIRE_CONNECT || release->trigger == WIRE_SUBFLOW)
			claim.flags |= over ? 0 : WIRE_IN_PROGRESS;
	} else {
		claim.header.type = WIRE_SEED;
		claim.state = claim.flags & WIRE_HAS_OTHER ? STATE_ESTABLISHED : STATE_CLOSE;
	}
	error = record_take(fold, &claim);
	if (error || !over)
		return error;
	claim = *release;
	claim.flags &= ~(uint32_t)WIRE_TIME_WAIT_OVER;
	if (fold->row->lingered < claim.header.time)
		claim.header.time -= fold->row->lingered;
	return record_take(fold, &claim);
}

static int release_take(struct fold *fold, struct wire_event *release)
{
	const bool over = release->flags & WIRE_TIME_WAIT_OVER;
	struct search search = {.socket = release->socket};
	const struct lease *lease;
	int error = 0;

	if (!release->local_port)
		return 0;
	search.live = ledger_socket(fold->ledger, release->socket);
	if (over)
		ledger_each(fold->ledger, 0, 0, 0, release->local_port, release->local_port,
			    lease_match, &search);
	lease = over && search.lingering ? search.lingering : search.live;
	if (!lease)
		error = claim_take(fold, release);
	else if (over && !(release->flags & WIRE_HAS_OTHER) && lease->other_port) {
		/* Of a bound socket the table does not tell where it was connected to. */
		release->flags |= WIRE_HAS_OTHER;
		release->other_port = lease->other_port;
		memcpy(release->other, lease->other, sizeof(release->other));
	}
	return error ? error : record_take(fold, release);
}

/* ---- what comes ---- */

int fold_socket(struct fold *fold, const struct answer_row *row)
{
	bool begins = !is_same_stream(&fold->sockets, row);
	struct wire_event record;
	int error;

	if (!row->sequence || !record_make(row, &record)) {
		fold->skipped++;
		return 0;
	}
	if (is_repeated(&fold->sockets, row))
		return 0;
	if (begins)
		stream_end(fold); /* its rows still have the host before */
	fold->row = row;
	error = fold->result ? fold->result : place_take(&fold->sockets, row);
	if (!error && begins)
		error = stream_begin(fold, row);
	if (error)
		return error;
	error = record.header.type == WIRE_RELEASE ? release_take(fold, &record)
						   : record_take(fold, &record);
	if ((int64_t)row->time > fold->last)
		fold->last = (int64_t)row->time;
	return error;
}

int fold_sockets_end(struct fold *fold)
{
	stream_end(fold);
	return fold->result;
}

int fold_failure(struct fold *fold, const struct answer_row *row)
{
	struct history_row *out;
	struct store_lease claim;
	struct wire_event call;
	struct ends ends;
	int error;

	if (!row->sequence || !record_make(row, &call) || call.header.type != WIRE_CALL ||
	    !call.error) {
		fold->skipped++;
		return 0;
	}
	if (is_repeated(&fold->failures, row))
		return 0;
	error = place_take(&fold->failures, row);
	if (error)
		return error;
	out = row_begin(fold, HISTORY_FAILURE);
	tenure_fill_failure(&call, (int64_t)row->time, &claim);
	socket_fill(out, &claim, &ends);
	out->id = row->sequence;
	out->until = out->time;
	out->in_pool = row->in_pool;
	out->tier = known(&row->tier);
	process_fill(&out->process, row, false);
	error = obstacles_read(&fold->obstacles, &row->blocked_by, row->blocked_by_total, out);
	if (error)
		return error;
	row_give(fold, &fold->failures);
	return fold->result;
}

uint64_t fold_skipped(const struct fold *fold)
{
	return fold->skipped;
}

struct fold *fold_new(const struct fold_options *options)
{
	struct fold *fold = calloc(1, sizeof(*fold));

	if (!fold)
		return NULL;
	fold->options = *options;
	if (!obstacles_open(&fold->obstacles))
		return fold;
	free(fold);
	return NULL;
}

void fold_free(struct fold *fold)
{
	if (!fold)
		return;
	stream_drop(fold);
	obstacles_free(&fold->obstacles);
	buffer_free(&fold->sockets.host);
	buffer_free(&fold->failures.host);
	free(fold);
}
