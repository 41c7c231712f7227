/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/pool_use.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model/conflict.h"
#include "model/text.h"

_Static_assert(sizeof(struct pool_key) == 48, "a key without padding can be compared");

/* A connection whose port connect() chose, or may have. */
struct tuple {
	struct pool_key key; /* POOL_CONNECT, with the range zero */
	const struct holding *holding;
};

struct pool_space {
	struct pool_rules rules;
	const struct holding *holdings; /* of this namespace */
	size_t holding_count;
	uint8_t bucket[65536]; /* of TCP, enum holding_bucket */
	uint8_t guessed[65536];
	struct tuple *tuples; /* by key, then port */
	size_t tuple_count;
	struct pool_key *keys;
	size_t key_count, key_room;
	/* What all pools of connect() with one range have in common; the last one asked for. */
	struct range_base {
		uint16_t low, high; /* 0: none yet */
		uint32_t ports[PORT_STATES];
		uint8_t first, last; /* states of the ends */
		bool guessed;
	} base;
};

bool pool_is_elsewhere(const struct pool_key *key)
{
	return key->way == POOL_CONNECT && !key->other_port;
}

uint32_t pool_capacity(const struct pool_use *use)
{
	return use->ports[PORT_FREE] + use->ports[PORT_REUSABLE] + use->ports[PORT_LINGERING] +
	       use->ports[PORT_USED];
}

uint32_t pool_taken(const struct pool_use *use)
{
	return use->ports[PORT_LINGERING] + use->ports[PORT_USED];
}

double pool_share(const struct pool_use *use)
{
	uint32_t capacity = pool_capacity(use);

	return capacity ? 100.0 * pool_taken(use) / capacity : 100.0;
}

/* ---- keys ---- */

static void address_take(uint8_t out[16], uint8_t *family, const uint8_t address[16])
{
	memset(out, 0, 16);
	if (*family == 4)
		memcpy(out, address, 4);
	else
		memcpy(out, address, 16);
}

void pool_key_addresses(struct pool_key *key, uint8_t family, const uint8_t local[16],
			const uint8_t other[16])
{
	/* A socket of IPv6 may talk IPv4. Bound to any address it is of both. */
	bool mapped = family == 6 && (address_mapped(local, 6) ||
				      (key->other_port && other && address_mapped(other, 6)));

	key->family = mapped ? 4 : family;
	memset(key->local, 0, sizeof(key->local));
	memset(key->other, 0, sizeof(key->other));
	if (mapped) {
		if (address_mapped(local, 6))
			memcpy(key->local, local + 12, 4);
		if (key->other_port)
			memcpy(key->other, other + 12, 4);
		return;
	}
	address_take(key->local, &family, local);
	if (key->other_port)
		address_take(key->other, &family, other);
}

static int key_compare(const void *first, const void *second)
{
	return memcmp(first, second, sizeof(struct pool_key));
}

static int tuple_compare(const void *first, const void *second)
{
	const struct tuple *a = first, *b = second;
	int order = key_compare(&a->key, &b->key);

	return order ? order : (int)a->holding->local_port - (int)b->holding->local_port;
}

static bool is_tcp(const struct holding *holding)
{
	return conflict_space(holding->protocol) == IPPROTO_TCP;
}

/* inet_sk_get_local_port_range(): a bound that lies outside does not count. */
static void range_cut(const struct pool_rules *rules, struct pool_key *key)
{
	uint16_t low = key->low, high = key->high;

	key->low = low >= rules->low && low <= rules->high ? low : rules->low;
	key->high = high >= rules->low && high <= rules->high ? high : rules->high;
	key->own = key->low != rules->low || key->high != rules->high;
}

int pool_space_add(struct pool_space *space, const struct pool_key *key)
{
	struct pool_key *added;

	if (space->key_count == space->key_room) {
		size_t room = space->key_room ? 2 * space->key_room : 64;
		struct pool_key *keys = realloc(space->keys, room * sizeof(*keys));

		if (!keys)
			return -ENOMEM;
		space->keys = keys;
		space->key_room = room;
	}
	added = &space->keys[space->key_count++];
	*added = *key;
	added->netns = space->rules.netns;
	range_cut(&space->rules, added);
	return 0;
}

static void keys_unite(struct pool_space *space)
{
	size_t count = 0;

	qsort(space->keys, space->key_count, sizeof(*space->keys), key_compare);
	for (size_t i = 0; i < space->key_count; i++)
		if (!count || key_compare(&space->keys[count - 1], &space->keys[i]))
			space->keys[count++] = space->keys[i];
	space->key_count = count;
}

/* ---- what the sockets say ---- */

