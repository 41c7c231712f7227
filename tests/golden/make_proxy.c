/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: make_proxy DB SCALE [SEED]
 *
 * Two hours of a machine that does not exist, for report.sh: a proxy whose upstream stops to
 * keep connections alive at 14:05, so that the ports toward it run out, in a pool of 10,000
 * ports over SCALE; until somebody mends it at 14:36. Its recording was killed once, and lost
 * something once. The same every time.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"

#define SECOND INT64_C(1000000000)
#define BEGIN (INT64_C(1795179600) * SECOND) /* Fri 2026-11-20 13:00:00 UTC */
#define LENGTH 7200			     /* s */
#define LINGER 60
#define KILLED 1200 /* the first recording */
#define AGAIN 1440
#define TICKS 20 /* a second */
#define SLOTS ((LENGTH + 2 * LINGER) * TICKS)
#define POOL_LOW 40000
#define NGINX_WORKERS 4

struct destination {
	const char *ip;
	double rate;	/* claims a second */
	double seconds; /* in use, on average; below 0: in ms */
	const uint32_t *processes;
	int process_count;
	unsigned int taken_count;
	uint16_t port;
	uint8_t protocol;
	bool lingers, refused, upstream;
	uint8_t taken[10000];
};

struct ending {
	struct store_lease lease;
	struct destination *to;
	struct ending *next;
};

static struct store *store;
static struct ending *endings[SLOTS]; /* by the tick of their end */
static uint64_t state;
static unsigned int pool = 10000, scale = 1;

static double random_part(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (double)(state >> 11) / (double)(UINT64_C(1) << 53);
}

/* About exponential, without libm. */
static double random_time(double mean)
{
	double sum = 0;

	for (int i = 0; i < 3; i++)
		sum += random_part() * random_part();
	return mean * (sum * 1.2 + 0.1);
}

static uint32_t process(uint32_t pid, const char *comm, uint32_t uid, const char *user,
			const char *exe, const char *unit, const char *container)
{
	char cgroup[128];
	struct process details = {
		.key = {.pid = pid, .start = (uint64_t)pid * 1000000, .exec = 1},
		.namespace_pid = pid,
		.parent_pid = 1,
		.uid = uid,
		.gid = uid,
		.parent_comm = "systemd",
		.exe = exe,
		.exe_length = strlen(exe),
		.args = exe,
		.args_length = strlen(exe) + 1,
		.cgroup = cgroup,
	};
	struct store_process given = {
		.key = details.key, .uid = uid, .comm = comm, .user = user, .details = &details};

	snprintf(cgroup, sizeof(cgroup), "/system.slice/%s", unit);
	details.cgroup_length = strlen(cgroup);
	snprintf(details.comm, sizeof(details.comm), "%s", comm);
	snprintf(details.container.unit, sizeof(details.container.unit), "%s", unit);
	if (container) {
		snprintf(details.container.id, sizeof(details.container.id), "%s", container);
		strcpy(details.container.runtime, "docker");
	}
	return store_process(store, &given);
}

static struct store_lease lease(int64_t claimed, uint8_t protocol, const char *local, uint16_t port,
				uint32_t by)
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
		.pool_low = POOL_LOW,
		.pool_high = (uint16_t)(POOL_LOW + pool - 1),
		.family = 4,
		.trigger = WIRE_BIND,
		.origin = WIRE_ORIGIN_REQUESTED,
	};

	inet_pton(AF_INET, local, made.local);
	return made;
}

/* A listener is held to the end, or was claimed before. */
static void listener(uint16_t port, const char *local, uint32_t by, bool before, int from)
{
	struct store_lease made = lease(BEGIN + from * SECOND, 6, local, port, by);

	made.outcome = STORE_LISTENING;
	if (before)
		made.trigger = made.origin = 0;
	store_lease_open(store, &made);
}

static int free_port(const struct destination *to)
{
	unsigned int at = (unsigned int)(random_part() * pool) & ~1u;

	if (to->taken_count == pool)
		return -1;
	while (to->taken[at])
		at = (at + 1) % pool;
	return (int)at;
}

static void exhausted(const struct destination *to, int64_t now, uint32_t by,
		      const uint32_t *workers)
{
	struct store_blocker blockers[NGINX_WORKERS];
	struct store_failure failure = {
		.claim = lease(now, to->protocol, "10.0.7.4", 0, by),
		.blockers = blockers,
		.count = NGINX_WORKERS,
		.total = NGINX_WORKERS,
	};

	failure.claim.trigger = WIRE_CONNECT;
	failure.claim.origin = WIRE_ORIGIN_NONE;
	failure.claim.error = 99; /* EADDRNOTAVAIL */
	failure.claim.remote_port = to->port;
	inet_pton(AF_INET, to->ip, failure.claim.remote);
	for (int i = 0; i < NGINX_WORKERS; i++)
		blockers[i] = (struct store_blocker){
			.process = workers[i],
			.role = "claimant",
			.since = now - 61 * SECOND,
			.ports = to->taken_count / NGINX_WORKERS,
			.family = 4,
		};
	store_failure(store, &failure);
}

