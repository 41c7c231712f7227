/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/filter.h"
#include "records.h"

struct options {
	struct filter filter;
};

static const struct option_entry entries[] = {
	FILTER_OPTIONS(struct options, filter),
	{0},
};

/* One option, as getopt would give it. */
static int set(struct options *options, const char *name, const char *argument,
	       const char **expected)
{
	const struct option_entry *entry = entries;

	while (entry->name && strcmp(entry->name, name) != 0)
		entry++;
	assert_non_null(entry->name);
	assert_int_equal(!entry->argument, !argument);
	*expected = NULL;
	return entry->set(argument, (char *)options + entry->offset, expected);
}

/* Everything that a test can change about an event. */
struct sample {
	struct wire_event socket;
	struct process process;
	struct event event;
};

static void sample_make(struct sample *sample)
{
	memset(sample, 0, sizeof(*sample));
	sample->socket = record_bind(4242, "python3", 60002, 60002);
	memcpy(sample->process.comm, "leader", 7);
	sample->process.cgroup = "/system.slice/app.service";
	sample->process.cgroup_length = strlen(sample->process.cgroup);
	sample->event = (struct event){
		.action = EVENT_BOUND,
		.outcome = EVENT_SUCCESS,
		.socket = &sample->socket,
		.process = &sample->process,
	};
}

/* Whether the event passes a filter of these pairs of name and argument. */
static bool passes(const struct sample *sample, const char *const *words)
{
	struct options options = {0};
	const char *expected;
	bool result;

	for (; *words; words += 2)
		assert_int_equal(set(&options, words[0], words[1], &expected), 0);
	result = filter_passes(&options.filter, &sample->event);
	filter_free(&options.filter);
	return result;
}

#define PASSES(...) assert_true(passes(&sample, (const char *const[]){__VA_ARGS__, NULL}))
#define HOLDS_BACK(...) assert_false(passes(&sample, (const char *const[]){__VA_ARGS__, NULL}))

static void test_empty(void **state)
{
	struct filter filter = FILTER_ALL;
	struct sample sample;

	(void)state;
	sample_make(&sample);
	assert_true(filter_passes(&filter, &sample.event));
	sample.event.process = NULL;
	assert_true(filter_passes(&filter, &sample.event));
	filter_free(&filter);
}

static void test_port(void **state)
{
	struct sample sample;

	(void)state;
	sample_make(&sample);
	PASSES("port", "60002");
	PASSES("port", "1-60002");
	PASSES("port", "22,60002");
	PASSES("port", "22", "port", "60002"); /* adds up */
	HOLDS_BACK("port", "60001,60003");
	/* Asked for any, and got one. */
	sample.socket.other_port = 0;
	PASSES("port", "60002");
	HOLDS_BACK("port", "0");
	/* A remote port does not count. */
	sample.socket.trigger = WIRE_CONNECT;
	sample.socket.other_port = 443;
	HOLDS_BACK("port", "443");
	sample.socket.error = ECONNREFUSED;
	HOLDS_BACK("port", "443");
	PASSES("port", "60002");
}

static void test_port_of_a_failed_bind(void **state)
{
	struct sample sample;

	(void)state;
	sample_make(&sample);
	sample.event.outcome = EVENT_FAILURE;
	sample.socket.error = EADDRINUSE;
	sample.socket.local_port = 0;
	PASSES("port", "60002");
	HOLDS_BACK("port", "0");
	sample.socket.other_port = 0; /* asked for any */
	PASSES("port", "0");
	/* Bound to 80 already, and refused another one. */
	sample.socket.local_port = 80;
	sample.socket.other_port = 81;
	PASSES("port", "80");
	PASSES("port", "81");
	HOLDS_BACK("port", "82");
	/* What was asked for is not known. */
	sample.socket.flags &= ~(uint32_t)WIRE_HAS_OTHER;
	PASSES("port", "80");
	HOLDS_BACK("port", "81");
}

