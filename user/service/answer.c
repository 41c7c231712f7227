/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "service/answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/container.h"

#define LEASES_MOST (1u << 20)
#define BYTES_MOST ((size_t)512 << 20)
#define PROTOCOL_TCP 6
#define PROTOCOL_MPTCP 262

void service_answer_free(struct service_answer *answer)
{
	for (size_t i = 0; i < answer->process_count; i++)
		free(answer->processes[i]);
	free(answer->processes);
	free(answer->leases);
	*answer = (struct service_answer){0};
}

void answer_ask(const struct service_query *query, struct service_ask *ask)
{
	*ask = (struct service_ask){
		.header = {.magic = SERVICE_MAGIC,
			   .version = SERVICE_VERSION,
			   .type = SERVICE_ASK,
			   .size = sizeof(*ask)},
		.netns = query->netns,
		.protocol = query->protocol,
	};
	_Static_assert(sizeof(ask->ports) == sizeof(query->ports->bits), "a set of ports");
	memcpy(ask->ports, query->ports->bits, sizeof(ask->ports));
}

static int answer_fail(struct service_answer *answer, int error, const char *why)
{
	snprintf(answer->why, sizeof(answer->why), "%s", why);
	return error;
}

static int version_fail(struct service_answer *answer, uint16_t version)
{
	snprintf(answer->why, sizeof(answer->why),
		 "it speaks version %u of the service's protocol, this portsnoop version %u",
		 version, SERVICE_VERSION);
	return -EPROTONOSUPPORT;
}

static int refused_take(struct service_answer *answer, const struct service_refused *refused,
			size_t size)
{
	if (size != sizeof(*refused))
		return answer_fail(answer, -EBADMSG, "its refusal is malformed");
	switch (refused->reason) {
	case SERVICE_BUSY:
		return answer_fail(answer, -EBUSY, "it is busy with others who ask");
	case SERVICE_NOT_READY:
		return answer_fail(answer, -EBUSY, "it has not begun to watch yet");
	case SERVICE_VERSION_UNKNOWN:
	case SERVICE_MALFORMED:
		return answer_fail(answer, -EPROTO, "it did not understand the question");
	}
	return answer_fail(answer, -EPROTO, "it refused to answer");
}

/* 0, or why this message is not one of `type`. */
static int header_check(struct service_answer *answer, const struct service_header *header,
			size_t size)
{
	if (size < sizeof(*header) || header->magic != SERVICE_MAGIC)
		return answer_fail(answer, -EBADMSG, "its socket speaks something else");
	if (header->version != SERVICE_VERSION)
		return version_fail(answer, header->version);
	if (header->size != size || size % 8 || size > SERVICE_MESSAGE_MOST || header->zero)
		return answer_fail(answer, -EBADMSG, "it sent a message of a wrong size");
	if (header->type == SERVICE_REFUSED)
		return refused_take(answer, (const struct service_refused *)header, size);
	return 0;
}

static void name_copy(char *out, const char *name, size_t size)
{
	size_t length = strnlen(name, size);

	memcpy(out, name, length);
	memset(out + length, 0, size + 1 - length);
}

int answer_hello(struct service_answer *answer, const void *message, size_t size)
{
	const struct service_hello *hello = message;
	int error = header_check(answer, message, size);

	if (error)
		return error;
	if (hello->header.type != SERVICE_HELLO || size != sizeof(*hello) ||
	    hello->tier < WIRE_TIER_FENTRY || hello->tier > WIRE_TIER_TRACEPOINT)
		return answer_fail(answer, -EBADMSG, "it did not say what it is");
	answer->facts = (struct service_facts){
		.pid = hello->pid,
		.tier = hello->tier,
		.stream = hello->stream,
		.started_wall = hello->started_wall,
		.watching = hello->watching,
		.totals = {.leases = hello->leases,
			   .opened = hello->opened,
			   .evicted = hello->evicted,
			   .unknown = hello->unknown},
	};
	name_copy(answer->facts.program, hello->program, sizeof(hello->program));
	return 0;
}

/* Makes room for one more. False without memory. */
static bool list_grow(void **list, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 16;
	void *grown;

	if (count < *room)
		return true;
	grown = realloc(*list, more * size);
	if (!grown)
		return false;
	*list = grown;
	*room = more;
	return true;
}

static const char *process_check(const struct service_answer *answer,
				 const struct service_process_record *record, size_t size)
{
	size_t texts;

	if (size < sizeof(*record))
		return "it told of a process too briefly";
	texts = (size_t)record->exe_length + record->args_length + record->cgroup_length +
		record->user_length;
	if (record->exe_length > SERVICE_EXE_MOST || record->args_length > SERVICE_ARGS_MOST ||
	    record->cgroup_length > SERVICE_CGROUP_MOST ||
	    record->user_length > SERVICE_USER_MOST ||
	    size != ((sizeof(*record) + texts + 7) & ~(size_t)7))
		return "a text of a process has a wrong length";
	if ((!(record->told & SERVICE_TOLD_EXE) && record->exe_length) ||
	    (!(record->told & SERVICE_TOLD_ARGS) && record->args_length) ||
	    (!(record->told & SERVICE_TOLD_CGROUP) && record->cgroup_length) ||
	    (!(record->told & SERVICE_TOLD_USER) && record->user_length))
		return "it told a text that it did not announce";
	if (record->number != answer->process_count + 1 || !record->pid)
		return "a process has a wrong number";
	return NULL;
}

