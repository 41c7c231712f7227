/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: make_history DB 1|2|live
 *
 * Writes what history.sh asks: 1 and 2 are two days' recordings, fixed to the nanosecond.
 * The first ends as a killed one does. `live` records now: for each line of its input one
 * commit, "open PORT", "close PORT", "fail PORT" or "gap", and a line of output behind it.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"

#define SECOND INT64_C(1000000000)
#define MS INT64_C(1000000)
#define DAY (INT64_C(1795165200) * SECOND) /* Fri 2026-11-20 09:00:00 UTC */
#define AT(seconds) (DAY + (seconds)*SECOND)
#define EVIL "\x1b[31m\n\"},{\xff\xe2\x80\xae\\"
#define FENTRY 1

enum { TCP = 6, UDP = 17 };

static struct store *store;

static void committed(int64_t now)
{
	if (store_commit(store, now)) {
		fprintf(stderr, "make_history: the commit failed\n");
		exit(1);
	}
}

static void opened(const char *path)
{
	struct store_options options = {.path = path, .max_size = STORE_MAX_SIZE};
	char why[512] = "";

	if (store_open(&options, &store, why, sizeof(why))) {
		fprintf(stderr, "make_history: %s\n", why);
		exit(1);
	}
}

static void run(uint64_t stream, int64_t started, const char *host)
{
	struct store_run run = {
		.stream = stream,
		.started = started,
		.coverage = 1,
		.tier = FENTRY,
		.host = host,
		.kernel = "6.12.0",
		.boot = "7f3a91c2-0000-4000-8000-000000000000",
		.program = "0.1.0",
	};

	store_run(store, &run);
}

static uint32_t process(uint32_t pid, const char *comm, uint32_t uid, const char *user,
			const char *exe, const char *cgroup)
{
	struct process details = {
		.key = {.pid = pid, .start = pid * 1000 * (uint64_t)MS, .exec = 1},
		.namespace_pid = pid,
		.parent_pid = 1,
		.uid = uid,
		.gid = uid,
		.parent_comm = "systemd",
		.exe = exe,
		.exe_length = exe ? strlen(exe) : 0,
		.args = exe,
		.args_length = exe ? strlen(exe) + 1 : 0,
		.cgroup = cgroup,
		.cgroup_length = cgroup ? strlen(cgroup) : 0,
	};
	struct store_process given = {
		.key = details.key,
		.uid = uid,
		.comm = comm,
		.user = user,
		.details = exe ? &details : NULL,
	};
	const char *unit = cgroup ? strrchr(cgroup, '/') + 1 : "";

	snprintf(details.comm, sizeof(details.comm), "%s", comm);
	snprintf(details.container.unit, sizeof(details.container.unit), "%s", unit);
	if (!strncmp(unit, "docker-", 7)) {
		snprintf(details.container.id, sizeof(details.container.id), "%.64s", unit + 7);
		strcpy(details.container.runtime, "docker");
	}
	return store_process(store, &given);
}

static struct store_lease lease(int64_t claimed, uint16_t protocol, const char *local,
				uint16_t port, uint32_t by)
{
	struct store_lease made = {
		.claimed = claimed,
		.held = STORE_UNKNOWN,
		.answered = STORE_UNKNOWN,
		.process = by,
		.netns = 4026531840,
		.flags = WIRE_CLAIMED,
		.protocol = protocol,
		.port = port,
		.pool_low = 32768,
		.pool_high = 60999,
		.family = 4,
		.trigger = WIRE_BIND,
		.origin = WIRE_ORIGIN_REQUESTED,
	};

	if (!inet_pton(AF_INET, local, made.local)) {
		made.family = 6;
		inet_pton(AF_INET6, local, made.local);
	}
	return made;
}

static void connect_to(struct store_lease *made, const char *remote, uint16_t port)
{
	made->trigger = WIRE_CONNECT;
	made->origin = WIRE_ORIGIN_KERNEL;
	made->outcome = STORE_ESTABLISHED;
	made->remote_port = port;
	inet_pton(made->family == 4 ? AF_INET : AF_INET6, remote, made->remote);
}

static void closed(struct store_lease *made, int64_t held, int64_t lingered,
		   enum store_ending ending)
{
	made->held = (uint64_t)held;
	made->lingered = (uint64_t)lingered;
	made->ending = ending;
	store_lease_close(store, 0, made);
}

static void leases(uint32_t nginx, uint32_t curl, uint32_t evil)
{
	struct store_lease made = lease(AT(10), TCP, "0.0.0.0", 8080, nginx);

	made.outcome = STORE_LISTENING;
	made.answered = 2 * MS;
	made.flags |= WIRE_REUSEADDR;
	closed(&made, 123 * SECOND, 0, STORE_RELEASED);
	made = lease(AT(30) + 5, TCP, "10.0.0.1", 40000, curl);
	connect_to(&made, "192.0.2.80", 443);
	made.answered = 12 * MS + 345678;
	closed(&made, 65 * SECOND, 60 * SECOND, STORE_RELEASED);
	made.claimed += SECOND;
	made.port++;
	closed(&made, 65 * SECOND, 60 * SECOND, STORE_ESTIMATED);
	made = lease(AT(40), TCP, "127.0.0.1", 40002, curl);
	connect_to(&made, "127.0.0.1", 9);
	made.outcome = STORE_FAILED;
	made.error = 111; /* ECONNREFUSED */
	made.answered = 240000;
	closed(&made, 250000, 0, STORE_RELEASED);
	made = lease(AT(41), UDP, "2001:db8::1", 53001, evil);
	connect_to(&made, "2001:db8::53", 53);
	made.trigger = WIRE_SEND;
	closed(&made, SECOND, 0, STORE_RELEASED);
	made = lease(AT(42), TCP, "::ffff:10.0.0.1", 40003, curl);
	connect_to(&made, "::ffff:192.0.2.80", 443);
	made.answered = MS;
	closed(&made, SECOND, 0, STORE_EVICTED);
	made = lease(AT(43), TCP, "0.0.0.0", 7000, evil);
	made.outcome = STORE_LISTENING;
	closed(&made, SECOND, 0, STORE_RELEASED);
}

