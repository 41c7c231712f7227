/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/record_status.h"

#include <cap-ng.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/member.h"
#include "lib/cleanup.h"
#include "lib/escape.h"
#include "lib/log.h"
#include "model/coverage.h"
#include "model/text.h"
#include "probe/attach.h"
#include "store/history.h"

#define PATIENCE_MS 3000
#define NS INT64_C(1000000000)
#define BEHIND_NS UINT64_C(10000000000)
#define EXIT_NOBODY 1
#define EXIT_UNKNOWN 2
/* ---- what is wrong ---- */

static void count_put(struct buffer *out, uint64_t count, const char *one, const char *many,
		      const char *rest)
{
	buffer_printf(out, "%" PRIu64 " %s %s", count, count == 1 ? one : many, rest);
}

static void error_put(struct buffer *out, const struct service_status *status)
{
	const char *why = status->store_why;

	if (!*why)
		why = strerror(status->store_error < INT32_MAX ? (int)status->store_error : 0);
	buffer_text(out, "the database cannot be written: ");
	escape_plain(out, why, strlen(why));
}

static void sink_put_loss(struct buffer *out, const char *before, uint64_t count, const char *what)
{
	if (count)
		buffer_printf(out, "%s%" PRIu64 " %s", before, count, what);
}

/* "tcp:logs:5170 is away: no route to host; 12 events dropped" */
static void sink_problem_put(struct buffer *out, const struct service_sink *sink)
{
	const size_t start = out->length;

	escape_plain(out, sink->name, strlen(sink->name));
	if (sink->ended)
		buffer_text(out, " gets nothing any more: its process has ended");
	else if (sink->since)
		buffer_text(out, " is away");
	else if (sink->dropped || sink->refused || sink->lost)
		buffer_text(out, " missed events");
	else
		out->length = start;
	if (out->length == start)
		return;
	if (*sink->why) {
		buffer_text(out, ": ");
		escape_plain(out, sink->why, strlen(sink->why));
	}
	sink_put_loss(out, ", ", sink->dropped, "dropped");
	sink_put_loss(out, ", ", sink->refused, "refused");
	sink_put_loss(out, ", ", sink->lost, "lost");
}

void record_status_problem(struct buffer *out, const struct service_status *status,
			   unsigned int which)
{
	const bool records = status->told & SERVICE_STATUS_STORE;
	const int64_t silent = status->now_wall - status->store_committed;

	switch (which) {
	case 0:
		if (records && status->store_error)
			error_put(out, status);
		break;
	case 1:
		if (records && status->store_committed && silent > HISTORY_SILENCE)
			buffer_printf(out, "nothing was written for %" PRId64 " seconds",
				      silent / NS);
		break;
	case 2:
		if (status->told & SERVICE_STATUS_COUNTS && status->lost)
			count_put(out, status->lost, "record", "records",
				  "lost in the ring of the kernel");
		break;
	case 3:
		if (records && status->store_dropped)
			count_put(out, status->store_dropped, "entry", "entries",
				  "never written: the database could not be written in time");
		break;
	case 4:
		if (status->evicted)
			count_put(out, status->evicted, "lease", "leases",
				  "forgotten: there were too many");
		break;
	case 5:
		if (status->told & SERVICE_STATUS_LAG && status->lag > BEHIND_NS)
			buffer_printf(out, "%" PRIu64 " seconds behind", status->lag / NS);
		break;
	default:
		if (which - 6 < status->sink_count)
			sink_problem_put(out, &status->sinks[which - 6]);
		break;
	}
}

/* ---- JSON ---- */

/* What is zero is not known, or never was. */
static void time_put(struct json *json, const char *key, int64_t ns)
{
	char text[TEXT_TIME];

	json_key(json, key);
	if (ns)
		json_text(json, text, (size_t)(text_time(text, ns) - text));
	else
		json_string(json, NULL);
}

/* False, and null, if it was not told. */
static bool group_open(struct json *json, const char *key, bool told)
{
	json_key(json, key);
	if (told)
		json_open(json, '{');
	else
		json_string(json, NULL);
	return told;
}

