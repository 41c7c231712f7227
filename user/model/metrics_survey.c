/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What of the leases is told as of now: looked up when somebody asks, because leases change
 * more often than anybody does. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "model/message.h"
#include "model/metrics.h"

/* Of a pool: a destination with fewer ports is not listed, or each connection would leave
 * a series behind. */
#define LEAST_PART 100

/* Leases between the same addresses, in a table with open addressing. */
struct crowd {
	const struct lease *first; /* NULL: the place is free */
	uint32_t ports;
};

struct survey {
	struct metrics *metrics;
	struct metrics_namespace *space; /* of the lease before */
	struct crowd *crowds;
	size_t mask; /* places - 1 */
};

/* The later in this list, the less alive: what a port with several leases counts as. */
static const uint8_t liveness[LEASE_STATES] = {
	[LEASE_LISTEN] = 0, [LEASE_ESTABLISHED] = 1, [LEASE_CONNECTING] = 2,
	[LEASE_BOUND] = 3,  [LEASE_TIME_WAIT] = 4,
};

/* Leases come in the order of their ports. */
static void port_count(struct metrics_namespace *space, enum metrics_protocol protocol,
		       const struct lease *lease)
{
	uint8_t *state = &space->state[protocol];

	if (space->port[protocol] != lease->local_port) {
		space->port[protocol] = lease->local_port;
		*state = lease->state;
		space->ports[protocol][*state]++;
	} else if (liveness[lease->state] < liveness[*state]) {
		space->ports[protocol][*state]--;
		*state = lease->state;
		space->ports[protocol][*state]++;
	}
}

/* As the packets have the addresses: a dual-stack socket's ports are those of IPv4. */
static void address_take(uint8_t to[16], const uint8_t *bytes, uint8_t *family)
{
	uint8_t was = *family;

	bytes = event_packet_address(bytes, family);
	memset(to, 0, 16);
	memcpy(to, bytes, *family == was ? 16 : 4);
}

static void destination_of(const struct lease *lease, struct metrics_destination *destination)
{
	uint8_t family = lease->family;

	*destination = (struct metrics_destination){
		.netns = lease->netns,
		.protocol = metrics_space_of(lease->protocol),
		.other_port = lease->other_port,
		.family = lease->family,
	};
	address_take(destination->local, lease->local, &family);
	address_take(destination->other, lease->other, &destination->family);
}

static bool crowd_has(const struct crowd *crowd, const struct metrics_destination *asked)
{
	struct metrics_destination has;

	destination_of(crowd->first, &has);
	return has.netns == asked->netns && has.protocol == asked->protocol &&
	       has.other_port == asked->other_port && has.family == asked->family &&
	       !memcmp(has.local, asked->local, sizeof(has.local)) &&
	       !memcmp(has.other, asked->other, sizeof(has.other));
}

/* The stream's id, which is random, keeps anybody from choosing addresses that collide. */
static uint64_t crowd_hash(const struct metrics_destination *destination, uint64_t hash)
{
	uint64_t words[5] = {(uint64_t)destination->netns << 32 |
			     (uint32_t)destination->other_port << 16 |
			     (uint32_t)destination->family << 8 | destination->protocol};

	memcpy(&words[1], destination->local, sizeof(destination->local));
	memcpy(&words[3], destination->other, sizeof(destination->other));
	/* splitmix64, a round a word */
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		hash = (hash ^ words[i]) + UINT64_C(0x9e3779b97f4a7c15);
		hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
		hash ^= hash >> 31;
	}
	return hash;
}

static void crowd_count(const struct survey *survey, const struct lease *lease)
{
	struct metrics_destination asked;
	size_t at;

	destination_of(lease, &asked);
	at = crowd_hash(&asked, survey->metrics->stream) & survey->mask;
	while (survey->crowds[at].first && !crowd_has(&survey->crowds[at], &asked))
		at = (at + 1) & survey->mask;
	if (!survey->crowds[at].first)
		survey->crowds[at].first = lease;
	survey->crowds[at].ports++;
}

