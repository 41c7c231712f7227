/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Messages that are not as they should be: what a service and an asker do with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "service/answer.h"
#include "service_world.h"

#define NOW (RECORDS_TIME + UINT64_C(3600000000000))

static struct port_set ports_all;

static const struct service_query query_all = {.ports = &ports_all};

static void test_ask_malformed(void **state)
{
	struct service_ask good, bad;

	(void)state;
	answer_ask(&query_all, &good);
	world_refuses(&good, sizeof(good) - 8, SERVICE_MALFORMED);
	world_refuses(&good, sizeof(good) + 8, SERVICE_MALFORMED);
	world_refuses(&good, sizeof(struct service_header) - 1, SERVICE_MALFORMED);
	world_refuses(&good, sizeof(struct service_header), SERVICE_MALFORMED);
	bad = good;
	bad.header.size = sizeof(bad) - 8;
	world_refuses(&bad, sizeof(bad) - 8, SERVICE_MALFORMED);
	bad = good;
	bad.header.magic++;
	world_refuses(&bad, sizeof(bad), SERVICE_MALFORMED);
	bad = good;
	bad.header.type = SERVICE_HELLO;
	world_refuses(&bad, sizeof(bad), SERVICE_MALFORMED);
	bad = good;
	bad.header.size++;
	world_refuses(&bad, sizeof(bad), SERVICE_MALFORMED);
	bad = good;
	bad.header.zero = 1;
	world_refuses(&bad, sizeof(bad), SERVICE_MALFORMED);
	bad = good;
	bad.zero = 1;
	world_refuses(&bad, sizeof(bad), SERVICE_MALFORMED);
	bad = good;
	bad.header.version++;
	world_refuses(&bad, sizeof(bad), SERVICE_VERSION_UNKNOWN);
	/* Of another version only the header is known. */
	world_refuses(&bad, sizeof(bad.header), SERVICE_VERSION_UNKNOWN);
}

/* One message with a process and its lease, and the places where to spoil it. */
struct specimen {
	struct service_query query;
	struct port_set ports;
	struct buffer message;
	struct service_header *header;
	struct service_process_record *process;
	struct service_lease_record *lease;
};

static void specimen_make(struct specimen *specimen)
{
	CLEANUP(world_free) struct world world;
	CLEANUP(buffer_free) struct buffer ignored = BUFFER_EMPTY;
	struct wire_event event = world_claim(42, 60002, 7, RECORDS_TIME + 5);
	struct reply *reply;
	struct service_ask ask;
	const char *expected;

	*specimen = (struct specimen){0};
	assert_int_equal(parse_ports("60002", &specimen->ports, &expected), 0);
	specimen->query.ports = &specimen->ports;
	specimen->query.protocol = IPPROTO_TCP;
	specimen->query.netns = RECORDS_NETNS;
	world_make(&world);
	world_process(&world, 42, 1000);
	assert_int_equal(process_table_name_user(world.processes, 1000, "dev"), 0);
	world_tell(&world, &event);
	reply = reply_new(&world.source, 0, true);
	answer_ask(&specimen->query, &ask);
	assert_true(reply_ask(reply, &ask, sizeof(ask), &ignored));
	assert_true(reply_next(reply, NOW, &specimen->message));
	reply_free(reply);
	specimen->header = (struct service_header *)specimen->message.data;
	specimen->process = (struct service_process_record *)(specimen->header + 1);
	specimen->lease = (struct service_lease_record *)((char *)specimen->process +
							  specimen->process->record.size);
}

/* To a buffer of just this size, so that a byte too far is seen. */
static int specimen_take(struct specimen *specimen, size_t size, const char *why)
{
	CLEANUP(service_answer_free) struct service_answer answer = {0};
	CLEANUP_FREE char *copy = malloc(size);
	int result;

	assert_non_null(copy);
	memcpy(copy, specimen->message.data, size);
	result = answer_take(&answer, &specimen->query, copy, size);
	assert_string_equal(answer.why, why);
	return result;
}

