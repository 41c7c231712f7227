/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parts of the store share; nobody else includes this. */
#ifndef PORTSNOOP_STORE_INSIDE_H
#define PORTSNOOP_STORE_INSIDE_H

#include "lib/buffer.h"
#include "store/writer.h"

#define STORE_KINDS ((size_t)256 << 10) /* bytes to remember, twice this at most */
#define STORE_PROGRAMS ((size_t)512 << 10)
#define STORE_PROCESSES ((size_t)1024 << 10)

/* What is in no database, until a gap can tell. */
struct store_lost {
	bool any;
	int64_t since, until; /* until 0: the next attempt to commit */
	uint64_t count;
};

struct store {
	struct database database;
	struct writer writer;
	struct batch batch;
	struct intern kinds, programs, processes;
	struct buffer program; /* of the process that is given in */
	struct store_run run;
	bool has_run;
	bool forget_open;	   /* what the database has as open is given again */
	bool renew;		   /* the connection, before anything else */
	struct database_file file; /* the one that it is renewed to */
	bool full;		   /* the batch was, since the last success: it is said */
	uint64_t generation;
	uint64_t open; /* next number of an open lease in this run, from 1 */
	struct store_lost lost;
	struct store_status status;
};

/* give.c has the functions that fill the batch. These are for what has no room in it. */
void store_full(struct store *store); /* the batch is dropped; the lease finds room then */
void store_lose(struct store *store); /* one lease or failure */

/* measure.c: asks the database what the status tells. `oldest`: that, too. */
void store_measure(struct store *store, bool oldest);

void store_cleanup(struct store **store);

#endif
