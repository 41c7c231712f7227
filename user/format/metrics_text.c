/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "format/metrics_text.h"

#include "model/text.h"
#include "sink/sinks.h"

#define NS UINT64_C(1000000000)

/* In the order of the page. */
enum family {
	BUILD,
	TIER,
	CLAIMS,
	CLAIM_FAILURES,
	ALLOCATIONS,
	ALLOCATION_FAILURES,
	CONNECTS,
	CONNECT_FAILURES,
	CONNECT_DURATION,
	RELEASES,
	TIME_WAITS,
	LEASE_DURATION,
	LEASES,
	POOL_CAPACITY,
	POOL,
	POOL_UNKNOWN,
	DESTINATION,
	EVENTS,
	RECORDS,
	RECORDS_LOST,
	UNTRACKED,
	UNSEEN,
	SKIPPED,
	EVICTED,
	LAG,
	BACKLOG,
	STORE_WRITTEN,
	STORE_DROPPED,
	STORE_TRIMMED,
	STORE_ENTRIES,
	STORE_SIZE,
	STORE_WAL,
	STORE_LIMIT,
	STORE_COMMIT,
	STORE_FAILING,
	SINK_DELIVERED,
	SINK_DROPPED,
	SINK_REFUSED,
	SINK_LOST,
	SINK_WAITING,
	SINK_SPOOLED,
	SINK_SPOOL,
	SINK_UP,
	PROCESS_START,
	PROCESS_CPU,
	PROCESS_MEMORY,
	FAMILIES
};

#define COUNTER(name, labels, help)                                                                \
	{                                                                                          \
		"portsnoop_" name, OPENMETRICS_COUNTER, NULL, labels, help                         \
	}
#define GAUGE(name, unit, labels, help)                                                            \
	{                                                                                          \
		name, OPENMETRICS_GAUGE, unit, labels, help                                        \
	}
#define SECONDS(name, labels, help)                                                                \
	{                                                                                          \
		name, OPENMETRICS_HISTOGRAM, "seconds", labels, help                               \
	}
#define INFO(name, labels, help)                                                                   \
	{                                                                                          \
		name, OPENMETRICS_INFO, NULL, labels, help                                         \
	}

