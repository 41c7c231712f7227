/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/blocked.h"
#include "model/holding.h"
#include "records.h"

#define SECOND UINT64_C(1000000000)
#define PEER "\xc0\0\x02\x07" /* 192.0.2.7 */

/* A ledger, what the kernel lists, and the answer. */
struct room {
	struct ledger *ledger;
	struct former_listeners *former;
	struct wire_blocker listed[EVENT_BLOCKERS];
	unsigned int listed_count;
	uint64_t time;
	struct blocked blocked;
};

static void room_open(struct room *room)
{
	*room = (struct room){
		.ledger = ledger_new(1000),
		.former = former_listeners_new(),
		.time = RECORDS_TIME,
	};
	assert_true(room->ledger && room->former);
}

static void room_close(struct room *room)
{
	ledger_free(room->ledger);
	former_listeners_free(room->former);
}

/* Each one a second behind the one before. */
static void record(struct room *room, struct wire_event event)
{
	struct lease closed;

	room->time += SECOND;
	event.header.time = room->time;
	assert_int_equal(ledger_record(room->ledger, &event, &closed, NULL), 0);
	former_listeners_add(room->former, &closed);
}

static struct wire_event of_socket(struct wire_event event, uint64_t socket)
{
	event.socket = socket;
	return event;
}

static void bound(struct room *room, uint64_t socket, uint32_t pid, const char *comm, uint16_t port)
{
	record(room, of_socket(record_bind(pid, comm, port, port), socket));
}

static void listens(struct room *room, uint64_t socket, uint32_t pid, const char *comm,
		    uint16_t port)
{
	struct wire_event event = record_event(WIRE_CALL, WIRE_LISTEN, pid, comm);

	bound(room, socket, pid, comm, port);
	record_local4(&event, "\0\0\0\0", port);
	record(room, of_socket(event, socket));
}

static void released(struct room *room, uint64_t socket, uint16_t port)
{
	struct wire_event event = record_bind(1, "", port, port);

	event.header.type = WIRE_RELEASE;
	record(room, of_socket(event, socket));
}

static struct wire_blocker *list(struct room *room, struct wire_blocker blocker)
{
	struct wire_blocker *slot = &room->listed[room->listed_count++];

	*slot = blocker;
	return slot;
}

/* An accepted connection, or what is left of it. */
static struct wire_blocker *list_share(struct room *room, uint32_t pid, const char *comm,
				       uint8_t state, uint16_t peer)
{
	struct wire_blocker *blocker = list(room, record_blocker(pid, comm, state, 80));

	memcpy(blocker->local, "\x7f\0\0\x01", 4);
	memcpy(blocker->other, PEER, 4);
	blocker->other_port = peer;
	return blocker;
}

static void find(struct room *room, struct wire_event failure)
{
	struct event event = {
		.socket = &failure,
		.blockers = room->listed_count ? room->listed : NULL,
		.blocker_count = room->listed_count,
		.blocker_total = room->listed_count,
	};

	room->time += SECOND;
	failure.header.time = room->time;
	for (unsigned int i = 0; i < room->listed_count; i++)
		room->listed[i].header.time = room->time;
	assert_true(blocked_applies(&failure));
	if (room->ledger)
		assert_int_equal(ledger_record(room->ledger, &failure, NULL, NULL), 0);
	memset(&room->blocked, 0xa5, sizeof(room->blocked));
	blocked_find(&room->blocked, room->ledger, room->former, &event);
	assert_int_equal(!room->blocked.count, !!room->blocked.reason);
	assert_true(room->blocked.total >= room->blocked.count);
}

static struct wire_event failed_bind(uint16_t port)
{
	struct wire_event event = record_bind(99, "late", port, 0);

	event.socket = 99;
	event.error = EADDRINUSE;
	return event;
}

static void entry_is(const struct room *room, unsigned int index, uint32_t pid, const char *comm,
		     enum blocked_role role, const char *state)
{
	const struct blocked_entry *entry = &room->blocked.entries[index];

	assert_true(index < room->blocked.count);
	assert_int_equal(entry->process.key.pid, pid);
	assert_string_equal(entry->process.comm, comm);
	assert_string_equal(blocked_role_name(entry->role), blocked_role_name(role));
	if (state)
		assert_string_equal(entry->state, state);
	else
		assert_null(entry->state);
}

/* ---- the ledger alone ---- */

