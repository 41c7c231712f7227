/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <resolv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guard/guard.h"
#include "lib/cleanup.h"
#include "lib/order.h"
#include "lib/parse.h"
#include "lib/signals.h"
#include "sink/courier_inside.h"
#include "sink/kinds.h"

#define COURIER_NAME "portsnoop-sink"
/* A courier that is stuck in a call ends all the same when the program is gone. */
#define ALARM_S (COURIER_ORPHAN_MS / 1000 + 5)
#define SPOOL_LOOK_MS 50

/* What comes through the ready pipe, once. */
struct ready {
	int error;
	char why[CHANNEL_WHY];
};

static pid_t program;

/* The first one is the kernel's: the program has ended. Another one is the alarm's. */
static void alarm_take(int number)
{
	static volatile sig_atomic_t orphan;

	(void)number;
	if (orphan)
		_exit(EXIT_FAILURE);
	if (getppid() == program)
		return; /* somebody else's */
	orphan = 1;
	alarm(ALARM_S);
}

/* Ctrl-C, and what systemd sends to all of a unit, are the program's business. */
static void signals_shut(void)
{
	const struct sigaction action = {.sa_handler = alarm_take};
	sigset_t set;

	sigaction(SIGALRM, &action, NULL);
	prctl(PR_SET_PDEATHSIG, SIGALRM);
	sigfillset(&set);
	sigdelset(&set, SIGALRM);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

static int fd_compare(const void *a, const void *b)
{
	return number_compare((uint64_t) * (const int *)a, (uint64_t) * (const int *)b);
}

/* Who reads what the program writes must see its end when the program ends. */
static void fds_shut(const struct channel *channel, int ready, bool keep_output)
{
	int kept[CHANNEL_FDS + 1], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned int next = STDERR_FILENO + 1;

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		if (!keep_output)
			dup2(null, STDOUT_FILENO);
	}
	channel_fds(channel, kept);
	kept[CHANNEL_FDS] = ready;
	qsort(kept, CHANNEL_FDS + 1, sizeof(*kept), fd_compare);
	for (unsigned int i = 0; i <= CHANNEL_FDS; i++) {
		if (kept[i] < (int)next)
			continue; /* none, or one of the first three */
		if ((unsigned int)kept[i] > next)
			close_range(next, (unsigned int)kept[i] - 1, 0);
		next = (unsigned int)kept[i] + 1;
	}
	close_range(next, UINT_MAX, 0);
}

static uint64_t spool_size(const struct courier_options *options)
{
	return options->spool ? options->spec->spool : 0;
}

/* The courier of a program that was killed may still be at it. */
static int spool_take(const struct courier_options *options, struct spool **spool,
		      char why[CHANNEL_WHY])
{
	const struct timespec pause = {.tv_nsec = SPOOL_LOOK_MS * (long)NS_PER_MS};
	int error;

	for (unsigned int ms = 0;; ms += SPOOL_LOOK_MS) {
		error = spool_open(options->spool, spool_size(options), spool, why, CHANNEL_WHY);
		if (error != -EBUSY || ms >= COURIER_SPOOL_WAIT_MS)
			return error;
		nanosleep(&pause, NULL);
	}
}

/* A sandbox that has no network looks like a destination that is away, and would for ever. */
static int network_check(struct ready *ready)
{
	static const int families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
		CLEANUP_FD int fd = socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (fd >= 0 || errno != EAFNOSUPPORT)
			return 0;
	}
	snprintf(
		ready->why, sizeof(ready->why),
		"no network here; a unit of systemd needs RestrictAddressFamilies=AF_INET AF_INET6 "
		"and IPAddressAllow=, see portsnoop.conf");
	return -EAFNOSUPPORT;
}

#ifdef PORTSNOOP_STATIC

static int sink_prepare(struct sink *sink)
{
	return sink->ops->prepare ? sink->ops->prepare(sink) : 0;
}

#else

/* Names are asked for here only to have what finds them loaded. While nobody answers, the
 * program waits for each sink, and watches nothing: one second of each server, once. */
static int sink_prepare(struct sink *sink)
{
	int error, retrans, retry;

	if (!sink->ops->prepare)
		return 0;
	res_init();
	retrans = _res.retrans;
	retry = _res.retry;
	_res.retrans = _res.retry = 1;
	error = sink->ops->prepare(sink);
	/* res_init() would keep what stands there. */
	_res.retrans = retrans;
	_res.retry = retry;
	return error;
}

