/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/coverage.h"
#include "model/field_get.h"
#include "model/ledger.h"
#include "model/message.h"
#include "model/text.h"

/* So far, or in all. */
#define TOTAL_GET(name)                                                                            \
	GET(total_##name)                                                                          \
	{                                                                                          \
		return number(event->heartbeat ? event->heartbeat->name : event->end->name);       \
	}
#define STREAM_TEXT_GET(name)                                                                      \
	GET(stream_##name)                                                                         \
	{                                                                                          \
		return text_of(event->stream->start.name, sizeof(event->stream->start.name));      \
	}
TOTAL_GET(seen)
TOTAL_GET(lost)
TOTAL_GET(filtered)
TOTAL_GET(untracked)
STREAM_TEXT_GET(host)
STREAM_TEXT_GET(kernel)
STREAM_TEXT_GET(boot_id)
STREAM_TEXT_GET(program)

GET(timestamp)
{
	return (struct value){.kind = VALUE_TIME, .integer = event->wall_time};
}

GET(message)
{
	return text(scratch->text, message_sentence(event, scratch->text));
}

GET(ecs_version)
{
	return token("9.4.0");
}

GET(kind)
{
	return token(event->heartbeat ? "metric" : "event");
}

GET(category)
{
	scratch->tokens[0] = "network";
	return tokens(scratch, 1);
}

/* ECS ties the type to a category; these are allowed for "network". */
GET(type)
{
	const char *refused = NULL, **type = scratch->tokens;

	if (event->socket)
		refused = errno_name(event->socket->error);
	/* Somebody said no: a policy here, or the other side. */
	if (refused && strcmp(refused, "EACCES") && strcmp(refused, "EPERM") &&
	    strcmp(refused, "ECONNREFUSED"))
		refused = NULL;

	switch (event->action) {
	case EVENT_CONNECTED:
	case EVENT_ESTABLISHED:
		*type++ = "connection";
		*type++ = "start";
		break;
	case EVENT_FAILED:
		*type++ = "connection";
		if (!refused)
			*type++ = "end";
		break;
	case EVENT_BOUND:
	case EVENT_LISTEN:
	case EVENT_AUTOBOUND:
		*type++ = "start";
		break;
	case EVENT_RELEASED:
		*type++ = "end";
		break;
	default:
		*type++ = "info";
		break;
	}
	if (refused)
		*type++ = "denied";
	return tokens(scratch, (unsigned int)(type - scratch->tokens));
}

GET(action)
{
	return token(event_action_name(event->action));
}

GET(outcome)
{
	return token(event_outcome_name(event->outcome));
}

GET(dataset)
{
	return token("portsnoop.events");
}

GET(id)
{
	char *end = text_hex(scratch->text, event->stream->start.id, 16);

	*end++ = '-';
	end = text_unsigned(end, event->sequence);
	return text(scratch->text, (size_t)(end - scratch->text));
}

GET(sequence)
{
	return number(event->sequence);
}

GET(schema)
{
	return number(1);
}

GET(tier)
{
	static const char *const names[] = {
		[WIRE_TIER_FENTRY] = "fentry",
		[WIRE_TIER_KPROBE] = "kprobe",
		[WIRE_TIER_TRACEPOINT] = "tracepoint",
	};
	uint32_t tier = event->stream->start.tier;

	return token(tier < sizeof(names) / sizeof(names[0]) ? names[tier] : NULL);
}

GET(stream_cpus)
{
	return number(event->stream->start.cpus);
}

GET(stream_ring_bytes)
{
	return number_if(event->stream->start.ring_bytes);
}

GET(stream_not_covered)
{
	_Static_assert(COVERAGE_COUNT <= VALUE_TOKENS_MAX, "room for all names");
	unsigned int count = 0;

	for (unsigned int bit = 0; bit < COVERAGE_COUNT; bit++)
		if (!(event->stream->start.coverage >> bit & 1))
			scratch->tokens[count++] = coverage_name(bit);
	return tokens(scratch, count);
}

GET(total_unseen)
{
	return number(event->end->unseen);
}

GET(truncated)
{
	for (unsigned int i = 0; i < event->truncated_count; i++)
		scratch->tokens[i] = event->truncated[i];
	return tokens(scratch, event->truncated_count);
}

GET(total_skipped)
{
	/* this kernel does not count it */
	return event->end->skipped == UINT64_MAX ? null() : number(event->end->skipped);
}

GET(total_evicted)
{
	return event->ledger ? number(event->ledger->evicted) : null();
}

GET(lost_count)
{
	return number(event->gap->count);
}

GET(lost_cpu)
{
	return event->gap->cpu == EVENT_CPU_UNKNOWN ? absent() : number(event->gap->cpu);
}

GET(lost_from)
{
	return time_of(event, event->gap->after);
}

GET(lost_to)
{
	return time_of(event, event->gap->before);
}

GET(lost_sink)
{
	const char *sink = event->gap->sink;

	return sink ? text(sink, strlen(sink)) : absent();
}