static void the_listener(void **state)
{
	struct room room;

	(void)state;
	room_open(&room);
	listens(&room, 1, 10, "nginx", 80);
	listens(&room, 2, 11, "other", 81);
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.count, 1);
	assert_int_equal(room.blocked.total, 1);
	assert_false(room.blocked.exhausted);
	entry_is(&room, 0, 10, "nginx", BLOCKED_CLAIMANT, "listen");
	assert_int_equal(room.blocked.entries[0].since, RECORDS_TIME + 2 * SECOND);
	assert_int_equal(room.blocked.time, RECORDS_TIME + 5 * SECOND);
	assert_int_equal(room.blocked.entries[0].local_port, 80);
	assert_int_equal(room.blocked.entries[0].ports, 0);
	assert_int_equal(room.blocked.entries[0].holder.key.pid, 0);
	room_close(&room);
}

static void why_nobody(void **state)
{
	struct room room;

	(void)state;
	room_open(&room);
	find(&room, failed_bind(80));
	assert_string_equal(room.blocked.reason, "not_seen");
	find(&room, failed_bind(0));
	assert_true(room.blocked.exhausted);
	assert_string_equal(room.blocked.reason, "not_seen");
	room_close(&room);
	room.ledger = NULL;
	room.former = NULL;
	find(&room, failed_bind(80));
	assert_string_equal(room.blocked.reason, "no_ledger");
	find(&room, failed_bind(0));
	assert_string_equal(room.blocked.reason, "no_ledger");
	/* what the kernel listed is known all the same */
	list(&room, record_blocker(10, "nginx", HOLDING_LISTEN, 80));
	find(&room, failed_bind(80));
	entry_is(&room, 0, 10, "nginx", BLOCKED_HOLDER, "listen");
}

static void when_it_applies(void **state)
{
	struct wire_event event = failed_bind(80);

	(void)state;
	assert_true(blocked_applies(&event));
	event.flags = 0; /* for which one could not be read */
	assert_true(blocked_applies(&event));
	event.error = EACCES;
	assert_false(blocked_applies(&event));
	event.error = 0;
	assert_false(blocked_applies(&event));
	event.error = EADDRINUSE;
	event.header.type = WIRE_OUTCOME;
	assert_false(blocked_applies(&event));
	event = record_connect(WIRE_CALL, 1, "ab");
	event.error = EADDRNOTAVAIL;
	event.local_port = 0;
	assert_true(blocked_applies(&event)); /* exhaustion */
	event.error = ECONNREFUSED;
	assert_false(blocked_applies(&event));
	event.error = EADDRNOTAVAIL;
	event.local_port = 4000;
	event.flags &= ~(uint32_t)WIRE_CLAIMED;
	assert_true(blocked_applies(&event)); /* the pair is taken */
}

/* Before the stream: who made the claim is not known, who had it is. */
static void a_seed(void **state)
{
	struct room room;

	(void)state;
	room_open(&room);
	record(&room, record_seed(10, "cupsd", 1, HOLDING_LISTEN, 80));
	find(&room, failed_bind(80));
	entry_is(&room, 0, 10, "cupsd", BLOCKED_HOLDER, "listen");
	assert_int_equal(room.blocked.entries[0].since, 0);
	room_close(&room);
}

static void the_most_ports(void **state)
{
	struct wire_event failure = failed_bind(0);
	struct room room;

	(void)state;
	room_open(&room);
	for (unsigned int i = 0; i < 30; i++) {
		uint32_t pid = i < 20 ? 10 : i < 29 ? 11 : 20;

		bound(&room, 100 + i, pid, pid == 10 ? "ab" : "curl", (uint16_t)(40000 + i));
	}
	bound(&room, 300, 12, "out", 80); /* not of the pool */
	for (unsigned int i = 0; i < 12; i++)
		bound(&room, 200 + i, 30 + i, "one", (uint16_t)(41000 + i));
	find(&room, failure);
	assert_true(room.blocked.exhausted);
	assert_int_equal(room.blocked.total, 15);
	assert_int_equal(room.blocked.count, BLOCKED_MOST);
	entry_is(&room, 0, 10, "ab", BLOCKED_CLAIMANT, NULL);
	assert_int_equal(room.blocked.entries[0].ports, 20);
	assert_int_equal(room.blocked.entries[0].since, RECORDS_TIME + SECOND);
	assert_int_equal(room.blocked.entries[0].local_port, 0);
	entry_is(&room, 1, 11, "curl", BLOCKED_CLAIMANT, NULL);
	assert_int_equal(room.blocked.entries[1].ports, 9);
	entry_is(&room, 2, 20, "curl", BLOCKED_CLAIMANT, NULL);
	room_close(&room);
}