/* A copy with a NUL behind it; NULL if it was not told. */
static const char *text_take(char **room, const char **text, size_t length, bool told)
{
	char *copy = *room;

	memcpy(copy, *text, length);
	copy[length] = '\0';
	*room += length + 1;
	*text += length;
	return told ? copy : NULL;
}

static void process_fill(struct service_process *taken, const struct service_process_record *record,
			 char *room)
{
	struct process *process = &taken->process;
	const char *text = (const char *)(record + 1);

	process->key.start = record->start;
	process->key.pid = record->pid;
	process->key.exec = record->exec;
	process->cgroup_id = record->cgroup_id;
	process->parent_start = record->parent_start;
	process->namespace_pid = record->namespace_pid;
	process->parent_pid = record->parent_pid;
	process->uid = record->uid;
	process->gid = record->gid;
	process->flags = record->flags;
	name_copy(process->comm, record->comm, WIRE_COMM);
	name_copy(process->parent_comm, record->parent_comm, WIRE_COMM);
	process->exe = text_take(&room, &text, record->exe_length, record->told & SERVICE_TOLD_EXE);
	process->exe_length = record->exe_length;
	process->args =
		text_take(&room, &text, record->args_length, record->told & SERVICE_TOLD_ARGS);
	process->args_length = record->args_length;
	process->cgroup =
		text_take(&room, &text, record->cgroup_length, record->told & SERVICE_TOLD_CGROUP);
	process->cgroup_length = record->cgroup_length;
	if (process->cgroup)
		container_parse(&process->container, process->cgroup, process->cgroup_length);
	taken->user =
		text_take(&room, &text, record->user_length, record->told & SERVICE_TOLD_USER);
	taken->details = record->told & SERVICE_TOLD_DETAILS;
}

static int process_take(struct service_answer *answer, const struct service_process_record *record,
			size_t size)
{
	const char *wrong = process_check(answer, record, size);
	struct service_process *taken;
	size_t room;

	if (wrong)
		return answer_fail(answer, -EBADMSG, wrong);
	room = sizeof(*taken) + size - sizeof(*record) + 4; /* four NULs */
	answer->bytes += room;
	if (answer->bytes > BYTES_MOST)
		return answer_fail(answer, -E2BIG, "its answer is too long");
	taken = calloc(1, room);
	if (!taken || !list_grow((void **)&answer->processes, answer->process_count,
				 &answer->process_room, sizeof(*answer->processes))) {
		free(taken);
		return answer_fail(answer, -ENOMEM, strerror(ENOMEM));
	}
	process_fill(taken, record, (char *)(taken + 1));
	answer->processes[answer->process_count++] = taken;
	return 0;
}

static bool protocol_asked(const struct service_query *query, uint16_t protocol)
{
	return !query->protocol || protocol == query->protocol ||
	       (query->protocol == PROTOCOL_TCP && protocol == PROTOCOL_MPTCP);
}

static const char *lease_check(const struct service_answer *answer,
			       const struct service_query *query,
			       const struct service_lease_record *record, size_t size)
{
	if (size != sizeof(*record))
		return "a lease has a wrong length";
	if (record->state >= LEASE_STATES || (record->family != 4 && record->family != 6) ||
	    record->trigger > WIRE_SUBFLOW || record->origin > WIRE_ORIGIN_KERNEL ||
	    record->share > 1)
		return "a lease is of an unknown kind";
	if (!port_set_has(query->ports, record->local_port) ||
	    !protocol_asked(query, record->protocol) ||
	    (query->netns && record->netns != query->netns))
		return "it told of a port that was not asked for";
	if (record->claimant > answer->process_count || record->holder > answer->process_count)
		return "a lease is of a process that it did not tell of";
	return NULL;
}

static const struct service_process *process_refer(const struct service_answer *answer,
						   uint32_t number, const char comm[WIRE_COMM],
						   struct lease_process *out)
{
	const struct service_process *process = number ? answer->processes[number - 1] : NULL;

	if (!process)
		return NULL;
	out->key = process->process.key;
	out->uid = process->process.uid;
	name_copy(out->comm, comm, WIRE_COMM);
	return process;
}

