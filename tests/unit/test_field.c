/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/ledger.h"
#include "scene.h"

/* ---- the table ---- */

static void paths_are_sound(void **state)
{
	(void)state;
	assert_true(field_count < 256); /* the formats number them in a byte */
	for (unsigned int i = 0; i < field_count; i++) {
		const struct field *field = &field_table[i];

		assert_true(field->actions && field->get && field->help && *field->help);
		assert_ptr_equal(field_named(field->path), field);
		assert_int_equal(strspn(field->path, "abcdefghijklmnopqrstuvwxyz_.@"),
				 strlen(field->path));
		if (field->column) {
			assert_ptr_equal(field_named(field->column), field);
			assert_true(field->width >= strlen(field->column) || field->right);
			assert_true(field->least && field->least <= field->width);
		}
	}
}

/* Or JSON would have the same key twice: a path's objects may not come back once
 * another one has begun, and no value may be an object as well. */
static void objects_stand_together(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < field_count; i++) {
		const char *name = field_table[i].path;

		for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
			size_t length = (size_t)(dot - name) + 1;
			bool left = false;

			for (unsigned int j = i; j < field_count; j++) {
				bool inside = !strncmp(field_table[j].path, name, length);

				assert_false(strlen(field_table[j].path) == length - 1 &&
					     !strncmp(field_table[j].path, name, length - 1));
				if (inside && left)
					fail_msg("%s is away from %s", field_table[j].path, name);
				left |= !inside;
			}
		}
	}
}

static bool name_sound(const char *name, const char *also)
{
	size_t letters = strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789");

	while (name[letters] && strchr(also, name[letters]))
		letters += 1 + strspn(name + letters + 1, "abcdefghijklmnopqrstuvwxyz_0123456789");
	return letters && !name[letters];
}

/* Nobody may hear of two things by one name, nor of one that stands in the table only. */
static void names_elsewhere(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < field_count; i++) {
		const struct field *field = &field_table[i];

		assert_true(!field->people || (!field->otel && !field->ocsf && !field->sql));
		if (!strncmp(field->path, "portsnoop.", 10))
			assert_true(field->otel && field->ocsf);
		if (field->otel && *field->otel != '/')
			assert_true(name_sound(field->otel, "."));
		if (field->ocsf)
			assert_true(name_sound(field->ocsf, "."));
		if (field->sql)
			assert_true(name_sound(field->sql, ""));
		for (unsigned int j = 0; j < i; j++) {
			const struct field *other = &field_table[j];

			if (field->otel && other->otel && !strcmp(field->otel, other->otel))
				fail_msg("%s twice", field->otel);
			if (field->sql && other->sql && !strcmp(field->sql, other->sql))
				fail_msg("%s twice", field->sql);
		}
	}
}

static void found_by_name(void **state)
{
	(void)state;
	assert_ptr_equal(field_named("COMM"), field_named("process.name"));
	assert_ptr_equal(field_named("comm"), field_named("process.name"));
	assert_ptr_equal(field_named("Process.PID"), field_named("process.pid"));
	assert_ptr_equal(field_find("pid,comm", 3), field_named("process.pid"));
	assert_null(field_find("pi", 2));
	assert_null(field_find("pidx", 4));
	assert_null(field_find("", 0));
	assert_null(field_find("process", 7));
	/* a column may have the name of an object */
	assert_ptr_equal(field_named("container"), field_named("container.id"));
}

/* ---- values ---- */

static void requested_bind(void **state)
{
	struct scene scene;

	(void)state;
	scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 5432, 5432));
	IS("message", "web[42] bound tcp 0.0.0.0:5432");
	IS("@timestamp", "2026-11-21T14:32:07.000000000Z");
	IS("event.type", "start");
	IS("event.id", "00c0ffee12345678-42");
	IS("network.type", "ipv4");
	ABSENT("source.port");
	ABSENT("server.port");
	ABSENT("error.code");
	ABSENT("event.duration");
	IS("process.entity_id", "7f3a91c2:42:1000042:1");
	IS("portsnoop.process_unknown", "no-record");
	IS("portsnoop.claimed", "true");
	IS("portsnoop.local.ip", "0.0.0.0");
	IS("portsnoop.requested.port", "5432");
	IS("portsnoop.class.iana", "user");
	IS("portsnoop.class.service", "postgresql");
	IS("portsnoop.class.in_pool", "false");
	IS("portsnoop.class.privileged", "false");
	IS("portsnoop.class.pool", "32768-60999");
	ABSENT("portsnoop.class.own_range");
	ABSENT("portsnoop.socket_options");
	IS("local", "0.0.0.0:5432");
	ABSENT("remote");
	IS("result", "ok");
	IS("class", "user postgresql");
	ABSENT("portsnoop.lost.count");
	ABSENT("portsnoop.totals.seen");
}

