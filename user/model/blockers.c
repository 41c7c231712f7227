/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/blockers.h"

/* Smaller comes first: what a person can do something about. */
static unsigned int state_rank(uint8_t state)
{
	static const uint8_t ranks[LEASE_STATES] = {
		[LEASE_LISTEN] = 0,	 [LEASE_BOUND] = 1,	[LEASE_CONNECTING] = 2,
		[LEASE_ESTABLISHED] = 3, [LEASE_TIME_WAIT] = 4,
	};

	return ranks[state];
}

static bool lease_before(const struct lease *a, const struct lease *b)
{
	if (state_rank(a->state) != state_rank(b->state))
		return state_rank(a->state) < state_rank(b->state);
	return a->claimed < b->claimed;
}

void blockers_add(struct blockers *blockers, const struct lease *lease)
{
	unsigned int at = blockers->count;

	blockers->total++;
	while (at && lease_before(lease, blockers->lease[at - 1]))
		at--;
	if (at == LEDGER_BLOCKERS)
		return;
	if (blockers->count < LEDGER_BLOCKERS)
		blockers->ports[blockers->count++] = 1;
	for (unsigned int i = blockers->count - 1; i > at; i--)
		blockers->lease[i] = blockers->lease[i - 1];
	blockers->lease[at] = lease;
}
