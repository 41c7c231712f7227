/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/metrics.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/escape.h"
#include "model/message.h"

#define NS UINT64_C(1000000000)
#define MS UINT64_C(1000000)
#define US UINT64_C(1000)

static const struct {
	uint16_t number;
	const char *name;
} protocols[METRICS_PROTOCOLS] = {
	[METRICS_TCP] = {IPPROTO_TCP, "tcp"},
	[METRICS_UDP] = {IPPROTO_UDP, "udp"},
	[METRICS_UDPLITE] = {IPPROTO_UDPLITE, "udplite"},
	[METRICS_SCTP] = {IPPROTO_SCTP, "sctp"},
	[METRICS_MPTCP] = {IPPROTO_MPTCP, "mptcp"},
	[METRICS_ICMP] = {IPPROTO_ICMP, "icmp"},
	[METRICS_ICMPV6] = {IPPROTO_ICMPV6, "icmpv6"},
	[METRICS_OTHER_PROTOCOL] = {0, "other"},
};

const char *metrics_protocol_name(enum metrics_protocol protocol)
{
	return protocols[protocol].name;
}

enum metrics_protocol metrics_protocol_of(uint16_t protocol, uint32_t flags)
{
	unsigned int place = 0;

	if (flags & WIRE_MPTCP)
		return METRICS_MPTCP;
	while (place < METRICS_OTHER_PROTOCOL && protocols[place].number != protocol)
		place++;
	return place;
}

enum metrics_protocol metrics_space_of(uint16_t protocol)
{
	enum metrics_protocol place = metrics_protocol_of(protocol, 0);

	return place == METRICS_MPTCP ? METRICS_TCP : place;
}

const char *metrics_origin_name(unsigned int origin)
{
	static const char *const names[METRICS_ORIGINS] = {
		[WIRE_ORIGIN_NONE] = "none",
		[WIRE_ORIGIN_REQUESTED] = "requested",
		[WIRE_ORIGIN_KERNEL] = "kernel",
	};

	return names[origin];
}

static const uint16_t errors[METRICS_ERRORS] = {
	EADDRINUSE,   EADDRNOTAVAIL, EAGAIN,	 EACCES,       EPERM,	    EINVAL,
	ECONNREFUSED, ETIMEDOUT,     ECONNRESET, EHOSTUNREACH, ENETUNREACH, EISCONN,
	EALREADY,     EAFNOSUPPORT,  ENOBUFS,	 ENOMEM,       EINTR,	    0,
};

const char *metrics_error_name(unsigned int place)
{
	return errors[place] ? errno_name(errors[place]) : "other";
}

static unsigned int error_place(uint32_t error)
{
	unsigned int place = 0;

	while (errors[place] && errors[place] != error)
		place++;
	return place;
}

const char *metrics_connect_name(enum metrics_connect outcome)
{
	static const char *const names[METRICS_CONNECTS] = {
		[METRICS_ESTABLISHED] = "established",
		[METRICS_FAILED] = "failed",
		[METRICS_ABORTED] = "aborted",
	};

	return names[outcome];
}

const char *metrics_ending_name(enum lease_ending ending)
{
	static const char *const names[METRICS_ENDINGS] = {
		[LEASE_RELEASED] = "released",
		[LEASE_EXPIRED] = "estimated",
		[LEASE_MISSED] = "missed",
		[LEASE_EVICTED] = "evicted",
	};

	return names[ending];
}

const char *metrics_kind_name(enum metrics_kind kind)
{
	static const char *const names[METRICS_KINDS] = {
		[METRICS_UNIT] = "unit",
		[METRICS_CONTAINER] = "container",
		[METRICS_PROCESS] = "process",
		[METRICS_OTHER] = "other",
	};

	return names[kind];
}

/* ---- histograms ---- */

/* From a loopback's answer to the end of SYN retries. */
static const struct metrics_buckets connect_buckets[METRICS_BUCKETS] = {
	{"5e-05", 50 * US}, {"0.0001", 100 * US},  {"0.00025", 250 * US}, {"0.0005", 500 * US},
	{"0.001", MS},	    {"0.0025", 2500 * US}, {"0.005", 5 * MS},	  {"0.01", 10 * MS},
	{"0.025", 25 * MS}, {"0.05", 50 * MS},	   {"0.1", 100 * MS},	  {"0.25", 250 * MS},
	{"0.5", 500 * MS},  {"1.0", NS},	   {"2.5", 2500 * MS},	  {"5.0", 5 * NS},
	{"10.0", 10 * NS},  {"60.0", 60 * NS},	   {"150.0", 150 * NS},	  {0},
};

/* TIME_WAIT lasts for 60 s: a bucket ends right behind it. */
static const struct metrics_buckets lease_buckets[METRICS_BUCKETS] = {
	{"0.0001", 100 * US},
	{"0.001", MS},
	{"0.01", 10 * MS},
	{"0.1", 100 * MS},
	{"1.0", NS},
	{"5.0", 5 * NS},
	{"15.0", 15 * NS},
	{"30.0", 30 * NS},
	{"60.0", 60 * NS},
	{"65.0", 65 * NS},
	{"90.0", 90 * NS},
	{"120.0", 120 * NS},
	{"300.0", 300 * NS},
	{"900.0", 900 * NS},
	{"3600.0", 3600 * NS},
	{"14400.0", 14400 * NS},
	{"86400.0", 86400 * NS},
	{"604800.0", 604800 * NS},
	{0},
};