/* The kernel's choice says nothing about a service: 41230 is z-wave-s. */
static void chosen_by_the_kernel(void **state)
{
	struct scene scene;

	(void)state;
	scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 0, 41230));
	IS("portsnoop.origin", "kernel");
	IS("portsnoop.requested.port", "0");
	IS("portsnoop.class.service", "null");
	ABSENT("portsnoop.known_uses");
	IS("portsnoop.class.in_pool", "true");
	IS("class", "user, pool");

	scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 41230, 41230));
	IS("portsnoop.class.service", "z-wave-s");
	scene.socket.flags |= WIRE_RESERVED;
	IS("portsnoop.class.in_pool", "false");
	IS("portsnoop.class.reserved", "true");
	scene.socket.pool_low = 41230;
	scene.socket.flags = WIRE_OWN_RANGE;
	IS("portsnoop.class.in_pool", "true");
	IS("portsnoop.class.own_range", "true");
	scene.socket.pool_low = 41231;
	IS("portsnoop.class.in_pool", "false");
	scene.socket.pool_low = 32768;
	scene.socket.pool_high = 41230;
	IS("portsnoop.class.in_pool", "true");
	scene.socket.pool_high = 41229;
	IS("portsnoop.class.in_pool", "false");
	scene.socket.pool_low = scene.socket.pool_high = 0; /* could not be read */
	ABSENT("portsnoop.class.in_pool");
	ABSENT("portsnoop.class.pool");

	scene_set(&scene, EVENT_BOUND, record_bind(42, "mosh-server", 60002, 60002));
	scene.socket.protocol = 17;
	IS("portsnoop.class.service", "null");
	assert_non_null(strstr(scene_plain(&scene, "portsnoop.known_uses"), "mosh"));
}

static void failed_bind(void **state)
{
	struct scene scene;

	(void)state;
	scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 80, 0));
	scene.socket.error = EACCES;
	scene.event.outcome = EVENT_FAILURE;
	IS("message", "web[42] could not bind tcp 0.0.0.0:80: EACCES");
	IS("event.type", "start denied");
	IS("error.code", "EACCES");
	ABSENT("portsnoop.local.ip");
	ABSENT("portsnoop.local.port");
	IS("portsnoop.requested.port", "80");
	IS("portsnoop.class.service", "http");
	IS("portsnoop.class.privileged", "true");
	IS("local", "0.0.0.0:80");
	IS("result", "EACCES");
	scene.socket.error = EADDRINUSE;
	IS("event.type", "start");
	scene.socket.unprivileged = 80;
	IS("portsnoop.class.privileged", "false");

	/* bound before: it keeps what it has */
	scene.socket.local_port = 22;
	scene.socket.error = EINVAL;
	IS("portsnoop.local.port", "22");
	IS("portsnoop.class.service", "ssh");
	IS("message", "web[42] could not bind tcp 0.0.0.0:80: EINVAL");

	/* bind(0), and no port was left: there is none to classify */
	scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 0, 0));
	scene.socket.error = EADDRINUSE;
	scene.event.outcome = EVENT_FAILURE;
	IS("message", "web[42] could not bind tcp 0.0.0.0:0: EADDRINUSE");
	ABSENT("portsnoop.class.iana");
	ABSENT("portsnoop.class.privileged");
	scene.socket.error = 524;
	IS("error.code", "524");
	IS("message", "web[42] could not bind tcp 0.0.0.0:0: errno 524");
}

static void port_put_off(void **state)
{
	struct scene scene;

	(void)state;
	scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 0, 0));
	scene.socket.flags |= WIRE_BIND_NO_PORT | WIRE_REUSEADDR | WIRE_REUSEPORT | WIRE_V6ONLY;
	IS("message", "web[42] bound tcp 0.0.0.0, port follows");
	IS("portsnoop.local.ip", "0.0.0.0");
	IS("portsnoop.local.port", "null");
	IS("portsnoop.socket_options", "reuseaddr reuseport v6only bind_address_no_port");
}

