/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many ports are left, against a small kernel that hands them out one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model/pool_use.h"

#define LOW 40000
#define HIGH 40015
#define PORTS (HIGH - LOW + 1)
#define SOCKETS 64
#define NETNS 77

static const struct port_set nothing_reserved;

/* ---- a naive kernel: net/ipv4, as it is told, without any index ---- */

enum place { ANY4, ONE4, TWO4, ANY6, ONLY6, LOOP6, PLACES };

static const struct {
	uint8_t family;
	bool v6only;
	uint8_t bytes[16];
} places[PLACES] = {
	[ANY4] = {4, false, {0}},	    [ONE4] = {4, false, {10, 0, 0, 1}},
	[TWO4] = {4, false, {10, 0, 0, 2}}, [ANY6] = {6, false, {0}},
	[ONLY6] = {6, true, {0}},	    [LOOP6] = {6, false, {[15] = 1}},
};

struct naive_socket {
	bool used, bound; /* a bind has a share in the bucket */
	uint16_t port, protocol;
	enum place place;
	unsigned int peer; /* 0: none */
	uint8_t state;
	bool stamped;
	uint32_t age;
};

struct naive {
	struct naive_socket sockets[SOCKETS];
	bool reserved[PORTS];
	uint8_t reuse;
};

/* sk_rcv_saddr: 127.0.0.6 stands for an address of IPv6 */
static unsigned int v4_of(enum place place)
{
	static const unsigned int v4[PLACES] = {0, 1, 2, 0, 0, 1276};

	return v4[place];
}

/* inet_rcv_saddr_equal(sk, sk2, true) */
static bool naive_equal(enum place a, enum place b)
{
	bool a_any = a == ANY6 || a == ONLY6, b_any = b == ANY6 || b == ONLY6;

	if (places[a].family == 4)
		return !places[b].v6only && (v4_of(a) == v4_of(b) || !v4_of(a) || !v4_of(b));
	if (a_any && b_any)
		return true;
	if (b_any)
		return true; /* what asks is of IPv6 and not mapped */
	if (a_any)
		return !(places[a].v6only && places[b].family == 4);
	return a == b;
}

static bool naive_bucket_bound(const struct naive *naive, uint16_t port)
{
	for (size_t i = 0; i < SOCKETS; i++)
		if (naive->sockets[i].used && naive->sockets[i].protocol == IPPROTO_TCP &&
		    naive->sockets[i].port == port && naive->sockets[i].bound)
			return true;
	return false;
}

static bool naive_reusable(const struct naive *naive, const struct naive_socket *socket)
{
	return socket->state == HOLDING_TIME_WAIT && naive->reuse == 1 && socket->stamped &&
	       socket->age > 1000;
}

/* 0: EADDRNOTAVAIL. A bucket in TIME_WAIT that is taken over goes. */
static uint16_t naive_connect(struct naive *naive, enum place from, unsigned int peer)
{
	for (uint16_t port = LOW; port <= HIGH; port++) {
		struct naive_socket *taken = NULL;

		if (naive->reserved[port - LOW] || naive_bucket_bound(naive, port))
			continue;
		for (size_t i = 0; i < SOCKETS; i++) {
			struct naive_socket *other = &naive->sockets[i];

			if (other->used && other->protocol == IPPROTO_TCP && other->port == port &&
			    other->place == from && other->peer == peer)
				taken = other;
		}
		if (taken && !naive_reusable(naive, taken))
			continue;
		if (taken)
			taken->used = false;
		return port;
	}
	return 0;
}

static uint16_t naive_bind(const struct naive *naive, uint16_t protocol, enum place place)
{
	for (uint16_t port = LOW; port <= HIGH; port++) {
		bool conflict = naive->reserved[port - LOW];

		for (size_t i = 0; i < SOCKETS; i++) {
			const struct naive_socket *other = &naive->sockets[i];

			conflict |= other->used && other->protocol == protocol &&
				    other->port == port && naive_equal(place, other->place);
		}
		if (!conflict)
			return port;
	}
	return 0;
}

static struct naive_socket *naive_room(struct naive *naive)
{
	for (size_t i = 0; i < SOCKETS; i++)
		if (!naive->sockets[i].used)
			return &naive->sockets[i];
	return NULL;
}

static bool naive_take(struct naive *naive, uint16_t port, struct naive_socket socket)
{
	struct naive_socket *room = port ? naive_room(naive) : NULL;

	if (!room)
		return false;
	socket.used = true;
	socket.port = port;
	*room = socket;
	return true;
}

/* ---- as the kernel lists it ---- */

