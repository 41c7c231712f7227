/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <cap-ng.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "command/record_status.h"
#include "lib/escape.h"
#include "model/coverage.h"
#include "probe/attach.h"

#define NAME_WIDTH 12
#define NS INT64_C(1000000000)
#define MOMENT 32
#define CAPABILITIES_NAMED 8
#define CAPABILITIES_LEAST 38 /* of Linux 3.16 and later: so many or more are all */

static void line_begin(struct buffer *out, const char *name)
{
	buffer_printf(out, "  %-*s", NAME_WIDTH, name);
}

static void line_number(struct buffer *out, const char *name, uint64_t number, const char *words)
{
	line_begin(out, name);
	buffer_printf(out, "%" PRIu64 "%s\n", number, words);
}

/* "12.3 MiB" */
static void size_put(struct buffer *out, uint64_t bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	uint64_t rest = 0;
	size_t unit = 0;

	while (bytes >= 1024) {
		rest = bytes % 1024;
		bytes /= 1024;
		unit++;
	}
	if (unit)
		buffer_printf(out, "%" PRIu64 ".%" PRIu64 " %s", bytes, rest * 10 / 1024,
			      units[unit]);
	else
		buffer_printf(out, "%" PRIu64 " %s", bytes, units[unit]);
}

/* Its two greatest units: "3d 4h", "52m 11s", "1.204s", "340us". */
static void duration_put(struct buffer *out, uint64_t ns)
{
	const uint64_t seconds = ns / NS;

	if (ns < 1000)
		buffer_printf(out, "%" PRIu64 "ns", ns);
	else if (ns < 1000000)
		buffer_printf(out, "%" PRIu64 "us", ns / 1000);
	else if (ns < NS)
		buffer_printf(out, "%" PRIu64 "ms", ns / 1000000);
	else if (seconds < 60)
		buffer_printf(out, "%" PRIu64 ".%03" PRIu64 "s", seconds, ns % NS / 1000000);
	else if (seconds < 3600)
		buffer_printf(out, "%" PRIu64 "m %" PRIu64 "s", seconds / 60, seconds % 60);
	else if (seconds < 86400)
		buffer_printf(out, "%" PRIu64 "h %" PRIu64 "m", seconds / 3600, seconds / 60 % 60);
	else
		buffer_printf(out, "%" PRIu64 "d %" PRIu64 "h", seconds / 86400,
			      seconds / 3600 % 24);
}

/* Local time. */
static void moment_put(struct buffer *out, int64_t wall)
{
	time_t seconds = wall / NS;
	struct tm then;
	char text[MOMENT];

	if (localtime_r(&seconds, &then) && strftime(text, sizeof(text), "%F %H:%M:%S", &then))
		buffer_text(out, text);
	else
		buffer_printf(out, "@%" PRId64, wall / NS);
}

static void since_put(struct buffer *out, const struct service_status *status)
{
	if (status->started_wall) {
		buffer_text(out, " since ");
		moment_put(out, status->started_wall);
		return;
	}
	buffer_text(out, " for ");
	duration_put(out, status->watching);
}

static void verdict_put(struct buffer *out, const struct service_status *status)
{
	const bool records = status->told & SERVICE_STATUS_STORE;
	size_t start;
	bool wrong = false;

	buffer_text(out, records ? "recording" : "not recording; only watching");
	since_put(out, status);
	for (unsigned int i = 0; i < RECORD_STATUS_PROBLEMS; i++) {
		start = out->length;
		buffer_text(out, wrong ? "; " : ": ");
		record_status_problem(out, status, i);
		if (out->length == start + 2)
			out->length = start;
		else
			wrong = true;
	}
	if (!wrong && status->told & SERVICE_STATUS_COUNTS)
		buffer_text(out, ", nothing lost");
	buffer_byte(out, '\n');
}