const struct openmetrics_family metrics_families[FAMILIES + 1] = {
	[BUILD] = INFO("portsnoop_build", "version", "Version of portsnoop."),
	[TIER] = INFO("portsnoop_tier", "tier",
		      "Kernel hooks in use; portsnoop doctor tells what each tier sees."),
	[CLAIMS] = COUNTER("claims", "trigger, origin, protocol",
			   "Claims of a port that got one, by the call, by who chose the number, "
			   "and by protocol."),
	[CLAIM_FAILURES] = COUNTER("claim_failures", "trigger, origin, protocol, error",
				   "Claims of a port that failed, by errno."),
	[ALLOCATIONS] =
		COUNTER("allocations", "kind, name",
			"Ports that the kernel chose, by unit, container, or process where there "
			"is neither; other: all that found no room in the table."),
	[ALLOCATION_FAILURES] = COUNTER("allocation_failures", "kind, name",
					"Claims for which the kernel found no free port."),
	[CONNECTS] = COUNTER("connects", "protocol, outcome",
			     "Calls of connect() by what came of them in the end."),
	[CONNECT_FAILURES] = COUNTER("connect_failures", "protocol, error",
				     "Calls of connect() that failed, by errno."),
	[CONNECT_DURATION] = SECONDS("portsnoop_connect_duration_seconds", NULL,
				     "From connect() to the answer of the other side (TCP)."),
	[RELEASES] = COUNTER("releases", "protocol, ending",
			     "Leases that ended. estimated: the end of TIME_WAIT was not seen; "
			     "missed: the release was not; evicted: forgotten for want of room."),
	[TIME_WAITS] = COUNTER("time_waits", "protocol", "Connections that went into TIME_WAIT."),
	[LEASE_DURATION] =
		SECONDS("portsnoop_lease_duration_seconds", "origin",
			"From claim to release, TIME_WAIT included, by who chose the port."),
	[LEASES] = GAUGE("portsnoop_leases", NULL, "protocol, state",
			 "Sockets that hold a port, without accepted connections, by state."),
	[POOL_CAPACITY] =
		GAUGE("portsnoop_pool_capacity_ports", "ports", "netns, protocol",
		      "Ports that the kernel may choose from: net.ipv4.ip_local_port_range, "
		      "without reserved ones in the namespace of portsnoop."),
	[POOL] = GAUGE("portsnoop_pool_ports", "ports", "netns, protocol, state",
		       "Ports of the pool that are held, each counted once, by the most alive "
		       "state of its leases."),
	[POOL_UNKNOWN] = GAUGE("portsnoop_pool_unknown_leases", NULL, NULL,
			       "Leases in network namespaces for which there was no room in the "
			       "table of pools."),
	[DESTINATION] = GAUGE(
		"portsnoop_destination_ports", "ports", "netns, protocol, source, destination",
		"Ports of the pool in use between two addresses: the busiest ones, of "
		"those with a hundredth of the pool at least."),
	[EVENTS] = COUNTER("events", NULL, "Events of sockets that were recorded."),
	[RECORDS] = COUNTER("records", NULL, "Records that came from the kernel."),
	[RECORDS_LOST] =
		COUNTER("records_lost", NULL, "Records that found no room in the ring buffer."),
	[UNTRACKED] = COUNTER("untracked", NULL,
			      "Calls or sockets for which a map in the kernel had no room."),
	[UNSEEN] = COUNTER("unseen", NULL, "Ports given back whose claim no hook had seen."),
	[SKIPPED] = COUNTER("skipped", NULL,
			    "Runs of our programs that the kernel left out; absent where it does "
			    "not tell."),
	[EVICTED] =
		COUNTER("evicted", NULL, "Leases that were forgotten because there were too many."),
	[LAG] = GAUGE("portsnoop_lag_seconds", "seconds", NULL,
		      "How old the newest event was when it was worked on."),
	[BACKLOG] = GAUGE("portsnoop_backlog_bytes", "bytes", NULL,
			  "Records that wait to be worked on."),
	[STORE_WRITTEN] =
		COUNTER("store_written", NULL, "Leases and failures written to the database."),
	[STORE_DROPPED] =
		COUNTER("store_dropped", NULL, "Leases and failures that could not be written."),
	[STORE_TRIMMED] = COUNTER("store_trimmed", NULL,
				  "Leases and failures removed for want of room, or by age."),
	[STORE_ENTRIES] = GAUGE("portsnoop_store_entries", NULL, "kind",
				"Leases that have ended, and failures, in the database."),
	[STORE_SIZE] = GAUGE("portsnoop_store_size_bytes", "bytes", NULL, "Size of the database."),
	[STORE_WAL] = GAUGE("portsnoop_store_wal_bytes", "bytes", NULL,
			    "Size of the write-ahead log beside it."),
	[STORE_LIMIT] = GAUGE("portsnoop_store_limit_bytes", "bytes", NULL,
			      "What the database may have (--max-size)."),
	[STORE_COMMIT] = GAUGE("portsnoop_store_commit_timestamp_seconds", "seconds", NULL,
			       "When the database was last written."),
	[STORE_FAILING] = GAUGE("portsnoop_store_failing", NULL, NULL,
				"1 while the database cannot be written."),
	[SINK_DELIVERED] = COUNTER("sink_delivered", "sink",
				   "Events that have arrived at a sink for certain."),
	[SINK_DROPPED] =
		COUNTER("sink_dropped", "sink", "Events for which a sink's queue had no room."),
	[SINK_REFUSED] = COUNTER("sink_refused", "sink",
				 "Events that a sink's destination does not take, and never will."),
	[SINK_LOST] = COUNTER("sink_lost", "sink",
			      "Events that a sink took, and could neither deliver nor keep."),
	[SINK_WAITING] = GAUGE("portsnoop_sink_waiting", NULL, "sink",
			       "Events in a sink's queue in memory."),
	[SINK_SPOOLED] = GAUGE("portsnoop_sink_spooled", NULL, "sink",
			       "Events in a sink's spool on disk, to be delivered later."),
	[SINK_SPOOL] = GAUGE("portsnoop_sink_spool_bytes", "bytes", "sink", "Size of that spool."),
	[SINK_UP] = GAUGE("portsnoop_sink_up", NULL, "sink",
			  "1 while a sink's destination is there; 0 while it is away, and when the "
			  "process that talks to it has ended."),
	[PROCESS_START] = GAUGE("process_start_time_seconds", "seconds", NULL,
				"When the process started, since 1970."),
	[PROCESS_CPU] = {"process_cpu_seconds", OPENMETRICS_COUNTER, "seconds", NULL,
			 "Processor time of the process."},
	[PROCESS_MEMORY] = GAUGE("process_resident_memory_bytes", "bytes", NULL,
				 "Resident memory of the process."),
};

