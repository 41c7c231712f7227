/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * When a pool runs out if things go on as they did: a fluid model. Ports are taken at a
 * steady rate, each is held for a time whose mean is known, and a share of them lingers
 * in TIME_WAIT for one of two fixed times. What is held already is given back in the same way;
 * what lingers already ends when its timer says. Pure.
 */
#ifndef PORTSNOOP_POOL_FORECAST_H
#define PORTSNOOP_POOL_FORECAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* net/tcp.h: TCP_TIMEWAIT_LEN */
#define POOL_LINGER_S 60.0

struct pool_flow {
	uint32_t capacity;
	uint32_t used;		 /* held now, without what lingers */
	const uint32_t *lingers; /* ms until each that lingers ends, ascending */
	size_t linger_count;
	double rate;	     /* allocations a second */
	double life;	     /* mean, s; below 0: not known, nothing was given back */
	double share;	     /* of what is given back, that lingers: 0 to 1 */
	double linger;	     /* for so long, s */
	double stuck;	     /* of what lingers, that does so for `stuck_linger` instead: 0 to 1 */
	double stuck_linger; /* s */
};

enum pool_outlook {
	POOL_IDLE,    /* nobody takes ports */
	POOL_SETTLES, /* never at this rate */
	POOL_RUNS_OUT,
	POOL_EXHAUSTED, /* nothing is left now */
};

struct pool_forecast {
	enum pool_outlook outlook;
	double seconds; /* POOL_RUNS_OUT: until nothing is left; as in `earliest` */
	/* How long ports are held is not known, and taken for without end, or the rate is no more
	 * than that: it takes that long at least. */
	bool earliest;
	double settled; /* ports that are taken in the long run; below 0: not known */
};

void pool_forecast_make(const struct pool_flow *flow, struct pool_forecast *forecast);

/* Ports that are taken `seconds` from now, as if there were no end to them. */
double pool_forecast_taken(const struct pool_flow *flow, double seconds);

#endif
