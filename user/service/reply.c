/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "service/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/status.h"

/* More than fit into a message: then it is full, not short. */
#define BATCH 256
#define RANGES_PER_STEP 1024
#define SLOT_BITS 9
#define SLOTS (1 << SLOT_BITS)
#define SLOTS_TRIED 8
#define PORT_END 65536u

/* The order in which leases are told. The ledger's own order within a port is not used:
 * it can change between two messages. */
struct place {
	uint32_t port;
	uint64_t claimed;
	uint64_t socket;
};

struct batch {
	const struct reply *reply;
	uint64_t now;
	size_t count;
	bool more; /* there are leases behind the last one */
	struct {
		struct place place;
		const struct lease *lease;
	} list[BATCH];
};

/* A process that was told, and so is referred to by number. What falls out of here is
 * told again. */
struct told {
	struct process_key key;
	uint32_t uid;
	uint32_t number; /* 0: empty */
};

struct reply {
	const struct service_source *source;
	uint32_t uid;
	bool all;
	bool status; /* that is what was asked for, not leases */
	uint32_t netns;
	uint16_t protocol;
	uint32_t port; /* the range that is being told begins here */
	bool inside;   /* `last` is the last one that was told of it */
	struct place last;
	uint64_t leases, withheld;
	uint32_t processes; /* numbers given */
	struct told told[SLOTS];
	uint8_t ports[65536 / 8];
};

struct reply *reply_new(const struct service_source *source, uint32_t uid, bool all)
{
	struct reply *reply = calloc(1, sizeof(*reply));

	if (!reply)
		return NULL;
	reply->source = source;
	reply->uid = uid;
	reply->all = all;
	return reply;
}

void reply_free(struct reply *reply)
{
	free(reply);
}

static struct service_header header_make(enum service_type type, size_t size)
{
	return (struct service_header){
		.magic = SERVICE_MAGIC,
		.version = SERVICE_VERSION,
		.type = (uint16_t)type,
		.size = (uint32_t)size,
	};
}

void reply_refuse(enum service_reason reason, struct buffer *out)
{
	struct service_refused refused = {
		.header = header_make(SERVICE_REFUSED, sizeof(refused)),
		.reason = reason,
	};

	buffer_append(out, &refused, sizeof(refused));
}

static int64_t wall_time(const struct stream *stream, uint64_t time)
{
	return stream && time ? stream_wall_time(stream, time) : 0;
}

bool reply_hello(struct reply *reply, uint64_t now, struct buffer *out)
{
	const struct service_source *source = reply->source;
	const struct stream *stream = source->stream(source->context);
	struct service_hello hello = {
		.header = header_make(SERVICE_HELLO, sizeof(hello)),
		.pid = (uint32_t)getpid(),
		.program = PORTSNOOP_VERSION,
	};
	struct ledger_totals totals;

	if (!stream) {
		reply_refuse(SERVICE_NOT_READY, out);
		return false;
	}
	ledger_totals(source->ledger, &totals);
	hello.stream = stream->start.id;
	hello.started_wall = wall_time(stream, stream->start.header.time);
	if (now > stream->start.header.time)
		hello.watching = now - stream->start.header.time;
	hello.leases = totals.leases;
	hello.opened = totals.opened;
	hello.evicted = totals.evicted;
	hello.unknown = totals.unknown;
	hello.tier = stream->start.tier;
	buffer_append(out, &hello, sizeof(hello));
	return true;
}

static enum service_reason ask_check(const struct service_header *header, size_t size)
{
	if (size < sizeof(*header) || header->magic != SERVICE_MAGIC)
		return SERVICE_MALFORMED;
	if (header->version != SERVICE_VERSION)
		return SERVICE_VERSION_UNKNOWN;
	if (header->size != size || header->zero)
		return SERVICE_MALFORMED;
	if (header->type == SERVICE_ASK_STATUS)
		return size == sizeof(struct service_ask_status) ? 0 : SERVICE_MALFORMED;
	if (header->type != SERVICE_ASK || size != sizeof(struct service_ask) ||
	    ((const struct service_ask *)header)->zero)
		return SERVICE_MALFORMED;
	return 0;
}

