/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command/record.h"
#include "command/record_metrics.h"
#include "command/serve.h"
#include "guard/guard.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/notify.h"
#include "lib/signals.h"
#include "probe/session.h"
#include "service/server.h"
#include "service/status.h"

#define NS_PER_MS UINT64_C(1000000)

struct live {
	struct record_setup *setup;
	struct store *store;
	struct recorder *recorder;
	struct session *session;
	struct sinks *sinks;		 /* NULL: none */
	struct server *server;		 /* NULL: none */
	struct metrics *metrics;	 /* NULL: nobody is to be told */
	struct record_metrics *endpoint; /* NULL: none */
	int signals;
	bool bad;	    /* a record was refused, and that was said */
	uint64_t due;	    /* of the next commit, CLOCK_MONOTONIC; 0: nothing waits */
	uint64_t alive_due; /* of the next sign of life */
	uint64_t watchdog;  /* ns between two pings; 0: none */
	uint64_t ping_due;
	uint64_t committed; /* events that the last commit had seen */
	uint64_t lag;	    /* ns between the newest record and our look at it */
	uint64_t lag_most;
};

static int live_record(void *context, void *record, size_t size)
{
	struct live *live = context;
	const char *why = NULL;
	int result = recorder_record(live->recorder, record, size, &why);

	if (result != -EBADMSG)
		return result;
	/* It changed nothing. */
	if (!live->bad)
		log_message("a record from the kernel is not as it should be: %s", why);
	live->bad = true;
	return 0;
}

static uint64_t events_seen(const struct live *live)
{
	struct recorder_totals totals;

	recorder_totals(live->recorder, &totals);
	return totals.events;
}

static void live_commit(struct live *live)
{
	uint64_t now = clock_monotonic();

	/* What goes wrong is said by the store, which keeps what it can. */
	live->due = recorder_commit(live->recorder, clock_ns(CLOCK_REALTIME), now)
			    ? now + RECORD_COMMIT_NS
			    : 0;
	live->alive_due = now + RECORD_ALIVE_NS;
	live->committed = events_seen(live);
}

static void live_reload(struct live *live)
{
	notify_reloading();
	if (!record_reconfigure(live->setup)) {
		store_limit(live->store, live->setup->options.store.max_size,
			    live->setup->options.store.max_age);
		log_message("read the configuration again");
	}
	if (live->sinks)
		sinks_reopen(live->sinks);
	recorder_commit(live->recorder, clock_ns(CLOCK_REALTIME), clock_monotonic());
	if (!store_reopen(live->store, clock_ns(CLOCK_REALTIME)))
		log_message("opened the database anew");
	live_commit(live);
	notify_ready("recording");
}

