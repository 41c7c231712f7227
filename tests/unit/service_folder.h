/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A service in a folder of the test's own, and one who asks it. */
#ifndef PORTSNOOP_TESTS_SERVICE_FOLDER_H
#define PORTSNOOP_TESTS_SERVICE_FOLDER_H

#include "service/client.h"
#include "service/server.h"
#include "service_world.h"

#define LONG_MS 20000 /* nothing waits for its end */

extern char service_folder[];
extern struct service_place service_place;
extern struct service_query service_all; /* all ports, of whoever is there */
int service_folder_make(void **state);
int service_folder_remove(void **state); /* fails if something is left in it */

const char *service_path(const char *name); /* of a file in it; valid until the next call */
const char *service_own_name(void);	    /* of the socket of this process */

struct server *service_start(const struct world *world, unsigned int patience_ms);
bool service_ready(const struct server *server); /* there is something to do */
void service_step(struct server *server);	 /* awaits it, and does it */

/* `ask` in a thread, while this one serves. */
void service_serve(struct server *server, void (*ask)(void *context), void *context);

/* What service_query() returns meanwhile. */
int service_ask_in_thread(struct server *server, const struct service_query *query,
			  struct service_answer *answer);

#endif
