/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `portsnoop explain` was asked for, and the two ways to answer. */
#ifndef PORTSNOOP_EXPLAIN_H
#define PORTSNOOP_EXPLAIN_H

#include "lib/buffer.h"
#include "ports/iana.h"
#include "ports/known_uses.h"
#include "probe/pool.h"

#define EXPLAIN_ALL (IANA_TCP | IANA_UDP | IANA_SCTP | IANA_DCCP)

/* Made by command/subject.h. */
struct explain_subject {
	const char *query;		   /* the operand */
	const char *service;		   /* the registry's name, if it was asked by name */
	const struct iana_entry *portless; /* that service has no port; else NULL */
	uint16_t low;
	uint16_t high;
	unsigned int protocols; /* enum iana_protocol, those asked for */
};

/* What the registry says of a port, over all protocols asked for: the first
 * that holds. */
enum explain_status {
	EXPLAIN_ASSIGNED,
	EXPLAIN_USED,
	EXPLAIN_RESERVED,
	EXPLAIN_UNASSIGNED,
	EXPLAIN_NO_ENTRY,
	EXPLAIN_DYNAMIC, /* never assigned */
	EXPLAIN_STATUSES
};

enum explain_status explain_status(uint16_t port, unsigned int protocols);
const char *explain_status_name(enum explain_status status); /* "never-assigned" */

/* Does the entry speak of one of these protocols? */
bool explain_covers(const struct iana_entry *entry, unsigned int protocols);
/* Does a use meet the subject? */
bool explain_meets(const struct known_use *use, const struct explain_subject *subject);

/* How many ports from low to high, both included, have each status. */
void explain_count(const struct explain_subject *subject, unsigned int count[EXPLAIN_STATUSES]);

/* The ports of low-high that are in the kernel's range, and those of these that
 * are reserved (0 when that is not known). */
void explain_pool(const struct explain_subject *subject, const struct pool *pool,
		  unsigned int *inside, unsigned int *reserved);

/* The ports of low-high that are in ip_local_reserved_ports; that are privileged. */
unsigned int explain_reserved(const struct explain_subject *subject, const struct pool *pool);
unsigned int explain_privileged(const struct explain_subject *subject, const struct pool *pool);

/* Why a setting is absent, for an error of struct pool. */
const char *explain_reason(int error);

/* The bit of "tcp"; 0: none of that name. */
unsigned int explain_protocol(const char *name);

/* The protocols of a mask with `between` between them. */
void explain_protocols(struct buffer *out, unsigned int protocols, const char *between);

void explain_text(struct buffer *out, const struct explain_subject *subject,
		  const struct pool *pool, const char *proc);
void explain_json(struct buffer *out, const struct explain_subject *subject,
		  const struct pool *pool, const char *proc);

#endif
