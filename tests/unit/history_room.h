/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A database of the history with random contents, and the same in plain arrays. */
#ifndef TEST_HISTORY_ROOM_H
#define TEST_HISTORY_ROOM_H

#include <sqlite3.h>

#include "store/history.h"

#define ROOM_NOW INT64_C(1800000000000000000)

struct room_name {
	int64_t run, started, alive, ended; /* 0: NULL */
};

struct room_process {
	uint32_t pid;
	const char *comm, *exe, *unit, *container; /* NULL: not known */
};

struct room_kind {
	unsigned int run; /* from 1, an index; also below */
	const char *protocol;
	uint16_t number;
	uint32_t flags;
	uint8_t outcome, ending;
};

struct room_lease {
	enum history_kind what;
	bool open;
	int64_t id, claimed, held, lingered, answered;
	unsigned int kind, process, local, remote;
	uint16_t port, remote_port;
	unsigned int blockers, blocked_total;
};

struct room_gap {
	int64_t id, since, until, count;
	unsigned int reason;
};

#define ROOM_RUNS 3
#define ROOM_PROCESSES 40
#define ROOM_ADDRESSES 12
#define ROOM_KINDS 24
#define ROOM_GAPS 20

struct room {
	char folder[64], path[96];
	sqlite3 *db; /* the writer, in WAL mode */
	uint64_t random;
	struct room_name runs[ROOM_RUNS + 1];
	struct room_process processes[ROOM_PROCESSES + 1];
	char exes[ROOM_PROCESSES + 1][32], ids[ROOM_PROCESSES + 1][72];
	const char *addresses[ROOM_ADDRESSES + 1];
	struct room_kind kinds[ROOM_KINDS + 1];
	struct room_gap gaps[ROOM_GAPS + 4];
	unsigned int gap_count;
	struct room_lease *leases; /* and failures */
	size_t lease_count;
	int64_t oldest; /* nothing is from before; INT64_MIN: not trimmed */
};

uint64_t room_random(struct room *room, uint64_t below);

/* An empty database, without even its tables. */
void history_room_make(struct room *room, uint64_t seed);
/* `leases` in short segments, and some of everything else. */
void room_fill(struct room *room, size_t leases);
void history_room_remove(struct room *room);

void room_sql(struct room *room, const char *sql);

/* Lines that say all of a row; free them. */
struct room_lines {
	char **lines;
	size_t count;
};
/* What the arrays answer, in order. */
void room_answer(struct room *room, const struct history_query *query, struct room_lines *lines);
int room_line(void *lines, const struct history_row *row); /* a history_visitor */
void room_lines_free(struct room_lines *lines);

#endif
