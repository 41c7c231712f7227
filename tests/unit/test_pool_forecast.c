/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The forecast, against going through the time in small steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "model/pool_forecast.h"

#define NEVER -1.0

/* Steps of dt; what is given back waits in a queue as long as it lingers. */
static double simulate(const struct pool_flow *flow, double dt, double horizon)
{
	const double lingers[] = {flow->linger, flow->stuck_linger};
	const double shares[] = {1 - flow->stuck, flow->stuck};
	size_t slots[2], slot[2] = {0};
	double *queues[2];
	double held = flow->used, lingering = 0, time = 0, result = NEVER;

	for (size_t i = 0; i < 2; i++) {
		slots[i] = (size_t)ceil(lingers[i] / dt) + 1;
		queues[i] = calloc(slots[i], sizeof(**queues));
		assert_non_null(queues[i]);
	}
	while (time < horizon) {
		double given = flow->life < 0 ? 0 : held * (1 - exp(-dt / flow->life));
		size_t left = 0;

		for (size_t i = 0; i < flow->linger_count; i++)
			left += flow->lingers[i] / 1000.0 > time;
		if (held + lingering + (double)left >= flow->capacity) {
			result = time;
			break;
		}
		held += flow->rate * dt - given;
		for (size_t i = 0; i < 2; i++) {
			lingering += given * flow->share * shares[i] - queues[i][slot[i]];
			queues[i][slot[i]] = given * flow->share * shares[i];
			slot[i] = (slot[i] + 1) % slots[i];
		}
		time += dt;
	}
	free(queues[0]);
	free(queues[1]);
	return result;
}

static int number_compare(const void *first, const void *second)
{
	uint32_t a = *(const uint32_t *)first, b = *(const uint32_t *)second;

	return a < b ? -1 : a > b;
}

static double random_between(unsigned int *seed, double low, double high)
{
	return low + (high - low) * rand_r(seed) / RAND_MAX;
}

static void as_step_by_step(void **state)
{
	unsigned int seed = 7, ran_out = 0, settled = 0;
	uint32_t lingers[40];

	(void)state;
	for (unsigned int round = 0; round < 400; round++) {
		struct pool_flow flow = {
			.capacity = 60 + (uint32_t)rand_r(&seed) % 1000,
			.used = (uint32_t)rand_r(&seed) % 50,
			.lingers = lingers,
			.linger_count = (size_t)rand_r(&seed) % 40,
			.rate = random_between(&seed, 0.1, 40),
			.life = rand_r(&seed) % 8 ? random_between(&seed, 0.2, 30) : -1,
			.share = rand_r(&seed) % 3 ? random_between(&seed, 0, 1) : 0,
			.linger = rand_r(&seed) % 4 ? 60 : 1,
			.stuck = rand_r(&seed) % 2 ? random_between(&seed, 0, 1) : 0,
			.stuck_linger = rand_r(&seed) % 2 ? 60 : 10,
		};
		struct pool_forecast forecast;
		double horizon, found, dt = 0.02;

		for (size_t i = 0; i < flow.linger_count; i++)
			lingers[i] = (uint32_t)rand_r(&seed) % 60000;
		qsort(lingers, flow.linger_count, sizeof(*lingers), number_compare);
		pool_forecast_make(&flow, &forecast);
		if (forecast.outlook == POOL_EXHAUSTED) {
			assert_true(flow.used + flow.linger_count >= flow.capacity);
			continue;
		}
		horizon = 400;
		found = simulate(&flow, dt, horizon);
		if (forecast.outlook == POOL_SETTLES) {
			assert_true(found == NEVER);
			assert_true(forecast.settled <= flow.capacity);
			settled++;
			continue;
		}
		assert_int_equal(forecast.outlook, POOL_RUNS_OUT);
		assert_int_equal(forecast.earliest, flow.life < 0);
		if (found == NEVER) { /* it touches the edge, or takes longer */
			assert_true(forecast.seconds > horizon * 0.9 ||
				    pool_forecast_taken(&flow, forecast.seconds) <
					    flow.capacity + 0.5);
			continue;
		}
		if (fabs(forecast.seconds - found) > 0.1 + found / 50)
			fail_msg("round %u: %f, step by step %f", round, forecast.seconds, found);
		ran_out++;
	}
	assert_true(ran_out > 80 && settled > 80);
}