#define SPOIL(member, value, error, why)                                                           \
	do {                                                                                       \
		struct specimen specimen__;                                                        \
		specimen_make(&specimen__);                                                        \
		assert_int_equal(specimen_take(&specimen__, specimen__.message.length, ""), 0);    \
		specimen__.member = (value);                                                       \
		assert_int_equal(specimen_take(&specimen__, specimen__.message.length, why),       \
				 error);                                                           \
		buffer_free(&specimen__.message);                                                  \
	} while (0)

static void test_message_spoiled(void **state)
{
	static const char size[] = "it sent a message of a wrong size";

	(void)state;
	SPOIL(header->magic, 1, -EBADMSG, "its socket speaks something else");
	SPOIL(header->version, 2, -EPROTONOSUPPORT,
	      "it speaks version 2 of the service's protocol, this portsnoop version 1");
	SPOIL(header->size, 16, -EBADMSG, size);
	SPOIL(header->zero, 1, -EBADMSG, size);
	SPOIL(header->type, 77, -EBADMSG, "it sent a message of an unknown type");
	SPOIL(header->type, SERVICE_HELLO, -EBADMSG, "it sent a message of an unknown type");
	SPOIL(header->type, SERVICE_END, -EBADMSG, "its answer has a malformed end");
	SPOIL(header->type, SERVICE_REFUSED, -EBADMSG, "its refusal is malformed");
	SPOIL(process->record.type, 3, -EBADMSG, "a record is of an unknown type");
	SPOIL(process->record.size, 0, -EBADMSG, "a record has a wrong size");
	SPOIL(process->record.size, 4, -EBADMSG, "a record has a wrong size");
	SPOIL(process->record.size, 13, -EBADMSG, "a record has a wrong size");
	SPOIL(process->record.size, 0xfffffff8, -EBADMSG, "a record has a wrong size");
	SPOIL(process->record.size, 8, -EBADMSG, "it told of a process too briefly");
	SPOIL(lease->record.size, 160 + 8, -EBADMSG, "a record has a wrong size");
	SPOIL(lease->record.size, 152, -EBADMSG, "a lease has a wrong length");
}

static void test_record_spoiled(void **state)
{
	static const char length[] = "a text of a process has a wrong length";
	static const char number[] = "a process has a wrong number";
	static const char kind[] = "a lease is of an unknown kind";
	static const char foreign[] = "it told of a port that was not asked for";
	static const char nobody[] = "a lease is of a process that it did not tell of";

	(void)state;
	SPOIL(process->exe_length, 0xffff, -EBADMSG, length);
	SPOIL(process->exe_length, SERVICE_EXE_MOST + 1, -EBADMSG, length);
	SPOIL(process->exe_length, 100, -EBADMSG, length);
	SPOIL(process->args_length, SERVICE_ARGS_MOST + 1, -EBADMSG, length);
	SPOIL(process->cgroup_length, SERVICE_CGROUP_MOST + 1, -EBADMSG, length);
	SPOIL(process->user_length, SERVICE_USER_MOST + 1, -EBADMSG, length);
	SPOIL(process->user_length, 100, -EBADMSG, length);
	SPOIL(process->told, SERVICE_TOLD_DETAILS, -EBADMSG,
	      "it told a text that it did not announce");
	SPOIL(process->number, 0, -EBADMSG, number);
	SPOIL(process->number, 2, -EBADMSG, number);
	SPOIL(process->pid, 0, -EBADMSG, number);
	SPOIL(lease->state, LEASE_STATES, -EBADMSG, kind);
	SPOIL(lease->family, 5, -EBADMSG, kind);
	SPOIL(lease->trigger, WIRE_SUBFLOW + 1, -EBADMSG, kind);
	SPOIL(lease->origin, WIRE_ORIGIN_KERNEL + 1, -EBADMSG, kind);
	SPOIL(lease->share, 2, -EBADMSG, kind);
	SPOIL(lease->local_port, 60003, -EBADMSG, foreign);
	SPOIL(lease->protocol, IPPROTO_UDP, -EBADMSG, foreign);
	SPOIL(lease->netns, 1, -EBADMSG, foreign);
	SPOIL(lease->claimant, 2, -EBADMSG, nobody);
	SPOIL(lease->holder, 0xffffffff, -EBADMSG, nobody);
	/* Names need no end. */
	SPOIL(process->comm[15], 'x', 0, "");
}