static void capabilities_put(struct buffer *out, uint64_t capabilities)
{
	const bool all = !(capabilities & (capabilities + 1)) &&
			 capabilities >> (CAPABILITIES_LEAST - 1);
	const int count = __builtin_popcountll(capabilities);
	const char *before = "capabilities: ";

	if (!capabilities || all) {
		buffer_text(out, all ? "all capabilities" : "no capabilities");
		return;
	}
	if (count > CAPABILITIES_NAMED) {
		buffer_printf(out, "%d capabilities", count);
		return;
	}
	for (unsigned int i = 0; i < 64; i++) {
		const char *name = capng_capability_to_name(i);

		if (!(capabilities & UINT64_C(1) << i))
			continue;
		buffer_text(out, before);
		if (name)
			buffer_text(out, name);
		else
			buffer_printf(out, "%u", i);
		before = ", ";
	}
}

static void process_put(struct buffer *out, const struct service_status *status)
{
	if (!(status->told & SERVICE_STATUS_PROCESS))
		return;
	line_begin(out, "memory");
	size_put(out, status->memory);
	buffer_byte(out, '\n');
	line_begin(out, "rights");
	capabilities_put(out, status->capabilities);
	if (status->confined & SERVICE_NO_NEW_PRIVILEGES)
		buffer_text(out, "; none can be gained");
	buffer_text(out, status->confined & SERVICE_SYSTEM_CALLS ? "; system calls are filtered\n"
								 : "; any system call\n");
}

static void recording_put(struct buffer *out, const struct service_report *report)
{
	const struct service_status *status = &report->status;
	const char *before = "";

	buffer_text(out, status->told & SERVICE_STATUS_STORE ? "\nrecording\n" : "\nwatching\n");
	line_begin(out, "process");
	buffer_printf(out, "portsnoop[%" PRIu32 "], version ", report->pid);
	escape_plain(out, status->program, strnlen(status->program, sizeof(status->program)));
	buffer_byte(out, '\n');
	line_begin(out, "running");
	duration_put(out, status->watching);
	buffer_byte(out, '\n');
	process_put(out, status);
	line_begin(out, "tier");
	buffer_printf(out, "%s\n", tier_name(status->tier));
	if ((status->coverage & COVERAGE_ALL) == COVERAGE_ALL)
		return;
	line_begin(out, "not seen");
	for (unsigned int kind = 0; kind < COVERAGE_COUNT; kind++) {
		if (status->coverage & COVERAGE_BIT(kind))
			continue;
		buffer_printf(out, "%s%s", before, coverage_name(kind));
		before = ", ";
	}
	buffer_byte(out, '\n');
}

static void stream_put(struct buffer *out, const struct service_status *status)
{
	if (!(status->told & SERVICE_STATUS_COUNTS))
		return;
	buffer_text(out, "\nstream\n");
	line_number(out, "records", status->received, " received from the kernel");
	line_begin(out, "events");
	buffer_printf(out,
		      "%" PRIu64 " seen = %" PRIu64 " %s + %" PRIu64 " filtered + %" PRIu64
		      " lost\n",
		      status->delivered + status->filtered + status->lost, status->delivered,
		      status->told & SERVICE_STATUS_STORE ? "recorded" : "delivered",
		      status->filtered, status->lost);
}

static void loss_put(struct buffer *out, const struct service_status *status)
{
	buffer_text(out, "\nloss\n");
	if (status->told & SERVICE_STATUS_COUNTS)
		line_number(out, "ring", status->lost, " records had no room");
	if (status->told & SERVICE_STATUS_LEDGER)
		line_number(out, "ledger", status->evicted, " leases had no room");
	if (status->told & SERVICE_STATUS_STORE)
		line_number(out, "database", status->store_dropped,
			    " leases and failures were not written in time");
}

static void lag_put(struct buffer *out, const struct service_status *status)
{
	if (!(status->told & SERVICE_STATUS_LAG))
		return;
	buffer_text(out, "\nlag\n");
	line_begin(out, "behind");
	duration_put(out, status->lag);
	if (status->lag_most) {
		buffer_text(out, "; ");
		duration_put(out, status->lag_most);
		buffer_text(out, " at most");
	}
	buffer_byte(out, '\n');
	line_begin(out, "waiting");
	size_put(out, status->waiting);
	buffer_byte(out, '\n');
}

