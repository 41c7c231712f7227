/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `who` tells people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <locale.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "who_world.h"

#define PORT_60002                                                                                 \
	"60002: dynamic, never registered; inside this machine's pool 32768-60999; "               \
	"known use: mosh (udp 60000-61000)\n"

static void test_listener(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	struct holder *holder;

	(void)state;
	who_world_make(&world, 60002, 60002);
	holder = holder_add(holding_add(&world, HOLDING_LISTEN, "0.0.0.0", 60002), 4242, "python3");
	snprintf(holder->container.unit, sizeof(holder->container.unit), "app.service");
	assert_string_equal(who_world_text(&world),
			    "tcp 0.0.0.0:60002 LISTEN\n"
			    "  python3[4242], user dev, app.service, fd 3\n"
			    "    exe   /usr/bin/python3.11\n"
			    "    args  python3 -m http.server a b\n" PORT_60002);
}

/* Several processes, and what is not known of them. */
static void test_holders(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	struct holding *holding;
	struct holder *holder;

	(void)state;
	who_world_make(&world, 8080, 8080);
	holding = holding_add(&world, HOLDING_LISTEN, "::", 8080);
	holding->netns = OTHER;
	holding->device = 7;
	holder = holder_add(holding, 10, "parent");
	holder->exe_deleted = true;
	holder->fds = 3;
	holder = holder_add(holding, 11, "child");
	free(holder->user);
	free(holder->exe);
	free(holder->args);
	holder->user = holder->exe = holder->args = NULL;
	snprintf(holder->container.id, sizeof(holder->container.id), "c0ffee1234567890");
	snprintf(holder->container.runtime, sizeof(holder->container.runtime), "docker");
	assert_string_equal(who_world_text(&world),
			    "tcp [::]:8080 and IPv4 LISTEN, on device 7, netns blue\n"
			    "  parent[10], user dev, fd 3 and 2 more\n"
			    "    exe   /usr/bin/python3.11 (deleted)\n"
			    "    args  python3 -m http.server a b\n"
			    "  child[11], uid 1000, docker c0ffee123456, fd 3\n"
			    "8080: user, registered: http-alt (tcp, udp)\n");
	/* The second time a process is only named. */
	holding->flags = WIRE_V6ONLY;
	holding = holding_add(&world, HOLDING_CLOSE, "127.0.0.1", 8080);
	holding->protocol = 17;
	holder_add(holding, 10, "parent");
	has(who_world_text(&world), "udp 127.0.0.1:8080 BOUND\n  parent[10], ");
	has(world.out.data, "tcp [::]:8080 LISTEN,");
	has(world.out.data, "  child[11], uid 1000, docker c0ffee123456, fd 3\n8080: ");
	holding_add(&world, HOLDING_CLOSE, "127.0.0.2", 8080)->protocol = 17;
	holder_add(&world.holdings.list[2], 10, "parent");
	has(who_world_text(&world), "udp 127.0.0.1:8080 BOUND\n  parent[10], user dev");
	has(world.out.data, "127.0.0.2:8080 BOUND\n  parent[10], fd 3\n");
}

static void test_time_wait(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	struct holding *holding;

	(void)state;
	who_world_make(&world, 22, 22);
	holding = holding_add(&world, HOLDING_TIME_WAIT, "127.0.0.1", 22);
	peer_set(holding, "127.0.0.1", 40000);
	holding->has_expires = true;
	holding->expires = 40001;
	assert_string_equal(
		who_world_text(&world),
		"tcp 127.0.0.1:22 -> 127.0.0.1:40000 TIME_WAIT\n"
		"  no process: TIME_WAIT, ends in 41 s\n"
		"22: system, registered: ssh (tcp, udp, sctp); outside this machine's pool "
		"32768-60999; privileged\n"
		"hint: wait 41 s, or set SO_REUSEADDR before bind (it helps if the socket that was "
		"closed had it, too)\n");
	/* With somebody who has it, nothing is to be waited for. */
	holder_add(holding_add(&world, HOLDING_LISTEN, "127.0.0.1", 22), 1, "sshd");
	has_not(who_world_text(&world), "hint");
	assert_true(strstr(world.out.data, "LISTEN") < strstr(world.out.data, "TIME_WAIT"));
}

static void test_without_process(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	struct holding *holding;

	(void)state;
	who_world_make(&world, 80, 80);
	holding = holding_add(&world, HOLDING_FIN_WAIT1, "10.0.0.1", 80);
	peer_set(holding, "10.0.0.2", 1);
	holding->orphan = true;
	holding->inode = 0;
	has(who_world_text(&world),
	    "FIN_WAIT1\n  no process: closed, and the kernel finishes it\n");
	has(world.out.data, "hint: wait until the kernel has ended it\n");
	holding->state = HOLDING_FIN_WAIT2;
	holding->has_expires = true;
	holding->expires = 9000;
	has(who_world_text(&world), "the kernel finishes it, ends in 9 s\n");
	has(world.out.data, "hint: wait 9 s\n");
	holding->orphan = holding->has_expires = false;
	holding->state = HOLDING_ESTABLISHED;
	has(who_world_text(&world), "no process yet: it waits for accept() of who listens\n");
	holding->inode = 5;
	has(who_world_text(&world), "no process: a socket of the kernel's own, on its way in a ");
	world.holdings.blind[0] = "processes of other users";
	has(who_world_text(&world), "no process was seen that has it; the socket is of uid 0\n");
	holding->flags = WIRE_KERNEL_SOCKET;
	has(who_world_text(&world), "no process: a socket of the kernel's own\n");
}

