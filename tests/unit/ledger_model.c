/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "ledger_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <string.h>

static const uint8_t nothing[16];

static void entry_delete(struct model *model, unsigned int i)
{
	memmove(&model->entries[i], &model->entries[i + 1],
		(--model->count - i) * sizeof(model->entries[0]));
}

static void entry_close(struct model *model, struct entry *entry, uint64_t time)
{
	model->closed = entry->lease;
	if (entry->lease.state == LEASE_TIME_WAIT && time > entry->lease.since)
		model->lingered = time - entry->lease.since;
	entry_delete(model, (unsigned int)(entry - model->entries));
}

struct entry *entry_live(struct model *model, uint64_t socket)
{
	for (unsigned int i = 0; i < model->count; i++)
		if (model->entries[i].lease.socket == socket &&
		    model->entries[i].lease.state != LEASE_TIME_WAIT)
			return &model->entries[i];
	return NULL;
}

static struct lease_process process_of(const struct wire_event *e)
{
	struct lease_process process = {.key = {e->start, e->pid, e->exec}, .uid = e->uid};

	strncpy(process.comm, e->comm, WIRE_COMM);
	return process;
}

static void entry_describe(struct entry *entry, const struct wire_event *e)
{
	entry->lease.flags = e->flags;
	entry->lease.device = e->device;
	memcpy(entry->lease.local, e->local, 16);
}

static void entry_peer(struct entry *entry, const struct wire_event *e)
{
	if (!(e->flags & WIRE_HAS_OTHER))
		return;
	entry->lease.other_port = e->other_port;
	memcpy(entry->lease.other, e->other, 16);
}

static void entry_state(struct entry *entry, uint8_t state, uint64_t time)
{
	if (entry->lease.state == state)
		return;
	entry->lease.state = state;
	entry->lease.since = time;
	entry->from_seed = false;
}

static struct entry *entry_open(struct model *model, const struct wire_event *e)
{
	struct entry *old = entry_live(model, e->socket), *entry;

	if (old && !(e->header.type == WIRE_SEED))
		entry_close(model, old, e->header.time);
	assert_true(model->count < LEASES);
	entry = &model->entries[model->count++];
	*entry = (struct entry){.lease = {
					.socket = e->socket,
					.since = e->header.time,
					.netns = e->netns,
					.protocol = e->protocol,
					.family = e->family,
					.local_port = e->local_port,
				}};
	entry_describe(entry, e);
	entry->was_any = !memcmp(e->local, nothing, 16);
	model->opened++;
	return entry;
}

static void model_reuse(struct model *model, const struct wire_event *e)
{
	for (unsigned int i = model->count; i-- > 0;) {
		const struct entry *entry = &model->entries[i];
		const struct lease *lease = &entry->lease;

		if (lease->state == LEASE_TIME_WAIT && entry->ends == lease->expires &&
		    lease->netns == e->netns && lease->protocol == e->protocol &&
		    lease->local_port == e->local_port && lease->other_port == e->other_port &&
		    !memcmp(lease->local, e->local, 16) && !memcmp(lease->other, e->other, 16))
			entry_delete(model, i);
	}
}

static void model_call(struct model *model, const struct wire_event *e)
{
	struct entry *entry;
	bool connects = !e->error && (e->trigger == WIRE_CONNECT || e->trigger == WIRE_SUBFLOW ||
				      (e->trigger == WIRE_SEND && e->flags & WIRE_IN_PROGRESS));

	if (!e->local_port)
		return;
	if (!e->error && e->trigger == WIRE_CONNECT)
		model_reuse(model, e);
	entry = entry_live(model, e->socket);
	if (e->flags & WIRE_CLAIMED) {
		entry = entry_open(model, e);
		entry->lease.claimed = e->header.time;
		entry->lease.trigger = e->trigger;
		entry->lease.origin = e->origin;
		entry->lease.claimant = process_of(e);
	} else if (!entry || entry->lease.local_port != e->local_port) {
		if (e->error)
			return;
		entry = entry_open(model, e);
		entry->lease.holder = process_of(e);
	} else {
		entry_describe(entry, e);
		if (!e->error && !connects)
			entry->was_any = !memcmp(e->local, nothing, 16);
	}
	if (connects) {
		entry_peer(entry, e);
		entry_state(entry,
			    e->flags & WIRE_IN_PROGRESS ? LEASE_CONNECTING : LEASE_ESTABLISHED,
			    e->header.time);
	}
	if (!e->error && e->trigger == WIRE_LISTEN)
		entry_state(entry, LEASE_LISTEN, e->header.time);
}

static void model_outcome(struct model *model, const struct wire_event *e)
{
	struct entry *entry = entry_live(model, e->socket);
	bool failed = e->error || e->flags & WIRE_ABORTED;

	if (!entry || entry->lease.local_port != e->local_port) {
		if (failed)
			return;
		entry = entry_open(model, e);
		entry->lease.holder = process_of(e);
		entry_peer(entry, e);
		entry->lease.state = LEASE_ESTABLISHED;
		return;
	}
	entry_describe(entry, e);
	if (!failed) {
		entry_peer(entry, e);
		entry_state(entry, LEASE_ESTABLISHED, e->header.time);
		return;
	}
	entry->lease.other_port = 0;
	memset(entry->lease.other, 0, 16);
	if (entry->was_any)
		memset(entry->lease.local, 0, 16);
	entry_state(entry, LEASE_BOUND, e->header.time);
}