struct page {
	struct openmetrics writer;
	const struct metrics *metrics;
	const struct metrics_service *service;
};

/* ---- parts ---- */

static void family(struct page *page, enum family which)
{
	openmetrics_family(&page->writer, &metrics_families[which]);
}

static void label(struct page *page, const char *name, const char *text)
{
	openmetrics_label(&page->writer, name, text, strlen(text));
}

static void plain(struct page *page, enum family which, uint64_t number)
{
	family(page, which);
	openmetrics_sample(&page->writer, "");
	openmetrics_number(&page->writer, number);
}

static void nanoseconds(struct page *page, uint64_t ns)
{
	openmetrics_seconds(&page->writer, ns / NS, (uint32_t)(ns % NS));
}

static void plain_seconds(struct page *page, enum family which, uint64_t ns)
{
	family(page, which);
	openmetrics_sample(&page->writer, "");
	nanoseconds(page, ns);
}

static void info(struct page *page, enum family which, const char *name, const char *text)
{
	family(page, which);
	if (!text)
		return;
	openmetrics_sample(&page->writer, "");
	label(page, name, text);
	openmetrics_number(&page->writer, 1);
}

/* The labels of a histogram; `origin` below 0: none. */
static void histogram_labels(struct page *page, int origin)
{
	if (origin >= 0)
		label(page, "origin", metrics_origin_name((unsigned int)origin));
}

static void histogram(struct page *page, const struct metrics_histogram *histogram, int origin)
{
	const struct metrics_buckets *bucket = histogram->buckets;
	uint64_t sum = 0;

	for (unsigned int i = 0;; i++, bucket++) {
		sum += histogram->counts[i];
		openmetrics_sample(&page->writer, "_bucket");
		histogram_labels(page, origin);
		label(page, "le", bucket->label ? bucket->label : "+Inf");
		openmetrics_number(&page->writer, sum);
		if (!bucket->label)
			break;
	}
	openmetrics_sample(&page->writer, "_count");
	histogram_labels(page, origin);
	openmetrics_number(&page->writer, histogram->count);
	openmetrics_sample(&page->writer, "_sum");
	histogram_labels(page, origin);
	openmetrics_seconds(&page->writer, histogram->seconds, histogram->nanoseconds);
}

/* ---- claims ---- */

struct claim_kind {
	unsigned int trigger, origin;
	enum metrics_protocol protocol;
};

static void claim_sample(struct page *page, const struct claim_kind *kind)
{
	openmetrics_sample(&page->writer, "");
	label(page, "trigger", trigger_name(kind->trigger));
	label(page, "origin", metrics_origin_name(kind->origin));
	label(page, "protocol", metrics_protocol_name(kind->protocol));
}

