/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "history_sample.h"

#define TEXT(string)                                                                               \
	{                                                                                          \
		.data = (string), .length = sizeof(string) - 1                                     \
	}
#define AT(seconds) (SAMPLE_NOON + (seconds)*SAMPLE_SECOND)
#define NS(milliseconds) ((milliseconds)*UINT64_C(1000000))
#define TCP .family = 4, TCP6
#define TCP6                                                                                       \
	.protocol = TEXT("tcp"), .netns = 4026531840, .host = TEXT("web1"), .tier = TEXT("fentry")
#define POOL .pool_low = 32768, .pool_high = 60999
#define OPEN .until = INT64_MAX, .held = STORE_UNKNOWN, .ending = STORE_OPEN

#define NGINX                                                                                      \
	{                                                                                          \
		.pid = 61, .start = 1000061, .exec = 1, .uid = 33, .gid = 33, .has_uid = true,     \
		.namespace_pid = 61, .parent_pid = 1, .comm = TEXT("nginx"),                       \
		.exe = TEXT("/usr/sbin/nginx"), .user = TEXT("www-data"),                          \
		.parent_comm = TEXT("systemd"), .cgroup = TEXT("/system.slice/nginx.service"),     \
		.unit = TEXT("nginx.service"), .args = TEXT("[\"nginx\",\"-g\",\"daemon off;\"]"), \
	}
#define CURL                                                                                       \
	{                                                                                          \
		.pid = 70, .start = 1000070, .exec = 3, .uid = 1000, .gid = 1000, .has_uid = true, \
		.namespace_pid = 7, .comm = TEXT("curl"), .exe = TEXT("/usr/bin/curl"),            \
		.user = TEXT("dev"),                                                               \
		.container = TEXT("c0ffee1234567890c0ffee1234567890c0ffee1234567890c0ffee"),       \
		.runtime = TEXT("docker"), .flags = WIRE_EXE_DELETED | WIRE_ARGS_CUT,              \
		.unit = TEXT("docker-c0ffee.scope"),                                               \
	}
#define LATE                                                                                       \
	{                                                                                          \
		.pid = 60, .has_uid = true, .comm = TEXT("late"), .namespace_pid = 60              \
	}
#define EVIL "\x1b[31m\x0a\"},{\xff\xe2\x80\xae\\"
#define HOSTILE                                                                                    \
	{                                                                                          \
		.pid = 666, .has_uid = true, .comm = TEXT(EVIL), .exe = TEXT("/" EVIL),            \
		.user = TEXT(EVIL), .parent_pid = 1, .parent_comm = TEXT(EVIL),                    \
		.cgroup = TEXT("/" EVIL), .unit = TEXT(EVIL), .container = TEXT(EVIL),             \
		.runtime = TEXT(EVIL), .pod = TEXT(EVIL),                                          \
		.args = TEXT("[\"\\u001b[31m\",\"\\\"},{\",\"\xff\x01\xe2\x80\xae\"]"),            \
	}