static void histogram_add(struct metrics_histogram *histogram, uint64_t ns)
{
	unsigned int place = 0;

	while (histogram->buckets[place].label && ns > histogram->buckets[place].most)
		place++;
	histogram->counts[place]++;
	histogram->count++;
	histogram->seconds += ns / NS;
	histogram->nanoseconds += (uint32_t)(ns % NS);
	if (histogram->nanoseconds >= NS) {
		histogram->nanoseconds -= (uint32_t)NS;
		histogram->seconds++;
	}
}

/* ---- namespaces ---- */

struct metrics_namespace *metrics_namespace_find(struct metrics *metrics, uint32_t netns)
{
	struct metrics_namespace *space;

	HASH_FIND(hh, metrics->namespaces, &netns, sizeof(netns), space);
	return space;
}

static void namespace_drop(struct metrics *metrics, struct metrics_namespace *space)
{
	HASH_DEL(metrics->namespaces, space);
	free(space);
}

/* Room for one more, if one of them has no leases any more. */
static bool namespace_room(struct metrics *metrics)
{
	struct metrics_namespace *space, *next;

	if (HASH_COUNT(metrics->namespaces) < METRICS_NAMESPACES)
		return true;
	HASH_ITER (hh, metrics->namespaces, space, next) {
		if (space->leases || space->netns == metrics->own_netns)
			continue;
		namespace_drop(metrics, space);
		return true;
	}
	return false;
}

static struct metrics_namespace *namespace_get(struct metrics *metrics, uint32_t netns)
{
	struct metrics_namespace *space = metrics_namespace_find(metrics, netns);

	if (space || !namespace_room(metrics))
		return space;
	space = calloc(1, sizeof(*space));
	if (!space)
		return NULL;
	space->netns = netns;
	space->leases = true; /* until a survey has looked */
	HASH_ADD(hh, metrics->namespaces, netns, sizeof(netns), space);
	return space;
}

void metrics_pool(struct metrics *metrics, uint32_t netns, uint16_t low, uint16_t high,
		  const struct port_set *reserved)
{
	struct metrics_namespace *space;

	if (!low || high < low)
		return;
	space = namespace_get(metrics, netns);
	if (!space)
		return;
	if (space->low != low || space->high != high)
		space->reserved = 0;
	space->low = low;
	space->high = high;
	if (!reserved)
		return;
	space->reserved = 0;
	for (unsigned int port = low; port <= high; port++)
		space->reserved += port_set_has(reserved, (uint16_t)port);
}

/* A socket's own range says nothing about the namespace's. */
static void record_pool(struct metrics *metrics, const struct wire_event *record)
{
	if (!(record->flags & WIRE_OWN_RANGE))
		metrics_pool(metrics, record->netns, record->pool_low, record->pool_high, NULL);
}

/* ---- owners ---- */

static const unsigned int kind_limits[METRICS_KINDS] = {
	[METRICS_UNIT] = METRICS_UNITS,
	[METRICS_CONTAINER] = METRICS_CONTAINERS,
	[METRICS_PROCESS] = METRICS_PROCESSES,
	[METRICS_OTHER] = 1,
};

static struct metrics_owner *owner_add(struct metrics *metrics, enum metrics_kind kind,
				       const char *key, size_t length)
{
	struct metrics_owner *owner;

	if (metrics->owner_counts[kind] >= kind_limits[kind])
		return metrics->other;
	owner = calloc(1, sizeof(*owner) + length + 1);
	if (!owner)
		return metrics->other;
	owner->kind = kind;
	memcpy(owner->key, key, length);
	metrics->owner_counts[kind]++;
	HASH_ADD_KEYPTR(hh, metrics->owners, owner->key, length, owner);
	return owner;
}

/* By what stands in the label: two names that look the same there are one. */
static struct metrics_owner *owner_get(struct metrics *metrics, enum metrics_kind kind,
				       const char *name, size_t length)
{
	CLEANUP(buffer_free) struct buffer key = BUFFER_EMPTY;
	struct metrics_owner *owner;

	buffer_byte(&key, (char)('a' + kind));
	escape_label(&key, name, length);
	if (key.failed || key.length >= METRICS_NAME)
		return metrics->other;
	HASH_FIND(hh, metrics->owners, key.data, key.length, owner);
	return owner ? owner : owner_add(metrics, kind, key.data, key.length);
}

static struct metrics_owner *owner_find(struct metrics *metrics, const struct event *event)
{
	const struct process *process = event->process;
	/* Of the process and not of the thread, whose name may change with each call. */
	const char *name = process ? process->comm : event_comm(event);