static void test_claimant(void **state)
{
	struct wire_event *end;
	struct sample sample;

	(void)state;
	sample_make(&sample);
	PASSES("pid", "4242");
	PASSES("pid", "1,4242");
	HOLDS_BACK("pid", "424");
	sample.process.root = 424; /* it descends from that one */
	PASSES("pid", "424");
	PASSES("pid", "4242");
	HOLDS_BACK("pid", "42");
	PASSES("uid", "1000");
	PASSES("uid", "root,1000");
	HOLDS_BACK("uid", "root");
	PASSES("comm", "python3");    /* the thread */
	HOLDS_BACK("comm", "leader"); /* a leader that got another name since */
	sample.socket.tid++;
	PASSES("comm", "leader"); /* the process of a thread */
	HOLDS_BACK("comm", "python");
	HOLDS_BACK("comm", "lead");
	PASSES("comm", "x", "comm", "leader");
	sample.event.process = NULL;
	PASSES("comm", "python3");
	HOLDS_BACK("comm", "leader");
	/* A name that fills its field has no end, and nothing lies behind it. */
	end = malloc(sizeof(*end));
	assert_non_null(end);
	*end = sample.socket;
	memset(end->comm, 'x', WIRE_COMM);
	sample.event.socket = end;
	HOLDS_BACK("comm", "xxxxxxxxxxxxxxx");
	free(end);
}

/* The zeros of a socket without a claimant must not pass for root's. */
static void test_no_claimant(void **state)
{
	struct sample sample;

	(void)state;
	sample_make(&sample);
	sample.socket.flags |= WIRE_NO_CLAIMANT;
	sample.socket.pid = sample.socket.tid = sample.socket.uid = 0;
	memset(sample.socket.comm, 0, WIRE_COMM);
	sample.event.process = NULL;
	HOLDS_BACK("uid", "0");
	HOLDS_BACK("cgroup", "/");
	PASSES("port", "60002");
}

static void test_cgroup(void **state)
{
	struct sample sample;

	(void)state;
	sample_make(&sample);
	PASSES("cgroup", "/system.slice/app.service");
	PASSES("cgroup", "/system.slice/app.service/");
	PASSES("cgroup", "/system.slice");
	PASSES("cgroup", "/system.slice//");
	PASSES("cgroup", "/");
	PASSES("cgroup", "/user.slice", "cgroup", "/system.slice");
	HOLDS_BACK("cgroup", "/system");
	HOLDS_BACK("cgroup", "/system.slice/app.service/below");
	HOLDS_BACK("cgroup", "/system.slice/app.servic");
	HOLDS_BACK("cgroup", "/app.service");
	/* Not NUL-terminated. */
	sample.process.cgroup_length = strlen("/system.slice");
	PASSES("cgroup", "/system.slice");
	HOLDS_BACK("cgroup", "/system.slice/app.service");
	sample.process.cgroup = "/";
	sample.process.cgroup_length = 1;
	PASSES("cgroup", "/");
	HOLDS_BACK("cgroup", "/a");
	sample.process.cgroup = NULL;
	sample.process.cgroup_length = 0;
	HOLDS_BACK("cgroup", "/");
}

static void test_socket(void **state)
{
	struct sample sample;

	(void)state;
	sample_make(&sample);
	PASSES("proto", "tcp");
	PASSES("proto", "udp,tcp");
	HOLDS_BACK("proto", "udp");
	HOLDS_BACK("proto", "mptcp");
	sample.socket.flags |= WIRE_MPTCP; /* a subflow */
	PASSES("proto", "mptcp");
	PASSES("proto", "tcp");
	sample.socket.protocol = 262;
	PASSES("proto", "mptcp");
	HOLDS_BACK("proto", "tcp");
	PASSES("family", "4");
	PASSES("family", "ipv4");
	HOLDS_BACK("family", "6");
	PASSES("family", "6", "family", "4"); /* the last one */
	sample.socket.family = 6;
	PASSES("family", "ipv6");
	PASSES("netns", "4026531840");
	PASSES("netns", "5,4026531840");
	HOLDS_BACK("netns", "4026531841");
}

