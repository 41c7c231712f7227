/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "metrics_recount.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants some of the above. */
#include <cmocka.h>

#include "model/metrics.h"
#include "model/text.h"

struct number *number_get(struct number **numbers, const char *name)
{
	struct number *number;

	HASH_FIND_STR(*numbers, name, number);
	if (number)
		return number;
	number = calloc(1, sizeof(*number) + strlen(name) + 1);
	assert_non_null(number);
	strcpy(number->name, name);
	HASH_ADD_STR(*numbers, name, number);
	return number;
}

static void add(struct number **numbers, uint64_t count, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add(struct number **numbers, uint64_t count, const char *format, ...)
{
	char name[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(name, sizeof(name), format, arguments);
	va_end(arguments);
	number_get(numbers, name)->count += count;
}

void numbers_free(struct number **numbers)
{
	struct number *number, *next;

	HASH_ITER (hh, *numbers, number, next) {
		HASH_DEL(*numbers, number);
		free(number);
	}
}

static const char *protocol_word(uint16_t protocol, uint32_t flags)
{
	if (flags & WIRE_MPTCP)
		return "mptcp";
	return protocol == 253 ? "other" : protocol_name(protocol);
}

static const char *origin_word(uint8_t origin)
{
	return origin == WIRE_ORIGIN_KERNEL	 ? "kernel"
	       : origin == WIRE_ORIGIN_REQUESTED ? "requested"
						 : "none";
}

static const char *error_word(uint32_t error)
{
	return error == ELOOP ? "other" : strerrorname_np((int)error);
}

void process_words(uint32_t pid, char *kind, char *name)
{
	static const char *const kinds[] = {"unit", "container", "process"};

	strcpy(kind, kinds[pid % 3]);
	switch (pid % 3) {
	case 0:
		sprintf(name, "app-%u.service", pid);
		break;
	case 1:
		sprintf(name, "%064x", pid);
		break;
	default:
		/* What stands in the record is: p " \ ESC pid */
		sprintf(name, "p\\\"\\\\\xef\xbf\xbd%u", pid);
	}
}

static void owner_add(struct recount *recount, const char *what, uint32_t pid)
{
	static const unsigned int limits[] = {METRICS_UNITS, METRICS_CONTAINERS, METRICS_PROCESSES};
	char kind[16], name[128], key[160];
	struct number *owner;

	process_words(pid, kind, name);
	snprintf(key, sizeof(key), "%s/%s", kind, name);
	owner = number_get(&recount->owners, key);
	if (!owner->count)
		owner->count = 1 + (recount->kinds[pid % 3]++ < limits[pid % 3]);
	if (owner->count == 1)
		strcpy(kind, "other"), *name = '\0';
	add(&recount->numbers, 1, "portsnoop_%s_total{kind=\"%s\",name=\"%s\"}", what, kind, name);
}

static void recount_call(struct recount *recount, const struct wire_event *e)
{
	bool ping = e->protocol == IPPROTO_ICMP;
	bool connects = e->trigger == WIRE_CONNECT || e->trigger == WIRE_SUBFLOW ||
			(e->trigger == WIRE_SEND &&
			 (e->protocol == IPPROTO_TCP || e->protocol == IPPROTO_MPTCP));

	if (e->flags & WIRE_CLAIMED && e->local_port) {
		add(&recount->numbers, 1,
		    "portsnoop_claims_total{trigger=\"%s\",origin=\"%s\",protocol=\"%s\"}",
		    trigger_name(e->trigger), origin_word(e->origin),
		    protocol_word(e->protocol, e->flags));
		if (e->origin == WIRE_ORIGIN_KERNEL && !ping)
			owner_add(recount, "allocations", e->pid);
	}
	if (e->flags & WIRE_CLAIMED && !e->local_port && e->error) {
		add(&recount->numbers, 1,
		    "portsnoop_claim_failures_total{trigger=\"%s\",origin=\"%s\",protocol=\"%s\","
		    "error=\"%s\"}",
		    trigger_name(e->trigger), origin_word(e->origin),
		    protocol_word(e->protocol, e->flags), error_word(e->error));
		if (ledger_exhausted(e))
			owner_add(recount, "allocation_failures", e->pid);
	}
	if (connects && e->error)
		add(&recount->numbers, 1,
		    "portsnoop_connect_failures_total{protocol=\"%s\",error=\"%s\"}",
		    protocol_word(e->protocol, e->flags), error_word(e->error));
	if (connects && (e->error || !(e->flags & WIRE_IN_PROGRESS)))
		add(&recount->numbers, 1,
		    "portsnoop_connects_total{protocol=\"%s\",outcome=\"%s\"}",
		    protocol_word(e->protocol, e->flags), e->error ? "failed" : "established");
}

void recount_record(struct recount *recount, const struct wire_event *e)
{
	const char *protocol = protocol_word(e->protocol, e->flags);

	if (e->header.type == WIRE_CALL)
		recount_call(recount, e);
	if (e->header.type == WIRE_OUTCOME) {
		const char *outcome = e->flags & WIRE_ABORTED ? "aborted"
				      : e->error	      ? "failed"
							      : "established";

		add(&recount->numbers, 1,
		    "portsnoop_connects_total{protocol=\"%s\",outcome=\"%s\"}", protocol, outcome);
		if (*outcome == 'f')
			add(&recount->numbers, 1,
			    "portsnoop_connect_failures_total{protocol=\"%s\",error=\"%s\"}",
			    protocol, error_word(e->error));
		if (*outcome == 'e')
			recount->connects[recount->connect_count++] = e->duration;
	}
	if (e->header.type == WIRE_RELEASE &&
	    (e->flags & (WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER)) == WIRE_TIME_WAIT)
		add(&recount->numbers, 1, "portsnoop_time_waits_total{protocol=\"%s\"}", protocol);
}

void recount_ended(void *context, const struct lease *lease, enum lease_ending ending,
		   uint64_t time)
{
	static const char *const names[] = {"released", "estimated", "missed", "evicted"};
	struct recount *recount = context;

	if (lease->share)
		return;
	add(&recount->numbers, 1, "portsnoop_releases_total{protocol=\"%s\",ending=\"%s\"}",
	    protocol_word(lease->protocol, lease->flags), names[ending]);
	if (lease->claimed && ending <= LEASE_EXPIRED && lease->origin) {
		unsigned int kernel = lease->origin == WIRE_ORIGIN_KERNEL;

		recount->leases[kernel][recount->lease_count[kernel]++] = time - lease->claimed;
	}
}

/* ---- leases as of now ---- */

static const char *space_word(const struct lease *lease)
{
	return lease->protocol == IPPROTO_MPTCP ? "tcp" : protocol_word(lease->protocol, 0);
}

static bool lease_pooled(const struct lease *lease)
{
	return lease->protocol != IPPROTO_ICMP && lease->protocol != 253 &&
	       lease->local_port >= POOL_LOW && lease->local_port <= POOL_HIGH &&
	       !(lease->flags & WIRE_RESERVED);
}

static unsigned int rank(const struct lease *lease)
{
	static const uint8_t order[] = {LEASE_LISTEN, LEASE_ESTABLISHED, LEASE_CONNECTING,
					LEASE_BOUND, LEASE_TIME_WAIT};
	unsigned int i = 0;

	while (order[i] != lease->state)
		i++;
	return i;
}

/* Counts for its port if no other lease comes before it in rank, then in the list. */
static bool lease_leads(const struct leases *leases, unsigned int which)
{
	const struct lease *lease = &leases->list[which];

	for (unsigned int i = 0; i < leases->count; i++) {
		const struct lease *other = &leases->list[i];

		if (i == which || other->netns != lease->netns ||
		    other->local_port != lease->local_port || !lease_pooled(other) ||
		    strcmp(space_word(other), space_word(lease)) != 0)
			continue;
		if (rank(other) < rank(lease) || (rank(other) == rank(lease) && i < which))
			return false;
	}
	return true;
}

static void address_word(char *out, const uint8_t *bytes, const struct lease *lease)
{
	if (address_mapped(bytes, lease->family))
		*text_address(out, bytes + 12, 4) = '\0';
	else
		*text_address(out, bytes, lease->family) = '\0';
}

static void destination_word(char *out, const struct lease *lease)
{
	char local[64], other[64];

	address_word(local, lease->local, lease);
	address_word(other, lease->other, lease);
	sprintf(out,
		"portsnoop_destination_ports{netns=\"%u\",protocol=\"%s\",source=\"%s\","
		"destination=\"%s%s%s:%u\"}",
		lease->netns, space_word(lease), local, strchr(other, ':') ? "[" : "", other,
		strchr(other, ':') ? "]" : "", lease->other_port);
}

void recount_leases(struct number **numbers, struct number **destinations,
		    const struct leases *leases)
{
	for (unsigned int i = 0; i < leases->count; i++) {
		const struct lease *lease = &leases->list[i];
		char name[256];

		add(numbers, 1, "portsnoop_leases{protocol=\"%s\",state=\"%s\"}",
		    protocol_word(lease->protocol, lease->flags), lease_state_name(lease->state));
		if (!lease_pooled(lease))
			continue;
		if (lease_leads(leases, i))
			add(numbers, 1,
			    "portsnoop_pool_ports{netns=\"%u\",protocol=\"%s\",state=\"%s\"}",
			    lease->netns, space_word(lease), lease_state_name(lease->state));
		if (!lease->other_port)
			continue;
		destination_word(name, lease);
		number_get(destinations, name)->count++;
	}
}