static void claim(struct destination *to, int64_t now, const uint32_t *workers)
{
	const uint32_t by = to->processes[(int)(random_part() * to->process_count)];
	const int port = free_port(to);
	struct ending *ending;
	int64_t held, lingered = 0;
	size_t slot;

	if (port < 0) {
		exhausted(to, now, by, workers);
		return;
	}
	ending = calloc(1, sizeof(*ending));
	ending->to = to;
	ending->lease = lease(now, to->protocol, "10.0.7.4", (uint16_t)(POOL_LOW + port), by);
	ending->lease.trigger = to->protocol == 17 ? WIRE_SEND : WIRE_CONNECT;
	ending->lease.origin = WIRE_ORIGIN_KERNEL;
	ending->lease.outcome = to->refused ? STORE_FAILED : STORE_ESTABLISHED;
	ending->lease.error = to->refused ? 111 : 0;
	ending->lease.answered = (uint64_t)random_time(800000);
	ending->lease.remote_port = to->port;
	inet_pton(AF_INET, to->ip, ending->lease.remote);
	held = (int64_t)(random_time(to->seconds) * 1e9) + 20000;
	if (to->lingers && !to->refused)
		lingered = LINGER * SECOND + (int64_t)(random_part() * 4e6);
	ending->lease.held = (uint64_t)(held + lingered);
	ending->lease.lingered = (uint64_t)lingered;
	ending->lease.ending = STORE_RELEASED;
	to->taken[port] = 1;
	to->taken_count++;
	/* The port is free from the next tick on. */
	slot = (size_t)((now + held + lingered - BEGIN) / (SECOND / TICKS)) + 1;
	if (slot >= SLOTS)
		slot = SLOTS - 1;
	ending->next = endings[slot];
	endings[slot] = ending;
}

static void ends(int tick)
{
	struct ending *ending;

	while ((ending = endings[tick])) {
		endings[tick] = ending->next;
		ending->to->taken[ending->lease.port - POOL_LOW] = 0;
		ending->to->taken_count--;
		store_lease_close(store, 0, &ending->lease);
		free(ending);
	}
}

/* What it is after the hour of the day, and the episode. */
static double rate_at(const struct destination *to, int second)
{
	double rate = to->rate * (0.8 + 0.4 * (double)((second / 60 * 7919) % 97) / 97);

	if (to->upstream && second >= 3900 && second < 5760)
		rate *= second < 4500 ? 1.0 + 3.6 * (second - 3900) / 600 : 4.6;
	if (to->upstream && second >= 5700 && second < 5760)
		rate /= 2;
	return rate / scale;
}

static void committed(int second)
{
	if (store_commit(store, BEGIN + (int64_t)second * SECOND)) {
		fprintf(stderr, "make_proxy: the commit failed\n");
		exit(1);
	}
}

static void run(uint64_t stream, int second)
{
	struct store_run run = {
		.stream = stream,
		.started = BEGIN + second * SECOND,
		.coverage = (UINT64_C(1) << 33) - 1,
		.tier = 1,
		.host = "edge-3",
		.kernel = "6.12.48+deb13-amd64",
		.boot = "7f3a91c2-0000-4000-8000-000000000000",
		.program = "0.1.0",
	};

	store_run(store, &run);
}

/* A second copy of a service that runs already, again and again. */
static void twice(int second, uint32_t late, uint32_t first)
{
	struct store_blocker blocker = {
		.process = first,
		.role = "claimant",
		.state = "listen",
		.since = BEGIN,
		.port = 3000,
		.family = 4,
	};
	struct store_failure failure = {
		.claim = lease(BEGIN + second * SECOND + 123456789, 6, "0.0.0.0", 3000, late),
		.blockers = &blocker,
		.count = 1,
		.total = 1,
	};

	failure.claim.error = 98; /* EADDRINUSE */
	store_failure(store, &failure);
}

static void claims(struct destination *to, int tick, const uint32_t *workers)
{
	const double rate = rate_at(to, tick / TICKS) / TICKS;
	const int count = (int)rate + (random_part() < rate - (int)rate);

	for (int i = 0; i < count; i++)
		claim(to, BEGIN + (int64_t)((tick + (i + random_part()) / count) * 1e9 / TICKS),
		      workers);
}

/* What a recorder knows of when it is killed, or ends. */
static void still_held(int64_t now)
{
	for (size_t slot = 0; slot < SLOTS; slot++)
		for (struct ending *ending = endings[slot]; ending; ending = ending->next) {
			const int64_t closed = ending->lease.claimed + (int64_t)ending->lease.held -
					       (int64_t)ending->lease.lingered;

			ending->lease.lingered = closed < now ? STORE_UNKNOWN : 0;
			ending->lease.held = STORE_UNKNOWN;
			ending->lease.ending = STORE_OPEN;
			store_lease_open(store, &ending->lease);
		}
}