static void model_over(struct model *model, const struct wire_event *e)
{
	uint64_t claimed = e->duration ? e->header.time - e->duration : 0;

	for (int live = 0; live < 2; live++) {
		for (unsigned int i = 0; i < model->count; i++) {
			struct entry *entry = &model->entries[i];
			const struct lease *lease = &entry->lease;

			if (lease->socket != e->socket || lease->local_port != e->local_port ||
			    lease->other_port != e->other_port ||
			    memcmp(lease->other, e->other, 16) != 0)
				continue;
			if ((lease->state == LEASE_TIME_WAIT) == live)
				continue;
			if (live && (lease->share ? 0 : lease->claimed) != claimed)
				continue;
			entry_close(model, entry, e->header.time);
			return;
		}
	}
	model->unknown++;
}

static void model_release(struct model *model, const struct wire_event *e)
{
	struct entry *entry = entry_live(model, e->socket);
	uint64_t time = e->header.time;

	if (e->flags & WIRE_TIME_WAIT_OVER) {
		model_over(model, e);
	} else if (!entry) {
		model->unknown++;
	} else if (e->flags & WIRE_TIME_WAIT) {
		if (e->other_port)
			entry_peer(entry, e);
		entry->lease.flags = e->flags;
		entry->lease.expires = time + LEDGER_TIME_WAIT;
		entry->ends = time + (e->flags & WIRE_ESTIMATED ? LEDGER_TIME_WAIT : LEDGER_LOST);
		entry_state(entry, LEASE_TIME_WAIT, time);
	} else {
		entry_close(model, entry, time);
	}
}

unsigned int reached(uint8_t family, const uint8_t address[16], uint32_t flags)
{
	if (family == 4)
		return address[0] ? 1u << (address[3] - 1) : 1 | 2;
	if (address[10])
		return 1u << (address[15] - 1);
	if (address[0])
		return 4;
	return flags & WIRE_V6ONLY ? 4 : 1 | 2 | 4;
}

bool same_table(uint16_t protocol, uint16_t other)
{
	return protocol == other || (protocol == 6 && other == 262) ||
	       (protocol == 262 && other == 6);
}

static bool model_listens_for(const struct lease *listener, const struct lease *lease)
{
	return listener->state == LEASE_LISTEN && listener->netns == lease->netns &&
	       listener->local_port == lease->local_port &&
	       (lease->protocol == 6 || lease->protocol == 262) &&
	       same_table(listener->protocol, lease->protocol) &&
	       reached(listener->family, listener->local, listener->flags) &
		       reached(lease->family, lease->local, lease->flags);
}

static void model_seed(struct model *model, const struct wire_event *e)
{
	static const uint8_t states[13] = {
		[2] = LEASE_CONNECTING,
		[6] = LEASE_TIME_WAIT,
		[7] = LEASE_BOUND,
		[10] = LEASE_LISTEN,
	};
	struct entry *entry;

	for (unsigned int i = 0; i < model->count; i++)
		if (model->entries[i].lease.socket == e->socket)
			return;
	entry = entry_open(model, e);
	entry_peer(entry, e);
	entry->from_seed = true;
	entry->lease.since = 0;
	entry->lease.state = states[e->state] || e->state == 7 ? states[e->state]
							       : LEASE_ESTABLISHED;
	entry->lease.holder = process_of(e);
	if (entry->lease.state == LEASE_TIME_WAIT)
		entry->ends = entry->lease.expires = e->header.time + LEDGER_TIME_WAIT;
	for (unsigned int i = 0; i < model->count; i++) {
		struct entry *other = &model->entries[i];

		if (other->from_seed && other->lease.state == LEASE_ESTABLISHED &&
		    !other->lease.share && model_listens_for(&entry->lease, &other->lease))
			other->lease.share = true; /* and nobody knows its claimant */
	}
	if (entry->lease.state != LEASE_ESTABLISHED)
		return;
	for (unsigned int i = 0; i < model->count; i++) {
		const struct lease *other = &model->entries[i].lease;

		if (model_listens_for(other, &entry->lease))
			entry->lease.share = true;
	}
}

void model_take(struct model *model, const struct wire_event *e)
{
	memset(&model->closed, 0, sizeof(model->closed));
	model->lingered = 0;
	if (e->header.time > model->now)
		model->now = e->header.time;
	for (unsigned int i = 0; i < model->count;)
		if (model->entries[i].ends && model->entries[i].ends <= model->now)
			entry_delete(model, i);
		else
			i++;
	if (e->header.type == WIRE_CALL)
		model_call(model, e);
	else if (e->header.type == WIRE_OUTCOME)
		model_outcome(model, e);
	else if (e->header.type == WIRE_RELEASE)
		model_release(model, e);
	else
		model_seed(model, e);
}
