/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/pool_row.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "lib/cleanup.h"
#include "model/conflict.h"
#include "model/text.h"

#define LINGER_MS 60000 /* net/tcp.h: TCP_TIMEWAIT_LEN */

/* ---- who has the ports, and how long what lingers does ---- */

struct pool_process {
	uint64_t start;
	uint64_t pid; /* so wide for there to be no padding */
};

struct counted {
	struct pool_process process;
	struct pool_holder holder;
	uint32_t last_port;
	UT_hash_handle hh;
};

struct counting {
	const struct pool_space *space;
	const struct pool_key *key;
	struct counted *processes;
	uint32_t *ends; /* of each port, ms; 0: nothing lingers there */
	uint32_t reuse_delay;
	/* Of what lingers, and in a pool that reuses is not to be reused. */
	uint32_t lingering, stuck, stuck_longest /* ms */;
};

static void counting_free(struct counting *counting)
{
	struct counted *counted, *next;

	HASH_ITER (hh, counting->processes, counted, next) {
		HASH_DEL(counting->processes, counted);
		free(counted);
	}
	free(counting->ends);
}

/* NULL without memory. */
static struct counted *counted_find(struct counting *counting, const struct pool_process *process)
{
	struct counted *counted;

	HASH_FIND(hh, counting->processes, process, sizeof(*process), counted);
	if (counted)
		return counted;
	counted = calloc(1, sizeof(*counted));
	if (!counted)
		return NULL;
	counted->process = *process;
	HASH_ADD(hh, counting->processes, process, sizeof(*process), counted);
	if (counted->hh.tbl)
		return counted;
	free(counted);
	return NULL;
}

static int holder_count(struct counting *counting, const struct holder *holder, uint16_t port)
{
	const struct pool_process process = {holder->start, holder->pid};
	struct counted *counted = counted_find(counting, &process);

	if (!counted)
		return -ENOMEM;
	counted->holder.start = holder->start;
	counted->holder.pid = holder->pid;
	memcpy(counted->holder.comm, holder->comm, sizeof(holder->comm));
	/* Several sockets of one port come one after the other. */
	if (counted->last_port != port)
		counted->holder.ports++;
	counted->last_port = port;
	return 0;
}

/* How long it lingers in all, where its age is known. */
static void stuck_count(struct counting *counting, const struct holding *holding)
{
	uint32_t longest = LINGER_MS;

	if (holding->stamped && holding->has_expires && holding->age + holding->expires < longest)
		longest = holding->age + holding->expires;
	counting->stuck++;
	if (counting->stuck_longest < longest)
		counting->stuck_longest = longest;
}

static int socket_count(const struct holding *holding, enum port_state state, void *context)
{
	struct counting *counting = context;
	uint32_t end = holding->has_expires ? holding->expires : LINGER_MS;
	int error = 0;

	for (size_t i = 0; i < holding->holder_count && !error; i++)
		error = holder_count(counting, &holding->holders[i], holding->local_port);
	if (state != PORT_LINGERING && state != PORT_REUSABLE)
		return error;
	counting->lingering++;
	if (!pool_space_reuses_socket(counting->space, counting->key, holding))
		stuck_count(counting, holding);
	else if (holding->stamped && counting->reuse_delay > holding->age &&
		 end > counting->reuse_delay - holding->age)
		end = counting->reuse_delay - holding->age;
	if (state == PORT_REUSABLE)
		return error;
	if (counting->ends[holding->local_port] < end + 1)
		counting->ends[holding->local_port] = end + 1;
	return error;
}