static void nobody_takes_any(void **state)
{
	struct pool_flow flow = {.capacity = 10, .used = 3, .life = -1, .linger = 60};
	struct pool_forecast forecast;

	(void)state;
	pool_forecast_make(&flow, &forecast);
	assert_int_equal(forecast.outlook, POOL_IDLE);
	flow.used = 10;
	pool_forecast_make(&flow, &forecast);
	assert_int_equal(forecast.outlook, POOL_EXHAUSTED);
	flow.capacity = 0;
	flow.used = 0;
	pool_forecast_make(&flow, &forecast);
	assert_int_equal(forecast.outlook, POOL_EXHAUSTED);
}

static void nothing_is_given_back(void **state)
{
	static const uint32_t lingers[] = {1000, 2000, 3000};
	struct pool_flow flow = {.capacity = 20,
				 .used = 5,
				 .lingers = lingers,
				 .linger_count = 3,
				 .rate = 2,
				 .life = -1,
				 .linger = 60};
	struct pool_forecast forecast;

	(void)state;
	pool_forecast_make(&flow, &forecast);
	assert_int_equal(forecast.outlook, POOL_RUNS_OUT);
	assert_true(forecast.earliest);
	assert_true(fabs(forecast.seconds - 7.5) < 1e-6); /* what lingered has ended by then */
	assert_true(forecast.settled < 0);
	flow.rate = 100;
	pool_forecast_make(&flow, &forecast);
	assert_true(fabs(forecast.seconds - 0.12) < 1e-3); /* it has not */
}

/* Short lives and TIME_WAIT: the rate that a pool can stand is its capacity by 60 s. */
static void time_wait_is_what_counts(void **state)
{
	struct pool_flow flow = {
		.capacity = 28232, .rate = 460, .life = 0.001, .share = 1, .linger = 60};
	struct pool_forecast forecast;

	(void)state;
	pool_forecast_make(&flow, &forecast);
	assert_int_equal(forecast.outlook, POOL_SETTLES);
	assert_true(fabs(forecast.settled - 27600.46) < 0.01);
	flow.rate = 500;
	pool_forecast_make(&flow, &forecast);
	assert_int_equal(forecast.outlook, POOL_RUNS_OUT);
	assert_true(fabs(forecast.seconds - 28232 / 500.0) < 0.1);
	flow.linger = 1; /* tcp_tw_reuse */
	pool_forecast_make(&flow, &forecast);
	assert_int_equal(forecast.outlook, POOL_SETTLES);
	flow.life = 0; /* closed at once, as far as the clock goes */
	pool_forecast_make(&flow, &forecast);
	assert_int_equal(forecast.outlook, POOL_SETTLES);
}

/* What is given back lingers with what lingers already: more than in the long run. */
static void too_much_for_a_while(void **state)
{
	static uint32_t lingers[60];
	struct pool_flow flow = {.capacity = 100,
				 .used = 30,
				 .lingers = lingers,
				 .linger_count = 60,
				 .rate = 1.5,
				 .life = 1,
				 .share = 1,
				 .linger = 60};
	struct pool_forecast forecast;

	(void)state;
	for (size_t i = 0; i < 60; i++)
		lingers[i] = 50000;
	pool_forecast_make(&flow, &forecast);
	assert_int_equal(forecast.outlook, POOL_RUNS_OUT);
	assert_true(forecast.settled < 100);
	assert_true(fabs(forecast.seconds - simulate(&flow, 0.001, 100)) < 0.01);
}

/* Clients whose servers never close stay in FIN_WAIT2, which nobody may take over. */
static void what_is_stuck_counts_for_longer(void **state)
{
	struct pool_flow flow = {.capacity = 5000,
				 .rate = 189,
				 .life = 4.3,
				 .share = 1,
				 .linger = 1,
				 .stuck_linger = 60};
	struct pool_forecast forecast;

	(void)state;
	pool_forecast_make(&flow, &forecast);
	assert_int_equal(forecast.outlook, POOL_SETTLES);
	assert_true(fabs(forecast.settled - 189 * 5.3) < 0.01);
	flow.stuck = 1;
	pool_forecast_make(&flow, &forecast);
	assert_int_equal(forecast.outlook, POOL_RUNS_OUT);
	assert_true(fabs(forecast.seconds - simulate(&flow, 0.001, 100)) < 0.1);
	flow.capacity = 20000;
	pool_forecast_make(&flow, &forecast);
	assert_int_equal(forecast.outlook, POOL_SETTLES);
	assert_true(fabs(forecast.settled - 189 * 64.3) < 0.01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_step_by_step),
		cmocka_unit_test(nobody_takes_any),
		cmocka_unit_test(nothing_is_given_back),
		cmocka_unit_test(time_wait_is_what_counts),
		cmocka_unit_test(too_much_for_a_while),
		cmocka_unit_test(what_is_stuck_counts_for_longer),
	};

	return cmocka_run_group_tests_name("pool_forecast", tests, NULL, NULL);
}