static void file_put(struct buffer *out, const struct service_status *status)
{
	line_begin(out, "file");
	if (status->told & SERVICE_STATUS_PRIVATE)
		escape_plain(out, status->store_path,
			     strnlen(status->store_path, sizeof(status->store_path)));
	else
		buffer_text(out, "only root is told");
	buffer_byte(out, '\n');
	line_begin(out, "size");
	size_put(out, status->store_bytes);
	buffer_text(out, " of ");
	size_put(out, status->store_max_size);
	buffer_text(out, "; WAL ");
	size_put(out, status->store_wal);
	buffer_byte(out, '\n');
	line_begin(out, "age");
	if (status->store_oldest) {
		buffer_text(out, "since ");
		moment_put(out, status->store_oldest);
	} else {
		buffer_text(out, "empty");
	}
	if (status->store_max_age) {
		buffer_text(out, "; limit ");
		duration_put(out, status->store_max_age);
	} else {
		buffer_text(out, "; no limit");
	}
	buffer_byte(out, '\n');
}

static void database_put(struct buffer *out, const struct service_status *status)
{
	int64_t ago = status->now_wall - status->store_committed;

	if (!(status->told & SERVICE_STATUS_STORE))
		return;
	buffer_text(out, "\ndatabase\n");
	file_put(out, status);
	line_begin(out, "holds");
	buffer_printf(out, "%" PRIu64 " ended leases, %" PRIu64 " failures\n", status->store_leases,
		      status->store_failures);
	line_begin(out, "written");
	buffer_printf(out,
		      "%" PRIu64 " leases and failures in %" PRIu64 " commits; %" PRIu64
		      " trimmed\n",
		      status->store_written, status->store_commits, status->store_trimmed);
	line_begin(out, "last commit");
	if (status->store_committed)
		moment_put(out, status->store_committed);
	else
		buffer_text(out, "none yet");
	if (status->store_committed && status->now_wall && ago >= 0) {
		buffer_text(out, ", ");
		duration_put(out, (uint64_t)ago);
		buffer_text(out, " ago");
	}
	buffer_byte(out, '\n');
	line_begin(out, "pending");
	size_put(out, status->store_pending);
	buffer_byte(out, '\n');
}

static void leases_put(struct buffer *out, const struct service_status *status)
{
	if (!(status->told & SERVICE_STATUS_LEDGER))
		return;
	buffer_text(out, "\nleases\n");
	line_number(out, "open", status->leases, "");
	line_number(out, "opened", status->opened, " since the start");
	line_number(out, "unknown", status->unknown, " releases of sockets that were not known");
}

static void sink_put(struct buffer *out, const struct service_sink *sink)
{
	line_begin(out, "to");
	escape_plain(out, sink->name, strlen(sink->name));
	buffer_byte(out, '\n');
	line_begin(out, "  events");
	buffer_printf(out,
		      "%" PRIu64 " delivered; %" PRIu64 " dropped, %" PRIu64 " refused, %" PRIu64
		      " lost\n",
		      sink->delivered, sink->dropped, sink->refused, sink->lost);
	line_begin(out, "  waiting");
	buffer_printf(out, "%" PRIu64, sink->waiting);
	if (sink->spooled) {
		buffer_printf(out, "; %" PRIu64 " on disk, ", sink->spooled);
		size_put(out, sink->spooled_bytes);
	}
	buffer_byte(out, '\n');
	if (!sink->since && !sink->ended)
		return;
	line_begin(out, sink->ended ? "  ended" : "  away");
	if (sink->since) {
		buffer_text(out, "since ");
		moment_put(out, sink->since);
		buffer_text(out, *sink->why ? ": " : "");
	}
	escape_plain(out, sink->why, strlen(sink->why));
	buffer_byte(out, '\n');
}

static void sinks_put(struct buffer *out, const struct service_status *status)
{
	if (!status->sink_count)
		return;
	buffer_text(out, "\nsinks\n");
	for (size_t i = 0; i < status->sink_count; i++)
		sink_put(out, &status->sinks[i]);
}

void record_status_text(struct buffer *out, const struct service_report *report)
{
	verdict_put(out, &report->status);
	recording_put(out, report);
	stream_put(out, &report->status);
	loss_put(out, &report->status);
	lag_put(out, &report->status);
	database_put(out, &report->status);
	leases_put(out, &report->status);
	sinks_put(out, &report->status);
}
