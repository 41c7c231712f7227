/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A ledger under test, and records for it. Include behind cmocka.h. */
#ifndef PORTSNOOP_LEDGER_ROOM_H
#define PORTSNOOP_LEDGER_ROOM_H

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model/ledger.h"
#include "records.h"

struct room {
	struct ledger *ledger;
	uint64_t time; /* of the last record */
	struct lease closed;
	uint64_t lingered;
};

#define SERVER 100 /* binds */
#define OTHER 200  /* listens, holds seeds */
#define CLIENT 300 /* connects */
#define PEER "\xc0\0\x02\x50"

/* net/tcp_states.h */
#define ESTABLISHED 1
#define CLOSED 7
#define LISTENING 10

/* One nanosecond after the last one. */
static inline void take(struct room *room, struct wire_event event)
{
	event.header.time = ++room->time;
	assert_int_equal(ledger_record(room->ledger, &event, &room->closed, &room->lingered), 0);
}

static inline void ask(struct room *room, const struct wire_event *failure,
		       struct blockers *blockers)
{
	struct wire_event event = *failure;

	event.header.time = room->time;
	ledger_blockers(room->ledger, &event, blockers);
}

static inline void holders(struct room *room, const struct wire_event *failure,
			   struct blockers *top)
{
	struct wire_event event = *failure;

	event.header.time = room->time;
	ledger_top_holders(room->ledger, &event, top);
}

static inline struct wire_event bind_event(uint64_t socket, uint16_t port)
{
	struct wire_event event = record_bind(SERVER, "server", port, port);

	event.socket = socket;
	return event;
}

static inline struct wire_event listen_event(uint64_t socket, uint16_t port)
{
	struct wire_event event = record_event(WIRE_CALL, WIRE_LISTEN, OTHER, "worker");

	event.socket = socket;
	event.local_port = port;
	return event;
}

/* From 10.0.0.1 */
static inline struct wire_event connect_event(uint64_t socket, uint16_t port, const char peer[4],
					      uint16_t peer_port)
{
	struct wire_event event = record_connect(WIRE_CALL, CLIENT, "client");

	event.socket = socket;
	event.local_port = port;
	record_other4(&event, peer, peer_port);
	return event;
}

static inline struct wire_event outcome_event(uint64_t socket, uint16_t port, const char peer[4],
					      uint16_t peer_port)
{
	struct wire_event event = connect_event(socket, port, peer, peer_port);

	event.header.type = WIRE_OUTCOME;
	event.flags = WIRE_HAS_OTHER;
	event.duration = 1234567;
	return event;
}

/* With TIME_WAIT: of the connection to PEER:443. */
static inline struct wire_event release_event(uint64_t socket, uint16_t port, uint32_t flags)
{
	struct wire_event event = record_event(WIRE_RELEASE, WIRE_CONNECT, CLIENT, "client");

	event.socket = socket;
	event.local_port = port;
	if (flags & WIRE_TIME_WAIT)
		record_other4(&event, PEER, 443);
	event.flags |= flags;
	return event;
}

/* Connections come from PEER:443 to 10.0.0.1. */
static inline struct wire_event seed_event(uint64_t socket, uint16_t port, uint8_t tcp_state)
{
	struct wire_event event = record_event(WIRE_SEED, 0, OTHER, "worker");

	event.socket = socket;
	event.local_port = port;
	event.state = tcp_state;
	if (tcp_state != CLOSED && tcp_state != LISTENING) {
		record_local4(&event, "\x0a\0\0\x01", port);
		record_other4(&event, PEER, 443);
	}
	return event;
}

/* A failed bind has no local port: the kernel erased it. */
static inline struct wire_event failed(struct wire_event event, uint32_t error)
{
	event.error = error;
	if (event.header.type == WIRE_CALL && event.trigger == WIRE_BIND)
		event.local_port = 0;
	return event;
}

/* Setup and teardown of a test with a room of 1000 leases. */
static inline int room_new(void **state)
{
	struct room *room = calloc(1, sizeof(*room));

	assert_non_null(room);
	room->time = RECORDS_TIME;
	room->ledger = ledger_new(1000);
	assert_non_null(room->ledger);
	*state = room;
	return 0;
}

static inline int room_free(void **state)
{
	struct room *room = *state;

	ledger_free(room->ledger);
	free(room);
	return 0;
}

static inline void assert_process(const struct lease_process *process, uint32_t pid,
				  const char *comm)
{
	assert_int_equal(process->key.pid, pid);
	assert_string_equal(process->comm, comm);
}

static inline void assert_leases(struct room *room, unsigned int count)
{
	struct ledger_totals totals;

	ledger_totals(room->ledger, &totals);
	assert_int_equal(totals.leases, count);
}

static inline const struct lease *held(struct room *room, uint64_t socket, enum lease_state state)
{
	const struct lease *lease = ledger_socket(room->ledger, socket);

	assert_non_null(lease);
	assert_string_equal(lease_state_name(lease->state), lease_state_name(state));
	return lease;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, room_new, room_free)

#endif
