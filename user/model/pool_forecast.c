/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/pool_forecast.h"

#include <math.h>

/* A life of nothing would divide by it. */
#define LIFE_LEAST 1e-6
#define STEPS 2048

static double life_of(const struct pool_flow *flow)
{
	return flow->life < LIFE_LEAST ? LIFE_LEAST : flow->life;
}

/* How many of those that linger now still do: more than `seconds` are left. */
static size_t lingers_left(const struct pool_flow *flow, double seconds)
{
	size_t low = 0, high = flow->linger_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (flow->lingers[middle] / 1000.0 <= seconds)
			low = middle + 1;
		else
			high = middle;
	}
	return flow->linger_count - low;
}

/* held' = rate - held / life: what is given back in the last `linger` seconds. */
static double ended_lately(const struct pool_flow *flow, double seconds, double linger)
{
	double life = life_of(flow), from = seconds > linger ? seconds - linger : 0;

	return flow->rate * (seconds - from) +
	       (flow->used - flow->rate * life) * (exp(-from / life) - exp(-seconds / life));
}

double pool_forecast_taken(const struct pool_flow *flow, double seconds)
{
	double left = (double)lingers_left(flow, seconds);
	double settled, lingering;

	if (flow->life < 0)
		return flow->used + flow->rate * seconds + left;
	settled = flow->rate * life_of(flow);
	lingering = (1 - flow->stuck) * ended_lately(flow, seconds, flow->linger) +
		    flow->stuck * ended_lately(flow, seconds, flow->stuck_linger);
	return settled + (flow->used - settled) * exp(-seconds / life_of(flow)) +
	       flow->share * lingering + left;
}

/* The first moment after `low`, at `high` at the latest, at which nothing is left. */
static double crossing_find(const struct pool_flow *flow, double low, double high)
{
	for (unsigned int i = 0; i < 60; i++) {
		double middle = (low + high) / 2;

		if (pool_forecast_taken(flow, middle) >= flow->capacity)
			high = middle;
		else
			low = middle;
	}
	return high;
}

/* From `low` on, in even steps: what lingers ends in jumps, before which it is most. */
static bool stretch_search(const struct pool_flow *flow, double low, double high,
			   unsigned int steps, double *seconds)
{
	double last = low;

	for (unsigned int i = 1; i <= steps; i++) {
		double next = low + (high - low) * i / steps;
		/* Just before the jump at its end. */
		double probe = i == steps ? nextafter(high, low) : next;

		if (pool_forecast_taken(flow, probe) >= flow->capacity) {
			*seconds = crossing_find(flow, last, probe);
			return true;
		}
		last = next;
	}
	return false;
}

/* Each bend is hit: short lives, what lingers one linger behind them; e^-40 of a distance is
 * nothing. */
static bool bends_search(const struct pool_flow *flow, double at, double *seconds)
{
	const double settling = 40 * life_of(flow);
	const double first = flow->stuck > 0 ? fmin(flow->linger, flow->stuck_linger)
					     : flow->linger;
	const double last = flow->stuck > 0 ? fmax(flow->linger, flow->stuck_linger) : flow->linger;
	const double bends[] = {fmin(at + settling, first), first, fmin(first + settling, last),
				last, last + at + settling};

	for (size_t i = 0; i < sizeof(bends) / sizeof(*bends); i++) {
		if (bends[i] <= at)
			continue;
		if (stretch_search(flow, at, bends[i], STEPS, seconds))
			return true;
		at = bends[i];
	}
	return false;
}

static bool search(const struct pool_flow *flow, double *seconds)
{
	double at = 0;

	for (size_t i = 0; i < flow->linger_count; i++) {
		double next = flow->lingers[i] / 1000.0;

		if (next <= at)
			continue;
		if (stretch_search(flow, at, next, 1 + STEPS / (unsigned int)flow->linger_count,
				   seconds))
			return true;
		at = next;
	}
	if (flow->life < 0) {
		if (pool_forecast_taken(flow, at) >= flow->capacity)
			*seconds = at;
		else
			*seconds = (flow->capacity - (double)flow->used) / flow->rate;
		return true;
	}
	return bends_search(flow, at, seconds);
}

void pool_forecast_make(const struct pool_flow *flow, struct pool_forecast *forecast)
{
	*forecast = (struct pool_forecast){.outlook = POOL_SETTLES, .settled = -1};
	if (flow->life >= 0)
		forecast->settled = flow->rate * (life_of(flow) +
						  flow->share * ((1 - flow->stuck) * flow->linger +
								 flow->stuck * flow->stuck_linger));
	if (flow->used + flow->linger_count >= flow->capacity)
		forecast->outlook = POOL_EXHAUSTED;
	else if (flow->rate <= 0)
		forecast->outlook = POOL_IDLE;
	else if (search(flow, &forecast->seconds))
		forecast->outlook = POOL_RUNS_OUT;
	forecast->earliest = forecast->outlook == POOL_RUNS_OUT && flow->life < 0;
}