bool reply_ask(struct reply *reply, const void *message, size_t size, struct buffer *out)
{
	const struct service_ask *ask = message;
	enum service_reason reason = ask_check(message, size);

	if (reason) {
		reply_refuse(reason, out);
		return false;
	}
	reply->status = ask->header.type == SERVICE_ASK_STATUS;
	if (reply->status)
		return true;
	reply->netns = ask->netns;
	reply->protocol = ask->protocol;
	memcpy(reply->ports, ask->ports, sizeof(reply->ports));
	return true;
}

static int place_compare(const struct place *a, const struct place *b)
{
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	if (a->claimed != b->claimed)
		return a->claimed < b->claimed ? -1 : 1;
	return a->socket < b->socket ? -1 : a->socket > b->socket;
}

/* Keeps the BATCH first ones behind reply->last. Nearly sorted is how they come. */
static int batch_visit(void *context, const struct lease *lease)
{
	struct batch *batch = context;
	const struct place place = {lease->local_port, lease->claimed, lease->socket};
	size_t at;

	if (batch->reply->inside && place_compare(&place, &batch->reply->last) <= 0)
		return 0;
	/* The ledger closes it with its next record. Not here: a question changes nothing. */
	if (lease->state == LEASE_TIME_WAIT && lease->flags & WIRE_ESTIMATED &&
	    lease->expires <= batch->now)
		return 0;
	if (batch->count == BATCH) {
		batch->more = true;
		if (place.port > batch->list[BATCH - 1].place.port)
			return 1;
		if (place_compare(&place, &batch->list[BATCH - 1].place) >= 0)
			return 0;
		batch->count--;
	}
	at = batch->count++;
	while (at && place_compare(&place, &batch->list[at - 1].place) < 0) {
		batch->list[at] = batch->list[at - 1];
		at--;
	}
	batch->list[at].place = place;
	batch->list[at].lease = lease;
	return 0;
}

static bool port_asked(const struct reply *reply, uint32_t port)
{
	return reply->ports[port >> 3] & (1u << (port & 7));
}

/* The next range that was asked for, from `port` on. False: none. */
static bool range_next(const struct reply *reply, uint32_t *port, uint32_t *high)
{
	uint32_t low = *port;

	while (low < PORT_END && !port_asked(reply, low))
		low = low % 8 == 0 && !reply->ports[low >> 3] ? low + 8 : low + 1;
	if (low >= PORT_END)
		return false;
	*port = low;
	while (low + 1 < PORT_END && port_asked(reply, low + 1))
		low++;
	*high = low;
	return true;
}

static bool process_visible(const struct reply *reply, const struct lease_process *process)
{
	return process->key.pid && (reply->all || process->uid == reply->uid);
}

static bool lease_visible(const struct reply *reply, const struct lease *lease)
{
	return reply->all ||
	       process_visible(reply, lease->claimant.key.pid ? &lease->claimant : &lease->holder);
}

static void text_append(struct buffer *out, const char *text, size_t length, uint16_t *told_length)
{
	buffer_append(out, text, length);
	*told_length = (uint16_t)length;
}

/* Appends the texts and says so in the record. What is longer than the protocol allows
 * is not known to the client. */
static void texts_append(struct buffer *out, struct service_process_record *record,
			 const struct process *process, const char *user)
{
	size_t user_length = user ? strlen(user) : 0;

	if (process && process->exe && process->exe_length <= SERVICE_EXE_MOST) {
		record->told |= SERVICE_TOLD_EXE;
		text_append(out, process->exe, process->exe_length, &record->exe_length);
	}
	if (process && process->args && process->args_length <= SERVICE_ARGS_MOST) {
		record->told |= SERVICE_TOLD_ARGS;
		text_append(out, process->args, process->args_length, &record->args_length);
	}
	if (process && process->cgroup && process->cgroup_length <= SERVICE_CGROUP_MOST) {
		record->told |= SERVICE_TOLD_CGROUP;
		text_append(out, process->cgroup, process->cgroup_length, &record->cgroup_length);
	}
	if (user && user_length <= SERVICE_USER_MOST) {
		record->told |= SERVICE_TOLD_USER;
		text_append(out, user, user_length, &record->user_length);
	}
}

