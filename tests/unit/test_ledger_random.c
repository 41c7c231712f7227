/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Random records, taken in by the ledger and by its model: a million, and the two agree on
 * every lease and on every answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "draw.h"
#include "ledger_model.h"
#include "ledger_room.h"

#define SEQUENCES 20
#define STEPS 50000 /* each */
#define SOCKETS 48
#define PORTS 10

/* ---- random records ---- */

static const uint16_t ports[PORTS] = {1, 80, 255, 256, 32768, 32769, 40000, 60998, 60999, 65535};

static void random_address(struct wire_event *e, uint8_t bytes[16], bool anywhere)
{
	memset(bytes, 0, 16);
	if (anywhere && chance(60))
		return;
	if (e->family == 4) {
		bytes[0] = 10;
		bytes[3] = (uint8_t)(1 + draw(2));
	} else if (!(e->flags & WIRE_V6ONLY)) {
		bytes[10] = bytes[11] = 0xff;
		bytes[12] = 10;
		bytes[15] = (uint8_t)(1 + draw(2));
	} else {
		bytes[0] = 0xfd;
	}
}

/* What a socket is does not change; of what it does nearly anything may come. */
static struct wire_event random_event(struct model *model, uint64_t time)
{
	static const uint16_t protocols[] = {6, 6, 6, 262, 17, 17, IPPROTO_UDPLITE};
	uint64_t socket = 1 + draw(SOCKETS);
	const struct entry *known = entry_live(model, socket);
	uint32_t pid = (uint32_t)(1 + draw(12));
	struct wire_event e = record_event(WIRE_CALL, 0, pid, "any");

	e.header.time = time;
	e.socket = socket;
	e.uid = pid % 2;
	e.netns = RECORDS_NETNS + (socket % 5 == 0);
	e.protocol = protocols[socket % 7];
	e.family = socket % 3 ? 4 : 6;
	e.device = chance(85) ? 0 : (uint32_t)(1 + draw(2));
	e.flags = (chance(40) ? WIRE_REUSEADDR : 0) | (chance(30) ? WIRE_REUSEPORT : 0) |
		  (e.family == 6 && socket % 2 ? WIRE_V6ONLY : 0);
	e.local_port = known && chance(90) ? known->lease.local_port : ports[draw(PORTS)];
	return e;
}

static void random_peer(struct wire_event *e)
{
	e->flags |= WIRE_HAS_OTHER;
	memset(e->other, 0, 16);
	if (e->family == 4)
		memcpy(e->other, PEER, 4);
	else
		record_mapped(e->other, PEER);
	e->other_port = (uint16_t)(443 + draw(2));
}

static void random_call(struct wire_event *e)
{
	e->trigger = (uint8_t)(WIRE_BIND + draw(5));
	e->origin = WIRE_ORIGIN_KERNEL;
	if (chance(50))
		e->flags |= WIRE_CLAIMED;
	if (e->trigger == WIRE_CONNECT || e->trigger == WIRE_SUBFLOW || chance(10))
		random_peer(e);
	if ((e->trigger == WIRE_CONNECT || e->trigger == WIRE_SEND) && chance(70))
		e->flags |= WIRE_IN_PROGRESS;
	random_address(e, e->local, e->trigger == WIRE_BIND || e->trigger == WIRE_LISTEN);
	if (chance(20)) {
		e->error = EADDRINUSE;
		if (e->flags & WIRE_CLAIMED && chance(80))
			e->local_port = 0;
	}
}

static void random_release(struct wire_event *e, const struct model *model)
{
	e->header.type = WIRE_RELEASE;
	random_address(e, e->local, true);
	if (chance(50))
		random_peer(e);
	if (chance(40))
		e->flags |= WIRE_TIME_WAIT | (chance(30) ? WIRE_ESTIMATED : 0);
	if (chance(35) && model->count) {
		/* Of some lease, mostly one in TIME_WAIT */
		const struct lease *lease = &model->entries[draw(model->count)].lease;

		if (lease->state != LEASE_TIME_WAIT && chance(80))
			return;
		e->flags |= WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER;
		e->socket = lease->socket;
		e->local_port = lease->local_port;
		e->other_port = lease->other_port;
		memcpy(e->other, lease->other, 16);
		if (lease->claimed && chance(80))
			e->duration = e->header.time - lease->claimed;
	}
}

