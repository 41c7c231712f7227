/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One NDJSON record an interval, in the shape and with the names of the event stream
 * (model/field.c) where it has them. What is not known is absent. */
#include <stdlib.h>
#include <string.h>

#include "command/rate.h"
#include "format/member.h"
#include "lib/cleanup.h"
#include "model/classify.h"
#include "model/coverage.h"
#include "model/event.h"
#include "model/text.h"

/* ---- numbers ---- */

static const struct {
	const char *key;
	size_t offset;
} members[] = {
	{"kernel", offsetof(struct rate_counts, kernel)},
	{"requested", offsetof(struct rate_counts, requested)},
	{"unsplit", offsetof(struct rate_counts, unsplit)},
	{"failures", offsetof(struct rate_counts, failures)},
	{"connect_failures", offsetof(struct rate_counts, connect_failures)},
	{"released", offsetof(struct rate_counts, released)},
	{"time_waits", offsetof(struct rate_counts, time_waits)},
};

#define MEMBERS (sizeof(members) / sizeof(*members))

static uint64_t member_of(const struct rate_counts *counts, size_t index)
{
	uint64_t number;

	memcpy(&number, (const char *)counts + members[index].offset, sizeof(number));
	return number;
}

static void counts_put(struct json *json, const char *key, const struct rate_counts *counts)
{
	member_object(json, key);
	member_number(json, "claims", rate_claims(counts));
	for (size_t i = 0; i < MEMBERS; i++)
		member_number(json, members[i].key, member_of(counts, i));
	json_close(json, '}');
}

static void rate_put(struct json *json, const char *key, uint64_t number, uint64_t interval)
{
	json_key(json, key);
	buffer_printf(json->out, "%.3f", (double)number * 1e9 / (double)interval);
	json->comma = true;
}

static void rates_put(struct json *json, const struct rate_counts *counts, uint64_t interval)
{
	member_object(json, "per_second");
	rate_put(json, "claims", rate_claims(counts), interval);
	for (size_t i = 0; i < MEMBERS; i++)
		rate_put(json, members[i].key, member_of(counts, i), interval);
	json_close(json, '}');
}

/* The members of a row, and of what is none. */
static void sum_put(struct json *json, const struct rate_view *view, const struct rate_sum *sum)
{
	const struct rate_counts interval = rate_interval(sum);

	counts_put(json, "interval", &interval);
	rates_put(json, &interval, view->result.interval);
	counts_put(json, "since_start", &sum->now);
	member_object(json, "held");
	member_number(json, "open", rate_open(&sum->now));
	/* Its end is not seen in the tracepoint tier. */
	if (!view->estimated)
		member_number(json, "time_wait", rate_lingering(&sum->now));
	json_close(json, '}');
}

static void error_put(struct json *json, const char *code, enum rate_of of, uint64_t interval,
		      uint64_t since_start)
{
	static const char *const what[] = {
		[RATE_OF_CLAIM] = "claim",
		[RATE_OF_CONNECTION] = "connection",
		[RATE_OF_CALL] = "call",
	};

	json_open(json, '{');
	member_string(json, "code", code);
	member_string(json, "of", what[of]);
	member_number(json, "interval", interval);
	member_number(json, "since_start", since_start);
	json_close(json, '}');
}

/* Those with a null code found no room by errno. */
static void errors_put(struct json *json, const struct rate_errors *errors,
		       const struct rate_sum *sum)
{
	const struct rate_counts interval = rate_interval(sum);
	const uint64_t failures[2][2] = {
		{sum->now.failures, interval.failures},
		{sum->now.connect_failures, interval.connect_failures},
	};
	CLEANUP(buffer_free) struct buffer name = BUFFER_EMPTY;

	member_array(json, "errors");
	for (size_t i = 0; i < errors->count; i++) {
		const struct rate_error *error = &errors->list[i];

		buffer_reset(&name);
		rate_error_name(&name, error);
		buffer_byte(&name, '\0');
		error_put(json, name.failed ? NULL : name.data, error->of,
			  rate_error_interval(error), error->now);
	}
	for (enum rate_of of = RATE_OF_CLAIM; of <= RATE_OF_CONNECTION; of++) {
		uint64_t rest = rate_unlisted(errors, failures[of][0], of, false);

		if (rest)
			error_put(json, NULL, of, rate_unlisted(errors, failures[of][1], of, true),
				  rest);
	}
	json_close(json, ']');
}

/* ---- what a row is about ---- */

static void user_put(struct json *json, const struct rate_view *view, uint32_t uid)
{
	member_user(json, uid, rate_user_name(view->names, uid));
}

static void container_put(struct json *json, const struct container *container)
{
	if (*container->id || *container->runtime) {
		member_object(json, "container");
		if (*container->id)
			member_string(json, "id", container->id);
		if (*container->runtime)
			member_string(json, "runtime", container->runtime);
		json_close(json, '}');
	}
	if (*container->pod)
		member_string(json, "pod", container->pod);
}