	if (process && *process->container.id)
		return owner_get(metrics, METRICS_CONTAINER, process->container.id,
				 strlen(process->container.id));
	if (process && *process->container.unit)
		return owner_get(metrics, METRICS_UNIT, process->container.unit,
				 strlen(process->container.unit));
	if (!*name)
		return metrics->other;
	return owner_get(metrics, METRICS_PROCESS, name, strnlen(name, WIRE_COMM));
}

static struct metrics_owner *event_owner(struct metrics *metrics, const struct event *event)
{
	if (!event->process)
		return owner_find(metrics, event);
	if (metrics->owner_serial != event->process->serial) {
		metrics->owner = owner_find(metrics, event);
		metrics->owner_serial = event->process->serial;
	}
	return metrics->owner;
}

/* ---- events ---- */

static unsigned int origin_of(const struct wire_event *record)
{
	return record->origin < METRICS_ORIGINS ? record->origin : WIRE_ORIGIN_NONE;
}

static void claim_count(struct metrics *metrics, const struct event *event)
{
	const struct wire_event *call = event->socket;
	enum metrics_protocol protocol = metrics_protocol_of(call->protocol, call->flags);
	unsigned int origin = origin_of(call);

	if (!(call->flags & WIRE_CLAIMED) || call->trigger >= METRICS_TRIGGERS)
		return;
	if (call->local_port) {
		metrics->claims[call->trigger][origin][protocol]++;
		/* The number of a ping socket is none. */
		if (origin == WIRE_ORIGIN_KERNEL && protocol != METRICS_ICMP &&
		    protocol != METRICS_ICMPV6)
			event_owner(metrics, event)->allocations++;
	} else if (call->error) {
		metrics->failures[call->trigger][origin][protocol][error_place(call->error)]++;
		if (ledger_exhausted(call))
			event_owner(metrics, event)->failures++;
	}
}

static void connect_count(struct metrics *metrics, const struct wire_event *record)
{
	enum metrics_protocol protocol = metrics_protocol_of(record->protocol, record->flags);

	if (record->flags & WIRE_ABORTED) {
		metrics->connects[protocol][METRICS_ABORTED]++;
	} else if (record->error) {
		metrics->connects[protocol][METRICS_FAILED]++;
		metrics->connect_failures[protocol][error_place(record->error)]++;
	} else {
		metrics->connects[protocol][METRICS_ESTABLISHED]++;
		if (record->header.type == WIRE_OUTCOME)
			histogram_add(&metrics->connect_time, record->duration);
	}
}

static void socket_count(struct metrics *metrics, const struct event *event)
{
	const struct wire_event *record = event->socket;

	record_pool(metrics, record);
	switch (event->action) {
	case EVENT_RELEASED:
		if (record->flags & WIRE_TIME_WAIT && !(record->flags & WIRE_TIME_WAIT_OVER))
			metrics->time_waits[metrics_protocol_of(record->protocol, record->flags)]++;
		break;
	case EVENT_CONNECTED:
		claim_count(metrics, event);
		if (event->outcome != EVENT_UNKNOWN)
			connect_count(metrics, record);
		break;
	case EVENT_ESTABLISHED:
	case EVENT_FAILED:
		connect_count(metrics, record);
		break;
	default:
		claim_count(metrics, event);
		break;
	}
}

void metrics_event(struct metrics *metrics, const struct event *event)
{
	if (event->action == EVENT_START) {
		metrics->own_netns = event->stream->start.own_netns;
		metrics->stream = event->stream->start.id;
	}
	if (event->socket)
		socket_count(metrics, event);
}

void metrics_lease_opened(struct metrics *metrics, const struct lease *lease,
			  const struct wire_event *record)
{
	(void)lease;
	record_pool(metrics, record);
}

void metrics_lease_ended(struct metrics *metrics, const struct lease *lease,
			 enum lease_ending ending, uint64_t time)
{
	unsigned int origin = lease->origin < METRICS_ORIGINS ? lease->origin : WIRE_ORIGIN_NONE;

	if (lease->share)
		return;
	metrics->releases[metrics_protocol_of(lease->protocol, lease->flags)][ending]++;
	/* How long it was held in all is known of a claim that was seen, and of its real end. */
	if (lease->claimed && time > lease->claimed &&
	    (ending == LEASE_RELEASED || ending == LEASE_EXPIRED))
		histogram_add(&metrics->lease_time[origin], time - lease->claimed);
}

/* ---- */

struct metrics *metrics_new(void)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	static const char key[] = {'a' + METRICS_OTHER};

	if (!metrics)
		return NULL;
	metrics->connect_time.buckets = connect_buckets;
	for (unsigned int i = 0; i < METRICS_ORIGINS; i++)
		metrics->lease_time[i].buckets = lease_buckets;
	metrics->other = owner_add(metrics, METRICS_OTHER, key, sizeof(key));
	if (!metrics->other) {
		free(metrics);
		return NULL;
	}
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	struct metrics_owner *owner, *next_owner;
	struct metrics_namespace *space, *next_space;

	if (!metrics)
		return;
	HASH_ITER (hh, metrics->owners, owner, next_owner) {
		HASH_DEL(metrics->owners, owner);
		free(owner);
	}
	HASH_ITER (hh, metrics->namespaces, space, next_space)
		namespace_drop(metrics, space);
	free(metrics);
}