static void problems_put(struct json *json, const struct service_status *status)
{
	CLEANUP(buffer_free) struct buffer words = BUFFER_EMPTY;

	json_key(json, "problems");
	json_open(json, '[');
	for (unsigned int i = 0; i < RECORD_STATUS_PROBLEMS; i++) {
		buffer_reset(&words);
		record_status_problem(&words, status, i);
		if (words.length)
			json_text(json, words.data, words.length);
		json->out->failed |= words.failed;
	}
	json_close(json, ']');
}

static void stream_put(struct json *json, const struct service_status *status)
{
	char id[17];

	snprintf(id, sizeof(id), "%" PRIx64, status->stream);
	group_open(json, "stream", true);
	json_key(json, "id");
	json_string(json, id);
	json_key(json, "tier");
	json_string(json, tier_name(status->tier));
	json_key(json, "not_covered");
	json_open(json, '[');
	for (unsigned int kind = 0; kind < COVERAGE_COUNT; kind++)
		if (!(status->coverage & COVERAGE_BIT(kind)))
			json_string(json, coverage_name(kind));
	json_close(json, ']');
	if (status->told & SERVICE_STATUS_COUNTS) {
		member_number(json, "received", status->received);
		member_number(json, "seen", status->delivered + status->filtered + status->lost);
		member_number(json, "delivered", status->delivered);
		member_number(json, "filtered", status->filtered);
		member_number(json, "lost", status->lost);
	}
	json_close(json, '}');
}

static void process_put(struct json *json, const struct service_status *status)
{
	if (!group_open(json, "process", status->told & SERVICE_STATUS_PROCESS))
		return;
	member_number(json, "memory_bytes", status->memory);
	json_key(json, "capabilities");
	json_open(json, '[');
	for (unsigned int i = 0; i < 64; i++) {
		const char *name = capng_capability_to_name(i);

		if (!(status->capabilities & UINT64_C(1) << i))
			continue;
		if (name)
			json_string(json, name);
		else
			json_unsigned(json, i);
	}
	json_close(json, ']');
	json_key(json, "no_new_privileges");
	json_bool(json, status->confined & SERVICE_NO_NEW_PRIVILEGES);
	json_key(json, "system_call_filter");
	json_bool(json, status->confined & SERVICE_SYSTEM_CALLS);
	json_close(json, '}');
}

static void database_error_put(struct json *json, const struct service_status *status)
{
	const bool private = status->told & SERVICE_STATUS_PRIVATE;

	if (!group_open(json, "error", status->store_error))
		return;
	json_key(json, "code");
	json_string(json, status->store_error < INT32_MAX
				  ? strerrorname_np((int)status->store_error)
				  : NULL);
	json_key(json, "message");
	json_string(json, private ? status->store_why : NULL);
	json_close(json, '}');
}

static void database_put(struct json *json, const struct service_status *status)
{
	const bool private = status->told & SERVICE_STATUS_PRIVATE;

	if (!group_open(json, "database", status->told & SERVICE_STATUS_STORE))
		return;
	json_key(json, "path");
	json_string(json, private ? status->store_path : NULL);
	member_number(json, "bytes", status->store_bytes);
	member_number(json, "wal_bytes", status->store_wal);
	member_number(json, "max_bytes", status->store_max_size);
	json_key(json, "max_age_ns");
	if (status->store_max_age)
		json_unsigned(json, status->store_max_age);
	else
		json_string(json, NULL);
	member_number(json, "leases", status->store_leases);
	member_number(json, "failures", status->store_failures);
	member_number(json, "open", status->store_open);
	time_put(json, "oldest", status->store_oldest);
	member_number(json, "commits", status->store_commits);
	time_put(json, "committed", status->store_committed);
	member_number(json, "written", status->store_written);
	member_number(json, "dropped", status->store_dropped);
	member_number(json, "trimmed", status->store_trimmed);
	member_number(json, "pending_bytes", status->store_pending);
	database_error_put(json, status);
	json_close(json, '}');
}

