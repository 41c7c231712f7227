/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One run of `portsnoop who`: what was asked for, the ways to answer, the waits. */
#ifndef PORTSNOOP_WHO_H
#define PORTSNOOP_WHO_H

#include "command/who_view.h"
#include "service/client.h"
#include "sink/output.h"

struct who {
	struct subjects subjects;
	struct port_set ports; /* of all subjects */
	struct lookup_query query;
	struct lookup *lookup;
	struct service_answer watched;
	struct pool pool;
	struct netns_list names; /* read once a foreign namespace is to be named */
	char host[64];
	struct who_view view;
	struct output output;
	bool json;
	uint64_t timeout; /* of a wait, ns; 0: none */
};

/* As grep: 1 is an answer. */
#define WHO_FOUND 0
#define WHO_NOBODY 1
#define WHO_ERROR 2

/* What has the ports now. 0, or negative errno, and that was said. */
int who_look(struct who *who, struct holdings *holdings);

/* Prints who it is, with what a portsnoop that watches knows of it; the exit status. */
int who_answer(struct who *who, const struct holdings *holdings);

/* Writes what is pending. The status, or WHO_ERROR after a message. */
int who_flush(struct who *who, int status);

/* Until somebody has one of the ports. The exit status. */
int who_wait_claim(struct who *who);

/* Until all of the ports are free. The exit status. */
int who_wait_free(struct who *who);

#endif
