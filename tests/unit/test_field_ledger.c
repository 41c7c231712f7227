/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the ledger adds to an event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "model/blocked.h"
#include "model/message.h"
#include "scene.h"

/* A failure that somebody stood in the way of: nginx listens, on this address. */
static void blocked_set(struct scene *scene, struct blocked *blocked)
{
	scene_set(scene, EVENT_BOUND, record_bind(42, "web", 80, 0));
	scene->socket.error = EADDRINUSE;
	scene->event.outcome = EVENT_FAILURE;
	*blocked = (struct blocked){.count = 1, .total = 1, .time = RECORDS_TIME};
	blocked->entries[0] = (struct blocked_entry){
		.process = {.key = {.pid = 812}, .comm = "nginx"},
		.role = BLOCKED_CLAIMANT,
		.state = "listen",
		.since = RECORDS_TIME - 3200000000,
		.local_port = 80,
		.family = 4,
	};
	scene->event.blocked = blocked;
}

#define BLOCKED_IS(text)                                                                           \
	do {                                                                                       \
		IS("portsnoop.blocked_by", text);                                                  \
		IS("message", "web[42] could not bind tcp 0.0.0.0:80: EADDRINUSE, held by " text); \
	} while (0)

static void blocked_failures(void **state)
{
	struct blocked blocked;
	struct blocked_entry *entry = &blocked.entries[0];
	struct scene scene;

	(void)state;
	blocked_set(&scene, &blocked);
	BLOCKED_IS("nginx[812] (listen, 3.2s)");
	IS("portsnoop.blocked_by_total", "1");
	ABSENT("portsnoop.blocked_by_reason");
	ABSENT("portsnoop.blocked_by_unlisted");
	IS("result", "EADDRINUSE");
	entry->since = 0;
	BLOCKED_IS("nginx[812] (listen)");
	entry->since = RECORDS_TIME + 1; /* learnt of behind the failure */
	BLOCKED_IS("nginx[812] (listen)");
	entry->since = 0;
	memcpy(entry->local, "\x7f\0\0\x01", 4);
	BLOCKED_IS("nginx[812] (listen on 127.0.0.1:80)");
	entry->state = "time_wait";
	entry->expires = 41200000000;
	memcpy(entry->other, "\xc0\0\x02\x07", 4);
	entry->other_port = 5000;
	BLOCKED_IS("nginx[812] (time_wait on 127.0.0.1:80 to 192.0.2.7:5000, 41.2s left)");
	entry->holder = (struct lease_process){.key = {.pid = 813}, .comm = "worker"};
	entry->state = "established";
	entry->expires = 0;
	memset(entry->local, 0, 4);
	BLOCKED_IS("nginx[812] (established to 192.0.2.7:5000, open in worker[813])");
	entry->process.key.pid = 0;
	entry->holder.key.pid = entry->other_port = 0;
	entry->state = "bound";
	BLOCKED_IS("an unknown process (bound)");
	blocked.total = 3;
	BLOCKED_IS("an unknown process (bound) +2 more");
	blocked.unlisted = 7;
	IS("portsnoop.blocked_by_unlisted", "7");
	BLOCKED_IS("an unknown process (bound) +2 or more");

	/* the same address in the other family is another one */
	blocked.total = 1;
	blocked.unlisted = 0;
	entry->family = 6;
	BLOCKED_IS("an unknown process (bound on [::]:80)");

	blocked = (struct blocked){.reason = "not_seen"};
	IS("portsnoop.blocked_by", "");
	IS("portsnoop.blocked_by_total", "0");
	IS("portsnoop.blocked_by_reason", "not_seen");
	IS("message", "web[42] could not bind tcp 0.0.0.0:80: EADDRINUSE");

	scene.event.blocked = NULL;
	ABSENT("portsnoop.blocked_by");
	ABSENT("portsnoop.blocked_by_total");
}

static void no_port_left(void **state)
{
	struct blocked blocked;
	struct scene scene;

	(void)state;
	blocked_set(&scene, &blocked);
	scene.socket = record_connect(WIRE_CALL, 42, "web");
	scene.socket.local_port = 0;
	scene.socket.error = EADDRNOTAVAIL;
	scene.event.action = EVENT_CONNECTED;
	blocked.exhausted = true;
	blocked.total = 2;
	blocked.entries[0].state = NULL;
	blocked.entries[0].ports = 28231;
	IS("portsnoop.blocked_by", "nginx[812] (28231 ports, 3.2s) +1 more");
	blocked.entries[0].ports = 1;
	IS("message", "web[42] failed to connect tcp -> 192.0.2.80:443: EADDRNOTAVAIL, held by "
		      "nginx[812] (1 port, 3.2s) +1 more");
}

/* All that can be long at once: there is room for it. */
static void the_longest_message(void **state)
{
	struct blocked blocked;
	struct blocked_entry *entry = &blocked.entries[0];
	struct scene scene;

	(void)state;
	blocked_set(&scene, &blocked);
	scene.socket.family = entry->family = 6;
	memset(scene.socket.local, 0xfd, 16);
	memset(scene.socket.other, 0xfd, 16);
	memset(entry->local, 0xfc, 16);
	memset(entry->other, 0xfb, 16);
	scene.socket.pid = scene.socket.tid = UINT32_MAX;
	scene.socket.local_port = scene.socket.other_port = 60000;
	scene.socket.protocol = 58;
	scene.event.action = EVENT_CONNECTED;
	memset(scene.socket.comm, 'x', WIRE_COMM - 1);
	entry->local_port = entry->other_port = 60000;
	entry->state = "established";
	entry->since = 0;
	entry->expires = UINT64_MAX;
	entry->process = (struct lease_process){.key = {.pid = UINT32_MAX}};
	memset(entry->process.comm, 'x', WIRE_COMM);
	entry->holder = entry->process;
	blocked.total = UINT32_MAX;
	blocked.unlisted = 1;
	assert_in_range(strlen(scene_plain(&scene, "message")), 380, MESSAGE_MAX);
}

/* The objects of JSON: what there is none of is null where everybody looks for it. */
static void blocked_objects(void **state)
{
	struct blocked blocked;
	struct scene scene;
	struct field_scratch scratch;
	struct value value;
	const struct object_list *list;

	(void)state;
	blocked_set(&scene, &blocked);
	value = field_value(field_named("portsnoop.blocked_by"), &scene.event, &scratch);
	assert_int_equal(value.kind, VALUE_OBJECTS);
	list = value.objects.list;
	assert_int_equal(list->count(&scene.event), 1);
	for (unsigned int i = 0; i < list->member_count; i++) {
		const char *name = list->members[i].path;
		bool nothing = !strcmp(name, "pid") || !strcmp(name, "name") ||
			       !strcmp(name, "since");

		blocked.entries[0].process.key.pid = 0;
		blocked.entries[0].since = 0;
		value = list->members[i].get(&scene.event, 0, &scratch);
		assert_true((value.kind == VALUE_NULL) == nothing);
		assert_ptr_equal(strchr(name, '.'), strrchr(name, '.'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocked_failures),
		cmocka_unit_test(no_port_left),
		cmocka_unit_test(the_longest_message),
		cmocka_unit_test(blocked_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
