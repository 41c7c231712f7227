/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Asks the portsnoop that has been watching the longest who has a port. */
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

#endif
