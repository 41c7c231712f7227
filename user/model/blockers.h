/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Leases that stand in the way, the most telling ones first. */
#ifndef PORTSNOOP_BLOCKERS_H
#define PORTSNOOP_BLOCKERS_H

#include "model/ledger.h"

/* Counts the lease, and keeps it if it is one of the first LEDGER_BLOCKERS in the order of
 * ledger_blockers(). */
void blockers_add(struct blockers *blockers, const struct lease *lease);

#endif