/* null, if it was not told. */
static void sinks_put(struct json *json, const struct service_status *status)
{
	json_key(json, "sinks");
	if (!(status->told & SERVICE_STATUS_SINKS)) {
		json_string(json, NULL);
		return;
	}
	json_open(json, '[');
	for (size_t i = 0; i < status->sink_count; i++) {
		const struct service_sink *sink = &status->sinks[i];

		json_open(json, '{');
		json_key(json, "name");
		json_string(json, sink->name);
		member_number(json, "delivered", sink->delivered);
		member_number(json, "waiting", sink->waiting);
		member_number(json, "spooled", sink->spooled);
		member_number(json, "spooled_bytes", sink->spooled_bytes);
		member_number(json, "dropped", sink->dropped);
		member_number(json, "refused", sink->refused);
		member_number(json, "lost", sink->lost);
		time_put(json, "away_since", sink->since);
		json_key(json, "why");
		json_string(json, *sink->why ? sink->why : NULL);
		json_key(json, "ended");
		json_bool(json, sink->ended);
		json_close(json, '}');
	}
	json_close(json, ']');
}

void record_status_json(struct buffer *out, const struct service_report *report)
{
	const struct service_status *status = &report->status;
	struct json json = {.out = out};

	json_open(&json, '{');
	member_number(&json, "schema", 1);
	json_key(&json, "recording");
	json_bool(&json, status->told & SERVICE_STATUS_STORE);
	problems_put(&json, status);
	member_number(&json, "pid", report->pid);
	json_key(&json, "program");
	json_text(&json, status->program, strnlen(status->program, sizeof(status->program)));
	time_put(&json, "since", status->started_wall);
	member_number(&json, "watching_ns", status->watching);
	stream_put(&json, status);
	if (group_open(&json, "lag", status->told & SERVICE_STATUS_LAG)) {
		member_number(&json, "ns", status->lag);
		member_number(&json, "most_ns", status->lag_most);
		member_number(&json, "waiting_bytes", status->waiting);
		json_close(&json, '}');
	}
	if (group_open(&json, "ledger", status->told & SERVICE_STATUS_LEDGER)) {
		member_number(&json, "leases", status->leases);
		member_number(&json, "opened", status->opened);
		member_number(&json, "evicted", status->evicted);
		member_number(&json, "unknown", status->unknown);
		json_close(&json, '}');
	}
	process_put(&json, status);
	database_put(&json, status);
	sinks_put(&json, status);
	json_close(&json, '}');
	buffer_byte(out, '\n');
}

/* ---- asking ---- */

/* 0 or negative errno. */
static int output_write(const struct buffer *out)
{
	size_t at = 0;

	if (out->failed)
		return -ENOMEM;
	while (at < out->length) {
		ssize_t written = write(STDOUT_FILENO, out->data + at, out->length - at);

		if (written < 0 && errno != EINTR)
			return -errno;
		at += written > 0 ? (size_t)written : 0;
	}
	return 0;
}

static void nobody_put(struct buffer *out)
{
	struct json json = {.out = out};

	json_open(&json, '{');
	member_number(&json, "schema", 1);
	json_key(&json, "recording");
	json_bool(&json, false);
	json_close(&json, '}');
	buffer_byte(out, '\n');
}

static bool records(const struct service_report *report)
{
	return report->status.told & SERVICE_STATUS_STORE;
}

static void reports_put(struct buffer *out, bool json, const struct service_report *reports,
			size_t count)
{
	for (size_t i = 0; i < count && (!i || records(&reports[i])); i++) {
		if (json) {
			record_status_json(out, &reports[i]);
			continue;
		}
		if (i)
			buffer_byte(out, '\n');
		record_status_text(out, &reports[i]);
	}
	if (json && !count)
		nobody_put(out);
}

int record_status_run(bool json, const struct service_place *place)
{
	static const struct service_place machine;
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;
	CLEANUP_FREE struct service_report *reports = NULL;
	size_t count;
	char why[192];
	int error, found = service_ask_status(place ? place : &machine, PATIENCE_MS, &reports,
					      &count, why, sizeof(why));

	if (*why)
		log_message("%s", why);
	/* The one that did not answer may be the one that records. */
	if (found < 0 || ((size_t)found > count && !(count && records(&reports[0]))))
		return EXIT_UNKNOWN;
	reports_put(&out, json, reports, count);
	error = output_write(&out);
	if (error && error != -EPIPE)
		log_error(error, "standard output");
	if (error)
		return EXIT_UNKNOWN;
	if (count && records(&reports[0]))
		return EXIT_SUCCESS;
	log_message("nobody records: 'systemctl start portsnoop' or 'portsnoop record' does");
	return EXIT_NOBODY;
}
