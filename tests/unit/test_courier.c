/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <resolv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "sample.h"
#include "sink/courier.h"
#include "sink_fake.h"

#define RING (256u << 10)
#define NS_PER_S INT64_C(1000000000)

static char name[] = "test";
static struct sink_spec spec = {.kind = SINK_FILE, .name = name, .spool = SPOOL_MOST};
static struct channel *channel;
static uint64_t next; /* the last one that was put */
static int courier;

static int room_make(void **state)
{
	channel = NULL;
	next = 0;
	courier = 0;
	spec.spool = SPOOL_MOST;
	fake_ops.linger_ms = 0;
	return fake_make(state);
}

static int room_remove(void **state)
{
	char command[128];

	if (courier) {
		kill(courier, SIGKILL);
		waitpid(courier, NULL, 0);
	}
	channel_free(channel);
	fake_remove(state);
	snprintf(command, sizeof(command), "rm -rf '%s'/spool", sample_folder);
	/* NOLINTNEXTLINE(cert-env33-c): the folder is ours */
	return system(command) ? -1 : 0;
}

static int try_start(const struct sink_ops *ops, bool spool, char why[CHANNEL_WHY])
{
	char folder[128];
	struct courier_options options = {.spec = &spec, .ops = ops};

	snprintf(folder, sizeof(folder), "%s/spool", sample_folder);
	channel_free(channel);
	channel = channel_new(RING);
	assert_non_null(channel);
	options.channel = channel;
	if (spool)
		options.spool = folder;
	return courier_start(&options, &courier, why, CHANNEL_WHY);
}

static void start(const struct sink_ops *ops, bool spool)
{
	char why[CHANNEL_WHY] = "";
	int error = try_start(ops, spool, why);

	if (error)
		fail_msg("%s", why);
}

static bool put_one(void)
{
	const struct frame frame = fake_frame(next + 1);

	if (!channel_put(channel, &frame))
		return false;
	next++;
	return true;
}

static void put(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		while (!put_one())
			assert_int_equal(channel_wait_room(channel, 100, 20000), 0);
		if (i % 50 == 49)
			channel_wake(channel);
	}
	channel_wake(channel);
}

static struct channel_state now(void)
{
	struct channel_state state;

	channel_state_read(channel, &state);
	return state;
}

static uint64_t accounted(void)
{
	const struct channel_state state = now();

	return state.delivered + state.refused + state.lost + state.spooled +
	       channel_waiting(channel) - state.found;
}

/* Nothing is unaccounted for, as soon as nothing moves. `frames` were put into this channel. */
static void balanced(uint64_t frames)
{
	AWAIT(accounted() == frames);
}

static uint64_t in_ms(unsigned int ms)
{
	return (uint64_t)clock_ns(CLOCK_MONOTONIC) + ms * UINT64_C(1000000);
}

/* To its end. */
static void stop(unsigned int ms)
{
	int status;

	channel_close(channel, in_ms(ms));
	assert_int_equal(waitpid(courier, &status, 0), courier);
	courier = 0;
	assert_int_equal(status, 0);
	assert_true(now().ended);
	assert_int_equal(channel_waiting(channel), 0);
	assert_int_equal(fake->freed, 1);
	fake->freed = 0;
}

/* ---- it works ---- */

static void test_order(void **state)
{
	(void)state;
	start(&fake_ops, false);
	put(20000);
	stop(20000);
	assert_int_equal(fake->count, 20000);
	fake_in_order(1, 20000);
	assert_int_equal(now().delivered, 20000);
	assert_int_equal(now().repeated, 0);
	assert_true(fake->sent < 10000);
	balanced(20000);
}

static void test_goes_out_at_once(void **state)
{
	(void)state;
	start(&fake_ops, false);
	for (unsigned int i = 1; i <= 20; i++) {
		put(1);
		AWAIT(fake->count == i);
	}
	assert_int_equal(fake->sent, 20);
	AWAIT(now().delivered == 20);
	balanced(20);
}

/* The batch grows until it is large, or old. */
static void test_lingers(void **state)
{
	(void)state;
	fake_ops.linger_ms = 3600000;
	start(&fake_ops, false);
	for (unsigned int i = 0; i < 10; i++)
		put(99);
	put(9);
	assert_int_equal(fake->sent, 0);
	stop(20000); /* which is a reason, too */
	assert_int_equal(fake->sent, 1);
	fake_in_order(1, 999);
	fake_ops.linger_ms = 1;
	start(&fake_ops, false);
	put(1);
	AWAIT(fake->count == 1000);
}