static enum holding_bucket bucket_guess(const struct holding *holding)
{
	switch (holding->state) {
	case HOLDING_CLOSE:
	case HOLDING_LISTEN:
	case HOLDING_SYN_RECV:
	case HOLDING_NEW_SYN_RECV:
		return HOLDING_BUCKET_BIND;
	default:
		return HOLDING_BUCKET_CONNECT;
	}
}

/* Of each port what its bucket is: of what was read or is certain, else of what the
 * sockets make likely. */
static void buckets_read(struct pool_space *space)
{
	for (size_t i = 0; i < space->holding_count; i++) {
		const struct holding *holding = &space->holdings[i];
		uint8_t *bucket = &space->bucket[holding->local_port];
		enum holding_bucket told = holding->bucket ? holding->bucket
							   : bucket_guess(holding);

		if (!is_tcp(holding))
			continue;
		if (!holding->bucket && told != HOLDING_BUCKET_BIND) {
			space->guessed[holding->local_port] |= !*bucket;
		} else {
			space->guessed[holding->local_port] = 0;
		}
		if (*bucket != HOLDING_BUCKET_BIND)
			*bucket = told;
	}
}

static bool is_connection(const struct holding *holding)
{
	return is_tcp(holding) && holding->other_port && holding->state != HOLDING_LISTEN &&
	       holding->state != HOLDING_CLOSE;
}

/* Adds the pool, and the same with the socket's own range. */
static int keys_add(struct pool_space *space, const struct pool_key *key,
		    const struct holding *holding)
{
	struct pool_key wide = *key;
	int error;

	wide.low = space->rules.low;
	wide.high = space->rules.high;
	error = pool_space_add(space, &wide);
	if (error || (!holding->own_low && !holding->own_high))
		return error;
	wide.low = holding->own_low;
	wide.high = holding->own_high;
	return pool_space_add(space, &wide);
}

static int tuples_read(struct pool_space *space)
{
	space->tuples = malloc((space->holding_count + 1) * sizeof(*space->tuples));
	if (!space->tuples)
		return -ENOMEM;
	for (size_t i = 0; i < space->holding_count; i++) {
		const struct holding *holding = &space->holdings[i];
		struct tuple *tuple = &space->tuples[space->tuple_count];

		if (!is_connection(holding) || holding->local_port < space->rules.low ||
		    holding->local_port > space->rules.high ||
		    space->bucket[holding->local_port] != HOLDING_BUCKET_CONNECT ||
		    port_set_has(space->rules.reserved, holding->local_port))
			continue;
		memset(tuple, 0, sizeof(*tuple));
		tuple->holding = holding;
		tuple->key.netns = space->rules.netns;
		tuple->key.protocol = IPPROTO_TCP;
		tuple->key.other_port = holding->other_port;
		tuple->key.way = POOL_CONNECT;
		pool_key_addresses(&tuple->key, holding->family, holding->local, holding->other);
		space->tuple_count++;
	}
	qsort(space->tuples, space->tuple_count, sizeof(*space->tuples), tuple_compare);
	for (size_t i = 0; i < space->tuple_count; i++) {
		const struct tuple *tuple = &space->tuples[i];
		bool known = i && !key_compare(&tuple->key, &space->tuples[i - 1].key) &&
			     !tuple->holding->own_low && !tuple->holding->own_high;
		int error = known ? 0 : keys_add(space, &tuple->key, tuple->holding);

		if (error)
			return error;
	}
	return 0;
}

/* What a bind to port 0 would be asked for by the same kind of program again. */
static int binds_read(struct pool_space *space)
{
	static const uint16_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE};
	bool has_v6 = false, lite = false;
	struct pool_key key = {.way = POOL_BIND};
	int error = 0;

	for (size_t i = 0; i < space->holding_count && !error; i++) {
		const struct holding *holding = &space->holdings[i];

		has_v6 |= holding->family == 6;
		lite |= holding->protocol == IPPROTO_UDPLITE;
		if (holding->other_port || holding->local_port < space->rules.low ||
		    holding->local_port > space->rules.high)
			continue;
		key.protocol = conflict_space(holding->protocol);
		if (key.protocol == IPPROTO_SCTP)
			continue;
		pool_key_addresses(&key, holding->family, holding->local, holding->other);
		error = keys_add(space, &key, holding);
	}
	for (size_t i = 0; i < 3 && !error; i++) {
		key = (struct pool_key){
			.way = POOL_BIND,
			.protocol = protocols[i],
			.family = 4,
			.low = space->rules.low,
			.high = space->rules.high,
		};
		if (key.protocol == IPPROTO_UDPLITE && !lite)
			continue;
		error = pool_space_add(space, &key);
		key.family = 6;
		if (!error && has_v6)
			error = pool_space_add(space, &key);
	}
	return error;
}

static int elsewhere_add(struct pool_space *space)
{
	const struct pool_key key = {
		.way = POOL_CONNECT,
		.protocol = IPPROTO_TCP,
		.family = 4,
		.low = space->rules.low,
		.high = space->rules.high,
	};

	return pool_space_add(space, &key);
}