static void connects(void **state)
{
	struct scene scene;

	(void)state;
	scene_set(&scene, EVENT_CONNECTED, record_connect(WIRE_CALL, 42, "curl"));
	IS("message", "curl[42] connecting tcp 10.0.0.1:40000 -> 192.0.2.80:443");
	IS("event.outcome", "unknown");
	IS("event.type", "connection start");
	IS("source.ip", "10.0.0.1");
	IS("source.port", "40000");
	IS("destination.ip", "192.0.2.80");
	IS("destination.port", "443");
	ABSENT("portsnoop.requested.ip");
	ABSENT("server.ip");
	IS("result", "pending");
	IS("remote", "192.0.2.80:443");

	scene_set(&scene, EVENT_ESTABLISHED, record_connect(WIRE_OUTCOME, 42, "curl"));
	IS("message", "curl[42] established tcp 10.0.0.1:40000 -> 192.0.2.80:443");
	IS("event.duration", "1234567");
	IS("event.type", "connection start");
	IS("result", "1.2ms");
	ABSENT("portsnoop.claimed");

	scene.event.action = EVENT_FAILED;
	scene.event.outcome = EVENT_FAILURE;
	scene.socket.error = ECONNREFUSED;
	IS("message",
	   "curl[42] failed to connect tcp 10.0.0.1:40000 -> 192.0.2.80:443: ECONNREFUSED");
	IS("event.type", "connection denied");
	scene.socket.error = ETIMEDOUT;
	IS("event.type", "connection end");

	/* the process did not wait for an answer */
	scene.socket.error = 0;
	scene.socket.flags |= WIRE_ABORTED;
	IS("message", "curl[42] gave up connecting tcp 10.0.0.1:40000 -> 192.0.2.80:443");
	IS("event.type", "connection end");
	ABSENT("error.code");
	IS("result", "gave up");
	scene.socket.flags &= ~(uint32_t)WIRE_ABORTED;

	/* before it had a port, or an address */
	scene.socket.local_port = 0;
	memset(scene.socket.local, 0, 16);
	scene.event.action = EVENT_CONNECTED;
	scene.socket.error = ENETUNREACH;
	IS("message", "curl[42] failed to connect tcp -> 192.0.2.80:443: ENETUNREACH");
	ABSENT("source.ip");
	ABSENT("source.port");
	ABSENT("portsnoop.local.ip");
	ABSENT("portsnoop.class.iana");
	ABSENT("local");
	scene.socket.flags &= ~(uint32_t)WIRE_HAS_OTHER;
	ABSENT("destination.ip");
	IS("message", "curl[42] failed to connect tcp: ENETUNREACH");
}

static void sends(void **state)
{
	struct scene scene;
	struct wire_event send = record_event(WIRE_CALL, WIRE_SEND, 42, "dig");

	(void)state;
	send.protocol = 17;
	send.origin = WIRE_ORIGIN_KERNEL;
	record_local4(&send, "\0\0\0\0", 50000);
	record_other4(&send, "\xc0\0\x02\x35", 53);
	scene_set(&scene, EVENT_AUTOBOUND, send);
	IS("message", "dig[42] autobound udp 0.0.0.0:50000 -> 192.0.2.53:53");
	ABSENT("source.ip"); /* no packet comes from 0.0.0.0 */
	IS("source.port", "50000");
	IS("portsnoop.local.ip", "0.0.0.0");
	IS("event.type", "start");
	scene.socket.flags = WIRE_CLAIMED;
	IS("source.port", "50000");
	ABSENT("destination.ip");
	IS("message", "dig[42] autobound udp 0.0.0.0:50000");
}

static void listens(void **state)
{
	struct scene scene;
	struct wire_event listen = record_event(WIRE_CALL, WIRE_LISTEN, 42, "nginx");

	(void)state;
	listen.family = 6;
	listen.local_port = 80;
	scene_set(&scene, EVENT_LISTEN, listen);
	IS("message", "nginx[42] listens on tcp [::]:80");
	IS("server.ip", "::");
	IS("server.port", "80");
	IS("network.type", "ipv6");
	ABSENT("source.port");
	ABSENT("portsnoop.origin");
	IS("portsnoop.claimed", "false");
	IS("portsnoop.class.service", "null"); /* this call asked for no port */
	scene.socket.error = EADDRINUSE;
	IS("message", "nginx[42] could not listen on tcp [::]:80: EADDRINUSE");
}