static void test_rests(void **state)
{
	const struct timespec while_ = {.tv_nsec = 300000000};
	char path[64];
	struct buffer before = BUFFER_EMPTY, after = BUFFER_EMPTY;

	(void)state;
	start(&fake_polled, true);
	put(100);
	AWAIT(now().delivered == 100);
	snprintf(path, sizeof(path), "/proc/%d/schedstat", courier);
	nanosleep(&while_, NULL);
	file_read(path, &before);
	nanosleep(&while_, NULL);
	file_read(path, &after);
	buffers_equal(&before, &after);
	buffer_free(&before);
	buffer_free(&after);
}

static void test_prepare_fails(void **state)
{
	char why[CHANNEL_WHY] = "";

	(void)state;
	fake->prepare = -ENOENT;
	assert_int_equal(try_start(&fake_ops, false, why), -ENOENT);
	assert_string_equal(why, "not prepared");
	fake->prepare = 1;
	assert_int_equal(try_start(&fake_ops, false, why), -ECHILD);
	assert_string_equal(why, "its courier has died");
	assert_int_equal(waitpid(-1, NULL, 0), -1);
}

/* Name servers that do not answer do not keep the program waiting. */
static void test_prepare_names(void **state)
{
	(void)state;
	res_init();
	start(&fake_ops, false);
	put(1);
	stop(20000);
	fake_in_order(1, 1);
	assert_int_equal(fake->patience_early, 1);
	assert_int_equal(fake->patience, _res.retrans * _res.retry);
}

static void test_signals(void **state)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGALRM, SIGQUIT};

	(void)state;
	start(&fake_ops, false);
	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		kill(courier, numbers[i]);
	put(100);
	stop(20000);
	fake_in_order(1, 100);
}

