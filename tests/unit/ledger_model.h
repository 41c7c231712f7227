/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The ledger as a model that is too simple to be wrong: one array, searched from end to
 * end, written from the words of ledger.h. */
#ifndef PORTSNOOP_LEDGER_MODEL_H
#define PORTSNOOP_LEDGER_MODEL_H

#include "model/ledger.h"

#define LEASES 4096

struct entry {
	struct lease lease;
	uint64_t ends;	/* by itself; 0: never */
	bool was_any;	/* what a failed connect goes back to */
	bool from_seed; /* and still in that state */
};

struct model {
	struct entry entries[LEASES]; /* in the order in which they were opened */
	unsigned int count;
	uint64_t now;
	uint64_t opened, unknown;
	struct lease closed;
	uint64_t lingered;
};

/* A record that the ledger takes in as well. */
void model_take(struct model *model, const struct wire_event *e);

/* The socket's entry that is not in TIME_WAIT; NULL: none. */
struct entry *entry_live(struct model *model, uint64_t socket);

/* Which of the three addresses that there are reach a socket: 4 a, 4 b and 6 c. */
unsigned int reached(uint8_t family, const uint8_t address[16], uint32_t flags);

/* Whether two protocols have their ports in common. */
bool same_table(uint16_t protocol, uint16_t other);

#endif