static int lease_take(struct service_answer *answer, const struct service_query *query,
		      const struct service_lease_record *record, size_t size)
{
	const char *wrong = lease_check(answer, query, record, size);
	struct service_lease *taken;
	struct lease *lease;

	if (wrong)
		return answer_fail(answer, -EBADMSG, wrong);
	if (answer->count == LEASES_MOST)
		return answer_fail(answer, -E2BIG, "its answer is too long");
	if (!list_grow((void **)&answer->leases, answer->count, &answer->lease_room,
		       sizeof(*answer->leases)))
		return answer_fail(answer, -ENOMEM, strerror(ENOMEM));
	taken = &answer->leases[answer->count++];
	*taken = (struct service_lease){
		.claimed_wall = record->claimed_wall,
		.since_wall = record->since_wall,
		.expires_wall = record->expires_wall,
	};
	lease = &taken->lease;
	lease->socket = record->socket;
	lease->claimed = record->claimed;
	lease->since = record->since;
	lease->expires = record->expires;
	lease->netns = record->netns;
	lease->device = record->device;
	lease->flags = record->flags;
	lease->protocol = record->protocol;
	lease->local_port = record->local_port;
	lease->other_port = record->other_port;
	lease->family = record->family;
	lease->trigger = record->trigger;
	lease->origin = record->origin;
	lease->state = record->state;
	lease->share = record->share;
	memcpy(lease->local, record->local, sizeof(lease->local));
	memcpy(lease->other, record->other, sizeof(lease->other));
	taken->claimant =
		process_refer(answer, record->claimant, record->claimant_comm, &lease->claimant);
	taken->holder = process_refer(answer, record->holder, record->holder_comm, &lease->holder);
	return 0;
}

static int records_take(struct service_answer *answer, const struct service_query *query,
			const char *bytes, size_t size)
{
	size_t at = sizeof(struct service_header);
	int error = 0;

	if (size == at)
		return answer_fail(answer, -EBADMSG, "it sent an empty message");
	while (at < size && !error) {
		const struct service_record *record = (const struct service_record *)(bytes + at);

		/* Both sizes are multiples of 8: what is left has room for a header. */
		if (record->size < sizeof(*record) || record->size % 8 || record->size > size - at)
			return answer_fail(answer, -EBADMSG, "a record has a wrong size");
		if (record->type == SERVICE_PROCESS)
			error = process_take(answer, (const void *)record, record->size);
		else if (record->type == SERVICE_LEASE)
			error = lease_take(answer, query, (const void *)record, record->size);
		else
			error = answer_fail(answer, -EBADMSG, "a record is of an unknown type");
		at += record->size;
	}
	return error;
}

static int end_take(struct service_answer *answer, const struct service_end *end, size_t size)
{
	if (size != sizeof(*end))
		return answer_fail(answer, -EBADMSG, "its answer has a malformed end");
	if (end->leases != answer->count)
		return answer_fail(answer, -EBADMSG, "a part of its answer is missing");
	answer->withheld = end->withheld;
	answer->now = end->now;
	answer->now_wall = end->now_wall;
	return 1;
}

int answer_take(struct service_answer *answer, const struct service_query *query,
		const void *message, size_t size)
{
	const struct service_header *header = message;
	int error = header_check(answer, message, size);

	if (error)
		return error;
	switch (header->type) {
	case SERVICE_RECORDS:
		return records_take(answer, query, message, size);
	case SERVICE_END:
		return end_take(answer, message, size);
	}
	return answer_fail(answer, -EBADMSG, "it sent a message of an unknown type");
}

void answer_ask_status(struct service_ask_status *ask)
{
	*ask = (struct service_ask_status){.header = {.magic = SERVICE_MAGIC,
						      .version = SERVICE_VERSION,
						      .type = SERVICE_ASK_STATUS,
						      .size = sizeof(*ask)}};
}

static bool sinks_well_formed(const struct service_status *status)
{
	if (status->sink_count > SERVICE_SINKS)
		return false;
	for (size_t i = 0; i < status->sink_count; i++) {
		const struct service_sink *sink = &status->sinks[i];

		if (sink->since < 0 || sink->name[sizeof(sink->name) - 1] ||
		    sink->why[sizeof(sink->why) - 1])
			return false;
	}
	return true;
}

int answer_take_status(struct service_answer *answer, struct service_status *status,
		       const void *message, size_t size)
{
	const struct service_status *told = message;
	int error = header_check(answer, message, size);

	if (error == -EPROTO)
		return answer_fail(answer, error,
				   "it did not understand the question: it may be an older one");
	if (error)
		return error;
	if (told->header.type != SERVICE_STATUS)
		return answer_fail(answer, -EBADMSG, "it sent a message of an unknown type");
	if (size < SERVICE_STATUS_LEAST || told->tier < WIRE_TIER_FENTRY ||
	    told->tier > WIRE_TIER_TRACEPOINT || told->started_wall < 0 || told->now_wall < 0 ||
	    told->store_oldest < 0 || told->store_committed < 0 ||
	    told->store_why[sizeof(told->store_why) - 1] ||
	    told->store_path[sizeof(told->store_path) - 1])
		return answer_fail(answer, -EBADMSG, "its status is malformed");
	*status = (struct service_status){0};
	memcpy(status, told, size < sizeof(*status) ? size : sizeof(*status));
	if (!sinks_well_formed(status))
		return answer_fail(answer, -EBADMSG, "its status is malformed");
	return 1;
}
