/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a service and those who ask it say to each other. The first byte says who hears
 * the rest: 'a', a service its question, whose answer then has to be taken; 'h', an asker
 * the greeting; 'm', an asker messages, each behind its length (two bytes); 'r', the same
 * with headers made right, so that what stands behind them is reached; 's', an asker a
 * status, and 't', one with its header made right; 'c', a service what its owner says of
 * itself, which others then have to be able to read.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "command/record_status.h"
#include "lib/escape.h"
#include "service/answer.h"
#include "service/reply.h"

#define NOW 5000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct stream stream = {.start = {.header.time = 1, .tier = WIRE_TIER_FENTRY}};
static struct process process = {.uid = 7,
				 .exe = "/bin/a",
				 .exe_length = 6,
				 .args = "a\0b",
				 .args_length = 4,
				 .cgroup = "/c.service",
				 .cgroup_length = 10};

static const struct stream *stream_tell(void *context)
{
	(void)context;
	return &stream;
}

static const struct process *process_find(void *context, const struct process_key *key)
{
	(void)context;
	return key->pid % 2 ? &process : NULL;
}

static const char *user_name(void *context, uint32_t uid)
{
	(void)context;
	return uid == 7 ? "seven" : NULL;
}

static struct service_source source = {
	.stream = stream_tell, .find = process_find, .user = user_name};

static void ledger_fill(void)
{
	static const uint16_t ports[] = {1, 22, 80, 80, 443, 8080, 60002, 65535};

	source.ledger = ledger_new(100);
	check(source.ledger);
	for (uint32_t i = 0; i < sizeof(ports) / sizeof(*ports); i++) {
		struct wire_event event = {
			.header = {.type = WIRE_CALL, .size = sizeof(event), .time = 10 + i},
			.socket = 1 + i,
			.pid = 100 + i % 3,
			.uid = i % 2 ? 7 : 0,
			.netns = 1 + i % 2,
			.local_port = ports[i],
			.protocol = i % 4 == 3 ? 17 : 6,
			.family = i % 2 ? 4 : 6,
			.trigger = WIRE_BIND,
			.origin = WIRE_ORIGIN_REQUESTED,
			.flags = WIRE_CLAIMED,
			.comm = "claimer",
		};

		check(!ledger_record(source.ledger, &event, NULL, NULL));
	}
}

static void answer_check(const struct service_answer *answer, const struct service_query *query)
{
	for (size_t i = 0; i < answer->count; i++) {
		const struct lease *lease = &answer->leases[i].lease;

		check(port_set_has(query->ports, lease->local_port));
		check(lease->state < LEASE_STATES);
		check(!lease->claimant.key.pid == !answer->leases[i].claimant);
		check(!lease->holder.key.pid == !answer->leases[i].holder);
		check(strlen(lease->claimant.comm) <= WIRE_COMM);
	}
	for (size_t i = 0; i < answer->process_count; i++) {
		const struct service_process *one = answer->processes[i];

		check(!one->process.exe || !one->process.exe[one->process.exe_length]);
		check(!one->process.args || !one->process.args[one->process.args_length]);
		check(!one->process.cgroup || !one->process.cgroup[one->process.cgroup_length]);
		check(!one->user || strlen(one->user) <= SERVICE_USER_MOST);
	}
}

/* Whatever a service says: lines of ours alone, which say nothing to a terminal. */
static void status_check(const struct service_status *status)
{
	const struct service_report report = {.pid = 1, .status = *status};
	struct buffer out = BUFFER_EMPTY;
	uint32_t character;
	size_t taken, lines = 0;

	record_status_json(&out, &report);
	check(memchr(out.data, '\n', out.length) == out.data + out.length - 1);
	record_status_text(&out, &report);
	check(!out.failed);
	for (size_t at = 0; at < out.length; at += taken) {
		taken = utf8_length(out.data + at, out.length - at, &character);
		check(taken && (character >= ' ' || character == '\n') && character != 0x7f);
		lines += character == '\n';
	}
	check(lines > 5 && lines < 50 + 4 * SERVICE_SINKS + 2);
	buffer_free(&out);
}

static void status_hear(uint8_t *message, size_t size, bool mend)
{
	struct service_header *header = (struct service_header *)message;
	struct service_status status;
	struct service_answer answer = {0};
	int result;

	if (mend && size >= sizeof(*header))
		*header = (struct service_header){SERVICE_MAGIC, SERVICE_VERSION, SERVICE_STATUS,
						  (uint32_t)size, 0};
	result = answer_take_status(&answer, &status, message, size);
	check((result < 0) == !!*answer.why && (result < 0 || result == 1));
	if (result == 1)
		status_check(&status);
}

struct told {
	const uint8_t *bytes;
	size_t size;
};

static void status_tell(void *context, struct service_status *status)
{
	const struct told *told = context;
	const size_t start = sizeof(status->header), most = sizeof(*status) - start;
	uint32_t tier = status->tier;

	memcpy((char *)status + start, told->bytes, told->size < most ? told->size : most);
	status->tier = tier;
}

