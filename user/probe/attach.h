/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs in the kernel: which hooks make up a tier, loading, attaching, and
 * the report of it. A tier is there if its needed hooks attach; what else a kernel
 * lacks costs the claim kinds that hang on it, not the start.
 */
#ifndef PORTSNOOP_ATTACH_H
#define PORTSNOOP_ATTACH_H

#include <portsnoop/config.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_map;
struct filter; /* model/filter.h */
struct probe;

struct probe_options {
	enum wire_tier tier; /* 0: the best that attaches */
	uint64_t ring_bytes; /* a power of two, at least a page; 0: the default */
	bool releases;	     /* send WIRE_RELEASE */
	bool ledger;	     /* send WIRE_SEED for each socket that is there, unless `tree` */
	bool tree;	     /* only processes given to probe_tree_add() and theirs */
	bool tally;	     /* count and send nothing; alone, with a ring of one page */
	uint64_t heartbeat;  /* ns between two WIRE_HEARTBEAT of the session; 0: none */
	/* Its processes (--pid) are followed: the records of their descendants name them.
	 * NULL: nobody's. Read by probe_open() only. */
	const struct filter *filter;
	bool hold_back; /* what it drops is not sent; not with `ledger` */
};

/* One line of the report. */
struct hook_report {
	const char *program;
	const char *hook;  /* "cgroup/bind4" */
	uint64_t coverage; /* claim kinds that need it */
	int error;	   /* 0: attached; else negative errno */
};

/* Why no tier could be had, for people: what is missing and what to do. */
struct probe_failure {
	int error;
	char text[512];
};

/* Loads and attaches. NULL: *failure tells why. Nothing stays behind then. */
struct probe *probe_open(const struct probe_options *options, struct probe_failure *failure);
void probe_detach(struct probe *probe); /* maps and totals stay readable */
void probe_close(struct probe *probe);

enum wire_tier probe_tier(const struct probe *probe);
uint64_t probe_coverage(const struct probe *probe);
int probe_ring_fd(const struct probe *probe);
size_t probe_ring_bytes(const struct probe *probe);
/* Of the object that is attached. */
const struct bpf_map *probe_map(const struct probe *probe, const char *name);
/* Set by the reader before it sleeps, cleared by who wakes it. */
volatile uint32_t *probe_reader_asleep(const struct probe *probe);
/* Set by who wants the tally to count nothing more. */
volatile uint32_t *probe_tally_stopped(const struct probe *probe);
/* Whether sequence numbers can be had (5.12). */
bool probe_fetch(const struct probe *probe);

/* Notes the sockets that had a port already, and sends them. Call once, after
 * probe_open(). A reader that drains the ring meanwhile keeps it from filling up.
 * Negative errno. */
int probe_snapshot(struct probe *probe);

/* Adds a process to the tree, before it claims anything. */
int probe_tree_add(struct probe *probe, uint32_t pid);

/* Sums over all CPUs. */
void probe_totals(const struct probe *probe, struct cpu_counters *totals);
/* Runs of our programs that the kernel left out; UINT64_MAX: it does not tell. */
uint64_t probe_skipped(const struct probe *probe);

/* The lines of the report, for the tier that was tried last. */
const struct hook_report *probe_report(const struct probe *probe, unsigned int *count);

/* Best first: the first one that can be attached is what a probe takes by itself. */
#define TIER_COUNT 3
extern const enum wire_tier tier_list[TIER_COUNT];

const char *tier_name(enum wire_tier tier); /* "tracepoint" */

#endif