static void failures(uint32_t late, uint32_t nginx, uint32_t curl, uint32_t evil)
{
	struct store_blocker blockers[2] = {
		{.process = nginx,
		 .role = "claimant",
		 .state = "listen",
		 .since = AT(10),
		 .port = 8080,
		 .family = 4},
		{.process = evil,
		 .role = "holder",
		 .state = "time_wait",
		 .port = 8080,
		 .remote_port = 50003,
		 .family = 4,
		 .local = {127, 0, 0, 1},
		 .remote = {192, 0, 2, 7}},
	};
	struct store_failure failure = {
		.claim = lease(AT(60), TCP, "0.0.0.0", 8080, late),
		.blockers = blockers,
		.count = 2,
		.total = 4,
	};

	failure.claim.error = 98; /* EADDRINUSE */
	store_failure(store, &failure);
	failure.claim = lease(AT(61), TCP, "0.0.0.0", 0, curl);
	connect_to(&failure.claim, "192.0.2.80", 443);
	failure.claim.origin = WIRE_ORIGIN_NONE;
	failure.claim.error = 99; /* EADDRNOTAVAIL */
	blockers[0] = (struct store_blocker){
		.process = curl, .role = "claimant", .since = AT(30), .ports = 28231, .family = 4};
	failure.count = failure.total = 1;
	store_failure(store, &failure);
	failure.claim = lease(AT(62), TCP, "::", 24, evil);
	failure.claim.error = 98;
	failure.count = failure.total = 0;
	failure.reason = "not_seen";
	store_failure(store, &failure);
}

static void first_run(void)
{
	uint32_t sshd, nginx, curl, late, evil, redis;
	struct store_lease made;

	run(1, AT(0), "web1");
	sshd = process(65, "sshd", 0, "root", "/usr/sbin/sshd", "/system.slice/ssh.service");
	nginx = process(61, "nginx", 33, "www-data", "/usr/sbin/nginx",
			"/system.slice/nginx.service");
	curl = process(70, "curl", 1000, "dev", "/usr/bin/curl",
		       "/system.slice/docker-c0ffee1234567890c0ffee1234567890");
	late = process(60, "late", 0, NULL, NULL, NULL);
	evil = process(666, EVIL, 1001, EVIL, "/" EVIL, "/" EVIL "/" EVIL);
	redis = process(62, "redis", 100, "redis", "/usr/bin/redis-server", "/redis.service");
	made = lease(AT(0), TCP, "0.0.0.0", 22, sshd);
	made.trigger = 0;
	made.origin = 0;
	made.outcome = STORE_LISTENING;
	store_lease_open(store, &made);
	made = lease(AT(20), TCP, "127.0.0.1", 6379, redis);
	made.outcome = STORE_LISTENING;
	store_lease_open(store, &made);
	leases(nginx, curl, evil);
	failures(late, nginx, curl, evil);
	store_gap(store, STORE_GAP_LOST, AT(70), AT(71), 12);
	store_gap(store, STORE_GAP_DROPPED, AT(80), AT(140), 70000);
	committed(AT(600));
}

static void second_run(void)
{
	struct store_lease made;
	uint32_t redis;

	run(2, AT(3600), "web1");
	redis = process(63, "redis", 100, "redis", "/usr/bin/redis-server", "/redis.service");
	made = lease(AT(3605), TCP, "127.0.0.1", 6379, redis);
	made.outcome = STORE_LISTENING;
	store_lease_open(store, &made);
	store_gap(store, STORE_GAP_CLOCK, AT(3700), AT(3640), 0);
	committed(AT(7200));
	store_close(store, AT(7201));
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

static void live_take(const char *word, uint16_t port)
{
	static struct store_lease open[65536];
	static uint64_t ids[65536];
	uint32_t by = process(42, "live", 0, "root", "/bin/live", "/live.service");

	if (!strcmp(word, "open")) {
		open[port] = lease(now(), TCP, "0.0.0.0", port, by);
		ids[port] = store_lease_open(store, &open[port]);
	} else if (!strcmp(word, "close")) {
		open[port].held = (uint64_t)(now() - open[port].claimed);
		open[port].ending = STORE_RELEASED;
		store_lease_close(store, ids[port], &open[port]);
	} else if (!strcmp(word, "fail")) {
		struct store_failure failure = {.claim = lease(now(), TCP, "0.0.0.0", port, by)};

		failure.claim.error = 13; /* EACCES */
		store_failure(store, &failure);
	} else {
		store_gap(store, STORE_GAP_LOST, now(), now(), 1);
	}
}

static void live_run(void)
{
	char line[64], word[16];
	unsigned int port;

	run(3, now(), "web1");
	committed(now());
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		port = 0;
		if (sscanf(line, "%15s %u", word, &port) < 1)
			continue;
		live_take(word, (uint16_t)port);
		committed(now());
		puts("written");
		fflush(stdout);
	}
	store_close(store, now());
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: make_history DB 1|2|live\n");
		return 2;
	}
	opened(argv[1]);
	if (!strcmp(argv[2], "1"))
		first_run();
	else if (!strcmp(argv[2], "2"))
		second_run();
	else
		live_run();
	fflush(stdout);
	_exit(0); /* as if killed, unless it was closed */
}