/* Of a process that is still there. */
static void exe_put(struct json *json, const struct rate_view *view, const struct rate_group *group)
{
	CLEANUP(holding_free) struct holding own = {.holder_count = 1};

	own.holders = calloc(1, sizeof(*own.holders));
	if (!own.holders)
		return;
	own.holders->pid = group->subject.pid;
	own.holders->start = group->subject.start;
	own.holders->uid = group->uid;
	if (!procfs_describe(view->procfs, own.holders) && own.holders->exe)
		member_string(json, "executable", own.holders->exe);
}

static void process_put(struct json *json, const struct rate_view *view,
			const struct rate_group *group)
{
	const struct rate_subject *subject = &group->subject;

	member_object(json, "process");
	member_number(json, "pid", subject->pid);
	if (*group->comm)
		member_string(json, "name", group->comm);
	if (subject->start)
		member_time(json, "start", view->boot_offset + (int64_t)subject->start);
	if (view->procfs)
		exe_put(json, view, group);
	if (!(group->mixed & RATE_MIXED_USER))
		user_put(json, view, group->uid);
	json_close(json, '}');
	if (group->mixed & RATE_MIXED_CGROUP)
		return;
	container_put(json, &group->container);
	if (*group->container.unit)
		member_string(json, "unit", group->container.unit);
}

static void netns_put(struct json *json, const struct rate_view *view, uint32_t netns)
{
	const char *name = rate_netns_name(view->names, netns);

	member_number(json, "netns", netns);
	if (name)
		member_string(json, "netns_name", name);
}

static void destination_put(struct json *json, const struct rate_view *view,
			    const struct rate_group *group)
{
	const struct rate_subject *subject = &group->subject;

	member_network(json, subject->protocol, subject->family);
	if (subject->kind == RATE_NONE) {
		member_string(json, "destination", NULL);
		member_string(json, "trigger", trigger_name(subject->trigger));
	} else {
		member_endpoint(json, "destination", subject->address, subject->family,
				subject->port);
	}
	if (group->source_family && !(group->mixed & RATE_MIXED_SOURCE))
		member_endpoint(json, "source", group->source, group->source_family, 0);
	if (!(group->mixed & RATE_MIXED_POOL)) {
		member_array(json, "pool");
		json_unsigned(json, group->pool_low);
		json_unsigned(json, group->pool_high);
		json_close(json, ']');
	}
	if (!(group->mixed & RATE_MIXED_NETNS))
		netns_put(json, view, group->netns);
}

static void class_put(struct json *json, const struct rate_group *group)
{
	const unsigned int class = group->subject.class, iana = class & TALLY_IANA;
	static const char *const origins[] = {
		[WIRE_ORIGIN_REQUESTED] = "requested",
		[WIRE_ORIGIN_KERNEL] = "kernel",
	};

	member_object(json, "class");
	/* No port: of failures, and of what no claim was made for. */
	member_string(json, "iana", iana ? iana_range_name((enum iana_range)(iana - 1)) : NULL);
	if (iana) {
		member_bool(json, "in_pool", class & TALLY_IN_POOL && !(class & TALLY_RESERVED));
		member_bool(json, "reserved", class & TALLY_RESERVED);
	}
	json_close(json, '}');
	member_string(json, "origin",
		      group->subject.origin < sizeof(origins) / sizeof(*origins)
			      ? origins[group->subject.origin]
			      : NULL);
}

static void unknown_put(struct json *json, const struct rate_view *view, enum rate_kind kind)
{
	const enum rate_by by = view->result.by;

	member_string(json, by == RATE_COMM ? "process" : rate_by_name(by), NULL);
	member_string(json, "reason",
		      kind == RATE_NONE	   ? "none"
		      : by == RATE_PROCESS ? "no_process"
		      : by == RATE_COMM	   ? "name_unknown"
					   : "cgroup_unknown");
}

static void subject_put(struct json *json, const struct rate_view *view,
			const struct rate_group *group)
{
	const struct rate_subject *subject = &group->subject;

	if (subject->kind != RATE_KNOWN && view->result.by != RATE_DESTINATION) {
		unknown_put(json, view, subject->kind);
		return;
	}
	switch (view->result.by) {
	case RATE_PROCESS:
		process_put(json, view, group);
		break;
	case RATE_COMM:
		member_object(json, "process");
		member_string(json, "name", subject->name);
		json_close(json, '}');
		break;
	case RATE_UNIT:
		member_string(json, "unit", subject->name);
		break;
	case RATE_CONTAINER:
		container_put(json, &group->container);
		break;
	case RATE_USER:
		user_put(json, view, subject->number);
		break;
	case RATE_DESTINATION:
		destination_put(json, view, group);
		break;
	case RATE_PORT_CLASS:
		class_put(json, group);
		break;
	default:
		netns_put(json, view, subject->number);
		break;
	}
}