static void holdings_make(const struct naive *naive, struct holdings *holdings)
{
	*holdings = (struct holdings){.list = calloc(SOCKETS, sizeof(struct holding))};
	assert_non_null(holdings->list);
	for (size_t i = 0; i < SOCKETS; i++) {
		const struct naive_socket *socket = &naive->sockets[i];
		struct holding *holding = &holdings->list[holdings->count];

		if (!socket->used)
			continue;
		holdings->count++;
		holding->netns = NETNS;
		holding->protocol = socket->protocol;
		holding->local_port = socket->port;
		holding->family = places[socket->place].family;
		memcpy(holding->local, places[socket->place].bytes, 16);
		holding->flags = places[socket->place].v6only ? WIRE_V6ONLY : 0;
		holding->state = socket->state;
		holding->stamped = socket->stamped;
		holding->delayed = true;
		holding->age = socket->age;
		if (socket->peer) {
			holding->other_port = (uint16_t)socket->peer;
			holding->other[0] = 9;
		}
		if (socket->protocol == IPPROTO_TCP)
			holding->bucket = naive_bucket_bound(naive, socket->port)
						  ? HOLDING_BUCKET_BIND
						  : HOLDING_BUCKET_CONNECT;
	}
	holding_sort(holdings);
}

static struct pool_rules rules_of(const struct naive *naive, struct port_set *reserved)
{
	memset(reserved, 0, sizeof(*reserved));
	for (unsigned int i = 0; i < PORTS; i++)
		if (naive->reserved[i])
			reserved->bits[(LOW + i) >> 3] |= (uint8_t)(1u << ((LOW + i) & 7));
	return (struct pool_rules){.netns = NETNS,
				   .low = LOW,
				   .high = HIGH,
				   .reserved = reserved,
				   .reuse = naive->reuse,
				   .reuse_delay = 1000};
}

static enum place place_of(const struct pool_key *key)
{
	for (enum place place = ANY4; place < PLACES; place++)
		if (places[place].family == key->family && !places[place].v6only &&
		    !memcmp(places[place].bytes, key->local, 16))
			return place;
	fail();
	return ANY4;
}

/* How many more the naive kernel gives. */
static uint32_t naive_left(const struct naive *before, const struct pool_key *key)
{
	struct naive naive = *before;
	enum place place = place_of(key);
	uint32_t count = 0;

	for (;;) {
		struct naive_socket socket = {.protocol = key->protocol,
					      .place = place,
					      .peer = key->other_port,
					      .state = HOLDING_ESTABLISHED,
					      .bound = key->way == POOL_BIND};
		uint16_t port = key->way == POOL_BIND
					? naive_bind(&naive, key->protocol, place)
					: naive_connect(&naive, place, key->other_port);

		if (!port)
			return count;
		assert_true(naive_take(&naive, port, socket));
		count++;
	}
}

static void naive_fill(struct naive *naive, unsigned int *seed)
{
	unsigned int count = (unsigned int)rand_r(seed) % 46;

	*naive = (struct naive){.reuse = (uint8_t)(rand_r(seed) % 2)};
	for (unsigned int i = rand_r(seed) % 4; i-- > 0;)
		naive->reserved[rand_r(seed) % PORTS] = true;
	for (unsigned int i = 0; i < count; i++) {
		enum place place = (enum place)(rand_r(seed) % PLACES);
		struct naive_socket socket = {
			.protocol = rand_r(seed) % 4 ? IPPROTO_TCP : IPPROTO_UDP,
			.place = place,
			.state = HOLDING_CLOSE,
			.bound = true,
		};
		uint16_t port;

		if (socket.protocol == IPPROTO_TCP && rand_r(seed) % 3) {
			static const enum place from[] = {ONE4, TWO4, LOOP6};

			socket.place = from[rand_r(seed) % 3];
			socket.peer = 443 + rand_r(seed) % 2;
			socket.state = rand_r(seed) % 2 ? HOLDING_ESTABLISHED : HOLDING_TIME_WAIT;
			socket.bound = false;
			socket.stamped = rand_r(seed) % 2;
			socket.age = (uint32_t)rand_r(seed) % 2000;
			port = naive_connect(naive, socket.place, socket.peer);
			/* Not from the low end on. */
			if (port && rand_r(seed) % 2 && port + 3 <= HIGH &&
			    !naive->reserved[port + 3 - LOW] &&
			    !naive_bucket_bound(naive, port + 3))
				port += 3;
			for (size_t k = 0; k < SOCKETS; k++) /* not twice */
				if (naive->sockets[k].used && naive->sockets[k].port == port &&
				    naive->sockets[k].peer == socket.peer)
					port = 0;
		} else if (rand_r(seed) % 3) {
			port = naive_bind(naive, socket.protocol, place);
		} else { /* any port, also outside and reserved ones, whoever has it */
			port = (uint16_t)(LOW - 4 + rand_r(seed) % (PORTS + 8));
			socket.state = rand_r(seed) % 2 ? HOLDING_LISTEN : HOLDING_CLOSE;
		}
		naive_take(naive, port, socket);
	}
}