static int lease_survey(void *context, const struct lease *lease)
{
	struct survey *survey = context;
	struct metrics *metrics = survey->metrics;
	enum metrics_protocol protocol = metrics_space_of(lease->protocol);

	if (lease->share)
		return 0;
	metrics->leases[metrics_protocol_of(lease->protocol, lease->flags)][lease->state]++;
	if (protocol >= METRICS_POOLED)
		return 0;
	if (!survey->space || survey->space->netns != lease->netns)
		survey->space = metrics_namespace_find(metrics, lease->netns);
	if (!survey->space) {
		metrics->unpooled++;
		return 0;
	}
	survey->space->leases = true;
	if (lease->local_port < survey->space->low || lease->local_port > survey->space->high ||
	    lease->flags & WIRE_RESERVED)
		return 0;
	port_count(survey->space, protocol, lease);
	if (lease->other_port)
		crowd_count(survey, lease);
	return 0;
}

/* Negative: a comes first. No two are equal. */
static int destination_compare(const struct metrics_destination *a,
			       const struct metrics_destination *b)
{
	int order;

	if (a->ports != b->ports)
		return a->ports > b->ports ? -1 : 1;
	if (a->netns != b->netns)
		return a->netns < b->netns ? -1 : 1;
	if (a->protocol != b->protocol)
		return a->protocol < b->protocol ? -1 : 1;
	order = memcmp(a->other, b->other, sizeof(a->other));
	if (order)
		return order;
	if (a->other_port != b->other_port)
		return a->other_port < b->other_port ? -1 : 1;
	order = memcmp(a->local, b->local, sizeof(a->local));
	return order ? order : a->family - b->family;
}

static void destination_add(struct metrics *metrics, const struct metrics_destination *destination)
{
	struct metrics_destination *list = metrics->destinations;
	unsigned int at = metrics->destination_count;

	while (at && destination_compare(destination, &list[at - 1]) < 0)
		at--;
	if (at == METRICS_DESTINATIONS)
		return;
	if (metrics->destination_count < METRICS_DESTINATIONS)
		metrics->destination_count++;
	memmove(&list[at + 1], &list[at], (metrics->destination_count - 1 - at) * sizeof(*list));
	list[at] = *destination;
}

static void destinations_choose(const struct survey *survey)
{
	struct metrics *metrics = survey->metrics;

	metrics->destination_count = 0;
	for (size_t i = 0; i <= survey->mask; i++) {
		const struct crowd *crowd = &survey->crowds[i];
		struct metrics_destination destination;
		const struct metrics_namespace *space;

		if (!crowd->first)
			continue;
		space = metrics_namespace_find(metrics, crowd->first->netns);
		if (!space || crowd->ports * LEAST_PART < metrics_capacity(space))
			continue;
		destination_of(crowd->first, &destination);
		destination.ports = crowd->ports;
		destination_add(metrics, &destination);
	}
}

int metrics_survey(struct metrics *metrics, struct ledger *ledger, uint64_t now)
{
	struct survey survey = {.metrics = metrics, .mask = 15};
	CLEANUP_FREE struct crowd *crowds = NULL;
	struct metrics_namespace *space, *next;
	struct ledger_totals totals;

	ledger_totals(ledger, &totals);
	while (survey.mask < totals.leases * 2)
		survey.mask = survey.mask * 2 + 1;
	survey.crowds = crowds = calloc(survey.mask + 1, sizeof(*crowds));
	if (!crowds)
		return -ENOMEM;
	HASH_ITER (hh, metrics->namespaces, space, next) {
		space->leases = false;
		memset(space->ports, 0, sizeof(space->ports));
		memset(space->port, 0, sizeof(space->port));
	}
	memset(metrics->leases, 0, sizeof(metrics->leases));
	metrics->unpooled = 0;
	ledger_each(ledger, now, 0, 0, 1, UINT16_MAX, lease_survey, &survey);
	destinations_choose(&survey);
	return 0;
}
