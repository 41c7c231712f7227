/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel has counted so far, read at one moment; see <portsnoop/tally.h>. Plain
 * data, summed over the CPUs. No I/O here: user/probe/tally.h reads it.
 */
#ifndef PORTSNOOP_MODEL_TALLY_H
#define PORTSNOOP_MODEL_TALLY_H

#include <portsnoop/tally.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tally_row {
	struct tally_key key;
	struct tally_counts counts;
	/* The kernel counts nothing for this key any more (its process has ended, and all
	 * that it claimed is given back), and the next reading does not have it. */
	bool last;
};

struct tally_place_row {
	struct tally_place place;
	struct tally_counts counts;
	bool last; /* as above: nothing is held there, and nobody came for a while */
};

struct tally_error_row {
	struct tally_error error;
	uint64_t count;
	bool last; /* with its key */
};

struct tally_process_row {
	uint64_t start;
	uint32_t pid;
	char comm[WIRE_COMM + 1];
};

struct tally_cgroup_row {
	uint64_t id;
	char *path; /* root first, "/": the root itself; hostile bytes; NULL: not known */
};

/* Counts since the tally began; rows by key, the others in no order unless said so. What is not in a row is in `rest`: each total
 * is exact. */
struct tally_reading {
	uint64_t time; /* CLOCK_MONOTONIC, ns */
	int64_t wall;  /* CLOCK_REALTIME, ns */
	struct tally_row *rows;
	size_t row_count;
	struct tally_place_row *places;
	size_t place_count;
	struct tally_error_row *errors;
	size_t error_count;
	struct tally_process_row *processes; /* by pid, then start */
	size_t process_count;
	struct tally_cgroup_row *cgroups; /* by id */
	size_t cgroup_count;
	struct tally_counts rest[TALLY_RESTS];
	uint64_t untracked; /* calls or sockets for which a map had no room */
	uint64_t skipped;   /* runs that the kernel left out; UINT64_MAX: it does not tell */
	bool estimated;	    /* TIME_WAIT is inferred, its end unknown: the tracepoint tier */
};

void tally_reading_free(struct tally_reading *reading); /* what it owns */

/* Puts in order what is to be found below; user/probe/tally.h has done it. */
void tally_reading_sort(struct tally_reading *reading);

/* NULL: there is none. */
const struct tally_row *tally_row_find(const struct tally_reading *reading,
				       const struct tally_key *key);
const struct tally_process_row *tally_process_find(const struct tally_reading *reading,
						   uint64_t start, uint32_t pid);
const struct tally_cgroup_row *tally_cgroup_find(const struct tally_reading *reading, uint64_t id);

/* NULL: not known. */
const char *tally_comm(const struct tally_reading *reading, uint64_t start, uint32_t pid);
const char *tally_cgroup(const struct tally_reading *reading, uint64_t id);

/* Adds b to a, or takes it away. */
void tally_add(struct tally_counts *a, const struct tally_counts *b);
void tally_subtract(struct tally_counts *a, const struct tally_counts *b);

/* Of what was claimed since the tally began, held now, TIME_WAIT included. */
uint64_t tally_held(const struct tally_counts *counts);

#endif