static void test_kind(void **state)
{
	struct sample sample;

	(void)state;
	sample_make(&sample);
	PASSES("trigger", "bind");
	PASSES("trigger", "connect,bind");
	PASSES("trigger", "connect", "trigger", "bind");
	HOLDS_BACK("trigger", "connect,listen,send,subflow");
	sample.socket.trigger = WIRE_SUBFLOW;
	PASSES("trigger", "subflow");
	sample.socket.trigger = 0; /* predates the stream */
	HOLDS_BACK("trigger", "bind,connect,listen,send,subflow");
	sample.socket.trigger = 255;
	HOLDS_BACK("trigger", "bind,connect,listen,send,subflow");
	HOLDS_BACK("failed", NULL);
	sample.event.outcome = EVENT_UNKNOWN;
	HOLDS_BACK("failed", NULL);
	sample.event.outcome = EVENT_FAILURE;
	PASSES("failed", NULL);
	HOLDS_BACK("ephemeral", NULL);
	sample.socket.origin = WIRE_ORIGIN_NONE;
	HOLDS_BACK("ephemeral", NULL);
	sample.socket.origin = WIRE_ORIGIN_KERNEL;
	PASSES("ephemeral", NULL);
}

static void test_release(void **state)
{
	struct sample sample;

	(void)state;
	sample_make(&sample);
	sample.event.action = EVENT_RELEASED;
	sample.socket.header.type = WIRE_RELEASE;
	HOLDS_BACK("port", "60002");
	PASSES("release", NULL);
	PASSES("release", NULL, "port", "60002");
	HOLDS_BACK("release", NULL, "port", "60001");
	sample.event.action = EVENT_ESTABLISHED;
	sample.socket.header.type = WIRE_OUTCOME;
	PASSES("port", "60002", "pid", "4242");
	HOLDS_BACK("port", "60002", "pid", "4243");
}

static void test_all_must_hold(void **state)
{
	struct sample sample;

	(void)state;
	sample_make(&sample);
	PASSES("port", "60002", "pid", "4242", "uid", "1000", "comm", "python3", "proto", "tcp",
	       "family", "4", "trigger", "bind", "cgroup", "/system.slice", "netns", "4026531840");
	HOLDS_BACK("port", "60002", "pid", "4242", "uid", "1000", "comm", "python3", "proto", "tcp",
		   "family", "4", "trigger", "bind", "cgroup", "/system.slice", "netns", "1");
}

static void test_stream_passes(void **state)
{
	struct sample sample;

	(void)state;
	sample_make(&sample);
	sample.event = (struct event){.action = EVENT_LOST};
	PASSES("port", "1", "pid", "1", "failed", NULL, "trigger", "send");
}

static void refused(const char *name, const char *argument)
{
	struct options options = {0};
	const char *expected;

	assert_int_equal(set(&options, name, argument, &expected), -EINVAL);
	assert_non_null(expected);
	filter_free(&options.filter);
}

static void test_refused(void **state)
{
	static const char *const wrong[][2] = {
		{"port", ""},
		{"port", "80abc"},
		{"pid", ""},
		{"pid", "0"},
		{"pid", "4194305"},
		{"pid", "1,,2"},
		{"pid", "1,"},
		{"pid", "-1"},
		{"pid", "bash"},
		{"uid", ""},
		{"uid", "nobody-here,0"},
		{"uid", "0,"},
		{"proto", ""},
		{"proto", "tcp,"},
		{"proto", "6"},
		{"family", ""},
		{"family", "5"},
		{"family", "4,6"},
		{"family", "inet"},
		{"cgroup", ""},
		{"cgroup", "system.slice"},
		{"netns", ""},
		{"netns", "0"},
		{"netns", "/etc/passwd"},
		{"trigger", ""},
		{"trigger", "bind,"},
		{"trigger", "accept"},
		{"trigger", "BIND"},
		{"comm", ""},
		{"comm", "sixteen-bytes-it"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		refused(wrong[i][0], wrong[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_port_of_a_failed_bind),
		cmocka_unit_test(test_claimant),
		cmocka_unit_test(test_no_claimant),
		cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_kind),
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_all_must_hold),
		cmocka_unit_test(test_stream_passes),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
