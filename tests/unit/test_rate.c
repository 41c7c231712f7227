/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Readings of a tally that counts at random, grouped by the rate and by a model that keeps
 * every row it ever saw. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "lib/cleanup.h"
#include "model/rate.h"
#include "model/text.h"

#define S UINT64_C(1000000000)
#define STEPS 60
#define ROWS 4096 /* ever */
#define CGROUPS 5
#define ERRNOS 3

/* ---- the tally ---- */

static const struct {
	const char *path; /* NULL: not known */
	const char *unit; /* what to find in it; NULL: as the path */
	const char *container;
} cgroups[CGROUPS] = {
	{"/system.slice/web.service", "web.service", "none"},
	{"/system.slice/web.service/worker", "web.service", "none"},
	{"/system.slice/docker-"
	 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
	 "docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
	 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
	{"/", "none", "none"},
	{NULL, "unknown", "unknown"},
};

/* A row that there is, or was: `gone` ones stay as they were. */
struct made {
	struct tally_row row;
	struct tally_place place;
	uint64_t errors[2][ERRNOS]; /* of claims, of connections */
	bool gone;
};

struct world {
	struct made made[ROWS];
	size_t count;
	struct tally_counts overflow;
	uint64_t time;
	char *paths[CGROUPS];
};

static const uint32_t errnos[ERRNOS] = {98, 99, 11};

static void counts_grow(struct made *made)
{
	struct tally_counts *counts = &made->row.counts;
	uint64_t more;

	/* A connect of a socket that was bound claims nothing. */
	if (made->row.key.origin != WIRE_ORIGIN_NONE)
		counts->claims += draw(50);
	for (unsigned int i = 0; i < ERRNOS; i++) {
		more = chance(30) ? draw(5) : 0;
		made->errors[0][i] += more;
		if (made->row.key.origin != WIRE_ORIGIN_NONE)
			counts->failures += more;
	}
	for (unsigned int i = 0; i < ERRNOS; i++) {
		more = chance(20) ? draw(5) : 0;
		counts->connect_failures += more;
		made->errors[1][i] += more;
	}
	counts->closed += draw(counts->claims - counts->closed + 1);
	counts->time_waits += draw(counts->closed - counts->time_waits + 1);
	counts->time_waits_over += draw(counts->time_waits - counts->time_waits_over + 1);
}

static void made_add(struct world *world)
{
	struct made *made = &world->made[world->count];

	*made = (struct made){
		.row.key = {.start = draw(3),
			    .cgroup = draw(CGROUPS),
			    .pid = (uint32_t)draw(6),
			    .uid = (uint32_t)draw(3),
			    .netns = 100 + (uint32_t)draw(2),
			    .protocol = chance(50) ? 6 : 17,
			    .trigger = (uint8_t)(1 + draw(4)),
			    .origin = (uint8_t)draw(3),
			    .class = (uint8_t)draw(16)},
		.place = {.netns = 100 + (uint32_t)draw(2),
			  .protocol = chance(50) ? 6 : 17,
			  .other_port = (uint16_t)draw(3),
			  .pool_low = 32768,
			  .pool_high = 60999,
			  .family = chance(50) ? 4 : 6,
			  .trigger = (uint8_t)(1 + draw(4))},
	};
	if (made->place.other_port) {
		uint8_t *end = made->place.other;

		if (made->place.family == 6 && chance(60))
			made->place.other[10] = made->place.other[11] = 0xff;
		if (made->place.family == 6)
			end += 12;
		end[0] = 10;
		end[3] = (uint8_t)draw(2);
	}
	/* A tally has each key once. */
	for (size_t i = 0; i < world->count; i++)
		if (!world->made[i].gone &&
		    (!memcmp(&made->row.key, &world->made[i].row.key, sizeof(made->row.key)) ||
		     !memcmp(&made->place, &world->made[i].place, sizeof(made->place))))
			return;
	if (world->count + 1 < ROWS)
		world->count++;
}

static void errors_read(struct tally_reading *reading, const struct made *made)
{
	for (unsigned int outcome = 0; outcome < 2; outcome++)
		for (unsigned int i = 0; i < ERRNOS; i++)
			if (made->errors[outcome][i])
				reading->errors[reading->error_count++] = (struct tally_error_row){
					.error = {.key = made->row.key,
						  .error = errnos[i],
						  .outcome = outcome},
					.count = made->errors[outcome][i],
					.last = made->row.last,
				};
}

/* Several processes have one name, one has an empty one, and two have none. */
static const char *comm_of(uint32_t pid)
{
	static const char *const comms[] = {NULL, "curl", "curl", "nginx", "", NULL};

	return comms[pid];
}

/* What the tally tells now. */
static void world_read(struct world *world, struct tally_reading *reading)
{
	*reading = (struct tally_reading){.time = world->time};
	reading->rows = calloc(ROWS, sizeof(*reading->rows));
	reading->places = calloc(ROWS, sizeof(*reading->places));
	reading->errors = calloc((size_t)ROWS * 2 * ERRNOS, sizeof(*reading->errors));
	reading->cgroups = calloc(CGROUPS, sizeof(*reading->cgroups));
	assert_true(reading->rows && reading->places && reading->errors && reading->cgroups);
	for (size_t i = 0; i < world->count; i++) {
		struct made *made = &world->made[i];

		if (made->gone)
			continue;
		made->gone = made->row.last;
		reading->rows[reading->row_count++] = made->row;
		reading->places[reading->place_count++] = (struct tally_place_row){
			.place = made->place, .counts = made->row.counts, .last = made->row.last};
		errors_read(reading, made);
	}
	reading->processes = calloc(3 * 6, sizeof(*reading->processes));
	assert_non_null(reading->processes);
	for (uint32_t pid = 0; pid < 6; pid++) /* in the order of a reading */
		for (uint64_t start = 0; start < 3; start++)
			if (comm_of(pid)) {
				struct tally_process_row *row =
					&reading->processes[reading->process_count++];

				row->start = start;
				row->pid = pid;
				memcpy(row->comm, comm_of(pid), strlen(comm_of(pid)));
			}
	for (size_t i = 0; i < CGROUPS; i++)
		if (cgroups[i].path) {
			reading->cgroups[reading->cgroup_count].id = i;
			reading->cgroups[reading->cgroup_count++].path = strdup(cgroups[i].path);
		}
	reading->rest[TALLY_REST_CLAIMS] = world->overflow;
	reading->rest[TALLY_REST_PLACES] = world->overflow;
}

static void world_step(struct world *world)
{
	for (size_t more = draw(12); more; more--)
		made_add(world);
	for (size_t i = 0; i < world->count; i++) {
		struct made *made = &world->made[i];

		if (made->gone || chance(50))
			continue;
		counts_grow(made);
		made->row.last = chance(10);
	}
	if (chance(20)) {
		world->overflow.claims += draw(9);
		world->overflow.failures += draw(3);
	}
	world->time += S / 2 + draw(S);
}

/* ---- the model ---- */

static void group_text(char *out, size_t size, enum rate_by by, const struct made *made)
{
	const struct tally_key *key = &made->row.key;
	const struct tally_place *place = &made->place;
	char address[TEXT_ADDRESS + 1];
	const char *ip = address;

	switch (by) {
	case RATE_PROCESS:
		snprintf(out, size, "%u/%lu", key->pid, (unsigned long)key->start);
		break;
	case RATE_COMM:
		snprintf(out, size, "%s", comm_of(key->pid) ? comm_of(key->pid) : "unknown");
		break;
	case RATE_UNIT:
		snprintf(out, size, "%s", cgroups[key->cgroup].unit);
		break;
	case RATE_CONTAINER:
		snprintf(out, size, "%s", cgroups[key->cgroup].container);
		break;
	case RATE_USER:
		snprintf(out, size, "%u", key->uid);
		break;
	case RATE_NETNS:
		snprintf(out, size, "%u", key->netns);
		break;
	case RATE_PORT_CLASS:
		snprintf(out, size, "%u %u", key->class, key->origin);
		break;
	default:
		*text_address(address, place->other, place->family) = 0;
		if (!strncmp(ip, "::ffff:", 7))
			ip += 7;
		if (place->other_port)
			snprintf(out, size, "%u %s %u", place->protocol, ip, place->other_port);
		else
			snprintf(out, size, "%u by %u", place->protocol, place->trigger);
	}
}

static void subject_text(char *out, size_t size, enum rate_by by,
			 const struct rate_subject *subject)
{
	char address[TEXT_ADDRESS + 1];

	switch (by) {
	case RATE_PROCESS:
		assert_int_equal(subject->kind, subject->pid ? RATE_KNOWN : RATE_UNKNOWN);
		snprintf(out, size, "%u/%lu", subject->pid, (unsigned long)subject->start);
		break;
	case RATE_COMM:
		assert_int_equal(subject->kind == RATE_NONE,
				 !*subject->name && subject->kind != RATE_UNKNOWN);
		snprintf(out, size, "%s",
			 subject->kind == RATE_UNKNOWN ? "unknown" : subject->name);
		break;
	case RATE_UNIT:
	case RATE_CONTAINER:
		snprintf(out, size, "%s",
			 subject->kind == RATE_NONE	 ? "none"
			 : subject->kind == RATE_UNKNOWN ? "unknown"
							 : subject->name);
		break;
	case RATE_USER:
	case RATE_NETNS:
		snprintf(out, size, "%u", subject->number);
		break;
	case RATE_PORT_CLASS:
		snprintf(out, size, "%u %u", subject->class, subject->origin);
		break;
	default:
		*text_address(address, subject->address, subject->family ? subject->family : 4) = 0;
		if (subject->kind == RATE_NONE)
			snprintf(out, size, "%u by %u", subject->protocol, subject->trigger);
		else
			snprintf(out, size, "%u %s %u", subject->protocol, address, subject->port);
	}
}

static void counts_sum(struct rate_counts *sum, enum rate_by by, const struct made *made)
{
	const struct tally_counts *counts = &made->row.counts;

	if (by == RATE_DESTINATION || made->row.key.origin == WIRE_ORIGIN_KERNEL)
		sum->kernel += counts->claims;
	else
		sum->requested += counts->claims;
	sum->failures += counts->failures;
	sum->connect_failures += counts->connect_failures;
	sum->released += counts->closed;
	sum->time_waits += counts->time_waits;
	sum->time_waits_over += counts->time_waits_over;
}

/* Of a group, or of all (NULL). */
static struct rate_counts model_sum(const struct world *world, enum rate_by by, const char *wanted)
{
	struct rate_counts sum = {0};
	char text[256];

	for (size_t i = 0; i < world->count; i++) {
		group_text(text, sizeof(text), by, &world->made[i]);
		if (!wanted || !strcmp(text, wanted))
			counts_sum(&sum, by, &world->made[i]);
	}
	return sum;
}

static uint64_t model_errors(const struct world *world, enum rate_by by, const char *wanted,
			     uint32_t error, enum rate_of of)
{
	uint64_t sum = 0;
	char text[256];

	for (size_t i = 0; i < world->count; i++) {
		const struct made *made = &world->made[i];

		if (by == RATE_DESTINATION && made->row.key.origin != WIRE_ORIGIN_KERNEL)
			continue;
		/* An address that is not ours, and no want of ports. */
		if (by == RATE_DESTINATION && of == RATE_OF_CLAIM && error == 99 &&
		    made->row.key.trigger == WIRE_BIND)
			continue;
		group_text(text, sizeof(text), by, made);
		/* Without a claim it is a call's. */
		if (of != RATE_OF_CONNECTION &&
		    (of == RATE_OF_CALL) != (made->row.key.origin == WIRE_ORIGIN_NONE))
			continue;
		for (unsigned int j = 0; j < ERRNOS; j++)
			if ((!wanted || !strcmp(text, wanted)) && errnos[j] == error)
				sum += made->errors[of == RATE_OF_CONNECTION][j];
	}
	return sum;
}

static size_t model_groups(const struct world *world, enum rate_by by)
{
	static char texts[ROWS][256];
	size_t groups = 0, j;

	for (size_t i = 0; i < world->count; i++) {
		group_text(texts[groups], sizeof(*texts), by, &world->made[i]);
		for (j = 0; j < groups && strcmp(texts[j], texts[groups]) != 0; j++)
			continue;
		groups += j == groups;
	}
	return groups;
}

/* ---- the two agree ---- */

static void counts_equal(const struct rate_counts *a, const struct rate_counts *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static void errors_agree(const struct world *world, enum rate_by by, const char *wanted,
			 const struct rate_errors *errors)
{
	uint64_t listed = 0, made = 0;

	for (size_t i = 0; i < errors->count; i++) {
		const struct rate_error *error = &errors->list[i];

		assert_int_equal(error->now,
				 model_errors(world, by, wanted, error->error, error->of));
		listed += error->now;
	}
	for (unsigned int i = 0; i < ERRNOS; i++)
		for (enum rate_of of = RATE_OF_CLAIM; of <= RATE_OF_CALL; of++)
			made += model_errors(world, by, wanted, errnos[i], of);
	assert_int_equal(listed, made);
}

static struct rate_counts minus(struct rate_counts a, const struct rate_counts *b)
{
	uint64_t *to = (uint64_t *)&a;
	const uint64_t *from = (const uint64_t *)b;

	for (size_t i = 0; i < sizeof(a) / sizeof(*to); i++)
		to[i] -= from[i];
	return a;
}

/* rows + everything else + overflow = total: since the start and in the interval. */
static void law_holds(const struct rate_result *result)
{
	struct rate_sum sum = result->rest;
	struct rate_counts interval = rate_interval(&sum), one, all = {0};

	rate_counts_add(&all, &interval);
	for (size_t i = 0; i < result->count; i++) {
		rate_sum_add(&sum, &result->rows[i]->sum);
		one = rate_interval(&result->rows[i]->sum);
		rate_counts_add(&all, &one);
	}
	rate_sum_add(&sum, &result->overflow);
	one = rate_interval(&result->overflow);
	rate_counts_add(&all, &one);
	counts_equal(&sum.now, &result->total.now);
	one = rate_interval(&result->total);
	counts_equal(&all, &one);
}

static void order_holds(const struct rate_result *result)
{
	for (size_t i = 1; i < result->count; i++) {
		const struct rate_counts a = rate_interval(&result->rows[i - 1]->sum);
		const struct rate_counts b = rate_interval(&result->rows[i]->sum);

		assert_true(rate_attempts(&a) >= rate_attempts(&b));
		if (rate_attempts(&a) == rate_attempts(&b))
			assert_true(rate_attempts(&result->rows[i - 1]->sum.now) >=
				    rate_attempts(&result->rows[i]->sum.now));
	}
}

static void agree(const struct world *world, const struct rate *rate, enum rate_by by,
		  const struct rate_counts *before)
{
	struct rate_result result = rate_result(rate, ROWS);
	struct rate_counts total = model_sum(world, by, NULL), interval;
	char text[256];

	assert_int_equal(result.count, model_groups(world, by));
	assert_int_equal(result.rest_count, 0);
	for (size_t i = 0; i < result.count; i++) {
		const struct rate_group *group = result.rows[i];
		struct rate_counts sum;

		subject_text(text, sizeof(text), by, &group->subject);
		sum = model_sum(world, by, text);
		counts_equal(&group->sum.now, &sum);
		if (by != RATE_DESTINATION)
			errors_agree(world, by, text, &group->errors);
	}
	errors_agree(world, by, NULL, result.errors);
	if (by == RATE_DESTINATION)
		total.kernel += world->overflow.claims;
	else
		total.unsplit += world->overflow.claims;
	total.failures += world->overflow.failures;
	counts_equal(&result.total.now, &total);
	interval = rate_interval(&result.total);
	total = minus(total, before);
	counts_equal(&interval, &total);
	law_holds(&result);
	order_holds(&result);
	result = rate_result(rate, draw(10));
	law_holds(&result);
}

static void random_readings(enum rate_by by)
{
	struct world *world = calloc(1, sizeof(*world));
	struct rate *rate = rate_new(by, 0);
	struct rate_counts before = {0};

	assert_true(world && rate);
	for (unsigned int i = 0; i < STEPS; i++) {
		CLEANUP(tally_reading_free) struct tally_reading reading;
		uint64_t time = world->time;

		world_step(world);
		world_read(world, &reading);
		assert_int_equal(rate_take(rate, &reading), 0);
		assert_int_equal(rate_result(rate, 1).interval, world->time - time);
		assert_int_equal(rate_result(rate, 1).since, world->time);
		agree(world, rate, by, &before);
		before = rate_result(rate, 0).total.now;
	}
	assert_true(world->count > 200);
	rate_free(rate);
	free(world);
}

static void test_random(void **state)
{
	(void)state;
	for (draw_seed = 1; draw_seed < 4; draw_seed++) {
		const uint64_t own = draw_seed;

		for (unsigned int by = 0; by < RATE_BYS; by++) {
			random_readings(by);
			draw_seed = own;
		}
	}
}

/* ---- one by one ---- */

static void take_rows(struct rate *rate, uint64_t time, struct tally_row *rows, size_t count)
{
	const struct tally_reading reading = {.time = time, .rows = rows, .row_count = count};

	assert_int_equal(rate_take(rate, &reading), 0);
}

/* Processes that come and go all day: the small ones are forgotten by name, and still
 * counted. */
static void test_many_processes(void **state)
{
	static struct tally_row rows[9000];
	struct rate *rate = rate_new(RATE_PROCESS, 0);
	struct rate_result result;
	uint64_t claims = 0;
	size_t seen = 1;

	(void)state;
	rows[0] = (struct tally_row){.key = {.pid = 1, .origin = WIRE_ORIGIN_KERNEL}};
	for (uint64_t time = 1; time <= 30; time++) {
		rows[0].counts.claims++; /* small, but there */
		for (size_t i = 1; i < 9000; i++) {
			rows[i] = (struct tally_row){
				.key = {.pid = (uint32_t)++seen, .origin = WIRE_ORIGIN_KERNEL},
				.counts = {.claims = 2},
				.last = true};
			claims += 2;
		}
		rows[8999].counts.claims = 1000; /* and a big one each time */
		claims += 998;
		take_rows(rate, time * S, rows, 9000);
		result = rate_result(rate, 31);
		law_holds(&result);
		assert_int_equal(result.total.now.kernel, claims + time);
		assert_int_equal(result.rest_count + result.count, seen);
	}
	result = rate_result(rate, SIZE_MAX);
	assert_true(result.count < 10000 && result.count > 6000);
	assert_true(result.rest.now.kernel > 0);
	seen = 0;
	for (size_t i = 0; i < result.count; i++)
		seen += result.rows[i]->sum.now.kernel == 1000 || result.rows[i]->subject.pid == 1;
	assert_int_equal(seen, 31);
	rate_free(rate);
}

static void test_history(void **state)
{
	struct tally_row row = {.key = {.pid = 7, .origin = WIRE_ORIGIN_REQUESTED}};
	struct rate *rate = rate_new(RATE_PROCESS, 0);
	const struct rate_group *group;

	(void)state;
	for (unsigned int i = 1; i <= RATE_HISTORY + 3; i++) {
		row.counts.claims += i;
		row.counts.failures += i;
		take_rows(rate, i * 2 * S, &row, 1);
	}
	group = rate_result(rate, 1).rows[0];
	/* Attempts a second, of intervals of two. */
	for (unsigned int i = 0; i < RATE_HISTORY; i++)
		assert_true(group->history[i] == (float)(i + 4));
	assert_int_equal(rate_result(rate, 1).interval, 2 * S);
	rate_free(rate);
}

/* A place that comes back counts from 0. */
static void test_place_again(void **state)
{
	struct tally_place_row row = {.place = {.protocol = 6,
						.other_port = 80,
						.family = 4,
						.pool_low = 1,
						.pool_high = 9},
				      .counts = {.claims = 5, .closed = 5}};
	struct tally_reading reading = {.time = S, .places = &row, .place_count = 1};
	struct rate *rate = rate_new(RATE_DESTINATION, 0);
	struct rate_result result;
	struct rate_counts interval;

	(void)state;
	row.last = true;
	assert_int_equal(rate_take(rate, &reading), 0);
	reading.place_count = 0;
	assert_int_equal(rate_take(rate, &reading), 0);
	result = rate_result(rate, 1);
	assert_int_equal(result.total.now.kernel, 5);
	interval = rate_interval(&result.total);
	assert_int_equal(interval.kernel, 0);
	reading.place_count = 1;
	row.last = false;
	row.counts = (struct tally_counts){.claims = 2};
	assert_int_equal(rate_take(rate, &reading), 0);
	result = rate_result(rate, 1);
	assert_int_equal(result.total.now.kernel, 7);
	interval = rate_interval(&result.rows[0]->sum);
	assert_int_equal(interval.kernel, 2);
	assert_int_equal(result.rows[0]->live, true);
	rate_free(rate);
}

/* One destination, from two addresses, two pools, two families. */
static void test_places_merged(void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};
	static const uint8_t plain[16] = {192, 0, 2, 1};
	struct tally_place_row rows[3] = {
		{.place =
			 {.protocol = 6, .other_port = 80, .family = 4, .netns = 1, .pool_high = 9},
		 .counts = {.claims = 1}},
		{.place =
			 {.protocol = 6, .other_port = 80, .family = 6, .netns = 1, .pool_high = 9},
		 .counts = {.claims = 2}},
		{.place =
			 {.protocol = 6, .other_port = 80, .family = 4, .netns = 1, .pool_high = 9},
		 .counts = {.failures = 4}},
	};
	struct tally_reading reading = {.time = S, .places = rows, .place_count = 3};
	struct rate *rate = rate_new(RATE_DESTINATION, 0);
	const struct rate_group *group;

	(void)state;
	memcpy(rows[0].place.other, plain, 16);
	memcpy(rows[1].place.other, mapped, 16);
	memcpy(rows[2].place.other, plain, 16);
	memcpy(rows[0].place.local, plain, 16);
	memcpy(rows[1].place.local, mapped, 16); /* the same one; the third is not known */
	assert_int_equal(rate_take(rate, &reading), 0);
	assert_int_equal(rate_result(rate, 9).count, 1);
	group = rate_result(rate, 9).rows[0];
	assert_int_equal(group->mixed, 0);
	assert_int_equal(group->source_family, 4);
	assert_memory_equal(group->source, plain, 4);
	rows[1].place.local[15]++;
	rows[0].place.pool_high++;
	rows[2].place.netns++;
	assert_int_equal(rate_take(rate, &reading), 0);
	assert_int_equal(rate_result(rate, 9).count, 1);
	assert_int_equal(group->mixed, RATE_MIXED_SOURCE | RATE_MIXED_POOL | RATE_MIXED_NETNS);
	assert_int_equal(group->sum.now.kernel, 3);
	assert_int_equal(group->sum.now.failures, 4);
	rate_free(rate);
}

/* An end that is seen before its beginning. */
static void test_torn(void **state)
{
	const struct rate_counts torn = {.kernel = 1, .released = 2, .time_waits_over = 1};

	(void)state;
	assert_int_equal(rate_open(&torn), 0);
	assert_int_equal(rate_lingering(&torn), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),	      cmocka_unit_test(test_many_processes),
		cmocka_unit_test(test_history),	      cmocka_unit_test(test_place_again),
		cmocka_unit_test(test_places_merged), cmocka_unit_test(test_torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