/* What an alert asks for is there before it happens: increase() does not see a series
 * begin. These are the calls for which the kernel may find no free port. */
static bool claim_expected(const struct claim_kind *kind)
{
	if (kind->origin != WIRE_ORIGIN_KERNEL)
		return false;
	if (kind->protocol == METRICS_TCP)
		return kind->trigger <= WIRE_LISTEN;
	return kind->protocol == METRICS_UDP && kind->trigger != WIRE_LISTEN &&
	       kind->trigger <= WIRE_SEND;
}

static const char *claim_expected_error(const struct claim_kind *kind)
{
	if (!claim_expected(kind))
		return "";
	if (kind->trigger == WIRE_BIND || kind->trigger == WIRE_LISTEN)
		return "EADDRINUSE";
	return kind->protocol == METRICS_TCP ? "EADDRNOTAVAIL" : "EAGAIN";
}

static void claims_each(struct page *page, void (*each)(struct page *, const struct claim_kind *))
{
	struct claim_kind kind;

	for (kind.trigger = WIRE_BIND; kind.trigger < METRICS_TRIGGERS; kind.trigger++)
		for (kind.origin = 0; kind.origin < METRICS_ORIGINS; kind.origin++)
			for (kind.protocol = 0; kind.protocol < METRICS_PROTOCOLS; kind.protocol++)
				each(page, &kind);
}

static void claim_put(struct page *page, const struct claim_kind *kind)
{
	uint64_t count = page->metrics->claims[kind->trigger][kind->origin][kind->protocol];

	if (!count && !claim_expected(kind))
		return;
	claim_sample(page, kind);
	openmetrics_number(&page->writer, count);
}

static void claim_failures_put(struct page *page, const struct claim_kind *kind)
{
	const uint64_t *counts =
		page->metrics->failures[kind->trigger][kind->origin][kind->protocol];

	for (unsigned int i = 0; i < METRICS_ERRORS; i++) {
		const char *name = metrics_error_name(i);

		if (!counts[i] && strcmp(name, claim_expected_error(kind)) != 0)
			continue;
		claim_sample(page, kind);
		label(page, "error", name);
		openmetrics_number(&page->writer, counts[i]);
	}
}

static void owners_put(struct page *page, enum family which)
{
	family(page, which);
	for (const struct metrics_owner *owner = page->metrics->owners; owner;
	     owner = owner->hh.next) {
		openmetrics_sample(&page->writer, "");
		label(page, "kind", metrics_kind_name(owner->kind));
		openmetrics_label_escaped(&page->writer, "name", metrics_owner_name(owner));
		openmetrics_number(&page->writer,
				   which == ALLOCATIONS ? owner->allocations : owner->failures);
	}
}

/* ---- connects and leases ---- */

/* Each with its own name for the second label. Those of TCP and UDP are always there. */
static void protocols_put(struct page *page, enum family which, const char *name,
			  const uint64_t *counts, unsigned int width,
			  const char *(*label_name)(unsigned int place))
{
	family(page, which);
	for (enum metrics_protocol protocol = 0; protocol < METRICS_PROTOCOLS; protocol++)
		for (unsigned int i = 0; i < width; i++) {
			uint64_t count = counts[protocol * width + i];

			if (!count && protocol > METRICS_UDP)
				continue;
			openmetrics_sample(&page->writer, "");
			label(page, "protocol", metrics_protocol_name(protocol));
			if (label_name)
				label(page, name, label_name(i));
			openmetrics_number(&page->writer, count);
		}
}

static const char *connect_label(unsigned int place)
{
	return metrics_connect_name(place);
}

static const char *ending_label(unsigned int place)
{
	return metrics_ending_name(place);
}

static const char *state_label(unsigned int place)
{
	return lease_state_name(place);
}