/* Longer than a text can be, in a record that is as long as it says. */
static void test_text_too_long(void **state)
{
	static const struct {
		size_t length_at, most;
		uint16_t told;
	} texts[] = {
		{offsetof(struct service_process_record, exe_length), SERVICE_EXE_MOST,
		 SERVICE_TOLD_EXE},
		{offsetof(struct service_process_record, args_length), SERVICE_ARGS_MOST,
		 SERVICE_TOLD_ARGS},
		{offsetof(struct service_process_record, cgroup_length), SERVICE_CGROUP_MOST,
		 SERVICE_TOLD_CGROUP},
		{offsetof(struct service_process_record, user_length), SERVICE_USER_MOST,
		 SERVICE_TOLD_USER},
	};
	struct {
		struct service_header header;
		struct service_process_record process;
		char text[4096];
	} message;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		for (int more = 0; more <= 1; more++) {
			CLEANUP(service_answer_free) struct service_answer answer = {0};
			uint16_t length = (uint16_t)(texts[i].most + (size_t)more);
			size_t size = sizeof(message.process) + ((length + 7u) & ~7u);

			memset(&message, 0, sizeof(message));
			message.header = (struct service_header){
				.magic = SERVICE_MAGIC,
				.version = SERVICE_VERSION,
				.type = SERVICE_RECORDS,
				.size = (uint32_t)(sizeof(message.header) + size),
			};
			message.process.record.type = SERVICE_PROCESS;
			message.process.record.size = (uint32_t)size;
			message.process.number = message.process.pid = 1;
			message.process.told = texts[i].told;
			memcpy((char *)&message.process + texts[i].length_at, &length,
			       sizeof(length));
			assert_int_equal(
				answer_take(&answer, &query_all, &message, message.header.size),
				more ? -EBADMSG : 0);
		}
}

static void test_message_cut(void **state)
{
	struct specimen specimen;

	(void)state;
	specimen_make(&specimen);
	for (size_t size = 0; size < specimen.message.length; size++) {
		CLEANUP(service_answer_free) struct service_answer answer = {0};
		CLEANUP_FREE char *copy = malloc(size ? size : 1);

		assert_non_null(copy);
		memcpy(copy, specimen.message.data, size);
		assert_int_equal(answer_take(&answer, &specimen.query, copy, size), -EBADMSG);
		if (size < sizeof(struct service_header))
			continue;
		((struct service_header *)copy)->size = (uint32_t)size;
		/* Whole if it ends behind the process: then the lease is missing. */
		if (size == (size_t)((char *)specimen.lease - specimen.message.data))
			assert_int_equal(answer_take(&answer, &specimen.query, copy, size), 0);
		else
			assert_int_equal(answer_take(&answer, &specimen.query, copy, size),
					 -EBADMSG);
	}
	buffer_free(&specimen.message);
}

static void test_end_counts(void **state)
{
	struct service_end end = {
		.header = {SERVICE_MAGIC, SERVICE_VERSION, SERVICE_END, sizeof(end), 0}};
	struct service_answer answer = {0};

	(void)state;
	assert_int_equal(answer_take(&answer, &query_all, &end, sizeof(end)), 1);
	end.leases = 1;
	assert_int_equal(answer_take(&answer, &query_all, &end, sizeof(end)), -EBADMSG);
	assert_string_equal(answer.why, "a part of its answer is missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ask_malformed),  cmocka_unit_test(test_message_spoiled),
		cmocka_unit_test(test_record_spoiled), cmocka_unit_test(test_text_too_long),
		cmocka_unit_test(test_message_cut),    cmocka_unit_test(test_end_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
