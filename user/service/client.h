/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Asks the portsnoop that has been watching the longest who has a port, or all of them
 * how it is going. */
#ifndef PORTSNOOP_SERVICE_CLIENT_H
#define PORTSNOOP_SERVICE_CLIENT_H

#include "service/answer.h"

/*
 * Fills in the answer, which the caller gives back with service_answer_free() whatever
 * comes of it. Returns how many services there are; the facts of the answer say which one
 * it was. 0: none. If there are some, and none answered within the time: negative errno.
 * answer->why tells it to people, beginning with whom it is about, and is set as well if
 * another one had to be asked instead.
 */
int service_query(const struct service_query *query, unsigned int timeout_ms,
		  struct service_answer *answer);

struct service_report {
	uint32_t pid; /* as seen from here; if that cannot be, as its socket is named */
	struct service_status status;
};

/*
 * The status of all that answer within the time: those that record first, then those that
 * have been watching longer. *reports is the caller's to free(), *count is how many.
 * Returns how many services there are; 0: none. If there are some, and none answered:
 * negative errno. `why` is for people, empty if all of them answered.
 */
int service_ask_status(const struct service_place *place, unsigned int timeout_ms,
		       struct service_report **reports, size_t *count, char *why, size_t size);

#endif