static void connect_failures_put(struct page *page)
{
	family(page, CONNECT_FAILURES);
	for (enum metrics_protocol protocol = 0; protocol < METRICS_PROTOCOLS; protocol++)
		for (unsigned int i = 0; i < METRICS_ERRORS; i++) {
			uint64_t count = page->metrics->connect_failures[protocol][i];

			if (!count)
				continue;
			openmetrics_sample(&page->writer, "");
			label(page, "protocol", metrics_protocol_name(protocol));
			label(page, "error", metrics_error_name(i));
			openmetrics_number(&page->writer, count);
		}
}

static void claims_put(struct page *page)
{
	const struct metrics *metrics = page->metrics;

	family(page, CLAIMS);
	claims_each(page, claim_put);
	family(page, CLAIM_FAILURES);
	claims_each(page, claim_failures_put);
	owners_put(page, ALLOCATIONS);
	owners_put(page, ALLOCATION_FAILURES);
	protocols_put(page, CONNECTS, "outcome", metrics->connects[0], METRICS_CONNECTS,
		      connect_label);
	connect_failures_put(page);
	family(page, CONNECT_DURATION);
	histogram(page, &metrics->connect_time, -1);
	protocols_put(page, RELEASES, "ending", metrics->releases[0], METRICS_ENDINGS,
		      ending_label);
	protocols_put(page, TIME_WAITS, NULL, metrics->time_waits, 1, NULL);
	family(page, LEASE_DURATION);
	for (int origin = WIRE_ORIGIN_REQUESTED; origin < METRICS_ORIGINS; origin++)
		histogram(page, &metrics->lease_time[origin], origin);
	protocols_put(page, LEASES, "state", metrics->leases[0], LEASE_STATES, state_label);
}

/* ---- pools ---- */

/* A namespace in which nothing is held may be gone: only of ours that is known. */
static bool pool_shown(const struct page *page, const struct metrics_namespace *space,
		       enum metrics_protocol protocol)
{
	if (!space->leases && space->netns != page->metrics->own_netns)
		return false;
	for (unsigned int state = 0; state < LEASE_STATES; state++)
		if (space->ports[protocol][state])
			return true;
	return protocol <= METRICS_UDP;
}

static void pool_sample(struct page *page, const struct metrics_namespace *space,
			enum metrics_protocol protocol)
{
	openmetrics_sample(&page->writer, "");
	openmetrics_label_number(&page->writer, "netns", space->netns);
	label(page, "protocol", metrics_protocol_name(protocol));
}

static void pools_put(struct page *page, enum family which)
{
	family(page, which);
	for (const struct metrics_namespace *space = page->metrics->namespaces; space;
	     space = space->hh.next)
		for (enum metrics_protocol protocol = 0; protocol < METRICS_POOLED; protocol++) {
			if (!pool_shown(page, space, protocol))
				continue;
			if (which == POOL_CAPACITY) {
				pool_sample(page, space, protocol);
				openmetrics_number(&page->writer, metrics_capacity(space));
				continue;
			}
			for (unsigned int state = 0; state < LEASE_STATES; state++) {
				pool_sample(page, space, protocol);
				label(page, "state", lease_state_name(state));
				openmetrics_number(&page->writer, space->ports[protocol][state]);
			}
		}
}

static void destinations_put(struct page *page)
{
	family(page, DESTINATION);
	for (unsigned int i = 0; i < page->metrics->destination_count; i++) {
		const struct metrics_destination *to = &page->metrics->destinations[i];
		char text[TEXT_ENDPOINT];

		openmetrics_sample(&page->writer, "");
		openmetrics_label_number(&page->writer, "netns", to->netns);
		label(page, "protocol", metrics_protocol_name(to->protocol));
		openmetrics_label(&page->writer, "source", text,
				  (size_t)(text_address(text, to->local, to->family) - text));
		openmetrics_label(
			&page->writer, "destination", text,
			(size_t)(text_endpoint(text, to->other, to->family, to->other_port) -
				 text));
		openmetrics_number(&page->writer, to->ports);
	}
}