/* ---- with what the kernel lists ---- */

static void one_socket_is_one_entry(void **state)
{
	struct room room;

	(void)state;
	room_open(&room);
	listens(&room, 1, 10, "nginx", 80);
	list(&room, record_blocker(10, "nginx", HOLDING_LISTEN, 80));
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.total, 1);
	entry_is(&room, 0, 10, "nginx", BLOCKED_CLAIMANT, "listen");
	assert_int_equal(room.blocked.entries[0].since, RECORDS_TIME + 2 * SECOND);
	assert_int_equal(room.blocked.entries[0].holder.key.pid, 0);

	/* start times of /proc have its ticks */
	room.listed[0].start += 9000000;
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.entries[0].holder.key.pid, 0);
	room.listed[0].start -= 9000000;

	/* handed on */
	room.listed[0].pid = 11;
	strcpy(room.listed[0].comm, "worker");
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.total, 1);
	entry_is(&room, 0, 10, "nginx", BLOCKED_CLAIMANT, "listen");
	assert_int_equal(room.blocked.entries[0].holder.key.pid, 11);
	assert_string_equal(room.blocked.entries[0].holder.comm, "worker");

	/* the pid came again */
	room.listed[0].pid = 10;
	room.listed[0].start += SECOND;
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.entries[0].holder.key.pid, 10);
	room_close(&room);
}

/* The kernel's state, and since when only as far as that fits. */
static void the_kernels_state(void **state)
{
	struct wire_event connect = record_connect(WIRE_CALL, 10, "curl");
	struct wire_event failure = failed_bind(80);
	struct wire_blocker *listed;
	struct room room;

	(void)state;
	room_open(&room);
	bound(&room, 1, 10, "curl", 80);
	record_local4(&connect, "\x7f\0\0\x01", 80);
	record_other4(&connect, PEER, 5000);
	connect.flags = WIRE_HAS_OTHER; /* at once */
	record(&room, of_socket(connect, 1));
	listed = list_share(&room, 10, "curl", HOLDING_CLOSE_WAIT, 5000);
	find(&room, failure);
	assert_int_equal(room.blocked.total, 1);
	entry_is(&room, 0, 10, "curl", BLOCKED_CLAIMANT, "close_wait");
	assert_int_equal(room.blocked.entries[0].since, RECORDS_TIME + 2 * SECOND);
	assert_int_equal(room.blocked.entries[0].other_port, 5000);
	listed->state = HOLDING_TIME_WAIT;
	listed->pid = 0;
	listed->expires = 42000;
	find(&room, failure);
	assert_int_equal(room.blocked.total, 1);
	entry_is(&room, 0, 10, "curl", BLOCKED_CLAIMANT, "time_wait");
	assert_int_equal(room.blocked.entries[0].since, 0);
	assert_int_equal(room.blocked.entries[0].expires, 42 * SECOND);
	/* another peer is another socket */
	listed->other_port = 5001;
	find(&room, failure);
	assert_int_equal(room.blocked.total, 2);
	room_close(&room);
}

static void accepted_connections(void **state)
{
	struct room room;

	(void)state;
	room_open(&room);
	listens(&room, 1, 10, "nginx", 80);
	list_share(&room, 0, "", HOLDING_TIME_WAIT, 5001)->expires = 59500;
	list_share(&room, 11, "worker", HOLDING_ESTABLISHED, 5000);
	list(&room, record_blocker(10, "nginx", HOLDING_LISTEN, 80));
	list_share(&room, 10, "nginx", HOLDING_FIN_WAIT2, 5002);
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.total, 4);
	entry_is(&room, 0, 10, "nginx", BLOCKED_CLAIMANT, "listen");
	entry_is(&room, 1, 10, "nginx", BLOCKED_SHARE, "established");
	assert_int_equal(room.blocked.entries[1].holder.key.pid, 11);
	assert_int_equal(room.blocked.entries[1].since, 0);
	entry_is(&room, 2, 10, "nginx", BLOCKED_SHARE, "fin_wait2");
	assert_int_equal(room.blocked.entries[2].holder.key.pid, 0);
	entry_is(&room, 3, 10, "nginx", BLOCKED_SHARE, "time_wait");
	assert_int_equal(room.blocked.entries[3].expires, 59 * SECOND + SECOND / 2);
	assert_memory_equal(room.blocked.entries[3].other, PEER, 4);

	/* a handshake holds nothing */
	room.listed_count = 0;
	list_share(&room, 0, "", HOLDING_SYN_RECV, 5003);
	list_share(&room, 0, "", HOLDING_NEW_SYN_RECV, 5004)->inode = 7;
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.total, 1);
	room_close(&room);
}