static struct wire_event random_record(struct model *model, uint64_t time)
{
	struct wire_event e = random_event(model, time);

	switch (draw(10)) {
	case 0:
		e.header.type = WIRE_SEED;
		e.state = (uint8_t)(1 + draw(12));
		random_address(&e, e.local, true);
		if (e.state != CLOSED && e.state != LISTENING)
			random_peer(&e);
		break;
	case 1:
	case 2:
		e.header.type = WIRE_OUTCOME;
		e.trigger = WIRE_CONNECT;
		random_address(&e, e.local, false);
		random_peer(&e);
		e.error = chance(40) ? ECONNREFUSED : 0;
		e.flags |= chance(10) ? WIRE_ABORTED : 0;
		break;
	case 3:
	case 4:
	case 5:
		random_release(&e, model);
		break;
	default:
		random_call(&e);
	}
	return e;
}

/* ---- comparing ---- */

static bool same_process(const struct lease_process *a, const struct lease_process *b)
{
	return a->key.pid == b->key.pid && a->key.start == b->key.start &&
	       a->key.exec == b->key.exec && a->uid == b->uid && !strcmp(a->comm, b->comm);
}

/* Of a share the claim is its listener's: of which one, if there are several, is open. */
static bool same_lease(const struct lease *a, const struct lease *b)
{
	return a->socket == b->socket && a->since == b->since && a->expires == b->expires &&
	       a->netns == b->netns && a->device == b->device && a->flags == b->flags &&
	       a->protocol == b->protocol && a->local_port == b->local_port &&
	       a->other_port == b->other_port && a->family == b->family && a->state == b->state &&
	       a->share == b->share && !memcmp(a->local, b->local, 16) &&
	       !memcmp(a->other, b->other, 16) && same_process(&a->holder, &b->holder) &&
	       (a->share || (a->claimed == b->claimed && a->trigger == b->trigger &&
			     a->origin == b->origin && same_process(&a->claimant, &b->claimant)));
}

struct matching {
	struct model *model;
	bool matched[LEASES];
	unsigned int count;
	uint32_t netns;
	uint16_t protocol, low, high, port;
	uint64_t claimed;
};

static bool asked_for(const struct matching *matching, const struct lease *lease)
{
	return (!matching->netns || lease->netns == matching->netns) &&
	       (!matching->protocol || lease->protocol == matching->protocol ||
		(matching->protocol == 6 && lease->protocol == 262)) &&
	       lease->local_port >= matching->low && lease->local_port <= matching->high;
}

static int match(void *context, const struct lease *lease)
{
	struct matching *matching = context;

	assert_true(lease->local_port >= matching->port);
	if (lease->local_port == matching->port)
		assert_true(lease->claimed >= matching->claimed);
	matching->port = lease->local_port;
	matching->claimed = lease->claimed;
	for (unsigned int i = 0; i < matching->model->count; i++) {
		struct lease *expected = &matching->model->entries[i].lease;

		if (matching->matched[i] || !same_lease(lease, expected))
			continue;
		assert_true(asked_for(matching, lease));
		matching->matched[i] = true;
		matching->count++;
		/* What the ledger has settled on is held to from then on. */
		*expected = *lease;
		return 0;
	}
	fail_msg("socket %lu is not as expected", (unsigned long)lease->socket);
	return -1;
}

static void compare_leases(struct room *room, struct model *model, struct matching *matching)
{
	unsigned int expected = 0;

	matching->model = model;
	for (unsigned int i = 0; i < model->count; i++)
		expected += asked_for(matching, &model->entries[i].lease);
	assert_int_equal(ledger_each(room->ledger, room->time, matching->netns, matching->protocol,
				     matching->low, matching->high, match, matching),
			 0);
	assert_int_equal(matching->count, expected);
}