static int holder_compare(const void *first, const void *second)
{
	const struct pool_holder *a = first, *b = second;

	if (a->ports != b->ports)
		return a->ports > b->ports ? -1 : 1;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

static int holders_take(struct pool_row *row, const struct counting *counting)
{
	struct counted *counted, *next;
	size_t count = HASH_COUNT(counting->processes);

	row->holders = malloc((count + 1) * sizeof(*row->holders));
	if (!row->holders)
		return -ENOMEM;
	HASH_ITER (hh, counting->processes, counted, next)
		row->holders[row->holder_count++] = counted->holder;
	qsort(row->holders, row->holder_count, sizeof(*row->holders), holder_compare);
	return 0;
}

/* ---- what comes of it ---- */

static int number_compare(const void *first, const void *second)
{
	uint32_t a = *(const uint32_t *)first, b = *(const uint32_t *)second;

	return a < b ? -1 : a > b;
}

static int forecast_make(struct pool_row *row, const struct pool_space *space,
			 const struct counting *counting)
{
	CLEANUP_FREE uint8_t *states = malloc(65536);
	CLEANUP_FREE uint32_t *lingers =
		malloc((row->use.ports[PORT_LINGERING] + 1) * sizeof(*lingers));
	struct pool_flow flow = {
		.capacity = pool_capacity(&row->use),
		.used = row->use.ports[PORT_USED],
		.lingers = lingers,
		.rate = row->traffic.rate,
		.life = row->traffic.life,
		.share = row->traffic.share,
		.linger = POOL_LINGER_S,
	};

	if (!states || !lingers)
		return -ENOMEM;
	if (pool_space_reuses(space, &row->use.key)) {
		flow.linger = counting->reuse_delay / 1000.0;
		/* What is there is a sample of what comes: of a steady stream just as much is
		 * stuck as it is stuck for long. */
		if (counting->lingering)
			flow.stuck = (double)counting->stuck / counting->lingering;
		flow.stuck_linger = counting->stuck_longest / 1000.0;
	}
	pool_space_map(space, &row->use.key, states);
	for (unsigned int port = 0; port < 65536; port++)
		if (states[port] == PORT_LINGERING)
			lingers[flow.linger_count++] = counting->ends[port] - 1;
	qsort(lingers, flow.linger_count, sizeof(*lingers), number_compare);
	pool_forecast_make(&flow, &row->forecast);
	row->forecast.earliest |= row->forecast.outlook == POOL_RUNS_OUT && row->traffic.most;
	return 0;
}

int pool_row_fill(struct pool_row *row, const struct pool_space *space,
		  const struct pool_changes *changes, uint32_t reuse_delay)
{
	CLEANUP(counting_free)
	struct counting counting = {
		.ends = calloc(65536, sizeof(*counting.ends)),
		.space = space,
		.key = &row->use.key,
		.reuse_delay = reuse_delay,
	};
	int error = counting.ends ? 0 : -ENOMEM;

	if (!error)
		error = pool_space_each(space, &row->use.key, socket_count, &counting);
	if (!error)
		error = holders_take(row, &counting);
	if (!error && changes) {
		pool_traffic_sum(changes, &row->use.key, &row->traffic);
		error = forecast_make(row, space, &counting);
	}
	return error;
}

void pool_row_free(struct pool_row *row)
{
	free(row->holders);
	row->holders = NULL;
	row->holder_count = 0;
}

/* Whose conflicts are among this one's. */
static bool wider_key(const struct pool_key *key, struct pool_key *wider)
{
	*wider = *key;
	memset(wider->local, 0, sizeof(wider->local));
	if (!address_wildcard(key->local, key->family))
		return true;
	wider->family = 4;
	return key->family == 6;
}

bool pool_row_repeats(const struct pool_place *place, const struct pool_row *row)
{
	struct pool_key wider;

	if (row->use.key.way != POOL_BIND || !wider_key(&row->use.key, &wider))
		return false;
	for (size_t i = 0; i < place->row_count; i++) {
		const struct pool_row *other = &place->rows[i];

		if (!memcmp(&other->use.key, &wider, sizeof(wider)))
			return !memcmp(other->use.ports, row->use.ports, sizeof(row->use.ports)) &&
			       other->traffic.window.claims == row->traffic.window.claims;
	}
	return false;
}

bool pool_row_is_used(const struct pool_row *row)
{
	return pool_taken(&row->use) || row->use.ports[PORT_REUSABLE] ||
	       row->traffic.window.claims || row->traffic.window.failures;
}

/* ---- what failed ---- */

static bool same_error(const struct tally_error *a, const struct tally_error *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static uint64_t count_before(const struct tally_reading *before, const struct tally_error *error)
{
	for (size_t i = 0; before && i < before->error_count; i++)
		if (same_error(&before->errors[i].error, error))
			return before->errors[i].count;
	return 0;
}

/* The kernel was to choose a port and had none: three words for one thing, of which each
 * caller has its own. */
static bool is_exhaustion(const struct tally_error *error)
{
	if (error->outcome || error->key.origin != WIRE_ORIGIN_KERNEL)
		return false;
	if (error->key.trigger == WIRE_BIND || error->key.trigger == WIRE_LISTEN)
		return error->error == EADDRINUSE;
	if (conflict_space(error->key.protocol) == IPPROTO_TCP)
		return error->error == EADDRNOTAVAIL;
	return error->error == EAGAIN;
}

static int failure_compare(const void *first, const void *second)
{
	const struct pool_failure *a = first, *b = second;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return (int)a->error - (int)b->error;
}

int pool_failures_make(struct pool_place *place, const struct tally_reading *before,
		       const struct tally_reading *now)
{
	place->failures = malloc((now->error_count + 1) * sizeof(*place->failures));
	if (!place->failures)
		return -ENOMEM;
	for (size_t i = 0; i < now->error_count; i++) {
		const struct tally_error *error = &now->errors[i].error;
		struct pool_failure failure = {
			.pid = error->key.pid,
			.error = error->error,
			.protocol = error->key.protocol,
			.trigger = error->key.trigger,
			.count = now->errors[i].count - count_before(before, error),
		};
		const char *comm = tally_comm(now, error->key.start, error->key.pid);

		if (error->key.netns != place->netns || !failure.count || !is_exhaustion(error))
			continue;
		if (comm)
			memcpy(failure.comm, comm, strnlen(comm, WIRE_COMM));
		place->failures[place->failure_count++] = failure;
	}
	qsort(place->failures, place->failure_count, sizeof(*place->failures), failure_compare);
	return 0;
}