static void live_status(void *context, struct service_status *status)
{
	struct live *live = context;
	struct recorder_totals totals;
	struct cpu_counters kernel;
	struct store_status store;
	struct sink_report sinks[SINKS_MOST];

	recorder_totals(live->recorder, &totals);
	session_totals(live->session, &kernel);
	status->received = totals.received;
	status->delivered = totals.events;
	status->filtered = kernel.filtered;
	status->lost = kernel.lost;
	status->lag = live->lag;
	status->lag_most = live->lag_most;
	status->waiting = session_waiting(live->session);
	status->told |= SERVICE_STATUS_COUNTS | SERVICE_STATUS_LAG;
	store_status(live->store, &store);
	service_status_store(status, &store, live->setup->options.store.path);
	if (live->sinks)
		service_status_sinks(status, sinks, sinks_report(live->sinks, sinks, SINKS_MOST));
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

/* In ms; -1: for ever. */
static int live_timeout(const struct live *live)
{
	uint64_t now = clock_monotonic(), next = earlier(live->due, live->alive_due);
	int busy = session_timeout(live->session), wait;
	int ask = record_metrics_timeout(live->endpoint);

	next = earlier(next, live->ping_due);
	if (!busy || next <= now)
		return 0;
	wait = (int)((next - now) / NS_PER_MS + 1);
	return ask >= 0 && ask < wait ? ask : wait;
}

static void live_tend(struct live *live)
{
	uint64_t now = clock_monotonic();

	if (!live->due && recorder_pending(live->recorder))
		live->due = now + RECORD_COMMIT_NS;
	if ((live->due && live->due <= now) || live->alive_due <= now ||
	    events_seen(live) - live->committed >= RECORD_COMMIT_EVENTS)
		live_commit(live);
	if (live->ping_due && live->ping_due <= now) {
		notify_alive();
		live->ping_due = now + live->watchdog;
	}
}

/* Behind what came meanwhile: who asks after a claim is told of it. */
static void live_answer(struct live *live, struct pollfd *service, struct pollfd *metrics)
{
	if (service->revents && server_handle(live->server)) {
		log_message("the service socket failed: 'who' and --status get no answers");
		server_close(live->server);
		live->server = NULL;
		service->fd = -1;
	}
	if (live->endpoint && (metrics->revents || !record_metrics_timeout(live->endpoint)) &&
	    record_metrics_handle(live->endpoint)) {
		log_message("the HTTP server failed: nobody gets metrics any more");
		record_metrics_close(live->endpoint);
		live->endpoint = NULL;
		metrics->fd = -1;
	}
}

static int live_loop(struct live *live)
{
	struct pollfd fds[] = {
		{.fd = session_fd(live->session), .events = POLLIN},
		{.fd = live->signals, .events = POLLIN},
		{.fd = live->server ? server_fd(live->server) : -1, .events = POLLIN},
		{.fd = record_metrics_fd(live->endpoint), .events = POLLIN},
		{.fd = live->sinks ? sinks_fd(live->sinks) : -1, .events = POLLIN},
	};
	struct recorder_totals totals;
	int result;

	for (;;) {
		result = session_drain(live->session);
		if (result < 0)
			return result;
		if (live->sinks)
			sinks_flush(live->sinks);
		recorder_totals(live->recorder, &totals);
		live->lag = result && totals.newest ? clock_monotonic() - (uint64_t)totals.newest
						    : 0;
		if (live->lag > live->lag_most)
			live->lag_most = live->lag;
		live_tend(live);
		if (signals_stop())
			return 0;
		if (signals_reload())
			live_reload(live);
		live_answer(live, &fds[2], &fds[3]);
		if (fds[4].revents)
			sinks_check(live->sinks);
		if (poll(fds, sizeof(fds) / sizeof(*fds), live_timeout(live)) < 0 && errno != EINTR)
			return -errno;
	}
}

/* Everything that needs privileges, then without them. 0 or an exit status. */
static int live_start(struct live *live)
{
	struct probe_options probe = {
		.tier = live->setup->options.tier,
		.ring_bytes = live->setup->options.ring,
		.releases = true,
		.ledger = true,
		.heartbeat = live->sinks ? SESSION_HEARTBEAT : 0,
	};
	struct server_options server = {0};
	struct probe_failure failure;
	char why[256];
	int error;

	live->session = session_open(&probe, live_record, live, &failure);
	if (!live->session) {
		log_message("%s", failure.text);
		return EXIT_FAILURE;
	}
	server.source = serve_source(recorder_pipeline(live->recorder));
	server.source.status = live_status;
	server.source.status_context = live;
	error = server_open(&server, &live->server);
	if (error)
		log_error(error, "no service socket in %s: 'who' and --status get no answers",
			  SERVICE_FOLDER);
	if (live->metrics && record_metrics_open(&live->setup->options.metrics,
						 &(struct record_metrics_source){
							 .metrics = live->metrics,
							 .recorder = live->recorder,
							 .session = live->session,
							 .store = live->store,
							 .sinks = live->sinks,
							 .lag = &live->lag,
						 },
						 &live->endpoint, why, sizeof(why))) {
		log_message("%s", why);
		return EXIT_FAILURE;
	}
	error = session_settle(live->session);
	if (error)
		return log_error(error, "cannot start"), EXIT_FAILURE;
	if (guard_enter(why, sizeof(why))) {
		log_message("%s", why);
		return EXIT_FAILURE;
	}
	notify_open();
	live->watchdog = notify_watchdog() / 2;
	live->ping_due = live->watchdog ? clock_monotonic() + live->watchdog : 0;
	live_commit(live);
	log_message("recording to %s, %s tier", live->setup->options.store.path,
		    tier_name(pipeline_stream(recorder_pipeline(live->recorder))->start.tier));
	if (live->endpoint)
		log_message("metrics at %s", record_metrics_url(live->endpoint));
	notify_ready("recording");
	return 0;
}

static void totals_say(const struct live *live)
{
	struct recorder_totals totals;
	struct store_status status;

	recorder_totals(live->recorder, &totals);
	store_status(live->store, &status);
	log_message("%" PRIu64 " events, %" PRIu64 " lost; %" PRIu64
		    " leases and failures written, %" PRIu64 " dropped, %" PRIu64 " still held",
		    totals.events, totals.ended ? totals.end.lost : totals.lost, status.written,
		    status.dropped, status.open);
}

static int live_end(struct live *live, int result)
{
	int error = session_end(live->session, result < 0);

	notify_stopping();
	if (result >= 0)
		result = error;
	if (result < 0)
		log_error(result, "recording");
	live_commit(live);
	if (live->sinks)
		sinks_end(live->sinks, SINKS_END_MS);
	totals_say(live);
	return result < 0 || live->due ? EXIT_FAILURE : EXIT_SUCCESS;
}

int record_live(struct record_setup *setup, struct store *store, struct sinks *sinks)
{
	struct live live = {.setup = setup, .store = store, .sinks = sinks};
	int status;

	live.signals = signals_open(SIGNALS_SERVICE);
	if (setup->options.metrics.family)
		live.metrics = metrics_new();
	live.recorder = recorder_new(store, live.metrics);
	if (live.signals < 0 || !live.recorder ||
	    (setup->options.metrics.family && !live.metrics)) {
		log_error(live.signals < 0 ? live.signals : -ENOMEM, "recording");
		recorder_free(live.recorder);
		metrics_free(live.metrics);
		return EXIT_FAILURE;
	}
	if (sinks)
		recorder_listen(live.recorder, record_sink, sinks);
	status = live_start(&live);
	if (!status)
		status = live_end(&live, live_loop(&live));
	record_metrics_close(live.endpoint);
	server_close(live.server);
	session_close(live.session);
	recorder_free(live.recorder);
	metrics_free(live.metrics);
	return status;
}