/* A question for the status, and the answer to it. */
static void status_ask(const uint8_t *bytes, size_t size, uint32_t uid)
{
	struct told told = {bytes, size};
	struct reply *reply = reply_new(&source, uid, uid == 0);
	struct service_answer answer = {0};
	struct buffer out = BUFFER_EMPTY;
	struct service_ask_status ask;
	struct service_status status;

	check(reply);
	answer_ask_status(&ask);
	check(reply_ask(reply, &ask, sizeof(ask), &out) && !out.length);
	source.status = bytes ? status_tell : NULL;
	source.status_context = &told;
	check(!reply_next(reply, NOW, &out) && out.length == sizeof(status));
	check(answer_take_status(&answer, &status, out.data, out.length) == 1 && !*answer.why);
	check(!uid || !(status.told & SERVICE_STATUS_PRIVATE));
	check(status.told & SERVICE_STATUS_PRIVATE || (!*status.store_path && !*status.store_why));
	check(status.sink_count <= SERVICE_SINKS);
	for (size_t i = 0; i < status.sink_count && uid; i++)
		check(!*status.sinks[i].why && !strchr(status.sinks[i].name, ':'));
	status_check(&status);
	reply_free(reply);
	buffer_free(&out);
}

static void question_hear(const void *message, size_t size, uint32_t uid)
{
	const struct service_ask *ask = message;
	struct reply *reply = reply_new(&source, uid, uid == 0);
	struct buffer out = BUFFER_EMPTY;
	struct port_set ports;
	struct service_query query = {.ports = &ports};
	struct service_answer answer = {0};
	bool more = true;

	check(reply);
	if (!reply_ask(reply, message, size, &out)) {
		check(answer_take(&answer, &query, out.data, out.length) < 0 && *answer.why);
		goto out;
	}
	check(!out.length);
	if (ask->header.type == SERVICE_ASK_STATUS) {
		status_ask(NULL, 0, uid);
		goto out;
	}
	memcpy(ports.bits, ask->ports, sizeof(ports.bits));
	query.protocol = ask->protocol;
	query.netns = ask->netns;
	while (more) {
		buffer_reset(&out);
		more = reply_next(reply, NOW, &out);
		check(out.length <= SERVICE_MESSAGE_MOST && (more || out.length));
		if (out.length)
			check(answer_take(&answer, &query, out.data, out.length) == !more);
	}
	check(!answer.withheld || uid);
	answer_check(&answer, &query);
	service_answer_free(&answer);
out:
	reply_free(reply);
	buffer_free(&out);
}

static void header_mend(uint8_t *message, size_t size)
{
	struct service_header *header = (struct service_header *)message;

	if (size < sizeof(*header))
		return;
	header->magic = SERVICE_MAGIC;
	header->version = SERVICE_VERSION;
	header->type = SERVICE_RECORDS + header->type % 2;
	header->size = (uint32_t)size;
	header->zero = 0;
}

static void messages_hear(const uint8_t *data, size_t size, bool mend)
{
	static struct port_set ports;
	const struct service_query query = {.ports = &ports};
	struct service_answer answer = {0};
	int result = 0;

	memset(&ports, 0xff, sizeof(ports));
	while (size > 2 && !result) {
		size_t length = data[0] | (size_t)data[1] << 8;
		uint8_t *message;

		data += 2;
		size -= 2;
		if (length > size)
			length = size;
		message = malloc(length ? length : 1);
		check(message);
		memcpy(message, data, length);
		if (mend)
			header_mend(message, length);
		result = answer_take(&answer, &query, message, length);
		check((result < 0) == !!*answer.why);
		answer_check(&answer, &query);
		free(message);
		data += length;
		size -= length;
	}
	service_answer_free(&answer);
}

static void greeting_hear(const void *message, size_t size)
{
	struct service_answer answer = {0};

	if (!answer_hello(&answer, message, size))
		check(strlen(answer.facts.program) < sizeof(answer.facts.program));
	else
		check(*answer.why);
	service_answer_free(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *message;

	if (!source.ledger)
		ledger_fill();
	if (!size)
		return 0;
	/* Of just this size, so that a byte too far is seen; and aligned. */
	message = calloc(1, size > 1 ? size - 1 : 1);
	check(message);
	memcpy(message, data + 1, size - 1);
	switch (data[0]) {
	case 'a':
		question_hear(message, size - 1, 0);
		question_hear(message, size - 1, 7);
		break;
	case 'h':
		greeting_hear(message, size - 1);
		break;
	case 'm':
	case 'r':
		messages_hear(message, size - 1, data[0] == 'r');
		break;
	case 's':
	case 't':
		status_hear(message, size - 1, data[0] == 't');
		break;
	case 'c':
		status_ask(message, size - 1, 0);
		status_ask(message, size - 1, 7);
		break;
	}
	free(message);
	return 0;
}