static void left_is_what_the_kernel_gives(void **state)
{
	unsigned int seed = 20261121, connects = 0, exhausted = 0;

	(void)state;
	for (unsigned int round = 0; round < 3000; round++) {
		struct holdings holdings;
		struct port_set reserved;
		struct pool_rules rules;
		struct pool_space *space;
		struct pool_use *uses;
		struct naive naive;
		size_t count;

		naive_fill(&naive, &seed);
		holdings_make(&naive, &holdings);
		rules = rules_of(&naive, &reserved);
		space = pool_space_new(&rules, &holdings);
		assert_non_null(space);
		assert_int_equal(pool_space_count(space, &uses, &count), 0);
		for (size_t i = 0; i < count; i++) {
			const struct pool_use *use = &uses[i];
			uint32_t sum = 0;

			for (unsigned int k = 0; k < PORT_STATES; k++)
				sum += use->ports[k];
			assert_int_equal(sum, PORTS);
			assert_int_equal(use->left, pool_capacity(use) - pool_taken(use));
			assert_int_equal(use->doubtful, 0);
			assert_false(use->estimated);
			connects += use->key.way == POOL_CONNECT;
			exhausted += !use->left;
			assert_int_equal(use->left, naive_left(&naive, &use->key));
		}
		free(uses);
		pool_space_free(space);
		holdings_free(&holdings);
	}
	assert_true(connects > 3000 && exhausted > 10); /* it was worth it */
}

/* ---- single cases ---- */

static struct holding made(uint16_t port, uint16_t other_port, uint8_t state)
{
	struct holding holding = {
		.netns = NETNS,
		.protocol = IPPROTO_TCP,
		.family = 4,
		.local_port = port,
		.other_port = other_port,
		.state = state,
		.local = {10, 0, 0, 1},
	};

	if (other_port)
		holding.other[0] = 9;
	return holding;
}

static struct pool_rules rules_simple(void)
{
	return (struct pool_rules){.netns = NETNS,
				   .low = LOW,
				   .high = HIGH,
				   .reserved = &nothing_reserved,
				   .reuse_delay = 1000};
}

static struct pool_use count_one(const struct pool_rules *rules, struct holding *list,
				 size_t length, const struct pool_key *wanted)
{
	struct holdings holdings = {.list = list, .count = length};
	struct pool_space *space;
	struct pool_use *uses, found = {0};
	size_t count, matches = 0;

	holding_sort(&holdings);
	space = pool_space_new(rules, &holdings);
	assert_non_null(space);
	assert_int_equal(pool_space_count(space, &uses, &count), 0);
	for (size_t i = 0; i < count; i++) {
		const struct pool_key *key = &uses[i].key;

		if (key->way != wanted->way || key->other_port != wanted->other_port ||
		    key->own != wanted->own || key->family != wanted->family ||
		    key->protocol != IPPROTO_TCP ||
		    memcmp(key->local, wanted->local, sizeof(key->local)) != 0)
			continue;
		found = uses[i];
		matches++;
	}
	assert_int_equal(matches, 1);
	free(uses);
	pool_space_free(space);
	return found;
}

static const struct pool_key to_443 = {
	.way = POOL_CONNECT, .family = 4, .other_port = 443, .local = {10, 0, 0, 1}};

static void what_is_guessed_is_marked(void **state)
{
	struct pool_rules rules = rules_simple();
	struct holding list[] = {made(LOW, 443, HOLDING_ESTABLISHED),
				 made(LOW + 1, 0, HOLDING_LISTEN),
				 made(LOW + 1, 5000, HOLDING_ESTABLISHED)};
	struct pool_use use = count_one(&rules, list, 3, &to_443);

	(void)state;
	assert_true(use.estimated);
	assert_int_equal(use.ports[PORT_BLOCKED], 1); /* that one is certain */
	assert_int_equal(use.left, PORTS - 2);

	for (size_t i = 0; i < 3; i++)
		list[i].bucket = list[i].local_port == LOW ? HOLDING_BUCKET_CONNECT
							   : HOLDING_BUCKET_BIND;
	use = count_one(&rules, list, 3, &to_443);
	assert_false(use.estimated);
	assert_int_equal(use.left, PORTS - 2);
}