static void slice_find(struct pool_space *space, const struct holdings *holdings)
{
	size_t first = 0, end;

	while (first < holdings->count && holdings->list[first].netns != space->rules.netns)
		first++;
	for (end = first; end < holdings->count && holdings->list[end].netns == space->rules.netns;)
		end++;
	space->holdings = holdings->list + first;
	space->holding_count = end - first;
}

struct pool_space *pool_space_new(const struct pool_rules *rules, const struct holdings *holdings)
{
	struct pool_space *space = calloc(1, sizeof(*space));

	if (!space)
		return NULL;
	space->rules = *rules;
	slice_find(space, holdings);
	buckets_read(space);
	if (tuples_read(space) || binds_read(space) || elsewhere_add(space)) {
		pool_space_free(space);
		return NULL;
	}
	return space;
}

void pool_space_free(struct pool_space *space)
{
	if (!space)
		return;
	free(space->tuples);
	free(space->keys);
	free(space);
}

/* ---- one pool ---- */

static bool is_loopback(uint8_t family, const uint8_t address[16])
{
	static const uint8_t v6[16] = {[15] = 1};

	return family == 4 ? address[0] == 127 : !memcmp(address, v6, 16);
}

/* A bucket that is on its way from FIN_WAIT2 is kept like one of TIME_WAIT. */
static bool is_lingering(const struct holding *holding)
{
	return holding->state == HOLDING_TIME_WAIT ||
	       (holding->orphan && holding->has_expires && holding->state == HOLDING_FIN_WAIT2);
}

static bool reuse_applies(const struct pool_rules *rules, const struct pool_key *key)
{
	if (rules->reuse == 2)
		return is_loopback(key->family, key->local) || is_loopback(key->family, key->other);
	return rules->reuse;
}

bool pool_space_reuses(const struct pool_space *space, const struct pool_key *key)
{
	return key->way == POOL_CONNECT && reuse_applies(&space->rules, key);
}

bool pool_space_reuses_socket(const struct pool_space *space, const struct pool_key *key,
			      const struct holding *holding)
{
	return pool_space_reuses(space, key) && holding->state == HOLDING_TIME_WAIT &&
	       (!holding->bucket || holding->stamped);
}

/* Without its record, by the time that is left of 60 s. */
static bool is_reusable(const struct pool_space *space, const struct tuple *tuple)
{
	const struct pool_rules *rules = &space->rules;
	const struct holding *holding = tuple->holding;

	if (!pool_space_reuses_socket(space, &tuple->key, holding))
		return false;
	if (holding->bucket)
		return holding->age > (holding->delayed ? rules->reuse_delay : 0);
	return holding->has_expires && holding->expires + rules->reuse_delay < 60000;
}

static enum port_state tuple_state(const struct pool_space *space, const struct tuple *tuple)
{
	if (!is_lingering(tuple->holding))
		return PORT_USED;
	return is_reusable(space, tuple) ? PORT_REUSABLE : PORT_LINGERING;
}

static bool is_chosen(const struct pool_space *space, const struct pool_key *key, uint16_t port)
{
	return port >= key->low && port <= key->high && !port_set_has(space->rules.reserved, port);
}

/* The key of the tuples that a pool has. */
static struct pool_key tuple_key(const struct pool_key *key)
{
	struct pool_key tuple = *key;

	tuple.low = tuple.high = 0;
	tuple.own = 0;
	return tuple;
}

