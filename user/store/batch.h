/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What waits to be written: operations, one behind the other, in pieces of memory that
 * never move. For store.c, which fills it, and write.c, which walks over it, as often as
 * it takes until the database has it.
 */
#ifndef PORTSNOOP_STORE_BATCH_H
#define PORTSNOOP_STORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op_type {
	OP_NONE,    /* taken back */
	OP_KIND,    /* struct op_kind */
	OP_PROGRAM, /* struct op_program */
	OP_PROCESS, /* struct op_process */
	OP_OPEN,    /* struct op_lease, also the next two */
	OP_CHANGE,
	OP_CLOSE,
	OP_FAILURE, /* struct op_failure */
	OP_GAP,	    /* struct op_gap */
};

struct op {
	uint16_t type;
	uint16_t zero;
	uint32_t size; /* bytes, this included, multiple of 8 */
};

/* What many leases have in common. No padding: it is a key. */
struct kind_key {
	uint32_t netns;
	uint32_t device;
	uint32_t flags;
	uint32_t error;
	uint16_t protocol;
	uint16_t pool_low, pool_high;
	uint8_t family, trigger, origin, outcome, ending, zero;
};

struct op_kind {
	struct op op;
	uint32_t id;
	uint32_t run;
	struct kind_key key;
};

struct op_program {
	struct op op;
	uint32_t id;
	char bytes[]; /* see program.h */
};

struct op_process {
	struct op op;
	uint64_t start;
	uint32_t id, program;
	uint32_t pid, exec;
	uint32_t namespace_pid, parent_pid; /* 0: not known */
};

/* Of a failure `claimed` is its time. -1: STORE_UNKNOWN. */
struct op_lease {
	struct op op;
	uint64_t id; /* in the table of open leases; 0: it is not there */
	int64_t claimed, held, lingered, answered;
	uint32_t process, kind;
	uint16_t port, remote_port;
	uint8_t family;
	bool peer;
	uint8_t address[32]; /* local, then remote; as many bytes as the family has */
};

struct op_blocker {
	int64_t since;
	uint32_t process, ports;
	uint16_t port, remote_port;
	uint8_t family;
	bool peer;
	uint8_t local[16], remote[16];
	char role[24], state[24]; /* empty: none */
};

struct op_failure {
	struct op op;
	uint32_t total, count;
	char reason[64]; /* empty: none */
	struct op_lease claim;
	struct op_blocker blockers[];
};

struct op_gap {
	struct op op;
	uint32_t reason;
	int64_t from, until;
	uint64_t count;
};

struct batch_piece;

struct batch {
	struct batch_piece *first, *last;
	size_t bytes, limit;
	uint64_t entries;	  /* leases that ended, and failures */
	struct op_lease **opened; /* OP_OPEN by id - opened_first; NULL: taken back */
	size_t opened_count, opened_room;
	uint64_t opened_first;
};

/* Zeroed memory; NULL: there is no room. */
void *batch_add(struct batch *batch, enum op_type type, size_t size);
/* Remembers an OP_OPEN. Their ids are one behind the other. False without memory. */
bool batch_opened(struct batch *batch, struct op_lease *lease);
/* The OP_OPEN of this id, if it has not been written yet. */
struct op_lease *batch_find_opened(const struct batch *batch, uint64_t id);
void batch_take_back(struct batch *batch, struct op_lease *lease);

/* NULL begins, NULL ends. */
struct batch_place {
	const struct batch_piece *piece;
	size_t at;
};
const struct op *batch_next(const struct batch *batch, struct batch_place *place);

void batch_clear(struct batch *batch); /* keeps a little memory for the next one */
void batch_free(struct batch *batch);

#endif