static void test_hints(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	static const char reserve[] = "hint: the kernel gives ports of its pool to any client; to "
				      "keep 60002 for a server, add it to "
				      "net.ipv4.ip_local_reserved_ports";
	struct holding *holding;

	(void)state;
	who_world_make(&world, 60002, 60002);
	holding = holding_add(&world, HOLDING_ESTABLISHED, "127.0.0.1", 60002);
	holder_add(holding, 5, "curl");
	peer_set(holding, "127.0.0.1", 443);
	has(who_world_text(&world), reserve);
	has_not(world.out.data, "self-connect");
	/* not in the pool, of another namespace, a server */
	world.pool.high = 60001;
	has_not(who_world_text(&world), "hint");
	world.pool.high = 60999;
	world.pool.reserved.bits[60002 >> 3] = 1u << (60002 & 7);
	has_not(who_world_text(&world), "hint");
	has(world.out.data, "pool 32768-60999, but reserved (ip_local_reserved_ports)");
	world.pool.reserved.bits[60002 >> 3] = 0;
	holding->netns = OTHER;
	has_not(who_world_text(&world), "hint");
	has_not(world.out.data, "pool");
	holding->netns = OWN;
	peer_set(holding, "127.0.0.1", 60002);
	has(who_world_text(&world), reserve);
	has(world.out.data, "self-connect");
	world.view.color = true;
	has(who_world_text(&world), "\033[1;33mhint:\033[0m a client that was given 60002");
	world.view.color = false;
	holder_add(holding_add(&world, HOLDING_LISTEN, "0.0.0.0", 60002), 6, "server");
	has_not(who_world_text(&world), reserve);
}

static void test_many(void **state)
{
	CLEANUP(who_world_free) struct who_world world;

	(void)state;
	who_world_make(&world, 80, 80);
	holder_add(holding_add(&world, HOLDING_LISTEN, "0.0.0.0", 80), 9, "web");
	for (uint16_t i = 1; i <= 10; i++) {
		struct holding *holding = holding_add(&world, HOLDING_ESTABLISHED, "10.0.0.1", 80);

		peer_set(holding, "10.0.0.2", i);
		holder_add(holding, 9, "web")->fd = i + 3;
	}
	assert_int_equal(lines_count(who_world_text(&world)), 4 + 20 + 1);
	peer_set(holding_add(&world, HOLDING_ESTABLISHED, "10.0.0.1", 80), "10.0.0.3", 4000);
	holder_add(&world.holdings.list[11], 9, "web");
	has(who_world_text(&world), "10.0.0.2:3 ESTABLISHED\n  web[9], fd 6\n"
				    "... and 8 more ESTABLISHED of the same process\n80: ");
	assert_int_equal(lines_count(world.out.data), 4 + 6 + 1 + 1);
	assert_int_equal(lines_count(who_world_json(&world)), 12);
	/* Another process, another group. */
	holder_add(&world.holdings.list[11], 10, "web");
	has_not(who_world_text(&world), "more ESTABLISHED");
	for (unsigned int i = 0; i < 12; i++) {
		struct holding *holding = holding_add(&world, HOLDING_TIME_WAIT, "10.0.0.1", 80);

		peer_set(holding, "10.0.0.4", (uint16_t)(i + 1));
		holding->has_expires = true;
		holding->expires = 1000 * (20 - i);
	}
	has(who_world_text(&world), "... and 9 more TIME_WAIT, the last ends in 17 s\n");
}

static void test_many_holders(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	struct holding *holding;

	(void)state;
	who_world_make(&world, 80, 80);
	holding = holding_add(&world, HOLDING_LISTEN, "0.0.0.0", 80);
	for (uint32_t pid = 100; pid < 112; pid++)
		holder_add(holding, pid, "worker");
	has(who_world_text(&world), "worker[102], ");
	has(world.out.data, "\n  ... and 9 more processes, up to [111]\n");
	has_not(world.out.data, "worker[103]");
	has(who_world_json(&world), "\"pid\":111");
	has(world.out.data, "\"message\":\"worker[100] and 11 more hold tcp 0.0.0.0:80 (listen)\"");
}

/* Of many ports, no line about each. */
static void test_ports_said(void **state)
{
	CLEANUP(who_world_free) struct who_world world;

	(void)state;
	who_world_make(&world, 100, 200);
	for (uint16_t port = 100; port < 105; port++)
		holder_add(holding_add(&world, HOLDING_LISTEN, "0.0.0.0", port), 1, "x");
	has(who_world_text(&world), "\n100: system");
	has(world.out.data, "\n104: system");
	holder_add(holding_add(&world, HOLDING_LISTEN, "0.0.0.0", 105), 1, "x");
	has_not(who_world_text(&world), "\n100: system");
}