static void an_odd_range_leaves_one_in_doubt(void **state)
{
	struct pool_rules rules = rules_simple();
	struct holding list[] = {made(LOW, 443, HOLDING_ESTABLISHED),
				 made(HIGH - 1, 443, HOLDING_ESTABLISHED)};
	struct pool_use use;

	(void)state;
	rules.high--;
	use = count_one(&rules, list, 1, &to_443);
	assert_int_equal(use.left, PORTS - 2);
	assert_int_equal(use.doubtful, 1);
	/* Both ends are taken: which of them is left out does not matter. */
	use = count_one(&rules, list, 2, &to_443);
	assert_int_equal(use.left, PORTS - 3);
	assert_int_equal(use.doubtful, 0);
}

static void loopback_is_told_by_address(void **state)
{
	struct pool_rules rules = rules_simple();
	struct holding list[] = {made(LOW, 443, HOLDING_TIME_WAIT)};
	struct pool_key key = to_443;
	struct pool_use use;

	(void)state;
	rules.reuse = 2;
	list[0].bucket = HOLDING_BUCKET_CONNECT;
	list[0].stamped = true;
	list[0].age = 1;
	use = count_one(&rules, list, 1, &key);
	assert_int_equal(use.ports[PORT_LINGERING], 1);
	list[0].local[0] = key.local[0] = 127;
	use = count_one(&rules, list, 1, &key);
	assert_int_equal(use.ports[PORT_REUSABLE], 1);
	assert_int_equal(use.left, PORTS);
	list[0].delayed = true; /* tcp_tw_reuse_delay is over when it is exceeded */
	list[0].age = 1000;
	use = count_one(&rules, list, 1, &key);
	assert_int_equal(use.ports[PORT_LINGERING], 1);
}

static void own_ranges_are_pools_of_their_own(void **state)
{
	struct pool_rules rules = rules_simple();
	struct holding list[] = {made(LOW + 2, 443, HOLDING_ESTABLISHED),
				 made(LOW + 9, 443, HOLDING_ESTABLISHED)};
	struct pool_key key = to_443;
	struct pool_use use;

	(void)state;
	list[0].own_low = LOW + 1;
	list[0].own_high = LOW + 5;
	use = count_one(&rules, list, 2, &key);
	assert_int_equal(use.left, PORTS - 2);
	key.own = 1;
	use = count_one(&rules, list, 2, &key);
	assert_int_equal(use.key.low, LOW + 1);
	assert_int_equal(use.key.high, LOW + 5);
	assert_int_equal(use.left, 4);
	assert_int_equal(use.doubtful, 0); /* connect() goes through them one by one */
	/* A bound outside of the namespace's range does not count. */
	list[0].own_low = 1;
	use = count_one(&rules, list, 2, &key);
	assert_int_equal(use.key.low, LOW);
}

static void one_port_has_several_sockets(void **state)
{
	struct pool_rules rules = rules_simple();
	struct holding list[] = {made(LOW, 443, HOLDING_ESTABLISHED),
				 made(LOW, 443, HOLDING_ESTABLISHED),
				 made(LOW, 443, HOLDING_TIME_WAIT)};
	struct pool_use use;

	(void)state;
	list[0].protocol = 262; /* MPTCP and its first subflow */
	for (size_t i = 0; i < 3; i++)
		list[i].bucket = HOLDING_BUCKET_CONNECT;
	use = count_one(&rules, list, 3, &to_443);
	assert_int_equal(use.ports[PORT_USED], 1);
	assert_int_equal(use.left, PORTS - 1);
}

static void nothing_can_be_had_is_full(void **state)
{
	struct pool_use use = {.ports = {[PORT_BLOCKED] = 5}};

	(void)state;
	assert_true(pool_share(&use) == 100);
	use.ports[PORT_FREE] = 3;
	use.ports[PORT_USED] = 1;
	assert_true(pool_share(&use) == 25);
}

static void mapped_addresses_are_ipv4(void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
	static const uint8_t other[16] = {[10] = 0xff, [11] = 0xff, [12] = 9};
	struct pool_key key = {.other_port = 443};

	(void)state;
	pool_key_addresses(&key, 6, mapped, other);
	assert_int_equal(key.family, 4);
	assert_memory_equal(key.local, to_443.local, 16);
	assert_int_equal(key.other[0], 9);
	assert_int_equal(key.other[10], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(left_is_what_the_kernel_gives),
		cmocka_unit_test(what_is_guessed_is_marked),
		cmocka_unit_test(an_odd_range_leaves_one_in_doubt),
		cmocka_unit_test(loopback_is_told_by_address),
		cmocka_unit_test(own_ranges_are_pools_of_their_own),
		cmocka_unit_test(one_port_has_several_sockets),
		cmocka_unit_test(nothing_can_be_had_is_full),
		cmocka_unit_test(mapped_addresses_are_ipv4),
	};

	return cmocka_run_group_tests_name("pool_use", tests, NULL, NULL);
}