static void simulate(uint64_t stream, int from, int until)
{
	static uint32_t nginx[NGINX_WORKERS], celery[8], node[2], resolver, health, prometheus,
		sshd, late;
	static struct destination to[] = {
		{"10.0.7.20", 45, .12, nginx, NGINX_WORKERS, 0, 8443, 6, true, false, true, {0}},
		{"10.0.7.21", 6, .3, nginx, NGINX_WORKERS, 0, 8443, 6, true, false, false, {0}},
		{"10.0.3.5", 1.5, 45, celery, 8, 0, 5432, 6, false, false, false, {0}},
		{"10.0.3.6", 5, .02, celery, 8, 0, 6379, 6, true, false, false, {0}},
		{"10.0.9.14", 3, 2.5, node, 2, 0, 443, 6, true, false, false, {0}},
		{"10.0.9.15", 2, 4, node, 2, 0, 443, 6, false, false, false, {0}},
		{"10.0.0.2", 9, .0015, &resolver, 1, 0, 53, 17, false, false, false, {0}},
		{"127.0.0.1", .2, .0003, &health, 1, 0, 9000, 6, false, true, false, {0}},
		{"10.0.11.40", .3, .4, &prometheus, 1, 0, 9100, 6, false, false, false, {0}},
	};

	run(stream, from);
	for (uint32_t i = 0; i < NGINX_WORKERS; i++)
		nginx[i] = process(812 + i, "nginx", 33, "www-data", "/usr/sbin/nginx",
				   "nginx.service", NULL);
	for (uint32_t i = 0; i < 8; i++)
		celery[i] =
			process(2301 + i, "celery", 999, "app", "/usr/local/bin/python3.12",
				"docker-4be19f.scope",
				"4be19fd0c1a7724b8ce2c50ffb21e3d0946fd8a3c1b6e7f0123456789abcdef0");
	node[0] = process(1744, "node", 998, "checkout", "/usr/bin/node", "checkout.service", NULL);
	node[1] = process(1745, "node", 998, "checkout", "/usr/bin/node", "checkout.service", NULL);
	late = process(5119, "node", 998, "checkout", "/usr/bin/node", "checkout.service", NULL);
	resolver = process(455, "systemd-resolve", 101, "systemd-resolve",
			   "/usr/lib/systemd/systemd-resolved", "systemd-resolved.service", NULL);
	health = process(640, "healthcheck", 0, "root", "/usr/local/bin/healthcheck",
			 "healthcheck.service", NULL);
	prometheus = process(702, "prometheus", 110, "prometheus", "/usr/bin/prometheus",
			     "prometheus.service", NULL);
	sshd = process(590, "sshd", 0, "root", "/usr/sbin/sshd", "ssh.service", NULL);
	listener(22, "0.0.0.0", sshd, true, from);
	listener(80, "0.0.0.0", nginx[0], true, from);
	listener(443, "0.0.0.0", nginx[0], true, from);
	listener(9090, "127.0.0.1", prometheus, true, from);
	listener(3000, "0.0.0.0", node[0], from > 0, from ? from : 95);
	for (int second = from; second < until; second++) {
		for (int tick = second * TICKS; tick < (second + 1) * TICKS; tick++) {
			ends(tick);
			for (size_t i = 0; i < sizeof(to) / sizeof(*to); i++)
				claims(&to[i], tick, nginx);
		}
		if (second >= 2700 && second < 3000 && second % 20 == 0)
			twice(second, late, node[0]);
		if (second == 5100)
			store_gap(store, STORE_GAP_LOST, BEGIN + 5095 * SECOND,
				  BEGIN + 5100 * SECOND, 38);
		if (second % 10 == 0)
			committed(second);
	}
	still_held(BEGIN + until * SECOND);
	committed(until);
}

static void opened(const char *path)
{
	const struct store_options options = {.path = path, .max_size = STORE_MAX_SIZE};
	char why[512] = "";

	if (!store_open(&options, &store, why, sizeof(why)))
		return;
	fprintf(stderr, "make_proxy: %s\n", why);
	exit(1);
}

/* Until the recording was killed, in a process of its own. */
static void first_part(const char *path)
{
	int status;

	if (!fork()) {
		opened(path);
		simulate(1, 0, KILLED);
		fflush(stderr);
		_exit(0);
	}
	if (wait(&status) < 0 || status)
		exit(1);
}

int main(int argc, char **argv)
{
	if (argc < 3 || atoi(argv[2]) < 1) {
		fprintf(stderr, "usage: make_proxy DB SCALE [SEED]\n");
		return 2;
	}
	scale = (unsigned int)atoi(argv[2]);
	pool /= scale;
	state = argc > 3 ? strtoull(argv[3], NULL, 10) * 2654435761 + 1 : 42;
	first_part(argv[1]);
	opened(argv[1]);
	simulate(2, AGAIN, LENGTH);
	store_close(store, BEGIN + LENGTH * SECOND);
	return 0;
}