static void test_port_line(void **state)
{
	static const struct {
		uint16_t port;
		const char *begin;
	} lines[] = {
		{5432, "5432: user, registered: postgresql (tcp, udp); outside"},
		{1023, "1023: system, reserved by IANA; outside this machine's pool 32768-60999; "
		       "privileged"},
		{1024, "1024: user, reserved by IANA; outside this machine's pool 32768-60999\n"},
		{49152, "49152: dynamic, never registered; inside"},
		{61000, "61000: dynamic, never registered; outside"},
	};
	CLEANUP(who_world_free) struct who_world world;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		who_world_make(&world, lines[i].port, lines[i].port);
		has(who_world_text(&world), lines[i].begin);
		who_world_free(&world);
	}
	who_world_make(&world, 61000, 61000);
	world.pool = (struct pool){
		.range_error = -EACCES, .reserved_error = -EACCES, .unprivileged_error = -EACCES};
	has(who_world_text(&world), "61000: dynamic, never registered; known use");
}

static void test_hostile(void **state)
{
	CLEANUP(who_world_free) struct who_world world;

	(void)state;
	all_hostile(&world);
	is_harmless(who_world_text(&world), 5);
	has(world.out.data, "netns n\\x1b[31m\\x0a\\xff\\xe2\\x80\\xae\"");
	has(world.out.data, "user u\\x1b");
	has(world.out.data, "exe   /e\\x1b");
	has(world.out.data, "args  a\\x1b");
	has(world.out.data, "r\\x1b");
	has(world.out.data, ", pod p\\x1b");
	has(world.out.data, ", i\\x1b");
	is_harmless(who_world_json(&world), 1);
	has(world.out.data, "\"executable\":\"/e\\u001b[31m\\u000a\xef\xbf\xbd");
	has(world.out.data, "\"netns_name\":\"n\\u001b");
	has(world.out.data, "\"cgroup\":\"/g\\u001b");
	has(world.out.data, "\"args\":[\"a\\u001b");
}

/* No line is wider than the terminal. */
static void test_width(void **state)
{
	CLEANUP(who_world_free) struct who_world world;
	const char *text;

	(void)state;
	who_world_make(&world, 80, 80);
	holder_add(holding_add(&world, HOLDING_LISTEN, "0.0.0.0", 80), 9, "w\xc3\xa4re");
	world.view.width = 20;
	text = who_world_text(&world);
	has(text, "tcp 0.0.0.0:80 LIST\xe2\x80\xa6\n");
	has(text, "  w\xc3\xa4re[9], user dev\xe2\x80\xa6\n");
	has(text, "    args  python3 -\xe2\x80\xa6\n");
	world.view.width = 26;
	has(who_world_text(&world), "  w\xc3\xa4re[9], user dev, fd 3\n");
	world.view.color = true;
	has(who_world_text(&world), "\033[1mtcp 0.0.0.0:80 LISTEN\033[0m\n");
	world.view.width = 1;
	has(who_world_text(&world), "\xe2\x80\xa6\n\xe2\x80\xa6\n");
}

static void test_claim_text(void **state)
{
	static const char args[] = "web\0--port\0" HOSTILE;
	struct wire_event call = {
		.header.type = WIRE_CALL,
		.pid = 7,
		.tid = 8,
		.uid = 5,
		.local_port = 80,
		.protocol = 6,
		.family = 4,
		.comm = "thread",
	};
	const struct process process = {.key = {.pid = 7},
					.comm = "web",
					.exe = "/bin/webXX",
					.exe_length = 8,
					.args = args,
					.args_length = sizeof(args),
					.flags = WIRE_EXE_DELETED};
	struct event event = {.action = EVENT_BOUND, .socket = &call};
	CLEANUP(who_world_free) struct who_world world;

	(void)state;
	who_world_make(&world, 80, 80);
	who_text_claim(&world.out, &world.view, &event);
	buffer_byte(&world.out, '\0');
	assert_string_equal(world.out.data, "thread[7] bound tcp 0.0.0.0:80\n"
					    "  thread[7], uid 5\n");
	event.process = &process;
	event.user = "root";
	buffer_reset(&world.out);
	who_text_claim(&world.out, &world.view, &event);
	buffer_byte(&world.out, '\0');
	assert_string_equal(world.out.data,
			    "web[7] bound tcp 0.0.0.0:80\n"
			    "  web[7], user root\n"
			    "    exe   /bin/web (deleted)\n"
			    "    args  web --port \\x1b[31m\\x0a\\xff\\xe2\\x80\\xae\"\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listener),     cmocka_unit_test(test_holders),
		cmocka_unit_test(test_time_wait),    cmocka_unit_test(test_without_process),
		cmocka_unit_test(test_hints),	     cmocka_unit_test(test_many),
		cmocka_unit_test(test_many_holders), cmocka_unit_test(test_ports_said),
		cmocka_unit_test(test_port_line),    cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_width),	     cmocka_unit_test(test_claim_text),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