static void releases(void **state)
{
	struct scene scene;

	(void)state;
	scene_set(&scene, EVENT_RELEASED, record_connect(WIRE_RELEASE, 42, "curl"));
	scene.socket.flags |= WIRE_TIME_WAIT;
	IS("message", "curl[42] released tcp 10.0.0.1:40000 into TIME_WAIT, held 1.2ms");
	IS("event.type", "end");
	IS("portsnoop.time_wait", "seen");
	IS("destination.port", "443");
	IS("result", "held 1.2ms TW");
	ABSENT("portsnoop.claimed");
	ABSENT("portsnoop.disconnect");
	scene.socket.flags |= WIRE_TIME_WAIT_OVER;
	IS("message", "curl[42] released tcp 10.0.0.1:40000 from TIME_WAIT, held 1.2ms");
	IS("portsnoop.time_wait", "over");
	IS("result", "held 1.2ms TW end");
	ABSENT("portsnoop.lingered");
	scene.socket.duration = 61200000000;
	scene.event.lingered = 60000000000;
	IS("message",
	   "curl[42] released tcp 10.0.0.1:40000 from TIME_WAIT, held 1m01s, 1m00s of it TIME_WAIT");
	IS("event.duration", "61200000000");
	IS("portsnoop.lingered", "60000000000");
	IS("result", "held 1m01s, 1m00s of it TIME_WAIT");
	scene.event.lingered = 0;
	ABSENT("portsnoop.holder.pid");
	scene.socket.flags &= ~(uint32_t)WIRE_TIME_WAIT_OVER;
	scene.socket.flags |= WIRE_ESTIMATED | WIRE_DISCONNECT;
	IS("portsnoop.time_wait", "estimated");
	IS("portsnoop.disconnect", "true");
	scene.socket.flags = WIRE_HAS_OTHER;
	ABSENT("portsnoop.time_wait");
	scene.socket.trigger = WIRE_BIND;
	ABSENT("destination.port");
	ABSENT("source.port");
	ABSENT("portsnoop.requested.port");

	/* the claim was before our time */
	scene.socket = record_event(WIRE_RELEASE, 0, 0, "");
	scene.socket.start = scene.socket.uid = scene.socket.exec = 0;
	scene.socket.flags = WIRE_NO_CLAIMANT;
	record_local4(&scene.socket, "\x7f\0\0\x01", 631);
	IS("message", "an unknown process released tcp 127.0.0.1:631");
	IS("portsnoop.process_unknown", "predates");
	ABSENT("portsnoop.trigger");
	ABSENT("process.pid");
	ABSENT("process.name");
	ABSENT("process.user.id");
	ABSENT("process.entity_id");
	ABSENT("portsnoop.holder.name");
	scene.event.holder = &(struct lease_process){.key = {.pid = 7}, .comm = "cupsd"};
	IS("portsnoop.holder.pid", "7");
	IS("portsnoop.holder.name", "cupsd");
	ABSENT("process.thread.id");
	ABSENT("event.duration");
}

/* Local and requested are the socket's view, the others the packets'. */
static void mapped_addresses(void **state)
{
	struct scene scene;

	(void)state;
	scene_set(&scene, EVENT_CONNECTED, record_connect(WIRE_CALL, 42, "java"));
	scene.socket.family = 6;
	record_mapped(scene.socket.local, "\x0a\0\0\x01");
	record_mapped(scene.socket.other, "\xc0\0\x02\x50");
	IS("network.type", "ipv4");
	IS("portsnoop.local.ip", "::ffff:10.0.0.1");
	IS("source.ip", "10.0.0.1");
	IS("destination.ip", "192.0.2.80");
	IS("message", "java[42] connecting tcp 10.0.0.1:40000 -> 192.0.2.80:443");

	/* the request alone tells */
	memset(scene.socket.local, 0, 16);
	IS("network.type", "ipv4");
	ABSENT("source.ip");
	IS("portsnoop.local.ip", "::");
	record_mapped(scene.socket.local, "\0\0\0\0");
	ABSENT("source.ip");
	memset(scene.socket.local, 0, 16);
	memset(scene.socket.other, 0, 16);
	IS("network.type", "ipv6");
}