static unsigned int rank(const struct lease *lease)
{
	static const char order[] = {LEASE_LISTEN, LEASE_BOUND, LEASE_CONNECTING, LEASE_ESTABLISHED,
				     LEASE_TIME_WAIT};

	return (unsigned int)((const char *)memchr(order, lease->state, sizeof(order)) - order);
}

static bool model_blocks(const struct wire_event *e, const struct lease *lease)
{
	bool listen = e->trigger == WIRE_LISTEN, reuse = e->flags & lease->flags & WIRE_REUSEADDR;
	bool group = e->flags & lease->flags & WIRE_REUSEPORT;
	const struct lease_process *owner = lease->claimant.key.pid ? &lease->claimant
								    : &lease->holder;
	uint16_t port = listen ? e->local_port : e->other_port;

	if (lease->local_port != port || lease->netns != e->netns ||
	    !same_table(lease->protocol, e->protocol))
		return false;
	if (lease->socket == e->socket && lease->state != LEASE_TIME_WAIT)
		return false;
	if (e->device && lease->device && e->device != lease->device)
		return false;
	if (!(reached(e->family, listen ? e->local : e->other, e->flags) &
	      reached(lease->family, lease->local, lease->flags)))
		return false;
	if (group && owner->uid == e->uid)
		return false;
	if (group && lease->state == LEASE_TIME_WAIT)
		return false;
	return !reuse || lease->state == LEASE_LISTEN;
}

static int by_rank(const void *a, const void *b)
{
	const struct lease *left = *(const struct lease *const *)a;
	const struct lease *right = *(const struct lease *const *)b;

	if (rank(left) != rank(right))
		return rank(left) < rank(right) ? -1 : 1;
	return (left->claimed > right->claimed) - (left->claimed < right->claimed);
}

static void compare_blockers(struct room *room, struct model *model)
{
	struct wire_event e = random_event(model, room->time);
	const struct lease *expected[LEASES];
	struct blockers blockers;
	unsigned int count = 0;

	e.error = EADDRINUSE;
	if (chance(70)) {
		e.trigger = WIRE_BIND;
		e.socket = 0;
		e.flags |= WIRE_CLAIMED | WIRE_HAS_OTHER;
		random_address(&e, e.other, true);
		e.other_port = e.local_port;
		e.local_port = 0;
	} else {
		e.trigger = WIRE_LISTEN;
		random_address(&e, e.local, true);
	}
	for (unsigned int i = 0; i < model->count; i++)
		if (model_blocks(&e, &model->entries[i].lease))
			expected[count++] = &model->entries[i].lease;
	qsort(expected, count, sizeof(expected[0]), by_rank);

	ledger_blockers(room->ledger, &e, &blockers);
	assert_int_equal(blockers.total, count);
	assert_int_equal(blockers.count, count < LEDGER_BLOCKERS ? count : LEDGER_BLOCKERS);
	for (unsigned int i = 0; i < blockers.count; i++) {
		assert_true(model_blocks(&e, blockers.lease[i]));
		assert_int_equal(by_rank(&blockers.lease[i], &expected[i]), 0);
		for (unsigned int j = 0; j < i; j++)
			assert_ptr_not_equal(blockers.lease[i], blockers.lease[j]);
	}
}

static uint32_t owner(const struct lease *lease)
{
	return lease->claimant.key.pid ? lease->claimant.key.pid : lease->holder.key.pid;
}

static bool model_pool_has(const struct wire_event *e, const struct lease *lease)
{
	bool bound = lease->trigger == WIRE_BIND || lease->trigger == WIRE_LISTEN ||
		     (!lease->trigger && (lease->share || lease->state == LEASE_BOUND ||
					  lease->state == LEASE_LISTEN));

	if (lease->netns != e->netns || !same_table(lease->protocol, e->protocol) ||
	    lease->local_port < e->pool_low || lease->local_port > e->pool_high)
		return false;
	if (e->error != EADDRNOTAVAIL || bound)
		return true;
	/* PEER is the only one that there is, in both families. */
	return lease->other_port == e->other_port;
}