/* ---- the recorder itself ---- */

static void entries_put(struct page *page, const char *kind, uint64_t count)
{
	openmetrics_sample(&page->writer, "");
	label(page, "kind", kind);
	openmetrics_number(&page->writer, count);
}

static void stream_put(struct page *page)
{
	const struct metrics_service *service = page->service;

	plain(page, EVENTS, service->events);
	plain(page, RECORDS, service->received);
	plain(page, RECORDS_LOST, service->lost);
	plain(page, UNTRACKED, service->untracked);
	plain(page, UNSEEN, service->unseen);
	if (service->skipped == UINT64_MAX)
		family(page, SKIPPED);
	else
		plain(page, SKIPPED, service->skipped);
	plain(page, EVICTED, service->evicted);
	plain_seconds(page, LAG, service->lag);
	plain(page, BACKLOG, service->backlog);
}

static void store_put(struct page *page)
{
	const struct metrics_service *service = page->service;

	plain(page, STORE_WRITTEN, service->store_written);
	plain(page, STORE_DROPPED, service->store_dropped);
	plain(page, STORE_TRIMMED, service->store_trimmed);
	family(page, STORE_ENTRIES);
	entries_put(page, "lease", service->store_leases);
	entries_put(page, "failure", service->store_failures);
	plain(page, STORE_SIZE, service->store_bytes);
	plain(page, STORE_WAL, service->store_wal);
	plain(page, STORE_LIMIT, service->store_limit);
	if (service->store_committed)
		plain_seconds(page, STORE_COMMIT, service->store_committed);
	else
		family(page, STORE_COMMIT);
	plain(page, STORE_FAILING, service->store_failing);
}

static uint64_t sink_number(const struct sink_report *sink, enum family which)
{
	switch (which) {
	case SINK_DELIVERED:
		return sink->state.delivered;
	case SINK_DROPPED:
		return sink->dropped;
	case SINK_REFUSED:
		return sink->state.refused;
	case SINK_LOST:
		return sink->state.lost;
	case SINK_WAITING:
		return sink->waiting;
	case SINK_SPOOLED:
		return sink->state.spooled;
	case SINK_SPOOL:
		return sink->state.spooled_bytes;
	default:
		return sink->alive && !sink->state.since;
	}
}

static void sinks_put(struct page *page)
{
	const struct metrics_service *service = page->service;

	for (enum family which = SINK_DELIVERED; which <= SINK_UP; which++) {
		family(page, which);
		for (size_t i = 0; i < service->sink_count; i++) {
			openmetrics_sample(&page->writer, "");
			label(page, "sink", service->sinks[i].name);
			openmetrics_number(&page->writer, sink_number(&service->sinks[i], which));
		}
	}
}

void metrics_text(const struct metrics *metrics, const struct metrics_service *service,
		  bool classic, struct buffer *out)
{
	struct page page = {
		.writer = {.out = out, .classic = classic},
		.metrics = metrics,
		.service = service,
	};

	info(&page, BUILD, "version", service->version);
	info(&page, TIER, "tier", service->tier);
	claims_put(&page);
	pools_put(&page, POOL_CAPACITY);
	pools_put(&page, POOL);
	plain(&page, POOL_UNKNOWN, metrics->unpooled);
	destinations_put(&page);
	stream_put(&page);
	store_put(&page);
	sinks_put(&page);
	plain_seconds(&page, PROCESS_START, service->started);
	plain_seconds(&page, PROCESS_CPU, service->cpu);
	if (service->memory)
		plain(&page, PROCESS_MEMORY, service->memory);
	else
		family(&page, PROCESS_MEMORY);
	openmetrics_end(&page.writer);
}