static void comm_set(char out[WIRE_COMM], const char *comm)
{
	memcpy(out, comm, strnlen(comm, WIRE_COMM));
}

static void process_append(const struct reply *reply, struct buffer *out, uint32_t number,
			   const struct lease_process *claimant)
{
	static const char zeros[8];
	const struct service_source *source = reply->source;
	const struct process *process = source->find(source->context, &claimant->key);
	struct service_process_record record = {
		.record.type = SERVICE_PROCESS,
		.start = claimant->key.start,
		.number = number,
		.pid = claimant->key.pid,
		.exec = claimant->key.exec,
		.uid = claimant->uid,
	};
	size_t at = out->length, size;

	/* It may have been another user's before it became this one's. */
	if (process && !reply->all && process->uid != reply->uid)
		process = NULL;
	if (process) {
		record.told = SERVICE_TOLD_DETAILS;
		record.cgroup_id = process->cgroup_id;
		record.parent_start = process->parent_start;
		record.gid = process->gid;
		record.namespace_pid = process->namespace_pid;
		record.parent_pid = process->parent_pid;
		record.flags = process->flags;
		comm_set(record.comm, process->comm);
		comm_set(record.parent_comm, process->parent_comm);
	}
	buffer_append(out, &record, sizeof(record));
	texts_append(out, &record, process, source->user(source->context, claimant->uid));
	size = out->length - at;
	buffer_append(out, zeros, -size & 7);
	if (out->failed)
		return;
	record.record.size = (uint32_t)(out->length - at);
	memcpy(out->data + at, &record, sizeof(record));
}

static bool told_same(const struct told *told, const struct lease_process *process)
{
	return told->uid == process->uid && told->key.pid == process->key.pid &&
	       told->key.start == process->key.start && told->key.exec == process->key.exec;
}

/* Its place, or where it is to be: an empty one, or one of another process. */
static struct told *told_find(struct reply *reply, const struct lease_process *process)
{
	uint64_t mix = (process->key.pid ^ process->key.start << 20 ^ process->key.exec) *
		       UINT64_C(0x9e3779b97f4a7c15);
	size_t first = mix >> (64 - SLOT_BITS);

	for (size_t i = 0; i < SLOTS_TRIED; i++) {
		struct told *told = &reply->told[(first + i) % SLOTS];

		if (!told->number || told_same(told, process))
			return told;
	}
	return &reply->told[first];
}

/* The number of a process, which is told first if it has none. */
static uint32_t process_refer(struct reply *reply, struct buffer *out,
			      const struct lease_process *process)
{
	struct told *told = told_find(reply, process);

	if (told->number && told_same(told, process))
		return told->number;
	told->key = process->key;
	told->uid = process->uid;
	told->number = ++reply->processes;
	process_append(reply, out, told->number, process);
	return told->number;
}

static void lease_append(struct reply *reply, const struct stream *stream, struct buffer *out,
			 const struct lease *lease)
{
	bool claimant = process_visible(reply, &lease->claimant);
	bool holder = process_visible(reply, &lease->holder);
	struct service_lease_record record = {
		.record = {.type = SERVICE_LEASE, .size = sizeof(record)},
		.socket = lease->socket,
		.claimed = lease->claimed,
		.since = lease->since,
		.expires = lease->expires,
		.claimed_wall = wall_time(stream, lease->claimed),
		.since_wall = wall_time(stream, lease->since),
		.expires_wall = wall_time(stream, lease->expires),
		.netns = lease->netns,
		.device = lease->device,
		.flags = lease->flags,
		.claimant = claimant ? process_refer(reply, out, &lease->claimant) : 0,
		.holder = holder ? process_refer(reply, out, &lease->holder) : 0,
		.protocol = lease->protocol,
		.local_port = lease->local_port,
		.other_port = lease->other_port,
		.family = lease->family,
		.trigger = lease->trigger,
		.origin = lease->origin,
		.state = lease->state,
		.share = lease->share,
	};

	memcpy(record.local, lease->local, sizeof(record.local));
	memcpy(record.other, lease->other, sizeof(record.other));
	if (claimant)
		comm_set(record.claimant_comm, lease->claimant.comm);
	if (holder)
		comm_set(record.holder_comm, lease->holder.comm);
	buffer_append(out, &record, sizeof(record));
}

