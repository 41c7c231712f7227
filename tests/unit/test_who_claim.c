/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/who_claim.h"
#include "lib/cleanup.h"
#include "who_world.h"

#define SECOND INT64_C(1000000000)
#define AGO 10 /* s: when the port was claimed */

/* nginx[812] claimed port 80 and listens; a portsnoop watched. */
struct watch {
	struct service_answer answer;
	struct service_lease lease;
	struct service_process claimant;
};

static void watch_make(struct watch *watch, struct who_world *world)
{
	int64_t claimed = world->view.now - AGO * SECOND;

	*watch = (struct watch){0};
	watch->claimant.process.key = (struct process_key){.pid = 812, .start = 271, .exec = 1};
	strcpy(watch->claimant.process.comm, "nginx");
	watch->claimant.process.exe = "/usr/sbin/nginx";
	watch->claimant.process.exe_length = strlen("/usr/sbin/nginx");
	watch->claimant.details = true;
	watch->claimant.user = "www";
	watch->lease = (struct service_lease){
		.lease = {.socket = 1,
			  .netns = OWN,
			  .protocol = 6,
			  .local_port = 80,
			  .family = 4,
			  .trigger = WIRE_BIND,
			  .origin = WIRE_ORIGIN_REQUESTED,
			  .state = LEASE_LISTEN,
			  .claimed = 1,
			  .claimant.key = watch->claimant.process.key},
		.claimed_wall = claimed,
		.since_wall = claimed,
		.claimant = &watch->claimant,
	};
	watch->answer.leases = &watch->lease;
	watch->answer.count = 1;
	watch->answer.facts.pid = 7;
	watch->answer.facts.started_wall = world->view.now - 60 * SECOND;
	world->view.watched = &watch->answer;
}

static struct holding *accepted(struct who_world *world, uint8_t state)
{
	struct holding *holding = holding_add(world, state, "127.0.0.1", 80);

	peer_set(holding, "127.0.0.1", 40000);
	return holding;
}

static bool is_its_own(const struct who_world *world, const struct holding *holding)
{
	struct who_claim claim = who_claim_find(&world->view, holding);

	assert_int_equal(!claim.found.lease, !!claim.reason);
	assert_int_equal(!!claim.found.lease, claim.found.share);
	return claim.found.lease;
}

static void test_nobody_watches(void **state)
{
	CLEANUP(who_world_free) struct who_world world;

	(void)state;
	who_world_make(&world, 80, 80);
	holder_add(holding_add(&world, HOLDING_LISTEN, "0.0.0.0", 80), 812, "nginx");
	has_not(who_world_text(&world), "claimed");
	has(who_world_json(&world), "\"claimant\":null,\"claimant_unknown\":\"nobody_watches\"}");
}

static void test_claimant(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	struct watch watch;

	(void)state;
	who_world_make(&world, 80, 80);
	watch_make(&watch, &world);
	holder_add(holding_add(&world, HOLDING_LISTEN, "0.0.0.0", 80), 900, "worker");
	has(who_world_text(&world), " by nginx[812], user www, /usr/sbin/nginx, with bind\n");
	has(who_world_json(&world), "\"claimant\":{\"pid\":812,\"name\":\"nginx\",\"start\":");
	has(who_world_json(&world), "\"executable\":\"/usr/sbin/nginx\",\"user\":{");
	has(who_world_json(&world), "\"trigger\":\"bind\",\"watcher\":{\"pid\":7,\"since\":");
	/* the holder that stands above is not described again */
	world.holdings.list[0].holders[0].pid = 812;
	world.holdings.list[0].holders[0].start = 271;
	has(who_world_text(&world), " by nginx[812], with bind\n");
}

/* nginx has one socket for each worker: who claimed it is known, and when, if it was then
 * that all of them were claimed. */
