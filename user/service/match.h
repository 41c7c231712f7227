/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which lease is that of a socket that the kernel lists. Pure. */
#ifndef PORTSNOOP_SERVICE_MATCH_H
#define PORTSNOOP_SERVICE_MATCH_H

#include "model/holding.h"
#include "service/answer.h"

struct service_found {
	/* NULL: none, or there is no telling which. */
	const struct service_lease *lease;
	/* Other than `lease`: it is one of several that one process claimed, of which
	 * `lease` is the first and this is the last. The claimant is all that is known. */
	const struct service_lease *last;
	bool share; /* accepted: the claim is that of the socket that listened */
};

/*
 * The lease with the holding's network namespace, protocol, local and remote address and
 * port. Of several (SO_REUSEPORT) the one that a process of the holding claimed or had.
 * Without any, and if the holding has a peer, that of the listener whose share it is.
 */
struct service_found service_match(const struct service_answer *answer,
				   const struct holding *holding);

/* The process has the holding open. */
bool service_process_holds(const struct lease_process *process, const struct holding *holding);

#endif