/* The server went, what is left of its connections does not let the next one start. */
static void a_listener_that_went(void **state)
{
	struct wire_event failure = failed_bind(80);
	struct room room;

	(void)state;
	room_open(&room);
	listens(&room, 1, 10, "nginx", 80);
	listens(&room, 2, 11, "other", 80 + 4096); /* the same slot */
	released(&room, 1, 80);
	list_share(&room, 0, "", HOLDING_TIME_WAIT, 5001)->expires = 60000;
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.total, 1);
	entry_is(&room, 0, 10, "nginx", BLOCKED_SHARE, "time_wait");

	/* what was closed before it listened was somebody else's */
	room.listed[0].expires = 30000;
	find(&room, failed_bind(80));
	entry_is(&room, 0, 0, "", BLOCKED_UNKNOWN, "time_wait");
	room.listed[0].expires = 60000;

	/* who had the port for something else says nothing of its connections */
	bound(&room, 3, 12, "client", 80);
	released(&room, 3, 80);
	find(&room, failed_bind(80));
	entry_is(&room, 0, 10, "nginx", BLOCKED_SHARE, "time_wait");

	/* nor does who listened in another namespace */
	room.listed[0].netns = ++failure.netns;
	find(&room, failure);
	entry_is(&room, 0, 0, "", BLOCKED_UNKNOWN, "time_wait");
	room.listed[0].netns--;
	released(&room, 2, 80 + 4096);
	find(&room, failed_bind(80));
	entry_is(&room, 0, 0, "", BLOCKED_UNKNOWN, "time_wait");
	room_close(&room);
}

static void from_before_the_stream(void **state)
{
	struct room room;

	(void)state;
	room_open(&room);
	list(&room, record_blocker(10, "cupsd", HOLDING_CLOSE, 80));
	list(&room, record_blocker(0, "", HOLDING_ESTABLISHED, 80));
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.total, 2);
	entry_is(&room, 0, 10, "cupsd", BLOCKED_HOLDER, "bound");
	entry_is(&room, 1, 0, "", BLOCKED_UNKNOWN, "established");
	room_close(&room);
}

/* Listed is all that is on the port; in the way is what the kernel's rules say. */
static void only_what_conflicts(void **state)
{
	struct wire_event failure = failed_bind(80);
	struct wire_blocker *listed;
	struct room room;

	(void)state;
	room_open(&room);
	memcpy(failure.other, "\x7f\0\0\x01", 4);
	listed = list(&room, record_blocker(10, "a", HOLDING_LISTEN, 80));
	memcpy(listed->local, "\x7f\0\0\x02", 4);
	find(&room, failure);
	assert_string_equal(room.blocked.reason, "not_seen");
	memset(listed->local, 0, 4);
	find(&room, failure);
	assert_int_equal(room.blocked.count, 1);
	listed->protocol = 17;
	find(&room, failure);
	assert_int_equal(room.blocked.count, 0);
	listed->protocol = 6;
	listed->device = 3;
	failure.device = 4;
	find(&room, failure);
	assert_int_equal(room.blocked.count, 0);
	listed->device = failure.device = 0;

	/* both may share it */
	failure.flags |= WIRE_REUSEPORT;
	listed->flags = WIRE_REUSEPORT;
	find(&room, failure);
	assert_int_equal(room.blocked.count, 0);
	listed->uid = 1001;
	find(&room, failure);
	assert_int_equal(room.blocked.count, 1);

	/* a connection that nobody has open has its listener's options */
	failure.flags = (failure.flags & ~(uint32_t)WIRE_REUSEPORT) | WIRE_REUSEADDR;
	listed->flags = WIRE_REUSEADDR;
	list_share(&room, 0, "", HOLDING_TIME_WAIT, 5001);
	find(&room, failure);
	assert_int_equal(room.blocked.total, 1);
	listed->flags = 0;
	find(&room, failure);
	assert_int_equal(room.blocked.total, 2);
	room_close(&room);
}

