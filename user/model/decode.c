/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/decode.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSES 65536
#define CPUS (1u << (64 - WIRE_SEQUENCE_BITS))
#define ERRNO_MAX 4095
#define PROTOCOL_TCP 6
#define PROTOCOL_MPTCP 262
#define STATE_MOST 12 /* TCP_NEW_SYN_RECV, net/tcp_states.h */

struct cpu_state {
	uint64_t newest;   /* highest number so far */
	uint64_t window;   /* bit n: newest - n has come */
	uint64_t numbered; /* records that had a number */
	uint64_t lost;	   /* all gaps */
	uint64_t time;	   /* of the last record */
	uint32_t counter;  /* highest header.lost */
};

struct decoder {
	decoder_handler handler;
	decoder_observer observer;
	void *context;
	struct process_table *processes;
	struct cpu_state *cpus;
	struct stream stream;
	struct decoder_totals totals;
	uint64_t newest;    /* time of the newest record of the kernel */
	uint64_t explained; /* of the missing numbers: held back by a filter */
	const char *user;   /* of the uid before: most events have the same one */
	uint32_t uid;
	bool user_cached;
	bool started, ended;
	unsigned int blocker_total; /* waiting for their call; the first ones are kept */
	struct wire_blocker blockers[EVENT_BLOCKERS];
};

struct decoder *decoder_new(decoder_handler handler, decoder_observer observer, void *context)
{
	struct decoder *decoder = calloc(1, sizeof(*decoder));

	if (!decoder)
		return NULL;
	decoder->processes = process_table_new(PROCESSES);
	if (!decoder->processes) {
		free(decoder);
		return NULL;
	}
	decoder->handler = handler;
	decoder->observer = observer;
	decoder->context = context;
	return decoder;
}

void decoder_free(struct decoder *decoder)
{
	if (!decoder)
		return;
	process_table_free(decoder->processes);
	free(decoder->cpus);
	free(decoder);
}

const struct process *decoder_process(const struct decoder *decoder, const struct process_key *key)
{
	return process_table_peek(decoder->processes, key);
}

const char *decoder_user(const struct decoder *decoder, uint32_t uid)
{
	return process_table_user(decoder->processes, uid);
}

const struct stream *decoder_stream(const struct decoder *decoder)
{
	return &decoder->stream;
}

uint64_t decoder_lost(const struct decoder *decoder)
{
	return decoder->totals.lost;
}

uint64_t decoder_received(const struct decoder *decoder)
{
	return decoder->totals.received;
}

void decoder_totals(const struct decoder *decoder, struct decoder_totals *totals)
{
	uint64_t missing = 0;

	for (uint32_t cpu = 0; decoder->started && cpu < decoder->stream.start.cpus; cpu++) {
		const struct cpu_state *state = &decoder->cpus[cpu];
		uint64_t known = state->numbered + state->lost;

		if (state->newest > known)
			missing += state->newest - known;
	}
	*totals = decoder->totals;
	totals->missing = missing > decoder->explained ? missing - decoder->explained : 0;
}

static bool terminated(const char *text, size_t size)
{
	return memchr(text, '\0', size);
}

/* A list of texts, each ended by a NUL, in an array of `size` bytes. */
static bool list_valid(const char *list, size_t length, size_t size)
{
	return length <= size && (!length || !list[length - 1]);
}

static const char *start_check(const struct wire_stream_start *start)
{
	if (!start->version)
		return "the stream has no version";
	if (!start->cpus || start->cpus > CPUS)
		return "the stream's number of CPUs is impossible";
	if (!terminated(start->host, sizeof(start->host)) ||
	    !terminated(start->kernel, sizeof(start->kernel)) ||
	    !terminated(start->boot_id, sizeof(start->boot_id)) ||
	    !terminated(start->program, sizeof(start->program)))
		return "a name in the stream's start has no end";
	return NULL;
}

static const char *process_check(const struct wire_process *process)
{
	if (!list_valid(process->exe, process->exe_length, WIRE_EXE))
		return "a process' executable does not fit its record";
	if (!list_valid(process->args, process->args_length, WIRE_ARGS))
		return "a process' arguments do not fit their record";
	if (!list_valid(process->path, process->path_length, WIRE_CGROUP))
		return "a process' cgroup does not fit its record";
	if (!terminated(process->comm, sizeof(process->comm)) ||
	    !terminated(process->parent_comm, sizeof(process->parent_comm)))
		return "a process' name has no end";
	return NULL;
}

