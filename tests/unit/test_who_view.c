/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `who` counts in, and what it tells programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "who_world.h"

/* Which holdings a subject means, and in which order ports come. */
static void test_subjects(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	struct number_list *namespaces = NULL;

	(void)state;
	who_world_make(&world, 8000, 8002);
	holder_add(holding_add(&world, HOLDING_LISTEN, "127.0.0.1", 8002), 2, "two");
	holder_add(holding_add(&world, HOLDING_CLOSE, "127.0.0.1", 8000), 1, "one");
	world.holdings.list[1].protocol = 17;
	holding_add(&world, HOLDING_LISTEN, "127.0.0.1", 8003);
	/* A ping socket's number is no port. */
	holding_add(&world, HOLDING_CLOSE, "127.0.0.1", 8001)->protocol = 1;
	has(who_world_text(&world), "\n8000: user, registered: irdmi (tcp, udp)");
	assert_true(strstr(world.out.data, "one[1]") < strstr(world.out.data, "two[2]"));
	has_not(world.out.data, "8003");
	has_not(world.out.data, "8001");
	assert_int_equal(lines_count(who_world_json(&world)), 2);

	world.subject[0].protocols = IANA_UDP;
	has_not(who_world_text(&world), "two[2]");
	has(world.out.data, "8000: user, registered: irdmi (udp)");
	world.subject[1] = world.subject[0];
	world.subjects.count = 2;
	assert_int_equal(lines_count(who_world_json(&world)), 1);
	world.subject[1].low = world.subject[1].high = 9;
	world.subject[2] = (struct explain_subject){.low = 10, .high = 20, .protocols = ALL};
	world.subjects.count = 3;
	has(who_world_text(&world), "9/udp: nobody has it\n9: system, registered: discard (udp);");
	has(world.out.data, "\n10-20: nobody has any of them\n");

	number_list_add(&namespaces, OTHER);
	world.view.namespaces = namespaces;
	assert_int_equal(lines_count(who_world_json(&world)), 0);
	number_list_add(&namespaces, OWN);
	world.view.namespaces = namespaces;
	assert_int_equal(lines_count(who_world_json(&world)), 1);
	world.view.namespaces = NULL;
	free(namespaces);
	world.query.netns = OTHER;
	assert_int_equal(lines_count(who_world_json(&world)), 0);
}

static void test_json(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	struct holding *holding;

	(void)state;
	who_world_make(&world, 60002, 60002);
	holding = holding_add(&world, HOLDING_ESTABLISHED, "::ffff:10.0.0.1", 60002);
	peer_set(holding, "::ffff:10.0.0.2", 443);
	holding->flags = WIRE_REUSEADDR | WIRE_V6ONLY;
	holding->device = 4;
	holder_add(holding, 4242, "python3")->cgroup = strdup("/system.slice");
	assert_string_equal(
		who_world_json(&world),
		"{\"@timestamp\":\"2026-11-21T14:32:07.123456789Z\",\"message\":\"python3[4242] "
		"holds tcp [::ffff:10.0.0.1]:60002 -> [::ffff:10.0.0.2]:443 (established)\","
		"\"ecs\":{\"version\":\"9.4.0\"},\"event\":{\"kind\":\"state\",\"category\":["
		"\"network\"],\"type\":[\"info\"],\"action\":\"holds-port\",\"dataset\":"
		"\"portsnoop.holdings\"},\"network\":{\"transport\":\"tcp\",\"type\":\"ipv4\"},"
		"\"source\":{\"ip\":\"10.0.0.1\",\"port\":60002},\"destination\":{\"ip\":"
		"\"10.0.0.2\",\"port\":443},\"process\":{\"pid\":4242,\"name\":\"python3\","
		"\"start\":\"2026-11-21T14:23:20.000000000Z\",\"executable\":"
		"\"/usr/bin/python3.11\",\"args\":[\"python3\",\"-m\",\"http.server\",\"a b\"],"
		"\"user\":{\"id\":\"1000\",\"name\":\"dev\"}},\"host\":{\"name\":\"web1\"},"
		"\"portsnoop\":{\"schema\":1,\"state\":\"established\",\"local\":{\"ip\":"
		"\"::ffff:10.0.0.1\",\"port\":60002},\"remote\":{\"ip\":\"::ffff:10.0.0.2\","
		"\"port\":443},\"class\":{\"iana\":\"dynamic\",\"in_pool\":true,\"reserved\":"
		"false,\"privileged\":false,\"pool\":[32768,60999]},\"socket_options\":["
		"\"reuseaddr\",\"v6only\"],\"cgroup\":\"/system.slice\",\"device\":4,\"netns\":"
		"4026531833,\"inode\":77,\"uid\":0,\"holders\":[{\"pid\":4242,\"name\":"
		"\"python3\",\"start\":\"2026-11-21T14:23:20.000000000Z\",\"executable\":"
		"\"/usr/bin/python3.11\",\"args\":[\"python3\",\"-m\",\"http.server\",\"a b\"],"
		"\"user\":{\"id\":\"1000\",\"name\":\"dev\"},\"cgroup\":\"/system.slice\",\"fd\":3,"
		"\"fds\":1}],\"claimant\":null,\"claimant_unknown\":"
		"\"nobody_watches\"}}\n");
	holding->state = HOLDING_TIME_WAIT;
	holding->inode = 0;
	holding->orphan = holding->has_expires = true;
	holding->expires = 12;
	has(who_world_json(&world), "\"expires_ms\":12,");
	has_not(world.out.data, "\"orphan\"");
	has_not(world.out.data, "\"inode\"");
	holding->state = HOLDING_FIN_WAIT2;
	holding->netns = OTHER;
	holding->protocol = 136;
	holding->other_port = 0;
	world.subject[0].protocols = IANA_UDP;
	has(who_world_json(&world), "\"orphan\":true,");
	has(world.out.data, "\"class\":{\"iana\":\"dynamic\"},\"socket_options\"");
	has(world.out.data, "\"netns\":4026532567,\"netns_name\":\"blue\",");
	has(world.out.data, "\"transport\":\"udplite\"");
	has_not(world.out.data, "\"source\"");
	holding->protocol = 17;
	has(who_world_json(&world), "\"known_uses\":[\"mosh (udp 60000-61000)\"]");
}