static void threads_and_processes(void **state)
{
	struct scene scene;

	(void)state;
	scene_set(&scene, EVENT_BOUND, record_bind(42, "worker", 80, 80));
	IS("process.name", "worker");
	ABSENT("process.thread.id");
	scene.socket.tid = 43;
	ABSENT("process.name");
	IS("process.thread.id", "43");
	IS("process.thread.name", "worker");
	IS("message", "worker[42] bound tcp 0.0.0.0:80");
	ABSENT("process.executable");
	ABSENT("container.id");
	ABSENT("portsnoop.exe_flags");

	scene.event.process = &scene.process;
	scene.event.user = "dev";
	scene.process = (struct process){
		.key = {.pid = 42},
		.namespace_pid = 42,
		.comm = "java",
		.parent_pid = 900,
		.parent_comm = "bash",
		.exe = "/usr/bin/java",
		.exe_length = 13,
		.args = "java\0-jar\0",
		.args_length = 10,
		.cgroup = "/a/b",
		.cgroup_length = 4,
		.container = {.id = "c0ffee", .runtime = "docker", .pod = "p", .unit = "u"},
		.flags = WIRE_EXE_DELETED | WIRE_EXE_MEMORY | WIRE_ARGS_CUT | WIRE_KERNEL_THREAD,
	};
	IS("process.name", "java");
	IS("message", "java[42] bound tcp 0.0.0.0:80");
	IS("process.executable", "/usr/bin/java");
	IS("process.args", "java -jar");
	IS("process.parent.pid", "900");
	IS("process.parent.name", "bash");
	IS("process.user.id", "1000");
	IS("process.user.name", "dev");
	IS("container.id", "c0ffee");
	IS("container.runtime", "docker");
	IS("portsnoop.pod", "p");
	IS("portsnoop.unit", "u");
	IS("portsnoop.cgroup", "/a/b");
	IS("portsnoop.exe_flags", "deleted memory");
	IS("portsnoop.incomplete", "args cut");
	IS("portsnoop.kernel_thread", "true");
	ABSENT("portsnoop.namespace_pid");
	ABSENT("portsnoop.process_unknown");
	scene.process.namespace_pid = 1;
	IS("portsnoop.namespace_pid", "1");
	scene.process.parent_pid = 0;
	ABSENT("process.parent.pid");
	ABSENT("process.parent.name");
}

static void protocols(void **state)
{
	static const struct {
		uint16_t protocol;
		const char *transport, *word;
	} rows[] = {
		{6, "tcp", "tcp"},     {17, "udp", "udp"},    {136, "udplite", "udplite"},
		{1, "icmp", "icmp"},   {132, "sctp", "sctp"}, {58, "ipv6-icmp", "ipv6-icmp"},
		{262, "tcp", "mptcp"}, {253, NULL, "253"},
	};
	struct scene scene;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 7, 7));
		scene.socket.protocol = rows[i].protocol;
		IS("network.transport", rows[i].transport);
		IS("network.iana_number", rows[i].transport ? NULL : "253");
		IS("protocol", rows[i].word);
		IS("portsnoop.mptcp", rows[i].protocol == 262 ? "true" : NULL);
		/* the number of a ping socket is no port */
		IS("portsnoop.class.iana",
		   rows[i].protocol == 1 || rows[i].protocol == 58 ? NULL : "system");
	}
	scene.socket.protocol = 6;
	scene.socket.flags = WIRE_MPTCP | WIRE_FASTOPEN | WIRE_SELF_CONNECT | WIRE_KERNEL_SOCKET;
	IS("portsnoop.mptcp", "true");
	IS("portsnoop.fastopen", "true");
	IS("portsnoop.self_connect", "true");
	IS("portsnoop.kernel_socket", "true");
	scene.socket.protocol = 262;
	scene.socket.local_port = scene.socket.other_port = 443;
	IS("portsnoop.class.service", "https");
}