/* A socket that cannot listen is bound to the port itself. */
static void not_itself(void **state)
{
	struct wire_event failure = record_event(WIRE_CALL, WIRE_LISTEN, 99, "late");
	struct room room;

	(void)state;
	room_open(&room);
	bound(&room, 1, 10, "nginx", 80);
	bound(&room, 99, 99, "late", 80);
	record_local4(&failure, "\0\0\0\0", 80);
	failure.socket = 99;
	failure.error = EADDRINUSE;
	find(&room, failure);
	assert_int_equal(room.blocked.total, 1);
	list(&room, record_blocker(10, "nginx", HOLDING_CLOSE, 80));
	list(&room, record_blocker(99, "late", HOLDING_CLOSE, 80));
	find(&room, failure);
	assert_int_equal(room.blocked.total, 1);
	entry_is(&room, 0, 10, "nginx", BLOCKED_CLAIMANT, "bound");
	room_close(&room);
}

/* Of sockets with the same address each is that of its own process. */
static void equal_addresses(void **state)
{
	struct room room;

	(void)state;
	room_open(&room);
	listens(&room, 1, 10, "a", 80);
	listens(&room, 2, 11, "b", 80);
	list(&room, record_blocker(11, "b", HOLDING_LISTEN, 80));
	list(&room, record_blocker(10, "a", HOLDING_LISTEN, 80));
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.total, 2);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(room.blocked.entries[i].holder.key.pid, 0);
	room_close(&room);
}

static void more_than_are_named(void **state)
{
	struct room room;

	(void)state;
	room_open(&room);
	for (uint32_t i = 0; i < 12; i++) {
		listens(&room, 1 + i, 10 + i, "a", 80);
		list(&room, record_blocker(10 + i, "a", HOLDING_LISTEN, 80));
	}
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.count, BLOCKED_MOST);
	assert_int_equal(room.blocked.total, 12);
	list_share(&room, 0, "", HOLDING_TIME_WAIT, 5001);
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.total, 13);
	entry_is(&room, 7, 17, "a", BLOCKED_CLAIMANT, "listen");
	assert_int_equal(room.blocked.unlisted, 0);

	/* what the kernel listed was more than the stream has room for */
	while (room.listed_count < EVENT_BLOCKERS)
		list_share(&room, 0, "", HOLDING_TIME_WAIT, (uint16_t)(6000 + room.listed_count));
	for (unsigned int i = 0; i < EVENT_BLOCKERS; i++)
		room.listed[i].total = 1000;
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.total, EVENT_BLOCKERS);
	assert_int_equal(room.blocked.unlisted, 1000 - EVENT_BLOCKERS);
	room_close(&room);
}

/* A connection goes before an older TIME_WAIT, whoever knows of it. */
static void in_order(void **state)
{
	struct wire_event release = record_connect(WIRE_CALL, 10, "curl");
	struct wire_event connect = release;
	struct room room;

	(void)state;
	room_open(&room);
	for (uint64_t socket = 1; socket < 10; socket++) {
		record_local4(&connect, "\x7f\0\0\x01", 80);
		record_other4(&connect, PEER, (uint16_t)(7000 + socket));
		record(&room, of_socket(connect, socket));
		release = connect;
		release.header.type = WIRE_RELEASE;
		release.flags |= WIRE_TIME_WAIT;
		record(&room, of_socket(release, socket));
	}
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.total, 9);
	entry_is(&room, 0, 10, "curl", BLOCKED_CLAIMANT, "time_wait");
	assert_int_equal(room.blocked.entries[0].expires, 60 * SECOND - 17 * SECOND);
	list_share(&room, 11, "worker", HOLDING_ESTABLISHED, 5001);
	find(&room, failed_bind(80));
	assert_int_equal(room.blocked.total, 10);
	entry_is(&room, 0, 11, "worker", BLOCKED_HOLDER, "established");
	entry_is(&room, 7, 10, "curl", BLOCKED_CLAIMANT, "time_wait");
	room_close(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_listener),
		cmocka_unit_test(why_nobody),
		cmocka_unit_test(when_it_applies),
		cmocka_unit_test(a_seed),
		cmocka_unit_test(the_most_ports),
		cmocka_unit_test(one_socket_is_one_entry),
		cmocka_unit_test(the_kernels_state),
		cmocka_unit_test(accepted_connections),
		cmocka_unit_test(a_listener_that_went),
		cmocka_unit_test(from_before_the_stream),
		cmocka_unit_test(only_what_conflicts),
		cmocka_unit_test(not_itself),
		cmocka_unit_test(equal_addresses),
		cmocka_unit_test(more_than_are_named),
		cmocka_unit_test(in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