static void test_several(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	struct service_lease leases[2];
	struct watch watch;

	(void)state;
	who_world_make(&world, 80, 80);
	watch_make(&watch, &world);
	watch.lease.claimed_wall -= watch.lease.claimed_wall % SECOND;
	leases[0] = leases[1] = watch.lease;
	leases[1].claimed_wall++;
	leases[1].lease.claimed++;
	watch.answer.leases = leases;
	watch.answer.count = 2;
	holder_add(holding_add(&world, HOLDING_LISTEN, "0.0.0.0", 80), 900, "worker");
	has(who_world_text(&world), "\n  claimed at ");
	has(world.out.data, " by nginx[812], user www, /usr/sbin/nginx\n");
	has(who_world_json(&world), "\"claimant\":{\"pid\":812,\"name\":\"nginx\",\"start\":");
	has(world.out.data,
	    "},\"claimed\":null,\"claimed_unknown\":\"one_of_several\",\"watcher\"");
	leases[1].claimed_wall += SECOND;
	has(who_world_text(&world), "\n  claimed by nginx[812], user www, /usr/sbin/nginx\n");
	/* What it accepted may be that of any of them, the first as well. */
	world.holdings.list[0].holders[0].start =
		(uint64_t)(leases[0].claimed_wall - world.view.boot_offset);
	world.holdings.list[0].state = HOLDING_ESTABLISHED;
	peer_set(world.holdings.list, "127.0.0.1", 40000);
	has(who_world_text(&world),
	    "\n  accepted; its listener's port was claimed by nginx[812], ");
	has(who_world_json(&world), "\"claimed_unknown\":\"one_of_several\",\"share\":true,");
}

static void test_predates(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	struct watch watch;

	(void)state;
	who_world_make(&world, 80, 80);
	watch_make(&watch, &world);
	watch.lease.claimed_wall = watch.lease.since_wall = 0;
	watch.lease.claimant = NULL;
	holder_add(holding_add(&world, HOLDING_LISTEN, "0.0.0.0", 80), 812, "nginx");
	has(who_world_text(&world), "claimed before portsnoop[7] began to watch at ");
	has(who_world_json(&world), "\"claimant\":null,\"claimant_unknown\":\"predates\",");
}

/* A listener's connections are its own; those of the server before it are not. */
static void test_shares(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	struct holding *holding;
	struct watch watch;

	(void)state;
	who_world_make(&world, 80, 80);
	watch_make(&watch, &world);

	holding = accepted(&world, HOLDING_TIME_WAIT);
	holding->has_expires = true;
	holding->expires = 60000 - (AGO - 1) * 1000;
	assert_true(is_its_own(&world, holding));
	holding->expires = 60000 - (AGO + 1) * 1000;
	assert_false(is_its_own(&world, holding));
	holding->has_expires = false;
	assert_false(is_its_own(&world, holding));

	holding = accepted(&world, HOLDING_ESTABLISHED);
	assert_true(is_its_own(&world, holding)); /* waits for accept() */
	holding->orphan = true;
	assert_false(is_its_own(&world, holding));

	holding = accepted(&world, HOLDING_ESTABLISHED);
	holder_add(holding, 812, "nginx")->start = 271;
	assert_true(is_its_own(&world, holding));
	holder_add(holding, 900, "worker")->start =
		(uint64_t)(watch.lease.claimed_wall - world.view.boot_offset + SECOND);
	assert_true(is_its_own(&world, holding));
	holding->holders[1].start -= 2 * SECOND;
	assert_false(is_its_own(&world, holding));

	/* all of them before the watch: then there was no other one in it */
	watch.lease.claimed_wall = 0;
	assert_true(is_its_own(&world, holding));
}

static void test_hostile(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	struct watch watch;

	(void)state;
	who_world_make(&world, 80, 80);
	watch_make(&watch, &world);
	strcpy(watch.claimant.process.comm, HOSTILE);
	watch.claimant.user = HOSTILE;
	watch.claimant.process.exe = "/" HOSTILE;
	watch.claimant.process.exe_length = strlen("/" HOSTILE);
	strcpy(watch.claimant.process.container.unit, HOSTILE);
	holding_add(&world, HOLDING_LISTEN, "0.0.0.0", 80);
	is_harmless(who_world_text(&world), lines_count(who_world_text(&world)));
	is_harmless(who_world_json(&world), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_watches), cmocka_unit_test(test_claimant),
		cmocka_unit_test(test_predates),       cmocka_unit_test(test_shares),
		cmocka_unit_test(test_several),	       cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