static void stream_events(void **state)
{
	struct scene scene;
	struct event_gap gap = {
		.cpu = 3, .count = 12, .after = RECORDS_TIME - 1, .before = RECORDS_TIME};
	struct wire_stream_end end = record_end(100, 12);

	(void)state;
	scene_set(&scene, EVENT_LOST, (struct wire_event){0});
	scene.event.socket = NULL;
	scene.event.gap = &gap;
	scene.stream.wall_offset = scene.stream.start.wall_offset;
	IS("message", "lost 12 records on CPU 3");
	IS("event.type", "info");
	ABSENT("event.outcome");
	IS("portsnoop.lost.count", "12");
	IS("portsnoop.lost.cpu", "3");
	IS("portsnoop.lost.from", "2026-11-21T14:32:06.999999999Z");
	IS("portsnoop.lost.to", "2026-11-21T14:32:07.000000000Z");
	gap.cpu = EVENT_CPU_UNKNOWN;
	gap.after = 0;
	gap.count = 1;
	IS("message", "lost 1 record before the end");
	ABSENT("portsnoop.lost.cpu");
	ABSENT("portsnoop.lost.from");

	scene.event.gap = NULL;
	scene.event.action = EVENT_END;
	scene.event.end = &end;
	IS("message", "stopped watching: 100 records seen, 12 lost");
	IS("portsnoop.totals.skipped", "0");
	IS("portsnoop.totals.evicted", "null");
	scene.event.ledger = &(struct ledger_totals){.evicted = 3};
	IS("portsnoop.totals.evicted", "3");
	end.skipped = UINT64_MAX;
	IS("portsnoop.totals.skipped", "null");

	scene.event.end = NULL;
	scene.event.action = EVENT_HEARTBEAT;
	scene.event.heartbeat = &(struct wire_heartbeat){.seen = 90, .lost = 1, .untracked = 2};
	IS("message", "still watching: 90 records seen, 1 lost");
	IS("event.action", "heartbeat");
	IS("event.kind", "metric");
	IS("event.type", "info");
	IS("portsnoop.totals.seen", "90");
	IS("portsnoop.totals.untracked", "2");
	ABSENT("portsnoop.totals.unseen");
	ABSENT("portsnoop.totals.skipped");
	ABSENT("event.outcome");
	scene.event.heartbeat = NULL;

	scene.event.action = EVENT_START;
	IS("event.kind", "event");
	IS("message", "watching ports on web1, kernel 6.12.0");
	IS("portsnoop.tier", "tracepoint");
	IS("portsnoop.stream.cpus", "4");
	ABSENT("portsnoop.stream.not_covered");
	scene.stream.start.coverage &= ~(uint64_t)3;
	assert_non_null(scene_plain(&scene, "portsnoop.stream.not_covered"));
	scene.stream.start.coverage = 0;
	assert_non_null(scene_plain(&scene, "portsnoop.stream.not_covered"));
	scene.stream.start.tier = 77;
	ABSENT("portsnoop.tier");
}

static void durations(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} rows[] = {
		{1, "1ns"},
		{999, "999ns"},
		{1000, "1.0us"},
		{999999, "999.9us"},
		{1000000, "1.0ms"},
		{999999999, "999.9ms"},
		{1000000000, "1.0s"},
		{59999999999, "59.9s"},
		{60000000000, "1m00s"},
		{3599999999999, "59m59s"},
		{3600000000000, "1h00m"},
		{172799999999999, "47h59m"},
		{172800000000000, "2d00h"},
		{UINT64_MAX, "213503d23h"},
	};
	struct scene scene;

	(void)state;
	scene_set(&scene, EVENT_ESTABLISHED, record_connect(WIRE_OUTCOME, 42, "curl"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scene.socket.duration = rows[i].ns;
		IS("result", rows[i].text);
	}
	scene.socket.duration = 0;
	IS("result", "ok");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_sound),  cmocka_unit_test(objects_stand_together),
		cmocka_unit_test(names_elsewhere),  cmocka_unit_test(found_by_name),
		cmocka_unit_test(requested_bind),   cmocka_unit_test(chosen_by_the_kernel),
		cmocka_unit_test(failed_bind),	    cmocka_unit_test(port_put_off),
		cmocka_unit_test(connects),	    cmocka_unit_test(sends),
		cmocka_unit_test(listens),	    cmocka_unit_test(releases),
		cmocka_unit_test(mapped_addresses), cmocka_unit_test(threads_and_processes),
		cmocka_unit_test(protocols),	    cmocka_unit_test(stream_events),
		cmocka_unit_test(durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