const struct history_row sample_rows[SAMPLE_ROWS] = {
	[SAMPLE_BEFORE] = {HISTORY_GAP, .gap = -2, .time = INT64_MIN, .until = AT(-90000)},
	[SAMPLE_PREDATES] = {HISTORY_LEASE, 0, 1, AT(-90000), AT(-86400), NS(3600000), TCP,
			     .port = 22, .local = TEXT("0.0.0.0"), .outcome = STORE_LISTENING,
			     .ending = STORE_RELEASED, .answered = STORE_UNKNOWN,
			     .process = {.pid = 65,
					 .has_uid = true,
					 .comm = TEXT("sshd"),
					 .exe = TEXT("/usr/sbin/sshd"),
					 .user = TEXT("root")}},
	[SAMPLE_PREDATES_OPEN] = {HISTORY_LEASE, 0, 1, AT(0), OPEN, TCP6, .port = 631, .family = 6,
				  .local = TEXT("::1"), .outcome = STORE_BOUND,
				  .answered = STORE_UNKNOWN},
	[SAMPLE_LISTENING] = {HISTORY_LEASE, 0, 2, AT(-86400) + 123456789, AT(-86277), NS(123000),
			      TCP, POOL, .port = 8080, .local = TEXT("0.0.0.0"),
			      .trigger = TEXT("bind"), .origin = TEXT("requested"),
			      .outcome = STORE_LISTENING, .ending = STORE_RELEASED,
			      .answered = NS(1), .flags = WIRE_REUSEADDR | WIRE_CLAIMED,
			      .process = NGINX},
	[SAMPLE_OPEN] = {HISTORY_LEASE, 0, 2, AT(1), OPEN, TCP, POOL, .port = 40000,
			 .local = TEXT("10.0.0.1"), .remote = TEXT("192.0.2.80"),
			 .remote_port = 443, .trigger = TEXT("connect"), .origin = TEXT("kernel"),
			 .outcome = STORE_ESTABLISHED, .answered = NS(12) + 345678,
			 .process = CURL},
	[SAMPLE_TIME_WAIT_NOW] = {HISTORY_LEASE, 0, 3, AT(2), OPEN, TCP, POOL, .port = 40001,
				  .lingered = STORE_UNKNOWN, .local = TEXT("10.0.0.1"),
				  .remote = TEXT("192.0.2.80"), .remote_port = 443,
				  .trigger = TEXT("connect"), .origin = TEXT("kernel"),
				  .outcome = STORE_ESTABLISHED, .answered = NS(1), .process = CURL},
	[SAMPLE_ESTIMATED] = {HISTORY_LEASE, 0, 3, AT(3), AT(68), NS(65000), NS(60000), NS(20), TCP,
			      POOL, .port = 40002, .local = TEXT("10.0.0.1"),
			      .remote = TEXT("192.0.2.80"), .remote_port = 443,
			      .trigger = TEXT("connect"), .origin = TEXT("kernel"),
			      .outcome = STORE_ESTABLISHED, .ending = STORE_ESTIMATED,
			      .process = CURL},
	[SAMPLE_REFUSED] = {HISTORY_LEASE, 0, 4, AT(4), AT(4) + 250000, 250000, .answered = 240000,
			    TCP, POOL, .port = 40003, .local = TEXT("127.0.0.1"),
			    .remote = TEXT("127.0.0.1"), .remote_port = 9,
			    .trigger = TEXT("connect"), .origin = TEXT("kernel"),
			    .outcome = STORE_FAILED, .error = TEXT("ECONNREFUSED"),
			    .ending = STORE_RELEASED, .process = CURL},
	[SAMPLE_GAVE_UP] = {HISTORY_LEASE, 0, 5, AT(5), AT(8), NS(3000), .answered = NS(3000), TCP,
			    POOL, .port = 40004, .local = TEXT("10.0.0.1"),
			    .remote = TEXT("192.0.2.81"), .remote_port = 80,
			    .trigger = TEXT("connect"), .origin = TEXT("kernel"),
			    .outcome = STORE_FAILED, .ending = STORE_RELEASED, .process = CURL},
	[SAMPLE_UNSEEN] = {HISTORY_LEASE, 0, 6, AT(6), AT(306), NS(300000), TCP, .port = 6379,
			   .local = TEXT("127.0.0.1"), .trigger = TEXT("bind"),
			   .origin = TEXT("requested"), .outcome = STORE_LISTENING,
			   .ending = STORE_UNSEEN, .answered = STORE_UNKNOWN, .process = NGINX},
	[SAMPLE_EVICTED] = {HISTORY_LEASE, 0, 7, AT(7), AT(8), NS(1000), TCP, POOL, .port = 40005,
			    .lingered = STORE_UNKNOWN, .local = TEXT("10.0.0.1"),
			    .remote = TEXT("192.0.2.81"), .remote_port = 80,
			    .trigger = TEXT("connect"), .origin = TEXT("kernel"),
			    .outcome = STORE_PENDING, .ending = STORE_EVICTED,
			    .answered = STORE_UNKNOWN, .process = CURL},
	[SAMPLE_UDP] = {HISTORY_LEASE,
			0,
			8,
			AT(8),
			AT(9),
			NS(1000),
			.protocol = TEXT("udp"),
			.family = 6,
			POOL,
			.port = 53001,
			.local = TEXT("2001:db8::1"),
			.remote = TEXT("2001:db8::53"),
			.remote_port = 53,
			.trigger = TEXT("send"),
			.origin = TEXT("kernel"),
			.outcome = STORE_ESTABLISHED,
			.ending = STORE_RELEASED,
			.answered = STORE_UNKNOWN,
			.netns = 4026532000,
			.device = 2,
			.process = {.pid = 11, .has_uid = true, .uid = 65534, .comm = TEXT("dig")}},
	[SAMPLE_MAPPED] = {HISTORY_LEASE,
			   0,
			   9,
			   AT(9),
			   AT(10),
			   NS(1000),
			   TCP6,
			   .family = 6,
			   POOL,
			   .port = 443,
			   .local = TEXT("::ffff:10.0.0.1"),
			   .remote = TEXT("::ffff:192.0.2.7"),
			   .remote_port = 50001,
			   .trigger = TEXT("connect"),
			   .origin = TEXT("requested"),
			   .outcome = STORE_ESTABLISHED,
			   .ending = STORE_RELEASED,
			   .answered = NS(1),
			   .flags = WIRE_MPTCP | WIRE_RESERVED | WIRE_FASTOPEN,
			   .process = NGINX},
	[SAMPLE_NO_RECORD] = {HISTORY_LEASE, 0, 10, AT(10), AT(11), NS(1000), TCP, .port = 8081,
			      .local = TEXT("0.0.0.0"), .trigger = TEXT("bind"),
			      .origin = TEXT("requested"), .outcome = STORE_BOUND,
			      .ending = STORE_RELEASED, .answered = STORE_UNKNOWN},
	[SAMPLE_BLOCKED] = {HISTORY_FAILURE, 0, 1, AT(11), TCP, POOL, .port = 8080,
			    .local = TEXT("0.0.0.0"), .trigger = TEXT("bind"),
			    .origin = TEXT("requested"), .error = TEXT("EADDRINUSE"),
			    .flags = WIRE_CLAIMED, .process = LATE, .blocked_count = 2,
			    .blocked_total = 4,
			    .blockers = {{.process = NGINX,
					  .role = TEXT("claimant"),
					  .state = TEXT("listen"),
					  .since = AT(8),
					  .port = 8080,
					  .local = TEXT("0.0.0.0")},
					 {.role = TEXT("unknown"),
					  .state = TEXT("time_wait"),
					  .port = 8080,
					  .remote_port = 50003,
					  .local = TEXT("127.0.0.1"),
					  .remote = TEXT("192.0.2.7")}}},
	[SAMPLE_EXHAUSTED] = {HISTORY_FAILURE, 0, 2, AT(12), TCP, POOL, .remote_port = 443,
			      .local = TEXT("0.0.0.0"), .remote = TEXT("192.0.2.80"),
			      .trigger = TEXT("connect"), .error = TEXT("EADDRNOTAVAIL"),
			      .process = CURL, .blocked_count = 1, .blocked_total = 1,
			      .blockers = {{.process = CURL,
					    .role = TEXT("claimant"),
					    .ports = 28231,
					    .since = AT(2)}}},
	[SAMPLE_NOT_SEEN] = {HISTORY_FAILURE, 0, 3, AT(13), TCP, .port = 24,
			     .local = TEXT("0.0.0.0"), .trigger = TEXT("bind"),
			     .origin = TEXT("requested"), .error = TEXT("EADDRINUSE"),
			     .process = LATE, .blocked_reason = TEXT("not_seen")},
	[SAMPLE_LISTEN_FAILED] = {HISTORY_FAILURE, 0, 4, AT(14), TCP6, .family = 6, .port = 8443,
				  .local = TEXT("::1"), .trigger = TEXT("listen"),
				  .error = TEXT("EACCES"), .process = {.pid = 0}},
	[SAMPLE_HOSTILE] = {HISTORY_LEASE,
			    0,
			    11,
			    AT(15),
			    AT(16),
			    NS(1000),
			    .protocol = TEXT("253"),
			    .family = 4,
			    .port = 7,
			    .local = TEXT(EVIL),
			    .remote = TEXT(EVIL),
			    .remote_port = 1,
			    .trigger = TEXT(EVIL),
			    .origin = TEXT(EVIL),
			    .error = TEXT(EVIL),
			    .host = TEXT(EVIL),
			    .tier = TEXT(EVIL),
			    .outcome = STORE_FAILED,
			    .ending = STORE_RELEASED,
			    .process = HOSTILE},
	[SAMPLE_HOSTILE_FAILURE] = {HISTORY_FAILURE, 0, 5, AT(16), .protocol = TEXT(EVIL),
				    .local = TEXT(EVIL), .trigger = TEXT(EVIL), .error = TEXT(EVIL),
				    .blocked_reason = TEXT(EVIL),
				    .process = {.pid = 1, .args = TEXT("[\"x\",}")},
				    .blocked_count = 1, .blocked_total = UINT32_MAX,
				    .blockers = {{.process = HOSTILE,
						  .role = TEXT(EVIL),
						  .state = TEXT(EVIL),
						  .local = TEXT(EVIL),
						  .remote = TEXT(EVIL),
						  .port = 1,
						  .remote_port = 2,
						  .since = INT64_MIN}}},
	[SAMPLE_STOPPED] =
		{
			HISTORY_GAP,
			STORE_GAP_STOPPED,
			1,
			AT(20),
			AT(80),
		},
	[SAMPLE_KILLED] =
		{
			HISTORY_GAP,
			STORE_GAP_KILLED,
			2,
			AT(131),
			AT(300),
		},
	[SAMPLE_LOST] = {HISTORY_GAP, STORE_GAP_LOST, 3, AT(301), AT(302), .count = 12},
	[SAMPLE_LOST_ONE] = {HISTORY_GAP, STORE_GAP_LOST, 4, AT(303), AT(303), .count = 1},
	[SAMPLE_DROPPED] = {HISTORY_GAP, STORE_GAP_DROPPED, 5, AT(304), AT(364), .count = 70000},
	[SAMPLE_GAP_EVICTED] = {HISTORY_GAP, STORE_GAP_EVICTED, 6, AT(365), AT(366), .count = 2},
	[SAMPLE_CLOCK] =
		{
			HISTORY_GAP,
			STORE_GAP_CLOCK,
			7,
			AT(367),
			AT(10967),
		},
	[SAMPLE_CLOCK_BACK] =
		{
			HISTORY_GAP,
			STORE_GAP_CLOCK,
			8,
			AT(10968),
			AT(368),
		},
	[SAMPLE_SILENT] = {HISTORY_GAP, .gap = -1, .time = AT(400), .until = INT64_MAX},
};