static void compare_holders(struct room *room, struct model *model, bool same_pool)
{
	static struct wire_event e;
	unsigned int counts[16] = {0}, total = 0, largest = UINT32_MAX;
	uint64_t oldest[16];
	struct blockers top;

	if (!same_pool) {
		e = random_event(model, room->time);
		e.socket = e.local_port = 0;
		e.flags = WIRE_CLAIMED | WIRE_HAS_OTHER;
		e.trigger = WIRE_BIND;
		e.error = EADDRINUSE;
		if ((e.protocol == 6 || e.protocol == 262) && chance(70)) {
			e.trigger = WIRE_CONNECT;
			random_peer(&e);
			e.error = EADDRNOTAVAIL;
		}
	}
	e.header.time = room->time;
	for (unsigned int i = 0; i < model->count; i++) {
		const struct lease *lease = &model->entries[i].lease;

		if (!model_pool_has(&e, lease))
			continue;
		if (!counts[owner(lease)]++) {
			total++;
			oldest[owner(lease)] = lease->claimed;
		} else if (lease->claimed < oldest[owner(lease)]) {
			oldest[owner(lease)] = lease->claimed;
		}
	}
	ledger_top_holders(room->ledger, &e, &top);
	assert_int_equal(top.total, total);
	assert_int_equal(top.count, total < LEDGER_BLOCKERS ? total : LEDGER_BLOCKERS);
	for (unsigned int i = 0; i < top.count; i++) {
		uint32_t pid = owner(top.lease[i]);

		assert_int_equal(top.ports[i], counts[pid]);
		assert_int_equal(top.lease[i]->claimed, oldest[pid]);
		assert_true(top.ports[i] <= largest);
		largest = top.ports[i];
		counts[pid] = 0; /* not twice */
	}
	for (unsigned int pid = 0; pid < 16 && top.count == LEDGER_BLOCKERS; pid++)
		assert_true(counts[pid] <= largest);
}

static void compare(struct room *room, struct model *model)
{
	struct matching all = {.high = 65535}, some = {.protocol = chance(50) ? 6 : 17};
	struct ledger_totals totals;

	compare_leases(room, model, &all);
	some.low = ports[draw(PORTS)];
	some.high = ports[draw(PORTS)];
	some.netns = chance(50) ? RECORDS_NETNS : 0;
	compare_leases(room, model, &some);
	compare_blockers(room, model);
	compare_holders(room, model, chance(70));
	ledger_totals(room->ledger, &totals);
	assert_int_equal(totals.leases, model->count);
	assert_int_equal(totals.opened, model->opened);
	assert_int_equal(totals.unknown, model->unknown);
	assert_int_equal(totals.evicted, 0);
}

static void test_ledger_is_the_model(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	uint64_t most = 0;

	(void)state;
	assert_non_null(model);
	for (uint64_t sequence = 1; sequence <= SEQUENCES; sequence++) {
		struct room room = {.ledger = ledger_new(LEASES), .time = RECORDS_TIME};

		assert_non_null(room.ledger);
		memset(model, 0, sizeof(*model));
		draw_seed = sequence;
		for (unsigned int step = 0; step < STEPS; step++) {
			struct wire_event e;

			room.time += chance(1) ? draw(70) * 1000000000 : 1 + draw(1000);
			/* Records of several CPUs overtake each other. */
			e = random_record(model, room.time - (chance(5) ? draw(5000) : 0));
			model_take(model, &e);
			assert_int_equal(
				ledger_record(room.ledger, &e, &room.closed, &room.lingered), 0);
			if (!same_lease(&room.closed, &model->closed) ||
			    room.lingered != model->lingered)
				fail_msg("sequence %u, step %u: socket %u closed, not %u",
					 (unsigned int)sequence, step,
					 (unsigned int)room.closed.socket,
					 (unsigned int)model->closed.socket);
			if (!draw(8))
				compare(&room, model);
			if (model->count > most)
				most = model->count;
		}
		ledger_free(room.ledger);
	}
	assert_true(most > SOCKETS); /* some sockets had several */
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ledger_is_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