#endif

static int privileges_drop(const struct sink_spec *spec, struct ready *ready)
{
	const char *expected;
	uint16_t port = 0;

	if (sink_is_remote(spec) && (!spec->port || parse_port(spec->port, &port, &expected))) {
		snprintf(ready->why, sizeof(ready->why), "it has no port");
		return -EINVAL;
	}
	return guard_courier(port, ready->why, sizeof(ready->why));
}

static int courier_prepare(struct courier *courier, const struct courier_options *options,
			   struct ready *ready)
{
	struct spool *spool = NULL;
	int error = sink_is_remote(options->spec) ? network_check(ready) : 0;

	if (!error && spool_size(options))
		error = spool_take(options, &spool, ready->why);
	if (error)
		return error;
	pending_begin(&courier->pending, options->channel, spool);
	courier->pending.age += courier->ops->linger_ms * NS_PER_MS;
	error = sink_prepare(&courier->sink);
	if (error) {
		snprintf(ready->why, sizeof(ready->why), "%s",
			 *courier->sink.why ? courier->sink.why : strerror(-error));
		return error;
	}
	return options->guarded ? privileges_drop(options->spec, ready) : 0;
}

static void ready_send(int fd, const struct ready *ready)
{
	/* Who does not read it is not there any more, which the channel tells. */
	if (write(fd, ready, sizeof(*ready)) < 0)
		return;
	close(fd);
}

void courier_run(const struct courier_options *options, int ready_fd)
{
	struct courier courier = {
		.ops = options->ops ? options->ops : sink_kind_ops(options->spec->kind),
		.channel = options->channel,
		.limit = SINK_BATCH,
		.away = {.least_ms = COURIER_RETRY_LEAST_MS, .most_ms = COURIER_RETRY_MOST_MS},
		.stalled = {.least_ms = 10, .most_ms = 1000},
		.settle = {.least_ms = COURIER_SETTLE_LEAST_MS, .most_ms = COURIER_SETTLE_MOST_MS},
	};
	struct ready ready = {0};

	signals_shut();
	prctl(PR_SET_NAME, COURIER_NAME);
	courier.sink = (struct sink){
		.ops = courier.ops,
		.spec = options->spec,
		.courier = &courier,
	};
	ready.error = channel_keep_reader(options->channel);
	fds_shut(options->channel, ready_fd, options->spec->kind == SINK_STDOUT);
	if (!ready.error)
		ready.error = courier_prepare(&courier, options, &ready);
	ready_send(ready_fd, &ready);
	if (ready.error)
		_exit(EXIT_FAILURE);
	courier_work(&courier);
	if (courier.ops->free)
		courier.ops->free(&courier.sink);
	pending_end(&courier.pending);
	buffer_free(&courier.batch.bytes);
	channel_state(options->channel)->ended = true;
	_exit(EXIT_SUCCESS);
}

/* 0 or negative errno, with why. */
static int ready_read(int fd, char *why, size_t size)
{
	struct ready ready;
	ssize_t length;

	do
		length = read(fd, &ready, sizeof(ready));
	while (length < 0 && errno == EINTR && !signals_stop());
	if (length != sizeof(ready)) {
		snprintf(why, size, "%s", length < 0 ? strerror(errno) : "its courier has died");
		return length < 0 ? -errno : -ECHILD;
	}
	ready.why[sizeof(ready.why) - 1] = '\0';
	if (ready.error)
		snprintf(why, size, "%s", *ready.why ? ready.why : strerror(-ready.error));
	return ready.error;
}

int courier_start(const struct courier_options *options, int *pid, char *why, size_t size)
{
	int ends[2], error;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC)) {
		error = -errno;
		snprintf(why, size, "%s", strerror(-error));
		return error;
	}
	program = getpid();
	child = fork();
	if (!child)
		courier_run(options, ends[1]);
	error = child < 0 ? -errno : 0;
	close(ends[1]);
	if (error)
		snprintf(why, size, "%s", strerror(-error));
	else
		error = ready_read(ends[0], why, size);
	close(ends[0]);
	if (error && child > 0) {
		kill(child, SIGKILL);
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (!error) {
		channel_keep_writer(options->channel);
		*pid = child;
	}
	return error;
}
