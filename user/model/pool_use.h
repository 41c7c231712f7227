/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How many of the ports that the kernel may choose from are taken, and for whom. One
 * network namespace has as many pools as there are answers to "which port would be free":
 *
 *	POOL_CONNECT	TCP's connect() shares a port between destinations: a pool for
 *			each source and destination. Ports whose bind bucket bind() or
 *			listen() made are passed by, whatever their addresses
 *			(__inet_hash_connect(), 5.10 to 7.3). One more stands for each
 *			destination that there is no connection to: pool_is_elsewhere().
 *	POOL_BIND	bind() to port 0, and datagrams that are sent from a socket without
 *			a port: any socket whose address overlaps is in the way
 *			(inet_csk_find_open_port(), udp_lib_get_port()). What a socket
 *			without options gets: SO_REUSEADDR lets UDP share more, and
 *			ip_autobind_reuse TCP.
 *
 * Pure: user/probe/lookup.h lists the sockets, model/pool_bucket.h adds the buckets.
 */
#ifndef PORTSNOOP_POOL_USE_H
#define PORTSNOOP_POOL_USE_H

#include "lib/parse.h"
#include "model/holding.h"

enum pool_way { POOL_CONNECT, POOL_BIND };

/* No padding. */
struct pool_key {
	uint32_t netns;
	uint16_t protocol; /* IPPROTO_TCP, UDP or UDPLITE */
	uint16_t other_port;
	uint16_t low, high; /* both included */
	uint8_t way;	    /* enum pool_way */
	uint8_t family;	    /* of the addresses, as in packets: 4 for v4-mapped ones */
	uint8_t own;	    /* the range is the sockets' own (IP_LOCAL_PORT_RANGE) */
	uint8_t zero;
	uint8_t local[16]; /* zero: any */
	uint8_t other[16]; /* POOL_CONNECT */
};

/* How the network namespace is set. */
struct pool_rules {
	uint32_t netns;
	uint16_t low, high;
	const struct port_set *reserved;
	uint8_t reuse;	      /* tcp_tw_reuse: 0, 1, or 2 for the loopback device alone */
	uint32_t reuse_delay; /* ms */
};

enum port_state {
	PORT_OUTSIDE, /* of the range */
	PORT_RESERVED,
	PORT_BLOCKED, /* POOL_CONNECT: by a bind or listen */
	PORT_FREE,
	PORT_REUSABLE,	/* in TIME_WAIT, but connect() may take it over: as good as free */
	PORT_LINGERING, /* TIME_WAIT and nothing else */
	PORT_USED,
	PORT_STATES
};

struct pool_use {
	struct pool_key key;
	uint32_t ports[PORT_STATES]; /* of the range; none is PORT_OUTSIDE */
	/* Allocations until the first one fails, if nothing is given back meanwhile. */
	uint32_t left;
	/* The kernel tries an even number of ports each time: of a range with an odd one, the
	 * first or last may be left out when it is the only one that is free. So many fewer
	 * than `left` may be all. */
	uint32_t doubtful;
	bool estimated; /* some buckets or timestamps could not be read, and were guessed */
};

/* A connect to where nobody is connected to. */
bool pool_is_elsewhere(const struct pool_key *key);

/* What can be had: ports of the range, not reserved, not blocked. */
uint32_t pool_capacity(const struct pool_use *use);
/* Used and lingering. */
uint32_t pool_taken(const struct pool_use *use);
/* Of the capacity, in percent, 0 to 100; of no capacity: 100. */
double pool_share(const struct pool_use *use);

/* One network namespace. Refers to the rules' ports and the holdings. NULL: no memory. */
struct pool_space;
struct pool_space *pool_space_new(const struct pool_rules *rules, const struct holdings *holdings);
void pool_space_free(struct pool_space *space);

/*
 * One more pool than those that the holdings tell of: each source and destination that a
 * TCP connection has whose port connect() chose, and bind() of the wildcard and of each
 * address that something is bound to. The range is cut to what the kernel would make of
 * it (inet_sk_get_local_port_range()). 0 or -ENOMEM. Before pool_space_count().
 */
int pool_space_add(struct pool_space *space, const struct pool_key *key);

/* All pools, those of POOL_BIND first, the fullest first; to be freed. 0 or -ENOMEM. */
int pool_space_count(struct pool_space *space, struct pool_use **uses, size_t *count);

/* Of each port what it is to that pool. */
void pool_space_map(const struct pool_space *space, const struct pool_key *key,
		    uint8_t states[65536]);

/* Every socket that takes a port of the pool, reusable ones too, several of one port
 * included. A negative return ends it and is returned. */
typedef int pool_visitor(const struct holding *holding, enum port_state state, void *context);
int pool_space_each(const struct pool_space *space, const struct pool_key *key, pool_visitor *visit,
		    void *context);

/* Whether connect() may take over what the pool has in TIME_WAIT, once it is old enough; and
 * that one socket's port (tcp_twsk_unique()): not without timestamps, nor while it is still
 * in FIN_WAIT2. */
bool pool_space_reuses(const struct pool_space *space, const struct pool_key *key);
bool pool_space_reuses_socket(const struct pool_space *space, const struct pool_key *key,
			      const struct holding *holding);

/* Makes a key of addresses as a socket has them. */
void pool_key_addresses(struct pool_key *key, uint8_t family, const uint8_t local[16],
			const uint8_t other[16]);

#endif
