/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What metrics should come to, recounted in a way that is too simple to be wrong: it adds to
 * numbers under the very names that the page has. */
#ifndef PORTSNOOP_METRICS_RECOUNT_H
#define PORTSNOOP_METRICS_RECOUNT_H

#include <uthash.h>

#include "model/ledger.h"

#define RECOUNT_MOST 100000 /* durations of a kind */
#define RECOUNT_LEASES 8192

/* The pool of every namespace, and who runs as what: process_words(). */
#define POOL_LOW 32768
#define POOL_HIGH 32807

struct number {
	UT_hash_handle hh;
	uint64_t count;
	char name[];
};

struct recount {
	struct number *numbers;
	unsigned int kinds[3]; /* names seen: units, containers, processes */
	struct number *owners;
	uint64_t connects[RECOUNT_MOST], leases[2][RECOUNT_MOST]; /* ns */
	unsigned int connect_count, lease_count[2];
};

struct leases {
	struct lease list[RECOUNT_LEASES];
	unsigned int count;
};

/* It is made if it is not there. */
struct number *number_get(struct number **numbers, const char *name);
void numbers_free(struct number **numbers);

/* What kind of owner process `pid` is, and its name as a label has it: every third runs in a
 * unit, in a container, or in neither. */
void process_words(uint32_t pid, char *kind, char *name);

void recount_record(struct recount *recount, const struct wire_event *e);
void recount_ended(void *context, const struct lease *lease, enum lease_ending ending,
		   uint64_t time); /* context: the recount */
/* As of now; `destinations`: how many ports, by name. Both are added to. */
void recount_leases(struct number **numbers, struct number **destinations,
		    const struct leases *leases);

#endif