/* The most that one lease takes: itself and two processes. */
#define LEASE_MOST                                                                                 \
	(sizeof(struct service_lease_record) +                                                     \
	 2 * (sizeof(struct service_process_record) + SERVICE_EXE_MOST + SERVICE_ARGS_MOST +       \
	      SERVICE_CGROUP_MOST + SERVICE_USER_MOST + 8))

/* True if all of them are told, false if the message is full. */
static bool batch_tell(const struct batch *batch, struct reply *reply, const struct stream *stream,
		       struct buffer *out, size_t end)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (!lease_visible(reply, batch->list[i].lease)) {
			reply->withheld++;
		} else {
			if (out->length + LEASE_MOST > end)
				return false;
			lease_append(reply, stream, out, batch->list[i].lease);
			reply->leases++;
		}
		reply->last = batch->list[i].place;
		reply->inside = true;
	}
	return true;
}

static void end_append(struct reply *reply, const struct stream *stream, uint64_t now,
		       struct buffer *out)
{
	struct service_end end = {
		.header = header_make(SERVICE_END, sizeof(end)),
		.leases = reply->leases,
		.withheld = reply->withheld,
		.now = now,
		.now_wall = wall_time(stream, now),
	};

	buffer_append(out, &end, sizeof(end));
}

/* Fills `out` up to `end`. False: there is no more. */
static bool records_append(struct reply *reply, const struct stream *stream, uint64_t now,
			   struct buffer *out, size_t end)
{
	struct batch batch = {.reply = reply, .now = now};
	size_t looked = 0;

	for (unsigned int ranges = 0; ranges < RANGES_PER_STEP && looked < BATCH; ranges++) {
		uint32_t high;

		if (!range_next(reply, &reply->port, &high))
			return false;
		batch.count = 0;
		batch.more = false;
		ledger_each(reply->source->ledger, 0, reply->netns, reply->protocol,
			    (uint16_t)(reply->inside ? reply->last.port : reply->port),
			    (uint16_t)high, batch_visit, &batch);
		if (!batch_tell(&batch, reply, stream, out, end) || batch.more)
			return true;
		looked += batch.count;
		reply->port = high + 1;
		reply->inside = false;
	}
	return true;
}

static void status_append(const struct reply *reply, const struct stream *stream, uint64_t now,
			  struct buffer *out)
{
	const struct service_source *source = reply->source;
	struct service_status status = {
		.told = SERVICE_STATUS_LEDGER,
		.stream = stream->start.id,
		.started_wall = wall_time(stream, stream->start.header.time),
		.now_wall = wall_time(stream, now),
		.coverage = stream->start.coverage,
		.tier = stream->start.tier,
		.pid = (uint32_t)getpid(),
		.program = PORTSNOOP_VERSION,
	};
	struct ledger_totals totals;

	if (now > stream->start.header.time)
		status.watching = now - stream->start.header.time;
	ledger_totals(source->ledger, &totals);
	status.leases = totals.leases;
	status.opened = totals.opened;
	status.evicted = totals.evicted;
	status.unknown = totals.unknown;
	service_status_process(&status);
	if (source->status)
		source->status(source->status_context, &status);
	service_status_settle(&status, reply->all);
	status.header = header_make(SERVICE_STATUS, sizeof(status));
	buffer_append(out, &status, sizeof(status));
}

bool reply_next(struct reply *reply, uint64_t now, struct buffer *out)
{
	const struct stream *stream = reply->source->stream(reply->source->context);
	struct service_header header = header_make(SERVICE_RECORDS, 0);
	size_t start = out->length;

	if (reply->status) {
		status_append(reply, stream, now, out);
		return false;
	}
	buffer_append(out, &header, sizeof(header));
	if (!records_append(reply, stream, now, out, start + SERVICE_MESSAGE_MOST) &&
	    out->length == start + sizeof(header)) {
		out->length = start;
		end_append(reply, stream, now, out);
		return false;
	}
	if (out->failed)
		return true;
	header.size = (uint32_t)(out->length - start);
	if (header.size == sizeof(header))
		out->length = start;
	else
		memcpy(out->data + start, &header, sizeof(header));
	return true;
}