static size_t tuples_first(const struct pool_space *space, const struct pool_key *key)
{
	size_t low = 0, high = space->tuple_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (key_compare(&space->tuples[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool bind_conflicts(const struct pool_key *key, const struct holding *holding)
{
	struct conflict_address asks = {key->local, 0, key->family};
	struct conflict_address has = {holding->local, holding->flags, holding->family};

	return conflict_space(holding->protocol) == key->protocol && conflict_address(&asks, &has);
}

int pool_space_each(const struct pool_space *space, const struct pool_key *key, pool_visitor *visit,
		    void *context)
{
	struct pool_key wanted = tuple_key(key);
	int result = 0;

	if (key->way == POOL_CONNECT) {
		for (size_t i = tuples_first(space, &wanted);
		     i < space->tuple_count && !key_compare(&space->tuples[i].key, &wanted); i++) {
			const struct tuple *tuple = &space->tuples[i];

			if (is_chosen(space, key, tuple->holding->local_port))
				result = visit(tuple->holding, tuple_state(space, tuple), context);
			if (result < 0)
				return result;
		}
		return 0;
	}
	for (size_t i = 0; i < space->holding_count && result >= 0; i++) {
		const struct holding *holding = &space->holdings[i];

		if (is_chosen(space, key, holding->local_port) && bind_conflicts(key, holding))
			result = visit(holding, is_lingering(holding) ? PORT_LINGERING : PORT_USED,
				       context);
	}
	return result < 0 ? result : 0;
}

static int state_mark(const struct holding *holding, enum port_state state, void *context)
{
	uint8_t *states = context;

	if (states[holding->local_port] < state)
		states[holding->local_port] = (uint8_t)state;
	return 0;
}

void pool_space_map(const struct pool_space *space, const struct pool_key *key,
		    uint8_t states[65536])
{
	memset(states, PORT_OUTSIDE, 65536);
	for (unsigned int port = key->low; port <= key->high; port++) {
		if (port_set_has(space->rules.reserved, (uint16_t)port))
			states[port] = PORT_RESERVED;
		else if (key->way == POOL_CONNECT && space->bucket[port] == HOLDING_BUCKET_BIND)
			states[port] = PORT_BLOCKED;
		else
			states[port] = PORT_FREE;
	}
	pool_space_each(space, key, state_mark, states);
}

/* ---- all pools ---- */

static const struct range_base *base_get(struct pool_space *space, uint16_t low, uint16_t high)
{
	struct range_base *base = &space->base;
	uint8_t states[65536];
	const struct pool_key nobody = {.way = POOL_CONNECT, .low = low, .high = high};

	if (base->high && base->low == low && base->high == high)
		return base;
	*base = (struct range_base){.low = low, .high = high};
	pool_space_map(space, &nobody, states);
	for (unsigned int port = low; port <= high; port++) {
		base->ports[states[port]]++;
		base->guessed |= space->guessed[port] && states[port] != PORT_RESERVED;
	}
	base->first = states[low];
	base->last = states[high];
	return base;
}

static bool is_to_be_had(uint8_t state)
{
	return state == PORT_FREE || state == PORT_REUSABLE;
}

/* Many destinations, each with few connections: without a look at every port. */
static void connect_count(struct pool_space *space, struct pool_use *use)
{
	const struct pool_key *key = &use->key, wanted = tuple_key(key);
	const struct range_base *base = base_get(space, key->low, key->high);
	uint8_t first = base->first, last = base->last;

	memcpy(use->ports, base->ports, sizeof(use->ports));
	use->estimated = base->guessed;
	for (size_t i = tuples_first(space, &wanted), next;
	     i < space->tuple_count && !key_compare(&space->tuples[i].key, &wanted); i = next) {
		uint16_t port = space->tuples[i].holding->local_port;
		uint8_t most = PORT_OUTSIDE;

		for (next = i;
		     next < space->tuple_count && space->tuples[next].holding->local_port == port &&
		     !key_compare(&space->tuples[next].key, &wanted);
		     next++) {
			uint8_t state = (uint8_t)tuple_state(space, &space->tuples[next]);

			most = state > most ? state : most;
		}
		if (!is_chosen(space, key, port))
			continue;
		use->ports[PORT_FREE]--;
		use->ports[most]++;
		if (port == key->low)
			first = most;
		if (port == key->high)
			last = most;
	}
	/* With a range of its own connect() goes through them one by one (6.8). */
	use->doubtful = !key->own && (is_to_be_had(first) || is_to_be_had(last));
}

static void bind_count(const struct pool_space *space, struct pool_use *use)
{
	const struct pool_key *key = &use->key;
	uint8_t states[65536];

	pool_space_map(space, key, states);
	for (unsigned int port = key->low; port <= key->high; port++)
		use->ports[states[port]]++;
	use->doubtful = is_to_be_had(states[key->low]) || is_to_be_had(states[key->high]);
}

static void pool_count(struct pool_space *space, const struct pool_key *key, struct pool_use *use)
{
	uint32_t ports = (uint32_t)key->high - key->low + 1;

	*use = (struct pool_use){.key = *key};
	if (key->way == POOL_CONNECT)
		connect_count(space, use);
	else
		bind_count(space, use);
	use->left = use->ports[PORT_FREE] + use->ports[PORT_REUSABLE];
	use->doubtful &= ports > 1 && ports & 1;
}

static int use_compare(const void *first, const void *second)
{
	const struct pool_use *a = first, *b = second;
	double share_a = pool_share(a), share_b = pool_share(b);

	if (a->key.way != b->key.way)
		return a->key.way == POOL_BIND ? -1 : 1;
	if (share_a != share_b)
		return share_a > share_b ? -1 : 1;
	return key_compare(&a->key, &b->key);
}

int pool_space_count(struct pool_space *space, struct pool_use **uses, size_t *count)
{
	struct pool_use *list;

	keys_unite(space);
	list = malloc((space->key_count + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < space->key_count; i++)
		pool_count(space, &space->keys[i], &list[i]);
	qsort(list, space->key_count, sizeof(*list), use_compare);
	*uses = list;
	*count = space->key_count;
	return 0;
}
