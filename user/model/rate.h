/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who claims ports, and how fast: the readings of a tally one after the other, grouped.
 * What a row of the tally counted stays in its group when the row has gone. No I/O.
 *
 * In each interval and since the start, of every count:
 *
 *	rows + everything else + overflow = total
 */
#ifndef PORTSNOOP_RATE_H
#define PORTSNOOP_RATE_H

#include "model/process.h"
#include "model/rate_counts.h"

/* By destination there is only what the kernel chose: see struct tally_place. */
enum rate_by {
	RATE_PROCESS,
	RATE_COMM, /* of all processes that had this name at their first call */
	RATE_UNIT,
	RATE_CONTAINER,
	RATE_USER,
	RATE_DESTINATION,
	RATE_PORT_CLASS,
	RATE_NETNS,
	RATE_BYS
};

const char *rate_by_name(enum rate_by by); /* "port-class" */

enum rate_kind {
	RATE_KNOWN,
	RATE_NONE,    /* outside of every unit or container; without another side */
	RATE_UNKNOWN, /* the kernel could not tell */
};

/* What a group is about: equal in two of them only if they are the same. Zero is what does
 * not belong to the dimension. */
struct rate_subject {
	uint64_t start; /* process: CLOCK_BOOTTIME */
	uint32_t pid;
	uint32_t number;   /* user or netns */
	uint16_t protocol; /* destination, also below */
	uint16_t port;
	uint8_t family;	 /* 4 for v4-mapped addresses, too */
	uint8_t trigger; /* RATE_NONE: the call that has no other side */
	uint8_t class;	 /* port-class: enum tally_class */
	uint8_t origin;	 /* port-class: enum wire_origin */
	uint8_t kind;	 /* enum rate_kind */
	uint8_t zero[7];
	uint8_t address[16];
	char name[128]; /* comm, unit, or container id */
};

/* In which the rows of a group differ, so that there is no one value to show. */
enum rate_mixed {
	RATE_MIXED_CGROUP = 1 << 0,
	RATE_MIXED_USER = 1 << 1,
	RATE_MIXED_NETNS = 1 << 2,
	RATE_MIXED_SOURCE = 1 << 3,
	RATE_MIXED_POOL = 1 << 4,
};

#define RATE_HISTORY 30

struct rate_group {
	struct rate_subject subject;
	struct rate_sum sum;
	struct rate_errors errors;   /* none by destination */
	float history[RATE_HISTORY]; /* attempts a second, the newest one last */
	unsigned int mixed;	     /* enum rate_mixed */
	/* Of its rows, unless they are mixed there: */
	uint32_t uid;
	uint32_t netns;
	char comm[WIRE_COMM + 1];   /* process; "": not known */
	struct container container; /* process, unit, container */
	uint8_t source_family;	    /* 0: not known; destination, also below */
	uint8_t source[16];
	uint16_t pool_low;
	uint16_t pool_high;
	struct rate_counts gone; /* of rows that are gone */
	bool live;		 /* the newest reading has a row of it */
};

struct rate;

struct rate_result {
	enum rate_by by;
	uint64_t interval; /* ns that the newest interval took; more than 0 */
	uint64_t since;	   /* ns since the start; more than 0 */
	/* Those with most attempts in the interval first, then most since the start. */
	struct rate_group *const *rows;
	size_t count;
	struct rate_sum rest;	  /* groups that are not in `rows` */
	size_t rest_count;	  /* how many: those that are forgotten by name count once each */
	struct rate_sum overflow; /* found no room in the tally: of no group */
	struct rate_sum total;
	const struct rate_errors *errors; /* of all */
};

/* `time` is CLOCK_MONOTONIC when the tally began. NULL without memory. */
struct rate *rate_new(enum rate_by by, uint64_t time);
void rate_free(struct rate *rate);

/* The next interval. 0 or -ENOMEM, and what is counted is of no use then. */
int rate_take(struct rate *rate, const struct tally_reading *reading);

/* The first `top` groups; valid until the next call of rate_take(). */
struct rate_result rate_result(const struct rate *rate, size_t top);

#endif