/* What there is no one value of in a row. */
static void mixed_put(struct json *json, const struct rate_group *group, enum rate_by by)
{
	static const struct {
		const char *name;
		enum rate_mixed bit;
		enum rate_by by; /* that would have shown it */
	} names[] = {
		{"cgroup", RATE_MIXED_CGROUP, RATE_PROCESS},
		{"user", RATE_MIXED_USER, RATE_PROCESS},
		{"source", RATE_MIXED_SOURCE, RATE_DESTINATION},
		{"pool", RATE_MIXED_POOL, RATE_DESTINATION},
		{"netns", RATE_MIXED_NETNS, RATE_DESTINATION},
	};
	bool some = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!(group->mixed & names[i].bit) || by != names[i].by)
			continue;
		if (!some)
			member_array(json, "several");
		json_string(json, names[i].name);
		some = true;
	}
	if (some)
		json_close(json, ']');
}

/* ---- the record ---- */

static void rows_put(struct json *json, const struct rate_view *view)
{
	const struct rate_result *result = &view->result;
	CLEANUP(buffer_free) struct buffer name = BUFFER_EMPTY;

	member_array(json, "rows");
	for (size_t i = 0; i < result->count; i++) {
		const struct rate_group *group = result->rows[i];

		json_open(json, '{');
		buffer_reset(&name);
		rate_name(&name, view, group);
		json_key(json, "name");
		json_text(json, name.data, name.length);
		subject_put(json, view, group);
		mixed_put(json, group, result->by);
		sum_put(json, view, &group->sum);
		if (result->by != RATE_DESTINATION)
			errors_put(json, &group->errors, &group->sum);
		json_close(json, '}');
	}
	json_close(json, ']');
	member_object(json, "rest");
	member_number(json, "rows", result->rest_count);
	sum_put(json, view, &result->rest);
	json_close(json, '}');
	member_object(json, "overflow");
	sum_put(json, view, &result->overflow);
	json_close(json, '}');
	member_object(json, "total");
	sum_put(json, view, &result->total);
	errors_put(json, result->errors, &result->total);
	json_close(json, '}');
}

static void completeness_put(struct json *json, const struct rate_view *view)
{
	struct rate_gap gaps[RATE_GAPS];
	unsigned int count = rate_gaps(view, gaps);

	member_bool(json, "complete", !count);
	member_array(json, "incomplete");
	for (unsigned int i = 0; i < count; i++) {
		json_open(json, '{');
		member_string(json, "reason", gaps[i].reason);
		if (gaps[i].count != UINT64_MAX)
			member_number(json, "count", gaps[i].count);
		member_string(json, "message", gaps[i].text);
		json_close(json, '}');
	}
	json_close(json, ']');
	member_array(json, "not_covered");
	for (unsigned int kind = 0; kind < COVERAGE_COUNT; kind++)
		if (!(view->coverage & COVERAGE_BIT(kind)))
			json_string(json, coverage_name(kind));
	json_close(json, ']');
	member_array(json, "estimated");
	if (view->estimated)
		json_string(json, "time_waits");
	json_close(json, ']');
	member_number(json, "untracked", view->untracked);
	if (view->skipped != UINT64_MAX)
		member_number(json, "skipped", view->skipped);
}

static void event_put(struct json *json, const struct rate_view *view)
{
	const uint64_t interval = view->result.interval;

	member_event(json, "metric");
	member_array(json, "type");
	json_string(json, "info");
	json_close(json, ']');
	member_string(json, "action", "measured-rate");
	member_string(json, "dataset", "portsnoop.rate");
	member_time(json, "start", view->wall - (int64_t)interval);
	member_time(json, "end", view->wall);
	member_number(json, "duration", interval);
	json_close(json, '}');
}

void rate_json(struct buffer *out, const struct rate_view *view)
{
	CLEANUP(buffer_free) struct buffer words = BUFFER_EMPTY;
	struct json json = {.out = out};

	json_open(&json, '{');
	member_time(&json, "@timestamp", view->wall);
	rate_message(&words, view);
	json_key(&json, "message");
	json_text(&json, words.data, words.length);
	event_put(&json, view);
	if (view->host && *view->host) {
		member_object(&json, "host");
		member_string(&json, "name", view->host);
		json_close(&json, '}');
	}
	member_object(&json, "portsnoop");
	member_number(&json, "schema", 1);
	member_string(&json, "by", rate_by_name(view->result.by));
	member_string(&json, "tier", tier_name(view->tier));
	member_bool(&json, "final", view->final);
	member_number(&json, "since_start_ns", view->result.since);
	completeness_put(&json, view);
	rows_put(&json, view);
	json_close(&json, '}');
	json_close(&json, '}');
	buffer_byte(out, '\n');
}