static const char *family_check(uint8_t family)
{
	return family == 4 || family == 6 ? NULL : "an address family is neither 4 nor 6";
}

/* What was found in place, by no call that the stream tells of. */
static const char *found_check(uint8_t family, uint8_t state, uint16_t port)
{
	if (!state || state > STATE_MOST)
		return "a socket's state is unknown";
	if (!port)
		return "a socket that is to hold a port has none";
	return family_check(family);
}

static const char *event_check(const struct wire_event *event)
{
	const char *wrong = event->header.type == WIRE_SEED
				    ? found_check(event->family, event->state, event->local_port)
				    : family_check(event->family);

	if (wrong)
		return wrong;
	/* Nobody knows how a socket from before the stream got its port. */
	if (!event->trigger && event->header.type == WIRE_CALL)
		return "a call has no trigger";
	if (event->origin > WIRE_ORIGIN_KERNEL)
		return "a port's origin is unknown";
	if (event->error > ERRNO_MAX)
		return "an error number is impossible";
	if (!terminated(event->comm, sizeof(event->comm)))
		return "a thread's name has no end";
	return NULL;
}

static bool of_socket(const struct wire_header *header)
{
	return header->type >= WIRE_CALL && header->type <= WIRE_SEED;
}

static size_t type_size(uint16_t type)
{
	switch (type) {
	case WIRE_PROCESS:
		return sizeof(struct wire_process);
	case WIRE_CALL:
	case WIRE_OUTCOME:
	case WIRE_RELEASE:
	case WIRE_SEED:
		return sizeof(struct wire_event);
	case WIRE_STREAM_START:
		return sizeof(struct wire_stream_start);
	case WIRE_CLOCK:
		return sizeof(struct wire_clock);
	case WIRE_USER:
		return sizeof(struct wire_user);
	case WIRE_STREAM_END:
		return sizeof(struct wire_stream_end);
	case WIRE_BLOCKER:
		return sizeof(struct wire_blocker);
	case WIRE_HEARTBEAT:
		return sizeof(struct wire_heartbeat);
	}
	return 0;
}

static const char *content_check(const struct wire_header *header)
{
	const struct wire_blocker *blocker = (const struct wire_blocker *)header;

	switch (header->type) {
	case WIRE_PROCESS:
		return process_check((const struct wire_process *)header);
	case WIRE_CALL:
	case WIRE_OUTCOME:
	case WIRE_RELEASE:
	case WIRE_SEED:
		return event_check((const struct wire_event *)header);
	case WIRE_STREAM_START:
		return start_check((const struct wire_stream_start *)header);
	case WIRE_USER:
		if (!terminated(((const struct wire_user *)header)->name,
				sizeof(((const struct wire_user *)header)->name)))
			return "a user's name has no end";
		break;
	case WIRE_BLOCKER:
		if (!terminated(blocker->comm, sizeof(blocker->comm)))
			return "a process' name has no end";
		return found_check(blocker->family, blocker->state, blocker->local_port);
	}
	return NULL;
}

static uint32_t record_cpu(const struct wire_header *header)
{
	return (uint32_t)(header->cpu_sequence >> WIRE_SEQUENCE_BITS);
}

static bool from_kernel(const struct wire_header *header)
{
	return header->type < WIRE_STREAM_START;
}

static const char *record_check(const struct decoder *decoder, const struct wire_header *header,
				size_t size)
{
	size_t expected;

	if (size < sizeof(*header) || size % 8)
		return "a record's size is impossible";
	if (header->size != size)
		return "a record's size is not that of its header";
	if (!header->type)
		return "a record has no type";
	if (decoder->ended)
		return "a record follows the stream's end";
	if (decoder->started == (header->type == WIRE_STREAM_START))
		return decoder->started ? "the stream starts twice"
					: "the stream does not start with its start record";
	if (decoder->started && from_kernel(header) &&
	    record_cpu(header) >= decoder->stream.start.cpus)
		return "a record comes from a CPU that the stream does not have";
	expected = type_size(header->type);
	if (expected) {
		uint32_t version = decoder->stream.start.version;

		if (size < expected)
			return "a record is too short for its type";
		if (!decoder->started)
			version = ((const struct wire_stream_start *)header)->version;
		if (size > expected && version <= WIRE_VERSION)
			return "a record is too long for its type";
		return content_check(header);
	}
	return NULL;
}

