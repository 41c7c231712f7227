/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "service/status.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define PROCESS_STATUS "/proc/self/status"
#define PROCESS_STATUS_MOST 8192

/* The number behind "\nNAME:", or false. */
static bool line_number(const char *text, const char *name, int base, uint64_t *number)
{
	const char *line = strstr(text, name);
	char *end;

	if (!line)
		return false;
	line += strlen(name);
	errno = 0;
	*number = strtoull(line, &end, base);
	return end != line && !errno;
}

void service_status_process(struct service_status *status)
{
	CLEANUP_FD int fd = open(PROCESS_STATUS, O_RDONLY | O_CLOEXEC);
	char text[PROCESS_STATUS_MOST];
	uint64_t kilobytes, capabilities, flag;
	ssize_t size;

	if (fd < 0)
		return;
	/* One read gives all of it: it is shorter than a page. */
	do
		size = read(fd, text, sizeof(text) - 1);
	while (size < 0 && errno == EINTR);
	if (size <= 0)
		return;
	text[size] = '\0';
	if (!line_number(text, "\nVmRSS:", 10, &kilobytes) ||
	    !line_number(text, "\nCapPrm:", 16, &capabilities))
		return;
	status->memory = kilobytes << 10;
	status->capabilities = capabilities;
	status->confined = 0;
	if (line_number(text, "\nNoNewPrivs:", 10, &flag) && flag)
		status->confined |= SERVICE_NO_NEW_PRIVILEGES;
	if (line_number(text, "\nSeccomp:", 10, &flag) && flag)
		status->confined |= SERVICE_SYSTEM_CALLS;
	status->told |= SERVICE_STATUS_PROCESS;
}

void service_status_store(struct service_status *status, const struct store_status *store,
			  const char *path)
{
	status->store_bytes = store->bytes;
	status->store_wal = store->wal;
	status->store_max_size = store->max_size;
	status->store_max_age = store->max_age;
	status->store_leases = store->leases;
	status->store_failures = store->failures;
	status->store_open = store->open;
	status->store_commits = store->commits;
	status->store_written = store->written;
	status->store_dropped = store->dropped;
	status->store_trimmed = store->trimmed;
	status->store_pending = store->pending;
	status->store_oldest = store->oldest;
	status->store_committed = store->committed;
	status->store_error = store->error < 0 ? (uint64_t)-store->error : 0;
	snprintf(status->store_why, sizeof(status->store_why), "%s", store->why);
	snprintf(status->store_path, sizeof(status->store_path), "%s", path);
	status->told |= SERVICE_STATUS_STORE | SERVICE_STATUS_PRIVATE;
}

void service_status_sinks(struct service_status *status, const struct sink_report *reports,
			  size_t count)
{
	_Static_assert(SERVICE_SINKS >= SINKS_MOST, "room for all of them");

	for (size_t i = 0; i < count; i++) {
		const struct channel_state *state = &reports[i].state;
		struct service_sink *sink = &status->sinks[i];

		sink->delivered = state->delivered;
		sink->waiting = reports[i].waiting;
		sink->spooled = state->spooled;
		sink->spooled_bytes = state->spooled_bytes;
		sink->dropped = reports[i].dropped;
		sink->refused = state->refused;
		sink->lost = state->lost;
		sink->since = state->since;
		sink->ended = !reports[i].alive;
		snprintf(sink->name, sizeof(sink->name), "%s", reports[i].name);
		if (sink->since || sink->ended)
			snprintf(sink->why, sizeof(sink->why), "%s", state->why);
	}
	status->sink_count = count;
	status->told |= SERVICE_STATUS_SINKS | SERVICE_STATUS_PRIVATE;
}

/* Zeros from its end on: nothing else of our memory goes out. */
static void text_settle(char *text, size_t size)
{
	size_t length = strnlen(text, size - 1);

	memset(text + length, 0, size - length);
}

/* Before 1970 no clock was right. */
static void time_settle(int64_t *time)
{
	if (*time < 0)
		*time = 0;
}

static void sink_settle(struct service_sink *sink, bool all)
{
	time_settle(&sink->since);
	text_settle(sink->name, sizeof(sink->name));
	if (!all) {
		sink->name[strcspn(sink->name, ":")] = '\0';
		sink->why[0] = '\0';
	}
	text_settle(sink->name, sizeof(sink->name));
	text_settle(sink->why, sizeof(sink->why));
}

static void sinks_settle(struct service_status *status)
{
	if (!(status->told & SERVICE_STATUS_SINKS))
		status->sink_count = 0;
	if (status->sink_count > SERVICE_SINKS)
		status->sink_count = SERVICE_SINKS;
	for (size_t i = 0; i < status->sink_count; i++)
		sink_settle(&status->sinks[i], status->told & SERVICE_STATUS_PRIVATE);
	memset(&status->sinks[status->sink_count], 0,
	       (SERVICE_SINKS - status->sink_count) * sizeof(*status->sinks));
}

void service_status_settle(struct service_status *status, bool all)
{
	time_settle(&status->started_wall);
	time_settle(&status->now_wall);
	time_settle(&status->store_oldest);
	time_settle(&status->store_committed);
	if (!all)
		status->told &= ~(uint64_t)SERVICE_STATUS_PRIVATE;
	if (!(status->told & SERVICE_STATUS_PRIVATE))
		status->store_why[0] = status->store_path[0] = '\0';
	text_settle(status->store_why, sizeof(status->store_why));
	text_settle(status->store_path, sizeof(status->store_path));
	sinks_settle(status);
}
