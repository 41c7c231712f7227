/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/record_metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/metrics_text.h"
#include "lib/clock.h"
#include "probe/pool.h"
#include "service/status.h"
#include "sink/metrics_server.h"

struct record_metrics {
	struct record_metrics_source source;
	struct metrics_server *server;
	uint64_t started; /* CLOCK_REALTIME, ns */
};

/* The settings of our own namespace may change without a word. Of others, only what their
 * sockets tell is to be had. */
static void pool_refresh(struct metrics *metrics)
{
	struct pool pool;

	pool_read(&pool, "/proc");
	if (!pool.range_error)
		metrics_pool(metrics, metrics->own_netns, pool.low, pool.high,
			     pool.reserved_error ? NULL : &pool.reserved);
}

static void stream_fill(const struct record_metrics_source *source, struct metrics_service *service)
{
	const struct stream *stream = pipeline_stream(recorder_pipeline(source->recorder));
	struct ledger_totals ledger;
	struct recorder_totals totals;
	struct cpu_counters kernel;

	recorder_totals(source->recorder, &totals);
	session_totals(source->session, &kernel);
	ledger_totals(pipeline_ledger(recorder_pipeline(source->recorder)), &ledger);
	service->tier = stream ? tier_name(stream->start.tier) : NULL;
	service->received = totals.received;
	service->events = totals.events;
	service->lost = kernel.lost;
	service->untracked = kernel.untracked;
	service->unseen = kernel.unseen;
	service->skipped = session_skipped(source->session);
	service->evicted = ledger.evicted;
	service->lag = *source->lag;
	service->backlog = session_waiting(source->session);
}

static void store_fill(const struct store *store, struct metrics_service *service)
{
	struct store_status status;

	store_status(store, &status);
	service->store_bytes = status.bytes;
	service->store_wal = status.wal;
	service->store_limit = status.max_size;
	service->store_leases = status.leases;
	service->store_failures = status.failures;
	service->store_written = status.written;
	service->store_dropped = status.dropped;
	service->store_trimmed = status.trimmed;
	service->store_committed = status.committed > 0 ? (uint64_t)status.committed : 0;
	service->store_failing = status.error;
}

static void metrics_page(void *context, bool classic, struct buffer *out)
{
	const struct record_metrics *metrics = context;
	const struct record_metrics_source *source = &metrics->source;
	struct ledger *ledger = pipeline_ledger(recorder_pipeline(source->recorder));
	struct metrics_service service = {
		.version = PORTSNOOP_VERSION,
		.started = metrics->started,
		.cpu = (uint64_t)clock_ns(CLOCK_PROCESS_CPUTIME_ID),
	};
	struct sink_report sinks[SINKS_MOST];
	struct service_status process = {0};

	if (source->sinks) {
		service.sinks = sinks;
		service.sink_count = sinks_report(source->sinks, sinks, SINKS_MOST);
	}
	pool_refresh(source->metrics);
	if (metrics_survey(source->metrics, ledger, (uint64_t)clock_ns(CLOCK_MONOTONIC))) {
		out->failed = true;
		return;
	}
	service_status_process(&process);
	service.memory = process.memory;
	stream_fill(source, &service);
	store_fill(source->store, &service);
	metrics_text(source->metrics, &service, classic, out);
}

int record_metrics_open(const struct endpoint *endpoint, const struct record_metrics_source *source,
			struct record_metrics **opened, char *why, size_t size)
{
	struct record_metrics *metrics = calloc(1, sizeof(*metrics));
	struct metrics_source page = {.page = metrics_page, .context = metrics};
	int error;

	if (!metrics) {
		snprintf(why, size, "--metrics: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	metrics->source = *source;
	metrics->started = (uint64_t)clock_ns(CLOCK_REALTIME);
	pool_refresh(source->metrics); /* before others take all of the room */
	error = metrics_server_open(endpoint, &page, &metrics->server, why, size);
	if (error)
		free(metrics);
	else
		*opened = metrics;
	return error;
}

void record_metrics_close(struct record_metrics *metrics)
{
	if (metrics)
		metrics_server_close(metrics->server);
	free(metrics);
}

int record_metrics_fd(const struct record_metrics *metrics)
{
	return metrics ? metrics_server_fd(metrics->server) : -1;
}

int record_metrics_timeout(const struct record_metrics *metrics)
{
	return metrics ? metrics_server_timeout(metrics->server) : -1;
}

int record_metrics_handle(struct record_metrics *metrics)
{
	return metrics_server_handle(metrics->server);
}

const char *record_metrics_url(const struct record_metrics *metrics)
{
	return metrics_server_url(metrics->server);
}
