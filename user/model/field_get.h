/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How the fields get at their values; for field.c and the field_*.c alone. A getter
 * is called for the actions of its field only, see field_table.
 */
#ifndef PORTSNOOP_FIELD_GET_H
#define PORTSNOOP_FIELD_GET_H

#include <string.h>

#include "model/field.h"

#define GETTER(name)                                                                               \
	struct value field_##name(const struct event *event, struct field_scratch *scratch)
#define GET(name)                                                                                  \
	struct value field_##name(const struct event *event __attribute__((unused)),               \
				  struct field_scratch *scratch __attribute__((unused)))

GETTER(total_seen);
GETTER(total_lost);
GETTER(total_filtered);
GETTER(total_untracked);
GETTER(total_unseen);
GETTER(total_evicted);
GETTER(stream_host);
GETTER(stream_kernel);
GETTER(stream_boot_id);
GETTER(stream_program);
GETTER(timestamp);
GETTER(message);
GETTER(ecs_version);
GETTER(kind);
GETTER(category);
GETTER(type);
GETTER(action);
GETTER(outcome);
GETTER(dataset);
GETTER(id);
GETTER(sequence);
GETTER(schema);
GETTER(tier);
GETTER(stream_cpus);
GETTER(stream_ring_bytes);
GETTER(stream_not_covered);
GETTER(total_skipped);
GETTER(lost_count);
GETTER(lost_cpu);
GETTER(lost_from);
GETTER(lost_to);
GETTER(lost_sink);
GETTER(own_range);
GETTER(fastopen);
GETTER(self_connect);
GETTER(kernel_socket);
GETTER(disconnect);
GETTER(people_protocol);
GETTER(people_local);
GETTER(people_remote);
GETTER(people_result);
GETTER(people_class);
GETTER(people_verb);
GETTER(duration);
GETTER(error);
GETTER(transport);
GETTER(iana_number);
GETTER(network_type);
GETTER(source_ip);
GETTER(source_port);
GETTER(destination_ip);
GETTER(destination_port);
GETTER(server_ip);
GETTER(server_port);
GETTER(trigger);
GETTER(origin);
GETTER(claimed);
GETTER(local_ip);
GETTER(local_port);
GETTER(requested_ip);
GETTER(requested_port);
GETTER(class_iana);
GETTER(class_service);
GETTER(class_in_pool);
GETTER(class_reserved);
GETTER(class_privileged);
GETTER(class_pool);
GETTER(known_uses);
GETTER(socket_options);
GETTER(mptcp);
GETTER(device);
GETTER(netns);
GETTER(socket);
GETTER(time_wait);
GETTER(lingered);
GETTER(holder_pid);
GETTER(holder_name);
GETTER(blocked_by);
GETTER(blocked_by_total);
GETTER(blocked_by_unlisted);
GETTER(blocked_by_reason);
GETTER(pid);
GETTER(entity_id);
GETTER(process_name);
GETTER(thread_id);
GETTER(thread_name);
GETTER(executable);
GETTER(args);
GETTER(parent_pid);
GETTER(parent_name);
GETTER(user_id);
GETTER(user_name);
GETTER(container_id);
GETTER(container_runtime);
GETTER(container_pod);
GETTER(container_unit);
GETTER(exe_flags);
GETTER(incomplete);
GETTER(truncated);
GETTER(cgroup);
GETTER(namespace_pid);
GETTER(kernel_thread);
GETTER(process_unknown);

static inline struct value absent(void)
{
	return (struct value){.kind = VALUE_ABSENT};
}

static inline struct value null(void)
{
	return (struct value){.kind = VALUE_NULL};
}

static inline struct value truth(bool is)
{
	return (struct value){.kind = VALUE_BOOL, .truth = is};
}

static inline struct value number(uint64_t number)
{
	return (struct value){.kind = VALUE_UNSIGNED, .number = number};
}

static inline struct value number_if(uint64_t number)
{
	return (struct value){.kind = number ? VALUE_UNSIGNED : VALUE_ABSENT, .number = number};
}

static inline struct value token(const char *text)
{
	return (struct value){.kind = text ? VALUE_TOKEN : VALUE_ABSENT, .token = text};
}

static inline struct value text(const char *bytes, size_t length)
{
	return (struct value){.kind = length ? VALUE_TEXT : VALUE_ABSENT, .text = {bytes, length}};
}

static inline struct value text_of(const char *string, size_t size)
{
	return text(string, strnlen(string, size));
}

static inline struct value address(const uint8_t *bytes, uint8_t family)
{
	return (struct value){.kind = VALUE_ADDRESS, .address = {bytes, family}};
}

static inline struct value tokens(const struct field_scratch *scratch, unsigned int count)
{
	return (struct value){.kind = count ? VALUE_TOKENS : VALUE_ABSENT,
			      .tokens = {scratch->tokens, count}};
}

static inline struct value time_of(const struct event *event, uint64_t monotonic)
{
	return (struct value){.kind = monotonic ? VALUE_TIME : VALUE_ABSENT,
			      .integer = stream_wall_time(event->stream, monotonic)};
}

static inline bool has(const struct event *event, uint32_t flag)
{
	return event->socket->flags & flag;
}

static inline bool known(const struct event *event)
{
	return !has(event, WIRE_NO_CLAIMANT);
}

struct flag_name {
	uint32_t flag;
	const char *name;
};

static inline struct value flag_names(uint32_t flags, const struct flag_name *names,
				      struct field_scratch *scratch)
{
	unsigned int count = 0;

	for (; names->name; names++)
		if (flags & names->flag)
			scratch->tokens[count++] = names->name;
	return tokens(scratch, count);
}

#endif