static int event_send(struct decoder *decoder, struct event *event, uint64_t time)
{
	event->sequence = ++decoder->stream.events;
	event->stream = &decoder->stream;
	event->wall_time = stream_wall_time(&decoder->stream, time);
	return decoder->handler(decoder->context, event);
}

static int gap_send(struct decoder *decoder, const struct event_gap *gap)
{
	struct event event = {.action = EVENT_LOST, .outcome = EVENT_UNKNOWN, .gap = gap};

	decoder->totals.lost += gap->count;
	return event_send(decoder, &event, gap->before);
}

static void sequence_take(struct decoder *decoder, struct cpu_state *state, uint64_t number)
{
	state->numbered++;
	if (number > state->newest) {
		uint64_t ahead = number - state->newest;

		state->window = ahead < 64 ? state->window << ahead : 0;
		state->window |= 1;
		state->newest = number;
	} else if (state->newest - number < 64) {
		uint64_t bit = 1ull << (state->newest - number);

		if (state->window & bit) {
			decoder->totals.repeated++;
			state->numbered--;
		}
		state->window |= bit;
	}
}

/* What its header says of the CPU's records; reports a gap before this one. */
static int header_take(struct decoder *decoder, const struct wire_header *header)
{
	struct cpu_state *state = &decoder->cpus[record_cpu(header)];
	uint64_t number = header->cpu_sequence & ((1ull << WIRE_SEQUENCE_BITS) - 1);
	struct event_gap gap = {
		.cpu = record_cpu(header),
		.count = header->lost - state->counter,
		.after = state->time,
		.before = header->time,
	};

	decoder->totals.received++;
	if (number)
		sequence_take(decoder, state, number);
	state->time = header->time;
	if (header->time > decoder->newest)
		decoder->newest = header->time;
	/* Half of the numbers lie ahead, the other half behind, as the counter wraps. */
	if (!gap.count || gap.count > UINT32_MAX / 2)
		return 0;
	state->counter = header->lost;
	state->lost += gap.count;
	return gap_send(decoder, &gap);
}

static bool protocol_connects(uint16_t protocol)
{
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_MPTCP;
}

/* False: a trigger that this version does not know. */
static bool call_action(const struct wire_event *call, enum event_action *action)
{
	switch (call->trigger) {
	case WIRE_BIND:
		*action = EVENT_BOUND;
		return true;
	case WIRE_CONNECT:
	case WIRE_SUBFLOW:
		*action = EVENT_CONNECTED;
		return true;
	case WIRE_LISTEN:
		*action = EVENT_LISTEN;
		return true;
	case WIRE_SEND:
		/* sending on a TCP socket without a connection is Fast Open */
		*action = protocol_connects(call->protocol) ? EVENT_CONNECTED : EVENT_AUTOBOUND;
		return true;
	}
	return false;
}

static void event_map(struct event *event, const struct wire_event *record)
{
	bool failed = record->error || record->flags & WIRE_ABORTED;

	event->outcome = failed ? EVENT_FAILURE : EVENT_SUCCESS;
	switch (record->header.type) {
	case WIRE_OUTCOME:
		event->action = failed ? EVENT_FAILED : EVENT_ESTABLISHED;
		break;
	case WIRE_RELEASE:
		event->action = EVENT_RELEASED;
		break;
	default:
		call_action(record, &event->action);
		if (!record->error && record->flags & WIRE_IN_PROGRESS)
			event->outcome = EVENT_UNKNOWN;
		break;
	}
}

static void blocker_take(struct decoder *decoder, const struct wire_blocker *blocker)
{
	if (decoder->blocker_total < EVENT_BLOCKERS)
		decoder->blockers[decoder->blocker_total] = *blocker;
	if (decoder->blocker_total < UINT_MAX)
		decoder->blocker_total++;
}

static void event_block(struct event *event, const struct decoder *decoder, unsigned int total)
{
	event->blockers = total ? decoder->blockers : NULL;
	event->blocker_count = total < EVENT_BLOCKERS ? total : EVENT_BLOCKERS;
	event->blocker_total = total;
}