static bool claim_wanted(struct who_world *world, const char *ip, uint32_t flags)
{
	struct wire_event claim = {
		.header.type = WIRE_CALL,
		.flags = WIRE_CLAIMED | flags,
		.netns = OWN,
		.protocol = 6,
		.local_port = 80,
		.family = 4,
	};

	if (inet_pton(AF_INET, ip, claim.local) != 1) {
		claim.family = 6;
		assert_int_equal(inet_pton(AF_INET6, ip, claim.local), 1);
	}
	return who_wants_claim(&world->view, &claim);
}

static void test_claims(void **state)
{
	struct wire_event claim = {.header.type = WIRE_CALL,
				   .flags = WIRE_CLAIMED,
				   .netns = OWN,
				   .protocol = 6,
				   .local_port = 80,
				   .family = 4};
	struct who_world world;

	(void)state;
	who_world_make(&world, 80, 80);
	assert_true(who_wants_claim(&world.view, &claim));
	claim.error = 98;
	assert_false(who_wants_claim(&world.view, &claim));
	claim.error = 0;
	claim.flags = 0;
	assert_false(who_wants_claim(&world.view, &claim));
	claim.flags = WIRE_CLAIMED;
	claim.header.type = WIRE_RELEASE;
	assert_false(who_wants_claim(&world.view, &claim));
	claim.header.type = WIRE_CALL;
	claim.local_port = 81;
	assert_false(who_wants_claim(&world.view, &claim));
	claim.local_port = 80;
	claim.protocol = 262;
	assert_true(who_wants_claim(&world.view, &claim));
	world.query.netns = OTHER;
	assert_false(who_wants_claim(&world.view, &claim));
}

/* As the kernel finds a socket for an address. */
static void test_claim_addresses(void **state)
{
	static const struct {
		const char *asked, *local;
		uint32_t flags;
		bool wanted;
	} cases[] = {
		{"127.0.0.1", "127.0.0.1", 0, true},
		{"127.0.0.1", "127.0.0.2", 0, false},
		{"127.0.0.1", "0.0.0.0", 0, true},
		{"127.0.0.1", "::", 0, true},
		{"127.0.0.1", "::", WIRE_V6ONLY, false},
		{"127.0.0.1", "::1", 0, false},
		{"127.0.0.1", "::ffff:127.0.0.1", 0, true},
		{"127.0.0.1", "::ffff:0.0.0.0", 0, true},
		{"::1", "::1", 0, true},
		{"::1", "::2", 0, false},
		{"::1", "::", WIRE_V6ONLY, true},
		{"::1", "0.0.0.0", 0, false},
		{"::1", "::ffff:0.0.0.0", 0, false},
		{"::ffff:1.2.3.4", "1.2.3.4", 0, true},
	};
	struct who_world world;

	(void)state;
	who_world_make(&world, 80, 80);
	world.query.has_address = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world.query.family = 4;
		if (inet_pton(AF_INET, cases[i].asked, world.query.address) != 1) {
			world.query.family = 6;
			inet_pton(AF_INET6, cases[i].asked, world.query.address);
		}
		if (claim_wanted(&world, cases[i].local, cases[i].flags) != cases[i].wanted)
			fail_msg("%s and %s", cases[i].asked, cases[i].local);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_subjects),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_claim_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