static void test_descriptors(void **state)
{
	char command[128];
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	start(&fake_ops, false);
	/* Three of everybody's, and its end of the channel. */
	snprintf(command, sizeof(command), "test $(ls /proc/%d/fd | wc -l) = 7", courier);
	/* NOLINTNEXTLINE(cert-env33-c): a number is all that is in it */
	assert_int_equal(system(command), 0);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_reopen(void **state)
{
	(void)state;
	start(&fake_ops, false);
	AWAIT(fake->opened == 1);
	channel_reopen(channel);
	AWAIT(fake->reopened == 1);
	assert_int_equal(fake->closed, 0);
	stop(20000);
	start(&fake_polled, false); /* which has no reopen() */
	AWAIT(fake->opened == 2);
	channel_reopen(channel);
	AWAIT(fake->opened == 3);
	assert_int_equal(fake->closed, 2);
}

/* ---- the destination is away ---- */

static void test_away_at_start(void **state)
{
	(void)state;
	fake->away = true;
	start(&fake_ops, false);
	put(1000);
	AWAIT(now().failures >= 2);
	assert_true(now().since > 0);
	assert_string_equal(now().why, "nobody is there");
	assert_int_equal(channel_waiting(channel), 1000);
	balanced(1000);
	fake->away = false;
	AWAIT(now().delivered == 1000);
	AWAIT(now().since == 0);
	fake_in_order(1, 1000);
	assert_int_equal(now().repeated, 0);
	balanced(1000);
}

static void test_breaks(void **state)
{
	(void)state;
	fake->breaks = 1500;
	start(&fake_ops, false);
	put(3000);
	AWAIT(now().delivered == 3000);
	fake_in_order(1, 3000);
	assert_int_equal(fake->opened, 2);
	assert_int_equal(now().failures, 1);
	/* send() has not said that it took these: they do not count. */
	assert_int_equal(now().repeated, 0);
	balanced(3000);
}

/* What was taken, and is not known to have arrived, comes again. */
static void test_repeats(void **state)
{
	(void)state;
	fake->lags = true;
	start(&fake_polled, false);
	put(700);
	AWAIT(fake->count == 700);
	balanced(700);
	assert_int_equal(now().delivered, 0);
	assert_int_equal(channel_waiting(channel), 700);
	fake->away = true;
	put(300);
	AWAIT(now().failures >= 1);
	fake->lags = false;
	fake->away = false;
	AWAIT(now().delivered == 1000);
	assert_int_equal(now().repeated, 700);
	assert_int_equal(fake->count, 1700);
	fake_in_order(1, 1000);
	balanced(1000);
}

static void test_settles_later(void **state)
{
	(void)state;
	fake->slow = true;
	fake->most = 100;
	start(&fake_polled, false);
	put(5000);
	AWAIT(now().delivered == 5000);
	assert_int_equal(fake->count, 5000);
	balanced(5000);
	stop(20000);
}

static void test_stalls(void **state)
{
	(void)state;
	fake->stalls = true;
	start(&fake_ops, false);
	put(10);
	AWAIT(fake->sent > 3);
	assert_int_equal(now().failures, 0);
	assert_int_equal(fake->closed, 0);
	fake->stalls = false;
	AWAIT(now().delivered == 10);
}

static void test_gone(void **state)
{
	int status;

	(void)state;
	start(&fake_ops, false);
	put(10);
	AWAIT(now().delivered == 10);
	fake->gone = true;
	put(5);
	assert_int_equal(waitpid(courier, &status, 0), courier);
	courier = 0;
	assert_int_equal(status, 0);
	assert_int_equal(now().lost, 5);
	assert_true(now().ended);
	balanced(15);
}

/* ---- it does not take all ---- */

static void test_refuses(void **state)
{
	(void)state;
	fake->bad = 333;
	start(&fake_ops, false);
	put(5000);
	AWAIT(now().delivered + now().refused == 5000);
	assert_int_equal(now().refused, 15);
	assert_string_equal(now().why, "a bad one");
	assert_int_equal(fake->count, 4985);
	fake_in_order(1, 5000);
	/* One by one it would take more. */
	assert_true(fake->sent < 1500);
	balanced(5000);
}

static void test_refuses_all(void **state)
{
	(void)state;
	fake->bad = 1;
	start(&fake_ops, false);
	put(500);
	AWAIT(now().refused == 500);
	assert_int_equal(fake->count, 0);
	balanced(500);
}

/* While others before it are not settled. */
static void test_refuses_later(void **state)
{
	(void)state;
	fake->bad = 50;
	fake->slow = true;
	start(&fake_polled, false);
	put(1000);
	AWAIT(now().delivered + now().refused == 1000);
	assert_int_equal(now().refused, 20);
	assert_int_equal(fake->count, 980);
	fake_in_order(1, 1000);
	balanced(1000);
}

/* What is taken before a bad one is not settled by that. */
static void test_refuses_and_breaks(void **state)
{
	(void)state;
	fake->bad = 5;
	fake->lags = fake->defers = true;
	start(&fake_polled, false);
	put(9);
	AWAIT(fake->alone == 1);
	assert_int_equal(fake->count, 0);
	channel_reopen(channel); /* which for this one is another connection */
	AWAIT(fake->opened == 2);
	fake->lags = false;
	AWAIT(now().delivered + now().refused == 9);
	assert_int_equal(now().refused, 1);
	fake_in_order(1, 9);
	balanced(9);
}

static void test_rejects(void **state)
{
	(void)state;
	fake->rejects = 3;
	start(&fake_ops, false);
	put(10);
	AWAIT(now().delivered == 7 && now().refused == 3);
	assert_int_equal(now().stream, 7);
	AWAIT(now().sequence == 10);
	assert_string_equal(now().why, "it does not like some");
	balanced(10);
}

/* ---- the end ---- */

static void test_deadline(void **state)
{
	(void)state;
	fake->hangs = true;
	start(&fake_ops, false);
	put(100);
	AWAIT(fake->sent == 1);
	stop(100);
	assert_int_equal(now().lost, 100);
	balanced(100);
}

static void test_deadline_settles(void **state)
{
	(void)state;
	fake->lags = true;
	start(&fake_polled, false);
	put(100);
	AWAIT(fake->count == 100);
	stop(100);
	assert_int_equal(now().lost, 100);
	assert_int_equal(now().delivered, 0);
	balanced(100);
}

static void test_away_at_end(void **state)
{
	(void)state;
	fake->away = true;
	start(&fake_ops, false);
	put(100);
	stop(300);
	assert_int_equal(now().lost, 100);
	balanced(100);
}

/* ---- one of the two is killed ---- */

static void program_main(unsigned int count, bool spool) __attribute__((noreturn));

static void program_main(unsigned int count, bool spool)
{
	start(&fake_ops, spool);
	put(count);
	kill(getpid(), SIGKILL);
	_exit(1);
}

static void program_run(unsigned int count, bool spool)
{
	pid_t child = fork();
	int status;

	if (!child)
		program_main(count, spool);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

static void test_program_killed(void **state)
{
	(void)state;
	fake->stalls = true;
	program_run(2000, false);
	assert_int_equal(fake->freed, 0);
	fake->stalls = false;
	AWAIT(fake->freed == 1);
	assert_int_equal(fake->count, 2000);
	fake_in_order(1, 2000);
}

static void test_program_killed_spool(void **state)
{
	(void)state;
	fake->away = true;
	program_run(2000, true);
	fake->away = false;
	/* Also when the one before is not done yet: it waits for the spool. */
	start(&fake_ops, true);
	AWAIT(now().delivered == now().found);
	AWAIT(fake->count >= 2000);
	next = 2000;
	put(10);
	AWAIT(now().delivered == now().found + 10);
	fake_in_order(1, 2010);
	balanced(10);
}

static void test_courier_killed(void **state)
{
	struct channel_state last;

	(void)state;
	fake->away = true;
	start(&fake_ops, true);
	put(500);
	AWAIT(now().spooled == 500);
	put(20);
	kill(courier, SIGKILL);
	waitpid(courier, NULL, 0);
	courier = 0;
	assert_int_equal(channel_wait_room(channel, 100, 0), 0);
	last = now();
	balanced(520);
	fake->away = false;
	start(&fake_ops, true);
	assert_int_equal(now().found, last.spooled);
	AWAIT(now().delivered == last.spooled);
	fake_in_order(1, 500);
}

/* ---- with a spool ---- */

static void test_spool(void **state)
{
	(void)state;
	fake->away = true;
	start(&fake_ops, true);
	put(3000);
	AWAIT(now().spooled == 3000); /* what is old */
	balanced(3000);
	put(1000);
	stop(3600000); /* which does not wait for who is away */
	assert_int_equal(now().spooled, 4000);
	assert_int_equal(now().lost, 0);
	balanced(4000);

	start(&fake_ops, true);
	assert_int_equal(now().found, 4000);
	put(500);
	fake->away = false;
	AWAIT(now().delivered == 4500);
	fake_in_order(1, 4500);
	assert_int_equal(now().spooled, 0);
	balanced(500);
	stop(20000);

	start(&fake_ops, true);
	assert_int_equal(now().sequence, 4500); /* of the run before */
	assert_int_equal(now().found, 0);
	assert_int_equal(fake->count, 4500);
}

/* Room is made as long as there is some on disk: not only of what is old, which with this
 * linger_ms nothing is. */
static void test_spool_takes(void **state)
{
	(void)state;
	fake_ops.linger_ms = 3600000;
	fake->hangs = true;
	start(&fake_ops, true);
	put(50000); /* several times what the channel takes */
	assert_true(now().spooled > 40000);
	fake->hangs = false;
	stop(20000);
	assert_int_equal(now().delivered, 50000);
	assert_int_equal(fake->count, 50000);
	fake_in_order(1, 50000);
	balanced(50000);
}

static void test_spool_full(void **state)
{
	unsigned int count = 0;

	(void)state;
	spec.spool = 100000;
	fake->away = true;
	start(&fake_ops, true);
	AWAIT(now().failures > 0);
	put(1500);
	AWAIT(now().spooled > 1000 && channel_waiting(channel) > 100);
	while (put_one())
		channel_wake(channel);
	count = (unsigned int)next;
	assert_true(now().spooled_bytes <= 100000);
	fake->away = false;
	channel_reopen(channel); /* it tries at once */
	AWAIT(now().delivered == count);
	fake_in_order(1, count);
	balanced(count);
}

static void test_spool_at_end(void **state)
{
	(void)state;
	fake->hangs = true;
	start(&fake_ops, true);
	put(100);
	AWAIT(fake->sent == 1);
	stop(100);
	assert_int_equal(now().spooled, 100);
	assert_int_equal(now().lost, 0);
	balanced(100);
}

/* The spool comes before the channel, also when it is refilled while it is emptied. */
static void test_spool_order(void **state)
{
	(void)state;
	fake->away = true;
	fake->most = 10;
	fake->slow = true;
	start(&fake_polled, true);
	put(4000);
	fake->away = false;
	for (unsigned int i = 0; i < 20; i++) {
		put(2000);
		fake->away = i % 5 == 1;
	}
	fake->away = false;
	fake->slow = false;
	fake->most = 0;
	AWAIT(now().delivered == 44000);
	fake_in_order(1, 44000);
	balanced(44000);
}

static void test_spool_busy(void **state)
{
	char why[CHANNEL_WHY] = "";
	struct channel *first;
	int one;

	(void)state;
	start(&fake_ops, true);
	first = channel;
	one = courier;
	channel = NULL;
	assert_int_equal(try_start(&fake_ops, true, why), -EBUSY);
	assert_non_null(strstr(why, "another portsnoop uses it"));
	channel_free(channel);
	channel = first;
	courier = one;
	put(10);
	stop(20000);
	fake_in_order(1, 10);
}

/* Somebody removes what is in it. */
static void test_spool_removed(void **state)
{
	char command[128];

	(void)state;
	fake->away = true;
	start(&fake_ops, true);
	put(3000);
	AWAIT(now().spooled == 3000);
	snprintf(command, sizeof(command), "rm '%s'/spool/*", sample_folder);
	/* NOLINTNEXTLINE(cert-env33-c): the folder is ours */
	assert_int_equal(system(command), 0);
	fake->away = false;
	channel_reopen(channel); /* it tries at once */
	AWAIT(now().delivered + now().lost == 3000);
	put(100);
	AWAIT(now().delivered + now().lost == 3100);
	assert_true(now().delivered >= 100);
	balanced(3100);
}

/* ---- whatever happens ---- */

static void random_run(const struct sink_ops *ops, unsigned int seed)
{
	uint64_t refused = 0, lost = 0, spooled = 0;
	uint64_t put_here = 0;

	srandom(seed);
	fake->bad = 97;
	fake->chance = 30;
	start(ops, true);
	for (unsigned int step = 0; step < 60; step++) {
		unsigned int count = (unsigned int)random() % 400;

		fake->away = random() % 6 == 0;
		fake->slow = random() % 4 == 0;
		fake->defers = random() % 2;
		fake->most = random() % 5 ? 0 : 7;
		put(count);
		put_here += count;
		if (random() % 12 == 0)
			channel_reopen(channel);
		if (random() % 10)
			continue;
		stop((unsigned int)random() % 50);
		balanced(put_here);
		refused += now().refused;
		lost += now().lost;
		spooled = now().spooled;
		start(ops, true);
		assert_int_equal(now().found, spooled);
		put_here = 0;
	}
	fake->away = fake->slow = false;
	fake->chance = 0;
	AWAIT(now().delivered + now().refused == put_here + now().found);
	balanced(put_here);
	refused += now().refused;
	lost += now().lost;
	stop(20000);
	/* With a spool nothing is lost, and what is bad is refused, once. */
	assert_int_equal(lost, 0);
	assert_int_equal(refused, next / 97);
	fake_in_order(1, next);
}

static void test_random(void **state)
{
	for (unsigned int seed = 1; seed <= 6; seed++) {
		random_run(seed % 2 ? &fake_ops : &fake_polled, seed);
		assert_int_equal(room_remove(state), 0);
		assert_int_equal(room_make(state), 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, room_make, room_remove)
	const struct CMUnitTest tests[] = {
		TEST(test_order),
		TEST(test_goes_out_at_once),
		TEST(test_lingers),
		TEST(test_rests),
		TEST(test_prepare_fails),
		TEST(test_prepare_names),
		TEST(test_signals),
		TEST(test_descriptors),
		TEST(test_reopen),
		TEST(test_away_at_start),
		TEST(test_breaks),
		TEST(test_repeats),
		TEST(test_settles_later),
		TEST(test_stalls),
		TEST(test_gone),
		TEST(test_refuses),
		TEST(test_refuses_all),
		TEST(test_refuses_later),
		TEST(test_refuses_and_breaks),
		TEST(test_rejects),
		TEST(test_deadline),
		TEST(test_deadline_settles),
		TEST(test_away_at_end),
		TEST(test_program_killed),
		TEST(test_program_killed_spool),
		TEST(test_courier_killed),
		TEST(test_spool),
		TEST(test_spool_takes),
		TEST(test_spool_full),
		TEST(test_spool_at_end),
		TEST(test_spool_order),
		TEST(test_spool_busy),
		TEST(test_spool_removed),
		TEST(test_random),
	};

	return cmocka_run_group_tests(tests, sample_folder_make, sample_folder_remove);
}
