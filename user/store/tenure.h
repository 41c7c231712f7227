/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a lease of the ledger lacks to be a row of the history: how its claim came out, and
 * what its records said on the way. For whoever watches a ledger (struct lease_watcher):
 * who records into a database, and who makes leases of a fleet's events.
 */
#ifndef PORTSNOOP_STORE_TENURE_H
#define PORTSNOOP_STORE_TENURE_H

#include "model/ledger.h"
#include "store/store.h"

struct tenure {
	uint64_t answered; /* ns after the claim; STORE_UNKNOWN: no answer yet */
	int64_t claimed;   /* CLOCK_REALTIME, ns */
	uint64_t began;	   /* the same, in the ledger's time */
	uint32_t flags;
	uint32_t error;
	uint16_t pool_low, pool_high;
	uint16_t remote_port; /* a connect that fails leaves no peer behind */
	uint8_t outcome;
	uint8_t remote[16];
};

/* When the lease was opened by `record`. */
void tenure_open(struct tenure *tenure, const struct lease *lease, const struct wire_event *record,
		 uint64_t began, int64_t claimed);
/* When `record` has changed it. */
void tenure_change(struct tenure *tenure, const struct lease *lease,
		   const struct wire_event *record);

/* As it is held; all but `process`. */
void tenure_fill(const struct tenure *tenure, const struct lease *lease, struct store_lease *row);
/* As it has ended, at `time` in the ledger's time. */
void tenure_fill_ended(const struct tenure *tenure, const struct lease *lease,
		       enum lease_ending ending, uint64_t time, struct store_lease *row);

/* A call that failed; all but `process`. */
void tenure_fill_failure(const struct wire_event *call, int64_t time, struct store_lease *claim);

/* Whose the row is: the claimant, or who had the socket open if the claim was not seen. */
const struct lease_process *tenure_owner(const struct lease *lease);

#endif