/* `blockers`: how many came right before. */
static int socket_take(struct decoder *decoder, const struct wire_event *record,
		       unsigned int blockers)
{
	struct event event = {.socket = record};
	bool nothing = record->header.type == WIRE_SEED && !record->socket;

	if (decoder->observer && !nothing) {
		int result = decoder->observer(decoder->context, record);

		if (result < 0)
			return result;
	}
	if (record->header.type == WIRE_SEED)
		return 0;
	if (record->header.type == WIRE_CALL)
		event_block(&event, decoder, blockers);
	event_map(&event, record);
	if (!(record->flags & WIRE_NO_CLAIMANT)) {
		struct process_key key = {
			.start = record->start, .pid = record->pid, .exec = record->exec};

		event.process = process_table_find(decoder->processes, &key);
		if (!decoder->user_cached || decoder->uid != record->uid) {
			decoder->user = process_table_user(decoder->processes, record->uid);
			decoder->uid = record->uid;
			decoder->user_cached = true;
		}
		event.user = decoder->user;
	}
	return event_send(decoder, &event, record->header.time);
}

static int start_take(struct decoder *decoder, const struct wire_stream_start *start)
{
	struct event event = {.action = EVENT_START, .outcome = EVENT_UNKNOWN};

	decoder->cpus = calloc(start->cpus, sizeof(*decoder->cpus));
	if (!decoder->cpus)
		return -ENOMEM;
	decoder->stream.start = *start;
	decoder->stream.wall_offset = start->wall_offset;
	decoder->started = true;
	return event_send(decoder, &event, start->header.time);
}

static int end_take(struct decoder *decoder, const struct wire_stream_end *end)
{
	struct event event = {.action = EVENT_END, .outcome = EVENT_UNKNOWN, .end = end};

	decoder->ended = true;
	decoder->explained = end->filtered;
	if (end->lost > decoder->totals.lost) {
		struct event_gap gap = {
			.cpu = EVENT_CPU_UNKNOWN,
			.count = end->lost - decoder->totals.lost,
			.after = decoder->newest,
			.before = end->header.time,
		};
		int result = gap_send(decoder, &gap);

		if (result < 0)
			return result;
	}
	return event_send(decoder, &event, end->header.time);
}

static int heartbeat_take(struct decoder *decoder, const struct wire_heartbeat *heartbeat)
{
	struct event event = {
		.action = EVENT_HEARTBEAT, .outcome = EVENT_UNKNOWN, .heartbeat = heartbeat};

	return event_send(decoder, &event, heartbeat->header.time);
}

static void clock_take(struct decoder *decoder, const struct wire_clock *clock)
{
	decoder->stream.offset_before = decoder->stream.wall_offset;
	decoder->stream.stepped = clock->header.time;
	decoder->stream.wall_offset = clock->wall_offset;
}

int decoder_record(struct decoder *decoder, const void *record, size_t size, const char **why)
{
	const struct wire_header *header = record;
	enum event_action action;
	const char *wrong = record_check(decoder, header, size);
	unsigned int blockers = decoder->blocker_total;
	bool known;
	int result;

	if (!wrong && header->type == WIRE_STREAM_START)
		return start_take(decoder, record);
	known = !wrong && type_size(header->type);
	if (!wrong && of_socket(header)) {
		const struct wire_event *event = record;

		known = !event->trigger || call_action(event, &action);
		if (!known && decoder->stream.start.version <= WIRE_VERSION)
			wrong = "a call's trigger is unknown";
	}
	if (wrong) {
		*why = wrong;
		return -EBADMSG;
	}
	if (from_kernel(header)) {
		decoder->blocker_total = 0;
		result = header_take(decoder, header);
		if (result < 0)
			return result;
	}
	if (!known) {
		decoder->totals.skipped++;
		return 0;
	}
	switch (header->type) {
	case WIRE_PROCESS:
		return process_table_add(decoder->processes, record);
	case WIRE_CALL:
	case WIRE_OUTCOME:
	case WIRE_RELEASE:
	case WIRE_SEED:
		return socket_take(decoder, record, blockers);
	case WIRE_BLOCKER:
		blocker_take(decoder, record);
		return 0;
	case WIRE_CLOCK:
		clock_take(decoder, record);
		return 0;
	case WIRE_USER:
		decoder->user_cached = false;
		return process_table_name_user(decoder->processes,
					       ((const struct wire_user *)header)->uid,
					       ((const struct wire_user *)header)->name);
	case WIRE_HEARTBEAT:
		return heartbeat_take(decoder, record);
	case WIRE_STREAM_END:
		return end_take(decoder, record);
	}
	return 0;
}
