/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a random stream comes to in metrics, against a recount that is too simple to be
 * wrong: it adds to numbers under the very names that the page has, from the records and
 * from the list of leases, and the two have to be the same set.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <uthash.h>

#include "format/metrics_text.h"
#include "lib/cleanup.h"
#include "metrics_room.h"
#include "model/text.h"

#define SEQUENCES 12
#define STEPS 8000 /* each */
#define SOCKETS 120
#define PROCESSES 400
#define POOL_LOW 32768
#define POOL_HIGH 32807

static uint64_t seed;

/* splitmix64 */
static uint64_t draw(uint64_t below)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

static bool chance(unsigned int percent)
{
	return draw(100) < percent;
}

/* ---- the recount ---- */

struct number {
	UT_hash_handle hh;
	uint64_t count;
	char name[];
};

struct recount {
	struct number *numbers;
	unsigned int kinds[3]; /* names seen: units, containers, processes */
	struct number *owners;
	uint64_t connects[SEQUENCES * STEPS], leases[2][SEQUENCES * STEPS]; /* ns */
	unsigned int connect_count, lease_count[2];
};

static struct number *number_get(struct number **numbers, const char *name)
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

static void add(struct recount *recount, uint64_t count, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add(struct recount *recount, uint64_t count, const char *format, ...)
{
	char name[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(name, sizeof(name), format, arguments);
	va_end(arguments);
	number_get(&recount->numbers, name)->count += count;
}

static void numbers_free(struct number **numbers)
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

/* Of process N: every third runs in a unit, in a container, or in neither. */
static void process_words(uint32_t pid, char *kind, char *name)
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

static struct wire_process process_make(uint32_t pid)
{
	char comm[32], group[256];

	snprintf(comm, sizeof(comm), pid % 3 == 2 ? "p\"\\\x1b%u" : "p%u", pid);
	if (pid % 3 == 0)
		snprintf(group, sizeof(group), "/system.slice/app-%u.service", pid);
	else if (pid % 3 == 1)
		snprintf(group, sizeof(group), "/system.slice/docker-%064x.scope", pid);
	else
		strcpy(group, "/");
	return record_process(pid, comm, "/bin/any", "any", group);
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
	add(recount, 1, "portsnoop_%s_total{kind=\"%s\",name=\"%s\"}", what, kind, name);
}

static void recount_call(struct recount *recount, const struct wire_event *e)
{
	bool ping = e->protocol == IPPROTO_ICMP;
	bool connects = e->trigger == WIRE_CONNECT || e->trigger == WIRE_SUBFLOW ||
			(e->trigger == WIRE_SEND &&
			 (e->protocol == IPPROTO_TCP || e->protocol == IPPROTO_MPTCP));

	if (e->flags & WIRE_CLAIMED && e->local_port) {
		add(recount, 1,
		    "portsnoop_claims_total{trigger=\"%s\",origin=\"%s\",protocol=\"%s\"}",
		    trigger_name(e->trigger), origin_word(e->origin),
		    protocol_word(e->protocol, e->flags));
		if (e->origin == WIRE_ORIGIN_KERNEL && !ping)
			owner_add(recount, "allocations", e->pid);
	}
	if (e->flags & WIRE_CLAIMED && !e->local_port && e->error) {
		add(recount, 1,
		    "portsnoop_claim_failures_total{trigger=\"%s\",origin=\"%s\",protocol=\"%s\","
		    "error=\"%s\"}",
		    trigger_name(e->trigger), origin_word(e->origin),
		    protocol_word(e->protocol, e->flags), error_word(e->error));
		if (ledger_exhausted(e))
			owner_add(recount, "allocation_failures", e->pid);
	}
	if (connects && e->error)
		add(recount, 1, "portsnoop_connect_failures_total{protocol=\"%s\",error=\"%s\"}",
		    protocol_word(e->protocol, e->flags), error_word(e->error));
	if (connects && (e->error || !(e->flags & WIRE_IN_PROGRESS)))
		add(recount, 1, "portsnoop_connects_total{protocol=\"%s\",outcome=\"%s\"}",
		    protocol_word(e->protocol, e->flags), e->error ? "failed" : "established");
}

static void recount_record(struct recount *recount, const struct wire_event *e)
{
	const char *protocol = protocol_word(e->protocol, e->flags);

	if (e->header.type == WIRE_CALL)
		recount_call(recount, e);
	if (e->header.type == WIRE_OUTCOME) {
		const char *outcome = e->flags & WIRE_ABORTED ? "aborted"
				      : e->error	      ? "failed"
							      : "established";

		add(recount, 1, "portsnoop_connects_total{protocol=\"%s\",outcome=\"%s\"}",
		    protocol, outcome);
		if (*outcome == 'f')
			add(recount, 1,
			    "portsnoop_connect_failures_total{protocol=\"%s\",error=\"%s\"}",
			    protocol, error_word(e->error));
		if (*outcome == 'e')
			recount->connects[recount->connect_count++] = e->duration;
	}
	if (e->header.type == WIRE_RELEASE &&
	    (e->flags & (WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER)) == WIRE_TIME_WAIT)
		add(recount, 1, "portsnoop_time_waits_total{protocol=\"%s\"}", protocol);
}

static void recount_ended(void *context, const struct lease *lease, enum lease_ending ending,
			  uint64_t time)
{
	static const char *const names[] = {"released", "estimated", "missed", "evicted"};
	struct recount *recount = context;

	if (lease->share)
		return;
	add(recount, 1, "portsnoop_releases_total{protocol=\"%s\",ending=\"%s\"}",
	    protocol_word(lease->protocol, lease->flags), names[ending]);
	if (lease->claimed && ending <= LEASE_EXPIRED && lease->origin) {
		unsigned int kernel = lease->origin == WIRE_ORIGIN_KERNEL;

		recount->leases[kernel][recount->lease_count[kernel]++] = time - lease->claimed;
	}
}

/* ---- leases as of now ---- */

#define LEASES_MOST 8192

struct leases {
	struct lease list[LEASES_MOST];
	unsigned int count;
};

static int lease_keep(void *context, const struct lease *lease)
{
	struct leases *leases = context;

	assert_true(leases->count < LEASES_MOST);
	if (!lease->share)
		leases->list[leases->count++] = *lease;
	return 0;
}

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

static void recount_leases(struct recount *recount, struct number **destinations,
			   const struct leases *leases)
{
	for (unsigned int i = 0; i < leases->count; i++) {
		const struct lease *lease = &leases->list[i];
		char name[256];

		add(recount, 1, "portsnoop_leases{protocol=\"%s\",state=\"%s\"}",
		    protocol_word(lease->protocol, lease->flags), lease_state_name(lease->state));
		if (!lease_pooled(lease))
			continue;
		if (lease_leads(leases, i))
			add(recount, 1,
			    "portsnoop_pool_ports{netns=\"%u\",protocol=\"%s\",state=\"%s\"}",
			    lease->netns, space_word(lease), lease_state_name(lease->state));
		if (!lease->other_port)
			continue;
		destination_word(name, lease);
		number_get(destinations, name)->count++;
	}
}

/* ---- the page ---- */

static bool counted_here(const char *name)
{
	static const char *const prefixes[] = {
		"portsnoop_claims_total",
		"portsnoop_claim_failures_total",
		"portsnoop_allocations_total",
		"portsnoop_allocation_failures_total",
		"portsnoop_connects_total",
		"portsnoop_connect_failures_total",
		"portsnoop_releases_total",
		"portsnoop_time_waits_total",
		"portsnoop_leases",
		"portsnoop_pool_ports",
	};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static struct number *page_parse(char *page)
{
	struct number *numbers = NULL;
	char *line, *rest, *space;

	for (line = strtok_r(page, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (*line == '#')
			continue;
		space = strrchr(line, ' ');
		assert_non_null(space);
		*space = '\0';
		number_get(&numbers, line)->count = strtoull(space + 1, NULL, 10);
	}
	return numbers;
}

static void sets_compare(struct number *page, struct number *recount)
{
	for (const struct number *number = page; number; number = number->hh.next) {
		struct number *other;

		HASH_FIND_STR(recount, number->name, other);
		if (counted_here(number->name) && number->count != (other ? other->count : 0))
			fail_msg("%s is %llu, recounted %llu", number->name,
				 (unsigned long long)number->count,
				 (unsigned long long)(other ? other->count : 0));
	}
	for (const struct number *number = recount; number; number = number->hh.next) {
		struct number *other;

		HASH_FIND_STR(page, number->name, other);
		if (!other)
			fail_msg("%s, which is %llu, is not on the page", number->name,
				 (unsigned long long)number->count);
	}
}

/* Listed are those with the most, of those with a hundredth of the pool. */
static void destinations_compare(struct number *page, struct number *destinations)
{
	unsigned int listed = 0, able = 0;
	uint64_t least = UINT64_MAX;

	for (const struct number *number = page; number; number = number->hh.next) {
		struct number *other;

		if (strncmp(number->name, "portsnoop_destination_ports{", 28) != 0)
			continue;
		HASH_FIND_STR(destinations, number->name, other);
		if (!other || other->count != number->count)
			fail_msg("%s is %llu, recounted %llu", number->name,
				 (unsigned long long)number->count,
				 (unsigned long long)(other ? other->count : 0));
		least = number->count < least ? number->count : least;
		listed++;
	}
	for (const struct number *number = destinations; number; number = number->hh.next) {
		struct number *other;

		HASH_FIND_STR(page, number->name, other);
		able++;
		if (!other)
			assert_true(number->count <= least);
	}
	assert_int_equal(listed, able < METRICS_DESTINATIONS ? able : METRICS_DESTINATIONS);
}

static void histogram_compare(struct number *page, const char *prefix, const uint64_t *ns,
			      unsigned int count)
{
	unsigned int buckets = 0;

	for (const struct number *number = page; number; number = number->hh.next) {
		const char *le = strstr(number->name, "le=\"");
		uint64_t below = 0;
		double limit;

		if (strncmp(number->name, prefix, strlen(prefix)) != 0 || !le)
			continue;
		limit = strtod(le + 4, NULL); /* knows +Inf, too */
		for (unsigned int i = 0; i < count; i++)
			below += (double)ns[i] <= limit * 1e9;
		if (number->count != below)
			fail_msg("%s is %llu, recounted %llu", number->name,
				 (unsigned long long)number->count, (unsigned long long)below);
		buckets++;
	}
	assert_true(buckets > 10);
}

static void page_compare(struct metrics_room *room, struct recount *recount)
{
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;
	CLEANUP(numbers_free) struct number *page = NULL, *destinations = NULL, *now = NULL;
	const struct metrics_service service = {.version = "1", .skipped = UINT64_MAX};
	static struct leases leases;
	struct number *number, *next;
	struct recount sum = *recount;

	assert_int_equal(metrics_survey(room->metrics, pipeline_ledger(room->pipeline), room->time),
			 0);
	metrics_text(room->metrics, &service, false, &text);
	buffer_byte(&text, '\0');
	assert_false(text.failed);
	page = page_parse(text.data);
	leases.count = 0;
	ledger_each(pipeline_ledger(room->pipeline), room->time, 0, 0, 0, UINT16_MAX, lease_keep,
		    &leases);
	sum.numbers = NULL;
	recount_leases(&sum, &destinations, &leases);
	now = sum.numbers;
	HASH_ITER (hh, recount->numbers, number, next)
		number_get(&now, number->name)->count = number->count;
	sets_compare(page, now);
	destinations_compare(page, destinations);
	histogram_compare(page, "portsnoop_connect_duration_seconds_bucket{", recount->connects,
			  recount->connect_count);
	histogram_compare(page, "portsnoop_lease_duration_seconds_bucket{origin=\"requested\"",
			  recount->leases[0], recount->lease_count[0]);
	histogram_compare(page, "portsnoop_lease_duration_seconds_bucket{origin=\"kernel\"",
			  recount->leases[1], recount->lease_count[1]);
}

/* ---- random records ---- */

static void random_peer(struct wire_event *e)
{
	memset(e->other, 0, sizeof(e->other));
	e->flags |= WIRE_HAS_OTHER;
	if (e->family == 4)
		memcpy(e->other, "\xc0\0\x02\x50", 4);
	else if (e->socket % 2)
		record_mapped(e->other, "\xc0\0\x02\x50");
	else
		e->other[0] = 0xfd;
	e->other_port = (uint16_t)(443 + draw(15));
}

static void random_local(struct wire_event *e)
{
	memset(e->local, 0, sizeof(e->local));
	if (e->family == 4)
		memcpy(e->local, "\x0a\0\0\x01", 4);
	else if (e->socket % 2)
		record_mapped(e->local, "\x0a\0\0\x01");
	else
		e->local[0] = 0xfe;
}

/* What a socket is does not change; of what it does nearly anything may come. */
static struct wire_event random_record(struct ledger *ledger)
{
	static const uint16_t protocols[] = {6, 6, 6, 262, 17, 17, 136, 132, 1, 253};
	static const uint32_t errors[] = {EADDRINUSE, EADDRNOTAVAIL, EAGAIN, ECONNREFUSED, ELOOP};
	static const uint16_t types[] = {WIRE_CALL,    WIRE_CALL,    WIRE_CALL,
					 WIRE_OUTCOME, WIRE_RELEASE, WIRE_SEED};
	uint64_t socket = 1 + draw(SOCKETS);
	const struct lease *known = ledger_socket(ledger, socket);
	struct wire_event e = record_event(types[draw(6)], (uint8_t)(WIRE_BIND + draw(5)),
					   (uint32_t)(1000 + draw(PROCESSES)), "any");

	e.socket = socket;
	e.netns = RECORDS_NETNS + (socket % 5 == 0);
	e.protocol = protocols[socket % 10];
	e.family = socket % 3 ? 4 : 6;
	e.pool_low = POOL_LOW;
	e.pool_high = POOL_HIGH;
	if (e.protocol == IPPROTO_MPTCP || (e.protocol == IPPROTO_TCP && socket % 11 == 0))
		e.flags |= WIRE_MPTCP;
	if (socket % 7 == 0) {
		e.flags |= WIRE_OWN_RANGE;
		e.pool_high = POOL_LOW + 3;
	}
	e.local_port = known && chance(90) ? known->local_port
					   : (uint16_t)(POOL_LOW - 4 + (int)draw(50));
	if (e.local_port % 16 == 1)
		e.flags |= WIRE_RESERVED;
	e.origin = chance(60) ? WIRE_ORIGIN_KERNEL : (uint8_t)draw(3);
	if (chance(70))
		random_peer(&e);
	random_local(&e);
	switch (e.header.type) {
	case WIRE_CALL:
		e.flags |= (chance(70) ? WIRE_CLAIMED : 0) | (chance(50) ? WIRE_IN_PROGRESS : 0);
		if (chance(30)) {
			e.error = errors[draw(5)];
			e.local_port = chance(80) ? 0 : e.local_port;
			e.other_port = chance(50) ? 0 : e.other_port;
		}
		break;
	case WIRE_OUTCOME:
		e.duration = draw(2) ? draw(1000000) : draw(UINT64_C(200000000000));
		e.error = chance(30) ? errors[draw(5)] : 0;
		e.flags |= chance(10) ? WIRE_ABORTED : 0;
		break;
	case WIRE_RELEASE:
		e.flags |= (chance(40) ? WIRE_TIME_WAIT : 0);
		e.flags |= (chance(20) ? WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER : 0);
		e.flags |= (chance(50) ? WIRE_ESTIMATED : 0);
		break;
	default:
		e.state = (uint8_t[]){1, 2, 6, 7, 10}[draw(5)];
	}
	return e;
}

static void random_sequence(struct metrics_room *room, struct recount *recount)
{
	for (uint32_t pid = 1000; pid < 1000 + PROCESSES; pid++) {
		struct wire_process process = process_make(pid);

		room_take(room, &process, sizeof(process));
	}
	for (unsigned int i = 0; i < STEPS; i++) {
		struct wire_event e = random_record(pipeline_ledger(room->pipeline));

		room->time += chance(1) ? UINT64_C(30000000000) : draw(50000000);
		room_take(room, &e, sizeof(e));
		if (e.header.type != WIRE_SEED)
			recount_record(recount, &e);
		if (i % 500 == 0)
			page_compare(room, recount);
	}
}

static void test_random(void **state)
{
	static struct recount recount; /* large */

	(void)state;
	for (unsigned int i = 0; i < SEQUENCES; i++) {
		CLEANUP(room_close) struct metrics_room room;

		memset(&recount, 0, sizeof(recount));
		seed = i;
		room_open(&room, recount_ended, &recount);
		random_sequence(&room, &recount);
		page_compare(&room, &recount);
		/* All names found no room only where there are enough of them. */
		assert_true(recount.kinds[0] > METRICS_UNITS);
		numbers_free(&recount.numbers);
		numbers_free(&recount.owners);
	}
}

/* ---- bounds ---- */

static void test_namespaces(void **state)
{
	CLEANUP(room_close) struct metrics_room room;
	struct wire_event e = record_bind(7, "any", 0, 40000);
	struct metrics_namespace *space;

	(void)state;
	room_open(&room, NULL, NULL);
	for (uint32_t i = 0; i < METRICS_NAMESPACES + 5; i++) {
		e.socket = 100 + i;
		e.netns = RECORDS_NETNS + i;
		room_take(&room, &e, sizeof(e));
	}
	assert_int_equal(HASH_COUNT(room.metrics->namespaces), METRICS_NAMESPACES);
	assert_int_equal(metrics_survey(room.metrics, pipeline_ledger(room.pipeline), room.time),
			 0);
	assert_int_equal(room.metrics->unpooled, 5);
	/* The leases of one are gone: another may have its place. */
	e.header.type = WIRE_RELEASE;
	e.socket = 103;
	e.netns = RECORDS_NETNS + 3;
	room_take(&room, &e, sizeof(e));
	assert_int_equal(metrics_survey(room.metrics, pipeline_ledger(room.pipeline), room.time),
			 0);
	e.header.type = WIRE_CALL;
	e.socket = 99;
	e.netns = 1;
	room_take(&room, &e, sizeof(e));
	space = metrics_namespace_find(room.metrics, 1);
	assert_non_null(space);
	assert_int_equal(metrics_capacity(space), 60999 - 32768 + 1);
	assert_null(metrics_namespace_find(room.metrics, RECORDS_NETNS + 3));
	assert_non_null(metrics_namespace_find(room.metrics, RECORDS_NETNS));
}

static void test_capacity(void **state)
{
	CLEANUP(room_close) struct metrics_room room;
	struct wire_event e = record_bind(7, "any", 0, 40000);
	struct port_set reserved = {0};

	(void)state;
	room_open(&room, NULL, NULL);
	for (uint16_t port = 39990; port < 40010; port++)
		reserved.bits[port >> 3] |= (uint8_t)(1 << (port & 7));
	metrics_pool(room.metrics, RECORDS_NETNS, 40000, 40099, &reserved);
	assert_int_equal(metrics_capacity(metrics_namespace_find(room.metrics, RECORDS_NETNS)), 90);
	/* A socket says the same: nothing has changed. */
	e.pool_low = 40000;
	e.pool_high = 40099;
	room_take(&room, &e, sizeof(e));
	assert_int_equal(metrics_capacity(metrics_namespace_find(room.metrics, RECORDS_NETNS)), 90);
	/* The range was moved, and nobody has looked up what of it is reserved. */
	e.socket++;
	e.pool_high = 40199;
	room_take(&room, &e, sizeof(e));
	assert_int_equal(metrics_capacity(metrics_namespace_find(room.metrics, RECORDS_NETNS)),
			 200);
	metrics_pool(room.metrics, RECORDS_NETNS, 0, 0, NULL);
	metrics_pool(room.metrics, RECORDS_NETNS, 10, 9, NULL);
	assert_int_equal(metrics_capacity(metrics_namespace_find(room.metrics, RECORDS_NETNS)),
			 200);
}

/* 19 hosts with a connection each are not worth a series each, of 28232 ports. */
static void test_small_destinations(void **state)
{
	CLEANUP(room_close) struct metrics_room room;
	struct wire_event e = record_connect(WIRE_CALL, 7, "any");

	(void)state;
	room_open(&room, NULL, NULL);
	for (uint16_t i = 0; i < 283 + 19; i++) {
		e.socket = 1u + i;
		e.local_port = (uint16_t)(40000 + i);
		e.other_port = i < 283 ? 443 : (uint16_t)(500 + i);
		room_take(&room, &e, sizeof(e));
	}
	assert_int_equal(metrics_survey(room.metrics, pipeline_ledger(room.pipeline), room.time),
			 0);
	assert_int_equal(room.metrics->destination_count, 1);
	assert_int_equal(room.metrics->destinations[0].ports, 283);
}

static void test_long_sum(void **state)
{
	CLEANUP(room_close) struct metrics_room room;
	struct wire_event e = record_connect(WIRE_OUTCOME, 7, "any");

	(void)state;
	room_open(&room, NULL, NULL);
	e.duration = UINT64_MAX;
	room_take(&room, &e, sizeof(e));
	room_take(&room, &e, sizeof(e));
	/* 2 * (2^64 - 1) ns */
	assert_int_equal(room.metrics->connect_time.seconds, UINT64_C(36893488147));
	assert_int_equal(room.metrics->connect_time.nanoseconds, 419103230);
	assert_int_equal(room.metrics->connect_time.count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),	 cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_capacity), cmocka_unit_test(test_small_destinations),
		cmocka_unit_test(test_long_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
