/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes as the stream tells of them, and what follows from their cgroup
 * path. No I/O: everything comes from WIRE_PROCESS and WIRE_USER records.
 */
#ifndef PORTSNOOP_PROCESS_H
#define PORTSNOOP_PROCESS_H

#include <portsnoop/wire.h>
#include <stdbool.h>
#include <stddef.h>

/* (pid, start, exec): equal in two records only if the process is the same one
 * and runs the same program. */
struct process_key {
	uint64_t start;
	uint32_t pid;
	uint32_t exec;
};

/* The same process, where a start time may come from /proc, which has it in ticks of
 * 10 ms; exec is not looked at. */
bool process_key_near(const struct process_key *a, const struct process_key *b);

/* Derived from a cgroup path, see container.h. Empty strings: not known. */
struct container {
	char id[72];	  /* container id, as the runtime writes it, at most 64 */
	char runtime[16]; /* docker, podman, containerd, cri-o, lxc, systemd-nspawn */
	char pod[40];	  /* Kubernetes pod uid */
	char unit[128];	  /* systemd unit: app.service, session-3.scope */
};

struct process {
	struct process_key key;
	uint64_t serial; /* from 1, another one for each record taken in: whoever caches
			  * what it made of a process compares this */
	uint64_t cgroup_id;
	uint64_t parent_start;
	uint32_t namespace_pid;
	uint32_t parent_pid;
	uint32_t root; /* as in the record */
	uint32_t uid;
	uint32_t gid;
	uint32_t flags; /* enum wire_process_flag */
	char comm[WIRE_COMM + 1];
	char parent_comm[WIRE_COMM + 1];
	/* A path begins with "/"; one that was too long for its record and lacks the
	 * components nearest the root begins with ".../". */
	const char *exe; /* root first; NULL: unknown */
	size_t exe_length;
	const char *args; /* each ended by a NUL; NULL: unknown */
	size_t args_length;
	const char *cgroup; /* root first; NULL: unknown */
	size_t cgroup_length;
	struct container container;
};

struct process_table;

/* Holds at most `limit` processes, and of their texts at most 1 KiB for each of
 * these on average; the least recently used one goes first. It keeps as many names
 * of users, the oldest one goes first. NULL without memory. */
struct process_table *process_table_new(size_t limit);
void process_table_free(struct process_table *table);

/* Takes in a record whose sizes decode.c has checked. 0, or -ENOMEM. */
int process_table_add(struct process_table *table, const struct wire_process *record);

/* Owned by the table, valid until the next call of process_table_add(). NULL:
 * unknown. Counts as a use. */
const struct process *process_table_find(struct process_table *table,
					 const struct process_key *key);

/* The same, but not counted as a use: whoever asks from outside of the stream must not
 * change what becomes of it. */
const struct process *process_table_peek(const struct process_table *table,
					 const struct process_key *key);

/* Names of user ids. `name` is copied. */
int process_table_name_user(struct process_table *table, uint32_t uid, const char *name);
const char *process_table_user(const struct process_table *table, uint32_t uid);

#endif
